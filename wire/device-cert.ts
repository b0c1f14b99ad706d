// What binds a device to a person: device certificate, lock key, revocation (spec/protocol.md §3).
import { bytesN, type Decoded, numberOf, struct, typed, u8, u32, u64, vec16 } from './codec.ts';
import { didCodec, uidCodec } from './ids.ts';
import { limits } from './limits.ts';
import { deviceName } from './names.ts';

export const deviceCertBody = typed(
  0x11,
  struct({
    suite: numberOf(1, 1),
    uid: uidCodec,
    /** Ed25519 */
    signPub: bytesN(32),
    createdAt: u64,
    notAfter: u64,
    flags: u8,
    name: deviceName,
  }),
);
export type DeviceCertBody = Decoded<typeof deviceCertBody>;

export const deviceCert = struct({
  /** deviceCertBody, as signed */
  body: vec16(256),
  /** Sig(device, "device-pop", body): who certifies a device also holds it. */
  pop: bytesN(64),
  /** Detached binary OpenPGP signature over lab("device-cert") ‖ body. */
  openPgpSignature: vec16(limits.openPgpSignatureBytes),
});
export type DeviceCert = Decoded<typeof deviceCert>;

export const lockKeyBody = typed(
  0x13,
  struct({
    did: didCodec,
    /** Counts from 1 per device. */
    no: u32,
    /** X25519 */
    lockPub: bytesN(32),
    createdAt: u64,
    notAfter: u64,
  }),
);
export type LockKeyBody = Decoded<typeof lockKeyBody>;

export const lockKey = struct({
  body: vec16(128),
  /** Sig(device, "lock-key", body) */
  signature: bytesN(64),
});
export type LockKey = Decoded<typeof lockKey>;
