// The headless peer as people run it: real processes, keys of the real gpg, a real node, real data channels.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { listAccounts } from '../mesh/accounts.ts';
import type { Happening } from '../peer/happenings.ts';
import { openLmdbStore } from '../peer/lmdb-store.ts';
import { type TemporaryNode, temporaryNode } from './crew.ts';
import { Gpg } from './gpg.ts';
import { PeerProcess, PeerProgram } from './peer-process.ts';

const passphrase = 'Korrekt Pferd Batterie';

describe('the headless peer', function () {
  this.timeout(240_000);

  const program = new PeerProgram();
  const gpg = new Gpg();
  const running: PeerProcess[] = [];
  let folder = '';
  let node: TemporaryNode;
  /** A link to the group of alice, for several people. */
  let link = '';

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'secure-peer-'));
    [node] = await Promise.all([temporaryNode(), program.build()]);
    for (const name of ['alice', 'bob', 'erin']) await gpg.generate({ name, algorithm: 'ed25519', passphrase });
    await gpg.generate({ name: 'carol', algorithm: 'ed25519', passphrase: '' });
    for (const name of ['alice', 'bob', 'carol', 'erin']) await writeFile(key(name), await gpg.exportSecret(name));
    await writeFile(key('public'), await gpg.exportPublic('alice'));
  });

  afterEach(async () => {
    for (const peer of running.splice(0)) await peer.stop();
  });

  after(async () => {
    await node.close();
    await gpg.dispose();
    await program.remove();
    await rm(folder, { recursive: true, force: true });
  });

  it('two people register with keys of gpg, one follows the link of the other, and they read each other', async () => {
    const alice = peer('alice', ['--register', '--create', 'Friends', '--json']);
    alice.say('/invite 5');
    await alice.until('there is a link', ({ type }) => type === 'invite');
    link = alice.happenings.flatMap((one) => (one.type === 'invite' ? [one.link] : []))[0] ?? '';
    assert.match(link, /^http:\/\/localhost:\d+\/#1\.[\w-]+$/);

    const bob = peer('bob', ['--register', '--join', link, '--json']);
    bob.say('hello from bob');
    await alice.until('bob is read', says('hello from bob'));
    alice.say('hello from alice');
    alice.say('//help is a command');
    await bob.until('alice is read', says('/help is a command'));
    const expected = ['bob: hello from bob', 'alice: hello from alice', 'alice: /help is a command'];
    for (const one of [alice, bob]) assert.deepEqual(one.messages().map(authorAndText), expected);
    const [first] = bob.messages();
    assert.ok(first?.own);
    assert.equal(alice.messages()[0]?.own, false);
    assert.equal(alice.messages()[0]?.id, first.id);
    await bob.until('the receipt is back', (one) => one.type === 'state' && one.id === first.id && one.state === 'delivered');
    await bob.until(
      'they are linked',
      (one) => one.type === 'link' && one.user === 'alice' && one.state === 'open' && one.route === 'direct',
    );
    bob.say('/nick Bobby');
    await alice.until('the nickname came', (one) => one.type === 'member' && 'nickname' in one && one.nickname === 'Bobby');
    for (const one of [alice, bob]) {
      assert.deepEqual(await one.stop(), { code: 0, signal: null });
      assert.equal(one.complaints, '');
    }
  });

  it('is the same device again with its passphrase alone, and prints nothing twice', async () => {
    const bob = peer('bob', ['--json'], { key: 'none' });
    bob.say('/members');
    await bob.until('alice is listed', (one) => one.type === 'member' && one.change === 'listed' && one.user === 'alice');
    const listed = bob.happenings.flatMap((one) => (one.type === 'member' && one.change === 'listed' ? [one] : []));
    assert.deepEqual(listed.map(({ user, role, nickname }) => [user, role, nickname]).sort(), [
      ['alice', 'owner', null],
      ['bob', 'member', 'Bobby'],
    ]);
    assert.deepEqual(bob.messages(), []);
  });

  it('prints time, name and message for people, and can end with its input', async () => {
    const bob = peer('bob', ['--json']);
    const alice = peer('alice', ['--quit-at-eof', '--group', 'Friends']);
    alice.say('one\ttwo\u001b[2J');
    alice.process.stdin?.end();
    assert.deepEqual(await alice.ended, { code: 0, signal: null });
    assert.equal(alice.lines.length, 1);
    assert.match(alice.lines[0] ?? '', /^\d\d:\d\d alice: one {4}two\ufffd\[2J$/);
    assert.match(alice.complaints, /^You are alice at ws:.*\nConnected to the node\.\nWhat you write goes to Friends\.\n$/);
    await bob.until('it came', says('one\ttwo\u001b[2J'));
  });

  it('takes the passphrase from the first line of the input, and locks a key that has none with it', async () => {
    peer('alice', []);
    const args = ['--register', '--join', link, '--json', '--passphrase-fd', '0'];
    const carol = peer('carol', args, { passphrase: 'none' });
    carol.say(passphrase);
    carol.say('hello from carol');
    await carol.until('it is sent', says('hello from carol'));
    await carol.stop();
    const again = peer('carol', ['--json'], { passphrase: 'wrong', key: 'none' });
    assert.deepEqual(await again.ended, { code: 3, signal: null });
  });

  it('keeps the passphrase out of arguments, environment, output and disk', async () => {
    const alice = peer('alice', ['--json', '--verbose']);
    await alice.until('she is in', ({ type }) => type === 'ready');
    const places = [...alice.lines, alice.complaints, ...contentsOf(join(folder, 'data'))];
    if (process.platform === 'linux') {
      const { pid } = alice.process;
      places.push(...['cmdline', 'environ'].map((name) => readFileSync(`/proc/${pid}/${name}`, 'latin1')));
    }
    // The user name is no secret: where it is found, the passphrase would be too.
    assert.ok(places.filter((text) => text.includes('alice')).length >= 3);
    assert.deepEqual(
      places.filter((text) => text.includes(passphrase)),
      [],
    );
    for (const path of pathsIn(join(folder, 'data'))) assert.equal(statSync(path).mode & 0o077, 0, path);
  });

  const refusals: { what: string; given: () => PeerProcess; code: number; says: RegExp }[] = [
    {
      what: 'a wrong passphrase',
      given: () => stranger({ passphrase: 'wrong' }),
      code: 3,
      says: /^Wrong passphrase\. Try again\.\n$/,
    },
    {
      what: 'an unknown user name',
      given: () => stranger({}),
      code: 4,
      says: /^There is no user dave at ws:.* With --register you take that name\.\n$/,
    },
    {
      what: 'a key whose name is another',
      given: () => stranger({ args: ['--register'] }),
      code: 4,
      says: /^This key has another user name than dave/,
    },
    {
      what: 'a name that is taken',
      given: () => stranger({ user: 'bob', key: 'erin', args: ['--register'] }),
      code: 4,
      says: /^That name is taken\. Choose another one\.\n$/,
    },
    {
      what: 'a name whose key is another',
      given: () => stranger({ user: 'bob' }),
      code: 4,
      says: /^bob at ws:\S+ has another key than this\.\n$/,
    },
    {
      what: 'a reserved name',
      given: () => stranger({ user: 'admin', key: 'erin', args: ['--register'] }),
      code: 4,
      says: /^That name cannot be used here\. Choose another one\.\n$/,
    },
    {
      what: 'a file that is not there',
      given: () => stranger({ key: 'nobody' }),
      code: 3,
      says: /^There is no file .*nobody\.asc\.\n$/,
    },
    {
      what: 'a public key',
      given: () => stranger({ key: 'public' }),
      code: 3,
      says: /^That is your public key\. .*--export-secret-keys/,
    },
    {
      what: 'no key at all',
      given: () => stranger({ key: 'none' }),
      code: 2,
      says: /^No key is kept here for dave .* --key FILE\.\n$/,
    },
    {
      what: 'no passphrase',
      given: () => stranger({ passphrase: 'none' }),
      code: 3,
      says: /^There is no terminal to ask for the passphrase\. Use --passphrase-fd N\.\n$/,
    },
    {
      what: 'a passphrase on a descriptor that is closed',
      given: () => stranger({ passphrase: 'none', args: ['--passphrase-fd', '77'] }),
      code: 3,
      says: /^The passphrase cannot be read from file descriptor 77/,
    },
    {
      what: 'an address that is none',
      given: () => stranger({ args: ['--node', 'http://chat.example'] }),
      code: 2,
      says: /^That is no address of a node\./,
    },
    {
      what: 'a link that is cut off',
      given: () => stranger({ args: ['--join', link.slice(0, -8)] }),
      code: 2,
      says: /^That is no invite link/,
    },
    {
      what: 'a flag that there is not',
      given: () => stranger({ args: ['--passphrase', 'secret'] }),
      code: 2,
      says: /^Unknown option '--passphrase'/,
    },
  ];
  for (const { what, given, code, says: sentence } of refusals) {
    it(`refuses ${what} with a sentence, and keeps nothing`, async () => {
      const dave = given();
      assert.deepEqual(await dave.ended, { code, signal: null });
      assert.match(dave.complaints, sentence);
      assert.deepEqual(dave.lines, []);
      assert.deepEqual(await accountsIn(join(folder, 'stranger')), []);
    });
  }

  it('says in JSON too why it ends', async () => {
    const dave = stranger({ args: ['--json'] });
    assert.equal((await dave.ended).code, 4);
    assert.equal(dave.happenings.at(-1)?.type, 'error');
    assert.deepEqual(
      dave.happenings.flatMap((one) => (one.type === 'error' ? [one.code] : [])),
      ['unknown-user'],
    );
  });

  it('refuses a folder that another peer uses', async () => {
    const first = peer('alice', ['--json']);
    await first.until('she is in', ({ type }) => type === 'ready');
    const second = peer('alice', []);
    assert.deepEqual(await second.ended, { code: 5, signal: null });
    assert.match(second.complaints, /^Another peer is using /);
  });

  it('says what a line cannot do, and goes on', async () => {
    const alice = peer('alice', ['--json']);
    for (const line of [
      '/fly',
      '/add nobody-of-that-name',
      '/group Strangers',
      `${'long '.repeat(4000)}`,
      '/nick \u202eeve',
      'still here',
    ])
      alice.say(line);
    await alice.until('she goes on', says('still here'));
    const codes = alice.happenings.flatMap((one) => (one.type === 'error' ? [one.code] : []));
    assert.deepEqual(codes, ['no-command', 'unknown-user', 'no-such-group', 'too-large', 'bad-text']);
  });

  it('tells that the node is away, tries again, and has kept what was written meanwhile', async () => {
    await node.stop();
    const alice = peer('alice', ['--json']);
    alice.say('written while the node was away');
    await alice.until('she says so', (one) => one.type === 'node' && one.state === 'offline' && one.code === 'unreachable');
    await alice.until('it is kept', says('written while the node was away'));
    await node.start();
    await alice.until('she is back', (one) => one.type === 'node' && one.state === 'connected');
    const bob = peer('bob', ['--json']);
    await bob.until('it came', says('written while the node was away'));
  });

  it('killed at any moment, it loses nothing that it printed and prints nothing twice', async () => {
    const most = 40;
    const shown = { alice: new Map<string, string>(), bob: new Map<string, string>() };
    /** Of all runs together: the same id a second time is a failure. */
    const collect = (of: PeerProcess, all: Map<string, string>) => {
      for (const message of of.messages()) {
        if (!message.text.startsWith('n')) continue;
        assert.ok(!all.has(message.id), `${authorAndText(message)} was printed twice`);
        all.set(message.id, message.text);
      }
    };
    let alice = peer('alice', ['--json']);
    let bob = peer('bob', ['--json']);
    let sent = 0;
    for (const [round, killed] of (['bob', 'bob', 'alice', 'bob', 'alice', 'none'] as const).entries()) {
      const goal = round === 5 ? most : sent + 6;
      for (; sent < goal; sent++) {
        const text = `n${sent}`;
        alice.say(text);
        await alice.until(`she printed ${text}`, says(text));
        // Not always at the same step of what bob does with it.
        if (killed === 'bob' && sent === goal - 2) await bob.until('he is at work', says(`n${sent - 1}`));
      }
      if (killed === 'bob') {
        await bob.kill();
        collect(bob, shown.bob);
        bob = peer('bob', ['--json']);
      } else if (killed === 'alice') {
        await alice.kill();
        collect(alice, shown.alice);
        alice = peer('alice', ['--json']);
      }
    }
    await bob.until('he has the last one', says(`n${most - 1}`));
    collect(alice, shown.alice);
    collect(bob, shown.bob);
    const all = Array.from({ length: most }, (_, i) => `n${i}`);
    assert.deepEqual([...shown.alice.values()], all);
    assert.deepEqual([...shown.bob.values()], all);
    assert.deepEqual([...shown.bob.keys()], [...shown.alice.keys()]);
  });

  type Given = { passphrase?: string; key?: string; data?: string };

  function key(name: string): string {
    return join(folder, `${name}.asc`);
  }

  /** 'none' for a passphrase or a key that is not given. */
  function peer(name: string, args: string[], given: Given = {}): PeerProcess {
    const { key: whose = name, data = join('data', name), passphrase: words = passphrase } = given;
    const keyFile = whose === 'none' ? [] : ['--key', key(whose)];
    const all = ['--node', node.origin, '--user', name, ...keyFile, '--data', join(folder, data), ...args];
    const started = new PeerProcess({ program, args: all, passphrase: words === 'none' ? undefined : words });
    running.push(started);
    return started;
  }

  /** Somebody with the key of alice and another user name, unless told otherwise. */
  function stranger({ user = 'dave', args = [], ...given }: Given & { user?: string; args?: string[] }): PeerProcess {
    return peer(user, args, { key: 'alice', data: 'stranger', ...given });
  }
});

function says(text: string): (happening: Happening) => boolean {
  return (happening) => happening.type === 'message' && happening.text === text;
}

function authorAndText({ author, text }: { author: string; text: string }): string {
  return `${author}: ${text}`;
}

async function accountsIn(folder: string): Promise<string[]> {
  const store = await openLmdbStore(join(folder, 'accounts'));
  const accounts = await listAccounts(store);
  await store.close();
  return accounts.map(({ username }) => username);
}

function pathsIn(folder: string): string[] {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

function contentsOf(folder: string): string[] {
  return pathsIn(folder).map((path) => readFileSync(path, 'latin1'));
}
