// A headless peer at work: does what lines ask for, and says what happens, in its order.
import type { Chat } from '../mesh/chat.ts';
import type { Group } from '../mesh/group.ts';
import type { JoinState } from '../mesh/membership.ts';
import type { Clock, Stop } from '../mesh/ports.ts';
import type { TranscriptEntry } from '../mesh/transcript.ts';
import { equal, hex } from '../wire/bytes.ts';
import { roles } from '../wire/group-ops.ts';
import type { MessageBody } from '../wire/message-body.ts';
import { readCommand } from './commands.ts';
import type { Happening } from './happenings.ts';
import { commandsText, type Options } from './options.ts';
import type { Printed } from './printed.ts';
import { addWords, joinWords, wordsFor } from './refusal-words.ts';
import { TranscriptPrinter } from './transcript-printer.ts';
import { nameOf, Watch } from './watch.ts';

export type SessionParts = {
  options: Options;
  chat: Chat;
  /** Of one's own key. */
  fingerprint: string;
  printed: Printed;
  clock: Clock;
  /** `left` runs when the line is with the system. */
  say(happening: Happening, left?: () => void): void;
  /** Lines wait in this process because the reader is slow. */
  isStalled(): boolean;
  quit(): void;
};

/** A group key may still be on its way when the first line is there. */
const keyPatience = 60_000;
const quitPatience = 30_000;
const lookAgainAfter = 500;

export class Session {
  readonly #parts: SessionParts;
  readonly #chat: Chat;
  readonly #watch: Watch;
  readonly #printer: TranscriptPrinter;
  readonly #waiting = new Set<() => void>();
  #current: Group | undefined;
  #join: JoinState | undefined;
  #isSettingOut = true;
  #lookAgain: Stop | undefined;

  constructor(parts: SessionParts) {
    this.#parts = parts;
    this.#chat = parts.chat;
    this.#watch = new Watch(parts.chat, parts.fingerprint);
    this.#printer = new TranscriptPrinter(parts);
  }

  /** Says what is there, and does what the flags ask for. Lines may come from now on. */
  async begin(): Promise<void> {
    const { options, chat, say } = this.#parts;
    this.#current = this.#groupAskedFor() ?? newestOf(chat.groups());
    for (const group of chat.groups()) say(this.#groupHappening(group, 'here'));
    this.look();
    try {
      if (options.create !== undefined) await this.#createUnlessThere(options.create);
      if (options.join !== undefined) await this.#followLink(options.join.link);
      if (options.group !== undefined && this.#groupAskedFor() === undefined) {
        say({ type: 'error', code: 'no-such-group', text: `You are in no group "${options.group}".` });
      }
      if (this.#current !== undefined) say({ type: 'current', group: hex(this.#current.gid), name: nameOf(this.#current) });
    } finally {
      this.#isSettingOut = false;
      this.look();
    }
  }

  /** The chat has changed, or the output has room again. */
  look(): void {
    const { say } = this.#parts;
    for (const happening of [...this.#watch.node(), ...this.#watch.groups(), ...this.#joinNews()]) say(happening);
    const isWaiting = this.#printMessages();
    for (const happening of [...this.#watch.states(), ...this.#watch.links()]) say(happening);
    this.#current ??= newestOf(this.#chat.groups());
    if (isWaiting || this.#watch.hasUnknownRoute) this.#lookAgainSoon();
    for (const check of [...this.#waiting]) check();
  }

  /** Does what one line asks for; the next one waits until it is done. */
  async take(line: string, from: 'terminal' | 'elsewhere'): Promise<void> {
    try {
      await this.#take(line, from);
    } catch (error) {
      const refused = wordsFor(error);
      if (refused === undefined) throw error;
      this.#parts.say({ type: 'error', ...refused });
    }
  }

  /** How to name a group beside a message: not at all where it goes without saying. */
  labelOf(gid: string): string | undefined {
    if (this.#current !== undefined && hex(this.#current.gid) === gid) return undefined;
    const group = this.#chat.groups().find((one) => hex(one.gid) === gid);
    return group === undefined ? undefined : nameOf(group);
  }

  /** Until others have what was sent, as long as that may take. */
  async finish(): Promise<void> {
    this.look();
    const outcome = await this.#until(() => this.#watch.unsent === 0, quitPatience);
    if (outcome === 'so') return;
    const text = 'Some messages have reached nobody yet. They are kept, and go out when the peer runs again.';
    this.#parts.say({ type: 'error', code: 'unsent', text });
  }

  close(): void {
    this.#lookAgain?.();
    this.#waiting.clear();
  }

  async #take(line: string, from: 'terminal' | 'elsewhere'): Promise<void> {
    const { say, quit } = this.#parts;
    const command = readCommand(line);
    switch (command.do) {
      case 'nothing':
        return;
      case 'say':
        return this.#send({ kind: 'text', text: command.text }, from);
      case 'nick':
        return this.#send({ kind: 'nickname', nickname: command.nickname }, from);
      case 'invite':
        return this.#invite(await this.#groupToUse(from), command.people);
      case 'add':
        return this.#add(await this.#groupToUse(from), command.username);
      case 'groups':
        for (const group of this.#chat.groups()) say(this.#groupHappening(group, 'listed'));
        return;
      case 'group':
        return this.#choose(findGroup(this.#chat.groups(), command.which));
      case 'create':
        return this.#choose(await this.#chat.membership.create(command.name));
      case 'members': {
        const group = await this.#groupToUse(from);
        for (const member of group === undefined ? [] : this.#watch.members(group))
          say({ type: 'member', change: 'listed', ...member });
        return;
      }
      case 'help':
        return say({ type: 'help', text: commandsText });
      case 'quit':
        return quit();
      case 'refuse':
        return say({ type: 'error', code: 'no-command', text: command.text });
      default:
        command satisfies never;
    }
  }

  async #send(body: MessageBody, from: 'terminal' | 'elsewhere'): Promise<void> {
    const group = await this.#groupToUse(from);
    if (group === undefined) return;
    if ((await group.send(body)) === 'stored') return;
    // Just joined, or somebody else did: the key comes with the log.
    const outcome = await this.#until(() => hasKey(group), keyPatience);
    if (outcome === 'so' && (await group.send(body)) === 'stored') return;
    this.#parts.say({ type: 'error', code: 'no-key', text: 'This device has no key of the group yet. That was not sent.' });
  }

  async #invite(group: Group | undefined, people: number): Promise<void> {
    if (group === undefined) return;
    await this.#connected();
    const fragment = await this.#chat.membership.invite(group, { role: roles.member, maxUses: people });
    const page = this.#parts.options.origin.replace(/^ws/, 'http');
    this.#parts.say({ type: 'invite', group: hex(group.gid), link: `${page}/${fragment}` });
  }

  async #add(group: Group | undefined, username: string): Promise<void> {
    if (group === undefined) return;
    await this.#connected();
    const outcome = await this.#chat.membership.add(group, username);
    if (outcome === 'added') this.#parts.say({ type: 'done', text: `${username} is in the group now.` });
    else this.#parts.say({ type: 'error', code: outcome, text: addWords[outcome] });
  }

  #choose(group: Group | undefined): void {
    const { say } = this.#parts;
    if (group === undefined)
      return say({ type: 'error', code: 'no-such-group', text: 'You are in no such group. /groups lists them.' });
    this.#current = group;
    say({ type: 'current', group: hex(group.gid), name: nameOf(group) });
  }

  async #createUnlessThere(name: string): Promise<void> {
    const there = this.#chat.groups().find((group) => nameOf(group) === name);
    this.#current = there ?? (await this.#chat.membership.create(name));
  }

  async #followLink(link: string): Promise<void> {
    const { membership, client } = this.#chat;
    await this.#until(() => client.state.state === 'connected');
    membership.forgetJoin();
    await membership.followLink(link);
    await this.#until(() => membership.join?.state === 'joined' || membership.join?.state === 'failed');
    const { join } = membership;
    if (join?.state === 'joined') this.#current = this.#chat.group(join.gid);
  }

  /** Undefined after an answer that says why. Input that nobody types waits for the group that the flags ask for. */
  async #groupToUse(from: 'terminal' | 'elsewhere'): Promise<Group | undefined> {
    if (from === 'elsewhere') await this.#until(() => !this.#isSettingOut);
    if (this.#current !== undefined && !this.#isSettingOut) return this.#current;
    const text = this.#isSettingOut
      ? 'You are not in the group yet. Wait a moment.'
      : 'You are in no group yet. /create NAME makes one.';
    this.#parts.say({ type: 'error', code: 'no-group', text });
    return undefined;
  }

  /** When the first attempt to connect has ended, well or badly: what needs the node is then refused in words. */
  async #connected(): Promise<void> {
    await this.#until(() => this.#chat.client.state.state !== 'connecting');
  }

  #groupAskedFor(): Group | undefined {
    const { group } = this.#parts.options;
    return group === undefined ? undefined : findGroup(this.#chat.groups(), group);
  }

  #groupHappening(group: Group, change: 'here' | 'listed'): Happening {
    const members = this.#watch.members(group).length;
    return { type: 'group', change, group: hex(group.gid), name: nameOf(group), members, current: group === this.#current };
  }

  #printMessages(): boolean {
    const { isStalled } = this.#parts;
    let isWaiting = false;
    for (const group of this.#chat.groups()) {
      let nicknames: Map<string, string> | undefined;
      const round = this.#printer.round(group, (entry, left) => {
        if (isStalled()) return 'full';
        nicknames ??= group.nicknames();
        this.#print({ group, entry, nicknames, left });
        return 'printed';
      });
      isWaiting ||= round === 'waiting';
    }
    return isWaiting && !isStalled();
  }

  #print(parts: { group: Group; entry: TranscriptEntry; nicknames: Map<string, string>; left(): void }): void {
    const { group, entry, nicknames, left } = parts;
    const { me } = this.#chat;
    const { say } = this.#parts;
    const uid = group.ownerOf(entry.did);
    const facts = {
      id: hex(entry.id),
      group: hex(group.gid),
      author: uid === undefined ? '?' : this.#watch.userOf(uid),
      uid: uid === undefined ? '' : hex(uid),
      nickname: uid === undefined ? null : (nicknames.get(hex(uid)) ?? null),
      sentAt: entry.sentAt,
      own: equal(entry.did, me.did),
    };
    if (entry.body?.kind === 'text') say({ type: 'message', ...facts, text: entry.body.text }, left);
    else say({ type: 'unreadable', ...facts }, left);
    if (facts.own) this.#watch.sent(group, entry);
  }

  #joinNews(): Happening[] {
    const { join } = this.#chat.membership;
    if (join === this.#join) return [];
    this.#join = join;
    if (join?.state === 'waiting') {
      const text = `Asked to join ${join.groupName}. The first member who is online lets you in.`;
      return [{ type: 'joining', name: join.groupName, text }];
    }
    return join?.state === 'failed' ? [{ type: 'error', code: `join-${join.failure}`, text: joinWords[join.failure] }] : [];
  }

  #lookAgainSoon(): void {
    this.#lookAgain?.();
    this.#lookAgain = this.#parts.clock.after(lookAgainAfter, () => this.look());
  }

  #until(isSo: () => boolean, patience?: number): Promise<'so' | 'too-late'> {
    if (isSo()) return Promise.resolve('so');
    return new Promise((resolve) => {
      const end = (outcome: 'so' | 'too-late') => {
        stop?.();
        this.#waiting.delete(check);
        resolve(outcome);
      };
      const check = () => {
        if (isSo()) end('so');
      };
      const stop = patience === undefined ? undefined : this.#parts.clock.after(patience, () => end('too-late'));
      this.#waiting.add(check);
    });
  }
}

/** Of the epoch in force, under which alone it may send. */
function hasKey({ log }: Group): boolean {
  const [mine, inForce] = [log.currentEpoch()?.epochId, log.epochInForce()];
  return mine !== undefined && inForce !== undefined && equal(mine, inForce);
}

/** By id, or by name where that is clear. */
function findGroup(groups: readonly Group[], which: string): Group | undefined {
  const byId = groups.find((group) => hex(group.gid) === which.toLowerCase());
  const named = groups.filter((group) => nameOf(group) === which.normalize('NFC'));
  return byId ?? (named.length === 1 ? named[0] : undefined);
}

function newestOf(groups: readonly Group[]): Group | undefined {
  const at = (group: Group) => group.transcript.inOrder().at(-1)?.entry.storedAt ?? 0;
  return [...groups].sort((a, b) => at(b) - at(a))[0];
}
