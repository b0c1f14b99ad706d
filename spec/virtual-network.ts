// A network in memory on a clock driven by hand: devices with links between them and sockets to nodes, and everything that goes wrong.
import type {
  Clock,
  DialSocket,
  Link,
  LinkEvents,
  LinkFingerprints,
  LinkRoute,
  LinkSignal,
  OpenLink,
  Random,
  Socket,
  SocketEvents,
} from '../mesh/ports.ts';
import { equal, fromHex, hex } from '../wire/bytes.ts';
import { limits } from '../wire/limits.ts';

/** A node's half of a socket: it gets `socket` to answer on, and says what to do with what comes. `device` is who dialled. */
export type AcceptSocket = (socket: Socket, device: string) => Omit<SocketEvents, 'opened'>;

export type VirtualDevice = { openLink: OpenLink; dialSocket: DialSocket };

/** A link whose other side has gone silent closes after this: what werift needs; browsers are quicker. */
export const silenceUntilClosed = 27_000;
const handshakeRoundTrips = 4;
const fullAbove = 256 * 1024;
const drainedBelow = 64 * 1024;

/**
 * Names are free: of devices ("alice"), and origins of nodes ("wss://one.example"). Nothing moves unless the clock does, and no
 * event is called from within a call of the link or socket it belongs to.
 */
export class VirtualNetwork {
  readonly clock: Clock;
  readonly random: Random;
  /** One way, in ms. */
  latency: (from: string, to: string) => number = () => 10;
  /** Of each direction of each link. */
  bytesPerMs = 1000;
  /** Asked once per attempt that could succeed; `false` leaves it connecting for ever, as lost packets and bad NATs do. */
  connects: (offerer: string, answerer: string) => boolean = () => true;
  /** What `route` says of links between them. */
  routeOf: (a: string, b: string) => LinkRoute = () => 'direct';

  readonly #cuts = new Set<string>();
  readonly #links = new Map<string, VirtualLink>();
  readonly #sockets = new Set<VirtualSocket>();
  readonly #nodes = new Map<string, AcceptSocket>();
  #counter = 0;

  constructor({ clock, random }: { clock: Clock; random: Random }) {
    this.clock = clock;
    this.random = random;
  }

  /** The ports of one device. Asked again, for instance after `kill`, it gives them to the restarted process. */
  device(name: string): VirtualDevice {
    return {
      openLink: (start) => {
        const link = new VirtualLink(this, { ...start, device: name, no: this.#counter++ });
        this.#links.set(link.ufrag, link);
        return link;
      },
      dialSocket: (origin, events) => {
        const socket = new VirtualSocket(this, { owner: name, other: origin });
        this.#sockets.add(socket);
        socket.dial(events, () => this.#nodes.get(origin));
        return socket;
      },
    };
  }

  /** Serves an origin from now on; what nobody serves refuses sockets. */
  startNode(origin: string, accept: AcceptSocket): void {
    this.#nodes.set(origin, accept);
  }

  /** As a killed node: its sockets close at the devices after the latency, and it hears of nothing more. */
  stopNode(origin: string): void {
    this.#nodes.delete(origin);
    this.#killSockets(origin);
  }

  /** No packet passes between the two, in both directions; without `b`, between `a` and everyone. Sockets and links are not told. */
  cut(a: string, b = '*'): void {
    this.#cuts.add(pairOf(a, b));
    for (const link of this.#links.values()) link.watchSilence();
  }

  /** Undoes the same `cut`. What was on its way arrives now, unless the link or socket has been given up. */
  heal(a: string, b = '*'): void {
    this.#cuts.delete(pairOf(a, b));
    for (const link of this.#links.values()) link.resume();
    for (const socket of this.#sockets) socket.resume();
  }

  /** All links between the two close at both ends at once, as after a reset; new ones are possible. */
  breakLinks(a: string, b: string): void {
    for (const link of [...this.#links.values()]) {
      if (link.device === a && link.peer?.device === b) link.fail('connection reset');
      else if (link.device === b && link.peer?.device === a) link.fail('connection reset');
    }
  }

  /** The device's process ends without a word: none of its events is called again, nodes see its sockets close, links go silent. */
  kill(device: string): void {
    for (const link of [...this.#links.values()]) if (link.device === device) link.vanish();
    this.#killSockets(device);
  }

  /** How many links the device holds that are not closed, opened or not. */
  linksOf(device: string): number {
    return [...this.#links.values()].filter((link) => link.device === device).length;
  }

  reaches(a: string, b: string): boolean {
    return !this.#cuts.has(pairOf(a, b)) && !this.#cuts.has(pairOf(a, '*')) && !this.#cuts.has(pairOf(b, '*'));
  }

  linkOf(ufrag: string): VirtualLink | undefined {
    return this.#links.get(ufrag);
  }

  forget(gone: VirtualLink | VirtualSocket): void {
    if (gone instanceof VirtualLink) this.#links.delete(gone.ufrag);
    else this.#sockets.delete(gone);
  }

  adopt(socket: VirtualSocket): void {
    this.#sockets.add(socket);
  }

  #killSockets(owner: string): void {
    for (const socket of [...this.#sockets]) if (socket.owner === owner) socket.vanish();
  }
}

function pairOf(a: string, b: string): string {
  return a < b ? `${a} ${b}` : `${b} ${a}`;
}

/** One direction of a link or socket: bytes take time, arrive in order, and wait while the way is cut. */
class Pipe {
  readonly #network: VirtualNetwork;
  readonly #from: string;
  readonly #to: string;
  readonly #arrived: (() => void)[] = [];
  #sentAt = 0;
  #arrivesAt = 0;
  #stopped = false;

  constructor(network: VirtualNetwork, from: string, to: string) {
    this.#network = network;
    this.#from = from;
    this.#to = to;
  }

  carry(bytes: number, deliver: () => void): void {
    const { clock, bytesPerMs, latency } = this.#network;
    this.#sentAt = Math.max(this.#sentAt, clock.now()) + bytes / bytesPerMs;
    this.#arrivesAt = Math.max(this.#arrivesAt, this.#sentAt + latency(this.#from, this.#to));
    clock.after(this.#arrivesAt - clock.now(), () => {
      this.#arrived.push(deliver);
      this.resume();
    });
  }

  resume(): void {
    while (!this.#stopped && this.#network.reaches(this.#from, this.#to)) {
      const deliver = this.#arrived.shift();
      if (deliver === undefined) return;
      deliver();
    }
  }

  stop(): void {
    this.#stopped = true;
    this.#arrived.length = 0;
  }
}

type LinkState = 'connecting' | 'open' | 'closed';

class VirtualLink implements Link {
  readonly device: string;
  readonly ufrag: string;
  readonly fingerprint: Uint8Array;
  peer: VirtualLink | undefined;
  remoteFingerprint: Uint8Array | undefined;
  remoteUfrag: string | undefined;

  readonly #network: VirtualNetwork;
  readonly #role: 'offerer' | 'answerer';
  readonly #events: LinkEvents;
  #state: LinkState = 'connecting';
  #vanished = false;
  #candidates = 0;
  #pipe: Pipe | undefined;
  #buffered = 0;
  #wasFull = false;
  #silence: (() => void) | undefined;

  constructor(network: VirtualNetwork, start: Parameters<OpenLink>[0] & { device: string; no: number }) {
    this.#network = network;
    this.#role = start.role;
    this.#events = start.events;
    this.device = start.device;
    this.ufrag = `v${start.no.toString(36).padStart(7, '0')}`;
    this.fingerprint = network.random(32);
    if (start.role === 'offerer') this.#tell('offer');
  }

  signal(signal: LinkSignal): void {
    if (this.#state === 'closed') return;
    if (signal.kind === 'candidate') {
      this.#candidates += 1;
      this.#tryToConnect();
      return;
    }
    const remote = readDescription(signal.sdp);
    const due = this.#role === 'offerer' ? 'answer' : 'offer';
    if (remote === undefined || signal.kind !== due || this.remoteUfrag !== undefined) {
      this.fail(`bad ${signal.kind}`);
      return;
    }
    this.remoteUfrag = remote.ufrag;
    this.remoteFingerprint = remote.fingerprint;
    if (signal.kind === 'offer') this.#tell('answer');
    this.#tryToConnect();
  }

  send(message: Uint8Array): 'sent' | 'full' | 'closed' {
    if (this.#state === 'closed') return 'closed';
    if (message.length === 0 || message.length > limits.linkMessageBytes) {
      this.fail(`own message of ${message.length} bytes`);
      return 'closed';
    }
    if (this.#state === 'connecting' || this.#buffered + message.length > fullAbove) {
      this.#wasFull = true;
      return 'full';
    }
    const copy = message.slice();
    this.#buffered += copy.length;
    this.#pipe?.carry(copy.length, () => this.#arrive(copy));
    return 'sent';
  }

  async route(): Promise<LinkRoute> {
    if (this.#state !== 'open' || this.peer === undefined) return 'unknown';
    return this.#network.routeOf(this.device, this.peer.device);
  }

  close(): void {
    if (this.#state === 'closed') return;
    const peer = this.peer;
    // A goodbye, as both engines send it: it travels behind the messages that were sent before.
    if (peer !== undefined) this.#pipe?.carry(0, () => peer.fail('closed by the other side'));
    this.#end('closed here');
  }

  fail(reason: string): void {
    if (this.#state === 'closed') return;
    this.#pipe?.stop();
    this.#end(reason);
  }

  vanish(): void {
    this.#vanished = true;
    this.#pipe?.stop();
    this.#end('gone');
  }

  watchSilence(): void {
    if (this.#state !== 'open' || this.#hears()) return;
    this.#silence ??= this.#network.clock.after(silenceUntilClosed, () => this.fail('silent'));
  }

  resume(): void {
    this.#pipe?.resume();
    this.#tryToConnect();
    if (!this.#hears()) return;
    this.#silence?.();
    this.#silence = undefined;
  }

  #hears(): boolean {
    return this.peer !== undefined && this.peer.#state === 'open' && this.#network.reaches(this.device, this.peer.device);
  }

  #tell(kind: 'offer' | 'answer'): void {
    const sdp = describe(kind, this.ufrag, this.fingerprint);
    const candidate = `candidate:1 1 udp 2122260223 10.0.0.1 50000 typ host generation 0 ufrag ${this.ufrag}`;
    this.#later(() => {
      this.#events.signal({ kind, sdp });
      this.#later(() => this.#events.signal({ kind: 'candidate', candidate }));
    });
  }

  /** When both know each other's description and one of them has an address to begin with. */
  #tryToConnect(): void {
    const other = this.#network.linkOf(this.remoteUfrag ?? '');
    if (this.#state !== 'connecting' || this.peer !== undefined || other?.remoteUfrag !== this.ufrag) return;
    if (other.#state !== 'connecting' || this.#candidates + other.#candidates === 0) return;
    if (!this.#network.reaches(this.device, other.device)) return;
    const [offerer, answerer] = this.#role === 'offerer' ? [this, other] : [other, this];
    if (!this.#network.connects(offerer.device, answerer.device)) {
      // Asked once: from now on the other's name is as good as unknown.
      this.remoteUfrag = '';
      return;
    }
    this.peer = other;
    other.peer = this;
    const roundTrip = this.#network.latency(this.device, other.device) + this.#network.latency(other.device, this.device);
    this.#network.clock.after(handshakeRoundTrips * roundTrip, () => {
      if (this.#state !== 'connecting' || other.#state !== 'connecting') return;
      const trusted = this.#trusts(other) && other.#trusts(this);
      for (const end of [this, other]) trusted ? end.#open() : end.fail('certificate does not match');
    });
  }

  /** What DTLS checks: the certificate of the other end is the one that its description promised. */
  #trusts(other: VirtualLink): boolean {
    return this.remoteFingerprint !== undefined && equal(this.remoteFingerprint, other.fingerprint);
  }

  #open(): void {
    if (this.peer === undefined || this.remoteFingerprint === undefined) return;
    this.#pipe = new Pipe(this.#network, this.device, this.peer.device);
    this.#state = 'open';
    const fingerprints: LinkFingerprints = { local: this.fingerprint, remote: this.remoteFingerprint };
    this.#later(() => {
      this.#events.opened(fingerprints);
      if (this.#wasFull) this.#drain();
    });
  }

  /** At the receiver's end of our pipe: the sender's buffer has room again, the receiver has the message. */
  #arrive(message: Uint8Array): void {
    const peer = this.peer;
    if (peer !== undefined && peer.#state === 'open') peer.#events.message(message);
    this.#buffered -= message.length;
    if (this.#wasFull && this.#buffered < drainedBelow && this.#state === 'open') this.#drain();
  }

  #drain(): void {
    this.#wasFull = false;
    this.#events.drained();
  }

  #end(reason: string): void {
    this.#state = 'closed';
    this.#silence?.();
    this.#network.forget(this);
    this.peer?.watchSilence();
    queueMicrotask(() => {
      if (!this.#vanished) this.#events.closed(reason);
    });
  }

  #later(run: () => void): void {
    queueMicrotask(() => {
      if (this.#state !== 'closed') run();
    });
  }
}

class VirtualSocket implements Socket {
  readonly owner: string;
  readonly #other: string;
  readonly #network: VirtualNetwork;
  readonly #pipe: Pipe;
  #peer: VirtualSocket | undefined;
  #events: Omit<SocketEvents, 'opened'> | undefined;
  #state: 'connecting' | 'open' | 'closed' = 'connecting';
  #vanished = false;

  constructor(network: VirtualNetwork, { owner, other }: { owner: string; other: string }) {
    this.#network = network;
    this.owner = owner;
    this.#other = other;
    this.#pipe = new Pipe(network, owner, other);
  }

  dial(events: SocketEvents, node: () => AcceptSocket | undefined): void {
    this.#events = events;
    this.#pipe.carry(0, () => {
      if (this.#state === 'closed') return;
      const accept = node();
      const back = new VirtualSocket(this.#network, { owner: this.#other, other: this.owner });
      back.#peer = this;
      this.#peer = back;
      if (accept === undefined) {
        back.#pipe.carry(0, () => this.end('refused'));
        return;
      }
      this.#network.adopt(back);
      back.#state = 'open';
      // Before the node speaks, so that the dialler hears of the opening first.
      back.#pipe.carry(0, () => {
        if (this.#state === 'closed') return;
        this.#state = 'open';
        events.opened();
      });
      back.#events = accept(back, this.owner);
    });
  }

  send(message: Uint8Array): void {
    if (this.#state !== 'open') return;
    const copy = message.slice();
    const peer = this.#peer;
    this.#pipe.carry(copy.length, () => peer?.receive(copy));
  }

  close(): void {
    if (this.#state === 'closed') return;
    const peer = this.#peer;
    this.#pipe.carry(0, () => peer?.end('closed by the other side'));
    this.end('closed here');
  }

  vanish(): void {
    this.#vanished = true;
    const peer = this.#peer;
    this.#pipe.carry(0, () => peer?.end('connection lost'));
    this.end('gone');
  }

  resume(): void {
    this.#pipe.resume();
  }

  receive(message: Uint8Array): void {
    if (this.#state !== 'open') return;
    if (message.length <= limits.socketMessageBytes) this.#events?.message(message);
    else this.close();
  }

  end(reason: string): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#network.forget(this);
    queueMicrotask(() => {
      if (!this.#vanished) this.#events?.closed(reason);
    });
  }
}

/** A description like a browser's; the ice-ufrag says which virtual link it is of. */
function describe(kind: 'offer' | 'answer', ufrag: string, fingerprint: Uint8Array): string {
  const colons = hex(fingerprint)
    .toUpperCase()
    .replace(/..(?!$)/g, '$&:');
  const lines = [
    'v=0',
    'o=- 1 2 IN IP4 127.0.0.1',
    's=-',
    't=0 0',
    'a=group:BUNDLE 0',
    'm=application 9 UDP/DTLS/SCTP webrtc-datachannel',
    'c=IN IP4 0.0.0.0',
    'a=mid:0',
    `a=ice-ufrag:${ufrag}`,
    'a=ice-pwd:virtualvirtualvirtual00',
    'a=ice-options:trickle',
    `a=fingerprint:sha-256 ${colons}`,
    `a=setup:${kind === 'offer' ? 'actpass' : 'active'}`,
    'a=sctp-port:5000',
    'a=max-message-size:262144',
  ];
  return lines.map((line) => `${line}\r\n`).join('');
}

function readDescription(sdp: string): { ufrag: string; fingerprint: Uint8Array } | undefined {
  const ufrag = /^a=ice-ufrag:(\S+)\r?$/m.exec(sdp)?.[1];
  const colons = /^a=fingerprint:sha-256 ([0-9A-F]{2}(?::[0-9A-F]{2}){31})\r?$/im.exec(sdp)?.[1];
  if (ufrag === undefined || colons === undefined) return undefined;
  return { ufrag, fingerprint: fromHex(colons.replaceAll(':', '').toLowerCase()) };
}
