// An op with its place in the log: its changes ready to be judged, and what is wrong with it wherever it stands (spec/protocol.md §4).
import { equal, hex } from '../wire/bytes.ts';
import { type Change, epochModes, type GroupPolicy, type Role } from '../wire/group-ops.ts';
import type { Did, OpId, Uid } from '../wire/ids.ts';
import { type DeviceFacts, DeviceRefusal } from './device.ts';
import { proofHolds, type VerifySignature } from './invite-proof.ts';
import type { ReadOp } from './op.ts';
import type { VoidReason } from './void-reason.ts';

export type GroupDevice = {
  readonly did: Did;
  /** Ed25519 */
  readonly signPub: Uint8Array;
  /** Encoded. Its pop holds; whether the person signed it is not for the log to say. */
  readonly deviceCert: Uint8Array;
  readonly addedBy: OpId;
};

export type InviteTerms = Omit<Extract<Change, { kind: 'invite' }>, 'kind'>;

/** A change with its devices read. Names of people, devices and invites are in hex, as the state's maps have them. */
export type Step =
  | { readonly kind: 'genesis'; uid: string; person: Uid; certHash: Uint8Array; policy: GroupPolicy; devices: Devices }
  | { readonly kind: 'invite'; invite: string; terms: InviteTerms }
  | { readonly kind: 'invite-revoke'; invite: string }
  | {
      readonly kind: 'add';
      uid: string;
      person: Uid;
      certHash: Uint8Array;
      role: Role;
      devices: Devices;
      invite: string | undefined;
    }
  | { readonly kind: 'remove'; uid: string }
  | { readonly kind: 'leave' }
  | { readonly kind: 'add-device'; uid: string; person: Uid; did: string; device: GroupDevice }
  | { readonly kind: 'remove-device'; uid: string; did: string }
  | { readonly kind: 'set-role'; uid: string; role: Role }
  | { readonly kind: 'policy'; policy: GroupPolicy };
type Devices = ReadonlyMap<string, GroupDevice>;

/** When a member got the present role: seniority. */
export type Since = { readonly depth: number; readonly opId: OpId };

/** What the author was when the op was applied, and whom it removes or demotes: what the conflict rule goes by. */
export type Standing = { readonly rank: Role; readonly since: Since; readonly hits: readonly Hit[] };
/** A person, or one device alone. */
export type Hit = { readonly uid: string } | { readonly did: string };
export type Verdict = Standing | VoidReason;

export type OpNode = {
  readonly op: ReadOp;
  /** opId in hex. */
  readonly name: string;
  readonly depth: number;
  /** Of ops whose author nobody knows, what comes before them: these ops are as if they were not. */
  readonly parents: readonly OpNode[];
  /** did in hex. */
  readonly author: string;
  /** Whose device that is: the op's past has the certificate. */
  readonly person: Uid;
  /** `person` in hex. */
  readonly uid: string;
  readonly flaw: VoidReason | undefined;
  /** None where there is a flaw. */
  readonly steps: readonly Step[];
  /** Somebody went in this op or before it, and no epoch has begun since. */
  readonly rekeyDue: boolean;
  /** How it counts against its author's quota; found out when first asked (keys/op-quota.ts). */
  counts: QuotaCount | undefined;
  verdict: Verdict;
};
export type QuotaCount = 'as-op' | 'as-device-op' | 'not';

/** `person`: whose device the author is. `steps`: from `readSteps`. Its verdict is nothing yet. */
export function opNode(
  op: ReadOp,
  parts: { parents: readonly OpNode[]; person: Uid; steps: readonly Step[] | VoidReason },
): OpNode {
  const { parents, person } = parts;
  const [steps, flaw] = typeof parts.steps === 'string' ? [[], parts.steps] : [parts.steps, undefined];
  const isSomebodyGone = steps.some(({ kind }) => kind === 'remove' || kind === 'leave' || kind === 'remove-device');
  return {
    op,
    name: hex(op.opId),
    depth: op.body.depth,
    parents,
    author: hex(op.body.author),
    person,
    uid: hex(person),
    flaw,
    steps,
    rekeyDue: op.body.epoch === undefined && (isSomebodyGone || parents.some(({ rekeyDue }) => rekeyDue)),
    counts: undefined,
    verdict: 'not-in-group',
  };
}

/** By depth, then opId: ancestors come first, and everybody has the same order. */
export function compareNodes(a: OpNode, b: OpNode): number {
  if (a.depth !== b.depth) return a.depth - b.depth;
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}

/** What an op is checked with before it is judged. */
export type OpChecks = {
  verify: VerifySignature;
  /** Throws DeviceRefusal. */
  readDevice(bytes: Uint8Array): DeviceFacts;
};

/** The changes of an op, or what is wrong with them wherever they stand. */
export function readSteps(op: ReadOp, checks: OpChecks): readonly Step[] | VoidReason {
  const steps: Step[] = [];
  for (const change of op.body.changes) {
    const step = readStep(change, op, checks);
    if (typeof step === 'string') return step;
    steps.push(step);
  }
  const { epoch } = op.body;
  if (steps.some(({ kind }) => kind === 'leave') && (steps.length > 1 || epoch !== undefined)) return 'leave-not-alone';
  const removes = steps.some(({ kind }) => kind === 'remove' || kind === 'remove-device');
  if (removes && epoch !== undefined && (epoch.mode !== epochModes.fresh || epoch.newGK !== 1)) return 'weak-epoch';
  return steps;
}

function readStep(change: Change, op: ReadOp, checks: OpChecks): Step | VoidReason {
  switch (change.kind) {
    case 'genesis': {
      const { founder, certHash, policy } = change;
      const devices = readDevices(change.devices, { uid: founder, op, checks });
      if (devices === undefined) return 'bad-device';
      return { kind: 'genesis', uid: hex(founder), person: founder, certHash, policy, devices };
    }
    case 'invite': {
      const { kind, ...terms } = change;
      return { kind, invite: hex(change.invitePub), terms };
    }
    case 'invite-revoke':
      return { kind: 'invite-revoke', invite: hex(change.invitePub) };
    case 'add':
      return readAdd(change, op, checks);
    case 'remove':
      return { kind: 'remove', uid: hex(change.uid) };
    case 'leave':
      return { kind: 'leave' };
    case 'add-device': {
      const { uid } = change;
      const [entry] = readDevices([change.deviceCert], { uid, op, checks }) ?? [];
      if (entry === undefined) return 'bad-device';
      return { kind: 'add-device', uid: hex(uid), person: uid, did: entry[0], device: entry[1] };
    }
    case 'remove-device':
      return { kind: 'remove-device', uid: hex(change.uid), did: hex(change.did) };
    case 'set-role':
      return { kind: 'set-role', uid: hex(change.uid), role: change.role };
    case 'policy':
      return { kind: 'policy', policy: change.policy };
    default:
      return change satisfies never;
  }
}

function readAdd(change: Extract<Change, { kind: 'add' }>, op: ReadOp, checks: OpChecks): Step | VoidReason {
  const { uid, certHash, role, proof } = change;
  const devices = readDevices(change.devices, { uid, op, checks });
  if (devices === undefined) return 'bad-device';
  const step = { kind: 'add', uid: hex(uid), person: uid, certHash, role, devices } as const;
  if (proof === undefined) return { ...step, invite: undefined };
  const named = devices.get(hex(proof.did));
  const claim = { gid: op.body.gid, uid, certHash, devices: change.devices };
  if (named === undefined || !proofHolds({ claim, proof, devicePub: named.signPub, verify: checks.verify })) return 'bad-proof';
  return { ...step, invite: hex(proof.invitePub) };
}

/** One or more devices of that person, each once; undefined for anything else. */
function readDevices(certs: readonly Uint8Array[], context: { uid: Uid; op: ReadOp; checks: OpChecks }): Devices | undefined {
  const { uid, op, checks } = context;
  const devices = new Map<string, GroupDevice>();
  for (const deviceCert of certs) {
    const facts = readDevice(deviceCert, checks);
    if (facts === undefined || !equal(facts.uid, uid)) return undefined;
    devices.set(hex(facts.did), { did: facts.did, signPub: facts.signPub, deviceCert, addedBy: op.opId });
  }
  return devices.size > 0 && devices.size === certs.length ? devices : undefined;
}

function readDevice(bytes: Uint8Array, { readDevice }: OpChecks): DeviceFacts | undefined {
  try {
    return readDevice(bytes);
  } catch (error) {
    if (error instanceof DeviceRefusal) return undefined;
    throw error;
  }
}
