// The node's store on LMDB: the contract, and what a store of another version meets.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { open } from 'lmdb';
import type { NodeStore } from '../signaling/store.ts';
import { openLmdbStore, StoreTooNew } from '../signaling/store-lmdb.ts';
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
  it('of a later version is left alone', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'secure-store-'));
    await (await openLmdbStore(folder)).close();
    const root = open<Uint8Array, Uint8Array>({ path: folder, maxDbs: 32, encoding: 'binary', keyEncoding: 'binary' });
    const meta = root.openDB({ name: 'meta', encoding: 'binary', keyEncoding: 'binary' });
    await meta.put(Buffer.from('store'), Uint8Array.of(0, 0, 0, 99));
    await root.close();
    await assert.rejects(openLmdbStore(folder), StoreTooNew);
    await rm(folder, { recursive: true });
  });
});
