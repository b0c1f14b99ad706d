// Everything that two devices say to each other on a link (spec/protocol.md §6 and mesh part).
import { bytesN, choice, type Decoded, list8, list16, struct, u32, u64, vec32 } from './codec.ts';
import { didCodec, frameIdCodec, opIdCodec } from './ids.ts';
import { limits } from './limits.ts';

const linkGroups = struct({ tokens: list8(bytesN(16), limits.groupTokens) });

/** The first messages on a link: nothing else is parsed before both have come. */
export const linkConfirmMessage = choice('type', {
  'link-hello': [0x51, struct({ nonce: bytesN(32) })],
  /** signature: Sig(device, "link", link hash); tokens: one 16-byte blinded token per shared group, sorted, padded with random ones to 32 */
  'link-proof': [0x52, struct({ signature: bytesN(64) })],
  'link-groups': [0x53, linkGroups],
});
export type LinkConfirmMessage = Decoded<typeof linkConfirmMessage>;

/** Inclusive at both ends; ascending and apart from each other. */
export const range = struct({ from: u64, to: u64 });
export type Range = Decoded<typeof range>;

export const deviceRanges = struct({
  did: didCodec,
  ranges: list8(range, limits.rangesPerDevice),
  /** Of the greatest seq in ranges: two halves of an equivocation differ here. */
  top: frameIdCodec,
});
export type DeviceRanges = Decoded<typeof deviceRanges>;

const group = { gid: opIdCodec };

export const peerMessage = choice('type', {
  /** Again whenever my groups or epochs change. */
  'link-groups': [0x53, linkGroups],
  /** One frame, whole. */
  frame: [0x54, struct({ frame: vec32(limits.frameBytes) })],
  /** I have stored these: answers a frame, or offers them. */
  have: [0x55, struct({ ...group, frames: list16(frameIdCodec, limits.haveIds) })],
  want: [0x56, struct({ ...group, frames: list16(frameIdCodec, limits.haveIds) })],
  /** A hash of my whole vector: equal means nothing to heal. */
  digest: [0x57, struct({ ...group, digest: bytesN(16) })],
  vector: [0x58, struct({ ...group, devices: list16(deviceRanges, limits.vectorDevices) })],
  /** Send me these by number, oldest first. */
  'want-ranges': [
    0x59,
    struct({
      ...group,
      devices: list16(struct({ did: didCodec, ranges: list8(range, limits.rangesPerDevice) }), limits.vectorDevices),
    }),
  ],
  ping: [0x5a, struct({ no: u32 })],
  pong: [0x5b, struct({ no: u32 })],
  /** The log has grown to this op: look at the node, or ask me. */
  'log-heads': [0x5c, struct({ ...group, heads: list8(opIdCodec, limits.opParents) })],
  /** A device signed both, and they contradict each other: it counts for nothing from the smaller of their numbers on. */
  fork: [0x5d, struct({ first: vec32(limits.frameBytes), second: vec32(limits.frameBytes) })],
  bye: [0x5f, struct({})],
});
export type PeerMessage = Decoded<typeof peerMessage>;
