// One run of a headless peer: puts the parts together, from the folder on the disk to the lines on the terminal, and ends them in order.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { localKeyAgent } from '../keys/key-agent.ts';
import { forgetAccount, type OpenAccount, pinStore } from '../mesh/accounts.ts';
import { Chat } from '../mesh/chat.ts';
import { explainFailure } from '../mesh/connection-failure.ts';
import type { Store } from '../mesh/ports.ts';
import { sealStore } from '../mesh/sealed-store.ts';
import type { PinStore } from '../mesh/signaling-client.ts';
import { StoreFailure } from '../mesh/store-failure.ts';
import { Turns } from '../mesh/turns.ts';
import { hex } from '../wire/bytes.ts';
import { CannotGoOn } from './failure.ts';
import { type Happening, jsonLine, textOf } from './happenings.ts';
import { Lines } from './lines.ts';
import { openLmdbStore } from './lmdb-store.ts';
import { logIn } from './log-in.ts';
import { nodeClock, nodeRandom } from './node-clock.ts';
import { dialNodeSocket } from './node-socket.ts';
import type { Options } from './options.ts';
import { Output } from './output.ts';
import { Printed } from './printed.ts';
import { Session } from './session.ts';
import { signIn } from './sign-in.ts';
import { nodeHappening } from './watch.ts';
import { weriftLinks } from './werift-link.ts';

/** Goodbyes take a few turns of the event loop to leave. */
const farewell = 200;

export class HeadlessPeer {
  readonly #options: Options;
  readonly #agent = localKeyAgent();
  readonly #output: Output;
  readonly #lines: Lines;
  /** Settles when the peer is to end: resolves to end well, rejects with what went wrong. */
  readonly #end: Promise<void>;
  #endWell: () => void = () => undefined;
  #endBadly: (error: unknown) => void = () => undefined;
  /** What was opened, oldest first. */
  readonly #opened: { close(): unknown }[] = [];
  #state: 'running' | 'ending' = 'running';
  #chat: Chat | undefined;
  #session: Session | undefined;
  #look: 'due' | 'not-due' = 'not-due';
  #changed: (() => void)[] = [];

  constructor(options: Options) {
    this.#options = options;
    this.#end = new Promise((resolve, reject) => {
      this.#endWell = resolve;
      this.#endBadly = reject;
    });
    // Whether somebody waits for it yet is not its concern.
    this.#end.catch(() => undefined);
    this.#output = new Output(process.stdout, { gone: () => this.quit(), drained: () => this.#lookSoon() });
    this.#lines = new Lines({ input: process.stdin, screen: process.stderr, interrupted: () => this.quit() });
  }

  /** Until `quit`, or until it cannot go on: then it throws CannotGoOn. Everything is closed when it settles. */
  async run(): Promise<void> {
    try {
      await Promise.race([this.#end, this.#start()]);
      await this.#end;
    } catch (error) {
      throw error instanceof StoreFailure ? cannotKeep(error, this.#options.data) : error;
    } finally {
      await this.#close();
    }
  }

  quit(): void {
    this.#endWell();
  }

  async #start(): Promise<void> {
    const options = this.#options;
    const accounts = await openLmdbStore(join(options.data, 'accounts'));
    this.#opened.push(accounts);
    const account = await signIn({
      ...{ options, store: accounts, agent: this.#agent, clock: nodeClock, random: nodeRandom },
      passphrases: { fd: options.passphraseFd, lines: this.#lines },
      tell: (sentence) => process.stderr.write(`${sentence}\n`),
    });
    const folder = join(options.data, 'chats', folderNameOf(account));
    const store = sealStore(await openLmdbStore(folder), account.vault);
    this.#opened.push(store);
    const chat = await logIn({
      ...{ account, options },
      open: (start) => this.#openChat({ account, pins: pinStore(accounts), store, start }),
      changed: () => new Promise((resolve) => this.#changed.push(resolve)),
      away: (state) => this.#say(nodeHappening(state)),
      forget: async () => {
        await forgetAccount({ store: accounts, origin: account.origin, username: account.username });
        await store.close();
        rmSync(folder, { recursive: true, force: true });
      },
    });
    const printed = new Printed(join(folder, 'printed'));
    this.#opened.push(printed);
    await this.#greet(account, chat);
    await this.#serve({ chat, printed, fingerprint: account.fingerprint });
  }

  async #openChat(parts: {
    account: OpenAccount;
    pins: PinStore;
    store: Store;
    start: 'register' | 'login' | 'resume';
  }): Promise<Chat> {
    const { account, pins, store, start } = parts;
    const { origin, join: invited, notes } = this.#options;
    const candidates = { relayOnly: false, allowLoopback: isLoopback(origin) };
    const chat = await Chat.open({
      ...{ origin, account, start, candidates, pins, store },
      device: account.device,
      saveDevice: (secrets) => account.saveDevice(secrets),
      expectedNodeId: invited?.invite.nodeId,
      agent: this.#agent,
      clock: nodeClock,
      random: nodeRandom,
      dialSocket: dialNodeSocket,
      openLink: weriftLinks(candidates),
      events: {
        changed: () => this.#lookSoon(),
        note: (text) => {
          if (notes === 'shown') process.stderr.write(`${text}\n`);
        },
        surprised: (error) => this.#surprised(error),
      },
    });
    this.#chat = chat;
    return chat;
  }

  /** When the first attempt to connect has ended: lines that need the node find it, or hear that it is away. */
  async #greet(account: OpenAccount, chat: Chat): Promise<void> {
    while (chat.client.state.state === 'connecting') await new Promise<void>((resolve) => this.#changed.push(resolve));
    const { uid, username, did } = chat.me;
    const { fingerprint, origin } = account;
    this.#say({
      ...{ type: 'ready', user: username, uid: hex(uid), device: hex(did), node: origin },
      fingerprint: fingerprint.toUpperCase(),
    });
  }

  async #serve(parts: { chat: Chat; printed: Printed; fingerprint: string }): Promise<void> {
    const session = new Session({
      ...{ ...parts, options: this.#options, clock: nodeClock },
      say: (happening, left) => this.#say(happening, () => this.#orEnd(left)),
      isStalled: () => this.#output.isStalled,
      quit: () => this.quit(),
    });
    this.#session = session;
    this.#opened.push(session);
    const turns = new Turns();
    const from = this.#lines.isTerminal ? 'terminal' : 'elsewhere';
    const run = (work: () => Promise<void>) => {
      turns.take(work).catch((error: unknown) => this.#surprised(error));
    };
    this.#lines.each({
      line: (line) => run(() => session.take(line, from)),
      end: () => {
        if (this.#lines.isTerminal) this.quit();
        else if (this.#options.atEof === 'quit') run(() => session.finish().then(() => this.quit()));
      },
    });
    await session.begin();
  }

  #lookSoon(): void {
    if (this.#look === 'due' || this.#state === 'ending') return;
    this.#look = 'due';
    setImmediate(() => {
      this.#look = 'not-due';
      if (this.#state === 'running') this.#lookNow();
    });
  }

  #lookNow(): void {
    for (const resolve of this.#changed.splice(0)) resolve();
    this.#orEnd(() => this.#session?.look());
    this.#watchNode();
  }

  #orEnd(run: (() => void) | undefined): void {
    try {
      run?.();
    } catch (error) {
      this.#endBadly(error);
    }
  }

  /** Nobody sits here to try again: what passes by itself is waited for, and anything else is the end. */
  #watchNode(): void {
    const state = this.#chat?.client.state;
    if (this.#session === undefined || state?.state !== 'offline' || state.nextTryAt !== undefined) return;
    this.#endBadly(new CannotGoOn('node', state.reason.code, explainFailure(state.reason)));
  }

  #say(happening: Happening, left?: () => void): void {
    if (this.#options.output === 'json') return this.#lines.around(() => this.#output.print(jsonLine(happening), left));
    const said = textOf(happening, (group) => this.#session?.labelOf(group));
    if (said === undefined) return left?.();
    this.#lines.around(() => {
      if (said.to === 'output') return this.#output.print(said.text, left);
      process.stderr.write(`${said.text}\n`);
      left?.();
    });
  }

  #surprised(error: unknown): void {
    if (this.#state === 'ending') return;
    if (error instanceof StoreFailure) return this.#endBadly(error);
    const text = error instanceof Error ? error.message : String(error);
    this.#say({ type: 'error', code: 'surprise', text: `Something went wrong in this peer: ${text}` });
    if (this.#options.notes === 'shown' && error instanceof Error) process.stderr.write(`${error.stack ?? ''}\n`);
  }

  async #close(): Promise<void> {
    this.#orEnd(() => this.#session?.look());
    this.#state = 'ending';
    this.#lines.close();
    await this.#chat?.close();
    if (this.#chat !== undefined) await new Promise((resolve) => setTimeout(resolve, farewell));
    for (const one of this.#opened.reverse()) await one.close();
    await this.#agent.lock();
    await this.#output.finished();
  }
}

/** On this machine alone peers reach each other by its loopback addresses. */
function isLoopback(origin: string): boolean {
  return /^wss?:\/\/(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])(?::\d+)?$/.test(origin);
}

/** One for each account; user names have no dots, and hosts no underscores. */
function folderNameOf({ username, origin }: OpenAccount): string {
  return `${username}.${origin.replace(/[^a-z0-9.-]/g, '_')}`;
}

function cannotKeep({ code, message }: StoreFailure, data: string): CannotGoOn {
  const words: Record<StoreFailure['code'], string> = {
    blocked: `Another peer is using ${data}. End it, or name another folder with --data.`,
    full: `The disk with ${data} is full.`,
    unusable: `${data} cannot be used: ${message}.`,
    'not-ours': `What is kept in ${data} does not open: it was changed, or belongs to another account.`,
    closed: `${data} was closed.`,
  };
  return new CannotGoOn('data', `store-${code}`, words[code]);
}
