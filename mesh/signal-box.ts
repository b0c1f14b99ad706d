// Signals on their way out and in: sealed for one device, passed on by the node, opened and checked before a link hears of them.
import type { Device } from '../keys/device.ts';
import { openSignal, sealSignal } from '../keys/signal-seal.ts';
import { equal, hex } from '../wire/bytes.ts';
import type { Did, Uid } from '../wire/ids.ts';
import { limits } from '../wire/limits.ts';
import type { SignalBody } from '../wire/signal.ts';
import type { Group } from './group.ts';
import type { NodeLine } from './node-line.ts';
import { NodeRefusal } from './node-requests.ts';
import type { People } from './people.ts';
import { Slots, Turns } from './turns.ts';

export type SignalBoxNeeds = {
  device(): Device;
  people: People;
  line: NodeLine;
  groups(): Iterable<Group>;
  /** A signal came that no group of ours explains: a log may have grown unheard. */
  unexplained(): void;
  note(text: string): void;
};

/** Below what the node takes in flight from one sender. */
const atOnce = limits.signalsInFlight - 2;
/** More than a link ever needs: a device that makes us answer without end does not fill our memory. */
const waitingMost = 64;
/** Signals that no group of ours explains may be ahead of a log entry: the newest are tried again when logs have grown. */
const unexplainedMost = 16;

export class SignalBox {
  readonly #needs: SignalBoxNeeds;
  readonly #slots = new Slots(atOnce);
  readonly #turns = new Map<string, { turns: Turns; waiting: number }>();
  #unexplained: { from: Did; blob: Uint8Array }[] = [];

  constructor(needs: SignalBoxNeeds) {
    this.#needs = needs;
  }

  /** In order per receiver. 'unsent': no lock key of theirs, no group in common, or the node is out of reach. */
  async send(to: Did, signal: Omit<SignalBody, 'from' | 'to'>): Promise<'sent' | 'not-there' | 'unsent'> {
    const receiver = this.#turns.get(hex(to)) ?? { turns: new Turns(), waiting: 0 };
    this.#turns.set(hex(to), receiver);
    if (receiver.waiting >= waitingMost) return 'unsent';
    receiver.waiting++;
    try {
      return await receiver.turns.take(() => this.#slots.take(() => this.#send(to, signal)));
    } finally {
      receiver.waiting--;
      if (receiver.waiting === 0) this.#turns.delete(hex(to));
    }
  }

  /** The checked body of a signal that came, or undefined for one that is nothing to us. */
  async open(from: Did, blob: Uint8Array): Promise<SignalBody | undefined> {
    const groups = [...this.#needs.groups()];
    const meshKeys = groups.flatMap((group) => group.log.newestEpochs().map(({ meshKey }) => meshKey));
    const { did, lockKeys } = this.#needs.device();

    const signPubOf = (other: Did) => groups.map((group) => group.signPubOf(other)).find((signPub) => signPub !== undefined);
    const opened = await openSignal({ bytes: blob, meshKeys, me: { did, lockKeys }, signPubOf });
    if (opened === 'no-member' || opened === 'unknown-sender') {
      this.#unexplained = [...this.#unexplained, { from, blob }].slice(-unexplainedMost);
      this.#needs.unexplained();
      return undefined;
    }
    if (typeof opened === 'string') return this.#refused(opened);
    const { body } = opened;
    if (!equal(body.from, from)) return this.#refused('from another');
    if (body.payload.kind === 'knock') this.#learn(body, signPubOf(from));
    return body;
  }

  /** Signals that came before the log entry that explains them; each is given once. */
  takeUnexplained(): { from: Did; blob: Uint8Array }[] {
    const taken = this.#unexplained;
    this.#unexplained = [];
    return taken;
  }

  async #send(to: Did, signal: Omit<SignalBody, 'from' | 'to'>): Promise<'sent' | 'not-there' | 'unsent'> {
    const { people, line } = this.#needs;
    const group = [...this.#needs.groups()].find((one) => one.signPubOf(to) !== undefined);
    const uid: Uid | undefined = group?.ownerOf(to);
    const meshKey = group?.log.currentEpoch()?.meshKey;
    if (uid === undefined || meshKey === undefined) return 'unsent';
    try {
      const lockKey = await people.lockKeyOf(uid, to);
      if (lockKey === undefined) return 'unsent';
      const device = this.#needs.device();
      const body = this.#withLockKey({ ...signal, from: device.did, to });
      const blob = await sealSignal({
        body,
        signer: device.signer,
        to: { did: to, lockNo: lockKey.no, lockPub: lockKey.lockPub },
        meshKey,
      });
      await line.request({ type: 'relay', to, blob });
      return 'sent';
    } catch (error) {
      if (!(error instanceof NodeRefusal)) throw error;
      return error.code === 'peer-offline' ? 'not-there' : 'unsent';
    }
  }

  #withLockKey(body: SignalBody): SignalBody {
    const newest = this.#needs.device().lockKeys.at(-1);
    if (body.payload.kind !== 'knock' || newest === undefined) return body;
    return { ...body, payload: { ...body.payload, lockKey: newest.encoded } };
  }

  #learn(body: SignalBody, signPub: Uint8Array | undefined): void {
    if (body.payload.kind === 'knock' && signPub !== undefined)
      this.#needs.people.learnLockKey(body.payload.lockKey, { did: body.from, signPub });
  }

  #refused(why: string): undefined {
    this.#needs.note(`signal refused: ${why}`);
    return undefined;
  }
}
