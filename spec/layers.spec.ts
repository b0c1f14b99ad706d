// The law of the layers: who may import whom, and what no source file may contain.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readSource } from './source-text.ts';

type Layer = {
  /** Layers below, which it may import besides itself. */
  below: string[];
  /** Packages it may import; a trailing slash stands for everything under that name. */
  packages: string[];
  /** Whether Node's own modules are allowed. */
  node: boolean;
};

const layers: Record<string, Layer> = {
  wire: { below: [], packages: [], node: false },
  keys: { below: ['wire'], packages: ['openpgp', '@hpke/core', '@noble/'], node: false },
  mesh: { below: ['keys', 'wire'], packages: ['@noble/'], node: false },
  signaling: { below: ['keys', 'wire'], packages: ['ws', 'lmdb'], node: true },
  web: { below: ['mesh', 'keys', 'wire'], packages: ['lit', 'lit/', 'simple-peer', 'lean-qr/'], node: false },
  peer: { below: ['mesh', 'keys', 'wire'], packages: ['ws', 'lmdb', 'werift'], node: true },
};

// Each of these is a decision that one file per layer hides from the others. openpgp has one in the whole project.
const oneFileEach = ['openpgp', '@hpke/core', 'simple-peer', 'werift', 'lmdb', 'ws', 'lean-qr/nano'];
const onlyImporter: Record<string, string> = { openpgp: 'keys/openpgp.ts' };

type Ban = { pattern: RegExp; why: string; in?: string; evenInComments?: true };
const bans: Ban[] = [
  // Time, chance and surroundings come to mesh through its ports, so that a spec can drive them.
  {
    in: 'mesh',
    pattern: /\b(?:Date\.now|setTimeout|setInterval|Math\.random)\b/,
    why: 'mesh takes time and chance from its ports',
  },
  { in: 'mesh', pattern: /\bnew\s+Date\s*(?:\(\s*\)|[^\s(])/, why: 'mesh takes time from its clock' },
  {
    in: 'mesh',
    pattern: /(?<![.\w$])(?:document|window|process|console)\s*(?:\?\.|[.[(])/,
    why: 'mesh knows no browser and no Node',
  },
  // Texts of strangers never become markup or code.
  { in: 'web', pattern: /\b(?:unsafeHTML|unsafeSVG|unsafeStatic)\b/, why: 'no markup from strings' },
  {
    in: 'web',
    pattern: /\b(?:innerHTML|outerHTML|insertAdjacentHTML)\b|\bdocument\s*\.\s*write\b/,
    why: 'no markup from strings',
  },
  { pattern: /(?<![.\w$])(?:eval|Function)\s*\(/, why: 'no code from strings' },
  { pattern: /(?<![.\w$])any(?=\s*(?:[[\],;)>|&=}]|$))/m, why: 'say unknown and parse' },
  { pattern: /@ts-(?:ignore|nocheck)/, why: 'mend the type', evenInComments: true },
  { pattern: /\b(?:TODO|FIXME)\b/, why: 'do it or open an issue', evenInComments: true },
];
const badPath = /(?:^|\/)(?:index|types)\.ts$|\/(?:utils|shared|common)\//;

describe('layers', () => {
  it('keep to the import rules, and nothing in them is forbidden', () => {
    const found = violations(readTree());
    assert.equal(found.length, 0, `\n${found.join('\n')}`);
  });

  const caught = (path: string, text: string) => violations(new Map([[path, text]])).length;

  it('catch every import that goes up or sideways', () => {
    assert.equal(caught('wire/a.ts', "import { b } from '../keys/b.ts';"), 1);
    assert.equal(caught('keys/a.ts', "export * from '../mesh/b.ts';"), 1);
    assert.equal(caught('mesh/a.ts', "import type { B } from '../web/b.ts';"), 1);
    assert.equal(caught('mesh/a.ts', "const b = await import('../peer/b.ts');"), 1);
    assert.equal(caught('mesh/a.ts', 'const b = await import(`../peer/b.ts`);'), 1);
    assert.equal(caught('mesh/a.ts', 'const b = await import(name);'), 1);
    assert.equal(caught('mesh/a.ts', 'const b = await import(odd ? name : other);'), 1);
    assert.equal(caught('mesh/a.ts', 'class A { import(name: string) {} }; agent.import(name);'), 0);
    assert.equal(caught('mesh/a.ts', "let b: import('../signaling/b.ts').B;"), 1);
    assert.equal(caught('signaling/a.ts', "import {\n  b,\n  type C,\n} from '../mesh/b.ts';"), 1);
    assert.equal(caught('web/a.ts', "import '../peer/b.ts';"), 1);
    assert.equal(caught('peer/a.ts', "import { b } from '../spec/fakes.ts';"), 1);
    assert.equal(caught('web/elements/a.ts', "import { b } from '../../mesh/b.ts';"), 0);
    assert.equal(caught('web/elements/a.ts', "import { b } from '../chat-controller.ts';"), 0);
  });

  it('catch packages in layers that do without them', () => {
    assert.equal(caught('wire/a.ts', "import { sha256 } from '@noble/hashes/sha2.js';"), 1);
    assert.equal(caught('mesh/a.ts', "import { readKey } from 'openpgp';"), 2);
    assert.equal(caught('keys/a.ts', "import { readKey } from 'openpgp';"), 1);
    assert.equal(caught('keys/openpgp.ts', "import { readKey } from 'openpgp';"), 0);
    assert.equal(caught('keys/a.ts', "import { randomBytes } from 'node:crypto';"), 1);
    assert.equal(caught('web/a.ts', "import { readFileSync } from 'fs';"), 1);
    assert.equal(caught('signaling/a.ts', "import { createServer } from 'node:http';"), 0);
    assert.equal(caught('mesh/a.ts', "import { sha256 } from '@noble/hashes/sha2.js';"), 0);
  });

  it('catch a package that two files of a layer import', () => {
    const ws = "import { WebSocket } from 'ws';";
    const two = new Map([
      ['signaling/a.ts', ws],
      ['signaling/b.ts', ws],
      ['peer/c.ts', ws],
    ]);
    assert.deepEqual(violations(two), ['signaling/b.ts: imports ws, and so does signaling/a.ts; one file per layer may']);
  });

  it('catch forbidden code, but not words in comments and strings', () => {
    assert.equal(caught('mesh/a.ts', 'const now = Date.now();'), 1);
    assert.equal(caught('mesh/a.ts', 'const now = new Date();'), 1);
    assert.equal(caught('mesh/a.ts', 'const text = `${Math.random()}`;'), 1);
    assert.equal(caught('mesh/a.ts', 'globalThis; console.log(1);'), 1);
    assert.equal(
      caught('mesh/a.ts', '// Date.now is not for us\nconst a = "Math.random" + `setTimeout` + /console.log/.source;'),
      0,
    );
    assert.equal(caught('mesh/a.ts', 'const day = new Date(clock.now()); const process = 1;'), 0);
    assert.equal(caught('web/a.ts', 'element.innerHTML = text;'), 1);
    assert.equal(caught('web/a.ts', 'html`${unsafeHTML(text)}`;'), 1);
    assert.equal(caught('wire/a.ts', 'eval(text);'), 1);
    assert.equal(caught('wire/a.ts', 'const a: any = 1;'), 1);
    assert.equal(caught('wire/a.ts', 'const a = b as any;'), 1);
    assert.equal(caught('wire/a.ts', 'let a: Map<string, any>;'), 1);
    assert.equal(caught('wire/a.ts', 'const a = Promise.any([]); // any of them'), 0);
    assert.equal(caught('wire/a.ts', '// @ts-ignore\nconst a = 1;'), 1);
    assert.equal(caught('wire/a.ts', `// ${'TO'}${'DO'} later`), 1);
  });

  it('catch names that say nothing', () => {
    assert.equal(caught('wire/index.ts', ''), 1);
    assert.equal(caught('wire/types.ts', ''), 1);
    assert.equal(caught('web/utils/a.ts', ''), 1);
    assert.equal(caught('wire/frame-types.ts', ''), 0);
  });
});

function violations(files: Map<string, string>): string[] {
  const found: string[] = [];
  const importers = new Map<string, string>();
  for (const [path, text] of files) {
    const layer = path.slice(0, path.indexOf('/'));
    const source = readSource(text);
    if (badPath.test(path)) found.push(`${path}: name the file after what is in it`);
    for (const name of source.imports) {
      const complaint = importComplaint(path, layer, name);
      if (complaint !== undefined) found.push(`${path}: ${complaint}`);
      if (name === undefined || !oneFileEach.includes(packageOf(name))) continue;
      const first = importers.get(`${layer} ${packageOf(name)}`) ?? path;
      importers.set(`${layer} ${packageOf(name)}`, first);
      if (first !== path) found.push(`${path}: imports ${name}, and so does ${first}; one file per layer may`);
      const only = onlyImporter[name];
      if (only !== undefined && only !== path) found.push(`${path}: imports ${name}; only ${only} may`);
    }
    for (const ban of bans) {
      if (ban.in !== undefined && ban.in !== layer) continue;
      const match = ban.pattern.exec(ban.evenInComments ? text : source.code);
      if (match) found.push(`${path}: has "${match[0].trim()}": ${ban.why}`);
    }
  }
  return found;
}

function importComplaint(path: string, layer: string, name: string | undefined): string | undefined {
  const rules = layers[layer];
  if (rules === undefined) return 'is in no layer';
  if (name === undefined) return 'has an import() whose target cannot be read here';
  if (name.startsWith('.')) {
    const [target] = posix.join(posix.dirname(path), name).split('/');
    if (target === layer || (target !== undefined && rules.below.includes(target))) return undefined;
    return `imports ${name}; ${layer} may import ${['itself', ...rules.below].join(', ')}`;
  }
  if (name.startsWith('node:')) return rules.node ? undefined : `imports ${name}; ${layer} runs in browsers too`;
  const allowed = rules.packages.some((known) => (known.endsWith('/') ? name.startsWith(known) : name === known));
  return allowed ? undefined : `imports ${name}; ${layer} may import ${rules.packages.join(', ') || 'no package'}`;
}

function packageOf(name: string): string {
  return name
    .split('/')
    .slice(0, name.startsWith('@') ? 2 : 1)
    .join('/');
}

function readTree(): Map<string, string> {
  const root = fileURLToPath(new URL('..', import.meta.url));
  const files = new Map<string, string>();
  for (const layer of Object.keys(layers).filter((name) => existsSync(join(root, name)))) {
    for (const name of readdirSync(join(root, layer), { recursive: true, encoding: 'utf8' })) {
      if (!name.endsWith('.ts') || name.endsWith('.d.ts')) continue;
      const path = `${layer}/${name.replaceAll('\\', '/')}`;
      files.set(path, readFileSync(join(root, path), 'utf8'));
    }
  }
  return files;
}
