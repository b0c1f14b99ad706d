// Asks before something that cannot be taken back: what it does and what it does not, one button that does it, and what went wrong.
import { css, html, nothing } from 'lit';
import { customElement, property, state } from 'lit/decorators.js';
import { busyButtons } from './busy-buttons.ts';
import { DialogElement, dialogStyles } from './dialog-frame.ts';
import { icon } from './icons.ts';

export type Confirmation = {
  heading: string;
  sentences: string[];
  action: string;
  /** What is being done, in words. */
  doing: string;
  /** Does it; resolves with what went wrong, or undefined when it is done. */
  confirm: () => Promise<string | undefined>;
};

@customElement('secure-confirm-dialog')
export class ConfirmDialog extends DialogElement {
  @property({ attribute: false }) accessor confirmation: Confirmation | undefined;
  @state() private accessor problem: string | undefined;
  @state() private accessor busy = false;

  static override styles = [
    ...dialogStyles,
    css`
      form {
        display: grid;
        gap: 1.125rem;
      }

      .sentences {
        display: grid;
        gap: 0.625rem;
        color: var(--quiet);
        overflow-wrap: anywhere;
      }
    `,
  ];

  override get heading(): string {
    return this.confirmation?.heading ?? '';
  }

  override body() {
    const { confirmation } = this;
    if (confirmation === undefined) return html``;
    return html`<form @submit=${this.#submit}>
      <div class="sentences">${confirmation.sentences.map((sentence) => html`<p>${sentence}</p>`)}</div>
      ${this.problem === undefined ? nothing : html`<p class="problem" role="alert">${icon('warning', 16)} ${this.problem}</p>`}
      ${busyButtons(confirmation.action, this.busy ? confirmation.doing : undefined, () => this.close(), 'danger')}
    </form>`;
  }

  async #submit(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    const { confirmation } = this;
    if (confirmation === undefined || this.busy) return;
    this.busy = true;
    this.problem = await confirmation.confirm();
    this.busy = false;
    if (this.problem === undefined) this.close();
  }
}

declare global {
  interface HTMLElementTagNameMap {
    'secure-confirm-dialog': ConfirmDialog;
  }
}
