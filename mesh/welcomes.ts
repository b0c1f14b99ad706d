// Letters to people who were brought in by name, and those that come to us: either side may be away while the other acts.

import type { KeyAgent } from '../keys/key-agent.ts';
import { KeyRefusal } from '../keys/key-refusal.ts';
import { fromHex, hex } from '../wire/bytes.ts';
import { decode, encode } from '../wire/codec.ts';
import { roles, type Welcome, welcome } from '../wire/group-ops.ts';
import { asOpId, asUid, type Gid, type Uid } from '../wire/ids.ts';
import type { Mail } from '../wire/node-messages.ts';
import type { Group } from './group.ts';
import type { NodeLine } from './node-line.ts';
import { NodeRefusal } from './node-requests.ts';
import type { People } from './people.ts';
import type { Clock, Stop, Store, StoreKey } from './ports.ts';
import { readMails } from './read-mails.ts';
import { isPassing, isRefusal } from './refusals.ts';
import { Turns } from './turns.ts';

export type WelcomesNeeds = {
  line: NodeLine;
  agent: KeyAgent;
  store: Store;
  clock: Clock;
  /** The node's time. */
  now(): number;
  note(text: string): void;
  me: { uid: Uid };
  people: People;
  group(gid: Gid): Group | undefined;
  /** A letter says that we are in: look, and come in if it is so. Rejects with NodeRefusal. */
  comeIn(facts: Welcome): Promise<void>;
  run(work: Promise<unknown>): void;
};

/** Each letter costs a private-key operation, and anybody may write. */
const openedPerMinute = 20;
/** What could not be read now is looked at again. */
const againAfter = 60_000;

export class Welcomes {
  readonly #needs: WelcomesNeeds;
  readonly #reading = new Turns();
  readonly #sending = new Turns();
  /** People who are being added at this moment, as parts of store keys. */
  readonly #adding = new Set<string>();
  #opened: number[] = [];
  #again: Stop | undefined;
  #closed = false;

  constructor(needs: WelcomesNeeds) {
    this.#needs = needs;
  }

  /** Brings somebody in by `add`, and sees to it that they hear of it, whatever happens in between. */
  async around<T>(gid: Gid, uid: Uid, add: () => Promise<T>): Promise<T> {
    const name = `${hex(gid)} ${hex(uid)}`;
    this.#adding.add(name);
    try {
      await this.#needs.store.write([{ put: ['welcome', hex(gid), hex(uid)], value: new Uint8Array() }]);
      return await add();
    } finally {
      this.#adding.delete(name);
    }
  }

  /** To everybody who was added and has not been told. */
  send(): Promise<void> {
    return this.#sending.share(async () => {
      for (const { key } of await this.#needs.store.range(['welcome'])) await this.#sendOne(key);
    });
  }

  /** Our own mailbox has something, or may have. */
  read(): Promise<void> {
    return this.#reading.share(() => this.#read());
  }

  close(): void {
    this.#closed = true;
    this.#again?.();
  }

  async #sendOne(key: StoreKey): Promise<void> {
    const { store, note } = this.#needs;
    if (this.#adding.has(`${key[1]} ${key[2]}`)) return;
    try {
      await this.#post(asOpId(fromHex(String(key[1]))), asUid(fromHex(String(key[2]))));
    } catch (error) {
      if (error instanceof NodeRefusal && isPassing(error)) return note(`welcome not sent yet: ${error.message}`);
      if (!(error instanceof NodeRefusal) && !isRefusal(error)) throw error;
      note(`welcome not sent: ${error.message}`);
    }
    await store.write([{ remove: key }]);
  }

  async #post(gid: Gid, uid: Uid): Promise<void> {
    const { people, agent, line, now } = this.#needs;
    const group = this.#needs.group(gid);
    if (group === undefined) return;
    const memberNow = () => group.log.state()?.members.get(hex(uid));
    // The node may have taken an add whose answer never came.
    if (memberNow() === undefined) await group.log.sync();
    const member = memberNow();
    const person = await people.byUid(uid);
    if (member === undefined || member.role === roles.none || person === undefined) return;
    const { gTag, newestLogKey: logKey } = group.log;
    const body = encode(welcome, { gid, gTag, logKey, opId: member.since.opId });
    const sealing = { purpose: 'welcome', context: uid, body, certificates: [person.certificate], now: now() } as const;
    await line.request({ type: 'post-mail', box: { of: 'person', uid }, body: await agent.seal(sealing) });
  }

  async #read(): Promise<void> {
    const { line, me } = this.#needs;
    const box = { of: 'person', uid: me.uid } as const;
    try {
      const last = await readMails({ line, box, after: 0, take: (mail) => this.#open(mail) });
      if (last > 0) await line.request({ type: 'drop-mail', box, upTo: last });
    } catch (error) {
      this.#readAgain('it could not be read');
      throw error;
    }
  }

  /** 'stop' leaves this letter and those behind it in the box. */
  async #open({ body: message }: Mail): Promise<'on' | 'stop'> {
    const { agent, me, now, clock, note } = this.#needs;
    this.#opened = this.#opened.filter((at) => at > clock.now() - 60_000);
    if (this.#opened.length >= openedPerMinute) return this.#readAgain('many letters');
    this.#opened.push(clock.now());
    try {
      await this.#needs.comeIn(decode(welcome, await agent.open({ purpose: 'welcome', context: me.uid, message, now: now() })));
    } catch (error) {
      if (error instanceof KeyRefusal && error.code === 'locked') return this.#readAgain('the key is locked');
      if (error instanceof NodeRefusal && isPassing(error)) return this.#readAgain(error.message);
      if (!(error instanceof NodeRefusal) && !isRefusal(error)) throw error;
      note(`welcome refused: ${error.message}`);
    }
    return 'on';
  }

  #readAgain(why: string): 'stop' {
    const { clock, note, run } = this.#needs;
    note(`mail left for later: ${why}`);
    this.#again?.();
    if (!this.#closed) this.#again = clock.after(againAfter, () => run(this.read()));
    return 'stop';
  }
}
