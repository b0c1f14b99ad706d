// The standard input line by line, and the prompt where it is a terminal.
import { createInterface, type Interface } from 'node:readline';
import { Writable } from 'node:stream';

type Input = NodeJS.ReadableStream & { isTTY?: boolean };
type Screen = NodeJS.WritableStream & { isTTY?: boolean };
type Taker = { line(line: string): void; end(): void };

export class Lines {
  readonly isTerminal: boolean;
  readonly #screen: Screen;
  readonly #reader: Interface;
  readonly #waiting: string[] = [];
  #taker: Taker | undefined;
  /** Until lines are messages, what is typed may be a passphrase, even before it is asked for. */
  #echo: 'shown' | 'hidden' = 'hidden';
  #prompt: 'off' | 'on' = 'off';
  #isOver = false;

  /** `screen` is where a terminal shows what is typed; `interrupted`: Ctrl-C there. */
  constructor(parts: { input: Input; screen: Screen; interrupted(): void }) {
    const { input, screen } = parts;
    this.#screen = screen;
    this.isTerminal = input.isTTY === true && screen.isTTY === true;
    const output = new Writable({
      write: (part, _encoding, done) => {
        if (this.#echo === 'shown') screen.write(part);
        done();
      },
    });
    // Without a history: an arrow key must not bring back a passphrase.
    this.#reader = createInterface({
      input,
      ...(this.isTerminal ? { output } : {}),
      terminal: this.isTerminal,
      historySize: 0,
      prompt: '> ',
    });
    this.#reader.on('line', (line) => this.#came(line));
    this.#reader.on('SIGINT', () => parts.interrupted());
    this.#reader.on('close', () => this.#over());
  }

  /** The next line; undefined at the end. Before `each`. */
  next(): Promise<string | undefined> {
    const line = this.#waiting.shift();
    if (line !== undefined || this.#isOver) return Promise.resolve(line);
    return new Promise((resolve) => {
      const take = (taken: string | undefined) => {
        this.#taker = undefined;
        resolve(taken);
      };
      this.#taker = { line: take, end: () => take(undefined) };
    });
  }

  /** Asks on the terminal, and shows nothing of what is typed. Before `each`. */
  async secret(question: string): Promise<string | undefined> {
    this.#screen.write(question);
    const answer = await this.next();
    this.#screen.write('\n');
    return answer;
  }

  /** From here on every line goes there, those that waited first. */
  each(taker: Taker): void {
    this.#taker = taker;
    this.#echo = 'shown';
    if (this.isTerminal) {
      this.#prompt = 'on';
      this.#reader.prompt();
    }
    for (const line of this.#waiting.splice(0)) taker.line(line);
    if (this.#isOver) taker.end();
  }

  /** Prints without tearing up what is being typed. */
  around(print: () => void): void {
    if (this.#prompt === 'on') this.#screen.write('\r\x1b[J');
    print();
    if (this.#prompt === 'on') this.#reader.prompt(true);
  }

  close(): void {
    if (this.#prompt === 'on') this.#screen.write('\r\x1b[J');
    this.#prompt = 'off';
    this.#taker = undefined;
    this.#reader.close();
  }

  #came(line: string): void {
    // What was typed comes back as a message, in its place: away with the copy.
    if (this.#prompt === 'on') this.#screen.write('\x1b[1A\r\x1b[J');
    if (this.#taker === undefined) this.#waiting.push(line);
    else this.#taker.line(line);
    if (this.#prompt === 'on') this.#reader.prompt();
  }

  #over(): void {
    this.#isOver = true;
    this.#taker?.end();
  }
}
