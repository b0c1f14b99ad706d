// Mailboxes of persons, devices and groups: who may post, read and drop. What is in them is sealed by whoever posts.
import { mac } from '../keys/hash.ts';
import { equal } from '../wire/bytes.ts';
import { encode } from '../wire/codec.ts';
import type { Did, Uid } from '../wire/ids.ts';
import { limits } from '../wire/limits.ts';
import { type Mail, type Mailbox, mailbox } from '../wire/node-messages.ts';
import type { NodeLimits } from './limits.ts';
import type { NodeStore } from './store.ts';

type Reader = { uid: Uid; did: Did };

export class Mailboxes {
  readonly #store: NodeStore;
  readonly #limits: NodeLimits;
  readonly #senderKey: Uint8Array;

  /** `senderKey`: 32 random bytes, never stored: what the disk says of senders tells nobody who they were. After a restart they are other ones. */
  constructor({ store, limits: nodeLimits, senderKey }: { store: NodeStore; limits: NodeLimits; senderKey: Uint8Array }) {
    this.#store = store;
    this.#limits = nodeLimits;
    this.#senderKey = senderKey;
  }

  /** The mail's number. Anyone may post to anyone here; the bound per sender keeps a box from being stuffed. */
  async post(
    sender: Uid,
    box: Mailbox,
    { body, now }: { body: Uint8Array; now: number },
  ): Promise<number | 'not-found' | 'quota-exceeded'> {
    if (!(await this.#exists(box))) return 'not-found';
    const no = await this.#store.postMail({
      box,
      sender: mac(this.#senderKey, sender, encode(mailbox, box)).slice(0, 8),
      at: now,
      body,
      most: {
        mails: limits.mailsPerBox,
        perSender: box.of === 'group' ? limits.mailsPerSenderAndBox : this.#limits.mailsPerSenderAndPerson,
      },
    });
    return no === 'full' ? 'quota-exceeded' : no;
  }

  /** Own boxes, and those of groups, to whoever names the gTag: their mail is sealed for those who hold the group's keys. */
  async read(reader: Reader, box: Mailbox, after: number): Promise<{ mails: Mail[]; more: boolean } | 'not-found'> {
    const mayRead = box.of === 'group' ? await this.#exists(box) : isOwner(reader, box);
    return mayRead ? this.#store.mails(box, { after, bytes: this.#limits.pageBytes }) : 'not-found';
  }

  async drop(reader: Reader, box: Mailbox, upTo: number): Promise<'dropped' | 'not-found'> {
    if (!isOwner(reader, box)) return 'not-found';
    await this.#store.dropMails(box, upTo);
    return 'dropped';
  }

  async #exists(box: Mailbox): Promise<boolean> {
    switch (box.of) {
      case 'person':
        return (await this.#store.account(box.uid)) !== undefined;
      case 'device':
        return (await this.#store.owner(box.did)) !== undefined;
      case 'group':
        return (await this.#store.group(box.gTag)) !== undefined;
      default:
        return box satisfies never;
    }
  }
}

function isOwner(reader: Reader, box: Mailbox): boolean {
  if (box.of === 'person') return equal(box.uid, reader.uid);
  return box.of === 'device' && equal(box.did, reader.did);
}
