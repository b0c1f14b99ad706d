// Proof that a device signed two frames that cannot both be its story, and from which number on it then counts for nothing (spec/protocol.md §5).
import { equal, hex } from '../wire/bytes.ts';
import { decode, encode, numberOf, struct, u64, vec32 } from '../wire/codec.ts';
import { asDid, type Did, type EpochId, type FrameId, type Gid } from '../wire/ids.ts';
import { limits } from '../wire/limits.ts';
import type { Store } from './ports.ts';

/** `frames`: both, whole; `seq`: the smaller of their numbers. */
export type Fork = { readonly did: Did; readonly seq: number; readonly frames: readonly [Uint8Array, Uint8Array] };

/** What a frame says of its place. */
export type FrameFacts = {
  readonly id: FrameId;
  readonly seq: number;
  readonly gen: number;
  readonly epochId: EpochId;
  readonly previous: Uint8Array;
};

/**
 * From which number on two frames of one device contradict each other: they share their number, or their message key, or the later
 * names another frame before it than the earlier. Undefined where both can stand. The same for (a, b) and (b, a).
 */
export function forkedAt(a: FrameFacts, b: FrameFacts): number | undefined {
  if (equal(a.id, b.id)) return undefined;
  const [first, second] = a.seq <= b.seq ? [a, b] : [b, a];
  const sharesKey = first.gen === second.gen && equal(first.epochId, second.epochId);
  const breaksChain = second.seq === first.seq + 1 && !equal(second.previous, first.id);
  return first.seq === second.seq || sharesKey || breaksChain ? first.seq : undefined;
}

const storedFork = struct({
  version: numberOf(1, 1),
  did: vec32(32),
  seq: u64,
  first: vec32(limits.frameBytes),
  second: vec32(limits.frameBytes),
});

/** Of each device the proof with the smallest number that is known: the same everywhere once all have heard of all. */
export class Forks {
  readonly #gid: Gid;
  readonly #store: Store;
  readonly #forks = new Map<string, Fork>();

  constructor({ gid, store }: { gid: Gid; store: Store }) {
    this.#gid = gid;
    this.#store = store;
  }

  async load(): Promise<void> {
    for (const { value } of await this.#store.range(['fork', hex(this.#gid)])) {
      const { did, seq, first, second } = decode(storedFork, value);
      this.#forks.set(hex(did), { did: asDid(did), seq, frames: [first, second] });
    }
  }

  all(): Fork[] {
    return [...this.#forks.values()];
  }

  of(did: Did): Fork | undefined {
    return this.#forks.get(hex(did));
  }

  /** Frames of that device with this number or a greater one do not count. */
  frozenFrom(did: Did): number {
    return this.of(did)?.seq ?? Number.POSITIVE_INFINITY;
  }

  /** On disk when it resolves. 'known': one with this number or a smaller one was here before. */
  async keep(fork: Fork): Promise<'kept' | 'known'> {
    const { did, seq, frames } = fork;
    if (seq >= this.frozenFrom(did)) return 'known';
    const value = encode(storedFork, { version: 1, did, seq, first: frames[0], second: frames[1] });
    await this.#store.write([{ put: ['fork', hex(this.#gid), hex(did)], value }]);
    this.#forks.set(hex(did), fork);
    return 'kept';
  }
}
