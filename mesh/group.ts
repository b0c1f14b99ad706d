// One group as its members live it: what is sent and received, exactly once and in order, and what is known of how far it got.
import type { Device } from '../keys/device.ts';
import type { EpochKeys } from '../keys/epoch.ts';
import {
  openFrame,
  type ReadFrame,
  type ReceiverChain,
  readFrame,
  receiverChainCodec,
  receiverChainOf,
  sealFrame,
  verifyFrame,
} from '../keys/frame-seal.ts';
import { compare, equal, fromHex, hex } from '../wire/bytes.ts';
import { bytesN, decode, encode, numberOf, optional, struct, u64, vec32 } from '../wire/codec.ts';
import { largestPlaintext } from '../wire/frame.ts';
import { type Role, roles } from '../wire/group-ops.ts';
import { asDid, asFrameId, type Did, type EpochId, type FrameId, type Uid } from '../wire/ids.ts';
import { limits } from '../wire/limits.ts';
import { decodeMessageBody, encodeMessageBody, type MessageBody } from '../wire/message-body.ts';
import { Delivery } from './delivery.ts';
import { type Fork, Forks, type FrameFacts, forkedAt } from './forks.ts';
import type { GroupLog } from './group-log.ts';
import type { Clock, Random, Stop, Store, StoreChange } from './ports.ts';
import { isRefusal } from './refusals.ts';
import { Transcript, type TranscriptEntry } from './transcript.ts';
import { Turns } from './turns.ts';
import { WaitingFrames } from './waiting-frames.ts';

export type GroupNeeds = {
  me: Device;
  store: Store;
  clock: Clock;
  random: Random;
  note(text: string): void;
  /** A frame that was not here before, ours or another's, is stored: spread it. */
  stored(frame: FrameId, bytes: Uint8Array, from: Did | undefined): void;
  /** A device is frozen, or from an earlier number on: neighbours must hear of the proof. `from` brought it. */
  forked(fork: Fork, from: Did | undefined): void;
  /** Linked devices of the group now. */
  neighbours(): number;
  /** Something that a screen shows has changed. */
  changed(): void;
  /** Frames came that need log entries this device does not have. */
  logWanted(): void;
};

/** What came of a frame: 'stored' and 'known' are answered with "have". */
export type Received = 'stored' | 'known' | 'waiting' | 'refused';

const storedFrame = struct({
  version: numberOf(1, 1),
  frame: vec32(limits.frameBytes),
  /** The body; absent where the frame verified but could not be opened. */
  body: optional(vec32(largestPlaintext)),
  sentAt: u64,
  heads: vec32(32 * limits.frameHeads),
  storedAt: u64,
});

const storedOwn = struct({ version: numberOf(1, 1), seq: u64, previous: bytesN(32) });

/** A message waits this long for what its author had seen before. */
const parentsWait = 2_000;
/** Receipts are batched. */
const receiptPause = 2_000;
const receiptMembers = 50;

export class Group {
  readonly log: GroupLog;
  readonly transcript = new Transcript();
  readonly #needs: GroupNeeds;
  readonly #turns = new Turns();
  readonly #chains = new Map<string, ReceiverChain>();
  readonly #waiting = new WaitingFrames();
  readonly #forks: Forks;
  readonly #delivery: Delivery;
  /** What our own receipts have said: per author, in hex. */
  readonly #receipted = new Map<string, number>();
  #seq = 0;
  #previous: Uint8Array = new Uint8Array(32);
  #receiptTimer: Stop | undefined;
  #heldTimer: Stop | undefined;
  #heldUntil = 0;
  #closed = false;

  constructor(needs: GroupNeeds, log: GroupLog) {
    this.#needs = needs;
    this.log = log;
    const { gid } = log;
    const { store } = needs;
    this.#forks = new Forks({ gid, store });
    this.#delivery = new Delivery({ ...needs, gid, me: needs.me.did });
  }

  get gid() {
    return this.log.gid;
  }

  /** Brings back what was stored before. */
  async load(): Promise<void> {
    const { store } = this.#needs;
    const own = await store.get(['own', hex(this.gid)]);
    if (own !== undefined) {
      const { seq, previous } = decode(storedOwn, own);
      this.#seq = seq;
      this.#previous = previous;
    }
    for (const { key, value } of await store.range(['chain', hex(this.gid)]))
      this.#chains.set(`${key[2]} ${key[3]}`, decode(receiverChainCodec, value));
    await this.#forks.load();
    for (const { value } of await store.range(['frame', hex(this.gid)])) this.#restore(decode(storedFrame, value));
    await this.#delivery.load();
  }

  /** Stored, then handed on; resolves when it is on disk. 'no-key': this device has no keys to send with yet, or may not speak any more. */
  send(body: MessageBody): Promise<'stored' | 'no-key'> {
    return this.#turns.take(() => this.#send(body));
  }

  /** What a neighbour says proves that a device told two stories. Never throws for what is in it. */
  receiveFork(first: ReadFrame, second: ReadFrame, from: Did): Promise<Received> {
    return this.#turns.take(() => this.#receiveFork(first, second, from));
  }

  /** Devices that told two stories, with the proof. */
  get forks(): Forks {
    return this.#forks;
  }

  /** A frame from a neighbour, or one that waited. Never throws for what is in it. */
  receive(read: ReadFrame, from: Did | undefined): Promise<Received> {
    return this.#turns.take(() => this.#receive(read, from));
  }

  /** The log went on: what waited for it may now be understood. */
  async logChanged(): Promise<void> {
    await this.#turns.take(async () => this.#dropBeyondFrontiers());
    for (const { read, from } of this.#waiting.takeAll()) await this.receive(read, from);
    this.#needs.changed();
  }

  /** That neighbour has these frames. */
  had(did: Did, frames: readonly FrameId[]): void {
    const { me } = this.#needs;
    const isOwn = (id: FrameId) => equal(this.transcript.get(id)?.did ?? did, me.did);
    this.#delivery.had(did, frames.filter(isOwn));
  }

  /** The bytes of a stored frame, for a neighbour who wants it. */
  async frameBytes(id: FrameId): Promise<Uint8Array | undefined> {
    const entry = this.transcript.get(id);
    if (entry === undefined) return undefined;
    const value = await this.#needs.store.get(['frame', hex(this.gid), hex(entry.did), entry.seq]);
    return value === undefined ? undefined : decode(storedFrame, value).frame;
  }

  /** Whether that device may have frames of that epoch: it was in when the epoch began. */
  mayHave(did: Did, epochId: EpochId): boolean {
    return this.log.epoch(epochId)?.chains.has(hex(did)) ?? false;
  }

  /** How far an own message got. */
  progressOf(entry: TranscriptEntry): {
    state: 'sending' | 'saved' | 'sent' | 'delivered';
    deliveredTo: number;
    receivers: number;
  } {
    const receivers = this.#receiversOf(entry);
    const deliveredTo = receivers.filter(({ dids }) => dids.some((did) => this.#delivery.hasReceipt(did, entry.seq))).length;
    if (receivers.length === 0) return { state: 'saved', deliveredTo, receivers: 0 };
    if (deliveredTo === receivers.length) return { state: 'delivered', deliveredTo, receivers: receivers.length };
    const isSent = deliveredTo > 0 || this.#delivery.isSent(entry.id);
    return { state: isSent ? 'sent' : 'sending', deliveredTo, receivers: receivers.length };
  }

  /** The last nickname that a person gave themselves here; undefined for none. */
  nicknames(): Map<string, string> {
    const nicknames = new Map<string, string>();
    for (const { entry } of this.transcript.inOrder()) {
      if (entry.body?.kind !== 'nickname') continue;
      const owner = this.ownerOf(entry.did);
      if (owner === undefined) continue;
      if (entry.body.nickname === '') nicknames.delete(hex(owner));
      else nicknames.set(hex(owner), entry.body.nickname);
    }
    return nicknames;
  }

  /** Whose device it is, or was. */
  ownerOf(did: Did): Uid | undefined {
    return this.#deviceOf(did)?.uid;
  }

  signPubOf(did: Did): Uint8Array | undefined {
    return this.#deviceOf(did)?.signPub;
  }

  /** Whether this device is in the group now. */
  isIn(): boolean {
    return this.log.state()?.members.get(hex(this.#needs.me.uid))?.devices.has(hex(this.#needs.me.did)) ?? false;
  }

  /** Devices of members that read and write, but this one. Nobody once this device is out. */
  otherDevices(): Did[] {
    return this.isIn() ? this.#presentDevices().filter((did) => !equal(did, this.#needs.me.did)) : [];
  }

  /** Devices that know the newest keys and are out: nothing more is sent before there are others. */
  departedDevices(): Did[] {
    const present = new Set(this.#presentDevices().map(hex));
    const chains = this.log.currentEpoch()?.chains.keys() ?? [];
    return [...chains].filter((did) => !present.has(did)).map((did) => asDid(fromHex(did)));
  }

  /** Whether somebody of those who stay has to make new keys. */
  isRekeyDue(): boolean {
    return this.isIn() && this.departedDevices().length > 0;
  }

  /** Whether it is such a device. */
  hasDevice(did: Did): boolean {
    if (equal(did, this.#needs.me.did) || !this.isIn()) return false;
    const name = hex(did);
    for (const { role, devices } of this.log.state()?.members.values() ?? [])
      if (role >= roles.member && devices.has(name)) return true;
    return false;
  }

  roleOf(uid: Uid): Role {
    return this.log.state()?.members.get(hex(uid))?.role ?? roles.none;
  }

  /** Whether its place in the order may still change because something before it is missing, and its time to wait is not over. */
  isHeldBack(entry: TranscriptEntry): boolean {
    return !this.transcript.isComplete(entry) && this.#needs.clock.now() - entry.storedAt < parentsWait;
  }

  close(): void {
    this.#closed = true;
    this.#receiptTimer?.();
    this.#heldTimer?.();
  }

  #presentDevices(): Did[] {
    const members = [...(this.log.state()?.members.values() ?? [])].filter(({ role }) => role >= roles.member);
    return members.flatMap(({ devices }) => [...devices.values()].map(({ did }) => did));
  }

  async #send(body: MessageBody): Promise<'stored' | 'no-key'> {
    const { me, random, clock, store } = this.#needs;
    const epoch = this.log.currentEpoch();
    const epochId = epoch?.epochId;
    const chain = epoch === undefined ? undefined : this.#chainOf(epoch, me.did);
    // Send rule: under no epoch but the one in force, so never to somebody whose removal is known here.
    const inForce = this.log.epochInForce();
    if (epoch === undefined || epochId === undefined || chain === undefined || inForce === undefined || !equal(inForce, epochId))
      return 'no-key';
    if (!this.#maySpeak() || !this.isIn() || this.isRekeyDue()) return 'no-key';
    const now = clock.now();
    const heads = this.transcript.heads(me.did, epochId, limits.frameHeads);
    const encoded = encodeMessageBody(body);
    const place = { gid: this.gid, epochId, did: me.did, seq: this.#seq + 1, previous: this.#previous };
    const plaintext = { version: 1, kind: 0, sentAt: now, heads, body: encoded } as const;
    const sealed = await sealFrame({ chain, place, plaintext, signer: me.signer, nonce: random(12) });
    // The log may have gone on meanwhile.
    if (!equal(this.log.epochInForce() ?? epochId, epochId)) return this.#send(body);
    const next: ReceiverChain = { ...sealed.chain, skipped: new Map() };
    const entry = this.#entryOf({ ...place, gen: chain.gen, id: sealed.frameId, sentAt: now, heads, body, storedAt: now });
    // Store, then memory, then screen: a crash in between loses nothing that was shown and repeats no number.
    await store.write([
      this.#frameChange(entry, sealed.bytes, encoded),
      this.#chainChange(epoch, me.did, next),
      { put: ['own', hex(this.gid)], value: encode(storedOwn, { version: 1, seq: place.seq, previous: sealed.frameId }) },
    ]);
    this.#seq = place.seq;
    this.#previous = sealed.frameId;
    this.#chains.set(chainName(epochId, me.did), next);
    this.transcript.add(entry);
    this.#needs.stored(sealed.frameId, sealed.bytes, undefined);
    this.#needs.changed();
    return 'stored';
  }

  /** Cheap checks first; nothing changes before all have passed. */
  async #receive(read: ReadFrame, from: Did | undefined): Promise<Received> {
    const { frame, frameId } = read;
    if (!equal(frame.gid, this.gid)) return 'refused';
    const did = asDid(frame.did);
    if (this.transcript.has(frameId)) return 'known';
    if (frame.seq >= this.#forks.frozenFrom(did)) return 'refused';
    const epoch = this.log.epoch(frame.epochId);
    if (epoch === undefined) return this.#wait(read, from);
    if (!epoch.chains.has(hex(did))) return 'refused';
    // The first follows nothing: said otherwise it refutes itself.
    if (frame.seq < 1 || (frame.seq === 1 && frame.previous.some((byte) => byte !== 0))) return 'refused';
    if (frame.seq > this.log.frontierOf(did, frame.epochId)) return 'refused';
    const signPub = this.signPubOf(did);
    if (signPub === undefined || !(await verifyFrame(read, signPub))) return 'refused';
    const fork = await this.#forkWith(read, did);
    if (fork === undefined) return this.#open(read, did, epoch, from);
    await this.#freeze(fork, from);
    return 'refused';
  }

  async #receiveFork(first: ReadFrame, second: ReadFrame, from: Did): Promise<Received> {
    const did = asDid(first.frame.did);
    if (![first, second].every(({ frame }) => equal(frame.gid, this.gid) && equal(frame.did, did))) return 'refused';
    const seq = forkedAt(factsOf(first), factsOf(second));
    const signPub = this.signPubOf(did);
    if (seq === undefined || signPub === undefined) return 'refused';
    if (seq >= this.#forks.frozenFrom(did)) return 'known';
    if (!(await verifyFrame(first, signPub)) || !(await verifyFrame(second, signPub))) return 'refused';
    await this.#freeze({ did, seq, frames: [first.bytes, second.bytes] }, from);
    return 'stored';
  }

  /** The earliest contradiction between a verified frame and what is here of its author. */
  async #forkWith(read: ReadFrame, did: Did): Promise<Fork | undefined> {
    const { seq, gen, epochId } = read.frame;
    const { transcript } = this;
    const near = [seq - 1, seq, seq + 1].map((one) => transcript.at(did, one));
    let earliest: { seq: number; other: FrameId } | undefined;
    for (const id of [...near, transcript.atGen(did, epochId, gen)]) {
      const other = id && transcript.get(id);
      const at = other && forkedAt(factsOf(read), other);
      if (other !== undefined && at !== undefined && at < (earliest?.seq ?? Number.POSITIVE_INFINITY))
        earliest = { seq: at, other: other.id };
    }
    const kept = earliest && (await this.frameBytes(earliest.other));
    return earliest && kept && { did, seq: earliest.seq, frames: [kept, read.bytes] };
  }

  /** What a removed device had sent beyond what its remover saw counts nowhere, also where it came in time. */
  #dropBeyondFrontiers(): void {
    const removed = new Set(this.log.removedDevices());
    if (removed.size === 0) return;
    this.transcript.drop(({ did, seq, epochId }) => removed.has(hex(did)) && seq > this.log.frontierOf(did, epochId));
  }

  /** What the device wrote from there on is taken back here, and wherever the proof comes: in the same place everywhere. */
  async #freeze(fork: Fork, from: Did | undefined): Promise<void> {
    if ((await this.#forks.keep(fork)) === 'known') return;
    const { did, seq } = fork;
    this.transcript.dropFrom(did, seq);
    this.#delivery.forget(did);
    for (const { entry } of this.transcript.inOrder()) if (equal(entry.did, did)) this.#noteReceipt(entry);
    this.#needs.note(`a device told two stories from its message ${seq} on`);
    this.#needs.forked(fork, from);
    this.#needs.changed();
  }

  /** Not if others have frames of ours that we do not know of, for then we are an old copy, nor after a fork. */
  #maySpeak(): boolean {
    const { did } = this.#needs.me;
    return this.transcript.top(did) <= this.#seq && this.#forks.of(did) === undefined;
  }

  async #open(read: ReadFrame, did: Did, epoch: EpochKeys, from: Did | undefined): Promise<Received> {
    const { frame, frameId, bytes } = read;
    const chain = this.#chainOf(epoch, did);
    if (chain === undefined) return 'refused';
    const opened = await openFrame(read, chain);
    if (opened === 'skip-too-far') return 'refused';
    const now = this.#needs.clock.now();
    const facts = {
      did,
      seq: frame.seq,
      gen: frame.gen,
      previous: frame.previous,
      epochId: frame.epochId,
      id: frameId,
      storedAt: now,
    };
    if (typeof opened === 'string') {
      // Verified, but not to be opened: it counts as had, so that healing comes to an end without its key.
      const entry = this.#entryOf({ ...facts, sentAt: 0, heads: [], body: undefined });
      await this.#needs.store.write([this.#frameChange(entry, bytes, undefined)]);
      this.#keep(entry, bytes, from);
      return 'stored';
    }
    const { plaintext } = opened;
    const entry = this.#entryOf({
      ...facts,
      sentAt: plaintext.sentAt,
      heads: plaintext.heads,
      body: bodyOrNothing(plaintext.body),
    });
    await this.#needs.store.write([this.#frameChange(entry, bytes, plaintext.body), this.#chainChange(epoch, did, opened.chain)]);
    this.#chains.set(chainName(epoch.epochId, did), opened.chain);
    this.#keep(entry, bytes, from);
    return 'stored';
  }

  #keep(entry: TranscriptEntry, bytes: Uint8Array, from: Did | undefined): void {
    this.transcript.add(entry);
    this.#noteReceipt(entry);
    if (entry.body?.kind === 'text' || entry.body?.kind === 'nickname') this.#scheduleReceipt();
    if (this.isHeldBack(entry)) this.#showAt(entry.storedAt + parentsWait);
    this.#needs.stored(entry.id, bytes, from);
    this.#needs.changed();
  }

  #wait(read: ReadFrame, from: Did | undefined): Received {
    const { epochId } = read.frame;
    // An epoch that the log knows and we hold no keys of began without us: nothing of it is ours to read.
    if (this.log.ops.has(epochId) && this.log.epochInForce() !== undefined && !this.#mayOpenLater(epochId)) return 'refused';
    if (this.#waiting.add(read, from) === 'no-room') return 'refused';
    this.#needs.logWanted();
    return 'waiting';
  }

  /** One timer, however many are held back. */
  #showAt(time: number): void {
    const { clock } = this.#needs;
    this.#heldUntil = Math.max(this.#heldUntil, time);
    if (this.#heldTimer !== undefined || this.#closed) return;
    this.#heldTimer = clock.after(time - clock.now(), () => {
      this.#heldTimer = undefined;
      this.#needs.changed();
      if (this.#heldUntil > clock.now()) this.#showAt(this.#heldUntil);
    });
  }

  #mayOpenLater(epochId: EpochId): boolean {
    const member = this.log.ops.stateAt([epochId]).members.get(hex(this.#needs.me.uid));
    return member?.devices.has(hex(this.#needs.me.did)) ?? false;
  }

  #noteReceipt(entry: TranscriptEntry): void {
    if (entry.body?.kind === 'receipt') this.#delivery.receiptCame(entry.did, entry.body);
  }

  #receiversOf(entry: TranscriptEntry): { dids: string[] }[] {
    const chains = this.log.epoch(entry.epochId)?.chains;
    if (chains === undefined) return [];
    const byOwner = new Map<string, string[]>();
    for (const did of chains.keys()) {
      const owner = this.#ownerNames.get(did) ?? this.#nameOwner(did);
      if (owner === undefined || owner === hex(this.#needs.me.uid)) continue;
      byOwner.set(owner, [...(byOwner.get(owner) ?? []), did]);
    }
    return [...byOwner.values()].map((dids) => ({ dids }));
  }

  readonly #ownerNames = new Map<string, string>();

  #nameOwner(did: string): string | undefined {
    for (const member of this.log.state()?.members.values() ?? [])
      for (const name of member.devices.keys()) this.#ownerNames.set(name, hex(member.uid));
    return this.#ownerNames.get(did);
  }

  #scheduleReceipt(): void {
    const members = this.log.state()?.members.size ?? 0;
    if (this.#receiptTimer !== undefined || members > receiptMembers || this.#closed) return;
    this.#receiptTimer = this.#needs.clock.after(receiptPause, () => {
      this.#receiptTimer = undefined;
      this.#sendReceipt().catch((error: unknown) => this.#needs.note(`receipt not stored: ${String(error)}`));
    });
  }

  async #sendReceipt(): Promise<void> {
    const delivered: { did: Did; upTo: number }[] = [];
    for (const did of this.otherDevices()) {
      const upTo = this.transcript.contiguousTo(did);
      if (upTo > (this.#receipted.get(hex(did)) ?? 0)) delivered.push({ did, upTo });
    }
    if (delivered.length === 0) return;
    const outcome = await this.send({
      kind: 'receipt',
      delivered: delivered.sort((a, b) => compare(a.did, b.did)).slice(0, limits.receiptDevices),
    });
    if (outcome === 'stored') for (const { did, upTo } of delivered) this.#receipted.set(hex(did), upTo);
  }

  #chainOf(epoch: EpochKeys, did: Did): ReceiverChain | undefined {
    const known = this.#chains.get(chainName(epoch.epochId, did));
    if (known !== undefined) return known;
    const first = epoch.chains.get(hex(did));
    return first === undefined ? undefined : receiverChainOf(first);
  }

  #deviceOf(did: Did): { uid: Uid; signPub: Uint8Array } | undefined {
    const state = this.log.state();
    for (const member of state?.members.values() ?? []) {
      const device = member.devices.get(hex(did));
      if (device !== undefined) return { uid: member.uid, signPub: device.signPub };
    }
    return state?.formerDevices.get(hex(did));
  }

  #entryOf(facts: Omit<TranscriptEntry, 'epochDepth'>): TranscriptEntry {
    const { id, did, seq, gen, previous, epochId, sentAt, heads, body, storedAt } = facts;
    return { id, did, seq, gen, previous, epochId, epochDepth: this.log.depthOf(epochId) ?? 0, sentAt, heads, body, storedAt };
  }

  #frameChange(entry: TranscriptEntry, frame: Uint8Array, body: Uint8Array | undefined): StoreChange {
    const heads = new Uint8Array(32 * entry.heads.length);
    entry.heads.forEach((id, i) => {
      heads.set(id, 32 * i);
    });
    const { sentAt, storedAt } = entry;
    const value = encode(storedFrame, { version: 1, frame, body, sentAt, heads, storedAt });
    return { put: ['frame', hex(this.gid), hex(entry.did), entry.seq], value };
  }

  #chainChange(epoch: EpochKeys, did: Did, chain: ReceiverChain): StoreChange {
    return { put: ['chain', hex(this.gid), hex(epoch.epochId), hex(did)], value: encode(receiverChainCodec, chain) };
  }

  #restore(stored: {
    frame: Uint8Array;
    body: Uint8Array | undefined;
    sentAt: number;
    heads: Uint8Array;
    storedAt: number;
  }): void {
    const { frame, frameId } = readFrame(stored.frame);
    const heads: FrameId[] = [];
    for (let at = 0; at + 32 <= stored.heads.length; at += 32) heads.push(asFrameId(stored.heads.slice(at, at + 32)));
    const { did, seq, gen, previous, epochId } = frame;
    if (seq >= this.#forks.frozenFrom(did) || seq > this.log.frontierOf(asDid(did), epochId)) return;
    const body = stored.body === undefined ? undefined : bodyOrNothing(stored.body);
    const entry = this.#entryOf({
      id: frameId,
      did,
      seq,
      gen,
      previous,
      epochId,
      sentAt: stored.sentAt,
      heads,
      body,
      storedAt: stored.storedAt,
    });
    this.transcript.add(entry);
    this.#noteReceipt(entry);
    if (!equal(did, this.#needs.me.did) || body?.kind !== 'receipt') return;
    for (const one of body.delivered)
      this.#receipted.set(hex(one.did), Math.max(this.#receipted.get(hex(one.did)) ?? 0, one.upTo));
  }
}

function factsOf({ frame, frameId }: ReadFrame): FrameFacts {
  const { seq, gen, epochId, previous } = frame;
  return { id: frameId, seq, gen, epochId, previous };
}

function chainName(epochId: EpochId, did: Did): string {
  return `${hex(epochId)} ${hex(did)}`;
}

/** A member may write what this version does not know: it is kept, and shown as such. */
function bodyOrNothing(bytes: Uint8Array): MessageBody | undefined {
  try {
    return decodeMessageBody(bytes);
  } catch (error) {
    if (!isRefusal(error)) throw error;
    return undefined;
  }
}
