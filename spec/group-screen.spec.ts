// What the screens draw of a group: made from the engine, and only what changed made anew.
import assert from 'node:assert/strict';
import type { ConversationItem } from '../web/app-state.ts';
import { confusableNicknames, skeletonOf } from '../web/confusable.ts';
import { GroupScreen } from '../web/group-screen.ts';
import type { Gid } from '../wire/ids.ts';
import { MeshWorld, type WorldMember } from './mesh-world.ts';

describe('a group on the screen', function () {
  this.timeout(30_000);
  let world: MeshWorld;
  let alice: WorldMember;
  let bob: WorldMember;
  let gid: Gid;
  let screen: GroupScreen;

  beforeEach(async () => {
    world = await MeshWorld.of('alice', 'bob');
    alice = world.member('alice');
    bob = world.member('bob');
    gid = await world.group(alice, bob);
    const { uid, username } = alice.identity.account;
    screen = new GroupScreen(alice.group(gid), { chat: alice.chat, me: { uid, username, fingerprint: 'abcd' } });
  });

  afterEach(() => world.close());

  const says = async (who: WorldMember, text: string) => {
    await world.during(who.group(gid).send({ kind: 'text', text }));
    await world.until(`all read ${text}`, () => world.members.every((one) => one.texts(gid).includes(text)));
  };

  const nicknamed = async (who: WorldMember, nickname: string) => {
    await world.during(who.group(gid).send({ kind: 'nickname', nickname }));
    await world.until('all know', () => world.members.every((one) => one.group(gid).nicknames().size === 1));
  };

  const textOf = (item: ConversationItem) => item.text;
  const message = (text: string) => {
    const found = screen.conversation.items().find((item) => item.text === text);
    if (found?.item !== 'message') throw new Error(`${text} is not shown`);
    return found;
  };

  it('has the notices and messages in order, and makes nothing anew while nothing changes', async () => {
    await says(alice, 'one');
    await says(bob, 'two');
    const items = screen.conversation.items();
    assert.deepEqual(items.map(textOf), ['alice created the group', 'alice added bob', 'one', 'two']);
    assert.equal(screen.conversation.items(), items);
    assert.equal(screen.members(), screen.members());
  });

  it('makes one item for one message, and one for one mark that changes', async () => {
    for (let i = 0; i < 5; i++) await says(bob, `before ${i}`);
    const before = screen.conversation.items();
    await says(alice, 'mine');
    const after = screen.conversation.items();
    assert.deepEqual(after.slice(0, -1), before);
    assert.ok(before.every((item, i) => item === after[i]));
    const state = () => message('mine').state;
    assert.notEqual(state(), 'delivered');
    await world.until('bob confirms', () => state() === 'delivered');
    const confirmed = screen.conversation.items();
    assert.deepEqual(
      confirmed.flatMap((item, i) => (item === after[i] ? [] : [item.text])),
      ['mine'],
    );
  });

  it('counts what others wrote since the reader looked', async () => {
    await says(bob, 'seen');
    const read = screen.conversation.newest();
    assert.equal(screen.summary(read).unread, 0);
    await says(alice, 'own');
    await says(bob, 'unseen');
    assert.equal(screen.summary(read).unread, 1);
    assert.equal(screen.summary(0).unread, 2);
    assert.equal(screen.summary(screen.conversation.newest()).unread, 0);
    assert.equal(screen.summary(read).lastLine, 'bob: unseen');
  });

  it('calls people by their nickname in all that they wrote, and warns of one that could be taken for another', async () => {
    await says(alice, 'mine');
    await says(bob, 'his');
    const mine = message('mine');
    await nicknamed(bob, 'аlice');
    assert.equal(message('his').author.nickname, 'аlice');
    assert.equal(message('mine').author, mine.author);
    const warned = screen.members().map(({ username, nicknameConfusable }) => [username, nicknameConfusable]);
    assert.deepEqual(warned, [
      ['alice', false],
      ['bob', true],
    ]);
  });

  it('says how each is reached, as it is now', async () => {
    const reach = () => screen.members().map((member) => `${member.username} ${member.reach}`);
    assert.deepEqual(reach(), ['alice direct', 'bob direct']);
    const [self] = screen.members();
    await bob.close();
    await world.until('bob is gone', () => reach()[1] === 'bob offline');
    assert.equal(screen.members()[0], self);
  });
});

describe('a nickname', () => {
  const confusable = (...people: [string, string | undefined][]) => [
    ...confusableNicknames(people.map(([username, nickname]) => ({ id: username, username, nickname }))),
  ];

  it('could be taken for another name whatever its letters, case, accents, spaces and digits', () => {
    for (const name of ['ALICE', 'аlice', 'Alíce', 'a l i c e', 'a1ice', 'ａｌｉｃｅ', 'alıce', '_alice_'])
      assert.deepEqual(confusable(['alice', undefined], ['eve', name]), ['eve'], name);
    assert.deepEqual(confusable(['modern', undefined], ['eve', 'modem']), ['eve']);
  });

  it('could be taken for another nickname, and then both are warned of', () => {
    assert.deepEqual(confusable(['alice', 'Captain'], ['bob', 'captain'], ['carol', undefined]), ['alice', 'bob']);
  });

  it('is nobody’s that is one’s own name, or like no other; one without letters is no name', () => {
    assert.deepEqual(confusable(['alice', 'Alice'], ['bob', 'Captain']), []);
    assert.deepEqual(confusable(['alice', undefined], ['bob', '…']), ['bob']);
    assert.equal(skeletonOf('Bob'), skeletonOf('8o8'));
  });
});
