// Entries of a group's log as the node stores them: sealed under the log key (spec/protocol.md §4).
import { concat, label } from '../wire/bytes.ts';
import { bytesN, decode, encode, list8 } from '../wire/codec.ts';
import { op, sealedLogEntry } from '../wire/group-ops.ts';
import type { GTag, OpId } from '../wire/ids.ts';
import { limits } from '../wire/limits.ts';
import { WireRefusal } from '../wire/refusal.ts';
import { openAead, sealAead } from './aead.ts';
import { expandKey, plainHash } from './hash.ts';
import { opIdOf } from './identity.ts';

const nonceBytes = 12;
const parentKeys = list8(bytesN(32), limits.opParents);

/**
 * An encoded sealedLogEntry. `logKey` is the one in force after the op's least parent; a genesis is sealed under its own.
 * Where the op brings a new log key, `brings` has it and the log keys in force after each of the parents, so that whoever is in can read back.
 * The same input gives the same bytes, and the node takes them. Throws WireRefusal for bytes that are no op.
 */
export async function sealOp(parts: {
  gTag: GTag;
  logKey: Uint8Array;
  op: Uint8Array;
  brings?: { readonly logKey: Uint8Array; readonly parentKeys: readonly Uint8Array[] };
}): Promise<Uint8Array> {
  const { gTag, logKey, brings } = parts;
  const sealed = await sealWith(logKey, {
    nonce: expandKey(logKey, 'op-nonce', plainHash(parts.op), nonceBytes),
    plaintext: parts.op,
    additional: concat(label('sealed-op'), gTag),
  });
  const opId = opIdOf(decode(op, parts.op).body);
  const previousKeys = brings === undefined ? new Uint8Array() : await sealParentKeys({ gTag, opId, ...brings });
  return encode(sealedLogEntry, { op: sealed, previousKeys });
}

/**
 * `logKeys`: those known, likeliest first. `previousKeys` are the log keys that the entry leads back to: add them to the known ones.
 * Undefined where no key fits: newer than what is known, of another log, or damaged. What it gives is not yet checked: compare opIdOf its body.
 */
export async function openOp(parts: {
  gTag: GTag;
  opId: OpId;
  logKeys: readonly Uint8Array[];
  sealed: Uint8Array;
}): Promise<{ op: Uint8Array; logKey: Uint8Array; previousKeys: Uint8Array[] } | undefined> {
  const { gTag, opId, logKeys } = parts;
  const entry = readEntry(parts.sealed);
  if (entry === undefined) return undefined;
  const previousKeys = await openParentKeys({ gTag, opId, logKeys, sealed: entry.previousKeys });
  for (const logKey of [...logKeys, ...previousKeys]) {
    const bytes = await openWith(logKey, entry.op, concat(label('sealed-op'), gTag));
    if (bytes !== undefined) return { op: bytes, logKey, previousKeys };
  }
  return undefined;
}

function readEntry(sealed: Uint8Array) {
  try {
    return decode(sealedLogEntry, sealed);
  } catch (error) {
    if (error instanceof WireRefusal) return undefined;
    throw error;
  }
}

// --- earlier log keys

function sealParentKeys(parts: {
  gTag: GTag;
  opId: OpId;
  logKey: Uint8Array;
  parentKeys: readonly Uint8Array[];
}): Promise<Uint8Array> {
  const { gTag, opId, logKey } = parts;
  return sealWith(previousKeyOf(logKey), {
    nonce: expandKey(logKey, 'log-prev-nonce', opId, nonceBytes),
    plaintext: encode(parentKeys, [...parts.parentKeys]),
    additional: concat(label('log-prev'), gTag, opId),
  });
}

async function openParentKeys(parts: {
  gTag: GTag;
  opId: OpId;
  logKeys: readonly Uint8Array[];
  sealed: Uint8Array;
}): Promise<Uint8Array[]> {
  const { gTag, opId, logKeys, sealed } = parts;
  if (sealed.length === 0) return [];
  for (const logKey of logKeys) {
    const bytes = await openWith(previousKeyOf(logKey), sealed, concat(label('log-prev'), gTag, opId));
    if (bytes !== undefined) return readParentKeys(bytes);
  }
  return [];
}

function readParentKeys(bytes: Uint8Array): Uint8Array[] {
  try {
    return decode(parentKeys, bytes);
  } catch (error) {
    if (error instanceof WireRefusal) return [];
    throw error;
  }
}

function previousKeyOf(logKey: Uint8Array): Uint8Array {
  return expandKey(logKey, 'log-prev', new Uint8Array());
}

// --- nonce ‖ AEAD

async function sealWith(
  key: Uint8Array,
  input: { nonce: Uint8Array; plaintext: Uint8Array; additional: Uint8Array },
): Promise<Uint8Array> {
  return concat(input.nonce, await sealAead(key, input));
}

function openWith(key: Uint8Array, sealed: Uint8Array, additional: Uint8Array): Promise<Uint8Array | undefined> {
  return openAead(key, { nonce: sealed.subarray(0, nonceBytes), ciphertext: sealed.subarray(nonceBytes), additional });
}
