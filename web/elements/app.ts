// The whole page: one screen at a time, drawn from the controller's state. The chat screen is loaded when it is near.
import { css, html, LitElement, type PropertyValues, type TemplateResult } from 'lit';
import { customElement, property, state } from 'lit/decorators.js';
import type { AppState, Controller, Theme } from '../app-state.ts';
import { controls } from './control-styles.ts';
import { mark } from './icons.ts';
import './sign-in.ts';

@customElement('secure-app')
export class App extends LitElement {
  /** Comes when the engine is loaded. Until then the starting screen stands. */
  @property({ attribute: false }) accessor controller: Controller | undefined;
  @property({ attribute: false }) accessor theme: Theme = 'system';
  /** Why the engine cannot start, in a sentence. */
  @property({ attribute: false }) accessor failure: string | undefined;
  @state() private accessor data: AppState = { screen: 'starting', text: 'Loading …' };
  @state() private accessor chat: 'absent' | 'loading' | 'loaded' | 'failed' = 'absent';
  #titleTimer: ReturnType<typeof setTimeout> | undefined;
  #unsubscribe: (() => void) | undefined;

  static override styles = [
    controls,
    css`
      :host {
        display: block;
        height: 100dvh;
      }

      .calm {
        display: grid;
        place-items: center;
        align-content: center;
        gap: 1rem;
        height: 100%;
        padding: 1rem;
        background: var(--panel);
        color: var(--quiet);
        text-align: center;
      }

      .calm svg {
        color: var(--link);
      }

      .calm p {
        max-width: 30rem;
        margin: 0;
      }
    `,
  ];

  override render() {
    const { data } = this;
    if (this.failure !== undefined) return this.#failed(this.failure);
    switch (data.screen) {
      case 'starting':
        return this.#starting(data.text);
      case 'sign-in':
        return html`<secure-sign-in
          .data=${data}
          .controller=${this.controller}
          .theme=${this.theme}
        ></secure-sign-in>`;
      case 'chat':
        if (this.chat === 'failed') return this.#failed('A part of the app could not be loaded. Check your connection.');
        if (this.chat !== 'loaded') return this.#starting('Opening your groups …');
        return html`<secure-chat .data=${data} .controller=${this.controller} .theme=${this.theme}></secure-chat>`;
      default:
        return data satisfies never;
    }
  }

  #starting(text: string): TemplateResult {
    return html`<main class="calm">${mark(56)}<p role="status">${text}</p></main>`;
  }

  #failed(text: string): TemplateResult {
    return html`<main class="calm">
      ${mark(56)}
      <p role="alert">${text}</p>
      <button @click=${() => location.reload()}>Load again</button>
    </main>`;
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.#follow();
    // A file dropped beside its place would replace the page, and with it everything typed.
    addEventListener('dragover', keepPage);
    addEventListener('drop', keepPage);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#unsubscribe?.();
    removeEventListener('dragover', keepPage);
    removeEventListener('drop', keepPage);
  }

  protected override willUpdate(changed: PropertyValues<this>): void {
    if (changed.has('controller')) this.#follow();
    if (this.data.screen === 'chat' && this.chat === 'absent') void this.#loadChat();
  }

  protected override updated(): void {
    // Later: what somebody reads as it comes is not counted first, and the browser takes its time with titles.
    this.#titleTimer ??= setTimeout(() => {
      this.#titleTimer = undefined;
      const unread = this.data.screen === 'chat' ? this.data.groups.reduce((sum, group) => sum + group.unread, 0) : 0;
      const title = unread > 0 ? `(${unread}) Secure` : 'Secure';
      if (title !== document.title) document.title = title;
    }, 100);
  }

  #follow(): void {
    this.#unsubscribe?.();
    const { controller } = this;
    if (controller === undefined) return;
    const show = () => {
      this.data = controller.state;
      // While somebody signs in, the next screen comes in the background.
      if (this.chat === 'absent' && this.data.screen === 'sign-in') setTimeout(() => void this.#loadChat(), 1000);
    };
    this.#unsubscribe = controller.subscribe(show);
    show();
  }

  async #loadChat(): Promise<void> {
    if (this.chat === 'loading' || this.chat === 'loaded') return;
    this.chat = 'loading';
    try {
      await import('./chat-screen.ts');
      this.chat = 'loaded';
    } catch {
      // Told only to somebody who needs it now; otherwise it is tried again then.
      this.chat = this.data.screen === 'chat' ? 'failed' : 'absent';
    }
  }
}

function keepPage(event: DragEvent): void {
  if (event.dataTransfer?.types.includes('Files')) event.preventDefault();
}

declare global {
  interface HTMLElementTagNameMap {
    'secure-app': App;
  }
}
