// What the node keeps, as operations: embedded LMDB now, a cluster of nodes later. A write that has resolved is on disk; each is done whole or not at all.
import type { Did, GTag, OpId, Uid } from '../wire/ids.ts';
import type { LogEntry, Mail, Mailbox } from '../wire/node-messages.ts';

export type Account = {
  uid: Uid;
  username: string;
  /** Stripped. */
  certificate: Uint8Array;
  /** Encoded nameClaim. */
  nameClaim: Uint8Array;
};

export type StoredDevice = {
  did: Did;
  /** Encoded deviceCert. */
  deviceCert: Uint8Array;
  /** Encoded lockKeys, oldest first. */
  lockKeys: Uint8Array[];
};

export type GroupState = {
  /** How many entries the log has; they are numbered from 1. */
  entries: number;
  /** Of entries and shards. */
  bytes: number;
  heads: OpId[];
  /** Public keys that may append, oldest first. */
  appendKeys: Uint8Array[];
};

/** An entry that is in the log, and H("append", …) of the request that brought it. */
export type KnownOp = { no: number; appendHash: Uint8Array };

export type AppendWrite = {
  gTag: GTag;
  /** Entries that the caller saw; 0 creates the group and counts it for `uid`. */
  after: number;
  /** What holds afterwards. */
  heads: OpId[];
  appendKeys: Uint8Array[];
  /** Its number is `after` + 1. */
  entry: LogEntry;
  appendHash: Uint8Array;
  /** Who staged the shards. */
  uid: Uid;
  /** Hashes of staged shards, which become the group's. Those that the group has already are fine too. */
  shards: Uint8Array[];
  most: { bytes: number; entries: number; groupsPerAccount: number };
};

export type MailWrite = {
  box: Mailbox;
  /** 8 bytes that tell the senders of one box apart. */
  sender: Uint8Array;
  at: number;
  body: Uint8Array;
  /**
   * At `perSender` the sender's oldest mail in that box makes room. In a full box it is the oldest of whoever has most there, if the sender
   * will still have fewer: so that a few accounts cannot keep all others out.
   */
  most: { mails: number; perSender: number };
};

export interface NodeStore {
  /** With its first device. */
  register(account: Account, device: StoredDevice): Promise<'registered' | 'name-taken' | 'key-taken'>;
  accountNamed(username: string): Promise<Account | undefined>;
  account(uid: Uid): Promise<Account | undefined>;
  /** 'stale': the certificate is no longer `from`. */
  replaceCertificate(uid: Uid, change: { from: Uint8Array; to: Uint8Array }): Promise<'replaced' | 'stale'>;

  devices(uid: Uid): Promise<StoredDevice[]>;
  owner(did: Did): Promise<Uid | undefined>;
  /** `change` sees what is there, may be called again, and does nothing else. Undefined leaves all as it is. */
  changeDevices(uid: Uid, change: (devices: StoredDevice[]) => StoredDevice[] | undefined): Promise<void>;

  group(gTag: GTag): Promise<GroupState | undefined>;
  /** In the order asked. */
  knownOps(gTag: GTag, opIds: OpId[]): Promise<(KnownOp | undefined)[]>;
  /** 'stale': the log has grown meanwhile; 'quota': bytes, entries or groups. */
  append(write: AppendWrite): Promise<'appended' | 'stale' | 'shard-missing' | 'quota'>;
  /** Oldest first; at least one where there is one. */
  entries(gTag: GTag, from: { after: number; most: number; bytes: number }): Promise<{ entries: LogEntry[]; more: boolean }>;
  /** Keeps it for an append by the same account; putting it again makes it young. */
  stageShard(write: {
    uid: Uid;
    hash: Uint8Array;
    shard: Uint8Array;
    at: number;
    most: { shards: number; bytes: number };
  }): Promise<'staged' | 'full'>;
  shard(gTag: GTag, hash: Uint8Array): Promise<Uint8Array | undefined>;

  /** Its number in the box. 'full': nothing was dropped for it. */
  postMail(write: MailWrite): Promise<number | 'full'>;
  /** Oldest first; at least one where there is one. */
  mails(box: Mailbox, from: { after: number; bytes: number }): Promise<{ mails: Mail[]; more: boolean }>;
  /** Up to and with that number. */
  dropMails(box: Mailbox, upTo: number): Promise<void>;

  /** Removes mail and staged shards from before these times; resolves with how many. */
  sweep(before: { mail: number; staged: number }): Promise<number>;
  /** After the writes that are under way. */
  close(): Promise<void>;
}
