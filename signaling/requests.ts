// What each request of a client that has logged in leads to. Relays, which are many, stand in connection.ts.
import type { NodeErrorCode } from '../wire/errors.ts';
import type { ClientMessage, LogAppend, NodeMessage } from '../wire/node-messages.ts';
import type { Buckets } from './buckets.ts';
import type { NodeClock } from './clock.ts';
import type { Checked, Directory } from './directory.ts';
import type { GroupStore } from './group-store.ts';
import type { Happenings } from './happenings.ts';
import type { Mailboxes } from './mailbox.ts';
import type { Member } from './member.ts';
import type { Presence } from './presence.ts';

export type Request = Exclude<ClientMessage, { type: 'client-hello' | 'client-auth' | 'relay' | 'log-out' }>;

export type RequestParts = {
  directory: Directory;
  groups: GroupStore;
  mailboxes: Mailboxes;
  presence: Presence;
  happenings: Happenings;
  nameLookUps: Buckets;
  uidLookUps: Buckets;
  certificates: Buckets;
  /** A token for each KiB that is stored. */
  stored: Buckets;
  clock: NodeClock;
};

/** `why` is for the log; `told` says how many others were told of it. */
export type Answer = { message: NodeMessage; why?: string; told?: number };

type Of<Type extends Request['type']> = Extract<Request, { type: Type }>;

export class Requests {
  readonly #parts: RequestParts;

  constructor(parts: RequestParts) {
    this.#parts = parts;
  }

  /** `send` is for what goes out before the answer; it waits while the socket is slow. */
  async answer(member: Member, message: Request, send: (bytes: Uint8Array) => Promise<void>): Promise<Answer> {
    const { directory, groups, mailboxes, presence, clock } = this.#parts;
    const { request } = message;
    const now = clock.now();
    switch (message.type) {
      case 'look-up':
        return this.#lookUp(member, message, now);
      case 'publish-lock-key':
        return keptOrNot(request, await directory.keepLockKey(member, message.lockKey), 'device-refused');
      case 'publish-device':
        return this.#publishDevice(member, message, now);
      case 'publish-certificate':
        return this.#publishCertificate(member, message, now);
      case 'put-shard':
        return this.#stored(member, message, { bytes: message.shard.length, now }, async () => {
          const outcome = await groups.putShard(member.uid, message.shard, now);
          return outcome === 'staged' ? done(request) : refused(request, outcome);
        });
      case 'get-shard': {
        const shard = await groups.shard(message.gTag, message.hash);
        return shard === undefined ? refused(request, 'not-found') : { message: { type: 'shard', request, shard } };
      }
      case 'append':
        return this.#stored(member, message, { bytes: message.append.sealed.length, now }, () => this.#append(member, message));
      case 'get-log': {
        const page = await groups.page(message.gTag, message.after);
        if (page === undefined) return refused(request, 'not-found');
        return { message: { type: 'log-page', request, entries: page.entries, more: page.more ? 1 : 0 } };
      }
      case 'follow': {
        const { rosters, told } = presence.follow(member, message.groups);
        for (const roster of rosters) await send(roster);
        return { ...done(request), told };
      }
      case 'post-mail':
        return this.#stored(member, message, { bytes: message.body.length, now }, () => this.#postMail(member, message, now));
      case 'get-mail': {
        const page = await mailboxes.read(member, message.box, message.after);
        if (page === 'not-found') return refused(request, page);
        return { message: { type: 'mail-page', request, mails: page.mails, more: page.more ? 1 : 0 } };
      }
      case 'drop-mail': {
        const outcome = await mailboxes.drop(member, message.box, message.upTo);
        return outcome === 'dropped' ? done(request) : refused(request, outcome);
      }
      default:
        return message satisfies never;
    }
  }

  async #lookUp(member: Member, { request, by }: Of<'look-up'>, now: number): Promise<Answer> {
    const { directory, nameLookUps, uidLookUps } = this.#parts;
    const buckets = by.by === 'username' ? nameLookUps : uidLookUps;
    const retryAfter = buckets.take(member.person, now);
    if (retryAfter > 0) return { message: { type: 'refused', request, code: 'rate-limited', retryAfter } };
    const entry = await directory.entry(by, now);
    if (entry !== undefined) return { message: { type: 'found', request, entry } };
    return refused(request, by.by === 'username' ? 'unknown-user' : 'not-found');
  }

  async #publishCertificate(member: Member, { request, certificate }: Of<'publish-certificate'>, now: number): Promise<Answer> {
    const { directory, certificates } = this.#parts;
    const retryAfter = certificates.take(member.person, now);
    if (retryAfter > 0) return { message: { type: 'refused', request, code: 'rate-limited', retryAfter } };
    return keptOrNot(request, await directory.updateCertificate(member.uid, certificate, now), 'bad-certificate');
  }

  async #publishDevice(member: Member, { request, deviceCert }: Of<'publish-device'>, now: number): Promise<Answer> {
    const { directory, presence } = this.#parts;
    const account = await directory.account(member.uid);
    if (account === undefined) return refused(request, 'not-found');
    const checked = await directory.checkDevice(deviceCert, account, now);
    if (checked.outcome === 'good') presence.expel(await directory.keepDevice(member.uid, checked.value, now));
    return keptOrNot(request, checked, 'device-refused');
  }

  /** No account fills the disk in a day. What is refused costs nothing. */
  async #stored(
    member: Member,
    { request }: { request: number },
    { bytes, now }: { bytes: number; now: number },
    store: () => Promise<Answer>,
  ): Promise<Answer> {
    const { stored } = this.#parts;
    const retryAfter = stored.wait(member.person, now);
    if (retryAfter > 0) return { message: { type: 'refused', request, code: 'rate-limited', retryAfter } };
    const answer = await store();
    if (answer.message.type !== 'refused') stored.of(member.person, now).spend(1 + bytes / 1024);
    return answer;
  }

  async #append(
    member: Member,
    { request, append, signature }: { request: number; append: LogAppend; signature: Uint8Array },
  ): Promise<Answer> {
    const { groups, presence, happenings } = this.#parts;
    const result = await groups.append(member.uid, append, signature);
    switch (result.outcome) {
      case 'appended':
        happenings.counters.appended += 1;
        return { message: { type: 'appended', request, no: result.no }, told: presence.logGrew(append.gTag, result.no, member) };
      case 'repeated':
        return { message: { type: 'appended', request, no: result.no } };
      case 'conflict':
        return { message: { type: 'conflict', request, heads: result.heads } };
      case 'refused':
        return refused(request, result.code);
      default:
        return result satisfies never;
    }
  }

  async #postMail(member: Member, { request, box, body }: Of<'post-mail'>, now: number): Promise<Answer> {
    const { mailboxes, presence, happenings } = this.#parts;
    const no = await mailboxes.post(member.uid, box, { body, now });
    if (typeof no !== 'number') return refused(request, no);
    happenings.counters.posted += 1;
    return { ...done(request), told: presence.mailCame(box, no) };
  }
}

function done(request: number): Answer {
  return { message: { type: 'done', request } };
}

function refused(request: number, code: NodeErrorCode): Answer {
  return { message: { type: 'refused', request, code, retryAfter: 0 } };
}

function keptOrNot(request: number, checked: Checked<unknown>, code: NodeErrorCode): Answer {
  return checked.outcome === 'good' ? done(request) : { ...refused(request, code), why: checked.why };
}
