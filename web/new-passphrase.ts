// Which passphrases are refused where a new one is chosen: only those that lock nothing.
import { passphraseStrength } from '../keys/passphrase.ts';

/** What stands against this passphrase, in a sentence; the meter says more about the weak ones that are accepted. */
export function newPassphraseProblem(passphrase: string): string | undefined {
  if (passphrase === '') return 'Choose a passphrase.';
  return passphraseStrength(passphrase).score === 0 ? 'This is too easy to guess. Choose a longer one.' : undefined;
}
