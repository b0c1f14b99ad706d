// Starts a node: its key, its store, the page and the web sockets on one port.
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { signingKeyFromSeed } from '../keys/ed25519.ts';
import type { NodeId } from '../wire/ids.ts';
import type { IceServer } from '../wire/login-messages.ts';
import { canonicalOrigin } from '../wire/origin.ts';
import { boundConnections } from './addresses.ts';
import { type NodeClock, systemClock } from './clock.ts';
import { lockFolder, type Unlock } from './data-lock.ts';
import { Hub, type HubStats } from './hub.ts';
import { type NodeLimits, nodeLimits } from './limits.ts';
import { makeSeed, readSeed, seedFile } from './node-seed.ts';
import { loadPage, servePage } from './page.ts';
import type { Registration } from './sign-in.ts';
import { acceptSockets } from './sockets.ts';
import type { NodeStore } from './store.ts';
import { openLmdbStore } from './store-lmdb.ts';

export type NodeOptions = {
  /** Folder for the key and the store; made if it is not there. */
  data: string;
  host: string;
  /** 0: any that is free. */
  port: number;
  /** Canonical (wire/origin.ts). Undefined: those by which this machine reaches itself. */
  origins?: readonly string[] | undefined;
  registration?: Registration;
  iceServers?: IceServer[];
  /** Folder of the built page; undefined: none is served. */
  page?: string | undefined;
  /** One line of the log. */
  log?: (line: string) => void;
  limits?: Partial<NodeLimits>;
  clock?: NodeClock;
  /** Instead of the LMDB store in `data`; the node closes it. */
  store?: NodeStore;
};

export type RunningNode = {
  /** To open in a browser on this machine. */
  url: string;
  port: number;
  nodeId: NodeId;
  origins: readonly string[];
  /** Says goodbye, closes sockets and store. */
  close(): Promise<void>;
  stats(): HubStats;
};

/** What keeps a node from starting, in a sentence for whoever runs it. */
export class CannotStart extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'CannotStart';
  }
}

/** How long a client may take to close its side. */
const farewellTime = 1_000;

/** Throws CannotStart. */
export async function startNode(options: NodeOptions): Promise<RunningNode> {
  const unlock = await lock(options.data);
  try {
    return await startLocked(options, unlock);
  } catch (error) {
    await unlock();
    throw error;
  }
}

async function startLocked(options: NodeOptions, unlock: Unlock): Promise<RunningNode> {
  const own: NodeLimits = { ...nodeLimits, ...options.limits };
  const seed = await seedOf(options.data);
  const nodeKey = await signingKeyFromSeed(seed);
  const page = options.page === undefined ? new Map() : await orCannot(loadPage(options.page), 'Build the page again');
  const store =
    options.store ?? (await orCannot(openLmdbStore(join(options.data, 'store')), `The store in ${options.data} cannot be used`));
  const server = createServer({
    maxHeaderSize: 8192,
    headersTimeout: own.helloTime,
    requestTimeout: own.helloTime,
    connectionsCheckingInterval: 1_000,
    keepAliveTimeout: 5_000,
  });
  server.maxConnections = own.sockets + pageLoads;
  boundConnections(server, { perAddress: own.connectionsPerAddress });

  let port: number;
  try {
    port = await listen(server, options);
  } catch (error) {
    await store.close();
    throw error;
  }
  const origins = options.origins ?? loopbackOrigins(port);
  const hub = new Hub({
    store,
    nodeKey,
    origins,
    registration: options.registration ?? 'open',
    iceServers: options.iceServers ?? [],
    limits: own,
    clock: options.clock ?? systemClock,
    random: (length) => crypto.getRandomValues(new Uint8Array(length)),
    print: options.log ?? (() => undefined),
  });
  server.on('request', servePage(page, origins));
  acceptSockets(server, { hub, socketsPerAddress: own.socketsPerAddress, closeTimeout: farewellTime });

  const close = async () => {
    server.close();
    const isEmpty = new Promise<void>((resolve) => server.once('close', resolve));
    await hub.stop();
    server.closeIdleConnections();
    await Promise.race([isEmpty, new Promise((resolve) => setTimeout(resolve, farewellTime).unref())]);
    hub.cut();
    server.closeAllConnections();
    await store.close();
    await unlock();
  };
  let closing: Promise<void> | undefined;
  return {
    url: `http://localhost:${port}`,
    port,
    nodeId: hub.nodeId,
    origins,
    close: () => {
      closing ??= close();
      return closing;
    },
    stats: () => hub.stats(),
  };
}

/** Connections that only fetch the page, besides the web sockets. */
const pageLoads = 1_000;

function loopbackOrigins(port: number): string[] {
  return ['localhost', '127.0.0.1', '[::1]'].flatMap((host) => canonicalOrigin(`ws://${host}:${port}`) ?? []);
}

/** Also makes the folder. */
async function lock(folder: string): Promise<Unlock> {
  await orCannot(mkdir(folder, { recursive: true, mode: 0o700 }), `The folder ${folder} cannot be used`);
  const unlock = await lockFolder(folder);
  if (unlock !== 'taken') return unlock;
  throw new CannotStart(`Another node is running in ${folder}. Stop that, or name another folder: DATA=./data2.`);
}

async function seedOf(folder: string): Promise<Uint8Array> {
  try {
    const seed = await readSeed(folder);
    if (seed !== undefined) return seed;
    if (!existsSync(join(folder, 'store'))) return await makeSeed(folder);
  } catch (error) {
    throw new CannotStart(`The folder ${folder} cannot be used: ${messageOf(error)}.`);
  }
  // With a new key every client would take this for an attack, and rightly.
  throw new CannotStart(`${folder} has a store but no ${seedFile}. Bring that file back from a backup, or name another folder.`);
}

async function orCannot<T>(work: Promise<T>, what: string): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw new CannotStart(`${what}: ${messageOf(error)}.`);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function listen(server: Server, { port, host }: { port: number; host: string }): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: Error & { code?: string }) => {
      if (error.code === 'EADDRINUSE') {
        reject(
          new CannotStart(`Port ${port} is in use, perhaps by another node. Stop that, or choose another: PORT=${port + 1}.`),
        );
      } else if (error.code === 'EACCES') {
        reject(new CannotStart(`Port ${port} is not for everybody. Choose one from 1024 on: PORT=8080.`));
      } else reject(new CannotStart(`Nobody can be reached at ${host}, port ${port}: ${error.message}.`));
    });
    server.listen(port, host, () => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : port);
    });
  });
}
