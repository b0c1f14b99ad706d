// `npm run screens [FOLDER]`: pictures of the screens for the README, and with a folder every screen in every theme to look at.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import { launchChromium } from './browser.ts';
import { servePage } from './page-with-fake.ts';

type Theme = 'light' | 'dark' | 'date';
type Picture = { into: string; name: string; theme: Theme; width: number; file?: string };
type Screen = { name: string; scene: string; prepare?: (page: Page) => Promise<void> };

const screens: Screen[] = [
  { name: 'sign-in', scene: 'sign-in', prepare: register },
  { name: 'log-in', scene: 'known' },
  { name: 'key-doctor', scene: 'sign-in', prepare: (page) => checkKey(page, 'a key') },
  { name: 'key-refused', scene: 'sign-in', prepare: (page) => checkKey(page, 'EXPIRED') },
  { name: 'key-give', scene: 'sign-in', prepare: (page) => page.getByRole('tab', { name: 'Use my PGP key' }).click() },
  { name: 'chat', scene: 'chat', prepare: openFestival },
  { name: 'groups', scene: 'chat' },
  { name: 'empty', scene: 'empty' },
  { name: 'members', scene: 'chat', prepare: (page) => press(page, 'Members') },
  { name: 'actions', scene: 'chat', prepare: showActions },
  { name: 'remove', scene: 'chat', prepare: askToRemove },
  { name: 'out', scene: 'chat', prepare: beOut },
  { name: 'invite', scene: 'chat', prepare: (page) => press(page, 'Invite by link') },
  { name: 'new-group', scene: 'chat', prepare: askForGroup },
  { name: 'account', scene: 'chat', prepare: (page) => page.getByRole('button', { name: 'Your account' }).click() },
  { name: 'notes', scene: 'chat', prepare: notes },
];

const [folder] = process.argv.slice(2);
const served = await servePage();
const browser = await launchChromium();
try {
  if (folder === undefined) {
    const docs = fileURLToPath(new URL('../docs/screens', import.meta.url));
    await take({ into: docs, name: 'chat', theme: 'light', width: 1280 });
    await take({ into: docs, name: 'sign-in', theme: 'light', width: 390, file: 'sign-in-390.png' });
  } else {
    for (const { name } of screens) {
      for (const theme of ['light', 'dark', 'date'] as const) {
        for (const width of [1280, 390]) await take({ into: folder, name, theme, width });
      }
    }
  }
} finally {
  await browser.close();
  await served.close();
}

async function take({ into, name, theme, width, file = `${name}-${theme}-${width}.png` }: Picture): Promise<void> {
  const screen = screens.find((each) => each.name === name);
  if (screen === undefined) throw new Error(`There is no screen ${name}.`);
  const page = await browser.context.newPage();
  const session = await browser.context.newCDPSession(page);
  await session.send('Emulation.setLocaleOverride', { locale: 'en-GB' });
  await page.setViewportSize({ width, height: width === 390 ? 844 : 800 });
  await page.emulateMedia({ colorScheme: theme === 'dark' ? 'dark' : 'light', reducedMotion: 'reduce' });
  await page.clock.setFixedTime(new Date(2025, 4, 7, 9, 46));
  await page.addInitScript((choice) => localStorage.setItem('theme', choice), theme);
  await page.goto(`${served.origin}/?scene=${screen.scene}`);
  await page.getByRole('heading').first().waitFor();
  await screen.prepare?.(page);
  await page.evaluate(() => document.fonts.ready);
  await mkdir(into, { recursive: true });
  await page.screenshot({ path: join(into, file) });
  await page.close();
  console.error(file);
}

async function register(page: Page): Promise<void> {
  await page.getByLabel('User name').fill('alice');
  await page.getByLabel('Passphrase', { exact: true }).fill('tide lantern copper orchard');
}

async function checkKey(page: Page, text: string): Promise<void> {
  await page.getByRole('tab', { name: 'Use my PGP key' }).click();
  await page.getByLabel('Your secret key').fill(text);
  await page.getByRole('button', { name: 'Check key' }).click();
  await page.getByRole('button', { name: /another key/ }).waitFor();
}

async function openFestival(page: Page): Promise<void> {
  if (page.viewportSize()?.width === 390) await page.getByRole('button', { name: /^Harbour festival/ }).click();
}

async function press(page: Page, name: string): Promise<void> {
  await openFestival(page);
  await page.getByRole('button', { name, exact: true }).click();
  await page
    .getByRole(name === 'Members' ? 'heading' : 'img', { name: /Members|QR/ })
    .first()
    .waitFor();
}

async function showActions(page: Page): Promise<void> {
  await press(page, 'Members');
  await page.getByRole('button', { name: 'Change carol' }).click();
}

async function askToRemove(page: Page): Promise<void> {
  await showActions(page);
  await page.getByRole('button', { name: 'Remove carol' }).click();
}

async function beOut(page: Page): Promise<void> {
  await openFestival(page);
  await page.evaluate(() =>
    globalThis.fake.putOut('harbour', 'You were removed from this group. What you have read stays here.'),
  );
  await page.getByRole('main').getByText('You were removed').waitFor();
}

async function askForGroup(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'New group' }).click();
  await page.getByRole('button', { name: 'Make group' }).click();
}

async function notes(page: Page): Promise<void> {
  await openFestival(page);
  await page.evaluate(() => {
    const { fake } = globalThis;
    fake.chat({
      node: { state: 'offline', text: 'Node unreachable, trying again in 8 s' },
      problem: 'The file could not be sent.',
      joining: { state: 'waiting', groupName: 'Boat club', text: 'You asked to join. A member who is online has to let you in.' },
      readOnly: 'Secure is open in another tab. Write there; this one only reads.',
    });
    fake.changeGroup('harbour', (group) => ({ ...group, waitingFor: 'Waiting for the group key from a member who is online' }));
  });
}
