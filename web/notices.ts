// Lines in a conversation that are no messages: what members did to the group, in words.
import type { Group } from '../mesh/group.ts';
import { hex } from '../wire/bytes.ts';
import { type Change, roles } from '../wire/group-ops.ts';
import type { Uid } from '../wire/ids.ts';
import type { NoticeView } from './app-state.ts';

export type Notice = { depth: number; notice: NoticeView };

/** In the order of the log; only what counts. */
export function noticesOf(group: Group, usernameOf: (uid: Uid) => string): Notice[] {
  const notices: Notice[] = [];
  for (const { op, verdict } of group.log.ops.inOrder()) {
    if (verdict !== 'applied') continue;
    const author = group.ownerOf(op.body.author);
    const by = author === undefined ? 'someone' : usernameOf(author);
    op.body.changes.forEach((change, i) => {
      const text = wordsFor(change, by, usernameOf);
      if (text !== undefined)
        notices.push({ depth: op.body.depth, notice: { id: `${hex(op.opId)} ${i}`, at: op.body.wall, text } });
    });
  }
  return notices;
}

function wordsFor(change: Change, by: string, usernameOf: (uid: Uid) => string): string | undefined {
  switch (change.kind) {
    case 'genesis':
      return `${by} created the group`;
    case 'add':
      return change.proof === undefined
        ? `${by} added ${usernameOf(change.uid)}`
        : `${usernameOf(change.uid)} joined by an invite link`;
    case 'remove':
      return `${by} removed ${usernameOf(change.uid)}`;
    case 'leave':
      return `${by} left`;
    case 'set-role':
      return `${by} made ${usernameOf(change.uid)} ${roleWords[change.role]}`;
    case 'add-device':
      return `${usernameOf(change.uid)} uses another device`;
    case 'remove-device':
      return `${by} removed a device of ${usernameOf(change.uid)}`;
    case 'policy':
      return `${by} changed the group's settings`;
    case 'invite':
    case 'invite-revoke':
      return undefined;
    default:
      return change satisfies never;
  }
}

const roleWords = {
  [roles.keeper]: 'a keeper',
  [roles.member]: 'a member',
  [roles.admin]: 'an admin',
  [roles.owner]: 'an owner',
} as const;
