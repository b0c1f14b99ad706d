// What can be said about the packets of a key before anything is computed with them.
import type { KeyRefusalCode } from './key-refusal.ts';
import { type Packet, packetTag } from './packets.ts';

/** A key file of 256 KiB with nothing but the shortest signatures has fewer. */
export const packetsMost = 4096;
/** GnuPG makes 2047-bit "2048" keys. */
export const rsaBitsLeast = 2047;
/** Larger moduli and exponents only make others compute. */
const rsaBitsMost = 8192;
const rsaExponentBitsMost = 32;

/** RFC 9580 §9.1 */
const algorithm = {
  rsaEncryptSign: 1,
  rsaEncrypt: 2,
  rsaSign: 3,
  elgamal: 16,
  dsa: 17,
  ecdh: 18,
  ecdsa: 19,
  eddsaLegacy: 22,
  x25519: 25,
  x448: 26,
  ed25519: 27,
  ed448: 28,
} as const;

/** Signature type of RFC 9580 §5.2.1. */
const keyRevocation = 0x20;

export function isPrimary(packet: Packet): boolean {
  return packet.tag === packetTag.publicKey || packet.tag === packetTag.secretKey;
}

/** What stands where a key should. */
export function whatElse(packet: Packet | undefined): KeyRefusalCode {
  switch (packet?.tag) {
    case undefined:
      return 'empty';
    case packetTag.signature:
      return packet?.body[1] === keyRevocation ? 'revocation' : 'signature';
    case packetTag.publicKeyEncryptedSessionKey:
    case packetTag.symmetricKeyEncryptedSessionKey:
    case packetTag.onePassSignature:
    case packetTag.compressed:
    case packetTag.symmetricallyEncrypted:
    case packetTag.literal:
    case packetTag.encryptedData:
    case packetTag.aeadEncryptedData:
      return 'message';
    default:
      return 'damaged';
  }
}

/** All but keyring notes, and subkeys of kinds that are not used or only cost time. */
export function worthParsing(packets: readonly Packet[]): Packet[] {
  const notes: readonly number[] = [packetTag.marker, packetTag.trust, packetTag.padding];
  const kept: Packet[] = [];
  let isLeftOut = false; // so are the signatures that follow
  for (const packet of packets) {
    if (startsPart(packet)) isLeftOut = isUseless(packet);
    if (!isLeftOut && !notes.includes(packet.tag)) kept.push(packet);
  }
  return kept;
}

function startsPart({ tag }: Packet): boolean {
  const starts: readonly number[] = [packetTag.userId, packetTag.userAttribute, packetTag.publicSubkey, packetTag.secretSubkey];
  return starts.includes(tag);
}

function isUseless(packet: Packet): boolean {
  if (packet.tag === packetTag.userId || packet.tag === packetTag.userAttribute) return false;
  // A DSA subkey's own signature is checked with numbers of any length before the algorithm is refused.
  return keyFault(packet) === 'unsupported-key' || packet.body[5] === algorithm.dsa;
}

/** Before any arithmetic: RFC 9580 §5.5.2 version, time, algorithm and, for RSA, two numbers of sane length. */
export function keyFault({ body }: Packet): 'weak' | 'unsupported-key' | 'damaged' | undefined {
  const [version, , , , , id] = body;
  if (id === undefined) return 'damaged';
  if (version !== 4 && version !== 6) return 'unsupported-key';
  switch (id) {
    case algorithm.rsaEncryptSign:
    case algorithm.rsaEncrypt:
    case algorithm.rsaSign:
      return rsaFault(body.subarray(version === 4 ? 6 : 10));
    case algorithm.elgamal:
    case algorithm.dsa:
      return 'weak';
    case algorithm.ecdh:
    case algorithm.ecdsa:
    case algorithm.eddsaLegacy:
    case algorithm.x25519:
    case algorithm.x448:
    case algorithm.ed25519:
    case algorithm.ed448:
      return undefined;
    default:
      return 'unsupported-key';
  }
}

function rsaFault(numbers: Uint8Array): 'weak' | 'unsupported-key' | 'damaged' | undefined {
  const modulusBits = ((numbers[0] ?? 0) << 8) | (numbers[1] ?? 0);
  const exponentAt = 2 + Math.ceil(modulusBits / 8);
  const exponentBits = ((numbers[exponentAt] ?? 0) << 8) | (numbers[exponentAt + 1] ?? 0);
  if (numbers.length < exponentAt + 2) return 'damaged';
  if (modulusBits > rsaBitsMost || exponentBits > rsaExponentBitsMost) return 'unsupported-key';
  return modulusBits < rsaBitsLeast ? 'weak' : undefined;
}
