// Which theme was chosen, kept in this browser, and put on the page; the colour of the date changes at midnight.
import type { Theme } from './app-state.ts';
import { dateTheme } from './date-theme.ts';

export const themes = ['system', 'light', 'dark', 'date'] as const satisfies readonly Theme[];

const storageKey = 'theme';

export class PageTheme {
  readonly #root: HTMLElement;
  readonly #storage: Storage | undefined;
  #choice: Theme;
  #midnight: number | undefined;

  /** Puts the kept choice on the page at once. Without storage (a private window may refuse it) the choice lasts as long as the page. */
  constructor({ root, storage }: { root: HTMLElement; storage: Storage | undefined }) {
    this.#root = root;
    this.#storage = storage;
    const kept = storage?.getItem(storageKey);
    this.#choice = themes.find((theme) => theme === kept) ?? 'system';
    this.#show();
  }

  get choice(): Theme {
    return this.#choice;
  }

  choose(theme: Theme): void {
    this.#choice = theme;
    this.#show();
    this.#storage?.setItem(storageKey, theme);
  }

  #show(): void {
    clearTimeout(this.#midnight);
    this.#root.dataset.theme = this.#choice;
    const now = new Date();
    for (const [name, [red, green, blue]] of Object.entries(dateTheme(now))) {
      if (this.#choice === 'date') this.#root.style.setProperty(`--${name}`, `rgb(${red}, ${green}, ${blue})`);
      else this.#root.style.removeProperty(`--${name}`);
    }
    if (this.#choice !== 'date') return;
    const tomorrow = new Date(now.getFullYear(), now.getMonth(), now.getDate() + 1);
    this.#midnight = window.setTimeout(() => this.#show(), tomorrow.getTime() - now.getTime() + 1000);
  }
}
