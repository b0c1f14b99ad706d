// What a hostile node, or somebody between, tries on a person who logs in: none of it opens a message or borrows a session.
import assert from 'node:assert/strict';
import * as openpgp from 'openpgp';
import {
  createDevice,
  DeviceRefusal,
  type DeviceRefusalCode,
  readDeviceCert,
  readLockKey,
  verifyDeviceCert,
} from '../../keys/device.ts';
import { signingKeyFromSeed } from '../../keys/ed25519.ts';
import { startChallenge } from '../../keys/login-challenge.ts';
import { seal } from '../../keys/openpgp.ts';
import { concat, hex, label, utf8 } from '../../wire/bytes.ts';
import { decode, encode } from '../../wire/codec.ts';
import { deviceCert, deviceCertBody, lockKey } from '../../wire/device-cert.ts';
import { type NodeMessage, nodeMessage } from '../../wire/node-messages.ts';
import { seededRandom } from '../fakes.ts';
import { LoginWorld, type Watched, wordFor } from '../login-world.ts';
import { NodeClient } from '../node-client.ts';
import { type OddName, oddSignatures } from '../odd-signatures.ts';
import { type Person, passphrase, person } from '../people.ts';
import { NodeUnderTest } from '../running-node.ts';
import { nodeKey } from '../scripted-node.ts';
import type { AcceptSocket } from '../virtual-network.ts';

const start = Date.UTC(2026, 0, 1);
const minute = 60_000;
const day = 24 * 60 * minute;

let alice: Person;
let aliceKey: openpgp.PrivateKey;

before(async () => {
  alice = await person('alice', start);
  const locked = await openpgp.readPrivateKey({ binaryKey: alice.secretKey.slice() });
  aliceKey = await openpgp.decryptKey({ privateKey: locked, passphrase });
});

describe('a node that alice logs in at', () => {
  let world: LoginWorld;

  beforeEach(async () => {
    world = await LoginWorld.create();
    world.node.members.set('alice', alice);
    world.network.bytesPerMs = Number.POSITIVE_INFINITY;
    await alice.agent.allowMoreChallenges();
    Object.assign(alice.uses, { decrypt: 0, sign: 0 });
  });

  afterEach(() => world.close());

  const reaches = (watched: Watched, word: string, limit = minute) =>
    world.clock.advanceUntil(() => wordFor(watched.client.state) === word, limit);

  function login(parts: Parameters<LoginWorld['client']>[1] = {}): Watched {
    const watched = world.client(alice, parts);
    watched.client.start();
    return watched;
  }

  /** All that the node can see of what alice does with such a challenge. */
  async function reactionTo(challenge: Uint8Array): Promise<unknown> {
    world.node.sealer = { seal: async () => challenge };
    world.node.heard.length = 0;
    const began = world.clock.now();
    const watched = login();
    await reaches(watched, 'refused', 5_000);
    const took = world.clock.now() - began;
    watched.client.close();
    await world.clock.advance(1_000);
    return { heard: world.node.heard.map(({ type }) => type), took, states: watched.states };
  }

  const uniform = { heard: ['client-hello'], took: 40, states: ['connecting', 'refused'] };

  it('gets no group key opened by sending its shard as a challenge', async () => {
    const certificates = [alice.certificate];
    const [context, now] = [new Uint8Array(64), start];
    const shard = (bytes: number) => seal({ purpose: 'group key', context, body: new Uint8Array(bytes), certificates, now });
    assert.deepEqual(await reactionTo(await shard(64)), uniform);
    assert.equal(alice.uses.decrypt, 0, 'its length tells');
    assert.deepEqual(await reactionTo(await shard(32)), uniform);
    assert.equal(alice.uses.decrypt, 1, 'of the right length');
  });

  it('gets no old mail opened by sending it as a challenge', async () => {
    const encryptionKeys = await openpgp.readKey({ binaryKey: alice.certificate.slice() });
    const date = new Date(start);
    const mail = async (length: number, options: { signed?: true; compressed?: true } = {}) => {
      const message = await openpgp.createMessage({ binary: new Uint8Array(length).fill(120), date });
      const common = { message, encryptionKeys, format: 'binary', date } as const;
      const config = options.compressed ? { preferredCompressionAlgorithm: openpgp.enums.compression.zip } : {};
      return options.signed
        ? openpgp.encrypt({ ...common, config, signingKeys: aliceKey })
        : openpgp.encrypt({ ...common, config });
    };
    const mails = [
      await mail(128),
      await mail(500),
      await mail(128, { signed: true }),
      await mail(128, { compressed: true }),
      await mail(500, { signed: true, compressed: true }),
      utf8('-----BEGIN PGP MESSAGE-----'),
      new Uint8Array(0),
    ];
    for (const each of mails) {
      assert.deepEqual(await reactionTo(each), uniform);
      await alice.agent.allowMoreChallenges();
    }
  });

  it('gets nothing for a genuine challenge of an earlier connection', async () => {
    const challenges: Uint8Array[] = [];
    world.node.sealer = {
      seal: async (parts) => {
        const challenge = await seal(parts);
        challenges.push(challenge);
        return challenge;
      },
    };
    const watched = login();
    await reaches(watched, 'connected');
    watched.client.close();
    await world.clock.advance(100);
    const [replayed = new Uint8Array(0)] = challenges;
    assert.deepEqual(await reactionTo(replayed), uniform);
    assert.equal(alice.uses.decrypt, 2);
  });

  describe('when it is evil and passes her login on to an honest one', () => {
    const evilOrigin = 'wss://evil.example';
    const evilKey = () => nodeKey(66);

    /** What an honest node would answer to her hello, if it did not look at the origin. */
    async function honestAnswer(helloBytes: Uint8Array) {
      const { uid, certificate } = alice;
      const now = world.clock.now();
      return startChallenge({
        helloBytes,
        uid,
        certificate,
        nodeKey: world.node.key,
        sealer: { seal },
        random: world.random,
        now,
      });
    }

    function evilNode(answer: (helloBytes: Uint8Array) => Promise<NodeMessage>): string[] {
      const types: string[] = [];
      const accept: AcceptSocket = (socket) => ({
        message: (bytes) => {
          types.push(bytes[0] === 1 ? 'client-hello' : 'more');
          void answer(bytes).then((message) => socket.send(encode(nodeMessage, message)));
        },
        closed: () => undefined,
      });
      world.network.startNode(evilOrigin, accept);
      return types;
    }

    it("with the honest node's key: the pin differs, and no private key is used", async () => {
      world.pins.set(evilOrigin, (await evilKey()).publicKey);
      const heard = evilNode(async (helloBytes) => ({ type: 'node-hello', ...(await honestAnswer(helloBytes)).hello }));
      await reaches(login({ origin: evilOrigin }), 'other-node');
      assert.deepEqual([heard, alice.uses.decrypt], [['client-hello'], 0]);
    });

    for (const pinned of [true, false]) {
      it(`under its own key, ${pinned ? 'pinned' : 'at first use'}: the challenge is bound to the honest key`, async () => {
        if (pinned) world.pins.set(evilOrigin, (await evilKey()).publicKey);
        const heard = evilNode(async (helloBytes) => {
          const { challenge } = (await honestAnswer(helloBytes)).hello;
          const { uid, certificate } = alice;
          const sealer = { seal: async () => challenge };
          const parts = { helloBytes, uid, certificate, sealer, random: world.random, now: start };
          return { type: 'node-hello', ...(await startChallenge({ ...parts, nodeKey: await evilKey() })).hello };
        });
        const watched = login({ origin: evilOrigin });
        await reaches(watched, 'refused');
        watched.client.close();
        assert.deepEqual(heard, ['client-hello']);
        assert.equal(world.pins.has(evilOrigin), pinned, 'nothing is pinned by a login that failed');
      });
    }

    it("with the honest node's key, at first use: the honest node refuses what was dialled elsewhere", async () => {
      const honest = await NodeUnderTest.start();
      try {
        const bob = await person('bob', honest.clock.now());
        await honest.in(bob);
        const client = await NodeClient.dial(honest.port);
        client.hello({ port: honest.port, person: bob, purpose: 'login', origin: evilOrigin });
        const answer = await client.next('refused', 'node-hello');
        assert.ok(answer.type === 'refused' && answer.code === 'wrong-origin');
        await client.closed;
      } finally {
        await honest.dispose();
      }
    });
  });

  describe('when its key has changed', () => {
    for (const way of ['login', 'resume', 'register'] as const) {
      it(`stops a ${way} for good: no private key is used, and nothing is sent again`, async () => {
        const before = await world.loggedIn(alice);
        before.client.close();
        Object.assign(alice.uses, { decrypt: 0, sign: 0 });
        const impostor = await world.replaceNode(2);
        impostor.members.set(way === 'register' ? 'nobody' : 'alice', alice);
        impostor.devices.set(hex(alice.device.did), alice.uid);

        const watched = login({ start: way });
        await reaches(watched, 'other-node');
        watched.client.online();
        watched.client.retry();
        await watched.client.allowMoreChallenges();
        await world.clock.advance(day);
        assert.deepEqual(watched.states, ['connecting', 'other-node']);
        assert.deepEqual(impostor.helloPurposes(), [way]);
        assert.deepEqual(impostor.namesHeard(), way === 'resume' ? [] : ['alice']);
        assert.deepEqual(alice.uses, { decrypt: 0, sign: 0 });
      });
    }

    it('stops a resume though the new node has never heard of the device', async () => {
      (await world.loggedIn(alice)).client.close();
      const impostor = await world.replaceNode(2);
      const watched = login({ start: 'resume' });
      await reaches(watched, 'other-node');
      await world.clock.advance(day);
      assert.deepEqual(impostor.helloPurposes(), ['resume']);
    });

    it('learns no name by refusing the device before it shows a key', async () => {
      (await world.loggedIn(alice)).client.close();
      const impostor = await world.replaceNode(2);
      impostor.edit = (message) =>
        message.type === 'node-hello' ? { type: 'refused', request: 0, code: 'device-refused', retryAfter: 0 } : message;
      const watched = login({ start: 'resume' });
      await reaches(watched, 'bad-answer');
      await world.clock.advance(60_000);
      assert.ok(impostor.heard.length > 1, 'it is tried again');
      assert.deepEqual(impostor.namesHeard(), []);
    });

    it('stops a connection that comes back, which has only said which device it is', async () => {
      const watched = await world.loggedIn(alice);
      const impostor = await world.replaceNode(2);
      impostor.members.set('alice', alice);
      impostor.devices.set(hex(alice.device.did), alice.uid);
      await reaches(watched, 'other-node');
      assert.deepEqual(impostor.namesHeard(), []);
      assert.ok(!impostor.heard.some(({ type }) => type === 'client-auth'));
    });
  });

  describe('that sends bad challenges', () => {
    const decryptions = () => alice.uses.decrypt;

    async function badChallenge(): Promise<Uint8Array> {
      const context = new Uint8Array(64);
      const { certificate } = alice;
      return seal({ purpose: 'login challenge', context, body: new Uint8Array(32), certificates: [certificate], now: start });
    }

    it('gets five decryptions, then alice is asked; a hundred take twenty of her gestures', async () => {
      const challenge = await badChallenge();
      world.node.sealer = { seal: async () => challenge };
      const watched = login();
      for (let gesture = 1; gesture <= 20; gesture++) {
        await reaches(watched, 'too-many-challenges', 5 * minute);
        await world.clock.advance(10 * minute);
        watched.client.online();
        await world.clock.advance(minute);
        assert.equal(decryptions(), 5 * gesture);
        await watched.client.allowMoreChallenges();
      }
    });

    it('gets no more of them by pretending that time has passed', async () => {
      const watched = await world.loggedIn(alice);
      const challenge = await badChallenge();
      world.node.clockOffset = 60 * minute;
      world.node.socket.close();
      await reaches(watched, 'lost');
      await reaches(watched, 'connected');
      world.node.sealer = { seal: async () => challenge };
      world.node.devices.clear();
      world.node.socket.close();
      await reaches(watched, 'too-many-challenges');
      assert.equal(decryptions(), 5);
    });
  });
});

describe('a certificate of a device', () => {
  const verify = (bytes: Uint8Array, now = start) =>
    verifyDeviceCert({ bytes, certificate: alice.certificate, agent: alice.agent, now });

  async function refuses(code: DeviceRefusalCode, run: () => unknown, what = ''): Promise<void> {
    await assert.rejects(
      async () => run(),
      (error) => error instanceof DeviceRefusal && assert.equal(error.code, code, what) === undefined,
    );
  }

  describe("with another signature of the person's", () => {
    let genuine: { body: Uint8Array; pop: Uint8Array; openPgpSignature: Uint8Array };

    before(async () => {
      const { uid, agent } = alice;
      const secrets = await createDevice({ agent, uid, name: 'phone', random: seededRandom(9), now: start });
      genuine = decode(deviceCert, secrets.certificate);
    });

    const signedWith = (openPgpSignature: Uint8Array) => encode(deviceCert, { ...genuine, openPgpSignature });
    const signed = () => concat(label('device-cert'), genuine.body);

    /** Below OpenPGP.js's own `sign`, which makes only the kinds that we take. */
    async function madeByHand(bytes: Uint8Array, properties: Record<string, unknown>): Promise<Uint8Array> {
      const date = new Date(start);
      const signer = (await aliceKey.getSigningKey(undefined, date)).keyPacket;
      assert.ok(signer instanceof openpgp.SecretKeyPacket || signer instanceof openpgp.SecretSubkeyPacket);
      const packet = Object.assign(new openpgp.SignaturePacket(), {
        signatureType: openpgp.enums.signature.binary,
        publicKeyAlgorithm: signer.algorithm,
        hashAlgorithm: openpgp.enums.hash.sha512,
        ...properties,
      });
      const { packets } = await openpgp.createMessage({ binary: bytes, date });
      // The declared types leave out the last parameter, without which it does not work.
      await Reflect.apply(packet.sign, packet, [signer, packets[0], date, true, openpgp.config]);
      const list = new openpgp.PacketList<openpgp.SignaturePacket>();
      list.push(packet);
      return list.write();
    }

    it('is refused: of a mail, of a commit, of a name claim', async () => {
      assert.ok(await verify(signedWith(await madeByHand(signed(), {}))), 'made by hand as it should be');
      const mail = await madeByHand(utf8('Hello bob,\r\nlunch?\r\n'), {});
      const commit = await madeByHand(utf8('tree 4b825dc6\nauthor alice\n\nMend the roof\n'), {});
      const claim = await alice.agent.sign({ purpose: 'name-claim', body: genuine.body, now: start });
      const bare = await madeByHand(genuine.body, {});
      for (const [what, other] of Object.entries({ mail, commit, claim, bare })) {
        await refuses('bad-signature', () => verify(signedWith(other)), what);
      }
    });

    it('is refused: a text signature, although it is valid for OpenPGP', async () => {
      const text = await madeByHand(signed(), { signatureType: openpgp.enums.signature.text });
      const { signatures } = await openpgp.verify({
        message: await openpgp.createMessage({ binary: signed() }),
        signature: await openpgp.readSignature({ binarySignature: text.slice() }),
        verificationKeys: aliceKey.toPublic(),
        format: 'binary',
        date: new Date(start),
      });
      assert.equal(await signatures[0]?.verified, true);
      await refuses('bad-signature', () => verify(signedWith(text)));
    });

    it('is refused: two signatures, though each be good, and one beside anything', async () => {
      const { openPgpSignature } = genuine;
      assert.ok(await verify(signedWith(openPgpSignature)));
      for (const rest of [
        openPgpSignature,
        await madeByHand(utf8('mail'), {}),
        Uint8Array.of(0xca, 3, 80, 71, 80),
        Uint8Array.of(0),
      ]) {
        await refuses('bad-signature', () => verify(signedWith(concat(openPgpSignature, rest))));
        await refuses('bad-signature', () => verify(signedWith(concat(rest, openPgpSignature))));
      }
      await refuses('bad-signature', () => verify(signedWith(new Uint8Array(0))));
    });

    it('is refused: one that has expired, or comes from the future', async () => {
      const expiring = { signatureNeverExpires: false, signatureExpirationTime: 3600 };
      const hourly = signedWith(await madeByHand(signed(), expiring));
      assert.ok(await verify(hourly, start + 10 * minute));
      await refuses('bad-signature', () => verify(hourly, start + 70 * minute));
      const { uid, agent } = alice;
      const ahead = await createDevice({ agent, uid, name: 'phone', random: seededRandom(9), now: start + 70 * minute });
      await refuses('bad-signature', () => verify(ahead.certificate, start + 60 * minute));
      assert.ok(await verify(ahead.certificate, start + 66 * minute), 'clocks may differ by five minutes');
      await refuses('expired', () => verify(encode(deviceCert, genuine), start + 30 * day));
    });
  });

  describe('with an odd Ed25519 key or signature', () => {
    const seed = new Uint8Array(32).fill(5);

    /** What is judged when a device with such a key proves itself with such a signature. */
    async function verdictOn(name: OddName): Promise<string> {
      const { publicKey } = oddSignatures({ seed, name: 'device-pop', body: new Uint8Array(0) })[name];
      const times = { createdAt: start, notAfter: start + 30 * day };
      const body = encode(deviceCertBody, { suite: 1, uid: alice.uid, signPub: publicKey, ...times, flags: 0, name: 'odd' });
      const { signature: pop } = oddSignatures({ seed, name: 'device-pop', body })[name];
      const openPgpSignature = await alice.agent.sign({ purpose: 'device-cert', body, now: start });
      try {
        const bytes = encode(deviceCert, { body, pop, openPgpSignature });
        readDeviceCert(bytes);
        await verify(bytes);
        return 'good';
      } catch (error) {
        return error instanceof DeviceRefusal ? error.code : assert.fail(String(error));
      }
    }

    // One verifier judges these everywhere; keys-vectors hold its verdicts in Chromium too.
    const verdicts: Record<OddName, string> = {
      honest: 'good',
      'S is not reduced': 'bad-pop',
      'R has a torsion part': 'good',
      'R is the identity': 'good',
      'R is the identity, not canonical': 'bad-pop',
      'R is the identity with a sign': 'bad-pop',
      'R has small order': 'good',
      'key has a torsion part': 'bad-key',
      'key has small order': 'bad-key',
      'key is the identity': 'bad-key',
      'key is the identity, not canonical': 'bad-key',
    };

    it('has one verdict', async () => {
      const found: Record<string, string> = {};
      for (const name of Object.keys(verdicts).filter(isOddName)) found[name] = await verdictOn(name);
      assert.deepEqual(found, verdicts);
    });

    it('cannot vouch for a lock key with an S that is not reduced', async () => {
      const { body } = decode(lockKey, alice.secrets.lockKeys[0]?.encoded ?? new Uint8Array(0));
      const signer = await signingKeyFromSeed(alice.secrets.signSeed);
      const device = { did: alice.device.did, signPub: signer.publicKey };
      const odd = (name: OddName) => oddSignatures({ seed: alice.secrets.signSeed, name: 'lock-key', body })[name].signature;
      assert.ok(readLockKey(encode(lockKey, { body, signature: odd('honest') }), device));
      await refuses('bad-signature', () => readLockKey(encode(lockKey, { body, signature: odd('S is not reduced') }), device));
    });

    function isOddName(name: string): name is OddName {
      return Object.hasOwn(verdicts, name);
    }
  });
});
