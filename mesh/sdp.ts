// Session descriptions and candidates of strangers: read strictly, and rebuilt from what was read (spec/protocol.md §6).
import { fromHex } from '../wire/bytes.ts';
import { limits } from '../wire/limits.ts';

export type SdpRefusal =
  | 'too-large'
  | 'malformed'
  | 'not-one-data-channel'
  | 'not-one-sha-256-fingerprint'
  | 'bad-setup'
  | 'bad-ice-credentials'
  | 'bad-sctp'
  | 'too-many-candidates';
export type RebuiltSdp = { outcome: 'rebuilt'; sdp: string } | { outcome: 'refused'; reason: SdpRefusal };

/** `relayOnly`: the privacy mode. `allowLoopback`: for peers that all run on one machine, as in specs. */
export type CandidatePolicy = { relayOnly: boolean; allowLoopback: boolean };
export type RebuiltCandidate =
  | { outcome: 'rebuilt'; candidate: string }
  /** Honest, but of no use here: TCP, link-local, or not relayed where only relays may be. */
  | { outcome: 'ignored' }
  | { outcome: 'refused'; reason: 'malformed' | 'bad-address' };

const sdpBytes = 8192;
/** What we say and the most we believe, whatever the other side claims: above it no engine of ours can send. */
const maxMessageSize = 256 * 1024;
/** RFC 8841 §6: what holds where nothing is said. */
const unsaidMessageSize = 64 * 1024;

const iceText = (least: number, most: number) => new RegExp(`^[A-Za-z0-9+/]{${least},${most}}$`);
const iceUfrag = iceText(4, 64);
const icePwd = iceText(22, 128);
const token = /^[A-Za-z0-9]{1,16}$/;
const fingerprint = /^sha-256 ([0-9a-f]{2}(?::[0-9a-f]{2}){31})$/i;
const printableLines = /^(?:[\x20-\x7e]*\r?\n)+$/;

/**
 * A description with one data channel and nothing else, made of the few values that may differ. Candidates are counted and left
 * out: they travel as signals of their own, where the policy for them is known.
 */
export function rebuildSdp(sdp: string, kind: 'offer' | 'answer'): RebuiltSdp {
  const refused = (reason: SdpRefusal): RebuiltSdp => ({ outcome: 'refused', reason });
  if (sdp.length > sdpBytes) return refused('too-large');
  if (!printableLines.test(sdp)) return refused('malformed');
  const lines = sdp.split(/\r?\n/);
  const valuesOf = (start: string) => lines.filter((line) => line.startsWith(start)).map((line) => line.slice(start.length));
  const oneValue = (start: string) => {
    const values = valuesOf(start);
    return values.length === 1 ? (values[0] ?? '') : '';
  };

  if (lines[0] !== 'v=0') return refused('malformed');
  if (!/^application [1-9]\d{0,4} (?:UDP|TCP)\/DTLS\/SCTP webrtc-datachannel$/.test(oneValue('m=')))
    return refused('not-one-data-channel');
  const mid = oneValue('a=mid:');
  if (!token.test(mid)) return refused('malformed');

  const print = fingerprint.exec(oneValue('a=fingerprint:'))?.[1];
  if (print === undefined) return refused('not-one-sha-256-fingerprint');
  const setup = oneValue('a=setup:');
  if (!(kind === 'offer' ? setup === 'actpass' : setup === 'active' || setup === 'passive')) return refused('bad-setup');
  const ufrag = oneValue('a=ice-ufrag:');
  const pwd = oneValue('a=ice-pwd:');
  if (!iceUfrag.test(ufrag) || !icePwd.test(pwd)) return refused('bad-ice-credentials');

  const port = oneValue('a=sctp-port:');
  const size = messageSize(valuesOf('a=max-message-size:'));
  if (!isPort(port) || size === undefined) return refused('bad-sctp');
  if (valuesOf('a=candidate:').length > limits.sdpCandidates) return refused('too-many-candidates');

  const rebuilt = [
    'v=0',
    'o=- 1 1 IN IP4 0.0.0.0',
    's=-',
    't=0 0',
    `a=group:BUNDLE ${mid}`,
    'm=application 9 UDP/DTLS/SCTP webrtc-datachannel',
    'c=IN IP4 0.0.0.0',
    `a=mid:${mid}`,
    `a=ice-ufrag:${ufrag}`,
    `a=ice-pwd:${pwd}`,
    'a=ice-options:trickle',
    `a=fingerprint:sha-256 ${print.toUpperCase()}`,
    `a=setup:${setup}`,
    `a=sctp-port:${Number(port)}`,
    `a=max-message-size:${size}`,
  ];
  return { outcome: 'rebuilt', sdp: rebuilt.map((line) => `${line}\r\n`).join('') };
}

/** The SHA-256 of the DTLS certificate that a description promises, 32 bytes; undefined where it has none, or several. */
export function readFingerprint(sdp: string): Uint8Array | undefined {
  const prints = [...sdp.matchAll(/^a=fingerprint:(.*?)\r?$/gm)].map((match) => match[1] ?? '');
  const print = prints.length === 1 ? fingerprint.exec(prints[0] ?? '')?.[1] : undefined;
  return print === undefined ? undefined : fromHex(print.replaceAll(':', '').toLowerCase());
}

function messageSize(values: string[]): number | undefined {
  if (values.length > 1 || !/^\d{1,10}$/.test(values[0] ?? '0')) return undefined;
  const said = values.length === 0 ? unsaidMessageSize : Number(values[0]);
  // RFC 8841 §6.1: 0 is "any size".
  const size = said === 0 ? maxMessageSize : Math.min(said, maxMessageSize);
  return size < limits.linkMessageBytes ? undefined : size;
}

const candidateLine =
  /^(?:a=)?candidate:([A-Za-z0-9+/]{1,32}) (\d{1,3}) (udp|tcp) (\d{1,10}) ([0-9A-Fa-f.:]{2,45}|[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\.local) (\d{1,5}) typ (host|srflx|prflx|relay)( [\x20-\x7e]*)?$/i;

/** A candidate with an address and nothing that is not needed to reach it: no related address, no network names. */
export function rebuildCandidate(line: string, policy: CandidatePolicy): RebuiltCandidate {
  const match = line.length > 512 ? null : candidateLine.exec(line.trimEnd());
  const [, foundation = '', component, transport, priority, address = '', port = '', kind] = match ?? [];
  if (match === null || !isPort(port) || Number(priority) >= 2 ** 32) return { outcome: 'refused', reason: 'malformed' };

  const reach = reachOf(address);
  if (reach === 'nowhere' || (reach === 'loopback' && !policy.allowLoopback))
    return { outcome: 'refused', reason: 'bad-address' };
  const type = kind?.toLowerCase();
  // prflx is what a peer finds out by itself; nobody signals it.
  if (type === 'prflx' || component !== '1') return { outcome: 'refused', reason: 'malformed' };
  if (transport?.toLowerCase() !== 'udp' || reach === 'link-local') return { outcome: 'ignored' };
  if (policy.relayOnly && type !== 'relay') return { outcome: 'ignored' };

  // RFC 8839 §5.1: everything but host has a related address; where it is not to be told it is 0.0.0.0 9.
  const related = type === 'host' ? '' : ` raddr ${address.includes(':') ? '::' : '0.0.0.0'} rport 9`;
  const candidate = `candidate:${foundation} 1 udp ${Number(priority)} ${address} ${Number(port)} typ ${type}${related}`;
  return { outcome: 'rebuilt', candidate };
}

function isPort(text: string): boolean {
  return /^\d{1,5}$/.test(text) && Number(text) >= 1 && Number(text) <= 65535;
}

type Reach = 'anywhere' | 'link-local' | 'loopback' | 'nowhere';

function reachOf(address: string): Reach {
  // draft-ietf-mmusic-mdns-ice-candidates: what browsers say instead of an address of the local network.
  if (/\.local$/i.test(address)) return 'anywhere';
  return address.includes(':') ? reachOf6(address) : reachOf4(address);
}

function reachOf4(address: string): Reach {
  const bytes = /^\d{1,3}(?:\.\d{1,3}){3}$/.test(address) ? address.split('.').map(Number) : [];
  const [first = 0, second] = bytes;
  if (bytes.length !== 4 || bytes.some((byte) => byte > 255) || first === 0 || first >= 224) return 'nowhere';
  if (first === 127) return 'loopback';
  return first === 169 && second === 254 ? 'link-local' : 'anywhere';
}

function reachOf6(address: string): Reach {
  const words = words6(address);
  if (words === undefined) return 'nowhere';
  const [first = 0] = words;
  const upper = words.slice(0, 5).every((word) => word === 0);
  // ::, ::1, and the forms that carry an IPv4 address, which may be any of those refused above.
  if (upper && words[5] === 0) return words[6] === 0 && words[7] === 1 ? 'loopback' : 'nowhere';
  if (upper && words[5] === 0xffff) return 'nowhere';
  if (first >= 0xff00) return 'nowhere';
  return (first & 0xffc0) === 0xfe80 ? 'link-local' : 'anywhere';
}

/** The eight words of an IPv6 address; undefined for anything else. A dotted tail is not taken: no engine writes it. */
function words6(address: string): number[] | undefined {
  const halves = address.split('::');
  if (halves.length > 2) return undefined;
  const [head = [], tail = []] = halves.map((half) => (half === '' ? [] : half.split(':')));
  if (![...head, ...tail].every((word) => /^[0-9a-f]{1,4}$/i.test(word))) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  return [...head, ...new Array<string>(missing).fill('0'), ...tail].map((word) => Number.parseInt(word, 16));
}
