// The contracts of spec/contracts.ts in Chromium: simple-peer among tabs and with werift, WebSocket, IndexedDB, timers, random bytes.
import assert from 'node:assert/strict';
import type { Store } from '../mesh/ports.ts';
import { StoreFailure, type StoreFailureCode } from '../mesh/store-failure.ts';
import { weriftLinks } from '../peer/werift-link.ts';
import { type ContractBrowser, type ContractPage, openContractBrowser } from './contract-browser.ts';
import { localLink } from './contract-drivers.ts';
import { linkContract, socketContract, storeContract } from './contracts.ts';
import { startEchoNode } from './echo-node.ts';

const policy = { relayOnly: false, allowLoopback: true };

describe('in Chromium', () => {
  let browser: ContractBrowser;
  let page: ContractPage;

  before(async function () {
    this.timeout(30_000);
    browser = await openContractBrowser();
    page = await browser.openPage();
  });
  after(() => browser.close());

  linkContract('simple-peer in two tabs', async () => {
    const other = await browser.openPage();
    return { offerer: page.links(policy), answerer: other.links(policy), close: () => other.close() };
  });
  linkContract('simple-peer to werift', async () => ({ offerer: page.links(policy), answerer: localLink(weriftLinks(policy)) }));
  linkContract('werift to simple-peer', async () => ({ offerer: localLink(weriftLinks(policy)), answerer: page.links(policy) }));

  socketContract('WebSocket', async () => {
    const node = await startEchoNode();
    return { ...node, dial: page.sockets() };
  });

  let stores = 0;
  storeContract('IndexedDB', async () => {
    const names = new Map<Store, string>();
    const open = async (name: string) => {
      const store = await page.store(name);
      names.set(store, name);
      return store;
    };
    return { open: () => open(`store ${stores++}`), reopen: (store) => open(names.get(store) ?? '') };
  });

  it('IndexedDB keeps its own copy of the bytes', async () => {
    await page.call('openStore', -1, 'reused');
    assert.deepEqual(await page.call('readAfterReuse', -1), [new Uint8Array(2), 2]);
  });

  const failsWith = (code: StoreFailureCode) => (error: unknown) => error instanceof StoreFailure && error.code === code;

  it('IndexedDB says closed when its data is cleared under it, or a later version of the app takes it', async () => {
    for (const take of ['deleteDatabase', 'openLaterVersion'] as const) {
      const store = await page.store(take);
      await page.call(take, take);
      await assert.rejects(store.get(['a']), failsWith('closed'));
      await assert.rejects(store.write([{ put: ['a'], value: new Uint8Array(1) }]), failsWith('closed'));
    }
  });

  it('IndexedDB says unusable for data of a later version, and blocked instead of waiting for ever', async () => {
    await assert.rejects(page.store('openLaterVersion'), failsWith('unusable'));
    await page.call('hogDatabase', 'hogged');
    await assert.rejects(page.call('openStore', -2, 'hogged', 20), failsWith('blocked'));
  });

  it('timers run in order, once, and not when stopped', async () => {
    const { ran, passed } = await page.call('timers');
    assert.deepEqual(ran, ['first', 'second']);
    assert.ok(passed >= 39, 'a millisecond for rounding');
  });

  it('random bytes are as many as asked for, and others each time', async () => {
    assert.equal((await page.call('random', 0)).length, 0);
    const many = await page.call('random', 200_000);
    assert.equal(many.length, 200_000);
    assert.ok(many.subarray(150_000).some((byte) => byte !== 0));
    assert.notDeepEqual(await page.call('random', 32), await page.call('random', 32));
  });
});
