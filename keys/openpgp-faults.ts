// OpenPGP.js has no error codes: this table of its words is how a KeyRefusal gets one.
import { KeyRefusal, type KeyRefusalCode } from './key-refusal.ts';

export type Faults = readonly (readonly [RegExp, KeyRefusalCode])[];

const kindFaults: Faults = [
  [/too weak/i, 'weak'],
  [/is disabled|unsupported|eckey-utils/i, 'unsupported-key'],
];
export const parseFaults: Faults = [...kindFaults, [/no key packet|missing .* packet/i, 'unsupported-key']];
export const primaryFaults: Faults = [
  [/revoked/i, 'revoked'],
  [/expired/i, 'expired'],
  [/in the future/i, 'not-yet-valid'],
  ...kindFaults,
];
export const encryptionFaults: Faults = [
  ...kindFaults,
  [/expired/i, 'encryption-expired'],
  [/revoked/i, 'encryption-revoked'],
  [/in the future/i, 'not-yet-valid'],
  [/did not match|verification failed/i, 'damaged'],
];
export const signingFaults: Faults = [...kindFaults, [/did not match|verification failed/i, 'damaged']];
export const unlockFaults: Faults = [
  [/incorrect key passphrase/i, 'wrong-passphrase'],
  [/two-byte|unsalted|already decrypted|argon2/i, 'old-protection'],
  [/unsupported/i, 'unsupported-key'],
];

export function refusalOf(error: unknown, faults: Faults, otherwise: KeyRefusalCode, fingerprint?: string): KeyRefusal {
  if (error instanceof KeyRefusal) return error;
  const words = error instanceof Error ? error.message : '';
  return new KeyRefusal(faults.find(([pattern]) => pattern.test(words))?.[1] ?? otherwise, fingerprint);
}
