// What every NodeStore promises (signaling/store.ts), as specs to be run against each implementation.
import assert from 'node:assert/strict';
import type { AppendWrite, NodeStore, StoredDevice } from '../signaling/store.ts';
import { asDid, asGTag, asOpId, asUid } from '../wire/ids.ts';
import type { Mailbox } from '../wire/node-messages.ts';

/** `reopen` gives the same store as after a crash of the process: what was acknowledged is there. */
export type StoreUnderTest = { store: NodeStore; reopen(): Promise<NodeStore>; dispose(): Promise<void> };

const bytes = (length: number, value: number) => new Uint8Array(length).fill(value);
const aliceUid = asUid(bytes(32, 0xa1));
const bobUid = asUid(bytes(32, 0xb0));
const gTag = asGTag(bytes(16, 0xff));
const opId = (no: number) => asOpId(bytes(32, no));
const alice = { uid: aliceUid, username: 'alice', certificate: bytes(900, 1), nameClaim: bytes(300, 2) };
const bob = { uid: bobUid, username: 'bob', certificate: bytes(700, 3), nameClaim: bytes(300, 4) };
const device = (no: number): StoredDevice => ({
  did: asDid(bytes(32, no)),
  deviceCert: bytes(500, no),
  lockKeys: [bytes(150, no)],
});

export function nodeStoreContract(name: string, make: () => Promise<StoreUnderTest>): void {
  describe(`${name} keeps the contract of the node's store`, () => {
    let under: StoreUnderTest;
    let store: NodeStore;

    beforeEach(async () => {
      under = await make();
      store = under.store;
    });
    afterEach(() => under.dispose());

    describe('accounts', () => {
      it('are found by name and by uid, and are there after reopening', async () => {
        assert.equal(await store.register(alice, device(1)), 'registered');
        store = await under.reopen();
        assert.deepEqual(await store.account(aliceUid), alice);
        assert.deepEqual(await store.accountNamed('alice'), alice);
        assert.deepEqual(await store.devices(aliceUid), [device(1)]);
        assert.deepEqual(await store.owner(device(1).did), aliceUid);
        assert.equal(await store.accountNamed('bob'), undefined);
        assert.equal(await store.account(bobUid), undefined);
      });

      it('have one name per key and one key per name, also when two come at once', async () => {
        const outcomes = await Promise.all([
          store.register(alice, device(1)),
          store.register({ ...bob, username: 'alice' }, device(2)),
          store.register({ ...alice, username: 'alice2' }, device(3)),
        ]);
        assert.deepEqual(outcomes, ['registered', 'name-taken', 'key-taken']);
        assert.equal(await store.account(bobUid), undefined);
        assert.equal(await store.owner(device(2).did), undefined);
        assert.equal(await store.accountNamed('alice2'), undefined);
        assert.equal(await store.register(bob, device(2)), 'registered');
      });

      it('replace a certificate only when it is still the one the caller saw', async () => {
        await store.register(alice, device(1));
        assert.equal(await store.replaceCertificate(aliceUid, { from: alice.certificate, to: bytes(901, 5) }), 'replaced');
        assert.equal(await store.replaceCertificate(aliceUid, { from: alice.certificate, to: bytes(902, 6) }), 'stale');
        assert.deepEqual((await store.account(aliceUid))?.certificate, bytes(901, 5));
      });

      it('add, change and drop devices; a dropped one has no owner any more', async () => {
        await store.register(alice, device(1));
        await store.register(bob, device(9));
        await store.changeDevices(aliceUid, (devices) => [...devices, device(2)]);
        await store.changeDevices(aliceUid, (devices) => devices.map((one) => ({ ...one, lockKeys: [] })));
        await store.changeDevices(aliceUid, (devices) => devices.slice(1));
        await store.changeDevices(aliceUid, () => undefined);
        assert.deepEqual(await store.devices(aliceUid), [{ ...device(2), lockKeys: [] }]);
        assert.equal(await store.owner(device(1).did), undefined);
        assert.deepEqual(await store.owner(device(2).did), aliceUid);
        assert.deepEqual(await store.devices(bobUid), [device(9)]);
      });

      it('lose no device when two are added at once', async () => {
        await store.register(alice, device(1));
        await Promise.all([2, 3, 4].map((no) => store.changeDevices(aliceUid, (devices) => [...devices, device(no)])));
        assert.equal((await store.devices(aliceUid)).length, 4);
      });
    });

    describe('logs', () => {
      const most = { bytes: 10_000, entries: 5, groupsPerAccount: 2 };
      const write = (no: number, more: Partial<AppendWrite> = {}): AppendWrite => ({
        gTag,
        after: no - 1,
        heads: [opId(no)],
        appendKeys: [bytes(32, 7)],
        entry: { no, opId: opId(no), parents: no > 1 ? [opId(no - 1)] : [], sealed: bytes(100, no) },
        appendHash: bytes(32, 100 + no),
        uid: aliceUid,
        shards: [],
        most,
        ...more,
      });
      const stage = (hash: number, size: number, more = { shards: 3, bytes: 1000 }) =>
        store.stageShard({ uid: aliceUid, hash: bytes(32, hash), shard: bytes(size, hash), at: 1000, most: more });

      beforeEach(() => store.register(alice, device(1)));

      it('are there after reopening, entry by entry', async () => {
        for (const no of [1, 2, 3]) assert.equal(await store.append(write(no)), 'appended');
        store = await under.reopen();
        const state = { entries: 3, bytes: 300, heads: [opId(3)], appendKeys: [bytes(32, 7)] };
        assert.deepEqual(await store.group(gTag), state);
        const page = await store.entries(gTag, { after: 1, most: 10, bytes: 10_000 });
        assert.deepEqual(page, { entries: [write(2).entry, write(3).entry], more: false });
        assert.deepEqual(await store.knownOps(gTag, [opId(2), opId(9)]), [{ no: 2, appendHash: bytes(32, 102) }, undefined]);
      });

      it('take one of two appends that were made on the same state', async () => {
        assert.equal(await store.append(write(1)), 'appended');
        const other = write(2, { entry: { ...write(2).entry, opId: opId(50) }, heads: [opId(50)] });
        assert.deepEqual(await Promise.all([store.append(write(2)), store.append(other)]), ['appended', 'stale']);
        assert.deepEqual((await store.group(gTag))?.heads, [opId(2)]);
        assert.deepEqual(await store.knownOps(gTag, [opId(50)]), [undefined]);
        assert.equal(await store.append(write(1)), 'stale');
      });

      it('come in pages, bounded by number and by bytes, with at least one entry', async () => {
        for (const no of [1, 2, 3, 4]) await store.append(write(no));
        const numbers = async (from: { after: number; most: number; bytes: number }) => {
          const { entries, more } = await store.entries(gTag, from);
          return [entries.map(({ no }) => no), more];
        };
        assert.deepEqual(await numbers({ after: 0, most: 3, bytes: 10_000 }), [[1, 2, 3], true]);
        assert.deepEqual(await numbers({ after: 3, most: 3, bytes: 10_000 }), [[4], false]);
        assert.deepEqual(await numbers({ after: 0, most: 10, bytes: 1 }), [[1], true]);
        assert.deepEqual(await numbers({ after: 4, most: 10, bytes: 1 }), [[], false]);
        const other = asGTag(bytes(16, 0xfe));
        assert.deepEqual(await store.entries(other, { after: 0, most: 10, bytes: 1000 }), { entries: [], more: false });
      });

      it('take shards that were staged, and only those', async () => {
        assert.equal(await store.append(write(1, { shards: [bytes(32, 1)] })), 'shard-missing');
        assert.equal(await store.group(gTag), undefined);
        assert.equal(await stage(1, 400), 'staged');
        assert.equal(await store.shard(gTag, bytes(32, 1)), undefined);
        assert.equal(await store.append(write(1, { shards: [bytes(32, 1), bytes(32, 1)] })), 'appended');
        store = await under.reopen();
        assert.deepEqual(await store.shard(gTag, bytes(32, 1)), bytes(400, 1));
        assert.equal((await store.group(gTag))?.bytes, 500);
        // What the group has counts once, and what was moved is staged no longer.
        assert.equal(await store.append(write(2, { shards: [bytes(32, 1)] })), 'appended');
        assert.equal((await store.group(gTag))?.bytes, 600);
        const elsewhere = asGTag(bytes(16, 1));
        assert.equal(await store.append({ ...write(1, { shards: [bytes(32, 1)] }), gTag: elsewhere }), 'shard-missing');
      });

      it('keep quotas of bytes, entries and groups', async () => {
        assert.equal(await store.append(write(1, { most: { ...most, bytes: 99 } })), 'quota');
        for (const no of [1, 2, 3, 4, 5]) assert.equal(await store.append(write(no)), 'appended');
        assert.equal(await store.append(write(6)), 'quota');
        const tags = [1, 2, 3].map((value) => asGTag(bytes(16, value)));
        const outcomes = await Promise.all(tags.map((tag) => store.append(write(1, { gTag: tag }))));
        assert.deepEqual(outcomes, ['appended', 'quota', 'quota']);
      });

      it('bound what is staged', async () => {
        assert.equal(await stage(1, 400), 'staged');
        assert.equal(await stage(2, 601), 'full');
        assert.equal(await stage(1, 400), 'staged');
        assert.equal(await stage(2, 500), 'staged');
        assert.equal(await stage(3, 100), 'staged');
        assert.equal(await stage(4, 0), 'full');
      });

      it('let staged shards expire, but not those of a group', async () => {
        await stage(1, 10);
        await store.append(write(1, { shards: [bytes(32, 1)] }));
        await stage(2, 20);
        assert.equal(await store.sweep({ mail: 0, staged: 1000 }), 0);
        assert.equal(await store.sweep({ mail: 0, staged: 1001 }), 1);
        assert.equal(await store.append(write(2, { shards: [bytes(32, 2)] })), 'shard-missing');
        assert.deepEqual(await store.shard(gTag, bytes(32, 1)), bytes(10, 1));
      });
    });

    describe('mailboxes', () => {
      const box: Mailbox = { of: 'group', gTag };
      const post = (sender: number, at: number, more: { box?: Mailbox; size?: number } = {}) =>
        store.postMail({
          box: more.box ?? box,
          sender: bytes(8, sender),
          at,
          body: bytes(more.size ?? 10, at),
          most: { mails: 5, perSender: 2 },
        });
      const numbers = async (after = 0, of: Mailbox = box) =>
        (await store.mails(of, { after, bytes: 10_000 })).mails.map(({ no }) => no);

      it('number their mail, and have it after reopening', async () => {
        assert.equal(await post(1, 10), 1);
        assert.equal(await post(2, 20), 2);
        store = await under.reopen();
        const mails = [
          { no: 1, at: 10, body: bytes(10, 10) },
          { no: 2, at: 20, body: bytes(10, 20) },
        ];
        assert.deepEqual(await store.mails(box, { after: 0, bytes: 10_000 }), { mails, more: false });
        assert.deepEqual(await numbers(1), [2]);
      });

      it('do not mix with each other', async () => {
        const person: Mailbox = { of: 'person', uid: aliceUid };
        const sameBytes: Mailbox = { of: 'device', did: asDid(aliceUid.slice()) };
        await post(1, 10, { box: person });
        await post(1, 20, { box: sameBytes });
        assert.deepEqual(await numbers(0, person), [1]);
        assert.deepEqual((await store.mails(sameBytes, { after: 0, bytes: 100 })).mails[0]?.at, 20);
      });

      it("drop the sender's own oldest for a third, and nobody else's", async () => {
        for (const at of [1, 2, 3]) await post(1, at);
        await post(2, 4);
        assert.deepEqual(await numbers(), [2, 3, 4]);
      });

      it('make room, when they are full, at the cost of who has most, until all have the same', async () => {
        for (const sender of [1, 1, 2, 2, 3]) await post(sender, 1);
        assert.equal(await post(4, 6), 6);
        assert.deepEqual(await numbers(), [2, 3, 4, 5, 6]);
        assert.equal(await post(5, 7), 7);
        assert.deepEqual(await numbers(), [2, 4, 5, 6, 7]);
        for (const sender of [1, 6]) assert.equal(await post(sender, 8), 'full');
        assert.deepEqual(await numbers(), [2, 4, 5, 6, 7]);
      });

      it('refuse what does not fit, and never use a number twice', async () => {
        for (const sender of [1, 2, 3, 4, 5]) await post(sender, sender);
        assert.equal(await post(6, 6), 'full');
        await store.dropMails(box, 5);
        assert.deepEqual(await numbers(), []);
        assert.equal(await post(6, 7), 6);
      });

      it('come in pages with at least one mail', async () => {
        await post(1, 1, { size: 500 });
        await post(2, 2, { size: 500 });
        const page = await store.mails(box, { after: 0, bytes: 600 });
        assert.deepEqual([page.mails.map(({ no }) => no), page.more], [[1], true]);
        assert.equal((await store.mails(box, { after: 0, bytes: 1 })).mails.length, 1);
      });

      it('let mail expire', async () => {
        await post(1, 10);
        await post(2, 20);
        assert.equal(await store.sweep({ mail: 20, staged: 0 }), 1);
        assert.deepEqual(await numbers(), [2]);
        assert.equal(await post(1, 30), 3);
      });
    });
  });
}
