// One group's log on this device: fetched from the node, opened, judged, kept; and the epochs whose keys it hands out (spec/protocol.md §4).
import type { Device } from '../keys/device.ts';
import { signingKeyFromSeed } from '../keys/ed25519.ts';
import {
  appendSeed,
  checkCommitments,
  type EpochKeys,
  type EpochSecrets,
  epochContext,
  epochKeysCodec,
  epochOfGroupKey,
  freshEpoch,
  gTagOf,
  openEpoch,
  ratchetEpoch,
} from '../keys/epoch.ts';
import { makeGroupKeyShards, openGroupKeyShard, shardMembers } from '../keys/group-key.ts';
import { shardHashOf } from '../keys/identity.ts';
import type { KeyAgent } from '../keys/key-agent.ts';
import { openOp, sealOp } from '../keys/log-seal.ts';
import { type ReadOp, readOp, signOp } from '../keys/op.ts';
import { type GroupState, OpLog } from '../keys/resolve.ts';
import { compare, equal, hex } from '../wire/bytes.ts';
import { bytesN, type Decoded, decode, encode, list8, list16, numberOf, struct, u32 } from '../wire/codec.ts';
import { type Change, type Epoch, epochModes, type OpBody, roles } from '../wire/group-ops.ts';
import { asOpId, type Did, type Gid, type GTag, gTagCodec, type OpId, opIdCodec, type Uid } from '../wire/ids.ts';
import { limits } from '../wire/limits.ts';
import { type LogAppend, type LogEntry, logAppend } from '../wire/node-messages.ts';
import type { NodeLine } from './node-line.ts';
import { NodeRefusal } from './node-requests.ts';
import type { Random, Store, StoreChange } from './ports.ts';
import { isRefusal } from './refusals.ts';
import { Turns } from './turns.ts';

/** What a caller of `commit` wants changed, decided anew on each try against the state of then. */
export type Plan = {
  changes: Change[];
  /** ratchet: for adding people. Their certificates, for the shards. */
  epoch: 'none' | { ratchet: { uid: Uid; certificate: Uint8Array }[] };
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
/** Entries that came before what they follow. */
const orphansMost = 256;
/** A shard that the node does not give now is asked for again. */
const shardPause = 60_000;

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

const zeros = asOpId(new Uint8Array(32));

export class GroupLog {
  readonly gid: Gid;
  readonly gTag: GTag;
  readonly #needs: GroupLogNeeds;
  readonly #turns = new Turns();
  readonly #ops = new OpLog();
  readonly #epochs = new Map<string, EpochKeys>();
  #logKeys: Uint8Array[];
  #lastNo = 0;
  #nodeHeads: OpId[] = [];
  /** Our genesis while the node does not have it yet. */
  #unsent: ReadOp | undefined;
  readonly #orphans: ReadOp[] = [];
  /** Epochs whose keys could not be had: when to ask again, or never. */
  readonly #unopened = new Map<string, number>();
  #grown: () => void = () => undefined;

  private constructor(needs: GroupLogNeeds, facts: GroupLogFacts) {
    this.#needs = needs;
    this.gid = facts.gid;
    this.gTag = facts.gTag;
    this.#logKeys = facts.logKeys;
  }

  /** A new group of one. It is kept here first; the node gets it with the next `sync`. */
  static async create(
    needs: GroupLogNeeds,
    parts: { name: string; certificate: Uint8Array; certHash: Uint8Array },
  ): Promise<GroupLog> {
    const { me, random, agent } = needs;
    const policy = { name: parts.name, history: { history: 'from-join' }, admit: roles.admin, suite: 1, wrap: 1 } as const;
    const devices = [me.certificate];
    const changes: Change[] = [{ kind: 'genesis', salt: random(32), policy, founder: me.uid, certHash: parts.certHash, devices }];
    const facts = { gid: zeros, parents: [], depth: 0, author: me.did, changes };
    const ctx = epochContext({ ...facts, mode: epochModes.fresh, newGK: 1 });
    const secrets = freshEpoch({ ctx, wrap: 1, random });
    const members = [{ uid: me.uid, certificate: parts.certificate }];
    const shards = await makeGroupKeyShards({ members, ctx, ...secrets, agent, now: needs.now() });
    const body: OpBody = { ...facts, wall: needs.now(), epoch: epochOf(secrets, epochModes.fresh, shards) };
    const op = await signOp({ body, signer: me.signer });
    const log = new GroupLog(needs, { gid: op.opId, gTag: gTagOf(secrets.logKey), logKeys: [secrets.logKey] });
    log.#ops.add(op);
    log.#unsent = op;
    const keys = openEpoch({ secrets, epochId: op.opId, dids: [me.did] });
    log.#epochs.set(hex(op.opId), keys);
    const unsentShards = shards.map((value, i) => ({ put: ['shard', hex(log.gid), i], value }));
    await needs.store.write([log.#opChange(op), log.#epochChange(keys), log.#logChange(), ...unsentShards]);
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

  /** An epoch of ours whose key could not be had yet: `sync` tries again. */
  lacksKeys(): boolean {
    return [...this.#unopened].some(([opId, until]) => until !== Number.POSITIVE_INFINITY && !this.#epochs.has(opId));
  }

  isSent(): boolean {
    return this.#unsent === undefined;
  }

  /** Keys of an epoch, if this device has them. */
  epoch(epochId: OpId): EpochKeys | undefined {
    return this.#epochs.get(hex(epochId));
  }

  /** Newest first, at most four: what signals and links are tagged with. */
  newestEpochs(): EpochKeys[] {
    return this.#openedInOrder().slice(-4).reverse();
  }

  /** What this device sends under: the newest epoch in force, if its keys are here. */
  currentEpoch(): EpochKeys | undefined {
    return this.#openedInOrder().at(-1);
  }

  /** The newest epoch in force, whether its keys are here or not. */
  epochInForce(): OpId | undefined {
    return this.#ops.state().epochs.at(-1)?.opId;
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
    if (stored.lastNo === 0) this.#unsent = this.#ops.get(this.gid);
    for (const { value } of await store.range(['epoch', hex(this.gid)])) {
      const keys = decode(epochKeysCodec, value);
      this.#epochs.set(hex(keys.epochId), keys);
    }
  }

  async #sync(): Promise<void> {
    if (this.#unsent !== undefined) await this.#sendGenesis(this.#unsent);
    const before = this.#ops.size;
    while ((await this.#fetchPage()) === 'more');
    if ((await this.#openEpochs()) || this.#ops.size > before) this.#grown();
  }

  /** Reads the log from its beginning, for the node's numbers and heads; what we have of it stays. */
  async #fetchAnew(): Promise<void> {
    this.#lastNo = 0;
    this.#nodeHeads = [];
    await this.#sync();
  }

  /** Store, then memory. */
  async #fetchPage(): Promise<'more' | 'end'> {
    const { line, store, note } = this.#needs;
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
    const logKeys = [...this.#logKeys];
    const ops: ReadOp[] = [];
    const refusals: string[] = [];
    for (const entry of entries) {
      nodeHeads = withHead(nodeHeads, entry.opId, entry.parents);
      if (this.#ops.has(entry.opId)) continue;
      const op = await this.#read(entry, logKeys);
      if (typeof op === 'string') refusals.push(`${entry.no} ${op}`);
      else ops.push(op);
    }
    if (refusals.length > 0) note(`${refusals.length} log entries refused, the first: ${refusals[0]}`);
    await store.write([...ops.map((op) => this.#opChange(op)), this.#logChange({ logKeys, lastNo, nodeHeads })]);
    this.#logKeys = logKeys;
    this.#lastNo = lastNo;
    this.#nodeHeads = nodeHeads;
    this.#addAll(ops);
    return more === 1 ? 'more' : 'end';
  }

  /** The op, or why there is none; `logKeys` grows by the earlier keys that the entry leads back to. */
  async #read(entry: LogEntry, logKeys: Uint8Array[]): Promise<ReadOp | string> {
    const opened = await openOp({ gTag: this.gTag, opId: entry.opId, logKeys: [...logKeys].reverse(), sealed: entry.sealed });
    if (opened === undefined) return 'not sealed for us';
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

  /** Also those that waited for one of these. */
  #addAll(ops: readonly ReadOp[]): void {
    let waiting = [...this.#orphans.splice(0), ...ops];
    for (let left = -1; left !== waiting.length; ) {
      left = waiting.length;
      waiting = waiting.filter((op) => {
        const outcome = this.#ops.add(op);
        if (outcome === 'refused') this.#needs.note(`log entry refused: ${this.#ops.refusalOf(op) ?? outcome}`);
        return outcome === 'missing-parents';
      });
    }
    this.#orphans.push(...waiting.slice(-orphansMost));
  }

  /** Opens what can be opened, oldest first, because a ratcheted epoch needs the one before it. */
  async #openEpochs(): Promise<boolean> {
    let opened = false;
    for (const { opId } of this.state()?.epochs ?? []) {
      if (this.#epochs.has(hex(opId)) || this.#isPutOff(opId)) continue;
      const op = this.#ops.get(opId);
      if (op?.body.epoch === undefined || !this.#isMemberAt(opId)) continue;
      const secrets = await this.#secretsOf(op, op.body.epoch);
      if (typeof secrets === 'string') {
        // A shard that is there and wrong stays wrong: each look at it would cost a private-key operation.
        this.#unopened.set(hex(opId), secrets === 'never' ? Number.POSITIVE_INFINITY : this.#needs.now() + shardPause);
        continue;
      }
      await this.#keepEpoch(openEpoch({ secrets, epochId: opId, dids: this.#sendersAt(opId) }));
      opened = true;
    }
    return opened;
  }

  /** Tried, and not to be tried again yet. The node's time may jump. */
  #isPutOff(opId: OpId): boolean {
    const until = this.#unopened.get(hex(opId));
    if (until === undefined || until === Number.POSITIVE_INFINITY) return until !== undefined;
    const now = this.#needs.now();
    return now < until && until <= now + shardPause;
  }

  async #keepEpoch(keys: EpochKeys): Promise<void> {
    const isNewKey = !this.#logKeys.some((known) => equal(known, keys.logKey));
    const logKeys = isNewKey ? [...this.#logKeys, keys.logKey].slice(-logKeysMost) : this.#logKeys;
    await this.#needs.store.write([this.#epochChange(keys), this.#logChange({ logKeys })]);
    this.#logKeys = logKeys;
    this.#epochs.set(hex(keys.epochId), keys);
  }

  async #secretsOf(op: ReadOp, epoch: Epoch): Promise<EpochSecrets | 'later' | 'never'> {
    const { body } = op;
    const ctx = epochContext({ ...body, mode: epoch.mode, newGK: epoch.newGK });
    const wrap = this.#ops.stateAt([op.opId]).policy.wrap;
    const parent = body.parents.length === 1 ? this.#epochAt(body.parents[0]) : undefined;
    const secrets =
      epoch.mode === epochModes.ratchet && parent !== undefined
        ? ratchetEpoch({ ctx, wrap, parent })
        : await this.#secretsFromShard(op, epoch, ctx);
    if (typeof secrets === 'string') return secrets;
    const check = checkCommitments(secrets, epoch);
    if (check === 'match') return secrets;
    this.#needs.note(`epoch refused: ${check}`);
    return 'never';
  }

  async #secretsFromShard(op: ReadOp, epoch: Epoch, ctx: Uint8Array): Promise<EpochSecrets | 'later' | 'never'> {
    const { me, agent, line, now, note } = this.#needs;
    const shards = shardMembers(this.#recipients(op, epoch));
    const index = shards.findIndex((uids) => uids.some((uid) => equal(uid, me.uid)));
    const [uids, hash] = [shards[index], epoch.gkShardHashes[index]];
    if (uids === undefined || hash === undefined) return 'never';
    try {
      const { shard } = await line.request({ type: 'get-shard', gTag: this.gTag, hash });
      const opened = await openGroupKeyShard({ shard, hash, ctx, uids, epoch, agent, now: now() });
      if (typeof opened !== 'string') return epochOfGroupKey({ ctx, ...opened });
      note(`group key refused: ${opened}`);
      return opened === 'other-shard' ? 'later' : 'never';
    } catch (error) {
      // The node does not give it, or the person's key is locked.
      if (!(error instanceof NodeRefusal) && !isRefusal(error)) throw error;
      note(`group key not here yet: ${error.message}`);
      return 'later';
    }
  }

  /** Who gets a shard: those added by a ratcheting op, everybody who reads by a fresh one. */
  #recipients(op: ReadOp, epoch: Epoch): Uid[] {
    if (epoch.mode === epochModes.ratchet)
      return op.body.changes.flatMap((change) => (change.kind === 'add' ? [change.uid] : []));
    return [...this.#ops.stateAt([op.opId]).members.values()].filter(({ role }) => role >= roles.member).map(({ uid }) => uid);
  }

  #epochAt(opId: OpId | undefined): EpochKeys | undefined {
    for (let at = opId; at !== undefined; ) {
      const op = this.#ops.get(at);
      if (op === undefined) return undefined;
      if (op.body.epoch !== undefined) return this.#epochs.get(hex(at));
      at = op.body.parents.length === 1 ? op.body.parents[0] : undefined;
    }
    return undefined;
  }

  #isMemberAt(opId: OpId): boolean {
    const member = this.#ops.stateAt([opId]).members.get(hex(this.#needs.me.uid));
    return member !== undefined && member.role >= roles.member;
  }

  #sendersAt(opId: OpId): Did[] {
    const members = [...this.#ops.stateAt([opId]).members.values()].filter(({ role }) => role >= roles.member);
    return members.flatMap(({ devices }) => [...devices.values()].map(({ did }) => did));
  }

  #openedInOrder(): EpochKeys[] {
    if (this.#ops.size === 0) return [];
    return this.#ops.state().epochs.flatMap(({ opId }) => this.#epochs.get(hex(opId)) ?? []);
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
    const { me, agent, store } = this.#needs;
    const parents = this.#ops.heads();
    const depth = 1 + Math.max(...parents.map((id) => this.depthOf(id) ?? 0));
    const current = this.#epochAt(parents.length === 1 ? parents[0] : undefined);
    if (current === undefined) throw new NodeRefusal('append-refused');
    const facts = { gid: this.gid, parents, depth, author: me.did, changes: plan.changes };
    const now = this.#needs.now();
    let epoch: Epoch | undefined;
    let shards: Uint8Array[] = [];
    let secrets: EpochSecrets | undefined;
    if (plan.epoch !== 'none') {
      const ctx = epochContext({ ...facts, mode: epochModes.ratchet, newGK: 1 });
      secrets = ratchetEpoch({ ctx, wrap: this.#ops.state().policy.wrap, parent: current });
      shards = await makeGroupKeyShards({ members: plan.epoch.ratchet, ctx, ...secrets, agent, now });
      epoch = epochOf(secrets, epochModes.ratchet, shards);
    }
    const op = await signOp({ body: { ...facts, wall: now, epoch }, signer: me.signer });
    const no = await this.#send(op, { keys: [current, secrets], shards, logKey: current.logKey, expectedHeads: this.#nodeHeads });
    if (no === 'conflict') return 'conflict';
    // What the node says of its number is believed only where it is the next.
    const lastNo = no === this.#lastNo + 1 ? no : this.#lastNo;
    const nodeHeads = withHead(this.#nodeHeads, op.opId, parents);
    await store.write([this.#opChange(op), this.#logChange({ lastNo, nodeHeads })]);
    this.#lastNo = lastNo;
    this.#nodeHeads = nodeHeads;
    if (this.#ops.add(op) !== 'added') throw new Error('the log refuses an op of our own');
    if (secrets !== undefined) await this.#keepEpoch(openEpoch({ secrets, epochId: op.opId, dids: this.#sendersAt(op.opId) }));
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
      sealed: await sealOp({ gTag, logKey: parts.logKey, op: op.bytes }),
      shards: parts.shards.map(shardHashOf),
      appendPub: signer.publicKey,
      nextAppendPub: next === undefined ? undefined : (await signingKeyFromSeed(appendSeed(next.groupKey))).publicKey,
      retire: 0,
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

  #epochChange(keys: EpochKeys): StoreChange {
    return { put: ['epoch', hex(this.gid), hex(keys.epochId)], value: encode(epochKeysCodec, keys) };
  }

  /** The record as it will be with these parts. */
  #logChange(next: { logKeys?: Uint8Array[]; lastNo?: number; nodeHeads?: OpId[] } = {}): StoreChange {
    const now = { logKeys: this.#logKeys, lastNo: this.#lastNo, nodeHeads: this.#nodeHeads };
    const value = encode(storedLog, { version: 1, gid: this.gid, gTag: this.gTag, ...now, ...next });
    return { put: ['log', hex(this.gid)], value };
  }
}

function epochOf(secrets: EpochSecrets, mode: 1 | 2, shards: Uint8Array[]): Epoch {
  const { gkCommit, esCommit } = secrets;
  return {
    mode,
    newGK: 1,
    gkCommit,
    esCommit,
    gkShardHashes: shards.map(shardHashOf),
    esShardHashes: [],
    frontier: [],
    excluded: [],
  };
}

function withHead(heads: OpId[], opId: OpId, parents: OpId[]): OpId[] {
  const left = heads.filter((head) => !parents.some((parent) => equal(parent, head)) && !equal(head, opId));
  return [...left, opId].sort(compare).slice(-limits.opParents);
}
