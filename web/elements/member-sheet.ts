// The members over the conversation, where there is no room beside it.
import { html } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import type { GroupView } from '../app-state.ts';
import { DialogElement, dialogStyles } from './dialog-frame.ts';
import './member-list.ts';

@customElement('secure-member-sheet')
export class MemberSheet extends DialogElement {
  @property({ attribute: false }) accessor group: GroupView | undefined;
  override readonly shape = 'sheet';

  static override styles = dialogStyles;

  override get heading(): string {
    return `Members · ${this.group?.members.length ?? 0}`;
  }

  override body() {
    return html`<secure-member-list .group=${this.group}></secure-member-list>`;
  }
}

declare global {
  interface HTMLElementTagNameMap {
    'secure-member-sheet': MemberSheet;
  }
}
