// X25519 private keys in WebCrypto's hands: lock keys, to which others seal.
import { concat, copyOf, fromHex } from '../wire/bytes.ts';

const pkcs8Prefix = fromHex('302e020100300506032b656e04220420');
// RFC 7748 §4.1: u = 9
const basePoint = Uint8Array.of(9, ...new Uint8Array(31));

/** From 32 random bytes (RFC 7748 clamps them); the key cannot be exported, and serves `deriveBits` alone. */
export function agreementKeyFromSeed(seed: Uint8Array): Promise<CryptoKey> {
  return crypto.subtle.importKey('pkcs8', concat(pkcs8Prefix, seed), 'X25519', false, ['deriveBits']);
}

/** 32 bytes: the private key times the base point. */
export async function agreementPublicKey(privateKey: CryptoKey): Promise<Uint8Array> {
  const base = await crypto.subtle.importKey('raw', copyOf(basePoint), 'X25519', false, []);
  return new Uint8Array(await crypto.subtle.deriveBits({ name: 'X25519', public: base }, privateKey, 256));
}
