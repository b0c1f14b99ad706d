// Secret keys as people have them: made by the real GnuPG, then deformed by mail clients, editors and accidents.
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { readArmor } from '../keys/armor.ts';
import { localKeyAgent } from '../keys/key-agent.ts';
import { importSecretKey } from '../keys/key-import.ts';
import { explain, KeyRefusal } from '../keys/key-refusal.ts';
import { type Packet, packetTag, readPackets } from '../keys/packets.ts';
import { concat, equal, hex, utf8 } from '../wire/bytes.ts';
import { Gpg } from './gpg.ts';

const passphrase = 'correct horse';
/** When this file begins, which in a whole run is long after it was read. */
let now = 0;
const context = new Uint8Array(64).fill(7);
const body = new Uint8Array(32).fill(9);

type Part = readonly [algorithm: string, usage: string, expiry?: string];

describe('importing a secret key', () => {
  let gpg: Gpg;
  const armored = new Map<string, string>();
  const fingerprints = new Map<string, string>();

  async function make(
    name: string,
    parts: readonly Part[],
    options: { at?: string; without?: 'passphrase' } = {},
  ): Promise<void> {
    const secret = ['--passphrase', options.without === 'passphrase' ? '' : passphrase];
    const clock = options.at === undefined ? [] : ['--faked-system-time', `${options.at}!`];
    const run = (...args: string[]) => gpg.run([...secret, ...clock, '--status-fd', '1', ...args]);
    const [[algorithm, usage, expiry] = ['ed25519', 'cert,sign'], ...subkeys] = parts;
    const status = await run('--quick-generate-key', `${name} <${name}@example.org>`, algorithm, usage, expiry ?? 'never');
    const fingerprint = /KEY_CREATED \w ([0-9A-F]{40})/.exec(status)?.[1] ?? '';
    fingerprints.set(name, fingerprint);
    for (const part of subkeys) await run('--quick-add-key', fingerprint, part[0], part[1], part[2] ?? 'never');
    await exported(name);
  }

  async function exported(name: string, how = '--export-secret-keys', as = name): Promise<void> {
    armored.set(as, await gpg.run(['--passphrase', passphrase, '--armor', how, fingerprints.get(name) ?? '']));
  }

  const text = (name: string) => armored.get(name) ?? assert.fail(`no key ${name}`);
  const binary = (name: string) => {
    const [block] = readArmor(text(name));
    return block !== undefined && 'bytes' in block ? block.bytes : assert.fail(`no armor in ${name}`);
  };

  before(async function () {
    this.timeout(120_000);
    now = Date.now();
    gpg = new Gpg();
    await writeFile(join(gpg.home, 'gpg-agent.conf'), 'debug-quick-random\ns2k-count 65536\n'); // fifty times faster
    await make('rsa4096', [
      ['rsa4096', 'cert,sign'],
      ['rsa4096', 'encr'],
    ]);
    await make('rsa3072', [
      ['rsa3072', 'cert,sign'],
      ['rsa3072', 'encr'],
    ]);
    await make('rsa-single', [['rsa2048', 'cert,sign,encr']]);
    await make('ed25519', [
      ['ed25519', 'cert,sign'],
      ['cv25519', 'encr'],
    ]);
    await make('p256', [
      ['nistp256', 'cert,sign'],
      ['nistp256', 'encr'],
    ]);
    await make('p521', [
      ['nistp521', 'cert,sign'],
      ['nistp521', 'encr'],
    ]);
    await make('brainpool', [
      ['brainpoolP256r1', 'cert,sign'],
      ['brainpoolP256r1', 'encr'],
    ]);
    await make('subkeys', [
      ['ed25519', 'cert'],
      ['ed25519', 'sign'],
      ['cv25519', 'encr'],
      ['rsa2048', 'encr'],
      ['cv25519', 'encr'],
    ]);
    await make(
      'no-passphrase',
      [
        ['ed25519', 'cert,sign'],
        ['cv25519', 'encr'],
      ],
      { without: 'passphrase' },
    );
    await exported('subkeys', '--export-secret-subkeys', 'offline-primary');
    await make(
      'renewed',
      [
        ['ed25519', 'cert,sign'],
        ['cv25519', 'encr', '1y'],
      ],
      { at: '20200101T000000' },
    );
    await gpg.run(['--passphrase', passphrase, '--quick-add-key', fingerprints.get('renewed') ?? '', 'cv25519', 'encr', 'never']);
    await exported('renewed');
    await make(
      'expired',
      [
        ['ed25519', 'cert,sign', '1y'],
        ['cv25519', 'encr'],
      ],
      { at: '20200101T000000' },
    );
    await make(
      'encryption-expired',
      [
        ['ed25519', 'cert,sign'],
        ['cv25519', 'encr', '1y'],
      ],
      { at: '20200101T000000' },
    );
    await make(
      'future',
      [
        ['ed25519', 'cert,sign'],
        ['cv25519', 'encr'],
      ],
      { at: '20900101T000000' },
    );
    await make('revoked', [
      ['ed25519', 'cert,sign'],
      ['cv25519', 'encr'],
    ]);
    const revocation = await readFile(join(gpg.home, 'openpgp-revocs.d', `${fingerprints.get('revoked')}.rev`), 'utf8');
    armored.set('revocation', revocation);
    await gpg.run(['--import'], revocation.replace(/^:---/m, '---'));
    await exported('revoked');
    await make('encryption-revoked', [
      ['ed25519', 'cert,sign'],
      ['cv25519', 'encr'],
    ]);
    const edit = ['--no-batch', '--passphrase', passphrase, '--command-fd', '0', '--edit-key'];
    await gpg.run([...edit, fingerprints.get('encryption-revoked') ?? ''], 'key 1\nrevkey\ny\n0\n\ny\nsave\n');
    await exported('encryption-revoked');
    await make('two-signers', [
      ['ed25519', 'cert,sign'],
      ['cv25519', 'encr'],
      ['ed25519', 'sign'],
    ]);
    await make('sign-only', [['ed25519', 'cert,sign']]);
    await make('no-signing', [
      ['ed25519', 'cert'],
      ['cv25519', 'encr'],
    ]);
    await make('rsa1024', [
      ['rsa1024', 'cert,sign'],
      ['rsa1024', 'encr'],
    ]);
    await make('dsa', [
      ['dsa2048', 'cert,sign'],
      ['elg2048', 'encr'],
    ]);
    await make('secp256k1', [
      ['secp256k1', 'cert,sign'],
      ['secp256k1', 'encr'],
    ]);
  });

  after(() => gpg.dispose());

  const ready: Record<string, { algorithm: string; needsPassphrase?: false }> = {
    rsa4096: { algorithm: 'RSA 4096' },
    rsa3072: { algorithm: 'RSA 3072' },
    'rsa-single': { algorithm: 'RSA 2048' },
    ed25519: { algorithm: 'Ed25519' },
    p256: { algorithm: 'NIST P-256' },
    p521: { algorithm: 'NIST P-521' },
    brainpool: { algorithm: 'Brainpool P-256' },
    subkeys: { algorithm: 'Ed25519' },
    'no-passphrase': { algorithm: 'Ed25519', needsPassphrase: false },
    'offline-primary': { algorithm: 'Ed25519' },
    renewed: { algorithm: 'Ed25519' },
  };

  for (const [name, { algorithm, needsPassphrase = true }] of Object.entries(ready)) {
    it(`takes ${name} from gpg, and the key logs in and certifies`, async () => {
      const result = await importSecretKey(utf8(text(name)), now);
      assert.equal(result.outcome, 'ready', JSON.stringify(result));
      if (result.outcome !== 'ready') return;
      assert.equal(result.facts.algorithm, algorithm);
      assert.equal(result.needsPassphrase, needsPassphrase);
      assert.equal(result.facts.fingerprint.toUpperCase(), fingerprints.get(name === 'offline-primary' ? 'subkeys' : name));

      const agent = localKeyAgent();
      if (needsPassphrase) {
        await assert.rejects(agent.unlock({ secretKey: result.secretKey, passphrase: 'wrong' }), { code: 'wrong-passphrase' });
      }
      const { uid, certificate } = await agent.unlock({
        secretKey: result.secretKey,
        passphrase: needsPassphrase ? passphrase : '',
      });
      assert.deepEqual(uid, result.facts.uid);
      const fromGpg = await agent.stripCertificate(bytesOf(await gpg.run(['--armor', '--export', result.facts.fingerprint])));
      assert.deepEqual(certificate, fromGpg);

      const message = await agent.seal({ purpose: 'login challenge', context, body, certificates: [certificate], now });
      assert.deepEqual(await agent.open({ purpose: 'login challenge', context, message, now }), body);
      const signature = await agent.sign({ purpose: 'device-cert', body, now });
      await agent.verify({ purpose: 'device-cert', body, signature, certificate, now });
    });
  }

  it('tells which subkeys there are and which have a secret part', async () => {
    const result = await importSecretKey(utf8(text('offline-primary')), now);
    assert(result.outcome === 'ready');
    const facts = result.facts.subkeys.map((subkey) => Object.values(subkey).join(' '));
    assert.deepEqual(facts.sort(), [
      'Ed25519 true false true',
      'RSA 2048 false true true',
      'X25519 false true true',
      'X25519 false true true',
    ]);
    assert.deepEqual(result.facts.userIds, ['subkeys <subkeys@example.org>']);
  });

  it('locks a key that came without a passphrase, and its new passphrase opens it', async () => {
    const agent = localKeyAgent();
    const result = await agent.import(utf8(text('no-passphrase')), now);
    assert(result.outcome === 'ready');
    await agent.unlock({ secretKey: result.secretKey, passphrase: '' });
    await assert.rejects(agent.relock({ passphrase: '' }), { code: 'empty-passphrase' });
    const secretKey = await agent.relock({ passphrase: 'new one' });
    await agent.lock();
    await assert.rejects(agent.sign({ purpose: 'name-claim', body, now }), { code: 'locked' });
    await assert.rejects(agent.unlock({ secretKey, passphrase: '' }), { code: 'wrong-passphrase' });
    await agent.unlock({ secretKey, passphrase: 'new one' });
    const again = await agent.import(secretKey, now);
    assert(again.outcome === 'ready' && again.needsPassphrase);
  });

  const refused: Record<string, keyof typeof explain> = {
    expired: 'expired',
    'encryption-expired': 'encryption-expired',
    future: 'not-yet-valid',
    revoked: 'revoked',
    'encryption-revoked': 'encryption-revoked',
    'sign-only': 'no-encryption',
    'no-signing': 'no-signing',
    rsa1024: 'weak',
    dsa: 'weak',
    secp256k1: 'unsupported-key',
    revocation: 'revocation',
  };

  for (const [name, code] of Object.entries(refused)) {
    it(`refuses ${name} from gpg as ${code}`, async () => {
      assert.deepEqual(await importSecretKey(utf8(text(name)), now), { outcome: 'refused', code });
    });
  }

  it('refuses what is not a secret key, and says what it is', async () => {
    const key = fingerprints.get('ed25519') ?? '';
    const sign = ['--passphrase', passphrase, '--local-user', key, '--armor'];
    const encrypt = ['--armor', '--trust-model', 'always', '--recipient', key, '--encrypt'];
    await refusedAs('public-key', await gpg.run(['--armor', '--export', key]));
    await refusedAs('signature', await gpg.run([...sign, '--detach-sign'], 'hello'));
    await refusedAs('signature', await gpg.run([...sign, '--clear-sign'], 'hello'));
    await refusedAs('message', await gpg.run(encrypt, 'hello'));
    await refusedAs('message', await gpg.run(['--passphrase', 'x', '--armor', '--symmetric'], 'hello'));
    await refusedAs('empty', '');
    await refusedAs('empty', ' \n');
    await refusedAs('not-openpgp', 'my key');
    await refusedAs('not-openpgp', '-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----');
    await refusedAs('too-large', `${text('ed25519')}${' '.repeat(256 * 1024)}`);
  });

  async function refusedAs(code: keyof typeof explain, input: string | Uint8Array): Promise<void> {
    const result = await importSecretKey(typeof input === 'string' ? utf8(input) : input, now);
    assert.deepEqual(result, { outcome: 'refused', code });
  }

  it('takes every deformation that leaves the key whole', async () => {
    const whole = text('ed25519');
    const lines = whole.trim().split('\n');
    const utf16 = Buffer.from(`\ufeff${whole}`, 'utf16le');
    const deformed: Record<string, string | Uint8Array> = {
      binary: binary('ed25519'),
      'text around it': `Hello,\r\n\r\n${whole.replaceAll('\n', '\r\n')}\r\n-- \r\nBob`,
      'non-Latin text around it': `Ключ:\n${whole}\nпока`,
      'a byte order mark': `\ufeff${whole}`,
      'UTF-16 little-endian': utf16,
      'UTF-16 big-endian': Buffer.from(utf16).swap16(),
      'UTF-16 without a mark': Buffer.from(whole, 'utf16le'),
      'CRLF line ends': whole.replaceAll('\n', '\r\n'),
      'CR line ends': whole.replaceAll('\n', '\r'),
      indentation: lines.map((line) => `   ${line}`).join('\n'),
      quotation: lines.map((line) => `> > ${line}`).join('\n'),
      'no-break spaces': lines.map((line) => `\u00a0${line}\u00a0`).join('\n'),
      'zero-width spaces': lines.join('\u200b\n'),
      'one line': lines.join(' '),
      'one line with headers': [lines[0], 'Version: GnuPG v2 Comment: mine', ...lines.slice(1)].join(' '),
      headers: [lines[0], 'Version: GnuPG v2', 'Comment: https://example.org', ...lines.slice(1)].join('\n'),
      'no blank line': lines.filter((line) => line !== '').join('\n'),
      'no line breaks but the outer': `${lines[0]}\n\n${lines.slice(2, -2).join('')}\n${lines.at(-1)}`,
      'a blank line between all': lines.join('\n\n'),
      'a wrong checksum': whole.replace(/^=.{4}$/m, '=AAAA'),
      'no checksum': whole.replace(/^=.{4}\n/m, ''),
      'quoted-printable': whole.replaceAll('=', '=3D'),
      'typographic dashes': whole.replaceAll('-----', '\u2014\u2013'),
      'itself twice': whole + whole,
      'its public key beside it': (await gpg.run(['--armor', '--export', fingerprints.get('ed25519') ?? ''])) + whole,
      'a signature beside it': `${await gpg.run(['--passphrase', passphrase, '--armor', '--detach-sign'], 'x')}${whole}`,
    };
    const expected = await importSecretKey(utf8(whole), now);
    assert(expected.outcome === 'ready');
    for (const [name, input] of Object.entries(deformed)) {
      const result = await importSecretKey(typeof input === 'string' ? utf8(input) : input, now);
      assert.equal(result.outcome, 'ready', `${name}: ${JSON.stringify(result)}`);
      assert(result.outcome === 'ready' && equal(result.secretKey, expected.secretKey), name);
    }
  });

  it('says that a cut key is cut and a broken one broken', async () => {
    const whole = text('ed25519');
    const lines = whole.trim().split('\n');
    await refusedAs('truncated', lines.slice(0, 8).join('\n'));
    await refusedAs('truncated', lines.slice(0, -1).join('\n'));
    await refusedAs('truncated', binary('ed25519').slice(0, 300));
    await refusedAs('truncated', [...lines.slice(0, 8), ...lines.slice(-1)].join('\n'));
    await refusedAs('damaged', whole.replace(/^(.{200})./s, '$1*'));
    const flipped = binary('no-passphrase');
    flipped[70] = (flipped[70] ?? 0) ^ 1; // inside the unprotected secret numbers
    await refusedAs('damaged', flipped);

    const framed = readPackets(binary('no-passphrase'), 100);
    assert('packets' in framed);
    const [primary, ...rest] = framed.packets;
    assert(primary !== undefined);
    const publicLength = 51; // of Ed25519
    const secret = primary.body.slice(publicLength + 1, -2);
    secret[5] = (secret[5] ?? 0) ^ 1;
    const sum = secret.reduce((total, byte) => total + byte, 0);
    const changed = concat(primary.body.subarray(0, publicLength + 1), secret, Uint8Array.of((sum >> 8) & 255, sum & 255));
    await refusedAs('damaged', concat(Uint8Array.of(0xc5, changed.length), changed, ...rest.map(({ whole: each }) => each)));
  });

  it('lets the person choose among several keys', async () => {
    const keys = ['ed25519', 'p256', 'expired'];
    const expected = keys.map((name) => fingerprints.get(name)?.toLowerCase()).sort();
    const inputs = [utf8(keys.map(text).join('\n')), concat(...keys.map(binary)), utf8(keys.map(text).join('\n') + text('p256'))];
    for (const input of inputs) {
      const result = await importSecretKey(input, now);
      assert(result.outcome === 'choose', JSON.stringify(result));
      assert.deepEqual(result.keys.map((key) => key.fingerprint).sort(), expected);
      const chosen = result.keys.find((key) => key.userIds.includes('p256 <p256@example.org>'));
      const imported = await importSecretKey(chosen?.secretKey ?? new Uint8Array(), now);
      assert(imported.outcome === 'ready' && imported.facts.algorithm === 'NIST P-256');
    }
  });

  it('knows a card from protection that is only outdated, and takes a primary key on a card with subkeys in software', async () => {
    const isSecretPart = (packet: Packet) => isPrimary(packet) || isSubkey(packet);
    const withChecksum = (publicPart: Uint8Array, secretPart: Uint8Array) =>
      concat(publicPart, Uint8Array.of(255), secretPart.subarray(1));
    const withCamellia = (publicPart: Uint8Array, secretPart: Uint8Array) =>
      concat(publicPart, Uint8Array.of(254, 13), secretPart.subarray(2));
    await refusedAs('no-secret-material', rewritten(binary('ed25519'), isSecretPart, onCard));
    await refusedAs('subkey-secret-missing', rewritten(binary('ed25519'), isSubkey, onCard));
    await refusedAs('old-protection', rewritten(binary('ed25519'), isSecretPart, withChecksum));
    await refusedAs('old-protection', rewritten(binary('ed25519'), isSecretPart, withCamellia));
    await refusedAs('old-protection', rewritten(binary('ed25519'), isSubkey, withCamellia));

    const result = await importSecretKey(rewritten(binary('subkeys'), isPrimary, onCard), now);
    assert(result.outcome === 'ready', JSON.stringify(result));
    const agent = localKeyAgent();
    const { certificate } = await agent.unlock({ secretKey: result.secretKey, passphrase });
    const signature = await agent.sign({ purpose: 'device-cert', body, now });
    await agent.verify({ purpose: 'device-cert', body, signature, certificate, now });
    const message = await agent.seal({ purpose: 'welcome', context, body, certificates: [certificate], now });
    assert.deepEqual(await agent.open({ purpose: 'welcome', context, message, now }), body);
  });

  it('signs with the primary key in software when a newer signing subkey is on a card', async () => {
    const isLast = (packet: Packet, i: number) => i === 5 && isSubkey(packet);
    const result = await importSecretKey(rewritten(binary('two-signers'), isLast, onCard), now);
    assert(result.outcome === 'ready', JSON.stringify(result));
    assert.deepEqual(
      result.facts.subkeys.map((subkey) => subkey.hasSecret),
      [true, false],
    );
    const agent = localKeyAgent();
    const { certificate } = await agent.unlock({ secretKey: result.secretKey, passphrase });
    const signature = await agent.sign({ purpose: 'device-cert', body, now });
    await agent.verify({ purpose: 'device-cert', body, signature, certificate, now });
  });

  it('answers any bytes, random or mutated, and never throws', async function () {
    this.timeout(30_000);
    const codes = new Set(Object.keys(explain));
    const outcome = async (bytes: Uint8Array) => {
      const result = await importSecretKey(bytes, now);
      assert(result.outcome !== 'refused' || codes.has(result.code));
    };
    const files = ['ed25519', 'offline-primary', 'p256', 'no-passphrase'];
    const sources = files.flatMap((name) => [binary(name), utf8(text(name))]);
    await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), outcome), { numRuns: 300 });
    await fc.assert(fc.asyncProperty(fc.string({ maxLength: 300 }).map(utf8), outcome), { numRuns: 200 });
    await fc.assert(fc.asyncProperty(mutated(sources), outcome), { numRuns: 400 });
  });

  it('has words for every code', () => {
    for (const { what, mend } of Object.values(explain)) assert(what.length > 10 && mend.length > 5);
    assert.equal(new KeyRefusal('revoked').message, 'key refused: revoked');
  });

  /** Binary of an armored block. */
  function bytesOf(block: string): Uint8Array {
    const [first] = readArmor(block);
    return first !== undefined && 'bytes' in first ? first.bytes : assert.fail(block);
  }
});

/** The key with the bodies of the chosen protected packets made anew of their public and secret parts. */
function rewritten(
  key: Uint8Array,
  isChosen: (packet: Packet, i: number) => boolean,
  change: (publicPart: Uint8Array, secretPart: Uint8Array) => Uint8Array,
): Uint8Array {
  const framed = readPackets(key, 100);
  assert('packets' in framed);
  const packets = framed.packets.map((packet, i) => {
    if (!isChosen(packet, i)) return packet.whole;
    const at = hex(packet.body).search(/fe0[79]03/) / 2; // usage 254, AES, iterated S2K: where the secret part begins
    const body = change(packet.body.subarray(0, at), packet.body.subarray(at));
    return concat(Uint8Array.of(0xc0 | packet.tag, 255, 0, 0, body.length >> 8, body.length & 255), body);
  });
  return concat(...packets);
}

function mutated(sources: readonly Uint8Array[]): fc.Arbitrary<Uint8Array> {
  const change = fc.record({ at: fc.nat(), to: fc.nat(255), how: fc.constantFrom('set', 'cut', 'insert') });
  return fc.tuple(fc.constantFrom(...sources), fc.array(change, { minLength: 1, maxLength: 4 })).map(([source, changes]) =>
    changes.reduce((bytes, { at, to, how }) => {
      const place = at % (bytes.length + 1);
      const rest = bytes.subarray(how === 'insert' ? place : place + 1);
      return how === 'cut' ? bytes.subarray(0, place) : concat(bytes.subarray(0, place), Uint8Array.of(to), rest);
    }, source),
  );
}

function onCard(publicPart: Uint8Array): Uint8Array {
  return concat(publicPart, Uint8Array.of(255, 0, 101, 0, 0x47, 0x4e, 0x55, 2, 16), new Uint8Array(16).fill(1));
}

function isPrimary(packet: Packet): boolean {
  return packet.tag === packetTag.secretKey;
}

function isSubkey(packet: Packet): boolean {
  return packet.tag === packetTag.secretSubkey;
}
