// A file or paste that should hold somebody's secret key: finds it, and says what it is or why it cannot be used.

import { concat } from '../wire/bytes.ts';
import { readArmor, textOf } from './armor.ts';
import { isPrimary, packetsMost, whatElse } from './key-packets.ts';
import { KeyRefusal, type KeyRefusalCode } from './key-refusal.ts';
import { inspectSecretKey, keyFileBytes, nameSecretKey, type SecretKeyFacts, type SecretKeyName } from './openpgp.ts';
import { type Packet, packetTag, readPackets } from './packets.ts';

export type KeyImport =
  | ({ readonly outcome: 'ready' } & SecretKeyFacts)
  | { readonly outcome: 'choose'; readonly keys: SecretKeyName[] }
  | { readonly outcome: 'refused'; readonly code: KeyRefusalCode };

/** Binary or armored, whatever mail clients and editors did to it. Never throws; `explain` has the words for a code. */
export async function importSecretKey(bytes: Uint8Array, now: number): Promise<KeyImport> {
  try {
    return await importOrThrow(bytes, now);
  } catch (error) {
    return { outcome: 'refused', code: error instanceof KeyRefusal ? error.code : 'damaged' };
  }
}

async function importOrThrow(bytes: Uint8Array, now: number): Promise<KeyImport> {
  if (bytes.length === 0) throw new KeyRefusal('empty');
  if (bytes.length > keyFileBytes) throw new KeyRefusal('too-large');
  const found = partsOf(bytes).map(parted);
  const secretKeys = found.flatMap((part) => ('keys' in part ? part.keys : []));
  const [only] = secretKeys;
  if (only === undefined) throw new KeyRefusal(worstOf(found));
  const names = secretKeys.length === 1 ? [] : await namesOf(secretKeys);
  if (names.length > 1) return { outcome: 'choose', keys: names };
  return { outcome: 'ready', ...(await inspectSecretKey(names[0]?.secretKey ?? only, now)) };
}

type Fault = { readonly fault: KeyRefusalCode };

/** The armored blocks of a text, or the bytes themselves. */
function partsOf(bytes: Uint8Array): (Uint8Array | Fault)[] {
  const text = textOf(bytes);
  if (text === undefined) return [bytes];
  if (text.trim() === '') return [{ fault: 'empty' }];
  const blocks = readArmor(text).map((block) => ('bytes' in block ? block.bytes : block));
  return blocks.length > 0 ? blocks : [{ fault: 'not-openpgp' }];
}

/** The secret keys of a packet sequence, each with what follows it up to the next key. */
function parted(part: Uint8Array | Fault): { readonly keys: Uint8Array[] } | Fault {
  if ('fault' in part) return part;
  const framed = readPackets(part, packetsMost);
  if ('fault' in framed) return framed;
  const keys: Packet[][] = [];
  for (const packet of framed.packets) {
    if (isPrimary(packet)) keys.push([packet]);
    else keys.at(-1)?.push(packet);
  }
  const [first] = framed.packets;
  if (keys.length === 0) return { fault: whatElse(first) };
  const secret = keys.filter(([primary]) => primary?.tag === packetTag.secretKey);
  if (secret.length === 0) return { fault: 'public-key' };
  return { keys: secret.map((packets) => concat(...packets.map((packet) => packet.whole))) };
}

/** A key that is broken says more than what lies beside it. */
function worstOf(found: readonly ({ readonly keys: Uint8Array[] } | Fault)[]): KeyRefusalCode {
  const faults = found.flatMap((part) => ('fault' in part ? [part.fault] : []));
  return faults.find((fault) => fault === 'truncated' || fault === 'damaged') ?? faults[0] ?? 'not-openpgp';
}

/** Each key once; those that cannot be read are left out, unless none can. */
async function namesOf(secretKeys: readonly Uint8Array[]): Promise<SecretKeyName[]> {
  const names = new Map<string, SecretKeyName>();
  for (const secretKey of secretKeys) {
    const name = await nameSecretKey(secretKey).catch(() => undefined);
    if (name !== undefined && !names.has(name.fingerprint)) names.set(name.fingerprint, name);
  }
  return [...names.values()];
}
