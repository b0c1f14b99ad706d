// Who I am here: name, fingerprint, device, the node's state, the theme, and the way out.
import { css, html } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import type { AppState, NodeState, Theme } from '../app-state.ts';
import { fingerprintGroups } from '../person-name.ts';
import { DialogElement, dialogStyles } from './dialog-frame.ts';
import { icon } from './icons.ts';
import { keyFactsStyles } from './key-facts.ts';
import './theme-chooser.ts';

@customElement('secure-account-dialog')
export class AccountDialog extends DialogElement {
  @property({ attribute: false }) accessor me: Extract<AppState, { screen: 'chat' }>['me'] | undefined;
  @property({ attribute: false }) accessor node: NodeState | undefined;
  @property({ attribute: false }) accessor theme: Theme = 'system';

  static override styles = [
    ...dialogStyles,
    keyFactsStyles,
    css`
      section {
        display: grid;
        gap: 1rem;
      }

      .facts {
        margin: 0;
      }

      .theme {
        display: flex;
        align-items: center;
        justify-content: space-between;
        gap: 1rem;
      }
    `,
  ];

  override readonly heading = 'Your account';

  override body() {
    const { me } = this;
    if (me === undefined) return html``;
    return html`<section>
        <dl class="facts">
          <div><dt>User name</dt><dd>${me.username}</dd></div>
          <div><dt>Fingerprint</dt><dd class="mono">${fingerprintGroups(me.fingerprint)}</dd></div>
          <div><dt>This device</dt><dd><bdi>${me.deviceName}</bdi></dd></div>
          <div><dt>Node</dt><dd>${this.node?.text}</dd></div>
        </dl>
        <p class="hint">Read the fingerprint to others over the telephone, or compare it on paper: that shows that it is really you.</p>
        <div class="theme">
          <span>Theme</span>
          <secure-theme-chooser .theme=${this.theme}></secure-theme-chooser>
        </div>
        <button type="button" @click=${() => this.dispatchEvent(new Event('lock', { bubbles: true, composed: true }))}>
          ${icon('lock')} Lock
        </button>
      </section>`;
  }
}

declare global {
  interface HTMLElementTagNameMap {
    'secure-account-dialog': AccountDialog;
  }
  interface HTMLElementEventMap {
    lock: Event;
  }
}
