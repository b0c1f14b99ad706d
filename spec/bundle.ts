// Bundles one source file for a page of a spec, as the build bundles the product.
import { fileURLToPath } from 'node:url';
import { type BuildOptions, build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));

/** What the product is bundled with. */
export async function optionsForBrowsers(): Promise<BuildOptions> {
  // JavaScript: the build uses it before there is anything to compile TypeScript with.
  const { forBrowsers }: { forBrowsers: BuildOptions } = await import(new URL('../web/bundling.mjs', import.meta.url).href);
  return forBrowsers;
}

/** The script, to be run as a classic one. `entry` from the root of the project. */
export async function bundleForBrowser(entry: string): Promise<string> {
  const { outputFiles = [] } = await build({
    ...(await optionsForBrowsers()),
    absWorkingDir: root,
    entryPoints: [entry],
    bundle: true,
    format: 'iife',
    write: false,
    logLevel: 'warning',
  });
  return outputFiles.map(({ text }) => text).join('\n');
}
