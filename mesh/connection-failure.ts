// Why there is no connection to the node, what to say of it, and whether trying again helps.
import { explain, type KeyRefusalCode } from '../keys/key-refusal.ts';
import { type NodeErrorCode, nodeErrors } from '../wire/errors.ts';

/** What went wrong on the way to the node, with a sentence for the person. */
export const connectionFaults = {
  stopped: 'You are not connected.',
  'bad-address': 'That is no address of a node. It starts with wss://, and with ws:// only on this machine.',
  unreachable: 'The node cannot be reached. It will be tried again.',
  lost: 'The connection to the node was lost. It will be tried again.',
  silent: 'The node does not answer. It will be tried again.',
  'bad-answer': 'The node answered something that makes no sense. It will be tried again.',
  'bad-node-signature': 'What answered could not prove that it is the node. It will be tried again.',
  'other-node':
    'This address now shows another key than before. Somebody may be posing as the node: nothing more is sent to it. Ask its operator.',
  broken: 'Something went wrong in this app. It will be tried again.',
} as const;
export type ConnectionFault = keyof typeof connectionFaults;

export type ConnectionFailure =
  /** retryAfter: ms, 0 for unknown. */
  | { by: 'node'; code: NodeErrorCode; retryAfter: number }
  /** By the key agent: locked, say, or asked to open what is no challenge for us. */
  | { by: 'key'; code: KeyRefusalCode }
  | { by: 'connection'; code: ConnectionFault };

/** A sentence or two for the person. */
export function explainFailure(failure: ConnectionFailure): string {
  switch (failure.by) {
    case 'node':
      return nodeErrors[failure.code].person;
    case 'key':
      return `${explain[failure.code].what} ${explain[failure.code].mend}`;
    case 'connection':
      return connectionFaults[failure.code];
    default:
      return failure satisfies never;
  }
}

/** 'soon': by itself. 'person': when the person has acted. 'never': no button gets past it. */
export function whenToRetry(failure: ConnectionFailure): 'soon' | 'person' | 'never' {
  switch (failure.by) {
    case 'node':
      return passingErrors.has(failure.code) ? 'soon' : 'person';
    case 'key':
      return failure.code === 'refused' ? 'soon' : 'person';
    case 'connection':
      if (failure.code === 'other-node' || failure.code === 'bad-address') return 'never';
      return failure.code === 'stopped' ? 'person' : 'soon';
    default:
      return failure satisfies never;
  }
}

const passingErrors = new Set<NodeErrorCode>(['challenge-expired', 'rate-limited', 'busy', 'internal']);
