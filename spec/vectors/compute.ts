// The computations that vectors pin besides encodings: JSON facts in (bytes as hex), result out. Runs in Node and in browsers.

import { signingKeyFromSeed, verifyFast, verifyStrictly } from '../../keys/ed25519.ts';
import {
  appendSeed,
  type EpochKeys,
  type EpochSecrets,
  epochContext,
  epochKeysCodec,
  epochOfGroupKey,
  freshEpoch,
  gTagOf,
  joinKeyOf,
  openEpoch,
  ratchetEpoch,
  rosterTagOf,
} from '../../keys/epoch.ts';
import { openFrame, readFrame, receiverChainCodec, sealFrame, verifyFrame } from '../../keys/frame-seal.ts';
import { openEpochShard } from '../../keys/group-key.ts';
import { expandKey, extractKey, hash, mac } from '../../keys/hash.ts';
import { certHashOf, didOf, frameIdOf, nodeIdOf, opIdOf, shardHashOf, uidOf } from '../../keys/identity.ts';
import { openJoinRequest, sealJoinRequest } from '../../keys/invite.ts';
import { groupTokens, linkHash, signLink } from '../../keys/link-confirm.ts';
import { openOp, sealOp } from '../../keys/log-seal.ts';
import { readOp } from '../../keys/op.ts';
import { OpLog } from '../../keys/resolve.ts';
import { openSignal } from '../../keys/signal-seal.ts';
import { openVault } from '../../keys/vault.ts';
import { agreementKeyFromSeed, agreementPublicKey } from '../../keys/x25519.ts';
import { fromHex } from '../../wire/bytes.ts';
import { decode, encode } from '../../wire/codec.ts';
import { paddedPlaintext } from '../../wire/frame.ts';
import { joinRequest, opBody } from '../../wire/group-ops.ts';
import { asDid, asGTag, asOpId, asUid } from '../../wire/ids.ts';
import { signalBody } from '../../wire/signal.ts';

type Facts = Record<string, unknown>;

export const computations = {
  hash: (facts: Facts) => hash(text(facts, 'label'), ...byteList(facts, 'parts')),
  mac: (facts: Facts) => mac(bytes(facts, 'key'), ...byteList(facts, 'parts')),
  extract: (facts: Facts) => extractKey(bytes(facts, 'salt'), bytes(facts, 'secret')),
  expand: (facts: Facts) =>
    expandKey(bytes(facts, 'key'), text(facts, 'label'), bytes(facts, 'context'), number(facts, 'length')),
  uid: (facts: Facts) => uidOf(number(facts, 'keyVersion'), bytes(facts, 'primaryKeyPacketBody')),
  did: (facts: Facts) => didOf(asUid(bytes(facts, 'uid')), bytes(facts, 'signPub')),
  opId: (facts: Facts) => opIdOf(bytes(facts, 'body')),
  frameId: (facts: Facts) => frameIdOf(bytes(facts, 'unsigned')),
  nodeId: (facts: Facts) => nodeIdOf(bytes(facts, 'nodePub')),
  shardHash: (facts: Facts) => shardHashOf(bytes(facts, 'shard')),
  certHash: (facts: Facts) => certHashOf(bytes(facts, 'certificate')),
  signature: async (facts: Facts) => {
    const signer = await signingKeyFromSeed(bytes(facts, 'seed'));
    return { publicKey: signer.publicKey, signature: await signer.sign(text(facts, 'label'), bytes(facts, 'body')) };
  },
  /** What the two verifiers say: every engine must say the same. */
  verify: async (facts: Facts) => {
    const [publicKey, body, signature] = [bytes(facts, 'publicKey'), bytes(facts, 'body'), bytes(facts, 'signature')];
    const name = text(facts, 'label');
    return {
      strictly: verifyStrictly(publicKey, name, body, signature),
      fast: await verifyFast(publicKey, name, body, signature),
    };
  },

  /** Of an encoded op body that starts an epoch. */
  epochContext: (facts: Facts) => {
    const { epoch, ...body } = decode(opBody, bytes(facts, 'opBody'));
    if (epoch === undefined) throw new TypeError('no epoch');
    return epochContext({ ...body, ...epoch });
  },
  /** What becomes of ops that come one after the other, and who is in at the end. */
  groupLog: (facts: Facts) => {
    const log = new OpLog();
    const ops = byteList(facts, 'ops').map(readOp);
    const outcomes = ops.map((op) => (log.add(op) === 'refused' ? (log.refusalOf(op) ?? 'refused') : 'added'));
    const members = log.size === 0 ? [] : [...log.state().members.values()].map(({ uid }) => uid);
    return { outcomes, verdicts: [...log.inOrder()].map(({ verdict }) => verdict), members };
  },
  freshEpoch: (facts: Facts) => {
    const randoms = byteList(facts, 'random');
    const unchanged = 'groupKey' in facts ? { groupKey: bytes(facts, 'groupKey'), logKey: bytes(facts, 'logKey') } : undefined;
    const random = () => randoms.shift() ?? fail('no more random bytes');
    return secretsOf(freshEpoch({ ctx: bytes(facts, 'ctx'), wrap: wrap(facts), random, ...(unchanged && { unchanged }) }));
  },
  ratchetEpoch: (facts: Facts) => {
    const parent = { groupKey: bytes(facts, 'groupKey'), logKey: bytes(facts, 'logKey'), next: bytes(facts, 'next') };
    return secretsOf(ratchetEpoch({ ctx: bytes(facts, 'ctx'), wrap: wrap(facts), parent }));
  },
  openEpoch: (facts: Facts) => {
    const secrets = {
      groupKey: bytes(facts, 'groupKey'),
      epochSecret: bytes(facts, 'epochSecret'),
      logKey: bytes(facts, 'logKey'),
    };
    const dids = byteList(facts, 'dids').map(asDid);
    const keys: EpochKeys = openEpoch({ secrets, epochId: asOpId(bytes(facts, 'epochId')), dids });
    const chains = new Map([...keys.chains].map(([did, { gen, key }]) => [did, { gen, key }]));
    return { next: keys.next, meshKey: keys.meshKey, chains, stored: encode(epochKeysCodec, keys) };
  },
  derived: async (facts: Facts) => {
    const logKey = bytes(facts, 'logKey');
    const seed = appendSeed(bytes(facts, 'groupKey'));
    const appendPub = (await signingKeyFromSeed(seed)).publicKey;
    return { gTag: gTagOf(logKey), rosterTag: rosterTagOf(logKey), joinKey: joinKeyOf(logKey), appendSeed: seed, appendPub };
  },
  /** Seals twice the same, and opens with the newest log key alone. */
  sealOp: async (facts: Facts) => {
    const gTag = asGTag(bytes(facts, 'gTag'));
    const op = bytes(facts, 'op');
    const brings =
      'newLogKey' in facts ? { logKey: bytes(facts, 'newLogKey'), parentKeys: byteList(facts, 'parentKeys') } : undefined;
    const sealed = await sealOp({ gTag, logKey: bytes(facts, 'logKey'), op, ...(brings && { brings }) });
    const opId = asOpId(bytes(facts, 'opId'));
    const opened = await openOp({ gTag, opId, logKeys: [brings?.logKey ?? bytes(facts, 'logKey')], sealed });
    return { sealed, opened };
  },
  epochShard: async (facts: Facts) => {
    const shard = bytes(facts, 'shard');
    const ctx = bytes(facts, 'ctx');
    const groupKey = bytes(facts, 'groupKey');
    const { esCommit } = epochOfGroupKey({ ctx, groupKey, logKey: groupKey });
    const lockKeys = [await lockKeyOf(facts)];
    const did = asDid(bytes(facts, 'did'));
    return openEpochShard({ shard, hash: shardHashOf(shard), ctx, did, lockKeys, groupKey, epoch: { esCommit } });
  },
  sealFrame: async (facts: Facts) => {
    const signer = await signingKeyFromSeed(bytes(facts, 'signSeed'));
    const chain = { gen: number(facts, 'gen'), key: bytes(facts, 'chainKey') };
    const place = {
      gid: asOpId(bytes(facts, 'gid')),
      epochId: asOpId(bytes(facts, 'epochId')),
      did: asDid(bytes(facts, 'did')),
      seq: number(facts, 'seq'),
      previous: bytes(facts, 'previous'),
    };
    const plaintext = decode(paddedPlaintext, bytes(facts, 'plaintext'));
    const sealed = await sealFrame({ chain, place, plaintext, signer, nonce: bytes(facts, 'nonce') });
    return { bytes: sealed.bytes, frameId: sealed.frameId, nextChainKey: sealed.chain.key };
  },
  openFrame: async (facts: Facts) => {
    const read = readFrame(bytes(facts, 'frame'));
    if (!(await verifyFrame(read, bytes(facts, 'signPub')))) return 'bad signature';
    const opened = await openFrame(read, { gen: number(facts, 'gen'), key: bytes(facts, 'chainKey'), skipped: new Map() });
    if (typeof opened === 'string') return opened;
    return { plaintext: opened.plaintext, chain: encode(receiverChainCodec, opened.chain) };
  },
  openSignal: async (facts: Facts) => {
    const signPub = bytes(facts, 'signPub');
    const me = { did: asDid(bytes(facts, 'did')), lockKeys: [await lockKeyOf(facts)] };
    const meshKeys = byteList(facts, 'meshKeys');
    const opened = await openSignal({ bytes: bytes(facts, 'signal'), meshKeys, me, signPubOf: () => signPub });
    return typeof opened === 'string' ? opened : { body: encode(signalBody, opened.body), meshKey: opened.meshKey };
  },
  link: async (facts: Facts) => {
    const side = (name: string) => ({
      did: asDid(bytes(facts, `${name}Did`)),
      fingerprint: bytes(facts, `${name}Fingerprint`),
      nonce: bytes(facts, `${name}Nonce`),
    });
    const whole = linkHash({
      sid: bytes(facts, 'sid'),
      offerSdp: text(facts, 'offerSdp'),
      answerSdp: text(facts, 'answerSdp'),
      offerer: side('offerer'),
      answerer: side('answerer'),
    });
    const random = (length: number) => new Uint8Array(length).fill(0xff);
    const meshKeys = byteList(facts, 'meshKeys');
    const tokensOf = (role: 'offerer' | 'answerer') =>
      groupTokens({ linkHash: whole, role, meshKeys, random }).slice(0, meshKeys.length);
    return {
      linkHash: whole,
      proof: await signLink(await signingKeyFromSeed(bytes(facts, 'signSeed')), whole),
      offererTokens: tokensOf('offerer'),
      answererTokens: tokensOf('answerer'),
    };
  },
  joinRequest: async (facts: Facts) => {
    const gTag = asGTag(bytes(facts, 'gTag'));
    const logKey = bytes(facts, 'logKey');
    const request = decode(joinRequest, bytes(facts, 'request'));
    const sealed = await sealJoinRequest({ gTag, logKey, request, nonce: bytes(facts, 'nonce') });
    const opened = await openJoinRequest({ gTag, logKeys: [logKey], sealed });
    return { sealed, opened: opened && encode(joinRequest, opened) };
  },
  openVault: async (facts: Facts) => {
    const vault = await openVault({
      header: bytes(facts, 'header'),
      passphrase: text(facts, 'passphrase'),
      random: () => fail('opening takes no random bytes'),
    });
    return typeof vault === 'string' ? vault : vault.open(text(facts, 'name'), bytes(facts, 'sealed'));
  },
} as const;

/** A plain copy: secrets print as '[key]'. */
function secretsOf({ groupKey, epochSecret, logKey, gkCommit, esCommit }: EpochSecrets) {
  return { groupKey, epochSecret, logKey, gkCommit, esCommit };
}

async function lockKeyOf(facts: Facts) {
  const privateKey = await agreementKeyFromSeed(bytes(facts, 'lockSeed'));
  return { no: number(facts, 'lockNo'), lockPub: await agreementPublicKey(privateKey), privateKey };
}

function bytes(facts: Facts, name: string): Uint8Array {
  return fromHex(text(facts, name));
}

function byteList(facts: Facts, name: string): Uint8Array[] {
  const list = facts[name];
  return Array.isArray(list) ? list.map((one) => bytes({ [name]: one }, name)) : fail(`no list ${name}`);
}

function text(facts: Facts, name: string): string {
  const value = facts[name];
  return typeof value === 'string' ? value : fail(`no text ${name}`);
}

function number(facts: Facts, name: string): number {
  const value = facts[name];
  return typeof value === 'number' ? value : fail(`no number ${name}`);
}

function wrap(facts: Facts): 1 | 2 {
  return number(facts, 'wrap') === 2 ? 2 : 1;
}

function fail(what: string): never {
  throw new TypeError(what);
}
