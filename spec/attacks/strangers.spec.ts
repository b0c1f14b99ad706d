// Attacks on the node by whoever has a socket: connections without a word, crowds that do not log in, and what they make it compute or keep.
import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { ManualClock } from '../fakes.ts';
import type { Purpose } from '../node-client.ts';
import { type Person, person } from '../people.ts';
import { bytes, NodeUnderTest } from '../running-node.ts';

describe('Strangers', function () {
  this.timeout(30_000);
  let under: NodeUnderTest;
  const open: Socket[] = [];

  beforeEach(async () => {
    under = await NodeUnderTest.start();
  });
  afterEach(async () => {
    for (const socket of open.splice(0)) socket.destroy();
    await under.dispose();
  });

  async function connection(host: string): Promise<{ socket: Socket; ended: Promise<void> }> {
    const socket = connect(under.port, host);
    open.push(socket);
    socket.on('error', () => undefined);
    socket.resume();
    const ended = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    await new Promise<void>((resolve) => socket.once('connect', resolve));
    return { socket, ended };
  }

  async function isAnswered(host: string): Promise<boolean> {
    const { socket, ended } = await connection(host);
    const answer = new Promise<true>((resolve) => socket.once('data', () => resolve(true)));
    socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
    return Promise.race([answer, ended.then(() => false)]);
  }

  it('who only connect get so many connections of one address, and leave the others theirs', async function () {
    const own = Object.values(networkInterfaces()).flatMap((all) => all ?? []);
    const host = own.find(({ internal, family }) => !internal && family === 'IPv4')?.address;
    // Loopback is not held to it, and a machine without a network has nothing else.
    if (host === undefined) return this.skip();
    await under.stop();
    await under.startAgain({ host: '0.0.0.0', limits: { connectionsPerAddress: 5 } });
    const crowd = await Promise.all([1, 2, 3, 4, 5].map(() => connection(host)));
    await (await connection(host)).ended;
    await under.dial();
    assert.ok(crowd.every(({ socket }) => !socket.destroyed));
    crowd[0]?.socket.destroy();
    await crowd[0]?.ended;
    // The node may hear of that a moment later.
    while (!(await isAnswered(host)));
  });

  it('who connect and say nothing, or half a request, are not waited for', async () => {
    await under.stop();
    await under.startAgain({ limits: { helloTime: 100 } });
    const silent = await connection('127.0.0.1');
    const slow = await connection('127.0.0.1');
    slow.socket.write('GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ');
    await Promise.all([silent.ended, slow.ended]);
  });

  it('who send more than any login needs are cut off, though no message is whole', async () => {
    const client = await under.dial();
    for (let i = 0; i < 20; i++) client.socket.send(bytes(4_000, 1), { fin: false });
    for (let second = 0; second < 9; second++) await under.clock.advance(1_000);
    assert.equal(await client.closed, 1006);
    assert.ok(under.lines.includes('a stranger says too much, cut off (busy)'));
  });

  describe('of one address', () => {
    let alice: Person;
    let bob: Person;

    before(async () => {
      const now = new ManualClock().now();
      alice = await person('alice', now);
      bob = await person('bob', now);
    });
    beforeEach(async () => {
      await under.in(alice);
      await under.stop();
    });

    /** What the node says to a hello that comes from there. */
    async function hello(address: string, who: Person, purpose: Purpose): Promise<string> {
      const client = await under.dial({ 'x-forwarded-for': address });
      client.hello({ port: under.port, person: who, purpose });
      const answer = await client.next('node-hello', 'refused');
      if (answer.type === 'refused') return answer.code;
      await client.close();
      return 'greeted';
    }
    const nobody = (i: number) => ({ ...bob, username: `nobody${i}` });

    it('cannot walk through the names, by logging in or by registering', async () => {
      await under.startAgain({ limits: { wrongNamesPerHour: 4, loginsBurst: 100 } });
      for (let i = 0; i < 3; i++) assert.equal(await hello('192.0.2.1', nobody(i), 'login'), 'unknown-user');
      assert.equal(await hello('192.0.2.1', alice, 'login'), 'greeted');
      assert.equal(await hello('192.0.2.1', { ...bob, username: 'alice' }, 'register'), 'name-taken');
      // Now a name that exists looks like one that does not.
      for (const who of [nobody(4), alice]) assert.equal(await hello('192.0.2.1', who, 'login'), 'rate-limited');
      assert.equal(await hello('192.0.2.1', { ...bob, username: 'alice' }, 'register'), 'rate-limited');
      // Who was in before comes back, others are not held up, and it ends.
      assert.equal(await hello('192.0.2.1', alice, 'resume'), 'greeted');
      assert.equal(await hello('192.0.2.2', alice, 'login'), 'greeted');
      await under.clock.advance(15 * 60_000);
      assert.equal(await hello('192.0.2.1', alice, 'login'), 'greeted');
    });

    it('have so many certificates looked at in an hour', async () => {
      await under.startAgain({ limits: { registrationsPerHour: 3 } });
      for (let i = 0; i < 3; i++) assert.equal(await hello('192.0.2.1', nobody(i), 'register'), 'greeted');
      assert.equal(await hello('192.0.2.1', bob, 'register'), 'rate-limited');
      assert.equal(await hello('192.0.2.1', alice, 'login'), 'greeted');
      assert.equal(await hello('192.0.2.2', bob, 'register'), 'greeted');
    });

    it('come back as known devices so often, and unknown ones as often as they may log in', async () => {
      await under.startAgain({ limits: { resumesBurst: 5, resumesPerSecond: 1, loginsBurst: 2 } });
      for (let i = 0; i < 3; i++) assert.equal(await hello('192.0.2.1', alice, 'resume'), 'greeted');
      for (let i = 0; i < 2; i++) assert.equal(await hello('192.0.2.1', bob, 'resume'), 'greeted');
      assert.equal(await hello('192.0.2.1', alice, 'resume'), 'rate-limited');
      await under.clock.advance(1_000);
      assert.equal(await hello('192.0.2.1', alice, 'resume'), 'greeted');
      await under.clock.advance(500);
      assert.equal(await hello('192.0.2.2', bob, 'resume'), 'greeted');
    });
  });
});
