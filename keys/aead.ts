// AES-256-GCM through WebCrypto: nonce 12 bytes, tag 16 bytes behind the ciphertext.
import { copyOf } from '../wire/bytes.ts';

/** A key that is used once or twice; for one used often, keep what `importAead` gives. */
export async function sealAead(
  key: Uint8Array,
  input: { nonce: Uint8Array; plaintext: Uint8Array; additional: Uint8Array },
): Promise<Uint8Array> {
  return (await importAead(key)).seal(input);
}

/** Undefined where key, nonce, ciphertext and additional data do not belong together. */
export async function openAead(
  key: Uint8Array,
  input: { nonce: Uint8Array; ciphertext: Uint8Array; additional: Uint8Array },
): Promise<Uint8Array | undefined> {
  return (await importAead(key)).open(input);
}

export type AeadKey = {
  seal(input: { nonce: Uint8Array; plaintext: Uint8Array; additional: Uint8Array }): Promise<Uint8Array>;
  open(input: { nonce: Uint8Array; ciphertext: Uint8Array; additional: Uint8Array }): Promise<Uint8Array | undefined>;
};

/** The key is held by WebCrypto and cannot be exported. */
export async function importAead(bytes: Uint8Array): Promise<AeadKey> {
  const key = await crypto.subtle.importKey('raw', copyOf(bytes), 'AES-GCM', false, ['encrypt', 'decrypt']);
  const algorithm = (nonce: Uint8Array, additional: Uint8Array) => ({
    name: 'AES-GCM',
    iv: copyOf(nonce),
    additionalData: copyOf(additional),
  });
  return {
    seal: async ({ nonce, plaintext, additional }) =>
      new Uint8Array(await crypto.subtle.encrypt(algorithm(nonce, additional), key, copyOf(plaintext))),
    open: async ({ nonce, ciphertext, additional }) => {
      try {
        return new Uint8Array(await crypto.subtle.decrypt(algorithm(nonce, additional), key, copyOf(ciphertext)));
      } catch {
        return undefined;
      }
    },
  };
}
