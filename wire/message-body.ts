// What stands inside a frame: JSON that only members can have written, still checked field by field.
import { fromHex, fromUtf8, hex, utf8 } from './bytes.ts';
import { asDid, type Did } from './ids.ts';
import { limits } from './limits.ts';
import { isReadableName } from './names.ts';
import { WireRefusal } from './refusal.ts';

export type MessageBody =
  | { kind: 'text'; text: string }
  /** The sender's nickname from here on; empty for none. */
  | { kind: 'nickname'; nickname: string }
  /** Per device: I have every frame up to this number. */
  | { kind: 'receipt'; delivered: { did: Did; upTo: number }[] };

export function encodeMessageBody(body: MessageBody): Uint8Array {
  const json =
    body.kind === 'receipt' ? { kind: body.kind, delivered: body.delivered.map(({ did, upTo }) => [hex(did), upTo]) } : body;
  const bytes = utf8(JSON.stringify(json));
  decodeMessageBody(bytes);
  return bytes;
}

/** Throws WireRefusal for anything that is not a body of a known kind; fields that are not known are dropped. */
export function decodeMessageBody(bytes: Uint8Array): MessageBody {
  const json = parseObject(bytes);
  switch (json['kind']) {
    case 'text':
      return { kind: 'text', text: textOf(json['text']) };
    case 'nickname':
      return { kind: 'nickname', nickname: nicknameOf(json['nickname']) };
    case 'receipt':
      return { kind: 'receipt', delivered: listOf(json['delivered']).map(deliveredOf) };
    default:
      throw new WireRefusal('unknown-type', 'message body');
  }
}

function parseObject(bytes: Uint8Array): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(fromUtf8(bytes));
  } catch {
    throw new WireRefusal('bad-text', 'message body');
  }
  const isObject = (some: unknown): some is Record<string, unknown> =>
    typeof some === 'object' && some !== null && !Array.isArray(some);
  if (!isObject(value)) throw new WireRefusal('bad-value', 'message body');
  return value;
}

function textOf(value: unknown): string {
  if (typeof value !== 'string' || value === '' || !value.isWellFormed()) throw new WireRefusal('bad-text', 'text');
  if (utf8(value).length > limits.textBytes) throw new WireRefusal('too-large', 'text');
  return value;
}

function nicknameOf(value: unknown): string {
  if (typeof value !== 'string' || !value.isWellFormed() || !isReadableName(value)) throw new WireRefusal('bad-text', 'nickname');
  if (utf8(value).length > limits.nicknameBytes) throw new WireRefusal('too-large', 'nickname');
  return value;
}

function listOf(value: unknown): unknown[] {
  if (!Array.isArray(value)) throw new WireRefusal('bad-value', 'list');
  if (value.length > limits.receiptDevices) throw new WireRefusal('too-large', 'list');
  return value;
}

function deliveredOf(value: unknown): { did: Did; upTo: number } {
  const [did, upTo]: unknown[] = Array.isArray(value) && value.length === 2 ? value : [];
  if (typeof did !== 'string' || !/^[0-9a-f]{64}$/.test(did)) throw new WireRefusal('bad-value', 'receipt');
  if (typeof upTo !== 'number' || !Number.isSafeInteger(upTo) || upTo < 1) throw new WireRefusal('bad-value', 'receipt');
  return { did: asDid(fromHex(did)), upTo };
}
