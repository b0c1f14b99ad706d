// People, devices and ops for specs of group logs: with real keys, or with stand-ins where a hundred thousand logs are made.
import { type DeviceFacts, DeviceRefusal } from '../keys/device.ts';
import { type SigningKey, signingKeyFromSeed } from '../keys/ed25519.ts';
import { hash } from '../keys/hash.ts';
import { didOf, uidOf } from '../keys/identity.ts';
import { type ReadOp, readOp, signOp } from '../keys/op.ts';
import type { OpChecks } from '../keys/op-node.ts';
import { compare, concat, hex, utf8 } from '../wire/bytes.ts';
import { encode } from '../wire/codec.ts';
import { deviceCert, deviceCertBody } from '../wire/device-cert.ts';
import { type Change, type Epoch, type GroupPolicy, type OpBody, op, opBody, type Role, roles } from '../wire/group-ops.ts';
import { asOpId, asUid, type Did, type Uid } from '../wire/ids.ts';

export type SpecDevice = { did: Did; signPub: Uint8Array; certificate: Uint8Array };
export type SpecPerson<D extends SpecDevice = SpecDevice> = {
  name: string;
  uid: Uid;
  certHash: Uint8Array;
  devices: [D, ...D[]];
};
export type SigningDevice = SpecDevice & { signer: SigningKey };

/** Devices that sign for real, under certificates whose pop is good and whose OpenPGP signature is nonsense: the log does not look at it. */
export async function signingPerson(name: string, devices = 1): Promise<SpecPerson<SigningDevice>> {
  const uid = uidOf(4, utf8(name));
  const made = await Promise.all(Array.from({ length: devices - 1 }, (_, i) => signingDevice(uid, `${name} ${i + 1}`)));
  return { name, uid, certHash: hash('spec cert', utf8(name)), devices: [await signingDevice(uid, name), ...made] };
}

export async function signingDevice(uid: Uid, name: string): Promise<SigningDevice> {
  const signer = await signingKeyFromSeed(hash('spec device', utf8(name)));
  const signPub = signer.publicKey;
  const body = encode(deviceCertBody, { suite: 1, uid, signPub, createdAt: 0, notAfter: 1000, flags: 0, name });
  const pop = await signer.sign('device-pop', body);
  const certificate = encode(deviceCert, { body, pop, openPgpSignature: utf8('not looked at') });
  return { did: didOf(uid, signPub), signPub, certificate, signer };
}

/** For `standInChecks`: a certificate is uid ‖ signPub, and every signature is good. */
export function standInPerson(name: string, devices = 1): SpecPerson {
  const uid = uidOf(4, utf8(name));
  const device = (no: number): SpecDevice => {
    const signPub = hash('spec device', utf8(`${name} ${no}`));
    return { did: didOf(uid, signPub), signPub, certificate: concat(uid, signPub) };
  };
  const more = Array.from({ length: devices - 1 }, (_, i) => device(i + 1));
  return { name, uid, certHash: hash('spec cert', utf8(name)), devices: [device(0), ...more] };
}

export const standInChecks: OpChecks = { verify: () => true, readDevice: readStandIn };

const standIns = new Map<string, DeviceFacts>();
function readStandIn(bytes: Uint8Array): DeviceFacts {
  if (bytes.length !== 64) throw new DeviceRefusal('malformed');
  const name = hex(bytes);
  const known = standIns.get(name);
  if (known !== undefined) return known;
  const uid = asUid(bytes.slice(0, 32));
  const signPub = bytes.slice(32);
  const body = { suite: 1, uid, signPub, createdAt: 0, notAfter: 1, flags: 0, name: '' } as const;
  const facts = { did: didOf(uid, signPub), uid, signPub, body };
  standIns.set(name, facts);
  return facts;
}

/** What stands in an op besides its place. `wall` tells apart what would else be one op. */
export type OpContent = { by: SpecDevice; changes: Change[]; epoch?: Epoch; wall?: number };

/** On top of these ops. */
export function bodyOn(parents: readonly ReadOp[], { by, changes, epoch, wall = 0 }: OpContent): OpBody {
  const [first] = parents;
  if (first === undefined) throw new Error('an op without parents is a genesis');
  const gid = first.body.parents.length === 0 ? first.opId : first.body.gid;
  const ids = parents.map(({ opId }) => opId).sort(compare);
  const depth = 1 + Math.max(...parents.map(({ body }) => body.depth));
  return { gid, parents: ids, depth, author: by.did, wall, changes, epoch };
}

export function genesisBody(founder: SpecPerson, policy: Partial<GroupPolicy> = {}, more: Change[] = []): OpBody {
  const { uid, certHash, devices } = founder;
  const genesis = {
    kind: 'genesis',
    salt: new Uint8Array(32),
    policy: { ...plainPolicy, ...policy },
    founder: uid,
    certHash,
    devices: devices.map(({ certificate }) => certificate),
  } as const;
  const gid = asOpId(new Uint8Array(32));
  return { gid, parents: [], depth: 0, author: devices[0].did, wall: 0, changes: [genesis, ...more], epoch: undefined };
}

export const plainPolicy: GroupPolicy = {
  name: 'climbing',
  history: { history: 'from-join' },
  admit: roles.admin,
  suite: 1,
  wrap: 1,
};

export function unsignedOp(body: OpBody): ReadOp {
  return readOp(encode(op, { body: encode(opBody, body), signature: new Uint8Array(64) }));
}

export function signedOn(parents: readonly ReadOp[], content: OpContent & { by: SigningDevice }): Promise<ReadOp> {
  return signOp({ body: bodyOn(parents, content), signer: content.by.signer });
}

type GivenRole = Exclude<Role, 0>;

export function adding({ uid, certHash, devices }: SpecPerson, role: GivenRole = roles.member): Extract<Change, { kind: 'add' }> {
  return { kind: 'add', uid, certHash, role, devices: devices.map(({ certificate }) => certificate), proof: undefined };
}

export function removing({ uid }: SpecPerson): Change {
  return { kind: 'remove', uid, reason: 0 };
}

export function settingRole({ uid }: SpecPerson, role: GivenRole): Change {
  return { kind: 'set-role', uid, role };
}

export const leaving: Change = { kind: 'leave' };

export function addingDevice({ uid }: SpecPerson, { certificate }: SpecDevice): Change {
  return { kind: 'add-device', uid, deviceCert: certificate };
}

export function removingDevice({ uid }: SpecPerson, { did }: SpecDevice): Change {
  return { kind: 'remove-device', uid, did };
}

export function inviting(
  invitePub: Uint8Array,
  terms: { role?: GivenRole; maxUses?: number; forUid?: Uid } = {},
): Extract<Change, { kind: 'invite' }> {
  const { role = roles.member, maxUses = 1, forUid } = terms;
  return { kind: 'invite', invitePub, role, maxUses, expires: 0, approval: 0, forUid };
}

export function settingPolicy(policy: Partial<GroupPolicy>): Change {
  return { kind: 'policy', policy: { ...plainPolicy, ...policy } };
}

export function someEpoch(kind: Partial<Pick<Epoch, 'mode' | 'newGK'>> = {}): Epoch {
  const [gkCommit, esCommit] = [new Uint8Array(32), new Uint8Array(32)];
  return { mode: 1, newGK: 1, gkCommit, esCommit, gkShardHashes: [], esShardHashes: [], frontier: [], excluded: [], ...kind };
}
