// Who is in the group: name, role, fingerprint, and how each can be reached now.
import { css, html, LitElement, nothing, type TemplateResult } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import { repeat } from 'lit/directives/repeat.js';
import type { MemberView, Reach } from '../app-state.ts';
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

@customElement('secure-member-list')
export class MemberList extends LitElement {
  @property({ attribute: false }) accessor members: MemberView[] = [];

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

      li button {
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
    return html`<ul>
      ${repeat(
        this.members,
        (member) => member.uid,
        (member) => this.#row(member),
      )}
    </ul>`;
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
      </div>
    </li>`;
  }
}

declare global {
  interface HTMLElementTagNameMap {
    'secure-member-list': MemberList;
  }
}
