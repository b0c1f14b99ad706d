// Identifiers: 32-byte hashes that must not be mixed up. How each is computed stands in keys/identity.ts.
import { bytesN, type Codec, checked } from './codec.ts';
import { WireRefusal } from './refusal.ts';

declare const brand: unique symbol;
export type Id<Name extends string> = Uint8Array & { readonly [brand]: Name };

/** A person: hash of the primary OpenPGP key. */
export type Uid = Id<'uid'>;
/** A browser profile or headless process of a person. */
export type Did = Id<'did'>;
export type OpId = Id<'op'>;
/** A group: the id of its genesis op. */
export type Gid = Id<'op'>;
/** An epoch: the id of the op that starts it. */
export type EpochId = Id<'op'>;
export type FrameId = Id<'frame'>;
export type NodeId = Id<'node'>;
/** 16 bytes under which the node stores a group's log; it does not reveal the gid. */
export type GTag = Id<'gtag'>;
/** 16 bytes under which the node keeps who of a group is online. */
export type RosterTag = Id<'roster'>;

function named<Name extends string>(length: number): (bytes: Uint8Array) => Id<Name> {
  const fits = (bytes: Uint8Array): bytes is Id<Name> => bytes.length === length;
  return (bytes) => {
    if (!fits(bytes)) throw new WireRefusal('bad-value', `id of ${bytes.length} bytes`);
    return bytes;
  };
}

export const asUid = named<'uid'>(32);
export const asDid = named<'did'>(32);
export const asOpId = named<'op'>(32);
export const asFrameId = named<'frame'>(32);
export const asNodeId = named<'node'>(32);
export const asGTag = named<'gtag'>(16);
export const asRosterTag = named<'roster'>(16);

function idCodec<Name extends string>(length: number, as: (bytes: Uint8Array) => Id<Name>): Codec<Id<Name>> {
  return checked<Uint8Array, Id<Name>>(bytesN(length), as);
}

export const uidCodec = idCodec(32, asUid);
export const didCodec = idCodec(32, asDid);
export const opIdCodec = idCodec(32, asOpId);
export const frameIdCodec = idCodec(32, asFrameId);
export const nodeIdCodec = idCodec(32, asNodeId);
export const gTagCodec = idCodec(16, asGTag);
export const rosterTagCodec = idCodec(16, asRosterTag);
