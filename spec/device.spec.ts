// Devices: what they are made of, who certifies them, when their keys change, and what makes a certificate worthless.
import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import fc from 'fast-check';
import {
  createDevice,
  DeviceRefusal,
  type DeviceRefusalCode,
  deviceSecrets,
  isLive,
  openDevice,
  readDeviceCert,
  readLockKey,
  renewDevice,
  rotateLockKeys,
  verifyDeviceCert,
} from '../keys/device.ts';
import { signingKeyFromSeed, verifyFast, verifyStrictly } from '../keys/ed25519.ts';
import { didOf } from '../keys/identity.ts';
import { KeyRefusal } from '../keys/key-refusal.ts';
import { copyOf, hex } from '../wire/bytes.ts';
import { decode, encode } from '../wire/codec.ts';
import { type DeviceCertBody, deviceCert, deviceCertBody, lockKey, lockKeyBody } from '../wire/device-cert.ts';
import { seededRandom } from './fakes.ts';
import { type Person, person } from './people.ts';

const now = Date.UTC(2026, 0, 1);
const day = 24 * 60 * 60_000;

describe('a device', () => {
  let alice: Person;
  let bob: Person;

  before(async () => {
    alice = await person('alice', now);
    bob = await person('bob', now);
  });

  it('is certified by its person, with one use of the private key', async () => {
    const uses = { ...alice.uses };
    const secrets = await createDevice({
      agent: alice.agent,
      uid: alice.uid,
      name: 'phone',
      random: seededRandom(7),
      now,
    });
    assert.deepEqual(alice.uses, { decrypt: uses.decrypt, sign: uses.sign + 1 });

    const { certificate, agent } = alice;
    const facts = await verifyDeviceCert({ bytes: secrets.certificate, certificate, agent, now });
    assert.equal(hex(facts.uid), hex(alice.uid));
    assert.equal(hex(facts.did), hex(didOf(alice.uid, facts.signPub)));
    assert.equal(facts.body.name, 'phone');
    assert.equal(facts.body.notAfter, now + 30 * day);
  });

  it('cannot be made while the key is locked', async () => {
    const carol = await person('carol', now);
    await carol.agent.lock();
    const making = createDevice({ agent: carol.agent, uid: carol.uid, name: 'phone', random: seededRandom(7), now });
    await assert.rejects(making, (error) => error instanceof KeyRefusal && error.code === 'locked');
  });

  it('opens from its stored bytes and signs with the key that its certificate names', async () => {
    const stored = encode(deviceSecrets, alice.secrets);
    const device = await openDevice(decode(deviceSecrets, stored));
    assert.equal(hex(device.did), hex(alice.device.did));
    const body = Uint8Array.of(1, 2, 3);
    const signature = await device.signer.sign('frame', body);
    assert.ok(await verifyFast(readDeviceCert(device.certificate).signPub, 'frame', body, signature));
  });

  it('agrees on a secret with whoever seals to its lock key, and does not let the private half out', async () => {
    const [lock] = alice.device.lockKeys;
    assert.ok(lock !== undefined);
    const other = await crypto.subtle.generateKey('X25519', false, ['deriveBits']);
    const lockPub = await crypto.subtle.importKey('raw', copyOf(lock.lockPub), 'X25519', false, []);
    const theirs = await crypto.subtle.deriveBits({ name: 'X25519', public: lockPub }, other.privateKey, 256);
    const ours = await crypto.subtle.deriveBits({ name: 'X25519', public: other.publicKey }, lock.privateKey, 256);
    assert.equal(hex(new Uint8Array(ours)), hex(new Uint8Array(theirs)));
    await assert.rejects(crypto.subtle.exportKey('pkcs8', lock.privateKey));
  });

  it('prints as [key]', () => {
    for (const text of [`${alice.device}`, inspect(alice.device), JSON.stringify({ device: alice.device })]) {
      assert.match(text, /\[key\]/);
      assert.doesNotMatch(text, /did|signer/);
    }
    const read = decode(deviceSecrets, encode(deviceSecrets, alice.secrets));
    assert.deepEqual([inspect(alice.secrets), inspect(read), JSON.stringify(read)], ['[key]', '[key]', '"[key]"']);
  });

  it('does not open with the secrets of another', async () => {
    const mixed = { ...alice.secrets, signSeed: bob.secrets.signSeed };
    await refuses('other-device', () => openDevice(mixed));
    await refuses('other-device', () => openDevice({ ...alice.secrets, lockKeys: bob.secrets.lockKeys }));
  });

  describe('renews its certificate', () => {
    it('not before two thirds of its life are over', async () => {
      assert.equal(await renewDevice({ agent: alice.agent, secrets: alice.secrets, now: now + 20 * day - 1 }), 'kept');
    });

    it('in the last third, as the same device with the same name', async () => {
      const later = now + 20 * day;
      const renewed = await renewDevice({ agent: alice.agent, secrets: alice.secrets, now: later });
      assert.ok(renewed !== 'kept');
      const device = await openDevice(renewed);
      assert.equal(hex(device.did), hex(alice.device.did));
      const { certificate, agent } = alice;
      const { body } = await verifyDeviceCert({ bytes: device.certificate, certificate, agent, now: later + 29 * day });
      assert.equal(body.notAfter, later + 30 * day);
      assert.equal(body.name, 'laptop of alice');
    });
  });

  describe('rotates its lock keys', () => {
    const rotate = (secrets: Person['secrets'], at: number) => rotateLockKeys({ secrets, random: seededRandom(at), now: at });
    const numbers = (secrets: Person['secrets']) => secrets.lockKeys.map(({ no }) => no);

    it('weekly', async () => {
      assert.equal(await rotate(alice.secrets, now + 7 * day - 1), 'kept');
      const rotated = await rotate(alice.secrets, now + 7 * day);
      assert.ok(rotated !== 'kept');
      assert.deepEqual(numbers(rotated), [1, 2]);
      const device = await openDevice(rotated);
      const { no, lockPub, notAfter } = readLockKey(device.lockKeys[1]?.encoded ?? new Uint8Array(), {
        did: alice.device.did,
        signPub: alice.device.signer.publicKey,
      });
      assert.deepEqual([no, notAfter], [2, now + 21 * day]);
      assert.notEqual(hex(lockPub), hex(device.lockKeys[0]?.lockPub ?? new Uint8Array()));
    });

    it('and forgets a private half 21 days after it was made', async () => {
      let secrets = alice.secrets;
      for (const week of [1, 2, 3]) {
        const rotated = await rotate(secrets, now + week * 7 * day);
        assert.ok(rotated !== 'kept');
        secrets = rotated;
      }
      assert.deepEqual(numbers(secrets), [2, 3, 4]);
      const later = await rotate(secrets, now + 28 * day - 1);
      assert.equal(later, 'kept');
    });

    it('after months away with one new key and none of the old', async () => {
      const rotated = await rotate(alice.secrets, now + 100 * day);
      assert.ok(rotated !== 'kept');
      assert.deepEqual(numbers(rotated), [2]);
    });
  });

  describe("reads another's lock key", () => {
    const encoded = () => alice.secrets.lockKeys[0]?.encoded ?? new Uint8Array();
    const owner = () => ({ did: alice.device.did, signPub: alice.device.signer.publicKey });

    it('which ends 14 days after it was made', () => {
      const body = readLockKey(encoded(), owner());
      assert.ok(isLive(body, now + 14 * day - 1));
      assert.ok(!isLive(body, now + 14 * day));
    });

    it('unless it is of another device, or signed by one', async () => {
      const { did, signPub } = readDeviceCert(bob.secrets.certificate);
      await refuses('other-device', async () => readLockKey(encoded(), { did, signPub }));
      await refuses('bad-signature', async () => readLockKey(encoded(), { ...owner(), signPub }));
    });

    it('unless it lives too long', async () => {
      const body = decode(lockKeyBody, decode(lockKey, encoded()).body);
      const longer = encode(lockKeyBody, { ...body, notAfter: body.createdAt + 15 * day });
      const signature = await alice.device.signer.sign('lock-key', longer);
      await refuses('bad-life', async () => readLockKey(encode(lockKey, { body: longer, signature }), owner()));
    });
  });

  describe('is refused', () => {
    const check = (bytes: Uint8Array, at = now, who = alice) =>
      verifyDeviceCert({ bytes, certificate: who.certificate, agent: who.agent, now: at });

    /** Signed by device and person, with these facts changed. */
    async function certified(changes: Partial<DeviceCertBody>): Promise<Uint8Array> {
      const old = decode(deviceCertBody, decode(deviceCert, alice.secrets.certificate).body);
      const body = encode(deviceCertBody, { ...old, ...changes });
      const signer = await signingKeyFromSeed(alice.secrets.signSeed);
      const openPgpSignature = await alice.agent.sign({ purpose: 'device-cert', body, now });
      return encode(deviceCert, { body, pop: await signer.sign('device-pop', body), openPgpSignature });
    }

    it('when its certificate has expired', async () => {
      assert.ok(await check(alice.secrets.certificate, now + 30 * day - 1));
      await refuses('expired', () => check(alice.secrets.certificate, now + 30 * day));
    });

    it('when it is dated ahead, so that it would outlive every other', async () => {
      const farAhead = await certified({ createdAt: now + 1000 * day, notAfter: now + 1030 * day });
      await refuses('bad-life', () => check(farAhead));
      const longest = await certified({ createdAt: now, notAfter: now + 90 * day });
      assert.ok(await check(longest));
      assert.ok(await check(longest, now - 5 * 60_000), 'clocks may differ by five minutes');
    });

    it('as the device of another person', async () => {
      await refuses('other-person', () => check(alice.secrets.certificate, now, bob));
      const claimed = await certified({ uid: bob.uid });
      await refuses('bad-signature', () => check(claimed, now, bob));
    });

    it('when it would live longer than 90 days, or not at all', async () => {
      assert.ok(await check(await certified({ notAfter: now + 90 * day })));
      const longer = await certified({ notAfter: now + 90 * day + 1 });
      await refuses('bad-life', async () => readDeviceCert(longer));
      const dead = await certified({ notAfter: now });
      await refuses('bad-life', async () => readDeviceCert(dead));
    });

    it('when whoever certified it does not hold it', async () => {
      const { signPub } = readDeviceCert(bob.secrets.certificate);
      const stolen = await certified({ signPub });
      await refuses('bad-pop', async () => readDeviceCert(stolen));
    });

    it('with any byte changed, wherever it is', async () => {
      const { certificate } = alice.secrets;
      const anywhere = fc.tuple(fc.nat(certificate.length - 1), fc.integer({ min: 1, max: 255 }));
      await fc.assert(
        fc.asyncProperty(anywhere, async ([at, difference]) => {
          const changed = certificate.slice();
          changed[at] = (changed[at] ?? 0) ^ difference;
          await assert.rejects(check(changed), DeviceRefusal);
        }),
        { numRuns: 60 },
      );
    });

    it('when the bytes are anything else', () => {
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
          assert.throws(() => readDeviceCert(bytes), DeviceRefusal);
          assert.throws(() => readLockKey(bytes, { did: alice.device.did, signPub: bytes }), DeviceRefusal);
        }),
        { numRuns: 500 },
      );
    });
  });

  it('signs lock keys that the strict verifier takes', () => {
    const { body, signature } = decode(lockKey, alice.secrets.lockKeys[0]?.encoded ?? new Uint8Array());
    assert.ok(verifyStrictly(alice.device.signer.publicKey, 'lock-key', body, signature));
    assert.ok(!verifyStrictly(alice.device.signer.publicKey, 'frame', body, signature));
  });
});

async function refuses(code: DeviceRefusalCode, run: () => Promise<unknown>): Promise<void> {
  await assert.rejects(run, (error) => error instanceof DeviceRefusal && assert.equal(error.code, code) === undefined);
}
