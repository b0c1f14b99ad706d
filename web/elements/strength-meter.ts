// How hard a passphrase is to guess: four bars, a word that is read out when it changes, and what would make it better.
import { css, html, LitElement } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import { passphraseStrength } from '../../keys/passphrase.ts';
import { controls } from './control-styles.ts';

@customElement('secure-strength-meter')
export class StrengthMeter extends LitElement {
  @property({ attribute: false }) accessor passphrase = '';

  static override styles = [
    controls,
    css`
      :host {
        display: grid;
        grid-template-columns: 1fr auto;
        align-items: center;
        gap: 0.1875rem 0.75rem;
      }

      .bars {
        display: grid;
        grid-template-columns: repeat(4, 1fr);
        gap: 0.25rem;
      }

      .bars i {
        height: 0.25rem;
        border-radius: 0.125rem;
        background: var(--line);
      }

      .score-0 i:nth-child(-n + 1),
      .score-1 i:nth-child(-n + 1) {
        background: var(--danger);
      }

      .score-2 i:nth-child(-n + 2) {
        background: var(--warning);
      }

      .score-3 i:nth-child(-n + 3),
      .score-4 i {
        background: var(--good);
      }

      output {
        min-width: 4.5em;
        min-height: 1.45em;
        font-size: 0.8125rem;
        font-weight: 500;
        text-align: right;
      }

      p {
        grid-column: 1 / -1;
        color: var(--quiet);
        font-size: 0.8125rem;
      }
    `,
  ];

  override render() {
    const judged = this.passphrase === '' ? undefined : passphraseStrength(this.passphrase);
    return html`<div class="bars ${judged === undefined ? '' : `score-${judged.score}`}" aria-hidden="true"><i></i><i></i><i></i><i></i></div>
      <output aria-label="Strength of the passphrase">${judged?.word}</output>
      <p>${judged?.advice ?? 'Four or more unrelated words are easy to remember and hard to guess.'}</p>`;
  }
}

declare global {
  interface HTMLElementTagNameMap {
    'secure-strength-meter': StrengthMeter;
  }
}
