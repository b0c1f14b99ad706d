// How long a group's log takes to fold, signatures aside: a straight one of 10 000 ops, and 1000 ops with 50 forks.

import { hash } from '../keys/hash.ts';
import type { ReadOp } from '../keys/op.ts';
import { OpLog } from '../keys/resolve.ts';
import {
  adding,
  bodyOn,
  genesisBody,
  inviting,
  removing,
  type SpecPerson,
  settingPolicy,
  settingRole,
  someEpoch,
  standInChecks,
  standInPerson,
  unsignedOp,
} from '../spec/op-people.ts';
import { bigEndian } from '../wire/bytes.ts';
import { type Change, roles } from '../wire/group-ops.ts';

export const names = ['resolve-linear-10000', 'resolve-1000-with-50-forks'];

const runs = 5;
const founder = standInPerson('founder');
const admins = Array.from({ length: 8 }, (_, i) => standInPerson(`admin ${i}`));
const crowd = Array.from({ length: 500 }, (_, i) => standInPerson(`member ${i}`));

export function* run(wanted: readonly string[]) {
  const logs: Record<string, () => ReadOp[]> = { [names[0] ?? '']: linearLog, [names[1] ?? '']: forkedLog };
  for (const name of wanted) {
    const ops = logs[name]?.();
    if (ops === undefined) throw new RangeError(name);
    yield { name, value: median(Array.from({ length: runs }, () => timeOf(ops))), unit: 'ms', n: runs };
  }
}

function timeOf(ops: readonly ReadOp[]): number {
  const started = performance.now();
  const log = new OpLog({ checks: standInChecks });
  for (const op of ops) log.add(op);
  if (log.state().members.size < 2) throw new Error('that log is empty');
  return performance.now() - started;
}

function linearLog(): ReadOp[] {
  const log = new Growing();
  for (let i = log.ops.length; i < 10_000; i++) log.next([log.last], i);
  return log.ops;
}

/** Fifty branches from one op, of eighteen or so each; in some of them admins remove each other. */
function forkedLog(): ReadOp[] {
  const log = new Growing();
  const perFork = Math.floor((1000 - log.ops.length) / 50);
  while (log.ops.length + 50 * perFork < 1000) log.next([log.last], 0);
  const { last } = log;
  for (let fork = 0; fork < 50; fork++) {
    let tip = fork % 10 === 0 ? log.feud(last, fork / 10) : last;
    for (let i = fork % 10 === 0 ? 1 : 0; i < perFork; i++) tip = log.next([tip], fork * perFork + i);
  }
  return log.ops;
}

class Growing {
  readonly ops: ReadOp[] = [unsignedOp(genesisBody(founder))];

  constructor() {
    for (const admin of admins) this.#put([this.last], founder, [adding(admin, roles.admin)]);
  }

  get last(): ReadOp {
    const last = this.ops.at(-1);
    if (last === undefined) throw new Error('no genesis');
    return last;
  }

  /** What groups do: people come and go, roles and names change, invites are made, keys are renewed. */
  next(on: readonly ReadOp[], i: number): ReadOp {
    const by = admins[i % admins.length] ?? founder;
    const person = crowd[Math.floor(i / 6) % crowd.length] ?? founder;
    const turns: Change[][] = [
      [adding(person)],
      [settingRole(person, roles.keeper)],
      [settingPolicy({ name: `name ${i}` })],
      [inviting(hash('bench invite', bigEndian(i, 4)))],
      [removing(person)],
      [],
    ];
    return this.#put(on, by, turns[i % turns.length] ?? [], i % turns.length > 3);
  }

  /** An admin removes the next one. */
  feud(on: ReadOp, i: number): ReadOp {
    const [by = founder, target = founder] = [admins[i], admins[i + 1]];
    return this.#put([on], by, [removing(target)]);
  }

  #put(on: readonly ReadOp[], by: SpecPerson, changes: Change[], startsEpoch = false): ReadOp {
    const epoch = startsEpoch ? { epoch: someEpoch() } : {};
    const op = unsignedOp(bodyOn(on, { by: by.devices[0], changes, wall: this.ops.length, ...epoch }));
    this.ops.push(op);
    return op;
  }
}

function median(values: number[]): number {
  const sorted = values.sort((a, b) => a - b);
  return Math.round((sorted[Math.floor(sorted.length / 2)] ?? 0) * 10) / 10;
}
