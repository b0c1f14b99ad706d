// Signals: how two devices arrange a link, sealed so that whoever passes them on learns nothing (spec/protocol.md §6).
import { bytesN, choice, type Decoded, struct, text16, u16, u32, vec16 } from './codec.ts';
import { didCodec } from './ids.ts';
import { limits } from './limits.ts';
import { padded } from './padding.ts';

const payload = choice('kind', {
  /** May I connect? Nonce to be repeated, so that the answer is fresh. lockKey: where to seal the answer. */
  knock: [1, struct({ nonce: bytesN(32), lockKey: vec16(limits.lockKeyBytes) })],
  /** Yes: repeats the knock's nonce and brings one that the offer must repeat. */
  welcome: [2, struct({ knockNonce: bytesN(32), nonce: bytesN(32) })],
  /** Not now: full, or not wanted. */
  decline: [3, struct({ knockNonce: bytesN(32) })],
  offer: [4, struct({ nonce: bytesN(32), sdp: text16(8192) })],
  answer: [5, struct({ offerHash: bytesN(32), sdp: text16(8192) })],
  candidate: [6, struct({ offerHash: bytesN(32), candidate: text16(512) })],
  bye: [7, struct({})],
});

export const signalBody = struct({
  /** Of one attempt to link; chosen by the knocker. */
  sid: bytesN(16),
  from: didCodec,
  to: didCodec,
  /** Counts from 0 per sid and sender. */
  no: u16,
  payload,
});
export type SignalBody = Decoded<typeof signalBody>;
export type SignalPayload = SignalBody['payload'];

export const signedSignal = struct({
  body: vec16(limits.signalBytes - 512),
  /** Sig(from, "signal", body) */
  signature: bytesN(64),
});

/** What is sealed: 512 · 2^k bytes, so that a knock, an answer and a candidate look the same. A description above about 8000 bytes does not fit. */
export const paddedSignal = padded(signedSignal, { smallest: 512, largest: 8192 });

/** What the node or another peer passes on. */
export const sealedSignal = struct({
  /** HMAC(meshKey, lab("signal-tag") ‖ to ‖ H(sealed))[0..16]: a stranger's blob is dropped before any public-key work. */
  memberTag: bytesN(16),
  /** Which lock key of the receiver. */
  lockNo: u32,
  enc: bytesN(32),
  ciphertext: vec16(limits.signalBytes - 128),
});
