// Whether a file can be a store at all: LMDB maps it into memory as it is, and what is none ends the whole process with a signal.
import { open } from 'node:fs/promises';
import { join } from 'node:path';

/** In the store's folder. */
const dataFile = 'data.mdb';
/** Where LMDB's first page has its magic number and the size of a page; the second page has the same. */
const magicAt = 24;
const pageSizeAt = 48;
const magic = 0xbeefc0de;

export class StoreDamaged extends Error {
  constructor(what: string) {
    super(`${what} is damaged; bring it back from a backup`);
    this.name = 'StoreDamaged';
  }
}

/** Throws StoreDamaged. A folder without a store, or with one that is not yet begun, is fine. */
export async function checkStoreFile(folder: string): Promise<void> {
  const bytes = await beginning(join(folder, dataFile));
  if (bytes === undefined || bytes.length === 0) return;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const isMeta = (page: number) => view.byteLength >= page + pageSizeAt + 4 && view.getUint32(page + magicAt, true) === magic;
  if (!isMeta(0) || !isMeta(view.getUint32(pageSizeAt, true))) throw new StoreDamaged(dataFile);
}

/** LMDB's pages have 64 KiB at most. */
async function beginning(path: string): Promise<Uint8Array | undefined> {
  try {
    const file = await open(path);
    try {
      const { buffer, bytesRead } = await file.read(new Uint8Array(128 * 1024), 0, 128 * 1024, 0);
      return buffer.subarray(0, bytesRead);
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
