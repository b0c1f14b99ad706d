// Links of a headless peer, by werift: the one importer of that package, with what its version 0.25.2 needs to be worked around.
import { createHash } from 'node:crypto';
import { parseMessage, type RTCDataChannel, RTCPeerConnection } from 'werift';
import { guardLink, type LinkEngine, type LinkEngineEvents, type LinkStart } from '../mesh/guarded-link.ts';
import type { LinkFingerprints, LinkRoute, OpenLink } from '../mesh/ports.ts';
import { type CandidatePolicy, readFingerprint } from '../mesh/sdp.ts';
import { equal } from '../wire/bytes.ts';
import { hardenWerift, wrap } from './werift-hardening.ts';

/** What Chromium says and takes. */
const maxMessageSize = 256 * 1024;
/** Seconds. A STUN server that is gone would hold back every answer for 5; much less misses slow ones. */
const stunPatience = 2;
const fullAbove = 256 * 1024;
const drainedBelow = 64 * 1024;
/** werift's queue takes time by the square of its length. */
const unsentMax = 32;
const unsentDrained = 8;

export function weriftLinks(policy: CandidatePolicy): OpenLink {
  return (start) => guardLink(start, policy, (events) => new WeriftEngine(start, policy, events));
}

class WeriftEngine implements LinkEngine {
  readonly #events: LinkEngineEvents;
  readonly #connection: RTCPeerConnection;
  readonly #asksStun: boolean;
  #channel: RTCDataChannel | undefined;
  #isOpen = false;
  /** Sizes of messages that werift has not sent yet, oldest first. */
  #unsent: number[] = [];

  constructor({ role, iceServers }: LinkStart, policy: CandidatePolicy, events: LinkEngineEvents) {
    this.#events = events;
    this.#asksStun = iceServers.some(({ urls }) => urls.some((url) => url.startsWith('stun')));
    this.#connection = new RTCPeerConnection({
      iceServers: iceServers.flatMap(({ urls, username, credential }) =>
        urls.map((url) => ({ urls: url, username, credential })),
      ),
      iceTransportPolicy: policy.relayOnly ? 'relay' : 'all',
      iceStunGatherTimeout: stunPatience,
      maxMessageSize,
      ...(policy.allowLoopback ? { iceAdditionalHostAddresses: ['127.0.0.1'] } : {}),
    });
    this.#listen(role);
    if (role === 'offerer') this.#offer();
  }

  describe(kind: 'offer' | 'answer', sdp: string): void {
    this.#do(async () => {
      await this.#connection.setRemoteDescription({ type: kind, sdp });
      if (kind === 'offer') await this.#answer();
    });
  }

  // Not one after the other: werift waits in each for as long as it likes.
  addCandidate(candidate: string): void {
    // It would ask the local network for the name, and 10 s for the answer. The browser that hides behind it reaches us.
    if (/\.local /i.test(candidate)) return;
    this.#do(() => this.#connection.addIceCandidate({ candidate, sdpMLineIndex: 0 }));
  }

  write(message: Uint8Array): 'sent' | 'full' {
    const channel = this.#channel;
    if (channel === undefined) return 'full';
    this.#countUnsent(channel);
    if (this.#unsent.length >= unsentMax || channel.bufferedAmount + message.length > fullAbove) return 'full';
    this.#unsent.push(message.length);
    channel.send(Buffer.from(message));
    return 'sent';
  }

  async route(): Promise<LinkRoute> {
    const pair = this.#ice()?.nominated;
    if (pair === undefined) return 'unknown';
    return [pair.localCandidate.type, pair.remoteCandidate.type].includes('relay') ? 'relayed' : 'direct';
  }

  // werift closes its socket one turn of the event loop after it said goodbye. What is still queued then is lost, so let it go first.
  stop(): void {
    this.#do(async () => {
      for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setImmediate(resolve));
      await this.#connection.close();
    });
  }

  #listen(role: 'offerer' | 'answerer'): void {
    const connection = this.#connection;
    connection.onIceCandidate.subscribe((candidate) => {
      if (candidate?.candidate !== undefined) this.#events.gathered(candidate.candidate);
    });
    connection.connectionStateChange.subscribe((state) => this.#watch(state));
    connection.iceConnectionStateChange.subscribe((state) => this.#watch(state));
    connection.onDataChannel.subscribe((channel) => {
      const fits = role === 'answerer' && this.#channel === undefined && isOrderedAndReliable(channel);
      if (fits) this.#use(channel);
      else this.#events.failed('channel that is not due');
    });
  }

  #watch(state: string): void {
    if (state === 'failed' || state === 'closed') this.#events.failed(`connection ${state}`);
  }

  #offer(): void {
    this.#use(this.#connection.createDataChannel('secure'));
    this.#prepare();
    this.#do(async () => {
      const offer = await this.#connection.createOffer();
      this.#events.described('offer', offer.sdp);
      await this.#connection.setLocalDescription(offer);
    });
  }

  async #answer(): Promise<void> {
    this.#prepare();
    const answer = await this.#connection.createAnswer();
    // As the DTLS client, which answerers are by default, it would wait for 100 ms before its first packet.
    const sdp = answer.sdp.replace('a=setup:active', 'a=setup:passive');
    this.#events.described('answer', sdp);
    await this.#connection.setLocalDescription({ type: 'answer', sdp });
  }

  /** Once the transports are there, and before the first packet goes out. */
  #prepare(): void {
    const dtls = this.#connection.dtlsTransports[0];
    const channels = this.#connection.sctpTransport;
    const ice = this.#ice();
    if (dtls === undefined || channels === undefined || ice === undefined) throw new Error('werift has no transport');
    // Without a STUN server of ours it asks one that the public runs.
    if (!this.#asksStun) delete ice.stunServer;
    const isSigned = (stun: Buffer, password: Buffer) => parseMessage(stun, password) !== undefined;
    hardenWerift({ ice, dtls, channels, isSigned }, (reason) => this.#events.failed(reason));
    // A relay that answers late is never tried with the candidates that are there already.
    ice.onIceCandidate.subscribe((candidate) => {
      if (candidate.type === 'relay') pairAgain(ice);
    });
  }

  #use(channel: RTCDataChannel): void {
    this.#channel = channel;
    channel.onMessage.subscribe((message) => this.#events.received(message));
    channel.stateChanged.subscribe((state) => {
      if (state === 'open') this.#opened();
      if (state === 'closing' || state === 'closed') this.#events.failed('closed by the other side');
    });
    wrap(channel, 'addBufferedAmount', (add) => (amount) => {
      add(amount);
      if (typeof amount === 'number' && amount < 0) this.#sent(channel);
    });
  }

  #opened(): void {
    if (this.#isOpen) return;
    this.#isOpen = true;
    const fingerprints = fingerprintsOf(this.#connection);
    if (fingerprints === undefined) this.#events.failed('certificate does not match');
    else this.#events.opened(fingerprints);
  }

  #sent(channel: RTCDataChannel): void {
    this.#countUnsent(channel);
    if (this.#unsent.length <= unsentDrained && channel.bufferedAmount < drainedBelow) this.#events.drained();
  }

  /** What is unsent are the newest messages that add up to what werift says is buffered. */
  #countUnsent(channel: RTCDataChannel): void {
    let sum = this.#unsent.reduce((total, size) => total + size, 0);
    while (this.#unsent.length > 0 && sum > channel.bufferedAmount) sum -= this.#unsent.shift() ?? 0;
  }

  #ice() {
    return this.#connection.iceTransports[0]?.connection;
  }

  #do(run: () => Promise<unknown>): void {
    run().catch((error: unknown) => this.#events.failed(error instanceof Error ? error.message : 'werift failed'));
  }
}

function isOrderedAndReliable(channel: RTCDataChannel): boolean {
  return channel.ordered && channel.maxRetransmits === null && channel.maxPacketLifeTime === null;
}

/** From the descriptions in force; the remote one must be that of the certificate in use. */
function fingerprintsOf(connection: RTCPeerConnection): LinkFingerprints | undefined {
  const local = readFingerprint(connection.localDescription?.sdp ?? '');
  const remote = readFingerprint(connection.remoteDescription?.sdp ?? '');
  const certificate = connection.dtlsTransports[0]?.dtls?.remoteCertificate;
  if (local === undefined || remote === undefined || certificate === undefined) return undefined;
  const live = new Uint8Array(createHash('sha256').update(certificate).digest());
  return equal(live, remote) ? { local, remote } : undefined;
}

function pairAgain(ice: object): void {
  const protocols: unknown = Reflect.get(ice, 'protocols');
  if (!Array.isArray(protocols)) throw new Error('werift has no protocols');
  for (const protocol of protocols) call(ice, 'pairLocalProtocol', protocol);
  call(ice, 'sortCheckList');
}

function call(target: object, name: string, ...args: unknown[]): void {
  const method: unknown = Reflect.get(target, name);
  if (typeof method !== 'function') throw new Error(`werift has no ${name}`);
  Reflect.apply(method, target, args);
}
