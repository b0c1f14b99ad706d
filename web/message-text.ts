// Finds the web addresses in a message. What is no address stays text, and nothing ever becomes markup.

export type TextPart = { kind: 'text'; text: string } | { kind: 'link'; text: string; href: string };

// Stops at blanks, quotes, angle brackets, controls and characters that turn the direction of reading.
const address = /\bhttps?:\/\/[^\s<>"'`\p{Cc}\p{Cf}\p{Zl}\p{Zp}]{1,2000}/gu;

/** The parts in order; joined, their texts are the message. */
export function textParts(message: string): TextPart[] {
  const parts: TextPart[] = [];
  let at = 0;
  for (const match of message.matchAll(address)) {
    const text = withoutSentenceEnd(match[0]);
    if (!URL.canParse(text)) continue;
    if (match.index > at) parts.push({ kind: 'text', text: message.slice(at, match.index) });
    parts.push({ kind: 'link', text, href: new URL(text).href });
    at = match.index + text.length;
  }
  if (at < message.length) parts.push({ kind: 'text', text: message.slice(at) });
  return parts;
}

// "(see https://example.org/a_(b))." ends with the bracket of the address, not with that of the sentence.
function withoutSentenceEnd(address: string): string {
  let unopened = address.split(')').length - address.split('(').length;
  let end = address.length;
  for (; end > 0; end -= 1) {
    const last = address.charAt(end - 1);
    if (last === ')' && unopened > 0) unopened -= 1;
    else if (!/[.,;:!?*_~\]}]/.test(last)) break;
  }
  return address.slice(0, end);
}
