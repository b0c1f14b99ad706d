// The one error that bytes, text or links from outside may cause while they are parsed.

export type WireRefusalCode = 'truncated' | 'trailing' | 'too-large' | 'unknown-type' | 'bad-value' | 'bad-text';

export class WireRefusal extends Error {
  readonly code: WireRefusalCode;

  constructor(code: WireRefusalCode, what: string) {
    super(`${what}: ${code}`);
    this.name = 'WireRefusal';
    this.code = code;
  }
}
