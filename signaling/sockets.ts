// Web sockets on the node's HTTP server. The one importer of `ws`.
import type { Server } from 'node:http';
import type { Socket as TcpSocket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type RawData, WebSocket, WebSocketServer } from 'ws';
import { limits } from '../wire/limits.ts';
import { addressOf } from './address.ts';
import { Addresses } from './addresses.ts';
import type { ClientSocket, Connection } from './connection.ts';
import type { Hub } from './hub.ts';

/** Takes upgrades at `/` and gives the hub its sockets. `closeTimeout`: how long a client may take to close its side. */
export function acceptSockets(
  server: Server,
  { hub, socketsPerAddress, closeTimeout }: { hub: Hub; socketsPerAddress: number; closeTimeout: number },
): void {
  const options = {
    WebSocket: NodeSocket,
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
    sockets.handleUpgrade(request, stream, head, (socket) => {
      addresses.enter(address);
      socket.attach(request.socket, { connection: hub.accept(socket, address), hub, addresses, address });
    });
  });
}

function turnAway(stream: Duplex, status: string): void {
  stream.on('error', () => stream.destroy());
  stream.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}

type Attachment = { connection: Connection; hub: Hub; addresses: Addresses; address: string | undefined };

/**
 * A web socket that gathers what is written in one turn of the event loop, so that it leaves in one system call.
 * There are thousands: its listeners are functions that all share.
 */
class NodeSocket extends WebSocket implements ClientSocket {
  #tcp: TcpSocket | undefined;
  #attachment: Attachment | undefined;

  attach(tcp: TcpSocket, attachment: Attachment): void {
    this.#tcp = tcp;
    this.#attachment = attachment;
    this.on('message', hear);
    this.on('close', leave);
    // What breaks the framing closes the socket too: `close` follows.
    this.on('error', ignore);
  }

  get bytesRead(): number {
    return this.#tcp?.bytesRead ?? 0;
  }

  write(message: Uint8Array, written?: () => void): void {
    if (this.#tcp !== undefined) gather(this.#tcp);
    this.send(message, written);
  }

  heard(data: RawData, isBinary: boolean): void {
    const connection = this.#attachment?.connection;
    if (isBinary && data instanceof Buffer) connection?.receive(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    else connection?.end('malformed');
  }

  left(): void {
    if (this.#attachment === undefined) return;
    const { connection, hub, addresses, address } = this.#attachment;
    addresses.leave(address);
    hub.gone(connection);
  }
}

function hear(this: WebSocket, data: RawData, isBinary: boolean): void {
  if (this instanceof NodeSocket) this.heard(data, isBinary);
}

function leave(this: WebSocket): void {
  if (this instanceof NodeSocket) this.left();
}

const ignore = () => undefined;

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
