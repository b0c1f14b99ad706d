// Chromium with spec/contract-page.ts in it: links, sockets and stores of the page, as the contracts want them.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Page } from 'playwright-core';
import type { Store } from '../mesh/ports.ts';
import type { CandidatePolicy } from '../mesh/sdp.ts';
import { StoreFailure, type StoreFailureCode } from '../mesh/store-failure.ts';
import { launchChromium } from './browser.ts';
import { bundleForBrowser } from './bundle.ts';
import type { LinkDiary, SocketDiary, StartLink, StartSocket } from './contract-drivers.ts';
import type { Answer, Diary, PageCalls } from './contract-page.ts';
import { pack, unpack } from './packing.ts';

export type ContractBrowser = {
  openPage(): Promise<ContractPage>;
  close(): Promise<void>;
};

export async function openContractBrowser(args: string[] = []): Promise<ContractBrowser> {
  const browser = await launchChromium({ args });
  const script = await bundleForBrowser('spec/contract-page.ts');
  // A page of loopback, really: browsers give WebCrypto to it, and let it dial loopback without asking the person.
  const server = createServer((_, response) => response.setHeader('content-type', 'text/html').end('<!doctype html>'));
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const address = `http://127.0.0.1:${portOf(server.address())}/`;
  return {
    async openPage() {
      const page = await browser.context.newPage();
      const contractPage = new ContractPage(page);
      await page.exposeFunction('heard', (packed: string) => contractPage.hear(packed));
      await page.goto(address);
      await page.addScriptTag({ content: script });
      return contractPage;
    },
    async close() {
      await browser.close();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function portOf(address: unknown): unknown {
  return typeof address === 'object' && address !== null && 'port' in address ? address.port : undefined;
}

export class ContractPage {
  readonly #page: Page;
  readonly #listeners = new Map<number, (gain: Diary) => void>();
  #count = 0;

  constructor(page: Page) {
    this.#page = page;
  }

  links(policy: CandidatePolicy): StartLink {
    return async (role, heard) => {
      const diary: LinkDiary = { signals: [], opened: [], messages: [], drained: 0, closed: [], late: 0, nested: 0 };
      const id = this.#listen(diary, heard);
      await this.call('openLink', id, role, policy);
      return {
        diary,
        signal: (signal) => this.call('signal', id, signal),
        send: (message, copies = 1) => this.call('send', id, message, copies),
        route: () => this.call('route', id),
        close: () => this.call('closeLink', id),
      };
    };
  }

  sockets(): StartSocket {
    return async (origin, heard) => {
      const diary: SocketDiary = { opened: 0, messages: [], closed: [], late: 0, nested: 0 };
      const id = this.#listen(diary, heard);
      await this.call('dial', id, origin);
      return {
        diary,
        send: (message) => this.call('sendOnSocket', id, message),
        close: () => this.call('closeSocket', id),
      };
    };
  }

  async store(name: string): Promise<Store> {
    const id = ++this.#count;
    await this.call('openStore', id, name);
    return {
      get: async (key) => (await this.call('get', id, key)) ?? undefined,
      range: (prefix, options = {}) => this.call('range', id, prefix, options),
      write: (changes) => this.call('write', id, changes),
      close: () => this.call('closeStore', id),
    };
  }

  /** Throws what was thrown in the page, as far as the ports promise it. */
  async call<Name extends keyof PageCalls>(
    name: Name,
    ...args: Parameters<PageCalls[Name]>
  ): Promise<Awaited<ReturnType<PageCalls[Name]>>> {
    const request = JSON.stringify(pack([name, args]));
    const answer = unpack<Answer<Awaited<ReturnType<PageCalls[Name]>>>>(await this.#page.evaluate<string>(`ask(${request})`));
    if ('thrown' in answer) throw errorOf(answer.thrown);
    return answer.result;
  }

  hear(packed: string): void {
    const { id, gain } = unpack<{ id: number; gain: Diary }>(packed);
    this.#listeners.get(id)?.(gain);
  }

  close(): Promise<void> {
    return this.#page.close();
  }

  #listen(diary: Diary, heard: () => void): number {
    const id = ++this.#count;
    this.#listeners.set(id, (gain) => {
      for (const [field, value] of Object.entries(gain)) {
        const written = diary[field];
        if (Array.isArray(written) && Array.isArray(value)) written.push(...value);
        else diary[field] = value;
      }
      heard();
    });
    return id;
  }
}

const codes: StoreFailureCode[] = ['closed', 'blocked', 'full', 'unusable', 'not-ours'];

function errorOf({ name, code, message }: { name: string; code?: string; message: string }): Error {
  const known = codes.find((one) => one === code);
  if (known !== undefined) return new StoreFailure(known, message);
  return name === 'RangeError' ? new RangeError(message) : new Error(`${name} in the page: ${message}`);
}
