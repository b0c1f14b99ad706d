// A QR code as a picture of our own making, loaded when somebody wants to see one.
import { css, html, LitElement } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import { qrRows } from '../qr-code.ts';

@customElement('secure-qr-picture')
export class QrPicture extends LitElement {
  @property() accessor text = '';
  /** What it leads to, for those who cannot see it. */
  @property() accessor label = '';

  static override styles = css`
    svg {
      display: block;
      width: 100%;
      height: auto;
      border-radius: 0.5rem;
      background: #ffffff;
      color: #000000;
    }
  `;

  override render() {
    const rows = qrRows(this.text);
    const path = rows.map((row, y) => row.map((dark, x) => (dark ? `M${x} ${y}h1v1h-1z` : '')).join('')).join('');
    return html`<svg role="img" aria-label=${this.label} viewBox="0 0 ${rows.length} ${rows.length}" shape-rendering="crispEdges">
      <path fill="currentColor" d=${path} />
    </svg>`;
  }
}

declare global {
  interface HTMLElementTagNameMap {
    'secure-qr-picture': QrPicture;
  }
}
