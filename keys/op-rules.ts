// Who may change what in a group, judged in the state that the op's author saw (spec/protocol.md §4).
import { hex } from '../wire/bytes.ts';
import { type Role, roles } from '../wire/group-ops.ts';
import { limits } from '../wire/limits.ts';
import type { GroupFold, GroupMember } from './group-state.ts';
import type { OpDag } from './op-dag.ts';
import type { Hit, OpNode, Step, Verdict } from './op-node.ts';
import { isOverQuota } from './op-quota.ts';
import type { VoidReason } from './void-reason.ts';

/**
 * The op on top of the state of its past: all of it, or, if one change is void, nothing. `after` is `before` changed in place where
 * `mayReuse`, else another one.
 */
export function attempt(
  node: OpNode,
  context: { before: GroupFold; mayReuse: boolean; dag: OpDag },
): { verdict: Verdict; after: GroupFold } {
  const { before, mayReuse, dag } = context;
  const author = judgeAuthor(node, before, dag);
  if (typeof author === 'string') return { verdict: author, after: before };
  const { role: rank, since } = author;
  const hits: Hit[] = [];
  // Later changes of an op are judged after the earlier ones, and these must leave no trace if a later one is void.
  let after = node.steps.length > 1 ? before.clone() : mayReuse ? before : undefined;
  for (const step of node.steps) {
    const state = after ?? before;
    const reason = judgeStep(step, { node, author, state, dag });
    if (reason !== undefined) return { verdict: reason, after: before };
    hits.push(...hitsOf(step, state));
    after ??= before.clone();
    after.applyStep(node, step);
  }
  after ??= before.clone();
  after.applyEpoch(node);
  return { verdict: { rank, since, hits }, after };
}

type Author = Pick<GroupMember, 'role' | 'since'> & { readonly uid: string };

function judgeAuthor(node: OpNode, state: GroupFold, dag: OpDag): Author | VoidReason {
  const { uid, flaw, steps } = node;
  if (flaw !== undefined) return flaw;
  const isGenesis = steps[0]?.kind === 'genesis';
  if (isGenesis) return { uid, role: roles.owner, since: { depth: 0, opId: node.op.opId } };
  const member = state.members.get(uid);
  if (member === undefined || !member.devices.has(node.author)) return 'not-in-group';
  const { role, since } = member;
  if (steps[0]?.kind === 'leave') return { uid, role, since };
  if (role < roles.member) return 'role-too-low';
  if (role < roles.admin && isOverQuota(node, dag)) return 'over-quota';
  return { uid, role, since };
}

type StepContext = { node: OpNode; author: Author; state: GroupFold; dag: OpDag };

/** What stands against it, if anything. */
function judgeStep(step: Step, context: StepContext): VoidReason | undefined {
  const { author, state } = context;
  switch (step.kind) {
    case 'genesis':
      return undefined;
    case 'invite':
      if (author.role < state.policy.admit || !mayGive(author.role, step.terms.role)) return 'role-too-low';
      if (state.invites.has(step.invite)) return 'invite-known';
      return step.terms.maxUses === 0 ? 'invite-useless' : undefined;
    case 'invite-revoke':
      return judgeRevoke(step, context);
    case 'add':
      return judgeAdd(step, context);
    case 'remove':
      return judgeRemove(step, context);
    case 'leave':
      return state.isLastOwner(author.uid) ? 'last-owner' : undefined;
    case 'add-device':
      return judgeAddDevice(step, context);
    case 'remove-device':
      return judgeRemoveDevice(step, context);
    case 'set-role':
      return judgeSetRole(step, context);
    case 'policy': {
      if (author.role < roles.admin) return 'role-too-low';
      const { suite, wrap } = state.policy;
      return step.policy.suite < suite || step.policy.wrap < wrap ? 'weaker-policy' : undefined;
    }
    default:
      return step satisfies never;
  }
}

/** Whoever may admit at all brings in members and keepers, and otherwise only roles below their own. */
function mayGive(own: Role, given: Role): boolean {
  return given < own || given <= roles.member;
}

/** Over others of the same rank too: admins can remove each other, and the conflict rule settles who was first. */
function mayRule(author: Author, target: GroupMember): boolean {
  return author.role >= roles.admin && author.role >= target.role;
}

function judgeRevoke(step: Extract<Step, { kind: 'invite-revoke' }>, { author, state }: StepContext): VoidReason | undefined {
  const invite = state.invites.get(step.invite);
  if (invite === undefined) return 'invite-unknown';
  if (invite.revoked) return 'invite-revoked';
  return author.role >= roles.admin || hex(invite.author) === author.uid ? undefined : 'role-too-low';
}

function judgeAdd(step: Extract<Step, { kind: 'add' }>, context: StepContext): VoidReason | undefined {
  const { author, state } = context;
  const isPlain = step.invite === undefined;
  if (isPlain && (author.role < state.policy.admit || !mayGive(author.role, step.role))) return 'role-too-low';
  if (state.members.has(step.uid)) return 'already-in';
  if (state.members.size >= limits.groupMembers) return 'group-full';
  return isPlain ? undefined : judgeInvite(step, context);
}

/** The adder's own role is of no account here: the invite's author stands for it, and must still be able to. */
function judgeInvite(step: Extract<Step, { kind: 'add' }>, { state, dag }: StepContext): VoidReason | undefined {
  const invite = step.invite === undefined ? undefined : state.invites.get(step.invite);
  if (invite === undefined) return 'invite-unknown';
  if (invite.revoked) return 'invite-revoked';
  if (invite.forUid !== undefined && hex(invite.forUid) !== step.uid) return 'invite-bound';
  if (invite.role !== step.role) return 'invite-role';
  if (invite.uses >= invite.maxUses) return 'invite-used-up';
  const inviter = state.members.get(hex(invite.author));
  if (inviter === undefined || inviter.role < state.policy.admit || !mayGive(inviter.role, invite.role)) return 'invite-lapsed';
  // A removal that the inviter did not know of counts as one that came after.
  const madeBy = dag.get(hex(invite.madeBy));
  const isKnownToInviter = (removal: OpNode) => madeBy !== undefined && (removal === madeBy || dag.isAncestor(removal, madeBy));
  return state.removalsOf(step.uid).every(isKnownToInviter) ? undefined : 'invite-lapsed';
}

function judgeRemove(step: Extract<Step, { kind: 'remove' }>, { author, state }: StepContext): VoidReason | undefined {
  if (author.role < roles.admin) return 'role-too-low';
  const target = state.members.get(step.uid);
  if (target === undefined) return 'not-a-member';
  if (step.uid === author.uid || !mayRule(author, target)) return 'role-too-low';
  return state.isLastOwner(step.uid) ? 'last-owner' : undefined;
}

/**
 * Not for somebody of higher rank: the log cannot see whether a person signed a certificate, so whoever adds a device could also
 * have made it up, and must not rise by it.
 */
function judgeAddDevice(step: Extract<Step, { kind: 'add-device' }>, { author, state }: StepContext): VoidReason | undefined {
  const target = state.members.get(step.uid);
  if (target === undefined) return 'not-a-member';
  if (step.uid !== author.uid && !mayRule(author, target)) return 'role-too-low';
  if (target.devices.has(step.did)) return 'device-known';
  return target.devices.size >= limits.devicesPerMember ? 'too-many-devices' : undefined;
}

function judgeRemoveDevice(step: Extract<Step, { kind: 'remove-device' }>, context: StepContext): VoidReason | undefined {
  const { author, state } = context;
  const target = state.members.get(step.uid);
  if (target === undefined) return 'not-a-member';
  if (step.uid !== author.uid && !mayRule(author, target)) return 'role-too-low';
  if (!target.devices.has(step.did)) return 'device-unknown';
  return target.devices.size === 1 ? 'last-device' : undefined;
}

function judgeSetRole(step: Extract<Step, { kind: 'set-role' }>, { author, state }: StepContext): VoidReason | undefined {
  if (author.role < roles.admin) return 'role-too-low';
  const target = state.members.get(step.uid);
  if (target === undefined) return 'not-a-member';
  const mayGiveThat = step.role < author.role || author.role === roles.owner;
  return target.role < author.role && mayGiveThat ? undefined : 'role-too-low';
}

/** Whom a valid change removes or demotes. */
function hitsOf(step: Step, state: GroupFold): Hit[] {
  if (step.kind === 'remove') return [{ uid: step.uid }];
  if (step.kind === 'remove-device') return [{ did: step.did }];
  if (step.kind !== 'set-role') return [];
  const target = state.members.get(step.uid);
  return target !== undefined && step.role < target.role ? [{ uid: step.uid }] : [];
}
