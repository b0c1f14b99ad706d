// Logging in at a node, registering and resuming, as a pure machine (spec/protocol.md §2). mesh/login-attempt.ts does what it says.

import type { KeyRefusalCode } from '../keys/key-refusal.ts';
import type { CheckedHello, ExpectedNode } from '../keys/login-challenge.ts';
import { equal } from '../wire/bytes.ts';
import { encode } from '../wire/codec.ts';
import type { Did, Uid } from '../wire/ids.ts';
import { limits } from '../wire/limits.ts';
import type { IceServer, NodeAuth, NodeHello } from '../wire/login-messages.ts';
import { clientMessage, type NodeMessage } from '../wire/node-messages.ts';
import type { ConnectionFailure, ConnectionFault } from './connection-failure.ts';

export type LoginPurpose =
  | { purpose: 'login'; username: string }
  | { purpose: 'register'; username: string; certificate: Uint8Array }
  /** With the device key alone, where the node knows the device. */
  | { purpose: 'resume'; did: Did };

export type LoginPlan = {
  origin: string;
  /** 32 random bytes, never used before. */
  nonce: Uint8Array;
  uid: Uid;
  hello: LoginPurpose;
  expected: ExpectedNode;
};

export type LoginSession = {
  username: string;
  nodePub: Uint8Array;
  /** The node's clock when it answered, ms since 1970. */
  nodeTime: number;
  registration: NodeAuth['fields']['policy']['registration'];
  iceServers: IceServer[];
};

type Checked = { plan: LoginPlan; nodePub: Uint8Array; th1: Uint8Array };

export type LoginState =
  | { at: 'dialling'; plan: LoginPlan }
  | { at: 'hello-sent'; plan: LoginPlan; helloBytes: Uint8Array }
  | { at: 'checking-hello'; plan: LoginPlan; nodeHello: NodeHello }
  | ({ at: 'opening-challenge' } & Checked)
  | ({ at: 'making-auth' } & Checked)
  | ({ at: 'auth-sent'; authBytes: Uint8Array } & Checked)
  | ({ at: 'checking-auth'; fields: NodeAuth['fields'] } & Checked)
  | { at: 'connected'; session: LoginSession }
  | { at: 'failed'; failure: ConnectionFailure };

export type LoginEvent =
  | { on: 'opened' }
  | { on: 'message'; message: NodeMessage }
  | { on: 'malformed' }
  | { on: 'closed' }
  | { on: 'timeout' }
  | { on: 'hello-checked'; checked: CheckedHello }
  | { on: 'challenge-opened'; macKey: Uint8Array }
  | { on: 'auth-made'; authBytes: Uint8Array }
  | { on: 'auth-checked'; isGood: boolean }
  /** By the key agent, asked to open the challenge or to sign the name claim. */
  | { on: 'key-refused'; code: KeyRefusalCode }
  /** What an effect threw that it never should. */
  | { on: 'surprise' };

export type LoginEffect =
  /** Replaces the timer that ran. */
  | { do: 'timer'; ms: number }
  | { do: 'send'; bytes: Uint8Array }
  | { do: 'check-hello'; helloBytes: Uint8Array; nodeHello: NodeHello; expected: ExpectedNode }
  | { do: 'open-challenge'; th0: Uint8Array; th1: Uint8Array; challenge: Uint8Array }
  /** `nodePub`: whose name claim to sign as well. */
  | {
      do: 'make-auth';
      th1: Uint8Array;
      macKey: Uint8Array | undefined;
      nameClaim: { nodePub: Uint8Array; username: string } | undefined;
    }
  | { do: 'check-auth'; th1: Uint8Array; authBytes: Uint8Array; nodeAuth: NodeAuth; nodePub: Uint8Array }
  /** Remember the key of this origin: no other will do from now on. */
  | { do: 'pin'; nodePub: Uint8Array }
  | { do: 'connected'; session: LoginSession }
  /** Close the socket. Nothing that differs from failure to failure has been sent. */
  | { do: 'fail'; failure: ConnectionFailure };

/** Milliseconds that each waiting state may last. */
export const loginTimes = {
  dialling: 10_000,
  'hello-sent': 15_000,
  'checking-hello': 15_000,
  'opening-challenge': limits.challengeLife,
  'making-auth': limits.challengeLife,
  'auth-sent': 15_000,
  'checking-auth': 15_000,
} as const;

type Step = [LoginState, LoginEffect[]];

export function startLogin(plan: LoginPlan): Step {
  return [{ at: 'dialling', plan }, [timer('dialling')]];
}

export function stepLogin(state: LoginState, event: LoginEvent): Step {
  if (state.at === 'connected' || state.at === 'failed') return [state, []];
  switch (event.on) {
    case 'opened':
      return state.at === 'dialling' ? sayHello(state.plan) : [state, []];
    case 'message':
      return hear(state, event.message);
    case 'hello-checked':
      return state.at === 'checking-hello' ? helloChecked(state, event.checked) : [state, []];
    case 'challenge-opened':
      return state.at === 'opening-challenge' ? makeAuth(state, event.macKey) : [state, []];
    case 'auth-made':
      return state.at === 'making-auth' ? sendAuth(state, event.authBytes) : [state, []];
    case 'auth-checked':
      return state.at === 'checking-auth' ? authChecked(state, event.isGood) : [state, []];
    case 'key-refused':
      return fail({ by: 'key', code: event.code });
    case 'malformed':
      return failConnection('bad-answer');
    case 'closed':
      return failConnection(state.at === 'dialling' ? 'unreachable' : 'lost');
    case 'timeout':
      return failConnection(state.at === 'dialling' ? 'unreachable' : 'silent');
    case 'surprise':
      return failConnection('broken');
    default:
      event satisfies never;
      return [state, []];
  }
}

function sayHello(plan: LoginPlan): Step {
  const start = { flags: 0, origin: plan.origin, nonce: plan.nonce } as const;
  const helloBytes = encode(clientMessage, { type: 'client-hello', suite: 1, hello: { ...start, ...plan.hello } });
  return [{ at: 'hello-sent', plan, helloBytes }, [timer('hello-sent'), { do: 'send', bytes: helloBytes }]];
}

function hear(state: LoginState, message: NodeMessage): Step {
  // Before it has shown its key nobody can make a device fall back on a login, which says its owner's name.
  if (message.type === 'refused' && message.code === 'device-refused' && state.at === 'hello-sent')
    return failConnection('bad-answer');
  if (message.type === 'refused') return fail({ by: 'node', code: message.code, retryAfter: message.retryAfter });
  if (message.type === 'node-hello' && state.at === 'hello-sent') {
    const { plan, helloBytes } = state;
    return [
      { at: 'checking-hello', plan, nodeHello: message },
      [timer('checking-hello'), { do: 'check-hello', helloBytes, nodeHello: message, expected: plan.expected }],
    ];
  }
  if (message.type === 'node-auth' && state.at === 'auth-sent') {
    const { plan, nodePub, th1, authBytes } = state;
    return [
      { at: 'checking-auth', plan, nodePub, th1, fields: message.fields },
      [timer('checking-auth'), { do: 'check-auth', th1, authBytes, nodeAuth: message, nodePub }],
    ];
  }
  return failConnection('bad-answer');
}

function helloChecked(state: { plan: LoginPlan; nodeHello: NodeHello }, checked: CheckedHello): Step {
  if (checked.outcome === 'other-node') return failConnection('other-node');
  if (checked.outcome === 'bad-signature') return failConnection('bad-node-signature');
  const { plan, nodeHello } = state;
  const { nodePub, challenge } = nodeHello;
  const { th0, th1 } = checked;
  if (plan.hello.purpose === 'resume') {
    return challenge.length === 0 ? makeAuth({ plan, nodePub, th1 }, undefined) : fail({ by: 'key', code: 'refused' });
  }
  return [
    { at: 'opening-challenge', plan, nodePub, th1 },
    [timer('opening-challenge'), { do: 'open-challenge', th0, th1, challenge }],
  ];
}

function makeAuth({ plan, nodePub, th1 }: Checked, macKey: Uint8Array | undefined): Step {
  const nameClaim = plan.hello.purpose === 'register' ? { nodePub, username: plan.hello.username } : undefined;
  return [{ at: 'making-auth', plan, nodePub, th1 }, [timer('making-auth'), { do: 'make-auth', th1, macKey, nameClaim }]];
}

function sendAuth({ plan, nodePub, th1 }: Checked, authBytes: Uint8Array): Step {
  return [{ at: 'auth-sent', plan, nodePub, th1, authBytes }, [timer('auth-sent'), { do: 'send', bytes: authBytes }]];
}

function authChecked({ plan, nodePub, fields }: Checked & { fields: NodeAuth['fields'] }, isGood: boolean): Step {
  if (!isGood) return failConnection('bad-node-signature');
  const { uid, username, nodeTime, policy, iceServers } = fields;
  const isUs = equal(uid, plan.uid) && (plan.hello.purpose === 'resume' || username === plan.hello.username);
  if (!isUs) return failConnection('bad-answer');
  const session: LoginSession = { username, nodePub, nodeTime, registration: policy.registration, iceServers };
  const pin: LoginEffect[] = plan.expected.nodePub === undefined ? [{ do: 'pin', nodePub }] : [];
  return [{ at: 'connected', session }, [...pin, { do: 'connected', session }]];
}

function failConnection(code: ConnectionFault): Step {
  return fail({ by: 'connection', code });
}

function fail(failure: ConnectionFailure): Step {
  return [{ at: 'failed', failure }, [{ do: 'fail', failure }]];
}

function timer(state: keyof typeof loginTimes): LoginEffect {
  return { do: 'timer', ms: loginTimes[state] };
}
