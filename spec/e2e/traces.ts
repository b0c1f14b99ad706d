// Looks for secrets in bytes, as they are and in the text forms that bytes take; and gathers what a node must never have seen.
import { epochContext, epochOfGroupKey } from '../../keys/epoch.ts';
import { mac } from '../../keys/hash.ts';
import type { Gid } from '../../wire/ids.ts';
import type { Member } from '../crew.ts';
import type { Gpg } from '../gpg.ts';

export type Secret = { what: string; bytes: Buffer };

/** In which form it was found, or undefined. Base64 is tried at all three alignments. */
export function traceOf(secret: Buffer, place: Buffer): string | undefined {
  for (const [form, needle] of formsOf(secret)) if (place.includes(needle)) return form;
  return undefined;
}

function formsOf(secret: Buffer): [string, Buffer][] {
  const forms: [string, Buffer][] = [['raw', secret]];
  forms.push(['hex', Buffer.from(secret.toString('hex'))], ['HEX', Buffer.from(secret.toString('hex').toUpperCase())]);
  forms.push(['utf-16', Buffer.from(secret.toString('latin1'), 'utf16le')]);
  for (let shift = 0; shift < 3; shift++) {
    // What stands before moves the letters: leave out those at both ends that depend on neighbours.
    const padded = Buffer.concat([Buffer.alloc(shift), secret]);
    const from = shift === 0 ? 0 : shift + 1;
    const text = padded.toString('base64').replace(/=+$/, '').slice(from, -1);
    if (text.length < 6) continue;
    forms.push(
      [`base64 +${shift}`, Buffer.from(text)],
      [`base64url +${shift}`, Buffer.from(text.replaceAll('+', '-').replaceAll('/', '_'))],
    );
  }
  return forms;
}

/** Keys of the group and of its epochs, first chain keys, what the links were arranged with, and the private keys that gpg exported. */
export async function secretsOf(parts: {
  member: Member;
  gid: Gid;
  gpg: Gpg;
  names: string[];
  passphrase: string;
}): Promise<Secret[]> {
  const secrets: Secret[] = [];
  const add = (what: string, bytes: Uint8Array) => secrets.push({ what, bytes: Buffer.from(bytes) });
  const { log } = parts.member.group(parts.gid);
  for (const { opId } of log.ops.state().epochs) {
    const keys = log.epoch(opId);
    const op = log.ops.get(opId);
    if (keys === undefined || op?.body.epoch === undefined) continue;
    add('group key', keys.groupKey);
    add('log key', keys.logKey);
    add('mesh key', keys.meshKey);
    add('next epoch', keys.next);
    const { mode, newGK } = op.body.epoch;
    const ctx = epochContext({ ...op.body, mode, newGK });
    add('epoch secret', epochOfGroupKey({ ctx, groupKey: keys.groupKey, logKey: keys.logKey }).epochSecret);
    for (const chain of keys.chains.values()) {
      add('chain key', chain.key);
      add('message key', mac(chain.key, Uint8Array.of(1)));
    }
  }
  for (const { offerSdp, answerSdp } of parts.member.linkFacts()) {
    for (const sdp of [offerSdp, answerSdp]) {
      add('description', Buffer.from(sdp));
      for (const line of sdp.split('\r\n')) {
        if (/^a=(ice-ufrag|ice-pwd|fingerprint|candidate):/.test(line)) add('line of a description', Buffer.from(line));
      }
    }
  }
  for (const name of parts.names)
    add(`secret key of ${name}`, Buffer.from(await parts.gpg.exportSecret(name)).subarray(300, 400));
  return secrets;
}
