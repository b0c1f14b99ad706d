// The life of one link to one device, from the first knock to the last byte, as a pure machine (spec/protocol.md §6).
import type { LinkFacts, LinkRole } from '../keys/link-confirm.ts';
import { compare, equal } from '../wire/bytes.ts';
import type { Did } from '../wire/ids.ts';
import { limits } from '../wire/limits.ts';
import type { LinkConfirmMessage } from '../wire/peer-messages.ts';
import type { SignalBody, SignalPayload } from '../wire/signal.ts';
import type { LinkFingerprints, LinkSignal } from './ports.ts';

/** Why a link or an attempt ended; mesh/links.ts chooses the pause before the next try by it. */
export type LinkEnd = 'declined' | 'unreachable' | 'not-connected' | 'not-confirmed' | 'lost' | 'hung-up';

type Descriptions = { sid: Uint8Array; role: LinkRole; offer: string; answer: string };

export type PeerLinkState =
  | { at: 'idle' }
  | { at: 'knocking'; sid: Uint8Array; nonce: Uint8Array }
  | { at: 'welcomed'; sid: Uint8Array; nonce: Uint8Array }
  | { at: 'offering'; sid: Uint8Array; theirNonce: Uint8Array; offer: string | undefined; waiting: string[] }
  | { at: 'answering'; sid: Uint8Array; offer: string; answer: string | undefined; waiting: string[] }
  | { at: 'connecting'; descriptions: Descriptions }
  | {
      at: 'confirming';
      descriptions: Descriptions;
      fingerprints: LinkFingerprints;
      nonce: Uint8Array;
      facts: LinkFacts | undefined;
      proof: 'none' | 'made' | 'seen';
    }
  | { at: 'open'; facts: LinkFacts; role: LinkRole }
  | { at: 'ended'; end: LinkEnd };

export type PeerLinkEvent =
  /** Start from this side, with fresh random bytes. */
  | { on: 'dial'; sid: Uint8Array; nonce: Uint8Array }
  /** A signal of the other device, its seal and signature checked. `nonce`: fresh random bytes to answer a knock with. */
  | { on: 'signal'; body: SignalBody; nonce: Uint8Array }
  | { on: 'local-signal'; signal: LinkSignal }
  | { on: 'connected'; fingerprints: LinkFingerprints; nonce: Uint8Array }
  | { on: 'confirm'; message: LinkConfirmMessage }
  | { on: 'proof-made'; signature: Uint8Array }
  | { on: 'proof-checked'; valid: boolean }
  | { on: 'disconnected' }
  /** The node says that the other device has no socket. */
  | { on: 'not-there' }
  | { on: 'timeout' }
  | { on: 'hang-up' };

export type PeerLinkEffect =
  | { do: 'signal'; sid: Uint8Array; payload: SignalPayload }
  | { do: 'build'; role: LinkRole }
  /** Closes the connection that was built, because the attempt starts anew. */
  | { do: 'drop' }
  | { do: 'apply'; signal: LinkSignal }
  | { do: 'write'; message: LinkConfirmMessage }
  | { do: 'make-proof'; facts: LinkFacts }
  | { do: 'check-proof'; facts: LinkFacts; signature: Uint8Array }
  | { do: 'opened'; facts: LinkFacts; role: LinkRole }
  /** Replaces the timer that ran. */
  | { do: 'timer'; ms: number }
  | { do: 'end'; end: LinkEnd };

/** Milliseconds that each waiting state may last. */
export const linkTimes = { knocking: 5_000, welcomed: 10_000, connecting: 15_000, confirming: limits.linkConfirmTime } as const;

export type PeerLinkSides = { me: Did; them: Did; hashOf(offer: string): Uint8Array };

type Step = [PeerLinkState, PeerLinkEffect[]];

export function stepPeerLink(state: PeerLinkState, event: PeerLinkEvent, sides: PeerLinkSides): Step {
  if (state.at === 'ended') return [state, []];
  switch (event.on) {
    case 'dial':
      return state.at === 'idle' ? knock(event.sid, event.nonce) : [state, []];
    case 'signal':
      return signalled(state, event, sides);
    case 'local-signal':
      return locallySignalled(state, event.signal, sides);
    case 'connected':
      return connected(state, event);
    case 'confirm':
      return confirmed(state, event.message, sides);
    case 'proof-made':
      return proofMade(state, event.signature);
    case 'proof-checked':
      return proofChecked(state, event.valid);
    case 'disconnected':
      return end(state.at === 'open' ? 'lost' : 'not-connected');
    case 'not-there':
      return state.at === 'knocking' ? end('unreachable') : [state, []];
    case 'timeout':
      return timedOut(state);
    case 'hang-up':
      return end('hung-up');
    default:
      event satisfies never;
      return [state, []];
  }
}

function knock(sid: Uint8Array, nonce: Uint8Array): Step {
  return [
    { at: 'knocking', sid, nonce },
    [
      { do: 'timer', ms: linkTimes.knocking },
      // The driver puts the device's present lock key into the knock.
      { do: 'signal', sid, payload: { kind: 'knock', nonce, lockKey: new Uint8Array() } },
    ],
  ];
}

function signalled(state: PeerLinkState, event: { body: SignalBody; nonce: Uint8Array }, sides: PeerLinkSides): Step {
  const { sid, payload } = event.body;
  if (payload.kind === 'knock') return knocked(state, event, payload.nonce, sides);
  if (!('sid' in state) || !equal(state.sid, sid)) return signalledLate(state, event.body, sides);
  switch (payload.kind) {
    case 'welcome':
      if (state.at !== 'knocking' || !equal(payload.knockNonce, state.nonce)) return [state, []];
      return [
        { at: 'offering', sid, theirNonce: payload.nonce, offer: undefined, waiting: [] },
        [
          { do: 'timer', ms: linkTimes.connecting },
          { do: 'build', role: 'offerer' },
        ],
      ];
    case 'decline':
      return state.at === 'knocking' && equal(payload.knockNonce, state.nonce) ? end('declined') : [state, []];
    case 'offer':
      // The nonce is what makes yesterday's offer worthless.
      if (state.at !== 'welcomed' || !equal(payload.nonce, state.nonce)) return [state, []];
      return [
        { at: 'answering', sid, offer: payload.sdp, answer: undefined, waiting: [] },
        [
          { do: 'timer', ms: linkTimes.connecting },
          { do: 'build', role: 'answerer' },
          { do: 'apply', signal: { kind: 'offer', sdp: payload.sdp } },
        ],
      ];
    case 'answer':
      if (state.at !== 'offering' || state.offer === undefined || !equal(payload.offerHash, sides.hashOf(state.offer)))
        return [state, []];
      return [
        { at: 'connecting', descriptions: { sid, role: 'offerer', offer: state.offer, answer: payload.sdp } },
        [{ do: 'apply', signal: { kind: 'answer', sdp: payload.sdp } }, ...state.waiting.map(applyCandidate)],
      ];
    case 'candidate':
      return candidateCame(state, payload, sides);
    case 'bye':
      return end('hung-up');
    default:
      payload satisfies never;
      return [state, []];
  }
}

function knocked(
  state: PeerLinkState,
  event: { body: SignalBody; nonce: Uint8Array },
  theirNonce: Uint8Array,
  sides: PeerLinkSides,
): Step {
  const { sid } = event.body;
  // Glare: both knock. The lower did's offer wins, so the lower one keeps knocking and the higher one welcomes. A knock that comes
  // behind their welcome is a new beginning.
  if (state.at === 'knocking' && compare(sides.me, sides.them) < 0) return [state, []];
  const welcome: PeerLinkEffect = { do: 'signal', sid, payload: { kind: 'welcome', knockNonce: theirNonce, nonce: event.nonce } };
  return [{ at: 'welcomed', sid, nonce: event.nonce }, [{ do: 'drop' }, { do: 'timer', ms: linkTimes.welcomed }, welcome]];
}

/** Candidates and goodbyes that come once the descriptions are known. */
function signalledLate(state: PeerLinkState, body: SignalBody, sides: PeerLinkSides): Step {
  const sid =
    state.at === 'connecting' || state.at === 'confirming'
      ? state.descriptions.sid
      : state.at === 'open'
        ? state.facts.sid
        : undefined;
  if (sid === undefined || !equal(sid, body.sid)) return [state, []];
  if (body.payload.kind === 'bye') return end('hung-up');
  if (body.payload.kind === 'candidate') return candidateCame(state, body.payload, sides);
  return [state, []];
}

function candidateCame(state: PeerLinkState, payload: { offerHash: Uint8Array; candidate: string }, sides: PeerLinkSides): Step {
  const offer = offerOf(state);
  if (offer === undefined || !equal(payload.offerHash, sides.hashOf(offer))) return [state, []];
  if (state.at === 'offering') {
    if (state.waiting.length >= limits.sdpCandidates) return [state, []];
    return [{ ...state, waiting: [...state.waiting, payload.candidate] }, []];
  }
  return [state, [applyCandidate(payload.candidate)]];
}

function offerOf(state: PeerLinkState): string | undefined {
  switch (state.at) {
    case 'offering':
    case 'answering':
      return state.offer;
    case 'connecting':
    case 'confirming':
      return state.descriptions.offer;
    case 'open':
      return state.facts.offerSdp;
    default:
      return undefined;
  }
}

function applyCandidate(candidate: string): PeerLinkEffect {
  return { do: 'apply', signal: { kind: 'candidate', candidate } };
}

function locallySignalled(state: PeerLinkState, signal: LinkSignal, sides: PeerLinkSides): Step {
  if (state.at === 'offering' && signal.kind === 'offer' && state.offer === undefined) {
    const send: PeerLinkEffect = {
      do: 'signal',
      sid: state.sid,
      payload: { kind: 'offer', nonce: state.theirNonce, sdp: signal.sdp },
    };
    return [{ ...state, offer: signal.sdp }, [send]];
  }
  if (state.at === 'answering' && signal.kind === 'answer') {
    const offerHash = sides.hashOf(state.offer);
    return [
      { at: 'connecting', descriptions: { sid: state.sid, role: 'answerer', offer: state.offer, answer: signal.sdp } },
      [
        { do: 'signal', sid: state.sid, payload: { kind: 'answer', offerHash, sdp: signal.sdp } },
        ...state.waiting.map(
          (candidate): PeerLinkEffect => ({ do: 'signal', sid: state.sid, payload: { kind: 'candidate', offerHash, candidate } }),
        ),
      ],
    ];
  }
  if (signal.kind !== 'candidate') return [state, []];
  // Before the answer is out, a candidate of ours would overtake it.
  if (state.at === 'answering') return [{ ...state, waiting: [...state.waiting, signal.candidate] }, []];
  const offer = offerOf(state);
  if (offer === undefined) return [state, []];
  const sid =
    'sid' in state ? state.sid : state.at === 'connecting' || state.at === 'confirming' ? state.descriptions.sid : undefined;
  if (sid === undefined) return [state, []];
  return [
    state,
    [{ do: 'signal', sid, payload: { kind: 'candidate', offerHash: sides.hashOf(offer), candidate: signal.candidate } }],
  ];
}

function connected(state: PeerLinkState, event: { fingerprints: LinkFingerprints; nonce: Uint8Array }): Step {
  if (state.at !== 'connecting') return end('not-confirmed');
  return [
    {
      at: 'confirming',
      descriptions: state.descriptions,
      fingerprints: event.fingerprints,
      nonce: event.nonce,
      facts: undefined,
      proof: 'none',
    },
    [
      { do: 'timer', ms: linkTimes.confirming },
      { do: 'write', message: { type: 'link-hello', nonce: event.nonce } },
    ],
  ];
}

function confirmed(state: PeerLinkState, message: LinkConfirmMessage, sides: PeerLinkSides): Step {
  if (state.at !== 'confirming') return [state, []];
  if (message.type === 'link-hello') {
    if (state.facts !== undefined) return end('not-confirmed');
    const facts = factsOf(state, message.nonce, sides);
    return [{ ...state, facts }, [{ do: 'make-proof', facts }]];
  }
  if (message.type === 'link-proof' && state.facts !== undefined) {
    return [state, [{ do: 'check-proof', facts: state.facts, signature: message.signature }]];
  }
  return end('not-confirmed');
}

function factsOf(
  state: { descriptions: Descriptions; fingerprints: LinkFingerprints; nonce: Uint8Array },
  theirNonce: Uint8Array,
  sides: PeerLinkSides,
): LinkFacts {
  const { sid, offer, answer, role } = state.descriptions;
  const mine = { did: sides.me, fingerprint: state.fingerprints.local, nonce: state.nonce };
  const theirs = { did: sides.them, fingerprint: state.fingerprints.remote, nonce: theirNonce };
  const [offerer, answerer] = role === 'offerer' ? [mine, theirs] : [theirs, mine];
  return { sid, offerSdp: offer, answerSdp: answer, offerer, answerer };
}

function proofMade(state: PeerLinkState, signature: Uint8Array): Step {
  if (state.at !== 'confirming' || state.facts === undefined) return [state, []];
  const write: PeerLinkEffect = { do: 'write', message: { type: 'link-proof', signature } };
  if (state.proof === 'seen') return open(state.facts, state.descriptions.role, [write]);
  return [{ ...state, proof: 'made' }, [write]];
}

function proofChecked(state: PeerLinkState, valid: boolean): Step {
  if (state.at !== 'confirming' || state.facts === undefined) return [state, []];
  if (!valid) return end('not-confirmed');
  if (state.proof === 'made') return open(state.facts, state.descriptions.role, []);
  return [{ ...state, proof: 'seen' }, []];
}

function open(facts: LinkFacts, role: LinkRole, before: PeerLinkEffect[]): Step {
  return [{ at: 'open', facts, role }, [...before, { do: 'opened', facts, role }]];
}

function timedOut(state: PeerLinkState): Step {
  switch (state.at) {
    case 'knocking':
    case 'welcomed':
      return end('unreachable');
    case 'offering':
    case 'answering':
    case 'connecting':
      return end('not-connected');
    case 'confirming':
      return end('not-confirmed');
    default:
      return [state, []];
  }
}

function end(reason: LinkEnd): Step {
  return [{ at: 'ended', end: reason }, [{ do: 'end', end: reason }]];
}
