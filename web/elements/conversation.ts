// The open group: its name and who is there, what it waits for, its messages, and where the next is written.
import { css, html, LitElement, nothing, type TemplateResult } from 'lit';
import { customElement, property, query } from 'lit/decorators.js';
import { keyed } from 'lit/directives/keyed.js';
import type { GroupView, MemberView } from '../app-state.ts';
import { avatar, avatarStyles } from './avatar.ts';
import type { Composer, SendText } from './composer.ts';
import { controls } from './control-styles.ts';
import { unnamed, Wish } from './group-list.ts';
import { icon } from './icons.ts';
import './composer.ts';
import './message-list.ts';

@customElement('secure-conversation')
export class Conversation extends LitElement {
  @property({ attribute: false }) accessor group: GroupView | undefined;
  /** Why nothing can be written, in a sentence. */
  @property({ attribute: false }) accessor closed: string | undefined;
  @property({ attribute: false }) accessor membersShown = false;
  @property({ attribute: false }) accessor send: SendText | undefined;
  @query('secure-composer') private accessor composer: Composer | null = null;
  #confusable: { members: MemberView[]; uids: ReadonlySet<string> } = { members: [], uids: new Set() };

  static override styles = [
    controls,
    avatarStyles,
    css`
      :host {
        display: grid;
        grid-template: auto auto minmax(0, 1fr) auto / minmax(0, 1fr);
        min-width: 0;
        min-height: 0;
        background: var(--ground);
      }

      header {
        display: flex;
        align-items: center;
        gap: 0.25rem;
        min-height: 3.5rem;
        padding: 0.5rem 0.75rem 0.5rem 1.25rem;
        border-bottom: 1px solid var(--line);
      }

      .back {
        display: none;
      }

      .title {
        display: grid;
        flex: 1;
        min-width: 0;
        margin-left: 0.5rem;
      }

      h2 {
        overflow: hidden;
        font-size: 1rem;
        font-weight: 600;
        line-height: 1.3;
        text-overflow: ellipsis;
        white-space: nowrap;
      }

      .title p {
        overflow: hidden;
        color: var(--quiet);
        font-size: 0.8125rem;
        line-height: 1.3;
        text-overflow: ellipsis;
        white-space: nowrap;
      }

      .waiting {
        display: flex;
        align-items: safe center;
        gap: 0.625rem;
        padding: 0.5rem 1.25rem;
        background: var(--warning-ground);
        color: var(--text);
        font-size: 0.875rem;
        max-height: 20dvh;
        overflow: hidden auto;
        overflow-wrap: anywhere;
      }

      secure-message-list {
        grid-row: 3;
      }

      secure-composer {
        grid-row: 4;
      }

      @media (max-width: 720px) {
        header {
          padding: 0.375rem 0.375rem 0.375rem 0.25rem;
        }

        .back {
          display: inline-flex;
        }

        .title {
          margin-left: 0.375rem;
        }
      }
    `,
  ];

  override render() {
    const { group } = this;
    if (group === undefined) return nothing;
    return html`<header>
        <button type="button" class="icon back" aria-label="Back to the groups" title="Back" @click=${this.#back}>
          ${icon('back')}
        </button>
        ${avatar(group.gid, group.name, 'group')}
        <div class="title">
          <h2><bdi>${group.name || unnamed}</bdi></h2>
          <p role="status">${group.out === undefined ? presence(group.members) : 'You are not in this group any more'}</p>
        </div>
        ${group.out === undefined ? this.#buttons(group) : nothing}
      </header>
      ${
        group.waitingFor === undefined
          ? nothing
          : html`<p class="waiting" role="status"><span class="spinner" aria-hidden="true"></span>${group.waitingFor}</p>`
      }
      ${keyed(
        group.gid,
        html`<secure-message-list
          .items=${group.items}
          .confusable=${this.#confusableOf(group.members)}
          .label=${`Messages in ${group.name || unnamed}`}
        ></secure-message-list>`,
      )}
      <secure-composer .gid=${group.gid} .groupName=${group.name || unnamed} .send=${this.send} .closed=${group.out ?? this.closed}></secure-composer>`;
  }

  #buttons(group: GroupView): TemplateResult {
    return html`${
      group.mayInvite
        ? html`<button
              type="button"
              class="icon"
              aria-label="Invite by link"
              title="Invite by link"
              aria-haspopup="dialog"
              @click=${() => this.dispatchEvent(new Wish('invite'))}
            >
              ${icon('link')}
            </button>
            <button
              type="button"
              class="icon"
              aria-label="Add by user name"
              title="Add by user name"
              aria-haspopup="dialog"
              @click=${() => this.dispatchEvent(new Wish('add'))}
            >
              ${icon('add-person')}
            </button>`
        : nothing
    }
      <button
        type="button"
        class="icon"
        aria-label="Members"
        title="Members"
        aria-expanded=${this.membersShown ? 'true' : 'false'}
        @click=${() => this.dispatchEvent(new Event('toggle-members', { bubbles: true, composed: true }))}
      >
        ${icon('people')}
      </button>`;
  }

  /** Puts the cursor where one writes. */
  override focus(): void {
    this.composer?.focus();
  }

  // The list compares by identity, so the set stays the same while the members do.
  #confusableOf(members: MemberView[]): ReadonlySet<string> {
    if (members !== this.#confusable.members) {
      const uids = new Set(members.filter((member) => member.nicknameConfusable).map((member) => member.uid));
      const before = this.#confusable.uids;
      const same = uids.size === before.size && [...uids].every((uid) => before.has(uid));
      this.#confusable = { members, uids: same ? before : uids };
    }
    return this.#confusable.uids;
  }

  #back(): void {
    this.dispatchEvent(new Event('back', { bubbles: true, composed: true }));
  }
}

function presence(members: MemberView[]): string {
  const others = members.filter((member) => !member.own);
  if (others.length === 0) return 'Only you are here yet';
  const reachable = others.filter((member) => member.reach === 'direct' || member.reach === 'relayed').length;
  if (others.length === 1) return reachable === 1 ? '1 other, reachable' : '1 other, not reachable now';
  return reachable === 0 ? `${others.length} others, none reachable now` : `${reachable} of ${others.length} others reachable`;
}

declare global {
  interface HTMLElementTagNameMap {
    'secure-conversation': Conversation;
  }
  interface HTMLElementEventMap {
    back: Event;
    'toggle-members': Event;
  }
}
