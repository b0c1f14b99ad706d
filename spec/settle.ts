// Waits until nothing in this process is under way but timers and sockets: promises, and WebCrypto's jobs on other threads.

let jobs = 0;
watchCrypto();

/** Resolves once no promise can go on by itself. Uses no time. */
export async function settle(): Promise<void> {
  for (let quietTurns = 0; quietTurns < 2; quietTurns = jobs > 0 ? 0 : quietTurns + 1) {
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}

// WebCrypto answers from a thread, so that "no microtask left" does not mean "nothing will happen".
function watchCrypto(): void {
  const counting = new Proxy(crypto.subtle, {
    get(subtle, name) {
      const method: unknown = Reflect.get(subtle, name);
      if (typeof method !== 'function') return method;
      return (...args: unknown[]) => {
        const result: unknown = Reflect.apply(method, subtle, args);
        if (!(result instanceof Promise)) return result;
        jobs += 1;
        const done = () => {
          jobs -= 1;
        };
        result.then(done, done);
        return result;
      };
    },
  });
  Object.defineProperty(crypto, 'subtle', { value: counting, configurable: true });
}
