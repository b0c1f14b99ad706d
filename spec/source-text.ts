// Reads TypeScript as text: what a file imports, and its code without comments and without what stands in strings.

export type SourceText = {
  /** The code with every comment gone and every string emptied; line breaks stay. */
  code: string;
  /** Every module named by an import, an export … from or an import(), in order. `undefined` is a computed import(). */
  imports: (string | undefined)[];
};

// A slash after one of these begins a regular expression, after anything else it divides.
const beforeRegExp = /(?:^|[=([{,;:!&|?+\-*%<>~^}]|\b(?:return|typeof|case|in|of|void|delete|do|else|yield|await))\s*$/;
const importOf = /\bimport\s*(?:type\s*)?(?:[\w$\s{},*]*\bfrom\s*)?"(\d+)"|\bexport\s*(?:type\s*)?[\w$\s{},*]*\bfrom\s*"(\d+)"/g;
// A method may be called import: its parameters have types.
const dynamicImportOf = /(?<![.\w$])import\s*\((?!\s*(?:\)|[\w$]+\s*\??:))\s*(?:"(\d+)"\s*[,)])?/g;

export function readSource(text: string): SourceText {
  const strings: string[] = [];
  let numbered = '';
  const scan = (from: number, insideTemplate: boolean): number => {
    let depth = 0;
    let at = from;
    while (at < text.length) {
      const char = text[at] ?? '';
      if (text.startsWith('//', at)) {
        at = endOf(text, '\n', at);
      } else if (text.startsWith('/*', at)) {
        const end = endOf(text, '*/', at + 2);
        numbered += ` ${text.slice(at, end).replace(/[^\n]/g, '')}`;
        at = end + 2;
      } else if (char === '"' || char === "'") {
        const end = endOfString(text, at);
        strings.push(text.slice(at + 1, end));
        numbered += `"${strings.length - 1}"`;
        at = end + 1;
      } else if (char === '`') {
        at = scanTemplate(at + 1);
      } else if (char === '/' && beforeRegExp.test(numbered.slice(-40))) {
        at = endOfRegExp(text, at);
        numbered += '/./';
      } else {
        if (char === '{') depth += 1;
        if (char === '}') {
          if (insideTemplate && depth === 0) return at + 1;
          depth -= 1;
        }
        numbered += char;
        at += 1;
      }
    }
    return at;
  };
  const scanTemplate = (from: number): number => {
    let at = from;
    let said = '';
    numbered += '`';
    while (at < text.length && text[at] !== '`') {
      if (text.startsWith('${', at)) {
        numbered += '${';
        at = scan(at + 2, true);
        numbered += '}';
      } else {
        const length = text[at] === '\\' ? 2 : 1;
        said += text.slice(at, at + length);
        at += length;
      }
    }
    strings.push(said);
    numbered += `"${strings.length - 1}"\``;
    return at + 1;
  };
  scan(0, false);

  const named = (index: string | undefined) => (index === undefined ? undefined : strings[Number(index)]);
  const still = [...numbered.matchAll(importOf)].map((match) => named(match[1] ?? match[2]));
  const moving = [...numbered.matchAll(dynamicImportOf)].map((match) => named(match[1]));
  return { code: numbered.replace(/"\d+"/g, '""'), imports: [...still, ...moving] };
}

function endOf(text: string, mark: string, from: number): number {
  const end = text.indexOf(mark, from);
  return end < 0 ? text.length : end;
}

function endOfString(text: string, from: number): number {
  let at = from + 1;
  while (at < text.length && text[at] !== text[from] && text[at] !== '\n') at += text[at] === '\\' ? 2 : 1;
  return at;
}

function endOfRegExp(text: string, from: number): number {
  let inClass = false;
  let at = from + 1;
  while (at < text.length && text[at] !== '\n') {
    if (text[at] === '\\') at += 1;
    else if (text[at] === '[') inClass = true;
    else if (text[at] === ']') inClass = false;
    else if (text[at] === '/' && !inClass) break;
    at += 1;
  }
  at += 1;
  while (/[a-z]/.test(text[at] ?? '')) at += 1;
  return at;
}
