// Why an OpenPGP key, certificate, message or signature is refused: a closed table of codes, each with what to say and the way out.

export const explain = {
  // what was pasted or opened
  empty: {
    what: 'There is nothing in that file.',
    mend: 'Export your secret key: gpg --armor --export-secret-keys you@example.org',
  },
  'too-large': {
    what: 'That is larger than any OpenPGP key this app takes (256 KiB).',
    mend: 'Export one key without photos: gpg --armor --export-options export-minimal --export-secret-keys you@example.org',
  },
  'not-openpgp': {
    what: 'That is not an OpenPGP key.',
    mend: 'Export your secret key: gpg --armor --export-secret-keys you@example.org',
  },
  truncated: {
    what: 'The key is cut off: its end is missing.',
    mend: 'Copy or export the whole key again, with its BEGIN and END lines.',
  },
  damaged: {
    what: 'The key is damaged: its contents do not fit together.',
    mend: 'Export it again, and send it as a file rather than as text.',
  },
  'public-key': {
    what: 'That is your public key. Logging in needs the secret key.',
    mend: 'Export the secret key: gpg --armor --export-secret-keys you@example.org',
  },
  'secret-key': {
    what: 'That is a secret key where a public key is wanted.',
    mend: 'Never send it to anyone. Export the public key: gpg --armor --export you@example.org',
  },
  signature: {
    what: 'That is a signature, not a key.',
    mend: 'Export the secret key: gpg --armor --export-secret-keys you@example.org',
  },
  message: {
    what: 'That is an OpenPGP message, not a key.',
    mend: 'Export the secret key: gpg --armor --export-secret-keys you@example.org',
  },
  revocation: {
    what: 'That is a revocation certificate. Importing it anywhere would end your key.',
    mend: 'Put it back in a safe place, and export the secret key: gpg --armor --export-secret-keys you@example.org',
  },
  'several-keys': { what: 'There are several keys in there.', mend: 'Choose one of them.' },

  // what is wrong with the key
  'unsupported-key': {
    what: 'This kind of key (post-quantum, Ed448 of GnuPG or secp256k1, for instance) is not supported yet.',
    mend: 'Make one that is: gpg --quick-generate-key you@example.org ed25519 cert,sign never and gpg --quick-add-key FINGERPRINT cv25519 encr never',
  },
  weak: {
    what: 'This key is too weak (DSA, ElGamal, or RSA below 2048 bits).',
    mend: 'Make a new key: gpg --quick-generate-key you@example.org rsa4096',
  },
  'no-secret-material': {
    what: 'The secret part of this key is not in the file: it is on a card, or was exported without it.',
    mend: 'Use a key whose secret part can be exported, or add software subkeys to this one and run gpg --armor --export-secret-subkeys you@example.org',
  },
  'subkey-secret-missing': {
    what: 'The secret part of the encryption or the signing subkey is not in the file (it may be on a card).',
    mend: 'Add software subkeys with gpg --quick-add-key FINGERPRINT cv25519 encr never and gpg --quick-add-key FINGERPRINT ed25519 sign never, then export again.',
  },
  'old-protection': {
    what: 'The passphrase protects this key in an outdated way that this app does not open.',
    mend: 'Set the passphrase again with a current GnuPG (gpg --edit-key FINGERPRINT passwd) and export the key again.',
  },
  revoked: {
    what: 'This key has been revoked.',
    mend: 'Use another key, or make a new one: gpg --quick-generate-key you@example.org',
  },
  expired: {
    what: 'This key has expired.',
    mend: "Extend it: gpg --quick-set-expire FINGERPRINT 2y and gpg --quick-set-expire FINGERPRINT 2y '*', then export it again.",
  },
  'not-yet-valid': {
    what: 'This key begins in the future.',
    mend: 'Check the clocks of this device and of the one where the key was made.',
  },
  'no-encryption': {
    what: 'This key has no subkey for encryption.',
    mend: 'Add one: gpg --quick-add-key FINGERPRINT cv25519 encr never, then export it again.',
  },
  'encryption-expired': {
    what: 'The encryption subkey of this key has expired.',
    mend: "Extend it: gpg --quick-set-expire FINGERPRINT 2y '*', then export the key again.",
  },
  'encryption-revoked': {
    what: 'The encryption subkey of this key has been revoked.',
    mend: 'Add a new one: gpg --quick-add-key FINGERPRINT cv25519 encr never, then export the key again.',
  },
  'no-signing': {
    what: 'This key cannot sign now: it has no signing subkey, or that has expired or was revoked.',
    mend: 'Add one: gpg --quick-add-key FINGERPRINT ed25519 sign never, then export the key again.',
  },
  'certificate-too-large': {
    what: 'This public key is too large, even without photos and the signatures of others.',
    mend: 'Remove user ids and subkeys that you no longer need: gpg --edit-key FINGERPRINT clean',
  },
  'other-key': { what: 'That is a different key.', mend: 'Compare the fingerprints with the other person before you go on.' },

  // unlocking
  'wrong-passphrase': { what: 'Wrong passphrase.', mend: 'Try again.' },
  'empty-passphrase': { what: 'The passphrase is empty.', mend: 'Choose a passphrase: it protects the key in this browser.' },
  locked: { what: 'The key is locked.', mend: 'Unlock it with its passphrase.' },
  'too-many-challenges': {
    what: 'There were many log-in attempts in the last minute.',
    mend: 'Somebody may be misusing the node. Go on only if you are logging in yourself.',
  },

  // strangers get these codes, without detail
  refused: {
    what: 'That was not meant for this key, here and now.',
    mend: 'Try again. If it stays so, the node or the sender is broken or hostile.',
  },
  'bad-signature': { what: 'The signature is not valid.', mend: 'Do not trust what it came with.' },
} as const;

export type KeyRefusalCode = keyof typeof explain;

export class KeyRefusal extends Error {
  readonly code: KeyRefusalCode;
  /** The fingerprint of the key that is meant, where there is a choice. */
  readonly fingerprint: string | undefined;

  constructor(code: KeyRefusalCode, fingerprint?: string) {
    super(fingerprint === undefined ? `key refused: ${code}` : `key ${fingerprint} refused: ${code}`);
    this.name = 'KeyRefusal';
    this.code = code;
    this.fingerprint = fingerprint;
  }
}
