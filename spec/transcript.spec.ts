import { strict as assert } from 'node:assert';
import fc from 'fast-check';
import { missingRanges, rangesOf, Transcript, type TranscriptEntry } from '../mesh/transcript.ts';
import { hex } from '../wire/bytes.ts';
import { asDid, asFrameId, asOpId, type FrameId } from '../wire/ids.ts';
import { seededRandom } from './fakes.ts';

const epochs = [asOpId(new Uint8Array(32).fill(1)), asOpId(new Uint8Array(32).fill(2))] as const;

function idOf(did: number, seq: number): FrameId {
  const bytes = new Uint8Array(32);
  // Scattered, so that the order of ids tells nothing about the order of frames.
  bytes.set([(did * 97 + seq * 61) % 256, did, seq >> 8, seq & 255]);
  return asFrameId(bytes);
}

/** A random conversation as honest devices make it: each names the newest frames of others that it has seen. */
function conversation(script: { did: number; sees: number; epoch: number; sentAt: number }[]): TranscriptEntry[] {
  const entries: TranscriptEntry[] = [];
  let epoch = 0;
  for (const line of script) {
    epoch = Math.max(epoch, line.epoch);
    const own = entries.filter((entry) => entry.did[0] === line.did);
    const ofEpoch = entries.filter((entry) => entry.epochId === epochs[epoch] && entry.did[0] !== line.did);
    const heads = ofEpoch.slice(-line.sees).map(({ id }) => id);
    const seq = own.length + 1;
    entries.push({
      id: idOf(line.did, seq),
      did: asDid(new Uint8Array(32).fill(line.did)),
      seq,
      gen: own.filter((entry) => entry.epochId === epochs[epoch]).length,
      previous: own.at(-1)?.id ?? new Uint8Array(32),
      epochId: epochs[epoch] ?? epochs[0],
      epochDepth: epoch,
      sentAt: line.sentAt,
      heads: line.sees === 0 ? [] : heads,
      body: { kind: 'text', text: `${line.did}/${seq}` },
      storedAt: 0,
    });
  }
  return entries;
}

const scripts = fc
  .array(
    fc.record({
      did: fc.integer({ min: 1, max: 5 }),
      sees: fc.integer({ min: 0, max: 3 }),
      epoch: fc.integer({ min: 0, max: 1 }),
      sentAt: fc.integer({ min: 0, max: 50 }),
    }),
    { minLength: 1, maxLength: 40 },
  )
  .map(conversation);

const shuffled = scripts.chain((entries) =>
  fc.tuple(fc.constant(entries), fc.shuffledSubarray(entries, { minLength: entries.length })),
);

function transcriptOf(entries: TranscriptEntry[]): Transcript {
  const transcript = new Transcript();
  for (const entry of entries) transcript.add(entry);
  return transcript;
}

const names = (transcript: Transcript) => transcript.inOrder().map(({ entry }) => hex(entry.id));

describe('the transcript', () => {
  it('has one order whatever order the frames came in', () => {
    fc.assert(
      fc.property(shuffled, ([entries, mixed]) => {
        assert.deepEqual(names(transcriptOf(mixed)), names(transcriptOf(entries)));
      }),
      { numRuns: 300 },
    );
  });

  it('never shows a frame before one that its author had seen', () => {
    fc.assert(
      fc.property(shuffled, ([, mixed]) => {
        const order = names(transcriptOf(mixed));
        for (const entry of mixed) {
          const before = entry.seq > 1 ? [...entry.heads, asFrameId(entry.previous)] : entry.heads;
          for (const id of before) assert.ok(order.indexOf(hex(id)) < order.indexOf(hex(entry.id)));
        }
      }),
      { numRuns: 300 },
    );
  });

  it('has the same order for long conversations that come backwards or mixed, read in between or not', () => {
    const random = seededRandom(3);
    const script = Array.from({ length: 400 }, () => {
      const [did = 0, sees = 0, sentAt = 0] = random(3);
      return { did: 1 + (did % 5), sees: sees % 4, epoch: 0, sentAt: sentAt % 50 };
    });
    const entries = conversation(script);
    const expected = names(transcriptOf(entries));
    const mixed = entries.map((entry) => ({ entry, at: hex(random(4)) })).sort((a, b) => (a.at < b.at ? -1 : 1));
    for (const order of [[...entries].reverse(), mixed.map(({ entry }) => entry)]) {
      assert.deepEqual(names(transcriptOf(order)), expected);
      const read = new Transcript();
      for (const [i, entry] of order.entries()) {
        read.add(entry);
        if (i % 7 === 0) read.inOrder();
      }
      assert.deepEqual(names(read), expected);
    }
  });

  it('takes thousands that come backwards without stopping the world', () => {
    const entries = conversation(Array.from({ length: 3000 }, (_, i) => ({ did: 1, sees: 0, epoch: 0, sentAt: i })));
    let looked = 0;
    const counted = entries.reverse().map((entry) => ({
      ...entry,
      get heads() {
        looked += 1;
        return entry.heads;
      },
    }));
    transcriptOf(counted).inOrder();
    assert.ok(looked < 40 * entries.length, `looked ${looked} times at what came before`);
  });

  it('forgets what a device wrote from a number on, as if it had never come', () => {
    fc.assert(
      fc.property(shuffled, fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 8 }), ([, mixed], did, seq) => {
        const [first] = mixed.filter((entry) => entry.did[0] === did);
        const transcript = transcriptOf(mixed);
        if (first !== undefined) transcript.dropFrom(first.did, seq);
        const kept = mixed.filter((entry) => entry.did[0] !== did || entry.seq < seq);
        assert.deepEqual(names(transcript), names(transcriptOf(kept)));
        assert.deepEqual(
          transcript.vector(() => true, 8),
          transcriptOf(kept).vector(() => true, 8),
        );
      }),
      { numRuns: 100 },
    );
  });

  it('takes a frame once', () => {
    const entries = conversation([
      { did: 1, sees: 0, epoch: 0, sentAt: 1 },
      { did: 2, sees: 1, epoch: 0, sentAt: 2 },
    ]);
    const transcript = transcriptOf(entries);
    for (const entry of entries) assert.equal(transcript.add(entry), 'known');
    assert.equal(transcript.size, 2);
  });

  it('says the same vector for the same frames, and what one lacks of another', () => {
    fc.assert(
      fc.property(shuffled, fc.integer({ min: 0, max: 39 }), ([entries, mixed], left) => {
        const all = transcriptOf(entries).vector(() => true, 8);
        assert.deepEqual(
          transcriptOf(mixed).vector(() => true, 8),
          all,
        );
        const some = transcriptOf(mixed.slice(0, left));
        const lacking = all.flatMap(({ did, ranges }) => {
          const mine = some.vector(() => true, 100).find((one) => hex(one.did) === hex(did))?.ranges ?? [];
          return transcriptOf(entries).inRanges(did, missingRanges(ranges, mine));
        });
        assert.deepEqual(
          lacking.map(hex).sort(),
          mixed
            .slice(left)
            .map(({ id }) => hex(id))
            .sort(),
        );
      }),
      { numRuns: 200 },
    );
  });

  it('knows up to where it has everything of a device', () => {
    const entries = conversation(Array.from({ length: 6 }, () => ({ did: 1, sees: 0, epoch: 0, sentAt: 0 })));
    const [a, b, c, d, e, f] = entries;
    assert.ok(a && b && c && d && e && f);
    const transcript = transcriptOf([a, b, d, f]);
    assert.equal(transcript.contiguousTo(a.did), 2);
    transcript.add(c);
    assert.equal(transcript.contiguousTo(a.did), 4);
    transcript.add(e);
    assert.equal(transcript.contiguousTo(a.did), 6);
  });

  it('writes ranges sorted and apart, and gives them back', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.integer({ min: 1, max: 60 }), { maxLength: 40 }), (seqs) => {
        const sorted = [...seqs].sort((a, b) => a - b);
        const back = rangesOf(sorted).flatMap(({ from, to }) => Array.from({ length: to - from + 1 }, (_, i) => from + i));
        assert.deepEqual(back, sorted);
      }),
    );
  });
});
