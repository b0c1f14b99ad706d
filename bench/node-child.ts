// A server that bench/node.bench.ts measures from outside: the node, or a bare relay of `ws` that does nothing but pass messages on.
import { type WebSocket, WebSocketServer } from 'ws';
import { startNode } from '../signaling/node.ts';

/**
 * `bytes`: of live objects and buffers after a collection. Resident memory would also count what V8 and malloc have not given back,
 * which for a thousand connections is several times what these keep, and differs from run to run.
 */
export type Usage = { cpuSeconds: number; bytes: number };
export type ChildMessage = { port: number } | Usage;

const [kind = '', data = ''] = process.argv.slice(2);
const unlimited = 1e9;

process.send?.({ port: kind === 'node' ? await startOurs() : await startBare() } satisfies ChildMessage);
process.on('message', async () => {
  const { user, system } = process.cpuUsage();
  // Buffers are given back after a collection, in other threads.
  for (let i = 0; i < 3; i++) {
    globalThis.gc?.();
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const { heapUsed, external } = process.memoryUsage();
  process.send?.({ cpuSeconds: (user + system) / 1e6, bytes: heapUsed + external } satisfies ChildMessage);
});
process.on('disconnect', () => process.exit(0));

async function startOurs(): Promise<number> {
  // Rates are lifted, not left out: each message still takes its token.
  const limits = { requestsPerSecond: unlimited, requestsBurst: unlimited };
  return (await startNode({ data, host: '127.0.0.1', port: 0, limits })).port;
}

/** Says hello with 32 bytes, then sends 32 bytes of whom it is for and the blob, which goes on as it is. */
async function startBare(): Promise<number> {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false });
  const clients = new Map<string, WebSocket>();
  server.on('connection', (socket) => {
    let name: string | undefined;
    socket.on('message', (message) => {
      if (!(message instanceof Buffer)) return;
      const key = message.toString('latin1', 0, 32);
      if (name !== undefined) {
        clients.get(key)?.send(message);
        return;
      }
      name = key;
      clients.set(key, socket);
      socket.send(message);
    });
    socket.on('close', () => clients.delete(name ?? ''));
  });
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}
