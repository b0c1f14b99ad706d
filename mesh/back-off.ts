// How long to wait before the next try to reach a node.
import type { Random } from './ports.ts';

const shortest = 250;
const growth = 1.3;
const longest = 10_000;

/** Milliseconds before try number `failures` + 1: between half and all of 250 · 1.3^failures, at most 10 s; chance keeps clients of a restarted node apart. */
export function backOff(failures: number, random: Random): number {
  const whole = Math.min(shortest * growth ** failures, longest);
  const [high = 0, low = 0] = random(2);
  return whole * (0.5 + (high * 256 + low) / 131_072);
}
