// Invites: the key that a link carries as a seed, and the seal of the request that its follower posts (spec/protocol.md §4).
import { concat, label } from '../wire/bytes.ts';
import { decode, encode } from '../wire/codec.ts';
import { type JoinRequest, joinRequest } from '../wire/group-ops.ts';
import type { GTag } from '../wire/ids.ts';
import { WireRefusal } from '../wire/refusal.ts';
import { openAead, sealAead } from './aead.ts';
import { type SigningKey, signingKeyFromSeed } from './ed25519.ts';
import { joinKeyOf } from './epoch.ts';

/** Of the 32 random bytes in an invite link; its publicKey is the log's invitePub. Proofs are made with it by keys/invite-proof.ts. */
export function inviteKeyFromSeed(inviteSeed: Uint8Array): Promise<SigningKey> {
  return signingKeyFromSeed(inviteSeed);
}

/** For the group's mailbox: nonce ‖ AEAD(Exp(logKey,"join"), request), bound to gTag. `logKey`: the link's. `nonce`: 12 random bytes. */
export async function sealJoinRequest(parts: {
  gTag: GTag;
  logKey: Uint8Array;
  request: JoinRequest;
  nonce: Uint8Array;
}): Promise<Uint8Array> {
  const { gTag, logKey, request, nonce } = parts;
  const input = { nonce, plaintext: encode(joinRequest, request), additional: additionalOf(gTag) };
  return concat(nonce, await sealAead(joinKeyOf(logKey), input));
}

/** `logKeys`: every one in force since the oldest unrevoked invite was made. Undefined for mail that is no join request. Its proof is not checked here. */
export async function openJoinRequest(parts: {
  gTag: GTag;
  logKeys: readonly Uint8Array[];
  sealed: Uint8Array;
}): Promise<JoinRequest | undefined> {
  const { gTag, logKeys, sealed } = parts;
  const nonce = sealed.subarray(0, nonceBytes);
  const ciphertext = sealed.subarray(nonceBytes);
  for (const logKey of logKeys) {
    const bytes = await openAead(joinKeyOf(logKey), { nonce, ciphertext, additional: additionalOf(gTag) });
    if (bytes !== undefined) return readRequest(bytes);
  }
  return undefined;
}

const nonceBytes = 12;

function additionalOf(gTag: GTag): Uint8Array {
  return concat(label('join-request'), gTag);
}

function readRequest(bytes: Uint8Array): JoinRequest | undefined {
  try {
    return decode(joinRequest, bytes);
  } catch (error) {
    if (error instanceof WireRefusal) return undefined;
    throw error;
  }
}
