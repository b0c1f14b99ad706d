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

type Author = { did: Did; bySeq: Map<number, FrameId>; ranges: Range[]; top: number };

export class Transcript {
  readonly #placed = new Map<string, Placed>();
  readonly #authors = new Map<string, Author>();
  /** hex of an id → those who name it as seen before them. */
  readonly #followers = new Map<string, Set<string>>();
  readonly #order: Placed[] = [];

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
    for (let i = this.#order.length - 1; i >= 0 && heads.length < most; i--) {
      const entry = this.#order[i]?.entry;
      if (entry === undefined || this.#order.length - i > headsWithin) break;
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
    this.#placed.set(name, placed);
    this.#note(entry);
    for (const parent of parentsOf(entry)) this.#follow(hex(parent), name);
    placed.depth = this.#depthOf(entry);
    this.#insert(placed);
    this.#raiseFollowers(name);
    return 'added';
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
    const author = this.#authors.get(name) ?? { did: entry.did, bySeq: new Map(), ranges: [], top: 0 };
    this.#authors.set(name, author);
    author.bySeq.set(entry.seq, entry.id);
    author.top = Math.max(author.top, entry.seq);
    author.ranges = withSeq(author.ranges, entry.seq);
  }

  #follow(parent: string, child: string): void {
    const followers = this.#followers.get(parent);
    if (followers === undefined) this.#followers.set(parent, new Set([child]));
    else followers.add(child);
  }

  /** 1 + the greatest depth of what was seen in the same epoch: derived, never believed. */
  #depthOf(entry: TranscriptEntry): number {
    let depth = 1;
    for (const id of parentsOf(entry)) {
      const parent = this.#placed.get(hex(id));
      if (parent !== undefined && hex(parent.entry.epochId) === hex(entry.epochId)) depth = Math.max(depth, parent.depth + 1);
    }
    return depth;
  }

  #raiseFollowers(from: string): void {
    const waiting = [from];
    for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
      for (const follower of this.#followers.get(name) ?? []) {
        const placed = this.#placed.get(follower);
        if (placed === undefined) continue;
        const depth = this.#depthOf(placed.entry);
        if (depth === placed.depth) continue;
        this.#order.splice(this.#indexOf(placed), 1);
        placed.depth = depth;
        this.#insert(placed);
        waiting.push(follower);
      }
    }
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

function withSeq(ranges: readonly Range[], seq: number): Range[] {
  const last = ranges.at(-1);
  if (last !== undefined && seq === last.to + 1) return [...ranges.slice(0, -1), { from: last.from, to: seq }];
  const joined: Range[] = [];
  for (const range of [...ranges, { from: seq, to: seq }].sort((a, b) => a.from - b.from)) {
    const before = joined.at(-1);
    if (before !== undefined && range.from <= before.to + 1) before.to = Math.max(before.to, range.to);
    else joined.push({ ...range });
  }
  return joined;
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
