// Frames as a hostile member makes them: with its own true keys, and whatever numbers it likes.
import { signingKeyFromSeed } from '../keys/ed25519.ts';
import { sealFrame } from '../keys/frame-seal.ts';
import { mac } from '../keys/hash.ts';
import { hex } from '../wire/bytes.ts';
import { encode } from '../wire/codec.ts';
import type { FrameId, Gid } from '../wire/ids.ts';
import { encodeMessageBody, type MessageBody } from '../wire/message-body.ts';
import { peerMessage } from '../wire/peer-messages.ts';
import type { WorldMember } from './mesh-world.ts';

export type Forged = { bytes: Uint8Array; frameId: FrameId; seq: number; gen: number; text: string };
export type Forgery = {
  seq: number;
  /** seq - 1 where it is not said: as of a device that never sent before this epoch. */
  gen?: number;
  previous?: Uint8Array;
  text?: string;
  heads?: FrameId[];
  sentAt?: number;
  body?: MessageBody;
  /** Instead of a body that anybody would read. */
  rawBody?: Uint8Array;
};

export async function forge(member: WorldMember, gid: Gid, forgery: Forgery): Promise<Forged> {
  const { seq, gen = seq - 1, previous = new Uint8Array(32), heads = [] } = forgery;
  const text = forgery.text ?? `forged ${seq}`;
  const epoch = member.group(gid).log.currentEpoch();
  const start = epoch?.chains.get(hex(member.did));
  if (epoch === undefined || start === undefined) throw new Error(`${member.name} has no keys`);
  let { key } = start;
  for (let i = 0; i < gen; i++) key = mac(key, Uint8Array.of(2));
  const body = forgery.rawBody ?? encodeMessageBody(forgery.body ?? { kind: 'text', text });
  const sentAt = forgery.sentAt ?? Date.UTC(2026, 0, 1);
  const { bytes, frameId } = await sealFrame({
    chain: { gen, key },
    place: { gid, epochId: epoch.epochId, did: member.did, seq, previous },
    plaintext: { version: 1, kind: 0, sentAt, heads, body },
    signer: await signingKeyFromSeed(member.device.signSeed),
    nonce: new Uint8Array(12).fill(seq & 255),
  });
  return { bytes, frameId, seq, gen, text };
}

/** One after the other, each naming the one before. `last`: what the first of them follows. */
export async function forgeChain(
  member: WorldMember,
  gid: Gid,
  parts: { texts: string[]; last?: { frameId: FrameId; seq: number } },
): Promise<Forged[]> {
  const chain: Forged[] = [];
  let before = parts.last;
  for (const text of parts.texts) {
    const seq = (before?.seq ?? 0) + 1;
    const forged = await forge(member, gid, { seq, text, ...(before === undefined ? {} : { previous: before.frameId }) });
    chain.push(forged);
    before = forged;
  }
  return chain;
}

/** As it goes over a link. */
export function asMessage({ bytes }: { bytes: Uint8Array }): Uint8Array {
  return encode(peerMessage, { type: 'frame', frame: bytes });
}
