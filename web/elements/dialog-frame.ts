// A modal dialog with a heading: opens when it is put into the page, Escape or a click beside it closes it, focus returns.
import { css, html, LitElement, type TemplateResult } from 'lit';
import { controls } from './control-styles.ts';
import { icon } from './icons.ts';

/** Each dialog extends it. Ends with a 'closed' event, upon which the owner takes it out of the page. */
export abstract class DialogElement extends LitElement {
  abstract readonly heading: string;
  /** A sheet comes up from the lower edge of a small screen and fills it. */
  readonly shape: 'window' | 'sheet' = 'window';

  /** What stands below the heading. */
  abstract body(): TemplateResult;

  override render() {
    return html`<dialog class=${this.shape} aria-labelledby="heading" @close=${this.#closed} @click=${this.#clicked}>
      <header>
        <h2 id="heading">${this.heading}</h2>
        <button type="button" class="icon" aria-label="Close" title="Close" @click=${() => this.close()}>${icon('close')}</button>
      </header>
      <div class="body">${this.body()}</div>
    </dialog>`;
  }

  close(): void {
    this.#dialog?.close();
  }

  protected override firstUpdated(): void {
    this.#dialog?.showModal();
  }

  get #dialog(): HTMLDialogElement | null {
    return this.renderRoot.querySelector('dialog');
  }

  #closed(): void {
    this.dispatchEvent(new Event('closed', { bubbles: true, composed: true }));
  }

  // The backdrop is the dialog itself, outside its box. A button pressed by key comes as a click too, with no clicks counted.
  #clicked(event: MouseEvent): void {
    const dialog = this.#dialog;
    if (dialog === null || event.target !== dialog || event.detail === 0) return;
    const box = dialog.getBoundingClientRect();
    const { clientX: x, clientY: y } = event;
    if (x < box.left || x > box.right || y < box.top || y > box.bottom) this.close();
  }
}

export const dialogStyles = [
  controls,
  css`
      dialog {
        width: min(27.5rem, calc(100vw - 2rem));
        max-height: calc(100dvh - 2rem);
        padding: 0;
        border: 1px solid var(--line);
        border-radius: 0.875rem;
        background: var(--raised);
        color: var(--text);
        box-shadow: 0 24px 64px -16px var(--shadow);
        overflow: hidden auto;
        overscroll-behavior: contain;
      }

      dialog::backdrop {
        background: rgb(0 0 0 / 0.45);
      }

      header {
        position: sticky;
        top: 0;
        z-index: 1;
        display: flex;
        align-items: center;
        justify-content: space-between;
        gap: 1rem;
        padding: 0.875rem 0.75rem 0.25rem 1.25rem;
        background: inherit;
      }

      h2 {
        min-width: 0;
        font-size: 1.0625rem;
        font-weight: 600;
        letter-spacing: -0.01em;
        overflow-wrap: anywhere;
      }

      .body {
        padding: 0.25rem 1.25rem 1.25rem;
      }

      @media (max-width: 720px) {
        dialog.sheet {
          width: 100vw;
          max-width: 100vw;
          height: calc(100dvh - 3rem);
          max-height: none;
          margin: auto 0 0;
          border-width: 1px 0 0;
          border-radius: 1rem 1rem 0 0;
        }

        .sheet .body {
          padding: 0.25rem 0.5rem 1rem;
        }
      }
    `,
];

declare global {
  interface HTMLElementEventMap {
    closed: Event;
  }
}
