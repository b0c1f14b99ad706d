// H, HMAC, Ext and Exp of spec/protocol.md §1. The one importer of the hash package.
import { expand, extract } from '@noble/hashes/hkdf.js';
import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { concat, label } from '../wire/bytes.ts';

/** H(lab(name) ‖ parts) */
export function hash(name: string, ...parts: Uint8Array[]): Uint8Array {
  return sha256(concat(label(name), ...parts));
}

/** H(parts), for places where the label stands outside, as in H(prior fields). */
export function plainHash(...parts: Uint8Array[]): Uint8Array {
  return sha256(concat(...parts));
}

/** HMAC-SHA256 */
export function mac(key: Uint8Array, ...parts: Uint8Array[]): Uint8Array {
  return hmac(sha256, key, concat(...parts));
}

/** Ext: HKDF-SHA256 extract. */
export function extractKey(salt: Uint8Array, secret: Uint8Array): Uint8Array {
  return extract(sha256, secret, salt);
}

/** Exp(key, name, context, length): HKDF-SHA256 expand with info lab(name) ‖ context. */
export function expandKey(key: Uint8Array, name: string, context: Uint8Array, length = 32): Uint8Array {
  return expand(sha256, key, concat(label(name), context), length);
}
