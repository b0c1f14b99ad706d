// The form of every byte that the node writes to its store. A spec holds it together with the table in spec/protocol.md, "What the node stores".
import { bytesN, type Decoded, list8, struct, text8, u32, u64, vec16, vec32 } from '../wire/codec.ts';
import { opIdCodec, uidCodec } from '../wire/ids.ts';
import { limits } from '../wire/limits.ts';
import { logEntry, mail } from '../wire/node-messages.ts';
import { nodeLimits } from './limits.ts';

export const storedTables = {
  /** key: a name */
  meta: struct({ version: u32 }),
  /** key: uid */
  accounts: struct({
    username: text8(32),
    certificate: vec16(limits.certificateBytes),
    nameClaim: vec16(256 + limits.openPgpSignatureBytes + 4),
    /** How many groups; which ones is not kept. */
    groupsCreated: u32,
  }),
  /** key: username */
  names: struct({ uid: uidCodec }),
  /** key: uid did */
  devices: struct({
    deviceCert: vec16(limits.deviceCertBytes),
    lockKeys: list8(vec16(limits.lockKeyBytes), limits.lockKeysPerDevice),
  }),
  /** key: did */
  owners: struct({ uid: uidCodec }),
  /** key: gTag */
  groups: struct({
    entries: u32,
    bytes: u64,
    heads: list8(opIdCodec, limits.opParents),
    appendKeys: list8(bytesN(32), nodeLimits.appendKeys),
  }),
  /** key: gTag no */
  entries: logEntry,
  /** key: gTag opId */
  ops: struct({ no: u32, appendHash: bytesN(32) }),
  /** key: gTag hash */
  shards: struct({ shard: vec32(limits.shardBytes) }),
  /** key: uid hash */
  staged: struct({ at: u64, bytes: u32 }),
  /** key: uid hash */
  stagedShards: struct({ shard: vec32(limits.shardBytes) }),
  /** key: box. A sender is 8 bytes of a MAC under a key that was never stored: it tells the senders of one box apart, and says no more. */
  boxes: struct({ lastNo: u32, held: list8(struct({ no: u32, at: u64, sender: bytesN(8) }), limits.mailsPerBox) }),
  /** key: box no */
  mails: mail,
};

export type TableName = keyof typeof storedTables;
export type StoredRecord<Name extends TableName> = Decoded<(typeof storedTables)[Name]>;
