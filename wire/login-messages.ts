// The four messages of a login, registration or resume (spec/protocol.md §2).
import { bytesN, choice, type Decoded, list8, numberOf, optional, struct, text8, text16, u8, u64, vec16 } from './codec.ts';
import { didCodec, nodeIdCodec, uidCodec } from './ids.ts';
import { limits } from './limits.ts';
import { userName } from './names.ts';

const helloStart = {
  /** Bit 0, byHand: the user pastes the challenge through their own gpg. */
  flags: numberOf(1, 0, 1),
  /** The node's address as the client dialled it, such as wss://chat.example */
  origin: text16(limits.originBytes),
  nonce: bytesN(32),
};

/** Without its type byte, which stands in clientMessage. */
export const clientHello = struct({
  suite: numberOf(1, 1),
  hello: choice('purpose', {
    login: [1, struct({ ...helloStart, username: userName })],
    register: [2, struct({ ...helloStart, username: userName, certificate: vec16(limits.certificateBytes) })],
    resume: [3, struct({ ...helloStart, did: didCodec })],
  }),
});
export type ClientHello = Decoded<typeof clientHello>;

export const nodeHello = struct({
  nonce: bytesN(32),
  nodePub: bytesN(32),
  /** An OpenPGP message to the user's certificate; empty on resume. */
  challenge: vec16(limits.challengeBytes),
  /** Sig(node, "node-hello", th0 ‖ H(challenge)) */
  signature: bytesN(64),
});
export type NodeHello = Decoded<typeof nodeHello>;

export const nameClaimBody = struct({
  nodeId: nodeIdCodec,
  uid: uidCodec,
  username: userName,
  createdAt: u64,
});
export type NameClaimBody = Decoded<typeof nameClaimBody>;

export const nameClaim = struct({
  body: vec16(256),
  /** Detached binary OpenPGP signature over lab("name-claim") ‖ body. */
  openPgpSignature: vec16(limits.openPgpSignatureBytes),
});
export type NameClaim = Decoded<typeof nameClaim>;

/** What devSig covers, as H(encoding). */
export const clientAuthFields = struct({
  /** deviceCert; on resume the one the node has may be sent again */
  deviceCert: vec16(limits.deviceCertBytes),
  nameClaim: optional(nameClaim),
});

/** What the mac covers, as H(encoding). */
export const clientAuthSigned = struct({
  fields: clientAuthFields,
  /** Sig(device, "client-auth", th1 ‖ H(fields)) */
  deviceSignature: bytesN(64),
});

export const clientAuth = struct({
  signed: clientAuthSigned,
  /** HMAC(Exp(Ext(th1, K), "login-mac", "", 32), th1 ‖ H(signed)); absent on resume */
  mac: optional(bytesN(32)),
});
export type ClientAuth = Decoded<typeof clientAuth>;

export const iceServer = struct({
  urls: list8(text8(), 4),
  username: text8(),
  credential: text8(),
});
export type IceServer = Decoded<typeof iceServer>;

/** What the node signs at the end of a login. */
export const nodeAuthFields = struct({
  uid: uidCodec,
  username: userName,
  /** The node's clock: OpenPGP dates are corrected by it. */
  nodeTime: u64,
  policy: choice('registration', { open: [1, struct({})], invite: [2, struct({})], closed: [3, struct({})] }),
  iceServers: list8(iceServer, 8),
  /** Bit 0: the node has a live lock key of this device. */
  flags: u8,
});

export const nodeAuth = struct({
  fields: nodeAuthFields,
  /** Sig(node, "node-auth", H(th1 ‖ ClientAuth) ‖ fields) */
  signature: bytesN(64),
});
export type NodeAuth = Decoded<typeof nodeAuth>;
