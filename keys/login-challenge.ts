// The cryptography of a login, both sides: an encrypted secret that never comes back, answered with a MAC (spec/protocol.md §2).
// Message bytes, as in `helloBytes` and `authBytes`, are whole socket messages as sent or received, with their type byte.
import { bigEndian, concat, equal } from '../wire/bytes.ts';
import { encode } from '../wire/codec.ts';
import type { NodeId, Uid } from '../wire/ids.ts';
import {
  type ClientAuth,
  clientAuthFields,
  clientAuthSigned,
  type NameClaim,
  type NodeAuth,
  type NodeHello,
  nodeAuthFields,
} from '../wire/login-messages.ts';
import { type SigningKey, verifyFast, verifyOnce } from './ed25519.ts';
import { expandKey, extractKey, hash, mac, plainHash } from './hash.ts';
import { nodeIdOf } from './identity.ts';
import { KeyRefusal } from './key-refusal.ts';

// --- the node's side

/** What seals to a certificate; openpgp.ts at the node. */
export interface ChallengeSealer {
  seal(parts: {
    purpose: 'login challenge';
    context: Uint8Array;
    body: Uint8Array;
    certificates: readonly Uint8Array[];
    now: number;
  }): Promise<Uint8Array>;
}

/** What the node keeps until ClientAuth comes; good for one answer. `macKey` is undefined on resume. */
export type OpenChallenge = { readonly th1: Uint8Array; readonly macKey: Uint8Array | undefined };

/** Answers a login or registration. Throws KeyRefusal if nothing can be sealed to the certificate. */
export async function startChallenge(parts: {
  helloBytes: Uint8Array;
  uid: Uid;
  certificate: Uint8Array;
  nodeKey: SigningKey;
  sealer: ChallengeSealer;
  random: (length: number) => Uint8Array;
  now: number;
}): Promise<{ hello: NodeHello; open: OpenChallenge }> {
  const { helloBytes, uid, certificate, nodeKey, sealer, random, now } = parts;
  const nonce = random(32);
  const th0 = helloTranscript({ helloBytes, nonce, nodePub: nodeKey.publicKey });
  const secret = random(32);
  const challenge = await sealer.seal({
    purpose: 'login challenge',
    context: challengeContext(th0, uid),
    body: secret,
    certificates: [certificate],
    now,
  });
  const { hello, th1 } = await signedHello({ th0, nonce, challenge, nodeKey });
  return { hello, open: { th1, macKey: macKeyOf(th1, secret) } };
}

/** Answers a resume: the device key alone is asked for. */
export async function startResume(parts: {
  helloBytes: Uint8Array;
  nodeKey: SigningKey;
  random: (length: number) => Uint8Array;
}): Promise<{ hello: NodeHello; open: OpenChallenge }> {
  const { helloBytes, nodeKey, random } = parts;
  const nonce = random(32);
  const th0 = helloTranscript({ helloBytes, nonce, nodePub: nodeKey.publicKey });
  const { hello, th1 } = await signedHello({ th0, nonce, challenge: new Uint8Array(0), nodeKey });
  return { hello, open: { th1, macKey: undefined } };
}

/** `signPub`: of the device certificate in `auth`, which the caller verifies. Its reasons are for the log; the client is told 'login-refused'. */
export async function checkClientAuth(parts: {
  open: OpenChallenge;
  auth: ClientAuth;
  signPub: Uint8Array;
}): Promise<'good' | 'bad-mac' | 'bad-device-signature'> {
  const { open, auth, signPub } = parts;
  if (!isMacGood(open, auth)) return 'bad-mac';
  const signed = concat(open.th1, plainHash(encode(clientAuthFields, auth.signed.fields)));
  const isSigned = await verifyOnce(signPub, 'client-auth', signed, auth.signed.deviceSignature);
  return isSigned ? 'good' : 'bad-device-signature';
}

export async function makeNodeAuth(parts: {
  th1: Uint8Array;
  authBytes: Uint8Array;
  fields: NodeAuth['fields'];
  nodeKey: SigningKey;
}): Promise<NodeAuth> {
  const { fields, nodeKey } = parts;
  return { fields, signature: await nodeKey.sign('node-auth', nodeAuthBody(parts)) };
}

async function signedHello(parts: {
  th0: Uint8Array;
  nonce: Uint8Array;
  challenge: Uint8Array;
  nodeKey: SigningKey;
}): Promise<{ hello: NodeHello; th1: Uint8Array }> {
  const { th0, nonce, challenge, nodeKey } = parts;
  const signature = await nodeKey.sign('node-hello', concat(th0, plainHash(challenge)));
  const hello = { nonce, nodePub: nodeKey.publicKey, challenge, signature };
  return { hello, th1: challengeTranscript(th0, hello) };
}

function isMacGood({ th1, macKey }: OpenChallenge, auth: ClientAuth): boolean {
  if (macKey === undefined) return auth.mac === undefined;
  return auth.mac !== undefined && equal(auth.mac, macOf({ th1, macKey, signed: auth.signed }));
}

// --- the client's side, in the order of the calls

/** What the client knows of the node before it dials: the key it pinned, the id that an invite names, both or nothing. */
export type ExpectedNode = { readonly nodePub: Uint8Array | undefined; readonly nodeId: NodeId | undefined };

export type CheckedHello =
  | { outcome: 'good'; th0: Uint8Array; th1: Uint8Array }
  /** A hard stop: another key than the pinned one, or than the invite named. */
  | { outcome: 'other-node' }
  | { outcome: 'bad-signature' };

/** Comes before any use of a private key. */
export async function checkNodeHello(parts: {
  helloBytes: Uint8Array;
  nodeHello: NodeHello;
  expected: ExpectedNode;
}): Promise<CheckedHello> {
  const { helloBytes, nodeHello, expected } = parts;
  const { nodePub, nonce, challenge, signature } = nodeHello;
  if (expected.nodePub !== undefined && !equal(expected.nodePub, nodePub)) return { outcome: 'other-node' };
  if (expected.nodeId !== undefined && !equal(expected.nodeId, nodeIdOf(nodePub))) return { outcome: 'other-node' };
  const th0 = helloTranscript({ helloBytes, nonce, nodePub });
  const isSigned = await verifyFast(nodePub, 'node-hello', concat(th0, plainHash(challenge)), signature);
  if (!isSigned) return { outcome: 'bad-signature' };
  return { outcome: 'good', th0, th1: challengeTranscript(th0, nodeHello) };
}

/** What decrypts for the person: the key agent. */
export interface ChallengeOpener {
  open(parts: { purpose: 'login challenge'; context: Uint8Array; message: Uint8Array; now: number }): Promise<Uint8Array>;
}

/** The key of the answer's MAC. Throws KeyRefusal: 'refused' whatever is wrong with the challenge, or what the agent has against opening any. */
export async function openChallenge(parts: {
  agent: ChallengeOpener;
  uid: Uid;
  th0: Uint8Array;
  th1: Uint8Array;
  challenge: Uint8Array;
  now: number;
}): Promise<Uint8Array> {
  const { agent, uid, th0, th1, challenge, now } = parts;
  const context = challengeContext(th0, uid);
  const secret = await agent.open({ purpose: 'login challenge', context, message: challenge, now });
  if (secret.length !== 32) throw new KeyRefusal('refused');
  return macKeyOf(th1, secret);
}

/** `macKey` is undefined on resume, `nameClaim` but for a registration. */
export async function makeClientAuth(parts: {
  th1: Uint8Array;
  macKey: Uint8Array | undefined;
  device: { readonly certificate: Uint8Array; readonly signer: SigningKey };
  nameClaim: NameClaim | undefined;
}): Promise<ClientAuth> {
  const { th1, macKey, device, nameClaim } = parts;
  const fields = { deviceCert: device.certificate, nameClaim };
  const deviceSignature = await device.signer.sign('client-auth', concat(th1, plainHash(encode(clientAuthFields, fields))));
  const signed = { fields, deviceSignature };
  return { signed, mac: macKey === undefined ? undefined : macOf({ th1, macKey, signed }) };
}

export function checkNodeAuth(parts: {
  th1: Uint8Array;
  authBytes: Uint8Array;
  nodeAuth: NodeAuth;
  nodePub: Uint8Array;
}): Promise<boolean> {
  const { th1, authBytes, nodeAuth, nodePub } = parts;
  return verifyFast(nodePub, 'node-auth', nodeAuthBody({ th1, authBytes, fields: nodeAuth.fields }), nodeAuth.signature);
}

// --- what both compute

function helloTranscript(parts: { helloBytes: Uint8Array; nonce: Uint8Array; nodePub: Uint8Array }): Uint8Array {
  const { helloBytes, nonce, nodePub } = parts;
  return hash('th0', bigEndian(helloBytes.length, 4), helloBytes, nonce, nodePub);
}

function challengeTranscript(th0: Uint8Array, hello: { challenge: Uint8Array; signature: Uint8Array }): Uint8Array {
  return hash('th1', th0, plainHash(hello.challenge), hello.signature);
}

/** Old mail, shards, replays and challenges relayed from another node all differ here. */
function challengeContext(th0: Uint8Array, uid: Uid): Uint8Array {
  return concat(th0, uid);
}

function macKeyOf(th1: Uint8Array, secret: Uint8Array): Uint8Array {
  return expandKey(extractKey(th1, secret), 'login-mac', new Uint8Array(0));
}

function macOf(parts: { th1: Uint8Array; macKey: Uint8Array; signed: ClientAuth['signed'] }): Uint8Array {
  const { th1, macKey, signed } = parts;
  return mac(macKey, th1, plainHash(encode(clientAuthSigned, signed)));
}

function nodeAuthBody(parts: { th1: Uint8Array; authBytes: Uint8Array; fields: NodeAuth['fields'] }): Uint8Array {
  return concat(plainHash(parts.th1, parts.authBytes), encode(nodeAuthFields, parts.fields));
}
