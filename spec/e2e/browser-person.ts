// A person at a browser of their own, who does everything through the screen: by roles, labels and what is written there.
import type { BrowserContext, Page } from 'playwright-core';
import { type Browser, launchChromium } from '../browser.ts';

export const passphrase = 'four blue horses sing';

export class BrowserPerson {
  readonly name: string;
  readonly page: Page;
  /** Whatever the page complained of: violations of its policy, errors nobody caught. */
  readonly complaints: string[] = [];
  readonly #browser: Browser;
  readonly #url: string;

  private constructor(name: string, url: string, browser: Browser, page: Page) {
    this.name = name;
    this.#url = url;
    this.page = page;
    this.#browser = browser;
    page.on('pageerror', (error) => this.complaints.push(error.message));
    page.on('console', (message) => {
      if (message.type() === 'error' && !message.text().includes('WebSocket connection')) this.complaints.push(message.text());
    });
  }

  /** Opens the address in a browser profile that nobody used before. */
  static async arrive(name: string, url: string): Promise<BrowserPerson> {
    const browser = await launchChromium();
    const page = browser.context.pages()[0] ?? (await browser.context.newPage());
    const person = new BrowserPerson(name, url, browser, page);
    await page.goto(url);
    return person;
  }

  get context(): BrowserContext {
    return this.#browser.context;
  }

  async register(): Promise<void> {
    const { page } = this;
    await page.getByRole('tab', { name: 'Register' }).click();
    await page.getByLabel('User name').fill(this.name);
    await page.getByLabel('Passphrase', { exact: true }).fill(passphrase);
    await page.getByRole('button', { name: 'Register' }).click();
    await this.seesChat();
  }

  async logIn(withPassphrase = passphrase): Promise<void> {
    const { page } = this;
    await page.getByRole('tab', { name: 'Log in' }).click();
    const username = page.getByLabel('User name');
    if (await username.isVisible()) await username.fill(this.name);
    await page.getByLabel('Passphrase', { exact: true }).fill(withPassphrase);
    await page.getByRole('button', { name: 'Log in' }).click();
  }

  /** Pastes a secret key that was exported with a passphrase of its own. */
  async useKey(armored: string, keyPassphrase: string): Promise<void> {
    const { page } = this;
    await page.getByRole('tab', { name: 'Use my PGP key' }).click();
    await page.getByLabel('Your secret key').fill(armored);
    await page.getByRole('button', { name: 'Check key' }).click();
    await page.getByLabel('User name').fill(this.name);
    await page.getByLabel('Passphrase of this key').fill(keyPassphrase);
    await page.getByRole('button', { name: 'Sign in with this key' }).click();
    await this.seesChat();
  }

  async seesChat(): Promise<void> {
    await this.page.getByRole('navigation', { name: 'Groups' }).waitFor({ timeout: 30_000 });
  }

  async createGroup(name: string): Promise<void> {
    const { page } = this;
    await page.getByRole('navigation', { name: 'Groups' }).getByRole('button', { name: 'New group' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Name of the group').fill(name);
    await dialog.getByLabel('Name of the group').press('Enter');
    await page.getByRole('heading', { name }).waitFor();
  }

  async inviteLink(): Promise<string> {
    const { page } = this;
    await page.getByRole('button', { name: 'Invite by link' }).click();
    const dialog = page.getByRole('dialog');
    const link = dialog.getByRole('textbox', { name: /invite link/i });
    await link.waitFor();
    const value = await link.inputValue();
    await dialog.getByRole('button', { name: 'Close' }).first().click();
    return value;
  }

  async addByName(username: string): Promise<void> {
    const { page } = this;
    await page.getByRole('button', { name: 'Add by user name' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('User name').fill(username);
    await dialog.getByLabel('User name').press('Enter');
    await dialog.waitFor({ state: 'hidden' });
  }

  async removes(username: string): Promise<void> {
    const { page } = this;
    await page.getByRole('button', { name: 'Members' }).click();
    await page.getByRole('button', { name: `Change ${username}` }).click();
    await page.getByRole('button', { name: `Remove ${username}` }).click();
    const dialog = page.getByRole('dialog', { name: `Remove ${username}?` });
    await dialog.getByRole('button', { name: `Remove ${username}` }).click();
    await dialog.waitFor({ state: 'hidden' });
    await page.getByRole('button', { name: 'Close members' }).click();
  }

  async say(text: string): Promise<void> {
    const box = this.page.getByRole('textbox', { name: /^Message to/ });
    await box.fill(text);
    await box.press('Enter');
  }

  /** The texts of all messages on the screen, in their order. */
  async texts(): Promise<string[]> {
    return this.page.getByRole('log').getByRole('article').locator('.text').allInnerTexts();
  }

  async reads(text: string, timeout = 20_000): Promise<void> {
    await this.page.getByRole('log').getByText(text, { exact: true }).waitFor({ timeout });
  }

  async sees(text: string | RegExp): Promise<void> {
    await this.page.getByText(text).first().waitFor({ timeout: 30_000 });
  }

  async opensGroup(name: string): Promise<void> {
    const heading = this.page.getByRole('main').getByRole('heading', { name });
    const entry = this.page.getByRole('navigation', { name: 'Groups' }).getByRole('button', { name: new RegExp(`^${name}`) });
    await entry.waitFor({ timeout: 30_000 });
    if (!(await heading.isVisible())) await entry.click();
    await heading.waitFor();
  }

  /** As the head of the conversation says it. */
  async isLinkedWith(others: number): Promise<void> {
    const words = others === 0 ? /none reachable now/ : `${others} of ${others} others reachable`;
    await this.page.getByRole('main').getByText(words).first().waitFor({ timeout: 40_000 });
  }

  async setNickname(nickname: string): Promise<void> {
    const { page } = this;
    await page.getByRole('button', { name: 'Members' }).click();
    await page.getByRole('button', { name: /nickname/i }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Nickname').fill(nickname);
    await dialog.getByLabel('Nickname').press('Enter');
    await dialog.waitFor({ state: 'hidden' });
    await page.getByRole('button', { name: 'Close members' }).click();
  }

  /** Closes the tab. */
  async away(): Promise<void> {
    await this.page.goto('about:blank');
  }

  async comesBack(): Promise<void> {
    await this.page.goto(this.#url);
  }

  async leave(): Promise<void> {
    await this.#browser.close();
  }
}
