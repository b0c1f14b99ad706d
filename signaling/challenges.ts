// Logins that wait for ClientAuth: each is good for one answer, for a while, and there is a bound to how many wait.
import type { OpenChallenge } from '../keys/login-challenge.ts';
import type { Did, Uid } from '../wire/ids.ts';
import { limits } from '../wire/limits.ts';
import type { NodeLimits } from './limits.ts';

/** Who is proving what, as ClientHello said. */
export type PersonsAttempt = { uid: Uid; username: string; certificate: Uint8Array; byHand: boolean; open: OpenChallenge } & (
  | { purpose: 'login' | 'register' }
  | { purpose: 'resume'; did: Did; signPub: Uint8Array; deviceCert: Uint8Array }
);

/** A device that is not known here hears who the node is before it hears that: otherwise it would tell its owner's name to anyone. */
export type Attempt = PersonsAttempt | { purpose: 'unknown-device'; byHand: false; open: OpenChallenge };

/** Stands for one waiting attempt. */
export type Ticket = { readonly attempt: Attempt; readonly expiresAt: number };

export class Challenges {
  readonly #waiting = new Set<Ticket>();
  readonly #most: number;
  #byHand = 0;

  constructor({ limits: { challenges } }: { limits: NodeLimits }) {
    this.#most = challenges;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** Asked before the work of making one. Those by hand live long, and may take half. */
  hasRoom(byHand: boolean): boolean {
    return this.#waiting.size < this.#most && (!byHand || this.#byHand < this.#most / 2);
  }

  put(attempt: Attempt, now: number): Ticket {
    const ticket = { attempt, expiresAt: now + (attempt.byHand ? limits.challengeLifeByHand : limits.challengeLife) };
    this.#waiting.add(ticket);
    if (attempt.byHand) this.#byHand += 1;
    return ticket;
  }

  /** Once; and so that the socket's end frees it. */
  take(ticket: Ticket, now: number): 'taken' | 'expired' | 'used' {
    if (!this.#waiting.delete(ticket)) return 'used';
    if (ticket.attempt.byHand) this.#byHand -= 1;
    return now < ticket.expiresAt ? 'taken' : 'expired';
  }
}
