// Stands between the network and werift 0.25.2, so that nobody's packets crash the process or end a connection of others.
// It reaches into what werift keeps private; a name that is gone throws at once, and the specs see it.
import { messageFault, sctpFault } from './sctp-inspection.ts';

type Method = (...args: unknown[]) => unknown;

/** The parts of one werift connection; `isSigned` verifies the MESSAGE-INTEGRITY of a STUN packet. */
export type WeriftParts = {
  ice: { localPassword: string; readonly remoteCandidates: { host: string; port: number }[]; readonly onData: object };
  dtls: {
    readonly dtls?: { cipher: object; dtls: { recordSequenceNumber: number } };
    readonly onStateChange: { subscribe(run: (state: string) => void): unknown };
  };
  channels: { readonly dataChannels: Record<number, unknown>; readonly sctp: object };
  isSigned: (stun: Buffer, password: Buffer) => boolean;
};

/** Addresses from which checks may come: those signalled and those found out. */
const remoteCandidatesMax = 64;
/** Of pieces that wait for others. 1 MiB, which is our window, is at most 900 honest ones. */
const piecesMax = 1024;

const changeCipherSpec = 20;
const alert = 21;
const handshake = 22;
const applicationData = 23;

/** Call once, before candidates are gathered. `fail` ends this connection; it may be called more than once. */
export function hardenWerift(parts: WeriftParts, fail: (reason: string) => void): void {
  const session = { settled: false };
  guardChecks(parts);
  guardRecords(parts, session, fail);
  keepNoncesApart(parts);
  guardSctp(parts.channels.sctp, session, fail);
  guardMessages(parts.channels, fail);
}

// werift answers checks, changes roles and remembers addresses on behalf of whoever sends, without the password (RFC 8445 §7.3).
function guardChecks({ ice, isSigned }: WeriftParts): void {
  wrap(ice, 'ensureProtocol', (ensure) => (protocol) => {
    ensure(protocol);
    wrap(objectIn(protocol, 'onRequestReceived'), 'execute', (execute) => (message, address, packet) => {
      if (!Buffer.isBuffer(packet) || !isSigned(packet, Buffer.from(ice.localPassword))) return;
      if (ice.remoteCandidates.length >= remoteCandidatesMax && !isKnown(ice.remoteCandidates, address)) return;
      execute(message, address, packet);
    });
  });
}

function isKnown(candidates: { host: string; port: number }[], address: unknown): boolean {
  return Array.isArray(address) && candidates.some(({ host, port }) => host === address[0] && port === address[1]);
}

// Anyone can send to our port. Plaintext alerts and unknown record types end a session in werift, a plaintext ClientHello starts it
// anew; once both sides have spoken under the keys, nothing but application data and a genuine alert is due (RFC 6347 §4.1.2.7).
function guardRecords({ ice, dtls }: WeriftParts, session: { settled: boolean }, fail: (reason: string) => void): void {
  const isWanted = (record: Buffer): boolean => {
    const type = record[0] ?? 0;
    const epoch = record.readUInt16BE(3);
    if (type === applicationData) return epoch > 0;
    if (type === handshake || type === changeCipherSpec) return !session.settled;
    if (type === alert && epoch > 0 && decrypts(dtls.dtls?.cipher, record)) fail('closed by the other side');
    return false;
  };
  wrap(ice.onData, 'execute', (execute) => (packet) => {
    const kept = Buffer.isBuffer(packet) ? recordsOf(packet).filter(isWanted) : [];
    if (kept.length > 0) execute(Buffer.concat(kept));
  });
}

/** Above any number that a handshake reaches. */
const firstApplicationRecord = 2 ** 16;

// werift counts from 0 again after the Finished message, which had gone out under the same keys with a number of the handshake. The
// record that reaches that number is dropped as a replay (a second is lost until SCTP repeats it), and worse: two records under one
// nonce give away what authenticates all of them (RFC 5288 §3).
function keepNoncesApart({ dtls }: WeriftParts): void {
  dtls.onStateChange.subscribe((state) => {
    if (state === 'connected' && dtls.dtls !== undefined) dtls.dtls.dtls.recordSequenceNumber = firstApplicationRecord;
  });
}

function recordsOf(packet: Buffer): Buffer[] {
  const records: Buffer[] = [];
  for (let at = 0; at + 13 <= packet.length; ) {
    const end = at + 13 + packet.readUInt16BE(at + 11);
    if (end > packet.length) break;
    records.push(packet.subarray(at, end));
    at = end;
  }
  return records;
}

function decrypts(cipher: object | undefined, record: Buffer): boolean {
  if (cipher === undefined) return false;
  const recordLayerHeader = {
    contentType: record[0],
    protocolVersion: { major: record[1], minor: record[2] },
    epoch: record.readUInt16BE(3),
    sequenceNumber: record.readUIntBE(5, 6),
    contentLen: record.length - 13,
  };
  try {
    methodIn(cipher, 'decryptPacket')({ recordLayerHeader, fragment: record.subarray(13) });
    return true;
  } catch {
    return false;
  }
}

// An exception in here is a rejected promise that nobody holds: Node ends the process for it.
function guardSctp(sctp: object, session: { settled: boolean }, fail: (reason: string) => void): void {
  wrap(sctp, 'handleData', (handle) => (packet) => {
    const fault = packet instanceof Uint8Array ? sctpFault(packet) : 'no packet';
    if (fault !== undefined) return fail(fault);
    session.settled = true;
    return attempt(async () => {
      await handle(packet);
      if (isHoarding(sctp)) fail('SCTP pieces that never become messages');
    }, fail);
  });
}

/** Whether the other side makes us keep more than the window that it was given. */
function isHoarding(sctp: object): boolean {
  const window: unknown = Reflect.get(sctp, 'advertisedRwnd');
  const early: unknown = Reflect.get(sctp, 'sackMisOrdered');
  const streams: unknown[] = Object.values(objectIn(sctp, 'inboundStreams'));
  if (typeof window !== 'number' || !(early instanceof Set)) throw new Error('werift keeps its books elsewhere');
  const waiting = streams.map((stream) => objectIn(stream, 'reassembly')).reduce((sum, list) => sum + lengthOf(list), 0);
  return window < 0 || early.size > piecesMax || streams.length > 4 || waiting > piecesMax;
}

function lengthOf(list: object): number {
  return Array.isArray(list) ? list.length : 0;
}

function guardMessages(channels: WeriftParts['channels'], fail: (reason: string) => void): void {
  const deliver = methodIn(channels, 'datachannelReceive');
  wrap(channels.sctp, 'receive', () => (stream, protocol, message) => {
    if (typeof stream !== 'number' || typeof protocol !== 'number' || !(message instanceof Uint8Array)) return fail('no message');
    const fault = messageFault(protocol, message, Object.hasOwn(channels.dataChannels, stream));
    if (fault !== undefined) return fail(fault);
    return attempt(async () => deliver(stream, protocol, message), fail);
  });
}

function attempt(run: () => Promise<unknown>, fail: (reason: string) => void): void {
  run().catch((error: unknown) => fail(error instanceof Error ? error.message : 'werift failed'));
}

/** Puts `wrapper` around a method, which werift calls by this name. */
export function wrap(target: object, name: string, wrapper: (original: Method) => Method): void {
  const original = methodIn(target, name);
  if (!Reflect.set(target, name, wrapper(original))) throw new Error(`${name} of werift cannot be wrapped`);
}

function methodIn(target: object, name: string): Method {
  const method: unknown = Reflect.get(target, name);
  if (typeof method !== 'function') throw new Error(`werift has no ${name}`);
  return (...args) => Reflect.apply(method, target, args);
}

function objectIn(target: unknown, name: string): object {
  const value: unknown = typeof target === 'object' && target !== null ? Reflect.get(target, name) : undefined;
  if (typeof value !== 'object' || value === null) throw new Error(`werift has no ${name}`);
  return value;
}
