// Web sockets on the node's HTTP server. The one importer of `ws`.
import type { Server } from 'node:http';
import type { Socket as TcpSocket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { limits } from '../wire/limits.ts';
import { addressOf, remoteOf } from './address.ts';
import type { ClientSocket } from './connection.ts';
import type { Hub } from './hub.ts';

/** Takes upgrades at `/` and gives the hub its sockets. `closeTimeout`: how long a client may take to close its side. */
export function acceptSockets(
  server: Server,
  { hub, socketsPerAddress, closeTimeout }: { hub: Hub; socketsPerAddress: number; closeTimeout: number },
): void {
  const options = {
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: limits.socketMessageBytes,
    maxFragments: 64,
    maxBufferedChunks: 1024,
    closeTimeout,
  };
  const sockets = new WebSocketServer(options);
  const addresses = new Addresses(socketsPerAddress);
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

/** Ends connections above so many of one address, which need not even have asked for anything. */
export function boundConnections(server: Server, { perAddress }: { perAddress: number }): void {
  const addresses = new Addresses(perAddress);
  server.on('connection', (tcp) => {
    const address = remoteOf(tcp);
    if (address === undefined) return;
    if (!addresses.hasRoom(address)) {
      tcp.destroy();
      return;
    }
    addresses.enter(address);
    tcp.once('close', () => addresses.leave(address));
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

/** How many connections each address has. */
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
