// The OpenPGP profile against what a hostile node, an old mailbox and a forger can send. OpenPGP.js and the real GnuPG are the attacker's tools.
import assert from 'node:assert/strict';
import { createCipheriv, createHash, randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { deflateRawSync } from 'node:zlib';
import fc from 'fast-check';
import * as openpgp from 'openpgp';
import { readArmor } from '../keys/armor.ts';
import { hash } from '../keys/hash.ts';
import { localKeyAgent } from '../keys/key-agent.ts';
import { KeyRefusal } from '../keys/key-refusal.ts';
import {
  generateSecretKey,
  mergeCertificate,
  readCertificate,
  relockSecretKey,
  type SealPurpose,
  seal,
  stripCertificate,
  type UnlockedKey,
  unlockSecretKey,
  verifySignature,
} from '../keys/openpgp.ts';
import { readPackets } from '../keys/packets.ts';
import { concat, label, utf8 } from '../wire/bytes.ts';
import { Gpg } from './gpg.ts';

/** When this file begins, which in a whole run is long after it was read. */
let now = 0;
const minute = 60_000;
const year = 365 * 24 * 60 * minute;
const passphrase = 'correct horse';
const context = new Uint8Array(64).fill(7);
const body = new Uint8Array(32).fill(9);
const purposes: SealPurpose[] = ['login challenge', 'group key', 'welcome'];

type Person = { key: UnlockedKey; certificate: Uint8Array; secretKey: Uint8Array; uses: () => number };

async function person(username: string, at = now): Promise<Person> {
  return unlocked(await generateSecretKey({ username, passphrase, now: at }));
}

async function unlocked({ secretKey, certificate }: { secretKey: Uint8Array; certificate: Uint8Array }): Promise<Person> {
  let uses = 0;
  const onPrivateKeyUse = () => {
    uses += 1;
  };
  const key = await unlockSecretKey({ secretKey, passphrase, onPrivateKeyUse });
  return { key, certificate, secretKey, uses: () => uses };
}

/** For keys and signatures that only OpenPGP.js itself makes. */
async function attackerKey(secretKey: Uint8Array): Promise<openpgp.PrivateKey> {
  return openpgp.decryptKey({ privateKey: await openpgp.readPrivateKey({ binaryKey: secretKey.slice() }), passphrase });
}

function bytesOf(armored: string): Uint8Array {
  const [block] = readArmor(armored);
  return block !== undefined && 'bytes' in block ? block.bytes : assert.fail(armored);
}

function packet(tag: number, ...parts: Uint8Array[]): Uint8Array {
  const inside = concat(...parts);
  return concat(
    Uint8Array.of(0xc0 | tag, 255, inside.length >>> 24, inside.length >> 16, inside.length >> 8, inside.length),
    inside,
  );
}

function shortPacket(tag: number, ...parts: Uint8Array[]): Uint8Array {
  const inside = concat(...parts);
  const length = inside.length < 192 ? [inside.length] : [192 + ((inside.length - 192) >> 8), (inside.length - 192) & 255];
  return concat(Uint8Array.of(0xc0 | tag, ...length), inside);
}

function literal(data: Uint8Array, fileName = ''): Uint8Array {
  return shortPacket(11, utf8('b'), Uint8Array.of(fileName.length), utf8(fileName), new Uint8Array(4), data);
}

/** A PKESK and a SEIPD around any packets whatever: what OpenPGP.js would never write. */
async function sealedAround(
  certificate: Uint8Array,
  inside: Uint8Array,
  options: { wildcard?: boolean } = {},
): Promise<Uint8Array> {
  const { sessionKeyPacket, sealed } = await sealedParts(certificate, inside, options);
  return concat(sessionKeyPacket, sealed);
}

async function sealedParts(certificate: Uint8Array, inside: Uint8Array, options: { wildcard?: boolean } = {}) {
  const sessionKey = randomBytes(32);
  const encryptionKeys = await openpgp.readKey({ binaryKey: certificate.slice() });
  const sessionKeyPacket = await openpgp.encryptSessionKey({
    data: sessionKey,
    algorithm: 'aes256',
    encryptionKeys,
    format: 'binary',
    date: new Date(now + minute),
    wildcard: options.wildcard ?? false,
  });
  const prefix = randomBytes(16);
  const hashed = concat(prefix, prefix.subarray(14), inside, Uint8Array.of(0xd3, 0x14));
  const cipher = createCipheriv('aes-256-cfb', sessionKey, new Uint8Array(16));
  const encrypted = concat(cipher.update(hashed), cipher.update(createHash('sha1').update(hashed).digest()), cipher.final());
  return { sessionKeyPacket, encrypted, sealed: packet(18, Uint8Array.of(1), encrypted) };
}

function labelled(purpose: SealPurpose, rest: Uint8Array): Uint8Array {
  const padded = new Uint8Array(32);
  padded.set(utf8(`secure/1 ${purpose}`));
  return concat(padded, context, rest);
}

async function refusedOpening(alice: Person, purpose: SealPurpose, message: Uint8Array, name = ''): Promise<void> {
  await assert.rejects(alice.key.open({ purpose, context, message, now }), (error) => {
    assert(error instanceof KeyRefusal, `${name}: ${error}`);
    assert.equal(`${error.code} ${error.message} ${error.cause}`, 'refused key refused: refused undefined', name);
    return true;
  });
}

describe('OpenPGP', () => {
  let gpg: Gpg;
  let alice: Person;
  let bob: Person;

  before(async function () {
    this.timeout(30_000);
    now = Date.now();
    gpg = new Gpg();
    await writeFile(join(gpg.home, 'gpg-agent.conf'), 'debug-quick-random\ns2k-count 65536\n');
    alice = await person('alice');
    bob = await person('bob');
    await gpg.run(['--import'], alice.certificate);
    await gpg.generate({ name: 'carol', algorithm: 'rsa3072', passphrase });
  });

  after(() => gpg.dispose());

  describe('a certificate', () => {
    it('tells the facts of a key, and its uid covers the public key packet only', async () => {
      const facts = await readCertificate(alice.certificate, now);
      const framed = readPackets(alice.certificate, 100);
      assert('packets' in framed);
      const uid = hash('uid', Uint8Array.of(4), framed.packets[0]?.body ?? new Uint8Array());
      assert.deepEqual(
        { ...facts, uid: [...facts.uid], createdAt: Math.floor(now / 1000) },
        {
          uid: [...uid],
          fingerprint: facts.fingerprint,
          keyVersion: 4,
          userIds: ['alice'],
          createdAt: Math.floor(now / 1000),
          expiresAt: undefined,
          algorithm: 'Ed25519',
          revoked: false,
          canEncrypt: true,
          canSign: true,
        },
      );
      assert.deepEqual([...alice.key.uid], [...uid]);
      assert.deepEqual(alice.key.certificate, alice.certificate);
      assert.deepEqual(await stripCertificate(alice.secretKey), alice.certificate);
      assert.deepEqual(
        framed.packets.map(({ tag }) => tag),
        [6, 13, 2, 14, 2],
      );
    });

    it('is stripped of other signatures, photos, keyring notes and junk, and stays the same when stripped again', async () => {
      const key = bytesOf(await gpg.exportPublic('carol'));
      const stripped = await stripCertificate(key);
      await gpg.generate({ name: 'dave', algorithm: 'ed25519', passphrase });
      await gpg.run([
        '--passphrase',
        passphrase,
        '--local-user',
        'dave@example.org',
        '--quick-sign-key',
        await fingerprintOf(key),
      ]);
      const signed = bytesOf(await gpg.exportPublic('carol'));
      assert(signed.length > key.length);
      assert.deepEqual(await stripCertificate(signed), stripped);

      const framed = readPackets(signed, 100);
      assert('packets' in framed);
      const [primary, userId, ...rest] = framed.packets.map(({ whole }) => whole);
      assert(primary !== undefined && userId !== undefined);
      const photo = packet(17, Uint8Array.of(255, 1), new Uint8Array(60_000));
      const forged = packet(2, randomBytes(100).fill(4, 0, 1));
      const [marker, trust] = [packet(10, utf8('PGP')), packet(12, Uint8Array.of(1, 2))];
      const noisy = concat(primary, marker, photo, ...rest.slice(0, 1), userId, trust, ...rest, photo, ...rest.slice(0, 1));
      assert.deepEqual(await stripCertificate(noisy), stripped);
      assert.deepEqual(await stripCertificate(stripped), stripped);
      await stripCertificate(concat(primary, userId, ...rest, forged)).catch((error) => assert.equal(error.code, 'damaged'));
    });

    it('loses user ids and subkeys that its primary key did not sign', async () => {
      const [framed, others] = [readPackets(alice.certificate, 100), readPackets(bob.certificate, 100)];
      assert('packets' in framed && 'packets' in others);
      const [primary, userId, certification, subkey, binding] = framed.packets.map(({ whole }) => whole);
      const bobsSubkey = others.packets[3]?.whole;
      assert(primary && userId && certification && subkey && binding && bobsSubkey);
      const forged = [
        primary,
        packet(13, utf8('bob')),
        certification,
        userId,
        certification,
        bobsSubkey,
        binding,
        subkey,
        binding,
      ];
      assert.deepEqual(await stripCertificate(concat(...forged)), alice.certificate);
      await assert.rejects(stripCertificate(concat(...forged.slice(0, 3), ...forged.slice(5))), { code: 'damaged' });
      assert.deepEqual((await readCertificate(concat(...forged), now)).userIds, ['alice']);
    });

    it('loses what a stranger adds to the unhashed part of a signature', async () => {
      const key = await openpgp.readKey({ binaryKey: alice.certificate.slice() });
      for (const signature of key.users.flatMap((user) => user.selfCertifications)) {
        signature.unhashedSubpackets.push({ type: 20, critical: false, body: randomBytes(500) });
      }
      const noisy = key.write();
      assert(noisy.length > alice.certificate.length + 500);
      assert.deepEqual(await stripCertificate(noisy), alice.certificate);
    });

    it('is refused above 16 KiB, and ten thousand user ids cost no time', async () => {
      const framed = readPackets(alice.certificate, 100);
      assert('packets' in framed);
      const [primary, , signature] = framed.packets.map(({ whole }) => whole);
      assert(primary !== undefined && signature !== undefined);
      const many = Array.from({ length: 10_000 }, (_, i) => packet(13, utf8(`${i}`)));
      const start = performance.now();
      await assert.rejects(stripCertificate(concat(primary, ...many)), { code: 'damaged' });
      await assert.rejects(stripCertificate(concat(primary, ...many.slice(0, 1000).flatMap((id) => [id, signature]))), {
        code: 'certificate-too-large',
      });
      await assert.rejects(readCertificate(new Uint8Array(16 * 1024 + 1).fill(0xc6), now), { code: 'certificate-too-large' });
      await assert.rejects(stripCertificate(new Uint8Array(256 * 1024 + 1).fill(0xc6)), { code: 'too-large' });
      assert(performance.now() - start < 2000);
    });

    it('with an oversized modulus or exponent is refused before any arithmetic', async () => {
      const rsa = (modulusBits: number, exponentBits: number) =>
        packet(
          6,
          Uint8Array.of(4, 0x5f, 0, 0, 0, 1),
          Uint8Array.of(modulusBits >> 8, modulusBits & 255),
          new Uint8Array(Math.ceil(modulusBits / 8)).fill(0xff),
          Uint8Array.of(exponentBits >> 8, exponentBits & 255),
          new Uint8Array(Math.ceil(exponentBits / 8)).fill(0xff),
        );
      await assert.rejects(stripCertificate(rsa(16_384, 17)), { code: 'unsupported-key' });
      await assert.rejects(stripCertificate(rsa(4096, 4096)), { code: 'unsupported-key' });
      await assert.rejects(stripCertificate(rsa(1024, 17)), { code: 'weak' });
    });

    it('is not a secret key, a signature or two keys', async () => {
      await assert.rejects(readCertificate(alice.secretKey, now), { code: 'secret-key' });
      await assert.rejects(readCertificate(concat(alice.certificate, bob.certificate), now), { code: 'several-keys' });
      await assert.rejects(readCertificate(await alice.key.sign({ purpose: 'name-claim', body, now }), now), {
        code: 'signature',
      });
      await assert.rejects(readCertificate(new Uint8Array(), now), { code: 'empty' });
    });

    it('is merged with an update of the same key only, and a revocation stays whichever side has it', async () => {
      const revoked = await openpgp.revokeKey({ key: await attackerKey(alice.secretKey), date: new Date(now), format: 'object' });
      const update = await stripCertificate(revoked.publicKey.write());
      assert.equal((await readCertificate(update, now)).revoked, true);
      for (const merged of [
        await mergeCertificate(alice.certificate, update),
        await mergeCertificate(update, alice.certificate),
      ]) {
        assert.deepEqual(merged, update);
        const facts = await readCertificate(merged, now);
        assert.deepEqual([facts.revoked, facts.canEncrypt, facts.canSign], [true, false, false]);
        await assert.rejects(seal({ purpose: 'welcome', context, body, certificates: [merged], now }), {
          code: 'revoked',
          fingerprint: facts.fingerprint,
        });
      }
      await assert.rejects(mergeCertificate(alice.certificate, bob.certificate), { code: 'other-key' });
    });

    it('keeps the revocation of a subkey when an older copy without it is merged', async () => {
      const secret = await attackerKey(alice.secretKey);
      const [subkey] = secret.subkeys;
      assert(subkey !== undefined && secret.keyPacket instanceof openpgp.SecretKeyPacket);
      const revoked = await subkey.revoke(secret.keyPacket, {}, new Date(now));
      subkey.revocationSignatures = revoked.revocationSignatures;
      const update = await stripCertificate(secret.toPublic().write());
      for (const merged of [
        await mergeCertificate(alice.certificate, update),
        await mergeCertificate(update, alice.certificate),
      ]) {
        await assert.rejects(seal({ purpose: 'welcome', context, body, certificates: [merged], now }), {
          code: 'encryption-revoked',
        });
        assert.equal((await readCertificate(merged, now)).canEncrypt, false);
      }
    });

    it('keeps its signing subkey when merged with a copy out of which the cross-signature was cut', async () => {
      await gpg.generate({ name: 'trent', algorithm: 'ed25519', passphrase });
      const fingerprint = await fingerprintOf(bytesOf(await gpg.exportPublic('trent')));
      await gpg.run(['--passphrase', passphrase, '--quick-add-key', fingerprint, 'ed25519', 'sign', 'never']);
      const whole = await stripCertificate(bytesOf(await gpg.exportPublic('trent')));
      const cut = await openpgp.readKey({ binaryKey: whole.slice() });
      for (const binding of cut.subkeys.flatMap((subkey) => subkey.bindingSignatures)) {
        binding.unhashedSubpackets = binding.unhashedSubpackets.filter(({ type }) => type !== 32);
      }
      assert(cut.write().length < whole.length - 50);
      const merged = await mergeCertificate(whole, cut.write());
      assert.deepEqual(merged, whole);
    });

    it('after an extension still verifies what was signed before', async () => {
      const signature = await alice.key.sign({ purpose: 'device-cert', body, now });
      const later = now + 10 * minute;
      const extended = await openpgp.reformatKey({
        privateKey: await attackerKey(alice.secretKey),
        userIDs: { name: 'alice' },
        keyExpirationTime: (2 * year) / 1000,
        date: new Date(later),
        format: 'object',
      });
      const update = await stripCertificate(extended.publicKey.write());
      const facts = await readCertificate(update, later);
      assert.equal(Math.round(((facts.expiresAt ?? 0) - now) / year), 2);
      assert.deepEqual(await mergeCertificate(alice.certificate, update), update);
      await verifySignature({ purpose: 'device-cert', body, signature, certificate: update, now: later });
    });

    it('that has expired is read, and neither sealed to nor believed', async () => {
      const { privateKey, publicKey } = await openpgp.generateKey({
        type: 'ecc',
        userIDs: { name: 'erin' },
        keyExpirationTime: 3600,
        date: new Date(now),
        passphrase,
        format: 'binary',
      });
      const erin = await unlocked({ secretKey: privateKey, certificate: await stripCertificate(publicKey) });
      const signature = await erin.key.sign({ purpose: 'device-cert', body, now });
      const parts = { purpose: 'device-cert', body, signature, certificate: erin.certificate } as const;
      await verifySignature({ ...parts, now });
      await assert.rejects(verifySignature({ ...parts, now: now + 61 * minute }), { code: 'bad-signature' });
      await assert.rejects(
        seal({ purpose: 'welcome', context, body, certificates: [erin.certificate], now: now + 61 * minute }),
        {
          code: 'expired',
        },
      );
      const facts = await readCertificate(erin.certificate, now + 61 * minute);
      assert.deepEqual([facts.canEncrypt, facts.canSign, facts.revoked], [false, false, false]);
      assert(facts.expiresAt !== undefined && facts.expiresAt < now + 61 * minute);
    });

    it('shows no control and no direction characters of a user id', async () => {
      const mallory = await person('al\u202eice\n\u0007');
      assert.deepEqual((await readCertificate(mallory.certificate, now)).userIds, ['al\ufffdice\ufffd\ufffd']);
    });
  });

  describe('a generated key', () => {
    it('is imported by the real gpg, which signs for it and reads what is sealed to it', async () => {
      const frank = await person('frank');
      await gpg.run(['--import'], frank.secretKey);
      const { fingerprint } = await readCertificate(frank.certificate, now);
      const secret = ['--passphrase', passphrase, '--local-user', fingerprint];
      const signature = bytesOf(await gpg.run([...secret, '--armor', '--detach-sign'], concat(label('device-cert'), body)));
      await verifySignature({ purpose: 'device-cert', body, signature, certificate: frank.certificate, now: Date.now() });
      const message = await seal({
        purpose: 'login challenge',
        context,
        body: utf8('by hand'.padEnd(32)),
        certificates: [frank.certificate],
        now,
      });
      const plaintext = new TextDecoder().decode(labelled('login challenge', utf8('by hand'.padEnd(32))));
      assert.equal(await gpg.run([...secret, '--decrypt'], message), plaintext);
    });

    it('needs its passphrase, takes another one, and prints as nothing but [key]', async () => {
      await assert.rejects(generateSecretKey({ username: 'x', passphrase: '', now }), { code: 'empty-passphrase' });
      await assert.rejects(unlockSecretKey({ secretKey: alice.secretKey, passphrase: 'wrong' }), { code: 'wrong-passphrase' });
      await assert.rejects(unlockSecretKey({ secretKey: alice.certificate, passphrase }), { code: 'public-key' });
      const secretKey = await relockSecretKey({ unlocked: alice.key, passphrase: 'other' });
      await assert.rejects(unlockSecretKey({ secretKey, passphrase }), { code: 'wrong-passphrase' });
      const key = await unlockSecretKey({ secretKey, passphrase: 'other' });
      assert.deepEqual([inspect(key), `${key}`, JSON.stringify({ key })], ['[key]', '[key]', '{"key":"[key]"}']);
      key.wipe();
      await assert.rejects(key.sign({ purpose: 'device-cert', body, now }), { code: 'locked' });
      await assert.rejects(key.open({ purpose: 'welcome', context, message: body, now }), { code: 'locked' });
    });
  });

  describe('sealing', () => {
    it('opens for the same purpose and context, and for no other', async () => {
      for (const purpose of purposes) {
        const message = await seal({ purpose, context, body, certificates: [alice.certificate], now });
        assert.deepEqual(await alice.key.open({ purpose, context, message, now }), body);
        await assert.rejects(bob.key.open({ purpose, context, message, now }), { code: 'refused' });
        const other = context.slice();
        other[63] = 0;
        await assert.rejects(alice.key.open({ purpose, context: other, message, now }), { code: 'refused' });
        for (const another of purposes.filter((each) => each !== purpose)) await refusedOpening(alice, another, message);
      }
    });

    it('makes one shard for 32 members, each of whom opens it with one private-key operation', async () => {
      const secretKey = bytesOf(await gpg.exportSecret('carol'));
      const carol = await unlocked({ secretKey, certificate: await stripCertificate(secretKey) });
      const certificates = [alice, carol, ...Array.from({ length: 30 }, () => bob)].map((member) => member.certificate);
      const message = await seal({ purpose: 'group key', context, body, certificates, now });
      const framed = readPackets(message, 33);
      assert('packets' in framed);
      assert.deepEqual(
        framed.packets.map(({ tag }) => tag),
        [...Array.from({ length: 32 }, () => 1), 18],
      );
      for (const member of [alice, carol]) {
        const before = member.uses();
        assert.deepEqual(await member.key.open({ purpose: 'group key', context, message, now }), body);
        assert.equal(member.uses(), before + 1);
      }
      await refusedOpening(bob, 'group key', message, 'addressed thirty times');
      await assert.rejects(
        seal({ purpose: 'group key', context, body, certificates: [...certificates, bob.certificate], now }),
        RangeError,
      );
      await assert.rejects(seal({ purpose: 'welcome', context, body, certificates: certificates.slice(0, 2), now }), RangeError);
      await assert.rejects(seal({ purpose: 'welcome', context, body, certificates: [], now }), RangeError);
    });

    it('uses the newest of several encryption subkeys', async () => {
      const secret = await attackerKey(alice.secretKey);
      const several = await (await secret.addSubkey({ date: new Date(now) })).addSubkey({
        type: 'rsa',
        rsaBits: 2048,
        date: new Date(now + minute),
      });
      const locked = await openpgp.encryptKey({ privateKey: several, passphrase });
      const twin = await unlocked({ secretKey: locked.write(), certificate: await stripCertificate(several.toPublic().write()) });
      const message = await seal({ purpose: 'login challenge', context, body, certificates: [twin.certificate], now });
      const framed = readPackets(message, 10);
      assert('packets' in framed && framed.packets.length === 2);
      assert.deepEqual(await twin.key.open({ purpose: 'login challenge', context, message, now }), body);
      await refusedOpening(alice, 'login challenge', message);
    });

    it('works with v6 keys, whose messages are of the newer kind', async () => {
      const { privateKey, publicKey } = await openpgp.generateKey({
        type: 'curve25519',
        userIDs: { name: 'grace' },
        date: new Date(now),
        passphrase,
        format: 'binary',
        config: { v6Keys: true, aeadProtect: true, s2kType: openpgp.enums.s2k.iterated },
      });
      const grace = await unlocked({ secretKey: privateKey, certificate: await stripCertificate(publicKey) });
      const message = await seal({ purpose: 'login challenge', context, body, certificates: [grace.certificate], now });
      const framed = readPackets(message, 10);
      assert('packets' in framed && framed.packets[1]?.body[0] === 2);
      assert.deepEqual(await grace.key.open({ purpose: 'login challenge', context, message, now }), body);
      const signature = await grace.key.sign({ purpose: 'device-cert', body, now });
      await verifySignature({ purpose: 'device-cert', body, signature, certificate: grace.certificate, now });
      assert.equal((await readCertificate(grace.certificate, now)).keyVersion, 6);
    });

    it('bears clocks that differ by five minutes, and no more', async () => {
      const ahead = await person('heidi', now + 4 * minute);
      const message = await seal({ purpose: 'welcome', context, body, certificates: [ahead.certificate], now });
      assert.deepEqual(await ahead.key.open({ purpose: 'welcome', context, message, now }), body);
      const signature = await ahead.key.sign({ purpose: 'device-cert', body, now });
      await verifySignature({ purpose: 'device-cert', body, signature, certificate: ahead.certificate, now: now - minute });
      const far = await person('ivan', now + 6 * minute);
      await assert.rejects(seal({ purpose: 'welcome', context, body, certificates: [far.certificate], now }), {
        code: 'not-yet-valid',
      });
      await assert.rejects(readCertificate(far.certificate, now), { code: 'not-yet-valid' });
    });
  });

  describe('as a challenge', () => {
    const genuine = () => seal({ purpose: 'login challenge', context, body, certificates: [alice.certificate], now });

    it("one of the user's group-key shards is refused", async () => {
      const shard = await seal({ purpose: 'group key', context, body, certificates: [alice.certificate], now });
      await refusedOpening(alice, 'login challenge', shard);
    });

    it('an old mail is refused: signed, unsigned, compressed, and of exactly 128 bytes', async () => {
      const { fingerprint } = await readCertificate(alice.certificate, now);
      const mail = ['--armor', '--trust-model', 'always', '--recipient', fingerprint, '--encrypt'];
      const text = 'x'.repeat(128);
      const sign = ['--passphrase', passphrase, '--local-user', 'carol@example.org', '--sign'];
      const mails = {
        compressed: bytesOf(await gpg.run(mail, text)),
        uncompressed: bytesOf(await gpg.run(['--compress-algo', 'none', ...mail], text)),
        signed: bytesOf(await gpg.run([...sign, ...mail], text)),
        'signed and uncompressed': bytesOf(await gpg.run(['--compress-algo', 'none', ...sign, ...mail], text)),
        'of the same shape': await sealedAround(alice.certificate, literal(utf8(text))),
      };
      for (const [name, message] of Object.entries(mails)) await refusedOpening(alice, 'login challenge', message, name);
    });

    it('any other packet shape is refused without a private-key operation', async () => {
      const whole = await genuine();
      const framed = readPackets(whole, 2);
      assert('packets' in framed);
      const [first, second] = framed.packets;
      assert(first !== undefined && second !== undefined);
      const { sessionKeyPacket, encrypted } = await sealedParts(alice.certificate, literal(labelled('login challenge', body)));
      const withPassword = packet(3, Uint8Array.of(4, 9, 0, 8));
      const others: Record<string, Uint8Array> = {
        'an extra SKESK before': concat(withPassword, whole),
        'an extra SKESK between': concat(first.whole, withPassword, second.whole),
        'a second PKESK': concat(first.whole, whole),
        'a PKESK for somebody else': concat((await sealedParts(bob.certificate, body)).sessionKeyPacket, whole),
        'a SED instead of a SEIPD': concat(sessionKeyPacket, packet(9, encrypted)),
        'an AEAD packet': concat(first.whole, packet(20, Uint8Array.of(1, 9, 2, 10), second.body)),
        'a SEIPD of unknown version': concat(first.whole, packet(18, Uint8Array.of(3), encrypted)),
        'a trailing literal packet': concat(whole, literal(body)),
        'a trailing marker': concat(whole, packet(10, utf8('PGP'))),
        'a trailing packet of unknown kind': concat(whole, packet(60, body)),
        'a trailing byte': concat(whole, Uint8Array.of(0)),
        'a marker before': concat(packet(10, utf8('PGP')), whole),
        'padding before': concat(packet(21, body), whole),
        'a signature before': concat(await bob.key.sign({ purpose: 'name-claim', body, now }), whole),
        'the message twice': concat(whole, whole),
        'two SEIPDs': concat(whole, second.whole),
        'no PKESK': second.whole,
        'no SEIPD': first.whole,
        'an anonymous recipient': await sealedAround(alice.certificate, literal(labelled('login challenge', body)), {
          wildcard: true,
        }),
        'somebody else as recipient': await seal({
          purpose: 'login challenge',
          context,
          body,
          certificates: [bob.certificate],
          now,
        }),
        'another length': await seal({
          purpose: 'login challenge',
          context,
          body: body.subarray(1),
          certificates: [alice.certificate],
          now,
        }),
        'partial lengths': concat(
          first.whole,
          Uint8Array.of(0xd2, 0xe6),
          second.body.subarray(0, 64),
          Uint8Array.of(second.body.length - 64),
          second.body.subarray(64),
        ),
        'an indeterminate length': concat(first.whole, Uint8Array.of(0x80 | (9 << 2) | 3), second.body),
        'more than 2 KiB': await sealedAround(alice.certificate, literal(new Uint8Array(2048))),
        nothing: new Uint8Array(),
        armor: utf8(openpgp.armor(openpgp.enums.armor.message, whole)),
      };
      const before = alice.uses();
      for (const [name, message] of Object.entries(others)) await refusedOpening(alice, 'login challenge', message, name);
      assert.equal(alice.uses(), before);
      assert.deepEqual(await alice.key.open({ purpose: 'login challenge', context, message: whole, now }), body);
      assert.equal(alice.uses(), before + 1);
    });

    it('a group key beside anything but session keys is refused without a private-key operation', async () => {
      const whole = await seal({ purpose: 'group key', context, body, certificates: [bob.certificate, alice.certificate], now });
      const framed = readPackets(whole, 3);
      assert('packets' in framed);
      const [first, second, third] = framed.packets.map((each) => each.whole);
      assert(first !== undefined && second !== undefined && third !== undefined);
      const before = alice.uses();
      const strangers = [
        packet(3, Uint8Array.of(4, 9, 0, 8)),
        packet(10, utf8('PGP')),
        packet(21, body),
        packet(60, body),
        literal(body),
      ];
      for (const stranger of strangers) {
        await refusedOpening(alice, 'group key', concat(stranger, whole));
        await refusedOpening(alice, 'group key', concat(first, stranger, second, third));
        await refusedOpening(alice, 'group key', concat(first, second, stranger, third));
        await refusedOpening(alice, 'group key', concat(whole, stranger));
      }
      await refusedOpening(alice, 'group key', concat(...Array.from({ length: 32 }, () => first), second, third));
      assert.equal(alice.uses(), before);
      assert.deepEqual(await alice.key.open({ purpose: 'group key', context, message: whole, now }), body);
    });

    it('at most five are opened in a minute until the person allows more', async () => {
      const agent = localKeyAgent();
      await agent.unlock({ secretKey: alice.secretKey, passphrase });
      const message = await genuine();
      const open = (at: number) => agent.open({ purpose: 'login challenge', context, message, now: at });
      for (let i = 0; i < 4; i++) await open(now + i);
      await assert.rejects(agent.open({ purpose: 'login challenge', context, message: body, now }), { code: 'refused' });
      await assert.rejects(open(now + 59_000), { code: 'too-many-challenges' });
      const welcome = await agent.seal({ purpose: 'welcome', context, body, certificates: [alice.certificate], now });
      assert.deepEqual(await agent.open({ purpose: 'welcome', context, message: welcome, now }), body);
      await open(now + 61_000);
      for (let i = 0; i < 4; i++) await open(now + 62_000);
      await assert.rejects(open(now + 63_000), { code: 'too-many-challenges' });
      await agent.allowMoreChallenges();
      assert.deepEqual(await open(now + 64_000), body);
    });
  });

  describe('inside a sealed message', () => {
    it('nothing but one literal packet is taken, whatever the label says', async () => {
      for (const purpose of ['welcome', 'login challenge'] as const) {
        const right = literal(labelled(purpose, body));
        const opened = await alice.key.open({ purpose, context, message: await sealedAround(alice.certificate, right), now });
        assert.deepEqual(opened, body);
        const shorter = literal(labelled(purpose, body.subarray(5)));
        const signed = await openpgp.sign({
          message: await openpgp.createMessage({ binary: labelled(purpose, body) }),
          signingKeys: await attackerKey(bob.secretKey),
          format: 'binary',
          date: new Date(now),
        });
        const insides: Record<string, Uint8Array> = {
          'a marker before': concat(packet(10, utf8('PGP')), right),
          'a marker of the missing length before': concat(shortPacket(10, utf8('PGP')), shorter),
          'a marker of the missing length after': concat(shorter, shortPacket(10, utf8('PGP'))),
          'padding before': concat(shortPacket(21, utf8('pad')), shorter),
          'a second literal packet': concat(right, right),
          'something after that is no packet': concat(right, Uint8Array.of(0)),
          'a file name': literal(labelled(purpose, body), 'name'),
          'a file name in place of data': literal(labelled(purpose, body.subarray(4)), 'name'),
          'a signature': signed,
          'compression, none': shortPacket(8, Uint8Array.of(0), right),
          'compression, deflate': shortPacket(8, Uint8Array.of(1), deflateRawSync(right)),
          'another message': await sealedAround(alice.certificate, right),
          nothing: new Uint8Array(),
          junk: randomBytes(right.length),
        };
        for (const [name, inside] of Object.entries(insides)) {
          await refusedOpening(alice, purpose, await sealedAround(alice.certificate, inside), `${purpose}, ${name}`);
        }
      }
    });

    it('50 MB out of a few bytes are refused in little time and memory', async function () {
      this.timeout(20_000);
      const bytes = 50 * 1024 * 1024;
      const large = concat(Uint8Array.of(0xcb, 255, bytes >>> 24, bytes >> 16, bytes >> 8, bytes), new Uint8Array(bytes));
      const zip = packet(8, Uint8Array.of(1), deflateRawSync(large));
      const bzip2 = packet(8, bytesOfStored(bytesOf(await gpg.run(['--armor', '--compress-algo', 'bzip2', '--store'], large))));
      for (const [name, inside] of Object.entries({ zip, bzip2 })) {
        const message = await sealedAround(alice.certificate, inside);
        const start = performance.now();
        const before = process.memoryUsage().rss;
        await refusedOpening(alice, 'group key', message, name);
        assert(performance.now() - start < 500, name);
        assert(process.memoryUsage().rss - before < 16 * 1024 * 1024, name);
      }
      assert(bzip2.length < 4096);
    });

    it('a changed byte anywhere is refused', async () => {
      const message = await seal({ purpose: 'login challenge', context, body, certificates: [alice.certificate], now });
      for (let i = 0; i < message.length; i += 3) {
        const changed = message.slice();
        changed[i] = (changed[i] ?? 0) ^ 1;
        await refusedOpening(alice, 'login challenge', changed, `byte ${i}`);
      }
    });
  });

  describe('a signature', () => {
    const parts = (signature: Uint8Array) =>
      ({ purpose: 'device-cert', body, signature, certificate: alice.certificate, now }) as const;
    const refused = (signature: Uint8Array, name?: string) =>
      assert.rejects(verifySignature(parts(signature)), { code: 'bad-signature' }, name);

    it('is good for its purpose, bytes and key only', async () => {
      const signature = await alice.key.sign({ purpose: 'device-cert', body, now });
      await verifySignature(parts(signature));
      await assert.rejects(verifySignature({ ...parts(signature), purpose: 'name-claim' }), { code: 'bad-signature' });
      await assert.rejects(verifySignature({ ...parts(signature), body: body.subarray(1) }), { code: 'bad-signature' });
      await assert.rejects(verifySignature({ ...parts(signature), certificate: bob.certificate }), { code: 'bad-signature' });
      await refused(await bob.key.sign({ purpose: 'device-cert', body, now }));
    });

    it('in text mode, twice, inline, cleartext or with anything beside it is refused', async () => {
      const signingKeys = await attackerKey(alice.secretKey);
      const signed = concat(label('device-cert'), body);
      const good = await alice.key.sign({ purpose: 'device-cert', body, now });
      const date = new Date(now);
      const asText = await openpgp.createMessage({ text: new TextDecoder('latin1').decode(signed) });
      const inline = await openpgp.sign({
        message: await openpgp.createMessage({ binary: signed }),
        signingKeys,
        format: 'binary',
        date,
      });
      const cleartext = await openpgp.sign({ message: await openpgp.createCleartextMessage({ text: 'x' }), signingKeys, date });
      const framed = readPackets(inline, 3);
      assert('packets' in framed && framed.packets[2] !== undefined);
      await verifySignature(parts(framed.packets[2].whole)); // the same signature, alone
      await refused(await openpgp.sign({ message: asText, signingKeys, detached: true, format: 'binary', date }), 'text mode');
      await refused(concat(good, good), 'twice');
      await refused(concat(good, await bob.key.sign({ purpose: 'device-cert', body, now })), 'another one');
      await refused(inline, 'inline');
      await refused(utf8(cleartext), 'cleartext');
      await refused(concat(packet(10, utf8('PGP')), good), 'a marker before');
      await refused(concat(good, packet(10, utf8('PGP'))), 'a marker after');
      await refused(concat(good, packet(60, body)), 'an unknown packet after');
      await refused(utf8(openpgp.armor(openpgp.enums.armor.signature, good)), 'armored');
      await refused(new Uint8Array(), 'none');
    });

    it('in text mode of gpg is refused, and in binary mode taken', async () => {
      const certificate = await stripCertificate(bytesOf(await gpg.exportPublic('carol')));
      const sign = ['--passphrase', passphrase, '--local-user', 'carol@example.org', '--armor'];
      const input = concat(label('device-cert'), utf8('lines\nof text'));
      const binary = bytesOf(await gpg.run([...sign, '--detach-sign'], input));
      const text = bytesOf(await gpg.run([...sign, '--textmode', '--detach-sign'], input));
      const weak = bytesOf(await gpg.run([...sign, '--digest-algo', 'SHA224', '--detach-sign'], input));
      const claim = { purpose: 'device-cert', body: utf8('lines\nof text'), certificate, now: Date.now() } as const;
      await verifySignature({ ...claim, signature: binary });
      await assert.rejects(verifySignature({ ...claim, signature: text }), { code: 'bad-signature' });
      await assert.rejects(verifySignature({ ...claim, signature: weak }), { code: 'bad-signature' });
    });

    it('from the future or with an outdated hash is refused', async () => {
      await verifySignature(parts(await alice.key.sign({ purpose: 'device-cert', body, now: now + 4 * minute })));
      await refused(await alice.key.sign({ purpose: 'device-cert', body, now: now + 6 * minute }));
      const { sha1, sha224, ripemd, md5 } = openpgp.enums.hash;
      const { privateKey, publicKey } = await openpgp.generateKey({
        type: 'rsa',
        rsaBits: 2048,
        userIDs: { name: 'judy' },
        date: new Date(now),
        format: 'object',
      });
      const outdated = [sha1, sha224, ripemd, md5];
      const certificate = await stripCertificate(publicKey.write());
      for (const certification of privateKey.users.flatMap((user) => user.selfCertifications)) {
        certification.preferredHashAlgorithms = outdated;
      }
      for (const preferredHashAlgorithm of outdated) {
        const signature = await openpgp.sign({
          message: await openpgp.createMessage({ binary: concat(label('device-cert'), body) }),
          signingKeys: privateKey,
          detached: true,
          format: 'binary',
          date: new Date(now),
          config: {
            preferredHashAlgorithm,
            nonDeterministicSignaturesViaNotation: false,
            rejectMessageHashAlgorithms: new Set(),
          },
        });
        assert.equal(signature[3 + 3], preferredHashAlgorithm);
        await assert.rejects(verifySignature({ ...parts(signature), certificate }), { code: 'bad-signature' });
      }
    });

    it('by a key that may not sign, or no longer, is refused', async () => {
      const secret = await attackerKey(alice.secretKey);
      const withSubkey = await secret.addSubkey({ sign: true, date: new Date(now) });
      const locked = await openpgp.encryptKey({ privateKey: withSubkey, passphrase });
      const certificate = await stripCertificate(withSubkey.toPublic().write());
      const twin = await unlocked({ secretKey: locked.write(), certificate });
      const signature = await twin.key.sign({ purpose: 'device-cert', body, now });
      await verifySignature({ ...parts(signature), certificate });
      await refused(signature, 'the subkey is not in this certificate');
      const subkey = withSubkey.subkeys.at(-1);
      assert(subkey !== undefined && secret.keyPacket instanceof openpgp.SecretKeyPacket);
      subkey.revocationSignatures = (await subkey.revoke(secret.keyPacket, {}, new Date(now))).revocationSignatures;
      const update = await stripCertificate(withSubkey.toPublic().write());
      await assert.rejects(verifySignature({ ...parts(signature), certificate: update }), { code: 'bad-signature' });
      const merged = await mergeCertificate(update, certificate);
      await assert.rejects(verifySignature({ ...parts(signature), certificate: merged }), { code: 'bad-signature' });
    });
  });

  describe('every parser', () => {
    it('answers random and mutated bytes with KeyRefusal and nothing else', async function () {
      this.timeout(30_000);
      const signature = await alice.key.sign({ purpose: 'device-cert', body, now });
      const message = await seal({
        purpose: 'group key',
        context,
        body,
        certificates: [alice.certificate, bob.certificate],
        now,
      });
      const parsers: Record<string, { good: Uint8Array; parse: (bytes: Uint8Array) => Promise<unknown> }> = {
        open: { good: message, parse: (bytes) => alice.key.open({ purpose: 'group key', context, message: bytes, now }) },
        verifySignature: {
          good: signature,
          parse: (bytes) =>
            verifySignature({ purpose: 'device-cert', body, signature: bytes, certificate: alice.certificate, now }),
        },
        readCertificate: { good: alice.certificate, parse: (bytes) => readCertificate(bytes, now) },
        stripCertificate: { good: alice.certificate, parse: stripCertificate },
        mergeCertificate: { good: alice.certificate, parse: (bytes) => mergeCertificate(alice.certificate, bytes) },
        seal: {
          good: alice.certificate,
          parse: (bytes) => seal({ purpose: 'welcome', context, body, certificates: [bytes], now }),
        },
      };
      for (const [name, { good, parse }] of Object.entries(parsers)) {
        const onlyRefusals = async (bytes: Uint8Array) => {
          await parse(bytes).catch((error) => assert(error instanceof KeyRefusal, `${name}: ${error?.stack}`));
        };
        await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), onlyRefusals), { numRuns: 100 });
        await fc.assert(fc.asyncProperty(mutated(good), onlyRefusals), { numRuns: 250 });
      }
    });

    it('of packet lengths reads what it wrote and never past the end', () => {
      const one = fc.tuple(fc.integer({ min: 1, max: 63 }), fc.uint8Array({ maxLength: 300 }));
      fc.assert(
        fc.property(fc.array(one, { maxLength: 5 }), fc.nat(), (packets, cut) => {
          const bytes = concat(...packets.map(([tag, inside]) => shortPacket(tag, inside)));
          const framed = readPackets(bytes, 5);
          assert('packets' in framed);
          assert.deepEqual(
            framed.packets.map(({ tag, body: inside }) => [tag, inside]),
            packets,
          );
          const part = readPackets(bytes.subarray(0, cut % (bytes.length + 1)), 5);
          if ('packets' in part) assert(part.packets.length <= packets.length);
          else assert.equal(part.fault, 'truncated');
        }),
      );
      assert.deepEqual(readPackets(concat(packet(2, body), packet(2, body)), 1), { fault: 'damaged' });
    });
  });

  async function fingerprintOf(certificate: Uint8Array): Promise<string> {
    return (await readCertificate(await stripCertificate(certificate), now)).fingerprint;
  }
});

/** The body of the compressed packet of indeterminate length that gpg stores. */
function bytesOfStored(stored: Uint8Array): Uint8Array {
  assert.equal(stored[0], 0xa3);
  return stored.subarray(1);
}

function mutated(source: Uint8Array): fc.Arbitrary<Uint8Array> {
  const change = fc.record({ at: fc.nat(), to: fc.nat(255), how: fc.constantFrom('set', 'cut', 'insert') });
  return fc.array(change, { minLength: 1, maxLength: 4 }).map((changes) =>
    changes.reduce((bytes, { at, to, how }) => {
      const place = at % (bytes.length + 1);
      const rest = bytes.subarray(how === 'insert' ? place : place + 1);
      return how === 'cut' ? bytes.subarray(0, place) : concat(bytes.subarray(0, place), Uint8Array.of(to), rest);
    }, source),
  );
}
