// The epochs of one group on this device: whose keys are here, how those of a new one are come by, and how one is begun (spec/protocol.md §4).
import {
  checkCommitments,
  type EpochKeys,
  type EpochSecrets,
  epochContext,
  epochKeysCodec,
  epochOfGroupKey,
  freshEpoch,
  openEpoch,
  ratchetEpoch,
} from '../keys/epoch.ts';
import { makeGroupKeyShards, openGroupKeyShard, shardMembers } from '../keys/group-key.ts';
import { shardHashOf } from '../keys/identity.ts';
import type { KeyAgent } from '../keys/key-agent.ts';
import type { ReadOp } from '../keys/op.ts';
import type { OpLog } from '../keys/resolve.ts';
import { equal, hex } from '../wire/bytes.ts';
import { decode, encode } from '../wire/codec.ts';
import { type Epoch, epochModes, type OpBody, roles } from '../wire/group-ops.ts';
import type { Did, FrameId, Gid, GTag, OpId, Uid } from '../wire/ids.ts';
import type { NodeLine } from './node-line.ts';
import { NodeRefusal } from './node-requests.ts';
import type { Random, Store, StoreChange } from './ports.ts';
import { isRefusal } from './refusals.ts';

export type EpochsNeeds = {
  uid: Uid;
  gid: Gid;
  gTag: GTag;
  ops: OpLog;
  agent: KeyAgent;
  line: NodeLine;
  random: Random;
  /** The node's time. */
  now(): number;
  note(text: string): void;
};

/** A member who gets the group key: with the certificate to encrypt it to, if there is one that can be used. */
export type Recipient = { uid: Uid; certificate: Uint8Array | undefined };

/** The last frame of a removed device that still counts. */
export type FrontierEntry = { did: Did; seq: number; frameId: FrameId };

/** How a commit begins an epoch. ratchet: for those it adds. fresh: a new group key for everybody who stays. */
export type NewEpoch = { ratchet: Recipient[] } | { fresh: Recipient[]; frontier: FrontierEntry[] };

/** What goes into the op, what is put at the node before it, and what the committer knows. */
export type BegunEpoch = { epoch: Epoch; shards: Uint8Array[]; secrets: EpochSecrets };

/** A shard that the node does not give now is asked for again. */
const shardPause = 60_000;

export class Epochs {
  readonly #needs: EpochsNeeds;
  readonly #keys = new Map<string, EpochKeys>();
  /** Those whose keys could not be had: when to ask again, or never. */
  readonly #unopened = new Map<string, number>();

  constructor(needs: EpochsNeeds) {
    this.#needs = needs;
  }

  async load(store: Store): Promise<void> {
    for (const { value } of await store.range(['epoch', hex(this.#needs.gid)])) this.keep(decode(epochKeysCodec, value));
  }

  /** The record of these keys: on disk before `keep`. */
  change(keys: EpochKeys): StoreChange {
    return { put: ['epoch', hex(this.#needs.gid), hex(keys.epochId)], value: encode(epochKeysCodec, keys) };
  }

  keep(keys: EpochKeys): void {
    this.#keys.set(hex(keys.epochId), keys);
  }

  get(epochId: OpId): EpochKeys | undefined {
    return this.#keys.get(hex(epochId));
  }

  /** Those in force whose keys are here, oldest first. */
  inOrder(): EpochKeys[] {
    const { ops } = this.#needs;
    return ops.size === 0 ? [] : ops.state().epochs.flatMap(({ opId }) => this.get(opId) ?? []);
  }

  /** The epoch that an op was made in or begins; undefined behind a merge, which always begins one. */
  at(opId: OpId | undefined): EpochKeys | undefined {
    for (let at = opId; at !== undefined; ) {
      const op = this.#needs.ops.get(at);
      if (op === undefined) return undefined;
      if (op.body.epoch !== undefined) return this.get(at);
      at = op.body.parents.length === 1 ? op.body.parents[0] : undefined;
    }
    return undefined;
  }

  /** One of ours whose key could not be had yet: `openNext` tries again. */
  lacksKeys(): boolean {
    return [...this.#unopened].some(([opId, until]) => until !== Number.POSITIVE_INFINITY && !this.#keys.has(opId));
  }

  /** The oldest that can be opened and is not: a ratcheted one needs the one before it. To be kept, then asked again. */
  async openNext(): Promise<EpochKeys | undefined> {
    const { ops, now } = this.#needs;
    for (const { opId } of ops.size === 0 ? [] : ops.state().epochs) {
      if (this.#keys.has(hex(opId)) || this.#isPutOff(opId)) continue;
      const op = ops.get(opId);
      if (op?.body.epoch === undefined || !this.#isMemberAt(opId)) continue;
      const secrets = await this.#secretsOf(op, op.body.epoch);
      if (typeof secrets !== 'string') return this.opened(op.opId, secrets);
      // A shard that is there and wrong stays wrong: each look at it would cost a private-key operation.
      this.#unopened.set(hex(opId), secrets === 'never' ? Number.POSITIVE_INFINITY : now() + shardPause);
    }
    return undefined;
  }

  /** The keys of an epoch that this device began, once its op is in the log. */
  opened(epochId: OpId, secrets: EpochSecrets): EpochKeys {
    return openEpoch({ secrets, epochId, dids: this.#sendersAt(epochId) });
  }

  /** Tried, and not to be tried again yet. The node's time may jump. */
  #isPutOff(opId: OpId): boolean {
    const until = this.#unopened.get(hex(opId));
    if (until === undefined || until === Number.POSITIVE_INFINITY) return until !== undefined;
    const now = this.#needs.now();
    return now < until && until <= now + shardPause;
  }

  async #secretsOf(op: ReadOp, epoch: Epoch): Promise<EpochSecrets | 'later' | 'never'> {
    const { body } = op;
    const ctx = epochContext({ ...body, mode: epoch.mode, newGK: epoch.newGK });
    const wrap = this.#needs.ops.stateAt([op.opId]).policy.wrap;
    const parent = body.parents.length === 1 ? this.at(body.parents[0]) : undefined;
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
    const { uid, gTag, agent, line, now, note } = this.#needs;
    const shards = shardMembers(this.#recipients(op, epoch));
    const index = shards.findIndex((uids) => uids.some((one) => equal(one, uid)));
    const [uids, hash] = [shards[index], epoch.gkShardHashes[index]];
    if (uids === undefined || hash === undefined) return 'never';
    try {
      const { shard } = await line.request({ type: 'get-shard', gTag, hash });
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
    return [...this.#needs.ops.stateAt([op.opId]).members.values()]
      .filter(({ role }) => role >= roles.member)
      .map(({ uid }) => uid);
  }

  #isMemberAt(opId: OpId): boolean {
    const member = this.#needs.ops.stateAt([opId]).members.get(hex(this.#needs.uid));
    return member !== undefined && member.role >= roles.member;
  }

  #sendersAt(opId: OpId): Did[] {
    const members = [...this.#needs.ops.stateAt([opId]).members.values()].filter(({ role }) => role >= roles.member);
    return members.flatMap(({ devices }) => [...devices.values()].map(({ did }) => did));
  }
}

/** Makes the secrets and shards of an epoch for an op with these facts. `parent`: the one it ratchets from. */
export async function beginEpoch(
  { agent, random, now }: Pick<EpochsNeeds, 'agent' | 'random' | 'now'>,
  facts: Omit<OpBody, 'wall' | 'epoch'>,
  plan: NewEpoch,
  { wrap, parent }: { wrap: 1 | 2; parent: EpochKeys | undefined },
): Promise<BegunEpoch> {
  const isFresh = 'fresh' in plan;
  const mode = isFresh ? epochModes.fresh : epochModes.ratchet;
  const ctx = epochContext({ ...facts, mode, newGK: 1 });
  const secrets = isFresh ? freshEpoch({ ctx, wrap, random }) : ratchetEpoch({ ctx, wrap, parent: known(parent) });
  const members = isFresh ? plan.fresh : plan.ratchet;
  const shards = await makeGroupKeyShards({ members, ctx, ...secrets, agent, now: now() });
  const { gkCommit, esCommit } = secrets;
  const gkShardHashes = shards.map(shardHashOf);
  const frontier = isFresh ? plan.frontier : [];
  return {
    epoch: { mode, newGK: 1, gkCommit, esCommit, gkShardHashes, esShardHashes: [], frontier, excluded: [] },
    shards,
    secrets,
  };
}

function known(parent: EpochKeys | undefined): EpochKeys {
  if (parent === undefined) throw new NodeRefusal('append-refused');
  return parent;
}
