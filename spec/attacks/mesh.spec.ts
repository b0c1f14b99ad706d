// Attacks on the mesh, run against whole engines: by the node, by members and whoever relays, by strangers with a socket.
import { strict as assert } from 'node:assert';
import { createDevice, openDevice, readDeviceCert, readLockKey } from '../../keys/device.ts';
import { signingKeyFromSeed } from '../../keys/ed25519.ts';
import { rosterTagOf } from '../../keys/epoch.ts';
import { readFrame, sealFrame } from '../../keys/frame-seal.ts';
import { descriptionHash, linkHash, signLink, verifyLink } from '../../keys/link-confirm.ts';
import { sealOp } from '../../keys/log-seal.ts';
import { signOp } from '../../keys/op.ts';
import { sealSignal } from '../../keys/signal-seal.ts';
import { Group } from '../../mesh/group.ts';
import { GroupLog } from '../../mesh/group-log.ts';
import { Links } from '../../mesh/links.ts';
import { NodeRefusal } from '../../mesh/node-requests.ts';
import type { Link } from '../../mesh/ports.ts';
import { hex, utf8 } from '../../wire/bytes.ts';
import { decode, encode } from '../../wire/codec.ts';
import { type OpBody, roles } from '../../wire/group-ops.ts';
import { asDid, asFrameId, asOpId, type Did, type FrameId, type Gid } from '../../wire/ids.ts';
import type { LogEntry, NodeMessage } from '../../wire/node-messages.ts';
import { type PeerMessage, peerMessage } from '../../wire/peer-messages.ts';
import type { SignalBody } from '../../wire/signal.ts';
import type { MemoryStore } from '../fakes.ts';
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

    it('by an entry in another’s name: refused, and still refused after a restart', async () => {
      const { gid, members } = await crew('alice', 'bob', 'eve');
      const [alice, bob, eve] = members;
      assert.ok(alice && bob && eve);
      const { log } = eve.group(gid);
      const body: OpBody = {
        ...{ gid, parents: log.ops.heads(), depth: 1 + (log.depthOf(log.ops.heads()[0] ?? gid) ?? 0), author: alice.did },
        ...{ wall: 0, changes: [{ kind: 'set-role', uid: eve.uid, role: roles.owner }], epoch: undefined },
      };
      const op = await signOp({ body, signer: await signingKeyFromSeed(eve.device.signSeed) });
      const { gTag, newestLogKey: logKey } = log;
      const { heads } = world.node.logOf(gTag);
      const sealed = await sealOp({ gTag, logKey, op: op.bytes });
      const append = { gTag, expectedHeads: heads, opId: op.opId, parents: op.body.parents, sealed, shards: [] };
      world.node.append('nobody', { ...append, appendPub: new Uint8Array(32), nextAppendPub: undefined, retire: 0 });
      const roleOfEve = () => bob.group(gid).roleOf(eve.uid);
      await world.clock.advance(5_000);
      assert.ok(
        bob.notes.some((note) => note.includes('bad-signature')),
        bob.notes.join(),
      );
      assert.equal(roleOfEve(), roles.member);
      await bob.close();
      await world.reopen(bob);
      await world.clock.advance(5_000);
      assert.equal(roleOfEve(), roles.member);
      assert.equal(opsOf(bob, gid), 3);
      // The others go on above it.
      await world.during(alice.chat.membership.invite(alice.group(gid), { role: roles.member, maxUses: 1 }));
      await world.until('bob hears of it', () => opsOf(bob, gid) === 4);
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
      for (let i = 0; i < 60; i++) {
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

  it('a device that the node invents for bob: not in the log, no key, no link, and what it says is nobody’s', async () => {
    world = await MeshWorld.of('alice', 'bob', 'eve');
    const [alice, bob, eve] = world.members;
    assert.ok(alice && bob && eve);
    const { random, clock } = world;
    const parts = { uid: bob.uid, name: 'laptop of bob', random, now: clock.now() };
    const byEve = await createDevice({ ...parts, agent: eve.identity.agent });
    const { did } = readDeviceCert(byEve.certificate);
    const resident = world.node.residents.get(hex(bob.uid)) ?? assert.fail();
    resident.devices.set(hex(did), { deviceCert: byEve.certificate, lockKeys: byEve.lockKeys.map(({ encoded }) => encoded) });
    const gid = await world.group(alice, bob, eve);
    const devices = alice.group(gid).log.state()?.members.get(hex(bob.uid))?.devices ?? assert.fail();
    assert.deepEqual([...devices.keys()], [hex(bob.did)]);
    assert.deepEqual([...(alice.group(gid).log.currentEpoch()?.chains.keys() ?? [])].includes(hex(did)), false);
    const built = alice.built;
    const asked = () =>
      world.node.asked.filter(({ question }) => question.type === 'relay' && hex(question.to) === hex(did)).length;
    world.node.tell('alice', { type: 'presence', rosterTag: rosterTagOf(alice.group(gid).log.newestLogKey), did, online: 1 });
    await clock.advance(30_000);
    assert.deepEqual([alice.built, asked()], [built, 0]);
    // Eve lends it all the keys that she has.
    const { epochId } = alice.group(gid).log.currentEpoch() ?? assert.fail();
    const forged = await sealFrame({
      chain: { gen: 0, key: random(32) },
      place: { gid, epochId, did, seq: 1, previous: new Uint8Array(32) },
      plaintext: { version: 1, kind: 0, sentAt: clock.now(), heads: [], body: utf8('{"kind":"text","text":"boo"}') },
      signer: await signingKeyFromSeed(byEve.signSeed),
      nonce: random(12),
    });
    eve.inject('alice', asMessage(forged));
    await clock.advance(5_000);
    assert.deepEqual(alice.texts(gid), []);
    assert.equal(alice.group(gid).transcript.top(did), 0);
  });

  it('two hundred frames of five in any order: the same transcript everywhere', async () => {
    const { gid, members } = await crew('alice', 'bob', 'carol', 'dave', 'eve');
    const [alice, , carol] = members;
    assert.ok(alice && carol);
    const snapshot = carol.store.copy();
    const frames = new Map<string, Uint8Array>();
    for (const member of members)
      member.tap = {
        incoming: (bytes) => [bytes],
        outgoing: (bytes) => {
          const message = bytes[0] === 0x54 ? decode(peerMessage, bytes) : undefined;
          if (message?.type === 'frame') frames.set(hex(readFrame(message.frame).frameId), message.frame);
          return [bytes];
        },
      };
    for (let i = 0; frames.size < 200; i++) {
      const speaker = members[(world.random(1)[0] ?? 0) % 5] ?? alice;
      await say(speaker, gid, `message ${i}`);
      if (i % 3 === 0) await world.clock.advance((world.random(1)[0] ?? 0) * 4);
    }
    await world.clock.advance(20_000);
    const order = (group: Group) => group.transcript.inOrder().map(({ entry }) => hex(entry.id));
    const expected = order(alice.group(gid));
    assert.ok(expected.length >= 200);
    for (const member of members) assert.deepEqual(order(member.group(gid)), expected, member.name);
    for (let round = 0; round < 2; round++) {
      const group = await aloneWith(snapshot.copy(), carol);
      const shuffled = expected.map((id) => ({ id, at: hex(world.random(4)) })).sort((a, b) => (a.at < b.at ? -1 : 1));
      for (const { id } of shuffled) await group.receive(readFrame(frames.get(id) ?? assert.fail()), alice.did);
      // A key too far ahead waits for those before it, and comes again.
      for (const { id } of shuffled) await group.receive(readFrame(frames.get(id) ?? assert.fail()), alice.did);
      assert.deepEqual(order(group), expected);
    }
  });

  /** The group as a member's store had it, with no world around. */
  async function aloneWith(store: MemoryStore, { device, identity }: WorldMember): Promise<Group> {
    const me = await openDevice(device);
    const { clock, random } = world;
    const nothing = () => undefined;
    const line = { request: () => Promise.reject(new NodeRefusal('offline')) };
    const [log] = await GroupLog.loadAll({
      me,
      agent: identity.agent,
      line,
      store,
      random,
      now: () => clock.now(),
      note: nothing,
    });
    assert.ok(log);
    const happenings = { note: nothing, stored: nothing, forked: nothing, changed: nothing, logWanted: nothing };
    const group = new Group({ me, store, clock, random, neighbours: () => 0, ...happenings }, log);
    await group.load();
    return group;
  }

  describe('by members who were removed', () => {
    it('links close, and what they say or hear from then on is nothing', async () => {
      const { gid, members } = await crew('alice', 'bob', 'carol', 'eve');
      const [alice, bob, carol, eve] = members;
      assert.ok(alice && bob && carol && eve);
      const staying = [alice, bob, carol];
      eve.tap = { outgoing: (bytes) => (bytes[0] === 0x54 ? [] : [bytes]), incoming: (bytes) => [bytes] };
      const [one, two, three, four] = await forgeChain(eve, gid, { texts: ['one', 'two', 'three to bob alone', 'four, later'] });
      assert.ok(one && two && three && four);
      for (const member of staying) for (const frame of [one, two]) eve.inject(member.name, asMessage(frame));
      await world.until('all read two', () => staying.every((member) => member.texts(gid).length === 2));
      world.network.cut('alice', 'bob');
      world.network.cut('carol', 'bob');
      eve.inject('bob', asMessage(three));
      await world.until('bob reads three', () => bob.texts(gid).length === 3);
      await world.during(alice.chat.membership.remove(alice.group(gid), eve.uid));
      await world.clock.advance(1_000);
      for (const member of staying) assert.equal(member.isLinkedWith(eve), false, member.name);
      world.network.heal('alice', 'bob');
      world.network.heal('carol', 'bob');
      await world.until('linked again', () => alice.isLinkedWith(bob) && bob.isLinkedWith(alice) && carol.isLinkedWith(bob));
      // Beyond what her remover had seen it counts nowhere, not even where it came in time.
      await world.until('bob took it back', () => bob.texts(gid).length === 2);
      await say(alice, gid, 'without eve');
      await world.until('they read it', () => staying.every((member) => member.texts(gid).length === 3));
      const readable = four.bytes;
      for (const member of staying) {
        const outcome = await member.group(gid).receive(readFrame(readable), bob.did);
        assert.equal(outcome, 'refused', member.name);
        assert.deepEqual(member.texts(gid), ['one', 'two', 'without eve']);
      }
      const built = staying.map((member) => member.built);
      eve.chat.links.want(staying.map(({ did }) => did));
      for (const { did } of staying) eve.chat.links.seen(did, true, 'me');
      await world.clock.advance(120_000);
      assert.deepEqual(
        staying.map((member) => member.built),
        built,
      );
      assert.equal(eve.texts(gid).includes('without eve'), false);
      // What she had she keeps, and she cannot speak.
      await eve.close();
      await world.reopen(eve);
      assert.ok(eve.texts(gid).length <= 2);
      assert.equal(eve.group(gid).isIn(), false);
      assert.equal(await eve.group(gid).send({ kind: 'text', text: 'still here' }), 'no-key');
      for (const member of staying) {
        await member.close();
        await world.reopen(member);
        assert.deepEqual(member.texts(gid), ['one', 'two', 'without eve']);
      }
    });

    it('who is let in again is in', async () => {
      const { gid, members } = await crew('alice', 'bob', 'eve');
      const [alice, bob, eve] = members;
      assert.ok(alice && bob && eve);
      await say(eve, gid, 'before');
      await world.until('they read it', () => [alice, bob].every((member) => member.texts(gid).length === 1));
      await world.during(alice.chat.membership.remove(alice.group(gid), eve.uid));
      await world.until('eve is out', () => !eve.group(gid).isIn());
      await world.clock.advance(2_000);
      await say(bob, gid, 'between');
      assert.equal(await world.during(alice.chat.membership.add(alice.group(gid), 'eve')), 'added');
      await world.until('eve is in', () => eve.group(gid).isIn());
      await world.together(gid, alice, bob, eve);
      await say(eve, gid, 'after');
      await world.until('they read it', () => [alice, bob].every((member) => member.texts(gid).includes('after')));
      assert.deepEqual(alice.texts(gid), ['before', 'between', 'after']);
      assert.deepEqual(eve.texts(gid), ['before', 'after']);
    });
  });

  describe('by bytes that nobody sends', () => {
    /** Everybody is as well as before, and nobody was surprised (see afterEach). */
    async function allIsWell(gid: Gid, members: WorldMember[]): Promise<void> {
      const [first, ...others] = members;
      assert.ok(first);
      await world.until(
        'they are linked',
        () => others.every((other) => first.isLinkedWith(other) && other.isLinkedWith(first)),
        20 * 60_000,
      );
      const before = first.texts(gid).length;
      await say(first, gid, `well ${before}`);
      await world.until('they read it', () => others.every((other) => other.texts(gid).includes(`well ${before}`)));
    }

    it('on a link before it is confirmed: it does not open, and the next one does', async () => {
      const { gid, members } = await crew('alice', 'eve');
      const [alice, eve] = members;
      assert.ok(alice && eve);
      const hostile: ((bytes: Uint8Array) => Uint8Array[])[] = [
        () => [],
        (bytes) => [world.random(bytes.length)],
        (bytes) => [mutated(bytes, world.random)],
        (bytes) => [bytes.subarray(0, 20)],
        (bytes) => [bytes, bytes, bytes],
        () => [new Uint8Array(60_000)],
        (bytes) => [...Array.from({ length: 30 }, () => new Uint8Array(60_000)), bytes],
        () => [encode(peerMessage, { type: 'bye' })],
        (bytes) => [bytes, encode(peerMessage, { type: 'frame', frame: world.random(600) })],
      ];
      for (const change of hostile) {
        let confirming = 0;
        eve.tap = {
          incoming: (bytes) => [bytes],
          outgoing: (bytes) => ((bytes[0] === 0x51 || bytes[0] === 0x52) && confirming++ < 2 ? change(bytes) : [bytes]),
        };
        world.network.breakLinks('alice', 'eve');
        await world.until('it was tried', () => confirming >= 1, 10 * 60_000);
        await world.clock.advance(15_000);
        eve.tap = { incoming: (bytes) => [bytes], outgoing: (bytes) => [bytes] };
        await allIsWell(gid, members);
      }
    });

    it('on an open link: it closes, its device is shunned for a minute, and nothing else happens', async () => {
      const { gid, members } = await crew('alice', 'bob', 'eve');
      const [alice, bob, eve] = members;
      assert.ok(alice && bob && eve);
      const messages = [new Uint8Array([0x53, 0x00]), encode(peerMessage, { type: 'digest', gid, digest: world.random(16) })];
      for (let round = 0; round < 8; round++) {
        await world.until('eve is linked', () => alice.isLinkedWith(eve) && eve.isLinkedWith(alice), 20 * 60_000);
        const bytes =
          round % 2 === 0 ? world.random(1 + round * 9) : Uint8Array.of(...(messages[round % 4 === 1 ? 0 : 1] ?? []), round);
        eve.inject('alice', bytes);
        await world.until('it is closed', () => !alice.isLinkedWith(eve));
        const closedAt = world.clock.now();
        assert.ok(alice.isLinkedWith(bob));
        await world.until('eve is linked again', () => alice.isLinkedWith(eve), 20 * 60_000);
        assert.ok(world.clock.now() - closedAt >= 55_000, `${world.clock.now() - closedAt} ms`);
      }
      await allIsWell(gid, members);
    });

    it('messages that say anything: they cost what they are allowed to', async () => {
      const { gid, members } = await crew('alice', 'bob', 'eve');
      const [alice, bob, eve] = members;
      assert.ok(alice && bob && eve);
      for (const member of [alice, bob]) await say(member, gid, 'known');
      await world.clock.advance(5_000);
      const frames = [alice, bob].flatMap(({ did }) => alice.group(gid).transcript.inRanges(did, [{ from: 1, to: 9 }]));
      const dids = members.map(({ did }) => did);
      const sentBefore = alice.traffic.sent;
      for (let i = 0; i < 400; i++)
        eve.inject('alice', encode(peerMessage, anyMessage({ random: world.random, gids: [gid], dids, frames })));
      await world.clock.advance(2_000);
      assert.ok(alice.traffic.sent - sentBefore < 1_500, `${alice.traffic.sent - sentBefore} messages`);
      // Thousands of looks into everything are not answered one by one.
      const before = alice.traffic.sent;
      for (let i = 0; i < 3_000; i++) eve.inject('alice', encode(peerMessage, { type: 'digest', gid, digest: world.random(16) }));
      await world.clock.advance(1_000);
      assert.ok(alice.traffic.sent - before < 1_000, `${alice.traffic.sent - before} answers`);
      await allIsWell(gid, members);
    });

    it('frames of a member that hold what nobody can read', async () => {
      const { gid, members } = await crew('alice', 'bob', 'eve');
      const [alice, bob, eve] = members;
      assert.ok(alice && bob && eve);
      eve.tap = { outgoing: (bytes) => (bytes[0] === 0x54 ? [] : [bytes]), incoming: (bytes) => [bytes] };
      const bodies = [
        ...['', 'null', '[]', '{}', '{"kind":"text"}', '{"kind":"text","text":5}', '{"kind":"nickname","nickname":"\\u202e"}'],
        ...['{"kind":"receipt","delivered":[["00",1]]}', '{"kind":"receipt","delivered":{}}', '{"kind":"__proto__"}'],
        `{"kind":"receipt","delivered":[${Array.from({ length: 400 }, (_, i) => `["${hex(world.random(32))}",${i + 1}]`).join()}]}`,
        JSON.stringify({ kind: 'text', text: 'x'.repeat(17_000) }),
        '{"kind":"later version","of":"this"}',
      ].map(utf8);
      let previous: Forged | undefined;
      for (const [i, rawBody] of [...bodies, world.random(300)].entries()) {
        const heads = Array.from({ length: i % 9 }, () => asFrameId(world.random(32)));
        const at = i === 3 ? Number.MAX_SAFE_INTEGER : i;
        const forged: Forged = await forge(eve, gid, {
          ...{ seq: i + 1, rawBody, heads, sentAt: at },
          ...(previous === undefined ? {} : { previous: previous.frameId }),
        });
        previous = forged;
        eve.inject('alice', asMessage(forged));
      }
      await world.until('bob has them', () => bob.group(gid).transcript.top(eve.did) === bodies.length + 1);
      assert.deepEqual(bob.texts(gid), []);
      // A key far ahead costs nothing, and does not stop what comes in its place.
      const far = await forge(eve, gid, { seq: bodies.length + 2, gen: 1_500, ...(previous && { previous: previous.frameId }) });
      eve.inject('alice', asMessage(far));
      await allIsWell(gid, [alice, bob]);
      const order = (member: WorldMember) =>
        member
          .group(gid)
          .transcript.inOrder()
          .map(({ entry }) => hex(entry.id));
      assert.deepEqual(order(alice), order(bob));
    });

    it('from the node: signals, mails, entries, shards and people that were changed', async () => {
      world = await MeshWorld.of('alice', 'bob', 'carol');
      const [alice, bob, carol] = world.members;
      assert.ok(alice && bob && carol);
      const gid = await world.group(alice, bob);
      let changed = 0;
      /** Every other answer is not what it should be. */
      world.node.edit = (message) => {
        if (!['log-page', 'mail-page', 'shard', 'found', 'relayed', 'roster', 'conflict'].includes(message.type)) return message;
        changed += 1;
        return changed % 2 === 0 ? message : spoiled(message, world.random);
      };
      for (let i = 0; i < 12; i++) {
        await world.during(alice.chat.membership.add(alice.group(gid), 'carol')).catch(onlyRefusals);
        await world.during(alice.chat.membership.invite(alice.group(gid), { role: 2, maxUses: 1 })).catch(onlyRefusals);
        world.node.tell('bob', { type: 'mail-came', box: { of: 'person', uid: bob.uid }, no: 1 });
        world.node.tell('bob', { type: 'relayed', from: alice.did, blob: world.random(600) });
        world.node.post({ of: 'person', uid: bob.uid }, world.random(900));
        world.node.post({ of: 'group', gTag: alice.group(gid).log.gTag }, world.random(900));
        if (i % 4 === 3) world.network.breakLinks('alice', 'bob');
        await world.clock.advance(15_000);
      }
      assert.ok(changed > 60, `${changed}`);
      world.node.edit = (message) => message;
      world.node.tell('bob', { type: 'log-grew', gTag: alice.group(gid).log.gTag, no: 99 });
      await world.until('bob has the log', () => opsOf(bob, gid) === opsOf(alice, gid), 20 * 60_000);
      await world.during(alice.chat.membership.add(alice.group(gid), 'carol')).catch(onlyRefusals);
      await world.until('carol is in', () => carol.chat.group(gid) !== undefined, 20 * 60_000);
      await allIsWell(gid, [alice, bob, carol]);
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

function onlyRefusals(error: unknown): void {
  if (!(error instanceof NodeRefusal)) throw error;
}

function mutated(bytes: Uint8Array, random: (length: number) => Uint8Array): Uint8Array {
  const [how = 0, high = 0, low = 0, byte = 0] = random(4);
  const at = (high * 256 + low) % Math.max(1, bytes.length);
  if (how % 4 === 0) return bytes.slice(0, at);
  if (how % 4 === 1) return Uint8Array.of(...bytes, byte);
  return bytes.map((one, i) => (i === at ? one ^ (1 << (byte % 8)) : one));
}

/** Every vector of bytes in a message changed a little, so that it still is a message. */
function spoiled(message: NodeMessage, random: (length: number) => Uint8Array): NodeMessage {
  const flip = (bytes: Uint8Array) => {
    const [high = 0, low = 0] = random(2);
    const at = (high * 256 + low) % Math.max(1, bytes.length);
    return bytes.map((one, i) => (i === at ? one ^ 0x20 : one));
  };
  switch (message.type) {
    case 'log-page':
      return { ...message, entries: message.entries.map((entry) => ({ ...entry, sealed: flip(entry.sealed) })) };
    case 'mail-page':
      return { ...message, mails: message.mails.map((mail) => ({ ...mail, body: flip(mail.body) })) };
    case 'shard':
      return { ...message, shard: flip(message.shard) };
    case 'relayed':
      return { ...message, blob: flip(message.blob) };
    case 'roster':
      return { ...message, online: Array.from({ length: 50 }, () => asDid(random(32))) };
    case 'conflict':
      return { ...message, heads: [asOpId(random(32)), asOpId(random(32))] };
    case 'found': {
      const { entry } = message;
      const [which = 0] = random(1);
      const { openPgpSignature, body } = entry.claim;
      if (which % 4 === 0) return { ...message, entry: { ...entry, certificate: flip(entry.certificate) } };
      if (which % 4 === 1) return { ...message, entry: { ...entry, claim: { body, openPgpSignature: flip(openPgpSignature) } } };
      if (which % 4 === 2) return { ...message, entry: { ...entry, claim: { body: flip(body), openPgpSignature } } };
      const devices = entry.devices.map(({ deviceCert, lockKeys }) => ({
        deviceCert: flip(deviceCert),
        lockKeys: lockKeys.map(flip),
      }));
      return { ...message, entry: { ...entry, devices } };
    }
    default:
      return message;
  }
}

/** Well formed, about things that are there or not, with numbers at their ends. */
function anyMessage(parts: { random: (length: number) => Uint8Array; gids: Gid[]; dids: Did[]; frames: FrameId[] }): PeerMessage {
  const { random } = parts;
  const dice = (sides: number) => (random(1)[0] ?? 0) % sides;
  const oneOf = <T>(known: readonly T[], made: () => T): T => (dice(3) === 0 ? made() : (known[dice(known.length)] ?? made()));
  const many = <T>(most: number, make: () => T): T[] => Array.from({ length: dice(most) }, make);
  const gid = oneOf(parts.gids, () => asOpId(random(32)));
  const frame = () => oneOf(parts.frames, () => asFrameId(random(32)));
  const did = () => oneOf(parts.dids, () => asDid(random(32)));
  const number = () => [0, 1, 2, 7, 1_000, 2 ** 32, Number.MAX_SAFE_INTEGER][dice(7)] ?? 0;
  const ranges = () => many(9, () => ({ from: number(), to: number() }));
  switch (dice(10)) {
    case 0:
      return { type: 'link-groups', tokens: many(33, () => random(16)) };
    case 1:
      return { type: 'frame', frame: random(dice(255) * 3) };
    case 2:
      return { type: 'have', gid, frames: many(200, frame) };
    case 3:
      return { type: 'want', gid, frames: many(200, frame) };
    case 4:
      return { type: 'digest', gid, digest: random(16) };
    case 5:
      return { type: 'vector', gid, devices: many(60, () => ({ did: did(), ranges: ranges(), top: frame() })) };
    case 6:
      return { type: 'want-ranges', gid, devices: many(60, () => ({ did: did(), ranges: ranges() })) };
    case 7:
      return { type: 'log-heads', gid, heads: many(9, () => asOpId(random(32))) };
    case 8:
      return { type: 'fork', first: random(dice(255) * 2), second: random(dice(255) * 2) };
    default:
      return { type: dice(2) === 0 ? 'ping' : 'pong', no: dice(200) };
  }
}
