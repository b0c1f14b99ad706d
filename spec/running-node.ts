// A node on a free port for specs, in a folder of its own, with a clock driven by hand; and logs to write into it.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type SigningKey, signingKeyFromSeed } from '../keys/ed25519.ts';
import { type NodeOptions, type RunningNode, startNode } from '../signaling/node.ts';
import { encode } from '../wire/codec.ts';
import { asGTag, asOpId, type GTag, type OpId } from '../wire/ids.ts';
import { type LogAppend, logAppend } from '../wire/node-messages.ts';
import { ManualClock, seededRandom } from './fakes.ts';
import { anotherDevice, NodeClient, type Purpose, type Question } from './node-client.ts';
import type { Person } from './people.ts';

export class NodeUnderTest {
  readonly data: string;
  clock = new ManualClock();
  readonly lines: string[] = [];
  readonly clients: NodeClient[] = [];
  #node: RunningNode | undefined;

  private constructor(data: string) {
    this.data = data;
  }

  static async start(options: Partial<NodeOptions> = {}): Promise<NodeUnderTest> {
    const under = new NodeUnderTest(await mkdtemp(join(tmpdir(), 'secure-node-')));
    await under.startAgain(options);
    return under;
  }

  get node(): RunningNode {
    if (this.#node === undefined) throw new Error('the node is not running');
    return this.#node;
  }

  get port(): number {
    return this.node.port;
  }

  async startAgain(options: Partial<NodeOptions> = {}): Promise<void> {
    const log = (line: string) => this.lines.push(line);
    this.#node = await startNode({ data: this.data, host: '127.0.0.1', port: 0, clock: this.clock, log, ...options });
  }

  /** The same folder, that much later. */
  async restartAfter(ms: number): Promise<void> {
    await this.stop();
    this.clock = new ManualClock(this.clock.now() + ms);
    await this.startAgain();
  }

  async stop(): Promise<void> {
    for (const client of this.clients.splice(0)) client.socket.terminate();
    await this.#node?.close();
    this.#node = undefined;
  }

  async dispose(): Promise<void> {
    await this.stop();
    await rm(this.data, { recursive: true, force: true });
  }

  async dial(headers?: Record<string, string>): Promise<NodeClient> {
    const client = await NodeClient.dial(this.port, headers);
    this.clients.push(client);
    return client;
  }

  /** A client that has logged in. `device`: 0 is the person's own, any other number another one. */
  async in(person: Person, purpose: Purpose = 'register', device = 0): Promise<NodeClient> {
    const client = await this.dial();
    const now = this.clock.now();
    const which = device === 0 ? person.device : await anotherDevice(person, device, now);
    const answer = await client.logIn({ port: this.port, person, purpose, device: which, now });
    if (answer.type === 'refused') throw new Error(`${person.username} was refused: ${answer.code}`);
    return client;
  }
}

export const bytes = (length: number, value: number) => new Uint8Array(length).fill(value);
export const gTag = (value: number): GTag => asGTag(bytes(16, value));
export const opId = (value: number): OpId => asOpId(Uint8Array.of(...bytes(30, value), value >> 8, value));
export const appendKey = (seed: number): Promise<SigningKey> => signingKeyFromSeed(seededRandom(seed)(32));

/** Entry `no` of a linear log under `gTag(1)`, its opId is `opId(no)`; `more` changes any part of it. */
export async function signedAppend(
  key: SigningKey,
  no: number,
  more: Partial<LogAppend> = {},
): Promise<Extract<Question, { type: 'append' }>> {
  const before = no > 1 ? [opId(no - 1)] : [];
  const append: LogAppend = {
    gTag: gTag(1),
    expectedHeads: before,
    opId: opId(no),
    parents: before,
    sealed: bytes(200, no),
    shards: [],
    appendPub: key.publicKey,
    nextAppendPub: undefined,
    retire: 0,
    ...more,
  };
  return { type: 'append', append, signature: await key.sign('append', encode(logAppend, append)) };
}
