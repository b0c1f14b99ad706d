// Ed25519 signatures on the edge, where engines are known to differ: made with the secret scalar at hand, as a hostile author would.
import { ED25519_TORSION_SUBGROUP, ed25519 } from '@noble/curves/ed25519.js';
import { sha512 } from '@noble/hashes/sha2.js';
import { concat, fromHex, hex, label } from '../wire/bytes.ts';

export type OddSignature = { publicKey: Uint8Array; signature: Uint8Array };
export type OddName = keyof ReturnType<typeof oddSignatures>;

/** All over label(name) ‖ body with the key of `seed`, but for those whose key is odd itself. */
export function oddSignatures({ seed, name, body }: { seed: Uint8Array; name: string; body: Uint8Array }) {
  const message = concat(label(name), body);
  const { scalar, pointBytes } = ed25519.utils.getExtendedPublicKey(seed);
  const honest = ed25519.sign(message, seed);
  const s = numberOf(honest.slice(32));

  /** S = r + H(R ‖ A ‖ M) a for any encoding of R and A. */
  const madeWith = (r: bigint, encodedR: Uint8Array, publicKey: Uint8Array = pointBytes): OddSignature => {
    const k = Fn.create(numberOf(sha512(concat(encodedR, publicKey, message))));
    return { publicKey, signature: concat(encodedR, Fn.toBytes(Fn.create(r + k * scalar))) };
  };
  const r = Fn.create(numberOf(sha512(message)));
  const torsioned = Point.BASE.multiply(r).add(orderEight).toBytes();
  const mixedKey = Point.fromHex(hex(pointBytes)).add(orderEight).toBytes();
  return {
    honest: { publicKey: pointBytes, signature: honest },
    'S is not reduced': { publicKey: pointBytes, signature: concat(honest.slice(0, 32), littleEndian(s + Fn.ORDER)) },
    'R has a torsion part': madeWith(r, torsioned),
    'R is the identity': madeWith(0n, identity),
    'R is the identity, not canonical': madeWith(0n, identityNotCanonical),
    'R is the identity with a sign': madeWith(0n, identityWithSign),
    'R has small order': madeWith(0n, orderEight.toBytes()),
    'key has a torsion part': honestFor(mixedKey),
    'key has small order': { publicKey: orderEight.toBytes(), signature: concat(identity, new Uint8Array(32)) },
    'key is the identity': { publicKey: identity, signature: concat(identity, new Uint8Array(32)) },
    'key is the identity, not canonical': {
      publicKey: identityNotCanonical,
      signature: concat(identity, new Uint8Array(32)),
    },
  };

  /** Tries until the torsion of the key falls out of the equation, so that even verifiers without cofactor agree. */
  function honestFor(publicKey: Uint8Array): OddSignature {
    for (let attempt = 1n; ; attempt++) {
      const nonce = Fn.create(r + attempt);
      const encodedR = Point.BASE.multiply(nonce).toBytes();
      if (Fn.create(numberOf(sha512(concat(encodedR, publicKey, message)))) % 8n === 0n)
        return madeWith(nonce, encodedR, publicKey);
    }
  }
}

const { Point } = ed25519;
const { Fn } = Point;
const orderEight = Point.fromHex(ED25519_TORSION_SUBGROUP[1] ?? '');
const identity = fromHex(`01${'00'.repeat(31)}`);
const identityWithSign = fromHex(`01${'00'.repeat(30)}80`);
/** y = p + 1 */
const identityNotCanonical = fromHex(`ee${'ff'.repeat(30)}7f`);

function numberOf(bytes: Uint8Array): bigint {
  return bytes.reduceRight((sum, byte) => sum * 256n + BigInt(byte), 0n);
}

function littleEndian(value: bigint): Uint8Array {
  return Uint8Array.from({ length: 32 }, (_, i) => Number((value >> BigInt(8 * i)) & 255n));
}
