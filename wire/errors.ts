// The closed table of codes with which the node refuses: number on the wire, a text for us, a sentence for the person.
import { type Codec, checked, u16 } from './codec.ts';
import { WireRefusal } from './refusal.ts';

export const nodeErrors = {
  malformed: {
    number: 1,
    us: 'bytes that are no message',
    person: 'This app and the node do not understand each other. Reload the page to get the current version.',
  },
  unexpected: {
    number: 2,
    us: 'a message that is not due in this state',
    person: 'The node did not expect that. Reload the page and try again.',
  },
  'too-large': { number: 3, us: 'over a size limit', person: 'That is too large for this node.' },
  'wrong-origin': {
    number: 4,
    us: 'ClientHello names an origin that is not configured here',
    person: 'The node does not serve this address. Open the address that its operator gave you.',
  },
  'unknown-user': {
    number: 5,
    us: 'no such user name',
    person: 'There is no user of that name here. Check the spelling, or register.',
  },
  'name-taken': { number: 6, us: 'registering a name that exists', person: 'That name is taken. Choose another one.' },
  'name-not-allowed': {
    number: 7,
    us: 'reserved or malformed name',
    person: 'That name cannot be used here. Choose another one.',
  },
  'key-taken': {
    number: 8,
    us: 'the certificate already has a name',
    person: 'This key already has a user name here. Log in with it.',
  },
  'bad-certificate': {
    number: 9,
    us: 'certificate refused by the OpenPGP profile',
    person: 'The node cannot use this key. Check that it is not expired and has an encryption subkey.',
  },
  'login-refused': {
    number: 10,
    us: 'proof of the key or the device failed',
    person: 'The node did not accept the proof of your key.',
  },
  'challenge-expired': { number: 11, us: 'answer after the life of the challenge', person: 'That took too long. Try again.' },
  'device-refused': {
    number: 12,
    us: 'resume with an unknown, expired or revoked device',
    person: 'This device has to log in again.',
  },
  'registration-closed': { number: 13, us: 'policy', person: 'This node takes no new users.' },
  'rate-limited': { number: 14, us: 'over a rate', person: 'Too many tries. Wait a moment.' },
  'not-found': { number: 15, us: 'no such entry', person: 'The node does not have that.' },
  'shard-missing': {
    number: 16,
    us: 'append names a shard that was not put',
    person: 'The node lost a part of that change. It will be tried again.',
  },
  'append-refused': { number: 17, us: 'append key unknown or signature wrong', person: 'You may no longer change this group.' },
  'quota-exceeded': { number: 18, us: 'over a quota', person: 'The node has no more room for this.' },
  'peer-offline': { number: 19, us: 'relay to a device without a socket', person: 'They are offline.' },
  busy: { number: 20, us: 'receiver slow or node stopping', person: 'The node is busy. It will be tried again.' },
  replaced: { number: 21, us: 'the same device logged in on another socket', person: 'This device was connected a second time.' },
  internal: { number: 22, us: 'our fault', person: 'Something went wrong at the node. It will be tried again.' },
} as const;

export type NodeErrorCode = keyof typeof nodeErrors;

function isNodeErrorCode(name: string): name is NodeErrorCode {
  return Object.hasOwn(nodeErrors, name);
}

const codeOfNumber = new Map<number, NodeErrorCode>(
  Object.keys(nodeErrors)
    .filter(isNodeErrorCode)
    .map((code) => [nodeErrors[code].number, code]),
);

const anyNumber = checked(u16, (number) => {
  if (!codeOfNumber.has(number)) throw new WireRefusal('bad-value', `error number ${number}`);
  return number;
});

export const nodeErrorCode: Codec<NodeErrorCode> = {
  write: (out, code) => anyNumber.write(out, nodeErrors[code].number),
  read(input) {
    const code = codeOfNumber.get(anyNumber.read(input));
    if (code === undefined) throw new WireRefusal('bad-value', 'error number');
    return code;
  },
};
