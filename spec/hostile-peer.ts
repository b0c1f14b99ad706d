// A peer that speaks WebRTC up to a point and then does what it likes: a bare werift connection, and packets of strangers.
import { createSocket } from 'node:dgram';
import { crc32c, type RTCDataChannel, RTCPeerConnection } from 'werift';
import type { LinkSignal } from '../mesh/ports.ts';
import { concat } from '../wire/bytes.ts';
import type { StartLink, TestedLink } from './contract-drivers.ts';

export type Hostile = {
  victim: TestedLink;
  connection: RTCPeerConnection;
  channel: RTCDataChannel;
  /** Resolves when the victim's diary says so. */
  until(done: (victim: TestedLink) => boolean): Promise<void>;
  /** A message on the first channel's stream, or another, under any protocol number. */
  sendAs(protocol: number, message: Uint8Array, stream?: number): Promise<void>;
  /** SCTP chunks in a packet with the right tag and checksum. */
  sendChunks(...chunks: Uint8Array[]): Promise<void>;
  /** Whatever these bytes are, encrypted as an SCTP packet would be. */
  sendPacket(bytes: Uint8Array): Promise<void>;
  nextTsn(): number;
  close(): Promise<void>;
};

type Options = { channel?: { ordered?: boolean; maxRetransmits?: number } };

/** Offers a connection to the victim and waits until both are open, or until the victim has closed it. */
export async function attack(startVictim: StartLink, options: Options = {}): Promise<Hostile> {
  const looks = new Set<() => void>();
  const until = (done: (victim: TestedLink) => boolean) =>
    new Promise<void>((resolve) => {
      const look = () => {
        if (!done(victim)) return;
        looks.delete(look);
        resolve();
      };
      looks.add(look);
      look();
    });
  let passed = 0;
  const connection = new RTCPeerConnection({
    iceServers: [{ urls: 'stun:127.0.0.1:9' }],
    iceStunGatherTimeout: 0.01,
    iceAdditionalHostAddresses: ['127.0.0.1'],
    maxMessageSize: 262144,
  });
  const victim = await startVictim('answerer', () => {
    for (const look of [...looks]) look();
  });
  const passSignals = () => {
    for (; passed < victim.diary.signals.length; passed++) void hear(connection, victim.diary.signals[passed]);
  };
  looks.add(passSignals);

  const channel = connection.createDataChannel('secure', options.channel ?? {});
  const opened = new Promise((resolve) => channel.stateChanged.subscribe(resolve));
  const offer = await connection.createOffer();
  await victim.signal({ kind: 'offer', sdp: offer.sdp });
  connection.onIceCandidate.subscribe((candidate) => {
    if (candidate?.candidate?.includes('127.0.0.1')) void victim.signal({ kind: 'candidate', candidate: candidate.candidate });
  });
  await connection.setLocalDescription(offer);
  passSignals();
  await until(({ diary }) => diary.opened.length > 0 || diary.closed.length > 0);
  if (victim.diary.closed.length === 0) await opened;

  const sctp = connection.sctpTransport?.sctp;
  if (sctp === undefined) throw new Error('no SCTP');
  const sendPacket = (bytes: Uint8Array) => sctp.transport.send(Buffer.from(bytes));
  return {
    victim,
    connection,
    channel,
    until,
    sendAs: (protocol, message, stream = channel.id ?? 0) => sctp.send(stream, protocol, Buffer.from(message)),
    sendChunks: (...chunks) => sendPacket(sctpPacket(Number(Reflect.get(sctp, 'remoteVerificationTag')), chunks)),
    sendPacket,
    nextTsn: () => Number(Reflect.get(sctp, 'localTsn')),
    async close() {
      await victim.close();
      await connection.close();
    },
  };
}

async function hear(connection: RTCPeerConnection, signal: LinkSignal | undefined): Promise<void> {
  if (signal?.kind === 'answer') await connection.setRemoteDescription({ type: 'answer', sdp: signal.sdp });
  // Names of the local network would be asked for; the victim's own checks are enough.
  if (signal?.kind === 'candidate' && !signal.candidate.includes('.local'))
    await connection.addIceCandidate({ candidate: signal.candidate, sdpMid: '0' });
}

function sctpPacket(tag: number, chunks: Uint8Array[]): Uint8Array {
  const packet = Buffer.concat([Buffer.alloc(12), ...chunks]);
  packet.writeUInt16BE(5000, 0);
  packet.writeUInt16BE(5000, 2);
  packet.writeUInt32BE(tag, 4);
  packet.writeUInt32LE(crc32c(packet), 8);
  return packet;
}

/** An SCTP chunk; `length` is what it says of itself. */
export function chunk(type: number, flags: number, body: Uint8Array, length = body.length + 4): Uint8Array {
  const padding = new Uint8Array((4 - (body.length % 4)) % 4);
  return concat(Uint8Array.of(type, flags, length >> 8, length & 0xff), body, padding);
}

export function u32(...values: number[]): Uint8Array {
  const bytes = Buffer.alloc(4 * values.length);
  for (const [i, value] of values.entries()) bytes.writeUInt32BE(value >>> 0, 4 * i);
  return bytes;
}

/** A DTLS record that says of itself what it likes. */
export function record(type: number, epoch: number, body: Uint8Array): Uint8Array {
  const header = Buffer.alloc(13);
  header.writeUInt8(type, 0);
  header.writeUInt16BE(0xfefd, 1);
  header.writeUInt16BE(epoch, 3);
  header.writeUIntBE(7, 5, 6);
  header.writeUInt16BE(body.length, 11);
  return concat(header, body);
}

/** Someone without any key, who found out where the victim listens on loopback. Says how many answers came; each run of `roundTrip` leaves time for one. */
export async function sendAsStranger(victim: TestedLink, packets: Uint8Array[], roundTrip: () => Promise<void>): Promise<number> {
  let answers = 0;
  const socket = createSocket('udp4').on('message', () => answers++);
  for (const packet of packets) {
    for (const port of portsOf(victim)) {
      await new Promise<void>((resolve, reject) =>
        socket.send(packet, port, '127.0.0.1', (error) => (error === null ? resolve() : reject(error))),
      );
    }
  }
  for (let trip = 0; trip < 3; trip++) {
    await roundTrip();
    // Messages can follow each other on one socket without Node looking at another.
    await new Promise((resolve) => setImmediate(resolve));
  }
  await new Promise<void>((resolve) => socket.close(() => resolve()));
  return answers;
}

export function portsOf({ diary }: TestedLink): number[] {
  return diary.signals.flatMap((signal) => {
    const port = signal.kind === 'candidate' ? / 127\.0\.0\.1 (\d+) typ host/.exec(signal.candidate)?.[1] : undefined;
    return port === undefined ? [] : [Number(port)];
  });
}
