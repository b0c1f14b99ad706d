// Entries of a group's log and invite proofs: what is read, what is refused, what a signature covers.
import assert from 'node:assert/strict';
import { signingKeyFromSeed, verifyStrictly } from '../keys/ed25519.ts';
import { hash } from '../keys/hash.ts';
import { opIdOf } from '../keys/identity.ts';
import { makeInviteProof, verifyInviteProof } from '../keys/invite-proof.ts';
import { readOp, signOp } from '../keys/op.ts';
import { concat, equal, hex } from '../wire/bytes.ts';
import { encode } from '../wire/codec.ts';
import { type OpBody, op, opBody, roles } from '../wire/group-ops.ts';
import { asOpId } from '../wire/ids.ts';
import { WireRefusal } from '../wire/refusal.ts';
import {
  adding,
  bodyOn,
  genesisBody,
  leaving,
  type SigningDevice,
  type SpecPerson,
  settingRole,
  signedOn,
  signingDevice,
  signingPerson,
  someEpoch,
  unsignedOp,
} from './op-people.ts';

describe('ops', () => {
  let alice: SpecPerson<SigningDevice>;
  let bob: SpecPerson<SigningDevice>;
  let genesis: OpBody;
  before(async () => {
    [alice, bob] = await Promise.all([signingPerson('alice'), signingPerson('bob')]);
    genesis = genesisBody(alice);
  });

  it('are read as they were signed', async () => {
    const first = await signOp({ body: genesis, signer: alice.devices[0].signer });
    const second = await signedOn([first], { by: alice.devices[0], changes: [adding(bob)], epoch: someEpoch(), wall: 12 });
    for (const signed of [first, second]) {
      const read = readOp(signed.bytes);
      assert.deepEqual(read, signed);
      assert.deepEqual(read.opId, opIdOf(read.bodyBytes));
      assert.ok(verifyStrictly(alice.devices[0].signPub, 'op', read.bodyBytes, read.signature));
      assert.equal(verifyStrictly(bob.devices[0].signPub, 'op', read.bodyBytes, read.signature), false);
    }
    assert.equal(second.body.depth, 1);
    assert.deepEqual(second.body.gid, first.opId);
  });

  it('keep their id under another signature, and change it with every byte of the body', async () => {
    const signed = await signOp({ body: genesis, signer: alice.devices[0].signer });
    const again = unsignedOp(genesis);
    assert.deepEqual(again.opId, signed.opId);
    assert.notDeepEqual(unsignedOp({ ...genesis, wall: 1 }).opId, signed.opId);
  });

  it('are refused where they are no genesis and no successor', () => {
    const first = unsignedOp(genesis);
    const next = bodyOn([first], { by: alice.devices[0], changes: [leaving] });
    const refused: Record<string, OpBody> = {
      'genesis with a gid': { ...genesis, gid: first.opId },
      'genesis with a depth': { ...genesis, depth: 1 },
      'genesis without changes': { ...genesis, changes: [] },
      'genesis that only leaves': { ...genesis, changes: [leaving] },
      'genesis that comes second': { ...genesis, changes: [settingRole(bob, roles.admin), ...genesis.changes] },
      'two geneses in one op': { ...genesis, changes: [...genesis.changes, ...genesis.changes] },
      'genesis on top of another': { ...next, changes: genesis.changes },
      'successor without gid': { ...next, gid: asOpId(new Uint8Array(32)) },
      'successor without depth': { ...next, depth: 0 },
    };
    for (const [name, body] of Object.entries(refused))
      assert.throws(
        () => unsignedOp(body),
        (error) => error instanceof WireRefusal && error.code === 'bad-value',
        name,
      );
  });

  it('are refused with parents out of order, twice the same, or too many', () => {
    const first = unsignedOp(genesis);
    const body = bodyOn([first], { by: alice.devices[0], changes: [] });
    const id = (byte: number) => asOpId(new Uint8Array(32).fill(byte));
    const bodyWith = (...parents: number[]) => ({ ...body, parents: parents.map(id) });
    assert.deepEqual(unsignedOp(bodyWith(1, 2)).body.parents, [id(1), id(2)]);
    for (const body of [bodyWith(2, 1), bodyWith(1, 1), bodyWith(1, 2, 3, 4, 5, 6, 7, 8, 9)])
      assert.throws(() => unsignedOp(body), WireRefusal);
    // The codec refuses to write these too, so the reading side is shown bytes that were put together by hand.
    const sorted = encode(opBody, bodyWith(1, 2));
    const readWith = (...parents: number[]) => {
      const body = concat(sorted.slice(0, 34), ...parents.map(id), sorted.slice(34 + 64));
      return readOp(encode(op, { body, signature: new Uint8Array(64) }));
    };
    assert.deepEqual(readWith(1, 3).body.parents, [id(1), id(3)]);
    assert.throws(() => readWith(2, 1), WireRefusal);
    assert.throws(() => readWith(2, 2), WireRefusal);
  });

  it('are refused when cut or followed by anything', async () => {
    const { bytes } = await signOp({ body: genesis, signer: alice.devices[0].signer });
    for (let length = 0; length < bytes.length; length += 7) assert.throws(() => readOp(bytes.slice(0, length)), WireRefusal);
    assert.throws(() => readOp(concat(bytes, Uint8Array.of(0))), WireRefusal);
  });
});

describe('invite proofs', () => {
  const gid = asOpId(hash('spec gid'));

  async function asked() {
    const mallory = await signingPerson('mallory');
    const inviteKey = await signingKeyFromSeed(hash('spec invite'));
    const { uid, certHash, devices } = mallory;
    const [{ did, signer }] = devices;
    const claim = { gid, uid, certHash, devices: devices.map(({ certificate }) => certificate) };
    return { claim, inviteKey, did, signer, mallory, proof: await makeInviteProof({ ...claim, inviteKey, did, signer }) };
  }

  it('hold for what was asked and for nothing else', async () => {
    const { claim, proof, mallory } = await asked();
    assert.ok(verifyInviteProof({ ...claim, proof }));
    const bob = await signingPerson('bob');
    const other = await signingDevice(mallory.uid, 'another');
    const changed: Record<string, typeof claim> = {
      'in another group': { ...claim, gid: asOpId(hash('other gid')) },
      'by another person': { ...claim, uid: bob.uid },
      'with another certificate': { ...claim, certHash: bob.certHash },
      'with one more device': { ...claim, devices: [...claim.devices, other.certificate] },
      'without the device that signed': { ...claim, devices: [other.certificate] },
      'with bytes that are no device': { ...claim, devices: [...claim.devices, new Uint8Array(8)] },
    };
    for (const [name, claim] of Object.entries(changed)) assert.equal(verifyInviteProof({ ...claim, proof }), false, name);
  });

  it('need both the key of the invite and the device', async () => {
    const { claim, proof, inviteKey, did, signer } = await asked();
    const wrongInvite = await makeInviteProof({ ...claim, inviteKey: signer, did, signer });
    assert.equal(verifyInviteProof({ ...claim, proof: { ...wrongInvite, invitePub: inviteKey.publicKey } }), false);
    const wrongDevice = await makeInviteProof({ ...claim, inviteKey, did, signer: inviteKey });
    assert.equal(verifyInviteProof({ ...claim, proof: wrongDevice }), false);
    assert.equal(verifyInviteProof({ ...claim, proof: { ...proof, deviceSignature: proof.inviteSignature } }), false);
  });

  it('sign gid, uid, certHash and the hash of the device list, as in the protocol', async () => {
    const { claim, proof, inviteKey } = await asked();
    const [certificate] = claim.devices;
    assert.ok(certificate !== undefined);
    const list = concat(Uint8Array.of(1, certificate.length >> 8, certificate.length & 255), certificate);
    const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', list));
    const bytes = concat(gid, claim.uid, claim.certHash, digest);
    assert.ok(equal(await inviteKey.sign('join', bytes), proof.inviteSignature));
    assert.equal(hex(proof.invitePub), hex(inviteKey.publicKey));
  });
});
