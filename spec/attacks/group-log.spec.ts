// Attacks 22–26, 29, 36 and 39–41 on the log of a group, with real keys: forged and foreign ops, ghosts, grabs for power, floods, used-up invites.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { signingKeyFromSeed } from '../../keys/ed25519.ts';
import { hash } from '../../keys/hash.ts';
import { makeInviteProof } from '../../keys/invite-proof.ts';
import { type ReadOp, readOp, signOp } from '../../keys/op.ts';
import { OpLog } from '../../keys/resolve.ts';
import { concat, hex } from '../../wire/bytes.ts';
import { encode } from '../../wire/codec.ts';
import { type Change, type GroupPolicy, type OpBody, op, opBody, roles } from '../../wire/group-ops.ts';
import { asDid, asOpId, type Uid } from '../../wire/ids.ts';
import { limits } from '../../wire/limits.ts';
import { WireRefusal } from '../../wire/refusal.ts';
import {
  adding,
  addingDevice,
  bodyOn,
  genesisBody,
  inviting,
  type OpContent,
  removing,
  removingDevice,
  type SigningDevice,
  type SpecPerson,
  settingPolicy,
  settingRole,
  signedOn,
  signingDevice,
  signingPerson,
  someEpoch,
} from '../op-people.ts';
import { addAll, some } from '../op-story.ts';
import { diceOf, shuffled } from '../random-logs.ts';
import { checkVectors } from '../vectors/check.ts';
import { opEdgeCases } from '../vectors/op-edge-cases.ts';

type Signer = SpecPerson<SigningDevice>;

/** Olga founds; alice and bob are admins, mallory is a member, eve is outside. */
class Group {
  readonly ops: ReadOp[] = [];
  readonly log: OpLog;
  readonly people: Record<'olga' | 'alice' | 'bob' | 'mallory' | 'eve', Signer>;

  private constructor(people: Group['people'], genesis: ReadOp) {
    this.people = people;
    this.log = new OpLog({ gid: genesis.opId });
    this.take(genesis);
  }

  static async found(policy: Partial<GroupPolicy> = {}): Promise<Group> {
    const [olga, alice, bob, mallory, eve] = await Promise.all([
      signingPerson('olga'),
      signingPerson('alice'),
      signingPerson('bob'),
      signingPerson('mallory', 2),
      signingPerson('eve'),
    ]);
    const genesis = await signOp({ body: genesisBody(olga, policy), signer: olga.devices[0].signer });
    const group = new Group({ olga, alice, bob, mallory, eve }, genesis);
    await group.write(olga, adding(alice, roles.admin), adding(bob, roles.admin), adding(mallory));
    return group;
  }

  get last(): ReadOp {
    return some(this.ops.at(-1));
  }

  /** By somebody's first device, on top of all that came before. */
  async write(by: Signer, ...changes: Change[]): Promise<ReadOp> {
    return this.take(await this.sign(by, { changes }));
  }

  sign(by: Signer, content: Partial<OpContent>, on: readonly ReadOp[] = [this.last]): Promise<ReadOp> {
    return signedOn(on, { changes: [], wall: this.ops.length, ...content, by: by.devices[0] });
  }

  take(op: ReadOp): ReadOp {
    assert.equal(this.log.add(op), 'added');
    this.ops.push(op);
    return op;
  }

  verdict({ opId }: ReadOp): string {
    return some([...this.log.inOrder()].find(({ op }) => hex(op.opId) === hex(opId))).verdict;
  }

  roleOf({ uid }: { uid: Uid }): number {
    return this.log.state().members.get(hex(uid))?.role ?? roles.none;
  }

  /** What an attack must leave as it is. */
  snapshot() {
    const { members, policy, epochs } = this.log.state();
    return { heads: this.log.heads().map(hex), members: [...members.keys()], policy, epochs };
  }
}

describe('forged and foreign ops (22)', () => {
  it('change nothing whichever byte is flipped', async () => {
    const group = await Group.found();
    const { alice, eve } = group.people;
    const op = await group.sign(alice, { changes: [adding(eve)], epoch: someEpoch() });
    const before = group.snapshot();
    const came = new Map<string, number>();
    for (let at = 0; at < op.bytes.length; at++) {
      const flipped = op.bytes.slice();
      flipped[at] = (flipped[at] ?? 0) ^ (1 << (at % 8));
      const outcome = outcomeOf(group.log, flipped);
      came.set(outcome, (came.get(outcome) ?? 0) + 1);
    }
    assert.deepEqual(group.snapshot(), before);
    // Only where the author's did is hit there is nobody whose signature could be wrong: such ops are kept, and void.
    assert.equal(came.get('added'), 32);
    assert.deepEqual([...came.keys()].sort(), ['added', 'missing-parents', 'refused', 'unreadable']);
    assert.equal(group.log.add(op), 'added');
  });

  it('are refused when signed by another than their author', async () => {
    const group = await Group.found();
    const { olga, mallory } = group.people;
    const before = group.snapshot();
    const body = bodyOn([group.last], { by: olga.devices[0], changes: [settingRole(mallory, roles.owner)] });
    const forged = await signOp({ body, signer: mallory.devices[0].signer });
    assert.equal(group.log.add(forged), 'refused');
    assert.equal(group.log.refusalOf(forged), 'bad-signature');
    assert.deepEqual(group.snapshot(), before);
  });

  it('are refused with the signature of another op, or under another label', async () => {
    const group = await Group.found();
    const { signer } = group.people.olga.devices[0];
    const body = encode(opBody, bodyOn([group.last], { by: group.people.olga.devices[0], changes: [] }));
    for (const signature of [group.last.signature, await signer.sign('msg', body), new Uint8Array(64)]) {
      const forged = readOp(encode(op, { body, signature }));
      assert.equal(group.log.add(forged), 'refused');
      assert.equal(group.log.refusalOf(forged), 'bad-signature');
    }
  });

  it('are refused with a wrong depth or gid, however well they are signed', async () => {
    const group = await Group.found();
    const { signer } = group.people.olga.devices[0];
    const before = group.snapshot();
    const body = bodyOn([group.last], { by: group.people.olga.devices[0], changes: [] });
    const wrong: [OpBody, string][] = [
      [{ ...body, depth: body.depth + 1 }, 'wrong-depth'],
      [{ ...body, depth: body.depth - 1 }, 'wrong-depth'],
      [{ ...body, gid: asOpId(hash('another group')) }, 'other-group'],
    ];
    for (const [body, why] of wrong) {
      const forged = await signOp({ body, signer });
      assert.equal(group.log.add(forged), 'refused');
      assert.equal(group.log.refusalOf(forged), why);
    }
    assert.deepEqual(group.snapshot(), before);
  });

  it('are unreadable with a trailing byte or with parents out of order', async () => {
    const group = await Group.found();
    const { alice, bob } = group.people;
    const [a, b] = [await group.sign(alice, {}), await group.sign(bob, {})];
    group.take(a);
    group.take(b);
    const { bytes, bodyBytes } = await group.sign(alice, {}, [a, b]);
    assert.throws(() => readOp(concat(bytes, Uint8Array.of(0))), WireRefusal);
    const swapped = bodyBytes.slice();
    swapped.set(bodyBytes.slice(34 + 32, 34 + 64), 34);
    swapped.set(bodyBytes.slice(34, 34 + 32), 34 + 32);
    assert.throws(() => readOp(encode(op, { body: swapped, signature: new Uint8Array(64) })), WireRefusal);
  });

  it('of a device whose certificate comes only later or beside it are nobody’s', async () => {
    const group = await Group.found();
    const { mallory, eve } = group.people;
    const { last } = group;
    const phone = await signingDevice(mallory.uid, 'phone of mallory');
    const early = await signedOn([last], { by: phone, changes: [] });
    const self = await signedOn([last], { by: phone, changes: [addingDevice(mallory, phone)] });
    group.take(await group.sign(mallory, { changes: [addingDevice(mallory, phone)] }));
    for (const op of [early, self]) assert.equal(group.log.add(op), 'added');
    assert.deepEqual([group.verdict(early), group.verdict(self)], ['unknown-author', 'unknown-author']);
    const onTop = await signedOn([group.last], { by: phone, changes: [] });
    assert.equal(group.verdict(group.take(onTop)), 'applied');
    assert.equal(group.roleOf(eve), roles.none);
  });
});

describe('ghosts (23)', () => {
  it('added by a key that is not in the log do not come in, and nor does what is built on them', async () => {
    const group = await Group.found();
    const { eve, alice } = group.people;
    const before = group.snapshot();
    const ghost = await group.sign(eve, { changes: [adding(eve)] });
    assert.equal(group.log.add(ghost), 'added');
    assert.equal(group.verdict(ghost), 'unknown-author');
    const next = await group.sign(eve, { changes: [settingRole(eve, roles.owner)], epoch: someEpoch() }, [ghost]);
    assert.equal(group.log.add(next), 'added');
    assert.equal(group.verdict(next), 'unknown-author');
    assert.deepEqual(group.snapshot(), before);
    // Who got such an op first and built on it loses nothing.
    const honest = await group.sign(alice, { changes: [removing(group.people.bob)] }, [ghost]);
    assert.equal(group.verdict(group.take(honest)), 'applied');
    assert.equal(group.roleOf(eve), roles.none);
    assert.deepEqual(group.log.heads().map(hex), [hex(honest.opId)]);
  });

  it('named by a member who may not add can sign, but stay outside', async () => {
    const group = await Group.found();
    const { mallory, eve } = group.people;
    const add = await group.write(mallory, adding(eve));
    const act = await group.write(eve, settingRole(eve, roles.owner));
    assert.deepEqual([group.verdict(add), group.verdict(act)], ['role-too-low', 'not-in-group']);
    const forged = await signOp({ body: bodyOn([act], { by: eve.devices[0], changes: [] }), signer: mallory.devices[0].signer });
    assert.equal(group.log.refusalOf(forged), 'bad-signature');
  });
});

describe('grabs for power (24)', () => {
  it('by a plain member are void on every replica', async () => {
    const group = await Group.found();
    const { mallory, eve, bob } = group.people;
    const grabs = [
      adding(eve),
      settingRole(mallory, roles.admin),
      settingPolicy({ admit: roles.member }),
      removing(bob),
      inviting(hash('spec invite')),
      removingDevice(bob, bob.devices[0]),
    ];
    const before = group.snapshot();
    const tried: ReadOp[] = [];
    for (const change of grabs) tried.push(await group.write(mallory, change));
    for (const op of tried) assert.equal(group.verdict(op), 'role-too-low');
    for (let seed = 1; seed <= 5; seed++) {
      const replica = new OpLog();
      addAll(replica, shuffled(group.ops, diceOf(seed)));
      assert.deepEqual([...replica.state().members.keys()], before.members);
      assert.deepEqual(replica.state().policy, before.policy);
    }
  });

  it('by a device that an admin made up for the owner fail', async () => {
    const group = await Group.found();
    const { olga, alice } = group.people;
    const madeUp = await signingDevice(olga.uid, 'made up by alice');
    const add = await group.write(alice, addingDevice(olga, madeUp));
    assert.equal(group.verdict(add), 'role-too-low');
    const act = group.take(await signedOn([add], { by: madeUp, changes: [settingRole(alice, roles.owner)] }));
    assert.equal(group.verdict(act), 'not-in-group');
    assert.equal(group.roleOf(alice), roles.admin);
  });
});

describe('removals at once (25, 26)', () => {
  it('of two admins by each other have one winner in all orders of delivery', async () => {
    const group = await Group.found();
    const { alice, bob, olga } = group.people;
    const { last } = group;
    const carol = await signingPerson('carol');
    const concurrent = [
      await group.sign(alice, { changes: [removing(bob)] }, [last]),
      await group.sign(bob, { changes: [removing(alice)] }, [last]),
      await group.sign(bob, { changes: [adding(carol)] }, [last]),
      await group.sign(olga, {}, [last]),
    ];
    const seen = new Set<string>();
    for (const order of permutations(concurrent)) {
      const replica = new OpLog();
      addAll(replica, [...group.ops, ...order], () => replica.size > 2 && replica.state());
      seen.add([...replica.state().members.keys()].join());
    }
    assert.equal(seen.size, 1);
    for (const op of concurrent) group.take(op);
    // Both came in the same op: the smaller opId of the two removals goes first.
    const [byAlice, byBob] = concurrent.map((op) => hex(op.opId));
    const isAliceFirst = some(byAlice) < some(byBob);
    assert.deepEqual([group.roleOf(alice), group.roleOf(bob)], isAliceFirst ? [roles.admin, 0] : [0, roles.admin]);
    assert.equal(group.roleOf(carol), isAliceFirst ? roles.none : roles.member);
  });

  it('beat adding again, and adds of two people both stand and are merged', async () => {
    const group = await Group.found();
    const { alice, bob, mallory, eve } = group.people;
    const { last } = group;
    const carol = await signingPerson('carol');
    const removed = await group.sign(alice, { changes: [removing(mallory)] }, [last]);
    const again = await group.sign(bob, { changes: [removing(mallory), adding(mallory)] }, [last]);
    const [x, y] = [
      await group.sign(alice, { changes: [adding(eve)] }, [removed]),
      await group.sign(bob, { changes: [adding(carol)] }, [again]),
    ];
    for (const op of [removed, again, x, y]) group.take(op);
    assert.deepEqual(
      [mallory, eve, carol].map((person) => group.roleOf(person)),
      [0, roles.member, roles.member],
    );
    assert.equal(group.log.heads().length, 2);
    const merge = group.take(await group.sign(alice, { epoch: someEpoch() }, [x, y]));
    assert.deepEqual(group.log.heads().map(hex), [hex(merge.opId)]);
    assert.equal(group.log.state().members.size, 5);
  });
});

describe('another genesis (29)', () => {
  it('does not get into the log of the group that was meant, nor does anything on top of it', async () => {
    const group = await Group.found();
    const { eve, mallory } = group.people;
    const genesis = await signOp({ body: genesisBody(eve), signer: eve.devices[0].signer });
    const onTop = await signedOn([genesis], { by: eve.devices[0], changes: [adding(mallory)] });
    const joiner = new OpLog({ gid: some(group.ops[0]).opId });
    for (const log of [joiner, group.log]) {
      assert.equal(log.add(genesis), 'refused');
      assert.equal(log.refusalOf(genesis), 'other-group');
      assert.equal(log.add(onTop), 'refused');
      assert.equal(log.refusalOf(onTop), 'other-group');
    }
    assert.equal(joiner.size, 0);
  });

  it('is refused when its author is no device of the founder, or when it is void', async () => {
    const [olga, eve] = await Promise.all([signingPerson('olga'), signingPerson('eve')]);
    const founding = async (body: OpBody, signer: SigningDevice) =>
      new OpLog().refusalOf(await signOp({ body, signer: signer.signer }));
    assert.equal(await founding(genesisBody(olga), olga.devices[0]), undefined);
    assert.equal(await founding({ ...genesisBody(olga), author: eve.devices[0].did }, eve.devices[0]), 'bad-genesis');
    assert.equal(await founding(genesisBody({ ...olga, devices: eve.devices }), eve.devices[0]), 'bad-genesis');
    assert.equal(await founding(genesisBody(olga, {}, [removing(olga)]), olga.devices[0]), 'bad-genesis');
    assert.equal(await founding(genesisBody(olga), eve.devices[0]), 'bad-signature');
  });
});

describe('weaker protection and floods (36)', () => {
  it('cannot be had from a policy, by nobody', async () => {
    const group = await Group.found({ wrap: 2 });
    const { olga, alice } = group.people;
    for (const by of [olga, alice])
      assert.equal(group.verdict(await group.write(by, settingPolicy({ wrap: 1 }))), 'weaker-policy');
    assert.equal(group.log.state().policy.wrap, 2);
    // A lower suite than 1 cannot even be written.
    const { bodyBytes } = await group.sign(olga, { changes: [settingPolicy({ wrap: 2 })] });
    const suiteAt = bodyBytes.length - 3;
    assert.deepEqual([...bodyBytes.slice(suiteAt)], [1, 2, 0]);
    const lowered = bodyBytes.slice();
    lowered[suiteAt] = 0;
    assert.throws(() => readOp(encode(op, { body: lowered, signature: new Uint8Array(64) })), WireRefusal);
  });

  it('of rekeys are void from the fourth on, those of ops from the twenty-first, alike on every replica', async () => {
    const group = await Group.found({ admit: roles.member });
    const { mallory, alice } = group.people;
    const verdicts: string[] = [];
    for (let i = 0; i < 30; i++) {
      const epoch = i < 5 ? { epoch: someEpoch() } : {};
      verdicts.push(
        group.verdict(group.take(await group.sign(mallory, { ...epoch, changes: i < 5 ? [] : [inviting(hash(`invite ${i}`))] }))),
      );
    }
    const due = verdicts.map((_, i) => (i < 3 || (i >= 5 && i < 20) ? 'applied' : 'over-quota'));
    assert.deepEqual(verdicts, due);
    const replica = new OpLog();
    addAll(replica, shuffled(group.ops, diceOf(36)));
    const applied = (log: OpLog) => [...log.inOrder()].map(({ verdict }) => verdict);
    assert.deepEqual(applied(replica), applied(group.log));
    assert.equal(group.verdict(group.take(await group.sign(alice, { epoch: someEpoch() }))), 'applied');
    assert.equal(group.verdict(await group.write(mallory, { kind: 'leave' })), 'applied');
  });

  it('do not free their own way: void ops count, and only others writing makes room', async () => {
    const group = await Group.found({ admit: roles.member });
    const { mallory, alice } = group.people;
    for (let i = 0; i < limits.quotaWindow + 5; i++) await group.write(mallory, removing(alice));
    assert.equal(group.verdict(await group.write(mallory, inviting(hash('spec invite')))), 'over-quota');
    for (let i = 0; i < limits.quotaWindow - limits.quotaOps + 1; i++)
      await group.write(alice, settingPolicy({ name: `name ${i}`, admit: roles.member }));
    assert.equal(group.verdict(await group.write(mallory, inviting(hash('spec invite')))), 'applied');
  }).timeout(30_000);

  it('of rekeys leave room for those that somebody must make', async () => {
    const group = await Group.found();
    const { mallory, alice, eve } = group.people;
    const rekey = () => group.sign(mallory, { epoch: someEpoch() });
    for (let i = 0; i < 4; i++) group.take(await rekey());
    assert.equal(group.verdict(group.last), 'over-quota');
    await group.write(alice, adding(eve));
    await group.write(eve, { kind: 'leave' });
    assert.equal(group.verdict(group.take(await rekey())), 'applied');
    assert.equal(group.verdict(group.take(await rekey())), 'over-quota');
    const { last } = group;
    const [x, y] = [await group.sign(alice, {}, [last]), await group.sign(group.people.bob, {}, [last])];
    for (const op of [x, y]) group.take(op);
    assert.equal(group.verdict(group.take(await group.sign(mallory, { epoch: someEpoch() }, [x, y]))), 'applied');
  });

  it('cannot be dressed up as merges of their own, as merges of nothing, or as changes of own devices', async () => {
    const group = await Group.found();
    const { mallory } = group.people;
    const phone = some(mallory.devices[1]);
    for (let i = 0; i < 3; i++) group.take(await group.sign(mallory, { epoch: someEpoch() }));
    const { last } = group;
    const [x, y] = [await group.sign(mallory, { wall: 1001 }, [last]), await group.sign(mallory, { wall: 1002 }, [last])];
    for (const op of [x, y]) group.take(op);
    const ownMerge = group.take(await group.sign(mallory, { epoch: someEpoch() }, [x, y]));
    assert.equal(group.verdict(ownMerge), 'over-quota');
    const withItsAncestor = group.take(await group.sign(mallory, { epoch: someEpoch() }, [ownMerge, some(group.ops[1])]));
    assert.equal(group.verdict(withItsAncestor), 'over-quota');
    const verdicts = new Map<string, number>();
    for (let i = 0; i < limits.quotaOps + 5; i++) {
      const change = i % 2 === 0 ? removingDevice(mallory, phone) : addingDevice(mallory, phone);
      const verdict = group.verdict(await group.write(mallory, change));
      verdicts.set(verdict, (verdicts.get(verdict) ?? 0) + 1);
    }
    assert.deepEqual(
      [...verdicts],
      [
        ['applied', limits.quotaOps],
        ['over-quota', 5],
      ],
    );
  });
});

describe('odd signatures in a log (39)', () => {
  const json: unknown = JSON.parse(readFileSync(new URL('../vectors/ed25519-edge-cases.json', import.meta.url), 'utf8'));

  let made: ReturnType<typeof opEdgeCases>;
  before(() => {
    made = opEdgeCases();
  });

  it('get one verdict, which the vectors pin for every engine', async () => {
    assert.deepEqual(json, { computed: made });
    assert.deepEqual(await checkVectors(json), []);
  });

  it('are refused where a key is odd, where S is not reduced, and where a point is not canonical', () => {
    const refused = made.filter(({ name }) => /key|S is not|not canonical|with a sign/.test(name));
    assert.equal(refused.length, 3 * 7);
    for (const { name, output } of refused)
      assert.match(JSON.stringify(output), /bad-signature|bad-genesis|bad-device|bad-proof/, name);
  });
});

describe('invites in the wrong hands (40, 41)', () => {
  async function invitedGroup(terms: Parameters<typeof inviting>[1] = {}) {
    const group = await Group.found();
    const inviteKey = await signingKeyFromSeed(hash('spec invite seed'));
    await group.write(group.people.alice, inviting(inviteKey.publicKey, terms));
    const gid = some(group.ops[0]).opId;
    const joining = async (person: Signer) => {
      const { uid, certHash, devices } = person;
      const [{ did, signer }] = devices;
      const claim = { gid, uid, certHash, devices: devices.map(({ certificate }) => certificate) };
      return { ...adding(person), proof: await makeInviteProof({ ...claim, inviteKey, did, signer }) };
    };
    return { group, inviteKey, joining };
  }

  it('let in once who is let in once', async () => {
    const { group, joining } = await invitedGroup();
    const { mallory, bob, eve } = group.people;
    const carol = await signingPerson('carol');
    assert.equal(group.verdict(await group.write(mallory, await joining(eve))), 'applied');
    assert.equal(group.verdict(await group.write(bob, await joining(carol))), 'invite-used-up');
    assert.deepEqual([group.roleOf(eve), group.roleOf(carol)], [roles.member, roles.none]);
    await group.write(eve, { kind: 'leave' });
    assert.equal(group.verdict(await group.write(bob, await joining(eve))), 'invite-used-up');
  });

  it('let in one of two who use the last use at once, the same one everywhere', async () => {
    const { group, joining } = await invitedGroup();
    const { mallory, bob, eve } = group.people;
    const carol = await signingPerson('carol');
    const { last } = group;
    const uses = [
      await group.sign(mallory, { changes: [await joining(eve)] }, [last]),
      await group.sign(bob, { changes: [await joining(carol)] }, [last]),
    ];
    const inFirst = new Set<string>();
    for (const order of permutations(uses)) {
      const replica = new OpLog();
      addAll(replica, [...group.ops, ...order]);
      const { members } = replica.state();
      inFirst.add(
        [eve, carol]
          .filter(({ uid }) => members.has(hex(uid)))
          .map(({ name }) => name)
          .join(),
      );
    }
    assert.ok(inFirst.size === 1 && !inFirst.has('eve,carol') && !inFirst.has(''));
  });

  it('let nobody in once they are revoked', async () => {
    const { group, inviteKey, joining } = await invitedGroup({ maxUses: 10 });
    const { alice, mallory, eve } = group.people;
    await group.write(alice, { kind: 'invite-revoke', invitePub: inviteKey.publicKey });
    assert.equal(group.verdict(await group.write(mallory, await joining(eve))), 'invite-revoked');
  });

  it('that are bound to one person let in nobody else', async () => {
    const carol = await signingPerson('carol');
    const { group, joining } = await invitedGroup({ forUid: carol.uid, maxUses: 10 });
    const { mallory, eve } = group.people;
    assert.equal(group.verdict(await group.write(mallory, await joining(eve))), 'invite-bound');
    assert.equal(group.verdict(await group.write(mallory, await joining(carol))), 'applied');
  });

  it('need the key of the link, the device, this group and these very devices', async () => {
    const { group, joining } = await invitedGroup({ maxUses: 100 });
    const { mallory, eve } = group.people;
    const carol = await signingPerson('carol');
    const [ofEve, ofCarol] = [await joining(eve), await joining(carol)];
    const stranger = await signingKeyFromSeed(hash('another seed'));
    const [{ did, signer }] = eve.devices;
    const claim = { gid: some(group.ops[0]).opId, uid: eve.uid, certHash: eve.certHash, devices: ofEve.devices };
    const extra = await signingDevice(eve.uid, 'slipped in by mallory');
    const byStranger = await makeInviteProof({ ...claim, inviteKey: stranger, did, signer });
    const tries: Record<string, Change> = {
      'proof of somebody else': { ...ofEve, proof: ofCarol.proof },
      'signed with another key than the link’s': { ...ofEve, proof: { ...byStranger, invitePub: ofEve.proof.invitePub } },
      'signed by another device': { ...ofEve, proof: { ...ofEve.proof, deviceSignature: ofCarol.proof.deviceSignature } },
      'names a device that is not listed': { ...ofEve, proof: { ...ofEve.proof, did: asDid(hash('nobody')) } },
      'with a device slipped in': { ...ofEve, devices: [...ofEve.devices, extra.certificate] },
      'with another certificate': { ...ofEve, certHash: carol.certHash },
    };
    for (const [name, change] of Object.entries(tries))
      assert.equal(group.verdict(await group.write(mallory, change)), 'bad-proof', name);
    assert.equal(group.verdict(await group.write(mallory, { ...ofEve, role: roles.admin })), 'invite-role');
    assert.equal(group.verdict(await group.write(mallory, ofEve)), 'applied');
  });
});

function outcomeOf(log: OpLog, bytes: Uint8Array): string {
  try {
    return log.add(readOp(bytes));
  } catch (error) {
    if (error instanceof WireRefusal) return 'unreadable';
    throw error;
  }
}

function permutations<T>(items: readonly T[]): T[][] {
  if (items.length < 2) return [[...items]];
  return items.flatMap((item, i) => permutations(items.filter((_, j) => j !== i)).map((rest) => [item, ...rest]));
}
