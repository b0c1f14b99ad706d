// Who is in a group: what concurrent ops do to each other, and thousands of random logs against the model. The rules one by one are in group-rules.spec.ts.
import assert from 'node:assert/strict';
import { type GroupState, OpLog } from '../keys/resolve.ts';
import { hex } from '../wire/bytes.ts';
import { roles } from '../wire/group-ops.ts';
import {
  adding,
  bodyOn,
  inviting,
  leaving,
  removing,
  removingDevice,
  type SpecPerson,
  settingPolicy,
  settingRole,
  someEpoch,
  standInChecks,
  standInPerson,
  unsignedOp,
} from './op-people.ts';
import { addAll, fiveOf, people, Story, some } from './op-story.ts';
import { diceOf, type RandomLog, randomLog, shuffled } from './random-logs.ts';
import { foldOf, Graph, type ModelState, resolveByStretches, resolveTogether } from './reference-resolve.ts';

const [remove, add] = [removing, (person: SpecPerson) => adding(person)];
const { olga, alice, bob, carol, mallory, gina, hank, xena, yuri } = people;

describe('concurrent ops', () => {
  const all = 'alice3 bob3 carol3 mallory2 olga4';

  const scenarios: Record<string, [story: () => Story, members: string]> = {
    'that remove each other: the senior wins': [
      () => fiveOf().op('r1', ['m'], alice, remove(bob)).op('r2', ['m'], bob, remove(alice)),
      'alice3 carol3 mallory2 olga4',
    ],
    'in a cycle of removals: by seniority': [
      () =>
        fiveOf().op('r1', ['m'], alice, remove(bob)).op('r2', ['m'], bob, remove(carol)).op('r3', ['m'], carol, remove(alice)),
      'carol3 mallory2 olga4',
    ],
    'of a removed admin, backdated: void': [
      () => fiveOf().op('r', ['m'], olga, remove(bob)).op('x', ['c'], bob, add(gina)),
      'alice3 carol3 mallory2 olga4',
    ],
    'of a removed admin, a chain of them: all void': [
      () =>
        fiveOf()
          .op('r', ['m'], olga, remove(bob))
          .op('x', ['c'], bob, add(gina))
          .op('y', ['x'], bob, settingRole(gina, roles.keeper))
          .op('z', ['y'], bob, add(hank)),
      'alice3 carol3 mallory2 olga4',
    ],
    'of somebody whom a removed admin promoted: void': [
      () =>
        fiveOf({ admit: roles.member }, roles.keeper)
          .op('r', ['m'], olga, remove(bob))
          .op('x', ['m'], bob, settingRole(mallory, roles.member))
          .op('y', ['x'], mallory, add(hank)),
      'alice3 carol3 mallory1 olga4',
    ],
    'of a member who promotes themselves: void': [() => fiveOf().op('x', ['m'], mallory, settingRole(mallory, roles.admin)), all],
    'that add: both are in': [
      () => fiveOf().op('x', ['m'], alice, add(xena)).op('y', ['m'], bob, add(yuri)),
      `${all} xena2 yuri2`,
    ],
    'that remove and change a role, then an add on top: in again': [
      () =>
        fiveOf()
          .op('x', ['m'], alice, remove(mallory))
          .op('y', ['m'], bob, settingRole(mallory, roles.member))
          .op('z', ['x', 'y'], alice, add(mallory)),
      all,
    ],
    'that remove and leave: out': [
      () => fiveOf().op('x', ['m'], alice, remove(mallory)).op('y', ['m'], mallory, leaving),
      'alice3 bob3 carol3 olga4',
    ],
    'against the last owner: void': [() => fiveOf().op('x', ['m'], alice, remove(olga)), all],
    'that remove, and remove and add again: removed': [
      () =>
        fiveOf().op('x', ['m'], alice, remove(mallory)).op('y', ['x'], alice, add(mallory)).op('z', ['m'], bob, remove(mallory)),
      'alice3 bob3 carol3 olga4',
    ],
    'that remove and demote each other: the senior wins': [
      () =>
        fiveOf()
          .op('o', ['m'], olga, settingRole(alice, roles.owner))
          .op('x', ['o'], alice, settingRole(bob, roles.member))
          .op('y', ['o'], bob, remove(mallory)),
      'alice4 bob2 carol3 mallory2 olga4',
    ],
    'by three owners, each of whom would be removed: one stays': [
      () =>
        fiveOf()
          .op('oa', ['m'], olga, settingRole(alice, roles.owner))
          .op('ob', ['oa'], olga, settingRole(bob, roles.owner))
          .op('r2', ['ob'], bob, remove(alice))
          .op('r1', ['r2'], olga, remove(bob))
          .op('rx', ['ob'], alice, remove(olga)),
      'bob4 carol3 mallory2',
    ],
  };

  for (const [name, [story, members]] of Object.entries(scenarios)) {
    it(`${name}`, () => {
      const told = story();
      assert.equal(told.members(), members);
      const backwards = new OpLog({ checks: standInChecks });
      addAll(backwards, [...told.ops.values()].reverse());
      assert.equal(told.members(backwards.state()), members);
    });
  }

  it('of two owners who both leave: one stays', () => {
    const story = fiveOf()
      .op('oa', ['m'], olga, settingRole(alice, roles.owner))
      .op('x', ['oa'], olga, leaving)
      .op('y', ['oa'], alice, leaving);
    assert.match(story.members(), /^(alice4 bob3 carol3 mallory2|bob3 carol3 mallory2 olga4)$/);
  });

  it('do not demote who has become the last owner meanwhile', () => {
    const story = fiveOf()
      .op('b4', ['m'], olga, settingRole(bob, roles.owner))
      .op('l', ['b4'], olga, leaving)
      .op('n1', ['m'], olga)
      .op('n2', ['n1'], olga)
      .op('down', ['n2'], olga, settingRole(bob, roles.member));
    assert.deepEqual([story.verdict('l'), story.verdict('down')], ['applied', 'applied']);
    assert.equal(story.members(), 'alice3 bob4 carol3 mallory2');
  });

  it('that settled are judged by the outcome, not by the way to it', () => {
    // Bob makes alice an owner while carol, a later owner, removes him. Then alice and the senior admin xena remove each other.
    const story = new Story()
      .op('b', ['g'], olga, adding(bob, roles.admin))
      .op('b4', ['b'], olga, settingRole(bob, roles.owner))
      .op('x', ['b4'], olga, adding(xena, roles.admin))
      .op('a', ['x'], olga, adding(alice, roles.admin))
      .op('c', ['a'], olga, adding(carol, roles.admin))
      .op('a4', ['c'], bob, settingRole(alice, roles.owner))
      .op('n', ['c'], olga)
      .op('c4', ['n'], olga, settingRole(carol, roles.owner))
      .op('r', ['c4'], carol, remove(bob))
      .op('merge', ['a4', 'r'], olga);
    assert.equal(story.members(), 'alice3 carol4 olga4 xena3');
    story.op('ra', ['merge'], alice, remove(xena)).op('rx', ['merge'], xena, remove(alice));
    assert.equal(story.members(), 'carol4 olga4 xena3');
    assert.equal(story.verdict('ra'), 'author-removed');
  });

  it('that turn out void after all take nothing with them', () => {
    // Alice removes xena as an owner, but it was bob who made her one, while carol removed him.
    const story = new Story()
      .op('b', ['g'], olga, adding(bob, roles.admin))
      .op('b4', ['b'], olga, settingRole(bob, roles.owner))
      .op('x', ['b4'], olga, adding(xena, roles.admin))
      .op('a', ['x'], olga, adding(alice))
      .op('c', ['a'], olga, adding(carol, roles.admin))
      .op('a4', ['c'], bob, settingRole(alice, roles.owner))
      .op('ra', ['a4'], alice, remove(xena))
      .op('z', ['c'], xena, add(gina))
      .op('n', ['c'], olga)
      .op('c4', ['n'], olga, settingRole(carol, roles.owner));
    assert.equal(story.members(), 'alice4 bob4 carol4 olga4');
    story.op('r', ['c4'], carol, remove(bob));
    assert.equal(story.members(), 'alice2 carol4 gina2 olga4 xena3');
    assert.deepEqual([story.verdict('ra'), story.verdict('z')], ['undone', 'applied']);
  });

  it('of a removed device are void, also its leaving, and those of the other device stand', () => {
    const [first, second] = mallory.devices;
    const story = fiveOf({ admit: roles.member })
      .with('r', ['m'], { by: first, changes: [removingDevice(mallory, some(second))] })
      .with('x', ['m'], { by: some(second), changes: [leaving] })
      .with('y', ['m'], { by: first, changes: [add(gina)] });
    assert.equal(story.verdict('x'), 'author-removed');
    assert.equal(story.verdict('y'), 'applied');
    assert.equal(story.members(), `alice3 bob3 carol3 gina2 mallory2 olga4`);
    assert.deepEqual([...some(story.log.state().members.get(hex(mallory.uid))).devices.keys()], [hex(first.did)]);
  });

  it('that lower the wrap by not knowing of a raise do not lower it', () => {
    const story = fiveOf()
      .op('x', ['m'], alice, settingPolicy({ wrap: 2 }))
      .op('y', ['m'], bob, settingPolicy({ name: 'chess' }))
      .op('z', ['x', 'y'], olga);
    assert.equal(story.log.state().policy.wrap, 2);
  });
});

describe('a long log', () => {
  const rename = (i: number) => settingPolicy({ name: `name ${i}` });

  it('gives the same when a fork far back comes late, whatever was asked before', () => {
    const story = fiveOf();
    for (let i = 0; i < 700; i++) {
      story.op(
        `n${i}`,
        [i === 0 ? 'm' : `n${i - 1}`],
        i % 2 === 0 ? alice : bob,
        i % 50 === 0 ? adding(gina) : i % 50 === 25 ? remove(gina) : rename(i),
      );
      if (i % 7 === 0) story.log.state();
    }
    assert.equal(story.members(), 'alice3 bob3 carol3 mallory2 olga4');
    story.op('late', ['n10'], olga, remove(bob));
    assert.equal(story.members(), 'alice3 carol3 gina2 mallory2 olga4');
    story.op('merge', ['late', 'n699'], olga).op('next', ['merge'], alice, adding(hank));

    const inOneGo = new OpLog({ checks: standInChecks });
    addAll(inOneGo, shuffled([...story.ops.values()], diceOf(1)));
    const verdicts = (log: OpLog) => [...log.inOrder()].map(({ op, verdict }) => `${hex(op.opId)} ${verdict}`);
    assert.deepEqual(verdicts(story.log), verdicts(inOneGo));
    assert.equal(story.verdict('n11'), 'author-removed');
    assert.equal(story.verdict('n12'), 'applied');
    for (const { opId } of [...story.ops.values()].filter((_, i) => i % 10 === 0))
      assert.equal(story.members(story.log.stateAt([opId])), story.members(inOneGo.stateAt([opId])));
  });

  it('leaves a state as it was when ops come later', () => {
    const story = fiveOf();
    const before = story.log.state();
    story.op('x', ['m'], alice, removing(mallory)).op('y', ['m'], bob, adding(gina)).op('z', ['x', 'y'], olga, adding(hank));
    const after = story.log.state();
    assert.equal(story.members(before), 'alice3 bob3 carol3 mallory2 olga4');
    assert.equal(story.members(after), 'alice3 bob3 carol3 gina2 hank2 olga4');
    assert.equal(story.members(story.log.stateAt([story.get('m').opId])), story.members(before));
    assert.equal(story.members(story.log.stateAt([story.get('x').opId])), 'alice3 bob3 carol3 olga4');
    assert.equal(story.members(story.log.stateAt([story.get('x').opId, story.get('y').opId])), 'alice3 bob3 carol3 gina2 olga4');
  });

  it('leaves a state as it was also when one op comes after the other', () => {
    const story = fiveOf().op('x', ['m'], alice, adding(gina));
    const before = story.log.state();
    story.op('y', ['x'], alice, removing(mallory));
    assert.equal(story.members(), 'alice3 bob3 carol3 gina2 olga4');
    story.with('z', ['y'], { by: alice.devices[0], changes: [inviting(new Uint8Array(32))], epoch: someEpoch() });
    assert.equal(story.log.state().epochs.length, 1);
    assert.equal(story.members(before), 'alice3 bob3 carol3 gina2 mallory2 olga4');
    assert.deepEqual([before.epochs.length, before.invites.size, before.formerDevices.size], [0, 0, 0]);
  });

  it('says of the past only what still stands', () => {
    const story = fiveOf().op('x', ['m'], bob, adding(gina)).op('y', ['x'], alice, adding(hank));
    const at = (name: string) => story.members(story.log.stateAt([story.get(name).opId]));
    assert.equal(at('x'), 'alice3 bob3 carol3 gina2 mallory2 olga4');
    story.op('r', ['m'], olga, removing(bob));
    assert.equal(at('x'), 'alice3 bob3 carol3 mallory2 olga4');
    assert.equal(at('y'), 'alice3 bob3 carol3 hank2 mallory2 olga4');
  });

  it('judges what lies behind a void op too, and keeps void ops as heads', () => {
    const story = fiveOf().op('void', ['m'], mallory, settingRole(mallory, roles.admin)).op('x', ['m'], alice, adding(gina));
    assert.deepEqual(story.log.heads().map(hex), [hex(story.get('void').opId), hex(story.get('x').opId)].sort());
    story.op('y', ['void'], bob, adding(hank));
    assert.equal(story.members(), 'alice3 bob3 carol3 gina2 hank2 mallory2 olga4');
    assert.equal(story.log.isAncestor(story.get('void').opId, story.get('y').opId), true);
    assert.equal(story.log.isAncestor(story.get('x').opId, story.get('y').opId), false);
    assert.equal(story.log.isAncestor(story.get('g').opId, story.get('y').opId), true);
    assert.equal(story.log.isAncestor(story.get('y').opId, story.get('y').opId), false);
  });

  it('waits for parents, takes an op once, and checks its signature once', () => {
    const story = fiveOf();
    let checked = 0;
    const verify = () => {
      checked += 1;
      return true;
    };
    const checks = { ...standInChecks, verify };
    const log = new OpLog({ checks, gid: story.get('g').opId });
    assert.equal(log.add(story.get('a')), 'missing-parents');
    assert.equal(log.has(story.get('a').opId), false);
    addAll(log, [...story.ops.values()], () => log.state());
    for (const op of story.ops.values()) assert.equal(log.add(op), 'known');
    for (const { opId } of story.ops.values()) log.stateAt([opId]);
    assert.equal(checked, story.ops.size);

    const again = new OpLog({ checks });
    for (const op of story.ops.values()) assert.equal(again.addVerifiedBefore(op), 'added');
    assert.equal(story.members(again.state()), story.members());
    assert.equal(checked, story.ops.size);
    assert.equal(again.add(unsignedOp(bodyOn([story.get('m')], { by: alice.devices[0], changes: [] }))), 'added');
    assert.equal(checked, story.ops.size + 1);
  });

  it('throws for a group without its genesis, and for ops that are not in', () => {
    const story = fiveOf();
    assert.throws(() => new OpLog().state());
    assert.throws(() => new OpLog().stateAt([story.get('m').opId]), RangeError);
    assert.deepEqual(new OpLog().heads(), []);
    assert.equal(new OpLog().size, 0);
  });

  it('of two halves that were apart for long is resolved with both', () => {
    const story = fiveOf();
    for (const [side, by] of [
      ['l', alice],
      ['r', bob],
    ] as const)
      for (let i = 0; i < 300; i++) story.op(`${side}${i}`, [i === 0 ? 'm' : `${side}${i - 1}`], by, rename(i));
    story
      .op('lx', ['l299'], alice, remove(mallory))
      .op('rx', ['r299'], bob, settingRole(mallory, roles.keeper))
      .op('ry', ['rx'], bob, adding(gina));
    story.op('merge', ['lx', 'ry'], carol);
    assert.equal(story.members(), 'alice3 bob3 carol3 gina2 olga4');
    assert.deepEqual(story.log.heads(), [story.get('merge').opId]);
  });
});

describe('random logs', function () {
  this.timeout(process.env.SLOW ? 3_600_000 : 120_000);
  const [count, fewer] = process.env.SLOW ? [100_000, 20_000] : [1500, 500];

  it(`come out as in the model, whatever arrives first (${count} seeds)`, () => {
    for (let seed = 1; seed <= count; seed++) {
      const random = randomLog(seed);
      const result = resolveByStretches(random.model, random.admit);
      const wanted = { ...plain(result.state), applied: [...result.applied].sort() };
      const log = new OpLog({ checks: standInChecks });
      addAll(log, random.ops);
      assert.deepEqual({ ...plain(modelled(log.state())), applied: appliedOf(log) }, wanted, `seed ${seed}`);

      const dice = diceOf(seed);
      const other = new OpLog({ checks: standInChecks });
      addAll(other, shuffled(random.ops, dice), () => (dice(4) === 0 ? other.state() : undefined));
      assert.deepEqual({ ...plain(modelled(other.state())), applied: appliedOf(other) }, wanted, `seed ${seed}, shuffled`);

      const someOp = some(random.model[dice(random.model.length)]);
      assert.deepEqual(
        stateInTheMiddle(other, random, someOp.id),
        modelInTheMiddle(random, result.applied, someOp.id),
        `seed ${seed}`,
      );
    }
  });

  it('keep what the rule is for: removals win, nobody acts against their own removal, somebody owns the group', () => {
    for (let seed = 1; seed <= fewer; seed++) {
      const { ops, model } = randomLog(seed);
      const log = new OpLog({ checks: standInChecks });
      addAll(log, ops);
      const { members } = modelled(log.state());
      const roleOf = [...members.values()].map(({ role }) => role);
      assert.ok(roleOf.length === 0 || roleOf.includes(roles.owner), `seed ${seed}: nobody owns the group`);

      const graph = new Graph(model);
      const applied = new Set(appliedOf(log));
      const valid = model.filter(({ id }) => applied.has(id));
      const changing = (kind: string, person: string) =>
        valid.filter(({ changes }) =>
          changes.some((change) => change.kind === kind && 'target' in change && change.target === person),
        );
      for (const [person, { role }] of members) {
        if (role === roles.owner || person === 'olga') continue;
        const removals = changing('remove', person);
        const isIn = (add: { id: string }) => removals.every(({ id }) => id === add.id || graph.isAncestor(id, add.id));
        assert.ok(changing('add', person).some(isIn), `seed ${seed}: ${person} is in against a removal`);
      }
      for (const op of valid) {
        const isHarmless = op.changes.some(
          ({ kind }) => kind === 'leave' || kind === 'remove' || kind === 'remove-device' || kind === 'set-role',
        );
        const removals = changing('remove', op.author).filter(({ id }) => graph.areConcurrent(id, op.id));
        assert.ok(isHarmless || removals.length === 0, `seed ${seed}: ${op.id} stands against the removal of its author`);
      }
    }
  });

  it('come out the same when the rule is applied to all of the log at once', () => {
    for (let seed = 1; seed <= fewer; seed++) {
      const { ops, model, admit } = randomLog(seed);
      const log = new OpLog({ checks: standInChecks });
      addAll(log, ops);
      assert.deepEqual(plain(modelled(log.state())), plain(resolveTogether(model, { admit }).state), `seed ${seed}`);
    }
  });
});

function appliedOf(log: OpLog): string[] {
  return [...log.inOrder()].flatMap(({ op, verdict }) => (verdict === 'applied' ? [hex(op.opId)] : [])).sort();
}

function plain({ members, invites }: Pick<ModelState, 'members' | 'invites'>) {
  return {
    members: [...members]
      .map(([name, { role, since, devices }]) => ({ name, role, since, devices: [...devices].sort() }))
      .sort(byName),
    invites: [...invites].map(([name, { uses, revoked, role }]) => ({ name, uses, revoked, role })).sort(byName),
  };
}

function byName(a: { name: string }, b: { name: string }): number {
  return a.name < b.name ? -1 : 1;
}

const nameOf = new Map(
  ['olga', 'alice', 'bob', 'carol', 'dave', 'erin', 'frank', 'grace'].map((name) => [hex(standInPerson(name).uid), name]),
);

function modelled({ members, invites }: GroupState): Pick<ModelState, 'members' | 'invites'> {
  const person = (uid: string) => some(nameOf.get(uid));
  return {
    members: new Map(
      [...members].map(([uid, { role, since, devices }]) => [
        person(uid),
        { role, since: [since.depth, hex(since.opId)], devices: new Set(devices.keys()) },
      ]),
    ),
    invites: new Map(
      [...invites].map(([name, { author, role, maxUses, uses, revoked, madeBy }]) => [
        name,
        { author: person(hex(author)), role, maxUses, uses, revoked, madeBy: hex(madeBy) },
      ]),
    ),
  };
}

function stateInTheMiddle(log: OpLog, { ops }: RandomLog, id: string) {
  const { opId } = some(ops.find((op) => hex(op.opId) === id));
  return plain(modelled(log.stateAt([opId])));
}

function modelInTheMiddle({ model }: RandomLog, applied: ReadonlySet<string>, at: string) {
  const graph = new Graph(model);
  const past = graph.order.filter(({ id }) => applied.has(id) && (id === at || graph.isAncestor(id, at)));
  return plain(foldOf(past, { graph }));
}
