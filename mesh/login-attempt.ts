// One socket to the node: does what the login machine says, then passes messages. Ends once, with the reason.
import type { Device } from '../keys/device.ts';
import { nodeIdOf } from '../keys/identity.ts';
import { KeyRefusal } from '../keys/key-refusal.ts';
import { type ChallengeOpener, checkNodeAuth, checkNodeHello, makeClientAuth, openChallenge } from '../keys/login-challenge.ts';
import { decode, encode } from '../wire/codec.ts';
import { type NameClaim, nameClaimBody } from '../wire/login-messages.ts';
import { type ClientMessage, clientMessage, type NodeMessage, nodeMessage } from '../wire/node-messages.ts';
import { WireRefusal } from '../wire/refusal.ts';
import type { ConnectionFailure } from './connection-failure.ts';
import {
  type LoginEffect,
  type LoginEvent,
  type LoginPlan,
  type LoginSession,
  type LoginState,
  startLogin,
  stepLogin,
} from './login.ts';
import type { Clock, DialSocket, Socket, Stop } from './ports.ts';

/** What the login asks of the key agent. */
export interface LoginAgent extends ChallengeOpener {
  sign(parts: { purpose: 'name-claim'; body: Uint8Array; now: number }): Promise<Uint8Array>;
}

export type LoginAttemptParts = {
  plan: LoginPlan;
  device: Device;
  agent: LoginAgent;
  dialSocket: DialSocket;
  clock: Clock;
  /** The node's time as far as it is known, for what the person signs. */
  nodeNow(): number;
  pin(nodePub: Uint8Array): Promise<void>;
};

export type LoginAttemptEvents = {
  connected(session: LoginSession): void;
  /** Of a connected socket. */
  message(message: NodeMessage): void;
  /** Exactly once unless `close` was called; then nothing more comes. */
  ended(failure: ConnectionFailure): void;
  /** An error that no input should cause, for the log. */
  surprised(error: unknown): void;
};

export class LoginAttempt {
  readonly #parts: LoginAttemptParts;
  readonly #events: LoginAttemptEvents;
  readonly #socket: Socket;
  #state: LoginState;
  #proof: 'kept' | 'sent' = 'kept';
  #stopTimer: Stop = () => undefined;
  #isOver = false;

  /** Dials at once. */
  constructor(parts: LoginAttemptParts, events: LoginAttemptEvents) {
    this.#parts = parts;
    this.#events = events;
    const [state, effects] = startLogin(parts.plan);
    this.#state = state;
    this.#socket = parts.dialSocket(parts.plan.origin, {
      opened: () => this.#happen({ on: 'opened' }),
      message: (bytes) => this.#hear(bytes),
      closed: () => this.#closed(),
    });
    for (const effect of effects) this.#perform(effect);
  }

  /** True from the login until the end. */
  get isConnected(): boolean {
    return !this.#isOver && this.#state.at === 'connected';
  }

  /** 'sent': ClientAuth has gone out, so a registration may have happened although its answer never came. */
  get proof(): 'kept' | 'sent' {
    return this.#proof;
  }

  send(message: ClientMessage): void {
    this.#socket.send(encode(clientMessage, message));
  }

  /** Gives the socket up for this reason. */
  end(failure: ConnectionFailure): void {
    if (this.#isOver) return;
    this.close();
    this.#events.ended(failure);
  }

  /** Without further events. */
  close(): void {
    this.#isOver = true;
    this.#stopTimer();
    this.#socket.close();
  }

  #hear(bytes: Uint8Array): void {
    if (this.#isOver) return;
    const message = parsed(bytes);
    if (this.#state.at !== 'connected') this.#happen(message === undefined ? { on: 'malformed' } : { on: 'message', message });
    else if (message === undefined || message.type === 'node-hello' || message.type === 'node-auth')
      this.end({ by: 'connection', code: 'bad-answer' });
    else this.#events.message(message);
  }

  #closed(): void {
    if (this.#state.at === 'connected') this.end({ by: 'connection', code: 'lost' });
    else this.#happen({ on: 'closed' });
  }

  #happen(event: LoginEvent): void {
    if (this.#isOver) return;
    const [state, effects] = stepLogin(this.#state, event);
    this.#state = state;
    for (const effect of effects) this.#perform(effect);
  }

  #perform(effect: LoginEffect): void {
    switch (effect.do) {
      case 'timer':
        this.#stopTimer();
        this.#stopTimer = this.#parts.clock.after(effect.ms, () => this.#happen({ on: 'timeout' }));
        return;
      case 'send':
        if (this.#state.at === 'auth-sent') this.#proof = 'sent';
        this.#socket.send(effect.bytes);
        return;
      case 'connected':
        this.#stopTimer();
        this.#events.connected(effect.session);
        return;
      case 'fail':
        this.end(effect.failure);
        return;
      case 'pin':
        this.#parts.pin(effect.nodePub).catch((error: unknown) => this.#events.surprised(error));
        return;
      default:
        this.#compute(effect).then(
          (event) => this.#happen(event),
          (error: unknown) => this.#stumble(error),
        );
    }
  }

  async #compute(
    effect: Extract<LoginEffect, { do: 'check-hello' | 'open-challenge' | 'make-auth' | 'check-auth' }>,
  ): Promise<LoginEvent> {
    const { agent, device, plan, clock } = this.#parts;
    switch (effect.do) {
      case 'check-hello':
        return { on: 'hello-checked', checked: await checkNodeHello(effect) };
      case 'open-challenge':
        // Our own clock, because the agent counts challenges by it: a node must not be able to make a minute pass.
        return { on: 'challenge-opened', macKey: await openChallenge({ ...effect, agent, uid: plan.uid, now: clock.now() }) };
      case 'make-auth': {
        const { th1, macKey } = effect;
        const nameClaim = effect.nameClaim && (await this.#claim(effect.nameClaim));
        const auth = await makeClientAuth({ th1, macKey, device, nameClaim });
        return { on: 'auth-made', authBytes: encode(clientMessage, { type: 'client-auth', ...auth }) };
      }
      case 'check-auth':
        return { on: 'auth-checked', isGood: await checkNodeAuth(effect) };
      default:
        return effect satisfies never;
    }
  }

  async #claim({ nodePub, username }: { nodePub: Uint8Array; username: string }): Promise<NameClaim> {
    const now = this.#parts.nodeNow();
    const body = encode(nameClaimBody, { nodeId: nodeIdOf(nodePub), uid: this.#parts.plan.uid, username, createdAt: now });
    return { body, openPgpSignature: await this.#parts.agent.sign({ purpose: 'name-claim', body, now }) };
  }

  #stumble(error: unknown): void {
    if (error instanceof KeyRefusal) {
      this.#happen({ on: 'key-refused', code: error.code });
      return;
    }
    this.#events.surprised(error);
    this.#happen({ on: 'surprise' });
  }
}

function parsed(bytes: Uint8Array): NodeMessage | undefined {
  try {
    return decode(nodeMessage, bytes);
  } catch (error) {
    if (error instanceof WireRefusal) return undefined;
    throw error;
  }
}
