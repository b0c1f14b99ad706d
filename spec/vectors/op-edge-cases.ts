// Group logs whose signatures are on the edge of Ed25519: on ops, on the device certificates and on the invite proofs in them.
import { plainHash } from '../../keys/hash.ts';
import { didOf, uidOf } from '../../keys/identity.ts';
import { type ReadOp, readOp } from '../../keys/op.ts';
import { bigEndian, concat, hex, utf8 } from '../../wire/bytes.ts';
import { encode } from '../../wire/codec.ts';
import { deviceCert, deviceCertBody } from '../../wire/device-cert.ts';
import { type Change, type OpBody, op, opBody } from '../../wire/group-ops.ts';
import { type OddName, oddSignatures } from '../odd-signatures.ts';
import { adding, bodyOn, genesisBody, inviting, type SpecPerson } from '../op-people.ts';
import { bytesOf } from './bytes-of.ts';
import { plain } from './check.ts';
import { computations } from './compute.ts';

/** Each with the ops of a log, in order, and what comes of them. */
export function opEdgeCases() {
  return oddNames.flatMap((odd) => [
    vector(`op, ${odd}`, logWithOddOp(odd)),
    vector(`device certificate, ${odd}`, logWithOddDevice(odd)),
    vector(`invite proof, ${odd}`, logWithOddInvite(odd)),
  ]);
}

function vector(name: string, ops: ReadOp[]) {
  const input = { ops: ops.map(({ bytes }) => hex(bytes)) };
  return { compute: 'groupLog', name, input, output: plain(computations.groupLog(input)) };
}

/** Where the key itself is odd it is that of the founder, else she writes on top of her genesis. */
function logWithOddOp(odd: OddName): ReadOp[] {
  if (odd.startsWith('key')) return [signedBy('alice', genesisBody(personWith('alice', odd)), odd)];
  const [genesis] = aliceWrites();
  return [genesis, signedBy('alice', bodyOn([genesis], { by: alice.devices[0], changes: [] }), odd)];
}

function logWithOddDevice(odd: OddName): ReadOp[] {
  return aliceWrites(() => [adding(personWith('gina', odd))]);
}

function logWithOddInvite(odd: OddName): ReadOp[] {
  const gina = personWith('gina', 'honest');
  const [{ did, certificate }] = gina.devices;
  const list = concat(Uint8Array.of(1), bigEndian(certificate.length, 2), certificate);
  const proofIn = (gid: Uint8Array) => {
    const claim = concat(gid, gina.uid, gina.certHash, plainHash(list));
    const { publicKey: invitePub, signature: inviteSignature } = oddOf('invite', { name: 'join', body: claim, odd });
    return { invitePub, inviteSignature, did, deviceSignature: oddOf('gina', { name: 'join', body: claim }).signature };
  };
  return aliceWrites(
    (gid) => [inviting(proofIn(gid).invitePub)],
    (gid) => [{ ...adding(gina), proof: proofIn(gid) }],
  );
}

/** A genesis and on top of each other what `writes` says, all in order but for what it brings in. */
function aliceWrites(...writes: ((gid: Uint8Array) => Change[])[]): [ReadOp, ...ReadOp[]] {
  const genesis = signedBy('alice', genesisBody(alice));
  const ops: [ReadOp, ...ReadOp[]] = [genesis];
  for (const write of writes)
    ops.push(signedBy('alice', bodyOn(ops.slice(-1), { by: alice.devices[0], changes: write(genesis.opId) })));
  return ops;
}

function signedBy(who: Who, body: OpBody, odd?: OddName): ReadOp {
  const bodyBytes = encode(opBody, body);
  const { signature } = oddOf(who, { name: 'op', body: bodyBytes, odd });
  return readOp(encode(op, { body: bodyBytes, signature }));
}

function personWith(name: 'alice' | 'gina', odd: OddName): SpecPerson {
  const uid = uidOf(4, utf8(name));
  const signPub = oddOf(name, { name: 'device-pop', body: new Uint8Array(), odd }).publicKey;
  const body = encode(deviceCertBody, { suite: 1, uid, signPub, createdAt: 0, notAfter: 1, flags: 0, name });
  const { signature: pop } = oddOf(name, { name: 'device-pop', body, odd });
  const certificate = encode(deviceCert, { body, pop, openPgpSignature: new Uint8Array() });
  return { name, uid, certHash: bytesOf(`${name} cert`, 32), devices: [{ did: didOf(uid, signPub), signPub, certificate }] };
}

type Who = 'alice' | 'gina' | 'invite';

function oddOf(who: Who, { name, body, odd = 'honest' }: { name: string; body: Uint8Array; odd?: OddName | undefined }) {
  return oddSignatures({ seed: bytesOf(`edge ${who}`, 32), name, body })[odd];
}

const sample = oddSignatures({ seed: new Uint8Array(32), name: '', body: new Uint8Array() });
const oddNames = Object.keys(sample).filter((name): name is OddName => name in sample);
const alice = personWith('alice', 'honest');
