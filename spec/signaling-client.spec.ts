// One connection to the node: how it comes up, asks, listens, breaks and comes back.
import assert from 'node:assert/strict';
import { openDevice, renewDevice, rotateLockKeys } from '../keys/device.ts';
import { nodeIdOf } from '../keys/identity.ts';
import { localKeyAgent } from '../keys/key-agent.ts';
import { backOff } from '../mesh/back-off.ts';
import { connectionFaults, explainFailure, whenToRetry } from '../mesh/connection-failure.ts';
import { NodeRefusal, type NodeRefusalCode } from '../mesh/node-requests.ts';
import { equal, hex } from '../wire/bytes.ts';
import type { NodeErrorCode } from '../wire/errors.ts';
import { asDid, asGTag } from '../wire/ids.ts';
import type { NodeMessage } from '../wire/node-messages.ts';
import { seededRandom } from './fakes.ts';
import { LoginWorld, origin, type Watched, wordFor } from './login-world.ts';
import { type Person, passphrase, person } from './people.ts';

const day = 24 * 60 * 60_000;
const lookUp = { type: 'look-up', by: { by: 'username', username: 'bob' } } as const;

describe('the signaling client', () => {
  let world: LoginWorld;
  let alice: Person;

  before(async () => {
    alice = await person('alice', Date.UTC(2026, 0, 1));
  });

  beforeEach(async () => {
    world = await LoginWorld.create();
    await alice.agent.allowMoreChallenges();
    Object.assign(alice.uses, { decrypt: 0, sign: 0 });
  });

  afterEach(() => world.close());

  const reaches = (watched: Watched, word: string, limit = 60_000) =>
    world.clock.advanceUntil(() => wordFor(watched.client.state) === word, limit);

  describe('comes up', () => {
    it('by logging in with one decryption, and knows the node from then on', async () => {
      const { client, states } = await world.loggedIn(alice);
      assert.deepEqual(states, ['connecting', 'connected']);
      assert.deepEqual(alice.uses, { decrypt: 1, sign: 0 });
      assert.equal(hex(world.pins.get(origin) ?? new Uint8Array()), hex(world.node.key.publicKey));
      const { state } = client;
      assert.ok(state.state === 'connected' && state.session.username === 'alice' && state.session.iceServers.length === 1);
    });

    it('by registering, with a name claim that the node can check', async () => {
      const watched = world.client(alice, { start: 'register' });
      watched.client.start();
      await reaches(watched, 'connected');
      assert.deepEqual([...world.node.members.keys()], ['alice']);
      assert.deepEqual(alice.uses, { decrypt: 1, sign: 1 });
    });

    it('by resuming without the private key, which may be locked', async () => {
      (await world.loggedIn(alice)).client.close();
      const watched = await world.loggedIn(alice, { start: 'resume', agent: localKeyAgent() });
      assert.equal(wordFor(watched.client.state), 'connected');
      assert.deepEqual(world.node.helloPurposes(), ['login', 'resume']);
    });

    it('by logging in where the node does not know the device any more', async () => {
      const watched = await world.loggedIn(alice, { start: 'resume' });
      assert.deepEqual(world.node.helloPurposes(), ['resume', 'login']);
      assert.ok(!watched.states.includes('device-refused'), 'nobody needs to know');
    });

    it('after the key is unlocked, where it was locked', async () => {
      const agent = localKeyAgent();
      world.node.members.set('alice', alice);
      const watched = world.client(alice, { agent });
      watched.client.start();
      await reaches(watched, 'locked');
      assert.equal(stateOf(watched).nextTryAt, undefined);
      await agent.unlock({ secretKey: alice.secretKey, passphrase });
      watched.client.retry();
      await reaches(watched, 'connected');
    });

    it('where an invite says which node it must be, or not at all', async () => {
      const expectedNodeId = nodeIdOf(world.node.key.publicKey);
      await world.loggedIn(alice, { expectedNodeId });
      const other = await world.replaceNode(2);
      const watched = world.client(alice, { expectedNodeId: nodeIdOf(other.key.publicKey) });
      watched.client.start();
      await reaches(watched, 'other-node');
      assert.deepEqual(other.heard, [], 'the pin alone tells');
    });

    it('with a registration whose answer was lost, by logging in', async () => {
      world.node.edit = (message) => (message.type === 'node-auth' ? 'nothing' : message);
      const watched = world.client(alice, { start: 'register' });
      watched.client.start();
      await reaches(watched, 'silent');
      world.node.edit = (message) => message;
      await reaches(watched, 'connected');
      assert.deepEqual(world.node.helloPurposes(), ['register', 'login']);
    });

    it('with a registration that got lost itself, by registering again', async () => {
      world.node.edit = (message) => (message.type === 'node-auth' ? 'nothing' : message);
      const watched = world.client(alice, { start: 'register' });
      watched.client.start();
      await reaches(watched, 'silent');
      world.node.edit = (message) => message;
      world.node.members.clear();
      await reaches(watched, 'connected');
      assert.deepEqual(world.node.helloPurposes(), ['register', 'login', 'register']);
    });

    for (const address of ['ws://one.example', 'https://one.example', 'wss://one.example/', 'wss://ONE.example']) {
      it(`not at ${address}, which is never dialled`, async () => {
        const watched = world.client(alice, { origin: address, dialSocket: () => assert.fail('dialled') });
        watched.client.start();
        await world.clock.advance(60_000);
        assert.deepEqual(watched.states, ['bad-address']);
      });
    }

    it('not when the pins cannot be read: it must not seem a first use', async () => {
      let attempts = 0;
      const get = async () => {
        attempts += 1;
        throw new Error('disk');
      };
      const watched = world.client(alice, { pins: { get, set: async () => undefined } });
      watched.client.start();
      await world.clock.advance(1_000);
      assert.ok(attempts > 1, 'it goes on trying');
      assert.equal(wordFor(watched.client.state), 'broken');
      assert.deepEqual(world.node.heard, []);
      assert.equal(watched.surprises.length, attempts);
    });
  });

  describe('tells what is wrong, and waits for the person', () => {
    it('when nobody has that name', async () => {
      const watched = world.client(alice);
      watched.client.start();
      await reaches(watched, 'unknown-user');
      assert.equal(stateOf(watched).nextTryAt, undefined);
      await world.clock.advance(60_000);
      assert.equal(world.node.heard.length, 1);
      assert.match(explainFailure(stateOf(watched).reason), /no user of that name/);
    });

    it('when the node refuses the proof', async () => {
      world.node.members.set('alice', alice);
      world.node.edit = (message) =>
        message.type === 'node-auth' ? { type: 'refused', request: 0, code: 'login-refused', retryAfter: 0 } : message;
      const watched = world.client(alice);
      watched.client.start();
      await reaches(watched, 'login-refused');
      assert.equal(stateOf(watched).nextTryAt, undefined);
    });

    it('when the same device logs in elsewhere', async () => {
      const watched = await world.loggedIn(alice);
      world.node.say({ type: 'refused', request: 0, code: 'replaced', retryAfter: 0 });
      await reaches(watched, 'replaced');
      await world.clock.advance(60_000);
      assert.equal(world.node.sockets.length, 1, 'two tabs must not throw each other out for ever');
      watched.client.retry();
      await reaches(watched, 'connected');
    });

    it('with a sentence for each thing that can go wrong', () => {
      const codes: NodeErrorCode[] = ['rate-limited', 'busy', 'internal', 'challenge-expired'];
      for (const code of codes) assert.equal(whenToRetry({ by: 'node', code, retryAfter: 0 }), 'soon');
      assert.equal(whenToRetry({ by: 'key', code: 'too-many-challenges' }), 'person');
      assert.equal(whenToRetry({ by: 'connection', code: 'other-node' }), 'never');
      assert.match(explainFailure({ by: 'key', code: 'locked' }), /locked.*Unlock/);
      assert.equal(explainFailure({ by: 'connection', code: 'lost' }), connectionFaults.lost);
    });
  });

  describe('comes back', () => {
    it('by itself when the node is killed and starts again, without the private key', async () => {
      const watched = await world.loggedIn(alice);
      world.network.stopNode(origin);
      await reaches(watched, 'unreachable');
      await world.clock.advance(60_000);
      assert.notEqual(watched.client.state.state, 'connected');
      world.network.startNode(origin, world.node.accept);
      await reaches(watched, 'connected', 11_000);
      assert.deepEqual(world.node.helloPurposes(), ['login', 'resume']);
      assert.deepEqual(alice.uses, { decrypt: 1, sign: 0 });
    });

    it('ever more slowly while there is nobody, up to ten seconds', async () => {
      const dials: number[] = [];
      const { dialSocket } = world.network.device('alice');
      const watched = world.client(alice, {
        dialSocket: (to, events) => {
          dials.push(world.clock.now());
          return dialSocket(to, events);
        },
      });
      world.network.stopNode(origin);
      watched.client.start();
      await world.clock.advance(5 * 60_000);
      const pauses = dials.slice(1).map((at, i) => at - (dials[i] ?? 0));
      assert.ok((pauses[0] ?? 0) < 300, 'the first is quick');
      assert.ok(pauses.length > 30 && pauses.length < 80, `${pauses.length} tries`);
      assert.ok(Math.max(...pauses) <= 10_100);
      assert.ok(new Set(pauses).size > pauses.length / 2, 'chance keeps clients apart');
    });

    it('at once when the machine is online again', async () => {
      const watched = await world.loggedIn(alice);
      world.network.stopNode(origin);
      await reaches(watched, 'unreachable');
      await world.clock.advance(120_000);
      await world.clock.advanceUntil(() => watched.client.state.state === 'offline');
      world.network.startNode(origin, world.node.accept);
      watched.client.online();
      await reaches(watched, 'connected', 200);
    });

    it('not before the time that a stopping node asks for', async () => {
      const watched = await world.loggedIn(alice);
      await world.clock.advance(100);
      world.node.say({ type: 'stopping', retryAfter: 5_000 });
      world.node.socket.close();
      await reaches(watched, 'lost', 1_000);
      await world.clock.advance(4_900);
      assert.equal(watched.client.state.state, 'offline');
      await reaches(watched, 'connected', 1_000);
    });

    it('within the hour, whatever the node asks for', async () => {
      const watched = await world.loggedIn(alice);
      world.node.say({ type: 'stopping', retryAfter: 0xffff_ffff });
      world.node.socket.close();
      await reaches(watched, 'lost', 1_000);
      await reaches(watched, 'connected', 61 * 60_000);
    });

    it('after a complaint, with the reason that the node gave', async () => {
      const watched = await world.loggedIn(alice);
      world.node.say({ type: 'refused', request: 0, code: 'busy', retryAfter: 2_000 });
      world.node.socket.close();
      await reaches(watched, 'busy', 1_000);
      assert.ok((stateOf(watched).nextTryAt ?? 0) >= world.clock.now() + 2_000);
    });

    it('when the network falls silent under it', async () => {
      const watched = await world.loggedIn(alice);
      await world.clock.advance(1_000);
      world.network.cut('alice', origin);
      await reaches(watched, 'silent', 70_000);
      await reaches(watched, 'unreachable', 20_000);
      world.network.heal('alice', origin);
      await reaches(watched, 'connected', 25_000);
    });

    it('ever more slowly to a node that drops it as soon as it is there', async () => {
      const watched = await world.loggedIn(alice);
      const { accept } = world.node;
      world.network.stopNode(origin);
      world.network.startNode(origin, (socket, device) => {
        world.clock.after(50, () => socket.close());
        return accept(socket, device);
      });
      await world.clock.advance(60_000);
      const times = watched.states.filter((word) => word === 'connected').length;
      assert.ok(times > 5 && times < 30, `${times} times`);
    });

    it('not after it was closed', async () => {
      const { client, states } = await world.loggedIn(alice);
      await world.clock.advance(100);
      client.close();
      await world.clock.advance(60_000);
      assert.equal(world.node.heard.at(-1)?.type, 'log-out');
      assert.equal(world.node.sockets.length, 1);
      assert.deepEqual(states, ['connecting', 'connected']);
    });

    for (const moment of ['connecting', 'connected'] as const) {
      it(`not after it was closed by whoever heard that it is ${moment}, and leaves no timer`, async () => {
        world.node.members.set('alice', alice);
        let timers = 0;
        const watched = world.client(alice, {
          clock: {
            now: () => world.clock.now(),
            after: (ms, run) => {
              timers += 1;
              const stop = world.clock.after(ms, () => {
                timers -= 1;
                stopOnce = () => undefined;
                run();
              });
              let stopOnce = () => {
                timers -= 1;
                stopOnce = () => undefined;
                stop();
              };
              return () => stopOnce();
            },
          },
          events: {
            changed: ({ state }) => {
              if (state === moment) watched.client.close();
            },
            news: () => undefined,
            surprised: () => undefined,
          },
        });
        watched.client.start();
        await world.clock.advance(60_000);
        assert.equal(world.node.sockets.length, moment === 'connecting' ? 0 : 1);
        assert.equal(timers, 0);
      });
    }
  });

  describe('asks', () => {
    it('and gets the answer that belongs to the question, in whatever order they come', async () => {
      const { client } = await world.loggedIn(alice);
      await world.clock.advance(100);
      const numbers: number[] = [];
      world.node.answer = ({ request }) => {
        numbers.push(request);
        return 'nothing';
      };
      const [first, second] = [
        client.request({ type: 'get-shard', ...shardName }),
        client.request({ type: 'get-shard', ...shardName }),
      ];
      await world.clock.advance(100);
      const [a = 0, b = 0] = numbers;
      world.node.say({ type: 'shard', request: b, shard: Uint8Array.of(2) });
      world.node.say({ type: 'shard', request: a, shard: Uint8Array.of(1) });
      await world.clock.advance(100);
      assert.deepEqual([(await first).shard, (await second).shard], [Uint8Array.of(1), Uint8Array.of(2)]);
    });

    it('and hears why not', async () => {
      const { client } = await world.loggedIn(alice);
      world.node.answer = ({ request }) => ({ type: 'refused', request, code: 'not-found', retryAfter: 70 });
      const asking = client.request(lookUp);
      await Promise.all([refusedWith('not-found', asking), world.clock.advance(100)]);
      await assert.rejects(asking, (error) => error instanceof NodeRefusal && error.retryAfter === 70);
    });

    it('nothing while there is no connection', async () => {
      const { client } = world.client(alice);
      await refusedWith('offline', client.request(lookUp));
      client.start();
      await refusedWith('offline', client.request(lookUp));
    });

    it('in vain when the connection breaks first', async () => {
      const { client } = await world.loggedIn(alice);
      await world.clock.advance(100);
      const asking = client.request(lookUp);
      world.network.stopNode(origin);
      await Promise.all([refusedWith('offline', asking), world.clock.advance(100)]);
    });

    it('in vain for 15 seconds, which ends the connection when nothing else comes either', async () => {
      const watched = await world.loggedIn(alice);
      await world.clock.advance(100);
      world.node.answer = () => 'nothing';
      const asking = watched.client.request(lookUp);
      await Promise.all([refusedWith('silent', asking), world.clock.advance(15_000)]);
      assert.ok(watched.states.includes('silent'));
    });

    it('in vain for 15 seconds, which leaves the connection when other things come', async () => {
      const watched = await world.loggedIn(alice);
      await world.clock.advance(100);
      world.node.answer = () => 'nothing';
      const asking = watched.client.request(lookUp);
      const refused = refusedWith('silent', asking);
      await world.clock.advance(10_000);
      world.node.say({ type: 'log-grew', gTag: shardName.gTag, no: 1 });
      await world.clock.advance(5_000);
      await refused;
      assert.equal(wordFor(watched.client.state), 'connected');
    });

    it('and gives a node up that answers something else', async () => {
      const watched = await world.loggedIn(alice);
      world.node.answer = ({ request }) => ({ type: 'appended', request, no: 1 });
      const asking = watched.client.request(lookUp);
      await Promise.all([refusedWith('offline', asking), world.clock.advance(100)]);
      assert.ok(watched.states.includes('bad-answer'));
    });

    it('and does not mind an answer that comes too late', async () => {
      const watched = await world.loggedIn(alice);
      await world.clock.advance(100);
      world.node.say({ type: 'done', request: 7_000 });
      await world.clock.advance(100);
      assert.equal(wordFor(watched.client.state), 'connected');
    });
  });

  describe('listens', () => {
    it('to what the node says unasked', async () => {
      const { news } = await world.loggedIn(alice);
      const relayed: NodeMessage = { type: 'relayed', from: asDid(new Uint8Array(32)), blob: Uint8Array.of(1) };
      world.node.say(relayed);
      await world.clock.advance(100);
      assert.deepEqual(news, [relayed]);
    });

    it('to nothing that is no message: it hangs up', async () => {
      const watched = await world.loggedIn(alice);
      for (const bytes of [Uint8Array.of(), Uint8Array.of(0xff), Uint8Array.of(0x61, 0, 0), new TextEncoder().encode('{oops')]) {
        world.node.socket.send(bytes);
        await reaches(watched, 'bad-answer', 1_000);
        await reaches(watched, 'connected', 5_000);
      }
    });

    it('to no second login on the same socket', async () => {
      const watched = await world.loggedIn(alice);
      const empty = {
        nonce: new Uint8Array(32),
        nodePub: new Uint8Array(32),
        challenge: new Uint8Array(0),
        signature: new Uint8Array(64),
      };
      world.node.say({ type: 'node-hello', ...empty });
      await reaches(watched, 'bad-answer', 1_000);
    });
  });

  describe('keeps its device published', () => {
    const published = (type: 'publish-device' | 'publish-lock-key') =>
      world.node.heard.filter((message) => message.type === type);

    it('with its lock key after the login, and not again after a resume', async () => {
      const watched = await world.loggedIn(alice);
      await world.clock.advance(100);
      assert.equal(published('publish-lock-key').length, 1);
      world.node.socket.close();
      await reaches(watched, 'lost', 1_000);
      await reaches(watched, 'connected', 5_000);
      await world.clock.advance(100);
      assert.equal(published('publish-lock-key').length, 1);
      assert.equal(published('publish-device').length, 0, 'the login has brought it');
    });

    it('with a new lock key after a rotation', async () => {
      const { client } = await world.loggedIn(alice);
      const rotated = await rotateLockKeys({ secrets: alice.secrets, random: seededRandom(5), now: world.clock.now() + 7 * day });
      assert.ok(rotated !== 'kept');
      client.setDevice(await openDevice(rotated));
      await world.clock.advance(100);
      const [, second] = published('publish-lock-key');
      assert.ok(second?.type === 'publish-lock-key' && equal(second.lockKey, rotated.lockKeys[1]?.encoded ?? new Uint8Array()));
    });

    it('with a new certificate after a renewal', async () => {
      const { client } = await world.loggedIn(alice);
      const renewed = await renewDevice({ agent: alice.agent, secrets: alice.secrets, now: world.clock.now() + 25 * day });
      assert.ok(renewed !== 'kept');
      client.setDevice(await openDevice(renewed));
      await world.clock.advance(100);
      const [message] = published('publish-device');
      assert.ok(message?.type === 'publish-device' && equal(message.deviceCert, renewed.certificate));
    });

    it('with what the node refused, a minute later', async () => {
      world.node.answer = ({ request }) => ({ type: 'refused', request, code: 'busy', retryAfter: 0 });
      const watched = await world.loggedIn(alice);
      await world.clock.advance(59_000);
      assert.equal(published('publish-lock-key').length, 1);
      await world.clock.advance(2_000);
      assert.equal(published('publish-lock-key').length, 2);
      assert.deepEqual(watched.surprises, []);
    });

    it('and is not handed another device', async () => {
      const { client } = await world.loggedIn(alice);
      assert.throws(() => client.setDevice({ ...alice.device, did: asDid(new Uint8Array(32)) }), RangeError);
    });
  });

  it("follows the node's clock for what people date, within reason", async () => {
    world.node.clockOffset = 120_000;
    const watched = await world.loggedIn(alice);
    assert.ok(Math.abs(watched.client.nodeNow() - world.clock.now() - 120_000) < 1_000);
    world.node.clockOffset = 1_000 * 365 * day;
    world.node.socket.close();
    await reaches(watched, 'lost', 1_000);
    await reaches(watched, 'connected', 5_000);
    assert.equal(watched.client.nodeNow(), world.clock.now());
  });
});

describe('the pause before the next try', () => {
  it('grows from a quarter of a second to ten seconds, and lies between its half and its whole', () => {
    const least = () => Uint8Array.of(0, 0);
    const most = () => Uint8Array.of(255, 255);
    assert.equal(backOff(0, least), 125);
    assert.ok(backOff(0, most) > 249.9 && backOff(0, most) < 250);
    assert.ok(Math.abs(backOff(1, least) - 162.5) < 0.001);
    assert.equal(backOff(50, least), 5_000);
    assert.ok(backOff(1e9, most) <= 10_000);
  });
});

const shardName = { gTag: asGTag(new Uint8Array(16)), hash: new Uint8Array(32) };

function stateOf({ client }: Watched) {
  const { state } = client;
  return state.state === 'offline' ? state : assert.fail(state.state);
}

async function refusedWith(code: NodeRefusalCode, asking: Promise<unknown>): Promise<void> {
  await assert.rejects(asking, (error) => error instanceof NodeRefusal && error.code === code);
}
