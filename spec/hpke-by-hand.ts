// HPKE a second time, straight from RFC 9180 with fixed ephemeral keys: what keys/hpke.ts is checked against, and what makes vectors repeatable.
import { x25519 } from '@noble/curves/ed25519.js';
import { expand, extract } from '@noble/hashes/hkdf.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { bigEndian, concat, copyOf, utf8 } from '../wire/bytes.ts';

/** RFC 9180 §7.3: 1 AES-128-GCM, 2 AES-256-GCM. */
export type AeadId = 1 | 2;

type Context = { info: Uint8Array; psk?: { key: Uint8Array; id: Uint8Array }; aead?: AeadId; additional?: Uint8Array };

export async function sealByHand(
  parts: Context & { ephemeral: Uint8Array; to: Uint8Array; plaintext: Uint8Array },
): Promise<{ enc: Uint8Array; ciphertext: Uint8Array }> {
  const enc = x25519.getPublicKey(parts.ephemeral);
  const shared = sharedSecret(x25519.getSharedSecret(parts.ephemeral, parts.to), concat(enc, parts.to));
  const { key, algorithm } = await keySchedule(shared, parts);
  return { enc, ciphertext: new Uint8Array(await crypto.subtle.encrypt(algorithm, key, copyOf(parts.plaintext))) };
}

/** Rejects where something does not belong together. */
export async function openByHand(
  parts: Context & { privateKey: Uint8Array; enc: Uint8Array; ciphertext: Uint8Array },
): Promise<Uint8Array> {
  const publicKey = x25519.getPublicKey(parts.privateKey);
  const shared = sharedSecret(x25519.getSharedSecret(parts.privateKey, parts.enc), concat(parts.enc, publicKey));
  const { key, algorithm } = await keySchedule(shared, parts);
  return new Uint8Array(await crypto.subtle.decrypt(algorithm, key, copyOf(parts.ciphertext)));
}

const nothing = new Uint8Array();
// RFC 9180 §4.1, §5.1: kem 0x0020, kdf 0x0001
const kemSuite = concat(utf8('KEM'), bigEndian(0x20, 2));
const hpkeSuite = (aead: AeadId) => concat(utf8('HPKE'), bigEndian(0x20, 2), bigEndian(1, 2), bigEndian(aead, 2));

function sharedSecret(dh: Uint8Array, kemContext: Uint8Array): Uint8Array {
  const prk = labeledExtract(kemSuite, { salt: nothing, label: 'eae_prk', secret: dh });
  return labeledExpand(kemSuite, { prk, label: 'shared_secret', info: kemContext, length: 32 });
}

async function keySchedule(shared: Uint8Array, { info, psk, aead = 2, additional = nothing }: Context) {
  const suite = hpkeSuite(aead);
  const pskIdHash = labeledExtract(suite, { salt: nothing, label: 'psk_id_hash', secret: psk?.id ?? nothing });
  const infoHash = labeledExtract(suite, { salt: nothing, label: 'info_hash', secret: info });
  const context = concat(Uint8Array.of(psk === undefined ? 0 : 1), pskIdHash, infoHash);
  const prk = labeledExtract(suite, { salt: shared, label: 'secret', secret: psk?.key ?? nothing });
  const key = labeledExpand(suite, { prk, label: 'key', info: context, length: aead === 1 ? 16 : 32 });
  const nonce = labeledExpand(suite, { prk, label: 'base_nonce', info: context, length: 12 });
  return {
    key: await crypto.subtle.importKey('raw', copyOf(key), 'AES-GCM', false, ['encrypt', 'decrypt']),
    algorithm: { name: 'AES-GCM', iv: copyOf(nonce), additionalData: copyOf(additional) },
  };
}

function labeledExtract(suite: Uint8Array, parts: { salt: Uint8Array; label: string; secret: Uint8Array }): Uint8Array {
  return extract(sha256, concat(utf8('HPKE-v1'), suite, utf8(parts.label), parts.secret), parts.salt);
}

function labeledExpand(
  suite: Uint8Array,
  parts: { prk: Uint8Array; label: string; info: Uint8Array; length: number },
): Uint8Array {
  const info = concat(bigEndian(parts.length, 2), utf8('HPKE-v1'), suite, utf8(parts.label), parts.info);
  return expand(sha256, parts.prk, info, parts.length);
}
