// The node's log: one line per happening, without addresses and without secrets; and how often things happened.
import type { NodeClock } from './clock.ts';

/** `who`: a user name, or what stands for a stranger. */
export type Happening = { who: string; what: string; code?: string; ms?: number };

export type Counters = { signedIn: number; refused: number; relayed: number; appended: number; posted: number };

export class Happenings {
  readonly counters: Counters = { signedIn: 0, refused: 0, relayed: 0, appended: 0, posted: 0 };
  readonly #clock: NodeClock;
  readonly #perSecond: number;
  readonly #print: (line: string) => void;
  #second = 0;
  #lines = 0;

  constructor({ clock, perSecond, print }: { clock: NodeClock; perSecond: number; print(line: string): void }) {
    this.#clock = clock;
    this.#perSecond = perSecond;
    this.#print = print;
  }

  /** Strangers must not fill the disk with our log: what is above the rate is counted. */
  log({ who, what, code, ms }: Happening): void {
    const second = Math.floor(this.#clock.now() / 1000);
    if (second !== this.#second) {
      if (this.#lines > this.#perSecond) this.#print(`${this.#lines - this.#perSecond} more lines in that second`);
      this.#second = second;
      this.#lines = 0;
    }
    this.#lines += 1;
    if (this.#lines > this.#perSecond) return;
    this.#print([who, what, ...(code === undefined ? [] : [`(${code})`]), ...(ms === undefined ? [] : [`${ms} ms`])].join(' '));
  }
}
