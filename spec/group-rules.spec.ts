// Who may change what in a group, rule by rule: each change where it stands, where it is void, and what it leaves behind.
import assert from 'node:assert/strict';
import { signOp } from '../keys/op.ts';
import { OpLog } from '../keys/resolve.ts';
import { voidReasons } from '../keys/void-reason.ts';
import { hex } from '../wire/bytes.ts';
import { type Change, roles } from '../wire/group-ops.ts';
import { limits } from '../wire/limits.ts';
import {
  adding,
  addingDevice,
  bodyOn,
  genesisBody,
  inviting,
  leaving,
  removing,
  removingDevice,
  type SpecPerson,
  settingPolicy,
  settingRole,
  signedOn,
  signingDevice,
  signingPerson,
  someEpoch,
  standInChecks,
  standInPerson,
  unsignedOp,
} from './op-people.ts';
import { fiveOf, people, Story, some } from './op-story.ts';

const { olga, alice, bob, carol, mallory, gina, hank } = people;
const { keeper, member, admin, owner } = roles;
const [pub, otherPub] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)];

/** An add as by an invite; the stand-in checks find every proof good. */
function invited(person: SpecPerson, role: 1 | 2 | 3 | 4 = member, invitePub = pub): Change {
  const signature = new Uint8Array(64);
  const proof = { invitePub, inviteSignature: signature, did: person.devices[0].did, deviceSignature: signature };
  return { ...adding(person, role), proof };
}
const revoking = (invitePub = pub): Change => ({ kind: 'invite-revoke', invitePub });
/** Only the first device, so that the second can come later. */
const oneDevice = (person: SpecPerson): SpecPerson => ({ ...person, devices: [person.devices[0]] });

/** The verdict on one op by this person on top of a group of five. */
function verdictOn(by: SpecPerson, ...changes: Change[]): string {
  return fiveOf()
    .op('x', ['m'], by, ...changes)
    .verdict('x');
}

describe('roles', () => {
  it('decide who may add whom', () => {
    assert.equal(verdictOn(alice, adding(gina)), 'applied');
    assert.equal(verdictOn(alice, adding(gina, keeper)), 'applied');
    assert.equal(verdictOn(alice, adding(gina, admin)), 'role-too-low');
    assert.equal(verdictOn(olga, adding(gina, admin)), 'applied');
    assert.equal(verdictOn(olga, adding(gina, owner)), 'role-too-low');
    assert.equal(verdictOn(mallory, adding(gina)), 'role-too-low');
    assert.equal(verdictOn(alice, adding(bob)), 'already-in');
    assert.equal(verdictOn(gina, adding(gina)), 'unknown-author');
  });

  it('let members add members where the policy says so, and no more than members', () => {
    const on = (change: Change) => fiveOf({ admit: member }).op('x', ['m'], mallory, change).verdict('x');
    assert.equal(on(adding(gina)), 'applied');
    assert.equal(on(adding(gina, admin)), 'role-too-low');
    assert.equal(on(inviting(pub)), 'applied');
    assert.equal(on(inviting(pub, { role: admin })), 'role-too-low');
  });

  it('decide who may remove whom', () => {
    assert.equal(verdictOn(alice, removing(mallory)), 'applied');
    assert.equal(verdictOn(alice, removing(bob)), 'applied');
    assert.equal(verdictOn(alice, removing(olga)), 'role-too-low');
    assert.equal(verdictOn(alice, removing(alice)), 'role-too-low');
    assert.equal(verdictOn(mallory, removing(bob)), 'role-too-low');
    assert.equal(verdictOn(alice, removing(gina)), 'not-a-member');
    const owners = fiveOf().op('o', ['m'], olga, settingRole(alice, owner));
    assert.equal(owners.op('x', ['o'], alice, removing(olga)).verdict('x'), 'applied');
    assert.equal(owners.members(), 'alice4 bob3 carol3 mallory2');
  });

  it('are changed by those above, and owners are made by owners', () => {
    assert.equal(verdictOn(alice, settingRole(mallory, keeper)), 'applied');
    assert.equal(verdictOn(alice, settingRole(mallory, admin)), 'role-too-low');
    assert.equal(verdictOn(alice, settingRole(bob, member)), 'role-too-low');
    assert.equal(verdictOn(alice, settingRole(alice, owner)), 'role-too-low');
    assert.equal(verdictOn(olga, settingRole(bob, member)), 'applied');
    assert.equal(verdictOn(olga, settingRole(mallory, owner)), 'applied');
    assert.equal(verdictOn(olga, settingRole(olga, admin)), 'role-too-low');
    assert.equal(verdictOn(olga, settingRole(gina, admin)), 'not-a-member');
  });

  it('keep seniority through a demotion and renew it with a promotion', () => {
    const story = fiveOf().op('down', ['m'], olga, settingRole(bob, member)).op('up', ['down'], olga, settingRole(alice, owner));
    const since = (person: SpecPerson) => some(story.log.state().members.get(hex(person.uid))).since;
    assert.deepEqual(since(bob), { depth: 2, opId: story.get('b').opId });
    assert.deepEqual(since(alice), { depth: 6, opId: story.get('up').opId });
  });

  it('of a keeper allow to leave and nothing else', () => {
    const on = (...changes: Change[]) =>
      fiveOf({ admit: member }, keeper)
        .op('x', ['m'], mallory, ...changes)
        .verdict('x');
    assert.equal(on(leaving), 'applied');
    for (const change of [adding(gina), inviting(pub), removing(bob), settingPolicy({})])
      assert.equal(on(change), 'role-too-low');
    assert.equal(on(), 'role-too-low');
    assert.equal(on(removingDevice(mallory, some(mallory.devices[1]))), 'role-too-low');
  });
});

describe('leaving', () => {
  it('is for everybody but the last owner of others', () => {
    const story = fiveOf().op('x', ['m'], mallory, leaving).op('y', ['x'], olga, leaving);
    assert.equal(story.verdict('y'), 'last-owner');
    assert.equal(story.members(), 'alice3 bob3 carol3 olga4');
    story.op('o', ['y'], olga, settingRole(bob, owner)).op('z', ['o'], olga, leaving);
    assert.equal(story.members(), 'alice3 bob4 carol3');
  });

  it('of the only member ends the group, and nobody comes in any more', () => {
    const story = new Story().op('x', ['g'], olga, leaving).op('y', ['g'], olga, adding(gina));
    story.with('z', ['x'], { by: some(olga.devices[1]), changes: [adding(hank)] });
    assert.equal(story.verdict('z'), 'not-in-group');
    assert.match(story.members(), /^(gina2 olga4)?$/);
  });

  it('stands alone in its op', () => {
    assert.equal(verdictOn(mallory, leaving, leaving), 'leave-not-alone');
    assert.equal(verdictOn(alice, adding(gina), leaving), 'leave-not-alone');
    const story = fiveOf().with('x', ['m'], { by: mallory.devices[0], changes: [leaving], epoch: someEpoch() });
    assert.equal(story.verdict('x'), 'leave-not-alone');
  });
});

describe('an op', () => {
  it('is void as a whole if one of its changes is, and leaves nothing of the others', () => {
    const story = fiveOf().with('x', ['m'], {
      by: alice.devices[0],
      changes: [adding(gina), inviting(pub), removing(olga)],
      epoch: someEpoch(),
    });
    assert.equal(story.verdict('x'), 'role-too-low');
    assert.equal(story.members(), 'alice3 bob3 carol3 mallory2 olga4');
    assert.equal(story.log.state().invites.size, 0);
    assert.deepEqual(story.log.state().epochs, []);
  });

  it('has its changes judged one after the other', () => {
    assert.equal(verdictOn(olga, adding(gina), settingRole(gina, admin)), 'applied');
    assert.equal(verdictOn(olga, settingRole(gina, admin), adding(gina)), 'not-a-member');
    assert.equal(verdictOn(alice, removing(mallory), adding(mallory)), 'applied');
  });

  it('without changes merges or rekeys, for members', () => {
    const story = fiveOf()
      .with('x', ['m'], { by: mallory.devices[0], changes: [], epoch: someEpoch() })
      .op('y', ['m'], alice, adding(gina))
      .op('merge', ['x', 'y'], mallory);
    assert.equal(story.verdict('merge'), 'applied');
    const [epoch] = story.log.state().epochs;
    assert.deepEqual(epoch, { opId: story.get('x').opId, depth: 5, parents: [story.get('m').opId] });
  });

  it('that removes somebody and starts an epoch starts a fresh one with a new key', () => {
    const on = (kind: Parameters<typeof someEpoch>[0], change: Change) =>
      fiveOf()
        .with('x', ['m'], { by: alice.devices[0], changes: [change], epoch: someEpoch(kind) })
        .verdict('x');
    assert.equal(on({ mode: 1, newGK: 1 }, removing(mallory)), 'applied');
    assert.equal(on({ mode: 2, newGK: 1 }, removing(mallory)), 'weak-epoch');
    assert.equal(on({ mode: 1, newGK: 0 }, removing(mallory)), 'weak-epoch');
    assert.equal(on({ mode: 2, newGK: 1 }, removingDevice(mallory, some(mallory.devices[1]))), 'weak-epoch');
    assert.equal(on({ mode: 2, newGK: 1 }, adding(gina)), 'applied');
  });

  it('has a reason for each way of being void, which can be told', () => {
    for (const { us, person } of Object.values(voidReasons)) assert.ok(us.length > 0 && person.endsWith('.'));
  });
});

describe('devices', () => {
  const [first, second] = mallory.devices;

  it('come by a device of the same person or somebody who could remove them', () => {
    const story = (by: SpecPerson) =>
      new Story()
        .op('a', ['g'], olga, adding(alice, admin))
        .op('b', ['a'], olga, adding(bob, admin))
        .op('m', ['b'], olga, adding(oneDevice(mallory)))
        .op('n', ['m'], olga, adding(hank))
        .op('x', ['n'], by, addingDevice(mallory, some(second)));
    assert.equal(story(mallory).verdict('x'), 'applied');
    assert.equal(story(alice).verdict('x'), 'applied');
    assert.equal(story(hank).verdict('x'), 'role-too-low');
    assert.equal(
      story(mallory)
        .op('y', ['x'], mallory, addingDevice(mallory, some(second)))
        .verdict('y'),
      'device-known',
    );
    assert.equal(
      story(mallory)
        .with('y', ['x'], { by: some(second), changes: [] })
        .verdict('y'),
      'applied',
    );
  });

  it('made up by an admin give no power over an owner', () => {
    const story = new Story().op('x', ['g'], olga, removingDevice(olga, some(olga.devices[1])));
    story.op('a', ['x'], olga, adding(alice, admin)).op('y', ['a'], alice, addingDevice(olga, some(olga.devices[1])));
    assert.equal(story.verdict('y'), 'role-too-low');
  });

  it('go by a device of the same person or somebody who could remove them, but for the last', () => {
    assert.equal(verdictOn(mallory, removingDevice(mallory, first)), 'applied');
    assert.equal(verdictOn(alice, removingDevice(mallory, first)), 'applied');
    assert.equal(verdictOn(mallory, removingDevice(bob, bob.devices[0])), 'role-too-low');
    assert.equal(verdictOn(alice, removingDevice(olga, olga.devices[0])), 'role-too-low');
    assert.equal(verdictOn(mallory, removingDevice(mallory, alice.devices[0])), 'device-unknown');
    assert.equal(verdictOn(mallory, removingDevice(mallory, first), removingDevice(mallory, some(second))), 'last-device');
  });

  it('that went write nothing more, and are remembered for older epochs until they come back', () => {
    const story = fiveOf().op('x', ['m'], alice, removingDevice(mallory, first)).op('y', ['x'], mallory);
    assert.equal(story.verdict('y'), 'not-in-group');
    const { uid } = mallory;
    assert.deepEqual([...story.log.state().formerDevices], [[hex(first.did), { uid, did: first.did, signPub: first.signPub }]]);
    story.op('z', ['y'], alice, removing(mallory));
    assert.equal(story.log.state().formerDevices.size, 2);
    story.op('again', ['z'], alice, adding(oneDevice(mallory)));
    assert.deepEqual([...story.log.state().formerDevices.keys()], [hex(some(second).did)]);
  });

  it('are eight at most', () => {
    const nine = standInPerson('nina', 9);
    const [one, ...others] = nine.devices;
    const story = new Story().op('n', ['g'], olga, adding({ ...nine, devices: [one] }));
    for (const [i, device] of others.entries())
      story.op(`d${i}`, [i === 0 ? 'n' : `d${i - 1}`], olga, addingDevice(nine, device));
    assert.equal(story.verdict('d6'), 'applied');
    assert.equal(story.verdict('d7'), 'too-many-devices');
  });

  it('that do not prove themselves make the op void', () => {
    const { uid, certHash, devices } = gina;
    const add = (certificates: Uint8Array[]): Change => ({ ...adding(gina), uid, certHash, devices: certificates });
    assert.equal(verdictOn(alice, add([])), 'bad-device');
    assert.equal(verdictOn(alice, add([new Uint8Array(10)])), 'bad-device');
    assert.equal(verdictOn(alice, add([hank.devices[0].certificate])), 'bad-device');
    assert.equal(verdictOn(alice, add([devices[0].certificate, devices[0].certificate])), 'bad-device');
    assert.equal(
      verdictOn(alice, { kind: 'add-device', uid: mallory.uid, deviceCert: hank.devices[0].certificate }),
      'bad-device',
    );
  });
});

describe('invites', () => {
  const open = (terms: Parameters<typeof inviting>[1] = {}) => fiveOf().op('i', ['m'], alice, inviting(pub, terms));

  it('let any member bring in who has the proof', () => {
    const story = open().op('x', ['i'], mallory, invited(gina));
    assert.equal(story.verdict('x'), 'applied');
    assert.equal(some(story.log.state().invites.get(hex(pub))).uses, 1);
    assert.equal(open({ role: keeper }).op('x', ['i'], mallory, invited(gina, keeper)).verdict('x'), 'applied');
  });

  it('are good for their number of uses, their role, and whom they are for', () => {
    const used = open().op('x', ['i'], mallory, invited(gina)).op('y', ['x'], mallory, invited(hank));
    assert.equal(used.verdict('y'), 'invite-used-up');
    const twice = open({ maxUses: 2 }).op('x', ['i'], mallory, invited(gina)).op('y', ['x'], bob, invited(hank));
    assert.equal(twice.verdict('y'), 'applied');
    assert.equal(open().op('x', ['i'], mallory, invited(gina, keeper)).verdict('x'), 'invite-role');
    assert.equal(open({ forUid: hank.uid }).op('x', ['i'], mallory, invited(gina)).verdict('x'), 'invite-bound');
    assert.equal(open({ forUid: gina.uid }).op('x', ['i'], mallory, invited(gina)).verdict('x'), 'applied');
    assert.equal(
      open()
        .op('x', ['i'], mallory, invited(gina, member, otherPub))
        .verdict('x'),
      'invite-unknown',
    );
    assert.equal(open().op('x', ['i'], mallory, invited(bob)).verdict('x'), 'already-in');
  });

  it('are used by the first in order where more use them at once', () => {
    const story = open().op('x', ['i'], bob, invited(gina)).op('y', ['i'], carol, invited(hank)).op('z', ['x', 'y'], olga);
    const [x, y] = ['x', 'y'].map((name) => hex(story.get(name).opId));
    assert.equal(
      story.members(),
      some(x) < some(y) ? 'alice3 bob3 carol3 gina2 mallory2 olga4' : 'alice3 bob3 carol3 hank2 mallory2 olga4',
    );
    assert.equal(some(story.log.state().invites.get(hex(pub))).uses, 1);
  });

  it('count one use when two members bring in the same person at once', () => {
    const story = open({ maxUses: 2 })
      .op('x', ['i'], bob, invited(gina))
      .op('y', ['i'], carol, invited(gina))
      .op('z', ['x', 'y'], olga);
    assert.equal(some(story.log.state().invites.get(hex(pub))).uses, 1);
  });

  it('end with being revoked, by who made them or an admin', () => {
    const revoked = open().op('r', ['i'], bob, revoking()).op('x', ['r'], mallory, invited(gina));
    assert.equal(revoked.verdict('x'), 'invite-revoked');
    assert.equal(revoked.op('again', ['x'], alice, revoking()).verdict('again'), 'invite-revoked');
    assert.equal(open().op('r', ['i'], mallory, revoking()).verdict('r'), 'role-too-low');
    assert.equal(open().op('r', ['i'], alice, revoking(otherPub)).verdict('r'), 'invite-unknown');
    const own = fiveOf({ admit: member }).op('i', ['m'], mallory, inviting(pub)).op('r', ['i'], mallory, revoking());
    assert.equal(own.verdict('r'), 'applied');
  });

  it('end with the right of who made them', () => {
    const demoted = open().op('d', ['i'], olga, settingRole(alice, member)).op('x', ['d'], bob, invited(gina));
    assert.equal(demoted.verdict('x'), 'invite-lapsed');
    const removed = open().op('d', ['i'], olga, removing(alice)).op('x', ['d'], bob, invited(gina));
    assert.equal(removed.verdict('x'), 'invite-lapsed');
    const strict = fiveOf({ admit: member })
      .op('i', ['m'], mallory, inviting(pub))
      .op('p', ['i'], olga, settingPolicy({ admit: admin }))
      .op('x', ['p'], bob, invited(gina));
    assert.equal(strict.verdict('x'), 'invite-lapsed');
  });

  it('do not bring back who was removed since, or without the inviter knowing', () => {
    const since = open({ maxUses: 2 }).op('x', ['i'], bob, invited(gina)).op('r', ['x'], bob, removing(gina));
    assert.equal(since.op('y', ['r'], bob, invited(gina)).verdict('y'), 'invite-lapsed');
    assert.equal(since.op('z', ['r'], bob, adding(gina)).verdict('z'), 'applied');
    const before = fiveOf().op('r', ['m'], bob, removing(mallory)).op('i', ['r'], alice, inviting(pub));
    assert.equal(before.op('y', ['i'], bob, invited(mallory)).verdict('y'), 'applied');
    const apart = open().op('r', ['m'], bob, removing(mallory)).op('y', ['i', 'r'], bob, invited(mallory));
    assert.equal(apart.verdict('y'), 'invite-lapsed');
    const together = fiveOf().op('i', ['m'], alice, removing(mallory), inviting(pub)).op('y', ['i'], bob, invited(mallory));
    assert.equal(together.verdict('y'), 'applied');
  });

  it('have keys of their own and at least one use', () => {
    assert.equal(open().op('j', ['i'], bob, inviting(pub)).verdict('j'), 'invite-known');
    assert.equal(open().op('j', ['i'], bob, inviting(otherPub)).verdict('j'), 'applied');
    assert.equal(verdictOn(alice, inviting(pub, { maxUses: 0 })), 'invite-useless');
    assert.equal(verdictOn(mallory, inviting(pub)), 'role-too-low');
    assert.equal(verdictOn(alice, inviting(pub, { role: admin })), 'role-too-low');
  });
});

describe('the policy', () => {
  it('is changed by admins, and its protection only goes up', () => {
    assert.equal(verdictOn(mallory, settingPolicy({ name: 'chess' })), 'role-too-low');
    const story = fiveOf().op('x', ['m'], alice, settingPolicy({ name: 'chess', wrap: 2 }));
    assert.deepEqual([story.log.state().policy.name, story.log.state().policy.wrap], ['chess', 2]);
    assert.equal(story.op('y', ['x'], olga, settingPolicy({ wrap: 1 })).verdict('y'), 'weaker-policy');
    assert.equal(story.log.state().policy.wrap, 2);
  });
});

describe('limits of a log', () => {
  it('take a thousand members', () => {
    const story = new Story();
    const crowd = Array.from({ length: limits.groupMembers }, (_, i) => standInPerson(`member ${i}`));
    for (let i = 0, on = 'g'; i < crowd.length; i += 50, on = `c${i - 50}`)
      story.op(`c${i}`, [on], olga, ...crowd.slice(i, Math.min(i + 50, limits.groupMembers - 1)).map((person) => adding(person)));
    assert.equal(story.log.state().members.size, limits.groupMembers);
    assert.equal(story.op('x', ['c950'], olga, adding(some(crowd.at(-1)))).verdict('x'), 'group-full');
  });

  it('keep ops of unknown authors as void up to a number, and look into none', () => {
    const story = new Story();
    let looked = 0;
    const log = new OpLog({
      checks: {
        ...standInChecks,
        verify: (...parts) => {
          looked += 1;
          return standInChecks.verify(...parts);
        },
      },
    });
    log.add(story.get('g'));
    const stranger = (wall: number) =>
      unsignedOp(bodyOn([story.get('g')], { by: gina.devices[0], changes: [adding(gina)], wall }));
    for (let i = 0; i < limits.unknownAuthorOps; i++) assert.equal(log.add(stranger(i)), 'added');
    assert.equal(log.add(stranger(limits.unknownAuthorOps)), 'refused');
    assert.equal(log.refusalOf(stranger(limits.unknownAuthorOps)), 'too-many-unknown-authors');
    assert.equal(looked, 1);
    assert.equal(story.members(log.state()), 'olga4');
    const own = unsignedOp(bodyOn([story.get('g')], { by: olga.devices[0], changes: [adding(hank)] }));
    assert.equal(log.add(own), 'added');
    assert.equal(story.members(log.state()), 'hank2 olga4');
  });
});

describe('a group with real keys', () => {
  it('is founded, joined, changed and left', async () => {
    const [olive, alan, mara] = await Promise.all([signingPerson('olive', 2), signingPerson('alan'), signingPerson('mara', 2)]);
    const genesis = await signOp({ body: genesisBody(olive), signer: olive.devices[0].signer });
    const log = new OpLog({ gid: genesis.opId });
    const laptop = await signingDevice(mara.uid, 'laptop of mara');
    const add = await signedOn([genesis], { by: some(olive.devices[1]), changes: [adding(alan, admin), adding(mara)] });
    const device = await signedOn([add], { by: mara.devices[0], changes: [addingDevice(mara, laptop)] });
    const remove = await signedOn([add], {
      by: alan.devices[0],
      changes: [removingDevice(mara, mara.devices[0])],
      epoch: someEpoch(),
    });
    const merge = await signedOn([device, remove], { by: olive.devices[0], changes: [] });
    for (const op of [genesis, add, device, remove, merge]) assert.equal(log.add(op), 'added');
    assert.deepEqual([...log.inOrder()].map(({ verdict }) => verdict).sort(), [
      'applied',
      'applied',
      'applied',
      'applied',
      'author-removed',
    ]);
    const { members, genesis: first, gid } = log.state();
    assert.equal(members.size, 3);
    assert.deepEqual([first, gid], [genesis, genesis.opId]);
    assert.equal(some(members.get(hex(alan.uid))).role, admin);
    assert.deepEqual([...some(members.get(hex(mara.uid))).devices.keys()], [hex(some(mara.devices[1]).did)]);
  });
});
