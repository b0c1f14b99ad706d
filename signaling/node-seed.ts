// The node's identity on disk: 32 secret bytes, made at the first start. Clients pin the key that follows from them.
import { randomBytes } from 'node:crypto';
import { link, open, readFile, unlink } from 'node:fs/promises';
import { join } from 'node:path';

export const seedFile = 'node.key';

/** Undefined where there is none. Throws RangeError for a file that is no seed. */
export async function readSeed(folder: string): Promise<Uint8Array | undefined> {
  try {
    const bytes = await readFile(join(folder, seedFile));
    if (bytes.length !== 32) throw new RangeError(`${seedFile} has ${bytes.length} bytes where 32 are due`);
    return new Uint8Array(bytes);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Whole or not at all, readable by its owner only, and never over one that is there. */
export async function makeSeed(folder: string): Promise<Uint8Array> {
  const seed = new Uint8Array(randomBytes(32));
  // Process ids come again, in containers at once, and one that was killed here leaves its file.
  const fresh = join(folder, `${seedFile}.${randomBytes(8).toString('hex')}.tmp`);
  const file = await open(fresh, 'wx', 0o600);
  try {
    await file.writeFile(seed);
    await file.sync();
  } finally {
    await file.close();
  }
  await link(fresh, join(folder, seedFile));
  await unlink(fresh);
  return seed;
}
