// Who is in the group: name, role, fingerprint, and how each can be reached now.
import { css, html, LitElement, nothing, type TemplateResult } from 'lit';
import { customElement, property, state } from 'lit/decorators.js';
import { repeat } from 'lit/directives/repeat.js';
import type { GivenRole, GroupView, MemberView, Reach } from '../app-state.ts';
import { fingerprintGroups, personName } from '../person-name.ts';
import { avatar, avatarStyles } from './avatar.ts';
import { controls } from './control-styles.ts';
import { Wish } from './group-list.ts';
import { type IconName, icon } from './icons.ts';
import { personLabel, personLabelStyles } from './person-label.ts';

const reaches: Record<Reach, { icon: IconName; text: string }> = {
  direct: { icon: 'direct', text: 'Connected directly' },
  relayed: { icon: 'relayed', text: 'Connected through a relay' },
  linking: { icon: 'linking', text: 'Online, connecting …' },
  offline: { icon: 'offline', text: 'Not reachable now' },
};

const ownWarning = 'Your nickname could be taken for another member: others see your user name in its place.';

const roles: Record<MemberView['role'], string> = { owner: 'Owner', admin: 'Admin', member: 'Member', keeper: 'Keeper' };

const roleActions: Record<GivenRole, string> = { owner: 'Make owner', admin: 'Make admin', member: 'Make member' };

/** Somebody wants to change what a member is here, or to remove them. */
export class MemberWish extends Event {
  readonly member: MemberView;
  readonly wish: 'remove' | GivenRole;

  constructor(member: MemberView, wish: MemberWish['wish']) {
    super('member-wish', { bubbles: true, composed: true });
    this.member = member;
    this.wish = wish;
  }
}

@customElement('secure-member-list')
export class MemberList extends LitElement {
  @property({ attribute: false }) accessor group: GroupView | undefined;
  /** The uid of the member whose actions are shown. */
  @state() private accessor shown: string | undefined;

  static override styles = [
    controls,
    avatarStyles,
    personLabelStyles,
    css`
      li {
        display: grid;
        grid-template-columns: auto 1fr;
        gap: 0.125rem 0.75rem;
        padding: 0.625rem 0.75rem;
      }

      .about {
        display: grid;
        gap: 0.1875rem;
        min-width: 0;
      }

      .first-line {
        display: flex;
        align-items: center;
        justify-content: space-between;
        gap: 0.5rem;
        min-width: 0;
        font-weight: 550;
      }

      .role {
        flex: none;
        padding: 0 0.4375rem;
        border: 1px solid var(--line);
        border-radius: 0.375rem;
        color: var(--quiet);
        font-size: 0.75rem;
        font-weight: 500;
      }

      .reach {
        display: flex;
        align-items: center;
        gap: 0.375rem;
        color: var(--quiet);
        font-size: 0.8125rem;
      }

      .reach.direct,
      .reach.relayed {
        color: var(--good);
      }

      .fingerprint {
        max-width: 25ch;
        color: var(--quiet);
        font-size: 0.75rem;
        line-height: 1.4;
      }

      .warning {
        color: var(--warning);
        font-size: 0.8125rem;
        overflow-wrap: anywhere;
      }

      .first-line > :first-child {
        flex: 1;
      }

      .first-line button {
        width: 1.875rem;
        min-height: 1.875rem;
        margin: -0.25rem -0.25rem -0.25rem 0;
      }

      .actions {
        display: flex;
        flex-wrap: wrap;
        gap: 0.375rem;
      }

      .leave {
        display: grid;
        gap: 0.5rem;
        margin-top: 0.5rem;
        padding: 0.875rem 0.75rem 0;
        border-top: 1px solid var(--line);
      }

      button.bad {
        color: var(--danger);
      }

      .leave button {
        justify-self: start;
      }

      .about > button,
      .actions button {
        justify-self: start;
        min-height: 1.875rem;
        margin-top: 0.25rem;
        padding: 0 0.625rem;
        border-color: var(--line);
        font-size: 0.8125rem;
      }
    `,
  ];

  override render() {
    const { group } = this;
    if (group === undefined) return nothing;
    return html`<ul>
      ${repeat(
        group.members,
        (member) => member.uid,
        (member) => this.#row(member),
      )}
    </ul>
    <div class="leave">
      ${
        group.mayLeave
          ? html`<button type="button" class="bad" aria-haspopup="dialog" @click=${() => this.dispatchEvent(new Wish('leave'))}>
              Leave group
            </button>`
          : html`<p class="hint">You are the only owner. Make somebody else an owner before you leave this group.</p>`
      }
    </div>`;
  }

  #row(member: MemberView): TemplateResult {
    const reach = reaches[member.reach];
    const { warning } = personName(member, member.nicknameConfusable);
    return html`<li>
      ${avatar(member.uid, member.username)}
      <div class="about">
        <div class="first-line">
          ${personLabel(member, member.nicknameConfusable)}
          ${member.role === 'member' ? nothing : html`<span class="role">${roles[member.role]}</span>`}
          ${hasActions(member) ? this.#more(member) : nothing}
        </div>
        ${
          member.own
            ? html`<p class="reach">${icon('device', 16)} You, on this device</p>`
            : html`<p class="reach ${member.reach}">${icon(reach.icon, 16)} ${reach.text}</p>`
        }
        ${warning === undefined ? nothing : html`<p class="warning">${member.own ? ownWarning : warning}</p>`}
        <p class="fingerprint mono"><span class="for-readers">Fingerprint </span>${fingerprintGroups(member.fingerprint) || 'not known yet'}</p>
        ${
          member.own
            ? html`<button type="button" @click=${() => this.dispatchEvent(new Wish('nickname'))}>
                ${member.nickname === undefined ? 'Set a nickname' : 'Change nickname'}
              </button>`
            : nothing
        }
        ${this.shown === member.uid && hasActions(member) ? this.#actions(member) : nothing}
      </div>
    </li>`;
  }

  #more(member: MemberView): TemplateResult {
    const isShown = this.shown === member.uid;
    return html`<button
      type="button"
      class="icon"
      aria-label="Change ${member.username}"
      title="Change role, remove"
      aria-expanded=${isShown ? 'true' : 'false'}
      @click=${() => {
        this.shown = isShown ? undefined : member.uid;
      }}
    >
      ${icon('more')}
    </button>`;
  }

  #actions(member: MemberView): TemplateResult {
    const wish = (what: MemberWish['wish']) => () => this.dispatchEvent(new MemberWish(member, what));
    const { username } = member;
    return html`<div class="actions">
      ${member.mayBecome.map(
        (role) =>
          html`<button type="button" aria-label="${roleActions[role]}: ${username}" @click=${wish(role)}>${roleActions[role]}</button>`,
      )}
      ${
        member.mayRemove
          ? html`<button type="button" class="bad" aria-label="Remove ${username}" aria-haspopup="dialog" @click=${wish('remove')}>
              Remove
            </button>`
          : nothing
      }
    </div>`;
  }
}

function hasActions(member: MemberView): boolean {
  return member.mayRemove || member.mayBecome.length > 0;
}

declare global {
  interface HTMLElementTagNameMap {
    'secure-member-list': MemberList;
  }
  interface HTMLElementEventMap {
    'member-wish': MemberWish;
  }
}
