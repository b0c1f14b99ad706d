// A client of the node for specs: a real socket, and each step of a login by itself, so that a spec can do any of them wrongly.
import { type WebSocket as ClientWebSocket, WebSocket } from 'ws';
import { createDevice, type Device, openDevice } from '../keys/device.ts';
import { nodeIdOf } from '../keys/identity.ts';
import { checkNodeAuth, checkNodeHello, makeClientAuth, openChallenge } from '../keys/login-challenge.ts';
import { decode, encode } from '../wire/codec.ts';
import type { ClientAuth, NameClaim, NodeHello } from '../wire/login-messages.ts';
import { nameClaimBody } from '../wire/login-messages.ts';
import { type ClientMessage, clientMessage, type NodeMessage, nodeMessage } from '../wire/node-messages.ts';
import { seededRandom } from './fakes.ts';
import type { Person } from './people.ts';

type WithoutNumber<M> = M extends { request: number } ? Omit<M, 'request'> : never;
export type Question = WithoutNumber<ClientMessage>;
type Refused = Extract<NodeMessage, { type: 'refused' }>;
type NodeAuthMessage = Extract<NodeMessage, { type: 'node-auth' }>;

export type Purpose = 'login' | 'register' | 'resume';

/** Another device of a person. `seed`: one byte, different for each. */
export async function anotherDevice(person: Person, seed: number, now: number): Promise<Device> {
  const { agent, uid } = person;
  return openDevice(await createDevice({ agent, uid, name: `device ${seed}`, random: seededRandom(1000 + seed), now }));
}

export class NodeClient {
  readonly socket: ClientWebSocket;
  /** What came and was not taken by `next` or `ask`, oldest first. */
  readonly inbox: NodeMessage[] = [];
  /** Resolves with the code of the close. */
  readonly closed: Promise<number>;
  readonly #nonces: (length: number) => Uint8Array;
  #isClosed = false;
  #wake: (() => void)[] = [];
  #request = 0;

  private constructor(socket: ClientWebSocket) {
    this.socket = socket;
    this.#nonces = (length) => crypto.getRandomValues(new Uint8Array(length));
    socket.on('message', (data: Buffer) => {
      this.inbox.push(decode(nodeMessage, new Uint8Array(data)));
      this.#stir();
    });
    this.closed = new Promise((resolve) => {
      socket.on('close', (code) => {
        this.#isClosed = true;
        this.#stir();
        resolve(code);
      });
    });
    socket.on('error', () => undefined);
  }

  static dial(port: number, headers: Record<string, string> = {}): Promise<NodeClient> {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/`, { perMessageDeflate: false, headers });
    const client = new NodeClient(socket);
    return new Promise((resolve, reject) => {
      socket.once('open', () => resolve(client));
      socket.once('error', reject);
    });
  }

  /** Dials and logs in; throws if the node refuses. */
  static async in(port: number, person: Person, purpose: Purpose, device: Device = person.device): Promise<NodeClient> {
    const client = await NodeClient.dial(port);
    const answer = await client.logIn({ port, person, purpose, device });
    if (answer.type === 'refused') throw new Error(`${person.username} was refused: ${answer.code}`);
    return client;
  }

  send(message: ClientMessage): Uint8Array {
    const bytes = encode(clientMessage, message);
    this.socket.send(bytes);
    return bytes;
  }

  sendBytes(bytes: Uint8Array): void {
    this.socket.send(bytes);
  }

  /** The next message of that type that has come or comes; others stay. Rejects if the socket closes first. */
  async next<Type extends NodeMessage['type']>(...types: Type[]): Promise<Extract<NodeMessage, { type: Type }>> {
    for (;;) {
      for (const [at, message] of this.inbox.entries()) {
        if (!isOneOf(message, types)) continue;
        this.inbox.splice(at, 1);
        return message;
      }
      if (this.#isClosed) throw new Error(`closed before ${types.join(' or ')} came`);
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
  }

  /** Sends with a number of its own, and resolves with what answers it. */
  async ask(question: Question): Promise<NodeMessage> {
    this.#request += 1;
    const request = this.#request;
    this.send({ ...question, request });
    return this.answerTo(request);
  }

  async answerTo(request: number): Promise<NodeMessage> {
    for (;;) {
      const at = this.inbox.findIndex((message) => 'request' in message && message.request === request);
      const [message] = at < 0 ? [] : this.inbox.splice(at, 1);
      if (message !== undefined) return message;
      if (this.#isClosed) throw new Error(`closed before request ${request} was answered`);
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
  }

  close(): Promise<number> {
    this.socket.close();
    return this.closed;
  }

  // --- logging in, step by step

  /** ClientHello's bytes, sent. */
  hello(parts: {
    port: number;
    person: Person;
    purpose: Purpose;
    device?: Device;
    origin?: string;
    byHand?: boolean;
  }): Uint8Array {
    const { port, person, purpose, device = person.device, origin = `ws://127.0.0.1:${port}`, byHand = false } = parts;
    const start = { flags: byHand ? (1 as const) : (0 as const), origin, nonce: this.#nonces(32) };
    const { username, certificate } = person;
    const hello = {
      login: { purpose: 'login', ...start, username } as const,
      register: { purpose: 'register', ...start, username, certificate } as const,
      resume: { purpose: 'resume', ...start, did: device.did } as const,
    }[purpose];
    return this.send({ type: 'client-hello', suite: 1, hello });
  }

  /** The whole answer to the node's hello, as an honest client makes it. */
  async proof(parts: {
    helloBytes: Uint8Array;
    nodeHello: NodeHello;
    person: Person;
    purpose: Purpose;
    device?: Device;
    now?: number;
  }): Promise<{ auth: ClientAuth; th1: Uint8Array; macKey: Uint8Array | undefined }> {
    const { helloBytes, nodeHello, person, purpose, device = person.device, now = Date.now() } = parts;
    const { agent, uid } = person;
    const checked = await checkNodeHello({ helloBytes, nodeHello, expected: { nodePub: undefined, nodeId: undefined } });
    if (checked.outcome !== 'good') throw new Error(`the node's hello: ${checked.outcome}`);
    const { th0, th1 } = checked;
    const isResume = purpose === 'resume';
    await agent.allowMoreChallenges();
    const macKey = isResume ? undefined : await openChallenge({ agent, uid, th0, th1, challenge: nodeHello.challenge, now });
    const nameClaim = purpose === 'register' ? await claimOf(person, nodeHello, now) : undefined;
    return { auth: await makeClientAuth({ th1, macKey, device, nameClaim }), th1, macKey };
  }

  /** All steps; checks the node's signatures. */
  async logIn(parts: {
    port: number;
    person: Person;
    purpose: Purpose;
    device?: Device;
    origin?: string;
    now?: number;
  }): Promise<NodeAuthMessage | Refused> {
    const helloBytes = this.hello(parts);
    const nodeHello = await this.next('node-hello', 'refused');
    if (nodeHello.type === 'refused') return nodeHello;
    const { auth, th1 } = await this.proof({ ...parts, helloBytes, nodeHello });
    const authBytes = this.send({ type: 'client-auth', ...auth });
    const answer = await this.next('node-auth', 'refused');
    if (answer.type === 'refused') return answer;
    const isNode = await checkNodeAuth({ th1, authBytes, nodeAuth: answer, nodePub: nodeHello.nodePub });
    if (!isNode) throw new Error("the node's last signature is wrong");
    return answer;
  }

  #stir(): void {
    const waiting = this.#wake;
    this.#wake = [];
    for (const wake of waiting) wake();
  }
}

export async function claimOf(
  person: Pick<Person, 'agent' | 'uid' | 'username'>,
  { nodePub }: { nodePub: Uint8Array },
  now: number,
): Promise<NameClaim> {
  const { agent, uid, username } = person;
  const body = encode(nameClaimBody, { nodeId: nodeIdOf(nodePub), uid, username, createdAt: now });
  return { body, openPgpSignature: await agent.sign({ purpose: 'name-claim', body, now }) };
}

function isOneOf<Type extends NodeMessage['type']>(
  message: NodeMessage,
  types: Type[],
): message is Extract<NodeMessage, { type: Type }> {
  return types.some((type) => type === message.type);
}
