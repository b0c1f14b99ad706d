// How the secrets of an epoch travel: tier 1, OpenPGP messages to members; tier 2, HPKE entries to their devices (spec/protocol.md §4).
import { bigEndian, compare, concat, equal, label } from '../wire/bytes.ts';
import { bytesN, checked, decode, encode, list16, struct, u32 } from '../wire/codec.ts';
import { type Epoch, epochModes } from '../wire/group-ops.ts';
import type { Did, Uid } from '../wire/ids.ts';
import { limits } from '../wire/limits.ts';
import { WireRefusal } from '../wire/refusal.ts';
import { epochOfSecrets, groupKeyCommitment, logKeyOf } from './epoch.ts';
import { plainHash } from './hash.ts';
import { type HpkeRecipient, openHpke, sealHpke } from './hpke.ts';
import { shardHashOf } from './identity.ts';
import { KeyRefusal } from './key-refusal.ts';
import { secret } from './secret.ts';

/** The part of the key agent (keys/key-agent.ts) that shards need. `open` throws KeyRefusal('refused') for a message that is none of ours. */
export interface GroupKeyAgent {
  seal(parts: {
    purpose: 'group key';
    context: Uint8Array;
    body: Uint8Array;
    certificates: readonly Uint8Array[];
    now: number;
  }): Promise<Uint8Array>;
  /** The body, after label and context were found to be those expected. */
  open(parts: { purpose: 'group key'; context: Uint8Array; message: Uint8Array; now: number }): Promise<Uint8Array>;
}

// --- tier 1

/** Who shares a shard: 32 each, ascending by uid. Number i is published as gkShardHashes[i]. */
export function shardMembers(uids: readonly Uid[]): Uid[][] {
  return inChunks([...uids].sort(compare), limits.shardMembers);
}

/**
 * One OpenPGP message for each of shardMembers(uids of members), in that order. `certificate` undefined: that member has none that can be used;
 * nothing is sealed to it, but its uid counts, so that all others know by the log alone who belongs to a shard.
 * A shard without any usable certificate is empty bytes. Throws KeyRefusal for a certificate that cannot be sealed to.
 */
export async function makeGroupKeyShards(parts: {
  members: readonly { readonly uid: Uid; readonly certificate: Uint8Array | undefined }[];
  ctx: Uint8Array;
  groupKey: Uint8Array;
  logKey: Uint8Array;
  agent: Pick<GroupKeyAgent, 'seal'>;
  now: number;
}): Promise<Uint8Array[]> {
  const { members, ctx, groupKey, logKey, agent, now } = parts;
  const sorted = [...members].sort((a, b) => compare(a.uid, b.uid));
  const shards: Uint8Array[] = [];
  for (const shard of inChunks(sorted, limits.shardMembers)) {
    const certificates = shard.map(({ certificate }) => certificate).filter((certificate) => certificate !== undefined);
    const context = shardContext(
      ctx,
      shard.map(({ uid }) => uid),
    );
    const body = concat(groupKey, logKey);
    shards.push(
      certificates.length === 0 ? new Uint8Array() : await agent.seal({ purpose: 'group key', context, body, certificates, now }),
    );
  }
  return shards;
}

/** other-shard: not the bytes the op names. unreadable: not for us, or another ctx or other members. The rest: the committer cheats or erred. */
export type GroupKeyRefusal = 'other-shard' | 'unreadable' | 'group-key-mismatch' | 'log-key-mismatch';

/**
 * `hash`: the entry of gkShardHashes. `uids`: of this shard, from shardMembers over the content members after the op.
 * For a fresh epoch with a new group key the log key must be the one that follows from it. Whatever is refused here heals by Rewrap.
 * Throws KeyRefusal('locked') while the person's key is locked.
 */
export async function openGroupKeyShard(parts: {
  shard: Uint8Array;
  hash: Uint8Array;
  ctx: Uint8Array;
  uids: readonly Uid[];
  epoch: Pick<Epoch, 'mode' | 'newGK' | 'gkCommit'>;
  agent: Pick<GroupKeyAgent, 'open'>;
  now: number;
}): Promise<{ groupKey: Uint8Array; logKey: Uint8Array } | GroupKeyRefusal> {
  const { shard, hash, ctx, uids, epoch, agent, now } = parts;
  if (!equal(shardHashOf(shard), hash)) return 'other-shard';
  const body = await openOrRefuse(agent, { purpose: 'group key', context: shardContext(ctx, uids), message: shard, now });
  if (body === undefined || body.length !== 64) return 'unreadable';
  const groupKey = body.slice(0, 32);
  const logKey = body.slice(32);
  if (!equal(groupKeyCommitment(groupKey, ctx), epoch.gkCommit)) return 'group-key-mismatch';
  const isNew = epoch.mode === epochModes.fresh && epoch.newGK === 1;
  return isNew && !equal(logKey, logKeyOf(groupKey, ctx)) ? 'log-key-mismatch' : secret({ groupKey, logKey });
}

async function openOrRefuse(
  agent: Pick<GroupKeyAgent, 'open'>,
  message: Parameters<GroupKeyAgent['open']>[0],
): Promise<Uint8Array | undefined> {
  try {
    return await agent.open(message);
  } catch (error) {
    if (error instanceof KeyRefusal && error.code === 'refused') return undefined;
    throw error;
  }
}

function shardContext(ctx: Uint8Array, uids: readonly Uint8Array[]): Uint8Array {
  return concat(ctx, plainHash(...uids));
}

// --- tier 2

const entryDevices = 256;
const tagBytes = 16;

/** Ascending by the first 8 bytes of the did; two devices may share them. */
const epochShard = checked(
  list16(struct({ didStart: bytesN(8), lockNo: u32, enc: bytesN(32), ciphertext: bytesN(32 + tagBytes) }), entryDevices),
  (entries) => {
    if (entries.some(({ didStart }, i) => i > 0 && compare(entries[i - 1]?.didStart ?? didStart, didStart) > 0))
      throw new WireRefusal('bad-value', 'entries out of order');
    return entries;
  },
);

/** HPKE-PSK entries for the devices' lock keys, 256 a shard, ascending by did. */
export async function makeEpochShards(parts: {
  devices: readonly { readonly did: Did; readonly lockNo: number; readonly lockPub: Uint8Array }[];
  ctx: Uint8Array;
  groupKey: Uint8Array;
  epochSecret: Uint8Array;
}): Promise<Uint8Array[]> {
  const { ctx, groupKey, epochSecret } = parts;
  const psk = { key: groupKey, id: groupKeyCommitment(groupKey, ctx) };
  const sorted = [...parts.devices].sort((a, b) => compare(a.did, b.did));
  const entries = await Promise.all(
    sorted.map(async ({ did, lockNo, lockPub }) => ({
      didStart: did.slice(0, 8),
      lockNo,
      ...(await sealHpke({ to: lockPub, info: entryInfo({ ctx, did, lockNo }), plaintext: epochSecret, psk })),
    })),
  );
  return inChunks(entries, entryDevices).map((shard) => encode(epochShard, shard));
}

export type EpochShardRefusal = 'other-shard' | 'malformed' | 'no-entry' | 'unreadable' | 'epoch-secret-mismatch';

/** `hash`: the entry of esShardHashes. `lockKeys`: every one of this device whose private half still exists. */
export async function openEpochShard(parts: {
  shard: Uint8Array;
  hash: Uint8Array;
  ctx: Uint8Array;
  did: Did;
  lockKeys: readonly ({ readonly no: number } & HpkeRecipient)[];
  groupKey: Uint8Array;
  epoch: Pick<Epoch, 'esCommit'>;
}): Promise<Uint8Array | EpochShardRefusal> {
  const { shard, hash, ctx, did, lockKeys, groupKey, epoch } = parts;
  if (!equal(shardHashOf(shard), hash)) return 'other-shard';
  const entries = readEpochShard(shard);
  if (entries === undefined) return 'malformed';
  const psk = { key: groupKey, id: groupKeyCommitment(groupKey, ctx) };
  const mine = entries.filter(({ didStart }) => equal(didStart, did.slice(0, 8)));
  if (mine.length === 0) return 'no-entry';
  for (const { lockNo, enc, ciphertext } of mine) {
    const lockKey = lockKeys.find(({ no }) => no === lockNo);
    if (lockKey === undefined) continue;
    const epochSecret = await openHpke({ recipient: lockKey, enc, info: entryInfo({ ctx, did, lockNo }), ciphertext, psk });
    if (epochSecret === undefined) continue;
    const { esCommit } = epochOfSecrets({ ctx, groupKey, epochSecret, logKey: groupKey });
    return equal(esCommit, epoch.esCommit) ? epochSecret : 'epoch-secret-mismatch';
  }
  return 'unreadable';
}

function readEpochShard(shard: Uint8Array) {
  try {
    return decode(epochShard, shard);
  } catch (error) {
    if (error instanceof WireRefusal) return undefined;
    throw error;
  }
}

function entryInfo({ ctx, did, lockNo }: { ctx: Uint8Array; did: Did; lockNo: number }): Uint8Array {
  return concat(label('es-wrap'), ctx, did, bigEndian(lockNo, 4));
}

function inChunks<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) => items.slice(i * size, (i + 1) * size));
}
