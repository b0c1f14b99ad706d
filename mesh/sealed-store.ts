// A store whose values are sealed, each under its key, so that what lies on the disk can be neither read nor moved to another place.
import { hex } from '../wire/bytes.ts';
import type { Store, StoreChange, StoreEntry, StoreKey } from './ports.ts';
import { StoreFailure } from './store-failure.ts';
import { encodeKey } from './store-key.ts';

/** What keys/vault.ts offers: opens only what was sealed under the same name. */
export interface Sealer {
  seal(name: string, bytes: Uint8Array): Promise<Uint8Array>;
  open(name: string, sealed: Uint8Array): Promise<Uint8Array | undefined>;
}

/** Keys stay readable. A value that does not open rejects the whole read with StoreFailure 'not-ours'. */
export function sealStore(store: Store, sealer: Sealer): Store {
  return new SealedStore(store, sealer);
}

class SealedStore implements Store {
  readonly #store: Store;
  readonly #sealer: Sealer;
  /** Settles, and never rejects, when the writes so far are through: sealing takes time, and calls take effect in their order. */
  #written: Promise<unknown> = Promise.resolve();

  constructor(store: Store, sealer: Sealer) {
    this.#store = store;
    this.#sealer = sealer;
  }

  async get(key: StoreKey): Promise<Uint8Array | undefined> {
    await this.#written;
    const sealed = await this.#store.get(key);
    return sealed === undefined ? undefined : this.#open(key, sealed);
  }

  async range(prefix: StoreKey, options?: { after?: StoreKey; reverse?: boolean; limit?: number }): Promise<StoreEntry[]> {
    await this.#written;
    const entries = await this.#store.range(prefix, options);
    return Promise.all(entries.map(async ({ key, value }) => ({ key, value: await this.#open(key, value) })));
  }

  write(changes: StoreChange[]): Promise<void> {
    const sealing = Promise.all(changes.map((change) => this.#seal(change)));
    const before = this.#written;
    const writing = (async () => {
      const [sealed] = await Promise.all([sealing, before]);
      await this.#store.write(sealed);
    })();
    this.#written = Promise.allSettled([before, writing]);
    return writing;
  }

  async close(): Promise<void> {
    await this.#written;
    await this.#store.close();
  }

  async #seal(change: StoreChange): Promise<StoreChange> {
    if ('remove' in change) return change;
    return { put: change.put, value: await this.#sealer.seal(nameOf(change.put), change.value.slice()) };
  }

  async #open(key: StoreKey, sealed: Uint8Array): Promise<Uint8Array> {
    const value = await this.#sealer.open(nameOf(key), sealed);
    // Only the first part: the others may be people and groups, and this text reaches logs.
    if (value === undefined) throw new StoreFailure('not-ours', `a value under "${key[0]}" does not open`);
    return value;
  }
}

function nameOf(key: StoreKey): string {
  return `store ${hex(encodeKey(key))}`;
}
