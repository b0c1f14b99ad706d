// A real web socket server that sends back what it gets, and misbehaves when asked: for the contract of sockets.
import { once } from 'node:events';
import { createServer } from 'node:net';
import { WebSocketServer } from 'ws';
import { limits } from '../wire/limits.ts';
import { askNode } from './contracts.ts';

/** On loopback. Nobody listens at `nowhere`. */
export async function startEchoNode(): Promise<{ origin: string; nowhere: string; close(): Promise<void> }> {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false });
  await once(server, 'listening');
  server.on('connection', (socket) => {
    socket.on('error', () => socket.terminate());
    socket.on('message', (data: Buffer) => {
      const asked = data.length === 1 ? data[0] : undefined;
      if (asked === askNode.close) socket.close();
      else if (asked === askNode.large) socket.send(new Uint8Array(limits.socketMessageBytes + 1));
      else if (asked === askNode.text) socket.send('text');
      else socket.send(data, { binary: true });
    });
  });
  const close = async () => {
    for (const client of server.clients) client.terminate();
    await new Promise((resolve) => server.close(resolve));
  };
  return { origin: originOf(server.address()), nowhere: await freeOrigin(), close };
}

async function freeOrigin(): Promise<string> {
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  const origin = originOf(taken.address());
  await new Promise((resolve) => taken.close(resolve));
  return origin;
}

function originOf(address: unknown): string {
  if (typeof address !== 'object' || address === null || !('port' in address)) throw new Error('no port');
  return `ws://127.0.0.1:${address.port}`;
}
