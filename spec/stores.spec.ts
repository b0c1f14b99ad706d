// What goes wrong with stores: damaged and foreign files, two processes, full disks, values that were moved.
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { createVault } from '../keys/vault.ts';
import type { StoreKey } from '../mesh/ports.ts';
import { sealStore } from '../mesh/sealed-store.ts';
import { StoreFailure, type StoreFailureCode } from '../mesh/store-failure.ts';
import { decodeKey, encodeKey } from '../mesh/store-key.ts';
import { openLmdbStore } from '../peer/lmdb-store.ts';
import { nodeRandom } from '../peer/node-clock.ts';
import { compare, utf8 } from '../wire/bytes.ts';
import { MemoryStore } from './fakes.ts';

const failsWith = (code: StoreFailureCode) => (error: unknown) => error instanceof StoreFailure && error.code === code;

describe('store keys', () => {
  const part = fc.oneof(
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.integer(),
    fc.string({ unit: 'binary' }),
    fc.constantFrom('', '\u0000'),
  );
  const key = fc.array(part, { minLength: 1, maxLength: 4 });

  it('come back as they were', () => {
    fc.assert(
      fc.property(key, (one) =>
        assert.deepEqual(
          decodeKey(encodeKey(one)),
          one.map((value) => (value === 0 ? 0 : value)),
        ),
      ),
    );
  });

  it('sort as bytes the way the port says', () => {
    fc.assert(
      fc.property(key, key, (a, b) => Math.sign(compare(encodeKey(a), encodeKey(b))) === orderOf(a, b)),
      { numRuns: 500 },
    );
  });

  it('that are none are refused', () => {
    assert.throws(() => encodeKey([Number.POSITIVE_INFINITY]), RangeError);
    for (const bytes of [[3], [1, 2, 3], [2, 65]]) assert.throws(() => decodeKey(Uint8Array.from(bytes)), RangeError);
  });
});

/** Numbers before strings, numbers by size, strings by code unit, a prefix before what it starts. */
function orderOf(a: StoreKey, b: StoreKey): number {
  for (const [i, left] of a.entries()) {
    const right = b[i];
    if (right === undefined) return 1;
    if (typeof left !== typeof right) return typeof left === 'number' ? -1 : 1;
    if (left < right) return -1;
    if (left > right) return 1;
  }
  return a.length - b.length === 0 ? 0 : -1;
}

describe('a store in memory', () => {
  it('keeps what was written before a crash, and nothing of a write that failed', async () => {
    const store = new MemoryStore();
    await store.write([{ put: ['a'], value: utf8('first') }]);
    store.failNextWrite();
    await assert.rejects(store.write([{ put: ['a'], value: utf8('second') }]), failsWith('full'));
    const unfinished = store.write([{ put: ['b'], value: utf8('too late') }]);
    const afterCrash = store.copy();
    await unfinished;
    assert.deepEqual(await afterCrash.get(['a']), utf8('first'));
    assert.equal(await afterCrash.get(['b']), undefined);
    await store.write([{ put: ['a'], value: utf8('third') }]);
    assert.deepEqual(await afterCrash.get(['a']), utf8('first'));
  });
});

describe('a sealed store', () => {
  const openVault = async () => (await createVault({ passphrase: 'correct horse', random: nodeRandom })).vault;

  it('shows nothing of its values below, and says so when one is not its own', async () => {
    const below = new MemoryStore();
    const store = sealStore(below, await openVault());
    await store.write([{ put: ['people', 'alice'], value: utf8('a secret of alice') }]);
    const sealed = await below.get(['people', 'alice']);
    assert.ok(sealed !== undefined && !Buffer.from(sealed).includes('secret'));

    await below.write([{ put: ['people', 'bob'], value: sealed }]);
    const moved = (error: unknown) => failsWith('not-ours')(error) && error instanceof Error && !error.message.includes('bob');
    await assert.rejects(store.get(['people', 'bob']), moved);
    await assert.rejects(store.range(['people']), failsWith('not-ours'));
    assert.deepEqual(await store.get(['people', 'alice']), utf8('a secret of alice'));
    await assert.rejects(sealStore(below, await openVault()).get(['people', 'alice']), failsWith('not-ours'), 'another vault');
  });

  it('passes on that a write failed, and goes on', async () => {
    const below = new MemoryStore();
    const store = sealStore(below, await openVault());
    below.failNextWrite();
    await assert.rejects(store.write([{ put: ['a'], value: utf8('lost') }]), failsWith('full'));
    assert.equal(await store.get(['a']), undefined);
    await store.write([{ put: ['a'], value: utf8('kept') }]);
    assert.deepEqual(await store.get(['a']), utf8('kept'));
  });
});

describe('a store in LMDB', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'secure-lmdb-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('lies in a folder for nobody else', async () => {
    const path = join(folder, 'deep', 'store');
    const store = await openLmdbStore(path);
    assert.equal((await stat(path)).mode & 0o777, 0o700);
    await store.close();
    await chmod(path, 0o755);
    await (await openLmdbStore(path)).close();
    assert.equal((await stat(path)).mode & 0o777, 0o700);
  });

  it('is for one at a time, in this process and in others, and survives one that was killed', async () => {
    const store = await openLmdbStore(folder);
    await assert.rejects(openLmdbStore(folder), failsWith('blocked'));
    await store.close();

    const child = fork(fileURLToPath(new URL('hold-store.ts', import.meta.url)), [folder], { execArgv: ['--import', 'tsx'] });
    await once(child, 'message');
    await assert.rejects(openLmdbStore(folder), failsWith('blocked'));
    child.kill('SIGKILL');
    await once(child, 'exit');
    const again = await openLmdbStore(folder);
    assert.deepEqual(await again.get(['written before the kill']), utf8('yes'));
    await again.close();
  });

  it('says unusable for files that are no store, and leaves them as they are', async () => {
    const path = join(folder, 'garbage');
    await mkdir(path);
    await writeFile(join(path, 'store.mdb'), Buffer.alloc(20_000, 'not a database'));
    await assert.rejects(openLmdbStore(path), failsWith('unusable'));
    await assert.rejects(openLmdbStore(path), failsWith('unusable'), 'not blocked by the first try');
    await writeFile(join(folder, 'file'), 'text');
    await assert.rejects(openLmdbStore(join(folder, 'file')), failsWith('unusable'));
  });

  it('says unusable for a file that was cut off, instead of ending the process', async () => {
    const store = await openLmdbStore(folder);
    await store.write(Array.from({ length: 100 }, (_, i) => ({ put: [i], value: new Uint8Array(1000) })));
    await store.close();
    const file = join(folder, 'store.mdb');
    const whole = await readFile(file);
    for (const length of [9000, 8192, 4096, 100, 20]) {
      await writeFile(file, whole.subarray(0, length));
      await assert.rejects(openLmdbStore(folder), failsWith('unusable'), `${length} of ${whole.length} bytes`);
    }
    await writeFile(file, whole);
    const mended = await openLmdbStore(folder);
    assert.equal((await mended.range([])).length, 100);
    await mended.close();
  });

  it('refuses keys that LMDB has no room for', async () => {
    const store = await openLmdbStore(folder);
    for (const key of [[], ['x'.repeat(2000)]]) await assert.rejects(store.write([{ put: key, value: utf8('') }]), RangeError);
    await store.close();
  });
});
