// Whole engines on a virtual network: what they do when things come at bad moments, and what crashes leave behind.
import { strict as assert } from 'node:assert';
import { readFrame } from '../keys/frame-seal.ts';
import { StoreFailure } from '../mesh/store-failure.ts';
import { equal, hex } from '../wire/bytes.ts';
import { decode } from '../wire/codec.ts';
import { roles } from '../wire/group-ops.ts';
import type { Gid } from '../wire/ids.ts';
import { peerMessage } from '../wire/peer-messages.ts';
import { MeshWorld, type WorldMember } from './mesh-world.ts';

const slow = process.env['SLOW'] === '1';

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

  describe('with a machine that fails at a bad moment', () => {
    const texts = { alice: ['a1', 'a2'], bob: ['b1', 'b2'] } as const;
    const all = Object.values(texts).flat().sort();

    type Story = { gid?: Gid; fragment?: string };

    /** Alice makes a group, bob follows her link, both say two things. What is done already is left as it is. */
    async function live(story: Story, isOver: () => boolean): Promise<void> {
      const [alice, bob] = [world.member('alice'), world.member('bob')];
      const until = async (what: string, done: () => boolean) => {
        await world.until(what, () => isOver() || done());
        if (isOver()) throw new Interrupted();
      };
      const during = async <T>(work: Promise<T>): Promise<T> => {
        let isDone = false;
        const finish = () => {
          isDone = true;
        };
        work.then(finish, finish);
        await until('done', () => isDone);
        return work;
      };
      const [made] = alice.chat.groups();
      const group = made ?? (await during(alice.chat.membership.create('Story')));
      const { gid } = group;
      story.gid = gid;
      await until('the node has it', () => group.log.isSent());
      story.fragment ??= await during(alice.chat.membership.invite(group, { role: roles.member, maxUses: 1 }));
      const isIn = () => bob.chat.group(gid)?.isIn() === true;
      const { join } = bob.chat.membership;
      if (!isIn() && (join === undefined || join.state === 'failed'))
        await during(bob.chat.membership.followLink(story.fragment));
      await until('bob is in', isIn);
      await until('they are linked', () => alice.isLinkedWith(bob) && bob.isLinkedWith(alice));
      for (const member of [alice, bob])
        for (const text of texts[member.name === 'alice' ? 'alice' : 'bob']) {
          await until('there are keys', () => member.group(gid).log.currentEpoch() !== undefined);
          if (!member.texts(gid).includes(text)) await during(member.group(gid).send({ kind: 'text', text }));
        }
      await until('both have all', () => [alice, bob].every((member) => member.texts(gid).length >= all.length));
      for (let i = 0; i < 4; i++) await until('time passes', after(2_000));
    }

    function after(ms: number): () => boolean {
      const end = world.clock.now() + ms;
      world.clock.after(ms, () => undefined);
      return () => world.clock.now() >= end;
    }

    /** What left on links, by number: each number once. */
    function watchNumbers(member: WorldMember): Map<number, string> {
      const sent = new Map<number, string>();
      member.tap = {
        incoming: (bytes) => [bytes],
        outgoing: (bytes) => {
          const message = bytes[0] === 0x54 ? decode(peerMessage, bytes) : undefined;
          if (message?.type !== 'frame') return [bytes];
          const { frame, frameId } = readFrame(message.frame);
          if (equal(frame.did, member.did)) {
            assert.equal(sent.get(frame.seq) ?? hex(frameId), hex(frameId), `${member.name} used number ${frame.seq} twice`);
            sent.set(frame.seq, hex(frameId));
          }
          return [bytes];
        },
      };
      return sent;
    }

    function checkEnd({ gid }: Story): void {
      const [alice, bob] = [world.member('alice'), world.member('bob')];
      assert.ok(gid);
      assert.deepEqual([...alice.texts(gid)].sort(), all);
      assert.deepEqual(bob.texts(gid), alice.texts(gid));
      for (const member of [alice, bob]) assert.deepEqual(member.group(gid).forks.all(), []);
    }

    /** Calls `act` before or behind write number `at` of that member; how many there were. */
    function onWrite(member: WorldMember, at: number, act: () => void, when: 'before' | 'behind' = 'behind'): () => number {
      let count = 0;
      const { store } = member;
      const write = store.write.bind(store);
      store.write = async (changes) => {
        count += 1;
        const isDue = count === at;
        if (isDue && when === 'before') act();
        await write(changes);
        if (isDue && when === 'behind') act();
      };
      return () => count;
    }

    async function writesOf(name: 'alice' | 'bob'): Promise<number> {
      world = await MeshWorld.of('alice', 'bob');
      const count = onWrite(world.member(name), 0, () => undefined);
      const story: Story = {};
      await live(story, () => false);
      checkEnd(story);
      await world.close();
      return count();
    }

    for (const name of ['alice', 'bob'] as const) {
      it(`killed before or behind any write of ${name}: nothing shown is lost or twice, no number is used again`, async () => {
        const writes = await writesOf(name);
        assert.ok(writes > 8, `${writes}`);
        for (let turn = 2; turn < 2 * writes + 2; turn += slow ? 1 : 3) {
          const at = turn >> 1;
          world = await MeshWorld.of('alice', 'bob');
          const victim = world.member(name);
          const story: Story = {};
          let shown: string[] = [];
          let isKilled = false;
          watchNumbers(victim);
          const kill = () => {
            shown = story.gid === undefined ? [] : victim.texts(story.gid);
            isKilled = true;
            victim.kill();
          };
          onWrite(victim, at, kill, turn % 2 === 0 ? 'behind' : 'before');
          await live(story, () => isKilled).catch(onlyInterrupted);
          await world.clock.advance(3_000);
          await world.reopen(victim);
          const gid = story.gid ?? victim.chat.groups()[0]?.gid;
          if (gid !== undefined) for (const text of shown) assert.ok(victim.texts(gid).includes(text), `${text}, write ${at}`);
          await live(story, () => false);
          checkEnd(story);
          for (const member of world.members) assert.deepEqual(member.surprises, [], `${member.name}, write ${at}`);
          await world.close();
        }
      });

      it(`whose disk refuses any write of ${name}: what is shown is on the disk, and it goes on`, async () => {
        const writes = await writesOf(name);
        for (let at = 1; at <= writes; at += slow ? 1 : 3) {
          world = await MeshWorld.of('alice', 'bob');
          const victim = world.member(name);
          const story: Story = {};
          watchNumbers(victim);
          onWrite(victim, at, () => victim.store.failNextWrite(), 'before');
          // What a person does: try again.
          for (let tries = 0; tries < 4; tries++) {
            const failure = await live(story, () => false).then(() => undefined, faultOf);
            if (failure === undefined) break;
          }
          checkEnd(story);
          const { gid } = story;
          assert.ok(gid);
          const shown = victim.texts(gid);
          victim.kill();
          await world.clock.advance(3_000);
          await world.reopen(victim);
          assert.deepEqual(victim.texts(gid), shown, `write ${at}`);
          for (const member of world.members) {
            const others = member.surprises.splice(0).filter((surprise) => !(surprise instanceof StoreFailure));
            assert.deepEqual(others, [], `${member.name}, write ${at}`);
          }
          await world.close();
        }
      });
    }
  });
});

class Interrupted extends Error {}

function onlyInterrupted(error: unknown): void {
  if (!(error instanceof Interrupted)) throw error;
}

/** A disk that is full, or what came of it. */
function faultOf(error: unknown): unknown {
  if (error instanceof assert.AssertionError) throw error;
  return error;
}
