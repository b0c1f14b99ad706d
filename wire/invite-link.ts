// The invite link: all of it in the fragment, which browsers never send (spec/protocol.md §4).
import { base64url, fromBase64url } from './bytes.ts';
import { bytesN, type Decoded, decode, encode, struct, text8 } from './codec.ts';
import { gTagCodec, nodeIdCodec, opIdCodec, uidCodec } from './ids.ts';
import { WireRefusal } from './refusal.ts';

export const invite = struct({
  /** The node's origin, such as wss://chat.example */
  origin: text8(),
  nodeId: nodeIdCodec,
  gid: opIdCodec,
  gTag: gTagCodec,
  logKey: bytesN(32),
  /** Seed of the Ed25519 key whose public half the log names. */
  inviteSeed: bytesN(32),
  inviter: uidCodec,
  /** The joiner must find this op in the log. */
  head: opIdCodec,
});
export type Invite = Decoded<typeof invite>;

const longestFragment = 1024;

export function encodeInviteFragment(value: Invite): string {
  return `#1.${base64url(encode(invite, value))}`;
}

/** Takes a whole link or its fragment; throws WireRefusal for anything else. */
export function decodeInviteLink(link: string): Invite {
  const at = link.indexOf('#');
  const fragment = link.slice(at).trim();
  if (at < 0 || !fragment.startsWith('#1.')) throw new WireRefusal('bad-text', 'invite link');
  if (fragment.length > longestFragment) throw new WireRefusal('too-large', 'invite link');
  return decode(invite, bytesOf(fragment.slice(3)));
}

function bytesOf(text: string): Uint8Array {
  try {
    return fromBase64url(text);
  } catch {
    throw new WireRefusal('bad-text', 'invite link');
  }
}
