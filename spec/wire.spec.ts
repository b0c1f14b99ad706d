// The bytes of every message: pinned vectors, and what holds for every parser.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { fromHex } from '../wire/bytes.ts';
import { bytesN, choice, decode, encode, list8, numberOf, struct, text8, u8, u64 } from '../wire/codec.ts';
import { nodeErrors } from '../wire/errors.ts';
import { WireRefusal } from '../wire/refusal.ts';
import { checkVectors, parsers } from './vectors/check.ts';
import { computedVectors } from './vectors/keys-vectors.ts';
import { invalidVectors, validVectors } from './vectors/wire-vectors.ts';

const folder = new URL('vectors/', import.meta.url);
const files = readdirSync(folder).filter((name) => name.endsWith('.json'));
const read = (name: string): unknown => JSON.parse(readFileSync(new URL(name, folder), 'utf8'));

describe('vectors', () => {
  for (const name of files) {
    it(`of ${name} hold`, async () => {
      assert.deepEqual(await checkVectors(read(name)), []);
    });
  }

  it('are what spec/vectors/make.ts writes', async () => {
    assert.deepEqual(read('wire-valid.json'), JSON.parse(JSON.stringify({ valid: validVectors })));
    assert.deepEqual(read('wire-invalid.json'), JSON.parse(JSON.stringify({ invalid: invalidVectors })));
    assert.deepEqual(read('keys.json'), JSON.parse(JSON.stringify({ computed: await computedVectors() })));
  });

  it('are told apart when one does not hold', async () => {
    const [first, second] = validVectors;
    assert.ok(first && second);
    const failures = await checkVectors({
      valid: [{ ...first, value: second.value }],
      invalid: [{ codec: first.codec, name: first.name, bytes: first.bytes, code: 'truncated' }],
      computed: [{ compute: 'hash', name: 'wrong', input: { label: 'th0', parts: [] }, output: '00' }],
    });
    assert.equal(failures.length, 3);
  });

  it('cover every parser, and every variant of every message', () => {
    for (const [codec, parser] of Object.entries(parsers)) {
      const mine = validVectors.filter((vector) => vector.codec === codec);
      assert.notEqual(mine.length, 0, codec);
      if (!/Message$|^signalBody$|^messageBody$/.test(codec) || codec === 'messageBody') continue;
      const tagAt = codec === 'signalBody' ? 16 + 32 + 32 + 2 : 0;
      const start = fromHex(mine[0]?.bytes ?? '').slice(0, tagAt);
      const covered = new Set(mine.map(({ bytes }) => fromHex(bytes)[tagAt]));
      for (let tag = 0; tag < 256; tag++) {
        assert.equal(isKnownTag(parser, Uint8Array.of(...start, tag)), covered.has(tag), `${codec} 0x${tag.toString(16)}`);
      }
    }
  });
});

describe('every parser', () => {
  it('refuses every valid message that is cut anywhere, or goes on', () => {
    for (const { codec, name, bytes } of validVectors.filter(({ codec }) => codec !== 'messageBody')) {
      const whole = fromHex(bytes);
      const parse = parsers[codec] ?? assert.fail(codec);
      for (let length = 0; length < whole.length; length++) {
        assert.throws(() => parse(whole.slice(0, length)), WireRefusal, `${codec}, ${name}, ${length} bytes`);
      }
      assert.throws(() => parse(Uint8Array.of(...whole, 0x41)), WireRefusal, `${codec}, ${name}`);
    }
  });
});

describe('the codec', () => {
  const refusedAs = (code: string) => (error: unknown) => error instanceof WireRefusal && error.code === code;

  it('writes numbers big-endian and refuses those it could not read back', () => {
    assert.deepEqual(encode(u64, 2 ** 53 - 1), fromHex('001fffffffffffff'));
    assert.equal(decode(u64, fromHex('001fffffffffffff')), 2 ** 53 - 1);
    assert.throws(() => decode(u64, fromHex('0020000000000000')), refusedAs('bad-value'));
    for (const number of [-1, 0.5, Number.NaN, 256, Number.POSITIVE_INFINITY]) {
      assert.throws(() => encode(u8, number), refusedAs('bad-value'), `${number}`);
    }
  });

  it('refuses to write what it would refuse to read', () => {
    assert.throws(() => encode(list8(u8, 2), [1, 2, 3]), refusedAs('too-large'));
    assert.throws(() => encode(bytesN(2), new Uint8Array(3)), refusedAs('bad-value'));
    assert.throws(() => encode(text8(1), 'ä'), refusedAs('too-large'));
    assert.throws(() => encode(text8(), '\ud800'), refusedAs('bad-text'));
  });

  it('reads copies, so that what was read does not change with the buffer it came from', () => {
    const buffer = fromHex('0102');
    const value = decode(bytesN(2), buffer);
    buffer.fill(0);
    assert.deepEqual(value, fromHex('0102'));
  });

  it('takes no name that every object has for a variant', () => {
    const tagged = choice('kind', { a: [1, struct({ n: numberOf(1, 0) })] });
    const given: unknown = JSON.parse('{"kind":"constructor"}');
    // @ts-expect-error only a may be written
    assert.throws(() => encode(tagged, given), refusedAs('unknown-type'));
  });

  it('has one number for each error of the node', () => {
    const numbers = Object.values(nodeErrors).map(({ number }) => number);
    assert.equal(new Set(numbers).size, numbers.length);
  });
});

function isKnownTag(parse: (bytes: Uint8Array) => unknown, bytes: Uint8Array): boolean {
  try {
    parse(bytes);
    return true;
  } catch (error) {
    return error instanceof WireRefusal && error.code !== 'unknown-type';
  }
}
