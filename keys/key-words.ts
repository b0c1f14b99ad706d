// How a key is described to a person.

/** A user id is a stranger's text: nothing in it may move the cursor or turn the line. */
export function printable(userId: string): string {
  return userId.replace(/[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/gu, '\ufffd');
}

const curveWords: Record<string, string> = {
  ed25519Legacy: 'Ed25519',
  curve25519Legacy: 'X25519',
  nistP256: 'NIST P-256',
  nistP384: 'NIST P-384',
  nistP521: 'NIST P-521',
  brainpoolP256r1: 'Brainpool P-256',
  brainpoolP384r1: 'Brainpool P-384',
  brainpoolP512r1: 'Brainpool P-512',
  ed25519: 'Ed25519',
  x25519: 'X25519',
  ed448: 'Ed448',
  x448: 'X448',
};

/** 'RSA 4096', 'Ed25519', 'NIST P-256' from OpenPGP.js's names. */
export function algorithmWords(info: { algorithm: string; bits?: number; curve?: string }): string {
  if (info.bits !== undefined) return `RSA ${Math.ceil(info.bits / 8) * 8}`;
  const name = info.curve ?? info.algorithm;
  return curveWords[name] ?? name;
}
