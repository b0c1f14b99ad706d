// "Use my PGP key": takes a pasted, chosen or dropped key, shows what the key doctor found, and signs in with it.
import { css, html, LitElement, nothing, type PropertyValues, type TemplateResult } from 'lit';
import { customElement, property, query, state } from 'lit/decorators.js';
import type { AppState, Controller, KeyCheck, KeyFacts } from '../app-state.ts';
import { adviceOf } from '../mend-text.ts';
import { newPassphraseProblem } from '../new-passphrase.ts';
import { fingerprintGroups } from '../person-name.ts';
import { tidyUsername, usernameHint, usernameProblem } from '../username.ts';
import { busyButtons } from './busy-buttons.ts';
import { controls } from './control-styles.ts';
import { field, problemLine, revealButton } from './field.ts';
import { icon } from './icons.ts';
import { keyFactsCard, keyFactsStyles } from './key-facts.ts';
import './copy-line.ts';
import './strength-meter.ts';

type Problem = Extract<AppState, { screen: 'sign-in' }>['problem'];

type Stage =
  | { stage: 'give'; problem: string | undefined }
  | { stage: 'checking' }
  | { stage: 'choose'; bytes: Uint8Array; keys: Extract<KeyCheck, { outcome: 'choose' }>['keys'] }
  | { stage: 'ready'; facts: KeyFacts; needsPassphrase: boolean }
  | { stage: 'refused'; what: string; mend: string };

// The key doctor takes 256 KiB; one byte more is enough for it to say that a file is too large.
const mostBytes = 256 * 1024 + 1;

@customElement('secure-key-panel')
export class KeyPanel extends LitElement {
  @property({ attribute: false }) accessor controller: Controller | undefined;
  @property({ attribute: false }) accessor busy: string | undefined;
  @property({ attribute: false }) accessor problem: Problem;

  @state() private accessor stage: Stage = { stage: 'give', problem: undefined };
  @state() private accessor dragging = false;
  @state() private accessor username = '';
  @state() private accessor passphrase = '';
  @state() private accessor shown = false;
  @state() private accessor mistakes: { username?: string | undefined; passphrase?: string | undefined } = {};
  @query('textarea') private accessor textarea: HTMLTextAreaElement | null = null;
  @query('input[type=file]') private accessor fileInput: HTMLInputElement | null = null;
  #check = 0;

  static override styles = [
    controls,
    keyFactsStyles,
    css`
      :host {
        position: relative;
        display: grid;
        gap: 1.125rem;
      }

      form,
      section {
        display: grid;
        gap: 1.125rem;
      }

      h2 {
        font-size: 1rem;
        font-weight: 600;
      }

      h2:focus {
        outline: none;
      }

      .drop {
        position: absolute;
        inset: -0.75rem;
        display: grid;
        place-items: center;
        align-content: center;
        gap: 0.5rem;
        border: 2px dashed var(--link);
        border-radius: 0.75rem;
        background: var(--raised);
        font-weight: 500;
        pointer-events: none;
      }

      textarea {
        min-height: 7.5rem;
        resize: vertical;
        font-family: var(--mono);
        font-size: 0.8125rem;
      }

      .export {
        display: grid;
        gap: 0.3125rem;
      }

      .give {
        display: flex;
        flex-wrap: wrap;
        gap: 0.5rem;
      }

      .give button {
        flex: 1;
      }

      .waiting {
        display: flex;
        align-items: center;
        gap: 0.75rem;
        min-height: 6rem;
        color: var(--quiet);
      }

      .waiting span:nth-child(2) {
        flex: 1;
      }

      .keys {
        display: grid;
        gap: 0.5rem;
      }

      .keys button {
        display: grid;
        justify-items: start;
        gap: 0.125rem;
        width: 100%;
        padding: 0.625rem 0.875rem;
        text-align: left;
        overflow-wrap: anywhere;
      }

      .keys .mono {
        max-width: 25ch;
        color: var(--quiet);
        font-weight: 400;
      }

      .refused {
        display: grid;
        gap: 0.5rem;
        padding: 0.875rem 1rem;
        border-radius: 0.625rem;
        background: var(--danger-ground);
      }

      .refused h2 {
        display: flex;
        gap: 0.5rem;
        color: var(--danger);
      }

      .refused svg {
        margin-top: 0.125rem;
      }

    `,
  ];

  constructor() {
    super();
    this.addEventListener('dragover', (event) => this.#drag(event, true));
    this.addEventListener('dragleave', (event) => this.#drag(event, false));
    this.addEventListener('drop', (event) => this.#drop(event));
  }

  override render() {
    return html`${this.#stage()}
    ${this.dragging ? html`<div class="drop">${icon('file', 24)} Drop the key here</div>` : nothing}`;
  }

  #stage(): TemplateResult {
    const { stage } = this;
    switch (stage.stage) {
      case 'give':
        return this.#giveForm(stage.problem ?? (this.problem?.field === 'key' ? this.problem.text : undefined));
      case 'checking':
        return html`<section class="waiting" role="status">
          <span class="spinner" aria-hidden="true"></span><span>Looking at the key. Nothing leaves this browser.</span>
          <button type="button" @click=${() => this.#startOver()}>Cancel</button>
        </section>`;
      case 'choose':
        return html`<section>
          <h2 tabindex="-1">Several keys are in there. Which one is yours?</h2>
          <ul class="keys">
            ${stage.keys.map(
              (key) =>
                html`<li>
                  <button type="button" @click=${() => this.#look(stage.bytes, key.fingerprint)}>
                    ${key.userIds.map((id) => html`<bdi>${id}</bdi>`)}
                    <span class="mono">${fingerprintGroups(key.fingerprint)}</span>
                  </button>
                </li>`,
            )}
          </ul>
          <button type="button" @click=${() => this.#startOver()}>Use another key</button>
        </section>`;
      case 'ready':
        return this.#useForm(stage.facts, stage.needsPassphrase);
      case 'refused':
        return html`<section>
          <div class="refused" role="alert">
            <h2 tabindex="-1">${icon('warning')}<span>${stage.what}</span></h2>
            ${adviceOf(stage.mend).map((part) =>
              part.kind === 'words'
                ? html`<p>${part.text}</p>`
                : html`<secure-copy-line what="command" shape="whole" text=${part.text}></secure-copy-line>`,
            )}
          </div>
          <button type="button" @click=${() => this.#startOver()}>Try another key</button>
        </section>`;
      default:
        return stage satisfies never;
    }
  }

  #giveForm(problem: string | undefined): TemplateResult {
    return html`<form novalidate @submit=${this.#checkPasted}>
      <div class="field">
        <label for="key">Your secret key</label>
        <textarea
          id="key"
          spellcheck="false"
          autocomplete="off"
          autocapitalize="none"
          placeholder="-----BEGIN PGP PRIVATE KEY BLOCK-----"
          aria-describedby="key-problem key-hint"
          aria-invalid=${problem ? 'true' : nothing}
        ></textarea>
        ${problemLine('key', problem)}
        <p class="hint" id="key-hint">
          Paste it, choose its file, or drop the file here. It is looked at in this browser, and kept only when you sign in with it,
          locked under its passphrase.
        </p>
      </div>
      <div class="export">
        <p class="hint">GnuPG writes it out with</p>
        <secure-copy-line what="command" shape="whole" text="gpg --armor --export-secret-keys you@example.org"></secure-copy-line>
      </div>
      <div class="give">
        <button type="button" @click=${() => this.fileInput?.click()}>${icon('file')} Choose a file</button>
        <button class="primary">Check key</button>
      </div>
      <input type="file" hidden aria-label="Key file" accept=".asc,.gpg,.pgp,.key,.txt,application/pgp-keys" @change=${this.#chosen} />
      ${problemLine('node', this.problem?.field === 'node' ? this.problem.text : undefined)}
    </form>`;
  }

  #useForm(facts: KeyFacts, needsPassphrase: boolean): TemplateResult {
    const problemAt = (place: string) =>
      this.busy === undefined && this.problem?.field === place ? this.problem.text : undefined;
    return html`<form novalidate @submit=${this.#use}>
      <div>
        <h2 tabindex="-1">This key can be used</h2>
        ${keyFactsCard(facts, Date.now())}
      </div>
      ${field({
        name: 'username',
        label: 'User name',
        autocomplete: 'username',
        maxlength: 64,
        value: this.username,
        hint: usernameHint,
        problem: this.mistakes.username ?? problemAt('username'),
        changed: (username) => {
          this.username = username;
          this.mistakes = { ...this.mistakes, username: undefined };
        },
      })}
      ${field({
        name: 'passphrase',
        label: needsPassphrase ? 'Passphrase of this key' : 'New passphrase',
        type: this.shown ? 'text' : 'password',
        autocomplete: needsPassphrase ? 'current-password' : 'new-password',
        value: this.passphrase,
        hint: needsPassphrase
          ? undefined
          : 'The key came without a passphrase. This one locks it in this browser; nobody can recover or reset it.',
        problem: this.mistakes.passphrase ?? problemAt('passphrase'),
        button: revealButton(this.shown, () => {
          this.shown = !this.shown;
        }),
        below: needsPassphrase ? html`` : html`<secure-strength-meter .passphrase=${this.passphrase}></secure-strength-meter>`,
        changed: (passphrase) => {
          this.passphrase = passphrase;
          this.mistakes = { ...this.mistakes, passphrase: undefined };
        },
      })}
      ${problemLine('other', problemAt('node') ?? problemAt('key'))}
      ${busyButtons('Sign in with this key', this.busy, () => this.controller?.cancelSignIn())}
      ${
        this.busy === undefined
          ? html`<button type="button" class="plain" @click=${() => this.#startOver()}>Use another key</button>`
          : nothing
      }
    </form>`;
  }

  protected override updated(changed: PropertyValues): void {
    if (changed.has('busy') && this.busy === undefined && this.problem !== undefined) {
      this.renderRoot.querySelector<HTMLInputElement>(`input#${this.problem.field}`)?.focus();
    }
    // A new result takes the focus with it, so that it is heard and Tab goes on from there.
    if (changed.has('stage') && changed.get('stage') !== undefined) {
      this.renderRoot.querySelector<HTMLElement>('h2, textarea')?.focus();
    }
  }

  #startOver(): void {
    this.#check += 1;
    this.passphrase = '';
    this.mistakes = {};
    this.stage = { stage: 'give', problem: undefined };
  }

  #checkPasted(event: SubmitEvent): void {
    event.preventDefault();
    const text = this.textarea?.value ?? '';
    if (text.trim() === '') {
      this.stage = { stage: 'give', problem: 'Paste your key here first, or choose its file.' };
      return;
    }
    void this.#look(new TextEncoder().encode(text));
  }

  #chosen(): void {
    const file = this.fileInput?.files?.[0];
    if (file !== undefined) void this.#readFile(file);
  }

  #drag(event: DragEvent, over: boolean): void {
    if (this.busy !== undefined || !event.dataTransfer?.types.includes('Files')) return;
    event.preventDefault();
    this.dragging = over;
  }

  #drop(event: DragEvent): void {
    const file = event.dataTransfer?.files[0];
    this.dragging = false;
    if (file === undefined || this.busy !== undefined) return;
    event.preventDefault();
    void this.#readFile(file);
  }

  async #readFile(file: File): Promise<void> {
    try {
      await this.#look(new Uint8Array(await file.slice(0, mostBytes).arrayBuffer()));
    } catch {
      this.stage = { stage: 'give', problem: 'The file could not be read. Try again, or paste the key.' };
    }
  }

  async #look(bytes: Uint8Array, choice?: string): Promise<void> {
    if (this.controller === undefined) return;
    this.#check += 1;
    const check = this.#check;
    this.stage = { stage: 'checking' };
    const found = await this.controller.checkKey(bytes, choice);
    if (check === this.#check) this.#show(found, bytes);
  }

  #show(found: KeyCheck, bytes: Uint8Array): void {
    this.mistakes = {};
    this.problem = undefined;
    this.passphrase = '';
    switch (found.outcome) {
      case 'ready':
        this.username = found.suggestedUsername;
        this.stage = { stage: 'ready', facts: found.facts, needsPassphrase: found.needsPassphrase };
        return;
      case 'choose':
        this.stage = { stage: 'choose', bytes, keys: found.keys };
        return;
      case 'refused':
        this.stage = { stage: 'refused', what: found.what, mend: found.mend };
        return;
      default:
        found satisfies never;
    }
  }

  #use(event: SubmitEvent): void {
    event.preventDefault();
    if (this.busy !== undefined) return;
    this.username = tidyUsername(this.username);
    this.problem = undefined;
    this.mistakes = {
      username: this.username === '' ? 'Enter a user name.' : usernameProblem(this.username),
      passphrase: this.#passphraseMistake(),
    };
    const wrong = this.mistakes.username ? 'username' : this.mistakes.passphrase ? 'passphrase' : undefined;
    if (wrong !== undefined) {
      this.renderRoot.querySelector<HTMLInputElement>(`input#${wrong}`)?.focus();
      return;
    }
    void this.controller?.useKey({ username: this.username, passphrase: this.passphrase });
  }

  #passphraseMistake(): string | undefined {
    if (this.stage.stage === 'ready' && !this.stage.needsPassphrase) return newPassphraseProblem(this.passphrase);
    return this.passphrase === '' ? 'Enter the passphrase of this key.' : undefined;
  }
}

declare global {
  interface HTMLElementTagNameMap {
    'secure-key-panel': KeyPanel;
  }
}
