import { strict as assert } from 'node:assert';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BrowserPerson } from './browser-person.ts';
import { freePort, NodeProcess } from './node-process.ts';

describe('people who go, on the screen: two browsers and the real node', function () {
  this.timeout(60_000);
  const closing: (() => Promise<void>)[] = [];
  let url: string;

  before(async () => {
    const data = await mkdtemp(join(tmpdir(), 'secure-e2e-'));
    closing.push(() => rm(data, { recursive: true, force: true }));
    const port = await freePort();
    const node = new NodeProcess({ data, port, origins: [`ws://localhost:${port}`] });
    closing.push(() => node.kill('SIGTERM'));
    await node.start();
    url = `http://localhost:${port}/`;
  });

  after(async () => {
    for (const close of closing.reverse()) await close();
  });

  async function arrive(name: string): Promise<BrowserPerson> {
    const person = await BrowserPerson.arrive(name, url);
    closing.push(() => person.leave());
    await person.register();
    return person;
  }

  it('alice removes bob: both screens say so, bob cannot write there any more, and keeps what he read', async () => {
    const [alice, bob] = await Promise.all([arrive('alice'), arrive('bob')]);
    await alice.createGroup('Boat');
    await alice.addByName('bob');
    await bob.opensGroup('Boat');
    await alice.page.getByText('1 other, reachable').waitFor({ timeout: 20_000 });
    await alice.say('see you on Sunday');
    await bob.reads('see you on Sunday');
    await alice.removes('bob');
    await bob.page.getByRole('main').getByText('You were removed from this group. What you have read stays here.').waitFor();
    await alice.reads('alice removed bob');
    await alice.page.getByText('Only you are here yet').waitFor();
    assert.equal(await bob.page.getByRole('textbox').count(), 0);
    await alice.say('bob is gone');
    await alice.reads('bob is gone');
    await bob.reads('alice removed bob');
    assert.deepEqual(await bob.texts(), ['see you on Sunday']);
    await bob.comesBack();
    await bob.logIn();
    await bob.seesChat();
    await bob.opensGroup('Boat');
    await bob.reads('see you on Sunday');
    await bob.sees('You were removed from this group.');
    for (const person of [alice, bob]) assert.deepEqual(person.complaints, [], person.name);
  });
});
