// `npm test`: everything that must hold, in one run. `npm test -- PATTERN …` runs only the spec files whose path has one of them.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build, install, root, say } from '../build.mjs';
import { ensureChromium, ensureGpg } from './tools.mjs';

const patterns = process.argv.slice(2);
const result = { passed: 0, failed: 0, skipped: 0 };

// A step that fails counts as one failure, and the others still run: one look shows all that is wrong.
async function step(name, work) {
  const started = performance.now();
  say(`\n> ${name}`);
  try {
    await work();
    say(`  ${((performance.now() - started) / 1000).toFixed(1)} s`);
    return true;
  } catch (error) {
    say(`  ${name} FAILED: ${error.message}`);
    result.failed += 1;
    return false;
  }
}

function program(path, args, env = process.env) {
  const child = spawn(process.execPath, [join(root, 'node_modules', path), ...args], { cwd: root, stdio: 'inherit', env });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve(signal ?? code));
  });
}

async function mustPass(path, args) {
  const code = await program(path, args);
  if (code !== 0) throw new Error(`it ended with ${code}`);
}

function specFiles() {
  const files = readdirSync(join(root, 'spec'), { recursive: true, encoding: 'utf8' })
    .map((name) => `spec/${name.replaceAll('\\', '/')}`)
    .filter((path) => path.endsWith('.spec.ts'))
    .sort();
  return patterns.length === 0 ? files : files.filter((path) => patterns.some((pattern) => path.includes(pattern)));
}

async function specs(env) {
  const files = specFiles();
  if (files.length === 0) throw new Error(`no spec file has ${patterns.join(' or ')} in its path`);
  const folder = mkdtempSync(join(tmpdir(), 'secure-spec-'));
  const counts = join(folder, 'counts.json');
  try {
    const args = ['--reporter', 'spec/reporter.mjs', ...(process.env.CI ? ['--forbid-only'] : []), ...files];
    const code = await program('mocha/bin/mocha.js', args, { ...env, SPEC_COUNTS: counts });
    if (!existsSync(counts)) throw new Error(`mocha ended with ${code} before its end`);
    const { passes, failures, pending } = JSON.parse(readFileSync(counts, 'utf8'));
    result.passed += passes;
    result.failed += failures;
    result.skipped += pending;
    if (passes + failures === 0) throw new Error('not one spec ran');
    if (code !== 0 && failures === 0) throw new Error(`mocha ended with ${code}`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const env = { ...process.env };
const ready = await step('what the specs need', () => {
  install({ dev: true });
  env.CHROMIUM = ensureChromium();
  say(`  ${env.CHROMIUM}`);
  say(`  ${ensureGpg()}`);
});
if (ready) {
  if (patterns.length === 0) {
    await step('types', () => mustPass('typescript/bin/tsc', ['-p', 'tsconfig.json']));
    await step('types of mesh alone', () => mustPass('typescript/bin/tsc', ['-p', 'mesh/tsconfig.json']));
    await step('formatter and linter', () =>
      mustPass('@biomejs/biome/bin/biome', ['check', '--error-on-warnings', '--max-diagnostics=50', '.']),
    );
  }
  await step('build', () => build());
  await step('specs', () => specs(env));
}

console.log(`\n${result.passed} passed, ${result.failed} failed, ${result.skipped} skipped`);
process.exitCode = result.failed > 0 ? 1 : 0;
