// Ed25519 signatures. Two verifiers on purpose: every object type has one of them everywhere (spec/protocol.md §3),
// because engines differ on edge cases and honest peers must never differ on one object. The one importer of the curves package.
import { ed25519 } from '@noble/curves/ed25519.js';
import { concat, copyOf, fromHex, label } from '../wire/bytes.ts';

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

/** Strict (RFC 8032, no small-order or mixed-order points, S < L): for ops, device certificates, lock keys, append and invite keys. */
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

/** WebCrypto: for frames, signals, links, and the node's messages. */
export async function verifyFast(publicKey: Uint8Array, name: string, body: Uint8Array, signature: Uint8Array): Promise<boolean> {
  try {
    return await crypto.subtle.verify('Ed25519', await imported(publicKey), copyOf(signature), concat(label(name), body));
  } catch {
    return false;
  }
}

function imported(publicKey: Uint8Array): Promise<CryptoKey> {
  const name = publicKey.join();
  const known = importedKeys.get(name);
  if (known !== undefined) return known;
  if (importedKeys.size >= importedKeysMax) importedKeys.clear();
  const fresh = crypto.subtle.importKey('raw', copyOf(publicKey), 'Ed25519', false, ['verify']);
  importedKeys.set(name, fresh);
  return fresh;
}
