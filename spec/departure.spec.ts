import { strict as assert } from 'node:assert';
import { readFrame } from '../keys/frame-seal.ts';
import type { Group } from '../mesh/group.ts';
import { hex } from '../wire/bytes.ts';
import { roles } from '../wire/group-ops.ts';
import { Member, temporaryNode, until } from './crew.ts';

describe('people who go', function () {
  this.timeout(90_000);
  const closing: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });

  async function crew(...names: string[]): Promise<{ origin: string; members: Member[]; group: Group; fragment: string }> {
    const node = await temporaryNode();
    closing.push(() => node.close());
    const members: Member[] = [];
    for (const name of names) {
      const member = await Member.make(name);
      await member.open(node.origin);
      closing.push(() => member.close());
      members.push(member);
    }
    const [first, ...others] = members;
    assert.ok(first);
    const group = await first.chat.membership.create('Boat');
    const fragment = await first.chat.membership.invite(group, { role: roles.member, maxUses: 9 });
    for (const { name } of others) assert.equal(await first.chat.membership.add(group, name), 'added');
    await linked(members);
    return { origin: node.origin, members, group, fragment };
  }

  const linked = (members: Member[]) =>
    until(
      'all are linked',
      () => members.every((one) => members.every((other) => one === other || one.isLinkedWith(other))),
      40_000,
    );

  const sees = (member: Member, group: Group, text: string) =>
    until(`${member.name} reads "${text}"`, () => member.texts(group.gid).includes(text));

  it('who was removed is out: links close, new messages stay closed to them, and theirs to the others', async () => {
    const { members, group } = await crew('alice', 'bob', 'eve');
    const [alice, bob, eve] = members;
    assert.ok(alice && bob && eve);
    await alice.group(group.gid).send({ kind: 'text', text: 'all of us' });
    for (const member of members) await sees(member, group, 'all of us');
    const before = eve.group(group.gid).log.currentEpoch();
    assert.equal(await alice.chat.membership.remove(group, eve.account.uid), 'removed');
    await until('the links to eve are closed', () => !alice.isLinkedWith(eve) && !bob.isLinkedWith(eve));
    await until('eve knows', () => !eve.group(group.gid).isIn());
    await alice.group(group.gid).send({ kind: 'text', text: 'without eve' });
    await sees(bob, group, 'without eve');
    await bob.group(group.gid).send({ kind: 'text', text: 'quite so' });
    await sees(alice, group, 'quite so');
    assert.deepEqual(eve.texts(group.gid), ['all of us']);
    assert.equal(await eve.group(group.gid).send({ kind: 'text', text: 'still here' }), 'no-key');
    // Everything that she could get hold of opens nothing.
    const last = alice.group(group.gid).transcript.inOrder().at(-1);
    assert.ok(last && before);
    const bytes = await alice.group(group.gid).frameBytes(last.entry.id);
    assert.ok(bytes);
    assert.equal(await eve.group(group.gid).receive(readFrame(bytes), undefined), 'refused');
    assert.notEqual(hex(last.entry.epochId), hex(before.epochId));
    assert.equal(eve.group(group.gid).log.epoch(last.entry.epochId), undefined);
    for (const member of members) assert.deepEqual(member.surprises, []);
  });

  it('what a removed member sent beyond the last that the remover had counts nowhere', async () => {
    const { members, group } = await crew('alice', 'bob', 'eve');
    const [alice, bob, eve] = members;
    assert.ok(alice && bob && eve);
    await eve.group(group.gid).send({ kind: 'text', text: 'in time' });
    for (const member of members) await sees(member, group, 'in time');
    // Eve goes on alone, and her later words reach bob only after he heard of the removal.
    const late: Uint8Array[] = [];
    eve.chat.links.close();
    await eve.group(group.gid).send({ kind: 'text', text: 'too late' });
    const entry = eve.group(group.gid).transcript.inOrder().at(-1)?.entry;
    assert.ok(entry);
    late.push((await eve.group(group.gid).frameBytes(entry.id)) ?? new Uint8Array());
    assert.equal(await alice.chat.membership.remove(group, eve.account.uid), 'removed');
    await until('bob knows', () => bob.group(group.gid).log.state()?.members.size === 2);
    for (const bytes of late) assert.equal(await bob.group(group.gid).receive(readFrame(bytes), undefined), 'refused');
    assert.deepEqual(bob.texts(group.gid), ['in time']);
  });

  it('an older link still leads in after the keys changed, and to nothing older', async () => {
    const { members, group, fragment, origin } = await crew('alice', 'bob', 'eve');
    const [alice, bob, eve] = members;
    assert.ok(alice && bob && eve);
    await alice.group(group.gid).send({ kind: 'text', text: 'before' });
    assert.equal(await alice.chat.membership.remove(group, eve.account.uid), 'removed');
    await alice.group(group.gid).send({ kind: 'text', text: 'between' });
    const carol = await Member.make('carol');
    closing.push(() => carol.close());
    await carol.open(origin);
    await carol.chat.membership.followLink(fragment);
    await until('carol is in', () => carol.chat.membership.join?.state === 'joined');
    await linked([alice, bob, carol]);
    await carol.group(group.gid).send({ kind: 'text', text: 'hello' });
    await sees(alice, group, 'hello');
    await sees(bob, group, 'hello');
    assert.deepEqual(carol.texts(group.gid), ['hello']);
    assert.equal(carol.group(group.gid).log.state()?.members.size, 3);
  });

  it('who leaves is out, and those who stay make themselves new keys before they go on', async () => {
    const { members, group } = await crew('alice', 'bob', 'carol');
    const [alice, bob, carol] = members;
    assert.ok(alice && bob && carol);
    const before = alice.group(group.gid).log.currentEpoch();
    assert.equal(await carol.chat.membership.leave(carol.group(group.gid)), 'left');
    await until('there are new keys', () =>
      [alice, bob].every((member) => {
        const now = member.group(group.gid).log.currentEpoch();
        return (
          now !== undefined &&
          before !== undefined &&
          hex(now.epochId) !== hex(before.epochId) &&
          !member.group(group.gid).isRekeyDue()
        );
      }),
    );
    assert.equal(await alice.group(group.gid).send({ kind: 'text', text: 'bye carol' }), 'stored');
    await sees(bob, group, 'bye carol');
    assert.deepEqual(carol.texts(group.gid), []);
    assert.equal(await alice.chat.membership.leave(group), 'last-owner');
  });

  it('who was away during a removal comes back to the same group, through a restart', async () => {
    const { members, group, origin } = await crew('alice', 'bob', 'eve');
    const [alice, bob, eve] = members;
    assert.ok(alice && bob && eve);
    await bob.close();
    assert.equal(await alice.chat.membership.remove(group, eve.account.uid), 'removed');
    await alice.group(group.gid).send({ kind: 'text', text: 'while you were away' });
    const dave = await Member.make('dave');
    closing.push(() => dave.close());
    await dave.open(origin);
    assert.equal(await alice.chat.membership.add(group, 'dave'), 'added');
    await bob.open(origin, 'resume');
    await sees(bob, group, 'while you were away');
    await linked([alice, bob, dave]);
    await dave.group(group.gid).send({ kind: 'text', text: 'new here' });
    await sees(bob, group, 'new here');
    assert.deepEqual(bob.texts(group.gid), alice.texts(group.gid));
    assert.equal(bob.group(group.gid).log.state()?.members.size, 3);
  });

  it('a member may remove nobody', async () => {
    const { members, group } = await crew('alice', 'bob', 'carol');
    const [alice, bob, carol] = members;
    assert.ok(alice && bob && carol);
    assert.equal(await bob.chat.membership.remove(bob.group(group.gid), carol.account.uid), 'not-allowed');
    assert.equal(await bob.chat.membership.setRole(bob.group(group.gid), bob.account.uid, roles.admin), 'not-allowed');
    assert.equal(await alice.chat.membership.setRole(group, bob.account.uid, roles.admin), 'changed');
    await until('bob knows', () => bob.group(group.gid).roleOf(bob.account.uid) === roles.admin);
    assert.equal(await bob.chat.membership.remove(bob.group(group.gid), carol.account.uid), 'removed');
    assert.equal(await bob.chat.membership.remove(bob.group(group.gid), alice.account.uid), 'not-allowed');
  });

  it('who was removed is brought back by name, under the present keys, and reads what comes from then on', async () => {
    const { members, group } = await crew('alice', 'bob', 'carol');
    const [alice, bob, carol] = members;
    assert.ok(alice && bob && carol);
    assert.equal(await alice.chat.membership.remove(group, carol.account.uid), 'removed');
    await until('carol knows', () => !carol.group(group.gid).isIn());
    await alice.group(group.gid).send({ kind: 'text', text: 'meanwhile' });
    assert.equal(await alice.chat.membership.add(group, 'carol'), 'added');
    await until('carol is back', () => carol.group(group.gid).isIn());
    await linked(members);
    await alice.group(group.gid).send({ kind: 'text', text: 'welcome back' });
    await sees(carol, group, 'welcome back');
    await carol.group(group.gid).send({ kind: 'text', text: 'thank you' });
    await sees(bob, group, 'thank you');
    assert.deepEqual(carol.texts(group.gid), ['welcome back', 'thank you']);
  });

  it('a link from before the removal does not bring the removed one back, nor hand out a key', async () => {
    const { members, group, fragment } = await crew('alice', 'bob', 'eve');
    const [alice, bob, eve] = members;
    assert.ok(alice && bob && eve);
    assert.equal(await alice.chat.membership.remove(group, eve.account.uid), 'removed');
    await until('eve knows', () => !eve.group(group.gid).isIn());
    const size = alice.group(group.gid).log.ops.size;
    await eve.chat.membership.followLink(fragment);
    assert.deepEqual(eve.chat.membership.join, { state: 'failed', failure: 'lapsed', groupName: 'Boat' });
    // A client of hers that asks all the same.
    await assert.rejects(
      group.log.commit(async () => ({
        changes: [
          { kind: 'add', uid: eve.account.uid, certHash: new Uint8Array(32), role: roles.member, devices: [], proof: undefined },
          { kind: 'add', uid: bob.account.uid, certHash: new Uint8Array(32), role: roles.member, devices: [], proof: undefined },
        ],
        epoch: { ratchet: [{ uid: eve.account.uid, certificate: eve.account.certificate }] },
      })),
      /append-refused/,
    );
    assert.equal(alice.group(group.gid).log.ops.size, size);
  });
});
