// The ports of mesh/ports.ts without a machine: a clock driven by hand, seeded bytes, a store in memory that can crash.
// The virtual network stands in spec/virtual-network.ts and is named here too, so that a spec finds all of them in one place.

import type { Clock, Random, Stop, Store, StoreChange, StoreEntry, StoreKey } from '../mesh/ports.ts';
import { StoreFailure } from '../mesh/store-failure.ts';
import { encodeKey } from '../mesh/store-key.ts';
import { settle } from './settle.ts';

export { VirtualNetwork } from './virtual-network.ts';

type Timer = { at: number; run: () => void };

/** Time moves only by `advance`. Starts at 2026-01-01. */
export class ManualClock implements Clock {
  #now: number;
  /** By time, equal times in the order they were set. */
  #timers: Timer[] = [];

  constructor(start = Date.UTC(2026, 0, 1)) {
    this.#now = start;
  }

  /** Whole milliseconds, as clocks of machines say them. */
  now(): number {
    return Math.floor(this.#now);
  }

  after(ms: number, run: () => void): Stop {
    const timer = { at: this.#now + Math.max(0, ms), run };
    const later = this.#timers.findLastIndex((other) => other.at <= timer.at);
    this.#timers.splice(later + 1, 0, timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  /** Runs what is due within `ms`, one after the other at its time, and lets everything settle before, between and after. */
  async advance(ms: number): Promise<void> {
    await settle();
    const end = this.#now + ms;
    while (await this.#step(end));
    this.#now = Math.max(this.#now, end);
  }

  /** Goes from timer to timer until `done()`; throws when that is not so within `limit` ms or no timer is left. */
  async advanceUntil(done: () => boolean, limit = 10 * 60_000): Promise<void> {
    await settle();
    const end = this.#now + limit;
    while (!done()) {
      if (await this.#step(end)) continue;
      throw new Error(`did not happen within ${limit} ms; ${this.#timers.length} timers are left`);
    }
  }

  async #step(end: number): Promise<boolean> {
    const [timer] = this.#timers;
    if (timer === undefined || timer.at > end) return false;
    this.#timers.shift();
    this.#now = timer.at;
    timer.run();
    await settle();
    return true;
  }
}

/** The same bytes for the same seed (sfc32). For specs only: not secret. */
export function seededRandom(seed: number): Random {
  let [a, b, c, counter] = [0x9e3779b9, 0x243f6a88, seed >>> 0, 1];
  const next = () => {
    const sum = (a + b + counter++) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return sum & 0xff;
  };
  for (let i = 0; i < 16; i++) next();
  return (length) => Uint8Array.from({ length }, next);
}

type MemoryEntry = StoreEntry & { name: string };

/** Behaves as a store on disk does: what `write` has resolved for is there after a crash, all of it or nothing. */
export class MemoryStore implements Store {
  /** By name, which sorts as keys do. */
  #entries: MemoryEntry[] = [];
  #closed = false;
  #failures = 0;

  async get(key: StoreKey): Promise<Uint8Array | undefined> {
    const name = nameOf(key);
    await this.#turn();
    const entry = this.#entries[this.#position(name)];
    return entry?.name === name ? entry.value.slice() : undefined;
  }

  async range(
    prefix: StoreKey,
    { after, reverse = false, limit = Number.POSITIVE_INFINITY }: { after?: StoreKey; reverse?: boolean; limit?: number } = {},
  ): Promise<StoreEntry[]> {
    const start = nameOf(prefix);
    const from = after === undefined ? undefined : nameOf(after);
    await this.#turn();
    const found: StoreEntry[] = [];
    const step = reverse ? -1 : 1;
    for (let i = this.#firstOf(start, from, reverse); found.length < limit; i += step) {
      const entry = this.#entries[i];
      if (!entry?.name.startsWith(start) || entry.name === start) break;
      found.push({ key: entry.key, value: entry.value.slice() });
    }
    return found;
  }

  async write(changes: StoreChange[]): Promise<void> {
    // Copied before the first pause: the caller may use its buffers again.
    const copies = changes.map((change) =>
      'put' in change
        ? { name: nameOf(change.put), key: [...change.put], value: change.value.slice() }
        : { name: nameOf(change.remove) },
    );
    await this.#turn();
    if (this.#failures > 0) {
      this.#failures -= 1;
      throw new StoreFailure('full', 'as the spec asked for');
    }
    for (const change of copies) this.#apply(change);
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  /** The next `write` rejects with 'full' and changes nothing. */
  failNextWrite(): void {
    this.#failures += 1;
  }

  /** What is on disk at this moment, as a new store: what a process that was killed now finds when it starts again. */
  copy(): MemoryStore {
    const copy = new MemoryStore();
    copy.#entries = this.#entries.map((entry) => ({ ...entry, value: entry.value.slice() }));
    return copy;
  }

  async #turn(): Promise<void> {
    if (this.#closed) throw new StoreFailure('closed', 'it was closed');
    await Promise.resolve();
  }

  #apply(change: MemoryEntry | { name: string }): void {
    const at = this.#position(change.name);
    const there = this.#entries[at]?.name === change.name ? 1 : 0;
    if ('value' in change) this.#entries.splice(at, there, change);
    else this.#entries.splice(at, there);
  }

  /** Where a range begins: behind `from`, or at the end of the prefix that lies in the direction it comes from. */
  #firstOf(start: string, from: string | undefined, reverse: boolean): number {
    if (reverse) return this.#position(from ?? `${start}\u0100`) - 1;
    return this.#position(`${from ?? start}\0`);
  }

  /** Of the first entry whose name is not below this one. */
  #position(name: string): number {
    let low = 0;
    let high = this.#entries.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#entries[middle]?.name ?? '') < name) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** The encoded key, one character per byte: strings compare as the bytes do. */
function nameOf(key: StoreKey): string {
  return String.fromCharCode(...encodeKey(key));
}
