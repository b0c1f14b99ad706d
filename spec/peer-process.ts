// Headless peers as real processes for specs: started by flags, talked to by lines, killed at will.
import { type ChildProcess, spawn } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Writable } from 'node:stream';
import { build } from 'esbuild';
import type { Happening } from '../peer/happenings.ts';
import { until } from './crew.ts';

const root = join(import.meta.dirname, '..');

/** The peer bundled as the build does it, beside what the build makes: its packages are found from there. */
export class PeerProgram {
  readonly path = join(root, 'dist', `peer-of-spec-${process.pid}.mjs`);

  async build(): Promise<void> {
    await build({
      ...{ absWorkingDir: root, entryPoints: ['peer/main.ts'], outfile: this.path, logLevel: 'warning' },
      ...{ bundle: true, format: 'esm', platform: 'node', packages: 'external', target: 'node20' },
    });
  }

  async remove(): Promise<void> {
    await rm(this.path, { force: true });
  }
}

export type Ended = { code: number | null; signal: NodeJS.Signals | null };

export class PeerProcess {
  readonly process: ChildProcess;
  /** Whole lines of the standard output. */
  readonly lines: string[] = [];
  /** The same, where they are objects. */
  readonly happenings: Happening[] = [];
  readonly ended: Promise<Ended>;
  complaints = '';
  #isOver = false;

  /** `passphrase` goes through descriptor 3; undefined: it is closed at once. */
  constructor(parts: { program: PeerProgram; args: string[]; passphrase: string | undefined }) {
    const args = parts.passphrase === undefined ? parts.args : [...parts.args, '--passphrase-fd', '3'];
    this.process = spawn(process.execPath, [parts.program.path, ...args], { stdio: ['pipe', 'pipe', 'pipe', 'pipe'] });
    const { stdout, stderr, stdin, stdio } = this.process;
    if (stdout === null || stderr === null || stdin === null) throw new Error('no pipes');
    createInterface({ input: stdout }).on('line', (line) => this.#heard(line));
    stderr.setEncoding('utf8').on('data', (text: string) => {
      this.complaints += text;
    });
    stdin.on('error', () => undefined);
    const secrets = stdio[3];
    if (isWritable(secrets)) {
      secrets.on('error', () => undefined);
      secrets.end(parts.passphrase === undefined ? '' : `${parts.passphrase}\nnot the passphrase\n`);
    }
    this.ended = new Promise((resolve) => {
      this.process.once('close', (code, signal) => {
        this.#isOver = true;
        resolve({ code, signal });
      });
    });
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  say(line: string): void {
    this.process.stdin?.write(`${line}\n`);
  }

  /** Waits for something that was said, or is said later; an end of the process before that is told with its complaints. */
  async until(what: string, isIt: (happening: Happening) => boolean): Promise<void> {
    const isSo = () => {
      if (this.happenings.some(isIt)) return true;
      if (this.#isOver) throw new Error(`ended before: ${what}\n${this.complaints}`);
      return false;
    };
    // Starting a process, deriving keys and logging in take seconds where others work too.
    await until(what, isSo, 60_000);
  }

  messages(): Extract<Happening, { type: 'message' }>[] {
    return this.happenings.flatMap((happening) => (happening.type === 'message' ? [happening] : []));
  }

  async kill(): Promise<void> {
    this.process.kill('SIGKILL');
    await this.ended;
  }

  /** In order. */
  async stop(): Promise<Ended> {
    if (!this.#isOver) this.process.kill('SIGTERM');
    return this.ended;
  }

  #heard(line: string): void {
    this.lines.push(line);
    if (!line.startsWith('{')) return;
    const value: unknown = JSON.parse(line);
    if (isHappening(value)) this.happenings.push(value);
  }
}

function isHappening(value: unknown): value is Happening {
  return typeof value === 'object' && value !== null && 'type' in value;
}

function isWritable(stream: unknown): stream is Writable {
  return typeof stream === 'object' && stream !== null && 'end' in stream;
}
