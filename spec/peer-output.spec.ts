// What a headless peer reads and prints: lines, commands, texts of strangers, each message once and in its order.
import assert from 'node:assert/strict';
import { appendFileSync, statSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import { Transcript, type TranscriptEntry } from '../mesh/transcript.ts';
import { readCommand } from '../peer/commands.ts';
import { type Happening, jsonLine, textOf } from '../peer/happenings.ts';
import { Lines } from '../peer/lines.ts';
import { readOptions } from '../peer/options.ts';
import { Output } from '../peer/output.ts';
import { Printed } from '../peer/printed.ts';
import { type ShownGroup, TranscriptPrinter } from '../peer/transcript-printer.ts';
import { asDid, asFrameId, asOpId, type FrameId } from '../wire/ids.ts';
import { ManualClock } from './fakes.ts';

describe('lines of a headless peer', () => {
  it('are messages, unless they begin with one slash', () => {
    assert.deepEqual(readCommand('hello / there'), { do: 'say', text: 'hello / there' });
    assert.deepEqual(readCommand('//quit'), { do: 'say', text: '/quit' });
    assert.deepEqual(readCommand(' /quit'), { do: 'say', text: ' /quit' });
    assert.deepEqual(readCommand('/quit'), { do: 'quit' });
    assert.deepEqual(readCommand('  '), { do: 'nothing' });
    assert.equal(readCommand('/').do, 'refuse');
    assert.equal(readCommand('/fly away').do, 'refuse');
  });

  it('invite so many people as they say, one unless they say', () => {
    assert.deepEqual(readCommand('/invite'), { do: 'invite', people: 1 });
    assert.deepEqual(readCommand('/invite  12 '), { do: 'invite', people: 12 });
    for (const wrong of ['0', '-1', '1.5', '1001', 'many', '1 2']) assert.equal(readCommand(`/invite ${wrong}`).do, 'refuse');
  });

  it('name people and groups with all that follows the command', () => {
    assert.deepEqual(readCommand('/add bob'), { do: 'add', username: 'bob' });
    assert.deepEqual(readCommand('/group My friends'), { do: 'group', which: 'My friends' });
    assert.deepEqual(readCommand('/create Cafe\u0301 '), { do: 'create', name: 'Caf\u00e9' });
    assert.deepEqual(readCommand('/nick'), { do: 'nick', nickname: '' });
    for (const wrong of ['/add', '/group', '/create', `/create ${'x'.repeat(65)}`, '/create a\u202eb']) {
      assert.equal(readCommand(wrong).do, 'refuse', wrong);
    }
  });
});

describe('flags of a headless peer', () => {
  const optionsOf = (...args: string[]) => {
    const read = readOptions(args, { XDG_DATA_HOME: '/data' });
    assert.equal(read.outcome, 'options');
    return read.outcome === 'options' ? read.options : assert.fail();
  };

  it('need a node and a user, and take the rest as it is usual', () => {
    const options = optionsOf('--node', 'https://Chat.example/', '--user', 'bob');
    assert.equal(options.origin, 'wss://chat.example');
    assert.equal(options.data, '/data/secure-peer/bob');
    assert.deepEqual([options.output, options.unknownUser, options.atEof, options.notes], ['text', 'refuse', 'stay', 'hidden']);
    for (const args of [
      [],
      ['--user', 'bob'],
      ['--node', 'wss://chat.example'],
      ['--node', 'wss://a.example', '--user', 'Bob'],
    ]) {
      assert.equal(readOptions(args, {}).outcome, 'bad');
    }
  });

  it('have none for a passphrase', () => {
    const read = readOptions(['--node', 'wss://a.example', '--user', 'bob', '--passphrase', 'secret'], {});
    assert.equal(read.outcome, 'bad');
    assert.ok(!JSON.stringify(read).includes('secret'));
  });
});

describe('what a headless peer prints', () => {
  const facts = { id: 'i', group: 'g', author: 'bob', uid: 'u', nickname: null, sentAt: 0, own: false };
  const lineOf = (happening: Happening, label?: string) => textOf(happening, () => label)?.text;

  it('is one line of JSON, whatever is in the message', () => {
    const text = 'a\nb\r\u0085c\u2028{"type":"message"}\u2029"d';
    const line = jsonLine({ type: 'message', ...facts, text });
    assert.equal(line.split(/[\n\r\u0085\u2028\u2029]/).length, 1);
    assert.deepEqual(JSON.parse(line), { type: 'message', ...facts, text });
  });

  it('is text in which nobody can pass for another or move the cursor', () => {
    const line = lineOf({ type: 'message', ...facts, text: 'one\n12:00 alice: two\u2028\u001b[1A\u202ethree' }) ?? '';
    assert.match(line, /^\d\d:\d\d bob: one\n {6}12:00 alice: two\n {6}\ufffd\[1A\ufffdthree$/);
    assert.match(lineOf({ type: 'message', ...facts, nickname: 'alice', text: 'x' }) ?? '', /^\d\d:\d\d bob \(alice\): x$/);
    assert.match(lineOf({ type: 'message', ...facts, text: 'x' }, 'Other\u0007s') ?? '', /^\d\d:\d\d \[Other\ufffds\] bob: x$/);
    assert.match(lineOf({ type: 'message', ...facts, sentAt: 2 ** 53 - 1, text: 'x' }) ?? '', /^--:-- bob: x$/);
    assert.match(lineOf({ type: 'unreadable', ...facts }) ?? '', /^\d\d:\d\d bob wrote something/);
  });

  it('keeps what was asked for apart from what is said beside', () => {
    const to = (happening: Happening) => textOf(happening, () => undefined)?.to;
    assert.equal(to({ type: 'invite', group: 'g', link: 'l' }), 'output');
    assert.equal(to({ type: 'error', code: 'c', text: 't' }), 'beside');
    assert.equal(to({ type: 'node', state: 'connected' }), 'beside');
    assert.equal(to({ type: 'state', group: 'g', id: 'i', state: 'sent' }), undefined);
  });
});

describe('a line that a headless peer prints', () => {
  it('has left when the system took it, not when it waits for a slow reader', async () => {
    let takeOn: (() => void) | undefined;
    const slow = new Writable({
      write(_part, _encoding, done) {
        takeOn = done;
      },
    });
    const left: string[] = [];
    const output = new Output(slow, { gone: () => assert.fail(), drained: () => undefined });
    output.print('one', () => left.push('one'));
    output.print('two', () => left.push('two'));
    assert.equal(output.isStalled, true);
    assert.deepEqual(left, []);
    takeOn?.();
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(left, ['one']);
  });

  it('has left at once where there is room', () => {
    const stream = new Writable({ write: (_part, _encoding, done) => done() });
    let hasLeft = false;
    new Output(stream, { gone: () => assert.fail(), drained: () => undefined }).print('one', () => {
      hasLeft = true;
    });
    assert.equal(hasLeft, true);
  });

  it('has not left when nobody reads any more', async () => {
    const stream = new Writable({ write: (_part, _encoding, done) => done(new Error('EPIPE')) });
    let gone = 0;
    const output = new Output(stream, { gone: () => gone++, drained: () => undefined });
    output.print('one', () => assert.fail('it left'));
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(gone, 1);
    await output.finished();
  });
});

describe('marks of what was printed', () => {
  let folder = '';
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'secure-printed-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it('are there for the next process, before the file is closed', () => {
    const path = join(folder, 'printed');
    const first = new Printed(path);
    first.add(frameId(1));
    const second = new Printed(path);
    assert.deepEqual([second.has(frameId(1)), second.has(frameId(2))], [true, false]);
    assert.equal(statSync(path).mode & 0o077, 0);
    first.close();
    second.close();
  });

  it('are whole again after a mark that was cut off', () => {
    const path = join(folder, 'printed');
    const first = new Printed(path);
    first.add(frameId(1));
    first.close();
    appendFileSync(path, new Uint8Array(5));
    const second = new Printed(path);
    second.add(frameId(2));
    second.close();
    const third = new Printed(path);
    assert.ok([1, 2].every((no) => third.has(frameId(no))));
    assert.equal(statSync(path).size, 64);
    third.close();
  });
});

describe('the order in which a headless peer prints', () => {
  let folder = '';
  let clock: ManualClock;
  let group: ShownGroup & { held: Set<number> };
  let printer: TranscriptPrinter;
  let printed: Printed;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'secure-order-'));
    clock = new ManualClock();
    const held = new Set<number>();
    group = { transcript: new Transcript(), held, isHeldBack: (entry) => held.has(entry.seq) };
    printed = new Printed(join(folder, 'printed'));
    printer = new TranscriptPrinter({ printed, clock });
  });
  afterEach(async () => {
    printed.close();
    await rm(folder, { recursive: true, force: true });
  });

  it('is that of the transcript, each message once, late ones when they come', () => {
    for (const no of [3, 1]) add(no);
    assert.deepEqual(round(), [1, 3]);
    assert.deepEqual(round(), []);
    add(2);
    assert.deepEqual(round(), [2]);
    printer = new TranscriptPrinter({ printed, clock });
    assert.deepEqual(round(), []);
  });

  it('leaves out receipts and nicknames, but not what cannot be read', () => {
    group.transcript.add(entryOf(1, { kind: 'receipt', delivered: [] }));
    group.transcript.add(entryOf(2, { kind: 'nickname', nickname: 'x' }));
    group.transcript.add(entryOf(3, undefined));
    assert.deepEqual(round(), [3]);
  });

  it('waits for a message whose place is not certain, but not longer than its patience', async () => {
    for (const no of [1, 2]) group.held.add(no);
    for (const no of [1, 3]) add(no);
    assert.deepEqual(round(), []);
    await clock.advance(1_999);
    add(2);
    assert.deepEqual(round(), []);
    await clock.advance(1);
    // Whoever makes one after the other wait holds up nobody else.
    assert.deepEqual(round(), [1, 3]);
    group.held.delete(2);
    assert.deepEqual(round(), [2]);
  });

  it('goes on where a full output stopped it', () => {
    for (const no of [1, 2, 3]) add(no);
    assert.deepEqual(round(2), [1, 2]);
    assert.deepEqual(round(), [3]);
  });

  it('prints again what had not left when the process ended', () => {
    add(1);
    printer.round(group, () => 'printed');
    printer = new TranscriptPrinter({ printed, clock });
    assert.deepEqual(round(), [1]);
  });

  function add(no: number): void {
    group.transcript.add(entryOf(no, { kind: 'text', text: `${no}` }));
  }

  function entryOf(no: number, body: TranscriptEntry['body']): TranscriptEntry {
    const place = { id: frameId(no), did: asDid(new Uint8Array(32)), seq: no, gen: 0, previous: new Uint8Array(32) };
    const epochId = asOpId(new Uint8Array(32));
    return { ...place, epochId, epochDepth: 0, sentAt: no, heads: [], body, storedAt: clock.now() };
  }

  function round(room = Number.POSITIVE_INFINITY): number[] {
    const seqs: number[] = [];
    printer.round(group, (entry, left) => {
      if (seqs.length === room) return 'full';
      seqs.push(entry.seq);
      left();
      return 'printed';
    });
    return seqs;
  }
});

describe('a headless peer at a terminal', () => {
  it('asks for a passphrase and shows nothing of it', async () => {
    const { lines, typed, screen } = terminal();
    const answer = lines.secret('Passphrase: ');
    typed.write('correct horse\r');
    assert.equal(await answer, 'correct horse');
    const heard: string[] = [];
    lines.each({ line: (line) => heard.push(line), end: () => undefined });
    typed.write('hello\r');
    await new Promise((resolve) => setImmediate(resolve));
    // An arrow key brings back what was typed before: nothing.
    typed.write('\u001b[A\r');
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(heard, ['hello', '']);
    assert.match(screen(), /^Passphrase: \n/);
    assert.ok(screen().includes('hello'));
    assert.ok(!screen().includes('horse'));
    lines.close();
  });

  it('shows nothing of a passphrase that is typed before it is asked for', async () => {
    const { lines, typed, screen } = terminal();
    typed.write('correct horse\r');
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(await lines.secret('Passphrase: '), 'correct horse');
    assert.equal(screen(), 'Passphrase: \n');
    lines.close();
  });

  it('hears Ctrl-C, also while it asks', async () => {
    let interrupts = 0;
    const { lines, typed } = terminal(() => interrupts++);
    const answer = lines.secret('Passphrase: ');
    typed.write('\u0003');
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(interrupts, 1);
    lines.close();
    void answer;
  });

  it('takes lines that came before anybody asked, and the end', async () => {
    const input = new PassThrough();
    const lines = new Lines({ input, screen: new PassThrough(), interrupted: () => assert.fail() });
    input.end('one\ntwo\nthree');
    assert.equal(await lines.next(), 'one');
    await new Promise((resolve) => setImmediate(resolve));
    const heard: string[] = [];
    lines.each({ line: (line) => heard.push(line), end: () => heard.push('end') });
    assert.deepEqual(heard, ['two', 'three', 'end']);
  });

  function terminal(interrupted: () => void = () => assert.fail()) {
    const typed = Object.assign(new PassThrough(), { isTTY: true });
    const shown: string[] = [];
    const showing = new Writable({
      write(part, _encoding, done) {
        shown.push(String(part));
        done();
      },
    });
    const screen = Object.assign(showing, { isTTY: true });
    return { lines: new Lines({ input: typed, screen, interrupted }), typed, screen: () => shown.join('') };
  }
});

function frameId(no: number): FrameId {
  return asFrameId(new Uint8Array(32).fill(no));
}
