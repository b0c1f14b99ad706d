// What this device knows of people: names, certificates, devices and lock keys, checked when they come and kept for when the node is away.
import { isLive, readLockKey, verifyDeviceCert } from '../keys/device.ts';
import { certHashOf } from '../keys/identity.ts';
import type { KeyAgent } from '../keys/key-agent.ts';
import { equal, hex } from '../wire/bytes.ts';
import { decode, encode } from '../wire/codec.ts';
import type { LockKeyBody } from '../wire/device-cert.ts';
import type { Did, NodeId, Uid } from '../wire/ids.ts';
import { nameClaimBody } from '../wire/login-messages.ts';
import { type ClientMessage, type DirectoryEntry, directoryEntry } from '../wire/node-messages.ts';
import type { Store } from './ports.ts';
import { isRefusal } from './refusals.ts';
import { Turns } from './turns.ts';

export type PersonDevice = {
  readonly did: Did;
  readonly signPub: Uint8Array;
  readonly certificate: Uint8Array;
  readonly lockKeys: LockKeyBody[];
};

export type Person = {
  readonly uid: Uid;
  readonly username: string;
  /** Stripped OpenPGP certificate. */
  readonly certificate: Uint8Array;
  readonly certHash: Uint8Array;
  /** Lower-case hex; for people, never for machines. */
  readonly fingerprint: string;
  readonly devices: readonly PersonDevice[];
};

export type LookUp = Extract<ClientMessage, { type: 'look-up' }>['by'];

export type PeopleNeeds = {
  /** Asks the node; undefined when it knows nobody by that. Rejects when the node is out of reach or refuses. */
  lookUp(by: LookUp): Promise<DirectoryEntry | undefined>;
  nodeId(): NodeId | undefined;
  agent: KeyAgent;
  store: Store;
  /** The node's time. */
  now(): number;
  note(text: string): void;
};

/** Not asked again sooner for the same person: a lock key that was published a moment later is found with the next try to link. */
const refreshPause = 10_000;
/** Whom we asked about lately. */
const askedMost = 4096;

export class People {
  readonly #needs: PeopleNeeds;
  readonly #byUid = new Map<string, Person>();
  readonly #asked = new Map<string, number>();
  readonly #learning = new Turns();
  readonly #asking = new Map<string, Promise<Person | undefined>>();
  /** Newest lock key per device that came with a knock. */
  readonly #knocked = new Map<string, LockKeyBody>();

  constructor(needs: PeopleNeeds) {
    this.#needs = needs;
  }

  /** Brings back what was kept. */
  async load(): Promise<void> {
    for (const { value } of await this.#needs.store.range(['person'])) {
      const entry = decode(directoryEntry, value);
      const person = await this.#checked(entry);
      if (person !== undefined) this.#byUid.set(hex(person.uid), person);
    }
  }

  known(uid: Uid): Person | undefined {
    return this.#byUid.get(hex(uid));
  }

  /** From memory where possible, else from the node. */
  async byUid(uid: Uid): Promise<Person | undefined> {
    return this.known(uid) ?? (await this.refresh(uid));
  }

  /** Asks the node again, at most every ten seconds. Undefined if it does not know the person or lies about them. */
  async refresh(uid: Uid): Promise<Person | undefined> {
    const name = hex(uid);
    const asking = this.#asking.get(name);
    if (asking !== undefined) return asking;
    const last = this.#asked.get(name);
    if (last !== undefined && this.#needs.now() - last < refreshPause) return this.known(uid);
    const question = this.#ask(uid);
    this.#asking.set(name, question);
    try {
      return await question;
    } finally {
      this.#asking.delete(name);
    }
  }

  /** Always asks the node. 'changed': the name belonged to another key before. */
  async byName(username: string): Promise<Person | 'unknown' | 'changed' | 'refused'> {
    const before = [...this.#byUid.values()].find((person) => person.username === username);
    const entry = await this.#needs.lookUp({ by: 'username', username });
    if (entry === undefined) return 'unknown';
    if (entry.username !== username) return 'refused';
    if (before !== undefined && !equal(before.uid, entry.uid)) return 'changed';
    return (await this.#learn(entry)) ?? 'refused';
  }

  /** The lock key to seal to, of a device of a person; looked up once more if none is live. */
  async lockKeyOf(uid: Uid, did: Did): Promise<LockKeyBody | undefined> {
    return this.#liveLockKey(this.known(uid), did) ?? this.#liveLockKey(await this.refresh(uid), did);
  }

  /** A lock key that came with a knock, already sealed to us by that device. */
  learnLockKey(bytes: Uint8Array, device: { did: Did; signPub: Uint8Array }): void {
    try {
      const body = readLockKey(bytes, device);
      const known = this.#knocked.get(hex(device.did));
      if (known === undefined || known.no < body.no) this.#knocked.set(hex(device.did), body);
    } catch (error) {
      if (!isRefusal(error)) throw error;
      this.#needs.note('lock key in a knock refused');
    }
  }

  #liveLockKey(person: Person | undefined, did: Did): LockKeyBody | undefined {
    const published = person?.devices.find((device) => equal(device.did, did))?.lockKeys ?? [];
    const knocked = this.#knocked.get(hex(did));
    const all = knocked === undefined ? published : [...published, knocked];
    return all.filter((key) => isLive(key, this.#needs.now())).sort((a, b) => b.no - a.no)[0];
  }

  /** One after the other: of two that are merged at once, what one brought would be lost. */
  #learn(entry: DirectoryEntry): Promise<Person | undefined> {
    return this.#learning.take(async () => {
      const merged = await this.#merged(entry);
      const person = merged && (await this.#checked(merged));
      if (merged === undefined || person === undefined) return undefined;
      await this.#needs.store.write([{ put: ['person', hex(person.uid)], value: encode(directoryEntry, merged) }]);
      this.#byUid.set(hex(person.uid), person);
      return person;
    });
  }

  async #ask(uid: Uid): Promise<Person | undefined> {
    const entry = await this.#needs.lookUp({ by: 'uid', uid });
    this.#asked.delete(hex(uid));
    this.#asked.set(hex(uid), this.#needs.now());
    if (this.#asked.size > askedMost)
      for (const oldest of [...this.#asked.keys()].slice(0, askedMost / 2)) this.#asked.delete(oldest);
    if (entry === undefined || !equal(entry.uid, uid)) return this.known(uid);
    return this.#learn(entry);
  }

  /** The same primary key is merged, never replaced: nothing can be un-revoked. */
  async #merged(entry: DirectoryEntry): Promise<DirectoryEntry | undefined> {
    const before = this.known(entry.uid);
    if (before === undefined) return entry;
    try {
      return { ...entry, certificate: await this.#needs.agent.mergeCertificate(before.certificate, entry.certificate) };
    } catch (error) {
      if (!isRefusal(error)) throw error;
      return this.#refused(error.message);
    }
  }

  async #checked(entry: DirectoryEntry): Promise<Person | undefined> {
    const { agent } = this.#needs;
    const now = this.#needs.now();
    try {
      const facts = await agent.readCertificate(entry.certificate, now);
      if (!equal(facts.uid, entry.uid)) return this.#refused('certificate of another key');
      const claim = decode(nameClaimBody, entry.claim.body);
      const nodeId = this.#needs.nodeId();
      if (!equal(claim.uid, entry.uid) || claim.username !== entry.username) return this.#refused('name claim of another');
      if (nodeId !== undefined && !equal(claim.nodeId, nodeId)) return this.#refused('name claim at another node');
      const { body, openPgpSignature: signature } = entry.claim;
      await agent.verify({ purpose: 'name-claim', body, signature, certificate: entry.certificate, now });
      const devices: PersonDevice[] = [];
      for (const device of entry.devices) {
        const checked = await this.#checkedDevice(entry.certificate, device, now);
        if (checked !== undefined) devices.push(checked);
      }
      const { certificate, uid, username } = entry;
      return { uid, username, certificate, certHash: certHashOf(certificate), fingerprint: facts.fingerprint, devices };
    } catch (error) {
      if (!isRefusal(error)) throw error;
      return this.#refused(error.message);
    }
  }

  async #checkedDevice(
    certificate: Uint8Array,
    device: DirectoryEntry['devices'][number],
    now: number,
  ): Promise<PersonDevice | undefined> {
    try {
      const facts = await verifyDeviceCert({ bytes: device.deviceCert, certificate, agent: this.#needs.agent, now });
      const lockKeys = device.lockKeys.flatMap((bytes) => readOrSkip(() => readLockKey(bytes, facts)));
      return { did: facts.did, signPub: facts.signPub, certificate: device.deviceCert, lockKeys };
    } catch (error) {
      if (!isRefusal(error)) throw error;
      return undefined;
    }
  }

  #refused(why: string): undefined {
    this.#needs.note(`directory entry refused: ${why}`);
    return undefined;
  }
}

function readOrSkip<T>(read: () => T): T[] {
  try {
    return [read()];
  } catch (error) {
    if (!isRefusal(error)) throw error;
    return [];
  }
}
