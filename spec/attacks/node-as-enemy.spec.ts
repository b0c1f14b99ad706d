// A node that serves its clients what nobody made: certificates with parts of another key, and records that bend the clock.
import assert from 'node:assert/strict';
import * as openpgp from 'openpgp';
import { DeviceRefusal, readDeviceCert, readLockKey, verifyDeviceCert } from '../../keys/device.ts';
import { localKeyAgent } from '../../keys/key-agent.ts';
import { KeyRefusal } from '../../keys/key-refusal.ts';
import { packetTag, readPackets } from '../../keys/packets.ts';
import { concat, equal } from '../../wire/bytes.ts';
import { decode, encode } from '../../wire/codec.ts';
import { deviceCert, lockKey, lockKeyBody } from '../../wire/device-cert.ts';
import { ManualClock, seededRandom } from '../fakes.ts';
import { anotherDevice } from '../node-client.ts';
import { type Person, passphrase, person } from '../people.ts';

describe('A node that serves forged records', () => {
  const now = new ManualClock().now();
  const context = new Uint8Array(64).fill(1);
  const body = new Uint8Array(64).fill(2);
  let alice: Person;
  let eve: Person;

  before(async () => {
    alice = await person('alice', now);
    eve = await person('eve', now);
  });

  function packetsOf(certificate: Uint8Array): { tag: number; whole: Uint8Array }[] {
    const framed = readPackets(certificate, 100);
    return 'fault' in framed ? assert.fail(framed.fault) : framed.packets;
  }

  /** Her subkeys with their signatures, or what else follows the first packet of that kind. */
  function fromFirst(tag: number, certificate: Uint8Array): Uint8Array {
    const packets = packetsOf(certificate);
    const start = packets.findIndex((packet) => packet.tag === tag);
    assert.ok(start > 0);
    return concat(...packets.slice(start).map(({ whole }) => whole));
  }

  it('cannot have anything sealed to a subkey of its own', async () => {
    const subkeys = fromFirst(packetTag.publicSubkey, eve.certificate);
    const own = packetsOf(alice.certificate);
    const first = own.findIndex(({ tag }) => tag === packetTag.publicSubkey);
    const whole = (packets: typeof own) => concat(...packets.map((packet) => packet.whole));
    for (const certificate of [
      concat(alice.certificate, subkeys),
      concat(whole(own.slice(0, first)), subkeys, whole(own.slice(first))),
    ]) {
      const sealed = { purpose: 'group key', context, now } as const;
      const message = await alice.agent.seal({ ...sealed, body, certificates: [certificate] });
      await assert.rejects(eve.agent.open({ ...sealed, message }), KeyRefusal);
      assert.deepEqual(await alice.agent.open({ ...sealed, message }), body);
      assert.ok(equal((await alice.agent.readCertificate(certificate, now)).uid, alice.uid));
    }
    // And where hers is left out, there is nothing to seal to.
    const exchanged = concat(whole(own.slice(0, first)), subkeys);
    await assert.rejects(
      alice.agent.seal({ purpose: 'group key', context, body, certificates: [exchanged], now }),
      (error) => error instanceof KeyRefusal && error.code !== 'refused',
    );
  });

  it('cannot certify devices with a signing subkey of its own', async () => {
    const { privateKey } = await openpgp.generateKey({
      type: 'ecc',
      curve: 'ed25519Legacy',
      userIDs: { name: 'eve' },
      subkeys: [{ sign: true }, {}],
      passphrase,
      date: new Date(now),
      format: 'binary',
    });
    const agent = localKeyAgent();
    const signer = await agent.unlock({ secretKey: privateKey, passphrase });
    const rogue = await anotherDevice({ ...alice, agent }, 7, now);
    const good = await anotherDevice(alice, 8, now);
    const spliced = concat(alice.certificate, fromFirst(packetTag.publicSubkey, signer.certificate));
    const check = (bytes: Uint8Array) => verifyDeviceCert({ bytes, certificate: spliced, agent: alice.agent, now });
    assert.ok(await check(good.certificate));
    await assert.rejects(check(rogue.certificate), (error) => error instanceof DeviceRefusal && error.code === 'bad-signature');
  });

  it('cannot give one device the lock key, the proof or the person of another', async () => {
    const [first, second] = [await anotherDevice(alice, 1, now), await anotherDevice(alice, 2, now)];
    const { did, signPub } = readDeviceCert(first.certificate);
    const theirs = second.lockKeys[0]?.encoded ?? new Uint8Array();
    assert.throws(() => readLockKey(theirs, { did, signPub }), DeviceRefusal);
    const renamed = decode(lockKey, theirs);
    const lockBody = encode(lockKeyBody, { ...decode(lockKeyBody, renamed.body), did });
    assert.throws(() => readLockKey(encode(lockKey, { ...renamed, body: lockBody }), { did, signPub }), DeviceRefusal);

    const [one, other] = [decode(deviceCert, first.certificate), decode(deviceCert, second.certificate)];
    for (const mixed of [
      { ...one, pop: other.pop },
      { ...one, body: other.body },
      { ...one, openPgpSignature: other.openPgpSignature },
    ]) {
      const bytes = encode(deviceCert, mixed);
      const { certificate, agent } = alice;
      await assert.rejects(verifyDeviceCert({ bytes, certificate, agent, now }), DeviceRefusal);
    }
    await assert.rejects(
      verifyDeviceCert({ bytes: first.certificate, certificate: eve.certificate, agent: alice.agent, now }),
      (error) => error instanceof DeviceRefusal && error.code === 'other-person',
    );
  });

  it('finds no certificate so crooked that reading it throws anything but a refusal', async () => {
    const random = seededRandom(5);
    const parts = [...packetsOf(alice.certificate), ...packetsOf(eve.certificate)].map(({ whole }) => whole);
    for (let turn = 0; turn < 60; turn++) {
      const order = [...random(1 + (turn % 9))].map((byte) => parts[byte % parts.length] ?? new Uint8Array());
      const crooked = concat(packetsOf(alice.certificate)[0]?.whole ?? new Uint8Array(), ...order);
      for (const read of [
        () => alice.agent.readCertificate(crooked, now),
        () => alice.agent.stripCertificate(crooked),
        () => alice.agent.mergeCertificate(alice.certificate, crooked),
        () => alice.agent.seal({ purpose: 'welcome', context, body, certificates: [crooked], now }),
      ]) {
        await read().catch((error: unknown) => assert.ok(error instanceof KeyRefusal, String(error)));
      }
    }
  });
});
