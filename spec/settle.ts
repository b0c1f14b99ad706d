// Waits until nothing in this process is under way but timers and sockets: promises, and WebCrypto's jobs on other threads.

let jobs = 0;
watchCrypto();

/** Resolves once no promise can go on by itself. Uses no time. */
export async function settle(): Promise<void> {
  for (let quietTurns = 0; quietTurns < 2; quietTurns = jobs > 0 ? 0 : quietTurns + 1) {
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}

// WebCrypto answers from a thread, so that "no microtask left" does not mean "nothing will happen". On the prototype, because
// OpenPGP.js takes hold of crypto.subtle while it is imported, which may be before this.
function watchCrypto(): void {
  const prototype: object = Object.getPrototypeOf(crypto.subtle);
  for (const name of Object.getOwnPropertyNames(prototype)) {
    const method: unknown = Reflect.get(prototype, name);
    if (typeof method !== 'function' || name === 'constructor') continue;
    const counting = function (this: unknown, ...args: unknown[]): unknown {
      const result: unknown = Reflect.apply(method, this, args);
      if (result instanceof Promise) count(result);
      return result;
    };
    Object.defineProperty(prototype, name, { value: counting, configurable: true });
  }
}

function count(job: Promise<unknown>): void {
  jobs += 1;
  const done = () => {
    jobs -= 1;
  };
  job.then(done, done);
}
