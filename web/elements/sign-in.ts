// The first screen: register, log in, or bring one's own PGP key.
import { css, html, LitElement, nothing, type PropertyValues, type TemplateResult } from 'lit';
import { customElement, property, state } from 'lit/decorators.js';
import type { AppState, Controller, Theme } from '../app-state.ts';
import { newPassphraseProblem } from '../new-passphrase.ts';
import { tidyUsername, usernameHint, usernameProblem } from '../username.ts';
import { busyButtons } from './busy-buttons.ts';
import { controls } from './control-styles.ts';
import { field, problemLine, revealButton } from './field.ts';
import { mark } from './icons.ts';
import './key-panel.ts';
import './strength-meter.ts';
import './theme-chooser.ts';

type SignInState = Extract<AppState, { screen: 'sign-in' }>;
type Way = 'register' | 'log-in' | 'key';

const ways: { way: Way; label: string }[] = [
  { way: 'register', label: 'Register' },
  { way: 'log-in', label: 'Log in' },
  { way: 'key', label: 'Use my PGP key' },
];

@customElement('secure-sign-in')
export class SignIn extends LitElement {
  @property({ attribute: false }) accessor data: SignInState | undefined;
  @property({ attribute: false }) accessor controller: Controller | undefined;
  @property({ attribute: false }) accessor theme: Theme = 'system';

  @state() private accessor way: Way | undefined;
  @state() private accessor username = '';
  @state() private accessor passphrase = '';
  @state() private accessor shown = false;
  /** What is wrong before anything was sent; the controller's problem comes later. */
  @state() private accessor mistakes: { username?: string | undefined; passphrase?: string | undefined } = {};
  /** The controller's problem, unless it belongs to another way of signing in. */
  @state() private accessor problem: SignInState['problem'];

  static override styles = [
    controls,
    css`
      :host {
        display: grid;
        grid-template-rows: 1fr auto;
        justify-items: center;
        height: 100dvh;
        overflow: auto;
        background: var(--panel);
        color: var(--text);
      }

      main {
        display: grid;
        gap: 1.5rem;
        align-content: center;
        width: min(27.5rem, 100vw);
        padding: 2rem 1rem 1rem;
      }

      header {
        display: grid;
        justify-items: center;
        gap: 0.375rem;
        text-align: center;
      }

      header svg {
        color: var(--link);
      }

      h1 {
        font-size: 1.625rem;
        font-weight: 650;
        letter-spacing: -0.02em;
        line-height: 1.2;
      }

      header p {
        max-width: 24rem;
        color: var(--quiet);
        text-wrap: balance;
      }

      .invited {
        padding: 0.75rem 1rem;
        border: 1px solid var(--line);
        border-left: 3px solid var(--link);
        border-radius: 0.5rem;
        background: var(--raised);
        overflow-wrap: anywhere;
      }

      .card {
        border: 1px solid var(--line);
        border-radius: 0.875rem;
        background: var(--raised);
        box-shadow: 0 1px 2px var(--shadow), 0 8px 32px -12px var(--shadow);
      }

      [role='tablist'] {
        display: flex;
        padding: 0 0.5rem;
        border-bottom: 1px solid var(--line);
      }

      [role='tab'] {
        position: relative;
        flex: 1 1 auto;
        min-height: 3rem;
        padding: 0 0.5rem;
        border: 0;
        border-radius: 0;
        color: var(--quiet);
        white-space: nowrap;
      }

      [role='tab']:hover {
        background: none;
        color: var(--text);
      }

      [role='tab'][aria-selected='true'] {
        color: var(--text);
      }

      [role='tab'][aria-selected='true']::after {
        content: '';
        position: absolute;
        right: 0.5rem;
        bottom: -1px;
        left: 0.5rem;
        height: 2px;
        border-radius: 1px;
        background: var(--link);
      }

      [role='tab']:focus-visible {
        outline-offset: -4px;
        border-radius: 0.5rem;
      }

      [role='tabpanel'] {
        padding: 1.5rem;
      }

      form {
        display: grid;
        gap: 1.125rem;
      }

      .accounts {
        display: flex;
        flex-wrap: wrap;
        gap: 0.375rem;
        margin-top: -0.5rem;
      }

      .accounts button {
        min-height: 1.875rem;
        padding: 0.125rem 0.625rem;
        border-color: var(--line);
        border-radius: 1rem;
        font-size: 0.8125rem;
      }

      .accounts button[aria-pressed='true'] {
        border-color: var(--link);
      }

      .forever {
        color: var(--quiet);
        font-size: 0.8125rem;
      }

      .forever strong {
        color: var(--text);
        font-weight: 600;
      }

      footer {
        padding: 1rem;
      }

      @media (max-width: 480px) {
        main {
          align-content: start;
          padding-top: 1.75rem;
        }

        [role='tabpanel'] {
          padding: 1.25rem 1rem;
        }
      }
    `,
  ];

  override render() {
    const { data } = this;
    if (data === undefined) return nothing;
    const way = this.way ?? 'register';
    return html`<main>
        <header>
          ${mark(56)}
          <h1>Secure</h1>
          <p>Group chat that only its members can read. Messages go from browser to browser, encrypted with your own key.</p>
        </header>
        ${
          data.invitedTo === undefined
            ? nothing
            : html`<p class="invited" role="status">
                You were invited to a group on <strong><bdi>${data.invitedTo.origin}</bdi></strong>. Register or log in to join.
              </p>`
        }
        <div class="card">
          <div role="tablist" aria-label="How to sign in" @keydown=${this.#moveTab}>
            ${ways.map(
              (each) =>
                html`<button
                  role="tab"
                  id="tab-${each.way}"
                  type="button"
                  aria-selected=${each.way === way ? 'true' : 'false'}
                  aria-controls="panel"
                  tabindex=${each.way === way ? 0 : -1}
                  @click=${() => this.#choose(each.way)}
                >
                  ${each.label}
                </button>`,
            )}
          </div>
          <div role="tabpanel" id="panel" aria-labelledby="tab-${way}">${this.#panel(way, data)}</div>
        </div>
      </main>
      <footer><secure-theme-chooser .theme=${this.theme}></secure-theme-chooser></footer>`;
  }

  #panel(way: Way, data: SignInState): TemplateResult {
    switch (way) {
      case 'register':
        return this.#registerForm(data);
      case 'log-in':
        return this.#logInForm(data);
      case 'key':
        return html`<secure-key-panel
          .controller=${this.controller}
          .busy=${data.busy}
          .problem=${this.problem}
        ></secure-key-panel>`;
      default:
        return way satisfies never;
    }
  }

  #registerForm(data: SignInState): TemplateResult {
    return html`<form novalidate @submit=${this.#submit}>
      ${this.#usernameField(usernameHint)}
      ${field({
        ...this.#passphrasePart(),
        autocomplete: 'new-password',
        below: html`<secure-strength-meter .passphrase=${this.passphrase}></secure-strength-meter>`,
      })}
      <p class="forever">
        The passphrase locks your key in this browser and is sent nowhere: <strong>nobody can recover or reset it.</strong>
      </p>
      ${this.#otherProblem()} ${busyButtons('Register', data.busy, () => this.controller?.cancelSignIn())}
    </form>`;
  }

  #logInForm(data: SignInState): TemplateResult {
    return html`<form novalidate @submit=${this.#submit}>
      ${this.#usernameField(
        data.accounts.length === 0 ? 'No account is kept in this browser yet: register, or bring your PGP key.' : undefined,
      )}
      ${
        data.accounts.length < 2
          ? nothing
          : html`<div class="accounts" role="group" aria-label="Accounts in this browser">
              ${data.accounts.map(
                (name) =>
                  html`<button
                    type="button"
                    aria-pressed=${name === this.username ? 'true' : 'false'}
                    @click=${() => this.#takeAccount(name)}
                  >
                    ${name}
                  </button>`,
              )}
            </div>`
      }
      ${field({ ...this.#passphrasePart(), autocomplete: 'current-password' })} ${this.#otherProblem()}
      ${busyButtons('Log in', data.busy, () => this.controller?.cancelSignIn())}
    </form>`;
  }

  #usernameField(hint: string | undefined): TemplateResult {
    const problem = this.mistakes.username ?? this.#problemAt('username');
    return field({
      name: 'username',
      label: 'User name',
      autocomplete: 'username',
      maxlength: 64,
      value: this.username,
      // Both would say much the same.
      hint: problem === undefined ? hint : undefined,
      problem,
      changed: (username) => {
        this.username = username;
        this.mistakes = { ...this.mistakes, username: undefined };
      },
    });
  }

  #passphrasePart() {
    return {
      name: 'passphrase',
      label: 'Passphrase',
      type: this.shown ? 'text' : 'password',
      value: this.passphrase,
      problem: this.mistakes.passphrase ?? this.#problemAt('passphrase'),
      button: revealButton(this.shown, () => {
        this.shown = !this.shown;
      }),
      changed: (passphrase: string) => {
        this.passphrase = passphrase;
        this.mistakes = { ...this.mistakes, passphrase: undefined };
      },
    } as const;
  }

  #problemAt(place: 'username' | 'passphrase'): string | undefined {
    return this.data?.busy === undefined && this.problem?.field === place ? this.problem.text : undefined;
  }

  #otherProblem(): TemplateResult | typeof nothing {
    const other = this.problem?.field === 'node' || this.problem?.field === 'key' ? this.problem.text : undefined;
    return problemLine('other', this.data?.busy === undefined ? other : undefined);
  }

  protected override willUpdate(changed: PropertyValues<this>): void {
    if (!changed.has('data')) return;
    const before = changed.get('data');
    if (before?.problem !== this.data?.problem) this.problem = this.data?.problem;
    if (this.way !== undefined || this.data === undefined) return;
    const [last] = this.data.accounts;
    this.way = last === undefined ? 'register' : 'log-in';
    this.username = last ?? '';
  }

  protected override updated(changed: PropertyValues<this>): void {
    const before = changed.get('data');
    if (before === undefined) return;
    // Back from work with a problem: to the field that has it, as its message is read out.
    if (before.busy !== undefined && this.data?.busy === undefined && this.problem !== undefined)
      this.#focusField(this.problem.field);
  }

  protected override firstUpdated(): void {
    if (matchMedia('(pointer: coarse)').matches) return;
    this.#focusField(this.username === '' ? 'username' : 'passphrase');
  }

  #focusField(name: string): void {
    this.renderRoot.querySelector<HTMLInputElement>(`input#${name}`)?.focus();
  }

  #choose(way: Way): void {
    this.way = way;
    this.problem = undefined;
    this.mistakes = {};
    this.passphrase = '';
    this.shown = false;
    if (way === 'log-in' && this.username === '') this.username = this.data?.accounts[0] ?? '';
    if (way === 'register' && this.data?.accounts.includes(this.username)) this.username = '';
  }

  #takeAccount(name: string): void {
    this.username = name;
    this.#focusField('passphrase');
  }

  async #moveTab(event: KeyboardEvent): Promise<void> {
    const at = ways.findIndex((each) => each.way === this.way);
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: ways.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const next = ways[(to + ways.length) % ways.length];
    if (next === undefined) return;
    this.#choose(next.way);
    await this.updateComplete;
    this.renderRoot.querySelector<HTMLElement>(`#tab-${next.way}`)?.focus();
  }

  #submit(event: SubmitEvent): void {
    event.preventDefault();
    if (this.data?.busy !== undefined) return;
    const registering = this.way === 'register';
    this.username = tidyUsername(this.username);
    this.problem = undefined;
    this.mistakes = {
      username: usernameMistake(this.username, registering),
      passphrase: registering
        ? newPassphraseProblem(this.passphrase)
        : this.passphrase === ''
          ? 'Enter your passphrase.'
          : undefined,
    };
    const wrong = this.mistakes.username ? 'username' : this.mistakes.passphrase ? 'passphrase' : undefined;
    if (wrong !== undefined) return this.#focusField(wrong);
    const input = { username: this.username, passphrase: this.passphrase };
    void (registering ? this.controller?.register(input) : this.controller?.logIn(input));
  }
}

function usernameMistake(username: string, registering: boolean): string | undefined {
  if (username === '') return registering ? 'Choose a user name.' : 'Enter your user name.';
  return registering ? usernameProblem(username) : undefined;
}

declare global {
  interface HTMLElementTagNameMap {
    'secure-sign-in': SignIn;
  }
}
