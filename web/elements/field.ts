// One labelled input with its hint and its problem, tied together for assistive technology.
import { html, nothing, type TemplateResult } from 'lit';
import { icon } from './icons.ts';

export type Field = {
  /** Unique in the element that draws it; the form reads the value by this name. */
  name: string;
  label: string;
  value?: string;
  type?: 'text' | 'password';
  autocomplete?: 'username' | 'current-password' | 'new-password' | 'off';
  hint?: string | undefined;
  problem?: string | undefined;
  placeholder?: string;
  maxlength?: number;
  /** At the end of the input, such as the button that shows a passphrase. */
  button?: TemplateResult;
  /** Below the input, such as the strength meter. */
  below?: TemplateResult;
  changed?: (value: string) => void;
};

export function field(part: Field): TemplateResult {
  const described = [part.problem && `${part.name}-problem`, part.hint && `${part.name}-hint`].filter(Boolean).join(' ');
  const input = html`<input
    id=${part.name}
    name=${part.name}
    type=${part.type ?? 'text'}
    .value=${part.value ?? ''}
    autocomplete=${part.autocomplete ?? 'off'}
    autocapitalize="none"
    autocorrect="off"
    spellcheck="false"
    maxlength=${part.maxlength ?? 4096}
    placeholder=${part.placeholder ?? nothing}
    aria-describedby=${described || nothing}
    aria-invalid=${part.problem ? 'true' : nothing}
    @input=${(event: InputEvent) => event.target instanceof HTMLInputElement && part.changed?.(event.target.value)}
  />`;
  return html`<div class="field">
    <label for=${part.name}>${part.label}</label>
    ${part.button ? html`<div class="with-button">${input}${part.button}</div>` : input} ${part.below}
    ${part.hint ? html`<p class="hint" id="${part.name}-hint">${part.hint}</p>` : nothing} ${problemLine(part.name, part.problem)}
  </div>`;
}

/** The sentence about what is wrong, read out when it appears. */
export function problemLine(name: string, text: string | undefined): TemplateResult | typeof nothing {
  if (text === undefined) return nothing;
  return html`<p class="problem" id="${name}-problem" role="alert">${icon('warning', 16)}<span>${text}</span></p>`;
}

/** The button in a passphrase field that shows what was typed. */
export function revealButton(shown: boolean, toggle: () => void): TemplateResult {
  return html`<button
    type="button"
    class="icon"
    aria-pressed=${shown ? 'true' : 'false'}
    aria-label="Show passphrase"
    title=${shown ? 'Hide passphrase' : 'Show passphrase'}
    @click=${toggle}
  >
    ${icon(shown ? 'eye-off' : 'eye')}
  </button>`;
}
