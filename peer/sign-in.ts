// From a key file and a passphrase to an open account: what a person must bring, and what to say when it does not fit.
import { open } from 'node:fs/promises';
import { hostname } from 'node:os';
import type { KeyAgent } from '../keys/key-agent.ts';
import type { KeyImport } from '../keys/key-import.ts';
import { explain, KeyRefusal, type KeyRefusalCode } from '../keys/key-refusal.ts';
import { createAccount, type KeptAccount, listAccounts, type OpenAccount, openAccount } from '../mesh/accounts.ts';
import type { Clock, Random, Store } from '../mesh/ports.ts';
import { equal } from '../wire/bytes.ts';
import { encode } from '../wire/codec.ts';
import { deviceName } from '../wire/names.ts';
import { WireRefusal } from '../wire/refusal.ts';
import { CannotGoOn } from './failure.ts';
import type { Options } from './options.ts';
import { askPassphrase, type PassphraseSource } from './passphrase.ts';

export type SignInParts = {
  options: Options;
  /** Of accounts, not sealed. */
  store: Store;
  agent: KeyAgent;
  passphrases: PassphraseSource;
  clock: Clock;
  random: Random;
  /** For whoever sits at the prompt. */
  tell(sentence: string): void;
};

/** The account that is kept here, or a new one from the key file. Throws CannotGoOn. */
export async function signIn(parts: SignInParts): Promise<OpenAccount> {
  const { options, store } = parts;
  const { origin, username } = options;
  const kept = (await listAccounts(store)).find((account) => account.origin === origin && account.username === username);
  const key = options.keyFile === undefined ? undefined : await readKey(options.keyFile, parts);
  if (kept !== undefined && key !== undefined && !equal(kept.uid, key.facts.uid)) {
    throw new CannotGoOn(
      'key',
      'other-key',
      `${username} at ${origin} has another key here. Use that, or another --data folder.`,
    );
  }
  try {
    if (kept !== undefined) return await unlock(kept, parts);
    if (key !== undefined) return await create(key, parts);
  } catch (error) {
    if (error instanceof KeyRefusal) throw refusedKey(error.code);
    throw error;
  }
  throw new CannotGoOn('flags', 'no-key', `No key is kept here for ${username} at ${origin}. Name its file with --key FILE.`);
}

/** At the prompt a person may mistype. */
const triesAtPrompt = 3;

async function unlock({ origin, username }: KeptAccount, parts: SignInParts): Promise<OpenAccount> {
  const { store, agent, passphrases, random, clock } = parts;
  return withTries(parts, async () => {
    const passphrase = await askPassphrase(passphrases, `Passphrase of ${username}`, 'once');
    const opened = await openAccount({ store, agent, origin, username, passphrase, random, now: clock.now() });
    // It was listed a moment ago, and nobody else may write there.
    if (opened === 'unknown-account') throw new Error('the account went away');
    if (opened === 'wrong-passphrase') throw new KeyRefusal('wrong-passphrase');
    return opened;
  });
}

type ReadyKey = Extract<KeyImport, { outcome: 'ready' }>;

async function create({ needsPassphrase, secretKey, facts }: ReadyKey, parts: SignInParts): Promise<OpenAccount> {
  const { options, store, agent, passphrases, random, clock } = parts;
  const { origin, username } = options;
  const whose = facts.userIds[0] ?? facts.fingerprint;
  return withTries(parts, async () => {
    const passphrase = needsPassphrase
      ? await askPassphrase(passphrases, `Passphrase of the key of ${whose}`, 'once')
      : await askPassphrase(passphrases, `The key of ${whose} has no passphrase. Choose one for it here`, 'twice');
    const created = await createAccount({
      ...{ store, agent, secretKey, username, passphrase, origin, random },
      deviceName: nameOfThisMachine(),
      now: clock.now(),
    });
    if (created === 'already-here') throw new Error('the account came from nowhere');
    return created;
  });
}

async function withTries(parts: SignInParts, open: () => Promise<OpenAccount>): Promise<OpenAccount> {
  const { fd, lines } = parts.passphrases;
  const tries = fd === undefined && lines.isTerminal ? triesAtPrompt : 1;
  for (let tried = 1; ; tried++) {
    try {
      return await open();
    } catch (error) {
      if (!(error instanceof KeyRefusal) || error.code !== 'wrong-passphrase' || tried === tries) throw error;
      parts.tell(explain[error.code].what);
    }
  }
}

async function readKey(path: string, { agent, clock }: SignInParts): Promise<ReadyKey> {
  const imported = await agent.import(await readKeyFile(path), clock.now());
  switch (imported.outcome) {
    case 'ready':
      return imported;
    case 'refused':
      throw refusedKey(imported.code);
    case 'choose': {
      const names = imported.keys.map(({ fingerprint, userIds }) =>
        `  ${fingerprint.toUpperCase()} ${userIds[0] ?? ''}`.trimEnd(),
      );
      const way = 'Export one of them: gpg --armor --export-secret-keys FINGERPRINT';
      throw new CannotGoOn('key', 'several-keys', `${explain['several-keys'].what} ${way}\n${names.join('\n')}`);
    }
    default:
      return imported satisfies never;
  }
}

/** More than any key has; the key doctor says so. */
const mostOfFile = 256 * 1024 + 1;

async function readKeyFile(path: string): Promise<Uint8Array> {
  try {
    const file = await open(path, 'r');
    try {
      const bytes = new Uint8Array(mostOfFile);
      let length = 0;
      for (;;) {
        const { bytesRead } = await file.read(bytes, length, mostOfFile - length);
        length += bytesRead;
        if (bytesRead === 0 || length === mostOfFile) return bytes.slice(0, length);
      }
    } finally {
      await file.close();
    }
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ENOENT') throw new CannotGoOn('key', 'no-file', `There is no file ${path}.`);
    if (code === 'EISDIR') throw new CannotGoOn('key', 'no-file', `${path} is a folder. Name the file with the key.`);
    throw new CannotGoOn('key', 'no-file', `The file ${path} cannot be read (${String(code ?? error)}).`);
  }
}

function refusedKey(code: KeyRefusalCode): CannotGoOn {
  const { what, mend } = explain[code];
  // The words are for the page too; here the file is protected, not a browser.
  return new CannotGoOn('key', code, `${what} ${mend.replace('in this browser', 'here')}`);
}

/** What others read of this device. */
function nameOfThisMachine(): string {
  const name = `peer on ${hostname()}`;
  try {
    encode(deviceName, name);
    return name;
  } catch (error) {
    if (!(error instanceof WireRefusal)) throw error;
    return 'headless peer';
  }
}
