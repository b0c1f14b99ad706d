// What simple-peer gets in place of packages it asks for. It extends a stream of Node's, whose stand-in for browsers weighs 24 kB gzip with all it
// needs, a fifth of the script before the first chat; but simple-peer-link.ts sends on the channel itself, so that of the stream only events are used.
import { hex } from '../../wire/bytes.ts';

type Listener = (...values: unknown[]) => void;

/** For `readable-stream`. What is pushed waits, in order, until somebody listens for 'data'. */
export class Duplex {
  /** simple-peer ends streams that have not ended when it is destroyed; nobody here would hear of it. */
  readonly _readableState = { ended: true };
  readonly _writableState = { finished: true };
  readonly #listeners = new Map<string, Listener[]>();
  #waiting: unknown[] = [];

  on(name: string, listener: Listener): this {
    this.#listeners.set(name, [...this.#listenersOf(name), listener]);
    if (name === 'data') for (const value of this.#waiting.splice(0)) this.emit('data', value);
    return this;
  }

  once(name: string, listener: Listener): this {
    const once: Listener = (...values) => {
      this.removeListener(name, once);
      listener.apply(this, values);
    };
    return this.on(name, once);
  }

  removeListener(name: string, listener: Listener): this {
    this.#listeners.set(
      name,
      this.#listenersOf(name).filter((one) => one !== listener),
    );
    return this;
  }

  emit(name: string, ...values: unknown[]): boolean {
    const listeners = this.#listenersOf(name);
    for (const listener of listeners) listener.apply(this, values);
    return listeners.length > 0;
  }

  push(value: unknown): void {
    if (!this.emit('data', value)) this.#waiting.push(value);
  }

  #listenersOf(name: string): Listener[] {
    return this.#listeners.get(name) ?? [];
  }
}

/** For `buffer`: what came over a channel, as bytes. */
export const Buffer = {
  from: (bytes: ArrayBuffer): Uint8Array => new Uint8Array(bytes),
};

/** For `randombytes`: simple-peer makes names of them, in hex. */
export function randomBytes(length: number): { toString(encoding: 'hex'): string } {
  const bytes = crypto.getRandomValues(new Uint8Array(length));
  return { toString: () => hex(bytes) };
}

/** Errors of the browser have a code of their own that cannot be assigned to. */
export function withCode(error: Error, code: string): Error {
  return Object.defineProperty(error, 'code', { value: code, enumerable: true, configurable: true });
}
