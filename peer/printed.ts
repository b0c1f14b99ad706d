// Which messages were printed, kept beside the chat: each id is written down in the same breath as its line leaves.
import { closeSync, existsSync, fdatasync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { StoreFailure } from '../mesh/store-failure.ts';
import { hex } from '../wire/bytes.ts';
import type { FrameId } from '../wire/ids.ts';

const idBytes = 32;

/**
 * Ids one after the other, 32 bytes each. A plain file and not the store, because nothing may come between the line and its mark: a process that
 * is killed has done both, or, in the microseconds between two system calls, printed a line that it will print again.
 */
export class Printed {
  readonly #file: number;
  readonly #ids = new Set<string>();
  #syncing: 'idle' | 'running' | 'wanted' = 'idle';

  /** Made if it is not there. Throws StoreFailure. */
  constructor(path: string) {
    const known = readIfThere(path);
    // Less than an id at the end: the disk was full.
    const whole = known.length - (known.length % idBytes);
    for (let at = 0; at < whole; at += idBytes) this.#ids.add(hex(known.subarray(at, at + idBytes)));
    this.#file = orFail(() => openSync(path, 'a', 0o600));
    if (whole < known.length) orFail(() => ftruncateSync(this.#file, whole));
  }

  has(id: FrameId): boolean {
    return this.#ids.has(hex(id));
  }

  /** Outlives this process at once, and the machine soon after. Throws StoreFailure. */
  add(id: FrameId): void {
    orFail(() => writeSync(this.#file, id));
    this.#ids.add(hex(id));
    if (this.#syncing === 'idle') this.#sync();
    else this.#syncing = 'wanted';
  }

  close(): void {
    closeSync(this.#file);
  }

  #sync(): void {
    this.#syncing = 'running';
    // That it failed, because the file was closed say, changes nothing that could be done.
    fdatasync(this.#file, () => {
      if (this.#syncing === 'wanted') this.#sync();
      else this.#syncing = 'idle';
    });
  }
}

function readIfThere(path: string): Uint8Array {
  return orFail(() => (existsSync(path) ? readFileSync(path) : new Uint8Array()));
}

function orFail<T>(run: () => T): T {
  try {
    return run();
  } catch (error) {
    const what = error instanceof Error ? error.message : 'unknown error';
    throw new StoreFailure(what.startsWith('ENOSPC') ? 'full' : 'unusable', what, { cause: error });
  }
}
