// Questions to the node and the answers that belong to them, by request number.
import type { NodeErrorCode } from '../wire/errors.ts';
import type { ClientMessage, NodeMessage } from '../wire/node-messages.ts';
import type { Clock, Stop } from './ports.ts';

type Numbered = Extract<ClientMessage, { request: number }>;
type WithoutNumber<M> = M extends { request: number } ? Omit<M, 'request'> : never;
/** A client message that the node answers, before it has its number. */
export type NodeQuestion = WithoutNumber<Numbered>;

/** What may answer each question, besides `refused`. */
const answersTo = {
  'look-up': ['found'],
  'publish-lock-key': ['done'],
  'publish-device': ['done'],
  'publish-certificate': ['done'],
  'put-shard': ['done'],
  'get-shard': ['shard'],
  append: ['appended', 'conflict'],
  'get-log': ['log-page'],
  follow: ['done'],
  'post-mail': ['done'],
  'get-mail': ['mail-page'],
  'drop-mail': ['done'],
  relay: ['done'],
} as const satisfies Record<Numbered['type'], readonly NodeMessage['type'][]>;

type AnswerType<Q extends NodeQuestion['type']> = (typeof answersTo)[Q][number];
export type NodeAnswer<Q extends NodeQuestion['type']> = Extract<NodeMessage, { type: AnswerType<Q> }>;

/** 'offline': not connected, or the connection ended first; 'silent': no answer in time. In both the node may have done it. */
export type NodeRefusalCode = NodeErrorCode | 'offline' | 'silent';

/** Why the node did not do what it was asked. */
export class NodeRefusal extends Error {
  readonly code: NodeRefusalCode;
  /** Ms until it is worth another try; 0 where nobody knows. */
  readonly retryAfter: number;

  constructor(code: NodeRefusalCode, retryAfter = 0) {
    super(`node refused: ${code}`);
    this.name = 'NodeRefusal';
    this.code = code;
    this.retryAfter = retryAfter;
  }
}

type Waiting = {
  question: NodeQuestion['type'];
  answer(message: NodeMessage): void;
  refuse(refusal: NodeRefusal): void;
  stopTimer: Stop;
};

export const answerTime = 15_000;
const greatestNumber = 0xffff_ffff;

export class NodeRequests {
  readonly #clock: Clock;
  readonly #silent: () => void;
  readonly #waiting = new Map<number, Waiting>();
  #lastNumber = 0;

  /** `silent`: called when a question has had no answer for 15 s. */
  constructor(clock: Clock, silent: () => void) {
    this.#clock = clock;
    this.#silent = silent;
  }

  /** Numbers the question, sends it and waits. Rejects with NodeRefusal, or WireRefusal for a question that cannot be written. */
  async ask<Q extends NodeQuestion>(question: Q, send: (message: ClientMessage) => void): Promise<NodeAnswer<Q['type']>> {
    const { type } = question;
    const request = this.#nextNumber();
    send({ ...question, request });
    return new Promise((resolve, reject) => {
      const stopTimer = this.#clock.after(answerTime, () => {
        this.#take(request)?.refuse(new NodeRefusal('silent'));
        this.#silent();
      });
      const answer = (message: NodeMessage) => {
        if (isAnswerTo<Q['type']>(type, message)) resolve(message);
      };
      this.#waiting.set(request, { question: type, answer, refuse: reject, stopTimer });
    });
  }

  /** 'unasked': belongs to no question. 'late': answers one that was given up. 'misfit': no answer to the question it names. */
  hear(message: NodeMessage): 'answered' | 'late' | 'unasked' | 'misfit' {
    if (!('request' in message) || message.request === 0) return 'unasked';
    const waiting = this.#take(message.request);
    if (waiting === undefined) return 'late';
    if (message.type === 'refused') {
      waiting.refuse(new NodeRefusal(message.code, message.retryAfter));
      return 'answered';
    }
    if (!isAnswerTo(waiting.question, message)) {
      waiting.refuse(new NodeRefusal('offline'));
      return 'misfit';
    }
    waiting.answer(message);
    return 'answered';
  }

  /** The connection ended: nothing will be answered any more. */
  refuseAll(): void {
    for (const request of [...this.#waiting.keys()]) this.#take(request)?.refuse(new NodeRefusal('offline'));
  }

  #take(request: number): Waiting | undefined {
    const waiting = this.#waiting.get(request);
    this.#waiting.delete(request);
    waiting?.stopTimer();
    return waiting;
  }

  #nextNumber(): number {
    this.#lastNumber = this.#lastNumber === greatestNumber ? 1 : this.#lastNumber + 1;
    return this.#lastNumber;
  }
}

function isAnswerTo<Q extends NodeQuestion['type']>(question: Q, message: NodeMessage): message is NodeAnswer<Q> {
  return answersTo[question].some((type) => type === message.type);
}
