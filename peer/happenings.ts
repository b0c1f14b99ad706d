// What a headless peer says: one object per happening, and how it reads as a line of JSON or of text.
import { printable } from '../keys/key-words.ts';

export type MemberFacts = {
  group: string;
  /** User name, or # and the beginning of the uid while the name is not known. */
  user: string;
  uid: string;
  nickname: string | null;
  role: 'owner' | 'admin' | 'member' | 'keeper';
  /** Upper-case hex; null while the certificate is not known. */
  fingerprint: string | null;
  reach: 'own' | 'direct' | 'relayed' | 'linked' | 'linking' | 'offline';
};

/** Ids are hex, times milliseconds since 1970 UTC, `text` a sentence or what somebody wrote. */
export type Happening =
  | { type: 'ready'; user: string; uid: string; device: string; fingerprint: string; node: string }
  | { type: 'node'; state: 'connecting' | 'connected' }
  | { type: 'node'; state: 'offline'; code: string; text: string; nextTryAt: number | null }
  | { type: 'group'; change: 'here' | 'listed'; group: string; name: string; members: number; current: boolean }
  | { type: 'joining'; name: string; text: string }
  | { type: 'joined'; group: string; name: string }
  | ({ type: 'member'; change: 'here' | 'came' | 'changed' | 'listed' } & MemberFacts)
  | { type: 'member'; change: 'left'; group: string; user: string; uid: string }
  | ({ type: 'message' } & MessageFacts & { text: string })
  | ({ type: 'unreadable' } & MessageFacts)
  | { type: 'state'; group: string; id: string; state: 'sending' | 'saved' | 'sent' | 'delivered' }
  | { type: 'link'; device: string; user: string; state: 'open'; route: 'direct' | 'relayed' | 'unknown' }
  | { type: 'link'; device: string; user: string; state: 'closed' }
  | { type: 'current'; group: string; name: string }
  | { type: 'invite'; group: string; link: string }
  | { type: 'done'; text: string }
  | { type: 'help'; text: string }
  | { type: 'error'; code: string; text: string };

export type MessageFacts = {
  id: string;
  group: string;
  author: string;
  uid: string;
  nickname: string | null;
  sentAt: number;
  own: boolean;
};

/** Readers of lines end them at the separators of Unicode too: nobody's text may begin one. */
export function jsonLine(happening: Happening): string {
  return JSON.stringify(happening).replace(
    /[\u0085\u2028\u2029]/g,
    (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** Lines of text, and where they belong: what was said and asked for on the output, the rest beside it. Undefined: nothing to say. */
export function textOf(
  happening: Happening,
  nameOf: (group: string) => string | undefined,
): { to: 'output' | 'beside'; text: string } | undefined {
  switch (happening.type) {
    case 'ready':
      return beside(`You are ${happening.user} at ${happening.node}. Your key: ${grouped(happening.fingerprint)}`);
    case 'node':
      if (happening.state === 'offline') return beside(happening.text);
      return happening.state === 'connected' ? beside('Connected to the node.') : undefined;
    case 'group':
      if (happening.change === 'here') return undefined;
      return output(`${happening.current ? '*' : ' '} ${printable(happening.name)}  ${happening.group}`);
    case 'joining':
      return beside(happening.text);
    case 'joined':
      return beside(`You are in ${printable(happening.name)}.`);
    case 'member':
      return memberText(happening);
    case 'message':
      return output(`${messageStart(happening, nameOf)}: ${indented(happening.text)}`);
    case 'unreadable':
      return output(`${messageStart(happening, nameOf)} wrote something that cannot be read here`);
    case 'state':
    case 'link':
      return undefined;
    case 'current':
      return beside(`What you write goes to ${printable(happening.name)}.`);
    case 'invite':
      return output(happening.link);
    case 'done':
    case 'error':
      return beside(happening.text);
    case 'help':
      return output(happening.text);
    default:
      return happening satisfies never;
  }
}

const output = (text: string) => ({ to: 'output', text }) as const;
const beside = (text: string) => ({ to: 'beside', text }) as const;

function memberText(member: Extract<Happening, { type: 'member' }>): { to: 'output' | 'beside'; text: string } | undefined {
  switch (member.change) {
    case 'listed': {
      const fingerprint = member.fingerprint === null ? 'key not known yet' : grouped(member.fingerprint);
      return output(`${called(member)}  ${member.role}  ${member.reach}  ${fingerprint}`);
    }
    case 'came':
      return beside(`${called(member)} is in the group.`);
    case 'left':
      return beside(`${member.user} is no longer in the group.`);
    case 'here':
    case 'changed':
      return undefined;
    default:
      return member satisfies never;
  }
}

/** Where several groups are shown, a message says in which it stands. */
function messageStart(message: MessageFacts, nameOf: (group: string) => string | undefined): string {
  const name = nameOf(message.group);
  return `${clockTime(message.sentAt)} ${name === undefined ? '' : `[${printable(name)}] `}${called({ ...message, user: message.author })}`;
}

/** Local; its author may claim any number. */
function clockTime(sentAt: number): string {
  const date = new Date(sentAt);
  return Number.isNaN(date.getTime()) ? '--:--' : date.toTimeString().slice(0, 5);
}

/** The user name always comes first, so that nobody can be taken for another by a nickname. */
function called({ user, nickname }: { user: string; nickname: string | null }): string {
  return nickname === null ? user : `${user} (${printable(nickname)})`;
}

/** Further lines are indented: none of them can pass for a message of somebody else. What moves a cursor is replaced. */
function indented(text: string): string {
  return text
    .split(/\r\n|[\n\r\u0085\u2028\u2029]/)
    .map((line) => printable(line.replaceAll('\t', '    ')))
    .join('\n      ');
}

function grouped(fingerprint: string): string {
  return fingerprint.toUpperCase().replace(/(.{4})(?=.)/g, '$1 ');
}
