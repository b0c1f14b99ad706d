// What a sealed OpenPGP message must look like from outside, so that everything else is refused before the private key is touched.
import { utf8 } from '../wire/bytes.ts';
import { limits } from '../wire/limits.ts';
import { packetLength, packetTag, readPackets } from './packets.ts';

const KiB = 1024;

export type SealPurpose = 'login challenge' | 'group key' | 'welcome';

export type SealRules = {
  readonly messageBytes: number;
  readonly recipients: number;
  /** Of the plaintext, where it has one length only. */
  readonly plaintextBytes?: number;
  readonly expandedBytes: number;
};

export const sealRules: Record<SealPurpose, SealRules> = {
  'login challenge': { messageBytes: limits.challengeBytes, recipients: 1, plaintextBytes: 128, expandedBytes: 4 * KiB },
  'group key': { messageBytes: 64 * KiB, recipients: limits.shardMembers, expandedBytes: 64 * KiB },
  welcome: { messageBytes: 16 * KiB, recipients: 1, expandedBytes: 64 * KiB },
};

/** The first 32 bytes of every plaintext. */
export function sealLabel(purpose: SealPurpose): Uint8Array {
  const padded = new Uint8Array(32);
  padded.set(utf8(`secure/1 ${purpose}`));
  return padded;
}

/** One PKESK (a group key: up to 32), then one SEIPD, and nothing else. Returns how long its plaintext packets are. */
export function sealedShape(message: Uint8Array, rules: SealRules): number {
  if (message.length > rules.messageBytes) throw new Error('too large');
  const framed = readPackets(message, rules.recipients + 1);
  if ('fault' in framed) throw new Error(framed.fault);
  const sealed = framed.packets.at(-1);
  const sessionKeys = framed.packets.slice(0, -1);
  if (sealed?.tag !== packetTag.encryptedData || sessionKeys.length === 0) throw new Error('shape');
  if (sessionKeys.some((packet) => packet.tag !== packetTag.publicKeyEncryptedSessionKey)) throw new Error('shape');
  const length = plaintextLengthOf(sealed.body);
  if (rules.plaintextBytes !== undefined && length !== literalLength(rules.plaintextBytes)) throw new Error('length');
  return length;
}

/** RFC 9580 §5.13: of a SEIPD body with AES, or NaN. */
function plaintextLengthOf(body: Uint8Array): number {
  const blockBytes = 16;
  const tagBytes = 16;
  if (body[0] === 1) return body.length - 1 - (blockBytes + 2) - 22;
  if (body[0] !== 2) return Number.NaN;
  const chunkBytes = 2 ** ((body[3] ?? 0) + 6);
  const sealedChunks = body.length - 4 - 32 - tagBytes;
  return sealedChunks - tagBytes * Math.ceil(sealedChunks / (chunkBytes + tagBytes));
}

/** RFC 9580 §5.9: of a literal packet without file name. */
export function literalLength(dataLength: number): number {
  return packetLength(1 + 1 + 4 + dataLength);
}
