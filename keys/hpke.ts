// HPKE of spec/protocol.md §1: RFC 9180, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM, one message per encapsulation. The one importer of the package.
import { Aes256Gcm, CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } from '@hpke/core';
import { copyOf } from '../wire/bytes.ts';

/** An X25519 key pair that opens: a lock key of keys/device.ts. */
export type HpkeRecipient = {
  /** 32 bytes. */
  readonly lockPub: Uint8Array;
  readonly privateKey: CryptoKey;
};

/** psk mode: `key` has at least 32 bytes, `id` at least 1. */
export type PreSharedKey = { readonly key: Uint8Array; readonly id: Uint8Array };

export type HpkeSealed = { readonly enc: Uint8Array; readonly ciphertext: Uint8Array };

/** Base mode, or psk mode where `psk` is given; no additional data. `to` is a public key of 32 bytes; throws for one of small order. */
export async function sealHpke(parts: {
  to: Uint8Array;
  info: Uint8Array;
  plaintext: Uint8Array;
  psk?: PreSharedKey;
}): Promise<HpkeSealed> {
  const recipientPublicKey = await importPublicKey(parts.to);
  const sender = await suite.createSenderContext({ recipientPublicKey, info: copyOf(parts.info), ...pskOf(parts.psk) });
  const ciphertext = await sender.seal(copyOf(parts.plaintext));
  return { enc: new Uint8Array(sender.enc), ciphertext: new Uint8Array(ciphertext) };
}

/** Undefined where recipient, info, enc and ciphertext do not belong together. */
export async function openHpke(parts: {
  recipient: HpkeRecipient;
  enc: Uint8Array;
  info: Uint8Array;
  ciphertext: Uint8Array;
  psk?: PreSharedKey;
}): Promise<Uint8Array | undefined> {
  const { recipient, enc, info, ciphertext, psk } = parts;
  try {
    const recipientKey = { publicKey: await importPublicKey(recipient.lockPub), privateKey: recipient.privateKey };
    const context = await suite.createRecipientContext({ recipientKey, enc: copyOf(enc), info: copyOf(info), ...pskOf(psk) });
    return new Uint8Array(await context.open(copyOf(ciphertext)));
  } catch {
    return undefined;
  }
}

const suite = new CipherSuite({ kem: new DhkemX25519HkdfSha256(), kdf: new HkdfSha256(), aead: new Aes256Gcm() });

function importPublicKey(bytes: Uint8Array): Promise<CryptoKey> {
  return crypto.subtle.importKey('raw', copyOf(bytes), 'X25519', true, []);
}

function pskOf(psk: PreSharedKey | undefined): { psk?: { key: Uint8Array<ArrayBuffer>; id: Uint8Array<ArrayBuffer> } } {
  return psk === undefined ? {} : { psk: { key: copyOf(psk.key), id: copyOf(psk.id) } };
}
