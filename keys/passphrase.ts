// How hard a passphrase is to guess, for the meter beside its field.

export type PassphraseStrength = {
  /** 0 nothing or hopeless, 1 weak, 2 fair, 3 good, 4 strong. */
  readonly score: 0 | 1 | 2 | 3 | 4;
  /** One word for the meter. */
  readonly word: string;
  /** What would make it better; empty when strong. */
  readonly advice: string;
};

/** An estimate from length, kinds of characters, repetition, runs and a short list of what everyone tries first. Never a promise. */
export function passphraseStrength(text: string): PassphraseStrength {
  const bits = bitsOf(text);
  const score = scoreOf(text === '' ? 0 : bits);
  return { score, word: words[score], advice: adviceFor(text, score) };
}

const words = ['Too easy', 'Weak', 'Fair', 'Good', 'Strong'] as const;

/** Guesses cost 600 000 rounds of hashing each, worth another 19 bits: 45 bits here are 64 to whoever steals the disk. */
const bitsForScore = [18, 32, 45, 60] as const;

function scoreOf(bits: number): PassphraseStrength['score'] {
  if (bits < bitsForScore[0]) return 0;
  if (bits < bitsForScore[1]) return 1;
  if (bits < bitsForScore[2]) return 2;
  return bits < bitsForScore[3] ? 3 : 4;
}

/** A character that repeats or continues a run (aaa, 123, qwe) counts one bit; so does each one of a common word. */
function bitsOf(text: string): number {
  const rest = withoutCommonWords(text.toLowerCase());
  const characters = [...rest];
  const each = Math.min(Math.log2(alphabetOf(text)), distinctBits(characters));
  let bits = [...text].length - characters.length;
  characters.forEach((character, i) => {
    bits += isForeseeable(characters[i - 1], character, characters[i - 2]) ? 1 : each;
  });
  return bits;
}

/** Few different characters give few bits each, however long the text is. */
function distinctBits(characters: readonly string[]): number {
  return Math.log2(new Set(characters).size + 1) + 1;
}

function alphabetOf(text: string): number {
  let size = 0;
  if (/[a-z]/.test(text)) size += 26;
  if (/[A-Z]/.test(text)) size += 26;
  if (/[0-9]/.test(text)) size += 10;
  if (/[ -/:-@[-`{-~]/.test(text)) size += 20;
  if (/[^ -~]/.test(text)) size += 40;
  return Math.max(size, 2);
}

const keyboardRows = ['qwertyuiop', 'qwertzuiop', 'asdfghjkl', 'zxcvbnm', 'yxcvbnm', 'azerty', '1234567890'];

function isForeseeable(before: string | undefined, character: string, twoBefore: string | undefined): boolean {
  if (before === undefined) return false;
  if (character === before || character === twoBefore) return true;
  const step = (character.codePointAt(0) ?? 0) - (before.codePointAt(0) ?? 0);
  if (Math.abs(step) === 1) return true;
  return keyboardRows.some((row) => row.includes(before + character) || row.includes(character + before));
}

const common = [
  'password',
  'passwort',
  'passw0rd',
  'p@ssword',
  'passphrase',
  'welcome',
  'willkommen',
  'letmein',
  'iloveyou',
  'sunshine',
  'princess',
  'football',
  'baseball',
  'superman',
  'batman',
  'dragon',
  'monkey',
  'master',
  'shadow',
  'secret',
  'summer',
  'winter',
  'hunter',
  'freedom',
  'whatever',
  'trustno',
  'starwars',
  'computer',
  'internet',
  'michael',
  'charlie',
  'admin',
  'login',
  'hello',
  'ninja',
  'love',
];

/** Each common word becomes its first letter. */
function withoutCommonWords(text: string): string {
  return common.reduce((rest, word) => rest.replaceAll(word, word.charAt(0)), text);
}

function adviceFor(text: string, score: PassphraseStrength['score']): string {
  if (score === 4) return '';
  if (text === '') return 'Four or more random words work well.';
  if (score >= 3) return 'One more word makes it strong.';
  if (/^(.)\1*$/u.test(text) || withoutCommonWords(text.toLowerCase()).length < text.length) {
    return 'This is among the first that anyone tries. Use four or more random words.';
  }
  return 'Make it longer: four or more random words work well.';
}
