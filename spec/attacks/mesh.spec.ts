// Attacks on the mesh, run against whole engines: by the node, by members and whoever relays, by strangers with a socket.
import { strict as assert } from 'node:assert';
import { NodeRefusal } from '../../mesh/node-requests.ts';
import type { Gid } from '../../wire/ids.ts';
import type { LogEntry, NodeMessage } from '../../wire/node-messages.ts';
import { MeshWorld, type WorldMember } from '../mesh-world.ts';

const greatest = 0xffff_ffff;

describe('attacks on the mesh', function () {
  this.timeout(60_000);
  let world: MeshWorld;
  afterEach(async () => {
    for (const { name, surprises } of world.members) assert.deepEqual(surprises, [], name);
    await world.close();
  });

  async function crew(...names: string[]): Promise<{ gid: Gid; members: WorldMember[] }> {
    world = await MeshWorld.of(...names);
    return { gid: await world.group(...world.members), members: world.members };
  }

  const say = async (member: WorldMember, gid: Gid, text: string) =>
    assert.equal(await member.group(gid).send({ kind: 'text', text }), 'stored');
  const opsOf = (member: WorldMember, gid: Gid) => [...member.group(gid).log.ops.inOrder()].length;

  describe('by a node that lies about a log', () => {
    /** Bob does not see the next entries of the log, but what the lie makes of them. */
    async function deceived(lie: (entries: LogEntry[], after: number) => { entries: LogEntry[]; more: 0 | 1 }) {
      const { gid, members } = await crew('alice', 'bob');
      const [alice, bob] = members;
      assert.ok(alice && bob);
      world.network.cut('alice', 'bob');
      let asked = 0;
      world.node.lie = (question, name): NodeMessage | 'truth' => {
        if (name !== 'bob' || question.type !== 'get-log') return 'truth';
        asked += 1;
        const { entries } = world.node.logOf(question.gTag);
        return { type: 'log-page', request: question.request, ...lie(entries.slice(question.after), question.after) };
      };
      for (let i = 0; i < 3; i++) await world.during(alice.chat.membership.invite(alice.group(gid), { role: 2, maxUses: 1 }));
      await world.clock.advance(5_000);
      return { gid, alice, bob, asked: () => asked };
    }

    async function recovers({ gid, alice, bob }: { gid: Gid; alice: WorldMember; bob: WorldMember }) {
      world.node.lie = () => 'truth';
      world.node.tell('bob', { type: 'log-grew', gTag: alice.group(gid).log.gTag, no: greatest });
      await world.until('bob has the log', () => opsOf(bob, gid) === opsOf(alice, gid));
      world.network.heal('alice', 'bob');
    }

    it('by huge numbers: nothing is skipped once it tells the truth', async () => {
      const fooled = await deceived((entries) => ({ entries: entries.map((entry) => ({ ...entry, no: greatest })), more: 0 }));
      await recovers(fooled);
      const { gid, bob } = fooled;
      await bob.close();
      await world.reopen(bob);
      assert.equal(opsOf(bob, gid), opsOf(fooled.alice, gid));
    });

    it('by pages without end: reading stops', async () => {
      const fooled = await deceived((entries) => ({
        entries: entries.slice(0, 1).map((entry) => ({ ...entry, no: 1 })),
        more: 1,
      }));
      assert.ok(fooled.asked() < 20, `${fooled.asked()} questions`);
      await recovers(fooled);
    });

    it('by ever new junk: an append of ours leads back to the truth', async () => {
      const junk = (no: number, opId: Gid): LogEntry => ({ no, opId, parents: [], sealed: new Uint8Array(80) });
      const fooled = await deceived((entries, after) => ({
        entries: entries.slice(0, 1).map(({ opId }) => junk(after + 1, opId)),
        more: 1,
      }));
      const { gid, alice, bob } = fooled;
      assert.equal(opsOf(bob, gid), 2);
      world.node.lie = () => 'truth';
      await world.during(bob.group(gid).log.commit(async () => ({ changes: [], epoch: 'none' })));
      assert.equal(opsOf(bob, gid), 6);
      await world.until('alice has it too', () => opsOf(alice, gid) === 6);
    });

    for (const no of [0, 1, 2, greatest]) {
      it(`by the wrong number ${no} for an entry of ours: it is kept, and nothing else is lost`, async () => {
        const { gid, members } = await crew('alice', 'bob');
        const [alice, bob] = members;
        assert.ok(alice && bob);
        world.node.lie = (question, name) => {
          if (name !== 'alice' || question.type !== 'append') return 'truth';
          world.node.lie = () => 'truth';
          world.node.append(name, question.append);
          return { type: 'appended', request: question.request, no };
        };
        await world.during(alice.chat.membership.invite(alice.group(gid), { role: 2, maxUses: 1 }));
        await world.during(alice.chat.membership.invite(alice.group(gid), { role: 2, maxUses: 1 }));
        assert.equal(opsOf(alice, gid), 4);
        await alice.close();
        await world.reopen(alice);
        assert.equal(opsOf(alice, gid), 4);
        assert.equal(alice.group(gid).log.state()?.invites.size, 2);
        await world.during(alice.chat.membership.invite(alice.group(gid), { role: 2, maxUses: 1 }));
        await world.until('bob has the log', () => opsOf(bob, gid) === 5);
      });
    }

    it('by conflicts without end: the append is given up, and works when it stops lying', async () => {
      const { gid, members } = await crew('alice', 'bob');
      const [alice] = members;
      assert.ok(alice);
      const group = alice.group(gid);
      world.node.lie = ({ type, request }) => (type === 'append' ? { type: 'conflict', request, heads: [gid] } : 'truth');
      await assert.rejects(
        world.during(alice.chat.membership.invite(group, { role: 2, maxUses: 1 })),
        (error) => error instanceof NodeRefusal && error.code === 'busy',
      );
      world.node.lie = () => 'truth';
      await world.during(alice.chat.membership.invite(group, { role: 2, maxUses: 1 }));
      assert.equal(group.log.state()?.invites.size, 1);
    });

    it('by keeping back the group key: the rest goes on, and the key is asked for again', async () => {
      world = await MeshWorld.of('alice', 'bob');
      const [alice, bob] = world.members;
      assert.ok(alice && bob);
      const { gid } = await alice.chat.membership.create('No key');
      await world.until('the node has it', () => alice.group(gid).log.isSent());
      world.node.lie = ({ type, request }) =>
        type === 'get-shard' ? { type: 'refused', request, code: 'not-found', retryAfter: 0 } : 'truth';
      await world.during(alice.chat.membership.add(alice.group(gid), 'bob'));
      await world.until('bob is in', () => bob.chat.group(gid) !== undefined);
      assert.equal(await bob.group(gid).send({ kind: 'text', text: 'too early' }), 'no-key');
      const asked = () => world.node.asked.filter(({ question }) => question.type === 'get-shard').length;
      await world.clock.advance(10 * 60_000);
      assert.ok(asked() <= 15, `asked ${asked()} times in ten minutes`);
      world.node.lie = () => 'truth';
      await world.until('bob has the key', () => bob.group(gid).log.currentEpoch() !== undefined);
      await world.until('they are linked', () => alice.isLinkedWith(bob) && bob.isLinkedWith(alice));
      await say(bob, gid, 'hello');
      await world.until('alice reads it', () => alice.texts(gid).length === 1);
    });

    it('by another group key than the log names: it is looked at once', async () => {
      world = await MeshWorld.of('alice', 'bob');
      const [alice, bob] = world.members;
      assert.ok(alice && bob);
      const { gid } = await alice.chat.membership.create('Wrong key');
      await world.until('the node has it', () => alice.group(gid).log.isSent());
      world.node.lie = ({ type, request }) =>
        type === 'get-shard' ? { type: 'shard', request, shard: new Uint8Array(700) } : 'truth';
      await world.during(alice.chat.membership.add(alice.group(gid), 'bob'));
      await world.until('bob is in', () => bob.chat.group(gid) !== undefined);
      assert.equal(bob.group(gid).log.currentEpoch(), undefined);
      world.node.lie = () => 'truth';
      await world.until('bob has the key', () => bob.group(gid).log.currentEpoch() !== undefined);
    });
  });
});
