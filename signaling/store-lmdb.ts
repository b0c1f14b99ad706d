// The node's store in one LMDB file, the one importer of `lmdb`. Writes that come together share a commit, and each is on disk when it resolves.
import { type Database, open, type RootDatabase } from 'lmdb';
import { bigEndian, compare, concat, equal, hex, utf8 } from '../wire/bytes.ts';
import { type Codec, decode, encode } from '../wire/codec.ts';
import { asDid, type Did, type GTag, type OpId, type Uid } from '../wire/ids.ts';
import type { LogEntry, Mail, Mailbox } from '../wire/node-messages.ts';
import { mailbox } from '../wire/node-messages.ts';
import { WireRefusal } from '../wire/refusal.ts';
import type { Account, AppendWrite, GroupState, KnownOp, MailWrite, NodeStore, StoredDevice } from './store.ts';
import { checkStoreFile, StoreDamaged } from './store-file.ts';
import { type StoredRecord, storedTables, type TableName } from './stored-records.ts';

/** Opens or makes the store in that folder. Throws StoreTooNew for one that a later version wrote, StoreDamaged for one that is none. */
export async function openLmdbStore(folder: string): Promise<NodeStore> {
  await checkStoreFile(folder);
  const root = open<Uint8Array, Uint8Array>({
    path: folder,
    maxDbs: 32,
    encoding: 'binary',
    keyEncoding: 'binary',
    // A commit then ends with the flush to disk: acknowledged means there, even if the machine loses its power.
    overlappingSync: false,
    // Otherwise the package has promises of its own, which nobody can catch when a write fails. Commits are shared without it too.
    eventTurnBatching: false,
  });
  const tables = openTables(root);
  try {
    await migrate(root, tables);
  } catch (error) {
    await root.close();
    throw error;
  }
  return new LmdbStore(root, tables);
}

export class StoreTooNew extends Error {
  constructor(version: number) {
    super(`the store has version ${version}, and this program knows up to ${migrations.length}`);
    this.name = 'StoreTooNew';
  }
}

/** What leads from each version to the next. To change a stored form, append one; what stands here stays as it is. */
const migrations: ((tables: Tables) => void)[] = [
  // 1: the tables as first made, empty.
  () => undefined,
];

const versionKey = utf8('store');

async function migrate(root: RootDatabase<Uint8Array, Uint8Array>, tables: Tables): Promise<void> {
  const version = tables.meta.get(versionKey)?.version ?? 0;
  if (version > migrations.length) throw new StoreTooNew(version);
  if (version === migrations.length) return;
  await transact(root, () => {
    for (const step of migrations.slice(version)) step(tables);
    tables.meta.put(versionKey, { version: migrations.length });
  });
}

/** Resolves when it is on disk. All checks come before the first write: LMDB keeps what was written before a throw. */
async function transact<T>(root: RootDatabase<Uint8Array, Uint8Array>, change: () => T): Promise<T> {
  try {
    return await root.transaction(change);
  } catch (error) {
    // A second promise says what the system said; the package prints it.
    if (error instanceof Error && 'commitError' in error && error.commitError instanceof Promise)
      error.commitError.catch(() => undefined);
    throw error;
  }
}

/** Keys are byte strings; those with one beginning stand together, in the order of their bytes. */
class Table<T> {
  readonly #db: Database<Uint8Array, Uint8Array>;
  readonly #codec: Codec<T>;
  readonly #name: string;

  constructor(root: RootDatabase<Uint8Array, Uint8Array>, name: string, codec: Codec<T>) {
    this.#name = name;
    this.#db = root.openDB({ name, encoding: 'binary', keyEncoding: 'binary' });
    this.#codec = codec;
  }

  get(key: Uint8Array): T | undefined {
    const bytes = this.#db.get(key);
    return bytes === undefined ? undefined : this.#read(bytes);
  }

  has(key: Uint8Array): boolean {
    return this.#db.doesExist(key);
  }

  /** `put` and `remove` are for transactions only, whose promise tells when they are done. */
  put(key: Uint8Array, record: T): void {
    void this.#db.put(key, encode(this.#codec, record));
  }

  remove(key: Uint8Array): void {
    void this.#db.remove(key);
  }

  /** Keys begin with `prefix`, and come after `after` where that is given. */
  *range(prefix: Uint8Array, after?: Uint8Array): Generator<{ key: Uint8Array; record: T }> {
    const start = after === undefined ? { start: prefix } : { start: after, exclusiveStart: true };
    for (const { key, value } of this.#db.getRange(start)) {
      if (compare(key.subarray(0, prefix.length), prefix) !== 0) return;
      yield { key: plain(key), record: this.#read(value) };
    }
  }

  /** What was written here can be read, or the fault is ours: it must not look like one of whoever asked. */
  #read(bytes: Uint8Array): T {
    try {
      return decode(this.#codec, plain(bytes));
    } catch (error) {
      throw error instanceof WireRefusal ? new StoreDamaged(`a record of ${this.#name}`) : error;
    }
  }
}

// A Buffer's slice shares memory where a Uint8Array's copies, and LMDB gives Buffers.
function plain(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

type Tables = { readonly [Name in TableName]: Table<StoredRecord<Name>> };

function openTables(root: RootDatabase<Uint8Array, Uint8Array>): Tables {
  return {
    meta: new Table(root, 'meta', storedTables.meta),
    accounts: new Table(root, 'accounts', storedTables.accounts),
    names: new Table(root, 'names', storedTables.names),
    devices: new Table(root, 'devices', storedTables.devices),
    owners: new Table(root, 'owners', storedTables.owners),
    groups: new Table(root, 'groups', storedTables.groups),
    entries: new Table(root, 'entries', storedTables.entries),
    ops: new Table(root, 'ops', storedTables.ops),
    shards: new Table(root, 'shards', storedTables.shards),
    staged: new Table(root, 'staged', storedTables.staged),
    stagedShards: new Table(root, 'stagedShards', storedTables.stagedShards),
    boxes: new Table(root, 'boxes', storedTables.boxes),
    mails: new Table(root, 'mails', storedTables.mails),
  };
}

const u32Key = (no: number) => bigEndian(no, 4);
const boxKey = (box: Mailbox) => encode(mailbox, box);
const sweptAtOnce = 100;

class LmdbStore implements NodeStore {
  readonly #root: RootDatabase<Uint8Array, Uint8Array>;
  readonly #tables: Tables;

  constructor(root: RootDatabase<Uint8Array, Uint8Array>, tables: Tables) {
    this.#root = root;
    this.#tables = tables;
  }

  async close(): Promise<void> {
    await this.#root.flushed;
    await this.#root.close();
  }

  #write<T>(change: () => T): Promise<T> {
    return transact(this.#root, change);
  }

  // --- accounts

  register(account: Account, device: StoredDevice): Promise<'registered' | 'name-taken' | 'key-taken'> {
    const { accounts, names } = this.#tables;
    const { uid, username, certificate, nameClaim } = account;
    return this.#write(() => {
      if (accounts.has(uid)) return 'key-taken';
      if (names.has(utf8(username))) return 'name-taken';
      accounts.put(uid, { username, certificate, nameClaim, groupsCreated: 0 });
      names.put(utf8(username), { uid });
      this.#putDevice(uid, device);
      return 'registered';
    });
  }

  async accountNamed(username: string): Promise<Account | undefined> {
    const name = this.#tables.names.get(utf8(username));
    return name === undefined ? undefined : this.account(name.uid);
  }

  async account(uid: Uid): Promise<Account | undefined> {
    const account = this.#tables.accounts.get(uid);
    if (account === undefined) return undefined;
    const { username, certificate, nameClaim } = account;
    return { uid, username, certificate, nameClaim };
  }

  replaceCertificate(uid: Uid, { from, to }: { from: Uint8Array; to: Uint8Array }): Promise<'replaced' | 'stale'> {
    const { accounts } = this.#tables;
    return this.#write(() => {
      const account = accounts.get(uid);
      if (account === undefined || !equal(account.certificate, from)) return 'stale';
      accounts.put(uid, { ...account, certificate: to });
      return 'replaced';
    });
  }

  // --- devices

  async devices(uid: Uid): Promise<StoredDevice[]> {
    return this.#devicesOf(uid);
  }

  async owner(did: Did): Promise<Uid | undefined> {
    return this.#tables.owners.get(did)?.uid;
  }

  async changeDevices(uid: Uid, change: (devices: StoredDevice[]) => StoredDevice[] | undefined): Promise<void> {
    const { devices, owners } = this.#tables;
    await this.#write(() => {
      const before = this.#devicesOf(uid);
      const after = change(before);
      if (after === undefined) return;
      for (const { did } of before) {
        if (after.some((device) => equal(device.did, did))) continue;
        devices.remove(concat(uid, did));
        owners.remove(did);
      }
      for (const device of after) this.#putDevice(uid, device);
    });
  }

  #devicesOf(uid: Uid): StoredDevice[] {
    const found: StoredDevice[] = [];
    for (const { key, record } of this.#tables.devices.range(uid)) found.push({ did: asDid(key.slice(uid.length)), ...record });
    return found;
  }

  #putDevice(uid: Uid, { did, deviceCert, lockKeys }: StoredDevice): void {
    this.#tables.devices.put(concat(uid, did), { deviceCert, lockKeys });
    this.#tables.owners.put(did, { uid });
  }

  // --- group logs

  async group(gTag: GTag): Promise<GroupState | undefined> {
    return this.#tables.groups.get(gTag);
  }

  async knownOps(gTag: GTag, opIds: OpId[]): Promise<(KnownOp | undefined)[]> {
    return opIds.map((opId) => this.#tables.ops.get(concat(gTag, opId)));
  }

  append(write: AppendWrite): Promise<'appended' | 'stale' | 'shard-missing' | 'quota'> {
    return this.#write(() => this.#append(write));
  }

  #append(write: AppendWrite): 'appended' | 'stale' | 'shard-missing' | 'quota' {
    const { accounts, groups, entries, ops, shards, staged, stagedShards } = this.#tables;
    const { gTag, uid, entry, most } = write;
    const group = groups.get(gTag);
    if ((group?.entries ?? 0) !== write.after) return 'stale';
    const account = accounts.get(uid);
    if (account === undefined) throw new Error('append without an account');
    if (group === undefined && account.groupsCreated >= most.groupsPerAccount) return 'quota';

    const moved: { from: Uint8Array; to: Uint8Array; bytes: number }[] = [];
    for (const hash of write.shards) {
      const to = concat(gTag, hash);
      if (shards.has(to) || moved.some((other) => equal(other.to, to))) continue;
      const from = concat(uid, hash);
      const waiting = staged.get(from);
      if (waiting === undefined) return 'shard-missing';
      moved.push({ from, to, bytes: waiting.bytes });
    }
    const bytes = moved.reduce((sum, shard) => sum + shard.bytes, (group?.bytes ?? 0) + entry.sealed.length);
    if (bytes > most.bytes || entry.no > most.entries) return 'quota';

    if (group === undefined) accounts.put(uid, { ...account, groupsCreated: account.groupsCreated + 1 });
    groups.put(gTag, { entries: entry.no, bytes, heads: write.heads, appendKeys: write.appendKeys });
    entries.put(concat(gTag, u32Key(entry.no)), entry);
    ops.put(concat(gTag, entry.opId), { no: entry.no, appendHash: write.appendHash });
    for (const { from, to } of moved) {
      const content = stagedShards.get(from);
      if (content !== undefined) shards.put(to, content);
      staged.remove(from);
      stagedShards.remove(from);
    }
    return 'appended';
  }

  async entries(
    gTag: GTag,
    from: { after: number; most: number; bytes: number },
  ): Promise<{ entries: LogEntry[]; more: boolean }> {
    const entries: LogEntry[] = [];
    let bytes = 0;
    for (const { record } of this.#tables.entries.range(gTag, concat(gTag, u32Key(from.after)))) {
      bytes += record.sealed.length + 32 * (record.parents.length + 2);
      if (entries.length === from.most || (entries.length > 0 && bytes > from.bytes)) return { entries, more: true };
      entries.push(record);
    }
    return { entries, more: false };
  }

  stageShard(write: {
    uid: Uid;
    hash: Uint8Array;
    shard: Uint8Array;
    at: number;
    most: { shards: number; bytes: number };
  }): Promise<'staged' | 'full'> {
    const { staged, stagedShards } = this.#tables;
    const { uid, hash, shard, at, most } = write;
    const key = concat(uid, hash);
    return this.#write(() => {
      let count = 1;
      let bytes = shard.length;
      for (const other of staged.range(uid)) {
        if (equal(other.key, key)) continue;
        count += 1;
        bytes += other.record.bytes;
      }
      if (count > most.shards || bytes > most.bytes) return 'full';
      staged.put(key, { at, bytes: shard.length });
      stagedShards.put(key, { shard });
      return 'staged';
    });
  }

  async shard(gTag: GTag, hash: Uint8Array): Promise<Uint8Array | undefined> {
    return this.#tables.shards.get(concat(gTag, hash))?.shard;
  }

  // --- mail

  postMail({ box, sender, at, body, most }: MailWrite): Promise<number | 'full'> {
    const { boxes, mails } = this.#tables;
    const key = boxKey(box);
    return this.#write(() => {
      const { lastNo, held } = boxes.get(key) ?? { lastNo: 0, held: [] };
      const own = held.filter((mail) => equal(mail.sender, sender));
      const isFull = own.length < most.perSender && held.length >= most.mails;
      const inTheWay = isFull ? oldestOfTheMost(held, own.length + 2) : undefined;
      if (isFull && inTheWay === undefined) return 'full';
      const dropped = inTheWay === undefined ? own.slice(0, Math.max(0, own.length - most.perSender + 1)) : [inTheWay];
      const kept = held.filter((mail) => !dropped.includes(mail));
      const no = lastNo + 1;
      boxes.put(key, { lastNo: no, held: [...kept, { no, at, sender }] });
      for (const mail of dropped) mails.remove(concat(key, u32Key(mail.no)));
      mails.put(concat(key, u32Key(no)), { no, at, body });
      return no;
    });
  }

  async mails(box: Mailbox, from: { after: number; bytes: number }): Promise<{ mails: Mail[]; more: boolean }> {
    const key = boxKey(box);
    const mails: Mail[] = [];
    let bytes = 0;
    for (const { record } of this.#tables.mails.range(key, concat(key, u32Key(from.after)))) {
      bytes += record.body.length + 16;
      if (mails.length > 0 && bytes > from.bytes) return { mails, more: true };
      mails.push(record);
    }
    return { mails, more: false };
  }

  async dropMails(box: Mailbox, upTo: number): Promise<void> {
    await this.#write(() => this.#dropMails(boxKey(box), ({ no }) => no <= upTo));
  }

  #dropMails(key: Uint8Array, isDropped: (mail: { no: number; at: number }) => boolean): number {
    const { boxes, mails } = this.#tables;
    const box = boxes.get(key);
    if (box === undefined) return 0;
    const dropped = box.held.filter(isDropped);
    if (dropped.length === 0) return 0;
    boxes.put(key, { lastNo: box.lastNo, held: box.held.filter((mail) => !isDropped(mail)) });
    for (const { no } of dropped) mails.remove(concat(key, u32Key(no)));
    return dropped.length;
  }

  // --- what has expired

  async sweep(before: { mail: number; staged: number }): Promise<number> {
    const { boxes, staged, stagedShards } = this.#tables;
    const isOldMail = ({ at }: { at: number }) => at < before.mail;
    const isOldShard = ({ at }: { at: number }) => at < before.staged;
    const oldBoxes = keysWhere(boxes, ({ held }) => held.some(isOldMail));
    const oldShards = keysWhere(staged, isOldShard);

    let removed = 0;
    for (const keys of inLotsOf(sweptAtOnce, oldBoxes)) {
      removed += await this.#write(() => keys.reduce((sum, key) => sum + this.#dropMails(key, isOldMail), 0));
    }
    for (const keys of inLotsOf(sweptAtOnce, oldShards)) {
      removed += await this.#write(() => {
        const gone = keys.filter((key) => isOldShard(staged.get(key) ?? { at: before.staged }));
        for (const key of gone) {
          staged.remove(key);
          stagedShards.remove(key);
        }
        return gone.length;
      });
    }
    return removed;
  }
}

type HeldMail = StoredRecord<'boxes'>['held'][number];

/** Of whoever has the most mails in the box, and at least so many. */
function oldestOfTheMost(held: readonly HeldMail[], least: number): HeldMail | undefined {
  const counts = new Map<string, number>();
  for (const { sender } of held) counts.set(hex(sender), (counts.get(hex(sender)) ?? 0) + 1);
  const most = Math.max(0, ...counts.values());
  return most < least ? undefined : held.find(({ sender }) => counts.get(hex(sender)) === most);
}

function keysWhere<T>(table: Table<T>, isWanted: (record: T) => boolean): Uint8Array[] {
  const keys: Uint8Array[] = [];
  for (const { key, record } of table.range(new Uint8Array(0))) if (isWanted(record)) keys.push(key);
  return keys;
}

function* inLotsOf<T>(size: number, items: T[]): Generator<T[]> {
  for (let at = 0; at < items.length; at += size) yield items.slice(at, at + size);
}
