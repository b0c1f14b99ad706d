// A group log told op by op, each by a short name on top of others, for specs of what an op does and does not.
import assert from 'node:assert/strict';
import type { ReadOp } from '../keys/op.ts';
import { type GroupState, OpLog } from '../keys/resolve.ts';
import { hex } from '../wire/bytes.ts';
import { type Change, type GroupPolicy, roles } from '../wire/group-ops.ts';
import {
  adding,
  bodyOn,
  genesisBody,
  type OpContent,
  type SpecPerson,
  standInChecks,
  standInPerson,
  unsignedOp,
} from './op-people.ts';

export const people = {
  olga: standInPerson('olga', 2),
  alice: standInPerson('alice', 2),
  bob: standInPerson('bob', 2),
  carol: standInPerson('carol', 2),
  mallory: standInPerson('mallory', 2),
  gina: standInPerson('gina'),
  hank: standInPerson('hank'),
  xena: standInPerson('xena'),
  yuri: standInPerson('yuri'),
};
const nameOf = new Map(Object.values(people).map(({ uid, name }) => [hex(uid), name]));

export class Story {
  readonly ops = new Map<string, ReadOp>();
  readonly log = new OpLog({ checks: standInChecks });

  constructor(policy: Partial<GroupPolicy> = {}) {
    this.#keep('g', unsignedOp(genesisBody(people.olga, policy)));
  }

  /** By the first device of `by`. */
  op(name: string, on: string[], by: SpecPerson, ...changes: Change[]): this {
    return this.with(name, on, { by: by.devices[0], changes });
  }

  with(name: string, on: string[], content: OpContent): this {
    const parents = on.map((parent) => this.get(parent));
    return this.#keep(name, unsignedOp(bodyOn(parents, { wall: this.ops.size, ...content })));
  }

  get(name: string): ReadOp {
    return some(this.ops.get(name));
  }

  verdict(name: string): string {
    const { opId } = this.get(name);
    return some([...this.log.inOrder()].find(({ op }) => hex(op.opId) === hex(opId))).verdict;
  }

  /** Such as 'alice3 olga4'. */
  members(state: GroupState = this.log.state()): string {
    return [...state.members]
      .map(([uid, { role }]) => `${nameOf.get(uid)}${role}`)
      .sort()
      .join(' ');
  }

  #keep(name: string, op: ReadOp): this {
    this.ops.set(name, op);
    assert.equal(this.log.add(op), 'added', name);
    return this;
  }
}

/** Olga founds, alice, bob and carol are admins, mallory is a member: g, a, b, c, m. */
export function fiveOf(policy: Partial<GroupPolicy> = {}, malloryIs: 1 | 2 = roles.member): Story {
  const { olga, alice, bob, carol, mallory } = people;
  return new Story(policy)
    .op('a', ['g'], olga, adding(alice, roles.admin))
    .op('b', ['a'], olga, adding(bob, roles.admin))
    .op('c', ['b'], olga, adding(carol, roles.admin))
    .op('m', ['c'], olga, adding(mallory, malloryIs));
}

/** In rounds, as somebody would who gets ops before their parents. */
export function addAll(log: OpLog, ops: readonly ReadOp[], afterEach: () => void = () => undefined): void {
  let waiting = [...ops];
  while (waiting.length > 0) {
    const later = waiting.filter((op) => {
      const outcome = log.add(op);
      if (outcome === 'added') afterEach();
      else assert.equal(outcome, 'missing-parents');
      return outcome !== 'added';
    });
    assert.ok(later.length < waiting.length, 'ops without parents');
    waiting = later;
  }
}

export function some<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('not there');
  return value;
}
