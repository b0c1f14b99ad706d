// Looks at SCTP packets and data channel messages before werift does, which loops for ever or throws out of reach on bad ones.

const header = 12;
/** The most chunks of ours that can be unacknowledged, with room: 32 messages of 66 KiB in pieces of about 1150 bytes. */
const gapReach = 4096;

const data = 0;
const init = 1;
const initAck = 2;
const sack = 3;
const shutdown = 7;
const withoutBody = [8, 11, 14];
const cookieEcho = 10;
/** HEARTBEAT, its acknowledgement, ABORT, ERROR, RE-CONFIG: a list of parameters and nothing before it. */
const parameterLists = [4, 5, 6, 9, 130];

/** What is wrong with a decrypted SCTP packet (RFC 9260 §3), undefined when werift can be trusted with it. */
export function sctpFault(packet: Uint8Array): string | undefined {
  if (packet.length < header) return 'SCTP packet without a header';
  for (let at = header; at < packet.length; ) {
    const length = at + 4 <= packet.length ? u16(packet, at + 2) : 0;
    // A length below 4 is where a parser never gets further.
    if (length < 4 || at + length > packet.length) return 'SCTP chunk length';
    const fault = chunkFault(packet[at] ?? 0, packet.subarray(at + 4, at + length));
    if (fault !== undefined) return fault;
    at += padded(length);
  }
  return undefined;
}

function chunkFault(type: number, body: Uint8Array): string | undefined {
  if (parameterLists.includes(type)) return parameterFault(body);
  if (withoutBody.includes(type)) return undefined;
  switch (type) {
    case data:
      return body.length > 12 ? undefined : 'SCTP data without data';
    case init:
    case initAck:
      return body.length >= 16 ? parameterFault(body.subarray(16)) : 'SCTP init too short';
    case sack:
      return sackFault(body);
    case shutdown:
      return body.length >= 4 ? undefined : 'SCTP shutdown too short';
    case cookieEcho:
      return body.length >= 4 ? undefined : 'SCTP cookie too short';
    default:
      // FORWARD-TSN too: it gives up messages, and ours are never given up.
      return `SCTP chunk type ${type}`;
  }
}

function parameterFault(list: Uint8Array): string | undefined {
  for (let at = 0; at + 4 <= list.length; ) {
    const length = u16(list, at + 2);
    if (length < 4 || at + length > list.length) return 'SCTP parameter length';
    at += padded(length);
  }
  return undefined;
}

/** Each number of each gap is visited, and 290 gaps of 65536 fit into one packet. */
function sackFault(body: Uint8Array): string | undefined {
  if (body.length < 12) return 'SCTP sack too short';
  const gaps = u16(body, 8);
  const duplicates = u16(body, 10);
  if (12 + 4 * (gaps + duplicates) > body.length) return 'SCTP sack length';
  let reached = 0;
  for (let gap = 0; gap < gaps; gap++) {
    const start = u16(body, 12 + 4 * gap);
    const end = u16(body, 14 + 4 * gap);
    if (start <= reached || end < start || end > gapReach) return 'SCTP sack gaps';
    reached = end;
  }
  return undefined;
}

const dcep = 50;
const binary = 53;
const dcepAck = 2;
const dcepOpen = 3;

/** What is wrong with a message on a data channel (RFC 8831 §8, RFC 8832 §5). `isOpen`: whether its stream has a channel. */
export function messageFault(protocol: number, message: Uint8Array, isOpen: boolean): string | undefined {
  if (protocol === binary) return isOpen ? undefined : 'message on no channel';
  if (protocol !== dcep) return `message of protocol ${protocol}`;
  if (message[0] === dcepAck) return isOpen && message.length === 1 ? undefined : 'acknowledgement of no channel';
  if (message[0] !== dcepOpen || message.length < 12) return 'bad channel message';
  return message.length === 12 + u16(message, 8) + u16(message, 10) ? undefined : 'bad channel message';
}

function u16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}

function padded(length: number): number {
  return (length + 3) & ~3;
}
