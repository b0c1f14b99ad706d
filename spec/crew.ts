// Headless members for specs of the whole engine: real keys, a real node over real sockets, real data channels on loopback.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createDevice, type DeviceSecrets, readDeviceCert } from '../keys/device.ts';
import { type KeyAgent, localKeyAgent, type UnlockedIdentity } from '../keys/key-agent.ts';
import type { LinkFacts } from '../keys/link-confirm.ts';
import { Chat } from '../mesh/chat.ts';
import type { Group } from '../mesh/group.ts';
import type { OpenLink, Store } from '../mesh/ports.ts';
import { nodeClock, nodeRandom } from '../peer/node-clock.ts';
import { dialNodeSocket } from '../peer/node-socket.ts';
import { weriftLinks } from '../peer/werift-link.ts';
import { type RunningNode, startNode } from '../signaling/node.ts';
import type { Did, Gid, Uid } from '../wire/ids.ts';
import { MemoryStore } from './fakes.ts';

const candidates = { relayOnly: false, allowLoopback: true };

/** One person on one device, in this process. */
export class Member {
  readonly name: string;
  readonly agent: KeyAgent;
  readonly account: { uid: Uid; username: string; certificate: Uint8Array };
  readonly store: Store;
  readonly notes: string[] = [];
  readonly surprises: unknown[] = [];
  readonly openLink: OpenLink;
  #device: DeviceSecrets;
  #pins = new Map<string, Uint8Array>();
  #chat: Chat | undefined;

  private constructor(parts: {
    name: string;
    agent: KeyAgent;
    account: Member['account'];
    device: DeviceSecrets;
    openLink: OpenLink;
  }) {
    this.name = parts.name;
    this.agent = parts.agent;
    this.account = parts.account;
    this.#device = parts.device;
    this.openLink = parts.openLink;
    this.store = new MemoryStore();
  }

  /** With a key that is made here, or with one that was exported elsewhere under this passphrase. */
  static async make(
    name: string,
    parts: { openLink?: OpenLink; exported?: { key: Uint8Array; passphrase: string } } = {},
  ): Promise<Member> {
    const agent = localKeyAgent();
    const now = nodeClock.now();
    const { uid, certificate } =
      parts.exported === undefined ? await madeKey(agent, name, now) : await importedKey(agent, parts.exported, now);
    const device = await createDevice({ agent, uid, name: `laptop of ${name}`, random: nodeRandom, now });
    const openLink = parts.openLink ?? weriftLinks(candidates);
    return new Member({ name, agent, account: { uid, username: name, certificate }, device, openLink });
  }

  /** The same person on another device, which the node does not know yet. */
  static async onAnotherDevice({ name, agent, account, openLink }: Member): Promise<Member> {
    const device = await createDevice({
      agent,
      uid: account.uid,
      name: `phone of ${name}`,
      random: nodeRandom,
      now: nodeClock.now(),
    });
    return new Member({ name, agent, account, device, openLink });
  }

  get chat(): Chat {
    if (this.#chat === undefined) throw new Error(`${this.name} is not in`);
    return this.#chat;
  }

  /** Opens the chat, with whatever the store has from before. */
  async open(origin: string, start: 'register' | 'login' | 'resume' = 'register'): Promise<Chat> {
    const { agent, account, store, openLink } = this;
    this.#chat = await Chat.open({
      ...{ origin, account, start, agent, store, openLink },
      device: this.#device,
      saveDevice: async (secrets) => {
        this.#device = secrets;
      },
      expectedNodeId: undefined,
      pins: {
        get: async (one) => this.#pins.get(one),
        set: async (one, key) => {
          this.#pins.set(one, key);
        },
      },
      clock: nodeClock,
      random: nodeRandom,
      dialSocket: dialNodeSocket,
      events: {
        changed: () => undefined,
        note: (text) => this.notes.push(text),
        surprised: (error) => this.surprises.push(error),
      },
    });
    await until(`${this.name} is connected`, () => this.#chat?.client.state.state === 'connected');
    return this.#chat;
  }

  async close(): Promise<void> {
    await this.#chat?.close();
    this.#chat = undefined;
  }

  group(gid: Gid): Group {
    const group = this.chat.group(gid);
    if (group === undefined) throw new Error(`${this.name} is not in the group`);
    return group;
  }

  /** What the screen of this member shows, in its order. */
  texts(gid: Gid): string[] {
    const group = this.chat.group(gid);
    if (group === undefined) return [];
    return group.transcript.inOrder().flatMap(({ entry }) => (entry.body?.kind === 'text' ? [entry.body.text] : []));
  }

  /** How far an own message got. */
  progress(gid: Gid, text: string): string {
    const group = this.group(gid);
    const placed = group.transcript.inOrder().find(({ entry }) => entry.body?.kind === 'text' && entry.body.text === text);
    return placed === undefined ? 'not there' : group.progressOf(placed.entry).state;
  }

  get did(): Did {
    return readDeviceCert(this.#device.certificate).did;
  }

  /** What each open link was arranged with. */
  linkFacts(): LinkFacts[] {
    return this.chat.links.openDids().flatMap((did) => this.chat.links.factsOf(did) ?? []);
  }

  isLinkedWith(other: Member): boolean {
    return this.chat.links.isOpen(other.did);
  }
}

async function madeKey(agent: KeyAgent, name: string, now: number): Promise<UnlockedIdentity> {
  const { secretKey } = await agent.generate({ username: name, passphrase: 'correct horse', now });
  return agent.unlock({ secretKey, passphrase: 'correct horse' });
}

async function importedKey(
  agent: KeyAgent,
  { key, passphrase }: { key: Uint8Array; passphrase: string },
  now: number,
): Promise<UnlockedIdentity> {
  const found = await agent.import(key, now);
  if (found.outcome !== 'ready') throw new Error(`the key doctor says ${found.outcome}`);
  return agent.unlock({ secretKey: found.secretKey, passphrase });
}

/** A node of one's own in a temporary folder, which stays when it stops and goes when it is closed. */
export class TemporaryNode {
  readonly #data: string;
  #running: RunningNode;

  constructor(data: string, running: RunningNode) {
    this.#data = data;
    this.#running = running;
  }

  get origin(): string {
    return `ws://localhost:${this.#running.port}`;
  }

  async stop(): Promise<void> {
    await this.#running.close();
  }

  /** Again, on the same store and port. */
  async start(): Promise<void> {
    this.#running = await startNode({ data: this.#data, host: '127.0.0.1', port: this.#running.port, log: () => undefined });
  }

  async close(): Promise<void> {
    await this.#running.close();
    await rm(this.#data, { recursive: true, force: true });
  }
}

export async function temporaryNode(): Promise<TemporaryNode> {
  const data = await mkdtemp(join(tmpdir(), 'secure-node-'));
  return new TemporaryNode(data, await startNode({ data, host: '127.0.0.1', port: 0, log: () => undefined }));
}

/** Waits for what real machines do in their own time; says what did not come about. */
export async function until(what: string, done: () => boolean, limit = 20_000): Promise<void> {
  const end = Date.now() + limit;
  while (!done()) {
    if (Date.now() > end) throw new Error(`never: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
