// Signals: signed by the device, sealed to the receiving device, tagged so that strangers cost no public-key work (spec/protocol.md §6).
import { bigEndian, concat, equal, label } from '../wire/bytes.ts';
import { type Decoded, decode, encode } from '../wire/codec.ts';
import type { Did } from '../wire/ids.ts';
import { WireRefusal } from '../wire/refusal.ts';
import { paddedSignal, type SignalBody, sealedSignal, signalBody } from '../wire/signal.ts';
import { type SigningKey, verifyFast } from './ed25519.ts';
import { mac, plainHash } from './hash.ts';
import { type HpkeRecipient, openHpke, sealHpke } from './hpke.ts';

/** `meshKey`: of the newest epoch of a group that both are in. Throws WireRefusal('too-large') for a body above about 8000 bytes. */
export async function sealSignal(parts: {
  body: SignalBody;
  signer: SigningKey;
  to: { readonly did: Did; readonly lockNo: number; readonly lockPub: Uint8Array };
  meshKey: Uint8Array;
}): Promise<Uint8Array> {
  const { signer, to, meshKey } = parts;
  const body = encode(signalBody, parts.body);
  const signed = { body, signature: await signer.sign('signal', body) };
  const plaintext = encode(paddedSignal, signed);
  const sealed = await sealHpke({ to: to.lockPub, info: infoOf(to.did, to.lockNo), plaintext });
  const untagged = { lockNo: to.lockNo, ...sealed };
  const memberTag = tagOf({ meshKey, to: to.did, sealedHash: sealedHashOf(untagged) });
  return encode(sealedSignal, { memberTag, ...untagged });
}

/** no-member: the tag fits no mesh key, before any public-key work. The others came from somebody who has a mesh key. */
export type SignalRefusal =
  | 'malformed'
  | 'no-member'
  | 'no-lock-key'
  | 'unsealed'
  | 'bad-body'
  | 'not-for-me'
  | 'unknown-sender'
  | 'bad-signature';

/**
 * `meshKeys`: of the four newest epochs of each group; `meshKey` of the answer says which one fitted. `signPubOf`: of devices that this one would link with.
 * Whether the nonces in the payload are fresh and the sid unseen is for the caller to ask.
 */
export async function openSignal(parts: {
  bytes: Uint8Array;
  meshKeys: readonly Uint8Array[];
  me: { readonly did: Did; readonly lockKeys: readonly ({ readonly no: number } & HpkeRecipient)[] };
  signPubOf: (did: Did) => Uint8Array | undefined;
}): Promise<{ body: SignalBody; meshKey: number } | SignalRefusal> {
  const { meshKeys, me, signPubOf } = parts;
  const sealed = orUndefined(() => decode(sealedSignal, parts.bytes));
  if (sealed === undefined) return 'malformed';
  const sealedHash = sealedHashOf(sealed);
  const meshKey = meshKeys.findIndex((key) => equal(sealed.memberTag, tagOf({ meshKey: key, to: me.did, sealedHash })));
  if (meshKey < 0) return 'no-member';

  const recipient = me.lockKeys.find(({ no }) => no === sealed.lockNo);
  if (recipient === undefined) return 'no-lock-key';
  const { enc, ciphertext } = sealed;
  const plaintext = await openHpke({ recipient, enc, info: infoOf(me.did, sealed.lockNo), ciphertext });
  if (plaintext === undefined) return 'unsealed';
  const signed = orUndefined(() => decode(paddedSignal, plaintext));
  const body = signed && orUndefined(() => decode(signalBody, signed.body));
  if (signed === undefined || body === undefined) return 'bad-body';
  if (!equal(body.to, me.did) || equal(body.from, me.did)) return 'not-for-me';
  const signPub = signPubOf(body.from);
  if (signPub === undefined) return 'unknown-sender';
  return (await verifyFast(signPub, 'signal', signed.body, signed.signature)) ? { body, meshKey } : 'bad-signature';
}

type Untagged = Omit<Decoded<typeof sealedSignal>, 'memberTag'>;

function infoOf(to: Did, lockNo: number): Uint8Array {
  return concat(label('signal'), to, bigEndian(lockNo, 4));
}

/** H(u32 lockNo ‖ enc ‖ vec16 ciphertext): the blob behind its tag. */
function sealedHashOf(untagged: Untagged): Uint8Array {
  return plainHash(encode(sealedSignal, { memberTag: noTag, ...untagged }).subarray(noTag.length));
}

const noTag = new Uint8Array(16);

function tagOf({ meshKey, to, sealedHash }: { meshKey: Uint8Array; to: Did; sealedHash: Uint8Array }): Uint8Array {
  return mac(meshKey, label('signal-tag'), to, sealedHash).slice(0, noTag.length);
}

function orUndefined<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof WireRefusal) return undefined;
    throw error;
  }
}
