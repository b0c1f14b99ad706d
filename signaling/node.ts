// Starts a node: its store, the page and the web sockets on one port. The one importer of `ws`.
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { Socket as TcpSocket } from 'node:net';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { signingKeyFromSeed } from '../keys/ed25519.ts';
import { expandKey } from '../keys/hash.ts';
import type { NodeId } from '../wire/ids.ts';
import { limits } from '../wire/limits.ts';
import type { IceServer } from '../wire/login-messages.ts';
import { canonicalOrigin } from '../wire/origin.ts';
import { addressOf } from './address.ts';
import { type NodeClock, systemClock } from './clock.ts';
import type { ClientSocket } from './connection.ts';
import { Hub, type HubStats } from './hub.ts';
import { type NodeLimits, nodeLimits } from './limits.ts';
import { makeSeed, readSeed, seedFile } from './node-seed.ts';
import { loadPage, servePage } from './page.ts';
import type { Registration } from './sign-in.ts';
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
  const own: NodeLimits = { ...nodeLimits, ...options.limits };
  const seed = await seedOf(options.data);
  const nodeKey = await signingKeyFromSeed(seed);
  const page = options.page === undefined ? new Map() : await orCannot(loadPage(options.page), 'Build the page again');
  const store =
    options.store ?? (await orCannot(openLmdbStore(join(options.data, 'store')), `The store in ${options.data} cannot be used`));
  const server = createServer({ maxHeaderSize: 8192, headersTimeout: 10_000, requestTimeout: 10_000, keepAliveTimeout: 5_000 });
  server.maxConnections = own.sockets + pageLoads;

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
    senderKey: expandKey(seed, 'mail-sender', new Uint8Array(0)),
    origins,
    registration: options.registration ?? 'open',
    iceServers: options.iceServers ?? [],
    limits: own,
    clock: options.clock ?? systemClock,
    random: (length) => crypto.getRandomValues(new Uint8Array(length)),
    print: options.log ?? (() => undefined),
  });
  server.on('request', servePage(page, origins));
  acceptSockets(server, hub, own);

  const close = async () => {
    server.close();
    const isEmpty = new Promise<void>((resolve) => server.once('close', resolve));
    await hub.stop();
    server.closeIdleConnections();
    await Promise.race([isEmpty, new Promise((resolve) => setTimeout(resolve, farewellTime).unref())]);
    hub.cut();
    server.closeAllConnections();
    await store.close();
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

async function seedOf(folder: string): Promise<Uint8Array> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
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

// --- web sockets

function acceptSockets(server: Server, hub: Hub, own: NodeLimits): void {
  const options = {
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: limits.socketMessageBytes,
    maxFragments: 64,
    maxBufferedChunks: 1024,
    closeTimeout: farewellTime,
  };
  const sockets = new WebSocketServer(options);
  const addresses = new Addresses(own.socketsPerAddress);
  server.on('clientError', (_error, socket) => socket.destroy());
  server.on('upgrade', (request, stream, head) => {
    const address = addressOf(request);
    if (request.url !== '/') return turnAway(stream, '404 Not Found');
    if (hub.room === 'full' || !addresses.hasRoom(address)) return turnAway(stream, '503 Service Unavailable');
    sockets.handleUpgrade(request, stream, head, (webSocket) =>
      attach(new NodeSocket(webSocket, request.socket), { hub, addresses, address }),
    );
  });
}

function turnAway(stream: Duplex, status: string): void {
  stream.on('error', () => stream.destroy());
  stream.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}

// The listeners live as long as the socket, and hold what stands in this function: not the request.
function attach(
  socket: NodeSocket,
  { hub, addresses, address }: { hub: Hub; addresses: Addresses; address: string | undefined },
): void {
  const connection = hub.accept(socket, address);
  addresses.enter(address);
  const { webSocket } = socket;
  webSocket.on('message', (data, isBinary) => {
    if (isBinary && data instanceof Buffer) connection.receive(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    else connection.end('malformed');
  });
  // What breaks the framing closes the socket too: `close` follows.
  webSocket.on('error', ignore);
  webSocket.on('close', () => {
    addresses.leave(address);
    hub.gone(connection);
  });
}

const ignore = () => undefined;

/** How many sockets each address has. */
class Addresses {
  readonly #most: number;
  readonly #sockets = new Map<string, number>();

  constructor(most: number) {
    this.#most = most;
  }

  hasRoom(address: string | undefined): boolean {
    return address === undefined || (this.#sockets.get(address) ?? 0) < this.#most;
  }

  enter(address: string | undefined): void {
    if (address !== undefined) this.#sockets.set(address, (this.#sockets.get(address) ?? 0) + 1);
  }

  leave(address: string | undefined): void {
    if (address === undefined) return;
    const others = (this.#sockets.get(address) ?? 0) - 1;
    if (others > 0) this.#sockets.set(address, others);
    else this.#sockets.delete(address);
  }
}

/** A web socket that gathers what is written in one turn of the event loop, so that it leaves in one system call. */
class NodeSocket implements ClientSocket {
  readonly webSocket: WebSocket;
  readonly #tcp: TcpSocket;

  constructor(webSocket: WebSocket, tcp: TcpSocket) {
    this.webSocket = webSocket;
    this.#tcp = tcp;
  }

  get bufferedAmount(): number {
    return this.webSocket.bufferedAmount;
  }

  get bytesRead(): number {
    return this.#tcp.bytesRead;
  }

  send(message: Uint8Array, written?: () => void): void {
    gather(this.#tcp);
    this.webSocket.send(message, written);
  }

  ping(): void {
    this.webSocket.ping();
  }

  close(code: number, reason: string): void {
    this.webSocket.close(code, reason);
  }

  terminate(): void {
    this.webSocket.terminate();
  }

  pause(): void {
    this.webSocket.pause();
  }

  resume(): void {
    this.webSocket.resume();
  }
}

let gathering: TcpSocket[] = [];

function gather(tcp: TcpSocket): void {
  if (tcp.writableCorked > 0) return;
  tcp.cork();
  if (gathering.push(tcp) === 1) setImmediate(release);
}

function release(): void {
  const sockets = gathering;
  gathering = [];
  for (const tcp of sockets) tcp.uncork();
}
