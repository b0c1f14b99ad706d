// Checks vectors against this build of wire/ and keys/; runs in Node and in browsers.
import { equal, fromHex, fromUtf8, hex, utf8 } from '../../wire/bytes.ts';
import { type Codec, decode, encode } from '../../wire/codec.ts';
import { deviceCert, deviceCertBody, lockKey, lockKeyBody } from '../../wire/device-cert.ts';
import { frame, frameHeader, paddedPlaintext } from '../../wire/frame.ts';
import { joinRequest, op, opBody, sealedLogEntry, welcome } from '../../wire/group-ops.ts';
import { decodeInviteLink, encodeInviteFragment, invite } from '../../wire/invite-link.ts';
import { nameClaim, nameClaimBody } from '../../wire/login-messages.ts';
import { decodeMessageBody, encodeMessageBody } from '../../wire/message-body.ts';
import { clientMessage, nodeMessage } from '../../wire/node-messages.ts';
import { linkConfirmMessage, peerMessage } from '../../wire/peer-messages.ts';
import { WireRefusal } from '../../wire/refusal.ts';
import { paddedSignal, sealedSignal, signalBody, signedSignal } from '../../wire/signal.ts';
import { computations } from './compute.ts';

/** What reads bytes of one kind and writes the same again. */
export type Parser = (bytes: Uint8Array) => { value: unknown; again: Uint8Array };

function of<T>(codec: Codec<T>): Parser {
  return (bytes) => {
    const value = decode(codec, bytes);
    return { value, again: encode(codec, value) };
  };
}

/** Every parser of wire/ by name. Texts are given as UTF-8. */
export const parsers: Record<string, Parser> = {
  clientMessage: of(clientMessage),
  nodeMessage: of(nodeMessage),
  linkConfirmMessage: of(linkConfirmMessage),
  peerMessage: of(peerMessage),
  signalBody: of(signalBody),
  signedSignal: of(signedSignal),
  paddedSignal: of(paddedSignal),
  sealedSignal: of(sealedSignal),
  deviceCertBody: of(deviceCertBody),
  deviceCert: of(deviceCert),
  lockKeyBody: of(lockKeyBody),
  lockKey: of(lockKey),
  nameClaimBody: of(nameClaimBody),
  nameClaim: of(nameClaim),
  opBody: of(opBody),
  op: of(op),
  sealedLogEntry: of(sealedLogEntry),
  welcome: of(welcome),
  joinRequest: of(joinRequest),
  frameHeader: of(frameHeader),
  frame: of(frame),
  paddedPlaintext: of(paddedPlaintext),
  invite: of(invite),
  inviteLink: (bytes) => {
    const value = decodeInviteLink(textOf(bytes));
    return { value, again: utf8(encodeInviteFragment(value)) };
  },
  messageBody: (bytes) => {
    const value = decodeMessageBody(bytes);
    return { value, again: encodeMessageBody(value) };
  },
};

function textOf(bytes: Uint8Array): string {
  try {
    return fromUtf8(bytes);
  } catch {
    throw new WireRefusal('bad-text', 'not UTF-8');
  }
}

/** One line for each vector that does not hold. Throws for a file that is no file of vectors. */
export async function checkVectors(json: unknown): Promise<string[]> {
  const { valid = [], invalid = [], computed = [] } = recordOf(json);
  const found = [
    ...listOf(valid).map(checkValid),
    ...listOf(invalid).map(checkInvalid),
    ...(await Promise.all(listOf(computed).map(checkComputed))),
  ];
  if (found.length === 0) throw new TypeError('no vectors');
  return found.filter((failure) => failure !== undefined);
}

/** As it stands in the files: bytes as hex, maps as lists of pairs; what is undefined is left out. */
export function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return hex(value);
  if (value instanceof Map) return [...value].map(plain);
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, part]) => part !== undefined)
      .map(([name, part]) => [name, plain(part)]),
  );
}

function checkValid(vector: unknown): string | undefined {
  const { codec, name, bytes, value } = recordOf(vector);
  const title = `${codec}, ${name}`;
  const given = fromHex(stringOf(bytes));
  try {
    const read = parserOf(codec)(given);
    if (!equal(read.again, given)) return `${title}: encodes to ${hex(read.again)}`;
    const got = JSON.stringify(plain(read.value));
    return got === JSON.stringify(value) ? undefined : `${title}: reads as ${got}`;
  } catch (error) {
    return `${title}: ${error}`;
  }
}

function checkInvalid(vector: unknown): string | undefined {
  const { codec, name, bytes, code } = recordOf(vector);
  const title = `${codec}, ${name}`;
  try {
    parserOf(codec)(fromHex(stringOf(bytes)));
    return `${title}: accepted`;
  } catch (error) {
    if (error instanceof WireRefusal && error.code === code) return undefined;
    return `${title}: ${error} where ${code} is due`;
  }
}

async function checkComputed(vector: unknown): Promise<string | undefined> {
  const { compute, name, input, output } = recordOf(vector);
  const title = `${compute}, ${name}`;
  const computation = Object.entries(computations).find(([known]) => known === compute)?.[1];
  if (computation === undefined) return `${title}: unknown computation`;
  try {
    const got = JSON.stringify(plain(await computation(recordOf(input))));
    return got === JSON.stringify(output) ? undefined : `${title}: gives ${got}`;
  } catch (error) {
    return `${title}: ${error}`;
  }
}

function parserOf(name: unknown): Parser {
  const parser = parsers[stringOf(name)];
  if (parser === undefined) throw new TypeError(`no parser ${name}`);
  return parser;
}

function recordOf(value: unknown): Record<string, unknown> {
  const isRecord = (some: unknown): some is Record<string, unknown> =>
    typeof some === 'object' && some !== null && !Array.isArray(some);
  if (!isRecord(value)) throw new TypeError('no object');
  return value;
}

function listOf(value: unknown): unknown[] {
  if (!Array.isArray(value)) throw new TypeError('no list');
  return value;
}

function stringOf(value: unknown): string {
  if (typeof value !== 'string') throw new TypeError('no text');
  return value;
}
