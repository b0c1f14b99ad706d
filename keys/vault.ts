// What a device keeps on disk is sealed under a random vault key; slots wrap that key, one of them under the passphrase.
import { bigEndian, concat, copyOf, label, utf8 } from '../wire/bytes.ts';
import { bytesN, checked, type Decoded, decode, encode, list8, numberOf, struct, u8, u32, vec16 } from '../wire/codec.ts';
import { WireRefusal } from '../wire/refusal.ts';
import { type AeadKey, importAead, openAead, sealAead } from './aead.ts';

type RandomBytes = (length: number) => Uint8Array;

/** A new vault under a new key. `header` is stored in the clear: it gives nothing away but to who guesses the passphrase. */
export async function createVault(parts: {
  passphrase: string;
  random: RandomBytes;
}): Promise<{ header: Uint8Array; vault: Vault }> {
  const { passphrase, random } = parts;
  const key = random(keyBytes);
  const slot = await passphraseSlot({ key, passphrase, random });
  const vault = await vaultOf(key, random);
  return { header: encode(vaultHeader, { version: 1, slots: [slot] }), vault };
}

/** Costs a whole key derivation (about 0.2 s) whatever comes of it. Throws WireRefusal for bytes that are no header, or of a later version. */
export async function openVault(parts: {
  header: Uint8Array;
  passphrase: string;
  random: RandomBytes;
}): Promise<Vault | 'wrong-passphrase'> {
  const key = await keyFrom(decode(vaultHeader, parts.header), parts.passphrase);
  return key === undefined ? 'wrong-passphrase' : vaultOf(key, parts.random);
}

/** The header to store in place of the old one; what is sealed stays as it is. Throws WireRefusal like openVault. */
export async function changePassphrase(parts: {
  header: Uint8Array;
  passphrase: string;
  newPassphrase: string;
  random: RandomBytes;
}): Promise<Uint8Array | 'wrong-passphrase'> {
  const { passphrase, newPassphrase, random } = parts;
  const header = decode(vaultHeader, parts.header);
  const key = await keyFrom(header, passphrase);
  if (key === undefined) return 'wrong-passphrase';
  const slot = await passphraseSlot({ key, passphrase: newPassphrase, random });
  key.fill(0);
  return encode(vaultHeader, { version: 1, slots: [slot, ...header.slots.filter(({ kind }) => kind !== passphraseKind)] });
}

/** An open vault; its key is held by WebCrypto and cannot be exported. */
export class Vault {
  readonly #key: AeadKey;
  readonly #random: RandomBytes;

  constructor(key: AeadKey, random: RandomBytes) {
    this.#key = key;
    this.#random = random;
  }

  /** nonce 12 ‖ ciphertext ‖ tag 16. Opens under the same name only, so that what is stored in one place cannot be moved to another. */
  async seal(name: string, bytes: Uint8Array): Promise<Uint8Array> {
    const nonce = this.#random(nonceBytes);
    return concat(nonce, await this.#key.seal({ nonce, plaintext: bytes, additional: additionalOf(name) }));
  }

  /** Undefined for what this vault did not seal under this name. */
  open(name: string, sealed: Uint8Array): Promise<Uint8Array | undefined> {
    return this.#key.open({
      nonce: sealed.subarray(0, nonceBytes),
      ciphertext: sealed.subarray(nonceBytes),
      additional: additionalOf(name),
    });
  }

  toJSON(): string {
    return '[key]';
  }
}

const keyBytes = 32;
const nonceBytes = 12;
const saltBytes = 16;
const tagBytes = 16;

function additionalOf(name: string): Uint8Array {
  return concat(label('vault'), utf8(name));
}

async function vaultOf(key: Uint8Array, random: RandomBytes): Promise<Vault> {
  const held = await importAead(key);
  key.fill(0);
  return new Vault(held, random);
}

// --- the header

/** Slots of kinds that this version does not know are kept as they are. */
const vaultHeader = struct({ version: numberOf(1, 1), slots: list8(struct({ kind: u8, body: vec16(1024) }), 16) });
type VaultHeader = Decoded<typeof vaultHeader>;
type Slot = VaultHeader['slots'][number];

/** Later kinds: 2 remembered on this device, 3 passkey. */
const passphraseKind = 1;
/** OWASP's figure for PBKDF2-HMAC-SHA256. */
const iterations = 600_000;
/** A header that asks for more would only make the page hang. */
const iterationsMost = 10_000_000;

const passphraseBody = struct({
  iterations: checked(u32, (count) => {
    if (count < iterations || count > iterationsMost) throw new WireRefusal('bad-value', `${count} iterations`);
    return count;
  }),
  salt: bytesN(saltBytes),
  nonce: bytesN(nonceBytes),
  /** AEAD(PBKDF2(passphrase in NFC), vault key), bound to kind, iterations and salt. */
  wrapped: bytesN(keyBytes + tagBytes),
});

async function passphraseSlot(parts: { key: Uint8Array; passphrase: string; random: RandomBytes }): Promise<Slot> {
  const salt = parts.random(saltBytes);
  const nonce = parts.random(nonceBytes);
  const wrappingKey = await stretched({ passphrase: parts.passphrase, salt, iterations });
  const wrapped = await sealAead(wrappingKey, { nonce, plaintext: parts.key, additional: slotContext({ iterations, salt }) });
  return { kind: passphraseKind, body: encode(passphraseBody, { iterations, salt, nonce, wrapped }) };
}

async function keyFrom(header: VaultHeader, passphrase: string): Promise<Uint8Array | undefined> {
  const slot = header.slots.find(({ kind }) => kind === passphraseKind);
  if (slot === undefined) throw new WireRefusal('bad-value', 'no passphrase slot');
  const { nonce, wrapped, ...cost } = decode(passphraseBody, slot.body);
  const wrappingKey = await stretched({ passphrase, ...cost });
  return openAead(wrappingKey, { nonce, ciphertext: wrapped, additional: slotContext(cost) });
}

function slotContext(cost: { iterations: number; salt: Uint8Array }): Uint8Array {
  return concat(label('vault-slot'), Uint8Array.of(passphraseKind), bigEndian(cost.iterations, 4), cost.salt);
}

/** NFC: the same characters typed on another keyboard are the same passphrase. */
async function stretched(parts: { passphrase: string; salt: Uint8Array; iterations: number }): Promise<Uint8Array> {
  const secret = await crypto.subtle.importKey('raw', copyOf(utf8(parts.passphrase.normalize('NFC'))), 'PBKDF2', false, [
    'deriveBits',
  ]);
  const cost = { name: 'PBKDF2', hash: 'SHA-256', salt: copyOf(parts.salt), iterations: parts.iterations };
  return new Uint8Array(await crypto.subtle.deriveBits(cost, secret, 8 * keyBytes));
}
