// Telling neighbours what is here, and asking for what they tell of: gathered for a moment, so that a group of n does not send n² messages per frame.
import { equal, hex } from '../wire/bytes.ts';
import type { Did, FrameId, Gid } from '../wire/ids.ts';
import { limits } from '../wire/limits.ts';
import type { PeerMessage } from '../wire/peer-messages.ts';
import type { Clock, Stop } from './ports.ts';

export type OffersNeeds = {
  clock: Clock;
  send(did: Did, message: PeerMessage): void;
  isHere(gid: Gid, frame: FrameId): boolean;
};

/** Offers wait this long for others to go along. */
const offerAfter = 100;
/** Whoever wrote it pushes it to all: asked for is only what has not come by itself. */
const wantAfter = 200;
/** One that was asked and has not given it is not the only one to ask. */
const askAgainAfter = 1_000;
const askedMost = 3;
const wantedMost = 4096;
const wantedPerNeighbour = 512;

/** `frames` by hex of their id: what is said twice is said once. */
type Outgoing = { did: Did; gid: Gid; frames: Map<string, FrameId> };
type Wanted = { gid: Gid; id: FrameId; offeredBy: Did[]; due: number };

export class Offers {
  readonly #needs: OffersNeeds;
  /** By hex of did and gid. */
  readonly #outgoing = new Map<string, Outgoing>();
  readonly #wanted = new Map<string, Wanted>();
  #offering: Stop | undefined;
  #asking: Stop | undefined;

  constructor(needs: OffersNeeds) {
    this.#needs = needs;
  }

  /** That neighbour shall hear that we have this frame, soon. */
  offer(did: Did, gid: Gid, id: FrameId): void {
    const name = `${hex(did)} ${hex(gid)}`;
    const waiting: Outgoing = this.#outgoing.get(name) ?? { did, gid, frames: new Map() };
    this.#outgoing.set(name, waiting);
    waiting.frames.set(hex(id), id);
    if (waiting.frames.size >= limits.haveIds) this.#say(name, waiting);
    this.#offering ??= this.#needs.clock.after(offerAfter, () => {
      this.#offering = undefined;
      for (const [key, offers] of this.#outgoing) this.#say(key, offers);
    });
  }

  /** That neighbour has these frames: those that are not here are asked for, if they do not come by themselves. */
  offered(did: Did, gid: Gid, frames: readonly FrameId[]): void {
    const due = this.#needs.clock.now() + wantAfter;
    let mine = [...this.#wanted.values()].filter(({ offeredBy }) => offeredBy.some((one) => equal(one, did))).length;
    for (const id of frames) {
      if (this.#needs.isHere(gid, id)) continue;
      const known = this.#wanted.get(hex(id));
      if (known !== undefined) {
        if (known.offeredBy.length < askedMost && !known.offeredBy.some((one) => equal(one, did))) known.offeredBy.push(did);
        continue;
      }
      if (this.#wanted.size >= wantedMost || mine >= wantedPerNeighbour) break;
      mine++;
      this.#wanted.set(hex(id), { gid, id, offeredBy: [did], due });
    }
    this.#schedule();
  }

  /** That neighbour is gone. */
  forget(did: Did): void {
    for (const [name, waiting] of this.#outgoing) if (equal(waiting.did, did)) this.#outgoing.delete(name);
  }

  close(): void {
    this.#offering?.();
    this.#asking?.();
    this.#outgoing.clear();
    this.#wanted.clear();
  }

  #say(name: string, { did, gid, frames }: Outgoing): void {
    this.#outgoing.delete(name);
    this.#needs.send(did, { type: 'have', gid, frames: [...frames.values()] });
  }

  #schedule(): void {
    if (this.#wanted.size === 0 || this.#asking !== undefined) return;
    const due = [...this.#wanted.values()].reduce((least, wanted) => Math.min(least, wanted.due), Number.POSITIVE_INFINITY);
    this.#asking = this.#needs.clock.after(Math.max(0, due - this.#needs.clock.now()), () => {
      this.#asking = undefined;
      this.#ask();
      this.#schedule();
    });
  }

  #ask(): void {
    const { clock, isHere, send } = this.#needs;
    const now = clock.now();
    const asks = new Map<string, { did: Did; gid: Gid; frames: FrameId[] }>();
    for (const [name, wanted] of [...this.#wanted]) {
      if (wanted.due > now) continue;
      this.#wanted.delete(name);
      const [did, ...others] = wanted.offeredBy;
      if (did === undefined || isHere(wanted.gid, wanted.id)) continue;
      const ask = asks.get(`${hex(did)} ${hex(wanted.gid)}`) ?? { did, gid: wanted.gid, frames: [] };
      asks.set(`${hex(did)} ${hex(wanted.gid)}`, ask);
      ask.frames.push(wanted.id);
      this.#wanted.set(name, { ...wanted, offeredBy: others, due: now + askAgainAfter });
    }
    for (const { did, gid, frames } of asks.values())
      for (let at = 0; at < frames.length; at += limits.haveIds)
        send(did, { type: 'want', gid, frames: frames.slice(at, at + limits.haveIds) });
  }
}
