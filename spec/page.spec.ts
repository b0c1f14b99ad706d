// The page as the node serves it: its headers, its encodings, and that nothing but its files is ever served.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { brotliCompressSync, brotliDecompressSync, gunzipSync, gzipSync } from 'node:zlib';
import { CannotStart } from '../signaling/node.ts';
import { NodeUnderTest } from './running-node.ts';

type Answer = { status: number; headers: Record<string, string | string[] | undefined>; body: Buffer };

const files = {
  'index.html': { text: `<!doctype html><title>Secure</title>${' '.repeat(500)}`, immutable: false },
  'main-0a1b2c.js': { text: `export const a = 1;${'\n'.repeat(500)}`, immutable: true },
  'key-worker.js': { text: 'export {};', immutable: false },
  'assets/icon-0a1b2c.svg': { text: '<svg xmlns="http://www.w3.org/2000/svg"/>', immutable: true },
};

describe('The page', () => {
  let folder: string;
  let under: NodeUnderTest;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'secure-page-'));
    await writePage(folder);
    under = await NodeUnderTest.start({ page: folder });
    // From here on no request can touch the disk.
    await rm(folder, { recursive: true });
  });
  after(() => under.dispose());

  const get = (path: string, headers: Record<string, string> = {}, method = 'GET') =>
    new Promise<Answer>((resolve, reject) => {
      const sent = request({ host: '127.0.0.1', port: under.port, path, method, headers, agent: false }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) }),
        );
      });
      sent.on('error', reject);
      sent.end();
    });

  /** Bytes as they are: no client tidies the path up. */
  const raw = (line: string) =>
    new Promise<string>((resolve, reject) => {
      const socket = connect(under.port, '127.0.0.1', () =>
        socket.end(`${line}\r\nHost: localhost\r\nConnection: close\r\n\r\n`),
      );
      let text = '';
      socket.on('data', (chunk: Buffer) => {
        text += chunk.toString('latin1');
      });
      socket.on('end', () => resolve(text));
      socket.on('error', reject);
    });

  it('is at / and under the names of its files', async () => {
    const root = await get('/');
    assert.deepEqual([root.status, root.body.toString()], [200, files['index.html'].text]);
    assert.equal(root.headers['content-type'], 'text/html; charset=utf-8');
    const icon = await get('/assets/icon-0a1b2c.svg?x=1');
    assert.deepEqual([icon.status, icon.headers['content-type']], [200, 'image/svg+xml']);
  });

  it('comes as Brotli or gzip where the browser takes it', async () => {
    const br = await get('/main-0a1b2c.js', { 'accept-encoding': 'gzip, deflate, br' });
    assert.equal(br.headers['content-encoding'], 'br');
    assert.equal(brotliDecompressSync(br.body).toString(), files['main-0a1b2c.js'].text);
    const gzip = await get('/main-0a1b2c.js', { 'accept-encoding': 'br;q=0, gzip' });
    assert.equal(gzip.headers['content-encoding'], 'gzip');
    assert.equal(gunzipSync(gzip.body).toString(), files['main-0a1b2c.js'].text);
    const plain = await get('/main-0a1b2c.js', { 'accept-encoding': 'identity' });
    assert.equal(plain.headers['content-encoding'], undefined);
    for (const answer of [br, gzip, plain]) {
      assert.equal(answer.headers.vary, 'Accept-Encoding');
      assert.equal(answer.headers['content-length'], String(answer.body.length));
    }
    assert.equal(new Set([br, gzip, plain].map(({ headers }) => headers.etag)).size, 3);
  });

  it('is kept for ever under hashed names, and asked for again elsewhere', async () => {
    assert.equal((await get('/main-0a1b2c.js')).headers['cache-control'], 'public, max-age=31536000, immutable');
    const first = await get('/');
    assert.equal(first.headers['cache-control'], 'no-cache');
    const again = await get('/', { 'if-none-match': `"other", W/${first.headers.etag}` });
    assert.deepEqual([again.status, again.body.length, again.headers.etag], [304, 0, first.headers.etag]);
    assert.ok(again.headers['content-security-policy']);
    assert.equal((await get('/', { 'if-none-match': '"other"' })).status, 200);
  });

  it('answers HEAD without a body, and no other methods', async () => {
    const head = await get('/', {}, 'HEAD');
    assert.deepEqual([head.status, head.body.length], [200, 0]);
    assert.equal(head.headers['content-length'], String(files['index.html'].text.length));
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'TRACE', 'PATCH']) {
      const answer = await get('/', {}, method);
      assert.deepEqual([answer.status, answer.headers.allow], [405, 'GET, HEAD']);
    }
  });

  it('has a policy on every answer that lets nothing in but its own files', async () => {
    const { port } = under;
    for (const path of ['/', '/main-0a1b2c.js', '/nothing']) {
      const { headers } = await get(path);
      const policy = String(headers['content-security-policy']);
      const directives = new Map(
        policy.split('; ').map((directive) => [directive.split(' ')[0], directive.split(' ').slice(1).join(' ')]),
      );
      assert.equal(directives.get('default-src'), "'none'");
      assert.equal(directives.get('script-src'), "'self'");
      assert.equal(directives.get('style-src'), "'self'");
      assert.equal(directives.get('connect-src'), `'self' ws://localhost:${port} ws://127.0.0.1:${port}`);
      assert.equal(directives.get('require-trusted-types-for'), "'script'");
      assert.equal(directives.get('trusted-types'), 'lit-html secure-worker');
      for (const name of ['base-uri', 'form-action', 'frame-ancestors']) assert.equal(directives.get(name), "'none'");
      assert.doesNotMatch(policy, /unsafe|data:|\*|http:/);
      assert.equal(headers['referrer-policy'], 'no-referrer');
      assert.equal(headers['cross-origin-opener-policy'], 'same-origin');
      assert.equal(headers['cross-origin-resource-policy'], 'same-origin');
      assert.equal(headers['x-content-type-options'], 'nosniff');
      assert.match(String(headers['permissions-policy']), /camera=\(\), .*clipboard-write=\(self\)/);
      assert.equal(headers['strict-transport-security'], undefined);
      assert.equal(headers['x-powered-by'] ?? headers.server, undefined);
    }
  });

  it('lets the key worker, and it alone, compile WebAssembly', async () => {
    const policy = String((await get('/key-worker.js')).headers['content-security-policy']);
    assert.match(policy, /script-src 'self' 'wasm-unsafe-eval';/);
    assert.doesNotMatch(policy, /unsafe-inline|'unsafe-eval'/);
  });

  it('names the configured nodes, and asks for TLS where there is some', async () => {
    const other = await NodeUnderTest.start({ origins: ['wss://chat.example', 'wss://[2001:db8::1]'] });
    try {
      const response = await fetch(`http://127.0.0.1:${other.port}/`);
      assert.match(response.headers.get('content-security-policy') ?? '', /connect-src 'self' wss:\/\/chat\.example;/);
      assert.equal(response.headers.get('strict-transport-security'), 'max-age=31536000');
      assert.equal(response.status, 404);
      assert.match(await response.text(), /was not built/);
    } finally {
      await other.dispose();
    }
  });

  it('has nothing else, however it is asked for', async () => {
    const paths = [
      '/nothing',
      '/index.html/',
      '//index.html',
      '/./index.html',
      '/../node.key',
      '/..%2fnode.key',
      '/%2e%2e/node.key',
      '/assets/../index.html',
      '/assets\\..\\index.html',
      '/main-0a1b2c.js.br',
      '/manifest.json',
      '/index.html%00.js',
      '/INDEX.HTML',
      '/__proto__',
      '/constructor',
      'index.html',
      '*',
      'http://localhost/index.html',
      `/${'a'.repeat(5000)}`,
    ];
    for (const path of paths) {
      const [head = '', body] = (await raw(`GET ${path} HTTP/1.1`)).split('\r\n\r\n');
      // What is no request at all gets no answer.
      assert.match(head, /^(HTTP\/1\.1 404 |$)/, path);
      if (head.includes(' 404 ')) {
        assert.match(head, /content-type: text\/plain; charset=utf-8/i, path);
        assert.equal(body, 'There is nothing here.\n', path);
      }
    }
    assert.match(await raw('GET / HTTP/1.1'), /^HTTP\/1\.1 200/);
  });

  it('never repeats what was asked for', async () => {
    assert.doesNotMatch(await raw('GET /<script>alert(1)</script> HTTP/1.1'), /<script>/);
  });

  it('does not start from files that its manifest does not name', async () => {
    const damaged = await mkdtemp(join(tmpdir(), 'secure-page-'));
    await writePage(damaged);
    await writeFile(join(damaged, 'main-0a1b2c.js'), 'export const a = 2;');
    await assert.rejects(NodeUnderTest.start({ page: damaged }), CannotStart);
    await rm(damaged, { recursive: true });
  });
});

async function writePage(folder: string): Promise<void> {
  const manifest = Object.entries(files).map(([path, { text, immutable }]) => ({
    path,
    sha256: createHash('sha256').update(text).digest('hex'),
    bytes: text.length,
    gzip: gzipSync(text).length,
    immutable,
  }));
  for (const [path, { text }] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
    await writeFile(join(folder, `${path}.br`), brotliCompressSync(text));
    await writeFile(join(folder, `${path}.gz`), gzipSync(text));
  }
  await writeFile(join(folder, 'manifest.json'), JSON.stringify(manifest));
}
