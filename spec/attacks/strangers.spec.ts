// Attacks on the node by whoever has a socket: connections without a word, crowds that do not log in, and what they make it compute or keep.
import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
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
});
