// The log of a group: takes signed ops in any order that has parents first, and says who is in. Members and devices follow from the set of ops
// alone: never from clocks, arrival, OpenPGP or the node (spec/protocol.md §4).
import { compare, equal, hex } from '../wire/bytes.ts';
import type { Gid, OpId, Uid } from '../wire/ids.ts';
import { limits } from '../wire/limits.ts';
import { readDeviceCert } from './device.ts';
import { verifyStrictly } from './ed25519.ts';
import { GroupFold, type GroupState, stateOf } from './group-state.ts';
import type { VerifySignature } from './invite-proof.ts';
import type { ReadOp } from './op.ts';
import { OpDag } from './op-dag.ts';
import { type OpChecks, type OpNode, opNode, readSteps } from './op-node.ts';
import { OpRegion } from './op-region.ts';
import { attempt } from './op-rules.ts';
import type { VoidReason } from './void-reason.ts';

export type { FormerDevice, GroupEpoch, GroupInvite, GroupMember, GroupState } from './group-state.ts';
export type { GroupDevice } from './op-node.ts';
export { type VoidReason, voidReasons } from './void-reason.ts';

export type AddOutcome = 'added' | 'known' | 'missing-parents' | 'refused';

/** Why an op is none of this log: the same for everyone who has its parents, but for the two limits. */
export type OpRefusal = 'other-group' | 'bad-genesis' | 'wrong-depth' | 'bad-signature' | 'log-full' | 'too-many-unknown-authors';

export class OpLog {
  readonly #checks: OpChecks;
  readonly #dag = new OpDag();
  readonly #devices = new Map<string, KnownDevice>();
  #gid: Gid | undefined;
  #genesis: ReadOp | undefined;
  /** Ops whose author nobody knows: void, and no part of the graph, so that they make neither heads nor forks. */
  readonly #strangers = new Map<string, Stranger>();
  /** The state after the last of `cuts` that were folded. */
  #settled: Checkpoint = { cuts: 0, ops: 0, fold: new GroupFold() };
  /** Whether somebody outside has this fold. */
  #isShared = false;
  #checkpoints: Checkpoint[] = [{ cuts: 0, ops: 0, fold: new GroupFold() }];
  /** The state after all ops while there are several heads. */
  #tip: GroupFold | undefined;
  /** After all ops, until there are more. */
  #state: GroupState | undefined;
  #statesAt = new Map<string, GroupState>();

  /** `gid`: the group that is meant; without it the first genesis says so. `checks` are real unless a spec says otherwise. */
  constructor(parts: { gid?: Gid; checks?: OpChecks } = {}) {
    this.#gid = parts.gid;
    this.#checks = parts.checks ?? { verify: verifyStrictly, readDevice: readDeviceCert };
  }

  get size(): number {
    return this.#dag.order.length + this.#strangers.size;
  }

  has(opId: OpId): boolean {
    return this.get(opId) !== undefined;
  }

  get(opId: OpId): ReadOp | undefined {
    const name = hex(opId);
    return (this.#dag.get(name) ?? this.#strangers.get(name))?.op;
  }

  /** Ops without children, ascending, also void ones of known authors: the parents of the next op (at most 8 of them). */
  heads(): OpId[] {
    return [...this.#dag.heads].map(({ op }) => op.opId).sort(compare);
  }

  /** Throws RangeError for ops that are not in or have an unknown author. */
  isAncestor(ancestor: OpId, opId: OpId): boolean {
    const [a, b] = [ancestor, opId].map((id) => this.#dag.get(hex(id)));
    if (a === undefined || b === undefined) throw new RangeError('no such op in the log');
    return this.#dag.isAncestor(a, b);
  }

  /** The signature is checked here, once. An op may be added and yet be void (`inOrder`). */
  add(op: ReadOp): AddOutcome {
    return this.#take(op, this.#checks.verify);
  }

  /**
   * Takes back what `add` took before, from a store that nobody else writes. Its signature is not checked again, for that is nearly all of the time
   * a long log takes; everything else is.
   */
  addVerifiedBefore(op: ReadOp): AddOutcome {
    return this.#take(op, () => true);
  }

  /** Why `add` says 'refused', for the log line; undefined where it does not. */
  refusalOf(op: ReadOp): OpRefusal | undefined {
    const read = this.has(op.opId) ? undefined : this.#read(op, this.#checks.verify);
    return typeof read === 'string' && read !== 'missing-parents' ? read : undefined;
  }

  /** Whether it would count as the next op, on top of all heads: to be asked before an op of one's own is made known. */
  judge(op: ReadOp): 'applied' | VoidReason | OpRefusal | 'missing-parents' {
    const read = this.#read(op, this.#checks.verify);
    if (typeof read === 'string') return read;
    if (!('author' in read)) return 'unknown-author';
    this.#resolve();
    const before = (this.#tip ?? this.#settled.fold).clone();
    const { verdict } = attempt(read, { before, mayReuse: false, dag: this.#dag });
    return typeof verdict === 'string' ? verdict : 'applied';
  }

  /** After all ops. It stays as it is when ops are added later. Throws before the genesis is in. */
  state(): GroupState {
    if (this.#state !== undefined) return this.#state;
    this.#resolve();
    if (this.#tip === undefined) this.#isShared = true;
    this.#state = stateOf(this.#tip ?? this.#settled.fold, this.#known());
    return this.#state;
  }

  /** After these ops and what came before them, of which what is void by now does not count. Throws for ops that are not in. */
  stateAt(opIds: readonly OpId[]): GroupState {
    const nodes = [...new Set(opIds.flatMap((opId) => this.#nodesOf(opId)))];
    const { heads } = this.#dag;
    if (heads.size === nodes.length && nodes.every((node) => heads.has(node))) return this.state();
    const name = nodes.map((node) => node.name).join();
    const known = this.#statesAt.get(name);
    if (known !== undefined) return known;
    this.#resolve();
    const state = stateOf(this.#foldAt(nodes), this.#known());
    if (this.#statesAt.size >= statesKept) this.#statesAt.clear();
    this.#statesAt.set(name, state);
    return state;
  }

  /** Every op by (depth, opId), with why it is void if it is. */
  *inOrder(): Generator<{ op: ReadOp; verdict: 'applied' | VoidReason }> {
    this.#resolve();
    const strangers = [...this.#strangers.values()].map(({ op }) => ({ op, verdict: 'unknown-author' }) as const);
    const known = this.#dag.order.map(
      ({ op, verdict }) => ({ op, verdict: typeof verdict === 'string' ? verdict : 'applied' }) as const,
    );
    yield* strangers.length === 0 ? known : [...known, ...strangers].sort((a, b) => compareOps(a.op, b.op));
  }

  // --- taking an op in

  #take(op: ReadOp, verifyAuthor: VerifySignature): AddOutcome {
    if (this.has(op.opId)) return 'known';
    const read = this.#read(op, verifyAuthor);
    if (read === 'missing-parents') return read;
    if (typeof read === 'string') return 'refused';
    if ('author' in read) this.#insert(read);
    else this.#strangers.set(hex(op.opId), read);
    return 'added';
  }

  #read(op: ReadOp, verifyAuthor: VerifySignature): OpNode | Stranger | OpRefusal | 'missing-parents' {
    const { body } = op;
    const isGenesis = body.parents.length === 0;
    if (isGenesis ? !this.#isExpected(op.opId) : this.#gid !== undefined && !equal(body.gid, this.#gid)) return 'other-group';
    if (isGenesis) return this.#readGenesis(op, verifyAuthor);
    const before = body.parents.map((id) => this.get(id)?.body.depth ?? -1);
    if (before.includes(-1)) return 'missing-parents';
    if (body.depth !== 1 + Math.max(...before)) return 'wrong-depth';
    if (this.size >= limits.groupOps) return 'log-full';
    const parents = [...new Set(body.parents.flatMap((id) => this.#nodesOf(id)))];
    const device = this.#deviceOf(hex(body.author), parents);
    // Nothing that comes from nobody is looked into: it must not cost more than its bytes.
    if (device === undefined) {
      return this.#strangers.size < limits.unknownAuthorOps ? { op, parents } : 'too-many-unknown-authors';
    }
    if (!verifyAuthor(device.signPub, 'op', op.bodyBytes, op.signature)) return 'bad-signature';
    return opNode(op, { parents, person: device.person, steps: readSteps(op, this.#checks) });
  }

  #readGenesis(op: ReadOp, verifyAuthor: VerifySignature): OpNode | OpRefusal {
    const steps = readSteps(op, this.#checks);
    const first = typeof steps === 'string' ? undefined : steps[0];
    if (first?.kind !== 'genesis') return 'bad-genesis';
    const device = first.devices.get(hex(op.body.author));
    if (device === undefined) return 'bad-genesis';
    if (!verifyAuthor(device.signPub, 'op', op.bodyBytes, op.signature)) return 'bad-signature';
    const node = opNode(op, { parents: [], person: first.person, steps });
    const { verdict } = attempt(node, { before: new GroupFold(), mayReuse: true, dag: this.#dag });
    return typeof verdict === 'string' ? 'bad-genesis' : node;
  }

  /** One genesis makes one group. */
  #isExpected(genesis: OpId): boolean {
    return this.#genesis === undefined && (this.#gid === undefined || equal(genesis, this.#gid));
  }

  /** The device of that did, if its certificate stands in the past of what has these parents. */
  #deviceOf(author: string, parents: readonly OpNode[]): KnownDevice | undefined {
    const device = this.#devices.get(author);
    return device !== undefined && this.#dag.isBehind(parents, device.namedBy) ? device : undefined;
  }

  #insert(node: OpNode): void {
    const { heads } = this.#dag;
    const [head] = heads;
    const isLinear = heads.size === 0 || (heads.size === 1 && node.parents.length === 1 && node.parents[0] === head);
    const cutsLeft = this.#dag.insert(node);
    if (node.parents.length === 0) {
      this.#genesis = node.op;
      this.#gid = node.op.opId;
    }
    this.#nameDevices(node);
    this.#state = undefined;
    this.#tip = undefined;
    if (isLinear) return;
    this.#statesAt.clear();
    if (cutsLeft < this.#settled.cuts) this.#goBackTo(cutsLeft);
  }

  #nameDevices(node: OpNode): void {
    for (const { person, signPub, did } of devicesNamedBy(node)) {
      const known = this.#devices.get(did);
      if (known === undefined) this.#devices.set(did, { person, signPub, namedBy: new Set([node]) });
      else known.namedBy.add(node);
    }
  }

  // --- folding

  /** Judges what came since the last time: one op on the single head costs what its changes cost. */
  #resolve(): void {
    const { cuts } = this.#dag;
    while (this.#settled.cuts < cuts.length) this.#settleNext();
    if (this.#tip !== undefined || this.#settled.ops === this.#dag.order.length) return;
    const region = this.#regionAfter(this.#settled);
    region.resolve();
    this.#tip = region.stateAtEnd();
  }

  #settleNext(): void {
    const cut = this.#nextCut(this.#settled);
    let { fold } = this.#settled;
    let mayReuse = !this.#isShared;
    const place = this.#dag.placeOf(cut);
    if (place > this.#settled.ops) {
      const region = this.#regionAfter(this.#settled);
      region.resolve();
      fold = region.stateAtEnd();
      mayReuse = true;
    }
    const { verdict, after } = attempt(cut, { before: fold, mayReuse, dag: this.#dag });
    cut.verdict = verdict;
    if (after !== this.#settled.fold) this.#isShared = false;
    this.#settled = { cuts: this.#settled.cuts + 1, ops: place + 1, fold: after };
    if (this.#settled.cuts % checkpointEvery === 0) this.#checkpoints.push({ ...this.#settled, fold: after.clone() });
  }

  /** What is between this cut and the next, or after the last. */
  #regionAfter({ cuts, ops, fold }: Checkpoint): OpRegion {
    const next = this.#dag.cuts[cuts];
    const nodes = this.#dag.order.slice(ops, next === undefined ? undefined : this.#dag.placeOf(next));
    return new OpRegion({ base: fold, nodes, dag: this.#dag });
  }

  #nextCut({ cuts }: Checkpoint): OpNode {
    const cut = this.#dag.cuts[cuts];
    if (cut === undefined) throw new RangeError('no such cut');
    return cut;
  }

  #goBackTo(cuts: number): void {
    this.#checkpoints = this.#checkpoints.filter((checkpoint) => checkpoint.cuts <= cuts);
    const last = this.#lastCheckpoint(cuts);
    this.#settled = { ...last, fold: last.fold.clone() };
    this.#isShared = false;
  }

  #lastCheckpoint(cuts: number): Checkpoint {
    const last = this.#checkpoints.findLast((checkpoint) => checkpoint.cuts <= cuts);
    if (last === undefined) throw new RangeError('no checkpoint');
    return last;
  }

  /** The state after some ops in the middle, whose verdicts are known. */
  #foldAt(nodes: readonly OpNode[]): GroupFold {
    const greatest = Math.max(...nodes.map((node) => this.#dag.cutsUpTo(node)));
    const start = this.#lastCheckpoint(greatest);
    let at: Checkpoint = { ...start, fold: start.fold.clone() };
    while (at.cuts < greatest) {
      const cut = this.#nextCut(at);
      const place = this.#dag.placeOf(cut);
      const fold = place > at.ops ? this.#regionAfter(at).stateAtEnd() : at.fold;
      if (typeof cut.verdict !== 'string') fold.apply(cut);
      at = { cuts: at.cuts + 1, ops: place + 1, fold };
    }
    return this.#regionAfter(at).stateAfter(nodes);
  }

  /** The op, or, of one whose author nobody knows, what comes before it. */
  #nodesOf(opId: OpId): readonly OpNode[] {
    const name = hex(opId);
    const node = this.#dag.get(name);
    const nodes = node === undefined ? this.#strangers.get(name)?.parents : [node];
    if (nodes === undefined) throw new RangeError('no such op in the log');
    return nodes;
  }

  #known(): ReadOp {
    if (this.#genesis === undefined) throw new Error('a group without its genesis');
    return this.#genesis;
  }
}

type Stranger = { readonly op: ReadOp; readonly parents: readonly OpNode[] };
type KnownDevice = { readonly person: Uid; readonly signPub: Uint8Array; readonly namedBy: Set<OpNode> };
/** The state after the first `cuts` cuts, which are among the first `ops` ops. */
type Checkpoint = { readonly cuts: number; readonly ops: number; readonly fold: GroupFold };

/** A late fork is judged again from the last of these on: a millisecond or two. */
const checkpointEvery = 256;
const statesKept = 64;

function compareOps(a: ReadOp, b: ReadOp): number {
  return a.body.depth - b.body.depth || compare(a.opId, b.opId);
}

type NamedDevice = { readonly person: Uid; readonly did: string; readonly signPub: Uint8Array };

function devicesNamedBy({ steps }: OpNode): NamedDevice[] {
  return steps.flatMap((step) => {
    if (step.kind === 'add-device') return [{ person: step.person, did: step.did, signPub: step.device.signPub }];
    if (step.kind !== 'add' && step.kind !== 'genesis') return [];
    return [...step.devices].map(([did, { signPub }]) => ({ person: step.person, did, signPub }));
  });
}
