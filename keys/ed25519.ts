// Ed25519 signatures. Two verifiers on purpose: every object type has one of them everywhere (spec/protocol.md §3),
// because engines differ on edge cases and honest peers must never differ on one object. The one importer of the curve's package.
import * as ed25519 from '@noble/ed25519';
import { sha512 } from '@noble/hashes/sha2.js';
import { concat, copyOf, fromHex, hex, label } from '../wire/bytes.ts';

// The package brings no hash of its own.
ed25519.hashes.sha512 = sha512;

/** A private key that signs and is never seen. */
export type SigningKey = {
  readonly publicKey: Uint8Array;
  /** Sig(key, name, body) = Ed25519(key, lab(name) ‖ body), 64 bytes. */
  sign(name: string, body: Uint8Array): Promise<Uint8Array>;
};

const pkcs8Prefix = fromHex('302e020100300506032b657004220420');

/** From a 32-byte seed; the key is then held by WebCrypto and cannot be exported. */
export async function signingKeyFromSeed(seed: Uint8Array): Promise<SigningKey> {
  const key = await crypto.subtle.importKey('pkcs8', concat(pkcs8Prefix, seed), 'Ed25519', false, ['sign']);
  return {
    publicKey: ed25519.getPublicKey(seed),
    sign: async (name, body) => new Uint8Array(await crypto.subtle.sign('Ed25519', key, concat(label(name), body))),
  };
}

/**
 * Strict: RFC 8032 encodings, S < L, a key without a torsion part. Cofactored: an R with one passes, for everybody alike. For ops, device
 * certificates, lock keys, append and invite keys.
 */
export function verifyStrictly(publicKey: Uint8Array, name: string, body: Uint8Array, signature: Uint8Array): boolean {
  try {
    return ed25519.verify(signature, concat(label(name), body), publicKey, { zip215: false }) && isTorsionFree(publicKey);
  } catch {
    return false;
  }
}

/** A device's public key must decode to a torsion-free point that is not the identity. */
export function isTorsionFree(publicKey: Uint8Array): boolean {
  try {
    const point = ed25519.Point.fromBytes(publicKey);
    return point.isTorsionFree() && !point.is0();
  } catch {
    return false;
  }
}

const importedKeys = new Map<string, Promise<CryptoKey>>();
const importedKeysMax = 4096;

/**
 * WebCrypto: for frames, signals, links, and the node's messages. Points of small order are refused before it is asked: its specification lets
 * `verify` answer either way for them, and all else on the edge is the same in every engine (no cofactor, S < L).
 */
export async function verifyFast(publicKey: Uint8Array, name: string, body: Uint8Array, signature: Uint8Array): Promise<boolean> {
  return verifyByEngine(imported, publicKey, concat(label(name), body), signature);
}

/** As verifyFast, for keys that will not be asked again soon: it keeps none, each of which takes 6 kB. */
export async function verifyOnce(publicKey: Uint8Array, name: string, body: Uint8Array, signature: Uint8Array): Promise<boolean> {
  return verifyByEngine(importKey, publicKey, concat(label(name), body), signature);
}

async function verifyByEngine(
  keyOf: (publicKey: Uint8Array) => Promise<CryptoKey>,
  publicKey: Uint8Array,
  signed: Uint8Array<ArrayBuffer>,
  signature: Uint8Array,
): Promise<boolean> {
  if (hasSmallOrder(publicKey) || hasSmallOrder(signature.subarray(0, 32))) return false;
  try {
    return await crypto.subtle.verify('Ed25519', await keyOf(publicKey), copyOf(signature), signed);
  } catch {
    return false;
  }
}

// Every y of a point of order 1, 2, 4 or 8, and those of them that are written as y + p.
const smallOrder = new Set([
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
]);

/** Of an encoded point, whatever its sign bit. */
function hasSmallOrder(point: Uint8Array): boolean {
  const y = point.slice();
  y[31] = (y[31] ?? 0) & 0x7f;
  return smallOrder.has(hex(y));
}

function imported(publicKey: Uint8Array): Promise<CryptoKey> {
  const name = publicKey.join();
  const known = importedKeys.get(name);
  if (known !== undefined) return known;
  if (importedKeys.size >= importedKeysMax) importedKeys.clear();
  const fresh = importKey(publicKey);
  importedKeys.set(name, fresh);
  return fresh;
}

function importKey(publicKey: Uint8Array): Promise<CryptoKey> {
  return crypto.subtle.importKey('raw', copyOf(publicKey), 'Ed25519', false, ['verify']);
}
