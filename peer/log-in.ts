// The first connection of an account: by its device, by the key, or as a new user; and who may not come in.

import type { OpenAccount } from '../mesh/accounts.ts';
import type { Chat } from '../mesh/chat.ts';
import { type ConnectionFailure, explainFailure } from '../mesh/connection-failure.ts';
import type { NodeState } from '../mesh/signaling-client.ts';
import { CannotGoOn } from './failure.ts';
import type { Options } from './options.ts';

export type LogInParts = {
  account: OpenAccount;
  options: Options;
  open(start: 'register' | 'login' | 'resume'): Promise<Chat>;
  /** Resolves after every change of the chat. */
  changed(): Promise<void>;
  /** The node is away; it is tried again. */
  away(state: Offline): void;
  /** The name is not ours: nothing of the account is to stay here. */
  forget(): Promise<void>;
};

/** A chat that is logged in, or, of an account that was logged in before, one that goes on trying. Throws CannotGoOn. */
export async function logIn(parts: LogInParts): Promise<Chat> {
  const { account, options, open } = parts;
  if (account.registration === 'done') return open('resume');
  const first = options.unknownUser === 'register' ? 'register' : 'login';
  const outcome = await tryIt(parts, first);
  // The key has a name here already: if it is this one, that is a login from another device.
  const last = first === 'register' && codeOf(outcome) === 'key-taken' ? await tryIt(parts, 'login') : outcome;
  if ('chat' in last) {
    await account.markRegistered();
    return last.chat;
  }
  await parts.forget();
  throw refusal(last.failure, options, last !== outcome);
}

type Offline = Extract<NodeState, { state: 'offline' }>;
type Tried = { chat: Chat } | { failure: ConnectionFailure };

async function tryIt({ open, changed, away }: LogInParts, start: 'register' | 'login'): Promise<Tried> {
  const chat = await open(start);
  for (;;) {
    const { state } = chat.client;
    if (state.state === 'connected') return { chat };
    if (state.state === 'offline') {
      if (!isFinal(state)) away(state);
      else {
        await chat.close();
        return { failure: state.reason };
      }
    }
    await changed();
  }
}

/** A challenge that our key cannot open is for the key of whoever has that name: trying again does not change that. */
function isFinal({ reason, nextTryAt }: Offline): boolean {
  return nextTryAt === undefined || reason.by === 'key';
}

function codeOf(tried: Tried): string | undefined {
  return 'failure' in tried ? tried.failure.code : undefined;
}

function refusal(failure: ConnectionFailure, { username, origin }: Options, hasOtherName: boolean): CannotGoOn {
  const { code } = failure;
  if (hasOtherName) {
    return new CannotGoOn('node', 'key-taken', `This key has another user name than ${username} at ${origin}. Log in with that.`);
  }
  if (failure.by === 'key' && code === 'refused') {
    return new CannotGoOn('node', 'other-key', `${username} at ${origin} has another key than this.`);
  }
  if (code === 'unknown-user') {
    return new CannotGoOn('node', code, `There is no user ${username} at ${origin}. With --register you take that name.`);
  }
  return new CannotGoOn('node', code, explainFailure(failure));
}
