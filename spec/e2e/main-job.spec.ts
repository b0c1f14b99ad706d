import { strict as assert } from 'node:assert';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Gid } from '../../wire/ids.ts';
import { Member, until } from '../crew.ts';
import { Gpg } from '../gpg.ts';
import { BrowserPerson } from './browser-person.ts';
import { freePort, NodeProcess } from './node-process.ts';
import { RecordingProxy } from './recording-proxy.ts';
import { secretsOf, traceOf } from './traces.ts';

const gpgPassphrase = 'seven green doors';
const groupName = 'Bicycle kitchen';
const nickname = 'Mistress of spokes';
const canary = 'a canary that the spec leaks on purpose';

describe('the main job: four people, three browsers, one terminal, a node that sees nothing', function () {
  this.timeout(240_000);
  const gpg = new Gpg();
  const closing: (() => Promise<void>)[] = [];
  let data: string;
  let node: NodeProcess;
  let proxy: RecordingProxy;
  let alice: BrowserPerson;
  let bob: BrowserPerson;
  let carol: BrowserPerson;
  let dave: Member;
  let gid: Gid;
  const said: string[] = [];

  before(async () => {
    data = await mkdtemp(join(tmpdir(), 'secure-e2e-'));
    const port = await freePort();
    proxy = await RecordingProxy.start(() => port);
    node = new NodeProcess({ data, port, origins: [`ws://localhost:${proxy.port}`] });
    await node.start();
  });

  after(async () => {
    for (const close of closing.reverse()) await close();
    await node.kill('SIGTERM');
    await proxy.close();
    await gpg.dispose();
    await rm(data, { recursive: true, force: true });
  });

  async function arrive(name: string): Promise<BrowserPerson> {
    const person = await BrowserPerson.arrive(name, `http://localhost:${proxy.port}/`);
    closing.push(() => person.leave());
    return person;
  }

  const browsers = () => [alice, bob, carol];

  async function everybodyReads(text: string): Promise<void> {
    said.push(text);
    await Promise.all(browsers().map((person) => person.reads(text)));
    await until(`dave reads "${text}"`, () => dave.texts(gid).includes(text));
  }

  /** All read all that was said since they are in, in the same order, once. */
  async function allAgree(): Promise<void> {
    const transcript = dave.texts(gid);
    for (const person of browsers()) assert.deepEqual(await person.texts(), transcript, person.name);
    assert.deepEqual([...transcript].sort(), [...said].sort());
  }

  it('alice registers with a key made in the browser; bob, carol and dave bring keys of gpg', async () => {
    await gpg.generate({ name: 'bob', algorithm: 'rsa4096', passphrase: gpgPassphrase });
    await gpg.generate({ name: 'carol', algorithm: 'ed25519', passphrase: gpgPassphrase });
    await gpg.generate({ name: 'dave', algorithm: 'ed25519', passphrase: gpgPassphrase });
    alice = await arrive('alice');
    await alice.register();
    bob = await arrive('bob');
    await bob.useKey(await gpg.exportSecret('bob'), gpgPassphrase);
    carol = await arrive('carol');
    await carol.useKey(await gpg.exportSecret('carol'), gpgPassphrase);
    dave = await Member.make('dave', {
      exported: { key: new TextEncoder().encode(await gpg.exportSecret('dave')), passphrase: gpgPassphrase },
    });
    closing.push(() => dave.close());
    await dave.open(`ws://localhost:${proxy.port}`);
  });

  it('alice makes a group: bob is added by name, carol and dave follow a link', async () => {
    await alice.createGroup(groupName);
    const link = await alice.inviteLink();
    await alice.addByName('bob');
    await carol.page.goto(link);
    await dave.chat.membership.followLink(link);
    await bob.opensGroup(groupName);
    await carol.page.getByRole('heading', { name: groupName }).waitFor({ timeout: 30_000 });
    await until('dave is in', () => dave.chat.membership.join?.state === 'joined', 30_000);
    const [group] = dave.chat.groups();
    assert.ok(group);
    gid = group.gid;
    for (const person of browsers()) await person.isLinkedWith(3);
    assert.equal(new URL(carol.page.url()).hash, '');
  });

  it('all read all, in the same order, once', async () => {
    await alice.say('good morning');
    await everybodyReads('good morning');
    await bob.say('the RSA key works');
    await everybodyReads('the RSA key works');
    await carol.say('and the one on a curve');
    await everybodyReads('and the one on a curve');
    await dave.group(gid).send({ kind: 'text', text: 'from a terminal' });
    await everybodyReads('from a terminal');
    await alice.setNickname(nickname);
    await Promise.all([alice, bob, carol].map((person) => person.say(`${person.name} at once`)));
    for (const { name } of browsers()) await everybodyReads(`${name} at once`);
    await allAgree();
    await alice.sees('Delivered to all 3');
  });

  it('bob reloads his tab and logs in again: his history is there, and the chat goes on', async () => {
    await bob.page.reload();
    await bob.logIn(gpgPassphrase);
    await bob.seesChat();
    await bob.opensGroup(groupName);
    await bob.reads('good morning');
    await bob.isLinkedWith(3);
    await bob.say('back again');
    await everybodyReads('back again');
    await allAgree();
  });

  it('a wrong passphrase is said to be wrong, and opens nothing', async () => {
    await carol.page.reload();
    await carol.logIn('seven green windows');
    await carol.sees('That passphrase is wrong. Try again.');
    await carol.logIn(gpgPassphrase);
    await carol.seesChat();
    await carol.opensGroup(groupName);
    await carol.isLinkedWith(3);
  });

  it('the node is killed: those who are linked chat on; it comes back, and all resume by themselves', async () => {
    await node.kill('SIGKILL');
    await alice.sees(/cannot be reached|connection to the node was lost/);
    await alice.say('nobody home');
    await everybodyReads('nobody home');
    await dave.group(gid).send({ kind: 'text', text: 'we go on' });
    await everybodyReads('we go on');
    await node.start();
    for (const person of browsers()) await person.sees('Connected');
    await until('dave is back', () => dave.chat.client.state.state === 'connected');
    await carol.say('all here');
    await everybodyReads('all here');
    await allAgree();
  });

  it('what carol writes while nobody is linked with her arrives, in order, after her tab was closed', async () => {
    await alice.away();
    await bob.away();
    await dave.close();
    await carol.isLinkedWith(0);
    for (const text of ['is anybody there', 'I will wait', 'good night']) {
      await carol.say(text);
      await carol.reads(text);
      said.push(text);
    }
    await carol.away();
    await dave.open(`ws://localhost:${proxy.port}`, 'resume');
    await carol.comesBack();
    await carol.logIn(gpgPassphrase);
    await carol.seesChat();
    await carol.opensGroup(groupName);
    await until('dave reads them', () => dave.texts(gid).includes('good night'), 30_000);
    await alice.comesBack();
    await alice.logIn();
    await alice.seesChat();
    await alice.opensGroup(groupName);
    await bob.comesBack();
    await bob.logIn(gpgPassphrase);
    await bob.seesChat();
    await bob.opensGroup(groupName);
    await Promise.all(browsers().map((person) => person.reads('good night')));
    await allAgree();
    assert.deepEqual(dave.texts(gid).slice(-3), ['is anybody there', 'I will wait', 'good night']);
  });

  it('nothing that passed the node, or lies in its store, is what it must not know; the canary is found', async () => {
    const box = { of: 'person', uid: dave.chat.me.uid } as const;
    await dave.chat.client.request({ type: 'post-mail', box, body: new TextEncoder().encode(canary) });
    const secrets = await secretsOf({ member: dave, gid, gpg, names: ['bob', 'carol', 'dave'], passphrase: gpgPassphrase });
    const words = [...said, groupName, nickname, gpgPassphrase, 'four blue horses sing'].map((text) => ({
      what: text,
      bytes: Buffer.from(text),
    }));
    await node.kill('SIGTERM');
    const places = [
      { name: 'what passed', bytes: Buffer.concat(proxy.recorded) },
      ...(await filesOf(data)),
      { name: 'the log', bytes: Buffer.from(node.lines.join('\n')) },
    ];
    assert.ok(places[0] !== undefined && places[0].bytes.length > 100_000);
    for (const { what, bytes } of [...words, ...secrets]) {
      for (const place of places) assert.equal(traceOf(bytes, place.bytes), undefined, `${what} in ${place.name}`);
    }
    const found = places.filter((place) => traceOf(Buffer.from(canary), place.bytes) !== undefined).map(({ name }) => name);
    assert.ok(
      found.includes('what passed') && found.some((name) => name.endsWith('.mdb')),
      `the canary was seen in ${found.join()}`,
    );
  });

  it('no page complained of anything', () => {
    for (const person of browsers()) assert.deepEqual(person.complaints, [], person.name);
    assert.deepEqual(dave.surprises, []);
  });
});

async function filesOf(folder: string): Promise<{ name: string; bytes: Buffer }[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return Promise.all(files.map(async (name) => ({ name, bytes: await readFile(name) })));
}
