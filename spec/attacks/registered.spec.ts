// Attacks on the node by whoever has registered there: what they make it compute, store and send, and what they do to the others.
import assert from 'node:assert/strict';
import { asGTag, asRosterTag } from '../../wire/ids.ts';
import type { NodeMessage } from '../../wire/node-messages.ts';
import { ManualClock } from '../fakes.ts';
import type { NodeClient } from '../node-client.ts';
import { type Person, person } from '../people.ts';
import { appendKey, bytes, gTag, NodeUnderTest, signedAppend } from '../running-node.ts';

describe('Registered people', function () {
  this.timeout(30_000);
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

  const refused = (message: NodeMessage) => (message.type === 'refused' ? message.code : `not refused: ${message.type}`);
  const isServed = async (client: NodeClient, who: Person) =>
    (await client.ask({ type: 'get-mail', box: { of: 'person', uid: who.uid }, after: 0 })).type === 'mail-page';

  /** Sends so many from each at once; resolves when `enough` are answered, with how many were before the clock moves. */
  async function answeredAtOnce(parts: {
    clients: NodeClient[];
    send(client: NodeClient, request: number): void;
    each: number;
    enough: number;
  }): Promise<number> {
    const { clients, send, each, enough } = parts;
    const other = await under.in(alice);
    for (const client of clients) for (let i = 0; i < each; i++) send(client, 1000 + i);
    const answered = () => clients.flatMap(({ inbox }) => inbox.filter((one) => 'request' in one && one.request >= 1000)).length;
    while (answered() < enough) {
      await Promise.race(clients.map(({ socket }) => new Promise((resolve) => socket.once('message', resolve))));
    }
    for (let turn = 0; turn < 5; turn++) assert.ok(await isServed(other, alice));
    return answered();
  }

  it('have one share of the node, however many devices they bring', async () => {
    await under.stop();
    await under.startAgain({ limits: { requestsBurst: 60 } });
    const clients = [await under.in(eve)];
    for (let i = 1; i <= 4; i++) clients.push(await under.in(eve, 'login', i));
    const box = { of: 'person', uid: eve.uid } as const;
    const send = (client: NodeClient, request: number) => client.send({ type: 'get-mail', request, box, after: 0 });
    assert.equal(await answeredAtOnce({ clients, send, each: 40, enough: 60 }), 60);
  });

  it('pay for what costs more', async () => {
    await under.stop();
    await under.startAgain({ limits: { requestsBurst: 60 } });
    const lockKey = eve.device.lockKeys[0]?.encoded ?? bytes(0, 0);
    // Each takes five turns.
    const send = (client: NodeClient, request: number) => client.send({ type: 'publish-lock-key', request, lockKey });
    assert.equal(await answeredAtOnce({ clients: [await under.in(eve)], send, each: 40, enough: 12 }), 12);
  });

  it('pay for what they have sent to them', async () => {
    await under.stop();
    await under.startAgain({ limits: { requestsBurst: 60 } });
    const client = await under.in(eve);
    const key = await appendKey(1);
    for (const no of [1, 2]) await client.ask(await signedAppend(key, no, { sealed: bytes(65_000, no) }));
    await under.clock.advance(60_000);
    // 130 000 bytes are three turns more.
    const send = (of: NodeClient, request: number) => of.send({ type: 'get-log', request, gTag: gTag(1), after: 0 });
    assert.equal(await answeredAtOnce({ clients: [client], send, each: 40, enough: 15 }), 15);
  });

  it('cannot fill the disk in a day', async () => {
    await under.stop();
    await under.startAgain({ limits: { storedKiBPerDay: 300 } });
    const client = await under.in(eve);
    const other = await under.in(alice);
    const mail = (to: Person, size: number) =>
      client.ask({ type: 'post-mail', box: { of: 'person', uid: to.uid }, body: bytes(size, 1) });
    const key = await appendKey(1);
    assert.equal((await client.ask({ type: 'put-shard', gTag: gTag(1), shard: bytes(100_000, 1) })).type, 'done');
    for (const no of [1, 2])
      assert.equal((await client.ask(await signedAppend(key, no, { sealed: bytes(60_000, no) }))).type, 'appended');
    // What is not stored does not count, however often it comes.
    for (let i = 0; i < 5; i++) {
      assert.equal(
        refused(await client.ask(await signedAppend(await appendKey(2), 3, { sealed: bytes(60_000, 3) }))),
        'append-refused',
      );
    }
    for (const answer of [await mail(alice, 60_000), await mail(eve, 22_000)]) assert.equal(answer.type, 'done');
    assert.equal(refused(await mail(alice, 1)), 'rate-limited');
    assert.equal(refused(await client.ask(await signedAppend(key, 3))), 'rate-limited');
    assert.equal(refused(await client.ask({ type: 'put-shard', gTag: gTag(1), shard: bytes(1, 1) })), 'rate-limited');
    assert.equal((await other.ask({ type: 'post-mail', box: { of: 'person', uid: eve.uid }, body: bytes(9, 1) })).type, 'done');
    await under.clock.advance(3_600_000);
    assert.equal((await (await under.in(eve, 'resume')).ask(await signedAppend(key, 3))).type, 'appended');
  });

  it('cannot have the node merge certificates all day', async () => {
    const client = await under.in(eve);
    const publish = () => client.ask({ type: 'publish-certificate', certificate: eve.certificate });
    for (let i = 0; i < 12; i++) assert.equal((await publish()).type, 'done');
    assert.equal(refused(await publish()), 'rate-limited');
    await under.clock.advance(5 * 60_000);
    assert.equal((await publish()).type, 'done');
  });

  it('who come and go in many rosters wait for as long as telling the others took', async () => {
    await under.stop();
    await under.startAgain({ limits: { requestsBurst: 100 } });
    const set = (kind: number) =>
      Array.from({ length: 200 }, (_, i) => {
        const tag = bytes(16, kind).fill(i, 0, 1);
        return { gTag: asGTag(tag), rosterTag: asRosterTag(tag) };
      });
    const crowd = [await under.in(eve)];
    for (let i = 1; i <= 4; i++) crowd.push(await under.in(eve, 'login', i));
    for (const client of crowd) assert.equal((await client.ask({ type: 'follow', groups: set(1) })).type, 'done');
    await under.clock.advance(60_000);
    // Four others hear of 200 rosters each time: a turn, and eight more.
    const send = (client: NodeClient, request: number) => client.send({ type: 'follow', request, groups: set(request % 2) });
    assert.equal(await answeredAtOnce({ clients: crowd.slice(0, 1), send, each: 40, enough: 12 }), 12);
  });

  it('bring no more devices than the node keeps: the others have to log in again', async () => {
    const first = await under.in(eve);
    const rest = [];
    for (let i = 1; i <= 16; i++) {
      await under.clock.advance(1_000);
      rest.push(await under.in(eve, 'login', i));
    }
    assert.equal(await first.closed, 4012);
    assert.equal(under.node.stats().online, 16);
    assert.ok(await isServed(rest[0] ?? first, eve));
  });
});
