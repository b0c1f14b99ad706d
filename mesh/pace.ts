// Not more often than it is good for: what others can ask for at will is done at once the first time, then once per pause.
import type { Clock, Stop } from './ports.ts';

export class Pace {
  readonly #clock: Clock;
  readonly #pause: number;
  readonly #run: () => void;
  #last = Number.NEGATIVE_INFINITY;
  #timer: Stop | undefined;

  /** `pause` in ms. */
  constructor(parts: { clock: Clock; pause: number; run: () => void }) {
    this.#clock = parts.clock;
    this.#pause = parts.pause;
    this.#run = parts.run;
  }

  /** Now, or when the pause is over: asking again meanwhile changes nothing. */
  ask(): void {
    if (this.#timer !== undefined) return;
    const wait = this.#last + this.#pause - this.#clock.now();
    if (wait <= 0) return this.#do();
    this.#timer = this.#clock.after(wait, () => {
      this.#timer = undefined;
      this.#do();
    });
  }

  /** What was asked for and has not been done is not done any more. */
  stop(): void {
    this.#timer?.();
    this.#timer = undefined;
  }

  #do(): void {
    this.#last = this.#clock.now();
    this.#run();
  }
}
