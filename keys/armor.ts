// Finds OpenPGP blocks in text as mail clients and editors leave it, and decodes them. Checksums are not looked at: the keys sign themselves.

/** `bytes` is missing if the block has no end or is not base64. */
export type ArmorBlock = { readonly title: string; readonly bytes: Uint8Array } | { readonly fault: 'truncated' | 'damaged' };

/** More blocks than any keyring that fits into a key file. */
const blocksMost = 64;
const headers = /^(?:Version|Comment|Hash|Charset|MessageID|SavedBy)\s*:/i;

/** UTF-8, or UTF-16 with or without a byte order mark; `undefined` for bytes that are no text with armor in it. */
export function textOf(bytes: Uint8Array): string | undefined {
  const [first, second] = bytes;
  if (first === 0xff && second === 0xfe) return new TextDecoder('utf-16le').decode(bytes);
  if (first === 0xfe && second === 0xff) return new TextDecoder('utf-16be').decode(bytes);
  if (first !== undefined && first !== 0 && first < 0x80 && second === 0) return new TextDecoder('utf-16le').decode(bytes);
  if (first === 0 && second !== 0) return new TextDecoder('utf-16be').decode(bytes);
  const text = new TextDecoder('utf-8').decode(bytes);
  return ((first ?? 0) & 0x80) === 0 || text.includes('BEGIN PGP') ? text : undefined;
}

export function readArmor(text: string): ArmorBlock[] {
  const tidy = text
    .replace(/[\u200b-\u200d\u2060\ufeff]/g, '')
    .replace(/\u00a0/g, ' ')
    .replace(/[-\u2010-\u2015\u2212]{2,}(?=[ ]?(?:BEGIN|END) PGP)/g, '-----')
    .replace(/(?<=(?:BEGIN|END) PGP [A-Z ]{1,40})[-\u2010-\u2015\u2212]{2,}/g, '-----')
    .replace(/\r\n?/g, '\n');
  const blocks: ArmorBlock[] = [];
  let at = 0;
  while (blocks.length < blocksMost) {
    const begin = tidy.indexOf('-----BEGIN PGP ', at);
    if (begin === -1) break;
    const titleAt = begin + '-----BEGIN PGP '.length;
    const titleEnd = tidy.indexOf('-----', titleAt);
    const title = tidy.slice(titleAt, titleEnd);
    const end = titleEnd === -1 ? -1 : tidy.indexOf(`-----END PGP ${title}`, titleEnd);
    at = end === -1 ? titleAt : end + 1;
    if (end !== -1) blocks.push(decoded(title, tidy.slice(titleEnd + 5, end)));
    else if (title !== 'SIGNED MESSAGE') blocks.push({ fault: 'truncated' }); // that one ends with the signature after it
  }
  return blocks;
}

function decoded(title: string, inside: string): ArmorBlock {
  const lines = inside.split('\n').map((line) => line.replace(/^[\s>|]+/, '').trim());
  const words = lines.flatMap(bodyWords).join('');
  const padding = words.indexOf('=');
  const base64 = padding === -1 ? words : words.slice(0, padding);
  if (base64.length === 0 || !/^[A-Za-z0-9+/]*$/.test(base64) || base64.length % 4 === 1) return { fault: 'damaged' };
  return { title, bytes: Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0)) };
}

/** What of a line is body: nothing of a header, and of a whole block in one line what follows the headers. */
function bodyWords(line: string): string[] {
  if (!headers.test(line)) return line.split(/\s+/);
  const words = line.split(/\s+/);
  const start = words.findIndex((word) => /^[A-Za-z0-9+/]{60,}$/.test(word));
  return start === -1 ? [] : words.slice(start);
}
