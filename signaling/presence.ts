// Who is online, who of them follows which group, and whom to tell. In memory only.
import { encode } from '../wire/codec.ts';
import { asDid, asRosterTag, type Did, type GTag, type RosterTag } from '../wire/ids.ts';
import { limits } from '../wire/limits.ts';
import { type Mailbox, nodeMessage } from '../wire/node-messages.ts';

/** A device with a socket. Ids are kept as keys, which take a tenth of the memory of byte arrays. */
export interface Attendee {
  /** Key of the uid. */
  readonly person: string;
  /** Key of the did. */
  readonly device: string;
  /** What it follows; set by Presence. */
  follows: Follows | undefined;
  /** Sends what it did not ask for; `written` is called when it has gone out, or never will, but not for 'closed'. */
  push(message: Uint8Array, written?: () => void): 'sent' | 'closed';
  /** Sends what another client wants to say; 'full' while much is unread. */
  offer(message: Uint8Array, written: () => void): 'sent' | 'closed' | 'full';
  /** 'replaced': another socket of the same device has taken its place. 'device-refused': the device is not known any more. */
  end(code: 'replaced' | 'device-refused'): void;
}

/** As keys. */
export type Follows = { readonly logs: readonly string[]; readonly rosters: readonly string[] };

/** One character per byte: the smallest form that a Map can hold. */
export function keyOf(id: Uint8Array): string {
  return Buffer.from(id.buffer, id.byteOffset, id.byteLength).toString('latin1');
}

/** The id again, in memory of its own. */
export function bytesOf(key: string): Uint8Array {
  return new Uint8Array(Buffer.from(key, 'latin1'));
}

export class Presence {
  readonly #devices = new Map<string, Attendee>();
  readonly #persons = new Map<string, Attendee[]>();
  readonly #logs = new Map<string, Set<Attendee>>();
  readonly #rosters = new Map<string, Set<Attendee>>();

  get online(): number {
    return this.#devices.size;
  }

  /** An older socket of the same device leaves and is told. */
  join(attendee: Attendee): void {
    const { device, person } = attendee;
    const older = this.#devices.get(device);
    if (older !== undefined) this.leave(older);
    this.#devices.set(device, attendee);
    this.#persons.set(person, [...(this.#persons.get(person) ?? []), attendee]);
    older?.end('replaced');
  }

  /** Harmless for one who has left. */
  leave(attendee: Attendee): void {
    const { device, person } = attendee;
    if (this.#devices.get(device) !== attendee) return;
    this.#unfollow(attendee, { logs: [], rosters: [] });
    this.#devices.delete(device);
    const others = (this.#persons.get(person) ?? []).filter((one) => one !== attendee);
    if (others.length > 0) this.#persons.set(person, others);
    else this.#persons.delete(person);
  }

  /** Of devices that are not known any more. */
  expel(dids: readonly Did[]): void {
    for (const did of dids) this.#devices.get(keyOf(did))?.end('device-refused');
  }

  find(device: string): Attendee | undefined {
    return this.#devices.get(device);
  }

  /** Replaces what the attendee follows, tells the others, and gives the rosters that it is to be sent, one message each. `told`: how often others were. */
  follow(attendee: Attendee, groups: { gTag: GTag; rosterTag: RosterTag }[]): { rosters: Iterable<Uint8Array>; told: number } {
    const logs = [...new Set(groups.map(({ gTag }) => keyOf(gTag)))];
    const tags = new Map(groups.map(({ rosterTag }) => [keyOf(rosterTag), rosterTag]));
    const before = new Set(attendee.follows?.rosters);
    let told = this.#unfollow(attendee, { logs, rosters: [...tags.keys()] });
    attendee.follows = { logs, rosters: [...tags.keys()] };

    for (const log of logs) add(this.#logs, log, attendee);
    for (const roster of tags.keys()) {
      add(this.#rosters, roster, attendee);
      if (!before.has(roster)) told += this.#announce(roster, attendee, 1);
    }
    return { rosters: this.#rostersFor(attendee, tags), told };
  }

  /** One by one: 200 large rosters at once would be 50 MB. */
  *#rostersFor(attendee: Attendee, tags: ReadonlyMap<string, RosterTag>): Generator<Uint8Array> {
    for (const [roster, rosterTag] of tags) {
      const others = [...(this.#rosters.get(roster) ?? [])].filter((one) => one !== attendee);
      const online = others.slice(0, limits.rosterDevices).map(({ device }) => asDid(bytesOf(device)));
      yield encode(nodeMessage, { type: 'roster', rosterTag, online });
    }
  }

  /** How many were told. */
  logGrew(gTag: GTag, no: number, by: Attendee): number {
    return tell(this.#logs.get(keyOf(gTag)) ?? [], by, encode(nodeMessage, { type: 'log-grew', gTag, no }));
  }

  /** How many were told. */
  mailCame(box: Mailbox, no: number): number {
    return tell(this.#readersOf(box), undefined, encode(nodeMessage, { type: 'mail-came', box, no }));
  }

  #readersOf(box: Mailbox): Iterable<Attendee> {
    switch (box.of) {
      case 'person':
        return this.#persons.get(keyOf(box.uid)) ?? [];
      case 'device': {
        const device = this.#devices.get(keyOf(box.did));
        return device === undefined ? [] : [device];
      }
      case 'group':
        return this.#logs.get(keyOf(box.gTag)) ?? [];
      default:
        return box satisfies never;
    }
  }

  #unfollow(attendee: Attendee, kept: Follows): number {
    let told = 0;
    for (const log of attendee.follows?.logs ?? []) if (!kept.logs.includes(log)) remove(this.#logs, log, attendee);
    for (const roster of attendee.follows?.rosters ?? []) {
      if (kept.rosters.includes(roster)) continue;
      remove(this.#rosters, roster, attendee);
      told += this.#announce(roster, attendee, 0);
    }
    attendee.follows = undefined;
    return told;
  }

  #announce(roster: string, attendee: Attendee, online: 0 | 1): number {
    const others = this.#rosters.get(roster);
    if (others === undefined) return 0;
    const rosterTag = asRosterTag(bytesOf(roster));
    const message = encode(nodeMessage, { type: 'presence', rosterTag, did: asDid(bytesOf(attendee.device)), online });
    return tell(others, attendee, message);
  }
}

function tell(all: Iterable<Attendee>, but: Attendee | undefined, message: Uint8Array): number {
  let told = 0;
  for (const one of all) {
    if (one === but) continue;
    one.push(message);
    told += 1;
  }
  return told;
}

function add(sets: Map<string, Set<Attendee>>, name: string, attendee: Attendee): void {
  const set = sets.get(name);
  if (set === undefined) sets.set(name, new Set([attendee]));
  else set.add(attendee);
}

function remove(sets: Map<string, Set<Attendee>>, name: string, attendee: Attendee): void {
  const set = sets.get(name);
  set?.delete(attendee);
  if (set?.size === 0) sets.delete(name);
}
