// How groups begin and people come in: create, invite by link, follow a link, add by name, and the mail that carries it.
import type { Device } from '../keys/device.ts';
import { certHashOf } from '../keys/identity.ts';
import { inviteKeyFromSeed } from '../keys/invite.ts';
import type { KeyAgent } from '../keys/key-agent.ts';
import type { GroupState } from '../keys/resolve.ts';
import { equal, hex } from '../wire/bytes.ts';
import { type Role, roles, type Welcome } from '../wire/group-ops.ts';
import type { Did, Gid, GTag, NodeId, RosterTag, Uid } from '../wire/ids.ts';
import { encodeInviteFragment } from '../wire/invite-link.ts';
import { limits } from '../wire/limits.ts';
import type { Mailbox } from '../wire/node-messages.ts';
import { Admission } from './admission.ts';
import { Departure, type LeaveOutcome, type RemoveOutcome, type RoleOutcome } from './departure.ts';
import type { Group } from './group.ts';
import { GroupLog, type GroupLogNeeds } from './group-log.ts';
import { Joining, type JoinState } from './joining.ts';
import type { NodeLine } from './node-line.ts';
import { NodeRefusal } from './node-requests.ts';
import type { People, Person } from './people.ts';
import type { Clock, Random, Store } from './ports.ts';
import { Welcomes } from './welcomes.ts';

export type { JoinFailure, JoinState } from './joining.ts';

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
  groups(): Group[];
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

export type AddOutcome = 'added' | 'already-in' | 'unknown-user' | 'name-changed' | 'refused' | 'no-devices' | 'not-allowed';

/** An invite lives this long unless it says otherwise. */
const inviteLife = 7 * 24 * 60 * 60_000;

export class Membership {
  readonly #needs: MembershipNeeds;
  readonly #joining: Joining;
  readonly #admission: Admission;
  readonly #welcomes: Welcomes;
  readonly #departure: Departure;

  constructor(needs: MembershipNeeds) {
    this.#needs = needs;
    this.#joining = new Joining({
      ...needs,
      knownLog: (gid) => needs.group(gid)?.log,
      isIn: (log) => this.#isIn(log),
    });
    this.#admission = new Admission({
      ...needs,
      me: needs.device().did,
      tell: async (group, uid, admit) => {
        await this.#welcomes.around(group.gid, uid, admit);
        await this.#welcomes.send();
      },
    });
    this.#departure = new Departure({ ...needs, me: { uid: needs.me.uid, did: needs.device().did } });
    this.#welcomes = new Welcomes({ ...needs, comeIn: (letter) => this.#comeIn(letter) });
  }

  /** Of the link followed last. */
  get join(): JoinState | undefined {
    return this.#joining.join;
  }

  /** Logs of groups that this device is in, or was: what was read there stays. Requests to join that wait go on waiting. */
  async loadLogs(): Promise<GroupLog[]> {
    const logs = await GroupLog.loadAll(this.#needs.logNeeds);
    await this.#joining.load(logs);
    return logs.filter((log) => this.#wasIn(log));
  }

  /** What is to be followed besides the groups. */
  followed(): { gTag: GTag; rosterTag: RosterTag }[] {
    return this.#joining.followed();
  }

  /** The node is there (again): look into every mailbox, and do what waited. */
  connected(): void {
    this.#needs.run(this.#welcomes.read());
    this.#needs.run(this.#welcomes.send());
    this.#admission.connected(this.#needs.groups().filter((group) => group.isIn()));
  }

  /** Once in a while: what did not work when it was time for it. */
  tend(): void {
    this.#needs.run(this.#welcomes.send());
    this.#needs.run(this.#joining.tend());
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
    const head = await log.commit(async (state) =>
      this.#myRole(state) < state.policy.admit ? undefined : { changes: [{ kind: 'invite', ...facts }], epoch: 'none' },
    );
    if (head === 'not-needed') throw new NodeRefusal('append-refused');
    const { gid, gTag, newestLogKey: logKey } = log;
    return encodeInviteFragment({ origin, nodeId, gid, gTag, logKey, inviteSeed, inviter: me.uid, head });
  }

  /** Follows a link; how it goes is in `join`. */
  followLink(link: string): Promise<void> {
    return this.#joining.follow(link);
  }

  forgetJoin(): void {
    this.#joining.forget();
  }

  /** By the certificate that the node has for that name, after everything about it was checked. Rejects with NodeRefusal. */
  async add(group: Group, username: string): Promise<AddOutcome> {
    const person = await this.#needs.people.byName(username);
    if (person === 'unknown') return 'unknown-user';
    if (person === 'changed') return 'name-changed';
    if (person === 'refused') return 'refused';
    if (person.devices.length === 0) return 'no-devices';
    const outcome = await this.#welcomes.around(group.gid, person.uid, () => this.#add(group, person));
    await this.#welcomes.send();
    return outcome;
  }

  /** Their links close and their keys open nothing more, once this is known; what they have read they keep. Rejects with NodeRefusal. */
  remove(group: Group, uid: Uid): Promise<RemoveOutcome> {
    return this.#departure.remove(group, uid);
  }

  /** Rejects with NodeRefusal. */
  leave(group: Group): Promise<LeaveOutcome> {
    return this.#departure.leave(group);
  }

  /** Rejects with NodeRefusal. */
  setRole(group: Group, uid: Uid, role: Exclude<Role, 0>): Promise<RoleOutcome> {
    return this.#departure.setRole(group, uid, role);
  }

  /** A log that this device is in went on. */
  grew(group: Group): void {
    this.#departure.logGrew(group);
  }

  /** A mailbox that is ours or our groups' has something new. */
  async mailCame(box: Mailbox): Promise<void> {
    if (box.of === 'person') return this.#welcomes.read();
    if (box.of !== 'group') return;
    const group = this.#needs.groups().find(({ log }) => equal(log.gTag, box.gTag));
    if (group !== undefined) await this.#admission.read(group);
  }

  /** The log of a group that we asked to join. */
  logGrew(gTag: GTag): Promise<void> {
    return this.#joining.logGrew(gTag);
  }

  close(): void {
    this.#admission.close();
    this.#welcomes.close();
    this.#departure.close();
  }

  async #add(group: Group, person: Person): Promise<AddOutcome> {
    let outcome: AddOutcome = 'added';
    await group.log.commit(async (state) => {
      outcome = this.#mayAdd(state, person);
      if (outcome !== 'added') return undefined;
      const { uid, certHash, certificate } = person;
      const devices = person.devices.map((device) => device.certificate).slice(0, limits.devicesPerMember);
      return {
        changes: [{ kind: 'add', uid, certHash, role: roles.member, devices, proof: undefined }],
        epoch: { ratchet: [{ uid, certificate }] },
      };
    });
    return outcome;
  }

  #mayAdd(state: GroupState, person: Person): AddOutcome {
    const mine = this.#myRole(state);
    if (mine < state.policy.admit || mine <= roles.member) return 'not-allowed';
    const theirs = state.members.get(hex(person.uid))?.role ?? roles.none;
    return theirs > roles.none ? 'already-in' : 'added';
  }

  /** Anybody may write that we are in their group: the log says whether it is so. */
  async #comeIn({ gid, gTag, logKey, opId }: Welcome): Promise<void> {
    const { logNeeds, note } = this.#needs;
    const known = this.#needs.group(gid);
    if (known?.isIn() === true) return;
    const waitedFor = this.#joining.pendingLog(gid) ?? known?.log;
    if (waitedFor !== undefined) {
      // The key that we have may be an older one.
      waitedFor.learnLogKey(logKey);
      await waitedFor.sync();
      return this.#joining.logGrew(waitedFor.gTag);
    }
    if (this.#needs.groups().length >= limits.groupsPerAccount) return note('no room for another group');
    const log = GroupLog.open(logNeeds, { gid, gTag, logKeys: [logKey] });
    try {
      await log.sync();
      if (log.ops.has(opId) && this.#isIn(log)) await this.#needs.adopted(log);
    } finally {
      if (this.#needs.group(gid) === undefined) await log.erase();
    }
  }

  #myRole(state: GroupState): Role {
    return state.members.get(hex(this.#needs.me.uid))?.role ?? roles.none;
  }

  /** What somebody could read when they were put out they go on reading. */
  #wasIn(log: GroupLog): boolean {
    return this.#isIn(log) || (log.state()?.formerDevices.has(hex(this.#needs.device().did)) ?? false);
  }

  #isIn(log: GroupLog): boolean {
    const member = log.state()?.members.get(hex(this.#needs.me.uid));
    return member?.devices.has(hex(this.#needs.device().did)) ?? false;
  }
}
