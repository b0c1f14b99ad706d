// The frames of one group that this device has: exactly once each, in the order that everybody computes (spec/protocol.md §5).
// The order is a function of the set of frames and extends "was seen before", whatever clocks say.
import { compare, equal, hex } from '../wire/bytes.ts';
import { asFrameId, type Did, type EpochId, type FrameId } from '../wire/ids.ts';
import type { MessageBody } from '../wire/message-body.ts';
import type { DeviceRanges, Range } from '../wire/peer-messages.ts';

export type TranscriptEntry = {
  readonly id: FrameId;
  readonly did: Did;
  readonly seq: number;
  readonly gen: number;
  readonly previous: Uint8Array;
  readonly epochId: EpochId;
  /** Of the op that starts the epoch. */
  readonly epochDepth: number;
  /** The author's clock; 0 where it could not be opened, because the order must be the same everywhere. */
  readonly sentAt: number;
  /** What the author had seen; ids that are not here yet count once they come. */
  readonly heads: readonly FrameId[];
  /** Undefined: verified, but it could not be opened. */
  readonly body: MessageBody | undefined;
  /** When this device stored it. */
  readonly storedAt: number;
};

export type Placed = { readonly entry: TranscriptEntry; depth: number };

/** How far back heads are looked for: what lies deeper has followers, or an author who will be heard again. */
const headsWithin = 256;

/** So many followers are moved at once when something before them comes; with more the whole order is made anew when it is next asked for. */
const movedAtOnce = 64;

type Author = {
  did: Did;
  bySeq: Map<number, FrameId>;
  /** hex of an epoch → by message key. */
  byGen: Map<string, Map<number, FrameId>>;
  ranges: Range[];
  top: number;
};

export class Transcript {
  readonly #placed = new Map<string, Placed>();
  readonly #authors = new Map<string, Author>();
  /** hex of an id → those who name it as seen before them. */
  readonly #followers = new Map<string, Set<string>>();
  /** Sorted unless it is stale, and then so are the depths. */
  readonly #order: Placed[] = [];
  #isStale = false;
  #version = 0;

  /** Another number after every change. */
  get version(): number {
    return this.#version;
  }

  get size(): number {
    return this.#placed.size;
  }

  has(id: FrameId): boolean {
    return this.#placed.has(hex(id));
  }

  get(id: FrameId): TranscriptEntry | undefined {
    return this.#placed.get(hex(id))?.entry;
  }

  /** The frame of that device with that number, if it is here. */
  at(did: Did, seq: number): FrameId | undefined {
    return this.#authors.get(hex(did))?.bySeq.get(seq);
  }

  /** The frame of that device under that message key of an epoch. */
  atGen(did: Did, epochId: EpochId, gen: number): FrameId | undefined {
    return this.#authors.get(hex(did))?.byGen.get(hex(epochId))?.get(gen);
  }

  /** The greatest number of that device here, 0 for none. */
  top(did: Did): number {
    return this.#authors.get(hex(did))?.top ?? 0;
  }

  /** Everything up to this number is here, from the first that is. */
  contiguousTo(did: Did): number {
    return this.#authors.get(hex(did))?.ranges[0]?.to ?? 0;
  }

  /** In display order; do not change it. */
  inOrder(): readonly Placed[] {
    if (this.#isStale) this.#orderAnew();
    return this.#order;
  }

  /** Whether all that its author had seen of this epoch is here too; what came before the epoch may be out of reach for good. */
  isComplete(entry: TranscriptEntry): boolean {
    const parents = entry.gen > 0 ? parentsOf(entry) : entry.heads;
    return parents.every((id) => this.#placed.has(hex(id)));
  }

  /** The newest frames of this epoch by others than `did` that nothing here follows, newest first. */
  heads(did: Did, epochId: EpochId, most: number): FrameId[] {
    const heads: FrameId[] = [];
    const order = this.inOrder();
    for (let i = order.length - 1; i >= 0 && heads.length < most; i--) {
      const entry = order[i]?.entry;
      if (entry === undefined || order.length - i > headsWithin) break;
      if (!equal(entry.epochId, epochId) || equal(entry.did, did)) continue;
      if ((this.#followers.get(hex(entry.id))?.size ?? 0) === 0) heads.push(entry.id);
    }
    return heads;
  }

  /** 'known' changes nothing. The caller has checked signature, chain and forks. */
  add(entry: TranscriptEntry): 'added' | 'known' {
    const name = hex(entry.id);
    if (this.#placed.has(name)) return 'known';
    const placed: Placed = { entry, depth: 0 };
    this.#version += 1;
    this.#placed.set(name, placed);
    this.#note(entry);
    for (const parent of parentsOf(entry)) this.#follow(hex(parent), name);
    const followers = this.#isStale ? undefined : this.#followersOf(name);
    if (followers === undefined) {
      this.#isStale = true;
      this.#order.push(placed);
      return 'added';
    }
    placed.depth = this.#depthOf(entry);
    this.#insert(placed);
    this.#raise(followers);
    return 'added';
  }

  /** Takes out what that device wrote from this number on, as if it had never come. */
  dropFrom(did: Did, seq: number): void {
    this.drop((entry) => equal(entry.did, did) && entry.seq >= seq);
  }

  /** As if these had never come. */
  drop(isOut: (entry: TranscriptEntry) => boolean): void {
    const kept = [...this.#placed.values()].filter(({ entry }) => !isOut(entry));
    if (kept.length === this.#placed.size) return;
    for (const all of [this.#placed, this.#authors, this.#followers]) all.clear();
    this.#version += 1;
    this.#order.length = 0;
    this.#isStale = true;
    for (const { entry } of kept) this.add(entry);
  }

  /** What is here, of the epochs that `mayHave` allows: for digests and vectors. Sorted by device. */
  vector(mayHave: (epochId: EpochId) => boolean, mostRanges: number): DeviceRanges[] {
    const vector: DeviceRanges[] = [];
    for (const author of this.#authors.values()) {
      const seqs: number[] = [];
      for (const [seq, id] of author.bySeq) {
        const entry = this.#placed.get(hex(id))?.entry;
        if (entry !== undefined && mayHave(entry.epochId)) seqs.push(seq);
      }
      const ranges = rangesOf(seqs.sort((a, b) => a - b)).slice(-mostRanges);
      const top = author.bySeq.get(ranges.at(-1)?.to ?? 0);
      if (top !== undefined) vector.push({ did: author.did, ranges, top });
    }
    return vector.sort((a, b) => compare(a.did, b.did));
  }

  /** Ids of the frames in these ranges that are here, oldest first. */
  inRanges(did: Did, ranges: readonly Range[]): FrameId[] {
    const author = this.#authors.get(hex(did));
    if (author === undefined) return [];
    const wanted = [...author.bySeq].filter(([seq]) => ranges.some(({ from, to }) => from <= seq && seq <= to));
    return wanted.sort(([a], [b]) => a - b).map(([, id]) => id);
  }

  #note(entry: TranscriptEntry): void {
    const name = hex(entry.did);
    const author = this.#authors.get(name) ?? {
      ...{ did: entry.did, bySeq: new Map(), byGen: new Map(), ranges: [], top: 0 },
    };
    this.#authors.set(name, author);
    author.bySeq.set(entry.seq, entry.id);
    const gens = author.byGen.get(hex(entry.epochId)) ?? new Map<number, FrameId>();
    author.byGen.set(hex(entry.epochId), gens.set(entry.gen, entry.id));
    author.top = Math.max(author.top, entry.seq);
    addToRanges(author.ranges, entry.seq);
  }

  #follow(parent: string, child: string): void {
    const followers = this.#followers.get(parent);
    if (followers === undefined) this.#followers.set(parent, new Set([child]));
    else followers.add(child);
  }

  /** 1 + the greatest depth of what was seen in the same epoch: derived, never believed. */
  #depthOf(entry: TranscriptEntry): number {
    return this.#parentsHere(entry).reduce((depth, parent) => Math.max(depth, parent.depth + 1), 1);
  }

  /** All that come after it, each after what it follows; undefined where they are many. */
  #followersOf(from: string): Placed[] | undefined {
    const found = new Map<string, Placed>();
    const waiting = [from];
    for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
      for (const follower of this.#followers.get(name) ?? []) {
        const placed = this.#placed.get(follower);
        if (placed === undefined || found.has(follower)) continue;
        if (found.size >= movedAtOnce) return undefined;
        found.set(follower, placed);
        waiting.push(follower);
      }
    }
    // Depths grow along what follows what, before the newcomer is counted as after it.
    return [...found.values()].sort((a, b) => a.entry.epochDepth - b.entry.epochDepth || a.depth - b.depth);
  }

  #raise(followers: readonly Placed[]): void {
    for (const placed of followers) {
      const depth = this.#depthOf(placed.entry);
      if (depth === placed.depth) continue;
      this.#order.splice(this.#indexOf(placed), 1);
      placed.depth = depth;
      this.#insert(placed);
    }
  }

  #orderAnew(): void {
    for (const placed of this.#order) placed.depth = 0;
    for (const placed of this.#order) this.#findDepth(placed);
    this.#order.sort(inDisplayOrder);
    this.#isStale = false;
  }

  /** Of an entry and of all before it whose depth is 0, without recursion: chains are long. */
  #findDepth(of: Placed): void {
    const waiting = [of];
    for (let placed = waiting.at(-1); placed !== undefined; placed = waiting.at(-1)) {
      const before = placed.depth > 0 ? [] : this.#parentsHere(placed.entry).filter(({ depth }) => depth === 0);
      if (before.length > 0) waiting.push(...before);
      else {
        if (placed.depth === 0) placed.depth = this.#depthOf(placed.entry);
        waiting.pop();
      }
    }
  }

  /** What it names as before it, of the same epoch. */
  #parentsHere(entry: TranscriptEntry): Placed[] {
    const here = parentsOf(entry).flatMap((id) => this.#placed.get(hex(id)) ?? []);
    return here.filter((parent) => equal(parent.entry.epochId, entry.epochId));
  }

  #insert(placed: Placed): void {
    this.#order.splice(this.#indexOf(placed), 0, placed);
  }

  /** Where it is, or belongs. */
  #indexOf(placed: Placed): number {
    let low = 0;
    let high = this.#order.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const other = this.#order[middle];
      if (other !== undefined && inDisplayOrder(other, placed) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** By hash, so that nobody can make a circle. */
function parentsOf(entry: TranscriptEntry): FrameId[] {
  return entry.seq === 1 ? [...entry.heads] : [asFrameId(entry.previous), ...entry.heads];
}

function inDisplayOrder(a: Placed, b: Placed): number {
  return (
    a.entry.epochDepth - b.entry.epochDepth ||
    compare(a.entry.epochId, b.entry.epochId) ||
    a.depth - b.depth ||
    a.entry.sentAt - b.entry.sentAt ||
    compare(a.entry.id, b.entry.id)
  );
}

/** Ascending numbers as inclusive ranges. */
export function rangesOf(seqs: readonly number[]): Range[] {
  const ranges: Range[] = [];
  for (const seq of seqs) {
    const last = ranges.at(-1);
    if (last !== undefined && seq === last.to + 1) last.to = seq;
    else ranges.push({ from: seq, to: seq });
  }
  return ranges;
}

/** Ranges are ascending and apart from each other, and stay so. */
function addToRanges(ranges: Range[], seq: number): void {
  let low = 0;
  let high = ranges.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((ranges[middle]?.to ?? 0) < seq - 1) low = middle + 1;
    else high = middle;
  }
  // `low`: the first that ends at seq - 1 or later.
  const range = ranges[low];
  if (range === undefined || range.from > seq + 1) {
    ranges.splice(low, 0, { from: seq, to: seq });
    return;
  }
  range.from = Math.min(range.from, seq);
  range.to = Math.max(range.to, seq);
  const next = ranges[low + 1];
  if (next === undefined || next.from > range.to + 1) return;
  range.to = next.to;
  ranges.splice(low + 1, 1);
}

/** What `theirs` has and `mine` lacks; both ascending. */
export function missingRanges(theirs: readonly Range[], mine: readonly Range[]): Range[] {
  const missing: Range[] = [];
  for (const range of theirs) {
    let from = range.from;
    for (const have of mine) {
      if (have.to < from || have.from > range.to) continue;
      if (have.from > from) missing.push({ from, to: have.from - 1 });
      from = have.to + 1;
    }
    if (from <= range.to) missing.push({ from, to: range.to });
  }
  return missing;
}
