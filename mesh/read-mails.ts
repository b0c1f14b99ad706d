// Reads a mailbox at the node from a number on, whatever the node makes of it.
import { limits } from '../wire/limits.ts';
import type { Mail, Mailbox } from '../wire/node-messages.ts';
import type { NodeLine } from './node-line.ts';

/**
 * Gives `take` every mail with a number above `after`, oldest first, until it says 'stop'. Resolves with the number of the last that was taken.
 * A node that repeats itself or has no end is left. Rejects with NodeRefusal.
 */
export async function readMails(parts: {
  line: NodeLine;
  box: Mailbox;
  after: number;
  take(mail: Mail): Promise<'on' | 'stop'>;
}): Promise<number> {
  const { line, box, take } = parts;
  let last = parts.after;
  for (let taken = 0; taken < limits.mailsPerBox; ) {
    const { mails, more } = await line.request({ type: 'get-mail', box, after: last });
    for (const mail of mails) {
      if (mail.no <= last || (await take(mail)) === 'stop') return last;
      last = mail.no;
      taken++;
    }
    if (more === 0 || mails.length === 0) break;
  }
  return last;
}
