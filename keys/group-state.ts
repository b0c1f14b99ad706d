// What a group is after some of its ops: members, devices, invites, policy, epochs; and how each change makes it another (spec/protocol.md §4).
import { compare } from '../wire/bytes.ts';
import { type GroupPolicy, type Role, roles } from '../wire/group-ops.ts';
import type { Did, Gid, OpId, Uid } from '../wire/ids.ts';
import { limits } from '../wire/limits.ts';
import type { ReadOp } from './op.ts';
import type { GroupDevice, InviteTerms, OpNode, Since, Step } from './op-node.ts';

/** Maps have ids in hex as keys. */
export type GroupState = {
  readonly gid: Gid;
  readonly genesis: ReadOp;
  readonly policy: GroupPolicy;
  readonly members: ReadonlyMap<string, GroupMember>;
  /** Devices that were in and are not now: for frames of older epochs. */
  readonly formerDevices: ReadonlyMap<string, FormerDevice>;
  readonly invites: ReadonlyMap<string, GroupInvite>;
  /** Applied ops that start one, by (depth, opId). */
  readonly epochs: readonly GroupEpoch[];
};

export type GroupMember = {
  readonly uid: Uid;
  readonly role: Role;
  readonly certHash: Uint8Array;
  /** When they got this role or a higher one. */
  readonly since: Since;
  readonly devices: ReadonlyMap<string, GroupDevice>;
};

export type FormerDevice = { readonly uid: Uid; readonly did: Did; readonly signPub: Uint8Array };

export type GroupInvite = Readonly<InviteTerms> & {
  readonly author: Uid;
  readonly uses: number;
  readonly revoked: boolean;
  readonly madeBy: OpId;
};

export type GroupEpoch = { readonly opId: OpId; readonly depth: number; readonly parents: readonly OpId[] };

/** A state while ops are folded into it. What is in the maps is never changed, only replaced. */
export class GroupFold {
  /** How many ops still start from exactly this state; who is the last may change it in place. */
  pending = 0;
  #policy: GroupPolicy | undefined;
  #members = new Map<string, GroupMember>();
  #owners = 0;
  #formerDevices = new Map<string, FormerDevice>();
  #invites = new Map<string, GroupInvite>();
  #removals = new Map<string, readonly OpNode[]>();
  #lastEpoch: EpochChain | undefined;

  get policy(): GroupPolicy {
    if (this.#policy === undefined) throw new Error('a group without its genesis');
    return this.#policy;
  }

  get members(): ReadonlyMap<string, GroupMember> {
    return this.#members;
  }

  get formerDevices(): ReadonlyMap<string, FormerDevice> {
    return this.#formerDevices;
  }

  get invites(): ReadonlyMap<string, GroupInvite> {
    return this.#invites;
  }

  get owners(): number {
    return this.#owners;
  }

  /** Applied ops that removed this person. */
  removalsOf(uid: string): readonly OpNode[] {
    return this.#removals.get(uid) ?? [];
  }

  epochs(): GroupEpoch[] {
    const epochs: GroupEpoch[] = [];
    for (let at = this.#lastEpoch; at !== undefined; at = at.before) epochs.push(at.epoch);
    return epochs.reverse();
  }

  clone(): GroupFold {
    const copy = new GroupFold();
    copy.#policy = this.#policy;
    copy.#members = new Map(this.#members);
    copy.#owners = this.#owners;
    copy.#formerDevices = new Map(this.#formerDevices);
    copy.#invites = new Map(this.#invites);
    copy.#removals = new Map(this.#removals);
    copy.#lastEpoch = this.#lastEpoch;
    return copy;
  }

  /** The changes of an op that is valid in its own past. Where concurrent ops left nothing to change, a change does nothing. */
  apply(node: OpNode, isOverridden: (step: Step) => boolean = () => false): void {
    for (const step of node.steps) if (!isOverridden(step)) this.applyStep(node, step);
    this.applyEpoch(node);
  }

  applyEpoch({ op }: OpNode): void {
    const { opId, body } = op;
    if (body.epoch === undefined) return;
    this.#lastEpoch = { epoch: { opId, depth: body.depth, parents: body.parents }, before: this.#lastEpoch };
  }

  applyStep(node: OpNode, step: Step): void {
    const since = { depth: node.depth, opId: node.op.opId };
    switch (step.kind) {
      case 'genesis': {
        const { person: uid, certHash, devices } = step;
        this.#policy = step.policy;
        this.#put(step.uid, { uid, role: roles.owner, certHash, since, devices });
        return;
      }
      case 'invite':
        return this.#addInvite(node, step);
      case 'invite-revoke': {
        const invite = this.#invites.get(step.invite);
        if (invite !== undefined) this.#invites.set(step.invite, { ...invite, revoked: true });
        return;
      }
      case 'add':
        return this.#add(step, since);
      case 'remove':
        this.#removals.set(step.uid, [...this.removalsOf(step.uid), node]);
        return this.#drop(step.uid);
      case 'leave':
        return this.#drop(node.uid);
      case 'add-device':
        return this.#addDevice(step);
      case 'remove-device':
        return this.#removeDevice(step);
      case 'set-role':
        return this.#setRole(step, since);
      case 'policy':
        return this.#setPolicy(step.policy);
      default:
        return step satisfies never;
    }
  }

  /** Whether without them nobody would be owner of those who are left. */
  isLastOwner(uid: string): boolean {
    return this.#owners === 1 && this.#members.size > 1 && this.#members.get(uid)?.role === roles.owner;
  }

  #add(step: Extract<Step, { kind: 'add' }>, since: Since): void {
    const { uid, person, certHash, role, devices } = step;
    // Without an owner the group has ended: its last member left.
    if (this.#members.has(uid) || this.#owners === 0 || this.#members.size >= limits.groupMembers) return;
    if (step.invite !== undefined) {
      const invite = this.#invites.get(step.invite);
      // Of concurrent uses the first maxUses stand.
      if (invite === undefined || invite.uses >= invite.maxUses) return;
      this.#invites.set(step.invite, { ...invite, uses: invite.uses + 1 });
    }
    this.#put(uid, { uid: person, role, certHash, since, devices });
    for (const did of devices.keys()) this.#formerDevices.delete(did);
  }

  #drop(uid: string): void {
    const member = this.#members.get(uid);
    if (member === undefined || this.isLastOwner(uid)) return;
    this.#members.delete(uid);
    if (member.role === roles.owner) this.#owners -= 1;
    for (const [name, { did, signPub }] of member.devices) this.#formerDevices.set(name, { uid: member.uid, did, signPub });
  }

  #addDevice({ uid, did, device }: Extract<Step, { kind: 'add-device' }>): void {
    const member = this.#members.get(uid);
    if (member === undefined || member.devices.has(did) || member.devices.size >= limits.devicesPerMember) return;
    this.#put(uid, { ...member, devices: new Map(member.devices).set(did, device) });
    this.#formerDevices.delete(did);
  }

  #removeDevice({ uid, did }: Extract<Step, { kind: 'remove-device' }>): void {
    const member = this.#members.get(uid);
    const device = member?.devices.get(did);
    if (member === undefined || device === undefined) return;
    const devices = new Map(member.devices);
    devices.delete(did);
    this.#put(uid, { ...member, devices });
    this.#formerDevices.set(did, { uid: member.uid, did: device.did, signPub: device.signPub });
  }

  #setRole({ uid, role }: Extract<Step, { kind: 'set-role' }>, since: Since): void {
    const member = this.#members.get(uid);
    if (member === undefined || (role < roles.owner && this.isLastOwner(uid))) return;
    this.#put(uid, { ...member, role, since: role > member.role ? since : member.since });
  }

  #setPolicy(policy: GroupPolicy): void {
    const { suite, wrap } = this.policy;
    // Neither goes down, whatever was written at the same time.
    this.#policy = { ...policy, suite: higher(policy.suite, suite), wrap: higher(policy.wrap, wrap) };
  }

  #addInvite(node: OpNode, { invite, terms }: Extract<Step, { kind: 'invite' }>): void {
    if (this.#invites.has(invite)) return;
    this.#invites.set(invite, { ...terms, author: node.person, uses: 0, revoked: false, madeBy: node.op.opId });
  }

  #put(uid: string, member: GroupMember): void {
    const wasOwner = this.#members.get(uid)?.role === roles.owner;
    this.#owners += Number(member.role === roles.owner) - Number(wasOwner);
    this.#members.set(uid, member);
  }
}

type EpochChain = { readonly epoch: GroupEpoch; readonly before: EpochChain | undefined };

/** Seniority: negative where `a` came first. */
export function compareSince(a: Since, b: Since): number {
  return a.depth - b.depth || compare(a.opId, b.opId);
}

/** What others see of a fold; it stays as it is only while the fold is not changed. */
export function stateOf(fold: GroupFold, genesis: ReadOp): GroupState {
  const { policy, members, formerDevices, invites } = fold;
  let epochs: readonly GroupEpoch[] | undefined;
  return {
    gid: genesis.opId,
    genesis,
    policy,
    members,
    formerDevices,
    invites,
    get epochs() {
      epochs ??= fold.epochs();
      return epochs;
    },
  };
}

function higher<N extends number>(a: N, b: N): N {
  return a > b ? a : b;
}
