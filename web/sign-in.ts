// Signing in: register, log in, use an existing key. What fails leaves nothing half-made and is said in a sentence at its field.
import { explain, KeyRefusal } from '../keys/key-refusal.ts';
import { createAccount, forgetAccount, listAccounts, type OpenAccount, openAccount } from '../mesh/accounts.ts';
import { type ConnectionFailure, explainFailure } from '../mesh/connection-failure.ts';
import type { Store } from '../mesh/ports.ts';
import { userNameProblem } from '../wire/names.ts';
import { browserRandom } from './adapters/browser-clock.ts';
import { openIndexedDbStore } from './adapters/indexeddb-store.ts';
import { KeyAgentProxy, KeyWorkerFailure } from './adapters/key-agent-proxy.ts';
import type { AppState, KeyCheck } from './app-state.ts';
import type { SignInOutcome, Trying } from './chat-controller.ts';
import { ChatSession, chatDatabase } from './chat-session.ts';

type Problem = NonNullable<Extract<AppState, { screen: 'sign-in' }>['problem']>;

const accountsDatabase = 'secure-accounts';

export class SignIn {
  readonly #agent = new KeyAgentProxy();
  #accounts: Promise<Store> | undefined;
  /** The key that the doctor found fit to use, until it is used. */
  #checked: Uint8Array | undefined;

  lock(): void {
    this.#agent.terminate();
    this.#checked = undefined;
    heldLock?.release();
    heldLock = undefined;
  }

  register({ username, passphrase }: { username: string; passphrase: string }, trying: Trying): Promise<SignInOutcome> {
    return this.#guarded('passphrase', async () => {
      const problem = usernameWords(username);
      if (problem !== undefined) return failed('username', problem);
      trying.progress('Making your key …');
      const { secretKey } = await this.#agent.generate({ username, passphrase, now: Date.now() });
      if (trying.signal.aborted) return { outcome: 'cancelled' };
      return this.#enrol({ username, passphrase, secretKey }, trying);
    });
  }

  logIn({ username, passphrase }: { username: string; passphrase: string }, trying: Trying): Promise<SignInOutcome> {
    return this.#guarded('passphrase', async () => {
      const opened = await openAccount({ ...(await this.#parts()), username, passphrase });
      if (opened === 'wrong-passphrase') return failed('passphrase', 'That passphrase is wrong. Try again.');
      if (opened === 'unknown-account') return failed('username', await unknownWords(username, await this.#accountsStore()));
      trying.progress('Opening your chats …');
      // Registered before: the chats can be read and written without the node.
      if (opened.registration === 'done') return this.#in(opened, 'resume', trying);
      return this.#reach(opened, 'register', trying);
    });
  }

  async checkKey(bytes: Uint8Array, choice?: string): Promise<KeyCheck> {
    this.#checked = undefined;
    try {
      const found = await this.#agent.import(bytes, Date.now());
      switch (found.outcome) {
        case 'refused':
          return { outcome: 'refused', ...explain[found.code] };
        case 'choose': {
          const chosen = found.keys.find(({ fingerprint }) => fingerprint === choice);
          return chosen === undefined ? found : await this.checkKey(chosen.secretKey);
        }
        case 'ready': {
          this.#checked = found.secretKey;
          const { fingerprint, userIds, algorithm, createdAt, expiresAt, subkeys } = found.facts;
          const facts = { fingerprint, userIds, algorithm, createdAt, expiresAt, subkeys };
          return { outcome: 'ready', facts, needsPassphrase: found.needsPassphrase, suggestedUsername: suggestedName(userIds) };
        }
        default:
          return found satisfies never;
      }
    } catch (error) {
      if (!(error instanceof KeyWorkerFailure)) throw error;
      return {
        outcome: 'refused',
        what: 'The part of this app that works with keys did not load.',
        mend: 'Reload the page and try again.',
      };
    }
  }

  useKey({ username, passphrase }: { username: string; passphrase: string }, trying: Trying): Promise<SignInOutcome> {
    return this.#guarded('passphrase', async () => {
      const secretKey = this.#checked;
      if (secretKey === undefined) return failed('key', 'Choose your key first.');
      const problem = usernameWords(username);
      if (problem !== undefined) return failed('username', problem);
      const outcome = await this.#enrol({ username, passphrase, secretKey }, trying);
      if (outcome.outcome === 'in') this.#checked = undefined;
      return outcome;
    });
  }

  /** A new account here, made known to the node, or gone again. */
  async #enrol(parts: { username: string; passphrase: string; secretKey: Uint8Array }, trying: Trying): Promise<SignInOutcome> {
    trying.progress('Locking it under your passphrase …');
    const account = await createAccount({ ...(await this.#parts()), ...parts, deviceName: deviceName() });
    if (account === 'already-here') return failed('username', `${parts.username} is in this browser already. Log in instead.`);
    return this.#reach(account, 'register', trying);
  }

  /** The node has to agree before there is a chat. */
  async #reach(
    account: OpenAccount,
    start: 'register' | 'login',
    trying: Trying,
    before?: ConnectionFailure,
  ): Promise<SignInOutcome> {
    trying.progress(start === 'register' ? 'Telling the node your name …' : 'Proving your key to the node …');
    const session = await this.#session(account, start, trying);
    const settled = await session.settled(trying.signal);
    if (settled === 'connected') {
      await account.markRegistered();
      return { outcome: 'in', session, username: account.username };
    }
    await session.close();
    // The key has a name at the node already: perhaps this one.
    if (settled.by === 'node' && settled.code === 'key-taken' && start === 'register')
      return this.#reach(account, 'login', trying, settled);
    if (trying.signal.aborted) return { outcome: 'cancelled' };
    // Refused is refused: nothing of it stays. But when an answer was lost the name may be ours already, and its key must not be.
    if (settled.by !== 'connection') await this.#forget(account);
    return { outcome: 'failed', problem: problemOf(before ?? settled) };
  }

  async #in(account: OpenAccount, start: 'resume', trying: Trying): Promise<SignInOutcome> {
    const session = await this.#session(account, start, trying);
    return { outcome: 'in', session, username: account.username };
  }

  async #session(account: OpenAccount, start: 'register' | 'login' | 'resume', trying: Trying): Promise<ChatSession> {
    await onlyTab(chatDatabase(account), trying);
    return ChatSession.open({
      account,
      accounts: await this.#accountsStore(),
      agent: this.#agent,
      start,
      changed: trying.changed,
    });
  }

  async #forget({ origin, username, uid }: OpenAccount): Promise<void> {
    await forgetAccount({ store: await this.#accountsStore(), origin, username });
    indexedDB.deleteDatabase(chatDatabase({ uid }));
  }

  async #parts() {
    const store = await this.#accountsStore();
    return { store, agent: this.#agent, origin: nodeOrigin(), random: browserRandom, now: Date.now() };
  }

  #accountsStore(): Promise<Store> {
    this.#accounts ??= openIndexedDbStore(accountsDatabase);
    return this.#accounts;
  }

  /** What the key refuses is said at the field; what nobody expects is not hidden. */
  async #guarded(field: Problem['field'], run: () => Promise<SignInOutcome>): Promise<SignInOutcome> {
    try {
      return await run();
    } catch (error) {
      if (error instanceof KeyRefusal)
        return failed(
          error.code === 'wrong-passphrase' ? field : 'key',
          `${explain[error.code].what} ${explain[error.code].mend}`,
        );
      if (error instanceof KeyWorkerFailure)
        return failed('node', 'The part of this app that works with keys did not load. Reload the page and try again.');
      throw error;
    }
  }
}

let heldLock: { name: string; release: () => void } | undefined;

/** One tab per person sends: another one waits until this one is closed. */
async function onlyTab(name: string, trying: Trying): Promise<void> {
  if (heldLock?.name === name) return;
  heldLock?.release();
  heldLock = undefined;
  const waiting = setTimeout(() => trying.progress('This account is open in another tab. Close that tab to go on here …'), 300);
  await new Promise<void>((resolve, reject) => {
    const held = (): Promise<void> =>
      new Promise((release) => {
        heldLock = { name, release };
        resolve();
      });
    navigator.locks.request(name, { signal: trying.signal }, held).catch(reject);
  });
  clearTimeout(waiting);
}

function failed(field: Problem['field'], text: string): SignInOutcome {
  return { outcome: 'failed', problem: { field, text } };
}

function usernameWords(username: string): string | undefined {
  switch (userNameProblem(username)) {
    case undefined:
      return undefined;
    case 'too-short':
      return 'A user name has at least two characters.';
    case 'too-long':
      return 'A user name has at most 32 characters.';
    case 'bad-characters':
      return 'A user name has small letters a to z, digits, - and _, and begins with a letter or digit.';
    case 'reserved':
      return 'That name is reserved. Choose another one.';
  }
}

async function unknownWords(username: string, store: Store): Promise<string> {
  const here = (await listAccounts(store)).map((account) => account.username);
  const others = here.length === 0 ? '' : ` Here are: ${here.join(', ')}.`;
  return `There is no user ${username} in this browser.${others} If the key is on another device, choose “Use my PGP key”; if you are new, register.`;
}

function problemOf(failure: ConnectionFailure): Problem {
  const text = explainFailure(failure);
  if (failure.by === 'key') return { field: 'key', text };
  if (failure.by === 'connection')
    return { field: 'node', text: `${text} Your key is kept in this browser: log in to try again.` };
  const atUsername: string[] = ['name-taken', 'name-not-allowed', 'unknown-user', 'key-taken'];
  return { field: atUsername.includes(failure.code) ? 'username' : failure.code === 'bad-certificate' ? 'key' : 'node', text };
}

function nodeOrigin(): string {
  return `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}`;
}

/** Of the first user id, what can be a user name. */
function suggestedName(userIds: readonly string[]): string {
  const [first = ''] = userIds;
  const local = /<([^@>]+)@/.exec(first)?.[1] ?? first;
  const plain = local
    .normalize('NFKD')
    .toLowerCase()
    .replace(/[^a-z0-9_-]/g, '')
    .replace(/^[-_]+/, '');
  return plain.slice(0, 32);
}

function deviceName(): string {
  const system = /Android|iPhone|iPad|Windows|Mac OS|Linux/.exec(navigator.userAgent)?.[0] ?? 'unknown';
  return `Browser on ${system}`;
}
