// Signing in: register, log in, use an existing key. What fails leaves nothing half-made and is said in a sentence at its field.
import { explain, KeyRefusal } from '../keys/key-refusal.ts';
import { createAccount, forgetAccount, listAccounts, type OpenAccount, openAccount } from '../mesh/accounts.ts';
import { type ConnectionFailure, explainFailure, whenToRetry } from '../mesh/connection-failure.ts';
import type { Store } from '../mesh/ports.ts';
import { StoreFailure, type StoreFailureCode } from '../mesh/store-failure.ts';
import { browserRandom } from './adapters/browser-clock.ts';
import { openIndexedDbStore } from './adapters/indexeddb-store.ts';
import { KeyAgentProxy, KeyWorkerFailure } from './adapters/key-agent-proxy.ts';
import type { AppState, KeyCheck } from './app-state.ts';
import type { SignInOutcome, Trying } from './chat-controller.ts';
import { ChatSession, chatDatabase } from './chat-session.ts';
import { newPassphraseProblem } from './new-passphrase.ts';
import { usernameProblem } from './username.ts';

type Problem = NonNullable<Extract<AppState, { screen: 'sign-in' }>['problem']>;

/** An account that the node has not confirmed: made just now, or kept from a try before. */
type Candidate = { account: OpenAccount; since: 'now' | 'before' };

const accountsDatabase = 'secure-accounts';

export class SignIn {
  readonly #agent = new KeyAgentProxy();
  #accounts: Promise<Store> | undefined;
  /** The key that the doctor found fit to use, until it is used. */
  #checked: { secretKey: Uint8Array; fingerprint: string; needsPassphrase: boolean } | undefined;
  /** The session that was locked last, until it has written everything. */
  #closing: Promise<void> = Promise.resolve();

  /** Starts what the first try would otherwise wait for, or could not get any more. */
  warmUp(): void {
    this.#agent.start();
  }

  /** The key is gone at once; the account is free for another tab when its session has closed. */
  lock(session: ChatSession | undefined): void {
    void this.#agent.lock();
    this.#checked = undefined;
    this.#closing = closed(session).catch((error: unknown) => console.error(error));
  }

  register({ username, passphrase }: { username: string; passphrase: string }, trying: Trying): Promise<SignInOutcome> {
    return this.#guarded('passphrase', async () => {
      const problem = usernameProblem(username);
      if (problem !== undefined) return failed('username', problem);
      const weak = newPassphraseProblem(passphrase);
      if (weak !== undefined) return failed('passphrase', weak);
      if (await this.#isUnfinished(username)) return this.#open({ username, passphrase }, trying);
      trying.progress('Making your key …');
      const { secretKey } = await this.#agent.generate({ username, passphrase, now: Date.now() });
      if (trying.signal.aborted) return { outcome: 'cancelled' };
      return this.#enrol({ username, passphrase, secretKey }, trying);
    });
  }

  logIn({ username, passphrase }: { username: string; passphrase: string }, trying: Trying): Promise<SignInOutcome> {
    return this.#guarded('passphrase', () => this.#open({ username, passphrase }, trying));
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
          this.#checked = { ...found.facts, secretKey: found.secretKey, needsPassphrase: found.needsPassphrase };
          const { fingerprint, userIds, algorithm, createdAt, expiresAt, subkeys } = found.facts;
          const facts = { fingerprint, userIds, algorithm, createdAt, expiresAt, subkeys };
          return { outcome: 'ready', facts, needsPassphrase: found.needsPassphrase, suggestedUsername: suggestedName(userIds) };
        }
        default:
          return found satisfies never;
      }
    } catch (error) {
      if (!(error instanceof KeyWorkerFailure)) throw error;
      return { outcome: 'refused', ...workerMissing };
    }
  }

  useKey({ username, passphrase }: { username: string; passphrase: string }, trying: Trying): Promise<SignInOutcome> {
    return this.#guarded('passphrase', async () => {
      if (this.#checked === undefined) return failed('key', 'Choose your key first.');
      const { secretKey, fingerprint, needsPassphrase } = this.#checked;
      const problem = usernameProblem(username);
      if (problem !== undefined) return failed('username', problem);
      const weak = needsPassphrase ? undefined : newPassphraseProblem(passphrase);
      if (weak !== undefined) return failed('passphrase', weak);
      const outcome = (await this.#isUnfinished(username))
        ? await this.#open({ username, passphrase, fingerprint }, trying)
        : await this.#enrol({ username, passphrase, secretKey }, trying);
      if (outcome.outcome === 'in') this.#checked = undefined;
      return outcome;
    });
  }

  /** An account kept here; `fingerprint` where only the one with this key is meant. */
  async #open(
    { username, passphrase, fingerprint }: { username: string; passphrase: string; fingerprint?: string },
    trying: Trying,
  ): Promise<SignInOutcome> {
    trying.progress('Unlocking your key …');
    const opened = await openAccount({ ...(await this.#parts()), username, passphrase });
    if (opened === 'wrong-passphrase') return failed('passphrase', 'That passphrase is wrong. Try again.');
    if (opened === 'unknown-account') return failed('username', await unknownWords(username, await this.#accountsStore()));
    if (fingerprint !== undefined && opened.fingerprint !== fingerprint) {
      await this.#agent.lock();
      return failed('username', `${username} is in this browser already, with another key. Log in with that one.`);
    }
    trying.progress('Opening your chats …');
    // Registered before: the chats can be read and written without the node.
    if (opened.registration === 'done') return this.#in(opened, trying);
    return this.#reach({ account: opened, since: 'before' }, 'register', trying);
  }

  /** A new account here, made known to the node, or gone again. */
  async #enrol(parts: { username: string; passphrase: string; secretKey: Uint8Array }, trying: Trying): Promise<SignInOutcome> {
    trying.progress('Locking it under your passphrase …');
    const account = await createAccount({ ...(await this.#parts()), ...parts, deviceName: deviceName() });
    if (account === 'already-here') return failed('username', `${parts.username} is in this browser already. Log in instead.`);
    return this.#reach({ account, since: 'now' }, 'register', trying);
  }

  /** The node has to agree before there is a chat. */
  async #reach(
    candidate: Candidate,
    start: 'register' | 'login',
    trying: Trying,
    before?: ConnectionFailure,
  ): Promise<SignInOutcome> {
    const { account } = candidate;
    trying.progress(start === 'register' ? 'Telling the node your name …' : 'Proving your key to the node …');
    const session = await this.#session(account, start, trying);
    const settled = await session.settled(trying.signal);
    if (settled === 'connected') {
      await account.markRegistered();
      return { outcome: 'in', session, username: account.username };
    }
    const { mayBeRegistered } = session.chat.client;
    await closed(session);
    // The key has a name at the node already: perhaps this one.
    if (settled.by === 'node' && settled.code === 'key-taken' && start === 'register')
      return this.#reach(candidate, 'login', trying, settled);
    await this.#agent.lock();
    const failure = before ?? settled;
    if (mayBeRegistered || isWorthKeeping(failure, candidate)) return keptWords(failure, account.username);
    await this.#forget(account);
    return trying.signal.aborted ? { outcome: 'cancelled' } : { outcome: 'failed', problem: problemOf(failure) };
  }

  async #in(account: OpenAccount, trying: Trying): Promise<SignInOutcome> {
    const session = await this.#session(account, 'resume', trying);
    return { outcome: 'in', session, username: account.username };
  }

  async #session(account: OpenAccount, start: 'register' | 'login' | 'resume', trying: Trying): Promise<ChatSession> {
    await this.#closing;
    await onlyTab(chatDatabase(account), trying);
    return ChatSession.open({
      account,
      accounts: await this.#accountsStore(),
      agent: this.#agent,
      start,
      changed: trying.changed,
    });
  }

  /** Registering again what the node could not confirm goes on with the key that was made then. */
  async #isUnfinished(username: string): Promise<boolean> {
    const accounts = await listAccounts(await this.#accountsStore());
    return accounts.some((kept) => kept.username === username && kept.origin === nodeOrigin() && kept.registration === 'due');
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
      if (error instanceof KeyWorkerFailure) return failed('node', `${workerMissing.what} ${workerMissing.mend}`);
      if (error instanceof StoreFailure) return failed('node', storeWords[error.code]);
      // Stopped while another tab had the account.
      if (!(error instanceof DOMException) || error.name !== 'AbortError') throw error;
      await this.#agent.lock();
      return { outcome: 'cancelled' };
    }
  }
}

let heldLock: { name: string; release: () => void } | undefined;

/** One tab per person sends: another one waits until this one is closed. */
async function onlyTab(name: string, trying: Trying): Promise<void> {
  if (heldLock?.name === name) return;
  heldLock?.release();
  heldLock = undefined;
  const waiting = setTimeout(() => trying.progress('Open in another tab: close it there to go on here …'), 300);
  try {
    await new Promise<void>((resolve, reject) => {
      const held = (): Promise<void> =>
        new Promise((release) => {
          heldLock = { name, release };
          resolve();
        });
      navigator.locks.request(name, { signal: trying.signal }, held).catch(reject);
    });
  } finally {
    clearTimeout(waiting);
  }
}

/** Only then may another tab go on with the account: what was being written has been. */
async function closed(session: ChatSession | undefined): Promise<void> {
  try {
    await session?.close();
  } finally {
    heldLock?.release();
    heldLock = undefined;
  }
}

function failed(field: Problem['field'], text: string): SignInOutcome {
  return { outcome: 'failed', problem: { field, text } };
}

async function unknownWords(username: string, store: Store): Promise<string> {
  const here = (await listAccounts(store)).map((account) => account.username);
  const others = here.length === 0 ? '' : ` Here are: ${here.join(', ')}.`;
  return `There is no user ${username} in this browser.${others} If the key is on another device, choose “Use my PGP key”; if you are new, register.`;
}

const workerMissing = {
  what: 'The part of this app that works with keys could not be loaded, as the node cannot be reached.',
  mend: 'Try again when you are connected.',
};

const storeWords: Record<StoreFailureCode, string> = {
  closed: 'The browser took away what this app keeps. Reload the page and try again.',
  blocked: 'Another tab holds what this app keeps in this browser. Close the other tabs of it and try again.',
  full: 'This browser has no room left for this app. Make some room and try again.',
  unusable: 'This browser does not let the app keep anything. Allow it to store data for this site, or leave private browsing.',
  'not-ours': 'What is kept of this account in this browser is damaged. Bring your key with “Use my PGP key” in another browser.',
};

/** Where trying again may still succeed, the key has to be the same: the node may know it by then. */
function isWorthKeeping(failure: ConnectionFailure, { since }: Candidate): boolean {
  switch (failure.by) {
    case 'connection':
      if (since === 'before') return true;
      return failure.code !== 'stopped' && whenToRetry(failure) === 'soon';
    case 'node':
      return since === 'before' && !['name-taken', 'name-not-allowed', 'key-taken', 'bad-certificate'].includes(failure.code);
    case 'key':
      return since === 'before';
    default:
      return failure satisfies never;
  }
}

function keptWords(failure: ConnectionFailure, username: string): SignInOutcome {
  const { field, text } = problemOf(failure);
  const kept = `Your key is kept in this browser: try again to go on as ${username}.`;
  return { outcome: 'failed', problem: { field, text: `${text} ${kept}` }, kept: username };
}

function problemOf(failure: ConnectionFailure): Problem {
  // Here nothing is tried again before the person does.
  const text = explainFailure(failure).replace(/ It will be tried again\.$/, '');
  if (failure.by === 'key') return { field: 'key', text };
  if (failure.by === 'node' && failure.code === 'key-taken')
    return { field: 'username', text: 'This key already has another user name at this node. Sign in with that name.' };
  if (failure.by === 'connection') return { field: 'node', text: failure.code === 'stopped' ? 'You stopped it.' : text };
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
