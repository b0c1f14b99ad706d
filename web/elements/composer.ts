// Where a message is written. Its text is let go only when it is stored, and each group keeps its own draft.
import { css, html, LitElement, nothing, type PropertyValues } from 'lit';
import { customElement, property, query, state } from 'lit/decorators.js';
import { limits } from '../../wire/limits.ts';
import { controls } from './control-styles.ts';
import { icon } from './icons.ts';

export type SendText = (gid: string, text: string) => Promise<'stored' | 'failed'>;

/** The limit is mentioned when less than this is left, in bytes. */
const nearLimit = 1024;

@customElement('secure-composer')
export class Composer extends LitElement {
  @property({ attribute: false }) accessor gid = '';
  @property({ attribute: false }) accessor groupName = '';
  @property({ attribute: false }) accessor send: SendText | undefined;
  /** Why nothing can be written here, in a sentence. */
  @property({ attribute: false }) accessor closed: string | undefined;
  @state() private accessor text = '';
  @state() private accessor problem: string | undefined;
  @query('textarea') private accessor textarea: HTMLTextAreaElement | null = null;
  // In memory only: drafts are as secret as messages.
  readonly #drafts = new Map<string, string>();

  static override styles = [
    controls,
    css`
      :host {
        display: block;
        padding: 0.5rem 1.25rem 1rem;
        padding-bottom: max(1rem, env(safe-area-inset-bottom));
      }

      form {
        display: flex;
        align-items: flex-end;
        border: 1px solid var(--line-strong);
        border-radius: 1.375rem;
        background: var(--field);
      }

      form:focus-within {
        border-color: var(--focus);
        outline: 1px solid var(--focus);
      }

      textarea {
        flex: 1;
        max-height: min(16rem, 40dvh);
        min-height: 2.75rem;
        padding: 0.625rem 0.25rem 0.625rem 1.125rem;
        border: 0;
        border-radius: 1.375rem;
        background: transparent;
        line-height: 1.5rem;
        overflow-y: auto;
        resize: none;
        field-sizing: content;
      }

      textarea:focus-visible {
        outline: none;
      }

      button.primary {
        width: 2.25rem;
        margin: 0.25rem;
        border-radius: 50%;
      }

      button.primary[aria-disabled='true'] {
        background: var(--hover);
        color: var(--quiet);
        opacity: 1;
      }

      .under {
        margin-top: 0.25rem;
        padding: 0 1.125rem;
        color: var(--quiet);
        font-size: 0.8125rem;
      }

      .under.over {
        color: var(--danger);
      }

      .closed {
        padding: 0.6875rem 1.125rem;
        border: 1px dashed var(--line-strong);
        border-radius: 1.375rem;
        color: var(--quiet);
        text-align: center;
      }

      @media (max-width: 720px) {
        :host {
          padding-inline: 0.75rem;
          padding-bottom: max(0.75rem, env(safe-area-inset-bottom));
        }
      }
    `,
  ];

  override render() {
    if (this.closed !== undefined) return html`<p class="closed">${this.closed}</p>`;
    const left = bytesLeft(this.text);
    const empty = this.text.trim() === '';
    return html`<form @submit=${this.#submit}>
        <textarea
          rows="1"
          aria-label="Message to ${this.groupName}"
          aria-describedby="under"
          placeholder="Message"
          enterkeyhint="send"
          dir="auto"
          .value=${this.text}
          @input=${this.#typed}
          @keydown=${this.#key}
        ></textarea>
        <button class="primary icon" aria-label="Send" title="Send (Enter)" aria-disabled=${empty || left < 0 ? 'true' : nothing}>
          ${icon('send')}
        </button>
      </form>
      <div id="under" role="status" class="under ${left < 0 || this.problem ? 'over' : ''}" ?hidden=${left >= nearLimit && !this.problem}>
        ${this.problem ?? limitText(left)}
      </div>`;
  }

  override focus(): void {
    this.textarea?.focus();
  }

  protected override willUpdate(changed: PropertyValues<this>): void {
    if (!changed.has('gid')) return;
    const before = changed.get('gid');
    if (before !== undefined) this.#keepDraft(before, this.text);
    this.text = this.#drafts.get(this.gid) ?? '';
    this.problem = undefined;
  }

  // Measuring lays the page out twice for each letter: only where the browser cannot size a field by its content.
  protected override updated(): void {
    const { textarea } = this;
    if (textarea === null || CSS.supports('field-sizing', 'content')) return;
    textarea.style.height = 'auto';
    textarea.style.height = `${textarea.scrollHeight}px`;
  }

  #typed(): void {
    this.text = this.textarea?.value ?? '';
    this.problem = undefined;
  }

  // While an input method composes, Enter accepts its suggestion; Safari says so only by the key code 229.
  #key(event: KeyboardEvent): void {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    void this.#send();
  }

  #submit(event: SubmitEvent): void {
    event.preventDefault();
    void this.#send();
    this.textarea?.focus();
  }

  async #send(): Promise<void> {
    const { gid, text } = this;
    if (text.trim() === '' || bytesLeft(text) < 0 || this.send === undefined) return;
    // Before anything is drawn: it works while that is done.
    const sending = this.send(gid, text.trim());
    this.text = '';
    this.#drafts.delete(gid);
    const result = await sending;
    if (result === 'failed') this.#giveBack(gid, text);
  }

  // What was typed meanwhile stays, after what came back.
  #giveBack(gid: string, text: string): void {
    const join = (later: string) => (later === '' ? text : `${text}\n${later}`);
    if (gid !== this.gid) {
      this.#keepDraft(gid, join(this.#drafts.get(gid) ?? ''));
      return;
    }
    this.text = join(this.text);
    this.problem = 'Not sent. The text is still here: try again.';
  }

  #keepDraft(gid: string, text: string): void {
    if (text === '') this.#drafts.delete(gid);
    else this.#drafts.set(gid, text);
  }
}

/** Of the longest message that the protocol carries; only long texts are encoded to count them. */
function bytesLeft(text: string): number {
  if (text.length * 3 < limits.textBytes - nearLimit) return limits.textBytes;
  return limits.textBytes - new TextEncoder().encode(text).length;
}

function limitText(left: number): string {
  if (left >= nearLimit) return '';
  if (left < 0) return `Too long by ${-left} ${left === -1 ? 'character' : 'characters'}. Send it in parts.`;
  return `${left} ${left === 1 ? 'character' : 'characters'} left`;
}

declare global {
  interface HTMLElementTagNameMap {
    'secure-composer': Composer;
  }
}
