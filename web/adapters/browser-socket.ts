// A socket to a node by the browser's WebSocket.
import type { DialSocket, Socket, SocketEvents } from '../../mesh/ports.ts';
import { copyOf } from '../../wire/bytes.ts';
import { limits } from '../../wire/limits.ts';

/** What may wait to be sent: a whole re-keying of the largest group. Above it the way to the node is no way. */
const unsentMax = 16 * 1024 * 1024;

export const dialBrowserSocket: DialSocket = (origin, events) => new BrowserSocket(origin, events);

class BrowserSocket implements Socket {
  readonly #events: SocketEvents;
  #socket: WebSocket | undefined;
  #isClosed = false;

  constructor(origin: string, events: SocketEvents) {
    this.#events = events;
    try {
      this.#socket = new WebSocket(origin);
    } catch {
      this.#end('bad address');
      return;
    }
    const socket = this.#socket;
    socket.binaryType = 'arraybuffer';
    socket.addEventListener('open', () => {
      if (!this.#isClosed) events.opened();
    });
    socket.addEventListener('message', ({ data }: MessageEvent<unknown>) => this.#receive(data));
    socket.addEventListener('close', ({ code }) => this.#end(`closed with ${code}`));
  }

  send(message: Uint8Array): void {
    const socket = this.#socket;
    if (this.#isClosed || socket?.readyState !== WebSocket.OPEN) return;
    if (socket.bufferedAmount + message.length > unsentMax) this.#end('too slow');
    else socket.send(copyOf(message));
  }

  close(): void {
    this.#end('closed here');
  }

  #receive(data: unknown): void {
    if (this.#isClosed) return;
    if (!(data instanceof ArrayBuffer)) this.#end('text message');
    else if (data.byteLength > limits.socketMessageBytes) this.#end('message too large');
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
