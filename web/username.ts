// What a user name may be, in words for the person who chooses one.
import { userNameProblem } from '../wire/names.ts';

export const usernameHint = 'Small letters, digits, - and _. Others find you by it, and it cannot be changed.';

/** What stands against registering this name, in a sentence. */
export function usernameProblem(username: string): string | undefined {
  const problem = userNameProblem(username);
  switch (problem) {
    case undefined:
      return undefined;
    case 'too-short':
      return 'A user name has at least 2 characters.';
    case 'too-long':
      return 'A user name has at most 32 characters.';
    case 'bad-characters':
      return badCharacters(username);
    case 'reserved':
      return 'This name is reserved. Choose another.';
    default:
      return problem satisfies never;
  }
}

// Named, because a letter of another script may look like one of these.
function badCharacters(username: string): string {
  const [odd] = /[^a-z0-9_-]/u.exec(username) ?? [];
  if (odd === undefined) return 'A user name begins with a letter or digit.';
  return `${odd.trim() === '' ? 'A blank' : `“${odd}”`} cannot be used: only small letters a–z, digits, - and _ can.`;
}

/** Phones write the first letter large and leave a blank behind. */
export function tidyUsername(typed: string): string {
  return typed.trim().toLowerCase();
}
