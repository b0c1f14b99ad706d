// Store keys as byte strings whose order is the order of the port: numbers before strings, part by part, a prefix first.
import { concat, copyOf } from '../wire/bytes.ts';
import type { StoreKey } from './ports.ts';

const numberPart = 1;
const stringPart = 2;
const endOfString = 0;
const escapeByte = 1;

/**
 * Bytewise comparison of two results equals comparison of the keys, and a key starts with a prefix exactly when its bytes do.
 * Throws RangeError for a number that is not finite: it has no place in the order.
 */
export function encodeKey(key: StoreKey): Uint8Array<ArrayBuffer> {
  return concat(...key.map((part) => (typeof part === 'number' ? encodeNumber(part) : encodeString(part))));
}

/** Undoes `encodeKey`. Throws RangeError for bytes that it never gives. */
export function decodeKey(bytes: Uint8Array): StoreKey {
  const key: (string | number)[] = [];
  let at = 0;
  while (at < bytes.length) {
    if (bytes[at] === numberPart && at + 9 <= bytes.length) {
      key.push(decodeNumber(copyOf(bytes.subarray(at + 1, at + 9))));
      at += 9;
    } else {
      const end = bytes.indexOf(endOfString, at);
      if (bytes[at] !== stringPart || end < 0) throw new RangeError('not a key');
      key.push(decodeString(bytes.subarray(at + 1, end)));
      at = end + 1;
    }
  }
  return key;
}

// IEEE 754 sorts as unsigned bytes once the sign bit of positive numbers, and every bit of negative ones, is flipped.
function encodeNumber(value: number): Uint8Array {
  if (!Number.isFinite(value)) throw new RangeError(`${value} in a key`);
  const bytes = new Uint8Array(9);
  bytes[0] = numberPart;
  new DataView(bytes.buffer).setFloat64(1, value === 0 ? 0 : value);
  flip(bytes.subarray(1), value < 0);
  return bytes;
}

function decodeNumber(bytes: Uint8Array<ArrayBuffer>): number {
  flip(bytes, (bytes[0] ?? 0) < 0x80);
  return new DataView(bytes.buffer).getFloat64(0);
}

function flip(bytes: Uint8Array, negative: boolean): void {
  if (negative) for (let i = 0; i < bytes.length; i++) bytes[i] = (bytes[i] ?? 0) ^ 0xff;
  else bytes[0] = (bytes[0] ?? 0) ^ 0x80;
}

// Each UTF-16 unit by itself in one to three bytes as UTF-8 does it (CESU-8): sorts by code unit and keeps lone surrogates.
function encodeString(text: string): Uint8Array {
  const bytes: number[] = [stringPart];
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit <= escapeByte) bytes.push(escapeByte, unit + 1);
    else if (unit < 0x80) bytes.push(unit);
    else if (unit < 0x800) bytes.push(0xc0 | (unit >> 6), 0x80 | (unit & 63));
    else bytes.push(0xe0 | (unit >> 12), 0x80 | ((unit >> 6) & 63), 0x80 | (unit & 63));
  }
  bytes.push(endOfString);
  return Uint8Array.from(bytes);
}

function decodeString(bytes: Uint8Array): string {
  let text = '';
  let at = 0;
  const next = () => bytes[at++] ?? 0;
  while (at < bytes.length) {
    const first = next();
    if (first === escapeByte) text += String.fromCharCode(next() - 1);
    else if (first < 0x80) text += String.fromCharCode(first);
    else if (first < 0xe0) text += String.fromCharCode(((first & 31) << 6) | (next() & 63));
    else text += String.fromCharCode(((first & 15) << 12) | ((next() & 63) << 6) | (next() & 63));
  }
  return text;
}
