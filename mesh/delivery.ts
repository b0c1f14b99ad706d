// How far own messages of a group got: which neighbours have them, and up to where receipts speak of them.
import { hex } from '../wire/bytes.ts';
import type { Did, FrameId, Gid } from '../wire/ids.ts';
import type { MessageBody } from '../wire/message-body.ts';
import type { Store } from './ports.ts';

export type DeliveryNeeds = {
  gid: Gid;
  me: Did;
  store: Store;
  note(text: string): void;
  /** Linked devices of the group now. */
  neighbours(): number;
  changed(): void;
};

export class Delivery {
  readonly #needs: DeliveryNeeds;
  /** Own frames on their way: hex of the frame id → dids that have it. */
  readonly #had = new Map<string, Set<string>>();
  readonly #sent = new Set<string>();
  /** By hex of the device that says so: it has our frames up to this number. */
  readonly #receipts = new Map<string, number>();

  constructor(needs: DeliveryNeeds) {
    this.#needs = needs;
  }

  async load(): Promise<void> {
    const { store, gid } = this.#needs;
    for (const { key } of await store.range(['sent', hex(gid)])) this.#sent.add(String(key[2]));
  }

  isSent(id: FrameId): boolean {
    return this.#sent.has(hex(id));
  }

  /** `own`: frames of ours that a neighbour has. One is sent once two neighbours have it, or the only one there is. */
  had(did: Did, own: readonly FrameId[]): void {
    const sent: string[] = [];
    for (const id of own) {
      const name = hex(id);
      if (this.#sent.has(name)) continue;
      const others = this.#had.get(name) ?? new Set();
      this.#had.set(name, others.add(hex(did)));
      if (others.size >= Math.min(2, this.#needs.neighbours())) sent.push(name);
    }
    if (sent.length > 0) this.#keepSent(sent);
  }

  /** What a receipt says about others is no concern of ours. */
  receiptCame(by: Did, { delivered }: Extract<MessageBody, { kind: 'receipt' }>): void {
    const me = hex(this.#needs.me);
    for (const { did, upTo } of delivered)
      if (hex(did) === me) this.#receipts.set(hex(by), Math.max(this.#receipts.get(hex(by)) ?? 0, upTo));
  }

  /** Receipts of that device do not count any more. */
  forget(by: Did): void {
    this.#receipts.delete(hex(by));
  }

  /** `by`: a device in hex. */
  hasReceipt(by: string, seq: number): boolean {
    return (this.#receipts.get(by) ?? 0) >= seq;
  }

  /** Store, then screen. */
  #keepSent(names: string[]): void {
    const { store, gid, note, changed } = this.#needs;
    const changes = names.map((name) => ({ put: ['sent', hex(gid), name], value: new Uint8Array() }));
    store.write(changes).then(
      () => {
        for (const name of names) {
          this.#sent.add(name);
          this.#had.delete(name);
        }
        changed();
      },
      (error: unknown) => note(`not stored: ${String(error)}`),
    );
  }
}
