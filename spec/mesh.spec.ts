// Whole engines on a virtual network: what they do when things come at bad moments, and what crashes leave behind.
import { strict as assert } from 'node:assert';
import { MeshWorld } from './mesh-world.ts';

describe('the mesh', function () {
  this.timeout(60_000);
  let world: MeshWorld;
  afterEach(async () => {
    for (const { name, surprises } of world.members) assert.deepEqual(surprises, [], name);
    await world.close();
  });

  it('misses no entry of a log that came before the node knew who listens', async () => {
    world = await MeshWorld.of('alice', 'bob', 'carol', 'dave');
    const [alice, ...others] = world.members;
    assert.ok(alice);
    const { gid } = await alice.chat.membership.create('Quick');
    // Each add comes while the one before is still finding its way in.
    for (const other of others) await world.during(alice.chat.membership.add(alice.group(gid), other.name));
    await world.together(gid, ...world.members);
  });

  it('makes one group of a log that is adopted twice at once', async () => {
    world = await MeshWorld.of('alice', 'bob');
    const [alice, bob] = world.members;
    assert.ok(alice && bob);
    const group = await alice.chat.membership.create('Both ways');
    await world.until('the node has it', () => group.log.isSent());
    const fragment = await world.during(alice.chat.membership.invite(group, { role: 2, maxUses: 1 }));
    world.node.mute = (message, name) => name === 'bob' && message.type === 'log-grew';
    await world.during(bob.chat.membership.followLink(fragment));
    await world.until('alice lets him in', () => alice.group(group.gid).log.state()?.members.size === 2);
    const { store } = bob;
    const range = store.range.bind(store);
    let loads = 0;
    store.range = (prefix, options) => {
      if (prefix[0] === 'chain') loads += 1;
      return range(prefix, options);
    };
    const { gTag } = group.log;
    await world.during(Promise.all([bob.chat.membership.logGrew(gTag), bob.chat.membership.logGrew(gTag)]));
    assert.equal(loads, 1);
    await world.together(group.gid, alice, bob);
  });

  it('asks for a log again when signals come that nothing explains', async () => {
    world = await MeshWorld.of('alice', 'bob', 'carol');
    const [alice, bob, carol] = world.members;
    assert.ok(alice && bob && carol);
    const gid = await world.group(alice, bob);
    // Bob does not hear that the log grows, and has no link over which he could be told.
    world.network.breakLinks('alice', 'bob');
    world.node.mute = (message, name) => name === 'bob' && (message.type === 'log-grew' || message.type === 'presence');
    world.network.cut('alice', 'bob');
    await world.during(alice.chat.membership.add(alice.group(gid), 'carol'));
    await world.until('carol is in', () => carol.chat.group(gid) !== undefined);
    await world.until('bob knows carol', () => bob.isLinkedWith(carol), 90_000);
  });
});
