// `npm run -s bench -- NAME…`: measures the named figures, or all, and prints one JSON line for each; all else goes to stderr.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build, install, root, say } from '../build.mjs';
import { ensureChromium, ensureGpg } from '../spec/tools.mjs';

const wanted = process.argv.slice(2);
console.log = console.error;
console.info = console.error;

try {
  install({ dev: true });
  const { register } = await import('tsx/esm/api');
  register();
  const benches = await readBenches();
  const known = benches.flatMap((bench) => bench.names);
  const unknown = wanted.filter((name) => !known.includes(name));
  if (unknown.length > 0) throw new Error(`There is no figure ${unknown.join(', ')}. There are:\n${known.join('\n')}`);

  process.env.CHROMIUM = ensureChromium();
  ensureGpg();
  await build();
  for (const { file, names, run } of benches) {
    const asked = wanted.length === 0 ? names : names.filter((name) => wanted.includes(name));
    if (asked.length === 0) continue;
    say(`> ${file}`);
    for await (const { name, value, unit, n } of figures(await run(asked))) {
      if (asked.some((one) => name === one || name.startsWith(`${one}-`)))
        process.stdout.write(`${JSON.stringify({ name, value, unit, n })}\n`);
    }
  }
} catch (error) {
  say(error.stack && !error.message.startsWith('There is no') ? error.stack : error.message);
  process.exitCode = 1;
}

async function readBenches() {
  const folder = join(root, 'bench');
  const files = readdirSync(folder)
    .filter((name) => name.endsWith('.bench.ts'))
    .sort();
  const benches = [];
  for (const file of files) {
    const { names, run } = await import(pathToFileURL(join(folder, file)).href);
    benches.push({ file, names, run });
  }
  return benches;
}

// A bench returns one figure, a list of them, or yields them as they come; one that is named after another, as in NAME-p95, comes with it.
function figures(result) {
  return Symbol.asyncIterator in result || Symbol.iterator in result ? result : [result];
}
