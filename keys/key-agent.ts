// Where the private key is used: everything that the rest of the app asks of OpenPGP. In a worker in the browser, in the process elsewhere.
import type { Uid } from '../wire/ids.ts';
import { importSecretKey, type KeyImport } from './key-import.ts';
import { KeyRefusal } from './key-refusal.ts';
import {
  type CertificateFacts,
  generateSecretKey,
  mergeCertificate,
  type OnPrivateKeyUse,
  readCertificate,
  type SealPurpose,
  type SignPurpose,
  seal,
  stripCertificate,
  type UnlockedKey,
  unlockSecretKey,
  verifySignature,
} from './openpgp.ts';

export type GenerateRequest = { username: string; passphrase: string; now: number };
export type GeneratedKey = { secretKey: Uint8Array; certificate: Uint8Array };
export type UnlockRequest = { secretKey: Uint8Array; passphrase: string };
export type UnlockedIdentity = { uid: Uid; certificate: Uint8Array };
export type OpenRequest = { purpose: SealPurpose; context: Uint8Array; message: Uint8Array; now: number };
export type SignRequest = { purpose: SignPurpose; body: Uint8Array; now: number };
export type SealRequest = {
  purpose: SealPurpose;
  context: Uint8Array;
  body: Uint8Array;
  certificates: readonly Uint8Array[];
  now: number;
};
export type VerifyRequest = {
  purpose: SignPurpose;
  body: Uint8Array;
  signature: Uint8Array;
  certificate: Uint8Array;
  now: number;
};

/** Rejects with KeyRefusal and nothing else, but for wrong use by the caller. `now` is in milliseconds. */
export interface KeyAgent {
  /** A new key, locked with the passphrase. It is not unlocked by that. */
  generate(request: GenerateRequest): Promise<GeneratedKey>;
  import(bytes: Uint8Array, now: number): Promise<KeyImport>;

  /** From here on `open`, `sign` and `relock` use this key. An empty passphrase opens a key without one. */
  unlock(request: UnlockRequest): Promise<UnlockedIdentity>;
  /** The unlocked key under another passphrase. */
  relock(request: { passphrase: string }): Promise<Uint8Array>;
  lock(): Promise<void>;

  /** 'too-many-challenges' after five for 'login challenge' within a minute, until `allowMoreChallenges`. */
  open(request: OpenRequest): Promise<Uint8Array>;
  /** To be called only for a gesture of the person, who was told why. */
  allowMoreChallenges(): Promise<void>;
  sign(request: SignRequest): Promise<Uint8Array>;

  seal(request: SealRequest): Promise<Uint8Array>;
  verify(request: VerifyRequest): Promise<void>;
  readCertificate(bytes: Uint8Array, now: number): Promise<CertificateFacts>;
  stripCertificate(bytes: Uint8Array): Promise<Uint8Array>;
  mergeCertificate(old: Uint8Array, update: Uint8Array): Promise<Uint8Array>;
}

/** Works in this thread. */
export function localKeyAgent(options: { onPrivateKeyUse?: OnPrivateKeyUse } = {}): KeyAgent {
  return new LocalKeyAgent(options.onPrivateKeyUse);
}

const challengesMost = 5;
const challengeSpan = 60_000;

class LocalKeyAgent implements KeyAgent {
  readonly #onPrivateKeyUse: OnPrivateKeyUse | undefined;
  #unlocked: UnlockedKey | undefined;
  #challengedAt: number[] = [];

  constructor(onPrivateKeyUse: OnPrivateKeyUse | undefined) {
    this.#onPrivateKeyUse = onPrivateKeyUse;
  }

  generate(request: GenerateRequest): Promise<GeneratedKey> {
    return generateSecretKey(request);
  }

  import(bytes: Uint8Array, now: number): Promise<KeyImport> {
    return importSecretKey(bytes, now);
  }

  async unlock(request: UnlockRequest): Promise<UnlockedIdentity> {
    const unlocked = await unlockSecretKey({ ...request, onPrivateKeyUse: this.#onPrivateKeyUse });
    this.#unlocked?.wipe();
    this.#unlocked = unlocked;
    return { uid: unlocked.uid, certificate: unlocked.certificate };
  }

  async relock({ passphrase }: { passphrase: string }): Promise<Uint8Array> {
    return this.#live().relock(passphrase);
  }

  async lock(): Promise<void> {
    this.#unlocked?.wipe();
    this.#unlocked = undefined;
  }

  async open(request: OpenRequest): Promise<Uint8Array> {
    const unlocked = this.#live();
    if (request.purpose === 'login challenge') this.#countChallenge(request.now);
    return unlocked.open(request);
  }

  async allowMoreChallenges(): Promise<void> {
    this.#challengedAt = [];
  }

  async sign(request: SignRequest): Promise<Uint8Array> {
    return this.#live().sign(request);
  }

  seal(request: SealRequest): Promise<Uint8Array> {
    return seal(request);
  }

  verify(request: VerifyRequest): Promise<void> {
    return verifySignature(request);
  }

  readCertificate(bytes: Uint8Array, now: number): Promise<CertificateFacts> {
    return readCertificate(bytes, now);
  }

  stripCertificate(bytes: Uint8Array): Promise<Uint8Array> {
    return stripCertificate(bytes);
  }

  mergeCertificate(old: Uint8Array, update: Uint8Array): Promise<Uint8Array> {
    return mergeCertificate(old, update);
  }

  /** Every try counts, good or bad: a hostile node must not turn logins into decryptions (spec/protocol.md §2). */
  #countChallenge(now: number): void {
    this.#challengedAt = this.#challengedAt.filter((at) => Math.abs(now - at) < challengeSpan);
    if (this.#challengedAt.length >= challengesMost) throw new KeyRefusal('too-many-challenges');
    this.#challengedAt.push(now);
  }

  #live(): UnlockedKey {
    if (this.#unlocked === undefined) throw new KeyRefusal('locked');
    return this.#unlocked;
  }
}
