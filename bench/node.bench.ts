// How much the node does with a core and with memory: challenges, and relayed blobs and idle connections beside a bare `ws` relay.
import { type ChildProcess, fork } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { WebSocket } from 'ws';
import { createDevice, type Device, openDevice } from '../keys/device.ts';
import { signingKeyFromSeed } from '../keys/ed25519.ts';
import { localKeyAgent } from '../keys/key-agent.ts';
import { checkNodeHello, makeClientAuth } from '../keys/login-challenge.ts';
import { systemClock } from '../signaling/clock.ts';
import { Hub } from '../signaling/hub.ts';
import { nodeLimits } from '../signaling/limits.ts';
import type { NodeStore } from '../signaling/store.ts';
import { openLmdbStore } from '../signaling/store-lmdb.ts';
import { decode, encode } from '../wire/codec.ts';
import { asUid } from '../wire/ids.ts';
import { type ClientMessage, clientMessage, type NodeMessage, nodeMessage } from '../wire/node-messages.ts';
import type { ChildMessage, Usage } from './node-child.ts';

export const names = ['challenges-per-core-second', 'relay-ratio', 'idle-memory-ratio'];

export type Figure = { name: string; value: number; unit: string; n: number };

export async function* run(asked: string[] = names): AsyncGenerator<Figure> {
  if (asked.includes('challenges-per-core-second')) yield await challengesPerCoreSecond();
  if (asked.includes('relay-ratio')) yield await relayRatio();
  if (asked.includes('idle-memory-ratio')) yield await idleMemoryRatio();
}

const random = (length: number) => crypto.getRandomValues(new Uint8Array(length));
const log = (text: string) => process.stderr.write(`  ${text}\n`);

// --- challenges: all that the node does from a ClientHello to its answer, without the socket

async function challengesPerCoreSecond(): Promise<Figure> {
  const n = 500;
  const folder = await mkdtemp(join(tmpdir(), 'secure-bench-'));
  const store = await openLmdbStore(join(folder, 'store'));
  const { certificate } = await newCertificate();
  await keepAccount(store, { certificate, username: 'alice', device: await newDevice() });
  const origin = 'ws://localhost:1';
  const hub = new Hub({
    store,
    nodeKey: await signingKeyFromSeed(random(32)),
    origins: [origin],
    registration: 'open',
    iceServers: [],
    limits: { ...nodeLimits, challenges: 1e6, strangers: 1e6 },
    clock: systemClock,
    random,
    print: () => undefined,
  });
  const challenge = () =>
    new Promise<void>((resolve, reject) => {
      const answered = (message: Uint8Array) => (message[0] === 0x02 ? resolve() : reject(new Error('no challenge')));
      const ignore = () => undefined;
      const connection = hub.accept(
        {
          write: answered,
          ping: ignore,
          close: ignore,
          terminate: ignore,
          pause: ignore,
          resume: ignore,
          bufferedAmount: 0,
          bytesRead: 0,
        },
        undefined,
      );
      const hello = { purpose: 'login', flags: 0, origin, nonce: random(32), username: 'alice' } as const;
      connection.receive(encode(clientMessage, { type: 'client-hello', suite: 1, hello }));
    });
  for (let i = 0; i < 50; i++) await challenge();
  const before = process.cpuUsage();
  for (let i = 0; i < n; i++) await challenge();
  const { user, system } = process.cpuUsage(before);
  await hub.stop();
  await store.close();
  await rm(folder, { recursive: true });
  return { name: 'challenges-per-core-second', value: Math.round((n * 1e6) / (user + system)), unit: '1/s', n };
}

// --- relays: blobs per second of the server's processor time, ours over the bare one's

const rounds = 3;
const pairs = 16;
const blobBytes = 1024;
const inFlight = 4;
const blobs = 40_000;

async function relayRatio(): Promise<Figure> {
  const ratios = await inRounds(2 * pairs, async (world) => {
    const rate = { node: await relayRate(world, 'node'), bare: await relayRate(world, 'bare') };
    log(`blobs per second of processor: node ${Math.round(rate.node)}, bare ${Math.round(rate.bare)}`);
    return rate.node / rate.bare;
  });
  return { name: 'relay-ratio', value: rounded(median(ratios)), unit: 'ratio', n: rounds * blobs };
}

async function relayRate(world: World, kind: Kind): Promise<number> {
  const server = await Server.start(kind, world.folder);
  const clients = await Promise.all(world.devices.map((device) => BenchClient.in(server, device)));
  const exchange = async (count: number) => {
    let left = count;
    await new Promise<void>((resolve) => {
      for (const [i, client] of clients.entries()) {
        const other = clients[i ^ 1];
        if (other === undefined) continue;
        const toOther = client.relayTo(other.device);
        client.relayed = () => {
          left -= 1;
          if (left === 0) resolve();
          else if (left >= clients.length * inFlight) toOther();
        };
      }
      for (const client of clients) for (let i = 0; i < inFlight; i++) client.sendAgain();
    });
  };
  await exchange(5_000);
  const before = await server.usage();
  await exchange(blobs);
  const after = await server.usage();
  for (const client of clients) client.socket.terminate();
  server.stop();
  return blobs / (after.cpuSeconds - before.cpuSeconds);
}

// --- idle connections, logged in: the memory of each, ours over the bare one's

const idle = 1_000;
const warmUp = 500;

async function idleMemoryRatio(): Promise<Figure> {
  const ratios = await inRounds(warmUp + idle, async (world) => {
    const bytes = { node: await idleBytes(world, 'node'), bare: await idleBytes(world, 'bare') };
    log(`bytes per idle connection: node ${Math.round(bytes.node)}, bare ${Math.round(bytes.bare)}`);
    return bytes.node / bytes.bare;
  });
  return { name: 'idle-memory-ratio', value: rounded(median(ratios)), unit: 'ratio', n: rounds * idle };
}

async function idleBytes(world: World, kind: Kind): Promise<number> {
  const server = await Server.start(kind, world.folder);
  // What the first ones leave behind (tables, caches, grown heaps) belongs to nobody in particular.
  const first = await connectAll(server, world.devices.slice(0, warmUp));
  const before = await server.usage();
  const rest = await connectAll(server, world.devices.slice(warmUp, warmUp + idle));
  const after = await server.usage();
  for (const client of [...first, ...rest]) client.socket.terminate();
  server.stop();
  return (after.bytes - before.bytes) / idle;
}

async function connectAll(server: Server, devices: Device[]): Promise<BenchClient[]> {
  const clients: BenchClient[] = [];
  for (let at = 0; at < devices.length; at += 20) {
    clients.push(...(await Promise.all(devices.slice(at, at + 20).map((device) => BenchClient.in(server, device)))));
  }
  return clients;
}

// --- what both need

type Kind = 'node' | 'bare';
type World = { folder: string; devices: Device[] };

async function inRounds(deviceCount: number, measure: (world: World) => Promise<number>): Promise<number[]> {
  const folder = await mkdtemp(join(tmpdir(), 'secure-bench-'));
  const devices = await newDevices(folder, deviceCount);
  const results: number[] = [];
  for (let round = 0; round < rounds; round++) results.push(await measure({ folder, devices }));
  await rm(folder, { recursive: true });
  return results;
}

/** Devices that the node in that folder knows, so that they can resume: written into its store before it starts. */
async function newDevices(folder: string, count: number): Promise<Device[]> {
  const { certificate } = await newCertificate();
  const devices: Device[] = [];
  // The node makes its key before it has a store.
  const server = await Server.start('node', folder);
  server.stop();
  await server.ended;
  const store = await openLmdbStore(join(folder, 'store'));
  for (let no = 0; no < count; no++) {
    const device = await newDevice();
    await keepAccount(store, { certificate, username: `user${no}`, device });
    devices.push(device);
  }
  await store.close();
  return devices;
}

async function newCertificate(): Promise<{ certificate: Uint8Array }> {
  return localKeyAgent().generate({ username: 'alice', passphrase: 'correct horse', now: Date.now() });
}

/** Only the device key is asked for on a resume: the person's signature stays empty. */
async function newDevice(): Promise<Device> {
  const agent = { sign: async () => new Uint8Array(0) };
  return openDevice(await createDevice({ agent, uid: asUid(random(32)), name: 'bench', random, now: Date.now() }));
}

async function keepAccount(
  store: NodeStore,
  { certificate, username, device }: { certificate: Uint8Array; username: string; device: Device },
): Promise<void> {
  const { uid, did } = device;
  const stored = { did, deviceCert: device.certificate, lockKeys: [] };
  await store.register({ uid, username, certificate, nameClaim: new Uint8Array(0) }, stored);
}

class Server {
  readonly kind: Kind;
  readonly port: number;
  readonly ended: Promise<void>;
  readonly #child: ChildProcess;

  private constructor(kind: Kind, port: number, child: ChildProcess) {
    this.kind = kind;
    this.port = port;
    this.#child = child;
    this.ended = new Promise((resolve) => child.once('exit', () => resolve()));
  }

  static async start(kind: Kind, folder: string): Promise<Server> {
    const program = fileURLToPath(new URL('./node-child.ts', import.meta.url));
    const child = fork(program, [kind, folder], { execArgv: ['--import', 'tsx', '--expose-gc'] });
    const started = await heard(child);
    if (!('port' in started)) throw new Error('the server did not start');
    return new Server(kind, started.port, child);
  }

  async usage(): Promise<Usage> {
    this.#child.send('usage');
    const usage = await heard(this.#child);
    if (!('bytes' in usage)) throw new Error('the server did not measure');
    return usage;
  }

  stop(): void {
    this.#child.disconnect();
  }
}

function heard(child: ChildProcess): Promise<ChildMessage> {
  return new Promise((resolve, reject) => {
    child.once('message', (message: ChildMessage) => resolve(message));
    child.once('exit', () => reject(new Error('the server ended')));
  });
}

/** A client of either server that has said who it is. */
class BenchClient {
  readonly device: Device;
  readonly socket: WebSocket;
  relayed: () => void = () => undefined;
  sendAgain: () => void = () => undefined;
  readonly #kind: Kind;

  private constructor(kind: Kind, device: Device, socket: WebSocket) {
    this.#kind = kind;
    this.device = device;
    this.socket = socket;
  }

  static async in(server: Server, device: Device): Promise<BenchClient> {
    const socket = new WebSocket(`ws://127.0.0.1:${server.port}/`, { perMessageDeflate: false });
    await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
    const client = new BenchClient(server.kind, device, socket);
    if (server.kind === 'node') await client.#resume(server.port);
    else await client.#exchange(device.did);
    const relayedType = 0x6c;
    socket.on('message', (message: Buffer) => {
      if (server.kind === 'bare' || message[0] === relayedType) client.relayed();
    });
    return client;
  }

  /** Sets what `sendAgain` sends, and gives it. */
  relayTo(other: Device): () => void {
    const blob = random(blobBytes);
    const message =
      this.#kind === 'node'
        ? encode(clientMessage, { type: 'relay', request: 1, to: other.did, blob })
        : Buffer.concat([other.did, blob]);
    this.sendAgain = () => this.socket.send(message);
    return this.sendAgain;
  }

  async #resume(port: number): Promise<void> {
    const { device } = this;
    const hello = { purpose: 'resume', flags: 0, origin: `ws://127.0.0.1:${port}`, nonce: random(32), did: device.did } as const;
    const helloBytes = encode(clientMessage, { type: 'client-hello', suite: 1, hello });
    const nodeHello = await this.#ask(helloBytes);
    if (nodeHello.type !== 'node-hello') throw new Error(nodeHello.type);
    const checked = await checkNodeHello({ helloBytes, nodeHello, expected: { nodePub: undefined, nodeId: undefined } });
    if (checked.outcome !== 'good') throw new Error(checked.outcome);
    const auth = await makeClientAuth({ th1: checked.th1, macKey: undefined, device, nameClaim: undefined });
    const message: ClientMessage = { type: 'client-auth', ...auth };
    const answer = await this.#ask(encode(clientMessage, message));
    if (answer.type !== 'node-auth') throw new Error(answer.type);
  }

  async #ask(message: Uint8Array): Promise<NodeMessage> {
    return decode(nodeMessage, await this.#exchange(message));
  }

  #exchange(message: Uint8Array): Promise<Uint8Array> {
    const answer = new Promise<Uint8Array>((resolve) =>
      this.socket.once('message', (data: Buffer) => resolve(new Uint8Array(data))),
    );
    this.socket.send(message);
    return answer;
  }
}

function median(values: number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}

function rounded(value: number): number {
  return Math.round(value * 1000) / 1000;
}
