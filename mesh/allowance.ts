// What one neighbour may cost: so much at once, then so much per second.
import type { Clock } from './ports.ts';

export class Allowance {
  readonly #clock: Clock;
  readonly #perSecond: number;
  readonly #burst: number;
  #left: number;
  #at: number;

  constructor(parts: { clock: Clock; perSecond: number; burst: number }) {
    this.#clock = parts.clock;
    this.#perSecond = parts.perSecond;
    this.#burst = parts.burst;
    this.#left = parts.burst;
    this.#at = parts.clock.now();
  }

  take(cost = 1): 'granted' | 'spent' {
    const now = this.#clock.now();
    this.#left = Math.min(this.#burst, this.#left + (Math.max(0, now - this.#at) * this.#perSecond) / 1000);
    this.#at = now;
    if (this.#left < cost) return 'spent';
    this.#left -= cost;
    return 'granted';
  }
}
