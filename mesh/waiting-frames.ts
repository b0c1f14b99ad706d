// Frames of epochs that the log does not name yet: few, each once, not verified, and dropped rather than kept long. Healing brings them again.
import type { ReadFrame } from '../keys/frame-seal.ts';
import { hex } from '../wire/bytes.ts';
import type { Did } from '../wire/ids.ts';

type Waiting = { read: ReadFrame; from: Did | undefined };

const framesMost = 256;
/** Of one neighbour, so that nobody can push out what others brought. */
const perNeighbour = 64;
const bytesMost = 4 * 1024 * 1024;

export class WaitingFrames {
  readonly #frames = new Map<string, Waiting>();
  #bytes = 0;

  get size(): number {
    return this.#frames.size;
  }

  add(read: ReadFrame, from: Did | undefined): 'kept' | 'no-room' {
    const name = hex(read.frameId);
    if (this.#frames.has(name)) return 'kept';
    const bytes = this.#bytes + read.bytes.length;
    if (this.#frames.size >= framesMost || bytes > bytesMost || this.#of(from) >= perNeighbour) return 'no-room';
    this.#frames.set(name, { read, from });
    this.#bytes = bytes;
    return 'kept';
  }

  /** All of them, in the order they came; none is left. */
  takeAll(): Waiting[] {
    const all = [...this.#frames.values()];
    this.#frames.clear();
    this.#bytes = 0;
    return all;
  }

  #of(from: Did | undefined): number {
    const name = from && hex(from);
    return [...this.#frames.values()].filter((one) => (one.from && hex(one.from)) === name).length;
  }
}
