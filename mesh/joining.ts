// Following an invite link: check that the log is the one the link speaks of, ask to be let in, and wait until a member does it.
import type { Device } from '../keys/device.ts';
import { rosterTagOf } from '../keys/epoch.ts';
import { certHashOf } from '../keys/identity.ts';
import { inviteKeyFromSeed, sealJoinRequest } from '../keys/invite.ts';
import { makeInviteProof } from '../keys/invite-proof.ts';
import type { GroupInvite } from '../keys/resolve.ts';
import { equal, hex } from '../wire/bytes.ts';
import { decode, encode, numberOf, struct } from '../wire/codec.ts';
import { roles } from '../wire/group-ops.ts';
import type { Gid, GTag, NodeId, RosterTag, Uid } from '../wire/ids.ts';
import { decodeInviteLink, type Invite, invite as inviteCodec } from '../wire/invite-link.ts';
import { GroupLog, type GroupLogNeeds } from './group-log.ts';
import type { NodeLine } from './node-line.ts';
import { NodeRefusal } from './node-requests.ts';
import type { Random, Store, StoreChange } from './ports.ts';
import { isRefusal } from './refusals.ts';
import { Turns } from './turns.ts';

export type JoiningNeeds = {
  line: NodeLine;
  store: Store;
  random: Random;
  /** The node's time. */
  now(): number;
  note(text: string): void;
  origin: string;
  logNeeds: GroupLogNeeds;
  me: { uid: Uid; certificate: Uint8Array };
  device(): Device;
  nodeId(): NodeId | undefined;
  /** Of a group that this device is or was in. */
  knownLog(gid: Gid): GroupLog | undefined;
  /** Whether this device is in, by the log. */
  isIn(log: GroupLog): boolean;
  /** This device is in: make a group of it. */
  adopted(log: GroupLog): Promise<unknown>;
  /** There is one more log to follow. */
  followMore(): void;
  changed(): void;
};

export type JoinFailure =
  | 'bad-link'
  | 'other-node'
  | 'wrong-node'
  | 'other-group'
  | 'not-invited'
  | 'used'
  | 'revoked'
  | 'expired'
  /** Made before one was removed. */
  | 'lapsed'
  | 'not-for-you'
  /** In already, with another device of the same person. */
  | 'other-device'
  | 'gone';

/** Of the link followed last. */
export type JoinState =
  | { state: 'asking'; groupName: string | undefined }
  /** The request is at the node, or will be: the first member who is online brings us in. */
  | { state: 'waiting'; groupName: string }
  | { state: 'joined'; gid: Gid }
  | { state: 'failed'; failure: JoinFailure | 'node'; groupName: string | undefined };

const storedJoin = struct({
  version: numberOf(1, 1),
  invite: inviteCodec,
  /** 1: the request is at the node. */
  posted: numberOf(1, 0, 1),
});

type Pending = { invite: Invite; invitePub: Uint8Array; log: GroupLog; posted: 0 | 1 };

export class Joining {
  readonly #needs: JoiningNeeds;
  readonly #turns = new Turns();
  readonly #pending = new Map<string, Pending>();
  join: JoinState | undefined;

  constructor(needs: JoiningNeeds) {
    this.#needs = needs;
  }

  /** Requests that waited before go on waiting. `logs`: what is kept here. */
  async load(logs: readonly GroupLog[]): Promise<void> {
    const { store, logNeeds } = this.#needs;
    for (const { key, value } of await store.range(['join'])) {
      const { invite, posted } = decode(storedJoin, value);
      const log = logs.find(({ gid }) => equal(gid, invite.gid)) ?? openLog(logNeeds, invite);
      if (this.#needs.isIn(log)) {
        await store.write([{ remove: key }]);
        continue;
      }
      this.#pending.set(hex(invite.gid), { invite, invitePub: await invitePubOf(invite), log, posted });
      this.join = { state: 'waiting', groupName: nameOf(log) };
    }
  }

  /** What is to be followed besides the groups. */
  followed(): { gTag: GTag; rosterTag: RosterTag }[] {
    return [...this.#pending.values()].map(({ log }) => ({ gTag: log.gTag, rosterTag: rosterTagOf(log.newestLogKey) }));
  }

  /** One that we wait for. */
  pendingLog(gid: Gid): GroupLog | undefined {
    return this.#pending.get(hex(gid))?.log;
  }

  /** Follows a link, one at a time; how it goes is in `join`. */
  follow(link: string): Promise<void> {
    return this.#turns.take(async () => {
      try {
        await this.#follow(decodeInviteLink(link));
      } catch (error) {
        if (isRefusal(error)) return this.#failed('bad-link');
        this.#failed(error instanceof NodeRefusal && error.code === 'not-found' ? 'gone' : 'node');
        if (!(error instanceof NodeRefusal)) throw error;
      }
    });
  }

  forget(): void {
    this.join = undefined;
    this.#needs.changed();
  }

  /** What we wait for may have come unheard. Rejects with NodeRefusal. */
  async tend(): Promise<void> {
    for (const pending of [...this.#pending.values()]) await this.#look(pending);
  }

  /** A log that we wait for has grown, or may have. Rejects with NodeRefusal. */
  async logGrew(gTag: GTag): Promise<void> {
    for (const pending of this.#pending.values()) if (equal(pending.log.gTag, gTag)) await this.#look(pending);
  }

  async #follow(invite: Invite): Promise<void> {
    const { origin, logNeeds } = this.#needs;
    if (invite.origin !== origin) return this.#failed('other-node');
    const nodeId = this.#needs.nodeId();
    if (nodeId === undefined) throw new NodeRefusal('offline');
    if (!equal(nodeId, invite.nodeId)) return this.#failed('wrong-node');
    const known = this.#needs.knownLog(invite.gid);
    if (known !== undefined && this.#needs.isIn(known)) return this.#is({ state: 'joined', gid: invite.gid });
    this.#is({ state: 'asking', groupName: undefined });
    const here = this.pendingLog(invite.gid) ?? known;
    const log = here ?? openLog(logNeeds, invite);
    log.learnLogKey(invite.logKey);
    await log.sync();
    // The link names the genesis and the newest op that its author saw: another log in their place is another group.
    if (log.state() === undefined || !equal(log.gTag, invite.gTag) || !log.ops.has(invite.head)) {
      if (here === undefined) await log.erase();
      return this.#failed('other-group');
    }
    const pending: Pending = { invite, invitePub: await invitePubOf(invite), log, posted: 0 };
    if (this.#needs.isIn(log)) return this.#enter(pending);
    const failure = this.#failureOf(pending);
    if (failure !== undefined) {
      if (here === undefined) await log.erase();
      return this.#failed(failure, nameOf(log));
    }
    await this.#keep(pending);
    this.#pending.set(hex(invite.gid), pending);
    this.#is({ state: 'waiting', groupName: nameOf(log) });
    this.#needs.followMore();
    await this.#post(pending);
  }

  async #look(pending: Pending): Promise<void> {
    await pending.log.sync();
    if (this.#pending.get(hex(pending.log.gid)) !== pending) return;
    if (this.#needs.isIn(pending.log)) return this.#enter(pending);
    const failure = this.#failureOf(pending);
    if (failure !== undefined) return this.#giveUp(pending, failure);
    if (pending.posted === 0) await this.#post(pending);
  }

  #failureOf({ log, invite, invitePub }: Pending): JoinFailure | undefined {
    const state = log.state();
    const found = state?.invites.get(hex(invitePub));
    const inviter = state?.members.get(hex(invite.inviter));
    if ((state?.members.get(hex(this.#needs.me.uid))?.role ?? roles.none) > roles.none) return 'other-device';
    if (state === undefined || found === undefined || inviter === undefined) return 'not-invited';
    if (!equal(found.author, invite.inviter) || inviter.role < state.policy.admit) return 'not-invited';
    if (found.revoked) return 'revoked';
    if (!this.#isNewerThanRemovals(log, found)) return 'lapsed';
    if (found.forUid !== undefined && !equal(found.forUid, this.#needs.me.uid)) return 'not-for-you';
    if (found.uses >= found.maxUses) return 'used';
    return found.expires <= this.#needs.now() ? 'expired' : undefined;
  }

  /** A removal that the invite's author did not know of ends it for whoever was removed. */
  #isNewerThanRemovals({ ops }: GroupLog, { madeBy }: GroupInvite): boolean {
    for (const { op, verdict } of ops.inOrder()) {
      const isOurs = op.body.changes.some((change) => change.kind === 'remove' && equal(change.uid, this.#needs.me.uid));
      if (verdict === 'applied' && isOurs && !ops.isAncestor(op.opId, madeBy)) return false;
    }
    return true;
  }

  /** Kept before: a crash in between posts it twice, never not at all. What the node does not take now it gets with the next connection. */
  async #post(pending: Pending): Promise<void> {
    const { line, random, me, note } = this.#needs;
    const device = this.#needs.device();
    const { gid, gTag, logKey, inviteSeed } = pending.invite;
    const { uid } = me;
    const certHash = certHashOf(me.certificate);
    const devices = [device.certificate];
    const inviteKey = await inviteKeyFromSeed(inviteSeed);
    const proof = await makeInviteProof({ gid, uid, certHash, devices, inviteKey, did: device.did, signer: device.signer });
    const body = await sealJoinRequest({ gTag, logKey, request: { uid, certHash, devices, proof }, nonce: random(12) });
    try {
      await line.request({ type: 'post-mail', box: { of: 'group', gTag }, body });
    } catch (error) {
      if (!(error instanceof NodeRefusal)) throw error;
      return note(`request to join not posted yet: ${error.message}`);
    }
    pending.posted = 1;
    if (this.#pending.get(hex(gid)) === pending) await this.#keep(pending);
  }

  async #keep({ invite, posted }: Pending): Promise<void> {
    const value = encode(storedJoin, { version: 1, invite, posted });
    await this.#needs.store.write([{ put: ['join', hex(invite.gid)], value }]);
  }

  async #enter({ invite, log }: Pending): Promise<void> {
    await this.#needs.adopted(log);
    this.#pending.delete(hex(invite.gid));
    await this.#needs.store.write([forgotten(invite)]);
    this.#is({ state: 'joined', gid: log.gid });
  }

  async #giveUp({ invite, log }: Pending, failure: JoinFailure): Promise<void> {
    const groupName = nameOf(log);
    this.#pending.delete(hex(invite.gid));
    await this.#needs.store.write([forgotten(invite)]);
    if (this.#needs.knownLog(invite.gid) === undefined) await log.erase();
    this.#failed(failure, groupName);
  }

  #failed(failure: JoinFailure | 'node', groupName?: string): void {
    this.#is({ state: 'failed', failure, groupName });
  }

  #is(join: JoinState): void {
    this.join = join;
    this.#needs.changed();
  }
}

function forgotten({ gid }: Invite): StoreChange {
  return { remove: ['join', hex(gid)] };
}

function openLog(needs: GroupLogNeeds, { gid, gTag, logKey }: Invite): GroupLog {
  return GroupLog.open(needs, { gid, gTag, logKeys: [logKey] });
}

function nameOf(log: GroupLog): string {
  return log.state()?.policy.name ?? '';
}

async function invitePubOf({ inviteSeed }: Invite): Promise<Uint8Array> {
  return (await inviteKeyFromSeed(inviteSeed)).publicKey;
}
