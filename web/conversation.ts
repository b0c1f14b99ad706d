// A group as the list of what a conversation shows: messages and notices in order, the same objects as before where nothing changed.
import type { GroupState } from '../keys/group-state.ts';
import type { Group } from '../mesh/group.ts';
import type { TranscriptEntry } from '../mesh/transcript.ts';
import { equal, hex } from '../wire/bytes.ts';
import type { Did } from '../wire/ids.ts';
import type { ConversationItem, MessageView } from './app-state.ts';
import type { GroupNames, NamedPerson, Names } from './group-names.ts';
import { type Notice, noticesOf } from './notices.ts';

type MessageItem = { item: 'message' } & MessageView;

type Row = {
  item: MessageItem;
  author: NamedPerson | undefined;
  /** What the author was called when the item was made. */
  names: Names | undefined;
  /** Only its author's names and its lateness can still change. */
  isSettled: boolean;
};

/** Frames of one healing come within this time: only what comes after it, behind newer ones, is late. */
const lateBy = 3_000;

export class Conversation {
  readonly #group: Group;
  readonly #names: GroupNames;
  readonly #me: Did;
  readonly #rows = new WeakMap<TranscriptEntry, Row>();
  readonly #noticeItems = new Map<string, ConversationItem>();
  /** What may look different next time though nothing came; without a row it is held back. */
  #unsettled: { entry: TranscriptEntry; late: boolean; row: Row | undefined }[] = [];
  #notices: Notice[] = [];
  #items: ConversationItem[] = [];
  /** What the items were made of. */
  #version = -1;
  #state: GroupState | undefined;
  #newest = 0;
  #unread = { after: 0, version: -1, count: 0 };

  constructor(group: Group, { names, me }: { names: GroupNames; me: Did }) {
    this.#group = group;
    this.#names = names;
    this.#me = me;
  }

  /** In display order; the very same array where nothing changed. */
  items(): ConversationItem[] {
    this.#follow();
    return this.#items;
  }

  /** When the last of what is here came to this device, ms. */
  newest(): number {
    this.#follow();
    return this.#newest;
  }

  /** How many messages of others came to this device after that moment. */
  unreadAfter(moment: number): number {
    this.#follow();
    const isKnown = this.#unread.after === moment && this.#unread.version === this.#version;
    if (!isKnown) this.#unread = { after: moment, version: this.#version, count: this.#countAfter(moment) };
    return this.#unread.count;
  }

  /** Most changes are none of this group: they must not cost a walk through its history. */
  #follow(): void {
    const { transcript, log } = this.#group;
    const state = log.state();
    const hasNames = this.#names.hasLearnt();
    const hasNews = transcript.version !== this.#version || state !== this.#state || hasNames;
    if (!hasNews && this.#unsettled.every(({ entry, late, row }) => this.#row(entry, late) === row)) return;
    if (hasNews) this.#names.refresh();
    if (state !== this.#state || hasNames) this.#notices = noticesOf(this.#group, (uid) => this.#names.usernameOf(uid));
    this.#state = state;
    this.#version = transcript.version;
    this.#walk();
  }

  #walk(): void {
    const lateness = this.#lateness();
    const items: ConversationItem[] = [];
    let notice = 0;
    const noticesUpTo = (depth: number) => {
      for (let next = this.#notices[notice]; next !== undefined && next.depth <= depth; next = this.#notices[++notice])
        items.push(this.#noticeItem(next));
    };
    this.#unsettled = [];
    this.#newest = 0;
    this.#group.transcript.inOrder().forEach(({ entry }, i) => {
      this.#newest = Math.max(this.#newest, entry.storedAt);
      if (entry.body?.kind !== 'text' && entry.body !== undefined) return;
      const late = lateness[i] === true;
      const row = this.#row(entry, late);
      if (row?.isSettled !== true) this.#unsettled.push({ entry, late, row });
      if (row === undefined) return;
      noticesUpTo(entry.epochDepth);
      items.push(row.item);
    });
    noticesUpTo(Number.POSITIVE_INFINITY);
    if (items.length !== this.#items.length || items.some((item, i) => item !== this.#items[i])) this.#items = items;
  }

  /** The row of before where it still holds; undefined while the entry is held back. */
  #row(entry: TranscriptEntry, late: boolean): Row | undefined {
    const known = this.#rows.get(entry);
    if (known?.isSettled && known.item.late === late && known.names === known.author?.names) return known;
    const { transcript } = this.#group;
    const isComplete = known?.isSettled === true || transcript.isComplete(entry);
    if (!isComplete && this.#group.isHeldBack(entry)) return undefined;
    const row = this.#rowOf(entry, { id: known?.item.id ?? hex(entry.id), late, isComplete });
    const isSame = known?.names === row.names && known?.isSettled === row.isSettled && looksSame(known.item, row.item);
    if (isSame) return known;
    this.#rows.set(entry, row);
    return row;
  }

  #rowOf(entry: TranscriptEntry, { id, late, isComplete }: { id: string; late: boolean; isComplete: boolean }): Row {
    const uid = this.#group.ownerOf(entry.did);
    const author = uid === undefined ? undefined : this.#names.personOf(uid);
    const names = author?.names;
    const own = equal(entry.did, this.#me);
    const progress = own ? this.#group.progressOf(entry) : undefined;
    const item: MessageItem = {
      item: 'message',
      id,
      author: { uid: author?.id ?? '', username: names?.username ?? 'unknown', nickname: names?.nickname, own },
      text: entry.body?.kind === 'text' ? entry.body.text : 'This message could not be opened.',
      // What could not be opened does not say when it was written.
      sentAt: entry.sentAt === 0 ? entry.storedAt : entry.sentAt,
      state: progress?.state,
      deliveredTo: progress?.deliveredTo ?? 0,
      receivers: progress?.receivers ?? 0,
      late,
      gapBefore: entry.gen > 0 && !isComplete,
    };
    const isFinal = progress === undefined || progress.state === 'delivered' || this.#isAlone(entry, progress.receivers);
    return { item, author, names, isSettled: isComplete && isFinal && author !== undefined };
  }

  /** Who is in an epoch when it begins stays so, but for an epoch that is not known yet. */
  #isAlone(entry: TranscriptEntry, receivers: number): boolean {
    return receivers === 0 && this.#group.log.epoch(entry.epochId) !== undefined;
  }

  #noticeItem({ notice }: Notice): ConversationItem {
    const known = this.#noticeItems.get(notice.id);
    if (known?.item === 'notice' && known.text === notice.text) return known;
    const item: ConversationItem = { item: 'notice', ...notice };
    this.#noticeItems.set(notice.id, item);
    return item;
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

  #countAfter(moment: number): number {
    if (this.#newest <= moment) return 0;
    const isUnread = ({ storedAt, body, did }: TranscriptEntry) =>
      storedAt > moment && body?.kind === 'text' && !equal(did, this.#me);
    return this.#group.transcript.inOrder().filter(({ entry }) => isUnread(entry)).length;
  }
}

function looksSame(a: MessageItem, b: MessageItem): boolean {
  return (
    a.state === b.state &&
    a.deliveredTo === b.deliveredTo &&
    a.receivers === b.receivers &&
    a.late === b.late &&
    a.gapBefore === b.gapBefore
  );
}
