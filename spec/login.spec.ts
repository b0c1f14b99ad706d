// Logging in: the machine by itself, and the cryptography between a client and a node.
import assert from 'node:assert/strict';
import { signingKeyFromSeed } from '../keys/ed25519.ts';
import { nodeIdOf } from '../keys/identity.ts';
import { KeyRefusal } from '../keys/key-refusal.ts';
import {
  checkClientAuth,
  checkNodeAuth,
  checkNodeHello,
  makeClientAuth,
  makeNodeAuth,
  openChallenge,
  startChallenge,
  startResume,
} from '../keys/login-challenge.ts';
import { seal } from '../keys/openpgp.ts';
import {
  type LoginEffect,
  type LoginEvent,
  type LoginPlan,
  type LoginState,
  loginTimes,
  startLogin,
  stepLogin,
} from '../mesh/login.ts';
import { hex, utf8 } from '../wire/bytes.ts';
import { encode } from '../wire/codec.ts';
import { asDid, asNodeId, asUid } from '../wire/ids.ts';
import { type ClientAuth, clientAuth, type NodeAuth, type NodeHello } from '../wire/login-messages.ts';
import type { NodeMessage } from '../wire/node-messages.ts';
import { seededRandom } from './fakes.ts';
import { type Person, person } from './people.ts';

const origin = 'wss://one.example';
const now = Date.UTC(2026, 0, 1);

describe('the login machine', () => {
  const plan: LoginPlan = {
    origin,
    nonce: new Uint8Array(32).fill(1),
    uid: asUid(new Uint8Array(32).fill(2)),
    hello: { purpose: 'login', username: 'alice' },
    expected: { nodePub: undefined, nodeId: undefined },
  };
  const bytes32 = new Uint8Array(32);
  const nodeHello = {
    type: 'node-hello' as const,
    nonce: bytes32,
    nodePub: bytes32.slice().fill(3),
    challenge: Uint8Array.of(9),
    signature: new Uint8Array(64),
  };
  const nodeAuth: NodeMessage = {
    type: 'node-auth',
    fields: {
      uid: plan.uid,
      username: 'alice',
      nodeTime: 5,
      policy: { registration: 'open' },
      iceServers: [],
      flags: 0,
    },
    signature: new Uint8Array(64),
  };
  const goodPath: LoginEvent[] = [
    { on: 'opened' },
    { on: 'message', message: nodeHello },
    { on: 'hello-checked', checked: { outcome: 'good', th0: bytes32, th1: bytes32 } },
    { on: 'challenge-opened', macKey: bytes32 },
    { on: 'auth-made', authBytes: Uint8Array.of(3) },
    { on: 'message', message: nodeAuth },
    { on: 'auth-checked', isGood: true },
  ];

  /** After the first `steps` events of the path. */
  function walked(steps: number, from = plan, path = goodPath): [LoginState, LoginEffect[]] {
    let step = startLogin(from);
    for (const event of path.slice(0, steps)) step = stepLogin(step[0], event);
    return step;
  }

  const failureOf = (state: LoginState) => (state.at === 'failed' ? state.failure.code : state.at);
  const waitingStates = Object.keys(loginTimes);

  it('goes through its states in this order, each with a timer of its own', () => {
    const ways = goodPath.map((_, steps) => walked(steps));
    assert.deepEqual(
      ways.map(([state]) => state.at),
      waitingStates,
    );
    for (const [, effects] of ways) assert.equal(effects.filter((effect) => effect.do === 'timer').length, 1);
    const [last, effects] = walked(goodPath.length);
    assert.equal(last.at, 'connected');
    assert.deepEqual(
      effects.map((effect) => effect.do),
      ['pin', 'connected'],
    );
  });

  it('ends when any state takes too long', () => {
    const ends = waitingStates.map((_, steps) => failureOf(stepLogin(walked(steps)[0], { on: 'timeout' })[0]));
    assert.deepEqual(ends, ['unreachable', ...Array<string>(6).fill('silent')]);
  });

  it('ends when the socket does', () => {
    const ends = waitingStates.map((_, steps) => failureOf(stepLogin(walked(steps)[0], { on: 'closed' })[0]));
    assert.deepEqual(ends, ['unreachable', ...Array<string>(6).fill('lost')]);
  });

  it('takes each message only where it is due', () => {
    const done: NodeMessage = { type: 'done', request: 1 };
    for (const [message, dueAt] of [
      [nodeHello, 'hello-sent'],
      [nodeAuth, 'auth-sent'],
      [done, 'never'],
    ] as const) {
      waitingStates.forEach((at, steps) => {
        const [state] = stepLogin(walked(steps)[0], { on: 'message', message });
        assert.equal(failureOf(state) === 'bad-answer', at !== dueAt, `${message.type} at ${at}`);
      });
    }
  });

  it('takes no answer to a question that it has not asked', () => {
    const answers = goodPath.filter(({ on }) => on !== 'message');
    for (const answer of answers) {
      const [state] = walked(0);
      if (answer.on !== 'opened') assert.deepEqual(stepLogin(state, answer), [state, []], answer.on);
    }
  });

  it('uses no private key before the node has proved itself', () => {
    for (const outcome of ['other-node', 'bad-signature'] as const) {
      const [state, effects] = stepLogin(walked(2)[0], { on: 'hello-checked', checked: { outcome } });
      assert.equal(state.at, 'failed');
      assert.deepEqual(
        effects.map((effect) => effect.do),
        ['fail'],
      );
    }
    const early = [0, 1, 2].flatMap((steps) => walked(steps)[1]);
    assert.ok(!early.some((effect) => effect.do === 'open-challenge' || effect.do === 'make-auth'));
  });

  it('resumes without a challenge, and refuses one that is offered nevertheless', () => {
    const resuming: LoginPlan = { ...plan, hello: { purpose: 'resume', did: asDid(bytes32) } };
    const path = (challenge: Uint8Array): LoginEvent[] =>
      goodPath.map((event) => (event.on === 'message' ? { on: 'message', message: { ...nodeHello, challenge } } : event));
    const [state, effects] = walked(3, resuming, path(new Uint8Array(0)));
    assert.equal(state.at, 'making-auth');
    assert.ok(effects.some((effect) => effect.do === 'make-auth' && effect.macKey === undefined));
    assert.equal(failureOf(walked(3, resuming, path(Uint8Array.of(9)))[0]), 'refused');
  });

  it('is not fooled by a welcome for somebody else', () => {
    for (const changed of [{ uid: asUid(new Uint8Array(32)) }, { username: 'bob' }]) {
      const message: NodeMessage = { ...nodeAuth, fields: { ...nodeAuth.fields, ...changed } };
      const path = goodPath.map(
        (event): LoginEvent => (event.on === 'message' && event.message === nodeAuth ? { on: 'message', message } : event),
      );
      assert.equal(failureOf(walked(goodPath.length, plan, path)[0]), 'bad-answer');
    }
  });

  it('pins nothing, and is not connected, when the last signature of the node is wrong', () => {
    const [state, effects] = stepLogin(walked(6)[0], { on: 'auth-checked', isGood: false });
    assert.equal(failureOf(state), 'bad-node-signature');
    assert.deepEqual(
      effects.map((effect) => effect.do),
      ['fail'],
    );
  });

  it('does not pin again what is pinned', () => {
    const pinned = { ...plan, expected: { nodePub: bytes32, nodeId: undefined } };
    const [, effects] = walked(goodPath.length, pinned);
    assert.deepEqual(
      effects.map((effect) => effect.do),
      ['connected'],
    );
  });

  it('stays where it ended', () => {
    const [failed] = stepLogin(walked(3)[0], { on: 'key-refused', code: 'refused' });
    for (const event of goodPath) assert.deepEqual(stepLogin(failed, event), [failed, []]);
  });
});

describe('the proofs of a login', () => {
  const random = seededRandom(3);
  const helloBytes = utf8('any bytes that were sent as ClientHello');
  const expected = { nodePub: undefined, nodeId: undefined };
  let alice: Person;
  let bob: Person;

  before(async () => {
    alice = await person('alice', now);
    bob = await person('bob', now);
  });

  beforeEach(() => alice.agent.allowMoreChallenges());

  const nodeKey = () => signingKeyFromSeed(new Uint8Array(32).fill(1));

  async function challenged(who = alice) {
    const { uid, certificate } = who;
    return startChallenge({ helloBytes, uid, certificate, nodeKey: await nodeKey(), sealer: { seal }, random, now });
  }

  async function greeted(nodeHello: NodeHello, expectations: Parameters<typeof checkNodeHello>[0]['expected'] = expected) {
    const checked = await checkNodeHello({ helloBytes, nodeHello, expected: expectations });
    return checked.outcome === 'good' ? checked : assert.fail(checked.outcome);
  }

  async function answered(nodeHello: NodeHello, who = alice): Promise<ClientAuth> {
    const { th0, th1 } = await greeted(nodeHello);
    const { agent, uid, device } = who;
    const macKey = await openChallenge({ agent, uid, th0, th1, challenge: nodeHello.challenge, now });
    return makeClientAuth({ th1, macKey, device, nameClaim: undefined });
  }

  const signPub = () => alice.device.signer.publicKey;

  it('convince both sides', async () => {
    const { hello, open } = await challenged();
    const auth = await answered(hello);
    assert.equal(await checkClientAuth({ open, auth, signPub: signPub() }), 'good');

    const { th1 } = await greeted(hello);
    const authBytes = utf8('the bytes of ClientAuth');
    const nodeAuth = await makeNodeAuth({ th1: open.th1, authBytes, fields: welcome(), nodeKey: await nodeKey() });
    const { nodePub } = hello;
    assert.ok(await checkNodeAuth({ th1, authBytes, nodeAuth, nodePub }));
    assert.ok(!(await checkNodeAuth({ th1, authBytes: utf8('other bytes'), nodeAuth, nodePub })));
    const otherTime = { ...nodeAuth, fields: { ...nodeAuth.fields, nodeTime: now + 1 } };
    assert.ok(!(await checkNodeAuth({ th1, authBytes, nodeAuth: otherTime, nodePub })));
  });

  it('never carry the secret of the challenge', async () => {
    const secrets: Uint8Array[] = [];
    const sealer = {
      seal: (parts: Parameters<typeof seal>[0]) => {
        secrets.push(parts.body);
        return seal(parts);
      },
    };
    const { uid, certificate } = alice;
    const { hello } = await startChallenge({ helloBytes, uid, certificate, nodeKey: await nodeKey(), sealer, random, now });
    const sent = hex(encode(clientAuth, await answered(hello)));
    assert.equal(secrets.length, 1);
    for (const secret of secrets) assert.ok(!sent.includes(hex(secret)));
  });

  it('need the decryption key: without it the mac is wrong', async () => {
    const { hello, open } = await challenged();
    const auth = await answered(hello);
    const flipped = auth.mac?.map((byte, i) => (i === 31 ? byte ^ 1 : byte));
    assert.equal(await checkClientAuth({ open, auth: { ...auth, mac: flipped }, signPub: signPub() }), 'bad-mac');
    assert.equal(await checkClientAuth({ open, auth: { ...auth, mac: undefined }, signPub: signPub() }), 'bad-mac');
  });

  it('need the device key as well', async () => {
    const { hello, open } = await challenged();
    const { th1 } = await greeted(hello);
    const impostor = { certificate: alice.device.certificate, signer: bob.device.signer };
    const auth = await makeClientAuth({ th1, macKey: open.macKey, device: impostor, nameClaim: undefined });
    assert.equal(await checkClientAuth({ open, auth, signPub: signPub() }), 'bad-device-signature');
  });

  it('resume with the device key alone, which covers what it claims, and a mac has no place there', async () => {
    const { hello, open } = await startResume({ helloBytes, nodeKey: await nodeKey(), random });
    const { th1 } = await greeted(hello);
    const auth = await makeClientAuth({ th1, macKey: undefined, device: alice.device, nameClaim: undefined });
    assert.equal(await checkClientAuth({ open, auth, signPub: signPub() }), 'good');
    const fields = { ...auth.signed.fields, deviceCert: bob.device.certificate };
    const swapped = { ...auth, signed: { ...auth.signed, fields } };
    assert.equal(await checkClientAuth({ open, auth: swapped, signPub: signPub() }), 'bad-device-signature');
    const withMac = { ...auth, mac: new Uint8Array(32) };
    assert.equal(await checkClientAuth({ open, auth: withMac, signPub: signPub() }), 'bad-mac');
  });

  it('do not fit another socket: everything depends on both nonces', async () => {
    const [first, second] = [await challenged(), await challenged()];
    const auth = await answered(first.hello);
    assert.equal(await checkClientAuth({ open: second.open, auth, signPub: signPub() }), 'bad-mac');
  });

  it('show which node it is: by pin, by the id of an invite, by signature', async () => {
    const { hello } = await challenged();
    const other = await signingKeyFromSeed(new Uint8Array(32).fill(2));
    const check = async (nodeHello: NodeHello, expectations: Parameters<typeof checkNodeHello>[0]['expected']) =>
      (await checkNodeHello({ helloBytes, nodeHello, expected: expectations })).outcome;
    const { nodePub } = hello;
    assert.equal(await check(hello, { nodePub, nodeId: nodeIdOf(nodePub) }), 'good');
    assert.equal(await check(hello, { nodePub: other.publicKey, nodeId: undefined }), 'other-node');
    assert.equal(await check(hello, { nodePub: undefined, nodeId: nodeIdOf(other.publicKey) }), 'other-node');
    assert.equal(await check(hello, { nodePub, nodeId: asNodeId(new Uint8Array(32)) }), 'other-node');
    assert.equal(await check({ ...hello, challenge: utf8('another') }, expected), 'bad-signature');
    assert.equal(await check({ ...hello, nonce: new Uint8Array(32) }, expected), 'bad-signature');
    assert.equal(await check({ ...hello, nodePub: other.publicKey }, expected), 'bad-signature');
  });

  it('are refused to whoever is not meant', async () => {
    const { hello } = await challenged(bob);
    const { th0, th1 } = await greeted(hello);
    const { agent, uid } = alice;
    const opening = openChallenge({ agent, uid, th0, th1, challenge: hello.challenge, now });
    await assert.rejects(opening, (error) => error instanceof KeyRefusal && error.code === 'refused');
  });

  const welcome = (): NodeAuth['fields'] => ({
    uid: alice.uid,
    username: 'alice',
    nodeTime: now,
    policy: { registration: 'open' },
    iceServers: [],
    flags: 0,
  });
});
