// Stands between everybody and the node and keeps every byte that passes, both ways: the page's requests and the messages on sockets.
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocket, WebSocketServer } from 'ws';

export class RecordingProxy {
  readonly port: number;
  /** In the order they passed. */
  readonly recorded: Buffer[] = [];
  readonly #close: () => Promise<void>;

  private constructor(port: number, recorded: Buffer[], close: () => Promise<void>) {
    this.port = port;
    this.recorded = recorded;
    this.#close = close;
  }

  /** `nodePort`: asked for each connection, for a node that comes back elsewhere. */
  static async start(nodePort: () => number): Promise<RecordingProxy> {
    const recorded: Buffer[] = [];
    const server = createServer((incoming, outgoing) => passRequest(incoming, outgoing, nodePort(), recorded));
    const sockets = new WebSocketServer({ server, perMessageDeflate: false });
    sockets.on('connection', (client) => passSocket(client, nodePort(), recorded));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const isAddress = (some: typeof address): some is AddressInfo => typeof some === 'object' && some !== null;
    if (!isAddress(address)) throw new Error('no port');
    return new RecordingProxy(address.port, recorded, async () => {
      for (const client of sockets.clients) client.terminate();
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    });
  }

  close(): Promise<void> {
    return this.#close();
  }
}

function passRequest(incoming: IncomingMessage, outgoing: ServerResponse, port: number, recorded: Buffer[]): void {
  recorded.push(Buffer.from(`${incoming.method} ${incoming.url}\n${incoming.rawHeaders.join('\n')}`));
  const onward = request(
    { host: '127.0.0.1', port, method: incoming.method, path: incoming.url, headers: incoming.headers },
    (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    },
  );
  onward.on('error', () => outgoing.destroy());
  incoming.on('data', (part: Buffer) => recorded.push(part));
  incoming.pipe(onward);
}

function passSocket(client: WebSocket, port: number, recorded: Buffer[]): void {
  const node = new WebSocket(`ws://127.0.0.1:${port}/`, { perMessageDeflate: false });
  const early: Buffer[] = [];
  const bytesOf = (data: WebSocket.RawData) =>
    Array.isArray(data) ? Buffer.concat(data) : Buffer.isBuffer(data) ? data : Buffer.from(data);
  client.on('message', (data) => {
    const bytes = bytesOf(data);
    recorded.push(bytes);
    if (node.readyState === WebSocket.OPEN) node.send(bytes);
    else early.push(bytes);
  });
  node.on('open', () => {
    for (const bytes of early.splice(0)) node.send(bytes);
  });
  node.on('message', (data) => {
    const bytes = bytesOf(data);
    recorded.push(bytes);
    client.send(bytes);
  });
  for (const [one, other] of [
    [client, node],
    [node, client],
  ] as const) {
    one.on('close', () => other.close());
    one.on('error', () => other.terminate());
  }
}
