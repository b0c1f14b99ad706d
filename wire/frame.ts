// A frame: one sealed message on the mesh, signed by its author so that anybody can pass it on (spec/protocol.md §5).
import { bytesN, checked, type Decoded, list8, numberOf, struct, typed, u32, u64, vec32 } from './codec.ts';
import { didCodec, frameIdCodec, opIdCodec } from './ids.ts';
import { limits } from './limits.ts';
import { padded } from './padding.ts';
import { WireRefusal } from './refusal.ts';

const chained = {
  version: numberOf(1, 1),
  gid: opIdCodec,
  epochId: opIdCodec,
  did: didCodec,
  /** From 1 per device and group, without gaps, across epochs. */
  seq: u64,
  /** From 0 per device and epoch: which message key. */
  gen: u32,
  /** frameId of the author's frame before; zeros for the first. */
  previous: bytesN(32),
};

/** All before keyCommit: what keyCommit commits to, without the type and version bytes. */
export const frameChain = typed(0x31, struct(chained));

const header = { ...chained, keyCommit: bytesN(32), nonce: bytesN(12) };

/** Header with the ciphertext's length behind it: the additional data of the AEAD. */
export const frameHeader = typed(0x31, struct({ ...header, ciphertextLength: u32 }));

/** Bytes: type, version, gid, epochId, did, seq, gen, previous, keyCommit, nonce, length. */
export const frameHeaderBytes = 1 + 1 + 32 + 32 + 32 + 8 + 4 + 32 + 32 + 12 + 4;
const tagBytes = 16;
export const frameSignatureBytes = 64;
const smallestPadding = 256;
const overhead = frameHeaderBytes + tagBytes + frameSignatureBytes;

/** Padded plaintext sizes are 256 · 2^k and what is left below the size limit of a frame. */
export const largestPlaintext = 32 * 1024;

const ciphertext = checked(vec32(limits.frameBytes - overhead + tagBytes), (bytes) => {
  const size = bytes.length - tagBytes;
  if (size < smallestPadding || size > largestPlaintext || (size & (size - 1)) !== 0)
    throw new WireRefusal('bad-value', 'frame size');
  return bytes;
});

export const frame = typed(0x31, struct({ ...header, ciphertext, signature: bytesN(frameSignatureBytes) }));
export type Frame = Decoded<typeof frame>;

const inner = struct({
  version: numberOf(1, 1),
  kind: numberOf(1, 0),
  sentAt: u64,
  /** The newest frames of others that the author had: what came before this one. */
  heads: list8(frameIdCodec, limits.frameHeads),
  /** JSON (wire/message-body.ts) */
  body: vec32(largestPlaintext),
});
export type FramePlaintext = Decoded<typeof inner>;

/** The plaintext, then 0x80 and zeros up to 256 · 2^k bytes. */
export const paddedPlaintext = padded(inner, { smallest: smallestPadding, largest: largestPlaintext });
