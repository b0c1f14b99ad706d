// Links between browsers and to headless peers, by simple-peer: the one importer of that package.
import SimplePeer from 'simple-peer';
import { guardLink, type LinkEngine, type LinkEngineEvents, type LinkStart } from '../../mesh/guarded-link.ts';
import type { LinkFingerprints, LinkRoute, OpenLink } from '../../mesh/ports.ts';
import { type CandidatePolicy, readFingerprint } from '../../mesh/sdp.ts';
import { copyOf, equal } from '../../wire/bytes.ts';

/** simple-peer tells the channel to report when it falls below 64 KiB, so whoever was refused above this hears of it. */
const fullAbove = 256 * 1024;

const closedByThem = 'closed by the other side';

export function simplePeerLinks(policy: CandidatePolicy): OpenLink {
  return (start) => guardLink(start, policy, (events) => new SimplePeerEngine(start, policy, events));
}

class SimplePeerEngine implements LinkEngine {
  readonly #events: LinkEngineEvents;
  readonly #peer: SimplePeer.Instance;
  readonly #connection: RTCPeerConnection;
  #channel: RTCDataChannel | undefined;
  #failure = closedByThem;

  constructor({ role, iceServers }: LinkStart, policy: CandidatePolicy, events: LinkEngineEvents) {
    this.#events = events;
    this.#peer = new SimplePeer({
      initiator: role === 'offerer',
      trickle: true,
      // Whole messages, also empty ones and texts, so that they can be refused.
      objectMode: true,
      channelName: 'secure',
      // Given even when empty: without it simple-peer asks public servers.
      config: { iceServers, iceTransportPolicy: policy.relayOnly ? 'relay' : 'all' },
    });
    this.#connection = connectionOf(this.#peer);
    this.#peer.on('signal', (signal) => this.#tell(signal));
    this.#peer.on('connect', () => this.#connected());
    this.#peer.on('error', (error) => {
      this.#failure = error.message || closedByThem;
    });
    this.#peer.on('close', () => events.failed(this.#failure));
    this.#acceptOneChannel(role);
  }

  describe(kind: 'offer' | 'answer', sdp: string): void {
    this.#peer.signal({ type: kind, sdp });
  }

  addCandidate(candidate: string): void {
    const json: RTCIceCandidateInit = { candidate, sdpMLineIndex: 0 };
    this.#peer.signal({ type: 'candidate', candidate: new RTCIceCandidate(json) });
  }

  write(message: Uint8Array): 'sent' | 'full' {
    const channel = this.#channel;
    if (channel === undefined || channel.bufferedAmount + message.length > fullAbove) return 'full';
    channel.send(copyOf(message));
    return 'sent';
  }

  async route(): Promise<LinkRoute> {
    return routeIn(await this.#connection.getStats());
  }

  stop(): void {
    this.#peer.destroy();
  }

  // simple-peer also says 'renegotiate' and 'transceiverRequest'; neither is for anyone here.
  #tell(signal: SimplePeer.SignalData): void {
    if (signal.type === 'candidate') this.#events.gathered(signal.candidate.candidate);
    else if (signal.type === 'offer' || signal.type === 'answer') this.#events.described(signal.type, signal.sdp ?? '');
  }

  /** simple-peer lets a second channel of the other side take the place of the first. */
  #acceptOneChannel(role: 'offerer' | 'answerer'): void {
    const accept = this.#connection.ondatachannel;
    let due = role === 'answerer';
    this.#connection.ondatachannel = (event) => {
      const fits = due && isOrderedAndReliable(event.channel);
      due = false;
      if (fits) accept?.call(this.#connection, event);
      else this.#events.failed('channel that is not due');
    };
  }

  #connected(): void {
    this.#channel = channelOf(this.#peer);
    this.#channel.addEventListener('bufferedamountlow', () => this.#events.drained());
    fingerprintsOf(this.#connection).then(
      (fingerprints) => {
        this.#events.opened(fingerprints);
        // Only now: what came before waits in the stream.
        this.#peer.on('data', (data: unknown) => this.#events.received(data));
      },
      (error: unknown) => this.#events.failed(error instanceof Error ? error.message : 'fingerprints'),
    );
  }
}

// What simple-peer holds and does not offer.
function connectionOf(peer: SimplePeer.Instance): RTCPeerConnection {
  const connection: unknown = Reflect.get(peer, '_pc');
  if (!(connection instanceof RTCPeerConnection)) throw new Error('no connection');
  return connection;
}

function channelOf(peer: SimplePeer.Instance): RTCDataChannel {
  const channel: unknown = Reflect.get(peer, '_channel');
  if (!(channel instanceof RTCDataChannel)) throw new Error('no channel');
  return channel;
}

function isOrderedAndReliable(channel: RTCDataChannel): boolean {
  return channel.ordered && channel.maxRetransmits === null && channel.maxPacketLifeTime === null;
}

/** From the descriptions in force, and compared with the certificate that the other side used, where the browser shows it. */
async function fingerprintsOf(connection: RTCPeerConnection): Promise<LinkFingerprints> {
  const local = readFingerprint(connection.localDescription?.sdp ?? '');
  const remote = readFingerprint(connection.remoteDescription?.sdp ?? '');
  if (local === undefined || remote === undefined) throw new Error('description without a fingerprint');
  const [certificate] = remoteCertificatesOf(connection);
  if (certificate !== undefined) {
    const live = new Uint8Array(await crypto.subtle.digest('SHA-256', certificate));
    if (!equal(live, remote)) throw new Error('certificate does not match');
  }
  return { local, remote };
}

function remoteCertificatesOf(connection: RTCPeerConnection): ArrayBuffer[] {
  const transport = connection.sctp?.transport;
  // Firefox has no such method.
  return transport !== undefined && 'getRemoteCertificates' in transport ? transport.getRemoteCertificates() : [];
}

type Stat = Record<string, unknown>;

function isStat(stat: unknown): stat is Stat {
  return typeof stat === 'object' && stat !== null;
}

/** By the candidate pair that carries the packets: a relay at either end makes it relayed. */
function routeIn(stats: RTCStatsReport): LinkRoute {
  const byId = new Map<unknown, Stat>();
  stats.forEach((stat: unknown) => {
    if (isStat(stat)) byId.set(stat['id'], stat);
  });
  const all = [...byId.values()];
  const transport = all.find((stat) => stat['type'] === 'transport');
  // Firefox marks the pair instead of naming it.
  const pair =
    byId.get(transport?.['selectedCandidatePairId']) ??
    all.find((stat) => stat['type'] === 'candidate-pair' && stat['selected'] === true);
  const types = [pair?.['localCandidateId'], pair?.['remoteCandidateId']].map((id) => byId.get(id)?.['candidateType']);
  if (types.includes('relay')) return 'relayed';
  return types.every((type) => typeof type === 'string') ? 'direct' : 'unknown';
}
