// Entries of a group's log: what may be changed in a group, and the epoch that a change starts (spec/protocol.md §4).

import { compare } from './bytes.ts';
import {
  bytesN,
  checked,
  choice,
  type Decoded,
  list8,
  list16,
  numberOf,
  optional,
  struct,
  typed,
  u16,
  u32,
  u64,
  vec16,
  vec32,
} from './codec.ts';
import { didCodec, frameIdCodec, gTagCodec, opIdCodec, uidCodec } from './ids.ts';
import { limits } from './limits.ts';
import { groupName } from './names.ts';
import { WireRefusal } from './refusal.ts';

export const roles = { none: 0, keeper: 1, member: 2, admin: 3, owner: 4 } as const;
export type Role = (typeof roles)[keyof typeof roles];
const givenRole = numberOf(1, roles.keeper, roles.member, roles.admin, roles.owner);

const certifiedDevices = list8(vec16(limits.deviceCertBytes), limits.devicesPerMember);

export const groupPolicy = struct({
  name: groupName,
  /** What a newcomer may be given of the past. */
  history: choice('history', { 'from-join': [0, struct({})], days: [1, struct({ days: u16 })], all: [2, struct({})] }),
  /** The least role that may invite and add. */
  admit: numberOf(1, roles.member, roles.admin),
  suite: numberOf(1, 1),
  /** 1: the epoch secret follows from the group key. 2: it is sealed to each device's lock key (forward secrecy). */
  wrap: numberOf(1, 1, 2),
});
export type GroupPolicy = Decoded<typeof groupPolicy>;

/** What a joiner signs with the invite's key and with their device ("join"): gid ‖ uid ‖ certHash ‖ H(devices). */
export const inviteProof = struct({
  invitePub: bytesN(32),
  inviteSignature: bytesN(64),
  did: didCodec,
  deviceSignature: bytesN(64),
});
export type InviteProof = Decoded<typeof inviteProof>;

export const change = choice('kind', {
  genesis: [
    0x01,
    struct({ salt: bytesN(32), policy: groupPolicy, founder: uidCodec, certHash: bytesN(32), devices: certifiedDevices }),
  ],
  invite: [
    0x02,
    struct({
      invitePub: bytesN(32),
      role: givenRole,
      maxUses: u16,
      /** Judged by the adder's client only. */
      expires: u64,
      /** 1: a person must confirm each use. */
      approval: numberOf(1, 0, 1),
      forUid: optional(uidCodec),
    }),
  ],
  'invite-revoke': [0x03, struct({ invitePub: bytesN(32) })],
  add: [
    0x04,
    struct({ uid: uidCodec, certHash: bytesN(32), role: givenRole, devices: certifiedDevices, proof: optional(inviteProof) }),
  ],
  remove: [0x05, struct({ uid: uidCodec, reason: numberOf(1, 0, 1, 2) })],
  leave: [0x06, struct({})],
  'add-device': [0x07, struct({ uid: uidCodec, deviceCert: vec16(limits.deviceCertBytes) })],
  'remove-device': [0x08, struct({ uid: uidCodec, did: didCodec })],
  'set-role': [0x09, struct({ uid: uidCodec, role: givenRole })],
  policy: [0x0a, struct({ policy: groupPolicy })],
});
export type Change = Decoded<typeof change>;

export const epochModes = { fresh: 1, ratchet: 2 } as const;

export const epoch = struct({
  mode: numberOf(1, epochModes.fresh, epochModes.ratchet),
  /** 1: the group key changes too. */
  newGK: numberOf(1, 0, 1),
  gkCommit: bytesN(32),
  esCommit: bytesN(32),
  gkShardHashes: list16(bytesN(32), limits.epochShards),
  esShardHashes: list16(bytesN(32), limits.epochShards),
  /** Last frames of removed devices that still count. */
  frontier: list16(struct({ did: didCodec, seq: u64, frameId: frameIdCodec }), 256),
  /** Devices without a live lock key: no entry was sealed to them. */
  excluded: list16(didCodec, 256),
});
export type Epoch = Decoded<typeof epoch>;

const parents = checked(list8(opIdCodec, limits.opParents), (ids) => {
  if (ids.some((id, i) => i > 0 && compare(ids[i - 1] ?? id, id) >= 0))
    throw new WireRefusal('bad-value', 'parents out of order');
  return ids;
});

export const opBody = typed(
  0x21,
  struct({
    /** 32 zero bytes in a genesis, which is what names the group. */
    gid: opIdCodec,
    /** Strictly ascending; none in a genesis, else 1 to 8. */
    parents,
    /** 1 + the greatest depth of the parents; 0 for a genesis. */
    depth: u32,
    author: didCodec,
    /** Advisory: the author's clock. */
    wall: u64,
    changes: list16(change, limits.opChanges),
    epoch: optional(epoch),
  }),
);
export type OpBody = Decoded<typeof opBody>;

export const op = struct({
  body: vec32(limits.opBytes),
  /** Sig(author, "op", body) */
  signature: bytesN(64),
});
export type Op = Decoded<typeof op>;

/** What stands inside the seal of a log entry: the op, and earlier logKeys where the op brought a new one. */
export const sealedLogEntry = struct({
  /** nonce ‖ AEAD(logKey, op) */
  op: vec32(limits.sealedOpBytes),
  /** nonce ‖ AEAD(Exp(new logKey,"log-prev"), logKeys of all parents); empty where the logKey is unchanged */
  previousKeys: vec16(1024),
});

/** Sent to the mailbox of a person who was added, OpenPGP-encrypted ("welcome"). */
export const welcome = struct({
  gid: opIdCodec,
  gTag: gTagCodec,
  logKey: bytesN(32),
  opId: opIdCodec,
});
export type Welcome = Decoded<typeof welcome>;

/** Posted to the group's mailbox by whoever follows an invite link, under Exp(logKey,"join"). */
export const joinRequest = struct({
  uid: uidCodec,
  certHash: bytesN(32),
  devices: certifiedDevices,
  proof: inviteProof,
});
export type JoinRequest = Decoded<typeof joinRequest>;
