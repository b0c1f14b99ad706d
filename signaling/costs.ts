// What a request costs besides the turn that every message takes. A turn is about a millisecond of the node's time: 50 a second are a twentieth of it.
import type { Request } from './requests.ts';

/** Measured on a slow core; what only reads costs by what it sends. */
export const requestCosts: Readonly<Record<Request['type'], number>> = {
  'look-up': 0,
  /** A signature checked without the help of the engine. */
  'publish-lock-key': 4,
  /** Two of them, and one of OpenPGP. */
  'publish-device': 8,
  /** Up to half a second, hence so many an hour too (signaling/limits.ts). */
  'publish-certificate': 8,
  'put-shard': 2,
  'get-shard': 0,
  /** A signature, and a commit to disk. */
  append: 4,
  'get-log': 0,
  follow: 0,
  'post-mail': 2,
  'get-mail': 0,
  'drop-mail': 1,
};

/** Of requests and of answers: copied, stored or read, and sent. No account fills the node's line by asking. */
export const bytesPerTurn = 32 * 1024;

/** Others who are told of what a request changed. */
export const toldPerTurn = 100;
