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
import { compare, equal, hex } from '../wire/bytes.ts';
import { bytesN, decode, encode, numberOf, optional, struct, u64, vec32 } from '../wire/codec.ts';
import { largestPlaintext } from '../wire/frame.ts';
import { type Role, roles } from '../wire/group-ops.ts';
import { asDid, asFrameId, type Did, type EpochId, type FrameId, type Uid } from '../wire/ids.ts';
import { limits } from '../wire/limits.ts';
import { decodeMessageBody, encodeMessageBody, type MessageBody } from '../wire/message-body.ts';
import type { GroupLog } from './group-log.ts';
import type { Clock, Random, Stop, Store, StoreChange } from './ports.ts';
import { isRefusal } from './refusals.ts';
import { Transcript, type TranscriptEntry } from './transcript.ts';
import { Turns } from './turns.ts';

export type GroupNeeds = {
  me: Device;
  store: Store;
  clock: Clock;
  random: Random;
  note(text: string): void;
  /** A frame that was not here before, ours or another's, is stored: spread it. */
  stored(frame: FrameId, bytes: Uint8Array, from: Did | undefined): void;
  /** Linked devices of the group now. */
  neighbours(): number;
  /** Something that a screen shows has changed. */
  changed(): void;
  /** Frames came that need log entries this device does not have. */
  logWanted(): void;
};

/** What came of a frame: 'stored' and 'known' are answered with "have". */
export type Received = 'stored' | 'known' | 'waiting' | 'refused';

/** Proof that a device signed two different frames under one number: both are kept. */
export type Fork = { did: Did; seq: number; frames: [Uint8Array, Uint8Array] };

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

/** Frames of epochs that are not known yet wait for the log: bounded, and dropped rather than kept long. */
const waitingFrames = 256;
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
  readonly #waiting: { read: ReadFrame; from: Did | undefined }[] = [];
  /** Own frames that somebody else is known to have: hex of the frame id → their dids. */
  readonly #had = new Map<string, Set<string>>();
  /** Own frames that were sent, by the rule of `had`: hex of the frame id. */
  readonly #sent = new Set<string>();
  /** Per receiving device: up to which number they have each author's frames. */
  readonly #receipts = new Map<string, Map<string, number>>();
  readonly #receipted = new Map<string, number>();
  readonly #frozen = new Map<string, number>();
  readonly forks: Fork[] = [];
  #seq = 0;
  #previous: Uint8Array = new Uint8Array(32);
  #receiptTimer: Stop | undefined;

  constructor(needs: GroupNeeds, log: GroupLog) {
    this.#needs = needs;
    this.log = log;
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
    for (const { value } of await store.range(['frame', hex(this.gid)])) this.#restore(decode(storedFrame, value));
    for (const { key } of await store.range(['sent', hex(this.gid)])) this.#sent.add(String(key[2]));
  }

  /** Stored, then handed on; resolves when it is on disk. 'no-key': this device has no keys to send with yet. */
  send(body: MessageBody): Promise<'stored' | 'no-key'> {
    return this.#turns.take(() => this.#send(body));
  }

  /** A frame from a neighbour, or one that waited. Never throws for what is in it. */
  receive(read: ReadFrame, from: Did | undefined): Promise<Received> {
    return this.#turns.take(() => this.#receive(read, from));
  }

  /** The log went on: what waited for it may now be understood. */
  async logChanged(): Promise<void> {
    const waited = this.#waiting.splice(0);
    for (const { read, from } of waited) await this.receive(read, from);
    this.#needs.changed();
  }

  /** That neighbour has these frames. An own one is sent once two neighbours have it, or the only one there is. */
  had(did: Did, frames: readonly FrameId[]): void {
    const changes: StoreChange[] = [];
    for (const id of frames) {
      const entry = this.transcript.get(id);
      const name = hex(id);
      if (entry === undefined || !equal(entry.did, this.#needs.me.did) || this.#sent.has(name)) continue;
      const others = this.#had.get(name) ?? new Set();
      others.add(hex(did));
      this.#had.set(name, others);
      if (others.size < Math.min(2, this.#needs.neighbours())) continue;
      this.#had.delete(name);
      this.#sent.add(name);
      changes.push({ put: ['sent', hex(this.gid), name], value: new Uint8Array() });
    }
    if (changes.length === 0) return;
    this.#needs.store.write(changes).catch((error: unknown) => this.#needs.note(`not stored: ${String(error)}`));
    this.#needs.changed();
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
    const deliveredTo = receivers.filter(({ dids }) => dids.some((did) => this.#hasReceipt(did, entry))).length;
    if (receivers.length === 0) return { state: 'saved', deliveredTo, receivers: 0 };
    if (deliveredTo === receivers.length) return { state: 'delivered', deliveredTo, receivers: receivers.length };
    const isSent = deliveredTo > 0 || this.#sent.has(hex(entry.id));
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

  /** Devices of members that read and write, but this one. */
  otherDevices(): Did[] {
    const state = this.log.state();
    if (state === undefined) return [];
    const readers = [...state.members.values()].filter(({ role }) => role >= roles.member);
    return readers
      .flatMap(({ devices }) => [...devices.values()].map(({ did }) => did))
      .filter((did) => !equal(did, this.#needs.me.did));
  }

  roleOf(uid: Uid): Role {
    return this.log.state()?.members.get(hex(uid))?.role ?? roles.none;
  }

  /** Whether its place in the order may still change because something before it is missing, and its time to wait is not over. */
  isHeldBack(entry: TranscriptEntry): boolean {
    return !this.transcript.isComplete(entry) && this.#needs.clock.now() - entry.storedAt < parentsWait;
  }

  close(): void {
    this.#receiptTimer?.();
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
    const now = clock.now();
    const heads = this.transcript.heads(me.did, epochId, limits.frameHeads);
    const encoded = encodeMessageBody(body);
    const place = { gid: this.gid, epochId, did: me.did, seq: this.#seq + 1, previous: this.#previous };
    const plaintext = { version: 1, kind: 0, sentAt: now, heads, body: encoded } as const;
    const sealed = await sealFrame({ chain, place, plaintext, signer: me.signer, nonce: random(12) });
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

  async #receive(read: ReadFrame, from: Did | undefined): Promise<Received> {
    const { frame, frameId } = read;
    if (!equal(frame.gid, this.gid)) return 'refused';
    const did = asDid(frame.did);
    const epoch = this.log.epoch(frame.epochId);
    if (epoch === undefined) return this.#wait(read, from);
    if (!epoch.chains.has(hex(did))) return 'refused';
    if (this.transcript.has(frameId)) return 'known';
    if (frame.seq >= (this.#frozen.get(hex(did)) ?? Number.POSITIVE_INFINITY)) return 'refused';
    const signPub = this.signPubOf(did);
    if (signPub === undefined || !(await verifyFrame(read, signPub))) return 'refused';
    const other = this.transcript.at(did, frame.seq);
    if (other !== undefined) return this.#forked(did, frame.seq, other, read.bytes);
    if (!this.#chainsOn(did, frame.seq, frame.previous, frameId)) return 'refused';
    return this.#open(read, did, epoch, from);
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
      const entry = this.#entryOf({ ...facts, sentAt: now, heads: [], body: undefined });
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
    if (this.isHeldBack(entry)) this.#needs.clock.after(parentsWait, () => this.#needs.changed());
    this.#needs.stored(entry.id, bytes, from);
    this.#needs.changed();
  }

  #wait(read: ReadFrame, from: Did | undefined): Received {
    const { epochId } = read.frame;
    // An epoch that the log knows and we hold no keys of began without us: nothing of it is ours to read.
    if (this.log.ops.has(epochId) && this.log.epochInForce() !== undefined && !this.#mayOpenLater(epochId)) return 'refused';
    if (this.#waiting.length >= waitingFrames) this.#waiting.shift();
    this.#waiting.push({ read, from });
    this.#needs.logWanted();
    return 'waiting';
  }

  #mayOpenLater(epochId: EpochId): boolean {
    const member = this.log.ops.stateAt([epochId]).members.get(hex(this.#needs.me.uid));
    return member?.devices.has(hex(this.#needs.me.did)) ?? false;
  }

  /** Two frames under one number prove themselves: both are kept, and the device counts for nothing from there on, in whatever order they came. */
  #forked(did: Did, seq: number, other: FrameId, bytes: Uint8Array): Received {
    const first = this.#frozen.get(hex(did)) ?? Number.POSITIVE_INFINITY;
    this.#frozen.set(hex(did), Math.min(first, seq));
    this.#needs.note(`a device signed two messages as its number ${seq}`);
    const keep = async () => {
      const kept = await this.frameBytes(other);
      if (kept === undefined) return;
      this.forks.push({ did, seq, frames: [kept, bytes] });
      await this.#needs.store.write([{ put: ['fork', hex(this.gid), hex(did), seq], value: bytes }]);
    };
    keep().catch((error: unknown) => this.#needs.note(`fork not stored: ${String(error)}`));
    this.#needs.changed();
    return 'refused';
  }

  /** Neighbours in the author's chain that are here must name each other. */
  #chainsOn(did: Did, seq: number, previous: Uint8Array, frameId: FrameId): boolean {
    if (seq === 1) return previous.every((byte) => byte === 0);
    const before = this.transcript.at(did, seq - 1);
    if (before !== undefined && !equal(before, previous)) return false;
    const after = this.transcript.at(did, seq + 1);
    const next = after === undefined ? undefined : this.transcript.get(after);
    return next === undefined || equal(next.previous, frameId);
  }

  #noteReceipt(entry: TranscriptEntry): void {
    if (entry.body?.kind !== 'receipt') return;
    const known = this.#receipts.get(hex(entry.did)) ?? new Map<string, number>();
    for (const { did, upTo } of entry.body.delivered) known.set(hex(did), Math.max(known.get(hex(did)) ?? 0, upTo));
    this.#receipts.set(hex(entry.did), known);
  }

  #hasReceipt(by: string, entry: TranscriptEntry): boolean {
    return (this.#receipts.get(by)?.get(hex(entry.did)) ?? 0) >= entry.seq;
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
    if (this.#receiptTimer !== undefined || members > receiptMembers) return;
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
