// The contracts of spec/contracts.ts in Node: the fakes, werift, ws, LMDB and the sealed store.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createVault } from '../keys/vault.ts';
import type { Store } from '../mesh/ports.ts';
import { sealStore } from '../mesh/sealed-store.ts';
import { openLmdbStore } from '../peer/lmdb-store.ts';
import { nodeClock, nodeRandom } from '../peer/node-clock.ts';
import { dialNodeSocket } from '../peer/node-socket.ts';
import { weriftLinks } from '../peer/werift-link.ts';
import { limits } from '../wire/limits.ts';
import { localLink, localSocket } from './contract-drivers.ts';
import {
  askNode,
  clockContract,
  linkContract,
  randomContract,
  type SocketWorld,
  type StoreWorld,
  socketContract,
  storeContract,
} from './contracts.ts';
import { startEchoNode } from './echo-node.ts';
import { ManualClock, MemoryStore, seededRandom, VirtualNetwork } from './fakes.ts';

linkContract('virtual', async () => {
  const clock = new ManualClock();
  const network = new VirtualNetwork({ clock, random: seededRandom(1) });
  return {
    offerer: localLink(network.device('alice').openLink),
    answerer: localLink(network.device('bob').openLink),
    until: (done) => clock.advanceUntil(done),
  };
});

linkContract('werift and werift', async () => {
  const links = localLink(weriftLinks({ relayOnly: false, allowLoopback: true }));
  return { offerer: links, answerer: links };
});

socketContract('virtual', async () => virtualSockets(), { binaryOnly: true });
socketContract('ws', async () => {
  const node = await startEchoNode();
  return { ...node, dial: localSocket(dialNodeSocket) };
});

storeContract('memory', async () => ({
  open: async () => new MemoryStore(),
  reopen: async (store) => (store instanceof MemoryStore ? store.copy() : store),
}));
storeContract('LMDB', lmdbStores);
storeContract('sealed, in LMDB', async () => {
  const { vault } = await createVault({ passphrase: 'correct horse', random: nodeRandom });
  const world = await lmdbStores();
  const below = new Map<Store, Store>();
  const seal = (store: Store) => {
    const sealed = sealStore(store, vault);
    below.set(sealed, store);
    return sealed;
  };
  return {
    ...world,
    open: async () => seal(await world.open()),
    reopen: async (store) => seal(await world.reopen(below.get(store) ?? store)),
  };
});

clockContract('by hand', () => {
  const clock = new ManualClock();
  return { clock, until: (done) => clock.advanceUntil(done) };
});
clockContract('Node', () => ({ clock: nodeClock }));
randomContract('seeded', seededRandom(3));
randomContract('Node', nodeRandom);

function virtualSockets(): SocketWorld {
  const clock = new ManualClock();
  const network = new VirtualNetwork({ clock, random: seededRandom(1) });
  network.startNode('wss://node.example', (socket) => ({
    message: (bytes) => {
      if (bytes.length === 1 && bytes[0] === askNode.close) socket.close();
      else if (bytes.length === 1 && bytes[0] === askNode.large) socket.send(new Uint8Array(limits.socketMessageBytes + 1));
      else socket.send(bytes);
    },
    closed: () => undefined,
  }));
  return {
    dial: localSocket(network.device('alice').dialSocket),
    origin: 'wss://node.example',
    nowhere: 'wss://nobody.example',
    until: (done) => clock.advanceUntil(done),
  };
}

async function lmdbStores(): Promise<StoreWorld> {
  const folder = await mkdtemp(join(tmpdir(), 'secure-store-'));
  const folders = new Map<Store, string>();
  let count = 0;
  const openIn = async (path: string) => {
    const store = await openLmdbStore(path);
    folders.set(store, path);
    return store;
  };
  return {
    open: () => openIn(join(folder, `${count++}`)),
    reopen: (store) => openIn(folders.get(store) ?? ''),
    close: () => rm(folder, { recursive: true }),
  };
}
