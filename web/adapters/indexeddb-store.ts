// The store of a browser profile, in IndexedDB.
import type { Store, StoreChange, StoreEntry, StoreKey } from '../../mesh/ports.ts';
import { StoreFailure } from '../../mesh/store-failure.ts';
import { copyOf } from '../../wire/bytes.ts';

const table = 'entries';

/** Rejects with StoreFailure: 'blocked' when another tab holds it for `patience` ms, 'unusable' where the browser keeps nothing. */
export async function openIndexedDbStore(name: string, patience = 10_000): Promise<Store> {
  return new IndexedDbStore(await openDatabase(name, patience));
}

function openDatabase(name: string, patience: number): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open(name, 1);
    let isGivenUp = false;
    // A deletion that another tab holds up makes everyone behind it wait, and nobody is told.
    const timer = setTimeout(() => {
      isGivenUp = true;
      reject(new StoreFailure('blocked', 'another tab holds it'));
    }, patience);
    opening.addEventListener('upgradeneeded', () => opening.result.createObjectStore(table));
    opening.addEventListener('error', () => {
      clearTimeout(timer);
      reject(failureOf(opening.error));
    });
    opening.addEventListener('success', () => {
      clearTimeout(timer);
      if (isGivenUp) opening.result.close();
      else resolve(opening.result);
    });
  });
}

class IndexedDbStore implements Store {
  readonly #database: IDBDatabase;
  #isClosed = false;

  constructor(database: IDBDatabase) {
    this.#database = database;
    // Cleared by the person, or deleted by another tab: holding on would block that tab.
    database.addEventListener('versionchange', () => this.#end());
    database.addEventListener('close', () => this.#end());
  }

  async get(key: StoreKey): Promise<Uint8Array | undefined> {
    const entries = this.#begin('readonly').objectStore(table);
    const value = await resultOf(entries.get(asKey(key)));
    return value === undefined ? undefined : asBytes(value);
  }

  async range(
    prefix: StoreKey,
    { after, reverse = false, limit }: { after?: StoreKey; reverse?: boolean; limit?: number } = {},
  ): Promise<StoreEntry[]> {
    if (limit !== undefined && limit < 1) return [];
    const under = keysUnder(asKey(prefix), after === undefined ? undefined : asKey(after), reverse);
    if (under === undefined) return [];
    const entries = this.#begin('readonly').objectStore(table);
    if (reverse) return backwards(entries, under, limit ?? Number.POSITIVE_INFINITY);
    // Both are asked before either answers, so that nothing is written between them.
    const [keys, values] = await Promise.all([
      resultOf(entries.getAllKeys(under, limit)),
      resultOf<unknown[]>(entries.getAll(under, limit)),
    ]);
    return keys.map((key, i) => ({ key: asStoreKey(key), value: asBytes(values[i]) }));
  }

  write(changes: StoreChange[]): Promise<void> {
    return new Promise((resolve, reject) => {
      const transaction = this.#begin('readwrite');
      transaction.addEventListener('complete', () => resolve());
      transaction.addEventListener('abort', () => reject(failureOf(transaction.error)));
      const entries = transaction.objectStore(table);
      try {
        for (const change of changes) {
          if ('put' in change) entries.put(copyOf(change.value), asKey(change.put));
          else entries.delete(asKey(change.remove));
        }
        transaction.commit();
      } catch (error) {
        transaction.abort();
        reject(error instanceof RangeError ? error : failureOf(error));
      }
    });
  }

  async close(): Promise<void> {
    this.#end();
  }

  #end(): void {
    this.#isClosed = true;
    this.#database.close();
  }

  #begin(mode: IDBTransactionMode): IDBTransaction {
    if (this.#isClosed) throw new StoreFailure('closed', 'it was closed');
    try {
      return this.#database.transaction(table, mode, { durability: 'strict' });
    } catch (error) {
      throw failureOf(error);
    }
  }
}

function backwards(entries: IDBObjectStore, under: IDBKeyRange, limit: number): Promise<StoreEntry[]> {
  return new Promise((resolve, reject) => {
    const found: StoreEntry[] = [];
    const asking = entries.openCursor(under, 'prev');
    asking.addEventListener('error', () => reject(failureOf(asking.error)));
    asking.addEventListener('success', () => {
      const cursor = asking.result;
      if (cursor === null) return resolve(found);
      found.push({ key: asStoreKey(cursor.key), value: asBytes(cursor.value) });
      if (found.length < limit) cursor.continue();
      else resolve(found);
    });
  });
}

function resultOf<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.addEventListener('success', () => resolve(request.result));
    request.addEventListener('error', () => reject(failureOf(request.error)));
    request.transaction?.addEventListener('abort', () => reject(failureOf(request.transaction?.error)));
  });
}

type ArrayKey = (string | number)[];

/** An array sorts after numbers and strings, so this is above every key that continues the prefix. Undefined: nothing can be there. */
function keysUnder(prefix: ArrayKey, after: ArrayKey | undefined, reverse: boolean): IDBKeyRange | undefined {
  const end = [...prefix, []];
  const [low, high] = reverse ? [prefix, after ?? end] : [after ?? prefix, end];
  return indexedDB.cmp(low, high) < 0 ? IDBKeyRange.bound(low, high, true, true) : undefined;
}

function asKey(key: StoreKey): ArrayKey {
  if (key.some((part) => typeof part === 'number' && !Number.isFinite(part))) throw new RangeError('number in a key');
  return [...key];
}

function asStoreKey(key: IDBValidKey): StoreKey {
  if (!Array.isArray(key)) throw new StoreFailure('unusable', 'a key that is not ours');
  return key.map((part) => {
    if (typeof part !== 'string' && typeof part !== 'number') throw new StoreFailure('unusable', 'a key that is not ours');
    return part;
  });
}

function asBytes(value: unknown): Uint8Array {
  if (!(value instanceof Uint8Array)) throw new StoreFailure('unusable', 'a value that is not bytes');
  return value;
}

function failureOf(error: unknown): StoreFailure {
  const name = error instanceof DOMException ? error.name : 'unknown error';
  const cause = { cause: error };
  if (name === 'QuotaExceededError') return new StoreFailure('full', 'the browser gives no more room', cause);
  if (name === 'InvalidStateError' || name === 'AbortError') return new StoreFailure('closed', name, cause);
  return new StoreFailure('unusable', name, cause);
}
