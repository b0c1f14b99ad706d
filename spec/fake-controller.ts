// A controller with plausible people and groups and no engine: what the screens are drawn from in the element specs.
import type {
  AppState,
  Controller,
  ConversationItem,
  GivenRole,
  GroupSummary,
  GroupView,
  KeyCheck,
  KeyFacts,
  MemberView,
} from '../web/app-state.ts';

type SignIn = Extract<AppState, { screen: 'sign-in' }>;
type Chat = Extract<AppState, { screen: 'chat' }>;

/** What the page begins with, from `?scene=` of its address. */
export type Scene = 'starting' | 'sign-in' | 'known' | 'chat' | 'empty';

/** Morning of a working day, so that pictures of the screens stay the same. */
const morning = new Date();
morning.setHours(9, 12, 0, 0);
const minute = 60_000;
const day = 24 * 60 * minute;

export class FakeController implements Controller {
  state: AppState;
  #latest: AppState;
  /** What was asked of it, for the specs to read: one line per call. */
  readonly calls: string[] = [];
  /** While true every answer waits for `release()`. */
  held = false;
  #waiting: (() => void)[] = [];
  #subscribers = new Set<() => void>();
  #groups = new Map<string, GroupView>();
  #next = 1;
  #cancelled = 0;
  #link: string | undefined;

  constructor(scene: Scene = 'sign-in') {
    const accounts = scene === 'known' ? ['alice', 'alice-work'] : [];
    if (scene === 'starting') this.state = { screen: 'starting', text: 'Opening the store of this browser …' };
    else if (scene === 'chat' || scene === 'empty') this.state = this.#chat('alice', scene === 'chat');
    else this.state = { screen: 'sign-in', accounts, invitedTo: undefined, busy: undefined, problem: undefined };
    this.#latest = this.state;
  }

  subscribe(changed: () => void): () => void {
    this.#subscribers.add(changed);
    return () => this.#subscribers.delete(changed);
  }

  /** Lets every held answer go. */
  release(): void {
    this.held = false;
    for (const go of this.#waiting.splice(0)) go();
  }

  async register({ username, passphrase }: { username: string; passphrase: string }): Promise<void> {
    this.calls.push(`register ${username}`);
    await this.#signIn('Making your key pair …', username, () => {
      if (username === 'bob') return { field: 'username', text: 'The name “bob” is taken here. Choose another.' };
      if (username === 'nowhere') return { field: 'node', text: 'The node cannot be reached. Is this device online?' };
      if (passphrase.length < 8) return { field: 'passphrase', text: 'This passphrase is too easy to guess. Make it longer.' };
      return undefined;
    });
  }

  async logIn({ username, passphrase }: { username: string; passphrase: string }): Promise<void> {
    this.calls.push(`logIn ${username}`);
    await this.#signIn('Unlocking your key …', username, () => {
      if (username === 'nobody') {
        return { field: 'username', text: 'There is no user “nobody” in this browser. Register, or bring your PGP key.' };
      }
      if (passphrase === 'wrong') return { field: 'passphrase', text: 'Wrong passphrase. Try again.' };
      if (username === 'nowhere') return { field: 'node', text: 'The node cannot be reached. Is this device online?' };
      return undefined;
    });
  }

  async checkKey(bytes: Uint8Array, choice?: string): Promise<KeyCheck> {
    this.calls.push(`checkKey ${choice ?? ''}`.trim());
    await this.#answer();
    const text = new TextDecoder().decode(bytes);
    if (text.includes('PUBLIC')) {
      return {
        outcome: 'refused',
        what: 'That is your public key. Logging in needs the secret key.',
        mend: 'Export the secret key: gpg --armor --export-secret-keys you@example.org',
      };
    }
    if (text.includes('EXPIRED')) {
      return {
        outcome: 'refused',
        what: 'This key has expired.',
        mend: `Extend it: gpg --quick-set-expire ${fingerprints.alice} 2y and gpg --quick-set-expire ${fingerprints.alice} 2y '*', then export it again.`,
      };
    }
    if (text.includes('SEVERAL') && choice === undefined) {
      const key = (fingerprint: string, id: string) => ({ fingerprint, userIds: [id] });
      return {
        outcome: 'choose',
        keys: [
          key(fingerprints.alice, 'Alice Arden <alice@example.org>'),
          key(fingerprints.dora, 'Alice (work) <a.arden@example.com>'),
        ],
      };
    }
    const facts = keyFacts(choice ?? fingerprints.alice);
    return { outcome: 'ready', facts, needsPassphrase: !text.includes('BARE'), suggestedUsername: 'alice' };
  }

  async useKey({ username, passphrase }: { username: string; passphrase: string }): Promise<void> {
    this.calls.push(`useKey ${username}`);
    await this.#signIn('Unlocking your key …', username, () => {
      if (passphrase === 'wrong') return { field: 'passphrase', text: 'Wrong passphrase. Try again.' };
      if (username === 'bob') return { field: 'username', text: 'The name “bob” belongs to another key here. Choose another.' };
      return undefined;
    });
  }

  cancelSignIn(): void {
    this.calls.push('cancelSignIn');
    this.#cancelled += 1;
    this.#signInState({ busy: undefined });
  }

  reconnect(): void {
    this.calls.push('reconnect');
  }

  lock(): void {
    this.calls.push('lock');
    this.#set({ screen: 'sign-in', accounts: ['alice'], invitedTo: undefined, busy: undefined, problem: undefined });
  }

  openGroup(gid: string): void {
    this.calls.push(`openGroup ${gid}`);
    this.chat({ open: this.#groups.get(gid) });
  }

  async createGroup(name: string): Promise<void> {
    this.calls.push(`createGroup ${name}`);
    await this.#answer();
    if (name === 'fail') return this.chat({ problem: 'The group could not be stored in this browser: its storage is full.' });
    const gid = `group-${this.#number()}`;
    const me = person('alice', { own: true, role: 'owner' });
    const items: ConversationItem[] = [{ item: 'notice', id: `${gid}-made`, at: Date.now(), text: 'You made the group' }];
    this.#groups.set(gid, {
      gid,
      name,
      items,
      members: [me],
      mayInvite: true,
      mayLeave: true,
      out: undefined,
      waitingFor: undefined,
    });
    this.chat({ groups: [summary(gid, name, 'You made the group', Date.now(), 0, 1, 0), ...this.#now().groups] });
    this.openGroup(gid);
  }

  async inviteLink(gid: string): Promise<string | undefined> {
    this.calls.push(`inviteLink ${gid}`);
    await this.#answer();
    if (this.#now().node.state !== 'offline') return `https://chat.example/#1.${'Abc4_dEf-9'.repeat(28)}${this.#number()}`;
    this.chat({ problem: 'The node cannot be reached, and it has to store the invitation.' });
    return undefined;
  }

  async addMember(gid: string, username: string): Promise<'added' | 'failed'> {
    this.calls.push(`addMember ${gid} ${username}`);
    await this.#answer();
    if (username === 'nobody') {
      this.chat({ problem: 'There is no user “nobody” here.' });
      return 'failed';
    }
    this.changeGroup(gid, (group) => ({ ...group, members: [...group.members, person(username, { reach: 'offline' })] }));
    return 'added';
  }

  async removeMember(gid: string, uid: string): Promise<void> {
    this.calls.push(`removeMember ${gid} ${uid}`);
    await this.#answer();
    if (this.#now().node.state === 'offline') return this.chat({ problem: 'The node cannot be reached now.' });
    this.changeGroup(gid, (group) => ({ ...group, members: group.members.filter((member) => member.uid !== uid) }));
  }

  async setRole(gid: string, uid: string, role: GivenRole): Promise<void> {
    this.calls.push(`setRole ${gid} ${uid} ${role}`);
    await this.#answer();
    const others = (['owner', 'admin', 'member'] as const).filter((other) => other !== role);
    const changed = role === 'owner' ? { role, mayRemove: false, mayBecome: [] } : { role, mayRemove: true, mayBecome: others };
    this.changeGroup(gid, (group) => ({
      ...group,
      mayLeave: group.mayLeave || role === 'owner',
      members: group.members.map((member) => (member.uid === uid ? { ...member, ...changed } : member)),
    }));
  }

  async leaveGroup(gid: string): Promise<void> {
    this.calls.push(`leaveGroup ${gid}`);
    await this.#answer();
    this.putOut(gid, 'You left this group. What you have read stays here.');
  }

  async joinByLink(link: string): Promise<void> {
    this.calls.push(`joinByLink ${link}`);
    this.#link = link;
    if (this.state.screen === 'sign-in') return this.#signInState({ invitedTo: { origin: 'https://chat.example' } });
    await this.#answer();
    if (link.endsWith('used')) return this.chat({ problem: 'This invitation was used already. Ask for another.' });
    this.#join();
  }

  dismissJoin(): void {
    this.calls.push('dismissJoin');
    this.chat({ joining: undefined });
  }

  dismissProblem(): void {
    this.chat({ problem: undefined });
  }

  async send(gid: string, text: string): Promise<'stored' | 'failed'> {
    this.calls.push(`send ${gid} ${text}`);
    await this.#answer();
    if (text === 'fail') return 'failed';
    this.addMessage(gid, { text, author: 'alice', state: 'sending' });
    return 'stored';
  }

  async setNickname(gid: string, nickname: string): Promise<void> {
    this.calls.push(`setNickname ${gid} ${nickname}`);
    await this.#answer();
    if (nickname === 'bob') return this.chat({ problem: 'Another member is called so. Choose another nickname.' });
    const named = nickname === '' ? undefined : nickname;
    this.changeGroup(gid, (group) => ({
      ...group,
      members: group.members.map((member) => (member.own ? { ...member, nickname: named } : member)),
    }));
  }

  markRead(gid: string): void {
    this.calls.push(`markRead ${gid}`);
    const groups = this.#now().groups;
    if (groups.every((group) => group.gid !== gid || group.unread === 0)) return;
    this.chat({ groups: groups.map((group) => (group.gid === gid ? { ...group, unread: 0 } : group)) });
  }

  // What happens by itself in the real one, and what the specs do to it.

  /** Changes parts of the chat's state. */
  chat(part: Partial<Chat>): void {
    if (this.#latest.screen === 'chat') this.#set({ ...this.#latest, ...part });
  }

  /** A message that arrives, or is written with `author: 'alice'`. Others' objects stay as they are. */
  addMessage(gid: string, { text, author, state }: { text: string; author: string; state?: 'sending' | 'sent' }): void {
    const sender = this.#groups.get(gid)?.members.find((member) => member.username === author);
    const item = message(`${gid}-${this.#number()}`, sender ?? person(author, {}), text, Date.now(), state && { state });
    this.changeGroup(gid, (group) => ({ ...group, items: [...group.items, item] }));
  }

  changeGroup(gid: string, change: (group: GroupView) => GroupView): void {
    const group = this.#groups.get(gid);
    if (group === undefined) return;
    const changed = change(group);
    this.#groups.set(gid, changed);
    if (this.#now().open?.gid === gid) this.chat({ open: changed });
  }

  putOut(gid: string, sentence: string): void {
    this.changeGroup(gid, (group) => ({ ...group, out: sentence, mayInvite: false, mayLeave: false }));
    this.chat({ groups: this.#now().groups.map((group) => (group.gid === gid ? { ...group, out: true } : group)) });
  }

  #join(): void {
    this.#link = undefined;
    this.chat({
      joining: {
        state: 'waiting',
        groupName: 'Harbour festival',
        text: 'You asked to join. A member who is online has to let you in.',
      },
    });
  }

  async #signIn(busy: string, username: string, problemWith: () => SignIn['problem']): Promise<void> {
    const attempt = this.#cancelled;
    this.#signInState({ busy, problem: undefined });
    await this.#answer();
    if (attempt !== this.#cancelled) return;
    const problem = problemWith();
    if (problem !== undefined) return this.#signInState({ busy: undefined, problem });
    this.#set(this.#chat(username, true));
    if (this.#link !== undefined) this.#join();
  }

  #chat(username: string, populated: boolean): Chat {
    const chat: Chat = {
      screen: 'chat',
      me: { uid: 'uid-alice', username, fingerprint: fingerprints.alice, deviceName: 'Chromium on Linux' },
      node: { state: 'connected', text: 'Connected to chat.example' },
      groups: [],
      open: undefined,
      joining: undefined,
      problem: undefined,
      readOnly: undefined,
    };
    if (!populated) return chat;
    const festival = festivalGroup();
    const quiet = (gid: string, name: string): GroupView => ({
      ...festival,
      gid,
      name,
      items: [],
      members: [person('alice', { own: true })],
    });
    this.#groups = new Map([
      [festival.gid, festival],
      ['desk', quiet('desk', 'News desk')],
      ['maintainers', quiet('maintainers', 'libtide maintainers')],
      ['kin', quiet('kin', 'Family')],
    ]);
    chat.groups = [
      summary(
        'harbour',
        festival.name,
        'You: Then we have everything. See you all at eight?',
        morning.getTime() + 33 * minute,
        0,
        4,
        2,
      ),
      summary('desk', 'News desk', 'erin: Second source confirmed, call me', morning.getTime() - 40 * minute, 3, 7, 4),
      summary('maintainers', 'libtide maintainers', 'You: Tagged 2.4.1, signatures are up', morning.getTime() - day, 0, 12, 5),
      summary('kin', 'Family', 'mum: Cake on Sunday at four', morning.getTime() - 3 * day, 0, 5, 0),
    ];
    chat.open = festival;
    return chat;
  }

  #now(): Chat {
    return this.#latest.screen === 'chat' ? this.#latest : this.#chat('alice', false);
  }

  #signInState(part: Partial<SignIn>): void {
    if (this.#latest.screen === 'sign-in') this.#set({ ...this.#latest, ...part });
  }

  // As the real one: within the chat the state follows what happened by a frame.
  #set(state: AppState): void {
    const soon = state.screen === 'chat' && this.state.screen === 'chat';
    this.#latest = state;
    if (soon) requestAnimationFrame(() => this.#show());
    else this.#show();
  }

  #show(): void {
    if (this.state === this.#latest) return;
    this.state = this.#latest;
    for (const changed of this.#subscribers) changed();
  }

  #number(): number {
    this.#next += 1;
    return this.#next;
  }

  async #answer(): Promise<void> {
    if (this.held) await new Promise<void>((go) => this.#waiting.push(go));
  }
}

/** Stands in for web/chat-controller.ts; `fake` on the page's global object lets a spec reach it. */
export async function createController(): Promise<FakeController> {
  const wanted = new URLSearchParams(location.search).get('scene');
  const scenes = ['starting', 'sign-in', 'known', 'chat', 'empty'] as const;
  if (wanted === 'broken') throw new Error('no storage here');
  const fake = new FakeController(scenes.find((scene) => scene === wanted));
  globalThis.fake = fake;
  return fake;
}

declare global {
  var fake: FakeController;
}

const fingerprints = {
  alice: '3f9a61c07d52e8b41a6cf0937be25d10c48e77a9',
  bob: 'b7204cd91ee85a3360f27c8a914db6e05f13a28c',
  carol: '08e5d2f7a94b31c6702d8f5be461c39a0d97b4f3',
  dora: '91c3b6e84f0a72d55e19c08b3a67f4d2e0851b6a',
};

function keyFacts(fingerprint: string): KeyFacts {
  const year = 365.25 * day;
  return {
    fingerprint,
    userIds: ['Alice Arden <alice@example.org>', 'Alice Arden <arden@libtide.example>'],
    algorithm: 'Ed25519',
    createdAt: morning.getTime() - 3.2 * year,
    expiresAt: morning.getTime() + 41 * day,
    subkeys: [
      { algorithm: 'Curve25519', canSign: false, canEncrypt: true, hasSecret: true },
      { algorithm: 'Ed25519', canSign: true, canEncrypt: false, hasSecret: true },
    ],
  };
}

function person(username: string, part: Partial<MemberView>): MemberView {
  const fingerprint = Object.entries(fingerprints).find(([name]) => name === username)?.[1] ?? 'c0ffee'.repeat(7).slice(0, 40);
  return {
    uid: `uid-${username}`,
    username,
    nickname: undefined,
    nicknameConfusable: false,
    role: 'member',
    fingerprint,
    own: false,
    reach: 'direct',
    mayRemove: part.own !== true,
    mayBecome: part.own === true ? [] : part.role === 'admin' ? ['owner', 'member'] : ['owner', 'admin'],
    ...part,
  };
}

function message(
  id: string,
  { uid, username, nickname, own }: MemberView,
  text: string,
  sentAt: number,
  part: Partial<Extract<ConversationItem, { item: 'message' }>> = {},
): ConversationItem {
  const state = own ? 'sent' : undefined;
  const author = { uid, username, nickname, own };
  return {
    item: 'message',
    id,
    author,
    text,
    sentAt,
    state,
    deliveredTo: 0,
    receivers: 3,
    late: false,
    gapBefore: false,
    ...part,
  };
}

function summary(
  gid: string,
  name: string,
  lastLine: string,
  lastAt: number,
  unread: number,
  members: number,
  reachable: number,
): GroupSummary {
  return { gid, name, lastLine, lastAt, unread, members, reachable, out: false };
}

function festivalGroup(): GroupView {
  const alice = person('alice', { own: true, role: 'owner' });
  const bob = person('bob', { role: 'admin', nickname: 'Captain' });
  const carol = person('carol', { reach: 'relayed' });
  const dora = person('dora', { reach: 'offline', nickname: 'bоb', nicknameConfusable: true });
  const at = (minutes: number) => morning.getTime() + minutes * minute;
  const yesterday = (minutes: number) => at(minutes) - day;
  const items: ConversationItem[] = [
    { item: 'notice', id: 'n1', at: yesterday(0), text: 'You made the group' },
    { item: 'notice', id: 'n2', at: yesterday(3), text: 'bob joined by your invitation' },
    message('m1', bob, 'Morning! Key checked over the phone, fingerprints match on both sides.', yesterday(5)),
    message('m2', alice, 'Perfect. I have added carol too, she imported her RSA key from GnuPG.', yesterday(6), delivered),
    { item: 'notice', id: 'n3', at: yesterday(9), text: 'You added carol' },
    message('m3', carol, 'That went easier than I feared.', yesterday(14)),
    message('m4', carol, 'The plan for the quay is here:\nhttps://harbour.example/plans/2025/quay-east.pdf', yesterday(14.5)),
    message(
      'm5',
      dora,
      'Tide table for the weekend:\n\nFri  06:12  18:40\nSat  07:01  19:22\nSun  07:48  20:05',
      yesterday(190),
      { late: true },
    ),
    message('m6', bob, 'Did the council answer about the crane?', at(2), { gapBefore: true }),
    message(
      'm7',
      alice,
      'Yes, this morning. We may use it on Friday from noon, if somebody with a licence is on site the whole time.',
      at(6),
      delivered,
    ),
    message('m8', alice, 'bob, that would be you, if you are free?', at(6.5), delivered),
    message('m9', carol, 'I can bring the lights. How long is the mains cable?', at(17)),
    message('m10', bob, 'The crane is booked for Friday', at(31)),
    message('m11', bob, 'Cable: 50 m, and a second drum in the boat house.', at(31.4)),
    message('m12', alice, 'Then we have everything. See you all at eight?', at(33), { deliveredTo: 2 }),
  ];
  return {
    gid: 'harbour',
    name: 'Harbour festival',
    items,
    members: [alice, bob, carol, dora],
    mayInvite: true,
    mayLeave: false,
    out: undefined,
    waitingFor: undefined,
  };
}

const delivered = { state: 'delivered', deliveredTo: 3 } as const;
