import { strict as assert } from 'node:assert';
import { roles } from '../wire/group-ops.ts';
import { Member, type TemporaryNode, temporaryNode, until } from './crew.ts';

describe('a chat of headless members over a real node and real data channels', function () {
  this.timeout(60_000);
  const closing: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });

  async function crew(...names: string[]): Promise<{ origin: string; members: Member[]; node: TemporaryNode }> {
    const node = await temporaryNode();
    closing.push(() => node.close());
    const members: Member[] = [];
    for (const name of names) {
      const member = await Member.make(name);
      await member.open(node.origin);
      closing.push(() => member.close());
      members.push(member);
    }
    return { origin: node.origin, members, node };
  }

  it('alice creates a group, bob follows her link, and they read each other', async () => {
    const { members } = await crew('alice', 'bob');
    const [alice, bob] = members;
    assert.ok(alice && bob);
    const group = await alice.chat.membership.create('Friends');
    const fragment = await alice.chat.membership.invite(group, { role: roles.member, maxUses: 1 });
    await bob.chat.membership.followLink(`http://localhost/${fragment}`);
    await until('bob is in', () => bob.chat.membership.join?.state === 'joined');
    await until('they are linked', () => alice.isLinkedWith(bob) && bob.isLinkedWith(alice));
    assert.equal(await alice.group(group.gid).send({ kind: 'text', text: 'hello bob' }), 'stored');
    assert.equal(await bob.group(group.gid).send({ kind: 'text', text: 'hello alice' }), 'stored');
    const all = ['hello alice', 'hello bob'];
    await until('both have both', () => [alice, bob].every((member) => member.texts(group.gid).length === 2));
    assert.deepEqual(alice.texts(group.gid).sort(), all);
    assert.deepEqual(bob.texts(group.gid), alice.texts(group.gid));
    await until('the receipt is back', () => alice.progress(group.gid, 'hello bob') === 'delivered');
    assert.deepEqual([...alice.surprises, ...bob.surprises], []);
  });

  it('four members, two of them added by name, read all in the same order, once', async () => {
    const { members } = await crew('alice', 'bob', 'carol', 'dave');
    const [alice, bob, carol, dave] = members;
    assert.ok(alice && bob && carol && dave);
    const group = await alice.chat.membership.create('Four');
    const fragment = await alice.chat.membership.invite(group, { role: roles.member, maxUses: 5 });
    assert.equal(await alice.chat.membership.add(group, 'bob'), 'added');
    assert.equal(await alice.chat.membership.add(group, 'carol'), 'added');
    await dave.chat.membership.followLink(fragment);
    await until('all are in', () => members.every((member) => member.chat.group(group.gid)?.log.state()?.members.size === 4));
    await until(
      'all are linked',
      () => members.every((one) => members.every((other) => one === other || one.isLinkedWith(other))),
      40_000,
    );
    for (let i = 0; i < 5; i++) {
      await Promise.all(members.map((member) => member.group(group.gid).send({ kind: 'text', text: `${member.name} ${i}` })));
    }
    await until('all have all', () => members.every((member) => member.texts(group.gid).length === 20));
    for (const member of members) assert.deepEqual(member.texts(group.gid), alice.texts(group.gid));
    for (const member of members) assert.deepEqual(member.surprises, []);
  });

  it('what was written while nobody was linked comes later, in order, after a restart in between', async () => {
    const { members, origin } = await crew('alice', 'bob');
    const [alice, bob] = members;
    assert.ok(alice && bob);
    const group = await alice.chat.membership.create('Letters');
    assert.equal(await alice.chat.membership.add(group, 'bob'), 'added');
    await until('bob is in', () => bob.chat.group(group.gid) !== undefined);
    await bob.close();
    await until('alice noticed', () => !alice.chat.links.isOpen(bob.did));
    for (const text of ['one', 'two', 'three']) await alice.group(group.gid).send({ kind: 'text', text });
    assert.equal(alice.progress(group.gid, 'two'), 'sending');
    await alice.close();
    await bob.open(origin, 'resume');
    assert.deepEqual(bob.texts(group.gid), []);
    await alice.open(origin, 'resume');
    assert.deepEqual(alice.texts(group.gid), ['one', 'two', 'three']);
    await until('bob has them', () => bob.texts(group.gid).length === 3);
    assert.deepEqual(bob.texts(group.gid), ['one', 'two', 'three']);
    await until('alice knows', () => alice.progress(group.gid, 'three') === 'delivered');
  });

  it('the node dies and comes back: linked members chat on, all resume, nothing is lost or twice', async () => {
    const { members, node } = await crew('alice', 'bob');
    const [alice, bob] = members;
    assert.ok(alice && bob);
    const group = await alice.chat.membership.create('Storm');
    assert.equal(await alice.chat.membership.add(group, 'bob'), 'added');
    await until(
      'they are linked',
      () => bob.chat.group(group.gid) !== undefined && alice.isLinkedWith(bob) && bob.isLinkedWith(alice),
    );
    await node.stop();
    await until('both noticed', () => members.every(({ chat }) => chat.client.state.state !== 'connected'));
    await alice.group(group.gid).send({ kind: 'text', text: 'the node is gone' });
    await bob.group(group.gid).send({ kind: 'text', text: 'and we are not' });
    await until('both read it', () => members.every((member) => member.texts(group.gid).length === 2));
    await node.start();
    await until('both are back', () => members.every(({ chat }) => chat.client.state.state === 'connected'));
    const carol = await Member.make('carol');
    closing.push(() => carol.close());
    await carol.open(node.origin);
    assert.equal(await alice.chat.membership.add(group, 'carol'), 'added');
    await until(
      'carol is linked',
      () => carol.chat.group(group.gid) !== undefined && carol.isLinkedWith(bob) && bob.isLinkedWith(carol),
    );
    await carol.group(group.gid).send({ kind: 'text', text: 'what did I miss' });
    await until('they read her', () => members.every((member) => member.texts(group.gid).length === 3));
    assert.deepEqual(alice.texts(group.gid), bob.texts(group.gid));
    // From join: what was said before is not hers to read.
    assert.deepEqual(carol.texts(group.gid), ['what did I miss']);
  });

  it('a link for one person refuses the second, and says so', async () => {
    const { members } = await crew('alice', 'bob', 'eve');
    const [alice, bob, eve] = members;
    assert.ok(alice && bob && eve);
    const group = await alice.chat.membership.create('Two only');
    const fragment = await alice.chat.membership.invite(group, { role: roles.member, maxUses: 1 });
    await bob.chat.membership.followLink(fragment);
    await until('bob is in', () => bob.chat.membership.join?.state === 'joined');
    await eve.chat.membership.followLink(fragment);
    assert.deepEqual(eve.chat.membership.join, { state: 'failed', failure: 'used', groupName: 'Two only' });
    assert.equal(alice.group(group.gid).log.state()?.members.size, 2);
  });

  it('a second device of a member is told that it cannot join yet, and nothing changes', async () => {
    const { members, origin } = await crew('alice', 'bob');
    const [alice, bob] = members;
    assert.ok(alice && bob);
    const group = await alice.chat.membership.create('One each');
    const fragment = await alice.chat.membership.invite(group, { role: roles.member, maxUses: 5 });
    assert.equal(await alice.chat.membership.add(group, 'bob'), 'added');
    const phone = await Member.onAnotherDevice(bob);
    closing.push(() => phone.close());
    await phone.open(origin, 'login');
    await phone.chat.membership.followLink(fragment);
    assert.deepEqual(phone.chat.membership.join, { state: 'failed', failure: 'other-device', groupName: 'One each' });
    assert.equal(phone.chat.group(group.gid), undefined);
  });
});
