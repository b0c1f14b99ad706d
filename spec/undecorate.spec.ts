// What becomes of the decorators of an element when the page is bundled.
import assert from 'node:assert/strict';

describe('an element without its decorators', () => {
  let undecorate: (source: string, path: string) => string;

  before(async () => {
    // JavaScript: the build uses it before there is anything to compile TypeScript with.
    ({ undecorate } = await import(new URL('../web/undecorate.mjs', import.meta.url).href));
  });

  const source = [
    "import { LitElement } from 'lit';",
    "import { customElement, property, query, state } from 'lit/decorators.js';",
    '',
    "@customElement('secure-bicycle')",
    'export class Bicycle extends LitElement {',
    '  @property({ attribute: false }) accessor wheels: Wheel[] = [];',
    '  @property() accessor label: string | undefined;',
    '  @state() private accessor gear: { of: 1 | 2; why?: string } = { of: 1 };',
    "  @query('input[type=file]') private accessor bell: HTMLElement | null = null;",
    '  #speed = 0;',
    '}',
    '',
  ].join('\n');

  it('says the same with Lit’s own means, in as many lines', () => {
    assert.equal(
      undecorate(source, 'bicycle.ts'),
      [
        "import { LitElement } from 'lit';",
        '',
        '',
        '',
        'export class Bicycle extends LitElement { static properties = { wheels: { attribute: false }, label: {}, gear: { state: true } };' +
          ' constructor() { super(); this.wheels = []; this.gear = { of: 1 }; }',
        '',
        '',
        '',
        "  get bell() { return this.renderRoot?.querySelector('input[type=file]') ?? null; }",
        '  #speed = 0;',
        '}',
        "customElements.define('secure-bicycle', Bicycle);",
        '',
      ].join('\n'),
    );
  });

  it('sets its values in its own constructor where it has one', () => {
    const own = source.replace('  #speed = 0;', '  constructor() {\n    super();\n    this.ring();\n  }');
    const plain = undecorate(own, 'bicycle.ts');
    assert.match(plain, /constructor\(\) \{\n {4}super\(\); this\.wheels = \[\]; this\.gear = \{ of: 1 \};\n {4}this\.ring\(\);/);
    assert.equal(plain.match(/constructor/g)?.length, 1);
  });

  it('is refused with a decorator in another form', () => {
    const other = [
      source.replace('@state()', '@state({ hasChanged })\n '),
      source.replace('@property()', '@eventOptions({ passive: true })'),
    ];
    for (const text of other) assert.throws(() => undecorate(text, 'bicycle.ts'), /bicycle\.ts has a decorator/);
  });

  it('is any other source as it was', () => {
    const plain = 'export class Bicycle {\n  #speed = 0;\n}\n';
    assert.equal(undecorate(plain, 'bicycle.ts'), plain);
  });
});
