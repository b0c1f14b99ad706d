// What a line of input asks for.
import { groupNameOf } from './options.ts';

export type Command =
  | { do: 'say'; text: string }
  | { do: 'invite'; people: number }
  | { do: 'add'; username: string }
  | { do: 'nick'; nickname: string }
  | { do: 'groups' }
  | { do: 'group'; which: string }
  | { do: 'create'; name: string }
  | { do: 'members' }
  | { do: 'help' }
  | { do: 'quit' }
  | { do: 'nothing' }
  | { do: 'refuse'; text: string };

export function readCommand(line: string): Command {
  if (line.trim() === '') return { do: 'nothing' };
  if (line.startsWith('//')) return { do: 'say', text: line.slice(1) };
  if (!line.startsWith('/')) return { do: 'say', text: line };
  const [, name = '', rest = ''] = /^\/(\S*)\s*(.*?)\s*$/s.exec(line) ?? [];
  switch (name) {
    case 'invite':
      return invite(rest);
    case 'add':
      return rest === '' ? { do: 'refuse', text: 'Whom? /add NAME' } : { do: 'add', username: rest };
    case 'nick':
      return { do: 'nick', nickname: rest.normalize('NFC') };
    case 'group':
      return rest === ''
        ? { do: 'refuse', text: 'Which one? /group NAME-OR-ID; /groups lists them' }
        : { do: 'group', which: rest };
    case 'create':
      return create(rest);
    case 'groups':
    case 'members':
    case 'help':
    case 'quit':
      return { do: name };
    default:
      return {
        do: 'refuse',
        text: `There is no command /${name}. /help lists them; a message that begins with a slash begins with two.`,
      };
  }
}

const peopleMost = 1000;

function invite(rest: string): Command {
  const people = rest === '' ? 1 : Number(rest);
  if (Number.isInteger(people) && people >= 1 && people <= peopleMost) return { do: 'invite', people };
  return { do: 'refuse', text: `How many people may use the link? /invite and a number from 1 to ${peopleMost}` };
}

function create(rest: string): Command {
  const name = groupNameOf(rest);
  return name === undefined
    ? { do: 'refuse', text: 'How shall it be called? /create NAME, up to 64 bytes' }
    : { do: 'create', name };
}
