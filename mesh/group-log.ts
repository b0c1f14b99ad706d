// One group's log on this device: fetched from the node, opened, judged, kept; and the epochs whose keys it hands out (spec/protocol.md §4).
import type { Device } from '../keys/device.ts';
import { signingKeyFromSeed } from '../keys/ed25519.ts';
import { appendSeed, type EpochKeys, gTagOf } from '../keys/epoch.ts';
import { shardHashOf } from '../keys/identity.ts';
import type { KeyAgent } from '../keys/key-agent.ts';
import { openOp, sealOp } from '../keys/log-seal.ts';
import { type ReadOp, readOp, signOp } from '../keys/op.ts';
import { type GroupState, OpLog } from '../keys/resolve.ts';
import { compare, equal, hex } from '../wire/bytes.ts';
import { bytesN, type Decoded, decode, encode, list8, list16, numberOf, struct, u32 } from '../wire/codec.ts';
import { type Change, roles } from '../wire/group-ops.ts';
import { asOpId, type Did, type Gid, type GTag, gTagCodec, type OpId, opIdCodec } from '../wire/ids.ts';
import { limits } from '../wire/limits.ts';
import { type LogAppend, type LogEntry, logAppend } from '../wire/node-messages.ts';
import { beginEpoch, Epochs, type NewEpoch } from './epochs.ts';
import type { NodeLine } from './node-line.ts';
import { NodeRefusal } from './node-requests.ts';
import type { Random, Store, StoreChange } from './ports.ts';
import { isRefusal } from './refusals.ts';
import { Turns } from './turns.ts';

/** What a caller of `commit` wants changed, decided anew on each try against the state of then. */
export type Plan = {
  changes: Change[];
  epoch: 'none' | NewEpoch;
};

export type GroupLogNeeds = {
  me: Device;
  agent: KeyAgent;
  line: NodeLine;
  store: Store;
  random: Random;
  /** The node's time. */
  now(): number;
  note(text: string): void;
};

export type GroupLogFacts = { gid: Gid; gTag: GTag; logKeys: Uint8Array[] };

const triesMost = 8;
/** Earlier log keys, of entries that changed it: a group lives through fewer. */
const logKeysMost = 1024;
/** Entries that cannot be read yet, or came before what they follow. */
const unreadMost = 512;
/** Those are fetched again, in case the node showed us something else than the truth: the pause doubles. */
const rereadPause = 60_000;
const longestRereadPause = 60 * 60_000;

const storedLog = struct({
  version: numberOf(1, 1),
  gid: opIdCodec,
  gTag: gTagCodec,
  /** Oldest first. */
  logKeys: list16(bytesN(32), logKeysMost),
  /** The last number fetched from the node. */
  lastNo: u32,
  /** Heads of what the node has, ours to open or not. */
  nodeHeads: list8(opIdCodec, limits.opParents),
});

/** Of a removed device: in which depth that was said, and the last number that counts. */
type Frontier = { readonly depth: number; readonly seq: number };

const zeros = asOpId(new Uint8Array(32));

export class GroupLog {
  readonly gid: Gid;
  readonly gTag: GTag;
  readonly #needs: GroupLogNeeds;
  readonly #turns = new Turns();
  readonly #ops = new OpLog();
  readonly #epochs: Epochs;
  #logKeys: Uint8Array[];
  #saidKey: Uint8Array | undefined;
  #lastNo = 0;
  #nodeHeads: OpId[] = [];
  /** Our genesis while the node does not have it yet. */
  #unsent: ReadOp | undefined;
  /** Taken into memory and not on disk, because a write failed: they go along with the next. */
  #unwritten: ReadOp[] = [];
  /** Entries under keys that are not here yet, or never will be; and those that follow what is not here. */
  #unread: LogEntry[] = [];
  /** The first entry that was refused for what stands in it. */
  #refusedFrom = Number.POSITIVE_INFINITY;
  #reread: { due: number; pause: number } | undefined;
  #frontiers: { of: GroupState | undefined; byDevice: ReadonlyMap<string, readonly Frontier[]> } | undefined;
  #grown: () => void = () => undefined;

  private constructor(needs: GroupLogNeeds, facts: GroupLogFacts) {
    this.#needs = needs;
    this.gid = facts.gid;
    this.gTag = facts.gTag;
    this.#logKeys = facts.logKeys;
    const { me, agent, line, random, now, note } = needs;
    this.#epochs = new Epochs({ uid: me.uid, gid: facts.gid, gTag: facts.gTag, ops: this.#ops, agent, line, random, now, note });
  }

  /** A new group of one. It is kept here first; the node gets it with the next `sync`. */
  static async create(
    needs: GroupLogNeeds,
    parts: { name: string; certificate: Uint8Array; certHash: Uint8Array },
  ): Promise<GroupLog> {
    const { me, random } = needs;
    const policy = { name: parts.name, history: { history: 'from-join' }, admit: roles.admin, suite: 1, wrap: 1 } as const;
    const devices = [me.certificate];
    const changes: Change[] = [{ kind: 'genesis', salt: random(32), policy, founder: me.uid, certHash: parts.certHash, devices }];
    const facts = { gid: zeros, parents: [], depth: 0, author: me.did, changes };
    const founder = { uid: me.uid, certificate: parts.certificate };
    const begun = await beginEpoch(needs, facts, { fresh: [founder], frontier: [] }, { wrap: 1, parent: undefined });
    const { secrets, shards } = begun;
    const op = await signOp({ body: { ...facts, wall: needs.now(), epoch: begun.epoch }, signer: me.signer });
    const log = new GroupLog(needs, { gid: op.opId, gTag: gTagOf(secrets.logKey), logKeys: [secrets.logKey] });
    log.#ops.add(op);
    log.#unsent = op;
    const keys = log.#epochs.opened(op.opId, secrets);
    log.#epochs.keep(keys);
    const unsentShards = shards.map((value, i) => ({ put: ['shard', hex(log.gid), i], value }));
    await needs.store.write([log.#opChange(op), log.#epochs.change(keys), log.#logChange(), ...unsentShards]);
    return log;
  }

  /** One that is known from an invite or a welcome; empty until `sync`. */
  static open(needs: GroupLogNeeds, facts: GroupLogFacts): GroupLog {
    return new GroupLog(needs, facts);
  }

  /** Every group that is kept here. */
  static async loadAll(needs: GroupLogNeeds): Promise<GroupLog[]> {
    const logs: GroupLog[] = [];
    for (const { value } of await needs.store.range(['log'])) {
      const stored = decode(storedLog, value);
      const log = new GroupLog(needs, stored);
      await log.#load(stored);
      logs.push(log);
    }
    return logs;
  }

  state(): GroupState | undefined {
    return this.#ops.size === 0 ? undefined : this.#ops.state();
  }

  get ops(): OpLog {
    return this.#ops;
  }

  get newestLogKey(): Uint8Array {
    return this.currentEpoch()?.logKey ?? this.#logKeys.at(-1) ?? new Uint8Array(32);
  }

  get logKeys(): readonly Uint8Array[] {
    return this.#logKeys;
  }

  /** Somebody says that this is a newer key: tried with the others until the next is said, and kept once it has opened something. */
  learnLogKey(logKey: Uint8Array): void {
    this.#saidKey = logKey;
  }

  /** An epoch of ours whose key could not be had yet: `sync` tries again. */
  lacksKeys(): boolean {
    return this.#epochs.lacksKeys();
  }

  /** The node has entries on top that could not be read: `sync` looks at them again. */
  lacksEntries(): boolean {
    return this.#nodeHeads.some((head) => !this.#ops.has(head));
  }

  isSent(): boolean {
    return this.#unsent === undefined;
  }

  /** Keys of an epoch, if this device has them. */
  epoch(epochId: OpId): EpochKeys | undefined {
    return this.#epochs.get(epochId);
  }

  /** Newest first, at most four: what signals and links are tagged with. */
  newestEpochs(): EpochKeys[] {
    return this.#epochs.inOrder().slice(-4).reverse();
  }

  /** What this device sends under: the newest epoch in force, if its keys are here. */
  currentEpoch(): EpochKeys | undefined {
    return this.#epochs.inOrder().at(-1);
  }

  /** The newest epoch in force, whether its keys are here or not. */
  epochInForce(): OpId | undefined {
    return this.#ops.state().epochs.at(-1)?.opId;
  }

  /** The last number of that device that counts in an epoch: what a removed device sent beyond it was sent too late. */
  frontierOf(did: Did, epochId: OpId): number {
    const named = this.#frontiersNow().get(hex(did));
    if (named === undefined) return Number.POSITIVE_INFINITY;
    const begun = this.depthOf(epochId) ?? 0;
    const later = named.filter(({ depth }) => depth > begun).map(({ seq }) => seq);
    return later.length === 0 ? Number.POSITIVE_INFINITY : Math.max(...later);
  }

  /** Devices that an epoch in force names as removed, in hex. */
  removedDevices(): Iterable<string> {
    return this.#frontiersNow().keys();
  }

  #frontiersNow(): ReadonlyMap<string, readonly Frontier[]> {
    const state = this.state();
    if (this.#frontiers?.of === state) return this.#frontiers?.byDevice ?? new Map();
    const byDevice = new Map<string, Frontier[]>();
    for (const { opId, depth } of state?.epochs ?? [])
      for (const { did, seq } of this.#ops.get(opId)?.body.epoch?.frontier ?? [])
        byDevice.set(hex(did), [...(byDevice.get(hex(did)) ?? []), { depth, seq }]);
    this.#frontiers = { of: state, byDevice };
    return byDevice;
  }

  depthOf(opId: OpId): number | undefined {
    return this.#ops.get(opId)?.body.depth;
  }

  /** Called whenever there are new entries or keys, whoever brought them. One listener. */
  onGrown(grown: () => void): void {
    this.#grown = grown;
  }

  /** Takes what the node has and this device does not. Rejects with NodeRefusal when the node cannot be asked. */
  sync(): Promise<void> {
    return this.#turns.share(() => this.#sync());
  }

  /**
   * Adds an op on top of what the node has. `plan` is asked again whenever somebody was faster; undefined means that nothing is left to do.
   * Rejects with NodeRefusal.
   */
  commit(plan: (state: GroupState) => Promise<Plan | undefined>): Promise<OpId | 'not-needed'> {
    return this.#turns.take(async () => {
      await this.#sync();
      for (let tries = 0; tries < triesMost; tries++) {
        const wanted = await plan(this.#ops.state());
        if (wanted === undefined) return 'not-needed';
        const outcome = await this.#append(wanted);
        if (outcome !== 'conflict') return outcome;
        const before = this.#lastNo;
        await this.#sync();
        // Other heads than ours and nothing that we have not read: it has another log than it had.
        if (this.#lastNo === before) await this.#fetchAnew();
      }
      throw new NodeRefusal('busy');
    });
  }

  /** Forgets the group on this device. Nothing else may be asked of this log after it. */
  erase(): Promise<void> {
    return this.#turns.take(async () => {
      const { store } = this.#needs;
      const name = hex(this.gid);
      const removals: StoreChange[] = [{ remove: ['log', name] }];
      for (const kind of ['op', 'epoch', 'shard'])
        for (const { key } of await store.range([kind, name])) removals.push({ remove: key });
      await store.write(removals);
    });
  }

  async #load(stored: Decoded<typeof storedLog>): Promise<void> {
    const { store } = this.#needs;
    this.#lastNo = stored.lastNo;
    this.#nodeHeads = stored.nodeHeads;
    // By depth: what an op follows comes before it.
    for (const { value } of await store.range(['op', hex(this.gid)])) this.#ops.addVerifiedBefore(readOp(value));
    if (stored.nodeHeads.length === 0) this.#unsent = this.#ops.get(this.gid);
    await this.#epochs.load(store);
  }

  async #sync(): Promise<void> {
    const wasUnsent = this.#unsent !== undefined;
    if (this.#unsent !== undefined) await this.#sendGenesis(this.#unsent);
    const before = this.#ops.size;
    this.#rereadIfDue();
    const { length: keysBefore } = this.#logKeys;
    let opened = await this.#readOn();
    // There was more than could be kept before the key came that leads back to it.
    if (this.lacksEntries() && this.#unread.length >= unreadMost && this.#logKeys.length > keysBefore) {
      this.#startOver(0);
      opened = (await this.#readOn()) || opened;
    }
    // Screens say of a group that it is on this device only.
    if (wasUnsent || opened || this.#ops.size > before) this.#grown();
  }

  /** To the end of what the node has. Whether keys of an epoch came. */
  async #readOn(): Promise<boolean> {
    let opened = false;
    for (let page: 'more' | 'end' = 'more'; page === 'more'; ) {
      page = await this.#fetchPage();
      // What follows a new key is sealed under it: open the epoch that brings it, then read on.
      do opened = (await this.#openEpochs()) || opened;
      while (await this.#readAgain());
    }
    return opened;
  }

  #rereadIfDue(): void {
    const now = this.#needs.now();
    const { due, pause } = this.#reread ?? { due: Number.POSITIVE_INFINITY, pause: rereadPause };
    if (!this.lacksEntries()) this.#reread = undefined;
    else if (this.#reread === undefined) this.#reread = { due: now + pause, pause };
    // The node's time may jump.
    else if (now >= due || due > now + longestRereadPause) {
      const longer = Math.min(2 * pause, longestRereadPause);
      this.#reread = { due: now + longer, pause: longer };
      const from = Math.min(this.#unread[0]?.no ?? Number.POSITIVE_INFINITY, this.#refusedFrom);
      this.#startOver(Number.isFinite(from) ? from - 1 : 0);
    }
  }

  /** The next page is that after this number; what we have of the log stays. */
  #startOver(after: number): void {
    this.#lastNo = after;
    this.#unread = [];
  }

  /** Reads the log from its beginning, for the node's numbers and heads. */
  async #fetchAnew(): Promise<void> {
    this.#startOver(0);
    this.#nodeHeads = [];
    await this.#sync();
  }

  async #fetchPage(): Promise<'more' | 'end'> {
    const { line, note } = this.#needs;
    const { entries, more } = await line.request({ type: 'get-log', gTag: this.gTag, after: this.#lastNo });
    if (entries.length === 0) return 'end';
    // Whoever miscounts would have us skip entries for good, or read for ever.
    const isInTurn = entries.every(({ no }, i) => no === this.#lastNo + 1 + i);
    const lastNo = this.#lastNo + entries.length;
    if (!isInTurn || lastNo > limits.groupOps) {
      note('the node miscounts a log');
      return 'end';
    }
    let nodeHeads = this.#nodeHeads;
    for (const { opId, parents } of entries) nodeHeads = withHead(nodeHeads, opId, parents);
    await this.#take([...this.#unread, ...entries], { lastNo, nodeHeads });
    return more === 1 ? 'more' : 'end';
  }

  /** Entries that were sealed under a key which has come since. */
  async #readAgain(): Promise<boolean> {
    const before = this.#unread.length;
    if (before > 0) await this.#take(this.#unread, { lastNo: this.#lastNo, nodeHeads: this.#nodeHeads });
    return this.#unread.length < before;
  }

  /**
   * Reads what can be read, and keeps what the log took. What it refused must not reach the disk: signatures are not checked again
   * when a kept log is opened.
   */
  async #take(entries: readonly LogEntry[], after: { lastNo: number; nodeHeads: OpId[] }): Promise<void> {
    const logKeys = [...this.#logKeys];
    const refusals: string[] = [];
    let unread = [...entries];
    // An entry that brought a new key leads back to the one before it.
    for (let left = -1; left !== unread.length; ) {
      left = unread.length;
      const next: LogEntry[] = [];
      for (const entry of unread) {
        const outcome = this.#ops.has(entry.opId) ? 'known' : await this.#takeOne(entry, logKeys);
        if (outcome === 'not yet') next.push(entry);
        else if (outcome !== 'added' && outcome !== 'known') {
          refusals.push(`${entry.no} ${outcome}`);
          this.#refusedFrom = Math.min(this.#refusedFrom, entry.no);
        }
      }
      unread = next;
    }
    if (refusals.length > 0) this.#needs.note(`${refusals.length} log entries refused, the first: ${refusals[0]}`);
    unread = unread.slice(-unreadMost);
    await this.#needs.store.write([
      ...this.#unwritten.map((op) => this.#opChange(op)),
      this.#logChange({ logKeys, unread, ...after }),
    ]);
    this.#unwritten = [];
    this.#unread = unread;
    this.#logKeys = logKeys;
    this.#lastNo = after.lastNo;
    this.#nodeHeads = after.nodeHeads;
  }

  /** Or what is wrong with it. */
  async #takeOne(entry: LogEntry, logKeys: Uint8Array[]): Promise<'added' | 'known' | 'not yet' | string> {
    const op = await this.#read(entry, logKeys);
    if (op === 'sealed') return 'not yet';
    if (typeof op === 'string') return op;
    const outcome = this.#ops.add(op);
    if (outcome === 'missing-parents') return 'not yet';
    if (outcome === 'refused') return this.#ops.refusalOf(op) ?? outcome;
    if (outcome === 'added') this.#unwritten.push(op);
    return outcome;
  }

  /** The op; 'sealed' under a key that is not here; or what is wrong with it. `logKeys` grows by the earlier keys that the entry leads back to. */
  async #read(entry: LogEntry, logKeys: Uint8Array[]): Promise<ReadOp | string> {
    const said = this.#saidKey === undefined ? [] : [this.#saidKey];
    const keys = [...said, ...[...logKeys].reverse()];
    const opened = await openOp({ gTag: this.gTag, opId: entry.opId, logKeys: keys, sealed: entry.sealed });
    if (opened === undefined) return 'sealed';
    if (logKeys.length < logKeysMost && !logKeys.some((known) => equal(known, opened.logKey))) logKeys.push(opened.logKey);
    let op: ReadOp;
    try {
      op = readOp(opened.op);
    } catch (error) {
      if (!isRefusal(error)) throw error;
      return error.message;
    }
    if (!equal(op.opId, entry.opId)) return 'another id';
    // The genesis names the group: another one in its place is another group.
    if (op.body.parents.length === 0 && !equal(op.opId, this.gid)) return 'another genesis';
    if (op.body.epoch?.newGK === 1)
      for (const key of opened.previousKeys)
        if (logKeys.length < logKeysMost && !logKeys.some((known) => equal(known, key))) logKeys.unshift(key);
    return op;
  }

  /** All that can be opened now. */
  async #openEpochs(): Promise<boolean> {
    let opened = false;
    for (let keys = await this.#epochs.openNext(); keys !== undefined; keys = await this.#epochs.openNext()) {
      await this.#keepEpoch(keys);
      opened = true;
    }
    return opened;
  }

  async #keepEpoch(keys: EpochKeys): Promise<void> {
    const isNewKey = !this.#logKeys.some((known) => equal(known, keys.logKey));
    const logKeys = isNewKey ? [...this.#logKeys, keys.logKey].slice(-logKeysMost) : this.#logKeys;
    await this.#needs.store.write([this.#epochs.change(keys), this.#logChange({ logKeys })]);
    this.#logKeys = logKeys;
    this.#epochs.keep(keys);
  }

  async #sendGenesis(op: ReadOp): Promise<void> {
    const { store } = this.#needs;
    const keys = this.epoch(op.opId);
    if (keys === undefined) throw new Error('a genesis without its keys');
    const shards = await store.range(['shard', hex(this.gid)]);
    const no = await this.#send(op, {
      keys: [keys, undefined],
      shards: shards.map(({ value }) => value),
      logKey: keys.logKey,
      retire: 0,
      expectedHeads: [],
    });
    if (no !== 1) throw new NodeRefusal('unexpected');
    const after = { lastNo: no, nodeHeads: [op.opId] };
    await store.write([this.#logChange(after), ...shards.map(({ key }): StoreChange => ({ remove: key }))]);
    this.#unsent = undefined;
    this.#lastNo = after.lastNo;
    this.#nodeHeads = after.nodeHeads;
  }

  async #append(plan: Plan): Promise<OpId | 'conflict'> {
    const { me, store, now } = this.#needs;
    const parents = this.#ops.heads();
    const depth = 1 + Math.max(...parents.map((id) => this.depthOf(id) ?? 0));
    const current = this.currentEpoch();
    const parent = parents.length === 1 ? this.#epochs.at(parents[0]) : undefined;
    if (current === undefined) throw new NodeRefusal('append-refused');
    const facts = { gid: this.gid, parents, depth, author: me.did, changes: plan.changes };
    const { wrap } = this.#ops.state().policy;
    const begun = plan.epoch === 'none' ? undefined : await beginEpoch(this.#needs, facts, plan.epoch, { wrap, parent });
    const op = await signOp({ body: { ...facts, wall: now(), epoch: begun?.epoch }, signer: me.signer });
    // A void op changes nothing, but its shards would hand out keys: it goes nowhere.
    const verdict = this.#ops.judge(op);
    if (verdict !== 'applied') {
      this.#needs.note(`an entry of ours would be void: ${verdict}`);
      throw new NodeRefusal('append-refused');
    }
    const keyAfter = (opId: OpId | undefined) => this.#epochs.at(opId)?.logKey ?? current.logKey;
    const newLogKey = begun?.secrets.logKey;
    const isNewKey = newLogKey !== undefined && !equal(newLogKey, current.logKey);
    const no = await this.#send(op, {
      keys: [current, begun?.secrets],
      shards: begun?.shards ?? [],
      logKey: keyAfter(parents[0]),
      brings: isNewKey ? { logKey: newLogKey, parentKeys: parents.map(keyAfter) } : undefined,
      // A new group key is made because somebody may know the old one who should not.
      retire: plan.epoch !== 'none' && 'fresh' in plan.epoch ? 1 : 0,
      expectedHeads: this.#nodeHeads,
    });
    if (no === 'conflict') return 'conflict';
    // What the node says of its number is believed only where it is the next.
    const lastNo = no === this.#lastNo + 1 ? no : this.#lastNo;
    const nodeHeads = withHead(this.#nodeHeads, op.opId, parents);
    await store.write([
      ...this.#unwritten.map((one) => this.#opChange(one)),
      this.#opChange(op),
      this.#logChange({ lastNo, nodeHeads }),
    ]);
    this.#unwritten = [];
    this.#lastNo = lastNo;
    this.#nodeHeads = nodeHeads;
    if (this.#ops.add(op) !== 'added') throw new Error('the log refuses an op of our own');
    if (begun !== undefined) await this.#keepEpoch(this.#epochs.opened(op.opId, begun.secrets));
    this.#grown();
    return op.opId;
  }

  /** Puts the shards, then appends: the number that the node gave, or that somebody was faster. */
  async #send(
    op: ReadOp,
    parts: {
      keys: [{ groupKey: Uint8Array }, { groupKey: Uint8Array } | undefined];
      shards: Uint8Array[];
      logKey: Uint8Array;
      brings?: { logKey: Uint8Array; parentKeys: Uint8Array[] } | undefined;
      retire: 0 | 1;
      expectedHeads: OpId[];
    },
  ): Promise<number | 'conflict'> {
    const { line } = this.#needs;
    const { gTag } = this;
    for (const shard of parts.shards) await line.request({ type: 'put-shard', gTag, shard });
    const [now, next] = parts.keys;
    const signer = await signingKeyFromSeed(appendSeed(now.groupKey));
    const append: LogAppend = {
      gTag,
      expectedHeads: [...parts.expectedHeads].sort(compare),
      opId: op.opId,
      parents: op.body.parents,
      sealed: await sealOp({
        gTag,
        logKey: parts.logKey,
        op: op.bytes,
        ...(parts.brings !== undefined && { brings: parts.brings }),
      }),
      shards: parts.shards.map(shardHashOf),
      appendPub: signer.publicKey,
      nextAppendPub: next === undefined ? undefined : (await signingKeyFromSeed(appendSeed(next.groupKey))).publicKey,
      retire: parts.retire,
    };
    const reply = await line.request({
      type: 'append',
      append,
      signature: await signer.sign('append', encode(logAppend, append)),
    });
    return reply.type === 'conflict' ? 'conflict' : reply.no;
  }

  #opChange(op: ReadOp): StoreChange {
    return { put: ['op', hex(this.gid), op.body.depth, hex(op.opId)], value: op.bytes };
  }

  /** The record as it will be with these parts. What cannot be read yet is fetched again after a restart. */
  #logChange(next: { logKeys?: Uint8Array[]; lastNo?: number; nodeHeads?: OpId[]; unread?: LogEntry[] } = {}): StoreChange {
    const now = { logKeys: this.#logKeys, lastNo: this.#lastNo, nodeHeads: this.#nodeHeads, unread: this.#unread, ...next };
    const lastNo = Math.min(now.lastNo, (now.unread[0]?.no ?? Number.POSITIVE_INFINITY) - 1);
    const value = encode(storedLog, { version: 1, gid: this.gid, gTag: this.gTag, ...now, lastNo });
    return { put: ['log', hex(this.gid)], value };
  }
}

function withHead(heads: OpId[], opId: OpId, parents: OpId[]): OpId[] {
  const left = heads.filter((head) => !parents.some((parent) => equal(parent, head)) && !equal(head, opId));
  return [...left, opId].sort(compare).slice(-limits.opParents);
}
