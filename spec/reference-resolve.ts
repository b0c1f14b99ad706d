// The conflict rule of spec/protocol.md §4 word by word, without any thought of speed: the model that keys/resolve.ts is tested against.

export type ModelChange =
  | { kind: 'genesis'; devices: string[] }
  | { kind: 'add'; target: string; role: number; devices: string[]; invite?: string }
  | { kind: 'remove' | 'leave'; target: string }
  | { kind: 'set-role'; target: string; role: number }
  | { kind: 'add-device' | 'remove-device'; target: string; device: string }
  | { kind: 'invite'; invite: string; role: number; maxUses: number; forWhom?: string }
  | { kind: 'invite-revoke'; invite: string };

export type ModelOp = { id: string; parents: string[]; depth: number; author: string; device: string; changes: ModelChange[] };

type Since = [depth: number, id: string];
type Member = { role: number; since: Since; devices: Set<string> };
type Invite = { author: string; role: number; maxUses: number; forWhom?: string; uses: number; revoked: boolean; madeBy: string };
export type ModelState = {
  members: Map<string, Member>;
  invites: Map<string, Invite>;
  removals: { target: string; id: string }[];
};
export type ModelResult = { applied: Set<string>; state: ModelState; rounds: number };
type Hit = { person?: string; device?: string };

const [owner, admin, plainMember] = [4, 3, 2];
const nothing = (): ModelState => ({ members: new Map(), invites: new Map(), removals: [] });

/** One stretch between two ops that are concurrent with none after the other, each judged on what the one before left. */
export function resolveByStretches(ops: ModelOp[], admit: number): ModelResult {
  const graph = new Graph(ops);
  const applied = new Set<string>();
  let [state, rounds] = [nothing(), 0];
  let stretch: ModelOp[] = [];
  const settle = () => {
    const result = resolveTogether(stretch, { admit, base: state, graph });
    for (const id of result.applied) applied.add(id);
    [state, rounds, stretch] = [result.state, Math.max(rounds, result.rounds), []];
  };
  for (const op of graph.order) {
    const isAlone = ops.every((other) => !graph.areConcurrent(op.id, other.id));
    if (isAlone) settle();
    stretch.push(op);
    if (isAlone) settle();
  }
  settle();
  return { applied, state, rounds };
}

export function resolveTogether(ops: ModelOp[], context: { admit: number; base?: ModelState; graph?: Graph }): ModelResult {
  const { admit, base = nothing(), graph = new Graph(ops) } = context;
  const ids = graph.order.filter((op) => ops.includes(op));
  const areConcurrent = (a: ModelOp, b: ModelOp) => graph.areConcurrent(a.id, b.id);

  const fold = (selected: ModelOp[]) => foldOf(selected, { base, graph });

  const replay = (voided: Set<ModelOp>) => {
    const standing = new Map<ModelOp, { rank: number; since: Since; hits: Hit[] }>();
    for (const op of ids) {
      if (voided.has(op)) continue;
      const past = fold(ids.filter((other) => standing.has(other) && graph.isAncestor(other.id, op.id)));
      const hits = judge(past, op, { admit, graph });
      const author = past.members.get(op.author);
      if (hits !== 'void') standing.set(op, { rank: author?.role ?? owner, since: author?.since ?? [0, op.id], hits });
    }
    return standing;
  };

  const dead = new Set<ModelOp>();
  for (let rounds = 1; ; rounds++) {
    const [voided, done] = [new Set(dead), new Set<ModelOp>()];
    let standing = replay(voided);
    for (;;) {
      const [next] = [...standing].filter(([op, { hits }]) => hits.length > 0 && !done.has(op)).sort(byRankThenSeniority);
      if (next === undefined) break;
      const [removal, { hits }] = next;
      done.add(removal);
      for (const op of ids) if (!done.has(op) && areConcurrent(op, removal) && hits.some((hit) => falls(op, hit))) voided.add(op);
      standing = replay(voided);
    }
    const undone = [...done].filter((op) => !standing.has(op));
    for (const op of undone) dead.add(op);
    if (undone.length === 0)
      return { applied: new Set([...standing.keys()].map(({ id }) => id)), state: fold([...standing.keys()]), rounds };
  }
}

/** What these ops, of which all are applied, make of a state. */
export function foldOf(selected: ModelOp[], { base = nothing(), graph }: { base?: ModelState; graph: Graph }): ModelState {
  const isBeaten = (op: ModelOp, change: ModelChange) =>
    selected.some((other) => graph.areConcurrent(op.id, other.id) && other.changes.some((removal) => beats(removal, change)));
  let state = base;
  for (const op of selected) for (const change of op.changes) if (!isBeaten(op, change)) state = step(state, op, change);
  return state;
}

export class Graph {
  readonly order: ModelOp[];
  readonly #ancestors = new Map<string, Set<string>>();

  constructor(ops: ModelOp[]) {
    this.order = [...ops].sort((a, b) => a.depth - b.depth || (a.id < b.id ? -1 : 1));
    for (const { id, parents } of this.order)
      this.#ancestors.set(id, new Set(parents.flatMap((parent) => [parent, ...(this.#ancestors.get(parent) ?? [])])));
  }

  isAncestor(a: string, b: string): boolean {
    return this.#ancestors.get(b)?.has(a) ?? false;
  }

  areConcurrent(a: string, b: string): boolean {
    return a !== b && !this.isAncestor(a, b) && !this.isAncestor(b, a);
  }
}

type Standing = [ModelOp, { rank: number; since: Since; hits: Hit[] }];
function byRankThenSeniority([x, a]: Standing, [y, b]: Standing): number {
  const names = (p: string, q: string) => (p < q ? -1 : p > q ? 1 : 0);
  return b.rank - a.rank || a.since[0] - b.since[0] || names(a.since[1], b.since[1]) || names(x.id, y.id);
}

function falls({ author, device, changes }: ModelOp, hit: Hit): boolean {
  return hit.device === device || (hit.person === author && changes[0]?.kind !== 'leave');
}

function beats(removal: ModelChange, change: ModelChange): boolean {
  if (removal.kind === 'remove') return (change.kind === 'add' || change.kind === 'set-role') && change.target === removal.target;
  return removal.kind === 'remove-device' && change.kind === 'add-device' && change.device === removal.device;
}

/** Whom the op hits if it is valid in this state. */
function judge(past: ModelState, op: ModelOp, context: { admit: number; graph: Graph }): Hit[] | 'void' {
  const hits: Hit[] = [];
  let state = past;
  const isGenesis = op.changes[0]?.kind === 'genesis';
  if (!isGenesis && !past.members.get(op.author)?.devices.has(op.device)) return 'void';
  if (op.changes.length === 0 && (past.members.get(op.author)?.role ?? 0) < plainMember) return 'void';
  for (const change of op.changes) {
    if (!isAllowed(state, op, { ...context, change })) return 'void';
    const target = 'target' in change ? state.members.get(change.target) : undefined;
    if (change.kind === 'remove' || (change.kind === 'set-role' && change.role < (target?.role ?? 0)))
      hits.push({ person: change.target });
    if (change.kind === 'remove-device') hits.push({ device: change.device });
    state = step(state, op, change);
  }
  return hits;
}

function isAllowed(state: ModelState, op: ModelOp, context: { admit: number; graph: Graph; change: ModelChange }): boolean {
  const { admit, graph, change } = context;
  if (change.kind === 'genesis') return state.members.size === 0;
  const rank = state.members.get(op.author)?.role ?? 0;
  const target = 'target' in change ? state.members.get(change.target) : undefined;
  const mayRule = rank >= admin && rank >= (target?.role ?? 0);
  const isSelf = 'target' in change && change.target === op.author;
  if (change.kind === 'leave') return op.changes.length === 1 && !isLastOwner(state, op.author);
  if (rank < plainMember) return false;
  switch (change.kind) {
    case 'add': {
      if (target !== undefined) return false;
      if (change.invite === undefined) return rank >= admit && mayGive(rank, change.role);
      const invite = state.invites.get(change.invite);
      if (invite === undefined || invite.revoked || invite.uses >= invite.maxUses || invite.role !== change.role) return false;
      const inviter = state.members.get(invite.author)?.role ?? 0;
      if (inviter < admit || !mayGive(inviter, invite.role) || (invite.forWhom ?? change.target) !== change.target) return false;
      return state.removals.every(
        ({ target, id }) => target !== change.target || id === invite.madeBy || graph.isAncestor(id, invite.madeBy),
      );
    }
    case 'remove':
      return target !== undefined && mayRule && !isSelf && !isLastOwner(state, change.target);
    case 'set-role':
      return target !== undefined && rank >= admin && target.role < rank && (change.role < rank || rank === owner);
    case 'add-device':
      return target !== undefined && (isSelf || mayRule) && !target.devices.has(change.device);
    case 'remove-device':
      return target !== undefined && (isSelf || mayRule) && target.devices.has(change.device) && target.devices.size > 1;
    case 'invite':
      return rank >= admit && mayGive(rank, change.role) && !state.invites.has(change.invite);
    case 'invite-revoke': {
      const invite = state.invites.get(change.invite);
      return invite !== undefined && !invite.revoked && (rank >= admin || invite.author === op.author);
    }
  }
}

function mayGive(rank: number, role: number): boolean {
  return role < rank || role <= plainMember;
}

function ownersOf({ members }: ModelState): string[] {
  return [...members].filter(([, { role }]) => role === owner).map(([person]) => person);
}

function isLastOwner(state: ModelState, person: string): boolean {
  return state.members.size > 1 && ownersOf(state).join() === person;
}

function step(before: ModelState, op: ModelOp, change: ModelChange): ModelState {
  const state: ModelState = {
    members: new Map(before.members),
    invites: new Map(before.invites),
    removals: [...before.removals],
  };
  const since: Since = [op.depth, op.id];
  const target = 'target' in change ? state.members.get(change.target) : undefined;
  const invite = 'invite' in change && change.invite !== undefined ? state.invites.get(change.invite) : undefined;
  const put = (person: string, member: Member) => state.members.set(person, member);
  if (change.kind === 'genesis') put(op.author, { role: owner, since, devices: new Set(change.devices) });
  if (change.kind === 'add' && target === undefined && ownersOf(state).length > 0) {
    if (change.invite !== undefined) {
      if (invite === undefined || invite.uses >= invite.maxUses) return state;
      state.invites.set(change.invite, { ...invite, uses: invite.uses + 1 });
    }
    put(change.target, { role: change.role, since, devices: new Set(change.devices) });
  }
  if (change.kind === 'remove') state.removals.push({ target: change.target, id: op.id });
  if ((change.kind === 'remove' || change.kind === 'leave') && !isLastOwner(state, change.target))
    state.members.delete(change.target);
  if (change.kind === 'set-role' && target !== undefined && !(change.role < owner && isLastOwner(state, change.target)))
    put(change.target, { ...target, role: change.role, since: change.role > target.role ? since : target.since });
  if (change.kind === 'add-device' && target !== undefined)
    put(change.target, { ...target, devices: new Set(target.devices).add(change.device) });
  if (change.kind === 'remove-device' && target !== undefined)
    put(change.target, { ...target, devices: new Set([...target.devices].filter((device) => device !== change.device)) });
  if (change.kind === 'invite' && invite === undefined)
    state.invites.set(change.invite, { ...change, author: op.author, uses: 0, revoked: false, madeBy: op.id });
  if (change.kind === 'invite-revoke' && invite !== undefined) state.invites.set(change.invite, { ...invite, revoked: true });
  return state;
}
