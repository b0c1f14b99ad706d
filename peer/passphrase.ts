// Where a passphrase comes from: the first line of a file descriptor, or a prompt. Never from an argument or the environment.
import { readSync } from 'node:fs';
import { fromUtf8 } from '../wire/bytes.ts';
import { CannotGoOn } from './failure.ts';
import type { Lines } from './lines.ts';

export type PassphraseSource = { fd: number | undefined; lines: Lines };

/** 'twice' for one that is being chosen. Throws CannotGoOn where there is none to be had. */
export async function askPassphrase(source: PassphraseSource, question: string, times: 'once' | 'twice'): Promise<string> {
  const { fd, lines } = source;
  if (fd !== undefined && fd !== 0) return firstLineOf(fd);
  if (fd === 0 && !lines.isTerminal) return (await lines.next()) ?? nothing();
  if (!lines.isTerminal) {
    throw new CannotGoOn('key', 'no-passphrase', 'There is no terminal to ask for the passphrase. Use --passphrase-fd N.');
  }
  const passphrase = (await lines.secret(`${question}: `)) ?? nothing();
  if (times === 'once') return passphrase;
  const again = await lines.secret('The same again: ');
  if (again === passphrase) return passphrase;
  throw new CannotGoOn('key', 'passphrases-differ', 'Those were two different passphrases. Start again.');
}

const longestLine = 4096;
const newline = 10;

/** Byte by byte, so that what follows stays for whoever reads on, and nobody waits for the end of it. */
function firstLineOf(fd: number): string {
  const line = Buffer.alloc(longestLine);
  let length = 0;
  try {
    while (length < longestLine && readSync(fd, line, length, 1, null) === 1 && line[length] !== newline) length += 1;
    return fromUtf8(line.subarray(0, length)).replace(/\r$/, '');
  } catch {
    throw new CannotGoOn(
      'key',
      'no-passphrase',
      `The passphrase cannot be read from file descriptor ${fd}. npm passes on only 0.`,
    );
  } finally {
    line.fill(0);
  }
}

function nothing(): never {
  throw new CannotGoOn('key', 'no-passphrase', 'No passphrase was given.');
}
