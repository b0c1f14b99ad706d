// Serves the built page: exactly the files of its manifest, from memory, under a strict content security policy (spec/protocol.md §10).
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { extname, join } from 'node:path';

/** What a server answers under one path. */
export type PageFile = { contents: Buffer; br: Buffer | undefined; gzip: Buffer | undefined; hash: string; immutable: boolean };
/** Without a leading slash. */
export type Page = ReadonlyMap<string, PageFile>;

export class PageDamaged extends Error {
  constructor(path: string) {
    super(`${path} is not the file that the manifest of the page names`);
    this.name = 'PageDamaged';
  }
}

/** Reads all of it; afterwards no request touches the disk. A folder without a manifest is an empty page. Throws PageDamaged. */
export async function loadPage(folder: string): Promise<Page> {
  const manifest = parseManifest(await readIfThere(join(folder, 'manifest.json')));
  const files = await Promise.all(
    manifest.map(async ({ path, sha256, immutable }): Promise<[string, PageFile]> => {
      const contents = await readIfThere(join(folder, path));
      if (contents === undefined || createHash('sha256').update(contents).digest('hex') !== sha256) throw new PageDamaged(path);
      const [br, gzip] = await Promise.all([readIfThere(join(folder, `${path}.br`)), readIfThere(join(folder, `${path}.gz`))]);
      return [path, { contents, br, gzip, hash: sha256, immutable }];
    }),
  );
  return new Map(files);
}

type ManifestEntry = { path: string; sha256: string; immutable: boolean };

function parseManifest(bytes: Buffer | undefined): ManifestEntry[] {
  if (bytes === undefined) return [];
  const entries: unknown = JSON.parse(bytes.toString());
  if (!Array.isArray(entries)) throw new PageDamaged('manifest.json');
  return entries.map((entry: unknown) => {
    if (!isManifestEntry(entry)) throw new PageDamaged('manifest.json');
    return { path: entry.path, sha256: entry.sha256, immutable: entry.immutable };
  });
}

function isManifestEntry(entry: unknown): entry is ManifestEntry {
  if (typeof entry !== 'object' || entry === null) return false;
  if (!('path' in entry && 'sha256' in entry && 'immutable' in entry)) return false;
  return typeof entry.path === 'string' && typeof entry.sha256 === 'string' && typeof entry.immutable === 'boolean';
}

async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** `origins`: of this node, as clients dial it; the page may connect to these only. */
export function servePage(page: Page, origins: readonly string[]): (request: IncomingMessage, response: ServerResponse) => void {
  const headers = commonHeaders(origins);
  return (request, response) => {
    for (const [name, value] of headers) response.setHeader(name, value);
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('Allow', 'GET, HEAD');
      return answerText(request, response, 405, 'Only GET and HEAD are answered here.');
    }
    const path = request.url?.split('?', 1)[0] ?? '';
    // Looked up as it came, undecoded: what is no name of a file is nothing.
    const name = path === '/' ? 'index.html' : path.startsWith('/') ? path.slice(1) : '';
    const file = page.get(name);
    if (file === undefined) {
      const text = page.size === 0 ? 'This node runs without its page: it was not built.' : 'There is nothing here.';
      return answerText(request, response, 404, text);
    }
    if (name === workerScript) response.setHeader('Content-Security-Policy', policy(origins, "'self' 'wasm-unsafe-eval'"));
    answerFile(request, response, { name, file });
  };
}

/** The key worker may compile WebAssembly, for imported keys under Argon2; the page may not. */
const workerScript = 'key-worker.js';

function answerFile(request: IncomingMessage, response: ServerResponse, { name, file }: { name: string; file: PageFile }): void {
  const { body, encoding } = chooseEncoding(file, request.headers['accept-encoding'] ?? '');
  const etag = `"${file.hash.slice(0, 32)}${encoding === undefined ? '' : `-${encoding}`}"`;
  response.setHeader('ETag', etag);
  response.setHeader('Vary', 'Accept-Encoding');
  response.setHeader('Cache-Control', file.immutable ? 'public, max-age=31536000, immutable' : 'no-cache');
  if (isKnown(request.headers['if-none-match'], etag)) {
    response.writeHead(304).end();
    return;
  }
  response.setHeader('Content-Type', contentTypes[extname(name)] ?? 'application/octet-stream');
  response.setHeader('Content-Length', body.length);
  if (encoding !== undefined) response.setHeader('Content-Encoding', encoding);
  response.writeHead(200).end(request.method === 'HEAD' ? undefined : body);
}

function answerText(request: IncomingMessage, response: ServerResponse, status: number, text: string): void {
  const body = Buffer.from(`${text}\n`);
  response.setHeader('Content-Type', 'text/plain; charset=utf-8');
  response.setHeader('Cache-Control', 'no-store');
  response.setHeader('Content-Length', body.length);
  response.writeHead(status).end(request.method === 'HEAD' ? undefined : body);
}

const contentTypes: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json',
  '.webmanifest': 'application/manifest+json',
  '.txt': 'text/plain; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.woff2': 'font/woff2',
  '.wasm': 'application/wasm',
};

function chooseEncoding(file: PageFile, accepted: string): { body: Buffer; encoding: 'br' | 'gzip' | undefined } {
  if (file.br !== undefined && file.br.length < file.contents.length && accepts(accepted, 'br'))
    return { body: file.br, encoding: 'br' };
  if (file.gzip !== undefined && file.gzip.length < file.contents.length && accepts(accepted, 'gzip')) {
    return { body: file.gzip, encoding: 'gzip' };
  }
  return { body: file.contents, encoding: undefined };
}

/** Named, and not with quality 0. */
function accepts(header: string, encoding: string): boolean {
  return header.split(',').some((part) => {
    const [name = '', ...parameters] = part.split(';').map((text) => text.trim().toLowerCase());
    return name === encoding && !parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter));
  });
}

function isKnown(ifNoneMatch: string | undefined, etag: string): boolean {
  return ifNoneMatch?.split(',').some((tag) => tag.trim().replace(/^W\//, '') === etag) ?? false;
}

function commonHeaders(origins: readonly string[]): [name: string, value: string][] {
  const headers: [string, string][] = [
    ['Content-Security-Policy', policy(origins, "'self'")],
    ['Referrer-Policy', 'no-referrer'],
    ['Cross-Origin-Opener-Policy', 'same-origin'],
    ['Cross-Origin-Resource-Policy', 'same-origin'],
    ['X-Content-Type-Options', 'nosniff'],
    ['Permissions-Policy', permissions],
  ];
  // For a year, once somebody has come by TLS; on loopback there is none.
  if (origins.some((origin) => origin.startsWith('wss:'))) headers.push(['Strict-Transport-Security', 'max-age=31536000']);
  return headers;
}

// Copying an invite link is the one thing the page asks the browser for.
const unused =
  'accelerometer autoplay camera display-capture fullscreen geolocation gyroscope hid idle-detection magnetometer microphone midi payment publickey-credentials-create serial usb xr-spatial-tracking';
const permissions = [...unused.split(' ').map((feature) => `${feature}=()`), 'clipboard-write=(self)'].join(', ');

function policy(origins: readonly string[], scripts: string): string {
  // The grammar of the policy has no IPv6 addresses: a page that is opened by one is covered by 'self'.
  const nodes = origins.filter((origin) => !origin.includes('['));
  return [
    "default-src 'none'",
    `script-src ${scripts}`,
    "style-src 'self'",
    "img-src 'self' blob:",
    'media-src blob:',
    `connect-src ${["'self'", ...nodes].join(' ')}`,
    "worker-src 'self'",
    "manifest-src 'self'",
    "font-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    'trusted-types lit-html secure-worker',
  ].join('; ');
}
