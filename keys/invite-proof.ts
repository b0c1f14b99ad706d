// What a joiner proves with an invite: that they hold its key, and that the named device asks for exactly this (spec/protocol.md §4).
import { concat, hex } from '../wire/bytes.ts';
import { encode, list8, vec16 } from '../wire/codec.ts';
import type { InviteProof } from '../wire/group-ops.ts';
import type { Did, Gid, Uid } from '../wire/ids.ts';
import { limits } from '../wire/limits.ts';
import { DeviceRefusal, readDeviceCert } from './device.ts';
import { type SigningKey, verifyStrictly } from './ed25519.ts';
import { plainHash } from './hash.ts';

/** Who wants to come in, with what. `devices`: encoded device certificates, in the order of the `add`. */
export type JoinClaim = { gid: Gid; uid: Uid; certHash: Uint8Array; devices: readonly Uint8Array[] };

/** `inviteKey`: of the link's seed. `did` and `signer`: the joiner's device, one of `devices`. */
export async function makeInviteProof(
  parts: JoinClaim & { inviteKey: SigningKey; did: Did; signer: SigningKey },
): Promise<InviteProof> {
  const { inviteKey, did, signer } = parts;
  const claim = joinClaimBytes(parts);
  return {
    invitePub: inviteKey.publicKey,
    inviteSignature: await inviteKey.sign('join', claim),
    did,
    deviceSignature: await signer.sign('join', claim),
  };
}

/** Signatures and devices alone: whether the invite is in force is for the log to say. */
export function verifyInviteProof(parts: JoinClaim & { proof: InviteProof }): boolean {
  const { devices, proof } = parts;
  try {
    const named = devices.map(readDeviceCert).find(({ did }) => hex(did) === hex(proof.did));
    return named !== undefined && proofHolds({ claim: parts, proof, devicePub: named.signPub, verify: verifyStrictly });
  } catch (error) {
    if (error instanceof DeviceRefusal) return false;
    throw error;
  }
}

export type VerifySignature = (publicKey: Uint8Array, name: string, body: Uint8Array, signature: Uint8Array) => boolean;

/** `devicePub`: of the device that the proof names. */
export function proofHolds(parts: {
  claim: JoinClaim;
  proof: InviteProof;
  devicePub: Uint8Array;
  verify: VerifySignature;
}): boolean {
  const { proof, devicePub, verify } = parts;
  const claim = joinClaimBytes(parts.claim);
  return verify(proof.invitePub, 'join', claim, proof.inviteSignature) && verify(devicePub, 'join', claim, proof.deviceSignature);
}

const deviceList = list8(vec16(limits.deviceCertBytes), limits.devicesPerMember);

/** gid ‖ uid ‖ certHash ‖ H(devices), the latter over the list as it stands in the `add`: its count in one byte, then each as vec16. */
function joinClaimBytes({ gid, uid, certHash, devices }: JoinClaim): Uint8Array {
  return concat(gid, uid, certHash, plainHash(encode(deviceList, [...devices])));
}
