// Frames: sealed by the author's ratchet, signed, opened by whoever has the author's chain (spec/protocol.md §5).
import { concat, equal } from '../wire/bytes.ts';
import { bytesN, type Codec, checked, decode, encode, list16, numberOf, struct, u32 } from '../wire/codec.ts';
import {
  type Frame,
  type FramePlaintext,
  frame,
  frameChain,
  frameHeader,
  frameHeaderBytes,
  frameSignatureBytes,
  paddedPlaintext,
} from '../wire/frame.ts';
import type { Did, EpochId, FrameId, Gid } from '../wire/ids.ts';
import { limits } from '../wire/limits.ts';
import { WireRefusal } from '../wire/refusal.ts';
import { openAead, sealAead } from './aead.ts';
import { type SigningKey, verifyFast } from './ed25519.ts';
import type { ChainState } from './epoch.ts';
import { expandKey, mac } from './hash.ts';
import { frameIdOf } from './identity.ts';
import { secret } from './secret.ts';

/** Where a frame stands: gid, epoch, author, number (from 1, without gaps, across epochs), the author's frame before (32 zero bytes for the first). */
export type FramePlace = {
  readonly gid: Gid;
  readonly epochId: EpochId;
  readonly did: Did;
  readonly seq: number;
  readonly previous: Uint8Array;
};

/**
 * Seals under message key `chain.gen` of the author's own chain in that epoch. `nonce`: 12 random bytes.
 * The chain that comes back must be stored, and the one given in forgotten, before the frame leaves the device. Throws WireRefusal('too-large').
 */
export async function sealFrame(parts: {
  chain: ChainState;
  place: FramePlace;
  plaintext: FramePlaintext;
  signer: SigningKey;
  nonce: Uint8Array;
}): Promise<{ bytes: Uint8Array; frameId: FrameId; chain: ChainState }> {
  const { chain, place, plaintext, signer, nonce } = parts;
  const messageKey = messageKeyOf(chain.key);
  const chained = { version: 1, gen: chain.gen, ...place } as const;
  const keyCommit = commitmentOf(messageKey, encode(frameChain, chained));
  const padded = encode(paddedPlaintext, plaintext);
  const header = encode(frameHeader, { ...chained, keyCommit, nonce, ciphertextLength: padded.length + tagBytes });
  const ciphertext = await sealAead(sealKeyOf(messageKey), { nonce, plaintext: padded, additional: header });
  const unsigned = concat(header, ciphertext);
  return {
    bytes: concat(unsigned, await signer.sign('msg', unsigned)),
    frameId: frameIdOf(unsigned),
    chain: advance(chain),
  };
}

/** A frame as read: its shape is right, nothing else is known. */
export type ReadFrame = { readonly bytes: Uint8Array; readonly frameId: FrameId; readonly frame: Frame };

/** Size, shape and id; no key is touched. Throws WireRefusal. */
export function readFrame(bytes: Uint8Array): ReadFrame {
  if (bytes.length > limits.frameBytes) throw new WireRefusal('too-large', `frame of ${bytes.length} bytes`);
  return { bytes, frame: decode(frame, bytes), frameId: frameIdOf(bytes.subarray(0, -frameSignatureBytes)) };
}

/** Whether the device with this key signed it. WebCrypto, as everywhere for frames. */
export function verifyFrame(read: ReadFrame, signPub: Uint8Array): Promise<boolean> {
  return verifyFast(signPub, 'msg', read.bytes.subarray(0, -frameSignatureBytes), read.frame.signature);
}

/** Where a receiver stands in a sender's chain, and the message keys it passed over. Never changed in place. */
export type ReceiverChain = {
  /** Of the first message key not derived yet. */
  readonly gen: number;
  readonly key: Uint8Array;
  /** Message keys by number, ascending, for frames that may still come. */
  readonly skipped: ReadonlyMap<number, Uint8Array>;
};

export function receiverChainOf(chain: ChainState): ReceiverChain {
  return secret({ gen: chain.gen, key: chain.key, skipped: new Map() });
}

/**
 * skip-too-far: more than 1000 keys would be passed over; nothing was hashed; try again when the frames before it have come.
 * key-used: opened before, or its key was dropped. The others are the author's doing, once verifyFrame said yes: commit-mismatch (not of this chain),
 * aead, plaintext (opened, but not what may stand in a frame).
 */
export type FrameRefusal = 'skip-too-far' | 'key-used' | 'commit-mismatch' | 'aead' | 'plaintext';

/** After verifyFrame. A refusal leaves the chain as it was; otherwise the new one must be stored in one write with what came out. */
export async function openFrame(
  read: ReadFrame,
  chain: ReceiverChain,
): Promise<{ plaintext: FramePlaintext; chain: ReceiverChain } | FrameRefusal> {
  const found = findMessageKey(chain, read.frame.gen);
  if (typeof found === 'string') return found;
  const { messageKey } = found;
  if (!equal(commitmentOf(messageKey, read.bytes.subarray(0, committedEnd)), read.frame.keyCommit)) return 'commit-mismatch';
  const padded = await openAead(sealKeyOf(messageKey), {
    nonce: read.frame.nonce,
    ciphertext: read.frame.ciphertext,
    additional: read.bytes.subarray(0, frameHeaderBytes),
  });
  if (padded === undefined) return 'aead';
  const plaintext = readPlaintext(padded);
  return plaintext === undefined ? 'plaintext' : { plaintext, chain: found.chain };
}

// --- the ratchet

const one = Uint8Array.of(1);
const two = Uint8Array.of(2);
const nothing = new Uint8Array();
const tagBytes = 16;
/** keyCommit binds the message key to gid … previous: bytes 2 to 142 of the frame. */
const committedStart = 2;
const committedEnd = 142;

function messageKeyOf(chainKey: Uint8Array): Uint8Array {
  return mac(chainKey, one);
}

function advance(chain: ChainState): ChainState {
  return secret({ gen: chain.gen + 1, key: mac(chain.key, two) });
}

function sealKeyOf(messageKey: Uint8Array): Uint8Array {
  return expandKey(messageKey, 'mk', nothing);
}

/** `chained`: the frame up to and with `previous`. */
function commitmentOf(messageKey: Uint8Array, chained: Uint8Array): Uint8Array {
  return expandKey(messageKey, 'mk-commit', chained.subarray(committedStart, committedEnd));
}

function findMessageKey(
  chain: ReceiverChain,
  gen: number,
): { messageKey: Uint8Array; chain: ReceiverChain } | 'skip-too-far' | 'key-used' {
  if (gen < chain.gen) return takeSkipped(chain, gen);
  if (gen - chain.gen + chain.skipped.size > limits.skippedPerSender) return 'skip-too-far';
  const skipped = new Map(chain.skipped);
  let at: ChainState = chain;
  while (at.gen < gen) {
    skipped.set(at.gen, messageKeyOf(at.key));
    at = advance(at);
  }
  const next = advance(at);
  return { messageKey: messageKeyOf(at.key), chain: secret({ gen: next.gen, key: next.key, skipped }) };
}

function takeSkipped(chain: ReceiverChain, gen: number): { messageKey: Uint8Array; chain: ReceiverChain } | 'key-used' {
  const messageKey = chain.skipped.get(gen);
  if (messageKey === undefined) return 'key-used';
  const skipped = new Map(chain.skipped);
  skipped.delete(gen);
  return { messageKey, chain: secret({ gen: chain.gen, key: chain.key, skipped }) };
}

function readPlaintext(padded: Uint8Array): FramePlaintext | undefined {
  try {
    return decode(paddedPlaintext, padded);
  } catch (error) {
    if (error instanceof WireRefusal) return undefined;
    throw error;
  }
}

// --- at rest

/** Of one's own chain in an epoch. To be sealed in the vault before it is stored. */
export const chainStateCodec: Codec<ChainState> = {
  write: (out, chain) => storedChain.write(out, { version: 1, ...chain }),
  read(input) {
    const { gen, key } = storedChain.read(input);
    return secret({ gen, key });
  },
};

const storedChain = struct({ version: numberOf(1, 1), gen: u32, key: bytesN(32) });

const storedReceiver = checked(
  struct({
    version: numberOf(1, 1),
    gen: u32,
    key: bytesN(32),
    skipped: list16(struct({ gen: u32, key: bytesN(32) }), limits.skippedPerSender),
  }),
  (chain) => {
    const ascends = chain.skipped.every(({ gen }, i) => gen < chain.gen && gen > (chain.skipped[i - 1]?.gen ?? -1));
    if (!ascends) throw new WireRefusal('bad-value', 'skipped keys');
    return chain;
  },
);

/** To be sealed in the vault before it is stored. */
export const receiverChainCodec: Codec<ReceiverChain> = {
  write(out, { gen, key, skipped }) {
    storedReceiver.write(out, {
      version: 1,
      gen,
      key,
      skipped: [...skipped].map(([number, one]) => ({ gen: number, key: one })),
    });
  },
  read(input) {
    const { gen, key, skipped } = storedReceiver.read(input);
    return secret({ gen, key, skipped: new Map(skipped.map((one) => [one.gen, one.key])) });
  },
};
