// One group as the screens show it: its line in the list, its conversation and its members, made anew only where something changed.
import type { GroupState } from '../keys/group-state.ts';
import type { Chat } from '../mesh/chat.ts';
import type { Group } from '../mesh/group.ts';
import { hex } from '../wire/bytes.ts';
import { roles } from '../wire/group-ops.ts';
import type { Did, Uid } from '../wire/ids.ts';
import type { ConversationItem, GroupSummary, GroupView, MemberView, Reach } from './app-state.ts';
import { confusableNicknames } from './confusable.ts';
import { Conversation } from './conversation.ts';
import { mayLeave, mayRemove, outWords, rolesToGive } from './departure.ts';
import { GroupNames } from './group-names.ts';

type Me = { uid: Uid; username: string; fingerprint: string };

/** A member but for how they are reached now. */
type Member = { view: Omit<MemberView, 'reach'>; dids: Did[] };

export class GroupScreen {
  readonly group: Group;
  readonly conversation: Conversation;
  readonly #chat: Chat;
  readonly #me: Me;
  readonly #names: GroupNames;
  #members: Member[] = [];
  #views: MemberView[] = [];
  /** What the members were made of. */
  #madeOf: { state: GroupState | undefined; nicknames: ReadonlyMap<string, string>; known: number } | undefined;

  constructor(group: Group, { chat, me }: { chat: Chat; me: Me }) {
    this.group = group;
    this.#chat = chat;
    this.#me = me;
    const isMe = (uid: Uid) => hex(uid) === hex(me.uid);
    this.#names = new GroupNames(group, (uid) => (isMe(uid) ? me.username : chat.people.known(uid)?.username));
    this.conversation = new Conversation(group, { names: this.#names, me: chat.me.did });
  }

  /** `read`: up to when the reader has seen what came. */
  summary(read: number): GroupSummary {
    const { group } = this;
    const last = this.conversation.items().at(-1);
    const members = this.members();
    return {
      gid: hex(group.gid),
      name: group.log.state()?.policy.name ?? '',
      lastLine: last === undefined ? '' : lineOf(last),
      lastAt: last === undefined ? 0 : last.item === 'notice' ? last.at : last.sentAt,
      unread: this.conversation.unreadAfter(read),
      members: members.length,
      reachable: members.filter(({ reach }) => reach !== 'offline').length,
      out: this.#isOut(),
    };
  }

  view(): GroupView {
    const { log, gid } = this.group;
    const state = log.state();
    const mine = this.group.roleOf(this.#me.uid);
    return {
      gid: hex(gid),
      name: state?.policy.name ?? '',
      items: this.conversation.items(),
      members: this.members(),
      mayInvite: state !== undefined && this.group.isIn() && mine >= state.policy.admit && mine > roles.member,
      mayLeave: mayLeave(
        mine,
        [...(state?.members.values() ?? [])].map(({ role }) => role),
      ),
      out: outWords(this.group, this.#me.uid),
      waitingFor: this.#isOut() ? undefined : waitingWords(this.group),
    };
  }

  #isOut(): boolean {
    return this.group.log.state() !== undefined && !this.group.isIn();
  }

  /** Oneself first, then by name; the very same array where nothing changed. */
  members(): MemberView[] {
    this.conversation.items();
    this.#followMembers();
    const views = this.#members.map(({ view, dids }, i): MemberView => {
      const before = this.#views[i];
      const reach = this.#reach(dids);
      return before?.reach === reach && before.uid === view.uid && isSameMember(before, view) ? before : { ...view, reach };
    });
    if (views.length !== this.#views.length || views.some((view, i) => view !== this.#views[i])) this.#views = views;
    return this.#views;
  }

  #followMembers(): void {
    const state = this.group.log.state();
    const { nicknames } = this.#names;
    const members = [...(state?.members.values() ?? [])];
    const known = members.filter(({ uid }) => this.#chat.people.known(uid) !== undefined).length;
    const isSame = this.#madeOf?.state === state && this.#madeOf?.nicknames === nicknames && this.#madeOf?.known === known;
    if (isSame) return;
    this.#madeOf = { state, nicknames, known };
    const people = members.map((member) => ({ member, id: hex(member.uid), ...this.#names.personOf(member.uid).names }));
    const confusable = confusableNicknames(people);
    const mine = this.group.isIn() ? this.group.roleOf(this.#me.uid) : roles.none;
    this.#members = people.map(({ member, id, username, nickname }) => {
      const own = id === hex(this.#me.uid);
      const fingerprint = own ? this.#me.fingerprint : (this.#chat.people.known(member.uid)?.fingerprint ?? '');
      const facts = { uid: id, username, nickname, nicknameConfusable: confusable.has(id), own, fingerprint };
      const rights = { mayRemove: !own && mayRemove(mine, member.role), mayBecome: own ? [] : rolesToGive(mine, member.role) };
      return {
        view: { ...facts, ...rights, role: roleNames[member.role] },
        dids: [...member.devices.values()].map(({ did }) => did),
      };
    });
    this.#members.sort(({ view: a }, { view: b }) => Number(b.own) - Number(a.own) || compareNames(a.username, b.username));
  }

  #reach(dids: readonly Did[]): Reach {
    const { links, me } = this.#chat;
    if (dids.some((did) => hex(did) === hex(me.did))) return 'direct';
    const open = dids.filter((did) => links.isOpen(did));
    if (open.length > 0) return open.every((did) => links.routeOf(did) === 'relayed') ? 'relayed' : 'direct';
    return dids.some((did) => links.isLinking(did)) ? 'linking' : 'offline';
  }
}

const roleNames = {
  [roles.none]: 'member',
  [roles.keeper]: 'keeper',
  [roles.member]: 'member',
  [roles.admin]: 'admin',
  [roles.owner]: 'owner',
} as const;

const { compare: compareNames } = new Intl.Collator();

function isSameMember(a: MemberView, b: Omit<MemberView, 'reach'>): boolean {
  return (
    a.username === b.username &&
    a.nickname === b.nickname &&
    a.nicknameConfusable === b.nicknameConfusable &&
    a.role === b.role &&
    a.fingerprint === b.fingerprint &&
    a.mayRemove === b.mayRemove &&
    a.mayBecome.join() === b.mayBecome.join()
  );
}

function lineOf(item: ConversationItem): string {
  if (item.item === 'notice') return item.text;
  return `${item.author.own ? 'You' : item.author.username}: ${item.text}`;
}

function waitingWords(group: Group): string | undefined {
  if (group.log.currentEpoch() === undefined) return 'Waiting for the group key. It comes as soon as the node can be reached.';
  if (group.isRekeyDue()) return 'New keys are being made, because somebody left. Messages can be sent again right after.';
  if (group.log.isSent()) return undefined;
  return 'This group is on this device only. It can take others in once the node can be reached.';
}
