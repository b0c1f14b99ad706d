// Asks for one line of text, such as a name or a link, and stays open with a sentence about what is wrong until it is accepted.
import { css, html } from 'lit';
import { customElement, property, state } from 'lit/decorators.js';
import { busyButtons } from './busy-buttons.ts';
import { DialogElement, dialogStyles } from './dialog-frame.ts';
import { field } from './field.ts';

export type Question = {
  heading: string;
  /** What it is for and what will happen, in a sentence or two. */
  sentence: string;
  label: string;
  value?: string;
  placeholder?: string;
  maxlength?: number;
  action: string;
  /** What is being done, in words. */
  doing: string;
  /** What is wrong with the text before anything is tried. */
  check: (text: string) => string | undefined;
  /** Does it; resolves with what went wrong, or undefined when it is done. */
  answer: (text: string) => Promise<string | undefined>;
};

@customElement('secure-ask-dialog')
export class AskDialog extends DialogElement {
  @property({ attribute: false }) accessor question: Question | undefined;
  @state() private accessor text = '';
  @state() private accessor problem: string | undefined;
  @state() private accessor busy = false;

  static override styles = [
    ...dialogStyles,
    css`
      form {
        display: grid;
        gap: 1.125rem;
      }

      .sentence {
        color: var(--quiet);
        overflow-wrap: anywhere;
      }
    `,
  ];

  override get heading(): string {
    return this.question?.heading ?? '';
  }

  override body() {
    const { question } = this;
    if (question === undefined) return html``;
    return html`<form novalidate @submit=${this.#submit}>
        <p class="sentence">${question.sentence}</p>
        ${field({
          name: 'answer',
          label: question.label,
          value: this.text,
          problem: this.problem,
          ...(question.placeholder !== undefined && { placeholder: question.placeholder }),
          ...(question.maxlength !== undefined && { maxlength: question.maxlength }),
          changed: (text) => {
            this.text = text;
            this.problem = undefined;
          },
        })}
        ${busyButtons(question.action, this.busy ? question.doing : undefined, () => this.close())}
      </form>`;
  }

  protected override firstUpdated(): void {
    super.firstUpdated();
    this.text = this.question?.value ?? '';
    void this.#focusField();
  }

  async #focusField(): Promise<void> {
    await this.updateComplete;
    this.renderRoot.querySelector('input')?.select();
  }

  async #submit(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    const { question } = this;
    if (question === undefined || this.busy) return;
    const text = this.text.trim();
    this.problem = question.check(text);
    if (this.problem === undefined) {
      this.busy = true;
      this.problem = await question.answer(text);
      this.busy = false;
    }
    if (this.problem === undefined) this.close();
    else await this.#focusField();
  }
}

declare global {
  interface HTMLElementTagNameMap {
    'secure-ask-dialog': AskDialog;
  }
}
