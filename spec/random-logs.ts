// Random group logs from a seed, as real ops and as ops of the model.
import type { ReadOp } from '../keys/op.ts';
import { type GroupInvite, OpLog } from '../keys/resolve.ts';
import { hex } from '../wire/bytes.ts';
import { type Change, type Role, roles } from '../wire/group-ops.ts';
import {
  adding,
  addingDevice,
  bodyOn,
  genesisBody,
  inviting,
  leaving,
  removing,
  removingDevice,
  type SpecDevice,
  type SpecPerson,
  settingRole,
  standInChecks,
  standInPerson,
  unsignedOp,
} from './op-people.ts';
import type { ModelChange, ModelOp } from './reference-resolve.ts';

export type RandomLog = { ops: ReadOp[]; model: ModelOp[]; admit: 2 | 3 };
/** From 0 up to, not including, `below`. */
export type Dice = (below: number) => number;

/** mulberry32 */
export function diceOf(seed: number): Dice {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t ^= t + Math.imul(t ^ (t >>> 7), 61 | t);
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

export function shuffled<T>(items: readonly T[], dice: Dice): T[] {
  const list = [...items];
  for (let i = list.length - 1; i > 0; i--) {
    const j = dice(i + 1);
    const [a, b] = [list[i], list[j]];
    if (a !== undefined && b !== undefined) [list[i], list[j]] = [b, a];
  }
  return list;
}

const everyone = ['olga', 'alice', 'bob', 'carol', 'dave', 'erin', 'frank', 'grace'].map((name) => standInPerson(name, 2));
const [founder] = everyone;
const invitePubs = [1, 2, 3].map((no) => new Uint8Array(32).fill(no));
const givenRoles = [roles.keeper, roles.member, roles.member, roles.admin, roles.admin, roles.admin, roles.owner] as const;

/** A group of a few, then ops on top of older ones: most could be meant by somebody in the group at that point, some by nobody. */
export function randomLog(seed: number): RandomLog {
  const dice = diceOf(seed);
  const pick = <T>(items: readonly T[]): T => {
    const item = items[dice(items.length)];
    if (item === undefined) throw new Error('nothing to pick from');
    return item;
  };
  if (founder === undefined) throw new Error('nobody');
  const admit = pick([2, 3] as const);
  const genesis = unsignedOp(genesisBody(founder, { admit }));
  const log = new OpLog({ checks: standInChecks });
  log.add(genesis);
  const ops = [genesis];
  const model: ModelOp[] = [
    modelOf(genesis, founder, [{ kind: 'genesis', devices: founder.devices.map(({ did }) => hex(did)) }]),
  ];
  const add = (parents: ReadOp[], [by, device]: readonly [SpecPerson, SpecDevice], drawn: Drawn[]) => {
    const op = unsignedOp(bodyOn(parents, { by: device, changes: drawn.map(({ change }) => change), wall: ops.length }));
    ops.push(op);
    log.add(op);
    const same = drawn.map((one) => one.same);
    model.push(modelOf(op, by, same, device));
    return op;
  };

  let last = genesis;
  for (const person of everyone.slice(1, 3 + dice(5)))
    last = add([last], [founder, founder.devices[0]], [drawAdd(person, pick(givenRoles), 1 + dice(2))]);

  // How much the ops know of each other: from loose ends everywhere to a log that is merged again and again.
  const mergeOneIn = pick([2, 3, 5, 100]);
  const count = 4 + dice(18);
  for (let i = 0; i < count; i++) {
    const parents =
      dice(mergeOneIn) === 0 ? headsOf(ops).slice(0, 8) : dice(3) > 0 ? [pick(ops.slice(-1 - dice(8)))] : [pick(ops), last];
    const on = [...new Set(parents)];
    const { members, invites } = log.stateAt(on.map(({ opId }) => opId));
    const inside = everyone.filter(({ uid }) => members.has(hex(uid)));
    const outside = everyone.filter((person) => !inside.includes(person));
    const context = { pick, dice, inside, outside, invites: [...invites.values()] };
    // Those who may do more do more.
    const weighted = inside.flatMap((person) => Array<SpecPerson>((members.get(hex(person.uid))?.role ?? 0) ** 2).fill(person));
    const by = pick(dice(8) > 0 && weighted.length > 0 ? weighted : everyone);
    const known = by.devices.filter(({ did }) => members.get(hex(by.uid))?.devices.has(hex(did)));
    const device = pick(dice(8) > 0 && known.length > 0 ? known : by.devices);
    const drawn = Array.from({ length: pick([1, 1, 1, 1, 1, 2, 3, 0]) }, () => draw(by, context));
    last = add(on, [by, device], drawn);
  }
  return { ops, model, admit };
}

type Drawn = { change: Change; same: ModelChange };
type Draw = {
  pick: <T>(items: readonly T[]) => T;
  dice: Dice;
  inside: readonly SpecPerson[];
  outside: readonly SpecPerson[];
  invites: readonly GroupInvite[];
};

function draw(by: SpecPerson, { pick, dice, inside, outside, invites }: Draw): Drawn {
  const from = (some: readonly SpecPerson[]) => pick(dice(8) > 0 && some.length > 0 ? some : everyone);
  const [person, stranger] = [from(inside), from(outside)];
  const role = pick(givenRoles);
  const target = person.name;
  const device = pick(person.devices);
  const invitePub = pick(invitePubs);
  const invite = hex(invitePub);
  switch (dice(26)) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
      return drawAdd(stranger, role, 1 + dice(2));
    case 5:
    case 6:
    case 7:
    case 8:
    case 9:
    case 10:
      return { change: removing(person), same: { kind: 'remove', target } };
    case 11:
    case 12:
    case 13:
    case 14:
      return { change: settingRole(person, role), same: { kind: 'set-role', target, role } };
    case 15:
      return { change: leaving, same: { kind: 'leave', target: by.name } };
    case 16:
    case 17:
      return { change: addingDevice(person, device), same: { kind: 'add-device', target, device: hex(device.did) } };
    case 18:
    case 19:
      return { change: removingDevice(person, device), same: { kind: 'remove-device', target, device: hex(device.did) } };
    case 20:
    case 21: {
      const maxUses = 1 + dice(2);
      const bound = dice(4) === 0 ? stranger : undefined;
      const change = inviting(invitePub, { role, maxUses, ...(bound && { forUid: bound.uid }) });
      return { change, same: { kind: 'invite', invite, role, maxUses, ...(bound && { forWhom: bound.name }) } };
    }
    case 22:
    case 23:
    case 24: {
      if (invites.length === 0 && dice(8) > 0) return drawAdd(stranger, role, 1);
      const known = invites.length > 0 ? pick(invites) : inviting(invitePub);
      const { change, same } = drawAdd(stranger, known.role, 1);
      const [{ did }] = stranger.devices;
      const proof = { invitePub: known.invitePub, inviteSignature: new Uint8Array(64), did, deviceSignature: new Uint8Array(64) };
      return { change: { ...change, proof }, same: { ...same, invite: hex(known.invitePub) } };
    }
    default: {
      const known = invites.length > 0 ? pick(invites).invitePub : invitePub;
      return { change: { kind: 'invite-revoke', invitePub: known }, same: { kind: 'invite-revoke', invite: hex(known) } };
    }
  }
}

function drawAdd(person: SpecPerson, role: Exclude<Role, 0>, devices: number) {
  const some = { ...person, devices: person.devices.slice(0, devices) };
  const [first = person.devices[0], ...more] = some.devices;
  return {
    change: adding({ ...person, devices: [first, ...more] }, role),
    same: { kind: 'add', target: person.name, role, devices: some.devices.map(({ did }) => hex(did)) },
  } as const;
}

function modelOf({ opId, body }: ReadOp, by: SpecPerson, changes: ModelChange[], device: SpecDevice = by.devices[0]): ModelOp {
  const parents = body.parents.map((id) => hex(id));
  return { id: hex(opId), parents, depth: body.depth, author: by.name, device: hex(device.did), changes };
}

function headsOf(ops: readonly ReadOp[]): ReadOp[] {
  const inner = new Set(ops.flatMap(({ body }) => body.parents.map((id) => hex(id))));
  return ops.filter(({ opId }) => !inner.has(hex(opId)));
}
