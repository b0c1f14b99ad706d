// Starts Chromium for a spec: its own profile, no traffic of its own, gone when closed.
import { mkdtemp, rm } from 'node:fs/promises';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BrowserContext, chromium } from 'playwright-core';

export type Browser = {
  context: BrowserContext;
  /** Give it to the next launch to come back as the same person after a restart. */
  userDataDir: string;
  /** Closes the browser, and removes the profile if the launch made it. */
  close(): Promise<void>;
};

const flags = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

// Two tabs find each other as they are, wherever there is a network. On a machine with nothing but loopback Chromium offers that to
// peers only with both flags, and to pages that may also use the microphone.
const hasNetwork = Object.values(networkInterfaces()).some((addresses) => addresses?.some(({ internal }) => !internal));
const loopbackFlags = ['--allow-loopback-in-peer-connection', '--disable-features=WebRtcHideLocalIpsWithMdns'];
const linksOnLoopback = hasNetwork ? { flags: [], permissions: [] } : { flags: loopbackFlags, permissions: ['microphone'] };

/** Launches with a profile of its own, or with the given one, which the caller then owns. Reads CHROMIUM, which `npm test` sets. */
export async function launchChromium({
  userDataDir,
  args = [],
}: {
  userDataDir?: string;
  args?: string[];
} = {}): Promise<Browser> {
  const folder = userDataDir ?? (await mkdtemp(join(tmpdir(), 'secure-chromium-')));
  const context = await chromium.launchPersistentContext(folder, {
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    headless: true,
    chromiumSandbox: false,
    args: [...flags, ...linksOnLoopback.flags, ...args],
    permissions: linksOnLoopback.permissions,
  });
  const close = async () => {
    await context.close();
    // Chromium's last writes may still arrive while the folder goes.
    if (userDataDir === undefined) await rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  };
  return { context, userDataDir: folder, close };
}
