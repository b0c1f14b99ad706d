// Whether one name could be taken for another by a reader.

/** Letters of other scripts, and digits, that look like a Latin letter. */
const lookAlikes: Record<string, string> = {
  а: 'a',
  в: 'b',
  с: 'c',
  ԁ: 'd',
  е: 'e',
  ғ: 'f',
  һ: 'h',
  і: 'i',
  ј: 'j',
  к: 'k',
  ӏ: 'l',
  м: 'm',
  н: 'h',
  о: 'o',
  р: 'p',
  ԛ: 'q',
  ѕ: 's',
  т: 't',
  у: 'y',
  ѵ: 'v',
  ԝ: 'w',
  х: 'x',
  α: 'a',
  β: 'b',
  γ: 'y',
  ε: 'e',
  η: 'n',
  ι: 'i',
  κ: 'k',
  μ: 'u',
  ν: 'v',
  ο: 'o',
  ρ: 'p',
  τ: 't',
  υ: 'u',
  χ: 'x',
  ω: 'w',
  '0': 'o',
  '1': 'l',
  '3': 'e',
  '4': 'a',
  '5': 's',
  '7': 't',
  '8': 'b',
  '|': 'l',
  '!': 'l',
  $: 's',
  '@': 'a',
  ı: 'l',
  ł: 'l',
  ø: 'o',
  đ: 'd',
  ß: 'b',
  ſ: 's',
  i: 'l',
};

/** The same for names that look alike: case, accents, width, spaces, punctuation and look-alike letters make no difference. */
export function skeletonOf(name: string): string {
  const folded = name.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase().normalize('NFKC');
  const plain = [...folded].map((letter) => lookAlikes[letter] ?? letter).join('');
  return plain
    .replace(/rn/g, 'm')
    .replace(/vv/g, 'w')
    .replace(/[^\p{L}\p{N}]/gu, '');
}

/** Of these people, the ids of those whose nickname could be taken for a name of somebody else, or for none. */
export function confusableNicknames(
  people: Iterable<{ id: string; username: string; nickname: string | undefined }>,
): ReadonlySet<string> {
  const owners = new Map<string, Set<string>>();
  const nicknames = new Map<string, string>();
  for (const { id, username, nickname } of people) {
    for (const name of nickname === undefined ? [username] : [username, nickname]) {
      const skeleton = skeletonOf(name);
      owners.set(skeleton, (owners.get(skeleton) ?? new Set()).add(id));
    }
    if (nickname !== undefined) nicknames.set(id, skeletonOf(nickname));
  }
  const isTaken = (skeleton: string) => skeleton === '' || (owners.get(skeleton)?.size ?? 0) > 1;
  return new Set([...nicknames].flatMap(([id, skeleton]) => (isTaken(skeleton) ? [id] : [])));
}
