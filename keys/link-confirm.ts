// Confirming a link from inside: both devices sign what they see of it, then find out which groups they share (spec/protocol.md §6).
import { compare, concat, equal, label, utf8 } from '../wire/bytes.ts';
import type { Did, Gid } from '../wire/ids.ts';
import { limits } from '../wire/limits.ts';
import { type SigningKey, verifyFast } from './ed25519.ts';
import { hash, mac, plainHash } from './hash.ts';

/** Who made the offer. */
export type LinkRole = 'offerer' | 'answerer';

/** What both sides must see alike. */
export type LinkFacts = {
  /** 16 bytes. */
  readonly sid: Uint8Array;
  /** The two descriptions as they stood in the signals. */
  readonly offerSdp: string;
  readonly answerSdp: string;
  readonly offerer: LinkSide;
  readonly answerer: LinkSide;
};

export type LinkSide = {
  readonly did: Did;
  /** SHA-256 of its DTLS certificate, from the live transport where the engine exposes it. */
  readonly fingerprint: Uint8Array;
  /** Of its link-hello, 32 bytes. */
  readonly nonce: Uint8Array;
};

/** H(lab("link") ‖ sid ‖ H(offer) ‖ H(answer) ‖ fpOfferer ‖ fpAnswerer ‖ didO ‖ didA ‖ nonceO ‖ nonceA) */
export function linkHash({ sid, offerSdp, answerSdp, offerer, answerer }: LinkFacts): Uint8Array {
  return hash(
    'link',
    sid,
    descriptionHash(offerSdp),
    descriptionHash(answerSdp),
    offerer.fingerprint,
    answerer.fingerprint,
    offerer.did,
    answerer.did,
    offerer.nonce,
    answerer.nonce,
  );
}

/** H(description): also what answer and candidate signals name as offerHash. */
export function descriptionHash(sdp: string): Uint8Array {
  return plainHash(utf8(sdp));
}

/** The signature of a link-proof. */
export function signLink(signer: SigningKey, hashOfLink: Uint8Array): Promise<Uint8Array> {
  return signer.sign('link', hashOfLink);
}

/** `signPub`: of the device that the link was arranged with, never of one that the proof names. */
export function verifyLink(parts: { signPub: Uint8Array; linkHash: Uint8Array; signature: Uint8Array }): Promise<boolean> {
  return verifyFast(parts.signPub, 'link', parts.linkHash, parts.signature);
}

/**
 * The 32 tokens of link-groups, ascending: one per mesh key, the rest random. `meshKeys`: of the newest epoch of each group that the other device is in,
 * at most 32. `role`: one's own.
 */
export function groupTokens(parts: {
  linkHash: Uint8Array;
  role: LinkRole;
  meshKeys: readonly Uint8Array[];
  random: (length: number) => Uint8Array;
}): Uint8Array[] {
  const { meshKeys, role, random } = parts;
  if (meshKeys.length > limits.groupTokens) throw new RangeError(`tokens for ${meshKeys.length} groups`);
  const tokens = meshKeys.map((meshKey) => tokenOf({ meshKey, linkHash: parts.linkHash, role }));
  while (tokens.length < limits.groupTokens) tokens.push(random(tokenBytes));
  return tokens.sort(compare);
}

/** The groups whose token is among those that came. `meshKeys`: of the four newest epochs of each. `role`: of the side that sent the tokens. */
export function sharedGroups(parts: {
  linkHash: Uint8Array;
  role: LinkRole;
  tokens: readonly Uint8Array[];
  groups: readonly { readonly gid: Gid; readonly meshKeys: readonly Uint8Array[] }[];
}): Gid[] {
  const { role, tokens, groups } = parts;
  const isThere = (meshKey: Uint8Array) => {
    const due = tokenOf({ meshKey, linkHash: parts.linkHash, role });
    return tokens.some((token) => equal(token, due));
  };
  return groups.filter(({ meshKeys }) => meshKeys.some(isThere)).map(({ gid }) => gid);
}

const tokenBytes = 16;
const roleByte: Record<LinkRole, Uint8Array> = { offerer: Uint8Array.of(1), answerer: Uint8Array.of(2) };

/** HMAC(meshKey, lab("group-token") ‖ link hash ‖ u8 role)[0..16] */
function tokenOf(parts: { meshKey: Uint8Array; linkHash: Uint8Array; role: LinkRole }): Uint8Array {
  return mac(parts.meshKey, concat(label('group-token'), parts.linkHash, roleByte[parts.role])).slice(0, tokenBytes);
}
