// The accounts kept on this device: what is open to whoever has the disk, what is sealed under the passphrase, and how one is opened.
// Kept in a store of its own that is not sealed as a whole; the chat of each account lies elsewhere, under the account's vault.
import { createDevice, type DeviceSecrets, deviceSecrets } from '../keys/device.ts';
import type { KeyAgent } from '../keys/key-agent.ts';
import { secret } from '../keys/secret.ts';
import { createVault, openVault, type Vault } from '../keys/vault.ts';
import { equal } from '../wire/bytes.ts';
import { bytesN, type Decoded, decode, encode, numberOf, struct, text16, vec16, vec32 } from '../wire/codec.ts';
import { type Uid, uidCodec } from '../wire/ids.ts';
import { limits } from '../wire/limits.ts';
import { userName } from '../wire/names.ts';
import type { Random, Store, StoreKey } from './ports.ts';
import type { PinStore } from './signaling-client.ts';
import { StoreFailure } from './store-failure.ts';

/** The same user name at another node is another account. `origin` is canonical: see `canonicalOrigin`. */
export type AccountName = { origin: string; username: string };

/** 'due': the node has not confirmed the name yet, so the next start registers. */
export type Registration = 'due' | 'done';

/** What is known without the passphrase. */
export type KeptAccount = AccountName & { uid: Uid; certificate: Uint8Array; registration: Registration };

/** By origin, then name. Rejects with WireRefusal when the store holds what this version cannot read. */
export async function listAccounts(store: Store): Promise<KeptAccount[]> {
  const entries = await store.range(['account']);
  return entries.map(({ value }) => {
    const { origin, username, uid, certificate, registration } = decode(accountRecord, value);
    return { origin, username, uid, certificate, registration: registrationOf(registration) };
  });
}

/**
 * A new account with a new device, on disk when it resolves; its registration is due. `secretKey`: one transferable secret key under `passphrase`, or
 * under none, then the passphrase is what it gets from here on. Unlocks it in the agent, and rejects with KeyRefusal ('wrong-passphrase' for one) where
 * that fails. 'already-here' changes nothing: open that account, or forget it first.
 */
export async function createAccount(parts: {
  store: Store;
  agent: KeyAgent;
  secretKey: Uint8Array;
  username: string;
  passphrase: string;
  origin: string;
  deviceName: string;
  random: Random;
  now: number;
}): Promise<OpenAccount | 'already-here'> {
  const { store, agent, origin, username, random, now } = parts;
  const name = { origin, username };
  if ((await store.get(accountKey(name))) !== undefined) return 'already-here';
  const { uid, certificate } = await agent.unlock({ secretKey: parts.secretKey, passphrase: parts.passphrase });
  const { fingerprint } = await agent.readCertificate(certificate, now);
  const passphrase = normalized(parts.passphrase);
  // Always locked anew: a key may come without a passphrase, or with one on some of its parts only.
  const lockedKey = await agent.relock({ passphrase });
  const device = await createDevice({ agent, uid, name: parts.deviceName, random, now });
  const { header, vault } = await createVault({ passphrase, random });
  const record: AccountRecord = {
    ...{ version: 1, origin, username, uid, certificate, registration: registrationNumbers.due, vaultHeader: header },
    sealedKey: await vault.seal(secretKeyName(name), lockedKey),
  };
  await store.write([
    { put: accountKey(name), value: encode(accountRecord, record) },
    { put: deviceKey(name), value: await sealedDevice({ vault, name, device }) },
  ]);
  return new OpenAccount({ store, record, fingerprint, vault, device });
}

/**
 * Costs a whole key derivation whatever comes of it, and unlocks the key in the agent. Rejects with StoreFailure 'not-ours' for what was changed behind
 * the vault's back, with WireRefusal for what this version cannot read.
 */
export async function openAccount(parts: {
  store: Store;
  agent: KeyAgent;
  origin: string;
  username: string;
  passphrase: string;
  random: Random;
  now: number;
}): Promise<OpenAccount | 'wrong-passphrase' | 'unknown-account'> {
  const { store, agent, origin, username, random, now } = parts;
  const name = { origin, username };
  const [stored, storedDevice] = [await store.get(accountKey(name)), await store.get(deviceKey(name))];
  if (stored === undefined || storedDevice === undefined) return 'unknown-account';
  const record = decode(accountRecord, stored);
  const passphrase = normalized(parts.passphrase);
  const vault = await openVault({ header: record.vaultHeader, passphrase, random });
  if (vault === 'wrong-passphrase') return 'wrong-passphrase';
  const secretKey = await vault.open(secretKeyName(name), record.sealedKey);
  const device = await vault.open(deviceName(name), decode(deviceRecord, storedDevice).sealed);
  if (secretKey === undefined || device === undefined) throw new StoreFailure('not-ours', 'the keys of an account');
  const { uid, certificate } = await agent.unlock({ secretKey, passphrase });
  if (!equal(uid, record.uid)) throw new StoreFailure('not-ours', 'an account under the key of another');
  const { fingerprint } = await agent.readCertificate(certificate, now);
  return new OpenAccount({
    store,
    record: { ...record, certificate },
    fingerprint,
    vault,
    device: secret(decode(deviceSecrets, device)),
  });
}

/** Nothing of it stays in this store, device keys included; what was sealed with its vault can then be read by nobody. */
export async function forgetAccount({ store, origin, username }: { store: Store } & AccountName): Promise<void> {
  await store.write([{ remove: accountKey({ origin, username }) }, { remove: deviceKey({ origin, username }) }]);
}

/** An account after its passphrase. Prints as '[key]'. */
export class OpenAccount {
  readonly origin: string;
  readonly username: string;
  readonly uid: Uid;
  /** Stripped. */
  readonly certificate: Uint8Array;
  /** Lower-case hex, for people. */
  readonly fingerprint: string;
  /** For the store of the chat. */
  readonly vault: Vault;
  readonly #store: Store;
  #record: AccountRecord;
  #device: DeviceSecrets;

  constructor(parts: { store: Store; record: AccountRecord; fingerprint: string; vault: Vault; device: DeviceSecrets }) {
    const { origin, username, uid, certificate } = parts.record;
    this.origin = origin;
    this.username = username;
    this.uid = uid;
    this.certificate = certificate;
    this.fingerprint = parts.fingerprint;
    this.vault = parts.vault;
    this.#store = parts.store;
    this.#record = parts.record;
    this.#device = parts.device;
  }

  /** As saved last. */
  get device(): DeviceSecrets {
    return this.#device;
  }

  get registration(): Registration {
    return registrationOf(this.#record.registration);
  }

  /** The same device after a renewal or a rotation of lock keys; on disk when it resolves. */
  async saveDevice(device: DeviceSecrets): Promise<void> {
    const name = { origin: this.origin, username: this.username };
    await this.#store.write([{ put: deviceKey(name), value: await sealedDevice({ vault: this.vault, name, device }) }]);
    this.#device = device;
  }

  /** The node has confirmed the name; on disk when it resolves. */
  async markRegistered(): Promise<void> {
    if (this.registration === 'done') return;
    const record: AccountRecord = { ...this.#record, registration: registrationNumbers.done };
    await this.#store.write([{ put: accountKey(record), value: encode(accountRecord, record) }]);
    this.#record = record;
  }

  toJSON(): string {
    return '[key]';
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return '[key]';
  }
}

/** The nodes' keys by origin. They stay when accounts are forgotten: a node that changes its key must not pass for a new one. */
export function pinStore(store: Store): PinStore {
  return {
    async get(origin) {
      const value = await store.get(['pin', origin]);
      return value === undefined ? undefined : decode(pinRecord, value).nodePub;
    },
    set: (origin, nodePub) => store.write([{ put: ['pin', origin], value: encode(pinRecord, { version: 1, nodePub }) }]),
  };
}

// --- as stored

const registrationNumbers = { due: 1, done: 2 } as const;

/** Of an RSA-8192 key with subkeys in its own protection, and the seal around it. */
const sealedKeyBytes = 256 * 1024 + 64;

const accountRecord = struct({
  version: numberOf(1, 1),
  origin: text16(limits.originBytes),
  username: userName,
  uid: uidCodec,
  certificate: vec16(limits.certificateBytes),
  registration: numberOf(1, registrationNumbers.due, registrationNumbers.done),
  vaultHeader: vec16(),
  /** The OpenPGP secret key, which is itself locked under the passphrase. */
  sealedKey: vec32(sealedKeyBytes),
});
type AccountRecord = Decoded<typeof accountRecord>;

const deviceRecord = struct({ version: numberOf(1, 1), sealed: vec16() });

const pinRecord = struct({ version: numberOf(1, 1), nodePub: bytesN(32) });

function accountKey({ origin, username }: AccountName): StoreKey {
  return ['account', origin, username];
}

function deviceKey({ origin, username }: AccountName): StoreKey {
  return ['device', origin, username];
}

/** Names in the vault say whose it is: what lies in the clear beside it cannot be changed without breaking the seal. */
function secretKeyName({ origin, username }: AccountName): string {
  return `secret key of ${username} at ${origin}`;
}

function deviceName({ origin, username }: AccountName): string {
  return `device of ${username} at ${origin}`;
}

async function sealedDevice({
  vault,
  name,
  device,
}: {
  vault: Vault;
  name: AccountName;
  device: DeviceSecrets;
}): Promise<Uint8Array> {
  return encode(deviceRecord, { version: 1, sealed: await vault.seal(deviceName(name), encode(deviceSecrets, device)) });
}

function registrationOf(number: AccountRecord['registration']): Registration {
  return number === registrationNumbers.done ? 'done' : 'due';
}

/** The same characters typed on another keyboard are the same passphrase, for the vault and for the key in it. */
function normalized(passphrase: string): string {
  return passphrase.normalize('NFC');
}
