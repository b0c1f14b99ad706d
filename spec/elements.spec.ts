// The screens in a real browser under the real content security policy: by role and label, by keyboard, at both widths.
import assert from 'node:assert/strict';
import type { Locator, Page } from 'playwright-core';
import { type Browser, launchChromium } from './browser.ts';
import { type ServedPage, servePage } from './page-with-fake.ts';

const hostile = [
  '<img src=x onerror=globalThis.hacked=1>',
  '"><script>globalThis.hacked=1</script>',
  '${globalThis.hacked=1} {{hacked}} <!--?lit$1$-->',
  'abc\u202Egnp.exe\u202C\u2066x',
  `javascript:globalThis.hacked=1 https://example.org/"onmouseover=globalThis.hacked=1//`,
  'W'.repeat(10_000),
];

describe('the screens', function () {
  this.timeout(30_000);
  let served: ServedPage;
  let browser: Browser;
  let complaints: string[];
  let page: Page;

  before(async () => {
    served = await servePage();
    browser = await launchChromium();
  });

  after(async () => {
    await browser?.close();
    await served?.close();
  });

  const open = async (address: string, width = 1280) => {
    complaints = [];
    page = await browser.context.newPage();
    page.setDefaultTimeout(5000);
    await page.setViewportSize({ width, height: width === 390 ? 844 : 800 });
    page.on('pageerror', (error) => complaints.push(error.message));
    await page.exposeFunction('complain', (text: string) => complaints.push(text));
    await page.addInitScript(() => {
      localStorage.clear();
      document.addEventListener('securitypolicyviolation', (event) => {
        complain(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`);
      });
    });
    await page.goto(`${served.origin}/${address}`);
    await page.getByRole('heading').first().waitFor();
  };

  const button = (name: string) => page.getByRole('button', { name, exact: true });
  const tab = (name: string) => page.getByRole('tab', { name });
  const field = (label: string) => page.getByLabel(label, { exact: true });
  const calls = () => page.evaluate(() => globalThis.fake.calls);
  const focusIs = async (locator: Locator) => {
    await locator.and(page.locator(':focus')).waitFor();
  };
  /** The sentence that assistive technology reads with a field. */
  const problemOf = (locator: Locator) =>
    locator.evaluate((input) => {
      const root = input.getRootNode();
      const ids = (input.getAttribute('aria-describedby') ?? '').split(' ');
      const problem = ids.find((id) => id.endsWith('-problem'));
      return root instanceof ShadowRoot && problem ? root.getElementById(problem)?.textContent?.trim() : undefined;
    });

  afterEach(async () => {
    await page.close();
    assert.deepEqual(complaints, []);
  });

  describe('sign-in', () => {
    it('offers to register, to log in and to use a PGP key, and says that a passphrase cannot be recovered', async () => {
      await open('?scene=sign-in');
      await page.getByRole('heading', { name: 'Secure' }).waitFor();
      assert.deepEqual(await page.getByRole('tab').allInnerTexts(), ['Register', 'Log in', 'Use my PGP key']);
      assert.equal(await tab('Register').getAttribute('aria-selected'), 'true');
      await focusIs(field('User name'));
      await page.getByText('nobody can recover or reset it').waitFor();
      await page.getByRole('group', { name: 'Theme' }).waitFor();
    });

    it('can be done with the keyboard alone, up to a message that is sent', async () => {
      await open('?scene=sign-in');
      const keys = page.keyboard;
      await focusIs(field('User name'));
      await keys.type('alice');
      await keys.press('Tab');
      await keys.type('tide lantern copper orchard');
      await page.getByRole('status', { name: 'Strength of the passphrase' }).getByText('Strong').waitFor();
      await keys.press('Enter');
      const message = page.getByRole('textbox', { name: 'Message to Harbour festival' });
      await focusIs(message);
      await keys.type('first line');
      await keys.press('Shift+Enter');
      await keys.type('second line');
      await keys.press('Enter');
      await page.getByRole('article').filter({ hasText: 'first line' }).getByText('Sending').waitFor({ state: 'attached' });
      assert.equal(await message.inputValue(), '');
      assert.deepEqual(
        (await calls()).filter((call) => /^(register|send)/.test(call)),
        ['register alice', 'send harbour first line\nsecond line'],
      );
    });

    it('moves between its ways with the arrow keys', async () => {
      await open('?scene=sign-in');
      await tab('Register').focus();
      await page.keyboard.press('ArrowRight');
      await focusIs(tab('Log in'));
      await page.keyboard.press('ArrowRight');
      await focusIs(tab('Use my PGP key'));
      await page.getByRole('tabpanel', { name: 'Use my PGP key' }).waitFor();
      await page.keyboard.press('ArrowRight');
      await focusIs(tab('Register'));
    });

    it('says at the field what is wrong before anything is sent', async () => {
      await open('?scene=sign-in');
      await field('User name').fill('Ålice');
      await button('Register').click();
      assert.match((await problemOf(field('User name'))) ?? '', /“å” cannot be used: only small letters/);
      assert.match((await problemOf(field('Passphrase'))) ?? '', /Choose a passphrase/);
      assert.equal(await field('User name').getAttribute('aria-invalid'), 'true');
      await focusIs(field('User name'));
      await field('User name').fill('root');
      assert.equal(await problemOf(field('User name')), undefined);
      await button('Register').click();
      assert.match((await problemOf(field('User name'))) ?? '', /reserved/);
      await field('User name').fill('alice');
      await field('Passphrase').fill('password1');
      await button('Register').click();
      assert.match((await problemOf(field('Passphrase'))) ?? '', /too easy to guess/);
      await focusIs(field('Passphrase'));
      assert.deepEqual(await calls(), []);
    });

    it('says at the field what the controller found, and takes the focus there', async () => {
      await open('?scene=sign-in');
      await field('User name').fill('bob');
      await field('Passphrase').fill('tide lantern copper');
      await button('Register').click();
      await page.getByRole('alert').getByText('is taken here').waitFor();
      assert.match((await problemOf(field('User name'))) ?? '', /is taken here/);
      await focusIs(field('User name'));
      await field('User name').fill('nowhere');
      await button('Register').click();
      await page.getByRole('alert').getByText('The node cannot be reached').waitFor();
      await tab('Log in').click();
      assert.equal(await page.getByRole('alert').count(), 0);
      await field('User name').fill('alice');
      await field('Passphrase').fill('wrong');
      await button('Log in').click();
      await page.getByRole('alert').getByText('Wrong passphrase').waitFor();
      await focusIs(field('Passphrase'));
    });

    it('says what it is doing, once, and stops when asked', async () => {
      await open('?scene=known');
      assert.equal(await field('User name').inputValue(), 'alice');
      await focusIs(field('Passphrase'));
      await button('alice-work').click();
      assert.equal(await field('User name').inputValue(), 'alice-work');
      await page.evaluate(() => {
        globalThis.fake.held = true;
      });
      await field('Passphrase').fill('tide lantern');
      await page.keyboard.press('Enter');
      await page.getByRole('status').getByText('Unlocking your key').waitFor({ state: 'attached' });
      await page.keyboard.press('Enter');
      await button('Cancel').click();
      await button('Log in').waitFor();
      await page.evaluate(() => globalThis.fake.release());
      await button('Log in').waitFor();
      assert.deepEqual(await calls(), ['logIn alice-work', 'cancelSignIn']);
    });

    it('shows a passphrase only while asked to', async () => {
      await open('?scene=known');
      await field('Passphrase').fill('tide lantern');
      assert.equal(await field('Passphrase').getAttribute('type'), 'password');
      await button('Show passphrase').click();
      assert.equal(await field('Passphrase').getAttribute('type'), 'text');
      assert.equal(await field('Passphrase').inputValue(), 'tide lantern');
      assert.equal(await button('Show passphrase').getAttribute('aria-pressed'), 'true');
    });

    it('takes an invite out of the address bar and its history, and says where it leads', async () => {
      await open('?scene=sign-in#1.c2VjcmV0');
      await page.getByText('You were invited to a group on https://chat.example').waitFor();
      assert.equal(page.url(), `${served.origin}/?scene=sign-in`);
      assert.deepEqual(await calls(), [`joinByLink ${served.origin}/?scene=sign-in#1.c2VjcmV0`]);
      await field('User name').fill('alice');
      await field('Passphrase').fill('tide lantern copper');
      await page.keyboard.press('Enter');
      await page.getByRole('status').getByText('You asked to join').waitFor();
      await button('Dismiss').click();
      await page.getByText('You asked to join').waitFor({ state: 'detached' });
    });

    it('says so when the engine cannot start', async () => {
      complaints = [];
      page = await browser.context.newPage();
      await page.goto(`${served.origin}/?scene=broken`);
      await page.getByRole('alert').getByText('The app could not start').waitFor();
      await button('Load again').waitFor();
    });
  });

  describe('the key doctor', () => {
    const give = async (text: string) => {
      await tab('Use my PGP key').click();
      await field('Your secret key').fill(text);
      await button('Check key').click();
    };

    it('shows what it found before anything is kept, and signs in with it', async () => {
      await open('?scene=sign-in');
      await give('a key');
      await page.getByRole('heading', { name: 'This key can be used' }).waitFor();
      for (const fact of ['Alice Arden <alice@example.org>', '3F9A 61C0 7D52 E8B4 1A6C', 'Ed25519, signs', 'in 40 days']) {
        await page.getByText(fact).first().waitFor();
      }
      assert.equal(await field('User name').inputValue(), 'alice');
      await field('Passphrase of this key').fill('wrong');
      await button('Sign in with this key').click();
      await page.getByRole('alert').getByText('Wrong passphrase').waitFor();
      await focusIs(field('Passphrase of this key'));
      await field('Passphrase of this key').fill('tide lantern');
      await page.keyboard.press('Enter');
      await page.getByRole('log').waitFor();
    });

    it('refuses with a reason and a command to copy', async () => {
      await open('?scene=sign-in');
      await give('-----BEGIN PGP PUBLIC KEY BLOCK-----');
      await page.getByRole('alert').getByText('That is your public key').waitFor();
      await focusIs(page.getByRole('heading', { name: 'That is your public key' }));
      await page.getByText('gpg --armor --export-secret-keys you@example.org').waitFor();
      await button('Copy command').waitFor();
      await button('Try another key').click();
      await focusIs(field('Your secret key'));
      assert.equal(await field('Your secret key').inputValue(), '');
    });

    it('lets one choose among several keys', async () => {
      await open('?scene=sign-in');
      await give('SEVERAL');
      await button('Alice (work) <a.arden@example.com> 91C3 B6E8 4F0A 72D5 5E19 C08B 3A67 F4D2 E085 1B6A').click();
      await page.getByText('91C3 B6E8 4F0A').waitFor();
      assert.equal((await calls()).at(-1), 'checkKey 91c3b6e84f0a72d55e19c08b3a67f4d2e0851b6a');
    });

    it('asks for a new passphrase when the key came without one', async () => {
      await open('?scene=sign-in');
      await give('BARE');
      await field('New passphrase').fill('aaa');
      await page.getByRole('status', { name: 'Strength of the passphrase' }).getByText('Too easy').waitFor();
    });

    it('takes a chosen file and a dropped one, and forgets an answer that was cancelled', async () => {
      await open('?scene=sign-in');
      await tab('Use my PGP key').click();
      const chooser = page.waitForEvent('filechooser');
      await button('Choose a file').click();
      await (await chooser).setFiles({ name: 'key.asc', mimeType: 'text/plain', buffer: Buffer.from('EXPIRED') });
      await page.getByRole('alert').getByText('This key has expired').waitFor();
      assert.equal(await button('Copy command').count(), 2);
      await page.evaluate(() => {
        globalThis.fake.held = true;
      });
      await page.locator('secure-key-panel').evaluate((panel) => {
        const dataTransfer = new DataTransfer();
        dataTransfer.items.add(new File(['a key'], 'key.asc'));
        panel.dispatchEvent(new DragEvent('drop', { dataTransfer, bubbles: true, cancelable: true }));
      });
      await page.getByRole('status').getByText('Looking at the key').waitFor();
      await button('Cancel').click();
      await page.evaluate(() => globalThis.fake.release());
      await field('Your secret key').waitFor();
      assert.equal(await page.getByRole('heading', { name: 'This key can be used' }).count(), 0);
    });
  });

  describe('the chat', () => {
    const composer = () => page.getByRole('textbox', { name: /^Message to/ });
    const arrive = (text: string) =>
      page.evaluate((said) => globalThis.fake.addMessage('harbour', { text: said, author: 'carol' }), text);

    it('names every part for assistive technology', async () => {
      await open('?scene=chat');
      const groups = page.getByRole('navigation', { name: 'Groups' });
      assert.equal(await groups.getByRole('listitem').count(), 4);
      await groups.getByRole('button', { name: /News desk.*3 unread/ }).waitFor();
      assert.match((await groups.locator('[aria-current=true]').innerText()) ?? '', /Harbour festival/);
      await page.getByRole('heading', { name: 'Harbour festival' }).waitFor();
      await page.getByText('2 of 3 others reachable').waitFor();
      await page.getByRole('log', { name: 'Messages in Harbour festival' }).waitFor();
      await page.getByRole('separator', { name: '' }).first().waitFor();
      await page.getByRole('status').getByText('Connected to chat.example').waitFor();
      for (const name of ['New group', 'Join by link', 'Lock', 'Invite by link', 'Add by user name', 'Members', 'Send']) {
        await button(name).waitFor();
      }
      const marks = await page.getByRole('article').filter({ hasText: 'See you all at eight' }).locator('.state').textContent();
      assert.match(marks ?? '', /Delivered to 2 of 3/);
      await page.getByText('An earlier message has not arrived yet').waitFor();
      await page.getByText('came late').waitFor();
      await page.waitForFunction(() => document.title === '(3) Secure');
    });

    it('adds one row for one message among ten thousand, and leaves the others alone', async () => {
      await open('?scene=chat');
      await page.evaluate(() => {
        globalThis.fake.changeGroup('harbour', (group) => {
          const first = group.items.find((item) => item.item === 'message');
          if (first === undefined) return group;
          const items = Array.from({ length: 10_000 }, (_, index) => ({ ...first, id: `many-${index}`, text: `line ${index}` }));
          return { ...group, items };
        });
      });
      await page.getByText('line 9999').waitFor();
      await page.getByRole('log').evaluate((log) => {
        const touched = { added: 0, removed: 0, changed: 0 };
        Object.assign(globalThis, { touched });
        new MutationObserver((records) => {
          for (const record of records) {
            touched.added += [...record.addedNodes].filter((node) => node instanceof Element).length;
            touched.removed += [...record.removedNodes].filter((node) => node instanceof Element).length;
            if (record.type !== 'childList') touched.changed += 1;
          }
        }).observe(log, { subtree: true, childList: true, attributes: true, characterData: true });
      });
      await arrive('one more');
      await page.getByText('one more').waitFor();
      assert.deepEqual(await page.evaluate(() => Reflect.get(globalThis, 'touched')), { added: 1, removed: 0, changed: 0 });
      await page.evaluate(() => {
        globalThis.fake.changeGroup('harbour', (group) => {
          const [first] = group.items;
          if (first?.item !== 'message') return group;
          return { ...group, items: group.items.toSpliced(-20, 0, { ...first, id: 'late', text: 'came between' }) };
        });
      });
      await page.getByText('came between').waitFor();
      assert.deepEqual(await page.evaluate(() => Reflect.get(globalThis, 'touched')), { added: 2, removed: 0, changed: 0 });
    });

    it('stays at the end while there, and otherwise keeps the place and counts what is new', async () => {
      await open('?scene=chat');
      for (let at = 0; at < 30; at += 1) await arrive(`filling ${at}`);
      const log = page.getByRole('log');
      const fromEnd = () => log.evaluate((each) => Math.round(each.scrollHeight - each.scrollTop - each.clientHeight));
      await page.getByText('filling 29').waitFor();
      assert.ok((await fromEnd()) <= 1, 'the newest is in sight');
      await log.evaluate(
        (each) =>
          new Promise((scrolled) => {
            each.addEventListener('scroll', scrolled, { once: true });
            each.scrollTop -= 600;
          }),
      );
      const place = () =>
        page.getByText('filling 12', { exact: true }).evaluate((each) => Math.round(each.getBoundingClientRect().top));
      await arrive('news 1');
      await button('1 new message').waitFor();
      const before = await place();
      await arrive('news 2');
      await button('2 new messages').waitFor();
      assert.equal(await place(), before);
      await button('2 new messages').click();
      await button('2 new messages').waitFor({ state: 'detached' });
      assert.ok((await fromEnd()) <= 1, 'the newest is in sight again');
    });

    it('brings earlier messages when one scrolls up, without moving what is read', async () => {
      await open('?scene=chat');
      await page.evaluate(() => {
        globalThis.fake.changeGroup('harbour', (group) => {
          const first = group.items.find((item) => item.item === 'message');
          if (first === undefined) return group;
          return {
            ...group,
            items: Array.from({ length: 500 }, (_, index) => ({ ...first, id: `many-${index}`, text: `line ${index}.` })),
          };
        });
      });
      await page.getByText('line 499.').waitFor();
      assert.equal(await page.getByText('line 300.').count(), 0);
      const log = page.getByRole('log');
      const place = (text: string) => page.getByText(text).evaluate((each) => Math.round(each.getBoundingClientRect().top));
      await log.evaluate((each) => {
        each.scrollTop = 500;
      });
      const [line] = await page.getByText(/line 3[56]\d\./).allInnerTexts();
      assert.ok(line !== undefined);
      await page.getByText('line 201.').waitFor({ state: 'attached' });
      const there = await place(line);
      assert.ok(Math.abs(there) < 2000, `${line} is at ${there}`);
      assert.ok(await log.evaluate((each) => each.scrollTop > 1000));
    });

    it('tells that everything is read only when the newest is in sight', async () => {
      await open('?scene=chat');
      const readTimes = (times: number) =>
        page.waitForFunction(
          (wanted) => globalThis.fake.calls.filter((call) => call === 'markRead harbour').length === wanted,
          times,
        );
      await readTimes(1);
      await arrive('seen');
      await readTimes(2);
      await page.getByRole('log').evaluate(
        (each) =>
          new Promise((scrolled) => {
            each.addEventListener('scroll', scrolled, { once: true });
            each.scrollTop = 0;
          }),
      );
      await arrive('unseen');
      await button('1 new message').waitFor();
      await readTimes(2);
      await page.getByRole('log').press('End');
      await readTimes(3);
    });

    it('gives the text back when it could not be stored, and keeps a draft for each group', async () => {
      await open('?scene=chat');
      await composer().fill('fail');
      await page.keyboard.press('Enter');
      await page.getByRole('status').getByText('The text is still here').waitFor();
      assert.equal(await composer().inputValue(), 'fail');
      await composer().fill('for the festival');
      await page.getByRole('button', { name: /News desk/ }).click();
      await page.getByRole('heading', { name: 'News desk' }).waitFor();
      assert.equal(await composer().inputValue(), '');
      await page.getByRole('button', { name: /Harbour festival/ }).click();
      await page.getByRole('heading', { name: 'Harbour festival' }).waitFor();
      assert.equal(await composer().inputValue(), 'for the festival');
    });

    it('does not send what an input method is still composing, nor blanks, nor more than fits', async () => {
      await open('?scene=chat');
      await composer().fill('にほん');
      await composer().evaluate((input) => {
        const enter = { key: 'Enter', bubbles: true, composed: true, cancelable: true };
        input.dispatchEvent(new KeyboardEvent('keydown', { ...enter, isComposing: true }));
        input.dispatchEvent(new KeyboardEvent('keydown', { ...enter, keyCode: 229 }));
      });
      assert.equal(await composer().inputValue(), 'にほん');
      await composer().fill(' \n ');
      await page.keyboard.press('Enter');
      await composer().fill('é'.repeat(8190));
      await page.getByRole('status').getByText('4 characters left').waitFor();
      await composer().fill('é'.repeat(8200));
      await page.getByRole('status').getByText('Too long by 16 characters').waitFor();
      await page.keyboard.press('Enter');
      assert.deepEqual(
        (await calls()).filter((call) => call.startsWith('send')),
        [],
      );
    });

    it('makes addresses links that tell the other site nothing, and nothing else', async () => {
      await open('?scene=chat');
      await arrive('see https://example.org/a_(b)?q=1. or javascript:alert(1) or <b>bold</b>');
      const article = page.getByRole('article').filter({ hasText: 'bold' });
      await article.waitFor();
      assert.equal(await article.getByRole('link').count(), 1);
      const link = article.getByRole('link');
      assert.equal(await link.getAttribute('href'), 'https://example.org/a_(b)?q=1');
      assert.equal(await link.getAttribute('rel'), 'noreferrer noopener');
      assert.equal(await link.getAttribute('target'), '_blank');
      await article.getByText('<b>bold</b>').waitFor();
    });

    it('never shows a confusable nickname in place of a name', async () => {
      await open('?scene=chat');
      const dora = page.getByRole('article').filter({ hasText: 'Tide table' }).getByRole('heading');
      assert.match(
        (await dora.textContent()) ?? '',
        /^\s*dora\s*Uses the nickname “bоb”, which could be taken for another member\.\s*$/,
      );
      const bob = page.getByRole('article').filter({ hasText: 'Did the council' }).getByRole('heading');
      assert.equal((await bob.innerText()).replace(/\s+/g, ' '), 'Captain (bob)');
    });

    it('shows the members with role, reach and fingerprint, and lets one set a nickname', async () => {
      await open('?scene=chat');
      await button('Members').click();
      const members = page.getByRole('complementary', { name: 'Members' });
      assert.equal(await members.getByRole('listitem').count(), 4);
      const bob = members.getByRole('listitem').filter({ hasText: 'bob)' });
      assert.match(
        await bob.innerText(),
        /Admin[\s\S]*Connected directly[\s\S]*B720 4CD9 1EE8 5A33 60F2 7C8A 914D B6E0 5F13 A28C/,
      );
      assert.equal(await button('Members').getAttribute('aria-expanded'), 'true');
      await button('Set a nickname').click();
      await field('Nickname').fill('bob');
      await page.keyboard.press('Enter');
      assert.match((await problemOf(field('Nickname'))) ?? '', /Another member is called so/);
      await field('Nickname').fill('Skipper');
      await page.keyboard.press('Enter');
      await members.getByText('(alice)').waitFor();
      await focusIs(button('Change nickname'));
    });

    it('removes a member after it said what that does, with the keyboard alone', async () => {
      await open('?scene=chat');
      await button('Members').click();
      const members = page.getByRole('complementary', { name: 'Members' });
      await button('Change bob').focus();
      await page.keyboard.press('Enter');
      assert.equal(await button('Change bob').getAttribute('aria-expanded'), 'true');
      await button('Remove bob').focus();
      await page.keyboard.press('Enter');
      const dialog = page.getByRole('dialog', { name: 'Remove bob?' });
      await dialog.getByText('They keep what they have read, and may have copied it.').waitFor();
      await page.keyboard.press('Escape');
      await dialog.waitFor({ state: 'detached' });
      await focusIs(button('Remove bob'));
      assert.deepEqual(
        (await calls()).filter((call) => call.startsWith('remove')),
        [],
      );
      await page.keyboard.press('Enter');
      await page.evaluate(() => globalThis.fake.chat({ node: { state: 'offline', text: 'Offline' } }));
      await dialog.getByRole('button', { name: 'Remove bob' }).press('Enter');
      await dialog.getByRole('alert').getByText('The node cannot be reached now.').waitFor();
      await page.evaluate(() => globalThis.fake.chat({ node: { state: 'connected', text: 'Connected' } }));
      await dialog.getByRole('button', { name: 'Remove bob' }).press('Enter');
      await dialog.waitFor({ state: 'detached' });
      assert.equal(await members.getByRole('listitem').count(), 3);
      assert.equal((await calls()).filter((call) => call === 'removeMember harbour uid-bob').length, 2);
    });

    it('offers only what one may do to a member, and asks before it makes another owner', async () => {
      await open('?scene=chat');
      await button('Members').click();
      assert.equal(await button('Change alice').count(), 0);
      await button('Change carol').click();
      assert.equal(await button('Make member: carol').count(), 0);
      await button('Make admin: carol').click();
      await button('Make member: carol').waitFor();
      await page.getByText('You are the only owner.').waitFor();
      assert.equal(await button('Leave group').count(), 0);
      await button('Make owner: carol').click();
      const dialog = page.getByRole('dialog', { name: 'Make carol an owner?' });
      await dialog.getByText('You cannot take it back').waitFor();
      await dialog.getByRole('button', { name: 'Make owner' }).click();
      await button('Change carol').waitFor({ state: 'detached' });
      await button('Leave group').waitFor();
      assert.deepEqual(
        (await calls()).filter((call) => call.startsWith('setRole')),
        ['setRole harbour uid-carol admin', 'setRole harbour uid-carol owner'],
      );
    });

    it('leaves a group when asked twice; it can still be read, and nothing written or changed', async () => {
      await open('?scene=chat');
      await page.evaluate(() => globalThis.fake.changeGroup('harbour', (group) => ({ ...group, mayLeave: true })));
      await button('Members').click();
      await button('Leave group').click();
      const dialog = page.getByRole('dialog', { name: 'Leave this group?' });
      await dialog.getByText('Somebody has to bring you back in.').waitFor();
      await dialog.getByRole('button', { name: 'Leave group' }).press('Enter');
      await page.getByRole('main').getByText('You left this group. What you have read stays here.').waitFor();
      await dialog.waitFor({ state: 'detached' });
      for (const name of ['Members', 'Invite by link', 'Add by user name', 'Leave group'])
        assert.equal(await button(name).count(), 0);
      assert.equal(await page.getByRole('textbox').count(), 0);
      await page.getByRole('log').getByText('The crane is booked for Friday').waitFor();
      await page.getByRole('button', { name: /Harbour festival.*you are not in it any more/ }).waitFor();
    });

    it('closes dialogs with Escape and gives the focus back', async () => {
      await open('?scene=chat');
      for (const name of ['New group', 'Join by link', 'Add by user name', 'Invite by link']) {
        await button(name).focus();
        await page.keyboard.press('Enter');
        await page.getByRole('dialog').waitFor();
        await page.keyboard.press('Escape');
        await page.getByRole('dialog').waitFor({ state: 'detached' });
        await focusIs(button(name));
      }
    });

    it('makes a group, and says in the dialog why it could not', async () => {
      await open('?scene=empty');
      await page.getByRole('navigation', { name: 'Groups' }).getByText('You are in no group yet').waitFor();
      await page.getByRole('main').getByRole('button', { name: 'New group' }).click();
      await focusIs(field('Name of the group'));
      await page.keyboard.press('Enter');
      assert.match((await problemOf(field('Name of the group'))) ?? '', /Give the group a name/);
      await field('Name of the group').fill('fail');
      await page.keyboard.press('Enter');
      await page.getByRole('dialog', { name: 'New group' }).getByRole('alert').getByText('its storage is full').waitFor();
      await field('Name of the group').fill('Boat club');
      await page.keyboard.press('Enter');
      await page.getByRole('heading', { name: 'Boat club' }).waitFor();
      await page.getByText('Only you are here yet').waitFor();
      await focusIs(composer());
    });

    it('invites by a link to copy and to photograph, and says why it cannot', async () => {
      await open('?scene=chat');
      await button('Invite by link').click();
      const dialog = page.getByRole('dialog', { name: 'Invite to Harbour festival' });
      await dialog.getByRole('img', { name: 'QR code of the invite link' }).waitFor();
      const link = await dialog.getByRole('textbox', { name: 'invite link' }).inputValue();
      assert.match(link, /^https:\/\/chat\.example\/#1\./);
      await dialog.getByText('Whoever has this link can join').waitFor();
      await browser.context.grantPermissions(['clipboard-read', 'clipboard-write']);
      await button('Copy invite link').click();
      await dialog.getByRole('status').getByText('Copied').waitFor();
      assert.equal(await page.evaluate(() => navigator.clipboard.readText()), link);
      await page.evaluate(() => globalThis.fake.chat({ node: { state: 'offline', text: 'Node unreachable' } }));
      await button('Make another link').click();
      await dialog.getByRole('alert').getByText('The node cannot be reached').waitFor();
      await button('Try again').waitFor();
    });

    it('adds by user name and joins by link, with what went wrong at the field', async () => {
      await open('?scene=chat');
      await button('Add by user name').click();
      await field('User name').fill('nobody');
      await page.keyboard.press('Enter');
      await page.getByRole('dialog').getByRole('alert').getByText('There is no user “nobody” here').waitFor();
      await field('User name').fill('Erin ');
      await page.keyboard.press('Enter');
      await page.getByText('2 of 4 others reachable').waitFor();
      assert.ok((await calls()).includes('addMember harbour erin'));
      await button('Join by link').click();
      await field('Invite link').fill('https://example.org/');
      await page.keyboard.press('Enter');
      assert.match((await problemOf(field('Invite link'))) ?? '', /not an invite link/);
      await field('Invite link').fill('https://chat.example/#1.used');
      await page.keyboard.press('Enter');
      await page.getByRole('dialog').getByRole('alert').getByText('was used already').waitFor();
      await field('Invite link').fill('https://chat.example/#1.fresh');
      await page.keyboard.press('Enter');
      await page.getByRole('status').getByText('You asked to join').waitFor();
    });

    it('shows problems until dismissed, and that a second tab only reads', async () => {
      await open('?scene=chat');
      await page.evaluate(() => globalThis.fake.chat({ problem: 'It went wrong.', readOnly: 'Open in another tab.' }));
      await page.getByRole('alert').getByText('It went wrong.').waitFor();
      await page.getByRole('status').getByText('Open in another tab.').waitFor();
      assert.equal(await composer().count(), 0);
      await button('Dismiss').click();
      await page.getByRole('alert').waitFor({ state: 'detached' });
    });

    it('says in full why the node is not tried any more, and tries again when asked', async () => {
      await open('?scene=chat');
      const text = 'This device was connected a second time.';
      await page.evaluate((words) => globalThis.fake.chat({ node: { state: 'stopped', text: words, mayRetry: true } }), text);
      await page.getByRole('alert').getByText(text).waitFor();
      await button('Try again').click();
      assert.ok((await calls()).includes('reconnect'));
      await page.evaluate((words) => globalThis.fake.chat({ node: { state: 'stopped', text: words, mayRetry: false } }), text);
      await button('Try again').waitFor({ state: 'detached' });
    });

    it('shows the own fingerprint, changes the theme and locks', async () => {
      await open('?scene=chat');
      await page.getByRole('button', { name: 'Your account' }).click();
      const dialog = page.getByRole('dialog', { name: 'Your account' });
      await dialog.getByText('3F9A 61C0 7D52 E8B4 1A6C F093 7BE2 5D10 C48E 77A9').waitFor();
      const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
      await dialog.getByRole('radio', { name: 'Dark' }).check({ force: true });
      assert.equal(await ground(), 'rgb(20, 23, 26)');
      await dialog.getByRole('radio', { name: 'Colour of the date' }).check({ force: true });
      const today = new Date();
      assert.equal(await ground(), `rgb(${today.getDate()}, ${today.getMonth() + 1}, ${today.getFullYear() % 256})`);
      assert.equal(await page.evaluate(() => localStorage.getItem('theme')), 'date');
      await dialog.getByRole('button', { name: 'Lock' }).click();
      await field('Passphrase').waitFor();
      assert.equal(await field('User name').inputValue(), 'alice');
    });
  });

  describe('at 390 pixels', () => {
    it('shows one thing at a time, with a way back, and the members as a sheet', async () => {
      await open('?scene=chat', 390);
      await page.getByRole('navigation', { name: 'Groups' }).waitFor();
      assert.equal(await page.getByRole('log').count(), 0);
      assert.ok(!(await calls()).includes('markRead harbour'), 'nothing is read before it is seen');
      await page.getByRole('button', { name: /Harbour festival/ }).click();
      await page.getByRole('log').waitFor();
      await page.getByRole('navigation', { name: 'Groups' }).waitFor({ state: 'hidden' });
      await page.waitForFunction(() => globalThis.fake.calls.includes('markRead harbour'));
      const log = page.getByRole('log');
      assert.ok(await log.evaluate((each) => each.scrollTop > 0 && each.scrollHeight - each.scrollTop - each.clientHeight <= 1));
      await button('Members').click();
      await page.getByRole('dialog', { name: 'Members · 4' }).waitFor();
      await page.keyboard.press('Escape');
      await page.getByRole('dialog').waitFor({ state: 'detached' });
      await focusIs(button('Members'));
      await button('Back to the groups').click();
      await page.getByRole('navigation', { name: 'Groups' }).waitFor();
      await page.getByRole('button', { name: /News desk/ }).click();
      await page.goBack();
      await page.getByRole('navigation', { name: 'Groups' }).waitFor();
    });
  });

  describe('hostile strings', () => {
    it('stay text in every place where a stranger can put one, and never widen the page', async () => {
      await open('?scene=chat', 390);
      await page.getByRole('button', { name: /Harbour festival/ }).click();
      await page.evaluate((texts) => {
        const { fake } = globalThis;
        fake.changeGroup('harbour', (group) => ({
          ...group,
          name: texts.join(' '),
          waitingFor: texts.join(' '),
          items: texts.flatMap((text, at) => [
            { item: 'notice', id: `notice ${text}`, at: 0, text } as const,
            ...group.items.slice(0, 4).map((item) =>
              item.item === 'notice'
                ? { ...item, id: `${item.id} ${at}` }
                : {
                    ...item,
                    id: `${item.id} ${at} ${text}`,
                    text,
                    author: { uid: `uid-${at}`, username: text, nickname: text, own: false },
                  },
            ),
          ]),
          members: texts.flatMap((text, at) =>
            group.members.slice(0, 1).map((member) => ({
              ...member,
              own: false,
              uid: `uid-${at}`,
              username: text,
              nickname: text,
              nicknameConfusable: at % 2 === 0,
            })),
          ),
        }));
        const long = texts.join(' ');
        fake.chat({
          me: { uid: long, username: long, fingerprint: long, deviceName: long },
          node: { state: 'offline', text: long },
          joining: { state: 'failed', groupName: long.slice(0, 300), text: long.slice(0, 300) },
          groups: texts.map((text) => ({
            gid: text,
            name: text,
            lastLine: text,
            lastAt: 1,
            unread: 1,
            members: 1,
            reachable: 0,
            out: false,
          })),
        });
      }, hostile);
      const sane = async () => {
        const found = await page.evaluate(() => {
          const elements = [...document.body.querySelectorAll('*')];
          // Grows while it is walked through: what stands in shadow roots comes after what holds them.
          for (const element of elements) elements.push(...(element.shadowRoot?.querySelectorAll('*') ?? []));
          return {
            hacked: Reflect.get(globalThis, 'hacked'),
            images: elements.filter((each) => each.matches('img, script, iframe, object')).length,
            handlers: elements.flatMap((each) => each.getAttributeNames()).filter((name) => name.startsWith('on')).length,
            wide: document.documentElement.scrollWidth > innerWidth,
            links: elements.filter((each) => each instanceof HTMLAnchorElement && !/^https?:/.test(each.protocol)).length,
          };
        });
        assert.deepEqual(found, { hacked: undefined, images: 0, handlers: 0, wide: false, links: 0 });
      };
      await page.getByRole('log').getByText('<img src=x onerror').first().waitFor();
      await sane();
      await button('Members').click();
      await page.getByRole('dialog').waitFor();
      await sane();
      await page.keyboard.press('Escape');
      await button('Back to the groups').click();
      await page.getByRole('button', { name: /Your account/ }).click();
      await page.getByRole('dialog').waitFor();
      await sane();
    });

    it('find Trusted Types enforced and inline styles refused', async () => {
      await open('?scene=sign-in');
      const refused = await page.evaluate(() => {
        try {
          document.createElement('div').innerHTML = '<b>x</b>';
          return 'taken';
        } catch (error) {
          return error instanceof TypeError ? 'refused' : 'failed otherwise';
        }
      });
      assert.equal(refused, 'refused');
      await page.evaluate(() => document.body.setAttribute('style', 'color: red'));
      await page.waitForFunction(() => true);
      assert.equal(complaints.length, 2);
      complaints = [];
    });
  });
});

declare global {
  function complain(text: string): void;
}
