// The one busy message, a sealed signal from device to device, read and rewritten in place: what the codec says of it, without its copies.
import { bigEndian } from '../wire/bytes.ts';
import { limits } from '../wire/limits.ts';
import { keyOf } from './presence.ts';

// relay:   type 0x4c | request u32 | to 32   | length u16 | blob
// relayed: type 0x6c               | from 32 | length u16 | blob
// done:    type 0x61 | request u32
const toAt = 5;
const lengthAt = toAt + 32;
const blobAt = lengthAt + 2;

/** `to` as presence.ts has it. Undefined for anything that the codec would not read as a relay. */
export function readRelay(message: Uint8Array): { request: number; to: string } | undefined {
  if (message[0] !== 0x4c || message.length < blobAt) return undefined;
  const length = (message[lengthAt] ?? 0) * 256 + (message[lengthAt + 1] ?? 0);
  if (length > limits.signalBytes || message.length !== blobAt + length) return undefined;
  const view = new DataView(message.buffer, message.byteOffset);
  return { request: view.getUint32(1), to: keyOf(message.subarray(toAt, lengthAt)) };
}

/** Overwrites the relay message and returns the part of it that is now the relayed one. `from` as presence.ts has it. */
export function toRelayed(relay: Uint8Array, from: string): Uint8Array {
  const start = toAt - 1;
  relay[start] = 0x6c;
  Buffer.from(relay.buffer, relay.byteOffset + toAt, 32).write(from, 'latin1');
  return relay.subarray(start);
}

export function doneMessage(request: number): Uint8Array {
  const message = new Uint8Array(5);
  message[0] = 0x61;
  message.set(bigEndian(request, 4), 1);
  return message;
}
