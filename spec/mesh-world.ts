// Whole engines on a virtual network, one clock and a node in memory: where specs of what members, nodes and strangers do to each other begin.
import { createDevice, type DeviceSecrets, readDeviceCert } from '../keys/device.ts';
import { type KeyAgent, localKeyAgent } from '../keys/key-agent.ts';
import { Chat } from '../mesh/chat.ts';
import type { Group } from '../mesh/group.ts';
import type { Link, OpenLink } from '../mesh/ports.ts';
import { utf8 } from '../wire/bytes.ts';
import type { Did, Gid, Uid } from '../wire/ids.ts';
import { ManualClock, MemoryStore, seededRandom, VirtualNetwork } from './fakes.ts';
import { MemoryNode } from './memory-node.ts';

type Identity = { agent: KeyAgent; account: { uid: Uid; username: string; certificate: Uint8Array }; device: DeviceSecrets };

const began = new ManualClock().now();
const identities = new Map<string, Promise<Identity>>();

/** Making a key takes most of the time of a spec, so each name has one, for all specs in the process. */
function identityOf(name: string): Promise<Identity> {
  const known = identities.get(name) ?? makeIdentity(name);
  identities.set(name, known);
  return known;
}

async function makeIdentity(name: string): Promise<Identity> {
  const agent = localKeyAgent();
  const random = seededRandom([...utf8(name)].reduce((sum, byte) => sum * 31 + byte, 7));
  const { secretKey } = await agent.generate({ username: name, passphrase: 'correct horse', now: began });
  const { uid, certificate } = await agent.unlock({ secretKey, passphrase: 'correct horse' });
  const device = await createDevice({ agent, uid, name: `laptop of ${name}`, random, now: began });
  return { agent, account: { uid, username: name, certificate }, device };
}

/** What a member's machine does to what passes its links; a hostile one changes it. */
export type LinkTap = {
  /** What leaves instead of a message. */
  outgoing(bytes: Uint8Array, to: string): Uint8Array[];
  /** What the engine hears instead of a message. */
  incoming(bytes: Uint8Array, from: string): Uint8Array[];
};

const openTap: LinkTap = { outgoing: (bytes) => [bytes], incoming: (bytes) => [bytes] };

export class WorldMember {
  readonly name: string;
  readonly identity: Identity;
  readonly notes: string[] = [];
  readonly surprises: unknown[] = [];
  store = new MemoryStore();
  tap: LinkTap = openTap;
  /** Messages that left on links, and that came. */
  traffic = { sent: 0, received: 0 };
  changes = 0;
  /** Connections that the engine had built. */
  built = 0;
  readonly #world: MeshWorld;
  readonly #links = new Set<TappedLink>();
  #device: DeviceSecrets;
  #chat: Chat | undefined;

  constructor(world: MeshWorld, name: string, identity: Identity) {
    this.#world = world;
    this.name = name;
    this.identity = identity;
    this.#device = identity.device;
  }

  get chat(): Chat {
    if (this.#chat === undefined) throw new Error(`${this.name} is not in`);
    return this.#chat;
  }

  get did(): Did {
    return readDeviceCert(this.#device.certificate).did;
  }

  get uid(): Uid {
    return this.identity.account.uid;
  }

  get device(): DeviceSecrets {
    return this.#device;
  }

  /** Opens the chat with whatever the store has; resolves before the node is reached. */
  async open(start: 'register' | 'resume'): Promise<Chat> {
    const { clock, network, node } = this.#world;
    const { agent, account } = this.identity;
    await agent.allowMoreChallenges();
    const chat = await Chat.open({
      ...{ origin: node.origin, account, device: this.#device, start, agent, store: this.store, clock },
      random: this.#world.random,
      saveDevice: async (secrets) => {
        this.#device = secrets;
      },
      expectedNodeId: undefined,
      pins: { get: async () => node.key.publicKey, set: async () => undefined },
      dialSocket: (origin, events) => network.device(this.name).dialSocket(origin, events),
      openLink: this.#openLink,
      events: {
        changed: () => {
          this.changes += 1;
        },
        note: (text) => this.notes.push(text),
        surprised: (error) => this.surprises.push(error),
      },
    });
    this.#chat = chat;
    return chat;
  }

  async close(): Promise<void> {
    await this.#chat?.close();
    this.#chat = undefined;
  }

  /** The process ends without a word, and what was on the disk at that moment is all there is. */
  kill(): void {
    this.store = this.store.copy();
    this.#world.network.kill(this.name);
    this.#links.clear();
    // Whatever it still does, nobody hears of it.
    this.#chat?.close().catch((error: unknown) => this.surprises.push(error));
    this.#chat = undefined;
  }

  group(gid: Gid): Group {
    const group = this.chat.group(gid);
    if (group === undefined) throw new Error(`${this.name} is not in the group`);
    return group;
  }

  /** What the screen of this member shows, in its order. */
  texts(gid: Gid): string[] {
    const placed = this.#chat?.group(gid)?.transcript.inOrder() ?? [];
    return placed.flatMap(({ entry }) => (entry.body?.kind === 'text' ? [entry.body.text] : []));
  }

  /** Any bytes on the link to another member, past the engine. */
  inject(to: string, bytes: Uint8Array): void {
    const link = [...this.#links].find(({ ufrag }) => this.#farEnd(ufrag) === to)?.link;
    if (link === undefined) throw new Error(`${this.name} has no link with ${to}`);
    link.send(bytes);
  }

  isLinkedWith(other: WorldMember): boolean {
    return this.#chat?.links.isOpen(other.did) ?? false;
  }

  #farEnd(ufrag: string): string | undefined {
    return this.#world.network.linkOf(ufrag)?.peer?.device;
  }

  readonly #openLink: OpenLink = ({ events, ...start }) => {
    this.built += 1;
    const tapped: TappedLink = { ufrag: '', link: undefined };
    const farEnd = () => this.#farEnd(tapped.ufrag) ?? 'nobody';
    const link = this.#world.network.device(this.name).openLink({
      ...start,
      events: {
        ...events,
        signal: (signal) => {
          if (signal.kind !== 'candidate') tapped.ufrag = /^a=ice-ufrag:(\S+)/m.exec(signal.sdp)?.[1] ?? '';
          events.signal(signal);
        },
        message: (bytes) => {
          this.traffic.received += 1;
          for (const one of this.tap.incoming(bytes, farEnd())) events.message(one);
        },
        closed: (reason) => {
          this.#links.delete(tapped);
          events.closed(reason);
        },
      },
    });
    tapped.link = link;
    this.#links.add(tapped);
    return {
      signal: (signal) => link.signal(signal),
      route: () => link.route(),
      close: () => link.close(),
      send: (message) => {
        this.traffic.sent += 1;
        let outcome: 'sent' | 'full' | 'closed' = 'sent';
        for (const one of this.tap.outgoing(message, farEnd())) outcome = link.send(one);
        return outcome;
      },
    };
  };
}

export class MeshWorld {
  readonly clock: ManualClock;
  readonly network: VirtualNetwork;
  readonly node: MemoryNode;
  readonly random = seededRandom(5);
  readonly members: WorldMember[] = [];

  private constructor(parts: { clock: ManualClock; network: VirtualNetwork; node: MemoryNode }) {
    this.clock = parts.clock;
    this.network = parts.network;
    this.node = parts.node;
  }

  /** People with these names, registered and connected. */
  static async of(...names: string[]): Promise<MeshWorld> {
    const clock = new ManualClock();
    const network = new VirtualNetwork({ clock, random: seededRandom(6) });
    const node = await MemoryNode.start(network, { clock, random: seededRandom(7) });
    const world = new MeshWorld({ clock, network, node });
    for (const name of names) await world.arrive(name);
    return world;
  }

  async arrive(name: string): Promise<WorldMember> {
    const member = new WorldMember(this, name, await identityOf(name));
    this.members.push(member);
    await member.open('register');
    await this.connected(member);
    return member;
  }

  async connected(...members: WorldMember[]): Promise<void> {
    await this.until('connected', () => members.every(({ chat }) => chat.client.state.state === 'connected'));
  }

  /** The same device again, with what its store has. */
  async reopen(member: WorldMember): Promise<void> {
    await member.open('resume');
    await this.connected(member);
  }

  member(name: string): WorldMember {
    const member = this.members.find((one) => one.name === name);
    if (member === undefined) throw new Error(`nobody is called ${name}`);
    return member;
  }

  /** A group that the first of them makes and everybody is in, linked with everybody. */
  async group(...members: WorldMember[]): Promise<Gid> {
    const [founder, ...others] = members;
    if (founder === undefined) throw new Error('a group of nobody');
    const { gid } = await founder.chat.membership.create('Friends');
    await this.until('the node has it', () => founder.group(gid).log.isSent());
    for (const other of others) await this.during(founder.chat.membership.add(founder.group(gid), other.name));
    await this.together(gid, ...members);
    return gid;
  }

  /** Until all of them are in the group and linked with each other. */
  async together(gid: Gid, ...members: WorldMember[]): Promise<void> {
    await this.until('all are in', () =>
      members.every(({ chat }) => chat.group(gid)?.log.state()?.members.size === members.length),
    );
    await this.until('all are linked', () =>
      members.every((one) => members.every((other) => one === other || one.isLinkedWith(other))),
    );
  }

  async until(what: string, done: () => boolean, limit = 120_000): Promise<void> {
    try {
      await this.clock.advanceUntil(done, limit);
    } catch (error) {
      throw new Error(`never: ${what}`, { cause: error });
    }
  }

  /** Lets time pass until it is done. */
  async during<T>(work: Promise<T>): Promise<T> {
    let isDone = false;
    const done = () => {
      isDone = true;
    };
    work.then(done, done);
    await this.until('done', () => isDone);
    return work;
  }

  async close(): Promise<void> {
    for (const member of this.members) await member.close();
  }
}

type TappedLink = { ufrag: string; link: Link | undefined };
