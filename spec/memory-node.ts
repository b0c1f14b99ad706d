// A node in memory for specs of the whole engine: keeps and hands out what a real one does, writes down all it hears, and lies where the spec says so.
import { readDeviceCert } from '../keys/device.ts';
import type { SigningKey } from '../keys/ed25519.ts';
import { shardHashOf } from '../keys/identity.ts';
import type { Clock, Random } from '../mesh/ports.ts';
import { equal, hex } from '../wire/bytes.ts';
import { decode, encode } from '../wire/codec.ts';
import { deviceCert as deviceCertCodec } from '../wire/device-cert.ts';
import type { Did, GTag, OpId, RosterTag, Uid } from '../wire/ids.ts';
import type { NameClaim } from '../wire/login-messages.ts';
import {
  type ClientMessage,
  clientMessage,
  type DirectoryEntry,
  type LogAppend,
  type LogEntry,
  type Mail,
  type Mailbox,
  mailbox,
  type NodeMessage,
} from '../wire/node-messages.ts';
import { nodeKey, ScriptedNode } from './scripted-node.ts';
import type { AcceptSocket, VirtualNetwork } from './virtual-network.ts';

export type Question = ClientMessage & { request: number };
export type KeptLog = { heads: OpId[]; entries: LogEntry[] };

type Resident = { uid: Uid; username: string; claim: NameClaim; certificate: Uint8Array; devices: Map<string, ResidentDevice> };
type ResidentDevice = { deviceCert: Uint8Array; lockKeys: Uint8Array[] };

/** What the node knows of one device, by the name that the network has for it. */
type Guest = {
  name: string;
  scripted: ScriptedNode;
  registering: { username: string; certificate: Uint8Array } | undefined;
  did: Did | undefined;
  uid: Uid | undefined;
  isOnline: boolean;
  follows: { gTag: GTag; rosterTag: RosterTag }[];
};

export class MemoryNode {
  readonly origin = 'wss://one.example';
  readonly key: SigningKey;
  readonly logs = new Map<string, KeptLog>();
  readonly shards = new Map<string, Uint8Array>();
  readonly mails = new Map<string, Mail[]>();
  readonly residents = new Map<string, Resident>();
  /** Every message of every client, as it came. */
  readonly heard: Uint8Array[] = [];
  readonly asked: { name: string; question: Question }[] = [];
  /** What is said instead of the truth. */
  lie: (question: Question, name: string) => NodeMessage | 'nothing' | 'truth' = () => 'truth';
  /** What becomes of a signal on its way; undefined swallows it. */
  carry: (blob: Uint8Array, way: { from: string; to: string }) => Uint8Array | undefined = (blob) => blob;
  /** What is said in place of each message. */
  edit: (message: NodeMessage, name: string) => NodeMessage = (message) => message;
  /** What is not said although it is due. */
  mute: (message: NodeMessage, name: string) => boolean = () => false;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #guests = new Map<string, Guest>();

  private constructor(parts: { key: SigningKey; clock: Clock; random: Random }) {
    this.key = parts.key;
    this.#clock = parts.clock;
    this.#random = parts.random;
  }

  static async start(network: VirtualNetwork, parts: { clock: Clock; random: Random }): Promise<MemoryNode> {
    const node = new MemoryNode({ key: await nodeKey(1), ...parts });
    network.startNode(node.origin, node.accept);
    return node;
  }

  readonly accept: AcceptSocket = (socket, name) => {
    const guest = this.#guest(name);
    const { message, closed } = guest.scripted.accept(socket, name);
    return {
      message: (bytes) => {
        this.heard.push(bytes);
        this.#notice(guest, decode(clientMessage, bytes));
        message(bytes);
      },
      closed: (reason) => {
        if (guest.scripted.socket === socket) this.#leave(guest);
        closed(reason);
      },
    };
  };

  /** Says something unasked. */
  tell(name: string, message: NodeMessage): void {
    this.#guest(name).scripted.say(message);
  }

  /** Does what that client asks, whatever it is told. */
  append(name: string, append: LogAppend): NodeMessage {
    return this.#append(this.#guest(name), append, 0);
  }

  logOf(gTag: GTag): KeptLog {
    const log = this.logs.get(hex(gTag)) ?? { heads: [], entries: [] };
    this.logs.set(hex(gTag), log);
    return log;
  }

  mailsOf(box: Mailbox): Mail[] {
    const name = hex(encode(mailbox, box));
    const mails = this.mails.get(name) ?? [];
    this.mails.set(name, mails);
    return mails;
  }

  /** Puts mail into a box and tells who reads it. */
  post(box: Mailbox, body: Uint8Array): void {
    const mails = this.mailsOf(box);
    const no = (mails.at(-1)?.no ?? 0) + 1;
    mails.push({ no, at: this.#clock.now(), body });
    for (const guest of this.#readersOf(box)) guest.scripted.say({ type: 'mail-came', box, no });
  }

  /** What the directory says of a person. */
  entryOf(uid: Uid): DirectoryEntry | undefined {
    const resident = this.residents.get(hex(uid));
    return resident && { ...resident, devices: [...resident.devices.values()] };
  }

  #guest(name: string): Guest {
    const known = this.#guests.get(name);
    if (known !== undefined) return known;
    const scripted = new ScriptedNode({ key: this.key, origin: this.origin, clock: this.#clock, random: this.#random });
    const guest: Guest = {
      ...{ name, scripted, registering: undefined, did: undefined, uid: undefined },
      isOnline: false,
      follows: [],
    };
    scripted.edit = (message) => (this.mute(message, name) ? 'nothing' : this.edit(message, name));
    scripted.answer = (question) => this.#answer(guest, question);
    this.#guests.set(name, guest);
    return guest;
  }

  #notice(guest: Guest, message: ClientMessage): void {
    if (message.type === 'client-hello' && message.hello.purpose === 'register') guest.registering = message.hello;
    if (message.type === 'log-out') this.#leave(guest);
    if (message.type !== 'client-auth') return;
    const { deviceCert, nameClaim } = message.signed.fields;
    const { did, uid } = readDeviceCert(deviceCert);
    Object.assign(guest, { did, uid, isOnline: true });
    if (nameClaim !== undefined && guest.registering !== undefined)
      this.residents.set(hex(uid), { uid, ...guest.registering, claim: nameClaim, devices: new Map() });
    this.#deviceOf(uid, deviceCert);
  }

  #deviceOf(uid: Uid, deviceCert: Uint8Array): ResidentDevice | undefined {
    const devices = this.residents.get(hex(uid))?.devices;
    const name = hex(readDeviceCert(deviceCert).did);
    const device = devices?.get(name) ?? { deviceCert, lockKeys: [] };
    device.deviceCert = deviceCert;
    devices?.set(name, device);
    return device;
  }

  #leave(guest: Guest): void {
    guest.isOnline = false;
    this.#follow(guest, []);
  }

  #follow(guest: Guest, groups: Guest['follows']): void {
    const before = guest.follows;
    guest.follows = groups;
    const isIn = (list: Guest['follows'], tag: RosterTag) => list.some(({ rosterTag }) => equal(rosterTag, tag));
    for (const { rosterTag } of before) if (!isIn(groups, rosterTag)) this.#announce(guest, rosterTag, 0);
    for (const { rosterTag } of groups) {
      if (!isIn(before, rosterTag)) this.#announce(guest, rosterTag, 1);
      const online = this.#inRoster(guest, rosterTag).flatMap(({ did }) => did ?? []);
      guest.scripted.say({ type: 'roster', rosterTag, online });
    }
  }

  #announce(guest: Guest, rosterTag: RosterTag, online: 0 | 1): void {
    const { did } = guest;
    if (did === undefined) return;
    for (const other of this.#inRoster(guest, rosterTag)) other.scripted.say({ type: 'presence', rosterTag, did, online });
  }

  #inRoster(guest: Guest, tag: RosterTag): Guest[] {
    const isIn = (other: Guest) => other.follows.some(({ rosterTag }) => equal(rosterTag, tag));
    return [...this.#guests.values()].filter((other) => other !== guest && other.isOnline && isIn(other));
  }

  #readersOf(box: Mailbox): Guest[] {
    const reads = ({ uid, did, follows }: Guest) => {
      if (box.of === 'person') return uid !== undefined && equal(uid, box.uid);
      if (box.of === 'device') return did !== undefined && equal(did, box.did);
      return follows.some(({ gTag }) => equal(gTag, box.gTag));
    };
    return [...this.#guests.values()].filter((guest) => guest.isOnline && reads(guest));
  }

  #answer(guest: Guest, question: Question): NodeMessage | 'nothing' {
    this.asked.push({ name: guest.name, question });
    const lie = this.lie(question, guest.name);
    return lie === 'truth' ? this.#truth(guest, question) : lie;
  }

  #truth(guest: Guest, question: Question): NodeMessage {
    const { request } = question;
    const done: NodeMessage = { type: 'done', request };
    const refused = (code: 'not-found' | 'unknown-user' | 'peer-offline'): NodeMessage => {
      return { type: 'refused', request, code, retryAfter: 0 };
    };
    switch (question.type) {
      case 'look-up': {
        const { by } = question;
        const one = [...this.residents.values()].find(({ uid, username }) =>
          by.by === 'username' ? username === by.username : equal(uid, by.uid),
        );
        const entry = one && this.entryOf(one.uid);
        if (entry !== undefined) return { type: 'found', request, entry };
        return refused(by.by === 'username' ? 'unknown-user' : 'not-found');
      }
      case 'publish-lock-key':
        for (const device of this.residents.get(hex(guest.uid ?? new Uint8Array()))?.devices.values() ?? [])
          if (guest.did !== undefined && equal(readDeviceCert(device.deviceCert).did, guest.did))
            device.lockKeys.push(question.lockKey);
        return done;
      case 'publish-device':
        decode(deviceCertCodec, question.deviceCert);
        if (guest.uid !== undefined) this.#deviceOf(guest.uid, question.deviceCert);
        return done;
      case 'put-shard':
        this.shards.set(hex(shardHashOf(question.shard)), question.shard);
        return done;
      case 'get-shard': {
        const shard = this.shards.get(hex(question.hash));
        return shard === undefined ? refused('not-found') : { type: 'shard', request, shard };
      }
      case 'append':
        return this.#append(guest, question.append, request);
      case 'get-log': {
        const entries = this.logs.get(hex(question.gTag))?.entries;
        if (entries === undefined) return refused('not-found');
        const page = entries.slice(question.after, question.after + 64);
        return { type: 'log-page', request, entries: page, more: question.after + 64 < entries.length ? 1 : 0 };
      }
      case 'follow':
        this.#follow(guest, question.groups);
        return done;
      case 'post-mail':
        this.post(question.box, question.body);
        return done;
      case 'get-mail': {
        const mails = this.mailsOf(question.box).filter(({ no }) => no > question.after);
        return { type: 'mail-page', request, mails: mails.slice(0, 20), more: mails.length > 20 ? 1 : 0 };
      }
      case 'drop-mail': {
        const mails = this.mailsOf(question.box);
        mails.splice(0, mails.filter(({ no }) => no <= question.upTo).length);
        return done;
      }
      case 'relay': {
        const to = [...this.#guests.values()].find(({ isOnline, did }) => isOnline && did && equal(did, question.to));
        if (to === undefined || guest.did === undefined) return refused('peer-offline');
        const blob = this.carry(question.blob, { from: guest.name, to: to.name });
        if (blob !== undefined) to.scripted.say({ type: 'relayed', from: guest.did, blob });
        return done;
      }
      default:
        return done;
    }
  }

  #append(guest: Guest, append: LogAppend, request: number): NodeMessage {
    const { gTag, opId, parents, sealed, expectedHeads } = append;
    const log = this.logOf(gTag);
    const known = log.entries.find((entry) => equal(entry.opId, opId));
    if (known !== undefined) return { type: 'appended', request, no: known.no };
    if (log.heads.length !== expectedHeads.length || !log.heads.every((head) => expectedHeads.some((one) => equal(one, head))))
      return { type: 'conflict', request, heads: log.heads };
    const no = log.entries.length + 1;
    log.entries.push({ no, opId, parents, sealed });
    log.heads = [...log.heads.filter((head) => !parents.some((parent) => equal(parent, head))), opId];
    for (const other of this.#guests.values())
      if (other !== guest && other.isOnline && other.follows.some((followed) => equal(followed.gTag, gTag)))
        other.scripted.say({ type: 'log-grew', gTag, no });
    return { type: 'appended', request, no };
  }
}
