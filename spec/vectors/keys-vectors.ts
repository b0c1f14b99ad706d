// What the vectors of keys/ are: computations with fixed inputs, and what is sealed with fixed ephemeral keys and nonces.
import { x25519 } from '@noble/curves/ed25519.js';
import { signingKeyFromSeed } from '../../keys/ed25519.ts';
import { expandKey, mac, plainHash } from '../../keys/hash.ts';
import { opIdOf } from '../../keys/identity.ts';
import { createVault } from '../../keys/vault.ts';
import { bigEndian, concat, fromHex, hex, label, utf8 } from '../../wire/bytes.ts';
import { encode } from '../../wire/codec.ts';
import { paddedPlaintext } from '../../wire/frame.ts';
import { asDid } from '../../wire/ids.ts';
import { paddedSignal, sealedSignal, signalBody } from '../../wire/signal.ts';
import { sealByHand } from '../hpke-by-hand.ts';
import { oddSignatures } from '../odd-signatures.ts';
import { bytesOf } from './bytes-of.ts';
import { plain } from './check.ts';
import { computations } from './compute.ts';
import { validVectors } from './wire-vectors.ts';

type Computed = { compute: string; name: string; input: unknown; output: unknown };

const of = (name: string, length = 32) => hex(bytesOf(name, length));
const ctx = of('ctx');

export async function computedVectors(): Promise<Computed[]> {
  const made: Computed[] = [];
  for (const [compute, cases] of Object.entries(await inputs())) {
    const computation = Object.entries(computations).find(([name]) => name === compute)?.[1];
    if (computation === undefined) throw new RangeError(`no computation ${compute}`);
    for (const [name, input] of Object.entries(cases)) {
      made.push({ compute, name, input, output: plain(await computation(input)) });
    }
  }
  return made;
}

async function inputs(): Promise<
  Record<Exclude<keyof typeof computations, 'groupLog'>, Record<string, Record<string, unknown>>>
> {
  const genesis = bytesIn('opBody', 'genesis');
  const genesisOp = bytesIn('op', 'genesis');
  const opId = hex(opIdOf(fromHex(genesis)));
  const plaintext = hex(encode(paddedPlaintext, { version: 1, kind: 0, sentAt: 1, heads: [], body: utf8('{}') }));
  const place = { gid: of('genesis'), epochId: of('epoch'), did: of('alice device') };
  const firstFrame = {
    ...place,
    signSeed: of('sign seed'),
    gen: 0,
    chainKey: of('chain'),
    seq: 1,
    previous: '00'.repeat(32),
    plaintext,
    nonce: of('nonce', 12),
  };
  const { publicKey: signPub } = await signingKeyFromSeed(bytesOf('sign seed', 32));
  const first = await computations.sealFrame(firstFrame);
  const laterFrame = { ...firstFrame, gen: 2, chainKey: hex(chainKeyAfter(2)), seq: 3, previous: hex(first.frameId) };
  const later = await computations.sealFrame(laterFrame);
  return {
    hash: {
      'label only': { label: 'th0', parts: [] },
      'label and parts': { label: 'th0', parts: ['00', 'ffff'] },
    },
    mac: { 'two parts': { key: of('key'), parts: ['01', '02'] } },
    extract: { 'salt and secret': { salt: of('salt'), secret: of('secret') } },
    expand: {
      '32 bytes': { key: of('key'), label: 'mk', context: '', length: 32 },
      '16 bytes with a context': { key: of('key'), label: 'gtag', context: of('context'), length: 16 },
    },
    uid: { 'version 4': { keyVersion: 4, primaryKeyPacketBody: of('key packet', 51) } },
    did: { 'of alice': { uid: of('alice'), signPub: hex(signPub) } },
    opId: { genesis: { body: genesis } },
    frameId: { 'without signature': { unsigned: hex(first.bytes.slice(0, -64)) } },
    nodeId: { 'of a key': { nodePub: of('node key') } },
    shardHash: { 'of a shard': { shard: of('shard', 50) }, 'of an empty shard': { shard: '' } },
    certHash: { 'of a certificate': { certificate: of('certificate', 24) } },
    signature: { 'of an op': { seed: of('sign seed'), label: 'op', body: genesis } },
    verify: oddInputs(),
    epochContext: {
      genesis: { opBody: genesis },
      'add by an admin': { opBody: bytesIn('opBody', 'add by an admin') },
      remove: { opBody: bytesIn('opBody', 'remove') },
    },
    freshEpoch: {
      'wrap 1': { ctx, wrap: 1, random: [of('group key')] },
      'wrap 2': { ctx, wrap: 2, random: [of('group key'), of('epoch secret')] },
      'wrap 1, group key unchanged': { ctx, wrap: 1, random: [], groupKey: of('group key'), logKey: of('log key') },
      'wrap 2, group key unchanged': {
        ctx,
        wrap: 2,
        random: [of('epoch secret')],
        groupKey: of('group key'),
        logKey: of('log key'),
      },
    },
    ratchetEpoch: {
      'wrap 1': { ctx, wrap: 1, groupKey: of('group key'), logKey: of('log key'), next: of('next') },
      'wrap 2': { ctx, wrap: 2, groupKey: of('group key'), logKey: of('log key'), next: of('next') },
    },
    openEpoch: {
      'two devices': {
        groupKey: of('group key'),
        epochSecret: of('epoch secret'),
        logKey: of('log key'),
        epochId: of('epoch'),
        dids: [of('alice device'), of('bob device')],
      },
    },
    derived: { 'of a log key and a group key': { logKey: of('log key'), groupKey: of('group key') } },
    sealOp: {
      'same log key': { gTag: of('gtag', 16), logKey: of('log key'), op: genesisOp, opId },
      'new log key': {
        gTag: of('gtag', 16),
        logKey: of('log key'),
        op: genesisOp,
        opId,
        newLogKey: of('new log key'),
        parentKeys: [of('log key'), of('other log key')],
      },
    },
    epochShard: { 'one device': await epochShard() },
    sealFrame: { first: firstFrame, 'after two others': laterFrame },
    openFrame: {
      first: { frame: hex(first.bytes), signPub: hex(signPub), gen: 0, chainKey: of('chain') },
      'over two skipped': { frame: hex(later.bytes), signPub: hex(signPub), gen: 0, chainKey: of('chain') },
      'used before': { frame: hex(first.bytes), signPub: hex(signPub), gen: 1, chainKey: of('chain') },
      'of another chain': { frame: hex(first.bytes), signPub: hex(signPub), gen: 0, chainKey: of('other chain') },
      'of another device': { frame: hex(first.bytes), signPub: of('sign key'), gen: 0, chainKey: of('chain') },
    },
    openSignal: { offer: await sealedOffer() },
    link: {
      'two groups': {
        sid: of('sid', 16),
        offerSdp: 'v=0\r\n',
        answerSdp: 'v=0\r\ns=-\r\n',
        offererDid: of('alice device'),
        offererFingerprint: of('alice fingerprint'),
        offererNonce: of('alice nonce'),
        answererDid: of('bob device'),
        answererFingerprint: of('bob fingerprint'),
        answererNonce: of('bob nonce'),
        signSeed: of('sign seed'),
        meshKeys: [of('mesh key'), of('other mesh key')],
      },
    },
    joinRequest: {
      bob: {
        gTag: of('gtag', 16),
        logKey: of('log key'),
        request: bytesIn('joinRequest', 'bob'),
        nonce: of('nonce', 12),
      },
    },
    openVault: await sealedVault(),
  };
}

function bytesIn(codec: string, name: string): string {
  return validVectors.find((one) => one.codec === codec && one.name === name)?.bytes ?? missing(name);
}

function missing(name: string): never {
  throw new RangeError(`no vector ${name}`);
}

function oddInputs(): Record<string, Record<string, unknown>> {
  const odd = oddSignatures({ seed: bytesOf('sign seed', 32), name: 'msg', body: bytesOf('body', 40) });
  return Object.fromEntries(
    Object.entries(odd).map(([name, { publicKey, signature }]) => [
      name,
      { publicKey: hex(publicKey), label: 'msg', body: of('body', 40), signature: hex(signature) },
    ]),
  );
}

/** ck' = HMAC(ck, 0x02) */
function chainKeyAfter(frames: number): Uint8Array {
  let key = bytesOf('chain', 32);
  for (let i = 0; i < frames; i++) key = mac(key, Uint8Array.of(2));
  return key;
}

/** u16 count, then did[0..8] ‖ u32 lockNo ‖ enc ‖ ct; written out here, not by keys/group-key.ts. */
async function epochShard(): Promise<Record<string, unknown>> {
  const did = bytesOf('bob device', 32);
  const groupKey = bytesOf('group key', 32);
  const gkCommit = mac(groupKey, label('gk-commit'), bytesOf('ctx', 32));
  const { enc, ciphertext } = await sealByHand({
    ephemeral: bytesOf('ephemeral', 32),
    to: x25519.getPublicKey(bytesOf('lock seed', 32)),
    info: concat(label('es-wrap'), bytesOf('ctx', 32), did, bigEndian(3, 4)),
    psk: { key: groupKey, id: gkCommit },
    plaintext: expandKey(groupKey, 'es-from-gk', bytesOf('ctx', 32)),
  });
  const shard = concat(bigEndian(1, 2), did.slice(0, 8), bigEndian(3, 4), enc, ciphertext);
  return { shard: hex(shard), ctx, did: hex(did), groupKey: hex(groupKey), lockNo: 3, lockSeed: of('lock seed') };
}

async function sealedOffer(): Promise<Record<string, unknown>> {
  const signer = await signingKeyFromSeed(bytesOf('sign seed', 32));
  const did = asDid(bytesOf('bob device', 32));
  const body = encode(signalBody, {
    sid: bytesOf('sid', 16),
    from: asDid(bytesOf('alice device', 32)),
    to: did,
    no: 0,
    payload: { kind: 'offer', nonce: bytesOf('welcome', 32), sdp: 'v=0\r\n'.repeat(100) },
  });
  const { enc, ciphertext } = await sealByHand({
    ephemeral: bytesOf('ephemeral', 32),
    to: x25519.getPublicKey(bytesOf('lock seed', 32)),
    info: concat(label('signal'), did, bigEndian(2, 4)),
    plaintext: encode(paddedSignal, { body, signature: await signer.sign('signal', body) }),
  });
  const sealed = concat(bigEndian(2, 4), enc, bigEndian(ciphertext.length, 2), ciphertext);
  const memberTag = mac(bytesOf('mesh key', 32), label('signal-tag'), did, plainHash(sealed)).slice(0, 16);
  return {
    signal: hex(encode(sealedSignal, { memberTag, lockNo: 2, enc, ciphertext })),
    meshKeys: [of('other mesh key'), of('mesh key')],
    did: hex(did),
    lockNo: 2,
    lockSeed: of('lock seed'),
    signPub: hex(signer.publicKey),
  };
}

async function sealedVault(): Promise<Record<string, Record<string, unknown>>> {
  const random = (length: number) => bytesOf(`vault ${length}`, length);
  const { header, vault } = await createVault({ passphrase: 'Caf\u00e9 am See', random });
  const sealed = hex(await vault.seal('device', utf8('seed')));
  const input = { header: hex(header), passphrase: 'Caf\u00e9 am See', name: 'device', sealed };
  return {
    'right passphrase': input,
    'the same passphrase in NFD': { ...input, passphrase: 'Cafe\u0301 am See' },
    'wrong passphrase': { ...input, passphrase: 'Cafe am See' },
  };
}
