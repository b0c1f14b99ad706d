// The graph of a group's log: who comes before whom, and where it runs through one single op.
import { compareNodes, type OpNode } from './op-node.ts';

export class OpDag {
  readonly #byName = new Map<string, OpNode>();
  readonly #order: OpNode[] = [];
  readonly #heads = new Set<OpNode>();
  readonly #cuts: OpNode[] = [];

  get(name: string): OpNode | undefined {
    return this.#byName.get(name);
  }

  /** All ops by (depth, opId). */
  get order(): readonly OpNode[] {
    return this.#order;
  }

  /** Ops without children. */
  get heads(): ReadonlySet<OpNode> {
    return this.#heads;
  }

  /** Ops that are concurrent with no other, in order: each has all before it as ancestors and all after it as descendants. */
  get cuts(): readonly OpNode[] {
    return this.#cuts;
  }

  /** Its parents are in. Cuts that the new op is concurrent with are cuts no longer; the answer is how many of them still are. */
  insert(node: OpNode): number {
    this.#byName.set(node.name, node);
    this.#order.splice(this.placeOf(node), 0, node);
    for (const parent of node.parents) this.#heads.delete(parent);
    this.#heads.add(node);
    const greatest = node.parents.reduce<OpNode | undefined>(greater, undefined);
    for (let cut = this.#cuts.at(-1); cut !== undefined && !isUpTo(cut, greatest); cut = this.#cuts.at(-1)) {
      this.#cuts.pop();
    }
    const left = this.#cuts.length;
    if (this.#heads.size === 1) this.#cuts.push(node);
    return left;
  }

  /** How many ops come before it in order. */
  placeOf(node: OpNode): number {
    return countBefore(this.#order, node);
  }

  /** How many cuts come up to and with it in order. */
  cutsUpTo(node: OpNode): number {
    const before = countBefore(this.#cuts, node);
    return this.#cuts[before] === node ? before + 1 : before;
  }

  /** Whether one of `targets` is an ancestor of what has these parents, or is one of them. */
  isBehind(parents: readonly OpNode[], targets: ReadonlySet<OpNode>): boolean {
    const greatest = parents.reduce<OpNode | undefined>(greater, undefined);
    if (targets.size === 0 || greatest === undefined) return false;
    const least = [...targets].reduce((a, b) => (compareNodes(a, b) < 0 ? a : b));
    // Everything up to this cut is behind, so that what is left to find lies after it.
    const cut = this.#cuts[this.cutsUpTo(greatest) - 1];
    if (isUpTo(least, cut)) return true;
    const seen = new Set<OpNode>(parents);
    for (const node of seen) {
      if (targets.has(node)) return true;
      if (node.depth > least.depth && node !== cut) for (const parent of node.parents) seen.add(parent);
    }
    return false;
  }

  isAncestor(ancestor: OpNode, node: OpNode): boolean {
    return this.isBehind(node.parents, new Set([ancestor]));
  }
}

function greater(a: OpNode | undefined, b: OpNode): OpNode {
  return a !== undefined && compareNodes(a, b) > 0 ? a : b;
}

function isUpTo(a: OpNode, b: OpNode | undefined): boolean {
  return b !== undefined && compareNodes(a, b) <= 0;
}

function countBefore(ordered: readonly OpNode[], node: OpNode): number {
  const last = ordered.at(-1);
  if (last === undefined || compareNodes(last, node) < 0) return ordered.length;
  let [from, to] = [0, ordered.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    const at = ordered[middle];
    if (at !== undefined && compareNodes(at, node) < 0) from = middle + 1;
    else to = middle;
  }
  return from;
}
