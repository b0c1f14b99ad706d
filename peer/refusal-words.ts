// What a headless peer says when something was refused: sentences for people.
import { connectionFaults } from '../mesh/connection-failure.ts';
import type { AddOutcome, JoinFailure } from '../mesh/membership.ts';
import { NodeRefusal } from '../mesh/node-requests.ts';
import { nodeErrors } from '../wire/errors.ts';
import { WireRefusal } from '../wire/refusal.ts';

/** A code and a sentence for what a person or the node may cause; undefined for our own faults. */
export function wordsFor(error: unknown): { code: string; text: string } | undefined {
  if (error instanceof NodeRefusal) {
    const { code } = error;
    if (code === 'offline') return { code, text: connectionFaults.stopped };
    return { code, text: code === 'silent' ? connectionFaults.silent : nodeErrors[code].person };
  }
  if (!(error instanceof WireRefusal)) return undefined;
  const text = error.code === 'too-large' ? 'That is too long for one message.' : 'That cannot be sent: it is not readable text.';
  return { code: error.code, text };
}

export const addWords: Record<Exclude<AddOutcome, 'added'>, string> = {
  'already-in': 'They are in the group already.',
  'unknown-user': 'There is no user of that name at this node.',
  'name-changed': 'That name belonged to another key before. Ask them whether that is right before you go on.',
  refused: 'What the node says of that user does not hold. Nobody was added.',
  'no-devices': 'They have no device that could read along. They must log in once.',
  'not-allowed': 'Only admins of the group may add people.',
};

export const joinWords: Record<JoinFailure | 'node', string> = {
  'bad-link': 'That is no invite link, or not the whole of it.',
  'other-node': 'That link leads to another node.',
  'wrong-node': 'That link is for a node with another key. Somebody may be posing as the node: ask whoever sent the link.',
  'other-group': 'That link and what the node has of the group do not fit together. Ask whoever sent the link.',
  'not-invited': 'The group knows nothing of that link. Ask for a new one.',
  used: 'That link has been used already. Ask for a new one.',
  revoked: 'That link was withdrawn. Ask for a new one.',
  expired: 'That link has expired. Ask for a new one.',
  lapsed: 'That link is from before you were removed from the group. Ask for a new one.',
  'not-for-you': 'That link is for somebody else.',
  'other-device': 'You are in that group already, with another device. A second device cannot join it yet.',
  gone: 'The node does not have that group.',
  node: 'The node cannot be asked now. Try the link again later.',
};
