// Says with Lit's own means what our elements say with decorators, which no browser knows yet: esbuild's translation of them weighs 6 kB gzip more,
// since it takes every #private of such a class with it.

const decorated = /^@customElement\('([\w-]+)'\)\n(export class (\w+) extends \w+ \{)$/m;
const member = /^ {2}@(property|state|query)\((.*)\) (?:private |protected )?accessor (\w+)(?:: .+?)?(?: = (.+))?;$/gm;
const ownConstructor = /^ {2}constructor\(\) \{\n {4}super\(\);$/m;
const decorators = /^import \{[^}]*\} from 'lit\/decorators\.js';$/m;

/** The source of an element, with line breaks where they were. Throws for a decorator in a form that is not known here. */
export function undecorate(source, path) {
  const found = decorated.exec(source);
  if (found === null) return source;
  const [, tag, opening, name] = found;
  const properties = [];
  const values = [];
  const members = source.replace(member, (_, kind, argument, key, value) => {
    if (kind === 'query') return `  get ${key}() { return this.renderRoot?.querySelector(${argument}) ?? null; }`;
    properties.push(`${key}: ${kind === 'state' ? '{ state: true }' : argument || '{}'}`);
    if (value !== undefined) values.push(`this.${key} = ${value};`);
    return '';
  });
  const begin = `super(); ${values.join(' ')}`;
  const constructing = ownConstructor.test(source) ? '' : ` constructor() { ${begin} }`;
  const plain = members
    .replace(decorators, '')
    .replace(ownConstructor, () => `  constructor() {\n    ${begin}`)
    .replace(decorated, () => `\n${opening} static properties = { ${properties.join(', ')} };${constructing}`);
  if (/^\s*@\w+\(|\baccessor \w/m.test(plain)) throw new Error(`${path} has a decorator in a form that is not known here`);
  return `${plain}customElements.define('${tag}', ${name});\n`;
}
