// A person's name as it stands on the screen: a long nickname is cut, the user name it belongs to never is.
import { css, html, nothing, type TemplateResult } from 'lit';
import { personName } from '../person-name.ts';
import { icon } from './icons.ts';

export function personLabel(person: { username: string; nickname: string | undefined }, confusable: boolean): TemplateResult {
  const name = personName(person, confusable);
  return html`<span class="called"
    ><bdi class="first">${name.first}</bdi>${name.username === undefined ? nothing : html`<span class="account">(${name.username})</span>`}${
      name.warning === undefined
        ? nothing
        : html`<span class="suspect" title=${name.warning}>${icon('warning', 16)}<span class="for-readers">${name.warning}</span></span>`
    }</span
  >`;
}

export const personLabelStyles = css`
  .called {
    display: inline-flex;
    align-items: center;
    gap: 0.3125rem;
    min-width: 0;
    max-width: 100%;
    overflow: hidden;
  }

  .called .first {
    overflow: hidden;
    text-overflow: ellipsis;
    white-space: nowrap;
  }

  .called .account {
    flex: none;
    max-width: 100%;
    overflow: hidden;
    text-overflow: ellipsis;
    white-space: nowrap;
    color: var(--quiet);
    font-weight: 400;
  }

  .called .suspect {
    flex: none;
    color: var(--warning);
  }
`;
