// A group as the list of what a conversation shows: messages and notices in order, the same objects as before where nothing changed.
import type { Group } from '../mesh/group.ts';
import type { TranscriptEntry } from '../mesh/transcript.ts';
import { equal, hex } from '../wire/bytes.ts';
import type { Did, Uid } from '../wire/ids.ts';
import type { ConversationItem, MessageView, SendState } from './app-state.ts';
import { noticesOf } from './notices.ts';

export type Naming = {
  me: { uid: Uid; did: Did };
  usernameOf(uid: Uid): string;
};

type Shown = { item: ConversationItem; final: boolean };

/** Frames of one healing come within this time: only what comes after it, behind newer ones, is late. */
const lateBy = 3_000;

export class Conversation {
  readonly #group: Group;
  readonly #naming: Naming;
  readonly #shown = new Map<string, Shown>();
  #items: ConversationItem[] = [];

  constructor(group: Group, naming: Naming) {
    this.#group = group;
    this.#naming = naming;
  }

  /** In display order; the very same array where nothing changed. */
  items(): ConversationItem[] {
    const nicknames = this.#group.nicknames();
    const notices = noticesOf(this.#group, (uid) => this.#naming.usernameOf(uid));
    const items: ConversationItem[] = [];
    let notice = 0;
    const lateness = this.#lateness();
    for (const [i, { entry }] of this.#group.transcript.inOrder().entries()) {
      if (entry.body?.kind !== 'text' && entry.body !== undefined) continue;
      if (this.#group.isHeldBack(entry)) continue;
      for (let next = notices[notice]; next !== undefined && next.depth <= entry.epochDepth; next = notices[++notice])
        items.push(this.#kept({ item: 'notice', ...next.notice }));
      items.push(this.#message(entry, { late: lateness[i] === true, nicknames }));
    }
    for (let next = notices[notice]; next !== undefined; next = notices[++notice])
      items.push(this.#kept({ item: 'notice', ...next.notice }));
    if (items.length !== this.#items.length || items.some((item, i) => item !== this.#items[i])) this.#items = items;
    return this.#items;
  }

  /** Of what is later in the order, has anything been here for long when this one came? */
  #lateness(): boolean[] {
    const order = this.#group.transcript.inOrder();
    const late: boolean[] = new Array(order.length);
    let earliest = Number.POSITIVE_INFINITY;
    for (let i = order.length - 1; i >= 0; i--) {
      const entry = order[i]?.entry;
      if (entry === undefined) continue;
      late[i] = earliest < entry.storedAt - lateBy;
      if (entry.body?.kind === 'text') earliest = Math.min(earliest, entry.storedAt);
    }
    return late;
  }

  #message(entry: TranscriptEntry, facts: { late: boolean; nicknames: Map<string, string> }): ConversationItem {
    const id = hex(entry.id);
    const own = equal(entry.did, this.#naming.me.did);
    const uid = this.#group.ownerOf(entry.did);
    const known = this.#shown.get(id);
    const nickname = uid === undefined ? undefined : facts.nicknames.get(hex(uid));
    const gapBefore = entry.gen > 0 && !this.#group.transcript.isComplete(entry);
    const progress = own && known?.final !== true ? this.#group.progressOf(entry) : undefined;
    const before = known?.item.item === 'message' ? known.item : undefined;
    const username = uid === undefined ? 'unknown' : this.#naming.usernameOf(uid);
    const view: MessageView = {
      id,
      author: { uid: uid === undefined ? '' : hex(uid), username, nickname, own },
      text: entry.body?.kind === 'text' ? entry.body.text : 'This message could not be opened.',
      // What could not be opened does not say when it was written.
      sentAt: entry.sentAt === 0 ? entry.storedAt : entry.sentAt,
      state: own ? ((progress?.state ?? before?.state) satisfies SendState | undefined) : undefined,
      deliveredTo: progress?.deliveredTo ?? before?.deliveredTo ?? 0,
      receivers: progress?.receivers ?? before?.receivers ?? 0,
      late: facts.late,
      gapBefore,
    };
    return this.#kept({ item: 'message', ...view }, view.state === 'delivered');
  }

  #kept(item: ConversationItem, final = false): ConversationItem {
    const known = this.#shown.get(item.id);
    if (known !== undefined && same(known.item, item)) return known.item;
    this.#shown.set(item.id, { item, final });
    return item;
  }
}

function same(a: ConversationItem, b: ConversationItem): boolean {
  if (a.item === 'notice' || b.item === 'notice')
    return a.item === b.item && a.text === b.text && ('at' in a && 'at' in b ? a.at === b.at : true);
  return (
    a.state === b.state &&
    a.deliveredTo === b.deliveredTo &&
    a.receivers === b.receivers &&
    a.late === b.late &&
    a.gapBefore === b.gapBefore &&
    a.text === b.text &&
    a.author.username === b.author.username &&
    a.author.nickname === b.author.nickname
  );
}
