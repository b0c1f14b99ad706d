// One after the other: what must not run twice at a time takes turns.

export class Turns {
  #last: Promise<void> = Promise.resolve();
  #shared: Promise<void> | undefined;

  /** Runs when all that came before has ended, well or badly. */
  take<T>(run: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(run);
    this.#last = turn.then(
      () => undefined,
      () => undefined,
    );
    return turn;
  }

  /** As `take`, but all who ask before it has begun share one run: for work that sees all that is there when it begins. One kind per Turns. */
  share(run: () => Promise<void>): Promise<void> {
    this.#shared ??= this.take(() => {
      this.#shared = undefined;
      return run();
    });
    return this.#shared;
  }
}

/** At most so many at a time; the others wait in their order. */
export class Slots {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(slots: number) {
    this.#free = slots;
  }

  async take<T>(run: () => Promise<T>): Promise<T> {
    if (this.#free === 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#free--;
    try {
      return await run();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free++;
      else next();
    }
  }
}
