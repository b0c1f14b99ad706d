// How much of the log those may write who are no admins, so that a member cannot drown the others (spec/protocol.md §4).
// Goes by ops and ancestors alone: void ops count, so that a flood does not free its own way.
import { limits } from '../wire/limits.ts';
import type { OpDag } from './op-dag.ts';
import { compareNodes, type OpNode, type QuotaCount } from './op-node.ts';

/** Whether its author has used up what is allowed within the last ops of its past. Leaving is always allowed. */
export function isOverQuota(node: OpNode, dag: OpDag): boolean {
  const counts = countsAs(node, dag);
  if (counts === 'not' || node.steps[0]?.kind === 'leave') return false;
  const past = lastAncestors(node).filter(({ uid }) => uid === node.uid);
  const same = past.filter((one) => countsAs(one, dag) === counts);
  if (same.length >= limits.quotaOps) return true;
  if (counts === 'as-device-op' || node.op.body.epoch === undefined) return false;
  return same.filter(({ op }) => op.body.epoch !== undefined).length >= limits.quotaEpochs;
}

/** Merges, the rekey after somebody went and uses of invites do not count, for anybody must be able to make them; one's own devices count by themselves. */
function countsAs(node: OpNode, dag: OpDag): QuotaCount {
  node.counts ??= isDuty(node, dag) ? 'not' : isOwnDevices(node) ? 'as-device-op' : 'as-op';
  return node.counts;
}

function isDuty(node: OpNode, dag: OpDag): boolean {
  const { flaw, steps, parents, op } = node;
  if (flaw !== undefined) return false;
  if (steps.length > 0) return steps.every((step) => step.kind === 'add' && step.invite !== undefined);
  if (op.body.epoch !== undefined && parents.some(({ rekeyDue }) => rekeyDue)) return true;
  return parents.length > 1 && parents.some(({ uid }) => uid !== node.uid) && isAntichain(parents, dag);
}

function isOwnDevices({ steps, uid }: OpNode): boolean {
  const isOwn = (step: OpNode['steps'][number]) =>
    (step.kind === 'add-device' || step.kind === 'remove-device') && step.uid === uid;
  return steps.length > 0 && steps.every(isOwn);
}

/** None comes before another: there was something to merge. */
function isAntichain(nodes: readonly OpNode[], dag: OpDag): boolean {
  const before = nodes.flatMap(({ parents }) => parents);
  return !dag.isBehind(before, new Set(nodes));
}

/** The greatest of its ancestors in (depth, opId). */
function lastAncestors(node: OpNode): OpNode[] {
  const last: OpNode[] = [];
  const seen = new Set(node.parents);
  const waiting = [...node.parents].sort(compareNodes);
  for (let next = waiting.pop(); next !== undefined && last.length < limits.quotaWindow; next = waiting.pop()) {
    last.push(next);
    for (const parent of next.parents) {
      if (seen.has(parent)) continue;
      seen.add(parent);
      insertInOrder(waiting, parent);
    }
  }
  return last;
}

function insertInOrder(waiting: OpNode[], node: OpNode): void {
  let at = waiting.length;
  for (let before = waiting[at - 1]; before !== undefined && compareNodes(before, node) > 0; before = waiting[at - 1]) at -= 1;
  waiting.splice(at, 0, node);
}
