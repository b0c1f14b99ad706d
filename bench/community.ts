// What a bench in browsers needs: a node behind a proxy that counts what is fetched, people who arrive at it, and bare pages beside it.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import type { BrowserContext } from 'playwright-core';
import { BrowserPerson } from '../spec/e2e/browser-person.ts';
import { NodeProcess } from '../spec/e2e/node-process.ts';
import { RecordingProxy } from '../spec/e2e/recording-proxy.ts';

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));

export class Community {
  readonly url: string;
  /** Serves the bare pages of this folder. */
  readonly bareUrl: string;
  readonly #proxy: RecordingProxy;
  readonly #bare: Server;
  readonly #node: NodeProcess;
  readonly #data: string;
  readonly #people: BrowserPerson[] = [];

  private constructor(parts: { proxy: RecordingProxy; bare: Server; node: NodeProcess; data: string }) {
    this.#proxy = parts.proxy;
    this.#bare = parts.bare;
    this.#node = parts.node;
    this.#data = parts.data;
    this.url = `http://localhost:${parts.proxy.port}/`;
    this.bareUrl = `http://localhost:${portOf(parts.bare)}`;
  }

  static async start(): Promise<Community> {
    const data = await mkdtemp(join(tmpdir(), 'secure-bench-'));
    const nodePort = await freePort();
    const proxy = await RecordingProxy.start(() => nodePort);
    const node = new NodeProcess({ data, port: nodePort, origins: [`ws://localhost:${proxy.port}`] });
    await node.start();
    const bare = createServer((request, response) => {
      readFile(here(`.${request.url}`)).then(
        (page) => response.setHeader('Content-Type', 'text/html').end(page),
        () => response.writeHead(404).end(),
      );
    });
    await listening(bare);
    return new Community({ proxy, bare, node, data });
  }

  /** In a profile of their own; the watch of the screen runs from the start. */
  async arrive(name: string, address = this.url): Promise<BrowserPerson> {
    const person = await BrowserPerson.arrive(name, 'about:blank');
    this.#people.push(person);
    await watchScreens(person.context);
    await person.page.goto(address);
    return person;
  }

  /** Bytes of the scripts that browsers fetched from the node since this was last asked, each compressed by itself; one fetched twice counts twice. */
  async scriptsFetched(): Promise<number> {
    const requests = this.#proxy.recorded.splice(0).map((bytes) => /^GET \/(\S+\.js)\n/.exec(bytes.toString('latin1'))?.[1]);
    let bytes = 0;
    for (const path of requests) if (path !== undefined) bytes += await gzippedBytes(path);
    return bytes;
  }

  async close(): Promise<void> {
    for (const person of this.#people.splice(0)) await person.leave();
    await this.#node.kill('SIGTERM');
    await this.#proxy.close();
    this.#bare.close();
    await rm(this.#data, { recursive: true, force: true });
  }
}

/** From here on its pages have `screenTimes`, see watch-screen.js. */
export async function watchScreens(context: BrowserContext): Promise<void> {
  await context.addInitScript({ path: here('./watch-screen.js') });
}

async function gzippedBytes(path: string): Promise<number> {
  return gzipSync(await readFile(here(`../dist/web/${path}`)), { level: 9 }).length;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await listening(server);
  const port = portOf(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function listening(server: Server): Promise<void> {
  return new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
}

function portOf(server: Server): number {
  const address = server.address();
  const isAddress = (some: typeof address): some is AddressInfo => typeof some === 'object' && some !== null;
  if (!isAddress(address)) throw new Error('no port');
  return address.port;
}
