// What the vectors of wire/ are: for each message and variant a value and its bytes, and bytes that must be refused.
import { concat, fromHex, hex, utf8 } from '../../wire/bytes.ts';
import { type Codec, encode } from '../../wire/codec.ts';
import { deviceCert, deviceCertBody, lockKey, lockKeyBody } from '../../wire/device-cert.ts';
import { type FramePlaintext, frame, frameHeader, paddedPlaintext } from '../../wire/frame.ts';
import { type Change, type Epoch, joinRequest, type OpBody, op, opBody, sealedLogEntry, welcome } from '../../wire/group-ops.ts';
import { asDid, asFrameId, asGTag, asNodeId, asOpId, asRosterTag, asUid } from '../../wire/ids.ts';
import { encodeInviteFragment, type Invite, invite } from '../../wire/invite-link.ts';
import { limits } from '../../wire/limits.ts';
import { nameClaim, nameClaimBody } from '../../wire/login-messages.ts';
import { encodeMessageBody, type MessageBody } from '../../wire/message-body.ts';
import { clientMessage, nodeMessage } from '../../wire/node-messages.ts';
import { linkConfirmMessage, peerMessage } from '../../wire/peer-messages.ts';
import type { WireRefusalCode } from '../../wire/refusal.ts';
import { paddedSignal, sealedSignal, signalBody, signedSignal } from '../../wire/signal.ts';
import { bytesOf } from './bytes-of.ts';
import { plain } from './check.ts';

type Valid = { codec: string; name: string; bytes: string; value: unknown };
type Invalid = { codec: string; name: string; bytes: string; code: WireRefusalCode };

const time = 1_760_000_000_000;
const alice = asUid(bytesOf('alice', 32));
const bob = asUid(bytesOf('bob', 32));
const aliceDid = asDid(bytesOf('alice device', 32));
const bobDid = asDid(bytesOf('bob device', 32));
const gid = asOpId(bytesOf('genesis', 32));
const opIds = ['op 1', 'op 2'].map((name) => asOpId(bytesOf(name, 32))).sort((a, b) => (hex(a) < hex(b) ? -1 : 1));
const gTag = asGTag(bytesOf('gtag', 16));
const rosterTag = asRosterTag(bytesOf('roster', 16));
const nodeId = asNodeId(bytesOf('node', 32));
const frameId = asFrameId(bytesOf('frame', 32));
const signature = bytesOf('signature', 64);
const certHash = bytesOf('certificate hash', 32);
const certificate = bytesOf('certificate', 24);
const deviceBytes = bytesOf('device certificate', 20);
const request = 7;

const claim = {
  body: encode(nameClaimBody, { nodeId, uid: alice, username: 'alice', createdAt: time }),
  openPgpSignature: bytesOf('name signature', 40),
};
const hello = { flags: 0, origin: 'wss://chat.example', nonce: bytesOf('client nonce', 32) } as const;
const boxes = [
  { of: 'person', uid: bob },
  { of: 'device', did: bobDid },
  { of: 'group', gTag },
] as const;
const append = {
  gTag,
  expectedHeads: opIds.slice(0, 1),
  opId: gid,
  parents: opIds,
  sealed: bytesOf('sealed', 33),
  shards: [bytesOf('shard hash', 32)],
  appendPub: bytesOf('append key', 32),
};

const policy = { name: 'Lunch', history: { history: 'from-join' }, admit: 3, suite: 1, wrap: 1 } as const;
const proof = {
  invitePub: bytesOf('invite key', 32),
  inviteSignature: bytesOf('invite signature', 64),
  did: bobDid,
  deviceSignature: bytesOf('device signature', 64),
};
const epoch: Epoch = {
  mode: 1,
  newGK: 1,
  gkCommit: bytesOf('gk commit', 32),
  esCommit: bytesOf('es commit', 32),
  gkShardHashes: [bytesOf('gk shard', 32)],
  esShardHashes: [],
  frontier: [{ did: bobDid, seq: 41, frameId }],
  excluded: [bobDid],
};
const genesis: OpBody = {
  gid: asOpId(new Uint8Array(32)),
  parents: [],
  depth: 0,
  author: aliceDid,
  wall: time,
  changes: [{ kind: 'genesis', salt: bytesOf('salt', 32), policy, founder: alice, certHash, devices: [deviceBytes] }],
  epoch: { ...epoch, frontier: [], excluded: [] },
};
const opWith = (change: Change): OpBody => ({
  gid,
  parents: opIds,
  depth: 2,
  author: aliceDid,
  wall: time,
  changes: [change],
  epoch: undefined,
});
const inviteChange = {
  kind: 'invite',
  invitePub: bytesOf('invite key', 32),
  role: 2,
  maxUses: 1,
  expires: time,
  approval: 0,
} as const;
const join = { uid: bob, certHash, devices: [deviceBytes], proof };

const plaintext: FramePlaintext = {
  version: 1,
  kind: 0,
  sentAt: time,
  heads: [frameId],
  body: utf8('{"kind":"text","text":"hi"}'),
};
const header = {
  version: 1,
  gid,
  epochId: gid,
  did: aliceDid,
  seq: 1,
  gen: 0,
  previous: new Uint8Array(32),
  keyCommit: bytesOf('key commit', 32),
  nonce: bytesOf('nonce', 12),
} as const;
const wholeFrame = { ...header, ciphertext: bytesOf('ciphertext', 256 + 16), signature };

const signal = { sid: bytesOf('sid', 16), from: aliceDid, to: bobDid, no: 0 };
const signed = { body: encode(signalBody, { ...signal, payload: { kind: 'bye' } }), signature };
const link: Invite = {
  origin: 'wss://chat.example',
  nodeId,
  gid,
  gTag,
  logKey: bytesOf('log key', 32),
  inviteSeed: bytesOf('invite seed', 32),
  inviter: alice,
  head: gid,
};

export const validVectors: Valid[] = [
  ...valid('clientMessage', clientMessage, {
    'client-hello, login': { type: 'client-hello', suite: 1, hello: { purpose: 'login', ...hello, username: 'alice' } },
    'client-hello, login by hand': {
      type: 'client-hello',
      suite: 1,
      hello: { purpose: 'login', ...hello, flags: 1, username: 'alice' },
    },
    'client-hello, register': {
      type: 'client-hello',
      suite: 1,
      hello: { purpose: 'register', ...hello, username: 'alice', certificate },
    },
    'client-hello, resume': { type: 'client-hello', suite: 1, hello: { purpose: 'resume', ...hello, did: aliceDid } },
    'client-auth, register': {
      type: 'client-auth',
      signed: { fields: { deviceCert: deviceBytes, nameClaim: claim }, deviceSignature: signature },
      mac: bytesOf('mac', 32),
    },
    'client-auth, resume': {
      type: 'client-auth',
      signed: { fields: { deviceCert: deviceBytes, nameClaim: undefined }, deviceSignature: signature },
      mac: undefined,
    },
    'look-up by username': { type: 'look-up', request, by: { by: 'username', username: 'bob' } },
    'look-up by uid': { type: 'look-up', request, by: { by: 'uid', uid: bob } },
    'publish-lock-key': { type: 'publish-lock-key', request, lockKey: bytesOf('lock key', 30) },
    'publish-device': { type: 'publish-device', request, deviceCert: deviceBytes },
    'put-shard': { type: 'put-shard', request, gTag, shard: bytesOf('shard', 50) },
    'get-shard': { type: 'get-shard', request, gTag, hash: bytesOf('shard hash', 32) },
    'append, the first': {
      type: 'append',
      request,
      append: { ...append, expectedHeads: [], parents: [], nextAppendPub: undefined, retire: 0 },
      signature,
    },
    'append with a new key': {
      type: 'append',
      request,
      append: { ...append, nextAppendPub: bytesOf('next append key', 32), retire: 1 },
      signature,
    },
    'get-log': { type: 'get-log', request, gTag, after: 300 },
    follow: { type: 'follow', request, groups: [{ gTag, rosterTag }] },
    'follow nothing': { type: 'follow', request, groups: [] },
    'post-mail to a person': { type: 'post-mail', request, box: boxes[0], body: bytesOf('mail', 20) },
    'get-mail of a device': { type: 'get-mail', request, box: boxes[1], after: 0 },
    'drop-mail of a group': { type: 'drop-mail', request, box: boxes[2], upTo: 9 },
    relay: { type: 'relay', request, to: bobDid, blob: bytesOf('blob', 40) },
    'publish-certificate': { type: 'publish-certificate', request, certificate },
    'log-out': { type: 'log-out' },
  }),
  ...valid('nodeMessage', nodeMessage, {
    'node-hello': {
      type: 'node-hello',
      nonce: bytesOf('node nonce', 32),
      nodePub: bytesOf('node key', 32),
      challenge: bytesOf('challenge', 48),
      signature,
    },
    'node-hello, resume': {
      type: 'node-hello',
      nonce: bytesOf('node nonce', 32),
      nodePub: bytesOf('node key', 32),
      challenge: new Uint8Array(),
      signature,
    },
    'node-auth': {
      type: 'node-auth',
      fields: {
        uid: alice,
        username: 'alice',
        nodeTime: time,
        policy: { registration: 'open' },
        iceServers: [{ urls: ['turn:turn.example'], username: 'u', credential: 'c' }],
        flags: 1,
      },
      signature,
    },
    'node-auth, invite': {
      type: 'node-auth',
      fields: { uid: alice, username: 'alice', nodeTime: time, policy: { registration: 'invite' }, iceServers: [], flags: 0 },
      signature,
    },
    'node-auth, closed': {
      type: 'node-auth',
      fields: { uid: alice, username: 'alice', nodeTime: time, policy: { registration: 'closed' }, iceServers: [], flags: 0 },
      signature,
    },
    refused: { type: 'refused', request, code: 'rate-limited', retryAfter: 1000 },
    done: { type: 'done', request },
    found: {
      type: 'found',
      request,
      entry: {
        uid: alice,
        username: 'alice',
        claim,
        certificate,
        devices: [{ deviceCert: deviceBytes, lockKeys: [bytesOf('lock key', 30)] }],
      },
    },
    shard: { type: 'shard', request, shard: bytesOf('shard', 50) },
    appended: { type: 'appended', request, no: 12 },
    conflict: { type: 'conflict', request, heads: opIds },
    'log-page': {
      type: 'log-page',
      request,
      entries: [{ no: 1, opId: gid, parents: [], sealed: bytesOf('sealed', 33) }],
      more: 1,
    },
    'mail-page': { type: 'mail-page', request, mails: [{ no: 1, at: time, body: bytesOf('mail', 20) }], more: 0 },
    'log-grew': { type: 'log-grew', gTag, no: 13 },
    'mail-came': { type: 'mail-came', box: boxes[2], no: 3 },
    roster: { type: 'roster', rosterTag, online: [aliceDid, bobDid] },
    presence: { type: 'presence', rosterTag, did: bobDid, online: 1 },
    relayed: { type: 'relayed', from: aliceDid, blob: bytesOf('blob', 40) },
    stopping: { type: 'stopping', retryAfter: 2000 },
  }),
  ...valid('linkConfirmMessage', linkConfirmMessage, {
    'link-hello': { type: 'link-hello', nonce: bytesOf('link nonce', 32) },
    'link-proof': { type: 'link-proof', signature },
    'link-groups': { type: 'link-groups', tokens: [bytesOf('token 1', 16), bytesOf('token 2', 16)] },
  }),
  ...valid('peerMessage', peerMessage, {
    frame: { type: 'frame', frame: bytesOf('frame bytes', 60) },
    have: { type: 'have', gid, frames: [frameId] },
    want: { type: 'want', gid, frames: [frameId] },
    digest: { type: 'digest', gid, digest: bytesOf('digest', 16) },
    vector: {
      type: 'vector',
      gid,
      devices: [
        {
          did: aliceDid,
          ranges: [
            { from: 1, to: 5 },
            { from: 7, to: 7 },
          ],
          top: frameId,
        },
      ],
    },
    'want-ranges': { type: 'want-ranges', gid, devices: [{ did: aliceDid, ranges: [{ from: 6, to: 6 }] }] },
    ping: { type: 'ping', no: 1 },
    pong: { type: 'pong', no: 1 },
    'log-heads': { type: 'log-heads', gid, heads: opIds },
    fork: { type: 'fork', first: bytesOf('frame bytes', 60), second: bytesOf('other frame', 60) },
    bye: { type: 'bye' },
    'link-groups, again': { type: 'link-groups', tokens: [bytesOf('token 1', 16)] },
  }),
  ...valid('deviceCertBody', deviceCertBody, {
    laptop: {
      suite: 1,
      uid: alice,
      signPub: bytesOf('sign key', 32),
      createdAt: time,
      notAfter: time + limits.deviceCertLife,
      flags: 0,
      name: 'Laptop',
    },
    'a name that is not ASCII': {
      suite: 1,
      uid: alice,
      signPub: bytesOf('sign key', 32),
      createdAt: time,
      notAfter: time + 1,
      flags: 0,
      name: 'Jürgens Rechner',
    },
  }),
  ...valid('deviceCert', deviceCert, {
    whole: { body: bytesOf('body', 90), pop: signature, openPgpSignature: bytesOf('pgp', 80) },
  }),
  ...valid('lockKeyBody', lockKeyBody, {
    first: {
      did: aliceDid,
      no: 1,
      lockPub: bytesOf('lock key', 32),
      createdAt: time,
      notAfter: time + limits.lockKeyLife,
    },
  }),
  ...valid('lockKey', lockKey, { whole: { body: bytesOf('lock body', 85), signature } }),
  ...valid('nameClaimBody', nameClaimBody, { alice: { nodeId, uid: alice, username: 'alice', createdAt: time } }),
  ...valid('nameClaim', nameClaim, { alice: claim }),
  ...valid('opBody', opBody, {
    genesis,
    'genesis, history of some days': withPolicy({ ...policy, history: { history: 'days', days: 30 } }),
    'genesis, all history, wrap 2': withPolicy({ ...policy, history: { history: 'all' }, wrap: 2 }),
    'invite for anyone': opWith({ ...inviteChange, forUid: undefined }),
    'invite for bob': opWith({ ...inviteChange, role: 3, approval: 1, forUid: bob }),
    'invite-revoke': opWith({ kind: 'invite-revoke', invitePub: bytesOf('invite key', 32) }),
    'add by an admin': {
      ...opWith({ kind: 'add', uid: bob, certHash, role: 2, devices: [deviceBytes], proof: undefined }),
      epoch: { ...epoch, mode: 2, frontier: [], excluded: [] },
    },
    'add with a proof': opWith({ kind: 'add', uid: bob, certHash, role: 1, devices: [deviceBytes], proof }),
    remove: { ...opWith({ kind: 'remove', uid: bob, reason: 0 }), epoch },
    leave: opWith({ kind: 'leave' }),
    'add-device': opWith({ kind: 'add-device', uid: bob, deviceCert: deviceBytes }),
    'remove-device': opWith({ kind: 'remove-device', uid: bob, did: bobDid }),
    'set-role': opWith({ kind: 'set-role', uid: bob, role: 4 }),
    policy: opWith({ kind: 'policy', policy }),
    'a merge that changes nothing': { ...opWith({ kind: 'leave' }), changes: [] },
  }),
  ...valid('op', op, { genesis: { body: encode(opBody, genesis), signature } }),
  ...valid('sealedLogEntry', sealedLogEntry, {
    'same log key': { op: bytesOf('sealed', 33), previousKeys: new Uint8Array() },
    'new log key': { op: bytesOf('sealed', 33), previousKeys: bytesOf('previous', 61) },
  }),
  ...valid('welcome', welcome, { bob: { gid, gTag, logKey: bytesOf('log key', 32), opId: gid } }),
  ...valid('joinRequest', joinRequest, { bob: join }),
  ...valid('frameHeader', frameHeader, { first: { ...header, ciphertextLength: 272 } }),
  ...valid('frame', frame, { first: wholeFrame }),
  ...valid('paddedPlaintext', paddedPlaintext, {
    'one line': plaintext,
    'one byte into the next size': { ...plaintext, heads: [], body: bytesOf('long', 256 - 15) },
    'just fits': { ...plaintext, heads: [], body: bytesOf('long', 256 - 16) },
  }),
  ...valid('signalBody', signalBody, {
    knock: { ...signal, payload: { kind: 'knock', nonce: bytesOf('knock', 32), lockKey: bytesOf('lock key', 30) } },
    welcome: { ...signal, payload: { kind: 'welcome', knockNonce: bytesOf('knock', 32), nonce: bytesOf('welcome', 32) } },
    decline: { ...signal, payload: { kind: 'decline', knockNonce: bytesOf('knock', 32) } },
    offer: { ...signal, payload: { kind: 'offer', nonce: bytesOf('welcome', 32), sdp: 'v=0\r\n' } },
    answer: { ...signal, payload: { kind: 'answer', offerHash: bytesOf('offer', 32), sdp: 'v=0\r\n' } },
    candidate: { ...signal, no: 3, payload: { kind: 'candidate', offerHash: bytesOf('offer', 32), candidate: 'candidate:1' } },
    bye: { ...signal, payload: { kind: 'bye' } },
  }),
  ...valid('signedSignal', signedSignal, { bye: signed }),
  ...valid('paddedSignal', paddedSignal, { bye: signed }),
  ...valid('sealedSignal', sealedSignal, {
    whole: { memberTag: bytesOf('tag', 16), lockNo: 1, enc: bytesOf('enc', 32), ciphertext: bytesOf('sealed signal', 528) },
  }),
  ...valid('invite', invite, { whole: link }),
  {
    codec: 'inviteLink',
    name: 'a fragment',
    bytes: hex(utf8(encodeInviteFragment(link))),
    value: plain(link),
  },
  ...messageBodies({
    text: { kind: 'text', text: 'hi' },
    'text with quotes and umlauts': { kind: 'text', text: '"ä\n\\\u{1f642}' },
    nickname: { kind: 'nickname', nickname: 'Al' },
    'no nickname': { kind: 'nickname', nickname: '' },
    'a nickname with a picture': { kind: 'nickname', nickname: 'Al \u2764\ufe0f' },
    receipt: { kind: 'receipt', delivered: [{ did: bobDid, upTo: 3 }] },
  }),
];

const look = bytesIn('clientMessage', 'look-up by username');
const hugeCount = 'ffff';

export const invalidVectors: Invalid[] = [
  ...invalid('clientMessage', {
    nothing: ['', 'truncated'],
    'a type that only the node sends': ['02', 'unknown-type'],
    'a type that nobody sends': ['ff', 'unknown-type'],
    'half a request number': ['410000', 'truncated'],
    'cut in the name': [look.slice(0, -2), 'truncated'],
    'a byte too many': [`${look}00`, 'trailing'],
    'a name with a capital': [replaced(look, utf8('bob'), utf8('Bob')), 'bad-text'],
    'a name that is not UTF-8': [replaced(look, utf8('bob'), Uint8Array.of(0x62, 0xff, 0x62)), 'bad-text'],
    'a name that begins with a hyphen': [replaced(look, utf8('bob'), utf8('-ob')), 'bad-text'],
    'a look-up by nothing known': [`${look.slice(0, 10)}03${look.slice(12)}`, 'unknown-type'],
    'a later suite': [`0102${bytesIn('clientMessage', 'client-hello, login').slice(4)}`, 'bad-value'],
    'flags that mean nothing': [edited('clientMessage', 'client-hello, login', 3, '02'), 'bad-value'],
    'a presence byte of 2': [edited('clientMessage', 'client-auth, resume', -1, '02'), 'bad-value'],
    'more groups than one may follow': [`4800000007${hugeCount}`, 'too-large'],
    'a shard that claims 4 GB': [`4400000007${hex(gTag)}ffffffff`, 'too-large'],
    'a shard that claims more than came': [`4400000007${hex(gTag)}00030000`, 'truncated'],
    'a blob above the size of a signal': [`4c00000007${hex(bobDid)}${hugeCount}`, 'too-large'],
    'nine heads': [`4600000007${hex(gTag)}09`, 'too-large'],
    'a retire byte of 2': [edited('clientMessage', 'append with a new key', -65, '02'), 'bad-value'],
  }),
  ...invalid('nodeMessage', {
    nothing: ['', 'truncated'],
    'a type that only clients send': ['01', 'unknown-type'],
    'a byte too many': [`${bytesIn('nodeMessage', 'done')}00`, 'trailing'],
    'an error number that is not in the table': [`0500000007${'03e8'}00000000`, 'bad-value'],
    'a mail of the year 300000': [edited('nodeMessage', 'mail-page', 11, 'ff'), 'bad-value'],
    'a page that says maybe more': [edited('nodeMessage', 'mail-page', -1, '02'), 'bad-value'],
    'a page of too many entries': [`6600000007${hugeCount}`, 'too-large'],
    'a name of one letter': [replaced(bytesIn('nodeMessage', 'node-auth, closed'), utf8('\x05alice'), utf8('\x01a')), 'bad-text'],
  }),
  ...invalid('linkConfirmMessage', {
    'a message for later': ['5400000000', 'unknown-type'],
    'a short nonce': ['5100', 'truncated'],
    'too many tokens': ['5321', 'too-large'],
  }),
  ...invalid('peerMessage', {
    'a confirmation again': [bytesIn('linkConfirmMessage', 'link-hello'), 'unknown-type'],
    'a frame above its limit': ['5400010001', 'too-large'],
    'too many ids': [`55${hex(gid)}0101`, 'too-large'],
    'too many ranges': [`59${hex(gid)}0001${hex(aliceDid)}09`, 'too-large'],
    'a byte too many': ['5f00', 'trailing'],
  }),
  ...invalid('deviceCertBody', {
    'another type': [edited('deviceCertBody', 'laptop', 0, '12'), 'unknown-type'],
    'a later suite': [edited('deviceCertBody', 'laptop', 1, '02'), 'bad-value'],
    'a time above 2^53': [edited('deviceCertBody', 'laptop', 66, 'ff'), 'bad-value'],
    'a name with a control character': [edited('deviceCertBody', 'laptop', -1, '07'), 'bad-text'],
    'a name in NFD': [withName(utf8('Ju\u0308rgen')), 'bad-text'],
    'a name that turns the writing around': [withName(utf8('a\u202eb')), 'bad-text'],
    'a name that shows nothing': [withName(utf8('\u3164')), 'bad-text'],
    'a name with a mark that shows nothing': [withName(utf8('a\ufe0f')), 'bad-text'],
    'a name of 49 bytes': [withName(new Uint8Array(49).fill(0x61)), 'too-large'],
  }),
  ...invalid('deviceCert', {
    'a body above its limit': ['0101', 'too-large'],
    'cut in the proof': [bytesIn('deviceCert', 'whole').slice(0, 2 * 120), 'truncated'],
  }),
  ...invalid('lockKeyBody', { 'another type': [edited('lockKeyBody', 'first', 0, '11'), 'unknown-type'] }),
  ...invalid('opBody', {
    'parents out of order': [replaced(bytesIn('opBody', 'leave'), concat(...opIds), concat(...opIds.toReversed())), 'bad-value'],
    'the same parent twice': [replaced(bytesIn('opBody', 'leave'), concat(...opIds), twice(opIds[0])), 'bad-value'],
    'nine parents': [`21${hex(gid)}09`, 'too-large'],
    'a change of no kind': [replaced(bytesIn('opBody', 'leave'), fromHex('00010600'), fromHex('00017f00')), 'unknown-type'],
    '65 changes': [replaced(bytesIn('opBody', 'leave'), fromHex('00010600'), fromHex('00410600')), 'too-large'],
    'a presence byte of 2 for the epoch': [edited('opBody', 'leave', -1, '02'), 'bad-value'],
    'a role of 5': [edited('opBody', 'set-role', -2, '05'), 'bad-value'],
    'a role of 0': [edited('opBody', 'set-role', -2, '00'), 'bad-value'],
    'a removal for reason 3': [
      replaced(bytesIn('opBody', 'remove'), concat(bob, fromHex('00')), concat(bob, fromHex('03'))),
      'bad-value',
    ],
    'a policy of suite 2': [edited('opBody', 'policy', -3, '02'), 'bad-value'],
    'a policy of wrap 3': [edited('opBody', 'policy', -2, '03'), 'bad-value'],
    'an epoch of mode 3': [replaced(bytesIn('opBody', 'remove'), epochStart(1), epochStart(3)), 'bad-value'],
    'a byte too many': [`${bytesIn('opBody', 'leave')}00`, 'trailing'],
    'cut in the author': [bytesIn('opBody', 'leave').slice(0, 2 * 110), 'truncated'],
  }),
  ...invalid('op', { 'a body above its limit': ['0000ffc1', 'too-large'], 'no signature': ['00000000', 'truncated'] }),
  ...invalid('sealedLogEntry', { 'an op above its limit': ['00010001', 'too-large'] }),
  ...invalid('joinRequest', { 'nine devices': [`${hex(bob)}${hex(certHash)}09`, 'too-large'] }),
  ...invalid('frame', {
    'another type': [edited('frame', 'first', 0, '32'), 'unknown-type'],
    'a later version': [edited('frame', 'first', 1, '02'), 'bad-value'],
    'a number above 2^53': [edited('frame', 'first', 98, 'ff'), 'bad-value'],
    'a length that is not a padded one': [edited('frame', 'first', 189, '0f'), 'bad-value'],
    'a length above the limit': [edited('frame', 'first', 186, 'ffffffff'), 'too-large'],
    'a longer length than came': [edited('frame', 'first', 188, '0210'), 'truncated'],
    'cut in the signature': [bytesIn('frame', 'first').slice(0, -2), 'truncated'],
    'a byte too many': [`${bytesIn('frame', 'first')}00`, 'trailing'],
  }),
  ...invalid('paddedPlaintext', {
    'no end mark': [
      replaced(bytesIn('paddedPlaintext', 'one line'), concat(utf8('}'), fromHex('8000')), concat(utf8('}'), fromHex('0000'))),
      'bad-value',
    ],
    'something in the padding': [edited('paddedPlaintext', 'one line', -1, '01'), 'bad-value'],
    'more padding than needed': [bytesIn('paddedPlaintext', 'one line') + '00'.repeat(256), 'bad-value'],
    'less padding than needed': [bytesIn('paddedPlaintext', 'one line').slice(0, -2), 'bad-value'],
    'nine heads': [edited('paddedPlaintext', 'one line', 10, '09'), 'too-large'],
    'another kind': [edited('paddedPlaintext', 'one line', 1, '01'), 'bad-value'],
  }),
  ...invalid('signalBody', {
    'a payload of no kind': [edited('signalBody', 'bye', -1, '08'), 'unknown-type'],
    'a description above its limit': [`${bytesIn('signalBody', 'bye').slice(0, -2)}04${'00'.repeat(32)}2001`, 'too-large'],
    'a description that is not UTF-8': [edited('signalBody', 'offer', -1, 'ff'), 'bad-text'],
  }),
  ...invalid('paddedSignal', {
    'padded like a frame': [bytesIn('paddedSignal', 'bye').slice(0, 2 * 256), 'bad-value'],
    'more padding than needed': [bytesIn('paddedSignal', 'bye') + '00'.repeat(512), 'bad-value'],
  }),
  ...invalid('sealedSignal', {
    'cut in the tag': ['00', 'truncated'],
    'a ciphertext above its limit': [`${'00'.repeat(16 + 4 + 32)}${hugeCount}`, 'too-large'],
  }),
  ...invalid('inviteLink', {
    'no fragment': [hex(utf8('https://chat.example/')), 'bad-text'],
    'a later version': [hex(utf8('#2.AAAA')), 'bad-text'],
    'letters that are not base64url': [hex(utf8('#1.AA+A')), 'bad-text'],
    'bits that are not zero': [hex(utf8('#1.AB')), 'bad-text'],
    'cut off': [bytesIn('inviteLink', 'a fragment').slice(0, -40), 'truncated'],
    'too long': [hex(utf8(`#1.${'A'.repeat(1100)}`)), 'too-large'],
  }),
  ...invalid('messageBody', {
    'no JSON': [hex(utf8('{oops')), 'bad-text'],
    'not UTF-8': ['ff', 'bad-text'],
    'a list': [hex(utf8('[]')), 'bad-value'],
    null: [hex(utf8('null')), 'bad-value'],
    'a kind that is not known': [hex(utf8('{"kind":"virus"}')), 'unknown-type'],
    'a kind that every object has': [hex(utf8('{"kind":"toString"}')), 'unknown-type'],
    'no kind': [hex(utf8('{}')), 'unknown-type'],
    'an empty text': [hex(utf8('{"kind":"text","text":""}')), 'bad-text'],
    'a text that is a number': [hex(utf8('{"kind":"text","text":1}')), 'bad-text'],
    'half a surrogate pair': [hex(utf8('{"kind":"text","text":"\\ud800"}')), 'bad-text'],
    'a nickname that shows nothing': [hex(utf8('{"kind":"nickname","nickname":"\u2800"}')), 'bad-text'],
    'a nickname that turns the writing around': [hex(utf8('{"kind":"nickname","nickname":"a\u202eb"}')), 'bad-text'],
    'a nickname of 33 bytes': [hex(utf8(`{"kind":"nickname","nickname":"${'n'.repeat(33)}"}`)), 'too-large'],
    'a receipt for frame 0': [hex(utf8(`{"kind":"receipt","delivered":[["${hex(bobDid)}",0]]}`)), 'bad-value'],
    'a receipt for half a frame': [hex(utf8(`{"kind":"receipt","delivered":[["${hex(bobDid)}",1.5]]}`)), 'bad-value'],
    'a receipt for no device': [hex(utf8('{"kind":"receipt","delivered":[["ab",1]]}')), 'bad-value'],
  }),
];

function valid<T>(codec: string, codecOf: Codec<T>, values: Record<string, T>): Valid[] {
  return Object.entries(values).map(([name, value]) => ({
    codec,
    name,
    bytes: hex(encode(codecOf, value)),
    value: plain(value),
  }));
}

function messageBodies(bodies: Record<string, MessageBody>): Valid[] {
  return Object.entries(bodies).map(([name, body]) => ({
    codec: 'messageBody',
    name,
    bytes: hex(encodeMessageBody(body)),
    value: plain(body),
  }));
}

function withPolicy(changed: Extract<Change, { kind: 'genesis' }>['policy']): OpBody {
  return { ...genesis, changes: genesis.changes.map((one) => (one.kind === 'genesis' ? { ...one, policy: changed } : one)) };
}

function invalid(codec: string, cases: Record<string, [bytes: string, code: WireRefusalCode]>): Invalid[] {
  return Object.entries(cases).map(([name, [bytes, code]]) => ({ codec, name, bytes, code }));
}

/** In hex. */
function bytesIn(codec: string, name: string): string {
  const vector = validVectors.find((one) => one.codec === codec && one.name === name);
  if (vector === undefined) throw new RangeError(`no vector ${codec}, ${name}`);
  return vector.bytes;
}

/** A valid vector with the bytes from `at` on (from the end where negative) written over. In hex. */
function edited(codec: string, name: string, at: number, bytes: string): string {
  const whole = bytesIn(codec, name);
  const start = at < 0 ? whole.length + 2 * at : 2 * at;
  return whole.slice(0, start) + bytes + whole.slice(start + bytes.length);
}

function replaced(whole: string, part: Uint8Array, by: Uint8Array): string {
  if (whole.split(hex(part)).length !== 2) throw new RangeError('not there exactly once');
  return whole.replace(hex(part), hex(by));
}

function withName(name: Uint8Array): string {
  const laptop = concat(Uint8Array.of(6), utf8('Laptop'));
  return replaced(bytesIn('deviceCertBody', 'laptop'), laptop, concat(Uint8Array.of(name.length), name));
}

function twice(bytes: Uint8Array = new Uint8Array()): Uint8Array {
  return concat(bytes, bytes);
}

function epochStart(mode: number): Uint8Array {
  return concat(Uint8Array.of(1, mode, 1), epoch.gkCommit);
}
