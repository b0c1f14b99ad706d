// Every maximum of the protocol, with its reason. Tuning that peers need not agree on stands with the code that uses it.

const KiB = 1024;
const minute = 60_000;
const day = 24 * 60 * minute;

export const limits = {
  /** One message on a socket: a shard upload (256 KiB) and its envelope are the largest. */
  socketMessageBytes: 260 * KiB,
  /** One message on a link: a frame (64 KiB) and its envelope; werift and Chromium both take 256 KiB. */
  linkMessageBytes: 66 * KiB,
  /** Before a link is confirmed nothing longer is read. */
  linkConfirmBytes: 4 * KiB,
  /** A stripped certificate with several subkeys and user ids fits; photos and other people's signatures do not. */
  certificateBytes: 16 * KiB,
  /** An RSA-4096 OpenPGP signature is about 570 bytes; room for notations and post-quantum hybrids is not needed in suite 1. */
  openPgpSignatureBytes: 2 * KiB,
  deviceCertBytes: 3 * KiB,
  lockKeyBytes: 256,
  /** One PKESK (RSA-8192: 1.1 kB) and 128 bytes of plaintext. */
  challengeBytes: 2 * KiB,
  originBytes: 256,
  /** A shard: 32 members, RSA-8192 each. */
  shardBytes: 256 * KiB,
  shardMembers: 32,
  /** With its signature, seal and envelope, and eight earlier log keys beside it (387 bytes), it is a sealed op. */
  opBytes: 64 * KiB - 512,
  sealedOpBytes: 64 * KiB,
  opParents: 8,
  opChanges: 64,
  epochShards: 256,
  groupMembers: 1000,
  devicesPerMember: 8,
  groupOps: 50_000,
  /** Of these, ops whose author no earlier op names. Honest clients make none, and they are kept unverified. */
  unknownAuthorOps: 1000,
  /** Who is no admin may have written this much of the last `quotaWindow` ops: a busy evening fits, a flood does not. */
  quotaWindow: 100,
  quotaOps: 20,
  quotaEpochs: 3,
  frameBytes: 64 * KiB,
  frameHeads: 8,
  /** Message keys skipped at most per sender before a frame is refused: what a hostile `gen` can cost in hashing. */
  skippedPerSender: 1000,
  mailBytes: 64 * KiB,
  mailsPerBox: 100,
  mailAge: 30 * day,
  mailsPerSenderAndBox: 2,
  signalBytes: 16 * KiB,
  signalsInFlight: 8,
  sdpCandidates: 20,
  groupsPerAccount: 200,
  bytesPerGroup: 20 * 1024 * KiB,
  directoryDevices: 16,
  lockKeysPerDevice: 4,
  followedGroups: 200,
  rosterDevices: 8000,
  logPageEntries: 256,
  haveIds: 256,
  vectorDevices: 8000,
  rangesPerDevice: 8,
  groupTokens: 32,
  /** Receipts are off above 50 members. */
  receiptDevices: 400,
  groupNameBytes: 64,
  nicknameBytes: 32,
  deviceNameBytes: 48,
  /** A text of a message: JSON escapes at most double it, and with its envelope it stays below 32 KiB. */
  textBytes: 16 * KiB,
  challengeLife: 30_000,
  challengeLifeByHand: 10 * minute,
  heartbeat: 25_000,
  deviceCertLife: 30 * day,
  deviceCertLifeMax: 90 * day,
  lockKeyRotation: 7 * day,
  lockKeyLife: 14 * day,
  lockKeyDeletion: 21 * day,
  linkConfirmTime: 10_000,
} as const;
