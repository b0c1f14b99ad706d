// The secrets of an epoch, and every key that follows from them (spec/protocol.md §4).
import { compare, equal, fromHex, hex, label } from '../wire/bytes.ts';
import { bytesN, type Codec, checked, type Decoded, encode, list8, list16, numberOf, struct, u32 } from '../wire/codec.ts';
import { change, epochModes } from '../wire/group-ops.ts';
import {
  asDid,
  asGTag,
  asRosterTag,
  type Did,
  didCodec,
  type EpochId,
  type GTag,
  opIdCodec,
  type RosterTag,
} from '../wire/ids.ts';
import { limits } from '../wire/limits.ts';
import { WireRefusal } from '../wire/refusal.ts';
import { expandKey, hash, mac, plainHash } from './hash.ts';
import { secret } from './secret.ts';

const contextFields = struct({
  gid: opIdCodec,
  parents: list8(opIdCodec, limits.opParents),
  depth: u32,
  author: didCodec,
  changesHash: bytesN(32),
  mode: numberOf(1, epochModes.fresh, epochModes.ratchet),
  newGK: numberOf(1, 0, 1),
});
const changesCodec = list16(change, limits.opChanges);

/** Fields of the op that starts the epoch, as they stand in its body: `gid` is 32 zero bytes in a genesis. */
export type EpochFacts = Omit<Decoded<typeof contextFields>, 'changesHash'> & { readonly changes: Decoded<typeof changesCodec> };

/** ctx, 32 bytes: H(lab("epoch-ctx") ‖ gid ‖ list8 parents ‖ u32 depth ‖ author ‖ H(list16 changes) ‖ u8 mode ‖ u8 newGK). */
export function epochContext({ changes, ...facts }: EpochFacts): Uint8Array {
  return hash('epoch-ctx', encode(contextFields, { ...facts, changesHash: plainHash(encode(changesCodec, changes)) }));
}

/** What a commit makes and its receivers come to know; 32 bytes each. The two commitments go into the op. */
export type EpochSecrets = {
  readonly groupKey: Uint8Array;
  readonly epochSecret: Uint8Array;
  readonly logKey: Uint8Array;
  readonly gkCommit: Uint8Array;
  readonly esCommit: Uint8Array;
};

/** 1: the epoch secret follows from the group key. 2: it is random, or follows from the parent's `next`, and travels in tier-2 shards. */
export type Wrap = 1 | 2;

/**
 * Mode 1. Without `unchanged` the group key is random and the log key follows from it (newGK 1); with it both stay as they are
 * (newGK 0, for periodic rekeys: never after a removal). `random(32)` is called once for each secret that is random.
 */
export function freshEpoch(parts: {
  ctx: Uint8Array;
  wrap: Wrap;
  random: (length: number) => Uint8Array;
  unchanged?: { readonly groupKey: Uint8Array; readonly logKey: Uint8Array };
}): EpochSecrets {
  const { ctx, wrap, random, unchanged } = parts;
  const groupKey = unchanged?.groupKey ?? random(32);
  const logKey = unchanged?.logKey ?? logKeyOf(groupKey, ctx);
  return wrap === 1
    ? epochOfGroupKey({ ctx, groupKey, logKey })
    : epochOfSecrets({ ctx, groupKey, logKey, epochSecret: random(32) });
}

/** Mode 2, always with newGK 1: whoever is added learns nothing of the parent epoch. Members compute it from the parent by themselves. */
export function ratchetEpoch(parts: {
  ctx: Uint8Array;
  wrap: Wrap;
  parent: Pick<EpochKeys, 'groupKey' | 'logKey' | 'next'>;
}): EpochSecrets {
  const { ctx, wrap, parent } = parts;
  const groupKey = expandKey(parent.groupKey, 'gk-add', ctx);
  const { logKey } = parent;
  if (wrap === 1) return epochOfGroupKey({ ctx, groupKey, logKey });
  return epochOfSecrets({ ctx, groupKey, logKey, epochSecret: expandKey(parent.next, 'es-add', ctx) });
}

/** Wrap 1, of a group key as it came in a shard. */
export function epochOfGroupKey(parts: { ctx: Uint8Array; groupKey: Uint8Array; logKey: Uint8Array }): EpochSecrets {
  return epochOfSecrets({ ...parts, epochSecret: expandKey(parts.groupKey, 'es-from-gk', parts.ctx) });
}

/** Wrap 2, of a group key and an epoch secret as they came in shards. */
export function epochOfSecrets(parts: {
  ctx: Uint8Array;
  groupKey: Uint8Array;
  logKey: Uint8Array;
  epochSecret: Uint8Array;
}): EpochSecrets {
  const { ctx, groupKey, logKey, epochSecret } = parts;
  const esCommit = mac(epochSecret, label('es-commit'), ctx);
  return secret({ groupKey, epochSecret, logKey, gkCommit: groupKeyCommitment(groupKey, ctx), esCommit });
}

export function groupKeyCommitment(groupKey: Uint8Array, ctx: Uint8Array): Uint8Array {
  return mac(groupKey, label('gk-commit'), ctx);
}

export type Commitments = { readonly gkCommit: Uint8Array; readonly esCommit: Uint8Array };

/** Whether secrets are the ones that the op committed to. Before this says 'match' nothing may be opened or sealed with them. */
export function checkCommitments(
  secrets: EpochSecrets,
  op: Commitments,
): 'match' | 'group-key-mismatch' | 'epoch-secret-mismatch' {
  if (!equal(secrets.gkCommit, op.gkCommit)) return 'group-key-mismatch';
  return equal(secrets.esCommit, op.esCommit) ? 'match' : 'epoch-secret-mismatch';
}

/** A sender's place in an epoch: the chain key from which the message key of number `gen` and all later ones follow. */
export type ChainState = { readonly gen: number; readonly key: Uint8Array };

/** What is kept of an epoch. Neither the epoch secret nor what chains start from is in here, so a chain that went on cannot be turned back. */
export type EpochKeys = {
  readonly epochId: EpochId;
  readonly groupKey: Uint8Array;
  readonly logKey: Uint8Array;
  /** What the next epoch ratchets from. */
  readonly next: Uint8Array;
  readonly meshKey: Uint8Array;
  /** By hex(did), each at gen 0. */
  readonly chains: ReadonlyMap<string, ChainState>;
};

/** `dids`: every device that may send in the epoch, by the log as of the commit. */
export function openEpoch(parts: {
  secrets: Pick<EpochSecrets, 'groupKey' | 'epochSecret' | 'logKey'>;
  epochId: EpochId;
  dids: Iterable<Did>;
}): EpochKeys {
  const { secrets, epochId, dids } = parts;
  const base = expandKey(secrets.epochSecret, 'base', epochId);
  const chains = new Map<string, ChainState>();
  for (const did of dids) chains.set(hex(did), secret({ gen: 0, key: expandKey(base, 'chain', did) }));
  base.fill(0);
  return secret({
    epochId,
    groupKey: secrets.groupKey,
    logKey: secrets.logKey,
    next: expandKey(secrets.epochSecret, 'next', epochId),
    meshKey: meshKeyOf(secrets.logKey, epochId),
    chains,
  });
}

// --- keys and tags that follow from GK and logKey

const nothing = new Uint8Array();

/** Of a random group key. */
export function logKeyOf(groupKey: Uint8Array, ctx: Uint8Array): Uint8Array {
  return expandKey(groupKey, 'log', ctx);
}

/** Seed of the Ed25519 key that signs appends to the log while this group key is in force. */
export function appendSeed(groupKey: Uint8Array): Uint8Array {
  return expandKey(groupKey, 'append', nothing);
}

/** Under which the node keeps the log. Of the genesis' logKey, for good. */
export function gTagOf(firstLogKey: Uint8Array): GTag {
  return asGTag(expandKey(firstLogKey, 'gtag', nothing, 16));
}

/** Under which the node keeps who is online. Of the newest logKey. */
export function rosterTagOf(newestLogKey: Uint8Array): RosterTag {
  return asRosterTag(expandKey(newestLogKey, 'roster', nothing, 16));
}

/** Under which join requests are sealed. */
export function joinKeyOf(logKey: Uint8Array): Uint8Array {
  return expandKey(logKey, 'join', nothing);
}

/** A filter against strangers on signals and links, never an authorisation. */
export function meshKeyOf(logKey: Uint8Array, epochId: EpochId): Uint8Array {
  return expandKey(logKey, 'mesh', epochId);
}

// --- at rest

const storedChains = checked(list16(struct({ did: didCodec, gen: u32, key: bytesN(32) }), limits.rosterDevices), (chains) => {
  if (chains.some(({ did }, i) => compare(chains[i - 1]?.did ?? nothing, did) >= 0))
    throw new WireRefusal('bad-value', 'chains out of order');
  return chains;
});

const storedEpoch = struct({
  version: numberOf(1, 1),
  epochId: opIdCodec,
  groupKey: bytesN(32),
  logKey: bytesN(32),
  next: bytesN(32),
  chains: storedChains,
});

/** To be sealed in the vault before it is stored. `chains` are stored ascending by did; meshKey is computed anew. */
export const epochKeysCodec: Codec<EpochKeys> = {
  write(out, keys) {
    const chains = [...keys.chains].map(([did, { gen, key }]) => ({ did: asDid(fromHex(did)), gen, key }));
    storedEpoch.write(out, { version: 1, ...keys, chains: chains.sort((a, b) => compare(a.did, b.did)) });
  },
  read(input) {
    const { epochId, groupKey, logKey, next, chains } = storedEpoch.read(input);
    return secret({
      epochId,
      groupKey,
      logKey,
      next,
      meshKey: meshKeyOf(logKey, epochId),
      chains: new Map(chains.map(({ did, gen, key }) => [hex(did), secret({ gen, key })])),
    });
  },
};
