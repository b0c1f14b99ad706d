// How people go, and what keeps them out: removing, leaving, other roles, and new keys for those who stay.
import { hash } from '../keys/hash.ts';
import type { GroupState } from '../keys/resolve.ts';
import { compare, hex } from '../wire/bytes.ts';
import { type Change, type Role, roles } from '../wire/group-ops.ts';
import { asFrameId, type Did, type Uid } from '../wire/ids.ts';
import type { FrontierEntry, Recipient } from './epochs.ts';
import type { Group } from './group.ts';
import type { Plan } from './group-log.ts';
import type { People } from './people.ts';
import type { Clock, Stop } from './ports.ts';

export type DepartureNeeds = {
  me: { uid: Uid; did: Did };
  people: People;
  clock: Clock;
  /** Other devices of the group that are reachable now. */
  onlineDevices(group: Group): Did[];
  run(work: Promise<unknown>): void;
};

export type RemoveOutcome = 'removed' | 'not-in' | 'not-allowed';
export type LeaveOutcome = 'left' | 'not-in' | 'last-owner';
export type RoleOutcome = 'changed' | 'not-in' | 'not-allowed';

/** So that one of those who are online makes the new keys. */
const rekeyPause = 400;
const longestLine = 15;

export class Departure {
  readonly #needs: DepartureNeeds;
  readonly #timers = new Map<string, Stop>();
  #closed = false;

  constructor(needs: DepartureNeeds) {
    this.#needs = needs;
  }

  /** With new keys for everybody else in the same entry. Rejects with NodeRefusal. */
  async remove(group: Group, uid: Uid): Promise<RemoveOutcome> {
    let outcome: RemoveOutcome = 'removed';
    await group.log.commit(async (state) => {
      outcome = this.#mayRemove(state, uid);
      return outcome === 'removed' ? this.#planWithout(group, state, [{ kind: 'remove', uid, reason: 0 }], uid) : undefined;
    });
    return outcome;
  }

  /** Those who stay make themselves new keys: whoever goes must not know them. Rejects with NodeRefusal. */
  async leave(group: Group): Promise<LeaveOutcome> {
    let outcome: LeaveOutcome = 'left';
    await group.log.commit(async (state) => {
      outcome = mayLeave(state, this.#needs.me.uid);
      return outcome === 'left' ? { changes: [{ kind: 'leave' }], epoch: 'none' } : undefined;
    });
    return outcome;
  }

  /** Rejects with NodeRefusal. */
  async setRole(group: Group, uid: Uid, role: Exclude<Role, 0>): Promise<RoleOutcome> {
    let outcome: RoleOutcome = 'changed';
    await group.log.commit(async (state) => {
      const mine = roleOf(state, this.#needs.me.uid);
      const theirs = roleOf(state, uid);
      const isOwner = mine === roles.owner;
      if (theirs === roles.none) outcome = 'not-in';
      else if (mine < roles.admin || mine <= theirs || (role >= mine && !isOwner)) outcome = 'not-allowed';
      return outcome === 'changed' ? { changes: [{ kind: 'set-role', uid, role }], epoch: 'none' } : undefined;
    });
    return outcome;
  }

  /** The log went on: where somebody who is out still knows the newest key, one of those who stay makes another. */
  logGrew(group: Group): void {
    const name = hex(group.gid);
    if (this.#closed || this.#timers.has(name) || !group.isRekeyDue()) return;
    const wait = this.#placeInLine(group) * rekeyPause;
    this.#timers.set(
      name,
      this.#needs.clock.after(wait, () => {
        this.#timers.delete(name);
        if (group.isRekeyDue()) this.#needs.run(this.#rekey(group));
      }),
    );
  }

  close(): void {
    this.#closed = true;
    for (const stop of this.#timers.values()) stop();
    this.#timers.clear();
  }

  async #rekey(group: Group): Promise<void> {
    await group.log.commit(async (state) => (group.isRekeyDue() ? this.#planWithout(group, state, [], undefined) : undefined));
  }

  async #planWithout(group: Group, state: GroupState, changes: Change[], removed: Uid | undefined): Promise<Plan> {
    const stay = [...state.members.values()].filter(
      ({ uid, role }) => role >= roles.member && (removed === undefined || hex(uid) !== hex(removed)),
    );
    const fresh: Recipient[] = [];
    for (const { uid } of stay) fresh.push({ uid, certificate: (await this.#needs.people.byUid(uid))?.certificate });
    const gone = removed === undefined ? group.departedDevices() : devicesOf(state, removed);
    return { changes, epoch: { fresh, frontier: gone.map((did) => frontierOf(group, did)) } };
  }

  #mayRemove(state: GroupState, uid: Uid): RemoveOutcome {
    const mine = roleOf(state, this.#needs.me.uid);
    const theirs = roleOf(state, uid);
    if (theirs === roles.none) return 'not-in';
    if (hex(uid) === hex(this.#needs.me.uid)) return 'not-allowed';
    return mine >= roles.admin && (mine > theirs || (mine === theirs && mine < roles.owner)) ? 'removed' : 'not-allowed';
  }

  #placeInLine(group: Group): number {
    const place = (did: Did) => hash('rekey', group.gid, did);
    const mine = place(this.#needs.me.did);
    const before = this.#needs.onlineDevices(group).filter((did) => compare(place(did), mine) < 0);
    return Math.min(before.length, longestLine);
  }
}

function roleOf(state: GroupState, uid: Uid): Role {
  return state.members.get(hex(uid))?.role ?? roles.none;
}

function mayLeave(state: GroupState, uid: Uid): LeaveOutcome {
  const mine = roleOf(state, uid);
  if (mine === roles.none) return 'not-in';
  const members = [...state.members.values()].filter(({ role }) => role > roles.none);
  const owners = members.filter(({ role }) => role === roles.owner);
  return mine === roles.owner && owners.length === 1 && members.length > 1 ? 'last-owner' : 'left';
}

function devicesOf(state: GroupState, uid: Uid): Did[] {
  return [...(state.members.get(hex(uid))?.devices.values() ?? [])].map(({ did }) => did);
}

/** The newest frame of that device that is here; none counts where there is none. */
function frontierOf(group: Group, did: Did): FrontierEntry {
  const seq = group.transcript.top(did);
  const frameId = group.transcript.at(did, seq) ?? asFrameId(new Uint8Array(32));
  return { did, seq, frameId };
}
