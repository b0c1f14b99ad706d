// Attacks on the ways into a group, run against whole engines: false logs behind a link, links that are not good any more, hostile mail.
import { strict as assert } from 'node:assert';
import { createDevice, readDeviceCert } from '../../keys/device.ts';
import { signingKeyFromSeed } from '../../keys/ed25519.ts';
import { certHashOf } from '../../keys/identity.ts';
import { inviteKeyFromSeed, sealJoinRequest } from '../../keys/invite.ts';
import { makeInviteProof } from '../../keys/invite-proof.ts';
import { KeyRefusal } from '../../keys/key-refusal.ts';
import { sealOp } from '../../keys/log-seal.ts';
import { signOp } from '../../keys/op.ts';
import { utf8 } from '../../wire/bytes.ts';
import { encode } from '../../wire/codec.ts';
import { type Change, type JoinRequest, roles, welcome } from '../../wire/group-ops.ts';
import { asGTag, asNodeId, asOpId, type Gid, type OpId } from '../../wire/ids.ts';
import { decodeInviteLink, encodeInviteFragment, type Invite } from '../../wire/invite-link.ts';
import type { LogEntry, NodeMessage } from '../../wire/node-messages.ts';
import { MeshWorld, type WorldMember } from '../mesh-world.ts';

const day = 24 * 60 * 60_000;

describe('attacks on the ways into a group', function () {
  this.timeout(60_000);
  let world: MeshWorld;
  afterEach(async () => {
    for (const { name, surprises } of world.members) assert.deepEqual(surprises, [], name);
    await world.close();
  });

  /** A group of alice's, and an invite to it. */
  async function invited(...others: string[]) {
    world = await MeshWorld.of('alice', ...others);
    const alice = world.member('alice');
    const group = await alice.chat.membership.create('Friends');
    await world.until('the node has it', () => group.log.isSent());
    const fragment = await world.during(alice.chat.membership.invite(group, { role: roles.member, maxUses: 2 }));
    return { alice, group, gid: group.gid, fragment, invite: decodeInviteLink(fragment) };
  }

  const follow = (member: WorldMember, fragment: string) => world.during(member.chat.membership.followLink(fragment));
  const failureOf = ({ chat }: WorldMember) => {
    const { join } = chat.membership;
    return join?.state === 'failed' ? join.failure : join?.state;
  };
  const membersOf = (member: WorldMember, gid: Gid) => member.group(gid).log.state()?.members.size;

  describe('by putting another log behind a link', () => {
    /** What the node serves instead of the log. */
    function serve(entries: LogEntry[]): void {
      world.node.lie = ({ type, request, ...question }): NodeMessage | 'truth' => {
        if (type !== 'get-log' || !('after' in question)) return 'truth';
        return { type: 'log-page', request, entries: entries.slice(question.after), more: 0 };
      };
    }

    it('the log of another group: the join ends', async () => {
      const { fragment } = await invited('bob', 'eve');
      const [bob, eve] = [world.member('bob'), world.member('eve')];
      const other = await eve.chat.membership.create('Friends');
      await world.until('the node has it', () => other.log.isSent());
      serve(world.node.logOf(other.log.gTag).entries);
      await follow(bob, fragment);
      assert.equal(failureOf(bob), 'other-group');
      assert.deepEqual(await bob.store.range(['log']), []);
      assert.deepEqual(await bob.store.range(['join']), []);
    });

    it('another genesis that a holder of the link sealed well: the join ends', async () => {
      const { fragment, invite, group } = await invited('bob', 'eve');
      const [bob, eve] = [world.member('bob'), world.member('eve')];
      const other = await eve.chat.membership.create('Friends');
      const genesis = other.log.ops.get(other.gid) ?? assert.fail();
      const { gTag, logKey } = invite;
      const sealed = await sealOp({ gTag, logKey, op: genesis.bytes });
      const [, ...rest] = world.node.logOf(group.log.gTag).entries;
      for (const opId of [other.gid, group.gid]) {
        serve([{ no: 1, opId, parents: [], sealed }, ...rest]);
        await follow(bob, fragment);
        assert.equal(failureOf(bob), 'other-group');
      }
    });

    it('the log without the entry that the link names: the join ends', async () => {
      const { fragment, group } = await invited('bob');
      const bob = world.member('bob');
      serve(world.node.logOf(group.log.gTag).entries.slice(0, 1));
      await follow(bob, fragment);
      assert.equal(failureOf(bob), 'other-group');
    });

    it('nothing, or a node that does not know it: the person is told', async () => {
      const { fragment } = await invited('bob');
      const bob = world.member('bob');
      serve([]);
      await follow(bob, fragment);
      assert.equal(failureOf(bob), 'other-group');
      world.node.lie = ({ type, request }) =>
        type === 'get-log' ? { type: 'refused', request, code: 'not-found', retryAfter: 0 } : 'truth';
      await follow(bob, fragment);
      assert.equal(failureOf(bob), 'gone');
      world.node.lie = () => 'truth';
      await follow(bob, fragment);
      await world.until('bob is in', () => failureOf(bob) === 'joined');
    });
  });

  describe('by links that their author could not give', () => {
    const inviteChange = async (seed: Uint8Array, more: Partial<Extract<Change, { kind: 'invite' }>> = {}): Promise<Change> => ({
      kind: 'invite',
      invitePub: (await inviteKeyFromSeed(seed)).publicKey,
      role: roles.member,
      maxUses: 5,
      expires: world.clock.now() + day,
      approval: 0,
      forUid: undefined,
      ...more,
    });

    /** As a client of one's own making does: ours makes nothing known that would be void. */
    async function appendVoid(member: WorldMember, gid: Gid, changes: Change[]): Promise<OpId> {
      const { log } = member.group(gid);
      const { gTag, newestLogKey: logKey } = log;
      const parents = log.ops.heads();
      const depth = 1 + Math.max(...parents.map((id) => log.depthOf(id) ?? 0));
      const body = { gid, parents, depth, author: member.did, wall: world.clock.now(), changes, epoch: undefined };
      const op = await signOp({ body, signer: await signingKeyFromSeed(member.device.signSeed) });
      const sealed = await sealOp({ gTag, logKey, op: op.bytes });
      const nobody = new Uint8Array(32);
      const append = {
        gTag,
        expectedHeads: parents,
        opId: op.opId,
        parents,
        sealed,
        shards: [],
        appendPub: nobody,
        nextAppendPub: undefined,
        retire: 0,
      } as const;
      await world.during(
        member.chat.client.request({ type: 'append', append: { ...append, shards: [] }, signature: new Uint8Array(64) }),
      );
      await world.during(log.sync());
      return op.opId;
    }

    it('an invite of a plain member: it counts for nobody', async () => {
      const { alice, gid, fragment, invite } = await invited('bob', 'eve');
      const [bob, eve] = [world.member('bob'), world.member('eve')];
      await follow(bob, fragment);
      await world.together(gid, alice, bob);
      const refused = world.during(bob.chat.membership.invite(bob.group(gid), { role: roles.member, maxUses: 1 }));
      await assert.rejects(refused, /append-refused/);
      const inviteSeed = world.random(32);
      const changes = [await inviteChange(inviteSeed)];
      await assert.rejects(world.during(bob.group(gid).log.commit(async () => ({ changes, epoch: 'none' }))), /append-refused/);
      const head = await appendVoid(bob, gid, changes);
      await follow(eve, encodeInviteFragment({ ...invite, inviteSeed, inviter: bob.uid, head }));
      assert.equal(failureOf(eve), 'not-invited');
      await post(eve, { ...invite, inviteSeed });
      await world.clock.advance(60_000);
      assert.equal(membersOf(alice, gid), 2);
    });

    it('a link that names another inviter than the log does', async () => {
      const { invite, alice, gid } = await invited('bob', 'carol');
      const [bob, carol] = [world.member('bob'), world.member('carol')];
      await world.during(alice.chat.membership.add(alice.group(gid), 'carol'));
      await follow(bob, encodeInviteFragment({ ...invite, inviter: carol.uid }));
      assert.equal(failureOf(bob), 'not-invited');
    });

    it('links to another node, or of a node with another key', async () => {
      const { invite } = await invited('bob');
      const bob = world.member('bob');
      await follow(bob, encodeInviteFragment({ ...invite, origin: 'wss://evil.example' }));
      assert.equal(failureOf(bob), 'other-node');
      const { nodeId } = invite;
      await follow(bob, encodeInviteFragment({ ...invite, nodeId: asNodeId(nodeId.map((byte) => byte ^ 1)) }));
      assert.equal(failureOf(bob), 'wrong-node');
    });

    /** Posts a request to join as a hostile client would: whatever the log says. */
    async function post(
      member: WorldMember,
      invite: Invite,
      { device = member.device, change = (same: JoinRequest) => same } = {},
    ): Promise<void> {
      const { gid, gTag, logKey, inviteSeed } = invite;
      const { uid, certificate } = member.identity.account;
      const devices = [device.certificate];
      const certHash = certHashOf(certificate);
      const { did } = readDeviceCert(device.certificate);
      const [inviteKey, signer] = [await inviteKeyFromSeed(inviteSeed), await signingKeyFromSeed(device.signSeed)];
      const proof = await makeInviteProof({ gid, uid, certHash, devices, did, inviteKey, signer });
      const body = await sealJoinRequest({
        gTag,
        logKey,
        request: change({ uid, certHash, devices, proof }),
        nonce: world.random(12),
      });
      world.node.post({ of: 'group', gTag }, body);
    }

    async function admitsNobody(alice: WorldMember, gid: Gid, members = 1): Promise<void> {
      await world.clock.advance(60_000);
      assert.equal(membersOf(alice, gid), members);
    }

    it('a link that was used up: the second is told, and a request in spite of it is refused', async () => {
      const { alice, gid, group, invite } = await invited('bob', 'eve');
      const [bob, eve] = [world.member('bob'), world.member('eve')];
      const fragment = await world.during(alice.chat.membership.invite(group, { role: roles.member, maxUses: 1 }));
      await follow(bob, fragment);
      await world.together(gid, alice, bob);
      await follow(eve, fragment);
      assert.equal(failureOf(eve), 'used');
      await post(eve, { ...invite, ...decodeInviteLink(fragment) });
      await admitsNobody(alice, gid, 2);
      assert.equal(eve.chat.groups().length, 0);
    });

    it('two who follow a link for one at the same time: one is in, the other is told', async () => {
      const { alice, group } = await invited('bob', 'carol');
      const [bob, carol] = [world.member('bob'), world.member('carol')];
      const fragment = await world.during(alice.chat.membership.invite(group, { role: roles.member, maxUses: 1 }));
      await world.during(Promise.all([bob.chat.membership.followLink(fragment), carol.chat.membership.followLink(fragment)]));
      await world.until('it is settled', () => [bob, carol].every((one) => failureOf(one) !== 'waiting'));
      assert.deepEqual([failureOf(bob), failureOf(carol)].sort(), ['joined', 'used']);
      assert.equal(group.log.state()?.members.size, 2);
    });

    it('a link that was revoked, before and while somebody waits', async () => {
      const { alice, gid, group, fragment, invite } = await invited('bob', 'eve');
      const [bob, eve] = [world.member('bob'), world.member('eve')];
      const { publicKey: invitePub } = await inviteKeyFromSeed(invite.inviteSeed);
      await alice.close();
      await follow(bob, fragment);
      assert.equal(failureOf(bob), 'waiting');
      // Nobody lets bob in before the invite is gone.
      world.node.lie = ({ type, request }, name) =>
        name === 'alice' && type === 'get-mail' ? { type: 'refused', request, code: 'internal', retryAfter: 0 } : 'truth';
      await world.reopen(alice);
      await world.during(
        alice.group(gid).log.commit(async () => ({ changes: [{ kind: 'invite-revoke', invitePub }], epoch: 'none' })),
      );
      world.node.lie = () => 'truth';
      await world.until('bob is told', () => failureOf(bob) === 'revoked');
      await follow(eve, fragment);
      assert.equal(failureOf(eve), 'revoked');
      await post(eve, invite);
      await admitsNobody(alice, gid);
      assert.equal(group.log.state()?.members.size, 1);
    });

    it('a link that expired', async () => {
      const { alice, gid, fragment, invite } = await invited('eve');
      const eve = world.member('eve');
      await alice.close();
      await eve.close();
      await world.clock.advance(8 * day);
      await world.reopen(alice);
      await world.reopen(eve);
      await follow(eve, fragment);
      assert.equal(failureOf(eve), 'expired');
      await post(eve, invite);
      await admitsNobody(alice, gid);
    });

    it('a link for bob that eve uses', async () => {
      const { alice, gid, invite } = await invited('bob', 'eve');
      const [bob, eve] = [world.member('bob'), world.member('eve')];
      const inviteSeed = world.random(32);
      const changes = [await inviteChange(inviteSeed, { forUid: bob.uid })];
      const head = await world.during(alice.group(gid).log.commit(async () => ({ changes, epoch: 'none' })));
      assert.ok(head !== 'not-needed');
      const bound = { ...invite, inviteSeed, head };
      await follow(eve, encodeInviteFragment(bound));
      assert.equal(failureOf(eve), 'not-for-you');
      await post(eve, bound);
      await admitsNobody(alice, gid);
      await follow(bob, encodeInviteFragment(bound));
      await world.until('bob is in', () => failureOf(bob) === 'joined');
    });

    it('a link whose uses a person must confirm: no machine does', async () => {
      const { alice, gid, invite } = await invited('eve');
      const eve = world.member('eve');
      const inviteSeed = world.random(32);
      const changes = [await inviteChange(inviteSeed, { approval: 1 })];
      await world.during(alice.group(gid).log.commit(async () => ({ changes, epoch: 'none' })));
      await post(eve, { ...invite, inviteSeed });
      await admitsNobody(alice, gid);
    });

    it('requests that were changed on their way, or name what is not theirs', async () => {
      const { alice, gid, invite } = await invited('bob', 'eve');
      const [bob, eve] = [world.member('bob'), world.member('eve')];
      const changes: ((request: JoinRequest) => JoinRequest)[] = [
        (request) => ({ ...request, uid: eve.uid }),
        (request) => ({ ...request, certHash: request.certHash.map((byte, i) => (i === 5 ? byte ^ 1 : byte)) }),
        (request) => ({ ...request, devices: [...request.devices, eve.device.certificate] }),
        (request) => ({ ...request, devices: [eve.device.certificate] }),
        (request) => ({ ...request, devices: [new Uint8Array(300)] }),
        (request) => ({ ...request, devices: [] }),
        ({ proof, ...request }) => ({ ...request, proof: { ...proof, did: eve.did } }),
      ];
      for (const change of changes) await post(bob, invite, { change });
      await post(bob, { ...invite, inviteSeed: world.random(32) });
      await post(bob, invite, { device: eve.device });
      world.node.post({ of: 'group', gTag: invite.gTag }, world.random(400));
      await admitsNobody(alice, gid);
    });

    it('a device that says it is bob’s and that bob never signed', async () => {
      const { alice, gid, invite } = await invited('bob', 'eve');
      const [bob, eve] = [world.member('bob'), world.member('eve')];
      const { random, clock } = world;
      const parts = { agent: eve.identity.agent, uid: bob.uid, name: 'laptop of bob', random, now: clock.now() };
      await post(bob, invite, { device: await createDevice(parts) });
      await admitsNobody(alice, gid);
      assert.ok(
        alice.notes.some((note) => note.includes('device refused: bad-signature')),
        alice.notes.join(),
      );
    });
  });

  describe('by mail of strangers', () => {
    const letter = async (
      to: WorldMember,
      from: WorldMember,
      facts: { gid?: Uint8Array; gTag?: Uint8Array; logKey?: Uint8Array; opId?: Uint8Array } = {},
    ) => {
      const { gid = world.random(32), gTag = world.random(16), logKey = world.random(32), opId = world.random(32) } = facts;
      const body = encode(welcome, { gid: asOpId(gid), gTag: asGTag(gTag), logKey, opId: asOpId(opId) });
      const { certificate } = to.identity.account;
      const now = world.clock.now();
      const sealing = { purpose: 'welcome', context: to.uid, body, certificates: [certificate], now } as const;
      return from.identity.agent.seal(sealing);
    };
    const personBox = ({ uid }: WorldMember) => ({ of: 'person', uid }) as const;

    it('to groups that do not exist: what comes behind them is read', async () => {
      const { alice, gid, group } = await invited('bob', 'eve');
      const [bob, eve] = [world.member('bob'), world.member('eve')];
      await bob.close();
      const box = personBox(bob);
      world.node.post(box, world.random(500));
      world.node.post(box, await letter(bob, eve));
      world.node.post(box, await letter(bob, eve, { gid, gTag: group.log.gTag, logKey: world.random(32) }));
      world.node.post(
        box,
        await letter(bob, eve, { gid: world.random(32), gTag: group.log.gTag, logKey: group.log.newestLogKey }),
      );
      await world.during(alice.chat.membership.add(group, 'bob'));
      world.node.post(box, await letter(alice, eve));
      await world.reopen(bob);
      await world.until('bob is in', () => bob.chat.group(gid) !== undefined);
      await world.until('the box is empty', () => world.node.mailsOf(box).length === 0);
      assert.equal(bob.chat.groups().length, 1);
      assert.equal((await bob.store.range(['log'])).length, 1);
    });

    it('a hundred at once: they cost twenty openings a minute, and none of them costs the one that matters', async () => {
      const { alice, gid, group } = await invited('bob', 'eve');
      const [bob, eve] = [world.member('bob'), world.member('eve')];
      await bob.close();
      const box = personBox(bob);
      const junk = await letter(bob, eve);
      for (let i = 0; i < 60; i++) world.node.post(box, junk);
      await world.during(alice.chat.membership.add(group, 'bob'));
      const { agent } = bob.identity;
      const open = agent.open.bind(agent);
      let opened = 0;
      agent.open = (request) => {
        if (request.purpose === 'welcome') opened += 1;
        return open(request);
      };
      try {
        await world.reopen(bob);
        await world.clock.advance(30_000);
        assert.equal(opened, 20);
        await world.until('bob is in', () => bob.chat.group(gid) !== undefined, 5 * 60_000);
      } finally {
        agent.open = open;
      }
    });

    it('while the key is locked the mail stays', async () => {
      const { alice, gid, group } = await invited('bob');
      const bob = world.member('bob');
      const { agent } = bob.identity;
      const open = agent.open.bind(agent);
      agent.open = async () => {
        throw new KeyRefusal('locked');
      };
      try {
        await world.during(alice.chat.membership.add(group, 'bob'));
        await world.clock.advance(5_000);
        assert.equal(world.node.mailsOf(personBox(bob)).length, 1);
      } finally {
        agent.open = open;
      }
      await world.until('bob is in', () => bob.chat.group(gid) !== undefined);
    });

    it('a node whose mailbox has no end, or counts backwards: reading stops', async () => {
      const { alice, gid } = await invited('bob');
      const bob = world.member('bob');
      let asked = 0;
      world.node.lie = ({ type, request }): NodeMessage | 'truth' => {
        if (type !== 'get-mail') return 'truth';
        asked += 1;
        const mail = { at: 0, body: new Uint8Array(50) };
        return {
          type: 'mail-page',
          request,
          mails: [
            { ...mail, no: 7 },
            { ...mail, no: 3 },
          ],
          more: 1,
        };
      };
      world.node.tell('bob', { type: 'mail-came', box: personBox(bob), no: 9 });
      world.node.tell('alice', { type: 'mail-came', box: { of: 'group', gTag: alice.group(gid).log.gTag }, no: 9 });
      await world.clock.advance(10_000);
      assert.ok(asked <= 4, `asked ${asked} times`);
      // Ten thousand news of mail are looked at a few times, one after the other.
      for (let i = 0; i < 2_000; i++) world.node.tell('bob', { type: 'mail-came', box: personBox(bob), no: i });
      asked = 0;
      await world.clock.advance(10_000);
      assert.ok(asked <= 200, `asked ${asked} times`);
    });

    it('a letter to a group that bob waits for does not disturb the waiting', async () => {
      const { alice, gid, group, fragment } = await invited('bob', 'eve');
      const [bob, eve] = [world.member('bob'), world.member('eve')];
      await alice.close();
      await follow(bob, fragment);
      world.node.post(personBox(bob), await letter(bob, eve, { gid }));
      await world.clock.advance(2_000);
      assert.equal(failureOf(bob), 'waiting');
      await world.reopen(alice);
      await world.until('bob is in', () => failureOf(bob) === 'joined');
      assert.equal(bob.chat.groups().length, 1);
      assert.equal(group.gid, gid);
    });
  });

  it('the node sees nothing of a fragment', async () => {
    const { alice, gid, fragment, invite } = await invited('bob');
    const bob = world.member('bob');
    await follow(bob, `https://chat.example/${fragment}`);
    await world.together(gid, alice, bob);
    await bob.group(gid).send({ kind: 'text', text: 'a text that nobody else reads' });
    await world.until('alice reads it', () => alice.texts(gid).length === 1);
    await world.clock.advance(30_000);
    const heard = Buffer.concat(world.node.heard);
    const isThere = (secret: Uint8Array) => {
      const bytes = Buffer.from(secret);
      const forms = [
        bytes,
        ...(['hex', 'base64url', 'base64'] as const).map((form) => Buffer.from(bytes.toString(form).replace(/=+$/, ''))),
      ];
      const upper = Buffer.from(bytes.toString('hex').toUpperCase());
      return [...forms, upper].some((form) => heard.includes(form));
    };
    // The search finds what is there.
    assert.ok(isThere(invite.gTag) && isThere(utf8('bob')));
    const { inviteSeed, logKey } = invite;
    const [link, name, text] = [fragment.slice(60, 120), 'Friends', 'a text that nobody'].map(utf8);
    const secrets = Object.entries({ inviteSeed, logKey, link, name, text });
    for (const [what, secret] of secrets) assert.equal(secret && isThere(secret), false, what);
  });
});
