// What a node can be told at its start: by the environment, or by flags, which win.
import { parseArgs } from 'node:util';
import type { IceServer } from '../wire/login-messages.ts';
import { canonicalOrigin } from '../wire/origin.ts';
import type { Registration } from './sign-in.ts';

export type Settings = {
  port: number;
  host: string;
  data: string;
  /** Undefined: those by which this machine reaches itself. */
  origins: string[] | undefined;
  registration: Registration;
  iceServers: IceServer[];
  /** Undefined: the one built beside the program. */
  page: string | undefined;
};

export type SettingsOutcome =
  | { outcome: 'settings'; settings: Settings }
  | { outcome: 'help' }
  | { outcome: 'bad'; problem: string };

type Flag = { flag: keyof typeof defaults; environment: string; value: string; what: string };

const defaults = { port: '8080', host: '127.0.0.1', data: './data', origins: '', registration: 'open', ice: '', page: '' };

const flags: Flag[] = [
  { flag: 'port', environment: 'PORT', value: 'NUMBER', what: 'where to listen, 0 for any free port; 8080 unless given' },
  {
    flag: 'host',
    environment: 'HOST',
    value: 'ADDRESS',
    what: 'on which address to listen; 127.0.0.1, this machine only, unless given',
  },
  {
    flag: 'data',
    environment: 'DATA',
    value: 'FOLDER',
    what: "the node's key and store; ./data unless given. Back it up, let nobody read it",
  },
  {
    flag: 'origins',
    environment: 'ORIGINS',
    value: 'LIST',
    what: 'the addresses that people dial, such as wss://chat.example, with commas between; this machine only unless given',
  },
  {
    flag: 'registration',
    environment: 'REGISTRATION',
    value: 'open|closed',
    what: 'whether new users are taken; open unless given',
  },
  {
    flag: 'ice',
    environment: 'ICE_SERVERS',
    value: 'LIST',
    what: 'stun:HOST[:PORT] and turn:USER:PASSWORD@HOST[:PORT], with commas between; none unless given',
  },
  { flag: 'page', environment: 'PAGE', value: 'FOLDER', what: 'the built page; the one beside the program unless given' },
];

export function helpText(): string {
  const lines = flags.map(
    ({ flag, environment, value, what }) => `  --${`${flag} ${value}`.padEnd(26)} ${environment.padEnd(13)} ${what}`,
  );
  return `A signaling node: lets people sign in with their OpenPGP keys, and find and reach each other. It cannot read what they write.

  npm start -- [flags]

  flag                         environment   meaning
${lines.join('\n')}
  --help                                     prints this

It listens without TLS. Off this machine browsers want TLS: put a proxy before it that ends TLS and passes web sockets on, and
name the address in ORIGINS. From a proxy on this machine the last address in X-Forwarded-For counts.

Ends with 0 when it was stopped by SIGINT or SIGTERM, 1 when it could not start or go on, 2 for a wrong flag or value.
`;
}

/** Empty values of the environment count as not given. */
export function readSettings(args: string[], environment: Readonly<Record<string, string | undefined>>): SettingsOutcome {
  const given = readFlags(args);
  if ('problem' in given) return { outcome: 'bad', problem: given.problem };
  if (given.values.help === true) return { outcome: 'help' };
  const chosen = (flag: keyof typeof defaults) => {
    const value = given.values[flag] ?? environment[flags.find((one) => one.flag === flag)?.environment ?? ''];
    return typeof value === 'string' && value !== '' ? value : defaults[flag];
  };
  try {
    const settings: Settings = {
      port: readPort(chosen('port')),
      host: chosen('host'),
      data: chosen('data'),
      origins: chosen('origins') === '' ? undefined : listOf(chosen('origins')).map(readOrigin),
      registration: readRegistration(chosen('registration')),
      iceServers: readIceServers(chosen('ice')),
      page: chosen('page') === '' ? undefined : chosen('page'),
    };
    return { outcome: 'settings', settings };
  } catch (error) {
    if (error instanceof BadValue) return { outcome: 'bad', problem: error.message };
    throw error;
  }
}

class BadValue extends Error {}

function readFlags(args: string[]): { values: Record<string, string | boolean | undefined> } | { problem: string } {
  const options = Object.fromEntries(flags.map(({ flag }) => [flag, { type: 'string' as const }]));
  try {
    return { values: parseArgs({ args, options: { ...options, help: { type: 'boolean' } }, strict: true }).values };
  } catch (error) {
    return { problem: error instanceof Error ? `${error.message.split('. ')[0]}.` : 'These flags cannot be read.' };
  }
}

function readPort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (!(port <= 65535)) throw new BadValue(`PORT is "${text}". It must be a number from 0 to 65535.`);
  return port;
}

function readOrigin(text: string): string {
  const origin = canonicalOrigin(text);
  if (origin !== undefined) return origin;
  throw new BadValue(
    `ORIGINS has "${text}". It must be the address that people dial, such as wss://chat.example; ws:// is for this machine alone.`,
  );
}

function readRegistration(text: string): Registration {
  if (text === 'open' || text === 'closed') return text;
  throw new BadValue(`REGISTRATION is "${text}". It must be open or closed.`);
}

const iceServersMost = 8;
const icePattern =
  /^(stuns?|turns?):(?:([^:@,]{1,200}):([^:@,]{1,200})@)?([a-z0-9.-]+|\[[0-9a-f:]+\])(:\d{1,5})?(\?transport=(?:udp|tcp))?$/i;

function readIceServers(text: string): IceServer[] {
  const servers = listOf(text).map((item) => {
    const [, scheme = '', username = '', credential = '', host = '', port = '', transport = ''] = icePattern.exec(item) ?? [];
    const isTurn = scheme.toLowerCase().startsWith('turn');
    // What was given may be a password: it is not repeated.
    if (host === '' || isTurn !== (username !== '')) {
      throw new BadValue('ICE_SERVERS must be a list such as stun:stun.example:3478,turn:user:password@turn.example:3478.');
    }
    return { urls: [`${scheme.toLowerCase()}:${host}${port}${transport}`], username, credential };
  });
  if (servers.length > iceServersMost)
    throw new BadValue(`ICE_SERVERS has ${servers.length} servers. At most ${iceServersMost} are of use.`);
  return servers;
}

function listOf(text: string): string[] {
  return text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}
