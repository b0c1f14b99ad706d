// The node's command line: reads settings, starts, prints one line per happening, stops on SIGINT and SIGTERM.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { isLoopback } from './address.ts';
import { CannotStart, type RunningNode, startNode } from './node.ts';
import { helpText, readSettings, type Settings } from './settings.ts';

// Whoever reads what is printed may go away; the node stays.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
// The store says who is here and who writes to whom: nobody else on this machine is to read it.
process.umask(0o077);

const read = readSettings(process.argv.slice(2), process.env);
switch (read.outcome) {
  case 'help':
    process.stdout.write(helpText());
    break;
  case 'bad':
    complain(read.problem);
    break;
  case 'settings':
    if (read.settings.page === undefined || isPage(read.settings.page)) await run(read.settings);
    else complain(`PAGE is "${read.settings.page}", and there is no built page in that folder.`);
    break;
  default:
    read satisfies never;
}

function complain(problem: string): void {
  process.stderr.write(`${problem}\nAll flags: npm start -- --help\n`);
  process.exitCode = 2;
}

async function run(settings: Settings): Promise<void> {
  try {
    const node = await startNode({ ...settings, page: settings.page ?? builtPage(), log: say });
    introduce(node, settings);
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop(node));
  } catch (error) {
    if (!(error instanceof CannotStart)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  }
}

/** Beside the bundle, dist/node.mjs, or, run from the sources, in dist. */
function builtPage(): string {
  const beside = join(import.meta.dirname, 'web');
  return isPage(beside) ? beside : join(import.meta.dirname, '..', 'dist', 'web');
}

function isPage(folder: string): boolean {
  return existsSync(join(folder, 'manifest.json'));
}

function introduce(node: RunningNode, settings: Settings): void {
  const [publicOrigin] = node.origins.filter((origin) => origin.startsWith('wss:'));
  process.stdout.write(`Open ${publicOrigin?.replace('wss:', 'https:') ?? node.url}\n`);
  if (settings.origins === undefined && !isLoopback(settings.host)) {
    process.stdout.write('Only this machine can log in: name the address that people dial in ORIGINS.\n');
  }
  if (publicOrigin !== undefined && settings.iceServers.length === 0) {
    process.stdout.write('Without ICE_SERVERS people behind different routers may not reach each other.\n');
  }
  say(`the node serves ${node.origins.join(', ')}`);
}

function stop(node: RunningNode): void {
  say('the node stops');
  node.close().then(
    () => process.exit(0),
    (error: unknown) => {
      process.stderr.write(`Could not stop in order: ${String(error)}\n`);
      process.exit(1);
    },
  );
}

function say(line: string): void {
  process.stdout.write(`${new Date().toTimeString().slice(0, 8)} ${line}\n`);
}
