// The fakes do what the contracts cannot show: time by hand, promises that settle, cuts, killed processes, nodes that stop.
import assert from 'node:assert/strict';
import { driveLink, driveSocket, type TestedLink } from './contract-drivers.ts';
import { ManualClock, seededRandom, VirtualNetwork } from './fakes.ts';
import { settle } from './settle.ts';
import { silenceUntilClosed } from './virtual-network.ts';

describe('a clock driven by hand', () => {
  it('lets promises and WebCrypto settle between timers', async () => {
    const clock = new ManualClock();
    const happened: string[] = [];
    clock.after(10, () => {
      void crypto.subtle.digest('SHA-256', new Uint8Array(100_000)).then(async () => {
        await crypto.subtle.digest('SHA-256', new Uint8Array(10));
        happened.push(`hashed at ${clock.now() - start}`);
        clock.after(5, () => happened.push(`and later at ${clock.now() - start}`));
      });
    });
    clock.after(20, () => happened.push(`next at ${clock.now() - start}`));
    const start = clock.now();
    await clock.advance(30);
    assert.deepEqual(happened, ['hashed at 10', 'and later at 15', 'next at 20']);
    assert.equal(clock.now() - start, 30);
  });

  it('goes as far as it must, and says when that is too far', async () => {
    const clock = new ManualClock();
    const start = clock.now();
    let ticks = 0;
    const tick = () => {
      ticks++;
      clock.after(7, tick);
    };
    tick();
    await clock.advanceUntil(() => ticks === 4);
    assert.equal(clock.now() - start, 21);
    await assert.rejects(
      clock.advanceUntil(() => ticks === 1000, 700),
      /did not happen within 700 ms/,
    );
  });
});

describe('a virtual network', () => {
  let clock: ManualClock;
  let network: VirtualNetwork;
  beforeEach(() => {
    clock = new ManualClock();
    network = new VirtualNetwork({ clock, random: seededRandom(4) });
  });

  /** Links two devices; signals reach each other at once. */
  const link = (offererName: string, answererName: string) => {
    let ends: TestedLink[] = [];
    const passed = [0, 0];
    const pass = () => {
      for (const [i, end] of ends.entries()) {
        for (; (passed[i] ?? 0) < end.diary.signals.length; passed[i] = (passed[i] ?? 0) + 1) {
          const signal = end.diary.signals[passed[i] ?? 0];
          if (signal !== undefined) void ends[1 - i]?.signal(signal);
        }
      }
    };
    const answerer = driveLink(network.device(answererName).openLink, 'answerer', pass);
    const offerer = driveLink(network.device(offererName).openLink, 'offerer', pass);
    ends = [offerer, answerer];
    return { offerer, answerer };
  };
  const openLink = async (a: string, b: string) => {
    const ends = link(a, b);
    await clock.advanceUntil(() => ends.offerer.diary.opened.length + ends.answerer.diary.opened.length === 2);
    return ends;
  };

  it('takes the time it is told to', async () => {
    network.latency = () => 100;
    const { offerer, answerer } = await openLink('alice', 'bob');
    const sent = clock.now();
    await offerer.send(new Uint8Array(50_000));
    await clock.advanceUntil(() => answerer.diary.messages.length === 1);
    assert.equal(clock.now() - sent, 150);
  });

  it('holds back what is on its way while it is cut, and delivers it in order when it is healed', async () => {
    const { offerer, answerer } = await openLink('alice', 'bob');
    const { answerer: carol } = await openLink('alice', 'carol');
    network.cut('alice', 'bob');
    for (let i = 1; i <= 3; i++) await offerer.send(Uint8Array.of(i));
    await clock.advance(silenceUntilClosed - 1000);
    assert.equal(answerer.diary.messages.length, 0);
    network.heal('alice', 'bob');
    await settle();
    assert.deepEqual(
      answerer.diary.messages.map(([first]) => first),
      [1, 2, 3],
    );
    await clock.advance(10 * silenceUntilClosed);
    assert.deepEqual(
      [offerer, answerer, carol].map(({ diary }) => diary.closed),
      [[], [], []],
    );
  });

  it('closes links that are cut for long, at both ends, and lets nobody link until it is healed', async () => {
    const { offerer, answerer } = await openLink('alice', 'bob');
    network.cut('bob');
    const meanwhile = link('alice', 'bob');
    await clock.advance(silenceUntilClosed);
    assert.deepEqual([offerer.diary.closed, answerer.diary.closed], [['silent'], ['silent']]);
    assert.deepEqual(meanwhile.offerer.diary.opened, []);
    network.heal('bob');
    await clock.advanceUntil(() => meanwhile.offerer.diary.opened.length === 1);
  });

  it('never opens a link that may not connect', async () => {
    network.connects = (offerer) => offerer !== 'alice';
    const { offerer, answerer } = link('alice', 'bob');
    await clock.advance(60_000);
    assert.deepEqual([offerer.diary.opened, answerer.diary.opened, offerer.diary.closed], [[], [], []]);
    await openLink('bob', 'alice');
  });

  it('breaks links at once where it is told to', async () => {
    const { offerer, answerer } = await openLink('alice', 'bob');
    network.breakLinks('bob', 'alice');
    await settle();
    assert.deepEqual([offerer.diary.closed, answerer.diary.closed], [['connection reset'], ['connection reset']]);
    assert.equal(network.linksOf('alice'), 0);
  });

  it('lets a process die without a word: its links fall silent, its sockets close at the node', async () => {
    const atNode: string[] = [];
    network.startNode('wss://node.example', (_, device) => ({
      message: () => atNode.push(`message of ${device}`),
      closed: (reason) => atNode.push(`${device}: ${reason}`),
    }));
    const socket = driveSocket(network.device('alice').dialSocket, 'wss://node.example', () => undefined);
    const { offerer, answerer } = await openLink('alice', 'bob');
    await socket.send(Uint8Array.of(1));
    await clock.advance(100);
    network.kill('alice');
    await clock.advance(silenceUntilClosed);
    assert.deepEqual(atNode, ['message of alice', 'alice: connection lost']);
    assert.deepEqual(answerer.diary.closed, ['silent']);
    assert.deepEqual([offerer.diary.closed, socket.diary.closed], [[], []], 'the dead hear nothing');
    await openLink('alice', 'bob');
  });

  it('lets a node stop and start again', async () => {
    const accept = () => ({ message: () => undefined, closed: () => undefined });
    const dial = () => driveSocket(network.device('alice').dialSocket, 'wss://node.example', () => undefined);
    network.startNode('wss://node.example', accept);
    const first = dial();
    await clock.advance(100);
    network.stopNode('wss://node.example');
    const second = dial();
    await clock.advance(100);
    assert.deepEqual([first.diary.closed, second.diary.closed], [['connection lost'], ['refused']]);
    network.startNode('wss://node.example', accept);
    const third = dial();
    await clock.advance(100);
    assert.equal(third.diary.opened, 1);
  });
});
