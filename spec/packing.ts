// Values between a spec and a page, as text: JSON that also knows bytes and numbers which are none.
import { base64url, fromBase64url } from '../wire/bytes.ts';

export function pack(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) => {
    if (part instanceof Uint8Array) return { bytes64: base64url(part) };
    if (typeof part === 'number' && !Number.isFinite(part)) return { odd: String(part) };
    return part;
  });
}

/** The caller knows what the other side packed. */
export function unpack<T>(text: string): T {
  return JSON.parse(text, (_, part: unknown) => {
    if (typeof part !== 'object' || part === null) return part;
    if ('bytes64' in part && typeof part.bytes64 === 'string') return fromBase64url(part.bytes64);
    if ('odd' in part) return Number(part.odd);
    return part;
  });
}
