// Names, certificates, devices and lock keys, each checked before it is kept.
import { type CertificateVerifier, DeviceRefusal, isLive, readLockKey, verifyDeviceCert } from '../keys/device.ts';
import { KeyRefusal } from '../keys/key-refusal.ts';
import { mergeCertificate, readCertificate, stripCertificate, verifySignature } from '../keys/openpgp.ts';
import { compare, equal } from '../wire/bytes.ts';
import { decode, encode } from '../wire/codec.ts';
import { type DeviceCertBody, deviceCert, deviceCertBody, type LockKeyBody, lockKey, lockKeyBody } from '../wire/device-cert.ts';
import type { Did, NodeId, Uid } from '../wire/ids.ts';
import { limits } from '../wire/limits.ts';
import { type NameClaim, nameClaim, nameClaimBody } from '../wire/login-messages.ts';
import type { DirectoryEntry } from '../wire/node-messages.ts';
import { WireRefusal } from '../wire/refusal.ts';
import type { Account, NodeStore, StoredDevice } from './store.ts';

/** `why` is for the log. */
export type Checked<T> = { outcome: 'good'; value: T } | { outcome: 'bad'; why: string };

export type NewDevice = { did: Did; signPub: Uint8Array; deviceCert: Uint8Array };

const verifier: CertificateVerifier = { readCertificate, verify: verifySignature };

export class Directory {
  readonly #store: NodeStore;
  readonly #nodeId: NodeId;

  constructor({ store, nodeId }: { store: NodeStore; nodeId: NodeId }) {
    this.#store = store;
    this.#nodeId = nodeId;
  }

  // --- persons

  accountNamed(username: string): Promise<Account | undefined> {
    return this.#store.accountNamed(username);
  }

  account(uid: Uid): Promise<Account | undefined> {
    return this.#store.account(uid);
  }

  /** With what has not expired at `now`. */
  async entry(
    by: { by: 'username'; username: string } | { by: 'uid'; uid: Uid },
    now: number,
  ): Promise<DirectoryEntry | undefined> {
    const account = by.by === 'username' ? await this.#store.accountNamed(by.username) : await this.#store.account(by.uid);
    if (account === undefined) return undefined;
    const { uid, username, certificate } = account;
    const claim = decode(nameClaim, account.nameClaim);
    const devices = (await this.#store.devices(uid))
      .filter((device) => isLive(bodyOf(device), now))
      .map(({ deviceCert, lockKeys }) => ({ deviceCert, lockKeys: lockKeys.filter((key) => isLive(lockKeyBodyOf(key), now)) }));
    return { uid, username, claim, certificate, devices };
  }

  /** What is kept of a certificate that somebody registers with. */
  async admitCertificate(bytes: Uint8Array, now: number): Promise<Checked<{ uid: Uid; certificate: Uint8Array }>> {
    return orBad(async () => {
      // Reading refuses secret keys, which stripping would take.
      const { uid, revoked, canEncrypt, canSign } = await readCertificate(bytes, now);
      const certificate = await stripCertificate(bytes);
      if (revoked) return bad('revoked');
      if (!canEncrypt || !canSign) return bad(canEncrypt ? 'no-signing' : 'no-encryption');
      return { outcome: 'good', value: { uid, certificate } };
    });
  }

  /** Nothing is reserved before this, and nothing is left of it when it fails. */
  register(
    account: Omit<Account, 'nameClaim'>,
    claim: NameClaim,
    device: NewDevice,
  ): Promise<'registered' | 'name-taken' | 'key-taken'> {
    const { did, deviceCert } = device;
    return this.#store.register({ ...account, nameClaim: encode(nameClaim, claim) }, { did, deviceCert, lockKeys: [] });
  }

  /** That the person claims this name, at this node. */
  async checkNameClaim(claim: NameClaim, account: Omit<Account, 'nameClaim'>, now: number): Promise<Checked<undefined>> {
    return orBad(async () => {
      const { nodeId, uid, username } = decode(nameClaimBody, claim.body);
      if (!equal(nodeId, this.#nodeId) || !equal(uid, account.uid) || username !== account.username) return bad('other-claim');
      const { certificate } = account;
      await verifySignature({ purpose: 'name-claim', body: claim.body, signature: claim.openPgpSignature, certificate, now });
      return { outcome: 'good', value: undefined };
    });
  }

  /** Merged with what is there: nothing that was revoked comes back. */
  async updateCertificate(uid: Uid, bytes: Uint8Array, now: number): Promise<Checked<undefined>> {
    return orBad(async () => {
      await readCertificate(bytes, now);
      for (;;) {
        const account = await this.#store.account(uid);
        if (account === undefined) return bad('no-account');
        const merged = await mergeCertificate(account.certificate, bytes);
        if (equal(merged, account.certificate)) break;
        if ((await this.#store.replaceCertificate(uid, { from: account.certificate, to: merged })) === 'replaced') break;
      }
      return { outcome: 'good', value: undefined };
    });
  }

  // --- devices

  /** That it is a device of that certificate's person, by their signature, and not expired. */
  async checkDevice(bytes: Uint8Array, { certificate }: { certificate: Uint8Array }, now: number): Promise<Checked<NewDevice>> {
    return orBad(async () => {
      const { did, signPub } = await verifyDeviceCert({ bytes, certificate, agent: verifier, now });
      return { outcome: 'good', value: { did, signPub, deviceCert: bytes } };
    });
  }

  /** Of a known device that may still resume. */
  async liveDevice(did: Did, now: number): Promise<{ account: Account; device: NewDevice } | undefined> {
    const uid = await this.#store.owner(did);
    const account = uid === undefined ? undefined : await this.#store.account(uid);
    if (account === undefined) return undefined;
    const stored = (await this.#store.devices(account.uid)).find((one) => equal(one.did, did));
    if (stored === undefined) return undefined;
    const body = bodyOf(stored);
    if (!isLive(body, now)) return undefined;
    const { revoked } = await readCertificate(account.certificate, now);
    return revoked ? undefined : { account, device: { did, signPub: body.signPub, deviceCert: stored.deviceCert } };
  }

  /** Keeps a checked device, or its renewed certificate. Expired ones make room first, then the one certified longest ago: resolves with those that went. */
  async keepDevice(uid: Uid, { did, deviceCert }: NewDevice, now: number): Promise<Did[]> {
    let gone: Did[] = [];
    await this.#store.changeDevices(uid, (devices) => {
      const known = devices.find((one) => equal(one.did, did));
      if (known !== undefined && bodyOf(known).createdAt > bodyOf({ deviceCert }).createdAt) return undefined;
      const others = devices
        .filter((one) => !equal(one.did, did) && isLive(bodyOf(one), now))
        .sort((a, b) => bodyOf(a).createdAt - bodyOf(b).createdAt || compare(a.did, b.did))
        .slice(-(limits.directoryDevices - 1));
      gone = devices.filter((one) => one !== known && !others.includes(one)).map((one) => one.did);
      return [...others, { did, deviceCert, lockKeys: known?.lockKeys ?? [] }];
    });
    return gone;
  }

  /** The newest few are kept. */
  async keepLockKey(owner: { uid: Uid; did: Did }, bytes: Uint8Array): Promise<Checked<undefined>> {
    return orBad(async () => {
      const stored = (await this.#store.devices(owner.uid)).find((one) => equal(one.did, owner.did));
      if (stored === undefined) return bad('no-device');
      const { no } = readLockKey(bytes, { did: owner.did, signPub: bodyOf(stored).signPub });
      await this.#store.changeDevices(owner.uid, (devices) =>
        devices.map((one) => {
          if (!equal(one.did, owner.did)) return one;
          const others = one.lockKeys.filter((key) => lockKeyBodyOf(key).no !== no);
          const lockKeys = [...others, bytes].sort((a, b) => lockKeyBodyOf(a).no - lockKeyBodyOf(b).no);
          return { ...one, lockKeys: lockKeys.slice(-limits.lockKeysPerDevice) };
        }),
      );
      return { outcome: 'good', value: undefined };
    });
  }

  async hasLiveLockKey(owner: { uid: Uid; did: Did }, now: number): Promise<boolean> {
    const stored = (await this.#store.devices(owner.uid)).find((one) => equal(one.did, owner.did));
    return stored?.lockKeys.some((key) => isLive(lockKeyBodyOf(key), now)) ?? false;
  }
}

/** The key of which a device certificate speaks, before any of it is verified. */
export function claimedKeyOf(bytes: Uint8Array): Uint8Array | undefined {
  try {
    return bodyOf({ deviceCert: bytes }).signPub;
  } catch (error) {
    if (error instanceof WireRefusal) return undefined;
    throw error;
  }
}

// What is stored was verified when it came.
function bodyOf(device: Pick<StoredDevice, 'deviceCert'>): DeviceCertBody {
  return decode(deviceCertBody, decode(deviceCert, device.deviceCert).body);
}

function lockKeyBodyOf(bytes: Uint8Array): LockKeyBody {
  return decode(lockKeyBody, decode(lockKey, bytes).body);
}

function bad(why: string): { outcome: 'bad'; why: string } {
  return { outcome: 'bad', why };
}

/** Refusals of what a client sent are an outcome; all else is our fault and goes on up. */
async function orBad<T>(check: () => Promise<Checked<T>>): Promise<Checked<T>> {
  try {
    return await check();
  } catch (error) {
    if (error instanceof KeyRefusal || error instanceof DeviceRefusal) return bad(error.code);
    if (error instanceof WireRefusal) return bad(error.message);
    throw error;
  }
}
