// Groups at the node: sealed logs that grow by compare-and-swap on their heads, and shards. Who may append is told by the group's append keys.
import { verifyStrictly } from '../keys/ed25519.ts';
import { hash } from '../keys/hash.ts';
import { shardHashOf } from '../keys/identity.ts';
import { equal } from '../wire/bytes.ts';
import { encode } from '../wire/codec.ts';
import type { NodeErrorCode } from '../wire/errors.ts';
import type { GTag, OpId, Uid } from '../wire/ids.ts';
import { limits } from '../wire/limits.ts';
import { type LogAppend, type LogEntry, logAppend } from '../wire/node-messages.ts';
import type { NodeLimits } from './limits.ts';
import type { GroupState, NodeStore } from './store.ts';

export type AppendOutcome =
  | { outcome: 'appended' | 'repeated'; no: number }
  | { outcome: 'conflict'; heads: OpId[] }
  | { outcome: 'refused'; code: NodeErrorCode };

/** More appends to one log than that between a read and a write of ours, and the client may try again. */
const staleMost = 5;

export class GroupStore {
  readonly #store: NodeStore;
  readonly #limits: NodeLimits;

  constructor({ store, limits: nodeLimits }: { store: NodeStore; limits: NodeLimits }) {
    this.#store = store;
    this.#limits = nodeLimits;
  }

  /** On disk when it resolves. A client that lost the answer may send the very same again: 'repeated'. */
  async append(uid: Uid, append: LogAppend, signature: Uint8Array): Promise<AppendOutcome> {
    const signed = encode(logAppend, append);
    const appendHash = hash('append', signed);
    for (let turn = 0; turn < staleMost; turn++) {
      const checked = await this.#check(append, { signed, signature, appendHash });
      if (checked.outcome !== 'fits') return checked;
      const { after, heads, appendKeys } = checked;
      const { gTag, opId, parents, sealed, shards } = append;
      const written = await this.#store.append({
        gTag,
        after,
        heads,
        appendKeys,
        entry: { no: after + 1, opId, parents, sealed },
        appendHash,
        uid,
        shards,
        most: { bytes: limits.bytesPerGroup, entries: limits.groupOps, groupsPerAccount: limits.groupsPerAccount },
      });
      if (written === 'appended') return { outcome: 'appended', no: after + 1 };
      if (written === 'quota') return refused('quota-exceeded');
      if (written === 'shard-missing') return refused('shard-missing');
    }
    return refused('busy');
  }

  async #check(
    append: LogAppend,
    { signed, signature, appendHash }: { signed: Uint8Array; signature: Uint8Array; appendHash: Uint8Array },
  ): Promise<AppendOutcome | { outcome: 'fits'; after: number; heads: OpId[]; appendKeys: Uint8Array[] }> {
    const group = await this.#store.group(append.gTag);
    const [itself, ...parents] = await this.#store.knownOps(append.gTag, [append.opId, ...append.parents]);
    if (itself !== undefined) {
      return equal(itself.appendHash, appendHash) ? { outcome: 'repeated', no: itself.no } : refused('append-refused');
    }
    if (group === undefined && append.expectedHeads.length > 0) return refused('not-found');
    const heads = group?.heads ?? [];
    if (!isSameSet(heads, append.expectedHeads)) return { outcome: 'conflict', heads };

    // The first entry, and no other, has no parents.
    if ((append.parents.length === 0) !== (group === undefined)) return refused('append-refused');
    if (parents.some((known) => known === undefined)) return refused('append-refused');
    const nextHeads = [...heads.filter((head) => !includes(append.parents, head)), append.opId];
    if (nextHeads.length > limits.opParents) return refused('quota-exceeded');

    const appendKeys = this.#nextAppendKeys(group, append);
    if (appendKeys === undefined) return refused('append-refused');
    if (!verifyStrictly(append.appendPub, 'append', signed, signature)) return refused('append-refused');
    return { outcome: 'fits', after: group?.entries ?? 0, heads: nextHeads, appendKeys };
  }

  /** Undefined: not with that key, or nobody could append any more. */
  #nextAppendKeys(group: GroupState | undefined, append: LogAppend): Uint8Array[] | undefined {
    const { appendPub, nextAppendPub, retire } = append;
    const keys = group?.appendKeys ?? [appendPub];
    if (!includes(keys, appendPub)) return undefined;
    if (nextAppendPub === undefined) return retire === 1 ? undefined : keys;
    if (retire === 1) return [nextAppendPub];
    return [...keys.filter((key) => !equal(key, nextAppendPub)), nextAppendPub].slice(-this.#limits.appendKeys);
  }

  /** 'quota-exceeded': too much is staged already. */
  async putShard(uid: Uid, shard: Uint8Array, now: number): Promise<'staged' | 'quota-exceeded'> {
    const most = { shards: this.#limits.stagedShards, bytes: this.#limits.stagedBytes };
    const outcome = await this.#store.stageShard({ uid, hash: shardHashOf(shard), shard, at: now, most });
    return outcome === 'full' ? 'quota-exceeded' : 'staged';
  }

  shard(gTag: GTag, shardHash: Uint8Array): Promise<Uint8Array | undefined> {
    return this.#store.shard(gTag, shardHash);
  }

  /** Undefined where there is no such log. */
  async page(gTag: GTag, after: number): Promise<{ entries: LogEntry[]; more: boolean } | undefined> {
    if ((await this.#store.group(gTag)) === undefined) return undefined;
    return this.#store.entries(gTag, { after, most: limits.logPageEntries, bytes: this.#limits.pageBytes });
  }
}

function refused(code: NodeErrorCode): AppendOutcome {
  return { outcome: 'refused', code };
}

function includes(list: Uint8Array[], item: Uint8Array): boolean {
  return list.some((one) => equal(one, item));
}

function isSameSet(some: Uint8Array[], others: Uint8Array[]): boolean {
  return (
    some.length === others.length && some.every((one) => includes(others, one)) && others.every((one) => includes(some, one))
  );
}
