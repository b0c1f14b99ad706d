// The end of a form: its button, and while it works what it is doing and a way to stop.
import { html, nothing, type TemplateResult } from 'lit';

/** The main button stays where it is while busy, so that the keyboard focus is not lost. */
export function busyButtons(
  label: string,
  busy: string | undefined,
  cancel: () => void,
  kind: 'primary' | 'danger' = 'primary',
): TemplateResult {
  return html`<div class="buttons">
    <button class="${kind} wide" aria-disabled=${busy === undefined ? nothing : 'true'}>
      ${busy === undefined ? label : html`<span class="spinner" aria-hidden="true"></span>${busy}`}
    </button>
    ${busy === undefined ? nothing : html`<button type="button" @click=${cancel}>Cancel</button>`}
    <span class="for-readers" role="status">${busy}</span>
  </div>`;
}
