// What the key doctor found, as a card: whose key it is, its fingerprint, its kind, its age and its parts.
import { css, html, type TemplateResult } from 'lit';
import type { KeyFacts } from '../app-state.ts';
import { fingerprintGroups } from '../person-name.ts';
import { dateText } from '../time-text.ts';

const day = 86_400_000;

/** `now` in milliseconds decides what has expired. */
export function keyFactsCard(facts: KeyFacts, now: number): TemplateResult {
  return html`<dl class="facts">
    <div><dt>User ids</dt><dd>${facts.userIds.map((id) => html`<bdi class="id">${id}</bdi>`)}</dd></div>
    <div><dt>Fingerprint</dt><dd class="mono">${fingerprintGroups(facts.fingerprint)}</dd></div>
    <div><dt>Algorithm</dt><dd>${facts.algorithm}</dd></div>
    <div><dt>Made</dt><dd>${dateText(facts.createdAt)}</dd></div>
    <div><dt>Expires</dt><dd>${expiry(facts.expiresAt, now)}</dd></div>
    <div><dt>Subkeys</dt><dd>${facts.subkeys.length === 0 ? 'none' : html`<ul>${facts.subkeys.map(subkeyLine)}</ul>`}</dd></div>
  </dl>`;
}

export const keyFactsStyles = css`
  .facts {
    display: grid;
    margin-top: 0.5rem;
    border: 1px solid var(--line);
    border-radius: 0.625rem;
    font-size: 0.875rem;
  }

  .facts > div {
    display: grid;
    grid-template-columns: 5.25rem 1fr;
    gap: 0.75rem;
    padding: 0.4375rem 0.875rem;
  }

  .facts > div + div {
    border-top: 1px solid var(--line);
  }

  .facts dt {
    color: var(--quiet);
  }

  .facts dd {
    min-width: 0;
    overflow-wrap: anywhere;
  }

  .facts .id {
    display: block;
    max-height: 6rem;
    overflow: auto;
  }
`;

function expiry(expiresAt: number | undefined, now: number): string {
  if (expiresAt === undefined) return 'never';
  if (expiresAt < now) return `${dateText(expiresAt)} (expired)`;
  const days = Math.floor((expiresAt - now) / day);
  return days < 60 ? `${dateText(expiresAt)}, in ${days === 1 ? '1 day' : `${days} days`}` : dateText(expiresAt);
}

function subkeyLine(subkey: KeyFacts['subkeys'][number]): TemplateResult {
  const uses = [subkey.canSign && 'signs', subkey.canEncrypt && 'encrypts'].filter(Boolean).join(' and ');
  return html`<li>${subkey.algorithm}, ${uses === '' ? 'not used here' : uses}${subkey.hasSecret ? '' : ' (secret part missing)'}</li>`;
}
