// Text to take elsewhere, such as a command or a link, with a button that copies it.
import { css, html, LitElement } from 'lit';
import { customElement, property, query, state } from 'lit/decorators.js';
import { controls } from './control-styles.ts';
import { icon } from './icons.ts';

@customElement('secure-copy-line')
export class CopyLine extends LitElement {
  @property() accessor text = '';
  /** What it is, for the label: "command" gives "Copy command". */
  @property() accessor what = 'text';
  /** A command is read before it is run, so all of it shows; of a link only the beginning. */
  @property({ reflect: true }) accessor shape: 'line' | 'whole' = 'line';
  @state() private accessor answer = '';
  @query('input') private accessor input: HTMLInputElement | null = null;
  @query('code') private accessor code: HTMLElement | null = null;

  static override styles = [
    controls,
    css`
      :host {
        display: block;
      }

      .line {
        display: flex;
        align-items: center;
        border: 1px solid var(--line);
        border-radius: 0.5rem;
        background: var(--code);
      }

      input {
        flex: 1;
        min-width: 0;
        min-height: 2.25rem;
        border: 0;
        background: transparent;
        font-family: var(--mono);
        font-size: 0.8125rem;
        text-overflow: ellipsis;
      }

      code {
        flex: 1;
        min-width: 0;
        padding: 0.4375rem 0 0.4375rem 0.75rem;
        font-family: var(--mono);
        font-size: 0.8125rem;
        overflow-wrap: anywhere;
      }

      .answer {
        color: var(--quiet);
        font-size: 0.8125rem;
      }

      .answer:not(:empty) {
        margin-top: 0.25rem;
      }
    `,
  ];

  override render() {
    return html`<div class="line">
        ${
          this.shape === 'whole'
            ? html`<code>${this.text}</code>`
            : html`<input readonly aria-label=${this.what} .value=${this.text} @focus=${this.#select} />`
        }
        <button type="button" class="icon" aria-label="Copy ${this.what}" title="Copy ${this.what}" @click=${this.#copy}>
          ${icon(this.answer === 'Copied.' ? 'check' : 'copy')}
        </button>
      </div>
      <p class="answer" role="status">${this.answer}</p>`;
  }

  #select(): void {
    this.input?.select();
    if (this.code !== null) getSelection()?.selectAllChildren(this.code);
  }

  async #copy(): Promise<void> {
    try {
      await navigator.clipboard.writeText(this.text);
      this.answer = 'Copied.';
    } catch {
      // The browser or the server's permissions policy refuses: the person's own keys still may.
      this.input?.focus();
      this.#select();
      this.answer = 'The browser did not allow copying. It is selected now: press Ctrl+C (⌘C on a Mac).';
    }
  }
}

declare global {
  interface HTMLElementTagNameMap {
    'secure-copy-line': CopyLine;
  }
}
