// The sidebar: all groups with their last line and what is unread, and who I am below them.
import { css, html, LitElement, nothing, type TemplateResult } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import { repeat } from 'lit/directives/repeat.js';
import type { AppState, GroupSummary } from '../app-state.ts';
import { shortTime } from '../time-text.ts';
import { avatar, avatarStyles } from './avatar.ts';
import { controls } from './control-styles.ts';
import { icon, mark } from './icons.ts';

/** Until the log that holds its name could be opened. */
export const unnamed = 'Group';

type ChatState = Extract<AppState, { screen: 'chat' }>;

/** A group was chosen in the list. */
export class GroupChosen extends Event {
  readonly gid: string;

  constructor(gid: string) {
    super('group-chosen', { bubbles: true, composed: true });
    this.gid = gid;
  }
}

/** Somebody wants to do something that needs a dialog. */
export class Wish extends Event {
  readonly wish: 'create' | 'join' | 'account' | 'invite' | 'add' | 'nickname' | 'leave';

  constructor(wish: Wish['wish']) {
    super('wish', { bubbles: true, composed: true });
    this.wish = wish;
  }
}

@customElement('secure-group-list')
export class GroupList extends LitElement {
  @property({ attribute: false }) accessor groups: GroupSummary[] = [];
  @property({ attribute: false }) accessor openGid: string | undefined;
  @property({ attribute: false }) accessor me: ChatState['me'] | undefined;
  @property({ attribute: false }) accessor node: ChatState['node'] | undefined;

  static override styles = [
    controls,
    avatarStyles,
    css`
      :host {
        display: flex;
        flex-direction: column;
        min-height: 0;
        background: var(--panel);
      }

      header {
        display: flex;
        align-items: center;
        gap: 0.5rem;
        min-height: 3.5rem;
        padding: 0.5rem 0.5rem 0.5rem 1rem;
      }

      header svg:first-child {
        color: var(--link);
      }

      h1 {
        flex: 1;
        font-size: 1.0625rem;
        font-weight: 650;
        letter-spacing: -0.01em;
      }

      nav {
        flex: 1;
        min-height: 0;
        overflow: hidden auto;
        padding: 0 0.5rem 0.5rem;
      }

      li button {
        display: grid;
        grid-template: 'picture name time' auto 'picture line badge' auto / auto 1fr auto;
        column-gap: 0.75rem;
        row-gap: 0.0625rem;
        width: 100%;
        padding: 0.5rem;
        border: 0;
        border-radius: 0.625rem;
        font-weight: 400;
        text-align: left;
      }

      li button[aria-current='true'] {
        background: var(--hover);
      }

      li button:focus-visible {
        outline-offset: -2px;
      }

      .avatar {
        grid-area: picture;
        width: 2.5rem;
        height: 2.5rem;
      }

      .name {
        grid-area: name;
        overflow: hidden;
        font-weight: 550;
        text-overflow: ellipsis;
        white-space: nowrap;
      }

      time {
        grid-area: time;
        color: var(--quiet);
        font-size: 0.75rem;
      }

      .line {
        grid-area: 2 / 2 / 3 / 4;
        overflow: hidden;
        color: var(--quiet);
        font-size: 0.8125rem;
        text-overflow: ellipsis;
        white-space: nowrap;
      }

      .badge {
        grid-area: badge;
        justify-self: end;
        min-width: 1.25rem;
        height: 1.25rem;
        padding: 0 0.375rem;
        border-radius: 0.625rem;
        background: var(--accent);
        color: var(--accent-text);
        font-size: 0.75rem;
        font-weight: 600;
        line-height: 1.25rem;
        text-align: center;
      }

      .unread .name {
        font-weight: 700;
      }

      .unread .line {
        padding-right: 2.25rem;
      }

      /* On a small screen it is not beside the list. */
      @media (max-width: 720px) {
        li button[aria-current='true']:not(:hover) {
          background: transparent;
        }
      }

      .out .avatar {
        opacity: 0.6;
      }

      .out .name {
        color: var(--quiet);
      }

      .none {
        padding: 0.75rem 0.5rem;
        color: var(--quiet);
      }

      .starts {
        display: grid;
        gap: 0.125rem;
        margin-bottom: 0.5rem;
      }

      .starts button {
        justify-content: start;
        gap: 0.75rem;
        padding: 0 0.5rem;
        color: var(--quiet);
      }

      .starts button:hover {
        color: var(--text);
      }

      footer {
        display: flex;
        align-items: center;
        gap: 0.25rem;
        padding: 0.5rem;
        padding-bottom: max(0.5rem, env(safe-area-inset-bottom));
        border-top: 1px solid var(--line);
      }

      .me {
        flex: 1;
        justify-content: start;
        gap: 0.625rem;
        min-width: 0;
        padding: 0.25rem 0.5rem;
        border: 0;
        text-align: left;
      }

      .me .avatar {
        width: 2rem;
        height: 2rem;
      }

      .me > span:last-child {
        display: grid;
        min-width: 0;
      }

      .me b {
        overflow: hidden;
        font-weight: 550;
        line-height: 1.25;
        text-overflow: ellipsis;
        white-space: nowrap;
      }

      .node {
        display: flex;
        align-items: center;
        gap: 0.375rem;
        min-width: 0;
        color: var(--quiet);
        font-size: 0.75rem;
        font-weight: 400;
        line-height: 1.3;
      }

      .node span {
        overflow: hidden;
        text-overflow: ellipsis;
        white-space: nowrap;
      }

      .node i {
        width: 0.5rem;
        height: 0.5rem;
        flex: none;
        border-radius: 50%;
        background: var(--good);
      }

      .node.connecting i {
        background: var(--warning);
      }

      .node.offline i,
      .node.stopped i {
        border: 1.5px solid var(--danger);
        background: none;
      }
    `,
  ];

  override render() {
    const { me, node } = this;
    if (me === undefined || node === undefined) return nothing;
    return html`<header>
        ${mark(28)}
        <h1>Secure</h1>
      </header>
      <nav aria-label="Groups">
        <div class="starts">
          <button type="button" class="plain" @click=${() => this.dispatchEvent(new Wish('create'))}>${icon('add')} New group</button>
          <button type="button" class="plain" @click=${() => this.dispatchEvent(new Wish('join'))}>${icon('link')} Join by link</button>
        </div>
        ${
          this.groups.length === 0
            ? html`<p class="none">You are in no group yet. Make one, or follow a link that somebody sent you.</p>`
            : html`<ul>
                ${repeat(
                  this.groups,
                  (group) => group.gid,
                  (group) => this.#row(group),
                )}
              </ul>`
        }
      </nav>
      <footer>
        <span class="for-readers" role="status">${node.text}</span>
        <button
          type="button"
          class="me"
          aria-haspopup="dialog"
          title="Your account: fingerprint, theme"
          @click=${() => this.dispatchEvent(new Wish('account'))}
        >
          ${avatar(me.uid, me.username)}
          <span>
            <b><span class="for-readers">Your account: </span>${me.username}</b>
            <span class="node ${node.state}" title=${node.text}><i></i><span>${node.text}</span></span>
          </span>
        </button>
        <button
          type="button"
          class="icon"
          aria-label="Lock"
          title="Lock"
          @click=${() => this.dispatchEvent(new Event('lock', { bubbles: true, composed: true }))}
        >
          ${icon('lock')}
        </button>
      </footer>`;
  }

  #row(group: GroupSummary): TemplateResult {
    return html`<li>
      <button
        type="button"
        class="${group.unread > 0 ? 'unread' : ''} ${group.out ? 'out' : ''}"
        aria-current=${group.gid === this.openGid ? 'true' : nothing}
        @click=${() => this.dispatchEvent(new GroupChosen(group.gid))}
      >
        ${avatar(group.gid, group.name, 'group')}
        <bdi class="name">${group.name || unnamed}${group.out ? html`<span class="for-readers"> (you are not in it any more)</span>` : nothing}</bdi>
        <time>${group.lastAt === 0 ? '' : shortTime(group.lastAt, Date.now())}</time>
        <bdi class="line">${group.lastLine}</bdi>
        ${
          group.unread === 0
            ? nothing
            : html`<span class="badge">${group.unread > 99 ? '99+' : group.unread}<span class="for-readers"> unread</span></span>`
        }
      </button>
    </li>`;
  }
}

declare global {
  interface HTMLElementTagNameMap {
    'secure-group-list': GroupList;
  }
  interface HTMLElementEventMap {
    'group-chosen': GroupChosen;
    wish: Wish;
  }
}
