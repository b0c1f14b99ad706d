// The key schedule and every seal: what must open, what must not, and what nobody can learn. Their bytes are pinned by spec/wire.spec.ts.
import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import { signingKeyFromSeed } from '../keys/ed25519.ts';
import {
  appendSeed,
  checkCommitments,
  epochContext,
  epochKeysCodec,
  epochOfGroupKey,
  epochOfSecrets,
  freshEpoch,
  gTagOf,
  joinKeyOf,
  logKeyOf,
  openEpoch,
  ratchetEpoch,
  rosterTagOf,
} from '../keys/epoch.ts';
import {
  type GroupKeyAgent,
  makeEpochShards,
  makeGroupKeyShards,
  openEpochShard,
  openGroupKeyShard,
  shardMembers,
} from '../keys/group-key.ts';
import { openHpke, sealHpke } from '../keys/hpke.ts';
import { opIdOf, shardHashOf } from '../keys/identity.ts';
import { inviteKeyFromSeed, openJoinRequest, sealJoinRequest } from '../keys/invite.ts';
import { KeyRefusal } from '../keys/key-refusal.ts';
import { groupTokens, type LinkFacts, linkHash, sharedGroups, signLink, verifyLink } from '../keys/link-confirm.ts';
import { openOp, sealOp } from '../keys/log-seal.ts';
import { passphraseStrength } from '../keys/passphrase.ts';
import { openSignal, sealSignal } from '../keys/signal-seal.ts';
import { changePassphrase, createVault, openVault } from '../keys/vault.ts';
import { agreementKeyFromSeed, agreementPublicKey } from '../keys/x25519.ts';
import { concat, equal, fromHex, hex, utf8 } from '../wire/bytes.ts';
import { decode, encode } from '../wire/codec.ts';
import { type Epoch, type JoinRequest, op } from '../wire/group-ops.ts';
import { asDid, asGTag, asOpId, asUid, type Did, type Uid } from '../wire/ids.ts';
import { limits } from '../wire/limits.ts';
import { WireRefusal } from '../wire/refusal.ts';
import { type SignalBody, sealedSignal } from '../wire/signal.ts';
import { openByHand, sealByHand } from './hpke-by-hand.ts';
import { bytesOf } from './vectors/bytes-of.ts';

const bytes = (name: string, length = 32) => bytesOf(name, length);
const did = (name: string): Did => asDid(bytes(`${name} device`));
const opId = (name: string) => asOpId(bytes(name));
const gTag = asGTag(bytes('gtag', 16));
const ctx = bytes('ctx');

/** Other bytes at each call, the same in each run. */
function seeded(): (length: number) => Uint8Array {
  let calls = 0;
  return (length) => bytesOf(`random ${calls++}`, length);
}

async function lockKey(name: string, no: number) {
  const privateKey = await agreementKeyFromSeed(bytes(name));
  return { no, lockPub: await agreementPublicKey(privateKey), privateKey };
}

function flipped(whole: Uint8Array, at: number): Uint8Array {
  const other = whole.slice();
  other[at] = (other[at] ?? 0) ^ 1;
  return other;
}

describe('the context of an epoch', () => {
  const facts = {
    gid: opId('genesis'),
    parents: [opId('a')],
    depth: 1,
    author: did('alice'),
    changes: [{ kind: 'leave' }],
    mode: 1,
    newGK: 1,
  } as const;

  it('differs when any part of the commit differs', () => {
    const others = [
      { ...facts, gid: opId('other') },
      { ...facts, parents: [opId('b')] },
      { ...facts, parents: [opId('a'), opId('b')] },
      { ...facts, parents: [] },
      { ...facts, depth: 2 },
      { ...facts, author: did('bob') },
      { ...facts, changes: [] },
      { ...facts, mode: 2 },
      { ...facts, newGK: 0 },
    ] as const;
    const contexts = [facts, ...others].map((one) =>
      hex(epochContext({ ...one, parents: [...one.parents], changes: [...one.changes] })),
    );
    assert.equal(new Set(contexts).size, contexts.length);
  });
});

describe('an epoch', () => {
  it('is the same for whoever has its group key, where the wrap is 1', () => {
    const made = freshEpoch({ ctx, wrap: 1, random: seeded() });
    const received = epochOfGroupKey({ ctx, groupKey: made.groupKey, logKey: made.logKey });
    assert.equal(checkCommitments(received, made), 'match');
    assert.deepEqual(received.epochSecret, made.epochSecret);
    assert.deepEqual(made.logKey, logKeyOf(made.groupKey, ctx));
  });

  it('does not follow from its group key, where the wrap is 2', () => {
    const made = freshEpoch({ ctx, wrap: 2, random: seeded() });
    assert.equal(checkCommitments(epochOfGroupKey({ ctx, ...made }), made), 'epoch-secret-mismatch');
    assert.equal(checkCommitments(epochOfSecrets({ ctx, ...made }), made), 'match');
  });

  it('does not pass its commitments with another key or in another context', () => {
    const made = freshEpoch({ ctx, wrap: 1, random: seeded() });
    const otherKey = epochOfGroupKey({ ctx, groupKey: bytes('other'), logKey: made.logKey });
    const otherContext = epochOfGroupKey({ ctx: bytes('other ctx'), groupKey: made.groupKey, logKey: made.logKey });
    assert.equal(checkCommitments(otherKey, made), 'group-key-mismatch');
    assert.equal(checkCommitments(otherContext, made), 'group-key-mismatch');
  });

  it('that rekeys under the same group key keeps group key and log key, and shares nothing else', () => {
    const first = freshEpoch({ ctx, wrap: 1, random: seeded() });
    const noRandom = () => assert.fail('nothing is random here');
    const second = freshEpoch({ ctx: bytes('next ctx'), wrap: 1, random: noRandom, unchanged: first });
    assert.deepEqual([second.groupKey, second.logKey], [first.groupKey, first.logKey]);
    assert.notDeepEqual(second.epochSecret, first.epochSecret);
    assert.notDeepEqual(second.gkCommit, first.gkCommit);
  });

  it('that adds somebody follows from its parent, and shows the newcomer nothing of it', () => {
    for (const wrap of [1, 2] as const) {
      const parent = openEpoch({
        secrets: freshEpoch({ ctx, wrap, random: seeded() }),
        epochId: opId('parent'),
        dids: [did('alice')],
      });
      const next = ratchetEpoch({ ctx: bytes('add ctx'), wrap, parent });
      assert.deepEqual(next, ratchetEpoch({ ctx: bytes('add ctx'), wrap, parent }));
      assert.deepEqual(next.logKey, parent.logKey);
      const newcomer = openEpoch({ secrets: next, epochId: opId('child'), dids: [did('alice')] });
      const known = secretsIn(newcomer);
      for (const old of [parent.groupKey, parent.next, ...[...parent.chains.values()].map(({ key }) => key)]) {
        assert.ok(!known.includes(hex(old)));
      }
    }
  });

  it('gives each device a chain of its own, and none that depends on who else is in', () => {
    const secrets = freshEpoch({ ctx, wrap: 1, random: seeded() });
    const both = openEpoch({ secrets, epochId: opId('epoch'), dids: [did('alice'), did('bob')] });
    const alone = openEpoch({ secrets, epochId: opId('epoch'), dids: [did('alice')] });
    assert.deepEqual(both.chains.get(hex(did('alice'))), alone.chains.get(hex(did('alice'))));
    assert.equal(new Set(secretsIn(both)).size, secretsIn(both).length);
    assert.ok(!secretsIn(both).includes(hex(secrets.epochSecret)));
  });

  it('comes back from the store as it was', () => {
    const secrets = freshEpoch({ ctx, wrap: 1, random: seeded() });
    const keys = openEpoch({ secrets, epochId: opId('epoch'), dids: [did('alice'), did('bob'), did('carol')] });
    const back = decode(epochKeysCodec, encode(epochKeysCodec, keys));
    assert.deepEqual(
      { ...back, chains: new Map([...back.chains].sort()) },
      { ...keys, chains: new Map([...keys.chains].sort()) },
    );
  });

  it('never prints its keys', () => {
    const secrets = freshEpoch({ ctx, wrap: 1, random: seeded() });
    const keys = openEpoch({ secrets, epochId: opId('epoch'), dids: [did('alice')] });
    for (const printed of [secrets, keys, keys.chains].flatMap((one) => [
      inspect(one, { depth: 9 }),
      `${JSON.stringify(one)}`,
      `${one}`,
    ])) {
      for (const key of [secrets.groupKey, secrets.epochSecret, keys.next]) {
        assert.ok(!printed.includes(hex(key)) && !printed.includes(key.slice(0, 4).join(', ')), printed);
      }
    }
  });

  it('has tags and keys that all differ', () => {
    const key = bytes('key');
    const derived = [gTagOf(key), rosterTagOf(key), joinKeyOf(key).slice(0, 16), appendSeed(key).slice(0, 16)].map(hex);
    assert.equal(new Set(derived).size, 4);
  });

  function secretsIn(keys: ReturnType<typeof openEpoch>): string[] {
    return [keys.groupKey, keys.logKey, keys.next, keys.meshKey, ...[...keys.chains.values()].map(({ key }) => key)].map(hex);
  }
});

describe('HPKE', () => {
  const info = utf8('info');
  const plaintext = utf8('Beauty is truth, truth beauty');
  const psk = { key: bytes('psk'), id: utf8('id') };

  it('by hand opens the vectors of RFC 9180, A.1.1 and A.1.2', async () => {
    const shared = {
      aead: 1,
      info: fromHex('4f6465206f6e2061204772656369616e2055726e'),
      additional: utf8('Count-0'),
    } as const;
    const base = await openByHand({
      ...shared,
      privateKey: fromHex('4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8'),
      enc: fromHex('37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431'),
      ciphertext: fromHex('f938558b5d72f1a23810b4be2ab4f84331acc02fc97babc53a52ae8218a355a96d8770ac83d07bea87e13c512a'),
    });
    const withPsk = await openByHand({
      ...shared,
      psk: {
        key: fromHex('0247fd33b913760fa1fa51e1892d9f307fbe65eb171e8132c2af18555a738b82'),
        id: fromHex('456e6e796e20447572696e206172616e204d6f726961'),
      },
      privateKey: fromHex('c5eb01eb457fe6c6f57577c5413b931550a162c71a03ac8d196babbd4e5ce0fd'),
      enc: fromHex('0ad0950d9fb9588e59690b74f1237ecdf1d775cd60be2eca57af5a4b0471c91b'),
      ciphertext: fromHex('e52c6fed7f758d0cf7145689f21bc1be6ec9ea097fef4e959440012f4feb73fb611b946199e681f4cfc34db8ea'),
    });
    assert.deepEqual([base, withPsk], [plaintext, plaintext]);
  });

  for (const [mode, extra] of Object.entries({ base: {}, psk: { psk } })) {
    it(`seals what the one by hand opens, and opens what it seals, in ${mode} mode`, async () => {
      const recipient = await lockKey('lock', 1);
      const sealed = await sealHpke({ to: recipient.lockPub, info, plaintext, ...extra });
      assert.deepEqual(await openByHand({ privateKey: bytes('lock'), info, ...sealed, ...extra }), plaintext);
      const byHand = await sealByHand({ ephemeral: bytes('ephemeral'), to: recipient.lockPub, info, plaintext, ...extra });
      assert.deepEqual(await openHpke({ recipient, info, ...byHand, ...extra }), plaintext);
    });
  }

  it('opens nothing with another key, info or psk, or when a byte differs', async () => {
    const recipient = await lockKey('lock', 1);
    const sealed = await sealHpke({ to: recipient.lockPub, info, plaintext, psk });
    const whole = { recipient, info, psk, ...sealed };
    assert.deepEqual(await openHpke(whole), plaintext);
    const wrong = [
      { ...whole, recipient: await lockKey('other lock', 1) },
      { ...whole, info: utf8('other') },
      { ...whole, psk: { ...psk, key: bytes('other psk') } },
      { ...whole, psk: { ...psk, id: utf8('other') } },
      { recipient, info, ...sealed },
      { ...whole, enc: flipped(sealed.enc, 0) },
      { ...whole, enc: new Uint8Array(32) },
      { ...whole, enc: new Uint8Array(31) },
      { ...whole, ciphertext: flipped(sealed.ciphertext, 0) },
      { ...whole, ciphertext: new Uint8Array() },
    ];
    for (const parts of wrong) assert.equal(await openHpke(parts), undefined);
  });

  it('seals to no key of small order', async () => {
    await assert.rejects(sealHpke({ to: new Uint8Array(32), info, plaintext }));
  });
});

describe('a group key shard', () => {
  const secrets = freshEpoch({ ctx, wrap: 1, random: seeded() });
  const { groupKey, logKey, gkCommit } = secrets;
  const epoch = { mode: 1, newGK: 1, gkCommit } as const;
  const now = 0;

  /** Seals by naming the certificates in the clear: what the shard says is at stake here, not OpenPGP. */
  const agentOf = (certificate: Uint8Array): GroupKeyAgent => ({
    seal: async ({ context, body, certificates }) => concat(...certificates, context, body),
    open: async ({ context, message }) => {
      const at = message.length - 64;
      const start = message.slice(0, at);
      const isForMe = hex(start.slice(0, -context.length)).includes(hex(certificate));
      if (!isForMe || !equal(start.slice(-context.length), context)) throw new KeyRefusal('refused');
      return message.slice(at);
    },
  });
  const members = (count: number) =>
    Array.from({ length: count }, (_, i) => ({ uid: asUid(bytes(`uid ${i}`)), certificate: bytes(`certificate ${i}`, 8) }));
  const make = (people: readonly { uid: Uid; certificate: Uint8Array | undefined }[], body = { groupKey, logKey }) =>
    makeGroupKeyShards({ members: people, ctx, ...body, agent: agentOf(bytes('nobody', 8)), now });
  const opener = (person: number, shard: Uint8Array, uids: Uid[]) => ({
    shard,
    hash: shardHashOf(shard),
    ctx,
    uids,
    epoch,
    agent: agentOf(bytes(`certificate ${person}`, 8)),
    now,
  });

  it('goes to 32 members at most, and each finds theirs by the log alone', async () => {
    const people = members(70);
    const shards = await make(people);
    const groups = shardMembers(people.map(({ uid }) => uid));
    assert.deepEqual([shards.length, groups.map(({ length }) => length)], [3, [32, 32, 6]]);
    for (const [i, { uid }] of people.entries()) {
      const mine = groups.findIndex((group) => group.some((one) => equal(one, uid)));
      const opened = await openGroupKeyShard(opener(i, shards[mine] ?? assert.fail(), groups[mine] ?? assert.fail()));
      assert.deepEqual(opened, { groupKey, logKey });
    }
  });

  it('leaves out who has no usable certificate, without anybody else noticing', async () => {
    const [first, ...others] = members(3);
    assert.ok(first);
    const people = [{ ...first, certificate: undefined }, ...others];
    const [shard] = await make(people);
    const uids = shardMembers(people.map(({ uid }) => uid))[0] ?? assert.fail();
    assert.ok(shard);
    assert.deepEqual(await openGroupKeyShard(opener(1, shard, uids)), { groupKey, logKey });
    assert.equal(await openGroupKeyShard(opener(0, shard, uids)), 'unreadable');
    assert.deepEqual(await make([{ ...first, certificate: undefined }]), [new Uint8Array()]);
  });

  it('is refused when it is another one, for others, of another epoch, or not what was committed to', async () => {
    const people = members(2);
    const [shard] = await make(people);
    const [lying] = await make(people, { groupKey: bytes('lie'), logKey });
    const [lyingLog] = await make(people, { groupKey, logKey: bytes('lie') });
    assert.ok(shard && lying && lyingLog);
    const uids = shardMembers(people.map(({ uid }) => uid))[0] ?? assert.fail();
    const good = opener(0, shard, uids);
    assert.equal(await openGroupKeyShard({ ...good, hash: bytes('hash') }), 'other-shard');
    assert.equal(await openGroupKeyShard({ ...good, uids: uids.slice(1) }), 'unreadable');
    assert.equal(await openGroupKeyShard({ ...good, ctx: bytes('old ctx') }), 'unreadable');
    assert.equal(await openGroupKeyShard(opener(0, lying, uids)), 'group-key-mismatch');
    assert.equal(await openGroupKeyShard(opener(0, lyingLog, uids)), 'log-key-mismatch');
  });

  it('may bring a log key from before where the group key is not random', async () => {
    const people = members(1);
    const [shard] = await make(people, { groupKey, logKey: bytes('old log key') });
    const uids = people.map(({ uid }) => uid);
    const opened = await openGroupKeyShard({
      ...opener(0, shard ?? assert.fail(), uids),
      epoch: { mode: 2, newGK: 1, gkCommit },
    });
    assert.deepEqual(opened, { groupKey, logKey: bytes('old log key') });
  });

  it('that cannot be tried because the key is locked is not called unreadable', async () => {
    const [shard] = await make(members(1));
    const agent = { open: () => Promise.reject(new KeyRefusal('locked')) };
    await assert.rejects(
      openGroupKeyShard({ ...opener(0, shard ?? assert.fail(), [asUid(bytes('uid 0'))]), agent }),
      (error) => error instanceof KeyRefusal && error.code === 'locked',
    );
  });
});

describe('an epoch shard', () => {
  const made = freshEpoch({ ctx, wrap: 2, random: seeded() });
  const { groupKey, epochSecret, esCommit } = made;
  const epoch: Pick<Epoch, 'esCommit'> = { esCommit };
  const deviceOf = async (name: string) => ({ did: did(name), lockNo: 2, lockPub: (await lockKey(name, 2)).lockPub });

  it('opens for each device it lists and for no other', async () => {
    const names = ['alice', 'bob', 'carol'];
    const [shard] = await makeEpochShards({ devices: await Promise.all(names.map(deviceOf)), ctx, groupKey, epochSecret });
    assert.ok(shard);
    const openAs = async (name: string, lock = name, changed: object = {}) =>
      openEpochShard({
        shard,
        hash: shardHashOf(shard),
        ctx,
        did: did(name),
        lockKeys: [await lockKey(lock, 2)],
        groupKey,
        epoch,
        ...changed,
      });
    for (const name of names) assert.deepEqual(await openAs(name), epochSecret);
    assert.equal(await openAs('eve'), 'no-entry');
    assert.equal(await openAs('bob', 'alice'), 'unreadable');
    assert.equal(await openAs('bob', 'bob', { groupKey: bytes('other') }), 'unreadable');
    assert.equal(await openAs('bob', 'bob', { ctx: bytes('other') }), 'unreadable');
    assert.equal(await openAs('bob', 'bob', { lockKeys: [await lockKey('bob', 1)] }), 'unreadable');
    assert.equal(await openAs('bob', 'bob', { hash: bytes('hash') }), 'other-shard');
    assert.equal(await openAs('bob', 'bob', { epoch: { esCommit: bytes('other') } }), 'epoch-secret-mismatch');
    const cut = shard.slice(0, -1);
    assert.equal(await openAs('bob', 'bob', { shard: cut, hash: shardHashOf(cut) }), 'malformed');
  });

  it('opens for both of two devices whose ids begin alike', async () => {
    const twins = ['one', 'two'].map((name) => asDid(concat(bytes('twin', 8), bytes(name, 24))));
    const devices = await Promise.all(twins.map(async (twin, i) => ({ ...(await deviceOf(`${i}`)), did: twin })));
    const [shard] = await makeEpochShards({ devices, ctx, groupKey, epochSecret });
    assert.ok(shard);
    for (const [i, twin] of twins.entries()) {
      const lockKeys = [await lockKey(`${i}`, 2)];
      assert.deepEqual(
        await openEpochShard({ shard, hash: shardHashOf(shard), ctx, did: twin, lockKeys, groupKey, epoch }),
        epochSecret,
      );
    }
  });
});

describe('an entry of the log', () => {
  const logKey = bytes('log key');
  const body = bytes('op body', 100);
  const entry = encode(op, { body, signature: bytes('signature', 64) });
  const id = opIdOf(body);

  it('opens with its log key, under its own tag, and is the same when sealed again', async () => {
    const sealed = await sealOp({ gTag, logKey, op: entry });
    assert.deepEqual(sealed, await sealOp({ gTag, logKey, op: entry }));
    const opened = await openOp({ gTag, opId: id, logKeys: [bytes('other'), logKey], sealed });
    assert.deepEqual(opened, { op: entry, logKey, previousKeys: [] });
    assert.equal(await openOp({ gTag, opId: id, logKeys: [bytes('other')], sealed }), undefined);
    assert.equal(await openOp({ gTag: asGTag(bytes('other', 16)), opId: id, logKeys: [logKey], sealed }), undefined);
    for (let at = 4; at < sealed.length - 2; at++) {
      assert.equal(await openOp({ gTag, opId: id, logKeys: [logKey], sealed: flipped(sealed, at) }), undefined, `${at}`);
    }
  });

  it('that brings a new log key leads whoever has it back to the old ones, and nobody on', async () => {
    const brings = { logKey: bytes('new log key'), parentKeys: [logKey, bytes('other parent')] };
    const sealed = await sealOp({ gTag, logKey, op: entry, brings });
    assert.deepEqual(await openOp({ gTag, opId: id, logKeys: [brings.logKey], sealed }), {
      op: entry,
      logKey,
      previousKeys: brings.parentKeys,
    });
    const old = await openOp({ gTag, opId: id, logKeys: [logKey], sealed });
    assert.deepEqual(old, { op: entry, logKey, previousKeys: [] });
    const moved = await openOp({ gTag, opId: opId('another op'), logKeys: [brings.logKey], sealed });
    assert.equal(moved, undefined);
  });

  it('is never larger than the node takes, whatever keys it brings', async () => {
    const opOf = (length: number) => encode(op, { body: new Uint8Array(length), signature: bytes('signature', 64) });
    const parentKeys = Array.from({ length: limits.opParents }, (_, i) => bytes(`parent ${i}`));
    const brings = { logKey: bytes('new log key'), parentKeys };
    const largest = await sealOp({ gTag, logKey, op: opOf(limits.opBytes), brings });
    assert.ok(largest.length <= limits.sealedOpBytes, `${largest.length}`);
    assert.throws(() => opOf(limits.opBytes + 1), WireRefusal);
    await assert.rejects(sealOp({ gTag, logKey, op: bytes('no op', 20) }), WireRefusal);
  });
});

describe('a signal', () => {
  const meshKey = bytes('mesh key');
  const aliceBody: SignalBody = {
    sid: bytes('sid', 16),
    from: did('alice'),
    to: did('bob'),
    no: 0,
    payload: { kind: 'decline', knockNonce: bytes('knock') },
  };
  const world = async () => {
    const alice = await signingKeyFromSeed(bytes('alice'));
    const bob = await lockKey('bob', 4);
    const to = { did: did('bob'), lockNo: 4, lockPub: bob.lockPub };
    const me = { did: did('bob'), lockKeys: [await lockKey('bob before', 3), bob] };
    const signPubOf = (from: Did) => (equal(from, did('alice')) ? alice.publicKey : undefined);
    return { alice, to, me, signPubOf };
  };

  it('reaches the one it is for, and says which mesh key fitted', async () => {
    const { alice, to, me, signPubOf } = await world();
    const sealed = await sealSignal({ body: aliceBody, signer: alice, to, meshKey });
    const opened = await openSignal({ bytes: sealed, meshKeys: [bytes('newer'), meshKey], me, signPubOf });
    assert.deepEqual(opened, { body: aliceBody, meshKey: 1 });
  });

  it('without a tag costs a stranger’s receiver no public-key work', async () => {
    const { alice, to, me, signPubOf } = await world();
    const sealed = await sealSignal({ body: aliceBody, signer: alice, to, meshKey });
    const lockKeys = new Proxy(me.lockKeys, { get: () => assert.fail('a lock key was looked at') });
    for (const meshKeys of [[], [bytes('other')]]) {
      assert.equal(await openSignal({ bytes: sealed, meshKeys, me: { ...me, lockKeys }, signPubOf }), 'no-member');
    }
    for (let at = 0; at < sealed.length; at++) {
      const opened = await openSignal({ bytes: flipped(sealed, at), meshKeys: [meshKey], me: { ...me, lockKeys }, signPubOf });
      assert.ok(opened === 'no-member' || opened === 'malformed', `byte ${at}: ${opened}`);
    }
  });

  it('of a knock, an answer, a candidate and a goodbye are all of one size', async () => {
    const { alice, to } = await world();
    const payloads = [
      { kind: 'knock', nonce: bytes('nonce'), lockKey: bytes('lock key', 151) },
      { kind: 'welcome', knockNonce: bytes('knock'), nonce: bytes('nonce') },
      { kind: 'decline', knockNonce: bytes('knock') },
      { kind: 'candidate', offerHash: bytes('offer'), candidate: 'candidate:1 1 udp 1 192.0.2.1 1 typ host' },
      { kind: 'bye' },
    ] as const;
    const sizes = await Promise.all(
      payloads.map(async (payload) => (await sealSignal({ body: { ...aliceBody, payload }, signer: alice, to, meshKey })).length),
    );
    assert.equal(new Set(sizes).size, 1);
    const sdp = 'v=0\r\n'.repeat(150);
    const offer = { ...aliceBody, payload: { kind: 'offer', nonce: bytes('nonce'), sdp } } as const;
    const sealed = decode(sealedSignal, await sealSignal({ body: offer, signer: alice, to, meshKey }));
    assert.equal(sealed.ciphertext.length, 1024 + 16);
  });

  it('is refused with the reason when a member sends what they may not', async () => {
    const { alice, to, me, signPubOf } = await world();
    const send = async (body: SignalBody, signer = alice, lock = to) =>
      openSignal({ bytes: await sealSignal({ body, signer, to: lock, meshKey }), meshKeys: [meshKey], me, signPubOf });
    assert.equal(await send({ ...aliceBody, to: did('carol') }), 'not-for-me');
    assert.equal(await send({ ...aliceBody, from: did('bob') }), 'not-for-me');
    assert.equal(await send({ ...aliceBody, from: did('eve') }), 'unknown-sender');
    assert.equal(await send(aliceBody, await signingKeyFromSeed(bytes('eve'))), 'bad-signature');
    assert.equal(await send(aliceBody, alice, { ...to, lockNo: 9 }), 'no-lock-key');
    assert.equal(await send(aliceBody, alice, { ...to, lockNo: 3 }), 'unsealed');
    assert.equal(await openSignal({ bytes: new Uint8Array(3), meshKeys: [meshKey], me, signPubOf }), 'malformed');
  });
});

describe('the confirmation of a link', () => {
  const facts: LinkFacts = {
    sid: bytes('sid', 16),
    offerSdp: 'v=0 offer',
    answerSdp: 'v=0 answer',
    offerer: { did: did('alice'), fingerprint: bytes('fp alice'), nonce: bytes('nonce alice') },
    answerer: { did: did('bob'), fingerprint: bytes('fp bob'), nonce: bytes('nonce bob') },
  };

  it('fails when either side saw anything else', async () => {
    const alice = await signingKeyFromSeed(bytes('alice'));
    const signature = await signLink(alice, linkHash(facts));
    const seenByBob = (changed: Partial<LinkFacts>) =>
      verifyLink({ signPub: alice.publicKey, linkHash: linkHash({ ...facts, ...changed }), signature });
    assert.equal(await seenByBob({}), true);
    const changes: Partial<LinkFacts>[] = [
      { sid: bytes('other', 16) },
      { offerSdp: 'v=0 other' },
      { answerSdp: 'v=0 other' },
      { offerer: { ...facts.offerer, fingerprint: bytes('fp eve') } },
      { answerer: { ...facts.answerer, fingerprint: bytes('fp eve') } },
      { offerer: { ...facts.offerer, nonce: bytes('other') } },
      { offerer: facts.answerer, answerer: facts.offerer },
    ];
    for (const changed of changes) assert.equal(await seenByBob(changed), false);
    const eve = await signingKeyFromSeed(bytes('eve'));
    assert.equal(await verifyLink({ signPub: eve.publicKey, linkHash: linkHash(facts), signature }), false);
  });

  it('shows which groups are shared and nothing about the others', () => {
    const whole = linkHash(facts);
    const lunch = { gid: opId('lunch'), meshKeys: [bytes('lunch 2'), bytes('lunch 1')] };
    const work = { gid: opId('work'), meshKeys: [bytes('work 1')] };
    const tokens = groupTokens({
      linkHash: whole,
      role: 'offerer',
      meshKeys: [bytes('lunch 1'), bytes('family 1')],
      random: seeded(),
    });
    assert.equal(tokens.length, 32);
    assert.deepEqual(tokens.map(hex), tokens.map(hex).sort());
    const shared = (role: 'offerer' | 'answerer', of = whole) =>
      sharedGroups({ linkHash: of, role, tokens, groups: [lunch, work] });
    assert.deepEqual(shared('offerer'), [lunch.gid]);
    assert.deepEqual(shared('answerer'), []);
    assert.deepEqual(shared('offerer', bytes('another link')), []);
  });
});

describe('an invite', () => {
  it('has the key that its seed makes', async () => {
    const key = await inviteKeyFromSeed(bytes('seed'));
    assert.deepEqual(key.publicKey, (await inviteKeyFromSeed(bytes('seed'))).publicKey);
  });

  it('lets its follower post a request that members of that group can read, and nobody else', async () => {
    const request: JoinRequest = {
      uid: asUid(bytes('bob')),
      certHash: bytes('certificate'),
      devices: [bytes('device', 30)],
      proof: {
        invitePub: bytes('invite'),
        inviteSignature: bytes('a', 64),
        did: did('bob'),
        deviceSignature: bytes('b', 64),
      },
    };
    const logKey = bytes('log key');
    const sealed = await sealJoinRequest({ gTag, logKey, request, nonce: bytes('nonce', 12) });
    assert.deepEqual(await openJoinRequest({ gTag, logKeys: [bytes('newer'), logKey], sealed }), request);
    assert.equal(await openJoinRequest({ gTag, logKeys: [bytes('newer')], sealed }), undefined);
    assert.equal(await openJoinRequest({ gTag: asGTag(bytes('x', 16)), logKeys: [logKey], sealed }), undefined);
    assert.equal(await openJoinRequest({ gTag, logKeys: [logKey], sealed: sealed.slice(0, 5) }), undefined);
  });
});

describe('the vault', () => {
  it('gives back what it sealed, under the same name only', async () => {
    const random = seeded();
    const { header, vault } = await createVault({ passphrase: 'right', random });
    const sealed = await vault.seal('device', utf8('secret'));
    assert.notDeepEqual(sealed, await vault.seal('device', utf8('secret')));
    const again = await openVault({ header, passphrase: 'right', random });
    assert.ok(typeof again !== 'string');
    assert.deepEqual(await again.open('device', sealed), utf8('secret'));
    assert.equal(await again.open('group', sealed), undefined);
    assert.equal(await again.open('device', flipped(sealed, 20)), undefined);
    assert.equal(await again.open('device', new Uint8Array(3)), undefined);
    assert.ok(!inspect(again, { depth: 9, showHidden: true }).includes(hex(sealed)) && JSON.stringify(again) === '"[key]"');
  });

  it('keeps what it sealed when the passphrase changes, and the old one opens nothing any more', async () => {
    const random = seeded();
    const { header, vault } = await createVault({ passphrase: 'old', random });
    const sealed = await vault.seal('device', utf8('secret'));
    const wrong = await changePassphrase({ header, passphrase: 'wrong', newPassphrase: 'new', random });
    assert.equal(wrong, 'wrong-passphrase');
    const newHeader = await changePassphrase({ header, passphrase: 'old', newPassphrase: 'new', random });
    assert.ok(typeof newHeader !== 'string');
    assert.equal(await openVault({ header: newHeader, passphrase: 'old', random }), 'wrong-passphrase');
    const opened = await openVault({ header: newHeader, passphrase: 'new', random });
    assert.ok(typeof opened !== 'string');
    assert.deepEqual(await opened.open('device', sealed), utf8('secret'));
  });

  it('asks of nobody more or less than its cost, whatever a header says', async () => {
    const random = seeded();
    const { header } = await createVault({ passphrase: 'right', random });
    const cost = hex(Uint8Array.of(0, 9, 0x27, 0xc0)); // 600 000
    assert.ok(hex(header).includes(cost));
    for (const other of ['00000001', 'ffffffff']) {
      const changed = fromHex(hex(header).replace(cost, other));
      await assert.rejects(openVault({ header: changed, passphrase: 'right', random }), WireRefusal);
    }
    await assert.rejects(openVault({ header: header.slice(1), passphrase: 'right', random }), WireRefusal);
  });

  it('keeps slots that it does not know', async () => {
    const random = seeded();
    const { header } = await createVault({ passphrase: 'old', random });
    const slot = fromHex('7f0003010203');
    const withSlot = concat(header, slot);
    withSlot[1] = 2;
    const changed = await changePassphrase({ header: withSlot, passphrase: 'old', newPassphrase: 'new', random });
    assert.ok(typeof changed !== 'string');
    assert.ok(hex(changed).endsWith(hex(slot)));
  });
});

describe('the strength of a passphrase', () => {
  const scoreOf = (text: string) => passphraseStrength(text).score;

  it('is none for what everyone tries first', () => {
    for (const text of [
      '',
      'a',
      'password',
      'Password1',
      'aaaaaaaaaaaaaaaaaaaa',
      '1234567890',
      'qwertyuiop',
      'abcdefgh',
      '111222333',
    ]) {
      assert.ok(scoreOf(text) <= 1, `${text}: ${scoreOf(text)}`);
    }
  });

  it('is good for several random words and for a long random string', () => {
    for (const text of [
      'correct horse battery staple',
      'orbit-velvet-tundra-mosaic',
      'X9$vT2!qLm7@zR4#',
      'Zwölf Boxkämpfer jagen Viktor',
    ]) {
      assert.ok(scoreOf(text) >= 3, `${text}: ${scoreOf(text)}`);
    }
  });

  it('does not fall when something is added', () => {
    const text = 'velvet tundra mosaic orbit';
    let before = 0;
    for (let length = 1; length <= text.length; length++) {
      const score = scoreOf(text.slice(0, length));
      assert.ok(score >= before, text.slice(0, length));
      before = score;
    }
  });

  it('comes with a word and, until it is strong, with advice', () => {
    assert.deepEqual(
      ['', 'velvet tundra mosaic orbit saxophone'].map((text) => {
        const { word, advice } = passphraseStrength(text);
        return [word, advice !== ''];
      }),
      [
        ['Too easy', true],
        ['Strong', false],
      ],
    );
  });
});
