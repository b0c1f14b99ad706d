// Entries of a group's log: signed, read and named (spec/protocol.md §4). Whether they count is for keys/resolve.ts.
import { decode, encode } from '../wire/codec.ts';
import { type OpBody, op, opBody } from '../wire/group-ops.ts';
import type { OpId } from '../wire/ids.ts';
import { WireRefusal } from '../wire/refusal.ts';
import type { SigningKey } from './ed25519.ts';
import { opIdOf } from './identity.ts';

export type ReadOp = {
  /** As received: what is stored and passed on. */
  readonly bytes: Uint8Array;
  readonly opId: OpId;
  readonly bodyBytes: Uint8Array;
  readonly body: OpBody;
  /** Not checked by reading. */
  readonly signature: Uint8Array;
};

/** `signer`: of the device that `body` names as author. Throws WireRefusal for a body that nobody would read. */
export async function signOp({ body, signer }: { body: OpBody; signer: SigningKey }): Promise<ReadOp> {
  const bodyBytes = encode(opBody, body);
  return readOp(encode(op, { body: bodyBytes, signature: await signer.sign('op', bodyBytes) }));
}

/** Shape alone, neither signature nor place in a log. Throws WireRefusal. */
export function readOp(bytes: Uint8Array): ReadOp {
  const { body: bodyBytes, signature } = decode(op, bytes);
  const body = decode(opBody, bodyBytes);
  refuseMisshapen(body);
  return { bytes, opId: opIdOf(bodyBytes), bodyBytes, body, signature };
}

/** A genesis has no parents, depth 0, no gid, and its first change alone is a genesis; any other op has the opposite of all that. */
function refuseMisshapen({ parents, depth, gid, changes }: OpBody): void {
  const isGenesis = parents.length === 0;
  if (isGenesis !== (depth === 0)) throw new WireRefusal('bad-value', 'depth of an op');
  if (isGenesis !== gid.every((byte) => byte === 0)) throw new WireRefusal('bad-value', 'gid of an op');
  const isAsDue = changes.every(({ kind }, i) => (kind === 'genesis') === (isGenesis && i === 0));
  if (!isAsDue || (isGenesis && changes.length === 0)) throw new WireRefusal('bad-value', 'genesis');
}
