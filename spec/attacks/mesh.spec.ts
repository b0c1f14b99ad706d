// Attacks on the mesh, run against whole engines: by the node, by members and whoever relays, by strangers with a socket.
import { strict as assert } from 'node:assert';
import { readDeviceCert, readLockKey } from '../../keys/device.ts';
import { signingKeyFromSeed } from '../../keys/ed25519.ts';
import { descriptionHash, linkHash, signLink, verifyLink } from '../../keys/link-confirm.ts';
import { sealSignal } from '../../keys/signal-seal.ts';
import { Links } from '../../mesh/links.ts';
import { NodeRefusal } from '../../mesh/node-requests.ts';
import type { Link } from '../../mesh/ports.ts';
import { hex } from '../../wire/bytes.ts';
import { encode } from '../../wire/codec.ts';
import type { Gid } from '../../wire/ids.ts';
import type { LogEntry, NodeMessage } from '../../wire/node-messages.ts';
import { peerMessage } from '../../wire/peer-messages.ts';
import type { SignalBody } from '../../wire/signal.ts';
import { asMessage, type Forged, forge, forgeChain } from '../forged-frames.ts';
import { MeshWorld, type WorldMember } from '../mesh-world.ts';
import { type Person, person } from '../people.ts';

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

  describe('by members who tell two stories', () => {
    /** Eve, whose engine is silent: what she says is forged. */
    async function withEve(...names: string[]) {
      const { gid, members } = await crew(...names, 'eve');
      const eve = world.member('eve');
      eve.tap = { outgoing: (bytes) => (bytes[0] === 0x54 ? [] : [bytes]), incoming: (bytes) => [bytes] };
      const honest = members.filter((member) => member !== eve);
      const give = (to: WorldMember, ...frames: Forged[]) => {
        for (const frame of frames) eve.inject(to.name, asMessage(frame));
      };
      return { gid, eve, honest, give };
    }

    /** All have the same proof, and none of them shows what was said from there on. */
    async function allFrozen(gid: Gid, eve: WorldMember, honest: WorldMember[], facts: { seq: number; shown: string[] }) {
      const frozenFrom = (member: WorldMember) => member.group(gid).forks.frozenFrom(eve.did);
      await world.until('all know', () => honest.every((member) => frozenFrom(member) === facts.seq), 60_000);
      await world.clock.advance(30_000);
      for (const member of honest) {
        assert.equal(frozenFrom(member), facts.seq, member.name);
        assert.deepEqual(member.texts(gid), facts.shown, member.name);
        const { frames } = member.group(gid).forks.of(eve.did) ?? assert.fail();
        assert.equal(new Set(frames.map(hex)).size, 2);
      }
    }

    for (const order of ['a first', 'b first'] as const) {
      it(`two messages under one number, ${order}: frozen from it everywhere, and still after a restart`, async () => {
        const { gid, eve, honest, give } = await withEve('alice', 'bob', 'carol');
        const [alice, bob, carol] = honest;
        assert.ok(alice && bob && carol);
        const [first] = await forgeChain(eve, gid, { texts: ['good'] });
        assert.ok(first);
        const a = await forgeChain(eve, gid, { texts: ['to alice', 'more to alice'], last: first });
        const b = await forgeChain(eve, gid, { texts: ['to bob', 'more to bob'], last: first });
        give(alice, first, ...(order === 'a first' ? a : []));
        give(bob, first, ...(order === 'a first' ? [] : b));
        give(alice, ...(order === 'a first' ? [] : a));
        give(bob, ...(order === 'a first' ? b : []));
        await allFrozen(gid, eve, honest, { seq: 2, shown: ['good'] });
        for (const member of honest) {
          await member.close();
          await world.reopen(member);
          assert.equal(member.group(gid).forks.frozenFrom(eve.did), 2);
          assert.deepEqual(member.texts(gid), ['good']);
        }
        await world.together(gid, ...world.members);
        give(carol, ...a, ...b);
        await say(alice, gid, 'we go on');
        await allFrozen(gid, eve, honest, { seq: 2, shown: ['good', 'we go on'] });
      });
    }

    it('two messages under one key', async () => {
      const { gid, eve, honest, give } = await withEve('alice', 'bob', 'carol');
      const [alice, bob] = honest;
      assert.ok(alice && bob);
      const [one, two] = await forgeChain(eve, gid, { texts: ['one', 'two'] });
      assert.ok(one && two);
      const three = await forge(eve, gid, { seq: 3, gen: 1, previous: two.frameId, text: 'three under the key of two' });
      give(alice, one, two, three);
      give(bob, one);
      await allFrozen(gid, eve, honest, { seq: 2, shown: ['one'] });
    });

    it('a message that names another before it than there is, whichever comes first', async () => {
      const { gid, eve, honest, give } = await withEve('alice', 'bob', 'carol');
      const [alice, bob] = honest;
      assert.ok(alice && bob);
      const [one, two] = await forgeChain(eve, gid, { texts: ['one', 'two'] });
      assert.ok(one && two);
      const three = await forge(eve, gid, { seq: 3, previous: one.frameId, text: 'three after one' });
      give(alice, one, two, three);
      give(bob, one, three, two);
      await allFrozen(gid, eve, honest, { seq: 2, shown: ['one'] });
    });

    it('stories that part long before: the place where they part is found', async () => {
      const { gid, eve, honest, give } = await withEve('alice', 'bob', 'carol');
      const [alice, bob] = honest;
      assert.ok(alice && bob);
      const long = (name: string) => Array.from({ length: 150 }, (_, i) => `${name} ${i}`);
      const shared = await forgeChain(eve, gid, { texts: ['one', 'two', 'three'] });
      const last = shared.at(-1);
      assert.ok(last);
      world.network.cut('alice', 'bob');
      world.network.cut('alice', 'carol');
      give(alice, ...shared, ...(await forgeChain(eve, gid, { texts: long('a'), last })));
      give(bob, ...shared, ...(await forgeChain(eve, gid, { texts: long('b'), last })));
      await world.until('each has a story', () => [alice, bob].every((member) => member.texts(gid).length === 153));
      world.network.heal('alice', 'bob');
      world.network.heal('alice', 'carol');
      await allFrozen(gid, eve, honest, { seq: 4, shown: ['one', 'two', 'three'] });
    });

    it('a newcomer who has neither half hears of the proof', async () => {
      const { gid, eve, honest, give } = await withEve('alice', 'bob');
      const [alice, bob] = honest;
      assert.ok(alice && bob);
      give(alice, await forge(eve, gid, { seq: 1, text: 'to alice' }));
      give(bob, await forge(eve, gid, { seq: 1, text: 'to bob' }));
      await allFrozen(gid, eve, honest, { seq: 1, shown: [] });
      const dave = await world.arrive('dave');
      await world.during(alice.chat.membership.add(alice.group(gid), 'dave'));
      await world.together(gid, ...world.members);
      give(dave, await forge(eve, gid, { seq: 2, gen: 0, text: 'to dave' }));
      await allFrozen(gid, eve, [...honest, dave], { seq: 1, shown: [] });
    });

    it('proofs that prove nothing, or are of another’s making: nobody is frozen', async () => {
      const { gid, eve, honest } = await withEve('alice', 'bob');
      const [alice, bob] = honest;
      assert.ok(alice && bob);
      await say(bob, gid, 'one');
      await say(bob, gid, 'two');
      await world.until('alice reads', () => alice.texts(gid).length === 2);
      const framesOf = async (member: WorldMember) => {
        const ids = bob.group(gid).transcript.inRanges(member.did, [{ from: 1, to: 9 }]);
        return Promise.all(ids.map(async (id) => (await bob.group(gid).frameBytes(id)) ?? assert.fail()));
      };
      const [one, two] = await framesOf(bob);
      const own = await forge(eve, gid, { seq: 1 });
      assert.ok(one && two);
      const changed = (bytes: Uint8Array, at: number) => bytes.map((byte, i) => (i === at ? byte ^ 1 : byte));
      const pairs = [
        [one, one],
        [one, two],
        [one, own.bytes],
        [one, changed(one, 250)],
        [one, changed(one, 105)],
        [two, changed(two, 120)],
        [own.bytes, own.bytes],
      ];
      for (const [first = one, second = one] of pairs) {
        eve.inject('alice', encode(peerMessage, { type: 'fork', first, second }));
        eve.inject('alice', encode(peerMessage, { type: 'fork', first: second, second: first }));
      }
      eve.inject('alice', encode(peerMessage, { type: 'fork', first: one, second: new Uint8Array(500) }));
      await world.clock.advance(30_000);
      assert.deepEqual(alice.group(gid).forks.all(), []);
      assert.deepEqual(alice.texts(gid), ['one', 'two']);
    });
  });

  describe('by those who pass frames on', () => {
    it('each byte of a frame flipped: it is dropped, and no ratchet moves', async () => {
      const { gid, members } = await crew('alice', 'bob', 'eve');
      const [alice, bob, eve] = members;
      assert.ok(alice && bob && eve);
      // What bob says reaches alice through eve alone.
      bob.tap = { outgoing: (bytes, to) => (to === 'alice' ? [] : [bytes]), incoming: (bytes) => [bytes] };
      eve.tap = { outgoing: (bytes, to) => (to === 'alice' ? [] : [bytes]), incoming: (bytes) => [bytes] };
      await say(bob, gid, 'one');
      await world.until('eve has it', () => eve.texts(gid).length === 1);
      const [id] = bob.group(gid).transcript.inRanges(bob.did, [{ from: 1, to: 1 }]);
      assert.ok(id);
      const whole = (await bob.group(gid).frameBytes(id)) ?? assert.fail();
      const dump = async () => JSON.stringify((await alice.store.range([])).map(({ key, value }) => [key, hex(value)]));
      const before = await dump();
      for (let at = 0; at < whole.length; at++) {
        const flipped = whole.map((byte, i) => (i === at ? byte ^ (1 << (at % 8)) : byte));
        alice.chat.links.wake();
        eve.inject('alice', asMessage({ bytes: flipped }));
        if (at % 100 === 0) await world.clock.advance(300);
      }
      await world.clock.advance(10_000);
      assert.deepEqual(alice.texts(gid), []);
      assert.equal(await dump(), before);
      eve.inject('alice', asMessage({ bytes: whole }));
      await world.until('alice reads it', () => alice.texts(gid).length === 1);
    });

    it('the same frame a thousand times from five peers: shown once, written once, passed on once', async () => {
      const { gid, members } = await crew('alice', 'bob', 'carol', 'dave', 'eve', 'fay');
      const [alice, bob, ...others] = members;
      assert.ok(alice && bob);
      const { store } = alice;
      const write = store.write.bind(store);
      let written = 0;
      store.write = (changes) => {
        if (changes.some((change) => 'put' in change && change.put[0] === 'frame')) written += 1;
        return write(changes);
      };
      const offers: string[] = [];
      alice.tap = {
        incoming: (bytes) => [bytes],
        outgoing: (bytes, to) => {
          if (bytes[0] === 0x55) offers.push(to);
          return [bytes];
        },
      };
      const frame = asMessage(await forge(bob, gid, { seq: 1, text: 'again and again' }));
      for (let i = 0; i < 200; i++) for (const { name } of [bob, ...others]) world.member(name).inject('alice', frame);
      await world.clock.advance(1_500);
      assert.deepEqual(alice.texts(gid), ['again and again']);
      assert.equal(written, 1);
      // Once to each who lacks it or wrote it, and to each who brought it again that it is here.
      for (const { name } of [bob, ...others]) assert.ok(offers.filter((to) => to === name).length <= 3, offers.join());
    });

    for (const dropped of ['every third', 'all'] as const) {
      it(`a relay that drops ${dropped}: the gap is seen, and filled by another`, async () => {
        const { gid, members } = await crew('alice', 'bob', 'carol', 'eve');
        const [alice, bob, carol, eve] = members;
        assert.ok(alice && bob && carol && eve);
        world.network.cut('alice', 'bob');
        await world.until('they lost each other', () => !alice.isLinkedWith(bob) && !bob.isLinkedWith(alice));
        let seen = 0;
        const isDropped = () => dropped === 'all' || seen++ % 3 === 0;
        eve.tap = {
          incoming: (bytes) => [bytes],
          outgoing: (bytes, to) => (to === 'bob' && bytes[0] === 0x54 && isDropped() ? [] : [bytes]),
        };
        // Carol tells bob nothing by herself: he must find out what he lacks.
        carol.tap = {
          incoming: (bytes) => [bytes],
          outgoing: (bytes, to) => (to === 'bob' && bytes[0] === 0x55 ? [] : [bytes]),
        };
        const texts = Array.from({ length: 12 }, (_, i) => `message ${i}`);
        for (const text of texts) {
          await say(alice, gid, text);
          await world.clock.advance(50);
        }
        await world.until('bob has all', () => bob.texts(gid).length === texts.length, 60_000);
        assert.deepEqual(bob.texts(gid), texts);
      });
    }

    it('a relay that flips bytes in everything it serves: what it spoiled comes from another', async () => {
      const { gid, members } = await crew('alice', 'bob', 'carol', 'eve');
      const [alice, bob, carol, eve] = members;
      assert.ok(alice && bob && carol && eve);
      world.network.cut('alice', 'bob');
      await world.until('they lost each other', () => !alice.isLinkedWith(bob) && !bob.isLinkedWith(alice));
      eve.tap = {
        incoming: (bytes) => [bytes],
        outgoing: (bytes, to) =>
          to === 'bob' && bytes[0] === 0x54 ? [bytes.map((byte, i) => (i === 300 ? byte ^ 4 : byte))] : [bytes],
      };
      for (let i = 0; i < 5; i++) await say(alice, gid, `message ${i}`);
      await world.until('bob has all', () => bob.texts(gid).length === 5, 60_000);
      assert.ok(bob.isLinkedWith(eve));
    });
  });

  describe('on signals', () => {
    /** All blobs that passed the node, and how many connections each member has built. */
    async function recorded(...names: string[]) {
      const blobs: { blob: Uint8Array; from: string; to: string }[] = [];
      world = await MeshWorld.of(...names);
      world.node.carry = (blob, way) => {
        blobs.push({ blob, ...way });
        return blob;
      };
      const gid = await world.group(...world.members);
      return { gid, blobs, members: world.members };
    }
    const relayed = (from: WorldMember, blob: Uint8Array): NodeMessage => ({ type: 'relayed', from: from.did, blob });

    it('yesterday’s signals brought again, to whom they were for and to whom they were from: nothing is built', async () => {
      const { gid, blobs, members } = await recorded('alice', 'bob');
      const [alice, bob] = members;
      assert.ok(alice && bob);
      world.node.carry = () => undefined;
      world.network.breakLinks('alice', 'bob');
      await world.until('the link is gone', () => !alice.isLinkedWith(bob));
      await world.clock.advance(26 * 60 * 60_000);
      const built = () => members.map((member) => member.built);
      const before = built();
      for (let round = 0; round < 3; round++) {
        for (const { blob, from, to } of blobs) {
          const [sender, receiver] = [world.member(from), world.member(to)];
          world.node.tell(to, relayed(sender, blob));
          world.node.tell(from, relayed(receiver, blob));
          world.node.tell(from, relayed(sender, blob));
        }
        await world.clock.advance(20_000);
      }
      assert.deepEqual(built(), before);
      // Also by a device that was started anew and remembers nothing.
      await bob.close();
      await world.reopen(bob);
      const fresh = bob.built;
      for (const { blob, from, to } of blobs) if (to === 'bob') world.node.tell(to, relayed(world.member(from), blob));
      await world.clock.advance(20_000);
      assert.equal(bob.built, fresh);
      world.node.carry = (blob) => blob;
      await world.until('they are linked again', () => alice.isLinkedWith(bob) && bob.isLinkedWith(alice));
      await say(alice, gid, 'here we are');
      await world.until('bob reads it', () => bob.texts(gid).length === 1);
    });

    it('each signal brought three times: the link is made once', async () => {
      world = await MeshWorld.of('alice', 'bob');
      const [alice, bob] = world.members;
      assert.ok(alice && bob);
      world.node.carry = (blob, { from, to }) => {
        const message = relayed(world.member(from), blob);
        for (let i = 0; i < 2; i++) world.node.tell(to, message);
        return blob;
      };
      await world.group(alice, bob);
      assert.deepEqual([alice.built, bob.built], [1, 1]);
    });

    it('a bit flipped anywhere in a signal: it is dropped, and the link comes by another', async () => {
      world = await MeshWorld.of('alice', 'bob');
      const [alice, bob] = world.members;
      assert.ok(alice && bob);
      let at = 0;
      let spoiled = 0;
      world.node.carry = (blob, { to }) => {
        if (to !== 'bob' || spoiled >= 2) return blob;
        spoiled += 1;
        at = (at * 31 + 17) % blob.length;
        return blob.map((byte, i) => (i === at ? byte ^ 16 : byte));
      };
      await world.group(alice, bob);
      assert.equal(spoiled, 2);
      // What did not fit any group is a stranger's for all that bob can tell; the rest is named.
      assert.ok(
        bob.notes.every((note) => !/surpris|error/i.test(note)),
        bob.notes.join(),
      );
    });

    it('a member who speaks as another: the signature tells', async () => {
      const { gid, members } = await crew('alice', 'bob', 'eve');
      const [alice, bob, eve] = members;
      assert.ok(alice && bob && eve);
      world.network.breakLinks('alice', 'bob');
      const built = alice.built;
      const lockKey = readLockKeyOf(alice);
      const body: SignalBody = {
        sid: world.random(16),
        from: bob.did,
        to: alice.did,
        no: 0,
        payload: { kind: 'knock', nonce: world.random(32), lockKey: eve.device.lockKeys[0]?.encoded ?? assert.fail() },
      };
      const meshKey = eve.group(gid).log.currentEpoch()?.meshKey ?? assert.fail();
      const signer = await signingKeyFromSeed(eve.device.signSeed);
      const blob = await sealSignal({ body, signer, to: { did: alice.did, ...lockKey }, meshKey });
      world.node.tell('alice', relayed(bob, blob));
      await world.clock.advance(100);
      assert.ok(alice.notes.includes('signal refused: bad-signature'), alice.notes.join());
      // Signed well by eve, and said by the node to be bob's.
      const own = await sealSignal({ body: { ...body, from: eve.did }, signer, to: { did: alice.did, ...lockKey }, meshKey });
      world.node.tell('alice', relayed(bob, own));
      await world.clock.advance(100);
      assert.ok(alice.notes.includes('signal refused: from another'), alice.notes.join());
      assert.equal(alice.built, built);
    });

    it('a flood of them from a stranger, a member and the node: answers stay few', async () => {
      const { gid, members } = await crew('alice', 'bob', 'eve');
      const [alice, bob, eve] = members;
      assert.ok(alice && bob && eve);
      const meshKey = eve.group(gid).log.currentEpoch()?.meshKey ?? assert.fail();
      const signer = await signingKeyFromSeed(eve.device.signSeed);
      const asked = () => world.node.asked.filter(({ name }) => name === 'alice').length;
      const before = asked();
      for (let i = 0; i < 100; i++) {
        const payload = {
          kind: 'knock',
          nonce: world.random(32),
          lockKey: eve.device.lockKeys[0]?.encoded ?? assert.fail(),
        } as const;
        const body: SignalBody = { sid: world.random(16), from: eve.did, to: alice.did, no: 0, payload };
        const blob = await sealSignal({ body, signer, to: { did: alice.did, ...readLockKeyOf(alice) }, meshKey });
        world.node.tell('alice', relayed(eve, blob));
        world.node.tell('alice', { type: 'relayed', from: bob.did, blob: world.random(700) });
        world.node.tell('alice', { type: 'log-grew', gTag: alice.group(gid).log.gTag, no: i });
      }
      await world.clock.advance(5_000);
      assert.ok(asked() - before < 120, `${asked() - before} questions`);
      assert.ok(alice.isLinkedWith(bob));
    });

    it('a man in the middle who owns both ends of the signaling: the confirmation inside fails on both sides', async () => {
      world = await MeshWorld.of();
      const { clock, random, network } = world;
      const [alice, bob] = [await person('alice', clock.now()), await person('bob', clock.now())];
      const happened: string[] = [];
      /** What one side says, on its way to the other. */
      const through = new Map<string, (body: SignalBody) => void>();
      const linksOf = (me: Person, them: Person) =>
        new Links({
          ...{ me: me.device.did, clock, random },
          openLink: network.device(me.username).openLink,
          iceServers: () => [],
          sendSignal: async (to, signal) => {
            clock.after(5, () => through.get(them.username)?.({ ...signal, from: me.device.did, to }));
            return 'sent';
          },
          hashOffer: descriptionHash,
          signProof: (facts) => signLink(me.device.signer, linkHash(facts)),
          checkProof: (_, facts, signature) =>
            verifyLink({ signPub: them.device.signer.publicKey, linkHash: linkHash(facts), signature }),
          note: (text) => happened.push(`${me.username}: ${text}`),
          events: {
            opened: () => happened.push(`${me.username} opened`),
            message: () => happened.push(`${me.username} heard`),
            closed: () => happened.push(`${me.username} closed`),
          },
        });
      const [aliceLinks, bobLinks] = [linksOf(alice, bob), linksOf(bob, alice)];
      let inTheMiddle = 0;
      /** Eve answers the offer herself, makes one of her own for the other side, and passes on all that is said inside. */
      const eve: { toOfferer?: Link; toAnswerer?: Link; offer: string; answer: string } = { offer: '', answer: '' };
      const tamper = (deliver: (body: SignalBody) => void) => (body: SignalBody) => {
        const { payload } = body;
        if (payload.kind === 'offer') {
          inTheMiddle += 1;
          const { sdp, candidates } = split(payload.sdp);
          eve.offer = payload.sdp;
          const pass = (to: 'toOfferer' | 'toAnswerer') => (bytes: Uint8Array) => void eve[to]?.send(bytes);
          const events = { opened: () => undefined, drained: () => undefined, closed: () => undefined };
          eve.toOfferer = network.device('eve').openLink({
            ...{ role: 'answerer', iceServers: [] },
            events: {
              ...events,
              message: pass('toAnswerer'),
              signal: (signal) => signal.kind === 'answer' && Object.assign(eve, { answer: signal.sdp }),
            },
          });
          eve.toOfferer.signal({ kind: 'offer', sdp });
          for (const candidate of candidates) eve.toOfferer.signal({ kind: 'candidate', candidate });
          eve.toAnswerer = network.device('eve').openLink({
            ...{ role: 'offerer', iceServers: [] },
            events: {
              ...events,
              message: pass('toOfferer'),
              signal: (signal) => signal.kind === 'offer' && deliver({ ...body, payload: { ...payload, sdp: signal.sdp } }),
            },
          });
        } else if (payload.kind === 'answer') {
          const { sdp, candidates } = split(payload.sdp);
          eve.toAnswerer?.signal({ kind: 'answer', sdp });
          for (const candidate of candidates) eve.toAnswerer?.signal({ kind: 'candidate', candidate });
          deliver({ ...body, payload: { ...payload, offerHash: descriptionHash(eve.offer), sdp: eve.answer } });
        } else deliver(body);
      };
      through.set(
        alice.username,
        tamper((body) => aliceLinks.signalled(body)),
      );
      through.set(
        bob.username,
        tamper((body) => bobLinks.signalled(body)),
      );
      aliceLinks.want([bob.device.did]);
      bobLinks.want([alice.device.did]);
      aliceLinks.seen(bob.device.did, true, 'me');
      await world.clock.advance(40_000);
      assert.ok(inTheMiddle > 0);
      assert.deepEqual(
        happened.filter((what) => /opened|heard/.test(what)),
        [],
      );
      assert.equal(aliceLinks.isOpen(bob.device.did) || bobLinks.isOpen(alice.device.did), false);
      // Without her in the middle the same two are linked.
      through.set(alice.username, (body) => aliceLinks.signalled(body));
      through.set(bob.username, (body) => bobLinks.signalled(body));
      await world.until('linked', () => aliceLinks.isOpen(bob.device.did) && bobLinks.isOpen(alice.device.did), 10 * 60_000);
      aliceLinks.close();
      bobLinks.close();
    });
  });
});

/** The newest lock key of a device, as others have it. */
function readLockKeyOf({ device, did }: WorldMember): { lockNo: number; lockPub: Uint8Array } {
  const encoded = device.lockKeys.at(-1)?.encoded ?? assert.fail();
  const { signPub } = readDeviceCert(device.certificate);
  const { no: lockNo, lockPub } = readLockKey(encoded, { did, signPub });
  return { lockNo, lockPub };
}

function split(description: string): { sdp: string; candidates: string[] } {
  const lines = description.split('\r\n');
  const isCandidate = (line: string) => line.startsWith('a=candidate:');
  const candidates = lines.filter(isCandidate).map((line) => line.slice(2));
  return { sdp: lines.filter((line) => !isCandidate(line)).join('\r\n'), candidates };
}
