// What each port of mesh/ports.ts promises, as specs that run against every implementation of it.
import assert from 'node:assert/strict';
import type { Clock, LinkSignal, Random, Store, StoreKey } from '../mesh/ports.ts';
import { StoreFailure } from '../mesh/store-failure.ts';
import { limits } from '../wire/limits.ts';
import type { StartLink, StartSocket, TestedLink, TestedSocket } from './contract-drivers.ts';

/** Resolves when `done()`: by moving a virtual clock, or by looking again whenever something was heard. */
export type Until = (done: () => boolean) => Promise<void>;

// ---- links

export type LinkWorld = { offerer: StartLink; answerer: StartLink; until?: Until; close?(): Promise<void> };

type Pair = { offerer: TestedLink; answerer: TestedLink; until: Until };

export function linkContract(name: string, openWorld: () => Promise<LinkWorld>): void {
  describe(`a link: ${name}`, () => {
    let world: LinkWorld;
    let pairs: Pair[] = [];

    before(async () => {
      world = await openWorld();
    });
    afterEach(async () => {
      for (const { offerer, answerer, until } of pairs) {
        await Promise.all([offerer.close(), answerer.close()]);
        await until(() => offerer.diary.closed.length > 0 && answerer.diary.closed.length > 0);
        for (const { diary } of [offerer, answerer]) {
          assert.equal(diary.closed.length, 1, 'said closed once');
          assert.equal(diary.late, 0, 'said nothing once it was closed');
          assert.equal(diary.nested, 0, 'said nothing from within a call');
        }
      }
      pairs = [];
    });
    after(() => world.close?.());

    /** Two links whose signals reach each other, changed on the way by `onTheWay`. */
    const start = async (onTheWay: (signal: LinkSignal) => LinkSignal | undefined = (signal) => signal): Promise<Pair> => {
      const heard = new Set<() => void>();
      const passed = { offerer: 0, answerer: 0 };
      const passSignals = () => {
        if (pair === undefined) return;
        passed.offerer = passOn(pair.offerer, pair.answerer, passed.offerer, onTheWay);
        passed.answerer = passOn(pair.answerer, pair.offerer, passed.answerer, onTheWay);
      };
      const hear = () => {
        passSignals();
        for (const look of [...heard]) look();
      };
      let pair: Pair | undefined;
      const answerer = await world.answerer('answerer', hear);
      const offerer = await world.offerer('offerer', hear);
      pair = { offerer, answerer, until: world.until ?? ((done) => untilHeard(heard, done)) };
      pairs.push(pair);
      hear();
      return pair;
    };
    const openPair = async (): Promise<Pair> => {
      const pair = await start();
      await pair.until(() => pair.offerer.diary.opened.length > 0 && pair.answerer.diary.opened.length > 0);
      return pair;
    };

    it('opens, and each end knows both certificates', async () => {
      const { offerer, answerer } = await openPair();
      const [atOfferer] = offerer.diary.opened;
      const [atAnswerer] = answerer.diary.opened;
      assert.equal(atOfferer?.local.length, 32);
      assert.deepEqual(atOfferer?.local, atAnswerer?.remote);
      assert.deepEqual(atOfferer?.remote, atAnswerer?.local);
      assert.notDeepEqual(atOfferer?.local, new Uint8Array(32));
      assert.equal(await offerer.route(), 'direct');
      assert.equal(await answerer.route(), 'direct');
    });

    it('carries whole messages in order, both ways, from one byte to the largest', async () => {
      const { offerer, answerer, until } = await openPair();
      const sizes = [1, 2, 255, 4096, limits.linkMessageBytes, 17];
      const messages = sizes.map((size, i) => Uint8Array.from({ length: size }, (_, at) => (at * 7 + i) % 256));
      for (const message of messages) {
        assert.equal((await offerer.send(message)).last, 'sent');
        assert.equal((await answerer.send(message)).last, 'sent');
      }
      await until(() => offerer.diary.messages.length === sizes.length && answerer.diary.messages.length === sizes.length);
      assert.deepEqual(offerer.diary.messages, messages);
      assert.deepEqual(answerer.diary.messages, messages);
    });

    it('says full, then drained, and delivers exactly what it took', async () => {
      const { offerer, answerer, until } = await openPair();
      const message = new Uint8Array(60_000).fill(5);
      const { taken, last } = await offerer.send(message, 1000);
      assert.equal(last, 'full');
      assert.ok(taken >= 2 && taken < 1000, `took ${taken}`);
      await until(() => offerer.diary.drained > 0);
      assert.equal((await offerer.send(Uint8Array.of(9))).last, 'sent');
      await until(() => answerer.diary.messages.length > taken);
      assert.deepEqual(
        answerer.diary.messages.map(({ length }) => length),
        [...new Array<number>(taken).fill(60_000), 1],
      );
    });

    it('takes nothing before it is open, and says drained then', async () => {
      const pair = await start();
      assert.equal((await pair.offerer.send(Uint8Array.of(1))).last, 'full');
      await pair.until(() => pair.offerer.diary.drained > 0);
      assert.equal(pair.offerer.diary.opened.length, 1);
    });

    it('delivers what was sent just before it is closed, and closes at the other end', async () => {
      const { offerer, answerer, until } = await openPair();
      await answerer.send(Uint8Array.of(1, 2, 3));
      await answerer.close();
      await until(() => offerer.diary.closed.length > 0);
      assert.deepEqual(offerer.diary.messages, [Uint8Array.of(1, 2, 3)]);
      assert.equal((await offerer.send(Uint8Array.of(1))).last, 'closed');
      assert.equal((await answerer.send(Uint8Array.of(1))).last, 'closed');
      assert.equal(await offerer.route(), 'unknown');
    });

    it('closes for an own message that is empty or too large', async () => {
      const first = await openPair();
      assert.equal((await first.offerer.send(new Uint8Array(0))).last, 'closed');
      const second = await openPair();
      assert.equal((await second.answerer.send(new Uint8Array(limits.linkMessageBytes + 1))).last, 'closed');
    });

    it('never opens when the certificate is not the one that was promised', async () => {
      const pair = await start((signal) =>
        signal.kind === 'answer' ? { ...signal, sdp: otherFingerprint(signal.sdp) } : signal,
      );
      await pair.until(() => pair.offerer.diary.closed.length > 0);
      assert.equal(pair.offerer.diary.opened.length, 0);
      assert.equal(pair.answerer.diary.opened.length, 0);
    });

    it('closes for a description that is none, or not due', async () => {
      const garbled = await start((signal) => (signal.kind === 'offer' ? { kind: 'offer', sdp: 'v=0\r\n' } : undefined));
      await garbled.until(() => garbled.answerer.diary.closed.length > 0);

      const reflected = await start(() => undefined);
      await reflected.until(() => reflected.offerer.diary.signals.some(({ kind }) => kind === 'offer'));
      const [offer] = reflected.offerer.diary.signals;
      if (offer?.kind !== 'offer') throw new Error('an offer comes first');
      await reflected.offerer.signal(offer);
      await reflected.until(() => reflected.offerer.diary.closed.length > 0);
    });

    it('closes for signals of other kinds, which simple-peer would obey, and says no more', async () => {
      for (const kind of ['renegotiate', 'transceiverRequest', 'rollback']) {
        const { offerer, until } = await openPair();
        const said = offerer.diary.signals.length;
        await offerer.signal(JSON.parse(`{"kind":"${kind}","type":"${kind}","${kind}":true}`));
        await until(() => offerer.diary.closed.length > 0);
        assert.equal(offerer.diary.signals.length, said, kind);
      }
    });

    it('closes for a second answer, however late', async () => {
      const { offerer, answerer, until } = await openPair();
      const answer = answerer.diary.signals.find(({ kind }) => kind === 'answer');
      if (answer === undefined) throw new Error('there was an answer');
      await offerer.signal(answer);
      await until(() => offerer.diary.closed.length > 0);
    });
  });
}

function passOn(
  from: TestedLink,
  to: TestedLink,
  passed: number,
  onTheWay: (signal: LinkSignal) => LinkSignal | undefined,
): number {
  for (const signal of from.diary.signals.slice(passed)) {
    const changed = onTheWay(signal);
    if (changed !== undefined) void to.signal(changed);
  }
  return from.diary.signals.length;
}

function otherFingerprint(sdp: string): string {
  return sdp.replace(/(sha-256 )(..)/, (_, start: string, byte: string) => `${start}${byte === '00' ? '01' : '00'}`);
}

function untilHeard(heard: Set<() => void>, done: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const look = () => {
      if (!done()) return;
      heard.delete(look);
      resolve();
    };
    heard.add(look);
    look();
  });
}

// ---- sockets

/** A node that sends back what it gets, and does what a message says that begins with one of these bytes. */
export const askNode = { close: 0xc1, large: 0xc2, text: 0xc3 };
export type SocketWorld = {
  dial: StartSocket;
  /** Where the node is, and where nobody is. */
  origin: string;
  nowhere: string;
  until?: Until;
  close?(): Promise<void>;
};

/** `binaryOnly`: a world in which there is no text. */
export function socketContract(name: string, openWorld: () => Promise<SocketWorld>, { binaryOnly = false } = {}): void {
  describe(`a socket: ${name}`, () => {
    let world: SocketWorld;
    let dialled: { socket: TestedSocket; until: Until }[] = [];

    before(async () => {
      world = await openWorld();
    });
    afterEach(async () => {
      for (const { socket, until } of dialled) {
        await socket.close();
        await until(() => socket.diary.closed.length > 0);
        assert.equal(socket.diary.closed.length, 1, 'said closed once');
        assert.equal(socket.diary.late, 0, 'said nothing once it was closed');
        assert.equal(socket.diary.nested, 0, 'said nothing from within a call');
      }
      dialled = [];
    });
    after(() => world.close?.());

    const dial = async (origin: string) => {
      const heard = new Set<() => void>();
      const socket = await world.dial(origin, () => {
        for (const look of [...heard]) look();
      });
      const until = world.until ?? ((done: () => boolean) => untilHeard(heard, done));
      dialled.push({ socket, until });
      return { socket, until };
    };
    const open = async () => {
      const { socket, until } = await dial(world.origin);
      await until(() => socket.diary.opened === 1);
      return { socket, until };
    };

    it('carries whole messages in order, up to the largest', async () => {
      const { socket, until } = await open();
      const messages = [1, 1000, limits.socketMessageBytes, 3].map((size, i) => new Uint8Array(size).fill(i));
      for (const message of messages) await socket.send(message);
      await until(() => socket.diary.messages.length === messages.length);
      assert.deepEqual(socket.diary.messages, messages);
    });

    it('says closed and never opened where nobody is', async () => {
      const { socket, until } = await dial(world.nowhere);
      await until(() => socket.diary.closed.length > 0);
      assert.equal(socket.diary.opened, 0);
    });

    it('says closed when the node closes, and drops what is sent then', async () => {
      const { socket, until } = await open();
      await socket.send(Uint8Array.of(askNode.close));
      await until(() => socket.diary.closed.length > 0);
      await socket.send(Uint8Array.of(1));
      assert.equal(socket.diary.messages.length, 0);
    });

    it('hears nothing once it is closed here', async () => {
      const { socket, until } = await open();
      await socket.send(Uint8Array.of(1));
      await socket.close();
      await until(() => socket.diary.closed.length > 0);
      assert.equal(socket.diary.late, 0);
    });

    it('closes for a message that is too large', async () => {
      const { socket, until } = await open();
      await socket.send(Uint8Array.of(askNode.large));
      await until(() => socket.diary.closed.length > 0);
      assert.equal(socket.diary.messages.length, 0);
    });

    if (binaryOnly) return;
    it('closes for text', async () => {
      const { socket, until } = await open();
      await socket.send(Uint8Array.of(askNode.text));
      await until(() => socket.diary.closed.length > 0);
      assert.equal(socket.diary.messages.length, 0);
    });
  });
}

// ---- stores

export type StoreWorld = {
  /** An empty store. */
  open(): Promise<Store>;
  /** The same store after it was closed. */
  reopen(store: Store): Promise<Store>;
  close?(): Promise<void>;
};

export function storeContract(name: string, openWorld: () => Promise<StoreWorld>): void {
  describe(`a store: ${name}`, () => {
    let world: StoreWorld;
    let store: Store;

    before(async () => {
      world = await openWorld();
    });
    beforeEach(async () => {
      store = await world.open();
    });
    afterEach(() => store.close());
    after(() => world.close?.());

    const value = (...bytes: number[]) => Uint8Array.from(bytes);
    const keysOf = async (...range: Parameters<Store['range']>) => (await store.range(...range)).map(({ key }) => key);

    it('gives back what was put, until it is put again or removed', async () => {
      assert.equal(await store.get(['a']), undefined);
      await store.write([{ put: ['a'], value: value(1, 2) }]);
      assert.deepEqual(await store.get(['a']), value(1, 2));
      await store.write([{ put: ['a'], value: value() }]);
      assert.deepEqual(await store.get(['a']), value());
      await store.write([{ remove: ['a'] }, { remove: ['never there'] }]);
      assert.equal(await store.get(['a']), undefined);
    });

    it('keeps its own copy of the bytes', async () => {
      const bytes = new Uint8Array(1000).subarray(10, 12);
      const writing = store.write([{ put: ['a'], value: bytes }]);
      bytes.fill(9);
      await writing;
      const read = await store.get(['a']);
      assert.deepEqual(read, value(0, 0));
      assert.equal(read?.buffer.byteLength, 2, 'nothing around it is kept');
    });

    // Numbers before strings, by size; strings by code unit; a prefix before what it starts.
    const ordered: StoreKey[] = [
      [-2.5],
      [-1],
      [0],
      [0, 'x'],
      [1e-9],
      [2],
      [10],
      [2 ** 40],
      ['', 'x'],
      ['\u0000'],
      ['\u0000\u0000'],
      ['\u0001'],
      ['A'],
      ['a', -1, 'x'],
      ['a', 2],
      ['a', 10],
      ['a', 'b'],
      ['a', 'b', 0],
      ['a\u0000'],
      ['aa'],
      ['é'],
      ['\u{1f600}'],
      ['\uffff'],
    ];

    it('keeps keys in order', async () => {
      const shuffled = ordered.map((key, i) => ({ key, place: (i * 7) % ordered.length })).sort((a, b) => a.place - b.place);
      await store.write(shuffled.map(({ key }) => ({ put: key, value: value(1) })));
      assert.deepEqual(await keysOf([]), ordered);
      assert.deepEqual(await keysOf([], { reverse: true }), [...ordered].reverse());
    });

    it('gives the entries under a prefix, from a key on, so many, from either end', async () => {
      await store.write(ordered.map((key, i) => ({ put: key, value: value(i) })));
      const underA = ordered.filter(([first], i) => first === 'a' && (ordered[i]?.length ?? 0) > 1);
      assert.deepEqual(await keysOf(['a']), underA);
      assert.deepEqual(await keysOf(['a'], { limit: 2 }), underA.slice(0, 2));
      assert.deepEqual(await keysOf(['a'], { limit: 0 }), []);
      assert.deepEqual(await keysOf(['a'], { after: ['a', 2] }), underA.slice(2));
      assert.deepEqual(await keysOf(['a'], { after: ['a', 3] }), underA.slice(2), 'a key that is not there');
      assert.deepEqual(await keysOf(['a'], { after: ['a', 'b', 0] }), []);
      assert.deepEqual(await keysOf(['a'], { reverse: true, limit: 1 }), underA.slice(-1));
      assert.deepEqual(await keysOf(['a'], { reverse: true, after: ['a', 10] }), underA.slice(0, 2).reverse());
      assert.deepEqual(await keysOf(['a'], { reverse: true, after: ['a', 'b'], limit: 2 }), [underA[2], underA[1]]);
      assert.deepEqual(await keysOf(['nobody']), []);
      const [entry] = await store.range(['a'], { limit: 1 });
      assert.deepEqual(entry?.value, value(ordered.findIndex(([first, second]) => first === 'a' && second === -1)));
    });

    it('writes all or nothing, in the order of the calls, and reads what was written before', async () => {
      const writes = [0, 1, 2, 3].map((i) =>
        store.write([
          { put: ['n'], value: value(i) },
          { put: ['n', i], value: value(i) },
        ]),
      );
      assert.deepEqual(await store.get(['n']), value(3));
      assert.equal((await store.range(['n'])).length, 4);
      await Promise.all(writes);
      await assert.rejects(
        store.write([
          { put: ['n'], value: value(7) },
          { put: [Number.NaN], value: value(7) },
        ]),
        RangeError,
      );
      assert.deepEqual(await store.get(['n']), value(3));
    });

    it('takes the changes of one write in their order', async () => {
      await store.write([
        { put: ['a'], value: value(1) },
        { remove: ['a'] },
        { put: ['b'], value: value(1) },
        { put: ['b'], value: value(2) },
      ]);
      assert.equal(await store.get(['a']), undefined);
      assert.deepEqual(await store.get(['b']), value(2));
    });

    it('has everything when it is opened again', async () => {
      const large = new Uint8Array(200_000).fill(3);
      await store.write([{ put: ['large'], value: large }]);
      await store.close();
      store = await world.reopen(store);
      assert.deepEqual(await store.get(['large']), large);
    });

    it('says that it was closed', async () => {
      await store.close();
      const closed = (error: unknown) => error instanceof StoreFailure && error.code === 'closed';
      await assert.rejects(store.get(['a']), closed);
      await assert.rejects(store.range([]), closed);
      await assert.rejects(store.write([{ put: ['a'], value: value(1) }]), closed);
      await store.close();
    });
  });
}

// ---- clocks and random bytes

export type ClockWorld = { clock: Clock; until?: Until };

export function clockContract(name: string, openWorld: () => ClockWorld): void {
  describe(`a clock: ${name}`, () => {
    const heard = new Set<() => void>();
    const hear = () => {
      for (const look of [...heard]) look();
    };

    it('runs what is due in order, once, not before its time, and not when it was stopped', async () => {
      const { clock, until = (done) => untilHeard(heard, done) } = openWorld();
      const ran: string[] = [];
      const note = (what: string) => () => {
        ran.push(what);
        hear();
      };
      const start = clock.now();
      clock.after(30, note('third'));
      clock.after(10, note('first'));
      const stop = clock.after(15, note('stopped'));
      clock.after(20, note('second'));
      stop();
      stop();
      assert.deepEqual(ran, [], 'not at once');
      await until(() => ran.length === 3);
      assert.deepEqual(ran, ['first', 'second', 'third']);
      assert.ok(clock.now() - start >= 29, 'a millisecond for rounding');
    });

    it('never takes a negative or a very long wait for none', async () => {
      const { clock, until = (done) => untilHeard(heard, done) } = openWorld();
      const ran: string[] = [];
      const stop = clock.after(2 ** 40, () => ran.push('in 34 years'));
      clock.after(-5, () => {
        ran.push('now');
        hear();
      });
      await until(() => ran.length > 0);
      stop();
      assert.deepEqual(ran, ['now']);
    });
  });
}

export function randomContract(name: string, random: Random): void {
  describe(`random bytes: ${name}`, () => {
    it('are as many as asked for, and others each time', () => {
      assert.deepEqual(random(0), new Uint8Array(0));
      assert.equal(random(200_000).length, 200_000);
      assert.notDeepEqual(random(32), random(32));
      assert.ok(new Set(random(5000)).size > 200, 'every byte occurs');
      assert.ok(
        random(100_000)
          .subarray(70_000)
          .some((byte) => byte !== 0),
      );
    });
  });
}
