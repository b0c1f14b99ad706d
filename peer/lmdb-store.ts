// The store of a headless peer, in LMDB: in this layer the one importer of that package.
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { open, type RootDatabase } from 'lmdb';
import type { Store, StoreChange, StoreEntry, StoreKey } from '../mesh/ports.ts';
import { StoreFailure } from '../mesh/store-failure.ts';
import { decodeKey, encodeKey } from '../mesh/store-key.ts';

/** Keys of LMDB are short; ours are a few names and ids. */
const keyBytesMax = 1978;

/**
 * In a folder for nobody else (mode 0700), which is made if need be. One process at a time, because two would use one sequence number
 * twice. Rejects with StoreFailure: 'blocked' while another process holds it, 'unusable' for what is no store or cannot be written.
 */
export async function openLmdbStore(folder: string): Promise<Store> {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    chmodSync(folder, 0o700);
    hold(folder);
  } catch (error) {
    throw failureOf(error);
  }
  try {
    const path = join(folder, 'store.mdb');
    refuseDamage(path);
    // Not overlapping: a commit is on disk when its promise resolves.
    const database = open<Uint8Array, Uint8Array>({
      path,
      keyEncoding: 'binary',
      encoding: 'binary',
      overlappingSync: false,
    });
    return new LmdbStore(database, folder);
  } catch (error) {
    release(folder);
    throw failureOf(error);
  }
}

class LmdbStore implements Store {
  readonly #database: RootDatabase<Uint8Array, Uint8Array>;
  readonly #folder: string;
  #isClosed = false;
  /** Settles, and never rejects, when the writes so far are through. */
  #written: Promise<unknown> = Promise.resolve();

  constructor(database: RootDatabase<Uint8Array, Uint8Array>, folder: string) {
    this.#database = database;
    this.#folder = folder;
  }

  async get(key: StoreKey): Promise<Uint8Array | undefined> {
    const name = nameOf(key);
    await this.#turn();
    const value = this.#database.get(name);
    return value === undefined ? undefined : new Uint8Array(value);
  }

  async range(
    prefix: StoreKey,
    { after, reverse = false, limit }: { after?: StoreKey; reverse?: boolean; limit?: number } = {},
  ): Promise<StoreEntry[]> {
    if (limit !== undefined && limit < 1) return [];
    const name = encodeKey(prefix);
    const last = after === undefined ? undefined : encodeKey(after);
    await this.#turn();
    // A part begins with 1 or 2, so these lie just before and behind all that continue the prefix.
    const low = Buffer.from([...(reverse ? name : (last ?? name)), 0]);
    const high = reverse && last !== undefined ? Buffer.from(last) : Buffer.from([...name, 3]);
    if (Buffer.compare(low, high) >= 0) return [];
    const [start, end] = reverse ? [high, low] : [low, high];
    const exclusive = reverse ? { exclusiveStart: true, inclusiveEnd: true } : {};
    const most = limit === undefined ? {} : { limit };
    const found = this.#database.getRange({ start, end, reverse, snapshot: true, ...exclusive, ...most });
    return [...found].map(({ key, value }) => ({ key: decodeKey(key), value: new Uint8Array(value) }));
  }

  write(changes: StoreChange[]): Promise<void> {
    const writing = this.#write(changes);
    this.#written = Promise.allSettled([this.#written, writing]);
    return writing;
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#written;
    await this.#database.close();
    release(this.#folder);
  }

  async #write(changes: StoreChange[]): Promise<void> {
    if (this.#isClosed) throw new StoreFailure('closed', 'it was closed');
    const copies = changes.map((change) =>
      'put' in change ? { name: nameOf(change.put), value: Buffer.from(change.value) } : { name: nameOf(change.remove) },
    );
    try {
      await this.#database.transaction(() => {
        for (const change of copies) {
          if (change.value === undefined) this.#database.removeSync(change.name);
          else this.#database.putSync(change.name, change.value);
        }
      });
    } catch (error) {
      throw failureOf(error);
    }
  }

  async #turn(): Promise<void> {
    await this.#written;
    if (this.#isClosed) throw new StoreFailure('closed', 'it was closed');
  }
}

function nameOf(key: StoreKey): Buffer {
  const name = encodeKey(key);
  if (name.length === 0 || name.length > keyBytesMax) throw new RangeError(`key of ${name.length} bytes`);
  return Buffer.from(name);
}

// ---- damage

const magic = 0xbeefc0de;
/** In a page that describes the tree: behind its header stand magic, version, address, size of the map, two roots, last page, number. */
const meta = { magic: 24, pageSize: 48, roots: [88, 136], transaction: 152, length: 160 };
const noRoot = -1n;

/** LMDB maps its file into memory without a look: one that is no store, or was cut off, ends the process with a signal. */
function refuseDamage(path: string): void {
  if (!existsSync(path)) return;
  const size = statSync(path).size;
  const file = openSync(path, 'r');
  try {
    const read = (at: number) => {
      const bytes = Buffer.alloc(meta.length);
      return readSync(file, bytes, 0, meta.length, at) === meta.length && bytes.readUInt32LE(meta.magic) === magic
        ? bytes
        : undefined;
    };
    const first = read(0);
    const second = first && read(first.readUInt32LE(meta.pageSize));
    if (size > 0 && (first === undefined || second === undefined)) throw new StoreFailure('unusable', `${path} is no store`);
    if (first === undefined || second === undefined) return;
    const newest = first.readBigUInt64LE(meta.transaction) > second.readBigUInt64LE(meta.transaction) ? first : second;
    const pages = BigInt(Math.floor(size / first.readUInt32LE(meta.pageSize)));
    const isCut = meta.roots.some((at) => newest.readBigInt64LE(at) !== noRoot && newest.readBigUInt64LE(at) >= pages);
    if (isCut) throw new StoreFailure('unusable', `${path} is cut off`);
  } finally {
    closeSync(file);
  }
}

// ---- one process at a time

const held = new Set<string>();

/** A file with our process id. One that a killed process left behind names nobody who lives. */
function hold(folder: string): void {
  const file = join(folder, 'process');
  if (held.has(folder)) throw new StoreFailure('blocked', `${folder} is open already`);
  for (let attempt = 0; ; attempt++) {
    try {
      writeFileSync(file, `${process.pid}\n`, { flag: 'wx', mode: 0o600 });
      held.add(folder);
      return;
    } catch (error) {
      if (attempt > 0 || !hasCode(error, 'EEXIST')) throw error;
      const holder = Number(readFileSync(file, 'utf8'));
      if (holder !== process.pid && isAlive(holder)) throw new StoreFailure('blocked', `process ${holder} holds ${folder}`);
      rmSync(file);
    }
  }
}

function release(folder: string): void {
  held.delete(folder);
  rmSync(join(folder, 'process'), { force: true });
}

function isAlive(id: number): boolean {
  if (!Number.isSafeInteger(id) || id < 1) return false;
  try {
    process.kill(id, 0);
    return true;
  } catch (error) {
    return !hasCode(error, 'ESRCH');
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

function failureOf(error: unknown): Error {
  if (error instanceof StoreFailure || error instanceof RangeError) return error;
  const what = error instanceof Error ? error.message : 'unknown error';
  const isFull = /MDB_MAP_FULL|ENOSPC|No space/.test(what);
  return new StoreFailure(isFull ? 'full' : 'unusable', what, { cause: error });
}
