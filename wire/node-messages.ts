// Everything that client and node say to each other on a socket: one binary message is one of these.
import { bytesN, choice, type Decoded, list8, list16, numberOf, optional, struct, u32, u64, vec16, vec32 } from './codec.ts';
import { nodeErrorCode } from './errors.ts';
import { didCodec, gTagCodec, opIdCodec, rosterTagCodec, uidCodec } from './ids.ts';
import { limits } from './limits.ts';
import { clientAuth, clientHello, nameClaim, nodeAuth, nodeHello } from './login-messages.ts';
import { userName } from './names.ts';

/** Chosen by the client, counting up; the answer repeats it. */
const request = { request: u32 };

/** Whose mailbox: a person's (by uid), a device's (by did) or a group's (by gTag). */
export const mailbox = choice('of', {
  person: [1, struct({ uid: uidCodec })],
  device: [2, struct({ did: didCodec })],
  group: [3, struct({ gTag: gTagCodec })],
});
export type Mailbox = Decoded<typeof mailbox>;

/** A new entry of a sealed group log. */
export const logAppend = struct({
  gTag: gTagCodec,
  /** The heads this entry was made on: compare and swap. Empty creates the log. */
  expectedHeads: list8(opIdCodec, limits.opParents),
  opId: opIdCodec,
  parents: list8(opIdCodec, limits.opParents),
  /** nonce 12 ‖ AEAD(logKey, op) and what stands beside it */
  sealed: vec32(limits.sealedOpBytes),
  /** Hashes (H(lab("shard") ‖ bytes)) of shards put before, that this entry publishes. */
  shards: list16(bytesN(32), 2 * limits.epochShards),
  /** Ed25519(Exp(GK,"append")) in force, and the next one where the entry changes GK. */
  appendPub: bytesN(32),
  nextAppendPub: optional(bytesN(32)),
  /** 1: the entry removes someone, so all append keys but the next are retired. */
  retire: numberOf(1, 0, 1),
});
export type LogAppend = Decoded<typeof logAppend>;

export const clientMessage = choice('type', {
  'client-hello': [0x01, clientHello],
  'client-auth': [0x03, clientAuth],
  'look-up': [
    0x41,
    struct({
      ...request,
      by: choice('by', { username: [1, struct({ username: userName })], uid: [2, struct({ uid: uidCodec })] }),
    }),
  ],
  'publish-lock-key': [0x42, struct({ ...request, lockKey: vec16(limits.lockKeyBytes) })],
  'publish-device': [0x43, struct({ ...request, deviceCert: vec16(limits.deviceCertBytes) })],
  'put-shard': [0x44, struct({ ...request, gTag: gTagCodec, shard: vec32(limits.shardBytes) })],
  'get-shard': [0x45, struct({ ...request, gTag: gTagCodec, hash: bytesN(32) })],
  /** signature: by appendPub, "append", over the encoding of append */
  append: [0x46, struct({ ...request, append: logAppend, signature: bytesN(64) })],
  /** Entries after number `after`, oldest first. */
  'get-log': [0x47, struct({ ...request, gTag: gTagCodec, after: u32 })],
  /** Replaces what this socket follows: growth of logs and group mailboxes by gTag, who is online by roster tag. */
  follow: [
    0x48,
    struct({ ...request, groups: list16(struct({ gTag: gTagCodec, rosterTag: rosterTagCodec }), limits.followedGroups) }),
  ],
  'post-mail': [0x49, struct({ ...request, box: mailbox, body: vec32(limits.mailBytes) })],
  'get-mail': [0x4a, struct({ ...request, box: mailbox, after: u32 })],
  /** Up to and with this number; own boxes only. */
  'drop-mail': [0x4b, struct({ ...request, box: mailbox, upTo: u32 })],
  relay: [0x4c, struct({ ...request, to: didCodec, blob: vec16(limits.signalBytes) })],
  'publish-certificate': [0x4d, struct({ ...request, certificate: vec16(limits.certificateBytes) })],
  'log-out': [0x4e, struct({})],
});
export type ClientMessage = Decoded<typeof clientMessage>;

export const directoryEntry = struct({
  uid: uidCodec,
  username: userName,
  /** The person's own signature over the name: the node can withhold names, not invent them. */
  claim: nameClaim,
  certificate: vec16(limits.certificateBytes),
  devices: list8(
    struct({ deviceCert: vec16(limits.deviceCertBytes), lockKeys: list8(vec16(limits.lockKeyBytes), limits.lockKeysPerDevice) }),
    limits.directoryDevices,
  ),
});
export type DirectoryEntry = Decoded<typeof directoryEntry>;

export const logEntry = struct({
  /** Counts from 1 per log. */
  no: u32,
  opId: opIdCodec,
  parents: list8(opIdCodec, limits.opParents),
  sealed: vec32(limits.sealedOpBytes),
});
export type LogEntry = Decoded<typeof logEntry>;

export const mail = struct({
  /** Counts from 1 per mailbox. */
  no: u32,
  at: u64,
  body: vec32(limits.mailBytes),
});
export type Mail = Decoded<typeof mail>;

export const nodeMessage = choice('type', {
  'node-hello': [0x02, nodeHello],
  'node-auth': [0x04, nodeAuth],
  /** request 0: about no request in particular; the socket closes after it during a login. retryAfter in ms, 0 for unknown. */
  refused: [0x05, struct({ request: u32, code: nodeErrorCode, retryAfter: u32 })],
  done: [0x61, struct({ ...request })],
  found: [0x62, struct({ ...request, entry: directoryEntry })],
  shard: [0x63, struct({ ...request, shard: vec32(limits.shardBytes) })],
  appended: [0x64, struct({ ...request, no: u32 })],
  /** The append's expectedHeads are not the heads. */
  conflict: [0x65, struct({ ...request, heads: list8(opIdCodec, limits.opParents) })],
  'log-page': [0x66, struct({ ...request, entries: list16(logEntry, limits.logPageEntries), more: numberOf(1, 0, 1) })],
  'mail-page': [0x67, struct({ ...request, mails: list16(mail, limits.mailsPerBox), more: numberOf(1, 0, 1) })],
  /** Unasked: the log under this tag now has entries up to `no`. */
  'log-grew': [0x68, struct({ gTag: gTagCodec, no: u32 })],
  /** Unasked: a mailbox that this socket owns or follows has mail up to `no`. */
  'mail-came': [0x69, struct({ box: mailbox, no: u32 })],
  /** Unasked, once after follow per group: everybody of the group who is online. */
  roster: [0x6a, struct({ rosterTag: rosterTagCodec, online: list16(didCodec, limits.rosterDevices) })],
  /** Unasked: somebody of the group came (1) or went (0). */
  presence: [0x6b, struct({ rosterTag: rosterTagCodec, did: didCodec, online: numberOf(1, 0, 1) })],
  /** Unasked: a sealed signal of another device. */
  relayed: [0x6c, struct({ from: didCodec, blob: vec16(limits.signalBytes) })],
  /** Unasked: the node stops; come back after this many ms. */
  stopping: [0x6d, struct({ retryAfter: u32 })],
});
export type NodeMessage = Decoded<typeof nodeMessage>;
