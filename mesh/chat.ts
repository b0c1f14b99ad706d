// A person's chat on one device: the node, the links, the groups, and what passes between them.
import { type Device, type DeviceSecrets, openDevice, renewDevice, rotateLockKeys } from '../keys/device.ts';
import { rosterTagOf } from '../keys/epoch.ts';
import { nodeIdOf } from '../keys/identity.ts';
import type { KeyAgent } from '../keys/key-agent.ts';
import { KeyRefusal } from '../keys/key-refusal.ts';
import { descriptionHash, linkHash, signLink, verifyLink } from '../keys/link-confirm.ts';
import { equal, hex } from '../wire/bytes.ts';
import type { Did, Gid, GTag, NodeId, Uid } from '../wire/ids.ts';
import { limits } from '../wire/limits.ts';
import type { PeerMessage } from '../wire/peer-messages.ts';
import { Group } from './group.ts';
import type { GroupLog, GroupLogNeeds } from './group-log.ts';
import { Links } from './links.ts';
import { Membership } from './membership.ts';
import type { NodeLine } from './node-line.ts';
import { NodeRefusal } from './node-requests.ts';
import { Pace } from './pace.ts';
import { type LookUp, People } from './people.ts';
import type { Clock, DialSocket, IceServerUrls, OpenLink, Random, Stop, Store } from './ports.ts';
import { SignalBox } from './signal-box.ts';
import { type NodeNews, type NodeState, type PinStore, SignalingClient } from './signaling-client.ts';
import { Spread } from './spread.ts';

export type ChatParts = {
  origin: string;
  account: { uid: Uid; username: string; certificate: Uint8Array };
  device: DeviceSecrets;
  /** After a renewal or a rotation of lock keys; on disk when it resolves. */
  saveDevice(secrets: DeviceSecrets): Promise<void>;
  start: 'register' | 'login' | 'resume';
  expectedNodeId: NodeId | undefined;
  agent: KeyAgent;
  pins: PinStore;
  /** Sealed: everything of the chat is kept in it. */
  store: Store;
  clock: Clock;
  random: Random;
  dialSocket: DialSocket;
  openLink: OpenLink;
  events: ChatEvents;
};

export type ChatEvents = {
  /** Something that a screen shows has changed; read it from the chat. */
  changed(): void;
  /** One line for the log of this device: never secrets. */
  note(text: string): void;
  /** What no input should cause. */
  surprised(error: unknown): void;
};

const maintainEvery = 60 * 60_000;
/** For what did not work and nothing tells us to try again. */
const tendEvery = 60_000;
/** How often neighbours can make this device ask the node for the log of a group. */
const logPause = 2_000;
/** How often signals that nothing explains can make it ask for all logs: strangers may send them too. */
const unexplainedPause = 30_000;
/** Signals that are being opened at one time; a node that sends more loses them. */
const signalsAtOnce = 64;

export class Chat {
  readonly client: SignalingClient;
  readonly people: People;
  readonly links: Links;
  readonly membership: Membership;
  readonly #parts: ChatParts;
  readonly #spread: Spread;
  readonly #signals: SignalBox;
  readonly #groups = new Map<string, Group>();
  readonly #adopting = new Map<string, Promise<Group>>();
  readonly #logPaces = new Map<string, Pace>();
  readonly #unexplained: Pace;
  /** Logs that the node tells us about, of this connection. */
  readonly #followed = new Set<string>();
  #signalsOpening = 0;
  #secrets: DeviceSecrets;
  #device: Device;
  /** Under which tag each group's roster is followed: a new group key brings another. */
  readonly #rosters = new Map<string, string>();
  #lastIceServers: IceServerUrls[] = [];
  #maintenance: Stop | undefined;
  #tending: Stop | undefined;
  #closed = false;

  private constructor(parts: ChatParts, device: Device) {
    this.#parts = parts;
    this.#secrets = parts.device;
    this.#device = device;
    const { agent, store, clock, random, dialSocket, openLink, events, account, origin, pins } = parts;
    this.client = new SignalingClient({
      ...{ origin, account, device, agent, pins, dialSocket, clock, random },
      start: parts.start,
      expectedNodeId: parts.expectedNodeId,
      events: {
        changed: (state) => this.#nodeChanged(state),
        news: (news) => this.#newsCame(news),
        surprised: (error) => events.surprised(error),
      },
    });
    const line: NodeLine = { request: (question) => this.client.request(question) };
    const now = () => this.client.nodeNow();
    const note = (text: string) => events.note(text);
    const lookUp = (by: LookUp) => lookedUp(line, by);
    this.people = new People({ lookUp, nodeId: () => this.nodeId(), agent, store, now, note });
    this.#signals = new SignalBox({
      device: () => this.#device,
      people: this.people,
      line,
      groups: () => this.#groups.values(),
      unexplained: () => this.#unexplained.ask(),
      note,
    });
    this.#unexplained = new Pace({ clock, pause: unexplainedPause, run: () => this.#syncAll() });
    this.links = new Links({
      ...{ me: device.did, clock, random, openLink, note },
      iceServers: () => this.#iceServers(),
      sendSignal: (to, body) => this.#signals.send(to, body),
      hashOffer: descriptionHash,
      signProof: (facts) => signLink(this.#device.signer, linkHash(facts)),
      checkProof: async (them, facts, signature) => {
        const signPub = this.#signPubOf(them);
        return signPub !== undefined && verifyLink({ signPub, linkHash: linkHash(facts), signature });
      },
      events: {
        opened: (did, facts, role) => {
          this.#spread.opened(did, facts, role);
          events.changed();
        },
        message: (did, message) => this.#run(this.#peerSaid(did, message)),
        closed: (did) => {
          this.#spread.closed(did);
          events.changed();
        },
      },
    });
    this.#spread = new Spread({
      ...{ me: device.did, clock, random, note },
      groups: () => this.#groups.values(),
      group: (gid) => this.group(gid),
      send: (did, message) => this.links.send(did, message),
      logWanted: (gid) => this.#logWanted(gid),
    });
    const logNeeds: GroupLogNeeds = { me: device, agent, line, store, random, now, note };
    this.membership = new Membership({
      ...{ line, agent, store, clock, random, now, note, origin, logNeeds },
      me: { uid: account.uid, username: account.username, certificate: account.certificate },
      device: () => this.#device,
      people: this.people,
      nodeId: () => this.nodeId(),
      groups: () => this.groups(),
      group: (gid) => this.group(gid),
      onlineDevices: (group) => group.otherDevices().filter((did) => this.links.isOpen(did) || this.links.isLinking(did)),
      adopted: (log) => this.#adopt(log),
      followMore: () => this.#run(this.#follow()),
      changed: () => events.changed(),
      run: (work) => this.#run(work),
    });
  }

  /** Everything that was kept is there when it resolves; the node is dialled after that. */
  static async open(parts: ChatParts): Promise<Chat> {
    const chat = new Chat(parts, await openDevice(parts.device));
    await chat.#load();
    chat.client.start();
    chat.#run(chat.#maintain());
    chat.#tend();
    return chat;
  }

  get me(): { uid: Uid; username: string; did: Did } {
    const { uid, username } = this.#parts.account;
    return { uid, username, did: this.#device.did };
  }

  groups(): Group[] {
    return [...this.#groups.values()];
  }

  group(gid: Gid): Group | undefined {
    return this.#groups.get(hex(gid));
  }

  nodeId(): NodeId | undefined {
    const { state } = this.client;
    return state.state === 'connected' ? nodeIdOf(state.session.nodePub) : this.#parts.expectedNodeId;
  }

  /** The machine woke up or the network changed. */
  wake(): void {
    this.client.online();
    this.links.wake();
  }

  /** Says goodbye to peers and node. Nothing that was shown is lost by not calling it. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#maintenance?.();
    this.#tending?.();
    this.#unexplained.stop();
    for (const pace of this.#logPaces.values()) pace.stop();
    this.#spread.close();
    this.links.close();
    this.membership.close();
    for (const group of this.#groups.values()) group.close();
    this.client.close();
  }

  async #load(): Promise<void> {
    await this.people.load();
    for (const log of await this.membership.loadLogs()) await this.#adopt(log);
  }

  /** One group of one log, however many bring it: two would count their messages by themselves. */
  async #adopt(log: GroupLog): Promise<Group> {
    const name = hex(log.gid);
    const known = this.#groups.get(name) ?? this.#adopting.get(name);
    if (known !== undefined) return known;
    const adopting = this.#adoptNew(log);
    this.#adopting.set(name, adopting);
    try {
      return await adopting;
    } finally {
      this.#adopting.delete(name);
    }
  }

  async #adoptNew(log: GroupLog): Promise<Group> {
    const { store, clock, random, events } = this.#parts;
    const group: Group = new Group(
      {
        ...{ me: this.#device, store, clock, random },
        note: (text) => events.note(text),
        stored: (id, bytes, from) => this.#spread.stored(group, id, bytes, from),
        forked: (fork, from) => this.#spread.forked(group, fork, from),
        neighbours: () => this.#spread.neighbours(group),
        changed: () => events.changed(),
        logWanted: () => this.#logWanted(group.gid),
      },
      log,
    );
    log.onGrown(() => this.#run(this.#grew(group)));
    await group.load();
    this.#groups.set(hex(group.gid), group);
    this.#wantMembers();
    this.#hearAgain();
    this.#run(this.#follow());
    this.#spread.announce();
    this.#run(this.#learnMembers(group));
    events.changed();
    return group;
  }

  /** Signals that came before the group or the log entry that explains them: who brought us in knocks at once. */
  #hearAgain(): void {
    for (const { from, blob } of this.#signals.takeUnexplained()) this.#run(this.#relayed(from, blob));
  }

  #nodeChanged(state: NodeState): void {
    if (state.state === 'connected') this.#run(this.#connected());
    this.#parts.events.changed();
  }

  async #connected(): Promise<void> {
    this.#followed.clear();
    this.membership.connected();
    await this.#follow();
  }

  /** Tells the node which logs and rosters this device follows. */
  async #follow(): Promise<void> {
    if (this.client.state.state !== 'connected') return;
    const own = this.groups().flatMap((group) => {
      if (!group.isIn()) return [];
      const rosterTag = rosterTagOf(group.log.newestLogKey);
      this.#rosters.set(hex(group.gid), hex(rosterTag));
      return [{ gTag: group.log.gTag, rosterTag }];
    });
    const groups = [...own, ...this.membership.followed()].slice(0, limits.followedGroups);
    await this.client.request({ type: 'follow', groups });
    // What was appended before the node knew of us, it will not tell.
    for (const { gTag } of groups) {
      if (this.#followed.has(hex(gTag))) continue;
      this.#followed.add(hex(gTag));
      this.#run(this.#logGrew(gTag));
    }
  }

  #newsCame(news: NodeNews): void {
    switch (news.type) {
      case 'log-grew':
        return this.#run(this.#logGrew(news.gTag));
      case 'mail-came':
        return this.#run(this.membership.mailCame(news.box));
      case 'roster':
        return this.#seen(news.online, true, 'me');
      case 'presence':
        return this.#seen([news.did], news.online === 1, 'them');
      case 'relayed':
        return this.#run(this.#relayed(news.from, news.blob));
      case 'stopping':
      case 'refused':
        return;
      default:
        news satisfies never;
    }
  }

  #seen(dids: Did[], online: boolean, newcomer: 'me' | 'them'): void {
    for (const did of dids) if (!equal(did, this.#device.did)) this.links.seen(did, online, newcomer);
    this.#parts.events.changed();
  }

  async #relayed(from: Did, blob: Uint8Array): Promise<void> {
    if (this.#signalsOpening >= signalsAtOnce) return;
    this.#signalsOpening++;
    try {
      const body = await this.#signals.open(from, blob);
      if (body !== undefined) this.links.signalled(body);
    } finally {
      this.#signalsOpening--;
    }
  }

  async #peerSaid(did: Did, message: PeerMessage): Promise<void> {
    await this.#spread.message(did, message);
  }

  async #logGrew(gTag: GTag): Promise<void> {
    const group = this.groups().find(({ log }) => equal(log.gTag, gTag));
    if (group === undefined) return this.membership.logGrew(gTag);
    await this.#syncGroup(group.gid);
  }

  async #syncGroup(gid: Gid): Promise<void> {
    await this.group(gid)?.log.sync();
  }

  #syncAll(): void {
    for (const { gid } of this.groups()) this.#run(this.#syncGroup(gid));
  }

  /** A neighbour speaks of entries that we lack. */
  #logWanted(gid: Gid): void {
    if (this.#closed) return;
    const name = hex(gid);
    const pace =
      this.#logPaces.get(name) ??
      new Pace({ clock: this.#parts.clock, pause: logPause, run: () => this.#run(this.#syncGroup(gid)) });
    this.#logPaces.set(name, pace);
    pace.ask();
  }

  async #grew(group: Group): Promise<void> {
    await group.logChanged();
    this.#wantMembers();
    this.#spread.logGrew(group);
    this.membership.grew(group);
    this.#hearAgain();
    if (this.#rosters.get(hex(group.gid)) !== hex(rosterTagOf(group.log.newestLogKey))) await this.#follow();
    await this.#learnMembers(group);
    this.#parts.events.changed();
  }

  /** Names and keys of everybody in the group, for when the node is away. */
  async #learnMembers(group: Group): Promise<void> {
    for (const { uid } of group.log.state()?.members.values() ?? []) {
      if (this.people.known(uid) === undefined && this.client.state.state === 'connected') await this.people.byUid(uid);
    }
    this.#parts.events.changed();
  }

  #wantMembers(): void {
    const wanted = new Map<string, Did>();
    for (const group of this.#groups.values()) for (const did of group.otherDevices()) wanted.set(hex(did), did);
    this.links.want([...wanted.values()]);
  }

  #signPubOf(did: Did): Uint8Array | undefined {
    for (const group of this.#groups.values()) {
      const signPub = group.signPubOf(did);
      if (signPub !== undefined) return signPub;
    }
    return undefined;
  }

  #iceServers(): IceServerUrls[] {
    const { state } = this.client;
    if (state.state === 'connected') this.#lastIceServers = state.session.iceServers;
    return this.#lastIceServers;
  }

  /** Lock keys rotate and certificates are renewed while the key is at hand. */
  async #maintain(): Promise<void> {
    const { agent, random, clock } = this.#parts;
    const now = this.client.nodeNow();
    const rotated = await rotateLockKeys({ secrets: this.#secrets, random, now });
    if (rotated !== 'kept') await this.#replaceDevice(rotated);
    const renewed = await renewedOrKept(agent, this.#secrets, now);
    if (renewed !== 'kept') await this.#replaceDevice(renewed);
    if (!this.#closed) this.#maintenance = clock.after(maintainEvery, () => this.#run(this.#maintain()));
  }

  #tend(): void {
    this.#tending = this.#parts.clock.after(tendEvery, () => {
      if (this.client.state.state === 'connected') {
        for (const { log } of this.groups()) if (log.lacksKeys() || log.lacksEntries() || !log.isSent()) this.#run(log.sync());
        for (const group of this.groups()) this.membership.grew(group);
        this.membership.tend();
      }
      this.#tend();
    });
  }

  async #replaceDevice(secrets: DeviceSecrets): Promise<void> {
    await this.#parts.saveDevice(secrets);
    this.#secrets = secrets;
    this.#device = await openDevice(secrets);
    this.client.setDevice(this.#device);
  }

  /** Work that nobody waits for: the node's refusals pass, the next connection tries again. */
  #run(work: Promise<unknown>): void {
    work.catch((error: unknown) => {
      if (this.#closed) return;
      if (error instanceof NodeRefusal) this.#parts.events.note(error.message);
      else this.#parts.events.surprised(error);
    });
  }
}

async function lookedUp(line: NodeLine, by: LookUp) {
  try {
    return (await line.request({ type: 'look-up', by })).entry;
  } catch (error) {
    if (error instanceof NodeRefusal && (error.code === 'unknown-user' || error.code === 'not-found')) return undefined;
    throw error;
  }
}

/** A locked key renews nothing now; the next unlock does. */
async function renewedOrKept(agent: KeyAgent, secrets: DeviceSecrets, now: number): Promise<'kept' | DeviceSecrets> {
  try {
    return await renewDevice({ agent, secrets, now });
  } catch (error) {
    if (error instanceof KeyRefusal) return 'kept';
    throw error;
  }
}
