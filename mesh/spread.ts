// How frames travel between linked devices, and how what one has and another lacks is found and mended (spec/protocol.md, mesh).
import { type ReadFrame, readFrame } from '../keys/frame-seal.ts';
import { hash } from '../keys/hash.ts';
import { groupTokens, type LinkFacts, type LinkRole, linkHash, sharedGroups } from '../keys/link-confirm.ts';
import { equal, hex } from '../wire/bytes.ts';
import { encode, list16 } from '../wire/codec.ts';
import type { Did, FrameId, Gid } from '../wire/ids.ts';
import { limits } from '../wire/limits.ts';
import { type DeviceRanges, deviceRanges, type PeerMessage } from '../wire/peer-messages.ts';
import type { Group } from './group.ts';
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
const wantAfter = 200;
const healEvery = 10_000;
const vectorPause = 1_000;
const servedBytes = 1024 * 1024;
const framesPerSecond = 400;
const framesBurst = 4_000;
const wantedMost = 4096;
/** Of frames from one neighbour that wait to be verified. */
const waitingBytes = 8 * 1024 * 1024;

type Neighbour = {
  did: Did;
  hashOfLink: Uint8Array;
  role: LinkRole;
  groups: Set<string>;
  vectorAt: Map<string, number>;
  budget: { left: number; at: number };
  waitingBytes: number;
};

const vectorCodec = list16(deviceRanges, limits.vectorDevices);

export class Spread {
  readonly #needs: SpreadNeeds;
  readonly #neighbours = new Map<string, Neighbour>();
  readonly #wanted = new Map<string, Stop>();
  #heal: Stop | undefined;
  #turn = 0;

  constructor(needs: SpreadNeeds) {
    this.#needs = needs;
    this.#schedule();
  }

  opened(did: Did, facts: LinkFacts, role: LinkRole): void {
    const budget = { left: framesBurst, at: this.#needs.clock.now() };
    this.#neighbours.set(hex(did), {
      did,
      hashOfLink: linkHash(facts),
      role,
      groups: new Set(),
      vectorAt: new Map(),
      budget,
      waitingBytes: 0,
    });
    this.announce();
  }

  closed(did: Did): void {
    this.#neighbours.delete(hex(did));
  }

  /** Tells every neighbour, blinded, in which groups we are: at link-up and whenever groups, members or epochs change. */
  announce(): void {
    for (const neighbour of this.#neighbours.values()) {
      const shared = [...this.#needs.groups()].filter((group) => isIn(group, neighbour.did));
      const meshKeys = shared.flatMap((group) => group.log.currentEpoch()?.meshKey ?? []).slice(0, limits.groupTokens);
      const tokens = groupTokens({ linkHash: neighbour.hashOfLink, role: neighbour.role, meshKeys, random: this.#needs.random });
      this.#needs.send(neighbour.did, { type: 'link-groups', tokens });
      for (const group of shared) if (neighbour.groups.has(hex(group.gid))) this.#sendDigest(neighbour, group);
    }
  }

  /** A frame is new here: our own goes whole to every neighbour in the group; of another's they hear that it is here, its author and sender too. */
  stored(group: Group, id: FrameId, bytes: Uint8Array, from: Did | undefined): void {
    const entry = group.transcript.get(id);
    if (entry === undefined) return;
    for (const { did } of this.#inGroup(group)) {
      if (!group.mayHave(did, entry.epochId)) continue;
      this.#needs.send(
        did,
        from === undefined ? { type: 'frame', frame: bytes } : { type: 'have', gid: group.gid, frames: [id] },
      );
    }
  }

  /** Takes one message of a neighbour; never throws for what is in it. */
  async message(did: Did, message: PeerMessage): Promise<void> {
    const neighbour = this.#neighbours.get(hex(did));
    if (neighbour === undefined) return;
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
          const ids = message.devices.flatMap(({ did: author, ranges }) => group.transcript.inRanges(author, ranges));
          return this.#serve(neighbour, group, ids);
        });
      case 'log-heads':
        return this.#withGroup(neighbour, message.gid, (group) => {
          if (message.heads.some((head) => !group.log.ops.has(head))) this.#needs.logWanted(group.gid);
        });
      case 'ping':
      case 'pong':
      case 'bye':
        return;
      default:
        message satisfies never;
    }
  }

  /** Our log grew: neighbours look at theirs. */
  logGrew(group: Group): void {
    for (const { did } of this.#inGroup(group))
      this.#needs.send(did, { type: 'log-heads', gid: group.gid, heads: group.log.ops.heads() });
    this.announce();
  }

  /** Linked devices that this group is open to. */
  neighbours(group: Group): number {
    return [...this.#inGroup(group)].length;
  }

  close(): void {
    this.#heal?.();
    for (const stop of this.#wanted.values()) stop();
    this.#wanted.clear();
  }

  *#inGroup(group: Group): Iterable<Neighbour> {
    for (const neighbour of this.#neighbours.values()) if (neighbour.groups.has(hex(group.gid))) yield neighbour;
  }

  /** A group opens on a link only to a device in the resolved log, whatever tokens it shows. */
  async #withGroup(neighbour: Neighbour, gid: Gid, run: (group: Group) => void | Promise<void>): Promise<void> {
    const group = this.#needs.group(gid);
    if (group === undefined || !isIn(group, neighbour.did)) return;
    this.#join(neighbour, group);
    await run(group);
  }

  #matched(neighbour: Neighbour, tokens: Uint8Array[]): void {
    const groups = [...this.#needs.groups()].filter((group) => isIn(group, neighbour.did));
    const role = neighbour.role === 'offerer' ? 'answerer' : 'offerer';
    const asked = groups.map((group) => ({ gid: group.gid, meshKeys: group.log.newestEpochs().map(({ meshKey }) => meshKey) }));
    const shared = sharedGroups({ linkHash: neighbour.hashOfLink, role, tokens, groups: asked });
    for (const group of groups) if (shared.some((gid) => equal(gid, group.gid))) this.#join(neighbour, group);
  }

  #join(neighbour: Neighbour, group: Group): void {
    if (neighbour.groups.has(hex(group.gid))) return;
    neighbour.groups.add(hex(group.gid));
    this.#sendDigest(neighbour, group);
  }

  async #frameCame(neighbour: Neighbour, bytes: Uint8Array): Promise<void> {
    if (!this.#isWithinBudget(neighbour) || neighbour.waitingBytes + bytes.length > waitingBytes) return;
    let read: ReadFrame;
    try {
      read = readFrame(bytes);
    } catch (error) {
      if (!isRefusal(error)) throw error;
      return this.#needs.note(`frame refused: ${error.message}`);
    }
    neighbour.waitingBytes += bytes.length;
    try {
      await this.#withGroup(neighbour, read.frame.gid, async (group) => {
        const outcome = await group.receive(read, neighbour.did);
        if (outcome === 'refused') this.#needs.note('frame refused');
        // Somebody else was faster: the sender still wants to know that it is here.
        if (outcome === 'known') this.#needs.send(neighbour.did, { type: 'have', gid: group.gid, frames: [read.frameId] });
      });
    } finally {
      neighbour.waitingBytes -= bytes.length;
    }
  }

  #haveCame(neighbour: Neighbour, group: Group, frames: FrameId[]): void {
    group.had(neighbour.did, frames);
    for (const id of frames) {
      const name = hex(id);
      if (group.transcript.has(id) || this.#wanted.has(name) || this.#wanted.size >= wantedMost) continue;
      const stop = this.#needs.clock.after(wantAfter, () => {
        this.#wanted.delete(name);
        if (!group.transcript.has(id)) this.#needs.send(neighbour.did, { type: 'want', gid: group.gid, frames: [id] });
      });
      this.#wanted.set(name, stop);
    }
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
    const lacking = theirs.flatMap(({ did, ranges }) => {
      const missing = missingRanges(ranges, mine.get(hex(did)) ?? []).slice(0, limits.rangesPerDevice);
      return missing.length === 0 || group.signPubOf(did) === undefined ? [] : [{ did, ranges: missing }];
    });
    if (lacking.length > 0) this.#needs.send(neighbour.did, { type: 'want-ranges', gid: group.gid, devices: lacking });
    const theirRanges = new Map(theirs.map((one) => [hex(one.did), one.ranges]));
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
    return group.transcript.vector((epochId) => group.mayHave(neighbour.did, epochId), limits.rangesPerDevice);
  }

  #isWithinBudget({ budget }: Neighbour): boolean {
    const now = this.#needs.clock.now();
    budget.left = Math.min(framesBurst, budget.left + ((now - budget.at) * framesPerSecond) / 1000);
    budget.at = now;
    if (budget.left < 1) return false;
    budget.left -= 1;
    return true;
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

/** In the resolved log now. */
function isIn(group: Group, did: Did): boolean {
  return group.otherDevices().some((device) => equal(device, did));
}

function digestOf(vector: DeviceRanges[]): Uint8Array {
  return hash('digest', encode(vectorCodec, vector)).slice(0, 16);
}
