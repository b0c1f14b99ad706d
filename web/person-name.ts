// How a person is called on the screen: nobody can be taken for another by a nickname.

export type PersonName = {
  /** Stands first and large. */
  first: string;
  /** Stands after it and is never cut off: with a nickname, the user name that it belongs to. */
  username: string | undefined;
  /** A warning in a sentence, when the nickname could be taken for another member's name. */
  warning: string | undefined;
};

/** With a nickname "nickname (username)"; a confusable one gives its place to the user name and comes with a warning. */
export function personName(person: { username: string; nickname: string | undefined }, confusable: boolean): PersonName {
  const { username, nickname } = person;
  if (nickname === undefined || nickname === '') return { first: username, username: undefined, warning: undefined };
  if (!confusable) return { first: nickname, username, warning: undefined };
  return {
    first: username,
    username: undefined,
    warning: `Uses the nickname “${nickname}”, which could be taken for another member.`,
  };
}

/** Fingerprints in groups of four, as GnuPG prints them. */
export function fingerprintGroups(fingerprint: string): string {
  return fingerprint.toUpperCase().replace(/(.{4})(?=.)/g, '$1 ');
}

/** One of eight colours, the same wherever this id appears. */
export function hueOf(id: string): number {
  let sum = 0;
  for (let at = 0; at < Math.min(id.length, 64); at += 1) sum = (sum * 31 + id.charCodeAt(at)) % 8191;
  return sum % 8;
}
