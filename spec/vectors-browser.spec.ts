import { strict as assert } from 'node:assert';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { type Browser, launchChromium } from './browser.ts';
import { bundleForBrowser } from './bundle.ts';

const folder = join(import.meta.dirname, 'vectors');
const files = readdirSync(folder).filter((name) => name.endsWith('.json'));

describe('in Chromium, the vectors', function () {
  this.timeout(60_000);
  let browser: Browser;
  let page: Page;

  before(async () => {
    browser = await launchChromium();
    page = await browser.context.newPage();
    // An address of this machine, because browsers give WebCrypto to those; nothing is fetched from it.
    await page.route('http://localhost/', (route) => route.fulfill({ contentType: 'text/html', body: '<!doctype html>' }));
    await page.goto('http://localhost/');
    await page.addScriptTag({ content: await bundleForBrowser('spec/vectors-page.ts') });
  });
  after(() => browser.close());

  const check = (json: string) => page.evaluate<string[]>(`checkVectors(${json})`);

  for (const name of files) {
    it(`of ${name} hold as they do in Node`, async () => {
      assert.deepEqual(await check(readFileSync(join(folder, name), 'utf8')), []);
    });
  }

  it('would be missed if they did not hold', async () => {
    const vector = {
      compute: 'verify',
      name: 'nobody signed this',
      input: { publicKey: '00'.repeat(32), label: 'msg', body: '', signature: '00'.repeat(64) },
    };
    const failures = await check(JSON.stringify({ computed: [{ ...vector, output: { strictly: true, fast: true } }] }));
    assert.equal(failures.length, 1);
  });
});
