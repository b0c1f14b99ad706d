// The node as a process: its flags, its exit codes, its stop, and that a kill loses nothing it had acknowledged.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readSettings } from '../signaling/settings.ts';
import { NodeClient } from './node-client.ts';
import { person } from './people.ts';
import { appendKey, bytes, gTag, signedAppend } from './running-node.ts';

// After how many answers; all moments, where there is time.
const killsAfter = process.env.SLOW === '1' ? Array.from({ length: 100 }, (_, i) => (i * 7) % 50) : [5, 17, 23];

const program = fileURLToPath(new URL('../signaling/main.ts', import.meta.url));

/** Runs until it prints its address, or ends. */
class NodeProcess {
  readonly child: ChildProcess;
  output = '';
  readonly ended: Promise<number | null>;

  constructor(args: string[], environment: Record<string, string> = {}) {
    const env = { PATH: process.env.PATH ?? '', ...environment };
    this.child = spawn(process.execPath, ['--import', 'tsx', program, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    const hear = (chunk: Buffer) => {
      this.output += chunk.toString();
    };
    this.child.stdout?.on('data', hear);
    this.child.stderr?.on('data', hear);
    this.ended = new Promise((resolve) => this.child.once('close', resolve));
  }

  async port(): Promise<number> {
    for (;;) {
      const port = /^Open http:\/\/localhost:(\d+)\n/m.exec(this.output)?.[1];
      if (port !== undefined) return Number(port);
      const more = new Promise<'more'>((resolve) => this.child.stdout?.once('data', () => resolve('more')));
      const what = await Promise.race([more, this.ended]);
      if (what !== 'more') throw new Error(`the node ended with ${what}: ${this.output}`);
    }
  }

  async kill(signal: NodeJS.Signals): Promise<number | null> {
    this.child.kill(signal);
    return this.ended;
  }
}

describe('The node as a process', function () {
  this.timeout(process.env.SLOW === '1' ? 1_000_000 : 60_000);
  let data: string;
  const running: NodeProcess[] = [];
  const start = (args: string[], environment?: Record<string, string>) => {
    const node = new NodeProcess(args, environment);
    running.push(node);
    return node;
  };

  beforeEach(async () => {
    data = await mkdtemp(join(tmpdir(), 'secure-node-'));
  });
  afterEach(async () => {
    for (const node of running.splice(0)) await node.kill('SIGKILL');
    await rm(data, { recursive: true, force: true });
  });

  it('says what to open, stops in order on SIGTERM, and keeps its key to itself', async () => {
    const node = start(['--port', '0'], { DATA: data });
    const port = await node.port();
    const client = await NodeClient.dial(port);
    assert.equal(await node.kill('SIGTERM'), 0);
    assert.equal(await client.closed, 1001);
    assert.match(node.output, /the node stops/);
    assert.ok(existsSync(join(data, 'store')));
    assert.equal((await stat(join(data, 'node.key'))).mode & 0o777, 0o600);
  });

  it('says so when its port is taken, and ends with 1', async () => {
    const first = start(['--port', '0', '--data', data]);
    const port = await first.port();
    const second = start(['--port', String(port), '--data', join(data, 'other')]);
    assert.equal(await second.ended, 1);
    assert.match(second.output, new RegExp(`^Port ${port} is in use, .*PORT=${port + 1}`));
  });

  it('says so when another one runs in its folder, but not when that one was killed', async () => {
    const first = start(['--port', '0', '--data', data]);
    await first.port();
    const second = start(['--port', '0', '--data', data]);
    assert.equal(await second.ended, 1);
    assert.match(second.output, /^Another node is running in .*DATA=/);
    await first.kill('SIGKILL');
    await start(['--port', '0', '--data', data]).port();
  });

  it('goes on when nobody reads its log any more, and writes nothing for others to read', async () => {
    const node = start(['--port', '0', '--data', data]);
    const port = await node.port();
    node.child.stdout?.destroy();
    for (let i = 0; i < 3; i++) {
      const client = await NodeClient.dial(port);
      client.sendBytes(Uint8Array.of(0xff));
      assert.equal(await client.closed, 4001);
    }
    const files = await readdir(data, { recursive: true });
    assert.ok(files.length >= 4, files.join());
    for (const file of files) assert.equal((await stat(join(data, file))).mode & 0o077, 0, file);
    assert.equal(await node.kill('SIGTERM'), 0);
  });

  it('ends with 2 for a wrong value, and names it', async () => {
    const node = start(['--port', '0', '--data', data], { REGISTRATION: 'maybe' });
    assert.equal(await node.ended, 2);
    assert.match(node.output, /^REGISTRATION is "maybe"\. It must be open or closed\.\n/);
    const pageless = start(['--port', '0', '--data', data, '--page', data]);
    assert.equal(await pageless.ended, 2);
    assert.match(pageless.output, /^PAGE is .*no built page/);
  });

  it('has everything that it acknowledged after a SIGKILL at any moment', async () => {
    const key = await appendKey(1);
    const alice = await person('alice', Date.now());
    let acknowledged = 0;
    for (const [round, killAfter] of killsAfter.entries()) {
      const node = start(['--port', '0', '--data', data]);
      const client = await NodeClient.in(await node.port(), alice, round === 0 ? 'register' : 'resume');
      // All at once, so that the kill comes while some are being written. What came without an answer is sent again.
      const first = acknowledged + 1;
      const appends = await Promise.all(Array.from({ length: 60 }, (_, i) => signedAppend(key, first + i)));
      for (const [i, append] of appends.entries()) client.send({ ...append, request: first + i });
      while (acknowledged < first + killAfter) {
        const answer = await client.answerTo(acknowledged + 1);
        if (answer.type !== 'appended') assert.fail(answer.type);
        acknowledged = answer.no;
      }
      await node.kill('SIGKILL');
      await client.closed;
      for (const message of client.inbox) if (message.type === 'appended') acknowledged = Math.max(acknowledged, message.no);
    }
    const node = start(['--port', '0', '--data', data]);
    const client = await NodeClient.in(await node.port(), alice, 'resume');
    for (let no = 0; no < acknowledged; ) {
      const page = await client.ask({ type: 'get-log', gTag: gTag(1), after: no });
      if (page.type !== 'log-page') assert.fail(page.type);
      for (const entry of page.entries) {
        no += 1;
        assert.deepEqual([entry.no, entry.sealed], [no, bytes(200, no)]);
      }
    }
  });
});

describe('The settings of the node', () => {
  const read = (args: string[], environment: Record<string, string> = {}) => {
    const result = readSettings(args, environment);
    return result.outcome === 'settings' ? result.settings : result;
  };
  const defaults = {
    port: 8080,
    host: '127.0.0.1',
    data: './data',
    origins: undefined,
    registration: 'open',
    iceServers: [],
    page: undefined,
  };

  it('come from flags, then the environment, then defaults', () => {
    assert.deepEqual(read([]), defaults);
    assert.deepEqual(read([], { PORT: '1', DATA: '', HOST: '0.0.0.0' }), { ...defaults, port: 1, host: '0.0.0.0' });
    assert.deepEqual(read(['--port', '2'], { PORT: '1' }), { ...defaults, port: 2 });
  });

  it('name origins in their one spelling', () => {
    const origins = ['wss://chat.example', 'ws://localhost:8080'];
    assert.deepEqual(read(['--origins', 'https://Chat.Example:443/, ws://localhost:8080']), { ...defaults, origins });
  });

  it('take STUN servers, and TURN servers with their user', () => {
    const settings = read([], { ICE_SERVERS: 'stun:stun.example:3478,turn:user:secret@turn.example?transport=tcp' });
    const iceServers = [
      { urls: ['stun:stun.example:3478'], username: '', credential: '' },
      { urls: ['turn:turn.example?transport=tcp'], username: 'user', credential: 'secret' },
    ];
    assert.deepEqual(settings, { ...defaults, iceServers });
  });

  const wrong: [name: string, args: string[], problem: RegExp][] = [
    ['a port that is none', ['--port', '65536'], /PORT is "65536"/],
    ['a port in words', ['--port', '8o8o'], /PORT/],
    ['an origin without TLS elsewhere', ['--origins', 'ws://chat.example'], /ORIGINS has "ws:\/\/chat.example"/],
    ['an unknown policy', ['--registration', 'invite'], /REGISTRATION/],
    ['TURN without a user', ['--ice', 'turn:turn.example'], /ICE_SERVERS/],
    ['a user for STUN', ['--ice', 'stun:user:secret@stun.example'], /ICE_SERVERS/],
    ['an unknown flag', ['--verbose'], /verbose/],
    ['a word', ['start'], /start/],
  ];
  for (const [name, args, problem] of wrong) {
    it(`refuse ${name}`, () => {
      const result = readSettings(args, {});
      assert.equal(result.outcome, 'bad');
      assert.match(result.outcome === 'bad' ? result.problem : '', problem);
    });
  }

  it('never repeat a password in a complaint', () => {
    const result = readSettings(['--ice', 'turn:user:hunter2@'], {});
    assert.ok(result.outcome === 'bad' && !result.problem.includes('hunter2'));
  });
});
