// Tells what strangers' bytes may cause from what is our own fault.
import { DeviceRefusal } from '../keys/device.ts';
import { KeyRefusal } from '../keys/key-refusal.ts';
import { WireRefusal } from '../wire/refusal.ts';

/** A refusal of what came from outside: expected, named by a code, and the sender's fault. */
export function isRefusal(error: unknown): error is WireRefusal | DeviceRefusal | KeyRefusal {
  return error instanceof WireRefusal || error instanceof DeviceRefusal || error instanceof KeyRefusal;
}
