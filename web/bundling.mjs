// How sources and packages are bundled for a browser, and what is left out of packages that the page makes no use of.
import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { undecorate } from './undecorate.mjs';

const folder = dirname(fileURLToPath(import.meta.url));

// simple-peer is bundled from its source, which is smaller than its ready-made file, with ours in place of what it uses little of.
const parts = './adapters/simple-peer-parts.ts';
const standIns = {
  debug: 'module.exports = () => () => {};',
  'err-code': `module.exports = require('${parts}').withCode;`,
  'queue-microtask': 'module.exports = (task) => queueMicrotask(task);',
  randombytes: `module.exports = require('${parts}').randomBytes;`,
  'readable-stream': `module.exports = require('${parts}');`,
  buffer: `module.exports = require('${parts}');`,
};
const simplePeer = {
  name: 'simple-peer with stand-ins',
  setup(building) {
    building.onResolve({ filter: /^[\w-]+$/ }, ({ path, importer }) => {
      if (!/[\\/]simple-peer[\\/]index\.js$/.test(importer) || !Object.hasOwn(standIns, path)) return undefined;
      return { path, namespace: 'stand-in' };
    });
    building.onLoad({ filter: /.*/, namespace: 'stand-in' }, ({ path }) => ({
      contents: standIns[path],
      loader: 'js',
      resolveDir: folder,
    }));
  },
};

// It says that its modules do nothing when they are loaded, but where no bundler looks: hashes and curves that nobody calls would stay in.
const hpke = {
  name: 'hpke without what is not called',
  setup(building) {
    building.onResolve({ filter: /^(@hpke\/|\.)/ }, async ({ path, importer, resolveDir, kind, pluginData }) => {
      const isOurs = path.startsWith('@hpke/') || /[\\/]@hpke[\\/]/.test(importer);
      if (!isOurs || pluginData === hpke) return undefined;
      const resolved = await building.resolve(path, { importer, resolveDir, kind, pluginData: hpke });
      return { ...resolved, sideEffects: false };
    });
  },
};

// keys/openpgp.ts refuses compressed packets, since some hundred bytes can stand for gigabytes; so the page does without inflate, deflate and
// bzip2, 5 kB gzip. What is cut are the tables that name them, in the file that is not minified, for the bundler to drop what they named.
const compressionTables = [/const compress_fns = \{[^}]*\};/, /const decompress_fns = \{[^}]*\};/];
const openpgp = {
  name: 'openpgp without compression',
  setup(building) {
    building.onResolve({ filter: /^openpgp$/ }, async ({ resolveDir, kind }) => {
      const { path, errors } = await building.resolve('openpgp/lightweight', { resolveDir, kind });
      return { path: path.replace('openpgp.min.mjs', 'openpgp.mjs'), errors };
    });
    building.onLoad({ filter: /[\\/]openpgp[\\/]dist[\\/]lightweight[\\/]openpgp\.mjs$/ }, async ({ path }) => {
      let contents = await readFile(path, 'utf8');
      for (const table of compressionTables) {
        if (!table.test(contents)) throw new Error(`${path} has no ${table}: see how this version of it names its compressions.`);
        contents = contents.replace(table, (found) => `${found.slice(0, found.indexOf('{'))}{};`);
      }
      return { contents, loader: 'js' };
    });
  },
};

// Also indentation inside css`…` would reach the browser. As many lines as before, for the source maps.
const elements = {
  name: 'elements without decorators and indentation',
  setup(building) {
    building.onLoad({ filter: /[\\/]web[\\/]elements[\\/][\w-]+\.ts$/ }, async ({ path }) => {
      const source = await readFile(path, 'utf8');
      const contents = undecorate(source, path).replace(/css`[^`]*`/g, (literal) => {
        const oneLine = literal.replace(/([`{};,])\s*\n\s*/g, '$1').replace(/\s*\n\s*/g, ' ');
        return oneLine + '\n'.repeat(literal.split('\n').length - 1);
      });
      return { contents, loader: 'ts' };
    });
  },
};

/** What esbuild must know; the specs bundle parts of the page. */
export const forBrowsers = {
  platform: 'browser',
  target: 'es2022',
  plugins: [simplePeer, hpke, openpgp, elements],
};
