// Decides which messages are to be printed now: each once, in the order that everybody computes, late ones when they come.
import type { Group } from '../mesh/group.ts';
import type { Clock } from '../mesh/ports.ts';
import type { Placed, TranscriptEntry } from '../mesh/transcript.ts';
import type { Printed } from './printed.ts';

/** A message waits this long for one before it that itself waits: then it comes first, so that nobody can hold up the others. */
const patience = 2_000;

/** What it needs of a group. */
export type ShownGroup = Pick<Group, 'transcript' | 'isHeldBack'>;

export class TranscriptPrinter {
  readonly #printed: Printed;
  readonly #clock: Clock;
  readonly #done = new WeakSet<Placed>();
  readonly #sizes = new WeakMap<ShownGroup, number>();

  constructor(parts: { printed: Printed; clock: Clock }) {
    this.#printed = parts.printed;
    this.#clock = parts.clock;
  }

  /**
   * Gives what is due to `print`, which says when the line has left, or that there is no room now: 'full' ends the round. 'waiting': look again
   * after `patience` at the latest.
   */
  round(group: ShownGroup, print: (entry: TranscriptEntry, left: () => void) => 'printed' | 'full'): 'all' | 'waiting' {
    if (this.#sizes.get(group) === group.transcript.size) return 'all';
    let isBlocked = false;
    for (const placed of group.transcript.inOrder()) {
      if (this.#done.has(placed)) continue;
      const { entry } = placed;
      if (!isShown(entry) || this.#printed.has(entry.id)) {
        this.#done.add(placed);
        continue;
      }
      const isDue = this.#clock.now() - entry.storedAt >= patience;
      isBlocked ||= group.isHeldBack(entry);
      if (isBlocked && !isDue) continue;
      if (print(entry, () => this.#printed.add(entry.id)) === 'full') return 'waiting';
      this.#done.add(placed);
    }
    if (isBlocked) return 'waiting';
    this.#sizes.set(group, group.transcript.size);
    return 'all';
  }
}

/** Receipts and nicknames are no messages. What cannot be read takes a line, so that nobody misses it unknowingly. */
function isShown({ body }: TranscriptEntry): boolean {
  return body === undefined || body.kind === 'text';
}
