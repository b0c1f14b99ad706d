// Attack 56: random and mutated bytes at every parser of wire/ and keys/ end in a listed refusal or in what encodes to the same bytes again.
// 100 000 inputs; with SLOW=1 a million. A failure names the seed to run it again.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { DeviceRefusal, readDeviceCert, readLockKey } from '../keys/device.ts';
import { signingKeyFromSeed } from '../keys/ed25519.ts';
import { epochKeysCodec, freshEpoch, openEpoch } from '../keys/epoch.ts';
import { chainStateCodec, readFrame, receiverChainCodec } from '../keys/frame-seal.ts';
import { makeEpochShards, openEpochShard } from '../keys/group-key.ts';
import { didOf, opIdOf, shardHashOf } from '../keys/identity.ts';
import { openJoinRequest, sealJoinRequest } from '../keys/invite.ts';
import { openOp, sealOp } from '../keys/log-seal.ts';
import { readOp } from '../keys/op.ts';
import { openSignal, sealSignal } from '../keys/signal-seal.ts';
import { openVault } from '../keys/vault.ts';
import { agreementKeyFromSeed, agreementPublicKey } from '../keys/x25519.ts';
import { fromHex } from '../wire/bytes.ts';
import { type Codec, decode, encode } from '../wire/codec.ts';
import { deviceCert, deviceCertBody, lockKey, lockKeyBody } from '../wire/device-cert.ts';
import { frame } from '../wire/frame.ts';
import { joinRequest, op, opBody } from '../wire/group-ops.ts';
import { asDid, asGTag, asOpId, asUid } from '../wire/ids.ts';
import { WireRefusal } from '../wire/refusal.ts';
import { bytesOf } from './vectors/bytes-of.ts';
import { type Parser, parsers } from './vectors/check.ts';
import { invalidVectors, validVectors } from './vectors/wire-vectors.ts';

const slow = process.env['SLOW'] === '1';
const times = slow ? 10 : 1;
const bytes = (name: string, length = 32) => bytesOf(name, length);

/** What is parsed: random bytes, or a valid message that was changed in a few places, perhaps with a piece of another. */
function hostile(valid: readonly Uint8Array[]): fc.Arbitrary<Uint8Array> {
  const place = fc.nat(0xffff);
  const edit = fc.oneof(
    fc.record({ flip: place, bit: fc.nat(7) }),
    fc.record({ put: place, byte: fc.constantFrom(0, 1, 0x7f, 0x80, 0xff) }),
    fc.record({ cut: place }),
    fc.record({ drop: place, length: fc.integer({ min: 1, max: 8 }) }),
    fc.record({ insert: place, bytes: fc.uint8Array({ minLength: 1, maxLength: 8 }) }),
    fc.record({ splice: place, from: place, other: fc.nat(valid.length - 1) }),
  );
  const mutated = fc
    .record({ start: fc.constantFrom(...valid), edits: fc.array(edit, { minLength: 1, maxLength: 4 }) })
    .map(({ start, edits }) => edits.reduce((whole, one) => applied(whole, one), start));
  const random = fc.uint8Array({ maxLength: 512 });
  const started = fc
    .record({ start: fc.constantFrom(...valid), length: fc.nat(40), rest: random })
    .map(({ start, length, rest }) => Uint8Array.of(...start.subarray(0, length), ...rest));
  return fc.oneof({ weight: 6, arbitrary: mutated }, { weight: 2, arbitrary: random }, { weight: 2, arbitrary: started });

  type Edit = typeof edit extends fc.Arbitrary<infer E> ? E : never;
  function applied(whole: Uint8Array, one: Edit): Uint8Array {
    const at = (index: number) => (whole.length === 0 ? 0 : index % whole.length);
    if ('flip' in one) return withByte(whole, at(one.flip), (whole[at(one.flip)] ?? 0) ^ (1 << one.bit));
    if ('put' in one) return withByte(whole, at(one.put), one.byte);
    if ('cut' in one) return whole.slice(0, at(one.cut));
    if ('drop' in one) return Uint8Array.of(...whole.subarray(0, at(one.drop)), ...whole.subarray(at(one.drop) + one.length));
    if ('insert' in one)
      return Uint8Array.of(...whole.subarray(0, at(one.insert)), ...one.bytes, ...whole.subarray(at(one.insert)));
    const other = valid[one.other] ?? whole;
    return Uint8Array.of(...whole.subarray(0, at(one.splice)), ...other.subarray(one.from % other.length));
  }
}

function withByte(whole: Uint8Array, at: number, byte: number): Uint8Array {
  const changed = whole.slice();
  changed[at] = byte;
  return changed;
}

/** Bytes and parts in what was parsed: a short input must not become much. */
function weightOf(value: unknown): number {
  if (value instanceof Uint8Array) return value.length;
  if (typeof value === 'string') return value.length;
  if (value instanceof Map) return weightOf([...value]);
  if (Array.isArray(value)) return value.reduce((sum, part) => sum + 1 + weightOf(part), 0);
  if (typeof value === 'object' && value !== null) return weightOf(Object.values(value));
  return 0;
}

function holds(parse: Parser, input: Uint8Array, isCanonical: boolean): void {
  let read: ReturnType<Parser>;
  try {
    read = parse(input);
  } catch (error) {
    if (error instanceof WireRefusal) return;
    throw error;
  }
  assert.ok(weightOf(read.value) <= 64 + 4 * input.length, `${input.length} bytes became ${weightOf(read.value)}`);
  if (isCanonical) assert.deepEqual(read.again, input);
  else assert.deepEqual(parse(read.again), read);
}

const codecParser =
  <T>(codec: Codec<T>): Parser =>
  (input) => {
    const value = decode(codec, input);
    return { value, again: encode(codec, value) };
  };

/** Texts have more than one spelling: JSON blanks and unknown fields, what stands before the # of a link. */
const spelledFreely = new Set(['messageBody', 'inviteLink']);

function vectorsOf(codec: string): Uint8Array[] {
  return [...validVectors, ...invalidVectors].filter((vector) => vector.codec === codec).map((vector) => fromHex(vector.bytes));
}

function firstOf(codec: string): Uint8Array {
  return vectorsOf(codec)[0] ?? assert.fail(codec);
}

describe('random and mutated bytes (56)', () => {
  const each = Math.ceil((88_000 * times) / Object.keys(parsers).length);

  for (const [name, parse] of Object.entries(parsers)) {
    it(`at the parser of ${name} are refused or read exactly`, function () {
      this.timeout(60_000 * times);
      const property = fc.property(hostile(vectorsOf(name)), (input) => holds(parse, input, !spelledFreely.has(name)));
      fc.assert(property, { numRuns: each });
    });
  }

  const stored = { ...storedThings(), ...readThings() };
  for (const [name, { parse, valid }] of Object.entries(stored)) {
    it(`as ${name} are refused or read exactly`, function () {
      this.timeout(60_000 * times);
      fc.assert(
        fc.property(hostile([valid]), (input) => holds(parse, input, true)),
        { numRuns: 1500 * times },
      );
    });
  }

  it('as the header of a vault are refused before any key is derived', async () => {
    const random = () => assert.fail('opening takes no random bytes');
    // A byte short of a header with a passphrase slot.
    const property = fc.asyncProperty(fc.uint8Array({ maxLength: 84 }), async (header) => {
      await assert.rejects(openVault({ header, passphrase: '', random }), WireRefusal);
    });
    await fc.assert(property, { numRuns: 1000 * times });
  });

  const seals = sealedThings();
  for (const [name, make] of Object.entries(seals)) {
    it(`as ${name} give a listed refusal`, async function () {
      this.timeout(120_000 * times);
      const { valid, open, runs, signedBytes = valid.length } = await make();
      assert.equal(await open(valid), 'good');
      const property = fc.asyncProperty(hostile([valid]), async (input) => {
        if ((await open(input)) !== 'good') return;
        assert.deepEqual(input.subarray(0, signedBytes), valid.subarray(0, signedBytes));
      });
      await fc.assert(property, { numRuns: runs * times });
    });
  }
});

function storedThings(): Record<string, { parse: Parser; valid: Uint8Array }> {
  const secrets = freshEpoch({ ctx: bytes('ctx'), wrap: 1, random: (length) => bytes('random', length) });
  const dids = ['a', 'b', 'c'].map((name) => asDid(bytes(name)));
  const epoch = openEpoch({ secrets, epochId: asOpId(bytes('epoch')), dids });
  const skipped = new Map([1, 2, 7].map((gen) => [gen, bytes(`mk ${gen}`)]));
  return {
    'the keys of an epoch': { parse: codecParser(epochKeysCodec), valid: encode(epochKeysCodec, epoch) },
    'a chain of one’s own': {
      parse: codecParser(chainStateCodec),
      valid: encode(chainStateCodec, { gen: 3, key: bytes('chain') }),
    },
    'the chain of a sender': {
      parse: codecParser(receiverChainCodec),
      valid: encode(receiverChainCodec, { gen: 9, key: bytes('chain'), skipped }),
    },
  };
}

/** Readers that do more than their codec. */
function readThings(): Record<string, { parse: Parser; valid: Uint8Array }> {
  return {
    'a frame': {
      parse: (input) => {
        const read = readFrame(input);
        return { value: read.frame, again: encode(frame, read.frame) };
      },
      valid: firstOf('frame'),
    },
    'an op': {
      parse: (input) => {
        const { body, bodyBytes, signature } = readOp(input);
        assert.deepEqual(encode(opBody, body), bodyBytes);
        return { value: body, again: encode(op, { body: bodyBytes, signature }) };
      },
      valid: firstOf('op'),
    },
  };
}

type Sealed = {
  valid: Uint8Array;
  open(input: Uint8Array): Promise<'good' | 'refused'>;
  runs: number;
  /** From the start on; all where left out. */
  signedBytes?: number;
};

/** Words and undefined are refusals, as are listed errors; whatever else is thrown is a failure. */
async function outcomeOf(work: () => unknown): Promise<'good' | 'refused'> {
  try {
    const result = await work();
    return result === undefined || typeof result === 'string' ? 'refused' : 'good';
  } catch (error) {
    if (error instanceof WireRefusal || error instanceof DeviceRefusal) return 'refused';
    throw error;
  }
}

function sealedThings(): Record<string, () => Promise<Sealed>> {
  const gTag = asGTag(bytes('gtag', 16));
  const did = asDid(bytes('bob device'));
  const lock = async () => {
    const privateKey = await agreementKeyFromSeed(bytes('lock'));
    return { no: 1, lockPub: await agreementPublicKey(privateKey), privateKey };
  };
  return {
    'an entry of the log': async () => {
      const entry = firstOf('op');
      const opId = opIdOf(readOp(entry).bodyBytes);
      const valid = await sealOp({ gTag, logKey: bytes('log key'), op: entry });
      const open = (input: Uint8Array) => outcomeOf(() => openOp({ gTag, opId, logKeys: [bytes('log key')], sealed: input }));
      return { valid, open, runs: 1000 };
    },
    'a join request': async () => {
      const request = decode(joinRequest, firstOf('joinRequest'));
      const valid = await sealJoinRequest({ gTag, logKey: bytes('log key'), request, nonce: bytes('nonce', 12) });
      const open = (input: Uint8Array) => outcomeOf(() => openJoinRequest({ gTag, logKeys: [bytes('log key')], sealed: input }));
      return { valid, open, runs: 1000 };
    },
    'a signal': async () => {
      const signer = await signingKeyFromSeed(bytes('alice'));
      const me = { did, lockKeys: [await lock()] };
      const valid = await sealSignal({
        body: { sid: bytes('sid', 16), from: asDid(bytes('alice device')), to: did, no: 0, payload: { kind: 'bye' } },
        signer,
        to: { did, lockNo: 1, lockPub: me.lockKeys[0]?.lockPub ?? assert.fail() },
        meshKey: bytes('mesh'),
      });
      const open = (input: Uint8Array) =>
        outcomeOf(() => openSignal({ bytes: input, meshKeys: [bytes('mesh')], me, signPubOf: () => signer.publicKey }));
      return { valid, open, runs: 1000 };
    },
    'an epoch shard': async () => {
      const ctx = bytes('ctx');
      const secrets = freshEpoch({ ctx, wrap: 2, random: (length) => bytes('random', length) });
      const { lockPub } = await lock();
      const [valid] = await makeEpochShards({ devices: [{ did, lockNo: 1, lockPub }], ctx, ...secrets });
      const lockKeys = [await lock()];
      const open = (input: Uint8Array) =>
        outcomeOf(() =>
          openEpochShard({
            shard: input,
            hash: shardHashOf(input),
            ctx,
            did,
            lockKeys,
            groupKey: secrets.groupKey,
            epoch: secrets,
          }),
        );
      return { valid: valid ?? assert.fail(), open, runs: 400 };
    },
    'a device certificate': async () => {
      const signer = await signingKeyFromSeed(bytes('alice'));
      const facts = { suite: 1, uid: asUid(bytes('alice')), createdAt: 0, notAfter: 1, flags: 0, name: 'Laptop' } as const;
      const body = encode(deviceCertBody, { ...facts, signPub: signer.publicKey });
      const pop = await signer.sign('device-pop', body);
      const valid = encode(deviceCert, { body, pop, openPgpSignature: new Uint8Array() });
      // Behind the pop stands the person's signature, which this reader does not ask about.
      return { valid, open: (input) => outcomeOf(() => readDeviceCert(input)), runs: 1500, signedBytes: valid.length - 2 };
    },
    'a lock key': async () => {
      const signer = await signingKeyFromSeed(bytes('alice'));
      const owner = { did: didOf(asUid(bytes('alice')), signer.publicKey), signPub: signer.publicKey };
      const body = encode(lockKeyBody, { did: owner.did, no: 1, lockPub: bytes('lock'), createdAt: 0, notAfter: 1 });
      const valid = encode(lockKey, { body, signature: await signer.sign('lock-key', body) });
      return { valid, open: (input) => outcomeOf(() => readLockKey(input, owner)), runs: 1500 };
    },
  };
}
