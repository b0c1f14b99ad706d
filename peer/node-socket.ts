// A socket to a node by ws: in this layer the one importer of that package.
import { WebSocket } from 'ws';
import type { DialSocket, Socket, SocketEvents } from '../mesh/ports.ts';
import { limits } from '../wire/limits.ts';

/** What may wait to be sent: a whole re-keying of the largest group. Above it the way to the node is no way. */
const unsentMax = 16 * 1024 * 1024;
const handshakePatience = 10_000;

export const dialNodeSocket: DialSocket = (origin, events) => new NodeSocket(origin, events);

class NodeSocket implements Socket {
  readonly #events: SocketEvents;
  #socket: WebSocket | undefined;
  #isClosed = false;

  constructor(origin: string, events: SocketEvents) {
    this.#events = events;
    try {
      this.#socket = new WebSocket(origin, {
        perMessageDeflate: false,
        maxPayload: limits.socketMessageBytes,
        handshakeTimeout: handshakePatience,
      });
    } catch {
      this.#end('bad address');
      return;
    }
    const socket = this.#socket;
    socket.on('open', () => {
      if (!this.#isClosed) events.opened();
    });
    socket.on('message', (data, isBinary) => this.#receive(data, isBinary));
    // ws says 'close' after each of these; the reason is here.
    socket.on('error', (error) => this.#end(error.message));
    socket.on('close', (code) => this.#end(`closed with ${code}`));
  }

  send(message: Uint8Array): void {
    const socket = this.#socket;
    if (this.#isClosed || socket?.readyState !== WebSocket.OPEN) return;
    if (socket.bufferedAmount + message.length > unsentMax) this.#end('too slow');
    // ws masks in place what it is given.
    else socket.send(message.slice());
  }

  close(): void {
    this.#end('closed here');
  }

  #receive(data: unknown, isBinary: boolean): void {
    if (this.#isClosed) return;
    if (!isBinary || !(data instanceof Uint8Array)) this.#end('text message');
    else this.#events.message(new Uint8Array(data));
  }

  #end(reason: string): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#socket?.close();
    this.#socket = undefined;
    // Later, so that nobody is called back from within a call.
    queueMicrotask(() => this.#events.closed(reason));
  }
}
