// Who this device is linked with: one confirmed link per other device, attempts to make those that are wanted, and what goes over them.
import type { LinkFacts, LinkRole } from '../keys/link-confirm.ts';
import { equal, hex } from '../wire/bytes.ts';
import { decode, encode } from '../wire/codec.ts';
import type { Did } from '../wire/ids.ts';
import { limits } from '../wire/limits.ts';
import { linkConfirmMessage, type PeerMessage, peerMessage } from '../wire/peer-messages.ts';
import { WireRefusal } from '../wire/refusal.ts';
import type { SignalBody, SignalPayload } from '../wire/signal.ts';
import { type LinkEnd, type PeerLinkEffect, type PeerLinkEvent, type PeerLinkState, stepPeerLink } from './peer-link.ts';
import type { Clock, IceServerUrls, Link, LinkRoute, LinkSignal, OpenLink, Random, Stop } from './ports.ts';

export type LinksEvents = {
  opened(did: Did, facts: LinkFacts, role: LinkRole): void;
  message(did: Did, message: PeerMessage): void;
  closed(did: Did): void;
};

export type LinksNeeds = {
  me: Did;
  clock: Clock;
  random: Random;
  openLink: OpenLink;
  iceServers(): IceServerUrls[];
  /** Seals and sends a signal: 'not-there' when the node knows no socket of that device, 'unsent' when there is no way to it. */
  sendSignal(to: Did, body: Omit<SignalBody, 'from' | 'to'>): Promise<'sent' | 'not-there' | 'unsent'>;
  hashOffer(offer: string): Uint8Array;
  signProof(facts: LinkFacts): Promise<Uint8Array>;
  checkProof(them: Did, facts: LinkFacts, signature: Uint8Array): Promise<boolean>;
  /** One line for the log of this device: never secrets. */
  note(text: string): void;
  events: LinksEvents;
};

/** Tuning that peers need not agree on. */
const gatherTime = 30;
/** Browsers get slow with more connections; what is beyond hears of everything through these. */
const linksMost = 48;
const pendingDials = 4;
const pendingAttempts = 12;
/** Connections that are built, for all and for one device: nobody can use up what the others need. */
const builtPerMinute = 60;
const builtPerMinuteAndPeer = 15;
const knocksPerMinute = 30;
const heartbeat = 5_000;
const silence = 15_000;
const queuedBytes = 4 * 1024 * 1024;
const queuedEvents = 1024;
/** Of what comes on a link behind the proof that is being checked. */
const queuedBeforeOpen = 512 * 1024;
const rememberedSids = 1000;
const pauses: Record<LinkEnd, number> = {
  declined: 15_000,
  unreachable: 10_000,
  'not-connected': 10_000,
  'not-confirmed': 60_000,
  lost: 250,
  'hung-up': 10_000,
};
/** Who says what nobody says is not heard for so long. */
const shunned = 60_000;

type Attempt = {
  state: PeerLinkState;
  link: Link | undefined;
  timer: Stop | undefined;
  /** Candidates found since the description was made, while it waits for them. */
  gathering: string[] | undefined;
  signalNo: number;
  /** Their last signal, so that none counts twice. */
  heard: { sid: Uint8Array; no: number };
  queue: Promise<void>;
  queued: number;
  queuedBytes: number;
};
type Open = {
  link: Link;
  facts: LinkFacts;
  heard: number;
  outgoing: Uint8Array[];
  outgoingBytes: number;
  beat: Stop | undefined;
  route: LinkRoute;
};
type Peer = {
  did: Did;
  attempt: Attempt | undefined;
  open: Open | undefined;
  notBefore: number;
  shunnedUntil: number;
  failures: number;
  retry: Stop | undefined;
  /** When, within the last minute. */
  built: number[];
  knocks: number[];
};

export class Links {
  readonly #needs: LinksNeeds;
  readonly #peers = new Map<string, Peer>();
  /** Whom the node sees, wanted or not: a roster may come before the log entry that makes its people wanted. */
  readonly #online = new Set<string>();
  readonly #sids = new Set<string>();
  #wanted = new Map<string, Did>();
  #built: number[] = [];
  #pings = 0;
  #closed = false;

  constructor(needs: LinksNeeds) {
    this.#needs = needs;
  }

  /** The devices to be linked with; links to others are closed at once. */
  want(dids: Did[]): void {
    this.#wanted = new Map(dids.map((did) => [hex(did), did]));
    for (const [name, peer] of this.#peers) if (!this.#wanted.has(name)) this.#forget(name, peer);
    this.#dialAll();
  }

  /** The node sees, or no longer sees, a socket of that device. A newcomer dials; who is already there waits a moment for the knock. */
  seen(did: Did, online: boolean, newcomer: 'me' | 'them'): void {
    if (!online) {
      this.#online.delete(hex(did));
      return;
    }
    if (this.#online.size < limits.rosterDevices) this.#online.add(hex(did));
    if (!this.#wanted.has(hex(did))) return;
    const peer = this.#peer(did);
    peer.failures = 0;
    peer.notBefore = this.#needs.clock.now() + (newcomer === 'me' ? 0 : 1_000);
    this.#dial(peer);
  }

  isOpen(did: Did): boolean {
    return this.#peers.get(hex(did))?.open !== undefined;
  }

  isLinking(did: Did): boolean {
    const name = hex(did);
    return this.#peers.get(name)?.attempt !== undefined || (this.#online.has(name) && this.#wanted.has(name));
  }

  routeOf(did: Did): LinkRoute {
    return this.#peers.get(hex(did))?.open?.route ?? 'unknown';
  }

  openDids(): Did[] {
    return [...this.#peers.values()].filter((peer) => peer.open !== undefined).map((peer) => peer.did);
  }

  factsOf(did: Did): LinkFacts | undefined {
    return this.#peers.get(hex(did))?.open?.facts;
  }

  /** Queued while the channel is full; a neighbour that lets 4 MiB pile up loses the link. */
  send(did: Did, message: PeerMessage): void {
    const open = this.#peers.get(hex(did))?.open;
    if (open === undefined) return;
    const bytes = encode(peerMessage, message);
    open.outgoing.push(bytes);
    open.outgoingBytes += bytes.length;
    if (open.outgoingBytes > queuedBytes) return this.#lose(did, open, 'too slow');
    this.#flush(open);
  }

  /** A signal whose seal and signature were checked and whose `from` is the sender's did. */
  signalled(body: SignalBody): void {
    if (this.#closed || !this.#wanted.has(hex(body.from))) return;
    const peer = this.#peer(body.from);
    if (body.payload.kind === 'knock' && !this.#mayKnock(peer, body.sid)) return;
    if (peer.attempt === undefined) {
      if (body.payload.kind === 'bye') this.#byeCame(peer, body);
      if (body.payload.kind !== 'knock') return;
      if (this.#pending() >= pendingAttempts || (peer.open === undefined && this.#isFull()))
        return this.#signal(peer, undefined, {
          sid: body.sid,
          no: 0,
          payload: { kind: 'decline', knockNonce: body.payload.nonce },
        });
      peer.attempt = newAttempt();
    }
    if (this.#isRepeated(peer.attempt, body)) return;
    this.#feed(peer, peer.attempt, { on: 'signal', body, nonce: this.#needs.random(32) });
  }

  /** Says goodbye on every link and stops. */
  close(): void {
    this.#closed = true;
    for (const [name, peer] of this.#peers) {
      if (peer.open !== undefined) peer.open.link.send(encode(peerMessage, { type: 'bye' }));
      this.#forget(name, peer);
    }
  }

  /** After the machine slept or the network changed: ask every link whether it lives, and dial without a pause. */
  wake(): void {
    for (const peer of this.#peers.values()) {
      peer.notBefore = 0;
      peer.failures = 0;
      if (peer.open !== undefined) this.#ping(peer.open);
    }
    this.#dialAll();
  }

  #peer(did: Did): Peer {
    const name = hex(did);
    const known = this.#peers.get(name);
    if (known !== undefined) return known;
    const peer: Peer = {
      ...{ did, attempt: undefined, open: undefined, retry: undefined, failures: 0 },
      ...{ notBefore: 0, shunnedUntil: 0, built: [], knocks: [] },
    };
    if (this.#wanted.has(name)) this.#peers.set(name, peer);
    return peer;
  }

  #mayKnock(peer: Peer, sid: Uint8Array): boolean {
    const now = this.#needs.clock.now();
    peer.knocks = peer.knocks.filter((at) => at > now - 60_000);
    if (now < peer.shunnedUntil || peer.knocks.length >= knocksPerMinute || !this.#fresh(sid)) return false;
    peer.knocks.push(now);
    return true;
  }

  /** Each signal counts once: the node may bring it again. */
  #isRepeated(attempt: Attempt, { sid, no }: SignalBody): boolean {
    if (equal(attempt.heard.sid, sid) && no <= attempt.heard.no) return true;
    attempt.heard = { sid, no };
    return false;
  }

  #isFull(): boolean {
    const held = [...this.#peers.values()].filter(({ open, attempt }) => open !== undefined || attempt !== undefined);
    return held.length >= linksMost;
  }

  #fresh(sid: Uint8Array): boolean {
    const name = hex(sid);
    if (this.#sids.has(name)) return false;
    this.#sids.add(name);
    if (this.#sids.size > rememberedSids) for (const oldest of this.#sids) return this.#sids.delete(oldest);
    return true;
  }

  #pending(): number {
    return [...this.#peers.values()].filter((peer) => peer.attempt !== undefined).length;
  }

  #dialAll(): void {
    if (this.#closed) return;
    for (const did of this.#wanted.values()) this.#dial(this.#peer(did));
  }

  #dial(peer: Peer): void {
    const { clock, random } = this.#needs;
    if (peer.open !== undefined || peer.attempt !== undefined || !this.#online.has(hex(peer.did)) || this.#closed) return;
    // Whoever ends makes room, and all are dialled again then.
    if (this.#isFull()) return;
    const wait = Math.max(peer.notBefore - clock.now(), this.#pending() >= pendingDials ? 200 : 0);
    if (wait > 0) {
      peer.retry?.();
      peer.retry = clock.after(wait, () => this.#dial(peer));
      return;
    }
    const sid = random(16);
    this.#fresh(sid);
    peer.attempt = newAttempt();
    this.#feed(peer, peer.attempt, { on: 'dial', sid, nonce: random(32) });
  }

  #feed(peer: Peer, attempt: Attempt, event: PeerLinkEvent): void {
    this.#enqueue(peer, attempt, () => this.#step(peer, attempt, event));
  }

  /** Events of one attempt take effect one after the other, those that wait for a signature check included. */
  #enqueue(peer: Peer, attempt: Attempt, run: () => void | Promise<void>): void {
    if (attempt.queued >= queuedEvents) return;
    attempt.queued++;
    attempt.queue = attempt.queue.then(async () => {
      attempt.queued--;
      try {
        await run();
      } catch (error) {
        this.#needs.note(`link given up: ${error instanceof Error ? error.message : 'unknown'}`);
        if (peer.attempt === attempt) this.#ended(peer, attempt, 'not-connected');
      }
    });
  }

  async #step(peer: Peer, attempt: Attempt, event: PeerLinkEvent): Promise<void> {
    if (peer.attempt !== attempt) return;
    const sides = { me: this.#needs.me, them: peer.did, hashOf: this.#needs.hashOffer };
    const [state, effects] = stepPeerLink(attempt.state, event, sides);
    attempt.state = state;
    for (const effect of effects) await this.#perform(peer, attempt, effect);
  }

  async #perform(peer: Peer, attempt: Attempt, effect: PeerLinkEffect): Promise<void> {
    switch (effect.do) {
      case 'signal':
        return this.#signal(peer, attempt, { sid: effect.sid, no: attempt.signalNo++, payload: effect.payload });
      case 'build':
        return this.#build(peer, attempt, effect.role);
      case 'drop':
        this.#drop(attempt);
        return;
      case 'apply':
        return this.#apply(attempt, effect.signal);
      case 'write':
        attempt.link?.send(encode(linkConfirmMessage, effect.message));
        return;
      case 'make-proof':
        return this.#step(peer, attempt, { on: 'proof-made', signature: await this.#needs.signProof(effect.facts) });
      case 'check-proof':
        return this.#step(peer, attempt, {
          on: 'proof-checked',
          valid: await this.#needs.checkProof(peer.did, effect.facts, effect.signature),
        });
      case 'timer':
        attempt.timer?.();
        attempt.timer = this.#needs.clock.after(effect.ms, () => this.#feed(peer, attempt, { on: 'timeout' }));
        return;
      case 'opened':
        return this.#opened(peer, attempt, effect.facts, effect.role);
      case 'end':
        return this.#ended(peer, attempt, effect.end);
      default:
        effect satisfies never;
    }
  }

  #signal(peer: Peer, attempt: Attempt | undefined, signal: { sid: Uint8Array; no: number; payload: SignalPayload }): void {
    const notSent = () => attempt !== undefined && this.#feed(peer, attempt, { on: 'not-there' });
    this.#needs.sendSignal(peer.did, signal).then(
      (outcome) => {
        if (outcome === 'not-there') this.#online.delete(hex(peer.did));
        if (outcome !== 'sent') notSent();
      },
      (error: unknown) => {
        this.#needs.note(`signal not sent: ${error instanceof Error ? error.message : 'unknown'}`);
        notSent();
      },
    );
  }

  #build(peer: Peer, attempt: Attempt, role: LinkRole): void {
    const now = this.#needs.clock.now();
    this.#built = this.#built.filter((at) => at > now - 60_000);
    peer.built = peer.built.filter((at) => at > now - 60_000);
    if (this.#built.length >= builtPerMinute || peer.built.length >= builtPerMinuteAndPeer)
      return this.#feed(peer, attempt, { on: 'timeout' });
    this.#built.push(now);
    peer.built.push(now);
    const ifMine = (run: (link: Link) => void) => () => {
      if (link !== undefined && (attempt.link === link || peer.open?.link === link)) run(link);
    };
    let link: Link | undefined;
    link = this.#needs.openLink({
      role,
      iceServers: this.#needs.iceServers(),
      events: {
        signal: (signal) => ifMine((mine) => this.#gathered(peer, attempt, mine, signal))(),
        opened: (fingerprints) =>
          ifMine(() => this.#feed(peer, attempt, { on: 'connected', fingerprints, nonce: this.#needs.random(32) }))(),
        message: (bytes) => ifMine((mine) => this.#received(peer, attempt, mine, bytes))(),
        drained: ifMine(() => peer.open !== undefined && this.#flush(peer.open)),
        closed: (reason) => ifMine((mine) => this.#closedBelow(peer, attempt, mine, reason))(),
      },
    });
    attempt.link = link;
  }

  /** The link itself rebuilds what it is told from a whitelist (mesh/guarded-link.ts). */
  #apply(attempt: Attempt, signal: LinkSignal): void {
    if (signal.kind === 'candidate') return attempt.link?.signal(signal);
    const { sdp, candidates } = splitDescription(signal.sdp);
    attempt.link?.signal({ kind: signal.kind, sdp });
    for (const candidate of candidates) attempt.link?.signal({ kind: 'candidate', candidate });
  }

  /** Candidates that are found at once go along with the description: one signal instead of several. */
  #gathered(peer: Peer, attempt: Attempt, link: Link, signal: LinkSignal): void {
    if (signal.kind === 'candidate') {
      if (attempt.gathering === undefined) return this.#feed(peer, attempt, { on: 'local-signal', signal });
      attempt.gathering.push(signal.candidate);
      return;
    }
    const candidates: string[] = [];
    attempt.gathering = candidates;
    this.#needs.clock.after(gatherTime, () => {
      // The attempt may have begun anew meanwhile, with another link.
      if (attempt.link !== link) return;
      attempt.gathering = undefined;
      this.#feed(peer, attempt, {
        on: 'local-signal',
        signal: { kind: signal.kind, sdp: joinDescription(signal.sdp, candidates) },
      });
    });
  }

  #received(peer: Peer, attempt: Attempt, link: Link, bytes: Uint8Array): void {
    const open = peer.open;
    if (open?.link === link) return this.#openReceived(peer, open, bytes);
    if (attempt.link !== link) return;
    // Still confirming: in order behind what waits for a signature check.
    attempt.queuedBytes += bytes.length;
    if (attempt.queuedBytes > queuedBeforeOpen) return this.#feed(peer, attempt, { on: 'disconnected' });
    this.#enqueue(peer, attempt, async () => {
      attempt.queuedBytes -= bytes.length;
      if (peer.open?.link === link) return this.#openReceived(peer, peer.open, bytes);
      if (peer.attempt !== attempt || attempt.link !== link) return;
      await this.#step(peer, attempt, confirmEvent(bytes));
    });
  }

  #openReceived(peer: Peer, open: Open, bytes: Uint8Array): void {
    open.heard = this.#needs.clock.now();
    let message: PeerMessage;
    try {
      if (bytes.length > limits.linkMessageBytes) throw new WireRefusal('too-large', 'link message');
      message = decode(peerMessage, bytes);
    } catch (error) {
      if (!(error instanceof WireRefusal)) throw error;
      peer.shunnedUntil = this.#needs.clock.now() + shunned;
      return this.#lose(peer.did, open, `refused: ${error.message}`);
    }
    if (message.type === 'ping') return this.send(peer.did, { type: 'pong', no: message.no });
    if (message.type === 'pong') return;
    if (message.type === 'bye') return this.#lose(peer.did, open, 'bye');
    this.#needs.events.message(peer.did, message);
  }

  #opened(peer: Peer, attempt: Attempt, facts: LinkFacts, role: LinkRole): void {
    const link = attempt.link;
    if (link === undefined) return;
    attempt.timer?.();
    peer.attempt = undefined;
    const before = peer.open;
    if (before !== undefined) this.#closeOpen(peer, before);
    const open: Open = {
      link,
      facts,
      heard: this.#needs.clock.now(),
      outgoing: [],
      outgoingBytes: 0,
      beat: undefined,
      route: 'unknown',
    };
    peer.open = open;
    peer.failures = 0;
    this.#beat(peer, open);
    link.route().then(
      (route) => {
        open.route = route;
      },
      () => this.#needs.note('route of a link unknown'),
    );
    this.#needs.events.opened(peer.did, facts, role);
    this.#dialAll();
  }

  #beat(peer: Peer, open: Open): void {
    open.beat = this.#needs.clock.after(heartbeat, () => {
      if (peer.open !== open) return;
      if (this.#needs.clock.now() - open.heard > silence) return this.#lose(peer.did, open, 'silent');
      // What speaks needs no question.
      if (this.#needs.clock.now() - open.heard >= heartbeat) this.#ping(open);
      this.#beat(peer, open);
    });
  }

  #ping(open: Open): void {
    this.#pings = (this.#pings + 1) % 2 ** 32;
    open.link.send(encode(peerMessage, { type: 'ping', no: this.#pings }));
  }

  #flush(open: Open): void {
    while (open.outgoing.length > 0) {
      const next = open.outgoing[0];
      if (next === undefined || open.link.send(next) !== 'sent') return;
      open.outgoing.shift();
      open.outgoingBytes -= next.length;
    }
  }

  #closedBelow(peer: Peer, attempt: Attempt, link: Link, reason: string): void {
    if (peer.open?.link === link) return this.#lose(peer.did, peer.open, reason);
    this.#feed(peer, attempt, { on: 'disconnected' });
  }

  #lose(did: Did, open: Open, reason: string): void {
    const peer = this.#peers.get(hex(did));
    if (peer === undefined || peer.open !== open) return;
    this.#needs.note(`link closed: ${reason}`);
    this.#closeOpen(peer, open);
    this.#pause(peer, reason === 'bye' ? 'hung-up' : 'lost');
    this.#dialAll();
  }

  #closeOpen(peer: Peer, open: Open): void {
    peer.open = undefined;
    open.beat?.();
    open.link.close();
    this.#needs.events.closed(peer.did);
  }

  #byeCame(peer: Peer, body: SignalBody): void {
    if (peer.open !== undefined && hex(peer.open.facts.sid) === hex(body.sid)) this.#lose(peer.did, peer.open, 'bye');
  }

  #ended(peer: Peer, attempt: Attempt, end: LinkEnd): void {
    attempt.timer?.();
    peer.attempt = undefined;
    this.#drop(attempt);
    this.#pause(peer, end);
    this.#dialAll();
  }

  #drop(attempt: Attempt): void {
    const link = attempt.link;
    attempt.link = undefined;
    attempt.gathering = undefined;
    link?.close();
  }

  #pause(peer: Peer, end: LinkEnd): void {
    const { clock } = this.#needs;
    const usual =
      end === 'lost' ? Math.min(pauses.lost * 1.3 ** peer.failures, 10_000) : pauses[end] * Math.min(2 ** peer.failures, 12);
    const pause = Math.max(usual, peer.shunnedUntil - clock.now());
    peer.failures++;
    peer.notBefore = clock.now() + pause;
    peer.retry?.();
    peer.retry = clock.after(pause, () => this.#dial(peer));
  }

  #forget(name: string, peer: Peer): void {
    this.#peers.delete(name);
    peer.retry?.();
    const { attempt, open } = peer;
    peer.attempt = undefined;
    if (attempt !== undefined) {
      attempt.timer?.();
      this.#drop(attempt);
    }
    if (open !== undefined) this.#closeOpen(peer, open);
  }
}

const candidateLine = 'a=candidate:';

function joinDescription(sdp: string, candidates: readonly string[]): string {
  const lines = candidates
    .filter((candidate) => candidate.startsWith('candidate:'))
    .map((candidate) => `a=${candidate.trim()}\r\n`);
  return [sdp, ...lines].join('');
}

function splitDescription(sdp: string): { sdp: string; candidates: string[] } {
  const lines = sdp.split('\r\n');
  const candidates = lines.filter((line) => line.startsWith(candidateLine)).map((line) => line.slice('a='.length));
  return { sdp: lines.filter((line) => !line.startsWith(candidateLine)).join('\r\n'), candidates };
}

function newAttempt(): Attempt {
  return {
    state: { at: 'idle' },
    link: undefined,
    timer: undefined,
    gathering: undefined,
    signalNo: 0,
    heard: { sid: new Uint8Array(), no: 0 },
    queue: Promise.resolve(),
    queued: 0,
    queuedBytes: 0,
  };
}

function confirmEvent(bytes: Uint8Array): PeerLinkEvent {
  try {
    if (bytes.length > limits.linkConfirmBytes) throw new WireRefusal('too-large', 'before confirmation');
    return { on: 'confirm', message: decode(linkConfirmMessage, bytes) };
  } catch (error) {
    if (!(error instanceof WireRefusal)) throw error;
    return { on: 'disconnected' };
  }
}
