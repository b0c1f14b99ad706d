// How everybody is called in one group: by user name, by nickname, and by their key while the name is not known.
import type { Group } from '../mesh/group.ts';
import { hex } from '../wire/bytes.ts';
import type { Uid } from '../wire/ids.ts';

export type Names = { readonly username: string; readonly nickname: string | undefined };

/** `names` is another object once they are called otherwise; `id` is the uid in hex. */
export type NamedPerson = { readonly uid: Uid; readonly id: string; names: Names };

export class GroupNames {
  readonly #group: Group;
  readonly #usernameOf: (uid: Uid) => string | undefined;
  readonly #people = new Map<string, NamedPerson>();
  readonly #nameless = new Map<string, Uid>();
  #nicknames: ReadonlyMap<string, string> = new Map();

  /** `usernameOf`: undefined while it is not known; a name that is known stays. */
  constructor(group: Group, usernameOf: (uid: Uid) => string | undefined) {
    this.#group = group;
    this.#usernameOf = usernameOf;
  }

  /** By hex of the uid; the very same map while nobody has another nickname. */
  get nicknames(): ReadonlyMap<string, string> {
    return this.#nicknames;
  }

  usernameOf(uid: Uid): string {
    const name = this.#usernameOf(uid);
    if (name === undefined) this.#nameless.set(hex(uid), uid);
    return name ?? `key ${hex(uid).slice(0, 8)}`;
  }

  personOf(uid: Uid): NamedPerson {
    const id = hex(uid);
    const known = this.#people.get(id);
    if (known !== undefined) return known;
    const person = { uid, id, names: this.#namesOf(uid, id) };
    this.#people.set(id, person);
    return person;
  }

  /** Whether somebody who had to be called by their key has a name by now. */
  hasLearnt(): boolean {
    for (const uid of this.#nameless.values()) if (this.#usernameOf(uid) !== undefined) return true;
    return false;
  }

  /** Calls everybody by what is known now. */
  refresh(): void {
    const nicknames = this.#group.nicknames();
    if (!isSame(nicknames, this.#nicknames)) this.#nicknames = nicknames;
    for (const [id, uid] of this.#nameless) if (this.#usernameOf(uid) !== undefined) this.#nameless.delete(id);
    for (const person of this.#people.values()) {
      const names = this.#namesOf(person.uid, person.id);
      const { username, nickname } = person.names;
      if (username !== names.username || nickname !== names.nickname) person.names = names;
    }
  }

  #namesOf(uid: Uid, id: string): Names {
    return { username: this.usernameOf(uid), nickname: this.#nicknames.get(id) };
  }
}

function isSame(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): boolean {
  if (a.size !== b.size) return false;
  for (const [key, value] of a) if (b.get(key) !== value) return false;
  return true;
}
