// The conversation as a list that grows: one new message costs one new row, and the reader's place is never lost.
import { css, html, LitElement, nothing, type PropertyValues } from 'lit';
import { customElement, property, query, state } from 'lit/decorators.js';
import { guard } from 'lit/directives/guard.js';
import { repeat } from 'lit/directives/repeat.js';
import type { ConversationItem } from '../app-state.ts';
import { startOfDay } from '../time-text.ts';
import { controls } from './control-styles.ts';
import { icon } from './icons.ts';
import { messageRow, messageRowStyles } from './message-row.ts';

/** Rows at first, and how many more come when somebody scrolls up to their beginning. */
const page = 150;
/** Somebody who stays at the end does not drag a whole day's rows along. */
const mostAtEnd = 450;
/** Nearer than this to the end counts as being there, in CSS pixels. */
const nearEnd = 48;

@customElement('secure-message-list')
export class MessageList extends LitElement {
  @property({ attribute: false }) accessor items: ConversationItem[] = [];
  /** Uids whose nickname could be taken for another member's name. */
  @property({ attribute: false }) accessor confusable: ReadonlySet<string> = new Set();
  @property({ attribute: false }) accessor label = '';
  /** Index of the first item that has a row. */
  @state() private accessor first = 0;
  /** Messages that came while the reader was further up. */
  @state() private accessor news = 0;
  @query('.scroller') private accessor scroller: HTMLElement | null = null;
  @query('.rows') private accessor rows: HTMLElement | null = null;
  #atEnd = true;
  #anchor: { row: Element; top: number } | undefined;
  #toldOf: ConversationItem[] | undefined;
  // Also when the list comes into sight on a small screen.
  readonly #resized = new ResizeObserver(() => {
    this.#keepEnd();
    this.#seen();
  });

  static override styles = [
    controls,
    ...messageRowStyles,
    css`
      :host {
        position: relative;
        display: grid;
        grid-template-columns: minmax(0, 1fr);
        min-height: 0;
      }

      .scroller {
        overflow: hidden auto;
        overflow-anchor: none;
        overscroll-behavior: contain;
      }

      .scroller:focus-visible {
        outline-offset: -2px;
      }

      /* A few rows stand at the lower end. Plain blocks: as flex items, all would be laid out again for each new one. */
      .rows {
        align-content: end;
        min-height: 100%;
        padding: 0.5rem 0 0.75rem;
      }

      .news {
        position: absolute;
        bottom: 0.75rem;
        left: 50%;
        min-height: 2.125rem;
        border-radius: 1.0625rem;
        box-shadow: 0 4px 16px -2px var(--shadow);
        font-size: 0.8125rem;
        transform: translateX(-50%);
      }
    `,
  ];

  override render() {
    const today = startOfDay(Date.now());
    return html`<div class="scroller" role="log" aria-label=${this.label} tabindex="0" @scroll=${this.#scrolled}>
        <div class="rows">
          ${repeat(
            this.items.slice(this.first),
            (item) => item.id,
            (item, index) => {
              const before = this.items[this.first + index - 1];
              const confusable = item.item === 'message' && this.confusable.has(item.author.uid);
              return guard([item, before, confusable, today], () => messageRow(item, { before, confusable }));
            },
          )}
        </div>
      </div>
      ${
        this.news === 0
          ? nothing
          : html`<button type="button" class="news primary" @click=${() => this.scrollToEnd()}>
              ${icon('down', 16)} ${this.news === 1 ? '1 new message' : `${this.news} new messages`}
            </button>`
      }`;
  }

  /** Shows the newest message. */
  scrollToEnd(): void {
    this.#atEnd = true;
    this.news = 0;
    this.#keepEnd();
    this.#tellRead();
  }

  override connectedCallback(): void {
    super.connectedCallback();
    document.addEventListener('visibilitychange', this.#seen);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    document.removeEventListener('visibilitychange', this.#seen);
    this.#resized.disconnect();
  }

  protected override willUpdate(changed: PropertyValues<this>): void {
    if (!changed.has('items')) return;
    const before = changed.get('items');
    if (before === undefined || before.length === 0 || this.first >= this.items.length) {
      this.first = Math.max(0, this.items.length - page);
      return;
    }
    const newest = this.items.at(-1);
    if (newest?.item === 'message' && newest.author.own && newest.id !== before.at(-1)?.id) this.#atEnd = true;
    if (this.#atEnd) {
      if (this.items.length - this.first > mostAtEnd) this.first = this.items.length - page;
      return;
    }
    this.news += messagesAfter(before.at(-1)?.id, this.items);
  }

  protected override update(changed: PropertyValues): void {
    if (this.hasUpdated && !this.#atEnd) this.#anchor = this.#firstVisible();
    super.update(changed);
  }

  protected override firstUpdated(): void {
    if (this.scroller !== null) this.#resized.observe(this.scroller);
    if (this.rows !== null) this.#resized.observe(this.rows);
  }

  protected override updated(): void {
    if (this.#atEnd) {
      // What grew is scrolled to when the frame has laid it out, see #resized; to ask here would lay it out twice.
      requestAnimationFrame(this.#seen);
    } else if (this.#anchor?.row.isConnected && this.scroller !== null) {
      this.scroller.scrollTop += this.#anchor.row.getBoundingClientRect().top - this.#anchor.top;
    }
    this.#anchor = undefined;
  }

  #scrolled(): void {
    const { scroller } = this;
    if (scroller === null) return;
    this.#atEnd = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < nearEnd;
    if (this.#atEnd) {
      this.news = 0;
      this.#tellRead();
    } else if (scroller.scrollTop < scroller.clientHeight && this.first > 0) {
      this.first = Math.max(0, this.first - page);
    }
  }

  #keepEnd(): void {
    if (this.#atEnd && this.scroller !== null) this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  #seen = () => {
    if (this.#atEnd) this.#tellRead();
  };

  // Read is what stood on a screen that somebody could see.
  #tellRead(): void {
    // What came late stands further up, and counts as read with the rest.
    if (this.items.length === 0 || this.items === this.#toldOf || document.hidden || !this.checkVisibility()) return;
    this.#toldOf = this.items;
    this.dispatchEvent(new Event('read-to-end', { bubbles: true, composed: true }));
  }

  // Rows stand in order, so half of them are ruled out by each look.
  #firstVisible(): { row: Element; top: number } | undefined {
    const { scroller, rows } = this;
    if (scroller === null || rows === null) return undefined;
    const edge = scroller.getBoundingClientRect().top;
    let low = 0;
    let high = rows.children.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((rows.children[middle]?.getBoundingClientRect().bottom ?? 0) > edge) high = middle;
      else low = middle + 1;
    }
    const row = rows.children[low];
    return row && { row, top: row.getBoundingClientRect().top };
  }
}

/** Messages after the one with this id; looked for from the end, as new ones are few. */
function messagesAfter(id: string | undefined, items: ConversationItem[]): number {
  let count = 0;
  for (let at = items.length - 1; at >= 0 && items[at]?.id !== id; at -= 1) if (items[at]?.item === 'message') count += 1;
  return count;
}

declare global {
  interface HTMLElementTagNameMap {
    'secure-message-list': MessageList;
  }
  interface HTMLElementEventMap {
    'read-to-end': Event;
  }
}
