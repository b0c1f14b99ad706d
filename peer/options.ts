// What a headless peer can be told at its start, all of it by flags; a passphrase never is.
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { utf8 } from '../wire/bytes.ts';
import { decodeInviteLink, type Invite } from '../wire/invite-link.ts';
import { limits } from '../wire/limits.ts';
import { isReadableName, userNameProblem } from '../wire/names.ts';
import { canonicalOrigin } from '../wire/origin.ts';
import { WireRefusal } from '../wire/refusal.ts';

export type Options = {
  /** Canonical. */
  origin: string;
  username: string;
  /** Needed where no account is kept yet. */
  keyFile: string | undefined;
  join: { link: string; invite: Invite } | undefined;
  /** Name of a group that is made unless there is one. */
  create: string | undefined;
  /** Name or id of the group to write to. */
  group: string | undefined;
  data: string;
  output: 'text' | 'json';
  passphraseFd: number | undefined;
  unknownUser: 'register' | 'refuse';
  atEof: 'stay' | 'quit';
  notes: 'shown' | 'hidden';
};

export type OptionsOutcome = { outcome: 'options'; options: Options } | { outcome: 'help' } | { outcome: 'bad'; problem: string };

export const commandsText = `  /invite [PEOPLE]     print a link that brings in so many people, 1 unless given; it lives a week
  /add NAME            bring in who has this user name at the node
  /nick [NAME]         a nickname for the moment, or none
  /groups              list the groups
  /group NAME-OR-ID    write to another group
  /create NAME         make a group
  /members             list the members of the group, with the fingerprints of their keys
  /help                list these commands
  /quit                say goodbye and end`;

export const helpText = `A headless peer: sends each line that it reads to a group, and prints what is written there.

  npm run peer -- --node URL --user NAME --key FILE [flags]

  --node URL           the node, such as https://chat.example or http://localhost:8080; an invite link names it too
  --user NAME          your user name there
  --key FILE           your OpenPGP secret key, armored or binary; needed the first time, then it is kept in the data folder,
                       locked under its passphrase
  --register           take the user name if the key has none at the node; without it an unknown user name is an error
  --join LINK          ask to join the group of this invite link
  --create NAME        make a group of that name, unless there is one already
  --group NAME-OR-ID   the group to write to; otherwise the one just joined or made, or the one with the newest message
  --data FOLDER        where everything is kept, sealed under the passphrase; ~/.local/share/secure-peer/NAME unless given
  --json               print one JSON object per line for everything that happens
  --passphrase-fd N    read the passphrase from the first line of this file descriptor; with 0 the further lines of the
                       standard input are messages. Otherwise there is a prompt. A key without a passphrase is locked with this
  --quit-at-eof        at the end of the input wait until others have what was sent, half a minute at most, and quit.
                       Otherwise the peer stays and listens, unless the input was a terminal
  --verbose            notes about the node and the links on the standard error
  --help               prints this

npm passes on no file descriptors but 0, 1 and 2. For another one:

  node build.mjs peer --node URL --user NAME --key FILE --passphrase-fd 3 3<passphrase.txt

A line that begins with "/" is a command; "//" begins a message with a slash:

${commandsText}

Messages are printed once each, also when the peer is killed and started again.
Ends with 0 after /quit, SIGINT or SIGTERM, 1 for what should not happen, 2 for wrong flags, 3 for the key or the passphrase,
4 when the node refuses, 5 when the data folder cannot be used.
`;

export function readOptions(args: string[], environment: Readonly<Record<string, string | undefined>>): OptionsOutcome {
  const given = readFlags(args);
  if ('problem' in given) return { outcome: 'bad', problem: given.problem };
  if (given.values.help === true) return { outcome: 'help' };
  try {
    return { outcome: 'options', options: optionsOf(given.values, environment) };
  } catch (error) {
    if (error instanceof BadFlag) return { outcome: 'bad', problem: error.message };
    throw error;
  }
}

/** As groups can be called, or undefined. */
export function groupNameOf(text: string): string | undefined {
  const name = text.normalize('NFC').trim();
  return name !== '' && isReadableName(name) && utf8(name).length <= limits.groupNameBytes ? name : undefined;
}

class BadFlag extends Error {}

const text = { type: 'string' } as const;
const word = { type: 'boolean' } as const;
const flags = {
  ...{ node: text, user: text, key: text, join: text, create: text, group: text, data: text, 'passphrase-fd': text },
  ...{ register: word, json: word, 'quit-at-eof': word, verbose: word, help: word },
} as const;

function readFlags(args: string[]) {
  try {
    return { values: parseArgs({ args, options: flags, strict: true }).values };
  } catch (error) {
    return { problem: error instanceof Error ? `${error.message.split('. ')[0]}.` : 'These flags cannot be read.' };
  }
}

type Values = Extract<ReturnType<typeof readFlags>, { values: unknown }>['values'];

function optionsOf(values: Values, environment: Readonly<Record<string, string | undefined>>): Options {
  const username = userOf(values.user);
  const invited = values.join === undefined ? undefined : { link: values.join, invite: inviteOf(values.join) };
  const fd = values['passphrase-fd'];
  return {
    ...{ username, keyFile: values.key, group: values.group, join: invited },
    origin: originOf(values.node, invited?.invite),
    create: values.create === undefined ? undefined : groupToCreate(values.create),
    data: resolve(values.data ?? join(dataHome(environment), 'secure-peer', username)),
    output: values.json === true ? 'json' : 'text',
    passphraseFd: fd === undefined ? undefined : descriptorOf(fd),
    unknownUser: values.register === true ? 'register' : 'refuse',
    atEof: values['quit-at-eof'] === true ? 'quit' : 'stay',
    notes: values.verbose === true ? 'shown' : 'hidden',
  };
}

/** As the XDG base directories have it: relative paths there count as not given. */
function dataHome(environment: Readonly<Record<string, string | undefined>>): string {
  const home = environment['XDG_DATA_HOME'];
  return home?.startsWith('/') === true ? home : join(homedir(), '.local', 'share');
}

function userOf(name: string | undefined): string {
  if (name === undefined) throw new BadFlag('Who are you? Give your user name with --user NAME.');
  const problem = userNameProblem(name);
  // Which names are reserved is for the node to say.
  if (problem === undefined || problem === 'reserved') return name;
  throw new BadFlag('A user name has 2 to 32 characters: a to z, 0 to 9, - and _, and first a letter or digit. See --user.');
}

function inviteOf(link: string): Invite {
  try {
    return decodeInviteLink(link);
  } catch (error) {
    if (!(error instanceof WireRefusal)) throw error;
    throw new BadFlag('That is no invite link, or not the whole of it. In a shell it needs quotes. See --join.');
  }
}

function originOf(address: string | undefined, invite: Invite | undefined): string {
  const asked = address ?? invite?.origin;
  if (asked === undefined) throw new BadFlag('Which node? Give its address with --node URL.');
  const origin = canonicalOrigin(asked);
  if (origin === undefined) {
    throw new BadFlag(
      'That is no address of a node. It begins with https://, and with http:// only on this machine. See --node.',
    );
  }
  if (invite !== undefined && invite.origin !== origin) {
    throw new BadFlag('That link leads to another node. Leave --node away, or ask for a link to this one.');
  }
  return origin;
}

function groupToCreate(given: string): string {
  const name = groupNameOf(given);
  if (name !== undefined) return name;
  throw new BadFlag(`The name of a group is readable text of at most ${limits.groupNameBytes} bytes. See --create.`);
}

function descriptorOf(number: string): number {
  if (/^\d{1,4}$/.test(number)) return Number(number);
  throw new BadFlag('A file descriptor is a number, such as 3. See --passphrase-fd.');
}
