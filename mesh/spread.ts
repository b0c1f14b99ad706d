// How frames travel between linked devices, and how what one has and another lacks is found and mended (spec/protocol.md §6, between peers).
import { type ReadFrame, readFrame } from '../keys/frame-seal.ts';
import { hash } from '../keys/hash.ts';
import { groupTokens, type LinkFacts, type LinkRole, linkHash, sharedGroups } from '../keys/link-confirm.ts';
import { equal, hex } from '../wire/bytes.ts';
import { encode, list16 } from '../wire/codec.ts';
import type { Did, FrameId, Gid, OpId } from '../wire/ids.ts';
import { limits } from '../wire/limits.ts';
import { type DeviceRanges, deviceRanges, type PeerMessage, type Range } from '../wire/peer-messages.ts';
import { Allowance } from './allowance.ts';
import type { Fork } from './forks.ts';
import type { Group } from './group.ts';
import { Offers } from './offers.ts';
import type { Clock, Random, Stop } from './ports.ts';
import { isRefusal } from './refusals.ts';
import { missingRanges } from './transcript.ts';

export type SpreadNeeds = {
  me: Did;
  clock: Clock;
  random: Random;
  groups(): Iterable<Group>;
  group(gid: Gid): Group | undefined;
  send(did: Did, message: PeerMessage): void;
  note(text: string): void;
  /** A neighbour has log entries that we lack. */
  logWanted(gid: Gid): void;
};

/** Tuning that peers need not agree on. */
const healEvery = 10_000;
const vectorPause = 1_000;
const servedBytes = 1024 * 1024;
/** Of frames from one neighbour that wait to be verified. */
const waitingBytes = 8 * 1024 * 1024;
/** A vector or a request for ranges of more devices would not fit into one message. */
const devicesPerMessage = 340;
/** A frame of another is offered to so many neighbours: its author pushed it to all it reaches, and each who lacked it offers it on. */
const offeredTo = 4;
/** Who goes on with a device that is frozen is told why, but not at every message. */
const tellForkEvery = 60_000;
/** From where two stories part they are asked for backwards, this many at a time. */
const walkBack = 64;

/** Per neighbour. */
const allowances = {
  frames: { perSecond: 400, burst: 4_000 },
  messages: { perSecond: 200, burst: 2_000 },
  /** What makes us look through all we have. A neighbour in all of our groups may ask about each when the link opens. */
  looks: { perSecond: 20, burst: 4 * limits.groupsPerAccount },
};

type Neighbour = {
  did: Did;
  hashOfLink: Uint8Array;
  role: LinkRole;
  groups: Set<string>;
  vectorAt: Map<string, number>;
  allowance: Record<keyof typeof allowances, Allowance>;
  waitingBytes: number;
  /** By hex of a frozen device: when this neighbour got the proof. */
  toldForks: Map<string, number>;
  /** By hex of a gid: the log heads that it told last, as one string. */
  heads: Map<string, string>;
};

const vectorCodec = list16(deviceRanges, limits.vectorDevices);

export class Spread {
  readonly #needs: SpreadNeeds;
  readonly #neighbours = new Map<string, Neighbour>();
  readonly #offers: Offers;
  #heal: Stop | undefined;
  #turn = 0;
  #closed = false;

  constructor(needs: SpreadNeeds) {
    this.#needs = needs;
    this.#offers = new Offers({ ...needs, isHere: (gid, id) => needs.group(gid)?.transcript.has(id) ?? true });
    this.#schedule();
  }

  opened(did: Did, facts: LinkFacts, role: LinkRole): void {
    const { clock } = this.#needs;
    const allowance = (name: keyof typeof allowances) => new Allowance({ clock, ...allowances[name] });
    const neighbour: Neighbour = {
      did,
      hashOfLink: linkHash(facts),
      role,
      groups: new Set(),
      vectorAt: new Map(),
      allowance: { frames: allowance('frames'), messages: allowance('messages'), looks: allowance('looks') },
      waitingBytes: 0,
      toldForks: new Map(),
      heads: new Map(),
    };
    this.#neighbours.set(hex(did), neighbour);
    this.#announceTo(neighbour);
  }

  closed(did: Did): void {
    this.#neighbours.delete(hex(did));
    this.#offers.forget(did);
  }

  /** Tells every neighbour, blinded, in which groups we are: whenever groups, members or epochs change. */
  announce(): void {
    for (const neighbour of this.#neighbours.values()) this.#announceTo(neighbour);
  }

  /** A frame is new here: our own goes whole to every neighbour in the group; of another's its author hears at once, some others soon. */
  stored(group: Group, id: FrameId, bytes: Uint8Array, from: Did | undefined): void {
    const entry = group.transcript.get(id);
    if (entry === undefined) return;
    const neighbours = [...this.#inGroup(group)].filter(({ did }) => group.mayHave(did, entry.epochId));
    if (from === undefined) {
      for (const { did } of neighbours) this.#needs.send(did, { type: 'frame', frame: bytes });
      return;
    }
    // Whoever wrote a receipt does not wait to hear that it came.
    const author = entry.body?.kind === 'receipt' ? undefined : neighbours.find(({ did }) => equal(did, entry.did));
    if (author !== undefined) this.#needs.send(author.did, { type: 'have', gid: group.gid, frames: [id] });
    const others = neighbours.filter(({ did }) => !equal(did, from) && !equal(did, entry.did));
    for (const { did } of someOf(others, offeredTo, this.#needs.random)) this.#offers.offer(did, group.gid, id);
  }

  /** A device told two stories: every neighbour hears of it, and who brought it is asked for where they part. */
  forked(group: Group, fork: Fork, from: Did | undefined): void {
    for (const neighbour of this.#inGroup(group)) this.#tellFork(neighbour, fork, 'at once');
    const bringer = from && this.#neighbours.get(hex(from));
    if (bringer === undefined || fork.seq <= 1) return;
    const ranges = [{ from: Math.max(1, fork.seq - walkBack), to: fork.seq - 1 }];
    this.#needs.send(bringer.did, { type: 'want-ranges', gid: group.gid, devices: [{ did: fork.did, ranges }] });
  }

  /** Takes one message of a neighbour; never throws for what is in it. */
  async message(did: Did, message: PeerMessage): Promise<void> {
    const neighbour = this.#neighbours.get(hex(did));
    if (neighbour === undefined || this.#closed || !isAllowed(neighbour, message)) return;
    switch (message.type) {
      case 'link-groups':
        return this.#matched(neighbour, message.tokens);
      case 'frame':
        return this.#frameCame(neighbour, message.frame);
      case 'have':
        return this.#withGroup(neighbour, message.gid, (group) => this.#haveCame(neighbour, group, message.frames));
      case 'want':
        return this.#withGroup(neighbour, message.gid, (group) => this.#serve(neighbour, group, message.frames));
      case 'digest':
        return this.#withGroup(neighbour, message.gid, (group) => this.#digestCame(neighbour, group, message.digest));
      case 'vector':
        return this.#withGroup(neighbour, message.gid, (group) => this.#vectorCame(neighbour, group, message.devices));
      case 'want-ranges':
        return this.#withGroup(neighbour, message.gid, (group) => {
          const asked = new Map(message.devices.map((one) => [hex(one.did), one]));
          const ids = [...asked.values()].flatMap((one) => group.transcript.inRanges(one.did, one.ranges));
          return this.#serve(neighbour, group, ids);
        });
      case 'log-heads':
        return this.#withGroup(neighbour, message.gid, (group) => this.#headsCame(neighbour, group, message.heads));
      case 'fork':
        return this.#forkCame(neighbour, message.first, message.second);
      case 'ping':
      case 'pong':
      case 'bye':
        return;
      default:
        message satisfies never;
    }
  }

  /** Our log grew: neighbours who have not just told us so look at theirs. */
  logGrew(group: Group): void {
    const heads = group.log.ops.heads().slice(0, limits.opParents);
    for (const neighbour of this.#inGroup(group)) {
      if (neighbour.heads.get(hex(group.gid)) === nameOf(heads)) continue;
      this.#needs.send(neighbour.did, { type: 'log-heads', gid: group.gid, heads });
    }
    this.announce();
  }

  /** Linked devices that this group is open to. */
  neighbours(group: Group): number {
    return [...this.#inGroup(group)].length;
  }

  close(): void {
    this.#closed = true;
    this.#heal?.();
    this.#offers.close();
  }

  *#inGroup(group: Group): Iterable<Neighbour> {
    for (const neighbour of this.#neighbours.values())
      if (neighbour.groups.has(hex(group.gid)) && group.hasDevice(neighbour.did)) yield neighbour;
  }

  #announceTo({ did, hashOfLink, role }: Neighbour): void {
    const shared = [...this.#needs.groups()].filter((group) => group.hasDevice(did));
    const meshKeys = shared.flatMap((group) => group.log.currentEpoch()?.meshKey ?? []).slice(0, limits.groupTokens);
    const tokens = groupTokens({ linkHash: hashOfLink, role, meshKeys, random: this.#needs.random });
    this.#needs.send(did, { type: 'link-groups', tokens });
  }

  /** A group opens on a link only to a device in the resolved log, whatever tokens it shows. */
  async #withGroup(neighbour: Neighbour, gid: Gid, run: (group: Group) => void | Promise<void>): Promise<void> {
    const group = this.#needs.group(gid);
    if (group === undefined || !group.hasDevice(neighbour.did)) return;
    this.#join(neighbour, group);
    await run(group);
  }

  #matched(neighbour: Neighbour, tokens: Uint8Array[]): void {
    const groups = [...this.#needs.groups()].filter((group) => group.hasDevice(neighbour.did));
    const role = neighbour.role === 'offerer' ? 'answerer' : 'offerer';
    const asked = groups.map((group) => ({ gid: group.gid, meshKeys: group.log.newestEpochs().map(({ meshKey }) => meshKey) }));
    const shared = sharedGroups({ linkHash: neighbour.hashOfLink, role, tokens, groups: asked });
    for (const group of groups) if (shared.some((gid) => equal(gid, group.gid))) this.#join(neighbour, group);
  }

  #join(neighbour: Neighbour, group: Group): void {
    if (neighbour.groups.has(hex(group.gid))) return;
    neighbour.groups.add(hex(group.gid));
    for (const fork of group.forks.all()) this.#tellFork(neighbour, fork, 'at once');
    this.#sendDigest(neighbour, group);
  }

  async #frameCame(neighbour: Neighbour, bytes: Uint8Array): Promise<void> {
    if (neighbour.waitingBytes + bytes.length > waitingBytes) return;
    const read = this.#read(bytes);
    if (read === undefined) return;
    neighbour.waitingBytes += bytes.length;
    try {
      await this.#withGroup(neighbour, read.frame.gid, async (group) => {
        const outcome = await group.receive(read, neighbour.did);
        if (outcome === 'refused') this.#refused(neighbour, group, read);
        // Somebody else was faster: the sender still wants to know that it is here.
        if (outcome === 'known') this.#offers.offer(neighbour.did, group.gid, read.frameId);
      });
    } finally {
      neighbour.waitingBytes -= bytes.length;
    }
  }

  async #forkCame(neighbour: Neighbour, first: Uint8Array, second: Uint8Array): Promise<void> {
    const [one, other] = [this.#read(first), this.#read(second)];
    if (one === undefined || other === undefined) return;
    await this.#withGroup(neighbour, one.frame.gid, async (group) => {
      const outcome = await group.receiveFork(one, other, neighbour.did);
      if (outcome === 'refused') this.#needs.note('proof of a fork refused');
    });
  }

  #read(bytes: Uint8Array): ReadFrame | undefined {
    try {
      return readFrame(bytes);
    } catch (error) {
      if (!isRefusal(error)) throw error;
      this.#needs.note(`frame refused: ${error.message}`);
      return undefined;
    }
  }

  #refused(neighbour: Neighbour, group: Group, { frame }: ReadFrame): void {
    const fork = group.forks.all().find(({ did }) => equal(did, frame.did));
    if (fork === undefined || frame.seq < fork.seq) this.#needs.note('frame refused');
    else this.#tellFork(neighbour, fork, 'not-often');
  }

  #tellFork(neighbour: Neighbour, { did, frames }: Fork, when: 'at once' | 'not-often'): void {
    const now = this.#needs.clock.now();
    const told = neighbour.toldForks.get(hex(did)) ?? Number.NEGATIVE_INFINITY;
    if (when === 'not-often' && now - told < tellForkEvery) return;
    neighbour.toldForks.set(hex(did), now);
    this.#needs.send(neighbour.did, { type: 'fork', first: frames[0], second: frames[1] });
  }

  #haveCame(neighbour: Neighbour, group: Group, frames: FrameId[]): void {
    group.had(neighbour.did, frames);
    this.#offers.offered(neighbour.did, group.gid, frames);
  }

  #headsCame(neighbour: Neighbour, group: Group, heads: OpId[]): void {
    neighbour.heads.set(hex(group.gid), nameOf(heads));
    if (heads.some((head) => !group.log.ops.has(head))) this.#needs.logWanted(group.gid);
  }

  async #serve(neighbour: Neighbour, group: Group, ids: FrameId[]): Promise<void> {
    let served = 0;
    for (const id of ids) {
      const entry = group.transcript.get(id);
      if (entry === undefined || !group.mayHave(neighbour.did, entry.epochId)) continue;
      const frame = await group.frameBytes(id);
      if (frame === undefined) continue;
      served += frame.length;
      // The rest is asked for again once these have come.
      if (served > servedBytes) return this.#sendVector(neighbour, group, 'now');
      this.#needs.send(neighbour.did, { type: 'frame', frame });
    }
  }

  #digestCame(neighbour: Neighbour, group: Group, digest: Uint8Array): void {
    const mine = this.#vectorFor(neighbour, group);
    if (equal(digestOf(mine), digest)) return this.#allHad(neighbour, group, mine);
    this.#sendVector(neighbour, group, 'now');
  }

  #vectorCame(neighbour: Neighbour, group: Group, theirs: DeviceRanges[]): void {
    const mine = new Map(this.#vectorFor(neighbour, group).map((one) => [hex(one.did), one.ranges]));
    const theirRanges = new Map(theirs.map((one) => [hex(one.did), one.ranges]));
    const lacking: { did: Did; ranges: Range[] }[] = [];
    const parted: FrameId[] = [];
    for (const { did, ranges, top } of theirs) {
      if (lacking.length >= devicesPerMessage || group.signPubOf(did) === undefined) continue;
      const fork = group.forks.of(did);
      const last = ranges.at(-1)?.to ?? 0;
      if (fork !== undefined && last >= fork.seq) this.#tellFork(neighbour, fork, 'not-often');
      const missing = missingRanges(countedOf(ranges, fork), mine.get(hex(did)) ?? []).slice(0, limits.rangesPerDevice);
      if (missing.length > 0) lacking.push({ did, ranges: missing });
      // Under the same number another frame: one of the two halves of a fork.
      const here = group.transcript.at(did, last);
      if (here !== undefined && !equal(here, top) && parted.length < limits.haveIds) parted.push(top);
    }
    if (lacking.length > 0) this.#needs.send(neighbour.did, { type: 'want-ranges', gid: group.gid, devices: lacking });
    if (parted.length > 0) this.#needs.send(neighbour.did, { type: 'want', gid: group.gid, frames: parted });
    const own = theirRanges.get(hex(this.#needs.me)) ?? [];
    group.had(neighbour.did, group.transcript.inRanges(this.#needs.me, own));
    const theyLack = [...mine].some(([did, ranges]) => missingRanges(ranges, theirRanges.get(did) ?? []).length > 0);
    if (theyLack) this.#sendVector(neighbour, group, 'not-often');
  }

  /** Equal digests mean that they have everything of ours that they may have. */
  #allHad(neighbour: Neighbour, group: Group, vector: DeviceRanges[]): void {
    const own = vector.find(({ did }) => equal(did, this.#needs.me));
    if (own !== undefined) group.had(neighbour.did, group.transcript.inRanges(this.#needs.me, own.ranges));
  }

  #sendDigest(neighbour: Neighbour, group: Group): void {
    const digest = digestOf(this.#vectorFor(neighbour, group));
    this.#needs.send(neighbour.did, { type: 'digest', gid: group.gid, digest });
  }

  #sendVector(neighbour: Neighbour, group: Group, when: 'now' | 'not-often'): void {
    const now = this.#needs.clock.now();
    const last = neighbour.vectorAt.get(hex(group.gid)) ?? Number.NEGATIVE_INFINITY;
    if (when === 'not-often' && now - last < vectorPause) return;
    neighbour.vectorAt.set(hex(group.gid), now);
    this.#needs.send(neighbour.did, { type: 'vector', gid: group.gid, devices: this.#vectorFor(neighbour, group) });
  }

  /** What both may have: epochs that the neighbour was in from the start. */
  #vectorFor(neighbour: Neighbour, group: Group): DeviceRanges[] {
    const vector = group.transcript.vector((epochId) => group.mayHave(neighbour.did, epochId), limits.rangesPerDevice);
    return vector.slice(0, devicesPerMessage);
  }

  #schedule(): void {
    this.#heal = this.#needs.clock.after(healEvery, () => {
      this.#healOne();
      this.#schedule();
    });
  }

  /** One neighbour of each group in turn. */
  #healOne(): void {
    this.#turn++;
    for (const group of this.#needs.groups()) {
      const neighbours = [...this.#inGroup(group)];
      const next = neighbours[this.#turn % Math.max(1, neighbours.length)];
      if (next !== undefined) this.#sendDigest(next, group);
    }
  }
}

function someOf<T>(all: readonly T[], most: number, random: Random): T[] {
  if (all.length <= most) return [...all];
  const [start = 0, step = 0] = random(2);
  // Different places of a circle, because 1 + step below its length leads around it without a meeting before the end.
  const stride = 1 + (step % Math.floor((all.length - 1) / most));
  return Array.from({ length: most }, (_, i) => all[(start + i * stride) % all.length]).flatMap((one) => one ?? []);
}

/** Above it a neighbour is not heard; healing brings later what was lost by it. */
function isAllowed({ allowance }: Neighbour, { type }: PeerMessage): boolean {
  switch (type) {
    case 'frame':
      return allowance.frames.take() === 'granted';
    case 'fork':
      return allowance.frames.take(2) === 'granted';
    case 'link-groups':
    case 'digest':
    case 'vector':
    case 'want-ranges':
      return allowance.messages.take() === 'granted' && allowance.looks.take() === 'granted';
    default:
      return allowance.messages.take() === 'granted';
  }
}

/** What of these ranges still counts. */
function countedOf(ranges: readonly Range[], fork: Fork | undefined): Range[] {
  if (fork === undefined) return [...ranges];
  return ranges.flatMap(({ from, to }) => (from < fork.seq ? [{ from, to: Math.min(to, fork.seq - 1) }] : []));
}

function nameOf(heads: readonly OpId[]): string {
  return heads.map(hex).sort().join(' ');
}

function digestOf(vector: DeviceRanges[]): Uint8Array {
  return hash('digest', encode(vectorCodec, vector)).slice(0, 16);
}
