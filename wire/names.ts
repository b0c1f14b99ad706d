// User names and the other names that people choose and others must read.
import { type Codec, checked, text8 } from './codec.ts';
import { limits } from './limits.ts';
import { WireRefusal } from './refusal.ts';

const userNamePattern = /^[a-z0-9][a-z0-9_-]{1,31}$/;
const reserved = new Set([
  'admin',
  'administrator',
  'root',
  'system',
  'node',
  'server',
  'secure',
  'security',
  'support',
  'help',
  'moderator',
  'owner',
  'official',
  'everyone',
  'all',
  'here',
  'channel',
  'me',
  'you',
  'null',
  'undefined',
  'anonymous',
  'deleted',
]);

export type UserNameProblem = 'too-short' | 'too-long' | 'bad-characters' | 'reserved';

/** What stands against a user name, or undefined if nothing does. Homographs cannot pass: only a-z, 0-9, _ and - are letters here. */
export function userNameProblem(name: string): UserNameProblem | undefined {
  if (name.length < 2) return 'too-short';
  if (name.length > 32) return 'too-long';
  if (!userNamePattern.test(name)) return 'bad-characters';
  return reserved.has(name) ? 'reserved' : undefined;
}

/** Reserved names parse: only registering one is refused, so that the reserved list may grow. */
export const userName: Codec<string> = checked(text8(32), (name) => {
  if (!userNamePattern.test(name)) throw new WireRefusal('bad-text', 'user name');
  return name;
});

// Controls (Cc), format characters and bidi overrides (Cf), private use, lone surrogates, line and paragraph separators.
const unreadable = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}]/u;
// Letters and marks that draw nothing, such as the Hangul filler, and the empty Braille cell. The selector U+FE0F has a place behind pictures only.
const invisible = /(?!\ufe0f)[\p{Default_Ignorable_Code_Point}\u2800]|(?<!\p{Extended_Pictographic})\ufe0f/u;

/** True for text in NFC without controls, format, bidi or invisible characters, and without blanks at its ends. */
export function isReadableName(name: string): boolean {
  return name === name.normalize('NFC') && name === name.trim() && !unreadable.test(name) && !invisible.test(name);
}

function readableName(maxBytes: number): Codec<string> {
  return checked(text8(maxBytes), (name) => {
    if (!isReadableName(name)) throw new WireRefusal('bad-text', 'name');
    return name;
  });
}

export const groupName = readableName(limits.groupNameBytes);
export const deviceName = readableName(limits.deviceNameBytes);
