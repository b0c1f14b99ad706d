// The node's store on LMDB: the contract, and what a store of another version meets.
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { open } from 'lmdb';
import type { NodeStore } from '../signaling/store.ts';
import { StoreDamaged } from '../signaling/store-file.ts';
import { openLmdbStore, StoreTooNew } from '../signaling/store-lmdb.ts';
import { asUid } from '../wire/ids.ts';
import { nodeStoreContract } from './node-store-contract.ts';

nodeStoreContract('LMDB', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'secure-store-'));
  let store: NodeStore = await openLmdbStore(folder);
  return {
    store,
    reopen: async () => {
      await store.close();
      store = await openLmdbStore(folder);
      return store;
    },
    dispose: async () => {
      await store.close();
      await rm(folder, { recursive: true });
    },
  };
});

describe('A store on LMDB', () => {
  const binary = { encoding: 'binary', keyEncoding: 'binary' } as const;
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'secure-store-'));
    await (await openLmdbStore(folder)).close();
  });
  afterEach(() => rm(folder, { recursive: true }));

  async function put(table: string, key: Uint8Array, value: Uint8Array): Promise<void> {
    const root = open<Uint8Array, Uint8Array>({ path: folder, maxDbs: 32, ...binary });
    await root.openDB({ name: table, ...binary }).put(key, value);
    await root.close();
  }

  it('of a later version is left alone', async () => {
    await put('meta', Buffer.from('store'), Uint8Array.of(0, 0, 0, 99));
    await assert.rejects(openLmdbStore(folder), StoreTooNew);
  });

  it('whose file is another, or begins wrongly, is refused before it is mapped', async () => {
    const file = join(folder, 'data.mdb');
    const good = await readFile(file);
    const zeroed = Buffer.from(good).fill(0, 4096, 8192);
    for (const bad of [Buffer.from('not a store '.repeat(1000)), good.subarray(0, 4096), good.subarray(0, 30), zeroed]) {
      await writeFile(file, bad);
      await assert.rejects(openLmdbStore(folder), StoreDamaged);
    }
    // Not begun yet: somebody pulled the plug.
    await writeFile(file, '');
    await (await openLmdbStore(folder)).close();
    await writeFile(file, good);
    await (await openLmdbStore(folder)).close();
  });

  it('with a record that cannot be read says that this is its own fault', async () => {
    const uid = asUid(new Uint8Array(32).fill(7));
    await put('accounts', uid, Uint8Array.of(5, 1));
    const store = await openLmdbStore(folder);
    await assert.rejects(store.account(uid), StoreDamaged);
    await store.close();
  });
});
