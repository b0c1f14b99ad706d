// A device: its own keys, the person's OpenPGP signature over them, and how others check both (spec/protocol.md §3).
import { equal } from '../wire/bytes.ts';
import { bytesN, checked, type Decoded, decode, encode, list8, struct, u32, u64, vec16 } from '../wire/codec.ts';
import { type DeviceCertBody, deviceCert, deviceCertBody, type LockKeyBody, lockKey, lockKeyBody } from '../wire/device-cert.ts';
import { type Did, type Uid, uidCodec } from '../wire/ids.ts';
import { limits } from '../wire/limits.ts';
import { WireRefusal } from '../wire/refusal.ts';
import { isTorsionFree, type SigningKey, signingKeyFromSeed, verifyStrictly } from './ed25519.ts';
import { didOf } from './identity.ts';
import { KeyRefusal } from './key-refusal.ts';
import { secret } from './secret.ts';
import { agreementKeyFromSeed, agreementPublicKey } from './x25519.ts';

// --- one's own device

/** To be stored encrypted: whoever has it speaks for the device until its certificate ends. */
export const deviceSecrets = checked(
  struct({
    uid: uidCodec,
    /** Ed25519 */
    signSeed: bytesN(32),
    /** Encoded deviceCert. */
    certificate: vec16(limits.deviceCertBytes),
    /** Oldest first. */
    lockKeys: list8(
      struct({
        no: u32,
        /** X25519 */
        seed: bytesN(32),
        /** Encoded lockKey. */
        encoded: vec16(limits.lockKeyBytes),
        createdAt: u64,
      }),
      limits.lockKeysPerDevice,
    ),
  }),
  secret,
);
export type DeviceSecrets = Decoded<typeof deviceSecrets>;

/** What signs in the person's name: the key agent. */
export interface DeviceCertifier {
  sign(parts: { purpose: 'device-cert'; body: Uint8Array; now: number }): Promise<Uint8Array>;
}

type RandomBytes = (length: number) => Uint8Array;

/** Touches the OpenPGP key once. `name`: what the person calls the device. Times in ms since 1970. Throws KeyRefusal if the key is locked or cannot sign. */
export async function createDevice(parts: {
  agent: DeviceCertifier;
  uid: Uid;
  name: string;
  random: RandomBytes;
  now: number;
}): Promise<DeviceSecrets> {
  const { uid, random, now } = parts;
  const signSeed = random(32);
  const signer = await signingKeyFromSeed(signSeed);
  const certificate = await certify({ ...parts, signer });
  const first = await newLockKey({ no: 1, did: didOf(uid, signer.publicKey), signer, random, now });
  return secret({ uid, signSeed, certificate, lockKeys: [first] });
}

/** The same device under a new certificate when less than a third of the old one's life is left. Touches the OpenPGP key once. */
export async function renewDevice(parts: {
  agent: DeviceCertifier;
  secrets: DeviceSecrets;
  now: number;
}): Promise<'kept' | DeviceSecrets> {
  const { agent, secrets, now } = parts;
  const { body } = readDeviceCert(secrets.certificate);
  if (now < renewalDue(body)) return 'kept';
  const signer = await signingKeyFromSeed(secrets.signSeed);
  return secret({ ...secrets, certificate: await certify({ agent, uid: secrets.uid, name: body.name, signer, now }) });
}

/** From when on `renewDevice` renews. */
export function renewalDue(body: DeviceCertBody): number {
  return body.notAfter - (body.notAfter - body.createdAt) / 3;
}

/** Weekly a new lock key; private halves go 21 days after they were made: what was sealed to them can then be read by nobody. */
export async function rotateLockKeys(parts: {
  secrets: DeviceSecrets;
  random: RandomBytes;
  now: number;
}): Promise<'kept' | DeviceSecrets> {
  const { secrets, random, now } = parts;
  const kept = secrets.lockKeys.filter(({ createdAt }) => now < createdAt + limits.lockKeyDeletion);
  const newest = secrets.lockKeys.at(-1);
  const isRotationDue = newest === undefined || now >= newest.createdAt + limits.lockKeyRotation;
  if (!isRotationDue) return kept.length === secrets.lockKeys.length ? 'kept' : secret({ ...secrets, lockKeys: kept });
  const signer = await signingKeyFromSeed(secrets.signSeed);
  const did = didOf(secrets.uid, signer.publicKey);
  const fresh = await newLockKey({ no: (newest?.no ?? 0) + 1, did, signer, random, now });
  return secret({ ...secrets, lockKeys: [...kept, fresh].slice(-limits.lockKeysPerDevice) });
}

export type OpenLockKey = {
  readonly no: number;
  readonly lockPub: Uint8Array;
  /** X25519, not exportable, `deriveBits`. */
  readonly privateKey: CryptoKey;
  /** As others get it. */
  readonly encoded: Uint8Array;
  readonly notAfter: number;
};

/** A device ready to sign and to open what is sealed to it; the keys are held by WebCrypto. Prints as '[key]'. */
export type Device = {
  readonly uid: Uid;
  readonly did: Did;
  /** Encoded deviceCert. */
  readonly certificate: Uint8Array;
  readonly signer: SigningKey;
  /** Oldest first; the last is the one to publish. */
  readonly lockKeys: readonly OpenLockKey[];
};

/** Throws DeviceRefusal if the secrets do not belong together. */
export async function openDevice(secrets: DeviceSecrets): Promise<Device> {
  const { uid, certificate } = secrets;
  const signer = await signingKeyFromSeed(secrets.signSeed);
  const { did, signPub, body } = readDeviceCert(certificate);
  if (!equal(signPub, signer.publicKey) || !equal(body.uid, uid)) throw new DeviceRefusal('other-device');
  const lockKeys = await Promise.all(
    secrets.lockKeys.map(async ({ seed, encoded }) => {
      const { no, lockPub, notAfter } = readLockKey(encoded, { did, signPub });
      return { no, lockPub, privateKey: await agreementKeyFromSeed(seed), encoded, notAfter };
    }),
  );
  return secret({ uid, did, certificate, signer, lockKeys });
}

async function certify(parts: {
  agent: DeviceCertifier;
  uid: Uid;
  name: string;
  signer: SigningKey;
  now: number;
}): Promise<Uint8Array> {
  const { agent, uid, name, signer, now } = parts;
  const notAfter = now + limits.deviceCertLife;
  const body = encode(deviceCertBody, { suite: 1, uid, signPub: signer.publicKey, createdAt: now, notAfter, flags: 0, name });
  return encode(deviceCert, {
    body,
    pop: await signer.sign('device-pop', body),
    openPgpSignature: await agent.sign({ purpose: 'device-cert', body, now }),
  });
}

async function newLockKey(parts: { no: number; did: Did; signer: SigningKey; random: RandomBytes; now: number }) {
  const { no, did, signer, random, now } = parts;
  const seed = random(32);
  const lockPub = await agreementPublicKey(await agreementKeyFromSeed(seed));
  const body = encode(lockKeyBody, { did, no, lockPub, createdAt: now, notAfter: now + limits.lockKeyLife });
  const encoded = encode(lockKey, { body, signature: await signer.sign('lock-key', body) });
  return { no, seed, encoded, createdAt: now };
}

// --- the devices of others

export type DeviceRefusalCode =
  | 'malformed'
  | 'bad-key'
  | 'bad-pop'
  | 'bad-life'
  | 'other-person'
  | 'other-device'
  | 'expired'
  | 'bad-certificate'
  | 'bad-signature';

export class DeviceRefusal extends Error {
  readonly code: DeviceRefusalCode;

  constructor(code: DeviceRefusalCode) {
    super(`device refused: ${code}`);
    this.name = 'DeviceRefusal';
    this.code = code;
  }
}

export type DeviceFacts = { did: Did; uid: Uid; signPub: Uint8Array; body: DeviceCertBody };

/**
 * What depends on these bytes alone, so that everyone at any time finds the same: structure, key, pop and length of life. Neither the person's
 * signature nor the clock, hence no reason to trust it: for the group log. Throws DeviceRefusal.
 */
export function readDeviceCert(bytes: Uint8Array): DeviceFacts {
  return parsedDeviceCert(bytes).facts;
}

/** What asks a certificate; the key agent, or openpgp.ts itself at the node. */
export interface CertificateVerifier {
  readCertificate(bytes: Uint8Array, now: number): Promise<{ uid: Uid }>;
  /** Throws KeyRefusal unless it is exactly one good signature. */
  verify(parts: {
    purpose: 'device-cert';
    body: Uint8Array;
    signature: Uint8Array;
    certificate: Uint8Array;
    now: number;
  }): Promise<void>;
}

/** As for OpenPGP signatures (spec/protocol.md §1). */
const clockSkew = 300_000;

/** Also that it is that person's, signed by them and at `now` neither expired nor good for longer than any may be. Throws DeviceRefusal. */
export async function verifyDeviceCert(parts: {
  bytes: Uint8Array;
  certificate: Uint8Array;
  agent: CertificateVerifier;
  now: number;
}): Promise<DeviceFacts> {
  const { certificate, agent, now } = parts;
  const { facts, signedBody, openPgpSignature } = parsedDeviceCert(parts.bytes);
  if (now >= facts.body.notAfter) throw new DeviceRefusal('expired');
  // Whoever had the person's key for a moment must not make a device for ever by dating it ahead.
  if (facts.body.notAfter > now + clockSkew + limits.deviceCertLifeMax) throw new DeviceRefusal('bad-life');
  const person = await orRefuse(agent.readCertificate(certificate, now), 'bad-certificate');
  if (!equal(person.uid, facts.uid)) throw new DeviceRefusal('other-person');
  const check = agent.verify({ purpose: 'device-cert', body: signedBody, signature: openPgpSignature, certificate, now });
  await orRefuse(check, 'bad-signature');
  return facts;
}

/** A lock key of that device. Throws DeviceRefusal. Ask `isLive` before sealing to it. */
export function readLockKey(bytes: Uint8Array, device: { did: Did; signPub: Uint8Array }): LockKeyBody {
  const signed = parsed(() => decode(lockKey, bytes));
  const body = parsed(() => decode(lockKeyBody, signed.body));
  if (!equal(body.did, device.did)) throw new DeviceRefusal('other-device');
  refuseLife(body, limits.lockKeyLife);
  if (!verifyStrictly(device.signPub, 'lock-key', signed.body, signed.signature)) throw new DeviceRefusal('bad-signature');
  return body;
}

/** Of a device certificate or a lock key. */
export function isLive(body: { notAfter: number }, now: number): boolean {
  return now < body.notAfter;
}

function parsedDeviceCert(bytes: Uint8Array): { facts: DeviceFacts; signedBody: Uint8Array; openPgpSignature: Uint8Array } {
  const { body: signedBody, pop, openPgpSignature } = parsed(() => decode(deviceCert, bytes));
  const body = parsed(() => decode(deviceCertBody, signedBody));
  const { uid, signPub } = body;
  refuseLife(body, limits.deviceCertLifeMax);
  if (!isTorsionFree(signPub)) throw new DeviceRefusal('bad-key');
  if (!verifyStrictly(signPub, 'device-pop', signedBody, pop)) throw new DeviceRefusal('bad-pop');
  return { facts: { did: didOf(uid, signPub), uid, signPub, body }, signedBody, openPgpSignature };
}

function parsed<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof WireRefusal) throw new DeviceRefusal('malformed');
    throw error;
  }
}

function refuseLife(body: { createdAt: number; notAfter: number }, longest: number): void {
  const life = body.notAfter - body.createdAt;
  if (life <= 0 || life > longest) throw new DeviceRefusal('bad-life');
}

async function orRefuse<T>(check: Promise<T>, code: DeviceRefusalCode): Promise<T> {
  try {
    return await check;
  } catch (error) {
    if (error instanceof KeyRefusal) throw new DeviceRefusal(code);
    throw error;
  }
}
