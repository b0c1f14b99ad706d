// Attacks on the node over real sockets: 9 to 13, 42, 55 to 57 of the list, and bytes that are no messages.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { WebSocket } from 'ws';
import type { Device } from '../../keys/device.ts';
import { shardHashOf } from '../../keys/identity.ts';
import { makeClientAuth } from '../../keys/login-challenge.ts';
import { openLmdbStore } from '../../signaling/store-lmdb.ts';
import { encode } from '../../wire/codec.ts';
import { asRosterTag } from '../../wire/ids.ts';
import { limits } from '../../wire/limits.ts';
import type { ClientAuth } from '../../wire/login-messages.ts';
import { type ClientMessage, clientMessage, type NodeMessage } from '../../wire/node-messages.ts';
import { ManualClock, seededRandom } from '../fakes.ts';
import { anotherDevice, claimOf, NodeClient, type Purpose } from '../node-client.ts';
import { type Person, person } from '../people.ts';
import { appendKey, bytes, gTag, NodeUnderTest, opId, signedAppend } from '../running-node.ts';
import { documentedTables, storedFields } from '../stored-fields.ts';

const many = process.env.SLOW === '1' ? 20 : 1;

describe('Attacks on the node', function () {
  this.timeout(many > 1 ? 600_000 : 30_000);
  let alice: Person;
  let bob: Person;
  let eve: Person;
  let under: NodeUnderTest;

  before(async () => {
    const now = new ManualClock().now();
    alice = await person('alice', now);
    bob = await person('bob', now);
    eve = await person('eve', now);
  });
  beforeEach(async () => {
    under = await NodeUnderTest.start();
  });
  afterEach(() => under.dispose());

  const refused = (message: NodeMessage) => (message.type === 'refused' ? message.code : `not refused: ${message.type}`);

  /** Up to the node's hello, and the proof an honest client would give. */
  async function challenged(who: Person, purpose: Purpose, device: Device = who.device) {
    const client = await under.dial();
    const helloBytes = client.hello({ port: under.port, person: who, purpose, device });
    const nodeHello = await client.next('node-hello');
    const proof = await client.proof({ helloBytes, nodeHello, person: who, purpose, device, now: under.clock.now() });
    return { client, nodeHello, ...proof };
  }

  async function isRefused(client: NodeClient, auth: ClientAuth, code: string, line: string): Promise<void> {
    client.send({ type: 'client-auth', ...auth });
    assert.equal(refused(await client.next('refused', 'node-auth')), code);
    await client.closed;
    assert.ok(under.lines.includes(line), `${line} is not among\n${under.lines.join('\n')}`);
  }

  const flipped = (part: Uint8Array) => part.map((byte, i) => (i === part.length - 1 ? byte ^ 1 : byte));

  describe('on names (9, 10)', () => {
    /** A registration under a name that the codec would not write. */
    async function registerAs(name: Uint8Array): Promise<string> {
      const client = await under.dial();
      const origin = `ws://127.0.0.1:${under.port}`;
      const start = { flags: 0, origin, nonce: bytes(32, 1) } as const;
      const hello = { purpose: 'register', ...start, username: 'aa', certificate: alice.certificate } as const;
      const good = encode(clientMessage, { type: 'client-hello', suite: 1, hello });
      const nameAt = 4 + 2 + origin.length + 32;
      client.sendBytes(Buffer.concat([good.subarray(0, nameAt), Uint8Array.of(name.length), name, good.subarray(nameAt + 3)]));
      const code = refused(await client.next('refused', 'node-hello'));
      if (code !== 'not refused: node-hello') await client.closed;
      return code;
    }

    it('reserved, capital, homograph, short and over-long names are refused as such', async () => {
      const text = new TextEncoder();
      for (const name of ['admin', 'Alice', 'аlice', 'a', '-alice', 'al ice', 'al\u0000ce', 'al\u202ece']) {
        assert.equal(await registerAs(text.encode(name)), 'name-not-allowed', name);
      }
      assert.equal(await registerAs(Uint8Array.of(0xff, 0xfe)), 'name-not-allowed');
      assert.equal(await registerAs(bytes(33, 0x61)), 'too-large');
      assert.equal(await registerAs(bytes(32, 0x61)), 'not refused: node-hello');
    });

    it('a taken name stays with its owner, and a second name for a key is refused', async () => {
      await under.in(alice);
      await assert.rejects(under.in({ ...eve, username: 'alice' }), /name-taken/);
      await assert.rejects(under.in({ ...alice, username: 'alice2' }), /key-taken/);
      await under.in(alice, 'login');
    });

    it('a registration that fails or stops half-way reserves nothing', async () => {
      const { client, auth } = await challenged({ ...eve, username: 'carol' }, 'register');
      const { nameClaim, ...fields } = auth.signed.fields;
      assert.ok(nameClaim);
      await isRefused(
        client,
        { ...auth, signed: { ...auth.signed, fields: { ...fields, nameClaim: undefined } } },
        'login-refused',
        'a stranger refused: bad-mac (login-refused)',
      );
      const left = await challenged({ ...eve, username: 'carol' }, 'register');
      await left.client.close();
      await under.in({ ...bob, username: 'carol' });
    });

    it('of two who register one name at once, one gets it and the other nothing', async () => {
      const both = [alice, bob].map((who) => ({ ...who, username: 'carol' }));
      const proofs = await Promise.all(both.map((who) => challenged(who, 'register')));
      const answers = await Promise.all(
        proofs.map(({ client, auth }) => {
          client.send({ type: 'client-auth', ...auth });
          return client.next('node-auth', 'refused');
        }),
      );
      assert.deepEqual(answers.map((answer) => (answer.type === 'refused' ? answer.code : 'in')).sort(), ['in', 'name-taken']);
      const loser = answers[0]?.type === 'refused' ? alice : bob;
      await under.in({ ...loser, username: 'dave' });
    });

    it("somebody else's certificate registers nothing", async () => {
      const thief = { ...eve, certificate: alice.certificate };
      const client = await under.dial();
      client.hello({ port: under.port, person: thief, purpose: 'register' });
      const { nodePub } = await client.next('node-hello');
      const nameClaim = await claimOf(eve, { nodePub }, under.clock.now());
      // Without the decryption key no mac can be right.
      const auth = await makeClientAuth({ th1: bytes(32, 1), macKey: bytes(32, 2), device: eve.device, nameClaim });
      await isRefused(client, auth, 'login-refused', 'a stranger refused: bad-mac (login-refused)');
      await under.in({ ...bob, username: 'eve' });
      await under.in(alice);
    });

    it("a claim of another name, another's claim, or none registers nothing", async () => {
      const claims: [claimed: Pick<Person, 'agent' | 'uid' | 'username'> | undefined, why: string][] = [
        [{ ...eve, username: 'carol' }, 'name claim other-claim'],
        [{ ...eve, uid: alice.uid }, 'name claim other-claim'],
        [{ ...alice, username: 'eve', uid: eve.uid }, 'name claim bad-signature'],
        [undefined, 'no name claim'],
      ];
      for (const [claimed, why] of claims) {
        const { client, nodeHello, th1, macKey } = await challenged(eve, 'register');
        const nameClaim = claimed && (await claimOf(claimed, nodeHello, under.clock.now()));
        const auth = await makeClientAuth({ th1, macKey, device: eve.device, nameClaim });
        await isRefused(client, auth, 'login-refused', `a stranger refused: ${why} (login-refused)`);
      }
      const elsewhere = await challenged(eve, 'register');
      const nameClaim = await claimOf(eve, { nodePub: bytes(32, 7) }, under.clock.now());
      const auth = await makeClientAuth({ ...elsewhere, device: eve.device, nameClaim });
      await isRefused(elsewhere.client, auth, 'login-refused', 'a stranger refused: name claim other-claim (login-refused)');
      await under.in(eve);
    });

    it('a proof cannot be exchanged in parts', async () => {
      const { client, nodeHello, auth } = await challenged(eve, 'register');
      const nameClaim = await claimOf(eve, nodeHello, under.clock.now() + 1);
      const signed = { ...auth.signed, fields: { ...auth.signed.fields, nameClaim } };
      await isRefused(client, { ...auth, signed }, 'login-refused', 'a stranger refused: bad-mac (login-refused)');
    });
  });

  describe('on logins (4, 11, 12, 13)', () => {
    beforeEach(async () => {
      await under.in(alice);
      await under.in(bob);
    });

    it('a hello for another origin is refused, whatever it is for and whatever Host says', async () => {
      for (const purpose of ['login', 'register', 'resume'] as const) {
        for (const origin of [
          'wss://evil.example',
          'ws://localhost:1',
          `ws://127.0.0.1:${under.port}/`,
          `wss://127.0.0.1:${under.port}`,
        ]) {
          const client = await under.dial({ host: origin.replace(/^wss?:\/\//, '') });
          client.hello({ port: under.port, person: purpose === 'register' ? eve : alice, purpose, origin });
          assert.equal(refused(await client.next('refused', 'node-hello')), 'wrong-origin');
          assert.equal(await client.closed, 4004);
        }
      }
    });

    it('a wrong mac, a wrong device signature and no mac are refused', async () => {
      const first = await challenged(alice, 'login');
      const mac = flipped(first.auth.mac ?? bytes(0, 0));
      await isRefused(first.client, { ...first.auth, mac }, 'login-refused', 'alice refused: bad-mac (login-refused)');
      const second = await challenged(alice, 'login');
      const unsigned = { ...second.auth, mac: undefined };
      await isRefused(second.client, unsigned, 'login-refused', 'alice refused: bad-mac (login-refused)');
      const third = await challenged(alice, 'resume');
      const signed = { ...third.auth.signed, deviceSignature: flipped(third.auth.signed.deviceSignature) };
      const line = 'alice refused: bad-device-signature (device-refused)';
      await isRefused(third.client, { ...third.auth, signed }, 'device-refused', line);
    });

    it("a device of somebody else, one's own on a resume of another, and an expired one are refused", async () => {
      const first = await challenged(alice, 'login', bob.device);
      await isRefused(first.client, first.auth, 'login-refused', 'alice refused: device other-person (login-refused)');
      const second = await challenged(alice, 'resume');
      const other = await anotherDevice(alice, 1, under.clock.now());
      const auth = await makeClientAuth({ th1: second.th1, macKey: undefined, device: other, nameClaim: undefined });
      await isRefused(second.client, auth, 'device-refused', 'alice refused: bad-device-signature (device-refused)');
      const third = await challenged(alice, 'resume');
      const mixed = { ...alice.device, certificate: other.certificate };
      const signed = await makeClientAuth({ th1: third.th1, macKey: undefined, device: mixed, nameClaim: undefined });
      await isRefused(third.client, signed, 'device-refused', 'alice refused: device other-device (device-refused)');
      const old = await anotherDevice(alice, 2, under.clock.now() - 31 * 86_400_000).catch(() => undefined);
      assert.equal(old, undefined, 'a key does not sign before it was made');
    });

    it('an answer to another challenge is refused: replayed, or carried from socket to socket', async () => {
      const first = await challenged(alice, 'login');
      const second = await challenged(alice, 'login');
      const replay = encode(clientMessage, { type: 'client-auth', ...first.auth });
      second.client.sendBytes(replay);
      assert.equal(refused(await second.client.next('refused', 'node-auth')), 'login-refused');
      first.client.sendBytes(replay);
      await first.client.next('node-auth');
      // Once in, the same bytes are not due any more.
      first.client.sendBytes(replay);
      assert.equal(refused(await first.client.next('refused')), 'unexpected');
      const resumed = await challenged(alice, 'resume');
      const again = await challenged(alice, 'resume');
      await isRefused(again.client, resumed.auth, 'device-refused', 'alice refused: bad-device-signature (device-refused)');
    });

    it('an answer after 30 s is refused', async () => {
      // Between two looks at those who take too long, so that it is the answer that comes too late.
      await under.clock.advance(500);
      const { client, auth } = await challenged(alice, 'login');
      await under.clock.advance(30_100);
      await isRefused(client, auth, 'challenge-expired', 'alice refused: expired (challenge-expired)');
      assert.equal(under.node.stats().signedIn, 2);
    });

    it('an unknown device is asked for a full login once it has heard who the node is', async () => {
      const { client, auth, nodeHello } = await challenged(eve, 'resume');
      assert.equal(nodeHello.challenge.length, 0);
      await isRefused(client, auth, 'device-refused', 'a stranger refused (device-refused)');
    });

    it('nothing but a hello comes first, nothing but a proof second, and requests only then', async () => {
      const request: ClientMessage = { type: 'get-log', request: 1, gTag: gTag(1), after: 0 };
      const first = await under.dial();
      first.send(request);
      assert.equal(refused(await first.next('refused')), 'unexpected');
      for (const second of [request, undefined]) {
        const client = await under.dial();
        client.hello({ port: under.port, person: alice, purpose: 'login' });
        await client.next('node-hello');
        if (second === undefined) client.hello({ port: under.port, person: alice, purpose: 'login' });
        else client.send(second);
        assert.equal(refused(await client.next('refused')), 'unexpected');
        assert.equal(await client.closed, 4002);
      }
    });

    it('two logins of one device at once leave one of them in, and nothing mixed up', async () => {
      const both = await Promise.all([challenged(alice, 'login'), challenged(alice, 'login')]);
      for (const { client, auth } of both) client.send({ type: 'client-auth', ...auth });
      await Promise.all(both.map(({ client }) => client.next('node-auth')));
      const codes = await Promise.race(both.map(({ client }) => client.closed));
      assert.equal(codes, 4021);
      assert.equal(under.node.stats().online, 2);
    });
  });

  describe('on its strength (55)', () => {
    const from = (address: string) => ({ 'x-forwarded-for': `10.0.0.1, ${address}` });

    it('an address gets ten logins, then one a second; others and resumes are not held up', async () => {
      await under.in(alice);
      const login = async (address: string, purpose: Purpose) => {
        const client = await under.dial(from(address));
        client.hello({ port: under.port, person: alice, purpose });
        const answer = await client.next('node-hello', 'refused');
        return answer.type === 'refused' ? [answer.code, answer.retryAfter] : 'greeted';
      };
      for (let i = 0; i < 10; i++) assert.equal(await login('192.0.2.1', 'login'), 'greeted');
      assert.deepEqual(await login('192.0.2.1', 'login'), ['rate-limited', 1000]);
      assert.equal(await login('192.0.2.1', 'resume'), 'greeted');
      assert.equal(await login('192.0.2.2', 'login'), 'greeted');
      await under.clock.advance(1000);
      assert.equal(await login('192.0.2.1', 'login'), 'greeted');
      // One network of IPv6 counts as one.
      for (let i = 0; i < 10; i++) assert.equal(await login(`2001:db8:1:2::${i}`, 'login'), 'greeted');
      assert.deepEqual(await login('2001:db8:1:2:ffff::1', 'login'), ['rate-limited', 1000]);
      assert.equal(await login('2001:db8:1:3::1', 'login'), 'greeted');
      for (let i = 0; i < 10; i++) assert.equal(await login(`2001:db8::${i}`, 'login'), 'greeted');
      assert.deepEqual(await login('2001:DB8:0:0:ffff::1', 'login'), ['rate-limited', 1000]);
    });

    it('an address gets so many sockets, and strangers do not use up all', async () => {
      await under.stop();
      await under.startAgain({ limits: { socketsPerAddress: 3, strangers: 5 } });
      const crowd = await Promise.all([1, 2, 3].map(() => under.dial(from('192.0.2.1'))));
      await assert.rejects(under.dial(from('192.0.2.1')), /503/);
      await under.in(bob);
      await under.dial(from('192.0.2.2'));
      await under.dial(from('192.0.2.3'));
      // The one that has been there longest makes room.
      await under.in(bob, 'resume');
      assert.equal(await crowd[0]?.closed, 4020);
      assert.ok(crowd.slice(1).every(({ socket }) => socket.readyState === WebSocket.OPEN));
    });

    it('who reads nothing costs a bounded part of memory, and those who write to them are told to wait', async () => {
      await under.stop();
      await under.startAgain({ limits: { requestsBurst: 20_000 } });
      const reader = await under.in(alice);
      const slow = await under.in(eve);
      slow.socket.pause();
      // The system's own buffers take some of it. Eight senders, each with 8 blobs under way, would be more than 1 MiB.
      const senders = await Promise.all(Array.from({ length: 10 }, (_, i) => under.in(alice, 'login', i + 1)));
      const blob = bytes(limits.signalBytes, 1);
      let isBusy = false;
      for (let turn = 0; turn < 300 && !isBusy; turn++) {
        const asked = senders.map((sender) => sender.ask({ type: 'relay', to: eve.device.did, blob }));
        isBusy = (await Promise.all(asked)).some((answer) => answer.type === 'refused' && answer.code === 'busy');
      }
      assert.ok(isBusy);
      assert.equal((await reader.ask({ type: 'get-mail', box: { of: 'person', uid: alice.uid }, after: 0 })).type, 'mail-page');
      // Nobody can talk another out of their connection: what came in is there when eve reads again.
      slow.socket.resume();
      await slow.next('relayed');
      assert.equal((await slow.ask({ type: 'get-mail', box: { of: 'person', uid: eve.uid }, after: 0 })).type, 'mail-page');
    });

    it('who goes on talking and never reads is given up with the silent ones', async () => {
      const slow = await under.in(eve);
      const key = await appendKey(1);
      for (let no = 1; no <= 20; no++) await slow.ask(await signedAppend(key, no, { sealed: bytes(60_000, no) }));
      slow.socket.pause();
      // Each page is waited for, so that it takes several to fill what the systems of both ends hold.
      for (let i = 0; i < 100; i++) slow.send({ type: 'get-log', request: 1000 + i, gTag: gTag(1), after: 0 });
      const other = await under.in(bob);
      for (let beat = 0; beat < 4; beat++) {
        slow.socket.ping();
        await under.clock.advance(limits.heartbeat);
        await other.ask({ type: 'get-mail', box: { of: 'person', uid: bob.uid }, after: 0 });
      }
      slow.socket.resume();
      assert.equal(await slow.closed, 1006);
      assert.equal(under.node.stats().online, 1);
    });

    it('a client that asks for much and reads nothing keeps its own requests waiting, not the node', async () => {
      await under.stop();
      await under.startAgain({ limits: { requestsBurst: 20_000 } });
      const client = await under.in(alice);
      const key = await appendKey(1);
      for (const no of [1, 2, 3]) await client.ask(await signedAppend(key, no, { sealed: bytes(60_000, no) }));
      client.socket.pause();
      for (let i = 0; i < 150; i++) client.send({ type: 'get-log', request: 1000 + i, gTag: gTag(1), after: 0 });
      const other = await under.in(bob);
      assert.equal((await other.ask({ type: 'get-log', gTag: gTag(1), after: 0 })).type, 'log-page');
      client.socket.resume();
      for (let i = 0; i < 150; i++) assert.equal((await client.answerTo(1000 + i)).type, 'log-page');
    });

    it('a disk that is full ends neither the node nor a socket', async () => {
      await under.stop();
      const store = await openLmdbStore(join(under.data, 'store'));
      const full = new Proxy(store, {
        get(target, name) {
          if (name === 'stageShard') return () => Promise.reject(new Error('no space left'));
          const method: unknown = Reflect.get(target, name);
          return typeof method === 'function' ? method.bind(target) : method;
        },
      });
      await under.startAgain({ store: full });
      const client = await under.in(alice);
      assert.equal(refused(await client.ask({ type: 'put-shard', gTag: gTag(1), shard: bytes(10, 1) })), 'internal');
      assert.equal(under.lines.at(-1), 'alice error of ours: Error: no space left (internal)');
      assert.equal((await client.ask({ type: 'get-mail', box: { of: 'person', uid: alice.uid }, after: 0 })).type, 'mail-page');
    });

    it('the log does not grow with the attempts of strangers', async () => {
      for (let i = 0; i < 60; i++) {
        const client = await under.dial();
        client.sendBytes(Uint8Array.of(0xff));
        await client.closed;
      }
      await under.clock.advance(1000);
      const client = await under.dial();
      client.sendBytes(Uint8Array.of(0xff));
      await client.closed;
      assert.equal(under.lines.length, 52);
      assert.equal(under.lines[50], '10 more lines in that second');
    });
  });

  describe('with bytes that are no messages (56)', () => {
    /** One good message of every kind that a client may send once it is in. */
    async function everyRequest(): Promise<Uint8Array[]> {
      const request = 7;
      const box = { of: 'group', gTag: gTag(1) } as const;
      const { append, signature } = await signedAppend(await appendKey(1), 1);
      const messages: ClientMessage[] = [
        { type: 'look-up', request, by: { by: 'username', username: 'bob' } },
        { type: 'look-up', request, by: { by: 'uid', uid: bob.uid } },
        { type: 'publish-lock-key', request, lockKey: alice.device.lockKeys[0]?.encoded ?? bytes(0, 0) },
        { type: 'publish-device', request, deviceCert: alice.device.certificate },
        { type: 'publish-certificate', request, certificate: alice.certificate },
        { type: 'put-shard', request, gTag: gTag(1), shard: bytes(300, 1) },
        { type: 'get-shard', request, gTag: gTag(1), hash: bytes(32, 1) },
        { type: 'append', request, append, signature },
        { type: 'get-log', request, gTag: gTag(1), after: 0 },
        { type: 'follow', request, groups: [{ gTag: gTag(1), rosterTag: asRosterTag(bytes(16, 1)) }] },
        { type: 'post-mail', request, box, body: bytes(100, 1) },
        { type: 'get-mail', request, box, after: 0 },
        { type: 'drop-mail', request, box: { of: 'person', uid: alice.uid }, upTo: 0 },
        { type: 'relay', request, to: bob.device.did, blob: bytes(100, 1) },
      ];
      return messages.map((message) => encode(clientMessage, message));
    }

    function mutated(message: Uint8Array, random: (length: number) => Uint8Array): Uint8Array {
      const [kind = 0, at1 = 0, at2 = 0, value = 0] = random(4);
      const at = (at1 * 256 + at2) % (message.length + 1);
      switch (kind % 4) {
        case 0:
          return message.slice(0, at);
        case 1:
          return new Uint8Array([...message, value]);
        case 2:
          return message.map((byte, i) => (i === at ? value : byte));
        default:
          return new Uint8Array([...message.slice(0, at), ...random(value % 8), ...message.slice(at)]);
      }
    }

    it('before a login: random bytes and mutated hellos end the socket with a code', async () => {
      await under.in(bob);
      const random = seededRandom(1);
      const client = await under.dial();
      const hello = client.hello({ port: under.port, person: alice, purpose: 'register' });
      for (let i = 0; i < 200 * many; i++) {
        const stranger = await NodeClient.dial(under.port);
        const [length = 0] = random(1);
        stranger.sendBytes(i % 2 === 0 ? random(length) : mutated(hello, random));
        const answer = await stranger.next('refused', 'node-hello');
        if (answer.type === 'node-hello') stranger.socket.terminate();
        else assert.ok((await stranger.closed) > 4000, answer.code);
      }
      assert.ok(
        !under.lines.some((line) => line.includes('internal')),
        under.lines.find((line) => line.includes('internal')),
      );
    });

    it('after a login: mutated requests are refused or harmless, and others notice nothing', async () => {
      await under.stop();
      await under.startAgain({ limits: { requestsBurst: 1e6, nameLookUpsPerHour: 1e6, uidLookUpsPerHour: 1e6 } });
      const other = await under.in(bob);
      await under.in(alice);
      const random = seededRandom(2);
      const good = await everyRequest();
      let client: NodeClient | undefined;
      for (let i = 0; i < 400 * many; i++) {
        if (client === undefined || client.socket.readyState !== WebSocket.OPEN) client = await under.in(alice, 'resume');
        const message = good[i % good.length] ?? bytes(1, 0);
        const isWhole = i % 5 === 0;
        client.sendBytes(isWhole ? message : mutated(message, random));
        const answer = await Promise.race([
          client.next('refused', 'done', 'found', 'shard', 'appended', 'conflict', 'log-page', 'mail-page'),
          client.closed,
        ]).catch(() => 0);
        if (typeof answer === 'number') client = undefined;
        else if (answer.type === 'refused' && answer.request === 0) await client.closed;
      }
      assert.ok(
        !under.lines.some((line) => line.includes('internal')),
        under.lines.find((line) => line.includes('internal')),
      );
      assert.equal((await other.ask({ type: 'get-mail', box: { of: 'person', uid: bob.uid }, after: 0 })).type, 'mail-page');
    });

    it('text, oversized, endless and compressed frames, and other paths, end the socket only', async () => {
      const other = await under.in(bob);
      const text = await under.dial();
      text.socket.send('{oops');
      assert.equal(refused(await text.next('refused')), 'malformed');
      const large = await under.dial();
      large.sendBytes(bytes(limits.socketMessageBytes + 1, 1));
      assert.equal(await large.closed, 1009);
      const endless = await under.dial();
      for (let i = 0; i < 100; i++) endless.socket.send(Uint8Array.of(1), { fin: false });
      assert.equal(await endless.closed, 1008);
      const compressed = new WebSocket(`ws://127.0.0.1:${under.port}/`, { perMessageDeflate: true });
      await new Promise((resolve) => compressed.once('open', resolve));
      assert.equal(compressed.extensions, '');
      compressed.terminate();
      for (const path of ['/ws', '/?a', '/index.html']) {
        const socket = new WebSocket(`ws://127.0.0.1:${under.port}${path}`);
        const error = await new Promise<Error>((resolve) => socket.once('error', resolve));
        assert.match(error.message, /404/);
      }
      assert.equal((await other.ask({ type: 'get-mail', box: { of: 'person', uid: bob.uid }, after: 0 })).type, 'mail-page');
    });

    it('what is neither HTTP nor a web socket is dropped', async () => {
      const random = seededRandom(3);
      for (const garbage of [
        random(500),
        Buffer.from('GET / HTTP/9.9\r\n\r\n'),
        Buffer.from('GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n'),
      ]) {
        const socket = connect(under.port, '127.0.0.1');
        socket.on('error', () => undefined);
        socket.end(garbage);
        socket.resume();
        await new Promise((resolve) => socket.once('close', resolve));
      }
      await under.in(bob);
    });

    it('certificates that are no use are refused with a code', async () => {
      const big = { ...eve, certificate: bytes(limits.certificateBytes, 0x99) };
      for (const certificate of [
        bytes(0, 0),
        bytes(10, 1),
        eve.certificate.slice(0, -5),
        eve.secretKey.slice(0, 2000),
        big.certificate,
      ]) {
        const client = await under.dial();
        client.hello({ port: under.port, person: { ...eve, certificate }, purpose: 'register' });
        assert.equal(refused(await client.next('refused', 'node-hello')), 'bad-certificate');
      }
    });
  });

  describe('on what it says and keeps (42, 57)', () => {
    it('no line of the log has an address, a path, a referer, an id or a name that nobody has', async () => {
      await fetch(`http://127.0.0.1:${under.port}/canary-path?canary-query`, { headers: { referer: 'https://canary-referer/' } });
      const client = await under.in(alice);
      await client.ask(await signedAppend(await appendKey(1), 1));
      await client.ask({ type: 'look-up', by: { by: 'username', username: 'canary-name' } });
      await client.ask({ type: 'get-log', gTag: gTag(0xca), after: 0 });
      await assert.rejects(under.in({ ...eve, username: 'canary-user' }, 'login'));
      await assert.rejects(under.in({ ...eve, username: 'canary-user', certificate: bytes(9, 9) }));
      const forwarded = await under.dial({ 'x-forwarded-for': '203.0.113.99' });
      forwarded.sendBytes(Uint8Array.of(0x7f));
      await forwarded.closed;
      await client.close();
      const log = under.lines.join('\n');
      assert.ok(under.lines.length >= 5, log);
      for (const secret of [
        'canary',
        '127.0.0.1',
        '203.0.113',
        'cacaca',
        Buffer.from(alice.uid).toString('hex').slice(0, 8),
        opId(1).join(),
      ]) {
        assert.ok(!log.includes(secret), `${secret} is in\n${log}`);
      }
    });

    it('the store has the tables and fields that the protocol lists, and no others', async () => {
      const client = await under.in(alice);
      await client.ask({ type: 'publish-lock-key', lockKey: alice.device.lockKeys[0]?.encoded ?? bytes(0, 0) });
      await client.ask({ type: 'put-shard', gTag: gTag(1), shard: bytes(100, 1) });
      const shards = [shardHashOf(bytes(100, 1))];
      await client.ask(await signedAppend(await appendKey(1), 1, { shards }));
      await client.ask(await signedAppend(await appendKey(1), 2));
      await client.ask({ type: 'put-shard', gTag: gTag(1), shard: bytes(100, 2) });
      await client.ask({ type: 'post-mail', box: { of: 'person', uid: alice.uid }, body: bytes(20, 1) });
      await under.stop();
      const documented = documentedTables(await readFile(new URL('../protocol.md', import.meta.url), 'utf8'));
      assert.deepEqual(await storedFields(under.data), documented);
    });
  });
});
