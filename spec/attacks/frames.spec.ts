// Attacks 39, 43 and 48: frames and signals that a relay or a hostile author has changed or made to hurt.
import assert from 'node:assert/strict';
import { sealAead } from '../../keys/aead.ts';
import { readDeviceCert } from '../../keys/device.ts';
import { type SigningKey, signingKeyFromSeed } from '../../keys/ed25519.ts';
import type { ChainState } from '../../keys/epoch.ts';
import {
  openFrame,
  type ReadFrame,
  type ReceiverChain,
  readFrame,
  receiverChainCodec,
  receiverChainOf,
  sealFrame,
  verifyFrame,
} from '../../keys/frame-seal.ts';
import { expandKey, mac, plainHash } from '../../keys/hash.ts';
import { sealHpke } from '../../keys/hpke.ts';
import { didOf } from '../../keys/identity.ts';
import { openSignal } from '../../keys/signal-seal.ts';
import { agreementKeyFromSeed, agreementPublicKey } from '../../keys/x25519.ts';
import { bigEndian, concat, hex, label, utf8 } from '../../wire/bytes.ts';
import { decode, encode } from '../../wire/codec.ts';
import { deviceCert, deviceCertBody } from '../../wire/device-cert.ts';
import { frameHeaderBytes, paddedPlaintext } from '../../wire/frame.ts';
import { asDid, asOpId, asUid } from '../../wire/ids.ts';
import { limits } from '../../wire/limits.ts';
import { WireRefusal } from '../../wire/refusal.ts';
import { paddedSignal, sealedSignal, signalBody } from '../../wire/signal.ts';
import { oddSignatures } from '../odd-signatures.ts';
import { bytesOf } from '../vectors/bytes-of.ts';

const bytes = (name: string, length = 32) => bytesOf(name, length);
const aliceDid = asDid(bytes('alice device'));
const start: ChainState = { gen: 0, key: bytes('chain') };

/** What alice sends, one after the other. */
async function framesOf(signer: SigningKey, count: number): Promise<Uint8Array[]> {
  const sent: Uint8Array[] = [];
  let chain = start;
  let previous: Uint8Array = new Uint8Array(32);
  for (let seq = 1; seq <= count; seq++) {
    const sealed = await sealFrame({
      chain,
      place: { gid: asOpId(bytes('group')), epochId: asOpId(bytes('epoch')), did: aliceDid, seq, previous },
      plaintext: { version: 1, kind: 0, sentAt: 0, heads: [], body: utf8(`line ${seq}`) },
      signer,
      nonce: bytes(`nonce ${seq}`, 12),
    });
    sent.push(sealed.bytes);
    ({ chain } = sealed);
    previous = sealed.frameId;
  }
  return sent;
}

/** The same frame with some bytes written over, signed again by whoever has the key. */
async function forged(frame: Uint8Array, signer: SigningKey, at: number, by: Uint8Array): Promise<Uint8Array> {
  const unsigned = frame.slice(0, -64);
  unsigned.set(by, at);
  return concat(unsigned, await signer.sign('msg', unsigned));
}

function withByte(whole: Uint8Array, at: number, byte: number): Uint8Array {
  const changed = whole.slice();
  changed[at] = byte;
  return changed;
}

async function bodyOf(read: ReadFrame, chain: ReceiverChain) {
  const opened = await openFrame(read, chain);
  return typeof opened === 'string' ? opened : new TextDecoder().decode(opened.plaintext.body);
}

const snapshot = (chain: ReceiverChain) => hex(encode(receiverChainCodec, chain));

/** A chain whose key must not be looked at: without it nothing can be hashed. */
function unreadable(chain: ReceiverChain): ReceiverChain {
  return {
    gen: chain.gen,
    skipped: chain.skipped,
    get key(): Uint8Array {
      return assert.fail('the chain key was used');
    },
  };
}

const genAt = 106;

describe('frames under attack', () => {
  let alice: SigningKey;
  let sent: Uint8Array[];
  before(async () => {
    alice = await signingKeyFromSeed(bytes('alice'));
    sent = await framesOf(alice, 4);
  });
  const frame = (i: number) => sent[i] ?? assert.fail();

  /** As a receiver does: read, verify, open. The chain it has then, or why not. */
  async function receive(given: Uint8Array, chain: ReceiverChain): Promise<ReceiverChain | string> {
    try {
      const read = readFrame(given);
      if (!(await verifyFrame(read, alice.publicKey))) return 'signature';
      const opened = await openFrame(read, chain);
      return typeof opened === 'string' ? opened : opened.chain;
    } catch (error) {
      if (error instanceof WireRefusal) return error.code;
      throw error;
    }
  }

  it('are dropped whichever byte a relay flips, and the ratchet stays where it was (43)', async () => {
    const chain = receiverChainOf(start);
    const before = snapshot(chain);
    for (let at = 0; at < frame(0).length; at++) {
      const changed = frame(0).slice();
      changed[at] = (changed[at] ?? 0) ^ 0x01;
      assert.equal(typeof (await receive(changed, chain)), 'string', `byte ${at}`);
      assert.equal(snapshot(chain), before);
    }
    assert.notEqual(typeof (await receive(frame(0), chain)), 'string');
  });

  it('are refused whichever byte the author herself changed, and the ratchet stays where it was (43)', async () => {
    const chain = receiverChainOf(start);
    const before = snapshot(chain);
    for (let at = 2; at < frame(0).length - 64; at++) {
      const changed = await forged(frame(0), alice, at, Uint8Array.of((frame(0)[at] ?? 0) ^ 0x80));
      const received = await receive(changed, chain);
      assert.ok(typeof received === 'string' && received !== 'signature', `byte ${at}`);
      assert.equal(snapshot(chain), before);
    }
    assert.equal(await bodyOf(readFrame(frame(0)), chain), 'line 1');
  });

  it('of another device, epoch or number do not open with this key, though a thief of the key signs them', async () => {
    const chain = receiverChainOf(start);
    for (const at of [2, 34, 66, 98 + 7, 110]) {
      const moved = await forged(frame(0), alice, at, Uint8Array.of(0xee));
      assert.equal(await openFrame(readFrame(moved), chain), 'commit-mismatch', `byte ${at}`);
    }
    const commit = await forged(frame(0), alice, 142, bytes('another commitment'));
    assert.equal(await openFrame(readFrame(commit), chain), 'commit-mismatch');
    const nonce = await forged(frame(0), alice, 174, bytes('another nonce', 12));
    assert.equal(await openFrame(readFrame(nonce), chain), 'aead');
  });

  it('with a huge gen are refused before anything is hashed (48)', async () => {
    const chain = unreadable(receiverChainOf(start));
    for (const gen of [2 ** 31, 2 ** 32 - 1, limits.skippedPerSender + 1]) {
      const far = await forged(frame(0), alice, genAt, bigEndian(gen, 4));
      assert.equal(await openFrame(readFrame(far), chain), 'skip-too-far');
    }
    const reachable = await forged(frame(0), alice, genAt, bigEndian(limits.skippedPerSender, 4));
    await assert.rejects(openFrame(readFrame(reachable), chain), /chain key was used/);
    assert.equal(await openFrame(readFrame(reachable), receiverChainOf(start)), 'commit-mismatch');
  });

  it('cannot make a receiver keep more than 1000 skipped keys', async () => {
    const full: ReceiverChain = {
      gen: 2000,
      key: bytes('chain'),
      skipped: new Map(Array.from({ length: limits.skippedPerSender }, (_, i) => [i, bytes('skipped')])),
    };
    const next = await forged(frame(0), alice, genAt, bigEndian(2001, 4));
    assert.equal(await openFrame(readFrame(next), unreadable(full)), 'skip-too-far');
    const oneLess = { ...full, skipped: new Map([...full.skipped].slice(1)) };
    assert.equal(await openFrame(readFrame(next), oneLess), 'commit-mismatch');
  });

  it('cannot make a receiver read back a chain that no chain could be', () => {
    const stored = (gens: number[]) => {
      const skipped = gens.map((gen) => concat(bigEndian(gen, 4), bytes('skipped')));
      return concat(Uint8Array.of(1), bigEndian(5, 4), bytes('chain'), bigEndian(gens.length, 2), ...skipped);
    };
    assert.equal(decode(receiverChainCodec, stored([1, 3])).skipped.size, 2);
    for (const gens of [[3, 1], [1, 1], [5], [4, 6]]) {
      assert.throws(() => decode(receiverChainCodec, stored(gens)), WireRefusal, `${gens}`);
    }
  });

  it('that are too large, or claim a length they do not have, are refused without a key (48)', async () => {
    const verified: unknown[] = [];
    const { verify } = crypto.subtle;
    Object.defineProperty(crypto.subtle, 'verify', {
      configurable: true,
      value: (...given: Parameters<typeof verify>) => {
        verified.push(given);
        return verify.apply(crypto.subtle, given);
      },
    });
    try {
      const huge = new Uint8Array(limits.frameBytes + 1);
      huge.set(frame(0));
      const claims = [0, 1, 271, 273, 528, 2 ** 16, 2 ** 32 - 1].map((length) => {
        const changed = frame(0).slice();
        changed.set(bigEndian(length, 4), 186);
        return changed;
      });
      for (const bad of [huge, new Uint8Array(), frame(0).slice(0, 100), ...claims]) {
        assert.throws(() => readFrame(bad), WireRefusal);
      }
      assert.equal(verified.length, 0);
      assert.equal(await verifyFrame(readFrame(frame(0)), alice.publicKey), true);
      assert.equal(verified.length, 1);
    } finally {
      Reflect.deleteProperty(crypto.subtle, 'verify');
    }
  });

  it('open in any order, each once', async () => {
    let chain = receiverChainOf(start);
    const seen: unknown[] = [];
    for (const i of [2, 0, 2, 3, 1, 0, 1]) {
      const opened = await openFrame(readFrame(frame(i)), chain);
      if (typeof opened === 'string') {
        seen.push(opened);
        continue;
      }
      seen.push(new TextDecoder().decode(opened.plaintext.body));
      const stored = encode(receiverChainCodec, opened.chain);
      chain = decode(receiverChainCodec, stored);
    }
    assert.deepEqual(seen, ['line 3', 'line 1', 'key-used', 'line 4', 'line 2', 'key-used', 'key-used']);
    assert.deepEqual([chain.gen, chain.skipped.size], [4, 0]);
  });

  it('signed by another device of the group are not hers', async () => {
    const eve = await signingKeyFromSeed(bytes('eve'));
    const resigned = await forged(frame(0), eve, 0, Uint8Array.of(0x31));
    assert.equal(await verifyFrame(readFrame(resigned), alice.publicKey), false);
    assert.equal(await verifyFrame(readFrame(resigned), eve.publicKey), true);
  });

  it('of an author who seals what is no plaintext are refused, and the ratchet stays where it was (43)', async () => {
    const chain = receiverChainOf(start);
    const good = encode(paddedPlaintext, { version: 1, kind: 0, sentAt: 0, heads: [], body: utf8('line 1') });
    assert.equal(await openFrame(readFrame(await sealedByHand(good)), chain).then((opened) => typeof opened), 'object');
    const before = snapshot(chain);
    for (const bad of [new Uint8Array(256), withByte(good, 0, 2), withByte(good, 255, 1), concat(good, new Uint8Array(256))]) {
      assert.equal(await openFrame(readFrame(await sealedByHand(bad)), chain), 'plaintext');
      assert.equal(snapshot(chain), before);
    }
  });

  /** A frame of alice's with any plaintext: key, commitment and signature are right. */
  async function sealedByHand(plaintext: Uint8Array): Promise<Uint8Array> {
    const messageKey = mac(start.key, Uint8Array.of(1));
    const unsigned = frame(0).slice(0, frameHeaderBytes);
    unsigned.set(bigEndian(plaintext.length + 16, 4), frameHeaderBytes - 4);
    const nonce = unsigned.slice(174, 186);
    const ciphertext = await sealAead(expandKey(messageKey, 'mk', new Uint8Array()), { nonce, plaintext, additional: unsigned });
    const signed = concat(unsigned, ciphertext);
    return concat(signed, await alice.sign('msg', signed));
  }
});

describe('odd signatures (39)', () => {
  // The same expectations hold in every engine: spec/vectors/keys.json pins them under "verify".
  const accepted = new Set(['honest', 'key has a torsion part']);

  it('on frames get one verdict', async () => {
    const [whole] = await framesOf(await signingKeyFromSeed(bytes('alice')), 1);
    assert.ok(whole);
    const body = whole.slice(0, -64);
    const odd = oddSignatures({ seed: bytes('alice'), name: 'msg', body });
    for (const [name, { publicKey, signature }] of Object.entries(odd)) {
      assert.equal(await verifyFrame(readFrame(concat(body, signature)), publicKey), accepted.has(name), name);
    }
  });

  it('on signals get one verdict', async () => {
    const privateKey = await agreementKeyFromSeed(bytes('lock'));
    const lockPub = await agreementPublicKey(privateKey);
    const to = asDid(bytes('bob device'));
    const body = encode(signalBody, { sid: bytes('sid', 16), from: aliceDid, to, no: 0, payload: { kind: 'bye' } });
    const odd = oddSignatures({ seed: bytes('alice'), name: 'signal', body });
    for (const [name, { publicKey, signature }] of Object.entries(odd)) {
      const { enc, ciphertext } = await sealHpke({
        to: lockPub,
        info: concat(label('signal'), to, bigEndian(1, 4)),
        plaintext: encode(paddedSignal, { body, signature }),
      });
      const sealed = concat(bigEndian(1, 4), enc, bigEndian(ciphertext.length, 2), ciphertext);
      const memberTag = mac(bytes('mesh'), label('signal-tag'), to, plainHash(sealed)).slice(0, 16);
      const opened = await openSignal({
        bytes: encode(sealedSignal, { memberTag, lockNo: 1, enc, ciphertext }),
        meshKeys: [bytes('mesh')],
        me: { did: to, lockKeys: [{ no: 1, lockPub, privateKey }] },
        signPubOf: () => publicKey,
      });
      assert.equal(typeof opened === 'string' ? opened : 'opened', accepted.has(name) ? 'opened' : 'bad-signature', name);
    }
  });

  it('need a key that no device certificate can carry', () => {
    const uid = asUid(bytes('alice'));
    const certify = (publicKey: Uint8Array, pop: Uint8Array, body: Uint8Array) => {
      const certificate = encode(deviceCert, { body, pop, openPgpSignature: new Uint8Array() });
      return readDeviceCert(certificate).did.join() === didOf(uid, publicKey).join();
    };
    const facts = { suite: 1, uid, createdAt: 0, notAfter: 1, flags: 0, name: 'x' } as const;
    const keys = oddSignatures({ seed: bytes('alice'), name: 'device-pop', body: new Uint8Array() });
    for (const [name, { publicKey }] of Object.entries(keys)) {
      const body = encode(deviceCertBody, { ...facts, signPub: publicKey });
      const all = oddSignatures({ seed: bytes('alice'), name: 'device-pop', body });
      const pop = Object.entries(all).find(([other]) => other === name)?.[1].signature ?? assert.fail();
      if (name.startsWith('key')) assert.throws(() => certify(publicKey, pop, body), { name: 'DeviceRefusal' }, name);
      if (name === 'honest') assert.ok(certify(publicKey, pop, body));
    }
  });
});
