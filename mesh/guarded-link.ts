// What every link promises whichever WebRTC engine carries it: few signals, bounded messages, one end, no call back from within a call.
import { limits } from '../wire/limits.ts';
import type { IceServerUrls, Link, LinkEvents, LinkFingerprints, LinkRoute, LinkSignal } from './ports.ts';
import { type CandidatePolicy, rebuildCandidate, rebuildSdp } from './sdp.ts';

/** The part that differs. Whatever it throws ends the link. */
export interface LinkEngine {
  describe(kind: 'offer' | 'answer', sdp: string): void;
  addCandidate(candidate: string): void;
  /** 'full' promises a later `drained`. */
  write(message: Uint8Array): 'sent' | 'full';
  route(): Promise<LinkRoute>;
  /** Frees everything it holds. */
  stop(): void;
}

/** None of them before the engine was returned. */
export type LinkEngineEvents = {
  described(kind: 'offer' | 'answer', sdp: string): void;
  gathered(candidate: string): void;
  opened(fingerprints: LinkFingerprints): void;
  /** Anything but bytes ends the link. */
  received(data: unknown): void;
  drained(): void;
  failed(reason: string): void;
};

export type LinkStart = { role: 'offerer' | 'answerer'; iceServers: IceServerUrls[]; events: LinkEvents };

export function guardLink(
  { role, iceServers, events }: LinkStart,
  policy: CandidatePolicy,
  startEngine: (engineEvents: LinkEngineEvents) => LinkEngine,
): Link {
  const link = new GuardedLink(role, policy, events);
  const mayRelay = iceServers.some(({ urls }) => urls.some((url) => /^turns?:/.test(url)));
  // An engine that is asked for relays and has none may fall back to direct ways.
  if (policy.relayOnly && !mayRelay) link.fail('no TURN server');
  else link.run(startEngine);
  return link;
}

class GuardedLink implements Link {
  readonly #role: 'offerer' | 'answerer';
  readonly #policy: CandidatePolicy;
  readonly #events: LinkEvents;
  #engine: LinkEngine | undefined;
  #state: 'connecting' | 'open' | 'closed' = 'connecting';
  #described = false;
  #candidatesIn = 0;
  #candidatesOut = 0;
  #wasFull = false;

  constructor(role: 'offerer' | 'answerer', policy: CandidatePolicy, events: LinkEvents) {
    this.#role = role;
    this.#policy = policy;
    this.#events = events;
  }

  run(startEngine: (engineEvents: LinkEngineEvents) => LinkEngine): void {
    this.#try(() => {
      this.#engine = startEngine({
        described: (kind, sdp) => this.#tellDescription(kind, sdp),
        gathered: (candidate) => this.#tellCandidate(candidate),
        opened: (fingerprints) => this.#open(fingerprints),
        received: (data) => this.#receive(data),
        drained: () => this.#drain(),
        failed: (reason) => this.fail(reason),
      });
    });
  }

  signal(signal: LinkSignal): void {
    if (this.#state === 'closed') return;
    switch (signal.kind) {
      case 'offer':
      case 'answer':
        this.#hearDescription(signal.kind, signal.sdp);
        return;
      case 'candidate':
        this.#hearCandidate(signal.candidate);
        return;
      default:
        signal satisfies never;
        this.fail('unknown signal');
    }
  }

  send(message: Uint8Array): 'sent' | 'full' | 'closed' {
    if (this.#state === 'closed') return 'closed';
    const complaint = sizeComplaint(message);
    if (complaint !== undefined) this.fail(`own ${complaint}`);
    const outcome = this.#state === 'open' ? this.#try(() => this.#engine?.write(message)) : 'full';
    if (outcome === 'full') this.#wasFull = true;
    return this.#isClosed() ? 'closed' : (outcome ?? 'closed');
  }

  async route(): Promise<LinkRoute> {
    if (this.#state !== 'open') return 'unknown';
    try {
      return (await this.#engine?.route()) ?? 'unknown';
    } catch {
      return 'unknown';
    }
  }

  close(): void {
    this.fail('closed here');
  }

  fail(reason: string): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    const engine = this.#engine;
    this.#engine = undefined;
    // Later, so that nobody is called back from within a call.
    void Promise.resolve().then(() => this.#events.closed(reason));
    this.#try(() => engine?.stop());
  }

  #isClosed(): boolean {
    return this.#state === 'closed';
  }

  /** One description and no other: renegotiation, rollback and a second answer are how a peer would change what was agreed. */
  #hearDescription(kind: 'offer' | 'answer', sdp: string): void {
    const due = this.#role === 'offerer' ? 'answer' : 'offer';
    if (kind !== due || this.#described) {
      this.fail(`${kind} where none is due`);
      return;
    }
    const rebuilt = rebuildSdp(sdp, kind);
    if (rebuilt.outcome === 'refused') {
      this.fail(`${kind} refused: ${rebuilt.reason}`);
      return;
    }
    this.#described = true;
    this.#try(() => this.#engine?.describe(kind, rebuilt.sdp));
  }

  #hearCandidate(line: string): void {
    this.#candidatesIn++;
    const rebuilt = rebuildCandidate(line, this.#policy);
    if (this.#candidatesIn > limits.sdpCandidates) this.fail('too many candidates');
    else if (rebuilt.outcome === 'refused') this.fail(`candidate refused: ${rebuilt.reason}`);
    else if (rebuilt.outcome === 'rebuilt') this.#try(() => this.#engine?.addCandidate(rebuilt.candidate));
  }

  // What our own engine says goes through the same sieve: it says more than the other side needs to know.
  #tellDescription(kind: 'offer' | 'answer', sdp: string): void {
    if (this.#state === 'closed') return;
    const rebuilt = rebuildSdp(sdp, kind);
    if (rebuilt.outcome === 'refused') this.fail(`own ${kind}: ${rebuilt.reason}`);
    else this.#events.signal({ kind, sdp: rebuilt.sdp });
  }

  #tellCandidate(line: string): void {
    if (this.#state === 'closed' || this.#candidatesOut >= limits.sdpCandidates) return;
    const rebuilt = rebuildCandidate(line, this.#policy);
    if (rebuilt.outcome !== 'rebuilt') return;
    this.#candidatesOut++;
    this.#events.signal({ kind: 'candidate', candidate: rebuilt.candidate });
  }

  #open(fingerprints: LinkFingerprints): void {
    if (this.#state !== 'connecting') return;
    this.#state = 'open';
    this.#events.opened(fingerprints);
    this.#drain();
  }

  #receive(data: unknown): void {
    if (this.#state !== 'open') return;
    if (!(data instanceof Uint8Array)) {
      this.fail('message that is not bytes');
      return;
    }
    // Engines give their own kinds of Buffer, whose slice() shares memory.
    const message = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    const complaint = sizeComplaint(message);
    if (complaint === undefined) this.#events.message(message);
    else this.fail(complaint);
  }

  #drain(): void {
    if (this.#state !== 'open' || !this.#wasFull) return;
    this.#wasFull = false;
    this.#events.drained();
  }

  #try<T>(run: () => T): T | undefined {
    try {
      return run();
    } catch (error) {
      this.fail(error instanceof Error ? error.message : 'engine failed');
      return undefined;
    }
  }
}

function sizeComplaint(message: Uint8Array): string | undefined {
  const fits = message.length > 0 && message.length <= limits.linkMessageBytes;
  return fits ? undefined : `message of ${message.length} bytes`;
}
