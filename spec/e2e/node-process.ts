// The built node as a process of its own, which can be killed and started again on the same store.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';

export class NodeProcess {
  readonly #data: string;
  readonly #port: number;
  readonly #origins: string;
  readonly lines: string[] = [];
  #process: ChildProcess | undefined;

  constructor({ data, port, origins }: { data: string; port: number; origins: string[] }) {
    this.#data = data;
    this.#port = port;
    this.#origins = origins.join(',');
  }

  /** Resolves when it listens. */
  async start(): Promise<void> {
    const node = spawn(
      process.execPath,
      [join(process.cwd(), 'dist/node.mjs'), '--port', String(this.#port), '--data', this.#data, '--origins', this.#origins],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    this.#process = node;
    await new Promise<void>((resolve, reject) => {
      node.stdout.on('data', (text: Buffer) => {
        this.lines.push(...text.toString().trimEnd().split('\n'));
        if (text.includes('http://')) resolve();
      });
      node.once('exit', () => reject(new Error(`the node ended: ${this.lines.join('\n')}`)));
    });
  }

  async kill(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const node = this.#process;
    if (node === undefined || node.exitCode !== null) return;
    this.#process = undefined;
    const gone = once(node, 'exit');
    node.kill(signal);
    await gone;
  }
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise<void>((resolve) => server.close(() => resolve()));
  if (typeof address !== 'object' || address === null) throw new Error('no port');
  return address.port;
}
