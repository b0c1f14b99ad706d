// What a user name may be, in words for the person who chooses one.
import { type UserNameProblem, userNameProblem } from '../../wire/names.ts';

export const usernameHint = 'Small letters, digits, - and _. Others find you by it, and it cannot be changed.';

const sentences: Record<UserNameProblem, string> = {
  'too-short': 'A user name has at least 2 characters.',
  'too-long': 'A user name has at most 32 characters.',
  'bad-characters': 'Only small letters a–z, digits, - and _ can be used, and the first is a letter or digit.',
  reserved: 'This name is reserved. Choose another.',
};

/** What stands against registering this name, in a sentence. */
export function usernameProblem(username: string): string | undefined {
  const problem = userNameProblem(username);
  return problem && sentences[problem];
}

/** Phones write the first letter large and leave a blank behind. */
export function tidyUsername(typed: string): string {
  return typed.trim().toLowerCase();
}
