// How groups begin and people come in: create, invite by link, follow a link, add by name, and the mail that carries it.
import { type Device, verifyDeviceCert } from '../keys/device.ts';
import { rosterTagOf } from '../keys/epoch.ts';
import { hash } from '../keys/hash.ts';
import { certHashOf } from '../keys/identity.ts';
import { inviteKeyFromSeed, openJoinRequest, sealJoinRequest } from '../keys/invite.ts';
import { makeInviteProof, verifyInviteProof } from '../keys/invite-proof.ts';
import type { KeyAgent } from '../keys/key-agent.ts';
import type { GroupState } from '../keys/resolve.ts';
import { compare, equal, fromHex, hex } from '../wire/bytes.ts';
import { decode, encode, numberOf, struct, u32 } from '../wire/codec.ts';
import { type JoinRequest, type Role, roles, welcome } from '../wire/group-ops.ts';
import { asOpId, asUid, type Did, type Gid, type GTag, type NodeId, type RosterTag, type Uid } from '../wire/ids.ts';
import { decodeInviteLink, encodeInviteFragment, type Invite, invite as inviteCodec } from '../wire/invite-link.ts';
import type { Mail, Mailbox } from '../wire/node-messages.ts';
import type { Group } from './group.ts';
import { GroupLog, type GroupLogNeeds } from './group-log.ts';
import type { NodeLine } from './node-line.ts';
import { NodeRefusal } from './node-requests.ts';
import type { People, Person } from './people.ts';
import type { Clock, Random, Stop, Store } from './ports.ts';
import { isRefusal } from './refusals.ts';
import { Turns } from './turns.ts';

export type MembershipNeeds = {
  line: NodeLine;
  agent: KeyAgent;
  store: Store;
  clock: Clock;
  random: Random;
  /** The node's time. */
  now(): number;
  note(text: string): void;
  origin: string;
  logNeeds: GroupLogNeeds;
  me: { uid: Uid; username: string; certificate: Uint8Array };
  device(): Device;
  people: People;
  nodeId(): NodeId | undefined;
  group(gid: Gid): Group | undefined;
  /** Other devices of the group that are reachable now. */
  onlineDevices(group: Group): Did[];
  /** A log that this device is in: make a group of it. */
  adopted(log: GroupLog): Promise<Group>;
  /** There are more logs to follow. */
  followMore(): void;
  changed(): void;
  run(work: Promise<unknown>): void;
};

export type JoinFailure =
  | 'bad-link'
  | 'other-node'
  | 'wrong-node'
  | 'other-group'
  | 'not-invited'
  | 'used'
  | 'revoked'
  | 'expired'
  | 'not-for-you'
  /** In already, with another device of the same person. */
  | 'other-device'
  | 'gone';

/** Of the link followed last. */
export type JoinState =
  | { state: 'asking'; groupName: string | undefined }
  /** The request is at the node; the first member who is online brings us in. */
  | { state: 'waiting'; groupName: string }
  | { state: 'joined'; gid: Gid }
  | { state: 'failed'; failure: JoinFailure | 'node'; groupName: string | undefined };

export type AddOutcome = 'added' | 'already-in' | 'unknown-user' | 'name-changed' | 'refused' | 'no-devices' | 'not-allowed';

/** An invite lives this long unless it says otherwise. */
const inviteLife = 7 * 24 * 60 * 60_000;
/** So that not everybody who is online brings the same person in. */
const admitPause = 400;
const welcomesPerMinute = 20;

const storedMailNo = struct({ version: numberOf(1, 1), no: u32 });

type Pending = { invite: Invite; invitePub: Uint8Array; log: GroupLog };

export class Membership {
  readonly #needs: MembershipNeeds;
  readonly #pending = new Map<string, Pending>();
  readonly #mailTurns = new Turns();
  readonly #timers = new Set<Stop>();
  #welcomed: number[] = [];
  join: JoinState | undefined;

  constructor(needs: MembershipNeeds) {
    this.#needs = needs;
  }

  /** Logs of groups that this device is in; requests to join that wait go on waiting. */
  async loadLogs(): Promise<GroupLog[]> {
    const { store, logNeeds } = this.#needs;
    const logs = await GroupLog.loadAll(logNeeds);
    for (const { value } of await store.range(['join'])) {
      const invite = decode(inviteCodec, value);
      const log =
        logs.find(({ gid }) => equal(gid, invite.gid)) ?? GroupLog.open(logNeeds, { ...invite, logKeys: [invite.logKey] });
      if (this.#isIn(log)) continue;
      this.#pending.set(hex(invite.gTag), { invite, invitePub: await invitePubOf(invite), log });
      this.join = { state: 'waiting', groupName: log.state()?.policy.name ?? '' };
    }
    return logs.filter((log) => this.#isIn(log));
  }

  /** What is to be followed besides the groups. */
  followed(): { gTag: GTag; rosterTag: RosterTag }[] {
    return [...this.#pending.values()].map(({ log }) => ({ gTag: log.gTag, rosterTag: rosterTagOf(log.newestLogKey) }));
  }

  /** The node is there (again): look into every mailbox, and do what waited. */
  async connected(): Promise<void> {
    const { me, run } = this.#needs;
    await this.mailCame({ of: 'person', uid: me.uid });
    for (const { invite } of this.#pending.values()) run(this.logGrew(invite.gTag));
    await this.#sendWelcomes();
    for (const gid of await this.#ownGroups()) run(this.#readGroupMail(gid));
  }

  /** Kept here at once; the node learns of it when it is there. */
  async create(name: string): Promise<Group> {
    const { logNeeds, me, run } = this.#needs;
    const log = await GroupLog.create(logNeeds, { name, certificate: me.certificate, certHash: certHashOf(me.certificate) });
    const group = await this.#needs.adopted(log);
    run(log.sync().then(() => this.#needs.followMore()));
    return group;
  }

  /** A new invite, and its fragment for a link. Rejects with NodeRefusal. */
  async invite(group: Group, parts: { role: Role; maxUses: number }): Promise<string> {
    const { random, origin, me, now } = this.#needs;
    const nodeId = this.#needs.nodeId();
    if (nodeId === undefined) throw new NodeRefusal('offline');
    const inviteSeed = random(32);
    const { publicKey } = await inviteKeyFromSeed(inviteSeed);
    const { log } = group;
    const role = parts.role === roles.none ? roles.member : parts.role;
    const facts = {
      invitePub: publicKey,
      role,
      maxUses: parts.maxUses,
      expires: now() + inviteLife,
      approval: 0,
      forUid: undefined,
    } as const;
    const head = await log.commit(async () => ({ changes: [{ kind: 'invite', ...facts }], epoch: 'none' }));
    if (head === 'not-needed') throw new NodeRefusal('append-refused');
    return encodeInviteFragment({
      origin,
      nodeId,
      gid: log.gid,
      gTag: log.gTag,
      logKey: log.newestLogKey,
      inviteSeed,
      inviter: me.uid,
      head,
    });
  }

  /** Follows a link; how it goes is in `join`. */
  async followLink(link: string): Promise<void> {
    try {
      await this.#follow(decodeInviteLink(link));
    } catch (error) {
      if (isRefusal(error)) return this.#joined({ state: 'failed', failure: 'bad-link', groupName: undefined });
      if (!(error instanceof NodeRefusal)) throw error;
      this.#joined({ state: 'failed', failure: error.code === 'not-found' ? 'gone' : 'node', groupName: undefined });
    }
  }

  forgetJoin(): void {
    this.join = undefined;
    this.#needs.changed();
  }

  /** By the certificate that the node has for that name, after everything about it was checked. Rejects with NodeRefusal. */
  async add(group: Group, username: string): Promise<AddOutcome> {
    const person = await this.#needs.people.byName(username);
    if (person === 'unknown') return 'unknown-user';
    if (person === 'changed') return 'name-changed';
    if (person === 'refused') return 'refused';
    if (person.devices.length === 0) return 'no-devices';
    const { log } = group;
    // Kept before it is done: whoever is in must hear of it, whatever happens in between.
    await this.#needs.store.write([{ put: ['welcome', hex(log.gid), hex(person.uid)], value: new Uint8Array() }]);
    let outcome: AddOutcome = 'added';
    await log.commit(async (state) => {
      outcome = this.#mayAdd(state, person);
      if (outcome !== 'added') return undefined;
      const { uid, certHash, certificate } = person;
      const devices = person.devices.map((device) => device.certificate).slice(0, 8);
      return {
        changes: [{ kind: 'add', uid, certHash, role: roles.member, devices, proof: undefined }],
        epoch: { ratchet: [{ uid, certificate }] },
      };
    });
    await this.#sendWelcomes();
    return outcome;
  }

  /** A mailbox that is ours or our groups' has something new. */
  async mailCame(box: Mailbox): Promise<void> {
    if (box.of === 'person') return this.#mailTurns.take(() => this.#readOwnMail(box));
    if (box.of !== 'group') return;
    for (const gid of await this.#ownGroups()) {
      if (equal(this.#needs.group(gid)?.log.gTag ?? new Uint8Array(), box.gTag)) return this.#readGroupMail(gid);
    }
  }

  /** The log of a group that we asked to join. */
  async logGrew(gTag: GTag): Promise<void> {
    const pending = this.#pending.get(hex(gTag));
    if (pending === undefined) return;
    await pending.log.sync();
    const { log } = pending;
    if (this.#isIn(log)) return this.#enter(pending);
    const failure = this.#inviteFailure(log, pending);
    if (failure !== undefined) await this.#giveUp(pending, failure);
  }

  close(): void {
    for (const stop of this.#timers) stop();
    this.#timers.clear();
  }

  // --- following a link

  async #follow(invite: Invite): Promise<void> {
    const { origin, logNeeds, store } = this.#needs;
    const failed = (failure: JoinFailure, groupName?: string) => this.#joined({ state: 'failed', failure, groupName });
    if (invite.origin !== origin) return failed('other-node');
    const nodeId = this.#needs.nodeId();
    if (nodeId === undefined) throw new NodeRefusal('offline');
    if (!equal(nodeId, invite.nodeId)) return failed('wrong-node');
    const known = this.#needs.group(invite.gid);
    if (known !== undefined) return this.#joined({ state: 'joined', gid: known.gid });
    this.#joined({ state: 'asking', groupName: undefined });
    const log = this.#pending.get(hex(invite.gTag))?.log ?? GroupLog.open(logNeeds, { ...invite, logKeys: [invite.logKey] });
    await log.sync();
    // The link names the genesis and the newest op that its author saw: another log in their place is another group.
    if (log.state() === undefined || !log.ops.has(invite.gid) || !log.ops.has(invite.head)) {
      await log.erase();
      return failed('other-group');
    }
    const pending = { invite, invitePub: await invitePubOf(invite), log };
    const name = log.state()?.policy.name ?? '';
    if (this.#isIn(log)) return this.#enter(pending);
    const failure = this.#inviteFailure(log, pending);
    if (failure !== undefined) return failed(failure, name);
    await store.write([{ put: ['join', hex(invite.gTag)], value: encode(inviteCodec, invite) }]);
    this.#pending.set(hex(invite.gTag), pending);
    this.#joined({ state: 'waiting', groupName: name });
    this.#needs.followMore();
    await this.#postRequest(pending);
  }

  #inviteFailure(log: GroupLog, { invite, invitePub }: { invite: Invite; invitePub: Uint8Array }): JoinFailure | undefined {
    const state = log.state();
    const found = state?.invites.get(hex(invitePub));
    const inviter = state?.members.get(hex(invite.inviter));
    if ((state?.members.get(hex(this.#needs.me.uid))?.role ?? roles.none) > roles.none) return 'other-device';
    if (state === undefined || found === undefined || inviter === undefined || inviter.role < state.policy.admit)
      return 'not-invited';
    if (found.revoked) return 'revoked';
    if (found.forUid !== undefined && !equal(found.forUid, this.#needs.me.uid)) return 'not-for-you';
    if (found.uses >= found.maxUses) return 'used';
    return found.expires <= this.#needs.now() ? 'expired' : undefined;
  }

  async #postRequest({ invite }: Pending): Promise<void> {
    const { line, random, me } = this.#needs;
    const device = this.#needs.device();
    const { gid, gTag, logKey, inviteSeed } = invite;
    const claimed = { gid, uid: me.uid, certHash: certHashOf(me.certificate), devices: [device.certificate] };
    const proof = await makeInviteProof({
      ...claimed,
      inviteKey: await inviteKeyFromSeed(inviteSeed),
      did: device.did,
      signer: device.signer,
    });
    const { uid, certHash, devices } = claimed;
    const body = await sealJoinRequest({ gTag, logKey, request: { uid, certHash, devices, proof }, nonce: random(12) });
    await line.request({ type: 'post-mail', box: { of: 'group', gTag }, body });
  }

  async #enter({ invite, log }: Pending): Promise<void> {
    this.#pending.delete(hex(invite.gTag));
    await this.#needs.adopted(log);
    await this.#needs.store.write([{ remove: ['join', hex(invite.gTag)] }]);
    this.#joined({ state: 'joined', gid: log.gid });
  }

  async #giveUp({ invite, log }: Pending, failure: JoinFailure): Promise<void> {
    const groupName = log.state()?.policy.name;
    this.#pending.delete(hex(invite.gTag));
    await this.#needs.store.write([{ remove: ['join', hex(invite.gTag)] }]);
    await log.erase();
    this.#joined({ state: 'failed', failure, groupName });
  }

  #joined(join: JoinState): void {
    this.join = join;
    this.#needs.changed();
  }

  #isIn(log: GroupLog): boolean {
    const member = log.state()?.members.get(hex(this.#needs.me.uid));
    return member?.devices.has(hex(this.#needs.device().did)) ?? false;
  }

  // --- bringing in who asks

  async #ownGroups(): Promise<Gid[]> {
    const stored = await this.#needs.store.range(['log']);
    return stored.flatMap(({ key }) => this.#needs.group(asOpId(fromHex(String(key[1]))))?.gid ?? []);
  }

  async #readGroupMail(gid: Gid): Promise<void> {
    const { line, store } = this.#needs;
    const group = this.#needs.group(gid);
    if (group === undefined) return;
    await this.#mailTurns.take(async () => {
      const { gTag } = group.log;
      const stored = await store.get(['mail', hex(gTag)]);
      let after = stored === undefined ? 0 : decode(storedMailNo, stored).no;
      for (;;) {
        const page = await line.request({ type: 'get-mail', box: { of: 'group', gTag }, after });
        for (const mail of page.mails) {
          await this.#admitLater(group, mail);
          after = Math.max(after, mail.no);
        }
        if (page.mails.length > 0)
          await store.write([{ put: ['mail', hex(gTag)], value: encode(storedMailNo, { version: 1, no: after }) }]);
        if (page.more === 0 || page.mails.length === 0) return;
      }
    });
  }

  /** The first in line at once, the others a little later each, so that one of those who are online does it. */
  async #admitLater(group: Group, { body }: Mail): Promise<void> {
    const { gTag, logKeys } = group.log;
    const request = await openJoinRequest({ gTag, logKeys: [...logKeys].reverse(), sealed: body });
    if (request === undefined) return this.#needs.note('mail to a group is no join request');
    const placeInLine = this.#placeInLine(group, request);
    const admit = () => this.#needs.run(this.#admit(group, request));
    if (placeInLine === 0) return admit();
    const stop: Stop = this.#needs.clock.after(placeInLine * admitPause, () => {
      this.#timers.delete(stop);
      admit();
    });
    this.#timers.add(stop);
  }

  #placeInLine(group: Group, request: JoinRequest): number {
    const mine = hash('admit', request.proof.inviteSignature, this.#needs.device().did);
    const others = this.#needs.onlineDevices(group).map((did) => hash('admit', request.proof.inviteSignature, did));
    return others.filter((other) => compare(other, mine) < 0).length;
  }

  async #admit(group: Group, request: JoinRequest): Promise<void> {
    const person = await this.#personOf(request);
    if (person === undefined) return;
    const { uid, certHash, devices, proof } = request;
    await group.log.commit(async (state) => {
      if (!this.#mayAdmit(group, state, request)) return undefined;
      const { role } = state.invites.get(hex(proof.invitePub)) ?? { role: roles.member };
      const { certificate } = person;
      return { changes: [{ kind: 'add', uid, certHash, role, devices, proof }], epoch: { ratchet: [{ uid, certificate }] } };
    });
  }

  #mayAdmit(group: Group, state: GroupState, request: JoinRequest): boolean {
    const { uid, proof } = request;
    const invite = state.invites.get(hex(proof.invitePub));
    const isIn = (state.members.get(hex(uid))?.role ?? roles.none) > roles.none;
    if (invite === undefined || isIn || invite.revoked || invite.uses >= invite.maxUses || invite.expires <= this.#needs.now())
      return false;
    return verifyInviteProof({ gid: group.gid, ...request });
  }

  /** The certificate that the request names, and devices that this certificate really signed. */
  async #personOf(request: JoinRequest): Promise<Person | undefined> {
    const { people, agent, now } = this.#needs;
    const known = await people.byUid(request.uid);
    const person = known !== undefined && equal(known.certHash, request.certHash) ? known : await people.refresh(request.uid);
    if (person === undefined || !equal(person.certHash, request.certHash)) return this.#refused('its certificate is not known');
    try {
      for (const bytes of request.devices) await verifyDeviceCert({ bytes, certificate: person.certificate, agent, now: now() });
    } catch (error) {
      if (!isRefusal(error)) throw error;
      return this.#refused(error.message);
    }
    return person;
  }

  #refused(why: string): undefined {
    this.#needs.note(`join request refused: ${why}`);
    return undefined;
  }

  // --- adding by name

  #mayAdd(state: GroupState, person: Person): AddOutcome {
    const mine = state.members.get(hex(this.#needs.me.uid))?.role ?? roles.none;
    if (mine < state.policy.admit || mine <= roles.member) return 'not-allowed';
    const theirs = state.members.get(hex(person.uid))?.role ?? roles.none;
    return theirs > roles.none ? 'already-in' : 'added';
  }

  /** To everybody who was added and has not been told. */
  async #sendWelcomes(): Promise<void> {
    const { store, people, agent, line, now } = this.#needs;
    for (const { key } of await store.range(['welcome'])) {
      const group = this.#needs.group(asOpId(fromHex(String(key[1]))));
      const uid = asUid(fromHex(String(key[2])));
      const person = people.known(uid);
      const member = group?.log.state()?.members.get(hex(uid));
      if (group !== undefined && person !== undefined && member !== undefined && member.role > roles.none) {
        const { gid, gTag, newestLogKey: logKey } = group.log;
        const body = encode(welcome, { gid, gTag, logKey, opId: member.since.opId });
        const message = await agent.seal({
          purpose: 'welcome',
          context: uid,
          body,
          certificates: [person.certificate],
          now: now(),
        });
        await line.request({ type: 'post-mail', box: { of: 'person', uid }, body: message });
      }
      await store.write([{ remove: key }]);
    }
  }

  // --- being added

  async #readOwnMail(box: Extract<Mailbox, { of: 'person' }>): Promise<void> {
    const { line } = this.#needs;
    for (;;) {
      const page = await line.request({ type: 'get-mail', box, after: 0 });
      for (const mail of page.mails) await this.#welcomeCame(mail);
      const last = page.mails.at(-1);
      if (last !== undefined) await line.request({ type: 'drop-mail', box, upTo: last.no });
      if (page.more === 0 || page.mails.length === 0) return;
    }
  }

  async #welcomeCame({ body: message }: Mail): Promise<void> {
    const { agent, me, now, logNeeds, note } = this.#needs;
    // Each costs a private-key operation, and anybody may write: beyond a handful a minute they are not looked at.
    const recent = this.#welcomed.filter((at) => at > now() - 60_000);
    if (recent.length >= welcomesPerMinute) return note('too many welcomes');
    this.#welcomed = [...recent, now()];
    try {
      const facts = decode(welcome, await agent.open({ purpose: 'welcome', context: me.uid, message, now: now() }));
      if (this.#needs.group(facts.gid) !== undefined) return;
      const log = GroupLog.open(logNeeds, { ...facts, logKeys: [facts.logKey] });
      await log.sync();
      if (log.ops.has(facts.opId) && this.#isIn(log)) await this.#needs.adopted(log);
      else await log.erase();
    } catch (error) {
      if (!isRefusal(error)) throw error;
      note(`welcome refused: ${error.message}`);
    }
  }
}

async function invitePubOf({ inviteSeed }: Invite): Promise<Uint8Array> {
  return (await inviteKeyFromSeed(inviteSeed)).publicKey;
}
