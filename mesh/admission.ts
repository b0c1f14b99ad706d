// Bringing in who asks with an invite: requests wait in the group's mailbox, and one of the members who are online acts on each.
import { verifyDeviceCert } from '../keys/device.ts';
import { hash } from '../keys/hash.ts';
import { openJoinRequest } from '../keys/invite.ts';
import { verifyInviteProof } from '../keys/invite-proof.ts';
import type { KeyAgent } from '../keys/key-agent.ts';
import type { GroupInvite, GroupState } from '../keys/resolve.ts';
import { compare, equal, hex } from '../wire/bytes.ts';
import { type JoinRequest, roles } from '../wire/group-ops.ts';
import type { Did, Gid, Uid } from '../wire/ids.ts';
import { limits } from '../wire/limits.ts';
import type { Mail } from '../wire/node-messages.ts';
import type { Group } from './group.ts';
import type { NodeLine } from './node-line.ts';
import { NodeRefusal } from './node-requests.ts';
import type { People, Person } from './people.ts';
import type { Clock, Stop } from './ports.ts';
import { readMails } from './read-mails.ts';
import { isPassing, isRefusal } from './refusals.ts';
import { Turns } from './turns.ts';

export type AdmissionNeeds = {
  line: NodeLine;
  agent: KeyAgent;
  clock: Clock;
  /** The node's time. */
  now(): number;
  note(text: string): void;
  people: People;
  me: Did;
  /** Other devices of the group that are reachable now. */
  onlineDevices(group: Group): Did[];
  /** Does `admit`, and sends the person the group's present key. */
  tell(group: Group, uid: Uid, admit: () => Promise<void>): Promise<void>;
  run(work: Promise<unknown>): void;
};

/** So that not everybody who is online brings the same person in. */
const admitPause = 400;
/** A node that invents devices must not make us wait for ever. */
const longestLine = 15;
const againAfter = 30_000;

type GroupMail = { turns: Turns; readTo: number };

export class Admission {
  readonly #needs: AdmissionNeeds;
  /** What was read in this connection. The next one reads again, because a request may have been read and not acted on. */
  readonly #mail = new Map<string, GroupMail>();
  readonly #timers = new Set<Stop>();
  #closed = false;

  constructor(needs: AdmissionNeeds) {
    this.#needs = needs;
  }

  /** Looks at all requests again. */
  connected(groups: Iterable<Group>): void {
    for (const group of groups) {
      this.#mailOf(group.gid).readTo = 0;
      this.#needs.run(this.read(group));
    }
  }

  /** The mailbox of the group has something. Rejects with NodeRefusal. */
  read(group: Group): Promise<void> {
    const mail = this.#mailOf(group.gid);
    return mail.turns.share(async () => {
      const { line } = this.#needs;
      const box = { of: 'group', gTag: group.log.gTag } as const;
      const take = async (one: Mail): Promise<'on'> => {
        await this.#look(group, one);
        return 'on';
      };
      mail.readTo = await readMails({ line, box, after: mail.readTo, take });
    });
  }

  close(): void {
    this.#closed = true;
    for (const stop of this.#timers) stop();
    this.#timers.clear();
  }

  #mailOf(gid: Gid): GroupMail {
    const mail = this.#mail.get(hex(gid)) ?? { turns: new Turns(), readTo: 0 };
    this.#mail.set(hex(gid), mail);
    return mail;
  }

  /** What cannot lead anywhere ends here, before anybody is asked about anybody. */
  async #look(group: Group, { body }: Mail): Promise<void> {
    const { log } = group;
    const { gTag, newestLogKey, logKeys } = log;
    const recent = await openJoinRequest({ gTag, logKeys: [newestLogKey], sealed: body });
    const request = recent ?? (await openJoinRequest({ gTag, logKeys: [...logKeys].reverse(), sealed: body }));
    if (request === undefined) return this.#needs.note('mail to a group is no join request');
    const state = log.state();
    if (state === undefined || isMember(state, request)) return;
    if (!verifyInviteProof({ gid: group.gid, ...request })) return this.#refused('its proof does not hold');
    const invite = inviteOf(state, request);
    if (invite !== undefined && !this.#isOpen(invite, request)) return this.#refused('its invite is not open to it');
    this.#inTurn(group, request, recent === undefined ? 'old-key' : 'newest-key');
  }

  /** The first in line at once, the others a little later each, so that one of those who are online does it. */
  #inTurn(group: Group, request: JoinRequest, has: 'newest-key' | 'old-key'): void {
    const placeOf = (did: Did) => hash('admit', request.proof.inviteSignature, did);
    const mine = placeOf(this.#needs.me);
    const before = this.#needs.onlineDevices(group).filter((did) => compare(placeOf(did), mine) < 0).length;
    // Whoever holds an older key cannot read that they are in: they are told.
    const told = () => this.#needs.tell(group, request.uid, () => this.#admit(group, request));
    const admit = () => this.#needs.run(has === 'old-key' ? told() : this.#admit(group, request));
    if (before === 0) admit();
    else this.#after(Math.min(before, longestLine) * admitPause, admit);
  }

  async #admit(group: Group, request: JoinRequest): Promise<void> {
    try {
      const person = await this.#personOf(request);
      if (person === undefined) return;
      const { uid, certHash, devices, proof } = request;
      const { certificate } = person;
      await group.log.commit(async (state) => {
        const invite = inviteOf(state, request);
        if (isMember(state, request) || invite === undefined || !this.#isOpen(invite, request)) return undefined;
        const { role } = invite;
        return { changes: [{ kind: 'add', uid, certHash, role, devices, proof }], epoch: { ratchet: [{ uid, certificate }] } };
      });
    } catch (error) {
      if (isRefusal(error)) return this.#refused(error.message);
      const isOfNode = error instanceof NodeRefusal;
      if (!isOfNode || isPassing(error)) this.#after(againAfter, () => this.connected([group]));
      if (!isOfNode) throw error;
      this.#refused(error.message);
    }
  }

  #isOpen(invite: GroupInvite, { uid }: JoinRequest): boolean {
    const { forUid, revoked, uses, maxUses, expires, approval } = invite;
    const isForThem = forUid === undefined || equal(forUid, uid);
    // One that a person must confirm is nothing for a machine.
    return isForThem && !revoked && uses < maxUses && expires > this.#needs.now() && approval === 0;
  }

  /** The certificate that the request names, and devices that this certificate really signed. */
  async #personOf(request: JoinRequest): Promise<Person | undefined> {
    const { people, agent, now } = this.#needs;
    const known = await people.byUid(request.uid);
    const person = known !== undefined && equal(known.certHash, request.certHash) ? known : await people.refresh(request.uid);
    if (person === undefined || !equal(person.certHash, request.certHash)) return this.#refused('its certificate is not known');
    for (const bytes of request.devices) {
      const { uid } = await verifyDeviceCert({ bytes, certificate: person.certificate, agent, now: now() });
      if (!equal(uid, request.uid)) return this.#refused('a device of another');
    }
    return person;
  }

  #refused(why: string): undefined {
    this.#needs.note(`join request refused: ${why}`);
    return undefined;
  }

  #after(ms: number, run: () => void): void {
    if (this.#closed || this.#timers.size >= limits.mailsPerBox * limits.groupsPerAccount) return;
    const stop: Stop = this.#needs.clock.after(ms, () => {
      this.#timers.delete(stop);
      run();
    });
    this.#timers.add(stop);
  }
}

function isMember(state: GroupState, { uid }: JoinRequest): boolean {
  return (state.members.get(hex(uid))?.role ?? roles.none) > roles.none;
}

function inviteOf(state: GroupState, { proof }: JoinRequest): GroupInvite | undefined {
  return state.invites.get(hex(proof.invitePub));
}
