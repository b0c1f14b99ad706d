// The node over real sockets: signing in, the directory, logs, shards, mailboxes, presence, relay, and what survives a restart.
import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import * as openpgp from 'openpgp';
import { openDevice, renewDevice, rotateLockKeys } from '../keys/device.ts';
import type { SigningKey } from '../keys/ed25519.ts';
import { shardHashOf } from '../keys/identity.ts';
import { CannotStart } from '../signaling/node.ts';
import { keyOf } from '../signaling/presence.ts';
import { doneMessage, readRelay, toRelayed } from '../signaling/relay.ts';
import { decode, encode } from '../wire/codec.ts';
import { asDid, asRosterTag } from '../wire/ids.ts';
import { limits } from '../wire/limits.ts';
import { clientMessage, type Mailbox, type NodeMessage, nodeMessage } from '../wire/node-messages.ts';
import { ManualClock, seededRandom } from './fakes.ts';
import { anotherDevice, type NodeClient } from './node-client.ts';
import { type Person, passphrase, person } from './people.ts';
import { appendKey, bytes, gTag, NodeUnderTest, opId, signedAppend } from './running-node.ts';

const day = 86_400_000;

describe('The node', function () {
  this.timeout(30_000);
  let alice: Person;
  let bob: Person;
  let under: NodeUnderTest;

  before(async () => {
    const now = new ManualClock().now();
    alice = await person('alice', now);
    bob = await person('bob', now);
  });
  beforeEach(async () => {
    under = await NodeUnderTest.start();
  });
  afterEach(() => under.dispose());

  const refused = (message: NodeMessage) => (message.type === 'refused' ? message.code : `not refused: ${message.type}`);
  const asked = (message: NodeMessage) => ('request' in message ? { ...message, request: 0 } : message);

  describe('signing in', () => {
    it('registers a person, and says so in one line', async () => {
      const client = await under.dial();
      const answer = await client.logIn({ port: under.port, person: alice, purpose: 'register', now: under.clock.now() });
      assert.equal(answer.type, 'node-auth');
      if (answer.type !== 'node-auth') return;
      assert.equal(answer.fields.username, 'alice');
      assert.deepEqual(answer.fields.uid, alice.uid);
      assert.equal(answer.fields.nodeTime, under.clock.now());
      assert.deepEqual(answer.fields.policy, { registration: 'open' });
      assert.deepEqual([answer.fields.iceServers, answer.fields.flags], [[], 0]);
      assert.deepEqual(under.lines, ['alice registered, 1 connected 0 ms']);
    });

    it('logs in another device, and lets both resume with their device keys alone', async () => {
      await under.in(alice);
      await under.in(alice, 'login', 1);
      alice.uses.decrypt = 0;
      await under.in(alice, 'resume');
      await under.in(alice, 'resume', 1);
      assert.equal(alice.uses.decrypt, 0);
      assert.equal(under.node.stats().online, 2);
    });

    it('tells an unknown name from a known one', async () => {
      const client = await under.dial();
      assert.equal(refused(await client.logIn({ port: under.port, person: alice, purpose: 'login' })), 'unknown-user');
      assert.equal(await client.closed, 4005);
    });

    it('does not take newcomers when registration is closed, but those it knows', async () => {
      await under.in(alice);
      await under.stop();
      await under.startAgain({ registration: 'closed' });
      await under.in(alice, 'login');
      await assert.rejects(under.in(bob), /registration-closed/);
    });

    it('gives one socket to a device: the newer one', async () => {
      const older = await under.in(alice);
      const newer = await under.in(alice, 'resume');
      assert.equal(refused(await older.next('refused')), 'replaced');
      assert.equal(await older.closed, 4021);
      assert.equal((await newer.ask({ type: 'get-mail', box: { of: 'person', uid: alice.uid }, after: 0 })).type, 'mail-page');
      assert.equal(under.node.stats().online, 1);
    });

    it('leaves when asked to', async () => {
      const client = await under.in(alice);
      client.send({ type: 'log-out' });
      assert.equal(await client.closed, 1000);
      assert.equal(under.lines.at(-1), 'alice left, 0 connected');
    });

    it('waits 30 s for a proof, and 10 min for one by hand', async () => {
      await under.in(alice);
      const waiting = await under.dial();
      const byHand = await under.dial();
      waiting.hello({ port: under.port, person: alice, purpose: 'login' });
      byHand.hello({ port: under.port, person: alice, purpose: 'login', byHand: true });
      await Promise.all([waiting.next('node-hello'), byHand.next('node-hello')]);
      await under.clock.advance(29_000);
      assert.equal(under.node.stats().challenges, 2);
      await under.clock.advance(2_000);
      assert.equal(refused(await waiting.next('refused')), 'challenge-expired');
      assert.equal(under.node.stats().challenges, 1);
      await under.clock.advance(10 * 60_000);
      assert.equal(refused(await byHand.next('refused')), 'challenge-expired');
      assert.equal(under.node.stats().challenges, 0);
    });
  });

  describe('the directory', () => {
    const lookUp = async (client: NodeClient, username: string) =>
      client.ask({ type: 'look-up', by: { by: 'username', username } });
    const found = async (client: NodeClient) => {
      const answer = await client.ask({ type: 'look-up', by: { by: 'uid', uid: alice.uid } });
      assert.equal(answer.type, 'found');
      return answer.type === 'found' ? answer.entry : assert.fail();
    };

    it('finds people by name and by uid, with their claim, certificate and devices', async () => {
      const client = await under.in(alice);
      const byName = await lookUp(client, 'alice');
      assert.equal(byName.type, 'found');
      const entry = await found(client);
      assert.deepEqual(asked(byName), { type: 'found', request: 0, entry });
      assert.deepEqual(entry.certificate, alice.certificate);
      await alice.agent.verify({
        purpose: 'name-claim',
        body: entry.claim.body,
        signature: entry.claim.openPgpSignature,
        certificate: alice.certificate,
        now: under.clock.now(),
      });
      assert.deepEqual(entry.devices, [{ deviceCert: alice.device.certificate, lockKeys: [] }]);
      assert.equal(refused(await lookUp(client, 'bob')), 'unknown-user');
      assert.equal(refused(await client.ask({ type: 'look-up', by: { by: 'uid', uid: bob.uid } })), 'not-found');
    });

    it('answers 30 look-ups of names an hour to an account, whatever socket they come by', async () => {
      await under.in(bob);
      const client = await under.in(alice);
      for (let i = 0; i < 30; i++) assert.equal((await lookUp(client, 'bob')).type, 'found');
      const again = await under.in(alice, 'login', 1);
      const answer = await lookUp(again, 'bob');
      assert.equal(refused(answer), 'rate-limited');
      assert.equal(answer.type === 'refused' && answer.retryAfter, 120_000);
      await under.clock.advance(120_000);
      assert.equal((await lookUp(again, 'bob')).type, 'found');
    });

    it('keeps the newest four lock keys of a device, and shows those that live', async () => {
      const client = await under.in(alice);
      let { secrets } = alice;
      const made: Uint8Array[] = [];
      for (let week = 0; week < 6; week++) {
        const { encoded = bytes(0, 0) } = secrets.lockKeys.at(-1) ?? {};
        made.push(encoded);
        assert.deepEqual((await client.ask({ type: 'publish-lock-key', lockKey: encoded })).type, 'done');
        await under.clock.advance(limits.heartbeat);
        const now = under.clock.now() + (week + 1) * limits.lockKeyRotation;
        const rotated = await rotateLockKeys({ secrets, random: seededRandom(week), now });
        if (rotated !== 'kept') secrets = rotated;
      }
      assert.deepEqual((await found(client)).devices[0]?.lockKeys, made.slice(-4));
      const resumed = await under.dial();
      const answer = await resumed.logIn({ port: under.port, person: alice, purpose: 'resume' });
      assert.equal(answer.type === 'node-auth' && answer.fields.flags, 1);
    });

    it('refuses the lock key of another device', async () => {
      const client = await under.in(alice);
      const other = await anotherDevice(alice, 1, under.clock.now());
      const answer = await client.ask({ type: 'publish-lock-key', lockKey: other.lockKeys[0]?.encoded ?? bytes(0, 0) });
      assert.equal(refused(answer), 'device-refused');
      assert.equal(under.lines.at(-1), 'alice publish-lock-key refused: other-device (device-refused)');
      assert.deepEqual((await found(client)).devices[0]?.lockKeys, []);
    });

    it('takes a renewed certificate of a device, by request or with a resume', async () => {
      await under.in(alice);
      await under.restartAfter(25 * day);
      const { agent, secrets } = alice;
      const first = await renewDevice({ agent, secrets, now: under.clock.now() });
      const second = await renewDevice({ agent, secrets, now: under.clock.now() + 1000 });
      if (first === 'kept' || second === 'kept') assert.fail('not due');
      const client = await under.in({ ...alice, device: await openDevice(first) }, 'resume');
      assert.deepEqual((await found(client)).devices[0]?.deviceCert, first.certificate);
      assert.equal((await client.ask({ type: 'publish-device', deviceCert: second.certificate })).type, 'done');
      // An older one does not come back.
      assert.equal((await client.ask({ type: 'publish-device', deviceCert: alice.device.certificate })).type, 'done');
      assert.deepEqual(
        (await found(client)).devices.map(({ deviceCert }) => deviceCert),
        [second.certificate],
      );
    });

    it('keeps 16 devices: the one certified longest ago goes, and has to log in again', async () => {
      const client = await under.in(alice);
      for (let no = 1; no <= 15; no++) {
        const device = await anotherDevice(alice, no, under.clock.now() + no);
        assert.equal((await client.ask({ type: 'publish-device', deviceCert: device.certificate })).type, 'done');
      }
      assert.equal((await found(client)).devices.length, 16);
      await under.in(alice, 'login', 16);
      assert.equal(refused(await client.next('refused')), 'device-refused');
      assert.equal(await client.closed, 4012);
      const { devices } = await found(await under.in(bob));
      assert.equal(devices.length, 16);
      assert.ok(!devices.some(({ deviceCert }) => Buffer.compare(deviceCert, alice.device.certificate) === 0));
      await assert.rejects(under.in(alice, 'resume'), /device-refused/);
      await under.in(alice, 'login');
    });

    it("refuses somebody else's device", async () => {
      const client = await under.in(alice);
      assert.equal(refused(await client.ask({ type: 'publish-device', deviceCert: bob.device.certificate })), 'device-refused');
    });

    it('hides devices that have expired, and has them log in again', async () => {
      await under.in(alice);
      await under.restartAfter(31 * day);
      await assert.rejects(under.in(alice, 'resume'), /device-refused/);
      const client = await under.in(alice, 'login', 1);
      const { devices } = await found(client);
      assert.equal(devices.length, 1);
      assert.notDeepEqual(devices[0]?.deviceCert, alice.device.certificate);
    });

    it('merges certificates: a revocation stays, and ends logging in and coming back', async () => {
      const client = await under.in(alice);
      const revoked = await revokedCertificate(alice, under.clock.now());
      assert.equal(refused(await client.ask({ type: 'publish-certificate', certificate: bob.certificate })), 'bad-certificate');
      assert.equal((await client.ask({ type: 'publish-certificate', certificate: revoked })).type, 'done');
      assert.equal((await client.ask({ type: 'publish-certificate', certificate: alice.certificate })).type, 'done');
      const { certificate } = await found(client);
      assert.equal((await alice.agent.readCertificate(certificate, under.clock.now())).revoked, true);
      await assert.rejects(under.in(alice, 'login', 1), /bad-certificate/);
      await assert.rejects(under.in(alice, 'resume'), /device-refused/);
    });
  });

  describe('a log', () => {
    let key: SigningKey;
    let client: NodeClient;

    before(async () => {
      key = await appendKey(1);
    });
    beforeEach(async () => {
      client = await under.in(alice);
    });
    const numbers = async (after: number) => {
      const page = await client.ask({ type: 'get-log', gTag: gTag(1), after });
      return page.type === 'log-page' ? [page.entries.map(({ no }) => no), page.more] : refused(page);
    };
    const outcome = async (...append: Parameters<typeof signedAppend>) => {
      const answer = await client.ask(await signedAppend(...append));
      if (answer.type === 'appended') return answer.no;
      return answer.type === 'conflict' ? answer.heads.map(([byte]) => byte) : refused(answer);
    };

    it('begins with an entry without parents, grows, and is read by whoever names it', async () => {
      assert.equal(await numbers(0), 'not-found');
      for (const no of [1, 2, 3]) assert.equal(await outcome(key, no), no);
      assert.deepEqual(await numbers(1), [[2, 3], 0]);
      const reader = await under.in(bob);
      const page = await reader.ask({ type: 'get-log', gTag: gTag(1), after: 2 });
      const entry = { no: 3, opId: opId(3), parents: [opId(2)], sealed: bytes(200, 3) };
      assert.deepEqual(asked(page), { type: 'log-page', request: 0, entries: [entry], more: 0 });
    });

    it('takes one of two entries made on the same heads; the other is told the heads', async () => {
      await outcome(key, 1);
      const other = await under.in(bob);
      const [first, second] = await Promise.all([
        client.ask(await signedAppend(key, 2)),
        other.ask(await signedAppend(key, 3, { expectedHeads: [opId(1)], parents: [opId(1)] })),
      ]);
      assert.deepEqual([first.type, second.type].sort(), ['appended', 'conflict']);
      const conflict = first.type === 'conflict' ? first : second;
      assert.equal(conflict.type === 'conflict' && conflict.heads.length, 1);
    });

    it('has several heads where entries do not build on each other, until one joins them', async () => {
      await outcome(key, 1);
      await outcome(key, 2);
      assert.equal(await outcome(key, 3, { expectedHeads: [opId(2)], parents: [opId(1)] }), 3);
      assert.deepEqual(await outcome(key, 4), [2, 3]);
      assert.equal(await outcome(key, 4, { expectedHeads: [opId(3), opId(2)], parents: [opId(2), opId(3)] }), 4);
      assert.equal(await outcome(key, 5), 5);
    });

    it('keeps at most eight heads', async () => {
      await outcome(key, 1);
      await outcome(key, 2);
      const heads = [opId(2)];
      for (let no = 3; no <= 9; no++) {
        assert.equal(await outcome(key, no, { expectedHeads: heads, parents: [opId(1)] }), no);
        heads.push(opId(no));
      }
      assert.equal(await outcome(key, 10, { expectedHeads: heads, parents: [opId(1)] }), 'quota-exceeded');
    });

    it('answers the very same append again with its number, and refuses another under the same id', async () => {
      await outcome(key, 1);
      await outcome(key, 2);
      assert.equal(await outcome(key, 1), 1);
      assert.equal(await outcome(key, 2), 2);
      assert.equal(await outcome(key, 2, { sealed: bytes(201, 2) }), 'append-refused');
      assert.deepEqual(await numbers(0), [[1, 2], 0]);
    });

    it('refuses unknown parents, a second beginning, and a beginning where there is a log', async () => {
      assert.equal(await outcome(key, 2), 'not-found');
      assert.equal(await outcome(key, 1, { parents: [opId(9)] }), 'append-refused');
      await outcome(key, 1);
      assert.equal(await outcome(key, 2, { parents: [opId(9)] }), 'append-refused');
      assert.equal(await outcome(key, 2, { parents: [] }), 'append-refused');
      assert.deepEqual(await outcome(key, 7, { expectedHeads: [], parents: [] }), [1]);
    });

    it('is written with the last four append keys only', async () => {
      const keys = await Promise.all([1, 2, 3, 4, 5, 6].map(appendKey));
      const [first = key, second = key, third = key, , fifth = key, sixth = key] = keys;
      assert.equal(await outcome(first, 1), 1);
      assert.equal(await outcome(second, 2), 'append-refused');
      for (const [i, next] of keys.slice(1, 5).entries()) {
        assert.equal(await outcome(keys[i] ?? key, i + 2, { nextAppendPub: next.publicKey }), i + 2);
      }
      assert.equal(await outcome(first, 6), 'append-refused');
      assert.equal(await outcome(second, 6), 6);
      // Whoever removes a member retires all keys before the next.
      assert.equal(await outcome(fifth, 7, { retire: 1 }), 'append-refused');
      assert.equal(await outcome(fifth, 7, { retire: 1, nextAppendPub: sixth.publicKey }), 7);
      assert.equal(await outcome(third, 8), 'append-refused');
      assert.equal(await outcome(fifth, 8), 'append-refused');
      assert.equal(await outcome(sixth, 8), 8);
    });

    it('refuses a signature over anything else', async () => {
      await outcome(key, 1);
      const good = await signedAppend(key, 2);
      const other = await signedAppend(key, 3, { expectedHeads: [opId(1)], parents: [opId(1)] });
      assert.equal(refused(await client.ask({ ...good, signature: other.signature })), 'append-refused');
      const forged = { ...good, append: { ...good.append, sealed: bytes(200, 9) } };
      assert.equal(refused(await client.ask(forged)), 'append-refused');
      assert.deepEqual(await numbers(0), [[1], 0]);
    });

    it('comes in pages', async () => {
      const sealed = bytes(60_000, 1);
      for (const no of [1, 2, 3, 4]) await outcome(key, no, { sealed });
      assert.deepEqual(await numbers(0), [[1, 2, 3], 1]);
      assert.deepEqual(await numbers(3), [[4], 0]);
    });

    it('is told to those who follow it, but for who wrote it', async () => {
      const follower = await under.in(bob);
      const groups = [{ gTag: gTag(1), rosterTag: asRosterTag(bytes(16, 1)) }];
      for (const one of [client, follower]) await one.ask({ type: 'follow', groups });
      await outcome(key, 1);
      assert.deepEqual(await follower.next('log-grew'), { type: 'log-grew', gTag: gTag(1), no: 1 });
      await outcome(key, 1);
      await client.ask({ type: 'get-log', gTag: gTag(1), after: 0 });
      await follower.ask({ type: 'get-log', gTag: gTag(1), after: 0 });
      assert.deepEqual(
        [...client.inbox, ...follower.inbox].filter(({ type }) => type === 'log-grew'),
        [],
      );
    });

    it('publishes shards that were put before, and counts them', async () => {
      const shard = bytes(5000, 7);
      const shards = [shardHashOf(shard)];
      const get = (gTagValue: number) => client.ask({ type: 'get-shard', gTag: gTag(gTagValue), hash: shardHashOf(shard) });
      assert.equal(await outcome(key, 1, { shards }), 'shard-missing');
      assert.equal(await numbers(0), 'not-found');
      assert.equal((await client.ask({ type: 'put-shard', gTag: gTag(1), shard })).type, 'done');
      assert.equal(refused(await get(1)), 'not-found');
      assert.equal(await outcome(key, 1, { shards }), 1);
      assert.deepEqual(asked(await get(1)), { type: 'shard', request: 0, shard });
      assert.equal(refused(await get(2)), 'not-found');
    });

    it('takes shards of the account that put them, for an hour', async () => {
      const shard = bytes(5000, 7);
      const shards = [shardHashOf(shard)];
      const other = await under.in(bob);
      await other.ask({ type: 'put-shard', gTag: gTag(1), shard });
      assert.equal(await outcome(key, 1, { shards }), 'shard-missing');
      await client.ask({ type: 'put-shard', gTag: gTag(1), shard });
      await under.restartAfter(3_700_000);
      await under.clock.advance(601_000);
      client = await under.in(alice, 'resume');
      assert.equal(await outcome(key, 1, { shards }), 'shard-missing');
    });

    it('is not the place for more than 2 MiB of shards that nobody names', async () => {
      const put = async (value: number) => client.ask({ type: 'put-shard', gTag: gTag(1), shard: bytes(256 * 1024, value) });
      for (let i = 0; i < 8; i++) assert.equal((await put(i)).type, 'done');
      assert.equal(refused(await put(8)), 'quota-exceeded');
      assert.equal((await put(0)).type, 'done');
    });
  });

  describe('a mailbox', () => {
    const post = async (from: NodeClient, box: Mailbox, value: number) =>
      from.ask({ type: 'post-mail', box, body: bytes(50, value) });
    const read = async (by: NodeClient, box: Mailbox, after = 0) => {
      const page = await by.ask({ type: 'get-mail', box, after });
      return page.type === 'mail-page' ? page.mails.map(({ body: [value] }) => value) : refused(page);
    };

    it('of a person keeps mail for when they come, and tells them at once when they are there', async () => {
      const box: Mailbox = { of: 'person', uid: alice.uid };
      await (await under.in(alice)).close();
      const sender = await under.in(bob);
      assert.equal((await post(sender, box, 1)).type, 'done');
      const laptop = await under.in(alice, 'resume');
      const phone = await under.in(alice, 'login', 1);
      assert.deepEqual(await read(laptop, box), [1]);
      await post(sender, box, 2);
      for (const one of [laptop, phone]) assert.deepEqual(await one.next('mail-came'), { type: 'mail-came', box, no: 2 });
      assert.deepEqual(await read(phone, box, 1), [2]);
      assert.equal((await laptop.ask({ type: 'drop-mail', box, upTo: 1 })).type, 'done');
      assert.deepEqual(await read(phone, box), [2]);
    });

    it('of a person or device is read and emptied by them alone', async () => {
      const client = await under.in(alice);
      const other = await under.in(bob);
      for (const box of [{ of: 'person', uid: alice.uid } as const, { of: 'device', did: alice.device.did } as const]) {
        assert.equal((await post(other, box, 1)).type, 'done');
        assert.equal(await read(other, box), 'not-found');
        assert.equal(refused(await other.ask({ type: 'drop-mail', box, upTo: 9 })), 'not-found');
        assert.deepEqual(await read(client, box), [1]);
      }
    });

    it('of a device tells that device only', async () => {
      const laptop = await under.in(alice);
      const phone = await under.in(alice, 'login', 1);
      const box: Mailbox = { of: 'device', did: alice.device.did };
      await post(phone, box, 1);
      assert.deepEqual(await laptop.next('mail-came'), { type: 'mail-came', box, no: 1 });
      assert.equal(await read(phone, box), 'not-found');
      assert.ok(!phone.inbox.some(({ type }) => type === 'mail-came'));
    });

    it('of a group is open to whoever names its log, and keeps two of each sender', async () => {
      const member = await under.in(alice);
      const joiner = await under.in(bob);
      const box: Mailbox = { of: 'group', gTag: gTag(1) };
      assert.equal(refused(await post(joiner, box, 1)), 'not-found');
      await member.ask(await signedAppend(await appendKey(1), 1));
      await member.ask({ type: 'follow', groups: [{ gTag: gTag(1), rosterTag: asRosterTag(bytes(16, 1)) }] });
      await post(member, box, 9);
      for (const value of [1, 2, 3]) await post(joiner, box, value);
      assert.deepEqual(await read(member, box), [9, 2, 3]);
      assert.deepEqual(await member.next('mail-came'), { type: 'mail-came', box, no: 1 });
      assert.equal(refused(await joiner.ask({ type: 'drop-mail', box, upTo: 9 })), 'not-found');
    });

    it('of a person keeps eight of each sender, so that nobody can stuff it', async () => {
      const client = await under.in(alice);
      const other = await under.in(bob);
      const box: Mailbox = { of: 'person', uid: alice.uid };
      await post(client, box, 100);
      for (let value = 1; value <= 10; value++) await post(other, box, value);
      assert.deepEqual(await read(client, box), [100, 3, 4, 5, 6, 7, 8, 9, 10]);
    });

    it('is there for known people, devices and logs only', async () => {
      const client = await under.in(alice);
      assert.equal(refused(await post(client, { of: 'person', uid: bob.uid }, 1)), 'not-found');
      assert.equal(refused(await post(client, { of: 'device', did: bob.device.did }, 1)), 'not-found');
    });

    it('forgets after 30 days', async () => {
      const box: Mailbox = { of: 'person', uid: alice.uid };
      await post(await under.in(alice), box, 1);
      await under.restartAfter(29 * day);
      await under.clock.advance(601_000);
      assert.deepEqual(await read(await under.in(alice, 'resume'), box), [1]);
      await under.restartAfter(2 * day);
      await under.clock.advance(601_000);
      assert.deepEqual(await read(await under.in(alice, 'login', 1), box), []);
    });
  });

  describe('presence', () => {
    const roster = (value: number) => asRosterTag(bytes(16, value));
    const follow = (client: NodeClient, ...values: number[]) =>
      client.ask({ type: 'follow', groups: values.map((value) => ({ gTag: gTag(value), rosterTag: roster(value) })) });

    it('tells who is there, who comes and who goes', async () => {
      const client = await under.in(alice);
      await follow(client, 1, 2);
      assert.deepEqual(await client.next('roster'), { type: 'roster', rosterTag: roster(1), online: [] });
      const other = await under.in(bob);
      await follow(other, 2, 3);
      assert.deepEqual(await other.next('roster'), { type: 'roster', rosterTag: roster(2), online: [alice.device.did] });
      const { did } = bob.device;
      assert.deepEqual(await client.next('presence'), { type: 'presence', rosterTag: roster(2), did, online: 1 });
      other.socket.terminate();
      assert.deepEqual(await client.next('presence'), { type: 'presence', rosterTag: roster(2), did, online: 0 });
    });

    it('follows what was named last, and nothing else', async () => {
      const client = await under.in(alice);
      const other = await under.in(bob);
      await follow(client, 1, 2);
      await follow(other, 1, 2);
      client.inbox.splice(0);
      await follow(other, 2, 3);
      const { did } = bob.device;
      assert.deepEqual(await client.next('presence'), { type: 'presence', rosterTag: roster(1), did, online: 0 });
      await follow(client);
      await follow(other, 1);
      await client.ask({ type: 'get-mail', box: { of: 'person', uid: alice.uid }, after: 0 });
      assert.deepEqual(client.inbox, []);
    });
  });

  describe('the relay', () => {
    it('passes a blob on as it is, and says whom it came from', async () => {
      const client = await under.in(alice);
      const other = await under.in(bob);
      const blob = bytes(limits.signalBytes, 5);
      assert.equal((await client.ask({ type: 'relay', to: bob.device.did, blob })).type, 'done');
      assert.deepEqual(await other.next('relayed'), { type: 'relayed', from: alice.device.did, blob });
      assert.equal(under.node.stats().relayed, 1);
    });

    it('says when there is nobody to pass it to, and keeps nothing', async () => {
      const client = await under.in(alice);
      const blob = bytes(100, 5);
      assert.equal(refused(await client.ask({ type: 'relay', to: bob.device.did, blob })), 'peer-offline');
      const other = await under.in(bob);
      await other.ask({ type: 'get-mail', box: { of: 'device', did: bob.device.did }, after: 0 });
      assert.deepEqual(other.inbox, []);
    });

    it('passes a burst on in its order', async () => {
      const client = await under.in(alice);
      const other = await under.in(bob);
      for (let i = 0; i < 60; i++) client.send({ type: 'relay', request: 100 + i, to: bob.device.did, blob: bytes(200, i) });
      for (let i = 0; i < 60; i++) {
        assert.equal((await client.answerTo(100 + i)).type, 'done');
        assert.equal((await other.next('relayed')).blob[0], i);
      }
    });

    it('has eight under way for a sender, and makes the rest wait or come again', async () => {
      await under.stop();
      await under.startAgain({ limits: { requestsBurst: 5000 } });
      const client = await under.in(alice);
      const slow = await under.in(bob);
      slow.socket.pause();
      const blob = bytes(limits.signalBytes, 5);
      let answer: NodeMessage | undefined;
      for (let i = 0; i < 2000 && answer?.type !== 'refused'; i++)
        answer = await client.ask({ type: 'relay', to: bob.device.did, blob });
      assert.equal(answer && refused(answer), 'busy');
      assert.equal((await client.ask({ type: 'get-mail', box: { of: 'person', uid: alice.uid }, after: 0 })).type, 'mail-page');
      slow.socket.resume();
      await slow.next('relayed');
    });

    it('reads and writes what the codec would', () => {
      const to = asDid(bytes(32, 3));
      const from = asDid(bytes(32, 4));
      for (const blob of [bytes(0, 0), bytes(1, 7), bytes(300, 8), bytes(limits.signalBytes, 9)]) {
        const message = encode(clientMessage, { type: 'relay', request: 0x80000001, to, blob });
        assert.deepEqual(readRelay(message), { request: 0x80000001, to: keyOf(to) });
        for (const wrong of [message.slice(0, -1), new Uint8Array([...message, 0]), message.slice(0, 20)]) {
          assert.equal(readRelay(wrong), undefined);
          assert.throws(() => decode(clientMessage, wrong));
        }
        assert.deepEqual(toRelayed(message, keyOf(from)), encode(nodeMessage, { type: 'relayed', from, blob }));
      }
      // One byte more than a blob may have, and otherwise in order.
      const message = encode(clientMessage, { type: 'relay', request: 1, to, blob: bytes(limits.signalBytes, 1) });
      const tooLong = new Uint8Array([...message, 1]);
      new DataView(tooLong.buffer).setUint16(37, limits.signalBytes + 1);
      assert.equal(readRelay(tooLong), undefined);
      assert.throws(() => decode(clientMessage, tooLong));
      assert.deepEqual(doneMessage(0x80000001), encode(nodeMessage, { type: 'done', request: 0x80000001 }));
    });
  });

  describe('a socket', () => {
    it('that says nothing is closed after 10 s', async () => {
      const client = await under.dial();
      await under.clock.advance(9_000);
      assert.equal(under.node.stats().sockets, 1);
      await under.clock.advance(2_000);
      assert.equal(refused(await client.next('refused')), 'challenge-expired');
      assert.equal(await client.closed, 4011);
    });

    it('that does not answer two pings is dead', async () => {
      const client = await under.in(alice);
      const other = await under.in(bob);
      client.socket.pause();
      for (let beat = 0; beat < 3; beat++) {
        await under.clock.advance(limits.heartbeat);
        await other.ask({ type: 'get-mail', box: { of: 'person', uid: bob.uid }, after: 0 });
      }
      client.socket.resume();
      assert.equal(await client.closed, 1006);
      assert.equal(under.node.stats().online, 1);
    });

    it('waits above its rate, and loses nothing', async () => {
      await under.stop();
      await under.startAgain({ limits: { requestsPerSecond: 10, requestsBurst: 5 } });
      const client = await under.in(alice);
      const other = await under.in(bob);
      const box: Mailbox = { of: 'person', uid: alice.uid };
      for (let request = 1; request <= 8; request++) client.send({ type: 'get-mail', request, box, after: 0 });
      for (let request = 1; request <= 5; request++) await client.answerTo(request);
      await other.ask({ type: 'get-mail', box: { of: 'person', uid: bob.uid }, after: 0 });
      assert.deepEqual(client.inbox, []);
      await under.clock.advance(100);
      await client.answerTo(6);
      await under.clock.advance(200);
      await client.answerTo(7);
      await client.answerTo(8);
      assert.equal(under.node.stats().online, 2);
    });

    it('is told when the node stops', async () => {
      const client = await under.in(alice);
      await under.node.close();
      assert.equal((await client.next('stopping')).type, 'stopping');
      assert.equal(await client.closed, 1001);
    });
  });

  describe('after a restart on the same folder', () => {
    it('the node is the same, devices come back, and all that was stored is there', async () => {
      const { nodeId } = under.node;
      const client = await under.in(alice);
      const key = await appendKey(1);
      await client.ask(await signedAppend(key, 1));
      await client.ask({ type: 'post-mail', box: { of: 'person', uid: alice.uid }, body: bytes(10, 1) });
      await under.stop();
      await under.startAgain();
      assert.deepEqual(under.node.nodeId, nodeId);
      const again = await under.in(alice, 'resume');
      assert.equal((await again.ask({ type: 'get-log', gTag: gTag(1), after: 0 })).type, 'log-page');
      const page = await again.ask({ type: 'get-mail', box: { of: 'person', uid: alice.uid }, after: 0 });
      assert.equal(page.type === 'mail-page' && page.mails.length, 1);
      assert.equal((await again.ask(await signedAppend(key, 2))).type, 'appended');
    });

    it('a store without its key is not given a new one', async () => {
      await under.stop();
      await rm(join(under.data, 'node.key'));
      await assert.rejects(under.startAgain(), CannotStart);
    });
  });
});

/** What gpg --gen-revoke makes, on the certificate of that person. */
async function revokedCertificate({ secretKey }: Person, now: number): Promise<Uint8Array> {
  const privateKey = await openpgp.decryptKey({
    privateKey: await openpgp.readPrivateKey({ binaryKey: secretKey.slice() }),
    passphrase,
  });
  const { publicKey } = await openpgp.revokeKey({ key: privateKey, date: new Date(now), format: 'binary' });
  return publicKey;
}
