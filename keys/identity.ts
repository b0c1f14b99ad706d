// How ids are computed from what they name (spec/protocol.md §1).
import {
  asDid,
  asFrameId,
  asNodeId,
  asOpId,
  asUid,
  type Did,
  type FrameId,
  type NodeId,
  type OpId,
  type Uid,
} from '../wire/ids.ts';
import { hash } from './hash.ts';

/** `primaryKeyPacketBody`: of the public key packet, also where the secret one is at hand. */
export function uidOf(keyVersion: number, primaryKeyPacketBody: Uint8Array): Uid {
  return asUid(hash('uid', Uint8Array.of(keyVersion), primaryKeyPacketBody));
}

export function didOf(uid: Uid, signPub: Uint8Array): Did {
  return asDid(hash('did', uid, signPub));
}

export function opIdOf(body: Uint8Array): OpId {
  return asOpId(hash('op-id', body));
}

/** `unsigned`: the frame without its signature. */
export function frameIdOf(unsigned: Uint8Array): FrameId {
  return asFrameId(hash('frame-id', unsigned));
}

export function nodeIdOf(nodePub: Uint8Array): NodeId {
  return asNodeId(hash('node-id', nodePub));
}

export function shardHashOf(shard: Uint8Array): Uint8Array {
  return hash('shard', shard);
}

/** Of a stripped certificate. */
export function certHashOf(certificate: Uint8Array): Uint8Array {
  return hash('cert', certificate);
}
