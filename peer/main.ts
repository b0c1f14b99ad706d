// The command line of a headless peer: reads flags, runs one peer, and ends the process with what came of it.
import { CannotGoOn } from './failure.ts';
import { jsonLine } from './happenings.ts';
import { HeadlessPeer } from './headless-peer.ts';
import { helpText, type Options, readOptions } from './options.ts';

// Whatever it writes is for nobody else.
process.umask(0o077);

const read = readOptions(process.argv.slice(2), process.env);
switch (read.outcome) {
  case 'help':
    process.stdout.write(helpText);
    break;
  case 'bad':
    process.stderr.write(`${read.problem}\nAll flags: npm run peer -- --help\n`);
    process.exitCode = 2;
    break;
  case 'options':
    process.exit(await run(read.options));
    break;
  default:
    read satisfies never;
}

/** The exit status. */
async function run(options: Options): Promise<number> {
  const peer = new HeadlessPeer(options);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => peer.quit());
  try {
    await peer.run();
    return 0;
  } catch (error) {
    if (!(error instanceof CannotGoOn)) throw error;
    process.stderr.write(`${error.message}\n`);
    if (options.output === 'json')
      process.stdout.write(`${jsonLine({ type: 'error', code: error.code, text: error.message })}\n`);
    return error.exit;
  }
}
