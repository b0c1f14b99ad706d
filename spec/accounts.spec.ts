// Accounts on a device: what opens them, what is refused, and that nothing secret lies in the store in the clear.
import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import { decryptKey, readPrivateKey } from 'openpgp';
import { openDevice, rotateLockKeys } from '../keys/device.ts';
import { localKeyAgent } from '../keys/key-agent.ts';
import { KeyRefusal } from '../keys/key-refusal.ts';
import { createAccount, forgetAccount, listAccounts, type OpenAccount, openAccount, pinStore } from '../mesh/accounts.ts';
import { StoreFailure } from '../mesh/store-failure.ts';
import { concat, copyOf, hex, utf8 } from '../wire/bytes.ts';
import { MemoryStore, seededRandom } from './fakes.ts';

const now = Date.UTC(2026, 0, 1);
const day = 24 * 60 * 60_000;
const origin = 'wss://chat.example';
const passphrase = 'correct horse battery staple';
const alice = { origin, username: 'alice' };

describe('accounts on a device', function () {
  this.timeout(30_000);

  let secretKey: Uint8Array;

  before(async () => {
    ({ secretKey } = await localKeyAgent().generate({ username: 'alice', passphrase, now }));
  });

  it('keeps an account that opens again with its passphrase, with the same key and device', async () => {
    const { store, account } = await created();
    const again = await opened(store.copy());
    assert.deepEqual(again.uid, account.uid);
    assert.deepEqual(again.certificate, account.certificate);
    assert.equal(again.fingerprint, account.fingerprint);
    assert.deepEqual((await openDevice(again.device)).did, (await openDevice(account.device)).did);
    const sealed = await account.vault.seal('message', utf8('hello'));
    assert.deepEqual(await again.vault.open('message', sealed), copyOf(utf8('hello')));
  });

  it('unlocks the key in the agent', async () => {
    const { store, account } = await created();
    const agent = localKeyAgent();
    await opened(store, agent);
    const body = utf8('anything');
    const signature = await agent.sign({ purpose: 'name-claim', body, now });
    await agent.verify({ purpose: 'name-claim', body, signature, certificate: account.certificate, now });
  });

  it('lists accounts without their passphrase', async () => {
    const { store, account } = await created();
    const { uid, certificate } = account;
    assert.deepEqual(await listAccounts(store), [{ ...alice, uid, certificate, registration: 'due' }]);
  });

  it('tells a wrong passphrase from an unknown account', async () => {
    const { store } = await created();
    const parts = { store, agent: localKeyAgent(), ...alice, passphrase, random: seededRandom(2), now };
    assert.equal(await openAccount({ ...parts, passphrase: 'correct horse' }), 'wrong-passphrase');
    assert.equal(await openAccount({ ...parts, username: 'bob' }), 'unknown-account');
    assert.equal(await openAccount({ ...parts, origin: 'wss://other.example' }), 'unknown-account');
  });

  it('leaves the agent locked after a wrong passphrase', async () => {
    const { store } = await created();
    const agent = localKeyAgent();
    await openAccount({ store, agent, ...alice, passphrase: 'correct horse', random: seededRandom(2), now });
    await assert.rejects(agent.relock({ passphrase }), new KeyRefusal('locked'));
  });

  it('takes a key under its own passphrase only, and keeps nothing when it was wrong', async () => {
    const store = new MemoryStore();
    await assert.rejects(create({ store, passphrase: 'correct horse' }), new KeyRefusal('wrong-passphrase'));
    assert.deepEqual(await everything(store), new Uint8Array());
  });

  it('locks a key that came without a passphrase under the chosen one', async () => {
    const bare = await withoutPassphrase();
    const { store, account } = await created({ secretKey: bare });
    assert.deepEqual((await opened(store)).uid, account.uid);
    const kept = await keptSecretKey(store, account);
    await assert.rejects(localKeyAgent().unlock({ secretKey: kept, passphrase: '' }), new KeyRefusal('wrong-passphrase'));
  });

  it('refuses an empty passphrase, also for a key that has none', async () => {
    const store = new MemoryStore();
    const bare = await withoutPassphrase();
    await assert.rejects(create({ store, secretKey: bare, passphrase: '' }), new KeyRefusal('empty-passphrase'));
    assert.deepEqual(await everything(store), new Uint8Array());
  });

  it('opens with the same characters composed in another way', async () => {
    const bare = await withoutPassphrase();
    const { store } = await created({ secretKey: bare, passphrase: 'Zo\u0065\u0308 likes horses' });
    await opened(store, localKeyAgent(), 'Zo\u00eb likes horses');
  });

  it('never replaces an account that is there', async () => {
    const { store, account } = await created();
    const before = await everything(store);
    assert.equal(await create({ store }), 'already-here');
    assert.deepEqual(await everything(store), before);
    assert.deepEqual((await opened(store)).device, account.device);
  });

  it('keeps the same name at two nodes apart', async () => {
    const { store } = await created();
    const other = await created({ store, origin: 'wss://other.example' });
    assert.equal((await listAccounts(store)).length, 2);
    const first = await openDevice((await opened(store)).device);
    assert.notDeepEqual(first.did, (await openDevice(other.account.device)).did);
  });

  it('remembers that the registration is done', async () => {
    const { store, account } = await created();
    assert.equal(account.registration, 'due');
    await account.markRegistered();
    assert.equal(account.registration, 'done');
    assert.equal((await opened(store)).registration, 'done');
    assert.equal((await listAccounts(store))[0]?.registration, 'done');
  });

  it('keeps a renewed device, and the old one when it could not be stored', async () => {
    const { store, account } = await created();
    const rotated = await rotateLockKeys({ secrets: account.device, random: seededRandom(5), now: now + 8 * day });
    assert.notEqual(rotated, 'kept');
    if (rotated === 'kept') return;
    store.failNextWrite();
    await assert.rejects(account.saveDevice(rotated), StoreFailure);
    assert.equal(account.device.lockKeys.length, 1);
    await account.saveDevice(rotated);
    assert.equal(account.device.lockKeys.length, 2);
    assert.deepEqual((await opened(store)).device.lockKeys, rotated.lockKeys);
  });

  it('leaves nothing of an account whose name was refused', async () => {
    const { store } = await created();
    await forgetAccount({ store, ...alice });
    assert.deepEqual(await everything(store), new Uint8Array());
    await created({ store });
  });

  it('leaves nothing when the disk is full', async () => {
    const store = new MemoryStore();
    store.failNextWrite();
    await assert.rejects(create({ store }), StoreFailure);
    assert.deepEqual(await everything(store), new Uint8Array());
  });

  it('refuses an account whose name or address was changed behind its back', async () => {
    const { store } = await created();
    for (const kind of ['account', 'device']) {
      const [entry] = await store.range([kind]);
      assert.ok(entry);
      await store.write([{ put: [kind, 'wss://evil.example', 'alice'], value: entry.value }]);
    }
    const moved = openAccount({
      ...{ store, agent: localKeyAgent(), username: 'alice', passphrase, random: seededRandom(2), now },
      origin: 'wss://evil.example',
    });
    await assert.rejects(moved, (error) => error instanceof StoreFailure && error.code === 'not-ours');
  });

  it('remembers the keys of nodes by their address, also after accounts are forgotten', async () => {
    const { store } = await created();
    const nodePub = new Uint8Array(32).fill(7);
    await pinStore(store).set(origin, nodePub);
    await forgetAccount({ store, ...alice });
    assert.deepEqual(await pinStore(store.copy()).get(origin), nodePub);
    assert.equal(await pinStore(store).get('wss://other.example'), undefined);
  });

  it('stores no seed, no key and no passphrase in the clear', async () => {
    const { store, account } = await created();
    const rotated = await rotateLockKeys({ secrets: account.device, random: seededRandom(5), now: now + 8 * day });
    if (rotated !== 'kept') await account.saveDevice(rotated);
    const secrets = [account.device.signSeed, ...account.device.lockKeys.map(({ seed }) => seed), utf8(passphrase)];
    const keys = [secretKey, await keptSecretKey(store, account), await withoutPassphrase()];
    for (const key of keys) secrets.push(...windowsOf(key, account.certificate));
    const dump = await everything(store);
    // The certificate is not secret: the search would find a secret as it finds this.
    assert.ok(holds(dump, account.certificate.subarray(0, 32)));
    assert.ok(secrets.length > 12);
    for (const [i, part] of secrets.entries()) assert.ok(!holds(dump, part), `secret ${i} of ${secrets.length} is in the store`);
  });

  it('prints as [key] and nothing more', async () => {
    const { account } = await created();
    assert.equal(inspect(account), '[key]');
    assert.equal(JSON.stringify({ account }), '{"account":"[key]"}');
    assert.ok(!inspect(account.device).includes('signSeed'));
  });

  type Changes = { store?: MemoryStore; secretKey?: Uint8Array; passphrase?: string; origin?: string };

  function create(changes: Changes & { store: MemoryStore }): Promise<OpenAccount | 'already-here'> {
    const random = seededRandom(changes.origin?.length ?? 1);
    const defaults = { agent: localKeyAgent(), secretKey, ...alice, passphrase, deviceName: 'laptop', random, now };
    return createAccount({ ...defaults, ...changes });
  }

  async function created(changes: Changes = {}): Promise<{ store: MemoryStore; account: OpenAccount }> {
    const store = changes.store ?? new MemoryStore();
    const account = await create({ ...changes, store });
    assert.notEqual(account, 'already-here');
    if (account === 'already-here') throw new Error('the account was there before');
    return { store, account };
  }

  async function opened(store: MemoryStore, agent = localKeyAgent(), words = passphrase): Promise<OpenAccount> {
    const account = await openAccount({ store, agent, ...alice, passphrase: words, random: seededRandom(3), now });
    if (typeof account === 'string') throw new Error(`the account did not open: ${account}`);
    return account;
  }

  async function withoutPassphrase(): Promise<Uint8Array> {
    const privateKey = await readPrivateKey({ binaryKey: copyOf(secretKey) });
    return (await decryptKey({ privateKey, passphrase })).write();
  }
});

/** The secret key as it lies in the vault. */
async function keptSecretKey(store: MemoryStore, account: OpenAccount): Promise<Uint8Array> {
  const [entry] = await store.range(['account']);
  assert.ok(entry);
  // The sealed key ends the record; how long it is stands in the four bytes before it.
  for (let at = entry.value.length - 28; at > 0; at--) {
    const opened = await account.vault.open(`secret key of alice at ${origin}`, entry.value.subarray(at));
    if (opened !== undefined) return opened;
  }
  throw new Error('no sealed key in the record');
}

/** Pieces of a secret key of 16 bytes each, but for what its certificate has too. */
function windowsOf(secretKey: Uint8Array, certificate: Uint8Array): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let at = 0; at + 16 <= secretKey.length; at += 16) {
    const piece = secretKey.subarray(at, at + 16);
    if (!holds(certificate, piece)) pieces.push(piece);
  }
  return pieces;
}

async function everything(store: MemoryStore): Promise<Uint8Array> {
  const entries = await store.range([]);
  return concat(...entries.flatMap(({ key, value }) => [utf8(key.join('/')), value]));
}

function holds(bytes: Uint8Array, part: Uint8Array): boolean {
  return Buffer.from(bytes).includes(Buffer.from(part)) || hex(bytes).includes(hex(part));
}
