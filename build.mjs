// Installs what is missing, bundles the node, the headless peer and the page, and starts them: `node build.mjs [command]`.
// Only Node's own modules are imported up here: on a fresh clone nothing else is there yet.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, watch } from 'node:fs';
import { copyFile, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import { forBrowsers } from './web/bundling.mjs';

export const root = dirname(fileURLToPath(import.meta.url));
const dist = join(root, 'dist');
const sources = ['wire', 'keys', 'mesh', 'signaling', 'web', 'peer'];

/** One line for whoever watches; stdout belongs to the program that runs afterwards. */
export const say = (line) => console.error(line);

const commands = {
  build: async () => {
    install({ dev: false });
    await build();
  },
  start: async (args) => {
    install({ dev: false });
    await build();
    if (process.env.npm_lifecycle_event !== undefined) stopWithParent();
    await run('node', args);
  },
  dev: (args) => dev(args),
  peer: async (args) => {
    install({ dev: false });
    await buildForNode('peer');
    await run('peer', args);
  },
  size: async () => {
    install({ dev: false });
    printSizes(await build());
  },
};

/** Runs `npm ci` when node_modules does not hold what package-lock.json asks for. `dev: false` is content without the tools of the specs. */
export function install({ dev }) {
  if (isInstalled({ dev })) return;
  say('Installing dependencies (npm ci), once …');
  const args = ['ci', '--no-audit', '--no-fund', '--loglevel=error'];
  const npm = process.env.npm_execpath;
  const result = npm?.endsWith('.js')
    ? spawnSync(process.execPath, [npm, ...args], { cwd: root, stdio: ['ignore', 2, 2] })
    : spawnSync('npm', args, { cwd: root, stdio: ['ignore', 2, 2], shell: process.platform === 'win32' });
  if (result.status !== 0) throw new Error('npm ci failed, see above. It needs npm and a way to its registry.');
}

// By content, not by file times: a checkout or a restored cache makes any file newer than any other.
function isInstalled({ dev }) {
  const wanted = lockedPackages(join(root, 'package-lock.json'));
  const present = lockedPackages(join(root, 'node_modules', '.package-lock.json'));
  return Object.entries(wanted).every(([path, entry]) => {
    if (path === '' || entry.optional || entry.devOptional || (entry.dev && !dev)) return true;
    return present[path]?.version === entry.version && existsSync(join(root, path, 'package.json'));
  });
}

function lockedPackages(file) {
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')).packages : {};
}

/** Builds everything there is a source for into dist/. The same sources give the same bytes. `quick` compresses less. */
export async function build({ quick = false } = {}) {
  const started = performance.now();
  await Promise.all([buildForNode('node'), buildForNode('peer')]);
  const page = await buildPage({ quick });
  if (page) say(`Built the page: ${page.files.length} files, ${kB(sum(page.firstScreen, 'gzip'))} of JavaScript first (gzip)`);
  say(`Built in ${((performance.now() - started) / 1000).toFixed(1)} s`);
  return page;
}

async function buildForNode(name) {
  const entry = name === 'node' ? 'signaling/main.ts' : 'peer/main.ts';
  if (!existsSync(join(root, entry))) return say(`Skipped dist/${name}.mjs: there is no ${entry}`);
  const { outputFiles } = await bundle({
    entryPoints: [entry],
    outfile: `dist/${name}.mjs`,
    platform: 'node',
    packages: 'external',
    target: 'node20',
  });
  await mkdir(dist, { recursive: true });
  // Written beside and renamed: a process that is starting from the old file never reads half of the new one.
  for (const file of outputFiles) {
    await writeFile(`${file.path}.${process.pid}.tmp`, file.contents);
    await rename(`${file.path}.${process.pid}.tmp`, file.path);
  }
}

async function bundle(options) {
  const esbuild = await import('esbuild');
  return esbuild.build({ absWorkingDir: root, bundle: true, format: 'esm', write: false, logLevel: 'warning', ...options });
}

// ---- the page -------------------------------------------------------------------------------------------------------------

async function buildPage({ quick }) {
  if (!existsSync(join(root, 'web/main.ts'))) return say('Skipped dist/web: there is no web/main.ts');
  const template = existsSync(join(root, 'web/index.html')) ? await readFile(join(root, 'web/index.html'), 'utf8') : emptyPage;
  const styles = stylesOf(template);
  const result = await bundle({
    entryPoints: [
      { in: 'web/main.ts', out: 'main' },
      // A module worker beside the page, so that both load the same chunks: nothing is downloaded twice.
      ...(existsSync(join(root, 'web/adapters/key-worker.ts')) ? [{ in: 'web/adapters/key-worker.ts', out: 'key-worker' }] : []),
      ...styles.map((style) => ({ in: `web/${style}`, out: style.replace(/\.css$/, '') })),
    ],
    outdir: 'dist/web',
    ...forBrowsers,
    splitting: true,
    minify: true,
    metafile: true,
    sourcemap: 'external',
    legalComments: 'external',
    entryNames: '[name]',
    chunkNames: '[name]-[hash]',
    assetNames: 'assets/[name]-[hash]',
    loader: { '.svg': 'file', '.png': 'file', '.woff2': 'file' },
  });

  const page = sortOutputs(result, styles);
  const preloads = staticChunks(result.metafile, 'main');
  const html = fillIn(template, { names: page.names, styles, preloads });
  page.files.set('index.html', { contents: Buffer.from(html), immutable: false });
  for (const [path, contents] of await assets()) page.files.set(path, { contents, immutable: false });

  await writeMaps(page.maps);
  const files = await writePage(page.files, { quick });
  const pick = (paths) => files.filter((file) => paths.includes(file.path));
  return {
    files,
    firstScreen: pick([page.names.get('main.js'), ...preloads]),
    keyWorker: pick(['key-worker.js', ...staticChunks(result.metafile, 'key-worker')]),
  };
}

const emptyPage =
  '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>Secure</title>\n</head>\n<body></body>\n</html>\n';

/** The stylesheets that index.html names, or every one directly in web/. */
function stylesOf(template) {
  const named = [...template.matchAll(/href="(?:\.?\/)?([\w-]+\.css)"/g)].map((match) => match[1]);
  return named.length > 0
    ? named
    : readdirSync(join(root, 'web'))
        .filter((name) => name.endsWith('.css'))
        .sort();
}

// Chunks carry esbuild's hash. Entries get ours, so that the worker, which the page finds by name, can go without.
function sortOutputs({ outputFiles, metafile }, styles) {
  for (const [path, output] of Object.entries(metafile.outputs)) {
    if (output.imports.some((imported) => imported.path === 'dist/web/main.js'))
      throw new Error(`${path} imports web/main.ts, which nothing may.`);
  }
  const files = new Map();
  const names = new Map();
  const maps = new Map();
  const licenses = new Set();
  for (const { path: absolute, contents, text } of outputFiles) {
    const path = relative(join(dist, 'web'), absolute).replaceAll('\\', '/');
    if (path.endsWith('.LEGAL.txt')) {
      for (const notice of text.split(/\n(?=\S)/)) if (notice.includes('\n  ')) licenses.add(notice.trim());
    } else if (path.endsWith('.map')) {
      maps.set(path, contents);
    } else if (path !== 'main.js' && !styles.includes(path)) {
      files.set(path, { contents, immutable: path !== 'key-worker.js' });
    } else {
      const name = path.replace(/\.(js|css)$/, `-${sha256(contents).slice(0, 10)}.$1`);
      names.set(path, name);
      files.set(name, { contents, immutable: true });
    }
  }
  if (licenses.size > 0) {
    files.set('licenses.txt', { contents: Buffer.from(`${[...licenses].sort().join('\n\n')}\n`), immutable: false });
  }
  return { files, names, maps };
}

/** What the browser must have before the entry runs: every chunk it imports, directly or not, but not what it loads later. */
function staticChunks(metafile, entry) {
  const found = new Set();
  const visit = (output) => {
    for (const { path, kind } of metafile.outputs[output]?.imports ?? []) {
      if (kind !== 'import-statement' || found.has(path)) continue;
      found.add(path);
      visit(path);
    }
  };
  visit(`dist/web/${entry}.js`);
  return [...found].map((path) => path.replace('dist/web/', '')).sort();
}

// Scripts and styles are files of our own origin only: the node's content security policy refuses anything inline.
function fillIn(template, { names, styles, preloads }) {
  let html = template;
  const missing = [];
  const put = (from, pattern, tag) => {
    const to = `/${names.get(from)}`;
    if (pattern.test(html)) html = html.replace(pattern, (_, before, after) => `${before}${to}${after}`);
    else missing.push(tag(to));
  };
  for (const style of styles) {
    put(style, new RegExp(`(href=")(?:\\.?/)?${style}(")`), (to) => `<link rel="stylesheet" href="${to}">`);
  }
  put('main.js', /(src=")(?:\.?\/)?main\.(?:ts|js)(")/, (to) => `<script type="module" src="${to}"></script>`);
  missing.push(...preloads.map((path) => `<link rel="modulepreload" href="/${path}">`));
  return html.replace('</head>', () => `${missing.join('\n')}\n</head>`);
}

/** Files that go out as they are: web/assets/** and pictures or text directly in web/. */
async function assets() {
  const found = [];
  for (const entry of await readdir(join(root, 'web'), { recursive: true, withFileTypes: true })) {
    const path = relative(join(root, 'web'), join(entry.parentPath, entry.name)).replaceAll('\\', '/');
    if (!entry.isFile() || !/^assets\/|^[^/]+\.(svg|png|ico|webmanifest|txt|woff2)$/.test(path)) continue;
    found.push([path, await readFile(join(root, 'web', path))]);
  }
  return found.sort(([a], [b]) => (a < b ? -1 : 1));
}

async function writeMaps(maps) {
  await mkdir(join(dist, 'maps'), { recursive: true });
  for (const [path, contents] of maps) await writeFile(join(dist, 'maps', path), contents);
}

/** Writes dist/web with a .br and a .gz beside every file and manifest.json, and replaces the old folder as a whole. */
async function writePage(files, { quick }) {
  const target = join(dist, 'web');
  const fresh = join(dist, `web.${process.pid}.tmp`);
  const old = join(dist, `web.${process.pid}.old.tmp`);
  const before = existsSync(join(target, 'manifest.json'))
    ? JSON.parse(await readFile(join(target, 'manifest.json'), 'utf8'))
    : [];
  await rm(fresh, { recursive: true, force: true });

  const write = async ([path, { contents, immutable }]) => {
    const hash = sha256(contents);
    await mkdir(dirname(join(fresh, path)), { recursive: true });
    await writeFile(join(fresh, path), contents);
    const same = before.find((file) => file.path === path && file.sha256 === hash);
    const zipped = same ? await copyCompressed(target, fresh, path) : undefined;
    return {
      path,
      sha256: hash,
      bytes: contents.length,
      gzip: zipped ?? (await compress(fresh, path, contents, quick)),
      immutable,
    };
  };
  const manifest = (await Promise.all([...files].map(write))).sort((a, b) => (a.path < b.path ? -1 : 1));
  const text = `${JSON.stringify(manifest, null, 1)}\n`;

  // Nothing new: the folder stays, so that nobody who reads it meanwhile sees it gone.
  if (text === `${JSON.stringify(before, null, 1)}\n`) {
    await rm(fresh, { recursive: true });
    return manifest;
  }
  await writeFile(join(fresh, 'manifest.json'), text);
  if (existsSync(target)) await rename(target, old);
  await rename(fresh, target);
  await rm(old, { recursive: true, force: true });
  return manifest;
}

async function compress(folder, path, contents, quick) {
  const params = { [constants.BROTLI_PARAM_QUALITY]: quick ? 4 : 11, [constants.BROTLI_PARAM_SIZE_HINT]: contents.length };
  const [br, gz] = await Promise.all([promisify(brotliCompress)(contents, { params }), promisify(gzip)(contents, { level: 9 })]);
  await writeFile(join(folder, `${path}.br`), br);
  await writeFile(join(folder, `${path}.gz`), gz);
  return gz.length;
}

// Brotli at its best takes most of a build's time and its result depends on the bytes alone.
async function copyCompressed(from, to, path) {
  try {
    await copyFile(join(from, `${path}.br`), join(to, `${path}.br`));
    const gz = await readFile(join(from, `${path}.gz`));
    await writeFile(join(to, `${path}.gz`), gz);
    return gz.length;
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
}

function printSizes(page) {
  if (!page) return;
  const line = (name, bytes, gzipped) =>
    console.log(`${name.padEnd(36)}${String(bytes).padStart(9)}${String(gzipped).padStart(9)}`);
  line('file', 'bytes', 'gzip');
  for (const file of page.files) line(file.path, file.bytes, file.gzip);
  const scripts = page.files.filter((file) => file.path.endsWith('.js'));
  const worker = page.keyWorker.filter((file) => !page.firstScreen.includes(file));
  console.log('');
  line('first screen, scripts', sum(page.firstScreen, 'bytes'), sum(page.firstScreen, 'gzip'));
  line('key worker adds', sum(worker, 'bytes'), sum(worker, 'gzip'));
  line('all scripts', sum(scripts, 'bytes'), sum(scripts, 'gzip'));
}

const sum = (files, field) => files.reduce((total, file) => total + file[field], 0);
const kB = (bytes) => `${(bytes / 1000).toFixed(1)} kB`;
const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

// ---- running --------------------------------------------------------------------------------------------------------------

/** Runs a bundle in this very process: signals, exit code and open file descriptors are the program's own. */
async function run(name, args) {
  const file = join(dist, `${name}.mjs`);
  if (!existsSync(file)) throw new Error(`There is no dist/${name}.mjs to run.`);
  const esbuild = await import('esbuild');
  await esbuild.stop();
  process.argv.splice(1, process.argv.length, file, ...args);
  await import(pathToFileURL(file).href);
}

// npm passes a SIGTERM to the shell between it and us, and that shell ends without passing it on.
function stopWithParent() {
  const parent = process.ppid;
  const watching = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(watching);
    process.kill(process.pid, 'SIGTERM');
  }, 200);
  watching.unref();
}

/** Builds, runs the node, and does both again when a source changes. */
async function dev(args) {
  install({ dev: false });
  let child;
  let timer;
  let busy = Promise.resolve();
  const stop = async () => {
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    await gone;
  };
  const restart = async () => {
    try {
      await build({ quick: true });
    } catch (error) {
      say(`${error.message}\nWaiting for the next change.`);
      return;
    }
    await stop();
    if (existsSync(join(dist, 'node.mjs'))) {
      child = spawn(process.execPath, ['--enable-source-maps', join(dist, 'node.mjs'), ...args], { stdio: 'inherit' });
    }
  };
  const changed = () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      busy = busy.then(restart);
    }, 150);
  };
  for (const folder of sources.filter((name) => existsSync(join(root, name)))) {
    watch(join(root, folder), { recursive: true }, changed);
  }
  for (const signal of ['SIGINT', 'SIGTERM']) {
    process.once(signal, async () => {
      clearTimeout(timer);
      await busy;
      await stop();
      process.exit(0);
    });
  }
  busy = busy.then(restart);
  await busy;
}

if (process.argv[1] && fileURLToPath(import.meta.url) === process.argv[1]) {
  const [name = 'build', ...args] = process.argv.slice(2);
  if (!Object.hasOwn(commands, name)) {
    say(`Unknown command "${name}". There are: ${Object.keys(commands).join(', ')}.`);
    process.exit(2);
  }
  try {
    await commands[name](args);
  } catch (error) {
    say(error.errors ? 'The build failed.' : error.message);
    process.exit(1);
  }
}
