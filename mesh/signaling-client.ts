// The one connection to the node: logs in, comes back when it breaks, asks, listens, and keeps the device's keys published.
import type { Device } from '../keys/device.ts';
import { nodeIdOf } from '../keys/identity.ts';
import { equal } from '../wire/bytes.ts';
import type { NodeErrorCode } from '../wire/errors.ts';
import type { NodeId, Uid } from '../wire/ids.ts';
import { limits } from '../wire/limits.ts';
import type { NodeMessage } from '../wire/node-messages.ts';
import { canonicalOrigin } from '../wire/origin.ts';
import { backOff } from './back-off.ts';
import { type ConnectionFailure, whenToRetry } from './connection-failure.ts';
import { DevicePublisher } from './device-publisher.ts';
import type { LoginPurpose, LoginSession } from './login.ts';
import { type LoginAgent, LoginAttempt } from './login-attempt.ts';
import type { NodeLine } from './node-line.ts';
import { answerTime, type NodeAnswer, type NodeQuestion, NodeRefusal, NodeRequests } from './node-requests.ts';
import type { Clock, DialSocket, Random, Stop } from './ports.ts';

export type NodeState =
  | { state: 'connecting' }
  | { state: 'connected'; session: LoginSession }
  /** nextTryAt: ms since 1970; undefined: nothing happens before the person acts (`retry`, `allowMoreChallenges`). */
  | { state: 'offline'; reason: ConnectionFailure; nextTryAt: number | undefined };

/** What the node says without being asked. */
export type NodeNews = Extract<
  NodeMessage,
  { type: 'log-grew' | 'mail-came' | 'roster' | 'presence' | 'relayed' | 'stopping' | 'refused' }
>;

/** The node's key for each origin, remembered at the first login. It must outlive the profile's logins. */
export interface PinStore {
  get(origin: string): Promise<Uint8Array | undefined>;
  set(origin: string, nodePub: Uint8Array): Promise<void>;
}

export interface SignalingAgent extends LoginAgent {
  allowMoreChallenges(): Promise<void>;
}

export type SignalingClientParts = {
  /** Canonical: see `canonicalOrigin`. */
  origin: string;
  account: { uid: Uid; username: string; certificate: Uint8Array };
  device: Device;
  /** 'resume' where the node should know this device; if it does not, a login follows. After a success it is always 'resume'. */
  start: 'register' | 'login' | 'resume';
  /** What an invite link says. */
  expectedNodeId: NodeId | undefined;
  agent: SignalingAgent;
  pins: PinStore;
  dialSocket: DialSocket;
  clock: Clock;
  random: Random;
  events: SignalingEvents;
};

export type SignalingEvents = {
  changed(state: NodeState): void;
  news(message: NodeNews): void;
  /** An error that no input should cause, for the log. */
  surprised(error: unknown): void;
};

/** A connection that lived shorter than this does not count as a success: a node that drops us at once is not asked four times a second. */
const settledAfter = 10_000;
/** Without a word for this long, it is asked for one: browsers do not show the heartbeat of web sockets. */
const quietTime = 2 * limits.heartbeat;
/** A complaint explains a close that follows it within this time. */
const complaintTime = 5_000;
/** What a node may ask us to stay away at most. */
const longestAway = 60 * 60_000;
/** No clock that TLS works with is further off than this; OpenPGP dates must stay dates. */
const believableOffset = 366 * 24 * 60 * 60_000;

export class SignalingClient implements NodeLine {
  readonly #parts: SignalingClientParts;
  readonly #requests: NodeRequests;
  readonly #publisher: DevicePublisher;
  #device: Device;
  #state: NodeState = { state: 'offline', reason: { by: 'connection', code: 'stopped' }, nextTryAt: undefined };
  #hello: LoginPurpose['purpose'];
  /** Of a registration whose answer was lost. */
  #registered: 'unknown' | 'maybe' = 'unknown';
  #attempt: LoginAttempt | undefined;
  #dialNo = 0;
  #failures = 0;
  #pin: Uint8Array | undefined;
  #clockOffset = 0;
  #heardAt = 0;
  #connectedAt = 0;
  #complaint: { failure: ConnectionFailure; at: number } | undefined;
  /** Ms that a stopping node asked us to stay away. */
  #awayTime = 0;
  #stopRetry: Stop = () => undefined;
  #stopQuiet: Stop = () => undefined;

  constructor(parts: SignalingClientParts) {
    this.#parts = parts;
    this.#device = parts.device;
    this.#hello = parts.start;
    this.#requests = new NodeRequests(parts.clock, () => this.#unanswered());
    this.#publisher = new DevicePublisher({ line: this, clock: parts.clock, surprised: parts.events.surprised });
  }

  get state(): NodeState {
    return this.#state;
  }

  /** Whether the node was asked for the name in a way it could grant, and its answer is not known. */
  get mayBeRegistered(): boolean {
    return this.#registered === 'maybe' || (this.#hello === 'register' && this.#attempt?.proof === 'sent');
  }

  /** The node's clock as far as it is known: dates of OpenPGP signatures follow it. */
  nodeNow(): number {
    return this.#parts.clock.now() + this.#clockOffset;
  }

  /** Dials, and dials again until `close`. */
  start(): void {
    if (canonicalOrigin(this.#parts.origin) !== this.#parts.origin) {
      this.#ended({ by: 'connection', code: 'bad-address' });
      return;
    }
    this.#dial();
  }

  /** Rejects with NodeRefusal: the node's code, 'offline' or 'silent'. */
  request<Q extends NodeQuestion>(question: Q): Promise<NodeAnswer<Q['type']>> {
    const attempt = this.#attempt;
    if (attempt === undefined || !attempt.isConnected) return Promise.reject(new NodeRefusal('offline'));
    return this.#requests.ask(question, (message) => attempt.send(message));
  }

  /** The same device after a renewal or a rotation of lock keys: publishes what is new. */
  setDevice(device: Device): void {
    if (!equal(device.did, this.#device.did)) throw new RangeError('another device needs another client');
    this.#device = device;
    if (this.#state.state === 'connected') this.#publisher.publish(device);
  }

  /** The machine seems to be online again: tries at once what would be tried later, and makes sure of what seems connected. */
  online(): void {
    if (this.#state.state === 'connected') this.#probe();
    if (this.#state.state !== 'offline' || this.#state.nextTryAt === undefined) return;
    this.#failures = 0;
    this.#dial();
  }

  /** The person has acted: unlocked the key, renewed the device, pressed "try again". Does nothing against a node that shows another key. */
  retry(): void {
    if (this.#state.state !== 'offline' || whenToRetry(this.#state.reason) === 'never') return;
    this.#failures = 0;
    this.#dial();
  }

  /** To be called only for a gesture of the person, who was told why (spec/protocol.md §2). */
  async allowMoreChallenges(): Promise<void> {
    await this.#parts.agent.allowMoreChallenges();
    this.retry();
  }

  /** Says goodbye and stops for good; nothing is called after it but the refusals of open requests. */
  close(): void {
    if (this.#attempt?.isConnected) this.#attempt.send({ type: 'log-out' });
    this.#dialNo += 1;
    this.#drop();
    this.#stopRetry();
    this.#state = { state: 'offline', reason: { by: 'connection', code: 'stopped' }, nextTryAt: undefined };
  }

  // --- dialling

  #dial(): void {
    this.#stopRetry();
    this.#awayTime = 0;
    this.#dialNo += 1;
    const dialNo = this.#dialNo;
    this.#change({ state: 'connecting' });
    this.#open(dialNo).catch((error: unknown) => {
      this.#parts.events.surprised(error);
      this.#ended({ by: 'connection', code: 'broken' });
    });
  }

  async #open(dialNo: number): Promise<void> {
    const { origin, account, expectedNodeId, pins, dialSocket, clock, agent, random } = this.#parts;
    const nodePub = this.#pin ?? (await pins.get(origin));
    if (dialNo !== this.#dialNo) return;
    if (nodePub !== undefined && expectedNodeId !== undefined && !equal(nodeIdOf(nodePub), expectedNodeId)) {
      this.#ended({ by: 'connection', code: 'other-node' });
      return;
    }
    const device = this.#device;
    const expected = { nodePub, nodeId: expectedNodeId };
    const plan = { origin, nonce: random(32), uid: account.uid, hello: this.#helloNow(), expected };
    const pin = (key: Uint8Array) => {
      this.#pin = key;
      return pins.set(origin, key);
    };
    const nodeNow = () => this.nodeNow();
    this.#attempt = new LoginAttempt(
      { plan, device, agent, dialSocket, clock, nodeNow, pin },
      {
        connected: (session) => this.#connected(session, device),
        message: (message) => this.#hear(message),
        ended: (failure) => this.#ended(failure),
        surprised: (error) => this.#parts.events.surprised(error),
      },
    );
  }

  #helloNow(): LoginPurpose {
    const { username, certificate } = this.#parts.account;
    switch (this.#hello) {
      case 'register':
        return { purpose: 'register', username, certificate };
      case 'login':
        return { purpose: 'login', username };
      case 'resume':
        return { purpose: 'resume', did: this.#device.did };
      default:
        return this.#hello satisfies never;
    }
  }

  #connected(session: LoginSession, device: Device): void {
    const now = this.#parts.clock.now();
    this.#publisher.certificateIsKnown(device.certificate);
    this.#hello = 'resume';
    const offset = session.nodeTime - now;
    this.#clockOffset = Math.abs(offset) <= believableOffset ? offset : 0;
    this.#connectedAt = now;
    this.#heardAt = now;
    this.#complaint = undefined;
    this.#change({ state: 'connected', session });
    if (this.#state.state !== 'connected') return;
    this.#publisher.publish(this.#device);
    this.#watchQuiet();
  }

  #ended(failure: ConnectionFailure): void {
    const { clock } = this.#parts;
    const wasConnected = this.#state.state === 'connected';
    if (wasConnected && clock.now() - this.#connectedAt >= settledAfter) this.#failures = 0;
    const sentProof = this.#attempt?.proof === 'sent';
    const explained = this.#explained(failure);
    this.#drop();
    if (!wasConnected && this.#hasOtherWay(failure, sentProof)) {
      this.#dial();
      return;
    }
    this.#offline(explained);
  }

  /** A refused resume becomes a login; a registration that may have happened becomes one too, and back if it had not. */
  #hasOtherWay(failure: ConnectionFailure, sentProof: boolean): boolean {
    const code = failure.by === 'node' ? failure.code : undefined;
    if (this.#hello === 'resume' && code === 'device-refused') {
      this.#hello = 'login';
      return true;
    }
    if (this.#hello === 'register' && sentProof && failure.by === 'connection') {
      this.#hello = 'login';
      this.#registered = 'maybe';
      return false;
    }
    if (this.#hello === 'login' && code === 'unknown-user' && this.#registered === 'maybe') {
      this.#hello = 'register';
      this.#registered = 'unknown';
      return true;
    }
    return false;
  }

  #offline(reason: ConnectionFailure): void {
    const { clock, random } = this.#parts;
    if (whenToRetry(reason) !== 'soon') {
      this.#change({ state: 'offline', reason, nextTryAt: undefined });
      return;
    }
    const asked = Math.max(this.#awayTime, reason.by === 'node' ? reason.retryAfter : 0);
    const delay = Math.min(asked, longestAway) + backOff(this.#failures, random);
    this.#failures += 1;
    this.#stopRetry = clock.after(delay, () => this.#dial());
    this.#change({ state: 'offline', reason, nextTryAt: clock.now() + delay });
  }

  /** "Closed" alone says less than what the node said just before. */
  #explained(failure: ConnectionFailure): ConnectionFailure {
    const complaint = this.#complaint;
    const isClose = failure.by === 'connection' && failure.code === 'lost';
    if (!isClose || complaint === undefined) return failure;
    return this.#parts.clock.now() - complaint.at <= complaintTime ? complaint.failure : failure;
  }

  #drop(): void {
    this.#stopQuiet();
    this.#publisher.pause();
    this.#attempt?.close();
    this.#attempt = undefined;
    this.#requests.refuseAll();
  }

  #change(state: NodeState): void {
    this.#state = state;
    this.#parts.events.changed(state);
  }

  // --- connected

  #hear(message: NodeMessage): void {
    this.#heardAt = this.#parts.clock.now();
    const heard = this.#requests.hear(message);
    if (heard === 'misfit') this.#attempt?.end({ by: 'connection', code: 'bad-answer' });
    if (heard !== 'unasked' || !isNews(message)) return;
    if (message.type === 'stopping') this.#awayTime = message.retryAfter;
    if (message.type === 'refused') this.#complained(message);
    this.#parts.events.news(message);
  }

  #complained({ code, retryAfter }: { code: NodeErrorCode; retryAfter: number }): void {
    const failure: ConnectionFailure = { by: 'node', code, retryAfter };
    this.#complaint = { failure, at: this.#parts.clock.now() };
    if (code === 'replaced') this.#attempt?.end(failure);
  }

  #unanswered(): void {
    if (this.#parts.clock.now() - this.#heardAt < answerTime) return;
    this.#attempt?.end({ by: 'connection', code: 'silent' });
  }

  #watchQuiet(): void {
    const { clock } = this.#parts;
    const due = this.#heardAt + quietTime - clock.now();
    this.#stopQuiet = clock.after(due > 0 ? due : quietTime, () => {
      if (clock.now() - this.#heardAt >= quietTime) this.#probe();
      this.#watchQuiet();
    });
  }

  /** Asks for mail that cannot be there; only that an answer comes matters. */
  #probe(): void {
    this.request({ type: 'get-mail', box: { of: 'device', did: this.#device.did }, after: 0xffff_ffff }).catch(
      (error: unknown) => {
        if (!(error instanceof NodeRefusal)) this.#parts.events.surprised(error);
      },
    );
  }
}

function isNews(message: NodeMessage): message is NodeNews {
  switch (message.type) {
    case 'log-grew':
    case 'mail-came':
    case 'roster':
    case 'presence':
    case 'relayed':
    case 'stopping':
    case 'refused':
      return true;
    default:
      return false;
  }
}
