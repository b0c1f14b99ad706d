// The life of one socket: hello, challenge, proof, then requests one after the other. A type of message is taken only where it is due.
import { decode, encode } from '../wire/codec.ts';
import { type NodeErrorCode, nodeErrors } from '../wire/errors.ts';
import { limits } from '../wire/limits.ts';
import { type ClientMessage, clientMessage, nodeMessage } from '../wire/node-messages.ts';
import { WireRefusal } from '../wire/refusal.ts';
import { Bucket, type Buckets } from './buckets.ts';
import type { Challenges, Ticket } from './challenges.ts';
import type { NodeClock } from './clock.ts';
import { bytesPerTurn, requestCosts, toldPerTurn } from './costs.ts';
import type { Happenings } from './happenings.ts';
import type { NodeLimits } from './limits.ts';
import { Member } from './member.ts';
import { keyOf, type Presence } from './presence.ts';
import { doneMessage, readRelay, toRelayed } from './relay.ts';
import type { Requests } from './requests.ts';
import type { SignedIn, SignIn, SignInRefusal } from './sign-in.ts';

/** What the node needs of a web socket. */
export interface ClientSocket {
  /** `written` is called when the system has taken the message, or never will. */
  write(message: Uint8Array, written?: () => void): void;
  ping(): void;
  /** Sends what was sent before, then closes. */
  close(code: number, reason: string): void;
  terminate(): void;
  pause(): void;
  resume(): void;
  /** Bytes sent that the system has not taken yet. */
  readonly bufferedAmount: number;
  /** Bytes that have come, of whatever kind. */
  readonly bytesRead: number;
}

/** Shared by all connections. */
export type ConnectionParts = {
  signIn: SignIn;
  requests: Requests;
  presence: Presence;
  challenges: Challenges;
  happenings: Happenings;
  limits: NodeLimits;
  clock: NodeClock;
  /** By person: what all their connections take together. */
  turns: Buckets;
  /** The connection has logged in: it is no stranger any more. */
  joined(connection: Connection): void;
};

type State =
  | { step: 'new'; until: number }
  | { step: 'challenged'; ticket: Ticket }
  | { step: 'joined'; member: Member }
  | { step: 'closed' };

/** At most, from a server (RFC 6455 §5.2). */
const frameHeaderBytes = 10;
/** 4000 is where the codes of applications begin (RFC 6455 §7.4.2). */
const closeCodes = 4000;
const firstBytes = { hello: 0x01, auth: 0x03, relay: 0x4c, requests: [0x41, 0x4e] } as const;

export class Connection {
  readonly #parts: ConnectionParts;
  readonly #socket: ClientSocket;
  readonly #address: string | undefined;
  /** Its own, and that of the person from when on they are known. */
  #bucket: Bucket;
  #state: State;
  /** Messages behind the one that is being worked on; undefined when nothing is. */
  #waiting: Uint8Array[] | undefined;
  #handled = 0;
  /** Grows with everything that comes and everything that is done. As of the last heartbeat. */
  #signsOfLife: number;
  #missedBeats = 0;
  /** Bytes sent since the last heartbeat: what is buffered above that was sent before it. */
  #sentLately = 0;
  /** Relays of this client that the receivers' sockets have not taken yet. */
  #inFlight = 0;

  /** `address`: what logins are counted by, undefined for those that are not counted. */
  constructor(parts: ConnectionParts, socket: ClientSocket, address: string | undefined) {
    const now = parts.clock.now();
    this.#parts = parts;
    this.#socket = socket;
    this.#address = address;
    this.#signsOfLife = socket.bytesRead;
    this.#bucket = new Bucket(parts.limits.requestsBurst, now);
    this.#state = { step: 'new', until: now + parts.limits.helloTime };
  }

  /** A binary message. Its bytes are the connection's from now on. */
  receive(message: Uint8Array): void {
    if (this.#state.step === 'closed') return;
    if (this.#waiting !== undefined) {
      this.#waiting.push(message);
      this.#socket.pause();
      return;
    }
    if (this.#relayAtOnce(message) === 'later') void this.#work(message);
  }

  /** The socket has closed, from whatever side. */
  closed(): void {
    const state = this.#state;
    this.#state = { step: 'closed' };
    this.#waiting?.splice(0);
    if (state.step === 'challenged') this.#parts.challenges.take(state.ticket, 0);
    // Later, since it tells others: where that cuts off the next one, and so on, each would stand on the stack of the one before.
    if (state.step === 'joined') queueMicrotask(() => this.#leave(state.member));
  }

  /** Who does not read is cut off. `written` is called but for 'closed'. */
  push(message: Uint8Array, written?: () => void): 'sent' | 'closed' {
    if (this.#state.step === 'closed') return 'closed';
    if (this.#socket.bufferedAmount + message.length > this.#parts.limits.outgoingBytes) {
      this.#cutOff('does not read');
      return 'closed';
    }
    this.#sentLately += message.length + frameHeaderBytes;
    this.#socket.write(message, written);
    return 'sent';
  }

  /** What another client wants to say. It is turned away where much is unread, or anyone could cut others off by talking to them. */
  offer(message: Uint8Array, written: () => void): 'sent' | 'closed' | 'full' {
    const isFull = this.#socket.bufferedAmount + message.length > this.#parts.limits.relayedBytes;
    return isFull && this.#state.step !== 'closed' ? 'full' : this.push(message, written);
  }

  /** Once per heartbeat. Who is silent, or has not read what was sent before the last one, is given up after a few. */
  beat(): void {
    const signs = this.#socket.bytesRead + this.#handled;
    const isRead = this.#socket.bufferedAmount <= this.#sentLately;
    if (signs !== this.#signsOfLife && isRead) this.#missedBeats = 0;
    this.#signsOfLife = signs;
    this.#sentLately = 0;
    if (this.#missedBeats >= this.#parts.limits.missedHeartbeats) {
      this.#socket.terminate();
      this.closed();
      return;
    }
    this.#missedBeats += 1;
    this.#socket.ping();
  }

  /** For those who have not logged in: closes what has taken too long, or sends what no login needs. */
  hurry(now: number): void {
    const state = this.#state;
    const said = this.#socket.bytesRead + this.#handled - this.#signsOfLife;
    if (said > this.#parts.limits.strangerBytes) return this.#cutOff('says too much');
    if (state.step === 'new' && now >= state.until) this.#refuse({ code: 'challenge-expired', why: 'said nothing' });
    if (state.step === 'challenged' && now >= state.ticket.expiresAt)
      this.#refuse({ code: 'challenge-expired', why: 'no answer' });
  }

  /** Says why, and closes. */
  end(code: NodeErrorCode, retryAfter = 0): void {
    if (this.#state.step === 'closed') return;
    this.push(encode(nodeMessage, { type: 'refused', request: 0, code, retryAfter }));
    this.#socket.close(closeCodes + nodeErrors[code].number, code);
    this.closed();
  }

  /** The node stops: nobody is told who left. */
  dismiss(goodbye: Uint8Array): void {
    this.push(goodbye);
    this.#socket.close(1001, 'stopping');
    this.#state = { step: 'closed' };
  }

  #cutOff(why: string): void {
    this.#parts.happenings.log({ who: this.#who(), what: `${why}, cut off`, code: 'busy' });
    this.#socket.terminate();
    this.closed();
  }

  /** Without a word. */
  cut(): void {
    this.#socket.terminate();
  }

  // --- one message after the other

  async #work(first: Uint8Array): Promise<void> {
    const waiting: Uint8Array[] = [];
    this.#waiting = waiting;
    for (let message: Uint8Array | undefined = first; message !== undefined; message = waiting.shift())
      await this.#handle(message);
    this.#waiting = undefined;
    this.#socket.resume();
  }

  /** The one place where errors of what a client sent, and ours, end. */
  async #handle(message: Uint8Array): Promise<void> {
    try {
      await this.#paced();
      await this.#dispatch(message);
      this.#handled += 1;
    } catch (error) {
      this.#failed(error, message);
    }
  }

  #failed(error: unknown, message: Uint8Array): void {
    if (this.#state.step === 'closed') return;
    if (!(error instanceof WireRefusal)) return this.#ourFault(error, message);
    const isHello = message[0] === firstBytes.hello;
    // The one text of a hello besides the origin is the name.
    const code =
      error.code === 'too-large' ? 'too-large' : isHello && error.code === 'bad-text' ? 'name-not-allowed' : 'malformed';
    this.#refuse({ code, why: error.message });
  }

  /** Whoever has logged in may try again or go on with something else. */
  #ourFault(error: unknown, message: Uint8Array): void {
    this.#parts.happenings.log({ who: this.#who(), what: `error of ours: ${String(error)}`, code: 'internal' });
    if (this.#state.step !== 'joined') return this.end('internal');
    const request = new DataView(message.buffer, message.byteOffset).getUint32(1);
    this.push(encode(nodeMessage, { type: 'refused', request, code: 'internal', retryAfter: 0 }));
  }

  /** Above the rate messages wait; the socket is not read meanwhile. */
  async #paced(): Promise<void> {
    for (let wait = this.#takeTurn(); wait > 0; wait = this.#takeTurn()) {
      await new Promise<void>((resolve) => this.#parts.clock.after(wait, resolve));
    }
  }

  #takeTurn(): number {
    const { limits: own, clock } = this.#parts;
    return this.#bucket.take({ perSecond: own.requestsPerSecond, burst: own.requestsBurst }, clock.now());
  }

  async #dispatch(message: Uint8Array): Promise<void> {
    const state = this.#state;
    const [first = 0] = message;
    switch (state.step) {
      case 'new':
        return first === firstBytes.hello ? this.#hello(message) : this.#undue(first);
      case 'challenged':
        return first === firstBytes.auth ? this.#proof(message, state.ticket) : this.#undue(first);
      case 'joined':
        return isRequest(first) ? this.#request(message, state.member) : this.#undue(first);
      case 'closed':
        return;
      default:
        return state satisfies never;
    }
  }

  #undue(first: number): void {
    const isKnown = first === firstBytes.hello || first === firstBytes.auth || isRequest(first);
    this.#refuse({ code: isKnown ? 'unexpected' : 'malformed' });
  }

  // --- logging in

  async #hello(helloBytes: Uint8Array): Promise<void> {
    const { signIn, challenges, clock } = this.#parts;
    const now = clock.now();
    const greeted = await signIn.greet({ helloBytes, message: read('client-hello', helloBytes), address: this.#address, now });
    if (greeted.outcome === 'refused') return this.#refuse(greeted);
    if (this.#state.step === 'closed') {
      challenges.take(greeted.ticket, now);
      return;
    }
    this.#state = { step: 'challenged', ticket: greeted.ticket };
    this.push(encode(nodeMessage, { type: 'node-hello', ...greeted.hello }));
  }

  async #proof(authBytes: Uint8Array, ticket: Ticket): Promise<void> {
    const { signIn, clock } = this.#parts;
    const now = clock.now();
    const answer = await signIn.answer({ ticket, auth: read('client-auth', authBytes), authBytes, now });
    if (answer.outcome === 'refused') return this.#refuse(answer);
    if (this.#state.step !== 'closed') this.#join(answer, clock.now() - now);
  }

  #join({ nodeAuth, purpose, uid, did, username, gone }: SignedIn, ms: number): void {
    const { presence, happenings, turns, clock, joined } = this.#parts;
    const member = new Member(this, { person: keyOf(uid), device: keyOf(did), username });
    this.#state = { step: 'joined', member };
    this.#bucket = turns.of(member.person, clock.now());
    presence.expel(gone);
    presence.join(member);
    joined(this);
    this.push(encode(nodeMessage, { type: 'node-auth', ...nodeAuth }));
    happenings.counters.signedIn += 1;
    const what = { login: 'logged in', register: 'registered', resume: 'came back' }[purpose];
    happenings.log({ who: username, what: `${what}, ${presence.online} connected`, ms });
  }

  #leave(member: Member): void {
    const { presence, happenings } = this.#parts;
    presence.leave(member);
    happenings.log({ who: member.username, what: `left, ${presence.online} connected` });
  }

  /** While logging in, every refusal ends the socket: only the log learns more than the code. */
  #refuse({ code, why, who, retryAfter }: Omit<SignInRefusal, 'outcome'>): void {
    const { happenings } = this.#parts;
    happenings.counters.refused += 1;
    happenings.log({ who: who ?? this.#who(), what: why === undefined ? 'refused' : `refused: ${why}`, code });
    this.end(code, retryAfter);
  }

  /** A name that a stranger only gave is not for the log. */
  #who(): string {
    const state = this.#state;
    if (state.step === 'joined') return state.member.username;
    const attempt = state.step === 'challenged' ? state.ticket.attempt : undefined;
    return attempt?.purpose === 'login' || attempt?.purpose === 'resume' ? attempt.username : 'a stranger';
  }

  // --- requests

  async #request(bytes: Uint8Array, member: Member): Promise<void> {
    if (bytes[0] === firstBytes.relay) return this.#relayInTurn(bytes, member);
    const message = decode(clientMessage, bytes);
    if (message.type === 'client-hello' || message.type === 'client-auth' || message.type === 'relay') return;
    if (message.type === 'log-out') {
      this.#socket.close(1000, '');
      this.closed();
      return;
    }
    this.#bucket.spend(requestCosts[message.type] + Math.floor(bytes.length / bytesPerTurn));
    const { message: answer, why, told = 0 } = await this.#parts.requests.answer(member, message, (part) => this.#send(part));
    this.#bucket.spend(Math.floor(told / toldPerTurn));
    if (answer.type === 'refused') this.#note(member, { type: message.type, code: answer.code, why });
    await this.#send(encode(nodeMessage, answer));
  }

  #note(member: Member, { type, code, why }: { type: string; code: NodeErrorCode; why: string | undefined }): void {
    const { happenings } = this.#parts;
    happenings.counters.refused += 1;
    happenings.log({ who: member.username, what: `${type} refused${why === undefined ? '' : `: ${why}`}`, code });
  }

  /** A large answer is on its way before the next request is read. */
  async #send(message: Uint8Array): Promise<void> {
    this.#bucket.spend(Math.floor(message.length / bytesPerTurn));
    if (message.length < this.#parts.limits.largeAnswerBytes) {
      this.push(message);
      return;
    }
    await new Promise<void>((resolve) => {
      if (this.push(message, resolve) === 'closed') resolve();
    });
  }

  // --- relays

  /** 'later': nothing was done, it is to wait for its turn. */
  #relayAtOnce(message: Uint8Array): 'done' | 'later' {
    const state = this.#state;
    if (message[0] !== firstBytes.relay || state.step !== 'joined' || this.#inFlight >= limits.signalsInFlight) return 'later';
    const relay = readRelay(message);
    if (relay === undefined || this.#takeTurn() > 0) return 'later';
    this.#relay(message, relay, state.member);
    return 'done';
  }

  async #relayInTurn(message: Uint8Array, member: Member): Promise<void> {
    const relay = readRelay(message);
    if (relay === undefined) throw new WireRefusal('bad-value', 'relay');
    // Those that came in the same moment are only just being written.
    if (this.#inFlight >= limits.signalsInFlight) await new Promise((resolve) => setImmediate(resolve));
    if (this.#inFlight >= limits.signalsInFlight) this.#refuseRelay(relay.request, 'busy');
    else this.#relay(message, relay, member);
  }

  #relay(message: Uint8Array, { request, to }: { request: number; to: string }, member: Member): void {
    const { presence, happenings } = this.#parts;
    const receiver = presence.find(to);
    this.#inFlight += 1;
    const written = () => {
      this.#inFlight -= 1;
    };
    const outcome = receiver?.offer(toRelayed(message, member.device), written) ?? 'closed';
    if (outcome !== 'sent') {
      written();
      this.#refuseRelay(request, outcome === 'full' ? 'busy' : 'peer-offline');
      return;
    }
    happenings.counters.relayed += 1;
    this.push(doneMessage(request));
  }

  #refuseRelay(request: number, code: NodeErrorCode): void {
    this.push(encode(nodeMessage, { type: 'refused', request, code, retryAfter: code === 'busy' ? busyRelay : 0 }));
  }
}

/** Milliseconds in which a slow receiver may have read something. */
const busyRelay = 200;

function isRequest(first: number): boolean {
  return first >= firstBytes.requests[0] && first <= firstBytes.requests[1];
}

/** Throws WireRefusal. The first byte has been looked at. */
function read<Type extends ClientMessage['type']>(type: Type, bytes: Uint8Array): Extract<ClientMessage, { type: Type }> {
  const message = decode(clientMessage, bytes);
  if (!isOf(message, type)) throw new WireRefusal('unknown-type', message.type);
  return message;
}

function isOf<Type extends ClientMessage['type']>(
  message: ClientMessage,
  type: Type,
): message is Extract<ClientMessage, { type: Type }> {
  return message.type === type;
}
