// Tells what strangers' bytes may cause from what is our own fault, and what passes from what stays.
import { DeviceRefusal } from '../keys/device.ts';
import { KeyRefusal } from '../keys/key-refusal.ts';
import { WireRefusal } from '../wire/refusal.ts';
import type { NodeRefusal, NodeRefusalCode } from './node-requests.ts';

/** A refusal of what came from outside: expected, named by a code, and the sender's fault. */
export function isRefusal(error: unknown): error is WireRefusal | DeviceRefusal | KeyRefusal {
  return error instanceof WireRefusal || error instanceof DeviceRefusal || error instanceof KeyRefusal;
}

const passing: ReadonlySet<NodeRefusalCode> = new Set(['offline', 'silent', 'busy', 'rate-limited', 'internal']);

/** The node may well do it when it is asked again. */
export function isPassing({ code }: NodeRefusal): boolean {
  return passing.has(code);
}
