// A clock, a network, one scripted node and clients on it: where specs of the login begin.
import assert from 'node:assert/strict';
import type { NodeNews, NodeState, SignalingClientParts } from '../mesh/signaling-client.ts';
import { SignalingClient } from '../mesh/signaling-client.ts';
import { ManualClock, seededRandom, VirtualNetwork } from './fakes.ts';
import type { Person } from './people.ts';
import { nodeKey, ScriptedNode } from './scripted-node.ts';

export const origin = 'wss://one.example';

export type Watched = {
  client: SignalingClient;
  /** Each state it went through, in a word or a code. */
  states: string[];
  news: NodeNews[];
  surprises: unknown[];
};

export class LoginWorld {
  readonly clock = new ManualClock();
  readonly random = seededRandom(1);
  readonly network = new VirtualNetwork({ clock: this.clock, random: this.random });
  readonly pins = new Map<string, Uint8Array>();
  readonly node: ScriptedNode;
  readonly #clients: SignalingClient[] = [];

  constructor(node: (world: { clock: ManualClock; random: (length: number) => Uint8Array }) => ScriptedNode) {
    this.node = node(this);
    this.network.startNode(origin, this.node.accept);
  }

  static async create(): Promise<LoginWorld> {
    const key = await nodeKey(1);
    return new LoginWorld(({ clock, random }) => new ScriptedNode({ key, origin, clock, random }));
  }

  /** A node with another key takes over the origin. */
  async replaceNode(seed: number): Promise<ScriptedNode> {
    const node = new ScriptedNode({ key: await nodeKey(seed), origin, clock: this.clock, random: this.random });
    this.network.stopNode(origin);
    this.network.startNode(origin, node.accept);
    return node;
  }

  /** Not started. */
  client(who: Person, parts: Partial<SignalingClientParts> = {}): Watched {
    const { clock, random, pins } = this;
    const watched: Omit<Watched, 'client'> = { states: [], news: [], surprises: [] };
    const client = new SignalingClient({
      origin,
      account: who,
      device: who.device,
      start: 'login',
      expectedNodeId: undefined,
      agent: who.agent,
      pins: {
        get: async (of) => pins.get(of),
        set: async (of, key) => {
          pins.set(of, key);
        },
      },
      dialSocket: this.network.device(who.username).dialSocket,
      clock,
      random,
      events: {
        changed: (state) => watched.states.push(wordFor(state)),
        news: (message) => watched.news.push(message),
        surprised: (error) => watched.surprises.push(error),
      },
      ...parts,
    });
    this.#clients.push(client);
    return { client, ...watched };
  }

  /** Alice has an account here and logs in. */
  async loggedIn(who: Person, parts: Partial<SignalingClientParts> = {}): Promise<Watched> {
    this.node.members.set(who.username, who);
    const watched = this.client(who, parts);
    watched.client.start();
    await this.clock.advanceUntil(() => watched.client.state.state === 'connected', 5_000);
    return watched;
  }

  close(): void {
    for (const client of this.#clients) client.close();
    assert.deepEqual(this.node.faults, []);
  }
}

export function wordFor(state: NodeState): string {
  return state.state === 'offline' ? state.reason.code : state.state;
}
