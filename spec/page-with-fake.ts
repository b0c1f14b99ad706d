// Serves the real page with the fake controller behind it, under the content security policy of spec/protocol.md §10.
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { optionsForBrowsers } from './bundle.ts';

export const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' blob:",
  'media-src blob:',
  "connect-src 'self' wss: ws:",
  "worker-src 'self'",
  "manifest-src 'self'",
  "font-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  'trusted-types lit-html',
].join('; ');

export type ServedPage = {
  origin: string;
  close(): Promise<void>;
};

export async function servePage(): Promise<ServedPage> {
  const files = await bundlePage();
  const server = createServer((request, response) => {
    const path = new URL(request.url ?? '/', 'http://localhost').pathname;
    const file = files.get(path === '/' ? '/index.html' : path);
    response.writeHead(file === undefined ? 404 : 200, {
      'content-type': mediaTypes[path.slice(path.lastIndexOf('.'))] ?? 'text/html; charset=utf-8',
      'content-security-policy': contentSecurityPolicy,
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
    });
    response.end(file);
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  const close = async () => {
    server.closeAllConnections();
    await new Promise((closed) => server.close(closed));
  };
  return { origin: `http://127.0.0.1:${address.port}`, close };
}

const root = fileURLToPath(new URL('..', import.meta.url));
const mediaTypes: Record<string, string> = { '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' };

async function bundlePage(): Promise<Map<string, Uint8Array>> {
  const forBrowsers = await optionsForBrowsers();
  const { outputFiles } = await build({
    ...forBrowsers,
    absWorkingDir: root,
    entryPoints: ['web/main.ts'],
    outdir: 'out',
    bundle: true,
    write: false,
    format: 'esm',
    splitting: true,
    logLevel: 'warning',
    plugins: [
      ...(forBrowsers.plugins ?? []),
      {
        name: 'fake-controller',
        setup(building) {
          building.onResolve({ filter: /\/chat-controller\.ts$/ }, () => ({ path: join(root, 'spec/fake-controller.ts') }));
        },
      },
    ],
  });
  const html = await readFile(join(root, 'web/index.html'), 'utf8');
  const files = new Map<string, Uint8Array>([
    ['/index.html', Buffer.from(html.replace('"page.css"', '"/page.css"').replace('"main.ts"', '"/main.js"'))],
    ['/page.css', await readFile(join(root, 'web/page.css'))],
    ['/icon.svg', await readFile(join(root, 'web/icon.svg'))],
  ]);
  for (const file of outputFiles) files.set(`/${basename(file.path)}`, file.contents);
  return files;
}
