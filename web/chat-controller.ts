// The controller of the screens: sign-in here and light, the chat itself loaded when somebody signs in.
import type { AppState, Controller, GivenRole, KeyCheck } from './app-state.ts';
import type { ChatSession } from './chat-session.ts';
import type { SignIn } from './sign-in.ts';
import { UsedAccounts } from './used-accounts.ts';

type SignInScreen = Extract<AppState, { screen: 'sign-in' }>;

export async function createController(): Promise<Controller> {
  return new BrowserController();
}

class BrowserController implements Controller {
  readonly #listeners = new Set<() => void>();
  readonly #used = new UsedAccounts();
  #state: AppState;
  #signIn: SignIn | undefined;
  #session: ChatSession | undefined;
  #invite: string | undefined;
  #trying: AbortController | undefined;
  #isDirty = false;
  /** The screens were told in this frame. */
  #isResting = false;

  constructor() {
    this.#state = this.#signInScreen({});
    // Before it is needed: a node that goes away meanwhile could not send it any more.
    setTimeout(
      () =>
        this.#loadSignIn()
          .then((signIn) => signIn.warmUp())
          .catch(() => undefined),
      1000,
    );
    addEventListener('pagehide', () => {
      // Tells peers and node; what was shown is on disk already.
      void this.#session?.chat.close();
    });
    addEventListener('pageshow', (event) => {
      if (event.persisted) location.reload();
    });
    addEventListener('online', () => this.#session?.chat.wake());
    document.addEventListener('visibilitychange', () => {
      if (document.visibilityState === 'visible') this.#session?.chat.wake();
    });
  }

  get state(): AppState {
    return this.#state;
  }

  subscribe(changed: () => void): () => void {
    this.#listeners.add(changed);
    return () => this.#listeners.delete(changed);
  }

  register(input: { username: string; passphrase: string }): Promise<void> {
    return this.#enter('Making your key …', (signIn, trying) => signIn.register(input, trying));
  }

  logIn(input: { username: string; passphrase: string }): Promise<void> {
    return this.#enter('Unlocking your key …', (signIn, trying) => signIn.logIn(input, trying));
  }

  async checkKey(bytes: Uint8Array, choice?: string): Promise<KeyCheck> {
    try {
      return await (await this.#loadSignIn()).checkKey(bytes, choice);
    } catch (error) {
      console.error(error);
      return error instanceof PartMissing ? { outcome: 'refused', ...partMissing } : { outcome: 'refused', ...broken };
    }
  }

  useKey(input: { username: string; passphrase: string }): Promise<void> {
    return this.#enter('Unlocking your key …', (signIn, trying) => signIn.useKey(input, trying));
  }

  cancelSignIn(): void {
    this.#trying?.abort();
  }

  lock(): void {
    const session = this.#session;
    this.#session = undefined;
    this.#signIn?.lock(session);
    this.#show(this.#signInScreen({}));
  }

  reconnect(): void {
    this.#session?.reconnect();
  }

  openGroup(gid: string): void {
    this.#session?.openGroup(gid);
  }

  async createGroup(name: string): Promise<void> {
    await this.#session?.createGroup(name);
  }

  async inviteLink(gid: string): Promise<string | undefined> {
    return this.#session?.inviteLink(gid);
  }

  async addMember(gid: string, username: string): Promise<'added' | 'failed'> {
    return (await this.#session?.addMember(gid, username)) ?? 'failed';
  }

  async removeMember(gid: string, uid: string): Promise<void> {
    await this.#session?.removeMember(gid, uid);
  }

  async setRole(gid: string, uid: string, role: GivenRole): Promise<void> {
    await this.#session?.setRole(gid, uid, role);
  }

  async leaveGroup(gid: string): Promise<void> {
    await this.#session?.leaveGroup(gid);
  }

  async joinByLink(link: string): Promise<void> {
    if (this.#session !== undefined) return this.#session.joinByLink(link);
    this.#invite = link;
    if (this.#state.screen === 'sign-in') this.#show({ ...this.#state, invitedTo: this.#invitedTo() });
  }

  dismissJoin(): void {
    this.#session?.dismissJoin();
  }

  dismissProblem(): void {
    this.#session?.dismissProblem();
  }

  async send(gid: string, text: string): Promise<'stored' | 'failed'> {
    return (await this.#session?.send(gid, text)) ?? 'failed';
  }

  async setNickname(gid: string, nickname: string): Promise<void> {
    await this.#session?.setNickname(gid, nickname);
  }

  markRead(gid: string): void {
    this.#session?.markRead(gid);
  }

  /** One try to sign in: progress in words, cancellable, and what went wrong at its field. */
  async #enter(first: string, run: (signIn: SignIn, trying: Trying) => Promise<SignInOutcome>): Promise<void> {
    if (this.#trying !== undefined || this.#session !== undefined) return;
    const abort = new AbortController();
    this.#trying = abort;
    this.#show(this.#signInScreen({ busy: first }));
    const trying: Trying = {
      signal: abort.signal,
      progress: (busy) => {
        if (!abort.signal.aborted) this.#show(this.#signInScreen({ busy }));
      },
      changed: () => this.#sessionChanged(),
    };
    try {
      const outcome = await run(await this.#loadSignIn(), trying);
      if (outcome.outcome === 'failed' && outcome.kept !== undefined) this.#used.remember(outcome.kept);
      if (outcome.outcome === 'in') await this.#signedIn(outcome.session, outcome.username);
      else this.#show(this.#signInScreen({ problem: outcome.outcome === 'failed' ? outcome.problem : undefined }));
    } catch (error) {
      console.error(error);
      const { what, mend } = error instanceof PartMissing ? partMissing : broken;
      this.#show(this.#signInScreen({ problem: { field: 'node', text: `${what} ${mend}` } }));
    } finally {
      this.#trying = undefined;
    }
  }

  async #signedIn(session: ChatSession, username: string): Promise<void> {
    this.#used.remember(username);
    this.#session = session;
    this.#show(session.screen());
    const link = this.#invite;
    this.#invite = undefined;
    if (link !== undefined) await session.joinByLink(link);
  }

  async #loadSignIn(): Promise<SignIn> {
    if (this.#signIn === undefined) {
      const { SignIn } = await import('./sign-in.ts').catch((cause: unknown) => {
        throw new PartMissing('sign-in', { cause });
      });
      this.#signIn ??= new SignIn();
    }
    return this.#signIn;
  }

  #signInScreen(parts: { busy?: string; problem?: SignInScreen['problem'] }): SignInScreen {
    return {
      screen: 'sign-in',
      accounts: this.#used.names(),
      invitedTo: this.#invitedTo(),
      busy: parts.busy,
      problem: parts.problem,
    };
  }

  #invitedTo(): { origin: string } | undefined {
    return this.#invite === undefined ? undefined : { origin: location.host };
  }

  /** The screens are told at once, but no more than once per frame, however much happens. */
  #sessionChanged(): void {
    if (this.#isDirty || this.#session === undefined) return;
    this.#isDirty = true;
    // After all that changes in the same go.
    if (!this.#isResting) queueMicrotask(() => this.#tellScreens());
  }

  #tellScreens(): void {
    if (!this.#isDirty) return;
    this.#isDirty = false;
    this.#isResting = true;
    if (this.#session !== undefined) this.#show(this.#session.screen());
    afterFrame(() => {
      this.#isResting = false;
      this.#tellScreens();
    });
  }

  #show(state: AppState): void {
    this.#state = state;
    for (const changed of this.#listeners) changed();
  }
}

/** A part of the app could not be fetched: the node that serves it, or the way to it, is gone. */
class PartMissing extends Error {}

const partMissing = {
  what: 'A part of this app could not be loaded, as the node cannot be reached.',
  mend: 'Try again when you are connected.',
};

const broken = { what: 'Something went wrong in this app.', mend: 'Reload the page and try again.' };

/** Once; in a hidden tab, where there are no frames, after a quarter of a second. */
function afterFrame(run: () => void): void {
  const once = () => {
    cancelAnimationFrame(frame);
    clearTimeout(timer);
    run();
  };
  const frame = requestAnimationFrame(once);
  const timer = setTimeout(once, 250);
}

export type Trying = { signal: AbortSignal; progress(words: string): void; changed(): void };

export type SignInOutcome =
  | { outcome: 'in'; session: ChatSession; username: string }
  /** kept: whose key stays in this browser all the same. */
  | { outcome: 'failed'; problem: NonNullable<SignInScreen['problem']>; kept?: string }
  | { outcome: 'cancelled' };
