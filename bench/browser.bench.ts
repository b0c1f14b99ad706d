// How heavy the page is, how soon it can be used and a group joined, and how long a message takes from screen to screen, in Chromium.
import type { Page } from 'playwright-core';
import { launchChromium } from '../spec/browser.ts';
import type { BrowserPerson } from '../spec/e2e/browser-person.ts';
import { Community, watchScreens } from './community.ts';

export const names = [
  'first-screen-js-gzip',
  'first-chat-js-gzip',
  'load-to-usable',
  'join-to-first-message',
  'message-latency-p50',
  'message-latency-p99',
  'message-latency-ratio',
];

export type Figure = { name: string; value: number; unit: string; n: number };

export async function* run(asked: string[] = names): AsyncGenerator<Figure> {
  const isAsked = (...some: string[]) => some.some((name) => asked.includes(name));
  const community = await Community.start();
  try {
    if (isAsked('first-screen-js-gzip', 'first-chat-js-gzip')) yield* scriptBytes(community);
    if (isAsked('load-to-usable')) yield* loads(community);
    if (isAsked('join-to-first-message')) yield* joins(community);
    if (isAsked('message-latency-p50', 'message-latency-p99', 'message-latency-ratio')) yield* latencies(community);
  } finally {
    await community.close();
  }
}

const log = (text: string) => process.stderr.write(`  ${text}\n`);

// --- what is fetched: by a founder who invites by link, and by somebody who follows it; the heavier of both counts

async function* scriptBytes(community: Community): AsyncGenerator<Figure> {
  const alice = await community.arrive('alice');
  await usable(alice.page);
  const first = await community.scriptsFetched();
  yield { name: 'first-screen-js-gzip', value: first, unit: 'B', n: 1 };

  await alice.register();
  await alice.createGroup('Kitchen');
  const link = await alice.inviteLink();
  const founder = first + (await community.scriptsFetched());
  const bob = await community.arrive('bob', link);
  await bob.register();
  await bob.opensGroup('Kitchen');
  await bob.say('hello alice');
  await alice.reads('hello alice');
  await alice.say('hello bob');
  await bob.reads('hello bob');
  const follower = await community.scriptsFetched();
  log(`scripts before the first chat: founder ${founder} B, follower ${follower} B`);
  yield { name: 'first-chat-js-gzip', value: Math.max(founder, follower), unit: 'B', n: 2 };
  await alice.leave();
  await bob.leave();
}

// --- from the start of a navigation to a user name that can be typed, nothing cached; beside it a page with nothing but a field

const loadRounds = 15;

async function* loads(community: Community): AsyncGenerator<Figure> {
  const { context, close } = await launchChromium();
  const browser = context.browser();
  if (browser === null) throw new Error('no browser');
  const load = async (address: string) => {
    const fresh = await browser.newContext();
    await watchScreens(fresh);
    const page = await fresh.newPage();
    await page.goto(address);
    const ms = await usable(page);
    await fresh.close();
    return ms;
  };
  const ours: number[] = [];
  const bare: number[] = [];
  await load(community.url);
  for (let round = 0; round < loadRounds; round++) {
    ours.push(await load(community.url));
    bare.push(await load(`${community.bareUrl}/bare-first.html`));
  }
  await close();
  log(`ms to usable: ours ${median(ours)}, bare ${median(bare)}`);
  yield { name: 'load-to-usable', value: rounded(median(ours)), unit: 'ms', n: loadRounds };
  yield { name: 'load-to-usable-ratio', value: rounded(median(ours) / median(bare)), unit: 'ratio', n: loadRounds };
}

function usable(page: Page): Promise<number> {
  return page.evaluate<number>('screenTimes.usable');
}

// --- from following an invite in a second browser, signed in, to its first message on the first browser's screen

const joinRounds = 12;

async function* joins(community: Community): AsyncGenerator<Figure> {
  const alice = await community.arrive('anna');
  await alice.register();
  const times: number[] = [];
  for (let round = 0; round < joinRounds; round++) {
    await alice.createGroup(`Round ${round}`);
    const link = await alice.inviteLink();
    const bob = await community.arrive(`ben${round}`);
    await bob.register();
    const text = `here I am, round ${round}`;
    const began = performance.timeOrigin + performance.now();
    await bob.page.evaluate(`location.href = ${JSON.stringify(link)}`);
    await bob.say(text);
    times.push((await seen(alice.page, text)) - began);
    await bob.leave();
  }
  await alice.leave();
  log(`ms to the first message: ${times.map(Math.round).join(' ')}`);
  yield { name: 'join-to-first-message', value: rounded(median(times)), unit: 'ms', n: joinRounds };
  yield { name: 'join-to-first-message-p95', value: rounded(percentile(times, 95)), unit: 'ms', n: joinRounds };
}

// --- from Enter in one browser to the other one's screen, each way in turn; beside it a bare data channel between the same two browsers

const messages = 200;
const blocks = 4;
/** Milliseconds after a message was seen: people do not write thirty a second, and marks and receipts of the last one must not count for the next. */
const pause = 100;

async function* latencies(community: Community): AsyncGenerator<Figure> {
  const people = await linkedPair(community);
  const bare = await barePair(community, people);
  const pages = people.map(({ page }) => page);
  await exchange({ pages, count: 20, name: 'warm up' });
  await exchange({ pages: bare, count: 20, name: 'warm up' });
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let block = 0; block < blocks; block++) {
    ours.push(...(await exchange({ pages, count: messages / blocks, name: `block ${block}` })));
    theirs.push(...(await exchange({ pages: bare, count: messages / blocks, name: `block ${block}` })));
  }
  const [p50, bareP50] = [median(ours), median(theirs)];
  log(`ms from screen to screen: ours ${rounded(p50)}, bare ${rounded(bareP50)} (p99 ${rounded(percentile(theirs, 99))})`);
  yield { name: 'message-latency-p50', value: rounded(p50), unit: 'ms', n: messages };
  yield { name: 'message-latency-p99', value: rounded(percentile(ours, 99)), unit: 'ms', n: messages };
  yield { name: 'message-latency-ratio', value: rounded(p50 / bareP50), unit: 'ratio', n: messages };
}

async function linkedPair(community: Community): Promise<BrowserPerson[]> {
  const alice = await community.arrive('amy');
  await alice.register();
  await alice.createGroup('Bench');
  const link = await alice.inviteLink();
  const bob = await community.arrive('bill', link);
  await bob.register();
  await bob.opensGroup('Bench');
  await Promise.all([alice, bob].map((person) => person.sees('1 other, reachable')));
  return [alice, bob];
}

async function barePair(community: Community, people: BrowserPerson[]): Promise<Page[]> {
  const pages = await Promise.all(
    people.map(async ({ context }) => {
      const page = await context.newPage();
      await page.goto(`${community.bareUrl}/bare-channel.html`);
      await page.waitForFunction('window.bare !== undefined');
      return page;
    }),
  );
  const [offerer, answerer] = pages;
  if (offerer === undefined || answerer === undefined) throw new Error('no pair');
  const offer = await offerer.evaluate<string>('bare.offer()');
  const answer = await answerer.evaluate<string>(`bare.answer(${JSON.stringify(offer)})`);
  await offerer.evaluate(`bare.accept(${JSON.stringify(answer)})`);
  await Promise.all(pages.map((page) => page.evaluate('bare.open()')));
  return pages;
}

async function exchange(parts: { pages: Page[]; count: number; name: string }): Promise<number[]> {
  const times: number[] = [];
  for (const page of parts.pages) await page.bringToFront();
  for (let no = 0; no < parts.count; no++) {
    const text = `${parts.name}, message ${no}`;
    const [from, to] = no % 2 === 0 ? parts.pages : [...parts.pages].reverse();
    if (from === undefined || to === undefined) throw new Error('no pair');
    const at = await from.evaluate<number>(`screenTimes.say(${JSON.stringify(text)})`);
    const [seenAt] = await Promise.all([seen(to, text), seen(from, text)]);
    times.push(seenAt - at);
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
  return times;
}

function seen(page: Page, text: string): Promise<number> {
  return page.evaluate<number>(`screenTimes.seen(${JSON.stringify(text)})`);
}

function median(values: number[]): number {
  return percentile(values, 50);
}

/** The least value that is at least as great as that part of them. */
function percentile(values: number[], percent: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.ceil((sorted.length * percent) / 100) - 1] ?? Number.NaN;
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}
