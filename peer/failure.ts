// What ends a headless peer: a code for programs, a sentence for people, and the exit status.

const exits = { surprise: 1, flags: 2, key: 3, node: 4, data: 5 } as const;

/** Whoever throws it has nothing more to do; main prints it. */
export class CannotGoOn extends Error {
  readonly code: string;
  readonly exit: number;

  constructor(whose: keyof typeof exits, code: string, sentence: string) {
    super(sentence);
    this.name = 'CannotGoOn';
    this.code = code;
    this.exit = exits[whose];
  }
}
