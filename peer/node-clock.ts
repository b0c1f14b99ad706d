// Time and unpredictable bytes in Node.
import { randomBytes } from 'node:crypto';
import type { Clock, Random } from '../mesh/ports.ts';

/** Longer timers fire at once in Node. */
const longestTimer = 2 ** 31 - 1;

export const nodeClock: Clock = {
  now: () => Date.now(),
  after(ms, run) {
    const wait = Math.min(Math.max(0, ms), longestTimer);
    let timer = setTimeout(step, wait);
    let left = ms - wait;
    function step() {
      if (left <= 0) return run();
      const next = Math.min(left, longestTimer);
      left -= next;
      timer = setTimeout(step, next);
    }
    return () => clearTimeout(timer);
  },
};

export const nodeRandom: Random = (length) => new Uint8Array(randomBytes(length));
