// One signed-in person in this browser: the engine over the browser's parts, and what the chat screen shows of it.
import { type KeptAccount, type OpenAccount, pinStore } from '../mesh/accounts.ts';
import { Chat } from '../mesh/chat.ts';
import { type ConnectionFailure, explainFailure, whenToRetry } from '../mesh/connection-failure.ts';
import type { Group } from '../mesh/group.ts';
import type { AddOutcome, JoinFailure, JoinState } from '../mesh/membership.ts';
import { NodeRefusal } from '../mesh/node-requests.ts';
import type { Store } from '../mesh/ports.ts';
import { sealStore } from '../mesh/sealed-store.ts';
import type { NodeState } from '../mesh/signaling-client.ts';
import { fromHex, hex, utf8 } from '../wire/bytes.ts';
import { decode, encode, numberOf, struct, u64 } from '../wire/codec.ts';
import { nodeErrors } from '../wire/errors.ts';
import { roles } from '../wire/group-ops.ts';
import { asUid } from '../wire/ids.ts';
import { limits } from '../wire/limits.ts';
import { isReadableName } from '../wire/names.ts';
import { browserClock, browserRandom } from './adapters/browser-clock.ts';
import { dialBrowserSocket } from './adapters/browser-socket.ts';
import { openIndexedDbStore } from './adapters/indexeddb-store.ts';
import type { KeyAgentProxy } from './adapters/key-agent-proxy.ts';
import { simplePeerLinks } from './adapters/simple-peer-link.ts';
import type { AppState, GivenRole, GroupSummary, JoinView } from './app-state.ts';
import { departureProblem, givenRoles } from './departure.ts';
import { GroupScreen } from './group-screen.ts';

type ChatScreen = Extract<AppState, { screen: 'chat' }>;

export type SessionParts = {
  account: OpenAccount;
  accounts: Store;
  agent: KeyAgentProxy;
  start: 'register' | 'login' | 'resume';
  changed(): void;
};

const storedRead = struct({ version: numberOf(1, 1), upTo: u64 });
const inviteUses = 100;

export class ChatSession {
  readonly chat: Chat;
  readonly #parts: SessionParts;
  readonly #store: Store;
  readonly #screens = new Map<string, GroupScreen>();
  readonly #read = new Map<string, number>();
  #openGid: string | undefined;
  #problem: string | undefined;
  #join: JoinView | undefined;
  #joined: JoinState | undefined;

  private constructor(parts: SessionParts, chat: Chat, store: Store) {
    this.#parts = parts;
    this.chat = chat;
    this.#store = store;
  }

  static async open(parts: SessionParts): Promise<ChatSession> {
    const { account, accounts, agent } = parts;
    const store = sealStore(await openIndexedDbStore(chatDatabase(account)), account.vault);
    const isLocal = ['localhost', '127.0.0.1', '[::1]'].includes(location.hostname);
    const candidates = { relayOnly: false, allowLoopback: isLocal };
    const { uid, username, certificate } = account;
    const chat = await Chat.open({
      ...{ agent, store, start: parts.start, origin: account.origin, device: account.device },
      account: { uid, username, certificate },
      saveDevice: (secrets) => account.saveDevice(secrets),
      expectedNodeId: undefined,
      pins: pinStore(accounts),
      clock: browserClock,
      random: browserRandom,
      dialSocket: dialBrowserSocket,
      openLink: simplePeerLinks(candidates),
      events: {
        changed: () => parts.changed(),
        note: (text) => console.debug(text),
        surprised: (error) => console.error(error),
      },
    });
    const session = new ChatSession(parts, chat, store);
    for (const { key, value } of await store.range(['read'])) session.#read.set(String(key[1]), decode(storedRead, value).upTo);
    session.#openGid = session.#summaries()[0]?.gid;
    return session;
  }

  /** How the first try to reach the node ended. */
  async settled(signal: AbortSignal): Promise<'connected' | ConnectionFailure> {
    for (;;) {
      const { state } = this.chat.client;
      if (state.state === 'connected') return 'connected';
      if (state.state === 'offline') return state.reason;
      if (signal.aborted) return { by: 'connection', code: 'stopped' };
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  screen(): ChatScreen {
    const { account } = this.#parts;
    this.#openJoined();
    const open = this.#screenList().find(({ group }) => hex(group.gid) === this.#openGid);
    return {
      screen: 'chat',
      me: { uid: hex(account.uid), username: account.username, fingerprint: account.fingerprint, deviceName: 'this browser' },
      node: nodeWords(this.chat.client.state),
      groups: this.#summaries(),
      open: open?.view(),
      joining: this.#joining(),
      problem: this.#problem,
      readOnly: undefined,
    };
  }

  reconnect(): void {
    const { client } = this.chat;
    const isHeld = client.state.state === 'offline' && client.state.reason.code === 'too-many-challenges';
    if (isHeld) void this.#try(() => client.allowMoreChallenges());
    else client.retry();
  }

  openGroup(gid: string): void {
    this.#openGid = gid;
    this.#changed();
  }

  async createGroup(name: string): Promise<void> {
    const trimmed = name.trim().normalize('NFC');
    const problem = groupNameProblem(trimmed);
    if (problem !== undefined) return this.fail(problem);
    await this.#try(async () => {
      const group = await this.chat.membership.create(trimmed);
      this.#openGid = hex(group.gid);
      void navigator.storage?.persist?.();
    });
  }

  inviteLink(gid: string): Promise<string | undefined> {
    return this.#try(async () => {
      const group = this.#group(gid);
      const fragment = await this.chat.membership.invite(group, { role: roles.member, maxUses: inviteUses });
      return `${location.origin}${location.pathname}${fragment}`;
    });
  }

  async addMember(gid: string, username: string): Promise<'added' | 'failed'> {
    const outcome = await this.#try(() => this.chat.membership.add(this.#group(gid), username.trim()));
    if (outcome === 'added') return 'added';
    if (outcome !== undefined) this.fail(addWords(outcome, username));
    return 'failed';
  }

  removeMember(gid: string, uid: string): Promise<void> {
    return this.#change(() => this.chat.membership.remove(this.#group(gid), asUid(fromHex(uid))));
  }

  setRole(gid: string, uid: string, role: GivenRole): Promise<void> {
    return this.#change(() => this.chat.membership.setRole(this.#group(gid), asUid(fromHex(uid)), givenRoles[role]));
  }

  leaveGroup(gid: string): Promise<void> {
    return this.#change(() => this.chat.membership.leave(this.#group(gid)));
  }

  async joinByLink(link: string): Promise<void> {
    this.#join = { state: 'asking', groupName: undefined, text: 'Asking the node about the group …' };
    this.#changed();
    await this.#try(() => this.chat.membership.followLink(link));
    this.#join = undefined;
    this.#changed();
  }

  dismissJoin(): void {
    this.chat.membership.forgetJoin();
  }

  dismissProblem(): void {
    this.#problem = undefined;
    this.#changed();
  }

  async send(gid: string, text: string): Promise<'stored' | 'failed'> {
    const trimmed = text.trim();
    if (trimmed === '' || utf8(trimmed).length > limits.textBytes) {
      if (trimmed !== '') this.fail('That message is too long. Send it in parts.');
      return 'failed';
    }
    const outcome = await this.#try(() => this.#group(gid).send({ kind: 'text', text: trimmed }));
    if (outcome === 'no-key') this.fail('The newest group key is not here yet, so nothing can be sent. Your text is kept.');
    return outcome === 'stored' ? 'stored' : 'failed';
  }

  async setNickname(gid: string, nickname: string): Promise<void> {
    const trimmed = nickname.trim().normalize('NFC');
    if (!isReadableName(trimmed) || utf8(trimmed).length > limits.nicknameBytes)
      return this.fail('A nickname has at most 32 bytes and no invisible characters.');
    await this.#try(() => this.#group(gid).send({ kind: 'nickname', nickname: trimmed }));
  }

  markRead(gid: string): void {
    const newest = this.#screens.get(gid)?.conversation.newest() ?? 0;
    if (newest <= (this.#read.get(gid) ?? 0)) return;
    this.#read.set(gid, newest);
    this.#store
      .write([{ put: ['read', gid], value: encode(storedRead, { version: 1, upTo: newest }) }])
      .catch((error: unknown) => console.error(error));
    this.#changed();
  }

  fail(text: string): void {
    this.#problem = text;
    this.#changed();
  }

  async close(): Promise<void> {
    await this.chat.close();
    await this.#store.close();
  }

  async #change(run: () => Promise<Parameters<typeof departureProblem>[0]>): Promise<void> {
    const outcome = await this.#try(run);
    const problem = outcome === undefined ? undefined : departureProblem(outcome);
    if (problem !== undefined) this.fail(problem);
  }

  async #try<T>(run: () => Promise<T>): Promise<T | undefined> {
    try {
      const result = await run();
      this.#changed();
      return result;
    } catch (error) {
      this.fail(problemWords(error));
      if (!(error instanceof NodeRefusal)) console.error(error);
      return undefined;
    }
  }

  #changed(): void {
    this.#parts.changed();
  }

  #group(gid: string): Group {
    const group = this.chat.groups().find((one) => hex(one.gid) === gid);
    if (group === undefined) throw new RangeError('no such group');
    return group;
  }

  #screenList(): GroupScreen[] {
    const { account } = this.#parts;
    return this.chat.groups().map((group) => {
      const gid = hex(group.gid);
      const screen = this.#screens.get(gid) ?? new GroupScreen(group, { chat: this.chat, me: account });
      this.#screens.set(gid, screen);
      return screen;
    });
  }

  #summaries(): GroupSummary[] {
    const summaries = this.#screenList().map((screen) => screen.summary(this.#read.get(hex(screen.group.gid)) ?? 0));
    return summaries.sort((a, b) => b.lastAt - a.lastAt);
  }

  /** The group that one waited for opens by itself, once. */
  #openJoined(): void {
    const { join } = this.chat.membership;
    if (join?.state !== 'joined' || join === this.#joined) return;
    this.#joined = join;
    this.#openGid = hex(join.gid);
  }

  #joining(): JoinView | undefined {
    if (this.#join !== undefined) return this.#join;
    const { join } = this.chat.membership;
    switch (join?.state) {
      case undefined:
      case 'joined':
        return undefined;
      case 'asking':
        return { state: 'asking', groupName: join.groupName, text: 'Asking the node about the group …' };
      case 'waiting':
        return {
          state: 'waiting',
          groupName: join.groupName,
          text: 'You asked to join. The first member who comes online lets you in; you can close this page meanwhile.',
        };
      case 'failed':
        return { state: 'failed', groupName: join.groupName, text: joinWords[join.failure] };
      default:
        return join satisfies never;
    }
  }
}

/** The chat of each account lies in a database of its own, sealed. */
export function chatDatabase({ uid }: Pick<KeptAccount, 'uid'>): string {
  return `secure-chat-${hex(uid).slice(0, 32)}`;
}

const joinWords: Record<JoinFailure | 'node', string> = {
  'bad-link': 'That is no invite link. Copy it again, all of it.',
  'other-node': 'This invite belongs to another node. Open the link itself in your browser.',
  'wrong-node':
    'The node at this address is not the one that the invite names. Nothing was sent to it. Ask the person who invited you.',
  'other-group':
    'What the node shows is not the group that you were invited to. Nothing was joined. Ask the person who invited you.',
  'not-invited': 'This invite is not valid in its group. Ask for a new one.',
  used: 'This invite was used already. Ask for a new one.',
  revoked: 'This invite was taken back. Ask for a new one.',
  expired: 'This invite has expired. Ask for a new one.',
  lapsed: 'This invite is from before you were removed from the group. Ask for a new one.',
  'not-for-you': 'This invite is for somebody else’s key.',
  'other-device':
    'You are in this group already, with another device. A second device cannot join it yet: go on with the first one.',
  gone: 'The node does not know this group. It may have been deleted, or the link was cut short.',
  node: 'The node could not be asked. Check your connection and open the link again.',
};

function addWords(outcome: Exclude<AddOutcome, 'added'>, username: string): string {
  const words: Record<typeof outcome, string> = {
    'already-in': `${username} is in the group already.`,
    'unknown-user': `There is no user called ${username} at this node. Check the spelling, or send an invite link.`,
    'name-changed': `The name ${username} belonged to another key before. Nobody was added: ask them in person what happened.`,
    refused: `What the node says about ${username} does not hold together. Nobody was added.`,
    'no-devices': `${username} has no device signed in. Ask them to log in once, or send an invite link.`,
    'not-allowed': 'Only an owner or an admin may add people to this group.',
  };
  return words[outcome];
}

function nodeWords(state: NodeState): ChatScreen['node'] {
  switch (state.state) {
    case 'connected':
      return { state: 'connected', text: 'Connected' };
    case 'connecting':
      return { state: 'connecting', text: 'Connecting …' };
    case 'offline': {
      const text = explainFailure(state.reason);
      if (state.nextTryAt !== undefined) return { state: 'offline', text };
      return { state: 'stopped', text, mayRetry: whenToRetry(state.reason) !== 'never' };
    }
    default:
      return state satisfies never;
  }
}

function problemWords(error: unknown): string {
  if (!(error instanceof NodeRefusal)) return 'Something went wrong in this app. Nothing was lost; try again.';
  if (error.code === 'offline' || error.code === 'silent')
    return 'The node cannot be reached now. Try again when you are connected.';
  return nodeErrors[error.code].person;
}

function groupNameProblem(name: string): string | undefined {
  if (name === '') return 'Give the group a name.';
  if (utf8(name).length > limits.groupNameBytes) return 'That name is too long: at most 64 bytes.';
  return isReadableName(name) ? undefined : 'That name has invisible characters. Type it again.';
}
