// Looks at the chat whenever it changed, and finds what has happened since the last look.
import type { Chat } from '../mesh/chat.ts';
import { explainFailure } from '../mesh/connection-failure.ts';
import type { Group } from '../mesh/group.ts';
import type { NodeState } from '../mesh/signaling-client.ts';
import type { TranscriptEntry } from '../mesh/transcript.ts';
import { equal, hex } from '../wire/bytes.ts';
import { type Role, roles } from '../wire/group-ops.ts';
import type { Did, Uid } from '../wire/ids.ts';
import type { Happening, MemberFacts } from './happenings.ts';

type LinkSeen = { user: string; route: string };

export class Watch {
  readonly #chat: Chat;
  /** Of one's own key. */
  readonly #fingerprint: string;
  readonly #members = new Map<string, Map<string, MemberFacts>>();
  readonly #links = new Map<string, LinkSeen>();
  /** Own messages that are not where they are going: hex of the id → the state said last. */
  readonly #underway = new Map<string, { group: Group; entry: TranscriptEntry; said: string }>();
  #node: NodeState | undefined;

  /** What is there now is no news. */
  constructor(chat: Chat, fingerprint: string) {
    this.#chat = chat;
    this.#fingerprint = fingerprint.toUpperCase();
    for (const group of chat.groups()) this.#follow(group);
  }

  node(): Happening[] {
    const { state } = this.#chat.client;
    if (state === this.#node) return [];
    this.#node = state;
    return [nodeHappening(state)];
  }

  /** New groups first, then who is in them. */
  groups(): Happening[] {
    const joined = this.#chat.groups().filter((group) => !this.#members.has(hex(group.gid)));
    for (const group of joined) this.#follow(group);
    return [
      ...joined.map((group): Happening => ({ type: 'joined', group: hex(group.gid), name: nameOf(group) })),
      ...this.#chat.groups().flatMap((group) => this.#memberNews(group, joined.includes(group) ? 'here' : 'came')),
    ];
  }

  links(): Happening[] {
    const { links } = this.#chat;
    const open = new Map(links.openDids().map((did) => [hex(did), { user: this.#userOfDevice(did), route: links.routeOf(did) }]));
    const news: Happening[] = [];
    for (const [device, { user, route }] of open) {
      const seen = this.#links.get(device);
      if (seen?.route !== route) news.push({ type: 'link', device, user, state: 'open', route });
      this.#links.set(device, { user, route });
    }
    for (const [device, { user }] of this.#links) {
      if (open.has(device)) continue;
      this.#links.delete(device);
      news.push({ type: 'link', device, user, state: 'closed' });
    }
    return news;
  }

  /** Nothing tells when a route is found out: look again soon. */
  get hasUnknownRoute(): boolean {
    return [...this.#links.values()].some(({ route }) => route === 'unknown');
  }

  /** From here on `states` tells how far this own message gets. */
  sent(group: Group, entry: TranscriptEntry): void {
    this.#underway.set(hex(entry.id), { group, entry, said: '' });
  }

  states(): Happening[] {
    const news: Happening[] = [];
    for (const [id, one] of this.#underway) {
      const { state } = one.group.progressOf(one.entry);
      if (state !== one.said) news.push({ type: 'state', group: hex(one.group.gid), id, state });
      one.said = state;
      if (state === 'delivered' || state === 'saved') this.#underway.delete(id);
    }
    return news;
  }

  /** Own messages that nobody else has. */
  get unsent(): number {
    return [...this.#underway.values()].filter(({ group, entry }) => group.progressOf(entry).state === 'sending').length;
  }

  members(group: Group): MemberFacts[] {
    const nicknames = group.nicknames();
    const members = [...(group.log.state()?.members.values() ?? [])].filter(({ role }) => role > roles.none);
    return members.map(({ uid, role, devices }) => ({
      group: hex(group.gid),
      user: this.userOf(uid),
      uid: hex(uid),
      nickname: nicknames.get(hex(uid)) ?? null,
      role: roleWord(role),
      fingerprint: this.#fingerprintOf(uid),
      reach: this.#reachOf(
        uid,
        [...devices.values()].map(({ did }) => did),
      ),
    }));
  }

  userOf(uid: Uid): string {
    if (equal(uid, this.#chat.me.uid)) return this.#chat.me.username;
    return this.#chat.people.known(uid)?.username ?? `#${hex(uid).slice(0, 8)}`;
  }

  #fingerprintOf(uid: Uid): string | null {
    if (equal(uid, this.#chat.me.uid)) return this.#fingerprint;
    return this.#chat.people.known(uid)?.fingerprint.toUpperCase() ?? null;
  }

  #userOfDevice(did: Did): string {
    for (const group of this.#chat.groups()) {
      const uid = group.ownerOf(did);
      if (uid !== undefined) return this.userOf(uid);
    }
    return '?';
  }

  #follow(group: Group): void {
    this.#members.set(hex(group.gid), new Map());
    for (const { entry } of group.transcript.inOrder()) {
      const isOwn = entry.body?.kind === 'text' && equal(entry.did, this.#chat.me.did);
      if (isOwn && group.progressOf(entry).state === 'sending') this.sent(group, entry);
    }
  }

  #memberNews(group: Group, newcomers: 'here' | 'came'): Happening[] {
    const before = this.#members.get(hex(group.gid)) ?? new Map<string, MemberFacts>();
    const first = before.size === 0 ? 'here' : newcomers;
    const now = new Map(this.members(group).map((member) => [member.uid, member]));
    this.#members.set(hex(group.gid), now);
    const news: Happening[] = [];
    for (const member of now.values()) {
      const old = before.get(member.uid);
      if (old === undefined) news.push({ type: 'member', change: first, ...member });
      else if (isChanged(old, member)) news.push({ type: 'member', change: 'changed', ...member });
    }
    for (const { group: gid, user, uid } of before.values()) {
      if (!now.has(uid)) news.push({ type: 'member', change: 'left', group: gid, user, uid });
    }
    return news;
  }

  #reachOf(uid: Uid, devices: Did[]): MemberFacts['reach'] {
    const { links, me } = this.#chat;
    if (equal(uid, me.uid)) return 'own';
    const open = devices.find((did) => links.isOpen(did));
    if (open === undefined) return devices.some((did) => links.isLinking(did)) ? 'linking' : 'offline';
    const route = links.routeOf(open);
    return route === 'unknown' ? 'linked' : route;
  }
}

export function nameOf(group: Group): string {
  return group.log.state()?.policy.name ?? '';
}

/** Reach has events of its own. */
function isChanged(old: MemberFacts, now: MemberFacts): boolean {
  return old.user !== now.user || old.nickname !== now.nickname || old.role !== now.role || old.fingerprint !== now.fingerprint;
}

function roleWord(role: Role): MemberFacts['role'] {
  if (role === roles.owner) return 'owner';
  if (role === roles.admin) return 'admin';
  return role === roles.keeper ? 'keeper' : 'member';
}

export function nodeHappening(state: NodeState): Happening {
  if (state.state !== 'offline') return { type: 'node', state: state.state };
  const { reason, nextTryAt } = state;
  return { type: 'node', state: 'offline', code: reason.code, text: explainFailure(reason), nextTryAt: nextTryAt ?? null };
}
