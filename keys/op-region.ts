// A stretch of a group's log with concurrent ops in it: judges each in its own past, and settles what they do to each other (spec/protocol.md §4).
import { compareSince, type GroupFold } from './group-state.ts';
import type { OpDag } from './op-dag.ts';
import type { OpNode, Standing, Step } from './op-node.ts';
import { attempt } from './op-rules.ts';
import type { VoidReason } from './void-reason.ts';

/**
 * `nodes`: all ops between two cuts of the log, in order; `base`: the state after the first cut, which it leaves as it is. Everything before is
 * an ancestor of all of them, so that only they can be concurrent with each other.
 */
export class OpRegion {
  readonly #base: GroupFold;
  readonly #dag: OpDag;
  readonly #places: Place[];
  readonly #placeOf: ReadonlyMap<OpNode, Place>;
  readonly #removers = new Map<string, Place[]>();

  constructor(parts: { base: GroupFold; nodes: readonly OpNode[]; dag: OpDag }) {
    this.#base = parts.base;
    this.#dag = parts.dag;
    this.#places = parts.nodes.map((node, index) => ({
      node,
      index,
      parents: [],
      children: [],
      start: 'base',
      starters: 0,
      kin: undefined,
    }));
    this.#placeOf = new Map(this.#places.map((place) => [place.node, place]));
    for (const place of this.#places) {
      this.#connect(place);
      for (const name of removedBy(place.node)) push(this.#removers, name, place);
    }
  }

  /**
   * Sets the verdict of every op. Removals and demotions take effect one after the other, by rank of their authors, then seniority: each voids what
   * its target wrote concurrently, but for removals that took effect before it. One that took effect and was undone by another never counts.
   */
  resolve(): void {
    const never = new Map<Place, VoidReason>();
    for (;;) {
      const done = this.#settle(new Map(never));
      const undone = [...done].filter(({ node }) => typeof node.verdict === 'string');
      if (undone.length === 0) return;
      for (const place of undone) never.set(place, 'undone');
    }
  }

  /** The state after all of these, which hold the ancestors of each; verdicts are known. */
  stateAfter(nodes: Iterable<OpNode>): GroupFold {
    const chosen = [...nodes].flatMap((node) => this.#placeOf.get(node) ?? []);
    return this.#fold(this.#withAncestors(chosen));
  }

  stateAtEnd(): GroupFold {
    return this.#fold(new Uint8Array(this.#places.length).fill(1));
  }

  #settle(voided: Map<Place, VoidReason>): Set<Place> {
    const done = new Set<Place>();
    this.#judgeAll(voided);
    for (let next = this.#nextRemoval(done); next !== undefined; next = this.#nextRemoval(done)) {
      done.add(next);
      const fallen = this.#fallenTo(next).filter((place) => !done.has(place) && !voided.has(place));
      if (fallen.length === 0) continue;
      for (const place of fallen) voided.set(place, 'author-removed');
      this.#judgeAll(voided);
    }
    return done;
  }

  /** Each op in the state of its past, without what is void. */
  #judgeAll(voided: ReadonlyMap<Place, VoidReason>): void {
    const after: GroupFold[] = [];
    for (const place of this.#places) {
      const before = this.#stateBefore(place, after);
      const mayReuse = before.pending === 0 && before !== this.#base;
      const reason = voided.get(place);
      const result =
        reason === undefined ? attempt(place.node, { before, mayReuse, dag: this.#dag }) : { verdict: reason, after: before };
      place.node.verdict = result.verdict;
      result.after.pending += place.starters;
      after.push(result.after);
    }
  }

  /** Of those that start from the same state, the last may change it in place. */
  #stateBefore({ index, start }: Place, after: readonly GroupFold[]): GroupFold {
    if (start === 'base') return this.#base;
    if (start === 'merge') return this.#fold(this.#ancestorsOf(index));
    const state = after[start];
    if (state === undefined) throw new Error('ops out of order');
    if (state !== this.#base) state.pending -= 1;
    return state;
  }

  #nextRemoval(done: ReadonlySet<Place>): Place | undefined {
    let first: Removal | undefined;
    for (const place of this.#places) {
      const standing = place.node.verdict;
      if (typeof standing === 'string' || standing.hits.length === 0 || done.has(place)) continue;
      if (first === undefined || isBefore({ place, standing }, first)) first = { place, standing };
    }
    return first?.place;
  }

  /** What those whom it hits wrote concurrently. Leaving stands: they are out either way. */
  #fallenTo(removal: Place): Place[] {
    const { verdict } = removal.node;
    if (typeof verdict === 'string') return [];
    const isHit = ({ uid, author, steps }: OpNode) =>
      verdict.hits.some((hit) => ('did' in hit ? hit.did === author : hit.uid === uid && steps[0]?.kind !== 'leave'));
    return this.#places.filter((place) => isHit(place.node) && this.#areConcurrent(place, removal));
  }

  /** Folds the applied ones of those marked. A removal among them beats the adds and changes of role that are concurrent with it. */
  #fold(marks: Uint8Array): GroupFold {
    const state = this.#base.clone();
    const isIn = ({ node, index }: Place) => marks[index] === 1 && typeof node.verdict !== 'string';
    for (const place of this.#places) {
      if (!isIn(place)) continue;
      state.apply(place.node, (step) => {
        const name = beatenByRemovalOf(step);
        const removers = name === undefined ? undefined : this.#removers.get(name);
        return removers?.some((removal) => isIn(removal) && this.#areConcurrent(place, removal)) ?? false;
      });
    }
    return state;
  }

  #connect(place: Place): void {
    for (const node of place.node.parents) {
      const parent = this.#placeOf.get(node);
      if (parent === undefined) continue;
      place.parents.push(parent);
      parent.children.push(place);
    }
    const nearest = this.#nearestOf(place.parents);
    const [only] = nearest;
    if (only === undefined) return;
    place.start = nearest.length === 1 ? only.index : 'merge';
    if (nearest.length === 1) only.starters += 1;
  }

  /** Without those that are ancestors of others among them. */
  #nearestOf(parents: readonly Place[]): readonly Place[] {
    if (parents.length < 2) return parents;
    const behind = this.#withAncestors(parents.flatMap((parent) => parent.parents));
    return parents.filter(({ index }) => behind[index] === 0);
  }

  #ancestorsOf(index: number): Uint8Array {
    return this.#withAncestors(this.#places[index]?.parents ?? []);
  }

  #withAncestors(places: readonly Place[]): Uint8Array {
    return marked(places, this.#places.length, ({ parents }) => parents);
  }

  #areConcurrent(place: Place, removal: Place): boolean {
    if (place === removal) return false;
    if (removal.kin === undefined) {
      const ancestors = marked([removal], this.#places.length, ({ parents }) => parents);
      const descendants = marked([removal], this.#places.length, ({ children }) => children);
      removal.kin = packed(ancestors, descendants);
    }
    return ((removal.kin[place.index >> 3] ?? 0) & (1 << (place.index & 7))) === 0;
  }
}

type Place = {
  readonly node: OpNode;
  readonly index: number;
  /** Inside the region; what lies before it is behind all. */
  readonly parents: Place[];
  readonly children: Place[];
  /** The state in which it is judged: that of the base, the one after this op, or of several together. */
  start: 'base' | 'merge' | number;
  /** How many start from the state after this one. */
  starters: number;
  /** A bit for each ancestor and descendant; made when first asked. */
  kin: Uint8Array | undefined;
};

type Removal = { place: Place; standing: Standing };

/** By rank of the author, then seniority, then opId. */
function isBefore(a: Removal, b: Removal): boolean {
  if (a.standing.rank !== b.standing.rank) return a.standing.rank > b.standing.rank;
  const seniority = compareSince(a.standing.since, b.standing.since);
  return seniority === 0 ? a.place.node.name < b.place.node.name : seniority < 0;
}

/** Who or which device is removed, as far as that depends on the op alone. */
function removedBy({ steps }: OpNode): string[] {
  return steps.flatMap((step) => (step.kind === 'remove' ? [step.uid] : step.kind === 'remove-device' ? [step.did] : []));
}

function beatenByRemovalOf(step: Step): string | undefined {
  if (step.kind === 'add' || step.kind === 'set-role') return step.uid;
  return step.kind === 'add-device' ? step.did : undefined;
}

function marked(from: readonly Place[], size: number, next: (place: Place) => readonly Place[]): Uint8Array {
  const marks = new Uint8Array(size);
  const waiting = [...from];
  for (let place = waiting.pop(); place !== undefined; place = waiting.pop()) {
    if (marks[place.index] === 1) continue;
    marks[place.index] = 1;
    waiting.push(...next(place));
  }
  return marks;
}

function packed(a: Uint8Array, b: Uint8Array): Uint8Array {
  const bits = new Uint8Array(Math.ceil(a.length / 8));
  for (let i = 0; i < a.length; i++) if (a[i] === 1 || b[i] === 1) bits[i >> 3] = (bits[i >> 3] ?? 0) | (1 << (i & 7));
  return bits;
}

function push(map: Map<string, Place[]>, name: string, place: Place): void {
  const places = map.get(name);
  if (places === undefined) map.set(name, [place]);
  else places.push(place);
}
