// Time and unpredictable bytes in a browser.
import type { Clock, Random } from '../../mesh/ports.ts';

/** Longer timers fire at once in browsers. */
const longestTimer = 2 ** 31 - 1;

export const browserClock: Clock = {
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

/** The most that getRandomValues gives at once. */
const mostAtOnce = 65536;

export const browserRandom: Random = (length) => {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at += mostAtOnce) crypto.getRandomValues(bytes.subarray(at, at + mostAtOnce));
  return bytes;
};
