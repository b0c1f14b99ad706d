// One item of a conversation as a template: a message with its marks, or a notice, and what separates it from the one before.
import { css, html, nothing, type TemplateResult } from 'lit';
import type { ConversationItem, MessageView } from '../app-state.ts';
import { textParts } from '../message-text.ts';
import { clockTime, dayName, exactTime, startOfDay } from '../time-text.ts';
import { avatar, avatarStyles } from './avatar.ts';
import { type IconName, icon } from './icons.ts';
import { personLabel, personLabelStyles } from './person-label.ts';

export type RowContext = {
  /** The item before it, or undefined for the first one shown. */
  before: ConversationItem | undefined;
  /** Whether the author's nickname could be taken for another member's name. */
  confusable: boolean;
};

/** Messages of one author within this time stand together. */
const togetherWithin = 5 * 60_000;

export function itemTime(item: ConversationItem): number {
  return item.item === 'message' ? item.sentAt : item.at;
}

export function messageRow(item: ConversationItem, { before, confusable }: RowContext): TemplateResult {
  const newDay = before === undefined || startOfDay(itemTime(before)) !== startOfDay(itemTime(item));
  const day = newDay
    ? html`<div class="day" role="separator"><span>${dayName(itemTime(item), Date.now())}</span></div>`
    : nothing;
  if (item.item === 'notice') return html`<div class="row">${day}<p class="notice"><bdi>${item.text}</bdi></p></div>`;
  const continued =
    !newDay &&
    !item.gapBefore &&
    before?.item === 'message' &&
    before.author.uid === item.author.uid &&
    Math.abs(item.sentAt - before.sentAt) < togetherWithin;
  return html`<div class="row ${item.author.own ? 'own' : ''} ${continued ? 'continued' : ''}">
    ${day}${item.gapBefore ? html`<p class="notice gap">${icon('gap', 16)} An earlier message has not arrived yet</p>` : nothing}
    <article>
      ${item.author.own ? nothing : continued ? html`<span class="beside"></span>` : avatar(item.author.uid, item.author.username)}
      <div class="bubble">
        ${author(item, continued, confusable)}
        <p class="text" dir="auto">${textParts(item.text).map((part) =>
          part.kind === 'text'
            ? part.text
            : html`<a href=${part.href} target="_blank" rel="noreferrer noopener" title=${part.href}>${part.text}</a>`,
        )}</p>
        <span class="marks">${
          item.late ? html`<span class="late" title="Came after later messages">${icon('clock', 16)}came late</span>` : nothing
        }<time title=${exactTime(item.sentAt)}>${clockTime(item.sentAt)}</time>${stateMark(item)}</span>
      </div>
    </article>
  </div>`;
}

function author(message: MessageView, continued: boolean, confusable: boolean): TemplateResult {
  if (message.author.own) return html`<span class="for-readers">You:</span>`;
  if (continued) return html`<span class="for-readers">${message.author.username}:</span>`;
  return html`<h3 class="author">${personLabel(message.author, confusable)}</h3>`;
}

function stateMark(message: MessageView): TemplateResult | typeof nothing {
  if (message.state === undefined) return nothing;
  const { picture, words } = markOf(message);
  const part = message.deliveredTo > 0 && message.deliveredTo < message.receivers;
  return html`<span class="state ${message.state}" title=${words}
    >${icon(picture, 16)}${part ? html`<span aria-hidden="true">${message.deliveredTo}/${message.receivers}</span>` : nothing}<span
      class="for-readers"
      >${words}</span
    ></span
  >`;
}

function markOf({ state, deliveredTo, receivers }: MessageView): { picture: IconName; words: string } {
  switch (state) {
    case 'sending':
      return { picture: 'clock', words: 'Sending: kept on this device, nobody else has it yet' };
    case 'saved':
      return { picture: 'stored', words: 'Saved: you are alone in this group' };
    case 'sent':
      return deliveredTo === 0
        ? { picture: 'check', words: 'Sent' }
        : { picture: 'check', words: `Delivered to ${deliveredTo} of ${receivers}` };
    case 'delivered':
      return { picture: 'checks', words: receivers === 1 ? 'Delivered' : `Delivered to all ${receivers}` };
    case 'failed':
      return { picture: 'warning', words: 'Not sent' };
    case undefined:
      return { picture: 'clock', words: '' };
    default:
      return state satisfies never;
  }
}

export const messageRowStyles = [
  avatarStyles,
  personLabelStyles,
  css`
    .row {
      display: flow-root;
      contain: content;
      padding: 0.625rem 1.25rem 0;
    }

    .row.continued {
      padding-top: 0.1875rem;
    }

    article {
      display: flex;
      align-items: flex-start;
      gap: 0.625rem;
      max-width: 100%;
    }

    .own article {
      justify-content: flex-end;
    }

    .beside {
      width: 2.25rem;
      flex: none;
    }

    .bubble {
      min-width: 0;
      max-width: min(38rem, 78%);
      padding: 0.4375rem 0.75rem 0.4375rem;
      border-radius: 0.25rem 1.125rem 1.125rem;
      background: var(--bubble);
    }

    .continued .bubble {
      border-radius: 1.125rem;
      border-top-left-radius: 0.25rem;
    }

    .own .bubble {
      border-radius: 1.125rem 1.125rem 0.25rem;
      background: var(--own);
      color: var(--own-text);
    }

    .author {
      margin: 0 0 0.0625rem;
      font-size: 0.8125rem;
      font-weight: 600;
      line-height: 1.4;
    }

    .text {
      display: inline;
      margin: 0;
      overflow-wrap: anywhere;
      unicode-bidi: plaintext;
      white-space: pre-wrap;
    }

    .own .text a {
      color: inherit;
    }

    .marks {
      float: right;
      display: inline-flex;
      align-items: center;
      gap: 0.3125rem;
      margin: 0.3125rem -0.125rem -0.125rem 0.75rem;
      color: var(--quiet);
      font-size: 0.6875rem;
      font-variant-numeric: tabular-nums;
      line-height: 1rem;
      user-select: none;
    }

    .own .marks {
      color: var(--own-quiet);
    }

    .late,
    .state {
      display: inline-flex;
      align-items: center;
      gap: 0.1875rem;
    }

    .late {
      color: var(--warning);
    }

    .own .late {
      color: inherit;
    }

    .state.failed {
      padding: 0 0.1875rem;
      border-radius: 0.25rem;
      background: var(--danger-ground);
      color: var(--danger);
    }

    .day {
      display: flex;
      justify-content: center;
      padding: 0.875rem 0 0.625rem;
    }

    .day span {
      padding: 0.125rem 0.625rem;
      border: 1px solid var(--line);
      border-radius: 1rem;
      color: var(--quiet);
      font-size: 0.75rem;
      font-weight: 500;
    }

    .notice {
      display: flex;
      align-items: center;
      justify-content: center;
      gap: 0.375rem;
      margin: 0.25rem 0;
      color: var(--quiet);
      font-size: 0.8125rem;
      overflow-wrap: anywhere;
      text-align: center;
    }

    .gap {
      color: var(--warning);
    }

    @media (max-width: 720px) {
      .row {
        padding-inline: 0.75rem;
      }

      .bubble {
        max-width: 82%;
      }

      .avatar,
      .beside {
        width: 2rem;
        height: 2rem;
      }

      .beside {
        height: 0;
      }
    }
  `,
];
