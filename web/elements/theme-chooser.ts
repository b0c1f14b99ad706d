// Which theme the page wears: four choices, one of them the colour of the date.
import { css, html, LitElement } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import type { Theme } from '../app-state.ts';
import { controls } from './control-styles.ts';
import { type IconName, icon } from './icons.ts';

/** Somebody chose a theme; heard above the screens, which know nothing of it. */
export class ThemeChosen extends Event {
  readonly theme: Theme;

  constructor(theme: Theme) {
    super('theme-chosen', { bubbles: true, composed: true });
    this.theme = theme;
  }
}

const choices: { theme: Theme; label: string; icon: IconName }[] = [
  { theme: 'system', label: 'As the system', icon: 'device' },
  { theme: 'light', label: 'Light', icon: 'sun' },
  { theme: 'dark', label: 'Dark', icon: 'moon' },
  { theme: 'date', label: 'Colour of the date', icon: 'calendar' },
];

@customElement('secure-theme-chooser')
export class ThemeChooser extends LitElement {
  @property({ attribute: false }) accessor theme: Theme = 'system';

  static override styles = [
    controls,
    css`
      fieldset {
        display: inline-flex;
        gap: 0.125rem;
        padding: 0.1875rem;
        border: 1px solid var(--line);
        border-radius: 0.625rem;
      }

      label {
        display: grid;
        place-items: center;
        width: 2.25rem;
        height: 1.875rem;
        border-radius: 0.4375rem;
        color: var(--quiet);
        cursor: pointer;
      }

      label:hover {
        color: var(--text);
      }

      label:has(:checked) {
        background: var(--hover);
        color: var(--text);
      }

      label:has(:focus-visible) {
        outline: 2px solid var(--focus);
        outline-offset: 2px;
      }

      input {
        position: absolute;
        width: 1px;
        min-height: 0;
        height: 1px;
        opacity: 0;
      }
    `,
  ];

  override render() {
    return html`<fieldset>
      <legend class="for-readers">Theme</legend>
      ${choices.map(
        (choice) =>
          html`<label title=${choice.label}>
            <input
              type="radio"
              name="theme"
              .checked=${choice.theme === this.theme}
              aria-label=${choice.label}
              @change=${() => this.dispatchEvent(new ThemeChosen(choice.theme))}
            />
            ${icon(choice.icon)}
          </label>`,
      )}
    </fieldset>`;
  }
}

declare global {
  interface HTMLElementTagNameMap {
    'secure-theme-chooser': ThemeChooser;
  }
  interface HTMLElementEventMap {
    'theme-chosen': ThemeChosen;
  }
}
