// Attacks 52 to 54 at the links, and what a peer or a stranger can do to werift: only the link of the attacker may end.
import assert from 'node:assert/strict';
import dgram from 'node:dgram';
import { guardLink, type LinkEngine } from '../../mesh/guarded-link.ts';
import type { LinkEvents, LinkSignal } from '../../mesh/ports.ts';
import type { CandidatePolicy } from '../../mesh/sdp.ts';
import { messageFault, sctpFault } from '../../peer/sctp-inspection.ts';
import { weriftLinks } from '../../peer/werift-link.ts';
import { concat } from '../../wire/bytes.ts';
import { limits } from '../../wire/limits.ts';
import { type ContractBrowser, openContractBrowser } from '../contract-browser.ts';
import { localLink, type StartLink, type TestedLink } from '../contract-drivers.ts';
import { attack, chunk, type Hostile, portsOf, record, sendAsStranger, u32 } from '../hostile-peer.ts';
import { settle } from '../settle.ts';

const onLoopback: CandidatePolicy = { relayOnly: false, allowLoopback: true };
const victims = localLink(weriftLinks(onLoopback));

const print = `sha-256 ${new Array(32).fill('AB').join(':')}`;
const goodOffer = `v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\na=fingerprint:${print}\r\na=setup:actpass\r\na=sctp-port:5000\r\na=max-message-size:262144\r\n`;

/** What reaches an engine, and what a link says, when it hears these signals. */
async function hears(
  signals: LinkSignal[],
  policy = onLoopback,
  iceServers = [{ urls: ['turn:x'], username: 'u', credential: 'c' }],
) {
  const reached: string[] = [];
  const said: string[] = [];
  const engine: LinkEngine = {
    describe: (kind, sdp) => reached.push(`${kind} ${sdp.split('\r\n').length} lines`),
    addCandidate: (candidate) => reached.push(candidate),
    write: () => 'sent',
    route: async () => 'direct',
    stop: () => reached.push('stop'),
  };
  const events: LinkEvents = {
    signal: ({ kind }) => said.push(kind),
    opened: () => said.push('opened'),
    message: () => said.push('message'),
    drained: () => said.push('drained'),
    closed: (reason) => said.push(`closed: ${reason}`),
  };
  const link = guardLink({ role: 'answerer', iceServers, events }, policy, () => engine);
  for (const signal of signals) link.signal(signal);
  await settle();
  return { reached, said };
}

describe('attack 52: signals that change what was agreed', () => {
  const offer: LinkSignal = { kind: 'offer', sdp: goodOffer };

  it('a good offer reaches the engine, so that the others below are refused for what they are', async () => {
    assert.deepEqual(await hears([offer]), { reached: ['offer 16 lines'], said: [] });
  });

  it('of kinds that simple-peer obeys end the link before any engine hears of them', async () => {
    for (const text of [
      '{"kind":"renegotiate","renegotiate":true}',
      '{"kind":"transceiverRequest","transceiverRequest":{"kind":"audio"}}',
    ]) {
      assert.deepEqual(await hears([offer, JSON.parse(text)]), {
        reached: ['offer 16 lines', 'stop'],
        said: ['closed: unknown signal'],
      });
    }
  });

  it('a second offer, an answer to no offer, and rollback end the link', async () => {
    assert.deepEqual((await hears([offer, offer])).said, ['closed: offer where none is due']);
    assert.deepEqual((await hears([{ kind: 'answer', sdp: goodOffer }])).said, ['closed: answer where none is due']);
    assert.deepEqual((await hears([offer, JSON.parse('{"kind":"rollback","sdp":""}')])).said, ['closed: unknown signal']);
  });
});

describe('attack 53: descriptions and candidates that lead elsewhere', () => {
  const swap = (from: string | RegExp, to: string) => goodOffer.replace(from, to);
  const bad: Record<string, string> = {
    'two fingerprints': swap(/(a=fingerprint.*\r\n)/, '$1$1'),
    'a sha-256 and a sha-1 fingerprint': swap(/(a=fingerprint.*\r\n)/, '$1a=fingerprint:sha-1 00:11\r\n'),
    'a sha-1 fingerprint': swap(print, `sha-1 ${new Array(20).fill('AB').join(':')}`),
    'no fingerprint': swap(/a=fingerprint.*\r\n/, ''),
    'two sections': `${goodOffer}m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n`,
    'two data channel sections': `${goodOffer}m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n`,
    'no section': swap(/m=.*\r\n/, ''),
    'a rejected section': swap('m=application 9', 'm=application 0'),
    '10 000 candidates': goodOffer + 'a=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n'.repeat(10_000),
    '21 candidates': goodOffer + 'a=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n'.repeat(21),
    'a megabyte': `${goodOffer}a=x:${'x'.repeat(2 ** 20)}\r\n`,
    'control characters': swap('a=mid:0', 'a=mid:0\u0000'),
  };
  for (const [what, sdp] of Object.entries(bad)) {
    it(`${what}: refused before any engine hears of it`, async () => {
      const { reached, said } = await hears([{ kind: 'offer', sdp }]);
      assert.deepEqual(reached, ['stop']);
      assert.match(said.join(), /^closed: offer refused: [a-z0-9-]+$/);
    });
  }

  it('candidates to loopback, to everyone or by name end the link', async () => {
    for (const address of ['127.0.0.1', '::1', '255.255.255.255', '0.0.0.0', 'router.local']) {
      const candidate = `candidate:1 1 udp 1 ${address} 9 typ host`;
      const { reached } = await hears([{ kind: 'candidate', candidate }], { relayOnly: false, allowLoopback: false });
      assert.deepEqual(reached, ['stop'], address);
    }
  });

  it('10 000 candidates one by one: the engine gets 20', async () => {
    const candidate: LinkSignal = { kind: 'candidate', candidate: 'candidate:1 1 udp 1 192.0.2.1 9 typ host' };
    const { reached, said } = await hears(new Array(10_000).fill(candidate));
    assert.equal(reached.length, limits.sdpCandidates + 1);
    assert.deepEqual(said, ['closed: too many candidates']);
  });
});

describe('attack 54: addresses in relay-only mode', () => {
  const relayOnly: CandidatePolicy = { relayOnly: true, allowLoopback: true };

  it('only relays are taken', async () => {
    const candidates = ['typ host', 'typ srflx', 'typ relay'].map((type) => `candidate:1 1 udp 1 192.0.2.1 9 ${type}`);
    const { reached } = await hears(
      candidates.map((candidate) => ({ kind: 'candidate', candidate })),
      relayOnly,
    );
    assert.deepEqual(reached, ['candidate:1 1 udp 1 192.0.2.1 9 typ relay raddr 0.0.0.0 rport 9']);
  });

  it('nothing starts without a TURN server', async () => {
    for (const servers of [[], [{ urls: ['stun:127.0.0.1:9'], username: '', credential: '' }]]) {
      assert.deepEqual(await hears([], relayOnly, servers), { reached: [], said: ['closed: no TURN server'] });
    }
    const link = await localLink(weriftLinks(relayOnly))('offerer', () => undefined);
    await settle();
    assert.deepEqual(link.diary.signals, []);
    assert.deepEqual(link.diary.closed, ['no TURN server']);
  });
});

const emptyBinary = 57;
const text = 51;
const dcep = 50;

// Each of these crashes or hangs a process with bare werift 0.25.2, or makes it hoard; [from RFC 9260 and 8832 by number].
const byPeers: Record<string, (hostile: Hostile) => Promise<void>> = {
  'a one-byte acknowledgement on a stream without a channel': (hostile) => hostile.sendAs(dcep, Uint8Array.of(2), 700),
  'a one-byte open message': (hostile) => hostile.sendAs(dcep, Uint8Array.of(3), 700),
  'a message of an unknown protocol': (hostile) => hostile.sendAs(99, Uint8Array.of(1)),
  'a packet without a header': (hostile) => hostile.sendPacket(new Uint8Array(5)),
  'an empty packet': (hostile) => hostile.sendPacket(new Uint8Array(0)),
  'a chunk of an unknown type': (hostile) => hostile.sendChunks(chunk(77, 0, u32(1))),
  'a chunk of length 0, on which a parser gets no further': (hostile) => hostile.sendChunks(chunk(11, 0, u32(1), 0)),
  'a parameter of length 0, on which a parser gets no further': (hostile) =>
    hostile.sendChunks(chunk(130, 0, u32(0x000d0000, 0))),
  'a chunk that ends behind its packet': (hostile) => hostile.sendChunks(chunk(0, 3, u32(1), 4000)),
  'an acknowledgement of 19 million numbers': (hostile) =>
    hostile.sendChunks(chunk(3, 0, concat(u32(1, 0, 290 * 65536), ...new Array<Uint8Array>(290).fill(u32(0x0001ffff))))),
  'a reset too short to be one': (hostile) => hostile.sendChunks(chunk(130, 0, u32(0x000d0006, 0))),
  'messages given up': (hostile) => hostile.sendChunks(chunk(192, 0, u32(hostile.nextTsn() + 5))),
  text: (hostile) => hostile.sendAs(text, Uint8Array.of(65)),
  'an empty message': (hostile) => hostile.sendAs(emptyBinary, Uint8Array.of(0)),
  'a message over the limit': (hostile) => hostile.sendAs(53, new Uint8Array(limits.linkMessageBytes + 1)),
  'a second channel': async (hostile) => void hostile.connection.createDataChannel('another'),
  'pieces that never become a message': async (hostile) => {
    const first = hostile.nextTsn();
    for (let packet = 0; packet < 30; packet++) {
      const pieces = Array.from({ length: 50 }, (_, i) =>
        chunk(0, i + packet === 0 ? 2 : 0, concat(u32(first + 50 * packet + i, 0, 53), Uint8Array.of(1))),
      );
      await hostile.sendChunks(...pieces);
    }
  },
  'pieces with holes between them': async (hostile) => {
    const first = hostile.nextTsn() + 1;
    for (let packet = 0; packet < 30; packet++) {
      const pieces = Array.from({ length: 50 }, (_, i) =>
        chunk(0, 3, concat(u32(first + 100 * packet + 2 * i, 0, 53), Uint8Array.of(1))),
      );
      await hostile.sendChunks(...pieces);
    }
  },
};

describe('hostile peers of a headless peer', () => {
  let bystander: Hostile;

  before(async () => {
    bystander = await attack(victims);
  });
  after(() => bystander.close());

  const bystanderIsWell = async () => {
    const before = bystander.victim.diary.messages.length;
    bystander.channel.send(Buffer.from('still here'));
    await bystander.until(({ diary }) => diary.messages.length > before);
    assert.deepEqual(bystander.victim.diary.closed, []);
  };

  for (const [what, strike] of Object.entries(byPeers)) {
    it(`${what}: ends their link and no other`, async () => {
      const hostile = await attack(victims);
      await strike(hostile);
      await hostile.until(({ diary }) => diary.closed.length > 0);
      assert.deepEqual(hostile.victim.diary.messages, []);
      await bystanderIsWell();
      await hostile.close();
    });
  }

  for (const channel of [{ ordered: false }, { maxRetransmits: 0 }]) {
    it(`a channel that may lose or reorder messages (${JSON.stringify(channel)}): never opens`, async () => {
      const hostile = await attack(victims, { channel });
      assert.deepEqual(hostile.victim.diary.opened, []);
      assert.deepEqual(hostile.victim.diary.closed, ['channel that is not due']);
      await hostile.close();
    });
  }

  // A Binding request with USERNAME abcd:efgh, PRIORITY, ICE-CONTROLLING and USE-CANDIDATE, and no MESSAGE-INTEGRITY.
  const binding = concat(
    u32(0x00010028, 0x2112a442, 7, 7, 7),
    u32(0x00060009, 0x61626364, 0x3a656667, 0x68000000),
    u32(0x00240004, 1, 0x802a0008, 0xffffffff, 0xffffffff, 0x00250000),
  );
  const byStrangers: Record<string, Uint8Array[]> = {
    'a plaintext close_notify': [record(21, 0, Uint8Array.of(1, 0))],
    'a plaintext fatal alert': [record(21, 0, Uint8Array.of(2, 40))],
    'an alert under no key': [record(21, 1, new Uint8Array(26).fill(1))],
    'records of unknown types': [24, 25, 40, 63].map((type) => record(type, 0, Uint8Array.of(1, 0))),
    'a plaintext ClientHello': [
      record(22, 0, concat(Uint8Array.of(1, 0, 0, 44, 0, 0, 0, 0, 0, 0, 0, 44, 0xfe, 0xfd), new Uint8Array(42))),
    ],
    'plaintext application data': [record(23, 0, new Uint8Array(40).fill(1)), record(23, 1, new Uint8Array(40).fill(1))],
    'cut and empty packets': [new Uint8Array(0), Uint8Array.of(23), record(23, 1, new Uint8Array(40)).subarray(0, 20)],
    'checks without the password': [binding],
    noise: Array.from({ length: 300 }, (_, i) => Uint8Array.from({ length: i }, (__, at) => (at * 31 + i * 17) % 256)),
  };
  for (const [what, packets] of Object.entries(byStrangers)) {
    it(`${what} from a stranger: no answer, and nothing happens`, async () => {
      assert.ok(portsOf(bystander.victim).length > 0);
      assert.equal(await sendAsStranger(bystander.victim, packets, bystanderIsWell), 0, 'no answer');
    });
  }

  it('the same number never counts two records under one key', async () => {
    const numbers: string[] = [];
    const send = dgram.Socket.prototype.send;
    const link = { ports: new Set<number>() };
    Reflect.set(dgram.Socket.prototype, 'send', function (this: dgram.Socket, ...args: unknown[]) {
      const [packet] = args;
      if (packet instanceof Uint8Array && link.ports.has(this.address().port)) numbers.push(...encryptedRecords(packet));
      return Reflect.apply(send, this, args);
    });
    try {
      const hostile = await attack(async (role, heard) => {
        const victim: TestedLink = await victims(role, () => {
          for (const port of portsOf(victim)) link.ports.add(port);
          heard();
        });
        return victim;
      });
      for (let i = 0; i < 20; i++) await hostile.victim.send(Uint8Array.of(i));
      await hostile.close();
    } finally {
      Reflect.set(dgram.Socket.prototype, 'send', send);
    }
    assert.ok(numbers.length > 20, `${numbers.length} records`);
    assert.equal(new Set(numbers).size, numbers.length, numbers.join(' '));
  });
});

/** Epoch and number of each record after the handshake began to encrypt. */
function encryptedRecords(packet: Uint8Array): string[] {
  const found: string[] = [];
  for (let at = 0; at + 13 <= packet.length; ) {
    const type = packet[at] ?? 0;
    if (type < 20 || type > 23) break;
    const header = Buffer.from(packet.subarray(at, at + 13));
    if (header.readUInt16BE(3) > 0) found.push(`${header.readUInt16BE(3)}/${header.readUIntBE(5, 6)}`);
    at += 13 + header.readUInt16BE(11);
  }
  return found;
}

describe('hostile peers of a page', () => {
  let browser: ContractBrowser;
  let pageVictims: StartLink;

  before(async function () {
    this.timeout(30_000);
    browser = await openContractBrowser();
    pageVictims = (await browser.openPage()).links(onLoopback);
  });
  after(() => browser.close());

  for (const what of ['text', 'an empty message', 'a message over the limit', 'a second channel']) {
    it(`${what}: ends their link`, async () => {
      const hostile = await attack(pageVictims);
      await byPeers[what]?.(hostile);
      await hostile.until(({ diary }) => diary.closed.length > 0);
      assert.deepEqual(hostile.victim.diary.messages, []);
      await hostile.close();
    });
  }

  it('a channel that may lose messages: never opens', async () => {
    const hostile = await attack(pageVictims, { channel: { maxRetransmits: 0 } });
    assert.deepEqual(hostile.victim.diary.opened, []);
    await hostile.close();
  });
});

describe('packets that werift must not see', () => {
  it('are told from those that it may', () => {
    const header = new Uint8Array(12);
    const packet = (...chunks: Uint8Array[]) => concat(header, ...chunks);
    assert.equal(sctpFault(packet()), undefined);
    assert.equal(
      sctpFault(packet(chunk(0, 3, concat(u32(1, 0, 53), Uint8Array.of(1))), chunk(11, 0, new Uint8Array(0)))),
      undefined,
    );
    assert.equal(sctpFault(packet(chunk(3, 0, u32(1, 1000, 0x00020001, 0x00020003, 0x00050005, 9)))), undefined);
    assert.equal(sctpFault(packet(chunk(3, 0, u32(1, 1000, 0x00010000, 0x00020001)))), 'SCTP sack gaps');
    assert.equal(sctpFault(packet(chunk(3, 0, u32(1, 1000, 0x00030000, 0x00020003)))), 'SCTP sack length');
    assert.equal(sctpFault(packet(chunk(11, 0, u32(1), 0))), 'SCTP chunk length');
    assert.equal(sctpFault(packet(chunk(1, 0, u32(1, 1, 1, 1, 0x80080000)))), 'SCTP parameter length');
    assert.equal(sctpFault(packet(chunk(0, 3, u32(1, 0, 53)))), 'SCTP data without data');
    assert.equal(messageFault(53, Uint8Array.of(1), true), undefined);
    assert.equal(messageFault(53, Uint8Array.of(1), false), 'message on no channel');
    assert.equal(
      messageFault(50, concat(Uint8Array.of(3, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1), Uint8Array.of(65, 66)), false),
      undefined,
    );
    assert.equal(messageFault(50, Uint8Array.of(3, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1), false), 'bad channel message');
  });
});
