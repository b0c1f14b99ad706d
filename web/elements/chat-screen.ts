// The chat: groups, the open conversation and its members side by side, or one at a time on a small screen; dialogs and notes above.
import { css, html, LitElement, nothing, type PropertyValues, type TemplateResult } from 'lit';
import { customElement, property, query, state } from 'lit/decorators.js';
import type { AppState, Controller, GroupView, Theme } from '../app-state.ts';
import type { Question } from './ask-dialog.ts';
import {
  addQuestion,
  attempt,
  createQuestion,
  joinQuestion,
  leaveConfirmation,
  nicknameQuestion,
  ownerConfirmation,
  removeConfirmation,
} from './chat-questions.ts';
import type { Confirmation } from './confirm-dialog.ts';
import { controls } from './control-styles.ts';
import type { Conversation } from './conversation.ts';
import type { GroupChosen, Wish } from './group-list.ts';
import { icon, mark } from './icons.ts';
import type { MakeLink } from './invite-dialog.ts';
import type { MemberWish } from './member-list.ts';
import './account-dialog.ts';
import './ask-dialog.ts';
import './confirm-dialog.ts';
import './conversation.ts';
import './group-list.ts';
import './invite-dialog.ts';
import './member-list.ts';
import './member-sheet.ts';

type ChatState = Extract<AppState, { screen: 'chat' }>;

type Dialog =
  | { dialog: 'ask'; question: Question }
  | { dialog: 'confirm'; confirmation: Confirmation }
  | { dialog: 'invite'; gid: string; name: string }
  | { dialog: 'account' };

const narrow = '(max-width: 720px)';
const roomForMembers = '(min-width: 1080px)';

@customElement('secure-chat')
export class ChatScreen extends LitElement {
  @property({ attribute: false }) accessor data: ChatState | undefined;
  @property({ attribute: false }) accessor controller: Controller | undefined;
  @property({ attribute: false }) accessor theme: Theme = 'system';
  @state() private accessor dialog: Dialog | undefined;
  @state() private accessor membersShown = false;
  /** On a small screen only one of them is seen. */
  @state() private accessor pane: 'groups' | 'conversation' = 'groups';
  @query('secure-conversation') private accessor conversation: Conversation | null = null;
  readonly #wide = matchMedia(roomForMembers);
  /** Whether the conversation has an entry of its own in the history. */
  #pushed = false;
  /** The group that was open when the dialog came. */
  #openBefore: string | undefined;

  static override styles = [
    controls,
    css`
      :host {
        display: grid;
        grid-template: auto minmax(0, 1fr) / minmax(0, 1fr);
        height: 100dvh;
        background: var(--ground);
        color: var(--text);
      }

      .panes {
        grid-row: 2;
        display: grid;
        grid-template-columns: 18.5rem minmax(0, 1fr) auto;
        min-height: 0;
      }

      secure-group-list {
        border-right: 1px solid var(--line);
      }

      main {
        display: grid;
        min-width: 0;
        min-height: 0;
      }

      aside {
        display: flex;
        flex-direction: column;
        width: 19rem;
        min-height: 0;
        border-left: 1px solid var(--line);
        background: var(--panel);
      }

      aside header {
        display: flex;
        align-items: center;
        justify-content: space-between;
        min-height: 3.5rem;
        padding: 0.5rem 0.75rem 0.5rem 1.25rem;
      }

      aside h2 {
        font-size: 1rem;
        font-weight: 600;
      }

      aside secure-member-list {
        min-height: 0;
        padding: 0 0.5rem 1rem;
        overflow: hidden auto;
      }

      .notes {
        max-height: 40dvh;
        overflow: hidden auto;
      }

      .note {
        display: flex;
        align-items: center;
        gap: 0.75rem;
        min-height: 2.75rem;
        padding: 0.25rem 0.75rem 0.25rem 1.25rem;
        background: var(--warning-ground);
        font-size: 0.875rem;
      }

      .note > span {
        flex: 1;
        min-width: 0;
        overflow-wrap: anywhere;
      }

      .note.bad {
        background: var(--danger-ground);
      }

      .note > svg {
        color: var(--warning);
      }

      .note.bad > svg {
        color: var(--danger);
      }

      .empty {
        display: grid;
        place-items: center;
        align-content: center;
        gap: 0.75rem;
        padding: 2rem;
        background: var(--ground);
        text-align: center;
      }

      .empty svg:first-child {
        color: var(--line-strong);
      }

      .empty p {
        max-width: 24rem;
        color: var(--quiet);
      }

      .empty div {
        display: flex;
        gap: 0.5rem;
        margin-top: 0.25rem;
      }

      @media (max-width: 720px) {
        .panes {
          grid-template-columns: minmax(0, 1fr);
        }

        secure-group-list {
          border: 0;
        }

        .groups main,
        .conversation secure-group-list {
          display: none;
        }
      }
    `,
  ];

  override render() {
    const { data } = this;
    if (data === undefined) return nothing;
    return html`<div class="notes">${this.#notes(data)}</div>
      <div
        class="panes ${data.open === undefined ? 'groups' : this.pane}"
        @group-chosen=${this.#openGroup}
        @wish=${this.#wished}
        @member-wish=${this.#memberWished}
        @lock=${this.#lock}
        @back=${this.#back}
        @toggle-members=${this.#toggleMembers}
        @read-to-end=${this.#read}
      >
        <secure-group-list
          .groups=${data.groups}
          .openGid=${data.open?.gid}
          .me=${data.me}
          .node=${data.node}
        ></secure-group-list>
        <main>
          ${
            data.open === undefined
              ? this.#nothingOpen(data)
              : html`<secure-conversation
                  .group=${data.open}
                  .closed=${data.readOnly === undefined ? undefined : 'This tab only reads.'}
                  .membersShown=${this.membersShown}
                  .send=${this.#send}
                ></secure-conversation>`
          }
        </main>
        ${this.membersShown && data.open !== undefined && data.open.out === undefined ? this.#members(data.open) : nothing}
      </div>
      <div @closed=${this.#closed} @lock=${this.#lock}>${this.#openDialog(data)}</div>`;
  }

  #notes(data: ChatState): TemplateResult {
    const { joining } = data;
    return html`${data.readOnly === undefined ? nothing : html`<p class="note" role="status">${icon('lock')}<span>${data.readOnly}</span></p>`}
    ${
      joining === undefined
        ? nothing
        : html`<p class="note ${joining.state === 'failed' ? 'bad' : ''}" role=${joining.state === 'failed' ? 'alert' : 'status'}>
            ${joining.state === 'failed' ? icon('warning') : html`<i class="spinner" aria-hidden="true"></i>`}
            <span>${joining.groupName === undefined ? nothing : html`<b><bdi>${joining.groupName}</bdi></b>: `}${joining.text}</span>
            ${dismissButton(() => this.controller?.dismissJoin())}
          </p>`
    }
    ${
      data.node.state !== 'stopped'
        ? nothing
        : html`<p class="note bad" role="alert">
            ${icon('warning')}<span>${data.node.text}</span>
            ${
              data.node.mayRetry
                ? html`<button type="button" @click=${() => this.controller?.reconnect()}>Try again</button>`
                : nothing
            }
          </p>`
    }
    ${
      data.problem === undefined || this.dialog?.dialog === 'ask' || this.dialog?.dialog === 'confirm'
        ? nothing
        : html`<p class="note bad" role="alert">
            ${icon('warning')}<span>${data.problem}</span>${dismissButton(() => this.controller?.dismissProblem())}
          </p>`
    }`;
  }

  #nothingOpen(data: ChatState): TemplateResult {
    if (data.groups.length > 0) return html`<div class="empty">${mark(56)}<p>Choose a group to read and write.</p></div>`;
    return html`<div class="empty">
      ${mark(56)}
      <h2>Welcome, ${data.me.username}</h2>
      <p>Start a group and invite others to it, or join one with a link that somebody sent you.</p>
      <div>
        <button type="button" class="primary" @click=${() => this.#wish('create')}>New group</button>
        <button type="button" @click=${() => this.#wish('join')}>Join by link</button>
      </div>
    </div>`;
  }

  // Beside the conversation where there is room, over it where there is not.
  #members(group: GroupView): TemplateResult {
    if (!this.#wide.matches) {
      return html`<secure-member-sheet .group=${group} @closed=${this.#toggleMembers}></secure-member-sheet>`;
    }
    return html`<aside aria-label="Members">
      <header>
        <h2>Members · ${group.members.length}</h2>
        <button type="button" class="icon" aria-label="Close members" title="Close" @click=${this.#toggleMembers}>${icon('close')}</button>
      </header>
      <secure-member-list .group=${group}></secure-member-list>
    </aside>`;
  }

  #openDialog(data: ChatState): TemplateResult | typeof nothing {
    const { dialog } = this;
    switch (dialog?.dialog) {
      case 'ask':
        return html`<secure-ask-dialog .question=${dialog.question}></secure-ask-dialog>`;
      case 'confirm':
        return html`<secure-confirm-dialog .confirmation=${dialog.confirmation}></secure-confirm-dialog>`;
      case 'invite':
        return html`<secure-invite-dialog .groupName=${dialog.name} .makeLink=${this.#makeLink(dialog.gid)}></secure-invite-dialog>`;
      case 'account':
        return html`<secure-account-dialog .me=${data.me} .node=${data.node} .theme=${this.theme}></secure-account-dialog>`;
      case undefined:
        return nothing;
      default:
        return dialog satisfies never;
    }
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.#wide.addEventListener('change', this.#redraw);
    addEventListener('popstate', this.#wentBack);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#wide.removeEventListener('change', this.#redraw);
    removeEventListener('popstate', this.#wentBack);
  }

  protected override willUpdate(changed: PropertyValues<this>): void {
    const before = changed.get('data');
    // A group that opened by itself, having just been made or joined, comes to the front.
    if (before !== undefined && this.data?.open !== undefined && this.data.open.gid !== before.open?.gid)
      this.#showConversation();
  }

  /** The form that had the focus is gone. */
  protected override firstUpdated(): void {
    if (!matchMedia('(pointer: coarse)').matches) this.renderRoot.querySelector<HTMLElement>('.empty button')?.focus();
  }

  protected override updated(changed: PropertyValues<this>): void {
    const before = changed.get('data');
    const opened = this.data?.open?.gid;
    if (opened === undefined || (changed.has('data') && before?.open?.gid === opened) || !changed.has('data')) return;
    if (this.dialog === undefined) void this.#focusComposer();
  }

  // Not on a touch screen: there it would bring up the keyboard over what one wants to read.
  async #focusComposer(): Promise<void> {
    if (matchMedia('(pointer: coarse)').matches) return;
    await this.conversation?.updateComplete;
    this.conversation?.focus();
  }

  #openGroup(event: GroupChosen): void {
    this.#showConversation();
    this.controller?.openGroup(event.gid);
  }

  // The device's own way back leads to the groups, not out of the app.
  #showConversation(): void {
    if (!this.#pushed && matchMedia(narrow).matches) {
      history.pushState(null, '');
      this.#pushed = true;
    }
    this.pane = 'conversation';
  }

  #back(): void {
    if (this.#pushed) history.back();
    else this.pane = 'groups';
  }

  #wentBack = () => {
    this.#pushed = false;
    this.pane = 'groups';
  };

  #redraw = () => {
    this.requestUpdate();
  };

  #wished(event: Wish): void {
    this.#wish(event.wish);
  }

  #wish(wish: Wish['wish']): void {
    const { controller } = this;
    const open = this.data?.open;
    if (controller === undefined) return;
    this.#openBefore = open?.gid;
    const ask = (question: Question) => {
      this.dialog = { dialog: 'ask', question };
    };
    if (wish === 'create') ask(createQuestion(controller));
    else if (wish === 'join') ask(joinQuestion(controller));
    else if (wish === 'account') this.dialog = { dialog: 'account' };
    else if (open === undefined) return;
    else if (wish === 'add') ask(addQuestion(controller, open));
    else if (wish === 'leave') this.dialog = { dialog: 'confirm', confirmation: leaveConfirmation(controller, open) };
    else if (wish === 'nickname') ask(nicknameQuestion(controller, open));
    else this.dialog = { dialog: 'invite', gid: open.gid, name: open.name };
  }

  #memberWished({ member, wish }: MemberWish): void {
    const { controller } = this;
    const open = this.data?.open;
    if (controller === undefined || open === undefined) return;
    this.#openBefore = open.gid;
    if (wish === 'remove') this.dialog = { dialog: 'confirm', confirmation: removeConfirmation(controller, open, member) };
    else if (wish === 'owner') this.dialog = { dialog: 'confirm', confirmation: ownerConfirmation(controller, open, member) };
    else void controller.setRole(open.gid, member.uid, wish);
  }

  #closed(): void {
    this.dialog = undefined;
    // The focus went back to the button, but what was asked for is the new group.
    if (this.data?.open !== undefined && this.data.open.gid !== this.#openBefore) void this.#focusComposer();
  }

  #lock(): void {
    this.controller?.lock();
  }

  #toggleMembers(): void {
    this.membersShown = !this.membersShown;
  }

  #read(): void {
    const open = this.data?.open;
    if (open !== undefined) this.controller?.markRead(open.gid);
  }

  #send = async (gid: string, text: string): Promise<'stored' | 'failed'> => (await this.controller?.send(gid, text)) ?? 'failed';

  #makeLink(gid: string): MakeLink {
    return async () => {
      const { controller } = this;
      let link: string | undefined;
      const problem =
        controller &&
        (await attempt(controller, async () => {
          link = await controller.inviteLink(gid);
        }));
      return link === undefined ? { problem: problem ?? 'The link could not be made.' } : { link };
    };
  }
}

function dismissButton(dismiss: () => void): TemplateResult {
  return html`<button type="button" class="icon" aria-label="Dismiss" title="Dismiss" @click=${dismiss}>${icon('close')}</button>`;
}

declare global {
  interface HTMLElementTagNameMap {
    'secure-chat': ChatScreen;
  }
}
