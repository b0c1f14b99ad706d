// Descriptions and candidates of every engine are rebuilt to the same few lines, and nothing else gets through.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { type CandidatePolicy, readFingerprint, rebuildCandidate, rebuildSdp } from '../mesh/sdp.ts';
import { hex } from '../wire/bytes.ts';

const print = Array.from({ length: 32 }, (_, i) => (i * 7).toString(16).toUpperCase().padStart(2, '0')).join(':');

const chromium = `v=0
o=- 4611733057478456743 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0
a=extmap-allow-mixed
a=msid-semantic: WMS
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=ice-ufrag:Kq3a
a=ice-pwd:Zb8cZ+W2dkrW/5N5HqUQx1mW
a=ice-options:trickle
a=fingerprint:sha-256 ${print}
a=setup:actpass
a=mid:0
a=sctp-port:5000
a=max-message-size:262144
`;
const werift = `v=0
o=- 37839879 0 IN IP4 0.0.0.0
s=-
t=0 0
a=group:BUNDLE 0
a=extmap-allow-mixed
a=msid-semantic:WMS *
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=candidate:32b1715da3b0ef8ba684454eb 1 udp 2116026367 192.0.2.2 35375 typ host generation 0 ufrag ad40
a=end-of-candidates
a=ice-ufrag:ad40
a=ice-pwd:e87ea08e942b26657a37f0
a=ice-options:trickle
a=fingerprint:sha-256 ${print}
a=setup:actpass
a=mid:0
a=sctp-port:5000
a=max-message-size:262144
`;
const firefox = `v=0
o=mozilla...THIS_IS_SDPARTA-99.0 7420983742 0 IN IP4 0.0.0.0
s=-
t=0 0
a=fingerprint:sha-256 ${print}
a=group:BUNDLE 0
a=ice-options:trickle
a=msid-semantic:WMS *
m=application 41234 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 192.0.2.7
a=sendrecv
a=ice-pwd:0b66f472495ef0ccac7bda653ab6be49
a=ice-ufrag:04ac3a6c
a=mid:0
a=setup:actpass
a=sctp-port:5000
a=max-message-size:1073741823
`;
const offers = { chromium: crlf(chromium), werift: crlf(werift), firefox: crlf(firefox) };
const offer = offers.chromium;

function crlf(text: string): string {
  return text.replace(/\n/g, '\r\n');
}

function outcome(sdp: string, kind: 'offer' | 'answer' = 'offer'): string {
  const rebuilt = rebuildSdp(sdp, kind);
  return rebuilt.outcome === 'rebuilt' ? 'rebuilt' : rebuilt.reason;
}

describe('descriptions', () => {
  for (const [engine, sdp] of Object.entries(offers)) {
    it(`of ${engine} keep what a data channel needs and lose the rest`, () => {
      const rebuilt = rebuildSdp(sdp, 'offer');
      assert.ok(rebuilt.outcome === 'rebuilt');
      const ufrag = /ice-ufrag:(\S+)/.exec(sdp)?.[1];
      const pwd = /ice-pwd:(\S+)/.exec(sdp)?.[1];
      assert.deepEqual(rebuilt.sdp.split('\r\n'), [
        'v=0',
        'o=- 1 1 IN IP4 0.0.0.0',
        's=-',
        't=0 0',
        'a=group:BUNDLE 0',
        'm=application 9 UDP/DTLS/SCTP webrtc-datachannel',
        'c=IN IP4 0.0.0.0',
        'a=mid:0',
        `a=ice-ufrag:${ufrag}`,
        `a=ice-pwd:${pwd}`,
        'a=ice-options:trickle',
        `a=fingerprint:sha-256 ${print}`,
        'a=setup:actpass',
        'a=sctp-port:5000',
        'a=max-message-size:262144',
        '',
      ]);
      assert.deepEqual(rebuildSdp(rebuilt.sdp, 'offer'), rebuilt, 'once is enough');
      assert.equal(hex(readFingerprint(sdp) ?? new Uint8Array()), print.replaceAll(':', '').toLowerCase());
    });
  }

  it('have the setup role that fits: actpass offers, active or passive answers', () => {
    const withRole = (role: string) => offer.replace('setup:actpass', `setup:${role}`);
    assert.equal(outcome(offer, 'answer'), 'bad-setup');
    assert.equal(outcome(withRole('active'), 'answer'), 'rebuilt');
    assert.equal(outcome(withRole('passive'), 'answer'), 'rebuilt');
    for (const role of ['active', 'passive', 'holdconn', '']) assert.equal(outcome(withRole(role)), 'bad-setup', role);
  });

  it('have bounded ICE credentials', () => {
    for (const ufrag of ['abc', 'a'.repeat(65), 'ab cd', 'ab:cd', '']) {
      assert.equal(outcome(offer.replace('Kq3a', ufrag)), 'bad-ice-credentials', ufrag);
    }
    for (const pwd of ['a'.repeat(21), 'a'.repeat(129)]) {
      assert.equal(outcome(offer.replace(/ice-pwd:\S+/, `ice-pwd:${pwd}`)), 'bad-ice-credentials');
    }
    assert.equal(outcome(offer.replace(/(a=ice-ufrag:.*\r\n)/, '$1$1')), 'bad-ice-credentials');
  });

  it('say a message size that carries ours, and are believed up to what our engines send', () => {
    const withSize = (size: string) => offer.replace(/a=max-message-size:\d+\r\n/, size);
    assert.equal(outcome(withSize('a=max-message-size:67583\r\n')), 'bad-sctp');
    assert.equal(outcome(withSize('a=max-message-size:-1\r\n')), 'bad-sctp');
    assert.equal(outcome(withSize('')), 'bad-sctp', '64 KiB where nothing is said');
    for (const size of [0, 262145, 2 ** 32]) {
      const rebuilt = rebuildSdp(withSize(`a=max-message-size:${size}\r\n`), 'offer');
      assert.ok(rebuilt.outcome === 'rebuilt' && rebuilt.sdp.includes('a=max-message-size:262144\r\n'), `${size}`);
    }
  });

  it('never throw, and rebuild to themselves, whatever is in them', () => {
    const lines = [...new Set(Object.values(offers).flatMap((sdp) => sdp.split('\r\n')))];
    const line = fc.oneof(
      fc.constantFrom(...lines),
      fc.string(),
      fc.constantFrom('a=fingerprint:sha-1 00', 'm=audio 9 RTP/AVP 0'),
    );
    fc.assert(
      fc.property(fc.array(line, { maxLength: 40 }), fc.constantFrom('offer', 'answer'), (some, kind) => {
        const rebuilt = rebuildSdp(some.join('\r\n'), kind);
        if (rebuilt.outcome === 'rebuilt') assert.deepEqual(rebuildSdp(rebuilt.sdp, kind), rebuilt);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('candidates', () => {
  const anyWay: CandidatePolicy = { relayOnly: false, allowLoopback: false };
  const of = (address: string, rest = 'typ host') => `candidate:1 1 udp 2113937151 ${address} 5000 ${rest}`;
  const rebuilt = (line: string, policy = anyWay): string => {
    const result = rebuildCandidate(line, policy);
    return result.outcome === 'rebuilt' ? result.candidate : result.outcome;
  };

  it('of every engine keep the address and lose what tells more', () => {
    const local = 'c100fbe7-951b-460d-89de-cd2a03875f61.local';
    assert.equal(
      rebuilt(
        `candidate:1944366214 1 udp 2113937151 ${local} 43961 typ host generation 0 ufrag Kq3a network-id 1 network-cost 10`,
      ),
      `candidate:1944366214 1 udp 2113937151 ${local} 43961 typ host`,
    );
    assert.equal(
      rebuilt('candidate:626da4e5384a0ce2d0d93678a 1 udp 2116026367 192.0.2.2 55717 typ host generation 0 ufrag 2173'),
      'candidate:626da4e5384a0ce2d0d93678a 1 udp 2116026367 192.0.2.2 55717 typ host',
    );
    assert.equal(
      rebuilt('a=candidate:0 1 UDP 2122252543 fd00::2 41234 typ host\r\n'),
      'candidate:0 1 udp 2122252543 fd00::2 41234 typ host',
    );
    assert.equal(
      rebuilt(of('203.0.113.9', 'typ srflx raddr 192.168.1.7 rport 54321 generation 0')),
      'candidate:1 1 udp 2113937151 203.0.113.9 5000 typ srflx raddr 0.0.0.0 rport 9',
    );
    assert.equal(
      rebuilt(of('2001:db8::7', 'typ relay raddr 2001:db8::8 rport 54321')),
      'candidate:1 1 udp 2113937151 2001:db8::7 5000 typ relay raddr :: rport 9',
    );
    for (const line of [of(local), of('192.0.2.2', 'typ relay raddr 1.2.3.4 rport 5')])
      assert.equal(rebuilt(rebuilt(line)), rebuilt(line));
  });

  it('over TCP, of the link alone, or direct where only relays may be are ignored', () => {
    assert.equal(rebuilt('candidate:1 1 tcp 1518280447 192.0.2.2 9 typ host tcptype active'), 'ignored');
    assert.equal(rebuilt(of('169.254.1.1')), 'ignored');
    assert.equal(rebuilt(of('fe80::1')), 'ignored');
    const relayOnly = { relayOnly: true, allowLoopback: true };
    assert.equal(rebuilt(of('192.0.2.2'), relayOnly), 'ignored');
    assert.equal(rebuilt(of('203.0.113.9', 'typ srflx'), relayOnly), 'ignored');
    assert.match(rebuilt(of('203.0.113.9', 'typ relay'), relayOnly), /typ relay/);
  });

  it('that lead to the own machine, to everyone or to nobody are refused', () => {
    const loopback = ['127.0.0.1', '127.9.9.9', '::1', '0:0:0:0:0:0:0:1'];
    const nowhere = ['0.0.0.0', '0.1.2.3', '224.0.0.251', '255.255.255.255', '::', 'ff02::fb', '::ffff:7f00:1', '::7f00:1'];
    for (const address of [...loopback, ...nowhere]) assert.equal(rebuilt(of(address)), 'refused', address);
    for (const address of loopback) assert.match(rebuilt(of(address), { relayOnly: false, allowLoopback: true }), /^candidate:/);
    for (const address of nowhere)
      assert.equal(rebuilt(of(address), { relayOnly: false, allowLoopback: true }), 'refused', address);
  });

  it('that are malformed are refused', () => {
    const bad = [
      '',
      'candidate:',
      of('router.local'),
      of('example.org'),
      of('1.2.3'),
      of('1.2.3.256'),
      of('1:2:3'),
      of('1::2::3'),
      of('1:2:3:4:5:6:7:8:9'),
      of('::1%eth0'),
      of('192.0.2.2', 'typ prflx'),
      of('192.0.2.2', 'typ'),
      of('192.0.2.2').replace(' 5000 ', ' 0 '),
      of('192.0.2.2').replace(' 5000 ', ' 65536 '),
      of('192.0.2.2').replace(' 1 udp', ' 2 udp'),
      of('192.0.2.2').replace('2113937151', '4294967296'),
      of('192.0.2.2').replace('candidate:1', `candidate:${'1'.repeat(33)}`),
      of('192.0.2.2', `typ host${' x'.repeat(300)}`),
      `${of('192.0.2.2')}\r\na=fingerprint:sha-256 00`,
    ];
    for (const line of bad) assert.equal(rebuilt(line), 'refused', line);
  });

  it('never throw, and rebuild to themselves, whatever is in them', () => {
    const word = fc.oneof(
      fc.constantFrom('candidate:1', '1', 'udp', '9', '192.0.2.1', '::1', 'fe80::', 'typ', 'host', 'relay'),
      fc.string(),
    );
    fc.assert(
      fc.property(fc.array(word, { maxLength: 12 }), (words) => {
        const once = rebuildCandidate(words.join(' '), { relayOnly: false, allowLoopback: true });
        if (once.outcome === 'rebuilt')
          assert.deepEqual(rebuildCandidate(once.candidate, { relayOnly: false, allowLoopback: true }), once);
      }),
      { numRuns: 2000 },
    );
  });
});
