// The standard output, line by line, knowing when a line has left this process.
import type { Writable } from 'node:stream';

export class Output {
  readonly #stream: Writable;

  /** `gone`: nobody reads any more. `drained`: there is room again after `isStalled`. */
  constructor(stream: Writable, events: { gone(): void; drained(): void }) {
    this.#stream = stream;
    stream.on('error', () => events.gone());
    stream.on('drain', () => events.drained());
  }

  /** Lines wait in this process because the reader is slow. */
  get isStalled(): boolean {
    return this.#stream.writableLength > 0;
  }

  /** `left` runs when the system has the line: at once, unless the reader is slow; never when it is gone. */
  print(line: string, left: () => void = () => undefined): void {
    let hasLeft = false;
    const leaves = (error?: Error | null) => {
      if (hasLeft || (error !== undefined && error !== null)) return;
      hasLeft = true;
      left();
    };
    this.#stream.write(`${line}\n`, leaves);
    // Files, terminals and pipes with room take it within that call.
    if (this.#stream.writableLength === 0 && this.#stream.errored === null && !this.#stream.destroyed) leaves();
  }

  /** When all lines have left, or nobody reads any more. */
  finished(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#stream.destroyed || this.#stream.errored !== null) resolve();
      else this.#stream.write('', () => resolve());
    });
  }
}
