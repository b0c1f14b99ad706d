// What a person may do about who is in a group, by the rules of its log; and how one went out of it, in words.
import type { LeaveOutcome, RemoveOutcome, RoleOutcome } from '../mesh/departure.ts';
import type { Group } from '../mesh/group.ts';
import { equal } from '../wire/bytes.ts';
import { type Role, roles } from '../wire/group-ops.ts';
import type { Uid } from '../wire/ids.ts';
import type { GivenRole } from './app-state.ts';

export const givenRoles = { owner: roles.owner, admin: roles.admin, member: roles.member } as const;

export function mayRemove(mine: Role, theirs: Role): boolean {
  return theirs > roles.none && mine >= roles.admin && (mine > theirs || (mine === theirs && mine < roles.owner));
}

/** The greatest first; without the one they have. */
export function rolesToGive(mine: Role, theirs: Role): GivenRole[] {
  if (theirs === roles.none || mine < roles.admin || mine <= theirs) return [];
  const all = ['owner', 'admin', 'member'] as const;
  return all.filter((name) => givenRoles[name] !== theirs && (givenRoles[name] < mine || mine === roles.owner));
}

/** A group that others stay in needs an owner. */
export function mayLeave(mine: Role, everybody: Role[]): boolean {
  const present = everybody.filter((role) => role > roles.none);
  if (mine === roles.none) return false;
  return mine < roles.owner || present.length === 1 || present.filter((role) => role === roles.owner).length > 1;
}

/** Undefined while this device is in, and while the log is not here yet. */
export function outWords(group: Group, me: Uid): string | undefined {
  if (group.log.state() === undefined || group.isIn()) return undefined;
  return hasLeft(group, me)
    ? 'You left this group. What you have read stays here.'
    : 'You were removed from this group. What you have read stays here.';
}

function hasLeft(group: Group, me: Uid): boolean {
  let left = false;
  for (const { op, verdict } of group.log.ops.inOrder()) {
    if (verdict !== 'applied') continue;
    for (const change of op.body.changes) {
      const author = group.ownerOf(op.body.author);
      if (change.kind === 'leave' && author !== undefined && equal(author, me)) left = true;
      if ((change.kind === 'remove' || change.kind === 'add') && equal(change.uid, me)) left = false;
    }
  }
  return left;
}

/** What went wrong, or undefined when it is done. */
export function departureProblem(outcome: RemoveOutcome | LeaveOutcome | RoleOutcome): string | undefined {
  switch (outcome) {
    case 'removed':
    case 'left':
    case 'changed':
      return undefined;
    case 'not-in':
      return 'They are not in this group any more.';
    case 'not-allowed':
      return 'Your role in this group does not allow that any more. Ask an owner.';
    case 'last-owner':
      return 'You are the only owner of this group. Make somebody else an owner before you leave.';
    default:
      return outcome satisfies never;
  }
}
