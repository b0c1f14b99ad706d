// Takes advice apart into words and commands, so that each command stands on a line of its own and can be copied.

export type AdvicePart = { kind: 'words' | 'command'; text: string };

// A command runs from "gpg" to the end of the sentence, or to the words that go on after it.
const command = /\bgpg .+?(?=,? and gpg |, then |\. |\)|[.!]?$)/g;

/** "Extend it: gpg A and gpg B, then export it again." gives words, command, command, words, in this order. */
export function adviceOf(mend: string): AdvicePart[] {
  const parts: AdvicePart[] = [];
  const words = (text: string) => {
    const trimmed = text.replace(/^[\s,.)]+/, '').replace(/[\s(]+$/, '');
    if (trimmed !== '' && trimmed !== 'and') parts.push({ kind: 'words', text: trimmed });
  };
  let at = 0;
  for (const match of mend.matchAll(command)) {
    words(mend.slice(at, match.index));
    parts.push({ kind: 'command', text: match[0] });
    at = match.index + match[0].length;
  }
  words(mend.slice(at));
  return parts;
}
