// What a thief of the node's data folder, its key included, learns beyond the tables of spec/protocol.md §11.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { open } from 'lmdb';
import { expandKey, mac } from '../../keys/hash.ts';
import { storedTables } from '../../signaling/stored-records.ts';
import { decode, encode } from '../../wire/codec.ts';
import { type Mailbox, mailbox } from '../../wire/node-messages.ts';
import { ManualClock } from '../fakes.ts';
import { type Person, person } from '../people.ts';
import { bytes, NodeUnderTest } from '../running-node.ts';

describe('The disk of a node', () => {
  let alice: Person;
  let eve: Person;
  let under: NodeUnderTest;

  before(async () => {
    const now = new ManualClock().now();
    alice = await person('alice', now);
    eve = await person('eve', now);
  });
  beforeEach(async () => {
    under = await NodeUnderTest.start();
  });
  afterEach(() => under.dispose());

  async function storedSenders(): Promise<string[]> {
    const binary = { encoding: 'binary', keyEncoding: 'binary' } as const;
    const root = open<Uint8Array, Uint8Array>({ path: join(under.data, 'store'), maxDbs: 64, ...binary });
    const boxes = [...root.openDB({ name: 'boxes', ...binary }).getRange()];
    const senders = boxes.flatMap(({ value }) =>
      decode(storedTables.boxes, new Uint8Array(value)).held.map(({ sender }) => sender),
    );
    await root.close();
    return senders.map((sender) => Buffer.from(sender).toString('hex'));
  }

  it('does not say who wrote which mail, even to whoever knows all names and the key of the node', async () => {
    const box: Mailbox = { of: 'person', uid: alice.uid };
    await under.in(alice);
    assert.equal((await (await under.in(eve)).ask({ type: 'post-mail', box, body: bytes(20, 1) })).type, 'done');
    await under.stop();
    await under.startAgain();
    assert.equal((await (await under.in(eve, 'resume')).ask({ type: 'post-mail', box, body: bytes(20, 2) })).type, 'done');
    await under.stop();
    const senders = await storedSenders();
    // The same sender, the same box, the same key of the node: nothing on the disk leads from one to the other.
    assert.equal(new Set(senders).size, 2);
    const seed = new Uint8Array(await readFile(join(under.data, 'node.key')));
    for (const key of [seed, expandKey(seed, 'mail-sender', new Uint8Array(0))]) {
      const guess = Buffer.from(mac(key, eve.uid, encode(mailbox, box)).slice(0, 8)).toString('hex');
      assert.ok(!senders.includes(guess));
    }
  });
});
