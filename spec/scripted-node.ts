// A node for specs of the client: logs people in with the real cryptography, and misbehaves where the spec says so.
import { type DeviceFacts, verifyDeviceCert } from '../keys/device.ts';
import { type SigningKey, signingKeyFromSeed } from '../keys/ed25519.ts';
import {
  type ChallengeSealer,
  checkClientAuth,
  makeNodeAuth,
  type OpenChallenge,
  startChallenge,
  startResume,
} from '../keys/login-challenge.ts';
import { readCertificate, seal, verifySignature } from '../keys/openpgp.ts';
import type { Clock, Random, Socket } from '../mesh/ports.ts';
import { hex } from '../wire/bytes.ts';
import { decode, encode } from '../wire/codec.ts';
import type { NodeErrorCode } from '../wire/errors.ts';
import type { Uid } from '../wire/ids.ts';
import type { ClientHello } from '../wire/login-messages.ts';
import { type ClientMessage, clientMessage, type NodeMessage, nodeMessage } from '../wire/node-messages.ts';
import type { AcceptSocket } from './virtual-network.ts';

type Member = { uid: Uid; username: string; certificate: Uint8Array };
type Session = { hello: ClientHello['hello']; member: Member | 'device-refused'; open: OpenChallenge };

export class ScriptedNode {
  readonly key: SigningKey;
  readonly origin: string;
  /** Everything that clients said, in order. */
  readonly heard: ClientMessage[] = [];
  /** What the node stumbled over; a spec that does not expect it fails. */
  readonly faults: unknown[] = [];
  readonly sockets: Socket[] = [];
  readonly members = new Map<string, Member>();
  readonly devices = new Map<string, Uid>();
  /** What it says of its clock, against the network's, in ms. */
  clockOffset = 0;
  /** Makes the challenge, whose place in the NodeHello the node signs; the genuine one comes from `seal`. */
  sealer: ChallengeSealer = { seal };
  /** Changes or swallows what goes out. */
  edit: (message: NodeMessage) => NodeMessage | 'nothing' = (message) => message;
  /** What a logged-in client gets for a question. */
  answer: (question: ClientMessage & { request: number }) => NodeMessage | 'nothing' = ({ request }) => ({
    type: 'done',
    request,
  });

  readonly #clock: Clock;
  readonly #random: Random;

  constructor(parts: { key: SigningKey; origin: string; clock: Clock; random: Random }) {
    this.key = parts.key;
    this.origin = parts.origin;
    this.#clock = parts.clock;
    this.#random = parts.random;
  }

  get socket(): Socket {
    const socket = this.sockets.at(-1);
    if (socket === undefined) throw new Error('nobody has dialled');
    return socket;
  }

  readonly accept: AcceptSocket = (socket) => {
    this.sockets.push(socket);
    let session: Session | undefined;
    let isLoggedIn = false;
    const hear = async (bytes: Uint8Array) => {
      const message = decode(clientMessage, bytes);
      this.heard.push(message);
      if (message.type === 'client-hello') session = await this.#greet(socket, message.hello, bytes);
      else if (message.type === 'client-auth') isLoggedIn = await this.#admit(socket, session, message, bytes);
      else if ('request' in message && isLoggedIn) this.say(this.answer(message), socket);
    };
    return { message: (bytes) => void hear(bytes).catch((fault: unknown) => this.faults.push(fault)), closed: () => undefined };
  };

  say(message: NodeMessage | 'nothing', socket = this.socket): void {
    const edited = message === 'nothing' ? message : this.edit(message);
    if (edited !== 'nothing') socket.send(encode(nodeMessage, edited));
  }

  /** The names in the hellos so far: what a node learns of people who only tried. */
  namesHeard(): string[] {
    return this.heard.flatMap((message) =>
      message.type === 'client-hello' && message.hello.purpose !== 'resume' ? [message.hello.username] : [],
    );
  }

  helloPurposes(): string[] {
    return this.heard.flatMap((message) => (message.type === 'client-hello' ? [message.hello.purpose] : []));
  }

  async #greet(socket: Socket, hello: ClientHello['hello'], helloBytes: Uint8Array): Promise<Session | undefined> {
    if (hello.origin !== this.origin) return this.#refuse(socket, 'wrong-origin');
    const member = await this.#memberOf(hello);
    if (typeof member === 'string' && member !== 'device-refused') return this.#refuse(socket, member);
    const common = { helloBytes, nodeKey: this.key, random: this.#random };
    const started =
      member === 'device-refused' || hello.purpose === 'resume'
        ? await startResume(common)
        : await startChallenge({ ...common, ...member, sealer: this.sealer, now: this.#clock.now() });
    this.say({ type: 'node-hello', ...started.hello }, socket);
    return { hello, member, open: started.open };
  }

  async #memberOf(hello: ClientHello['hello']): Promise<Member | NodeErrorCode> {
    if (hello.purpose === 'resume') {
      const uid = this.devices.get(hex(hello.did));
      return [...this.members.values()].find((member) => member.uid === uid) ?? 'device-refused';
    }
    const { username } = hello;
    const known = this.members.get(username);
    if (hello.purpose === 'login') return known ?? 'unknown-user';
    if (known !== undefined) return 'name-taken';
    const { uid } = await readCertificate(hello.certificate, this.#clock.now());
    return { uid, username, certificate: hello.certificate };
  }

  async #admit(
    socket: Socket,
    session: Session | undefined,
    auth: Extract<ClientMessage, { type: 'client-auth' }>,
    authBytes: Uint8Array,
  ): Promise<boolean> {
    if (session === undefined) throw new Error('no hello');
    const { open, member, hello } = session;
    if (member === 'device-refused') {
      this.#refuse(socket, member);
      return false;
    }
    const now = this.#clock.now();
    const { deviceCert, nameClaim } = auth.signed.fields;
    const { did, signPub } = await this.#deviceOf(member, deviceCert);
    const verdict = await checkClientAuth({ open, auth, signPub });
    if (verdict !== 'good') {
      this.#refuse(socket, 'login-refused');
      return false;
    }
    if (hello.purpose === 'register') {
      if (nameClaim === undefined) throw new Error('no name claim');
      const { body, openPgpSignature: signature } = nameClaim;
      await verifySignature({ purpose: 'name-claim', body, signature, certificate: member.certificate, now });
      this.members.set(member.username, member);
    }
    this.devices.set(hex(did), member.uid);
    const { uid, username } = member;
    const iceServers = [{ urls: ['stun:one.example'], username: '', credential: '' }];
    const fields = {
      uid,
      username,
      nodeTime: now + this.clockOffset,
      policy: { registration: 'open' },
      iceServers,
      flags: 0,
    } as const;
    this.say({ type: 'node-auth', ...(await makeNodeAuth({ th1: open.th1, authBytes, fields, nodeKey: this.key })) }, socket);
    return true;
  }

  async #deviceOf(member: Member, bytes: Uint8Array): Promise<DeviceFacts> {
    const agent = { readCertificate, verify: verifySignature };
    return verifyDeviceCert({ bytes, certificate: member.certificate, agent, now: this.#clock.now() });
  }

  #refuse(socket: Socket, code: NodeErrorCode): undefined {
    this.say({ type: 'refused', request: 0, code, retryAfter: 0 }, socket);
    socket.close();
  }
}

export function nodeKey(seed: number): Promise<SigningKey> {
  return signingKeyFromSeed(new Uint8Array(32).fill(seed));
}
