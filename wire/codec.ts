// The strict fixed-order binary codec: everything that is signed, hashed or sent is written and read with it.
// For every codec and all bytes b: decode(b) either throws WireRefusal or encode(decode(b)) equals b.
import { fromUtf8, utf8 } from './bytes.ts';
import { WireRefusal } from './refusal.ts';

export interface Codec<T> {
  write(out: Writer, value: T): void;
  read(input: Reader): T;
}

export type Decoded<C> = C extends Codec<infer T> ? T : never;

export class Writer {
  #bytes = new Uint8Array(256);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  put(part: Uint8Array): void {
    this.#reserve(part.length);
    this.#bytes.set(part, this.#length);
    this.#length += part.length;
  }

  putNumber(value: number, size: number): void {
    this.#reserve(size);
    let rest = value;
    for (let i = size - 1; i >= 0; i--) {
      this.#bytes[this.#length + i] = rest % 256;
      rest = Math.floor(rest / 256);
    }
    this.#length += size;
  }

  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + more));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }
}

export class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  /** A copy, so that a small field never keeps a large frame alive. */
  take(length: number): Uint8Array {
    if (length > this.left) throw new WireRefusal('truncated', `${length} bytes`);
    const part = this.#bytes.slice(this.#at, this.#at + length);
    this.#at += length;
    return part;
  }

  takeNumber(size: number): number {
    if (size > this.left) throw new WireRefusal('truncated', 'number');
    let value = 0;
    for (let i = 0; i < size; i++) value = value * 256 + (this.#bytes[this.#at + i] ?? 0);
    this.#at += size;
    if (value > Number.MAX_SAFE_INTEGER) throw new WireRefusal('bad-value', 'number above 2^53');
    return value;
  }
}

export function encode<T>(codec: Codec<T>, value: NoInfer<T>): Uint8Array {
  const out = new Writer();
  codec.write(out, value);
  return out.finish();
}

/** Reads exactly one value; throws WireRefusal for anything else. */
export function decode<T>(codec: Codec<T>, bytes: Uint8Array): T {
  const input = new Reader(bytes);
  const value = codec.read(input);
  if (input.left > 0) throw new WireRefusal('trailing', `${input.left} bytes`);
  return value;
}

function unsigned(size: number): Codec<number> {
  const max = size < 7 ? 256 ** size - 1 : Number.MAX_SAFE_INTEGER;
  return {
    write(out, value) {
      if (!Number.isSafeInteger(value) || value < 0 || value > max) throw new WireRefusal('bad-value', `u${8 * size} ${value}`);
      out.putNumber(value, size);
    },
    read: (input) => input.takeNumber(size),
  };
}

export const u8 = unsigned(1);
export const u16 = unsigned(2);
export const u32 = unsigned(4);
/** Above 2^53 - 1 is refused. Times are milliseconds since 1970 UTC. */
export const u64 = unsigned(8);

export function bytesN(length: number): Codec<Uint8Array> {
  return {
    write(out, value) {
      if (value.length !== length) throw new WireRefusal('bad-value', `${value.length} bytes where ${length} are due`);
      out.put(value);
    },
    read: (input) => input.take(length),
  };
}

/** A number that may only be one of these. */
export function numberOf<const N extends number>(size: 1 | 2, ...allowed: N[]): Codec<N> {
  const isAllowed = (value: number): value is N => allowed.some((one) => one === value);
  const number = size === 1 ? u8 : u16;
  return checked(number, (value) => {
    if (!isAllowed(value)) throw new WireRefusal('bad-value', `${value}`);
    return value;
  });
}

function vector(prefix: Codec<number>, max: number): Codec<Uint8Array> {
  return {
    write(out, value) {
      if (value.length > max) throw new WireRefusal('too-large', `${value.length} bytes of at most ${max}`);
      prefix.write(out, value.length);
      out.put(value);
    },
    read(input) {
      const length = prefix.read(input);
      if (length > max) throw new WireRefusal('too-large', `${length} bytes of at most ${max}`);
      return input.take(length);
    },
  };
}

export const vec8 = (max = 0xff) => vector(u8, max);
export const vec16 = (max = 0xffff) => vector(u16, max);
export const vec32 = (max: number) => vector(u32, max);

function text(bytes: Codec<Uint8Array>): Codec<string> {
  return {
    write: (out, value) => {
      if (!value.isWellFormed()) throw new WireRefusal('bad-text', 'lone surrogate');
      bytes.write(out, utf8(value));
    },
    read(input) {
      try {
        return fromUtf8(bytes.read(input));
      } catch (error) {
        if (error instanceof WireRefusal) throw error;
        throw new WireRefusal('bad-text', 'not UTF-8');
      }
    },
  };
}

export const text8 = (max = 0xff) => text(vec8(max));
export const text16 = (max = 0xffff) => text(vec16(max));

function list<T>(prefix: Codec<number>, item: Codec<T>, max: number): Codec<T[]> {
  return {
    write(out, values) {
      if (values.length > max) throw new WireRefusal('too-large', `${values.length} items of at most ${max}`);
      prefix.write(out, values.length);
      for (const value of values) item.write(out, value);
    },
    read(input) {
      const length = prefix.read(input);
      if (length > max) throw new WireRefusal('too-large', `${length} items of at most ${max}`);
      const values: T[] = [];
      for (let i = 0; i < length; i++) values.push(item.read(input));
      return values;
    },
  };
}

export const list8 = <T>(item: Codec<T>, max = 0xff) => list(u8, item, max);
export const list16 = <T>(item: Codec<T>, max: number) => list(u16, item, max);

/** One byte 0 or 1, then the value where it is 1. */
export function optional<T>(item: Codec<T>): Codec<T | undefined> {
  return {
    write(out, value) {
      out.putNumber(value === undefined ? 0 : 1, 1);
      if (value !== undefined) item.write(out, value);
    },
    read(input) {
      const there = input.takeNumber(1);
      if (there > 1) throw new WireRefusal('bad-value', 'presence byte');
      return there === 1 ? item.read(input) : undefined;
    },
  };
}

/** Narrows or checks a value after reading and before writing; `check` throws WireRefusal. */
export function checked<T, U extends T>(codec: Codec<T>, check: (value: T) => U): Codec<U> {
  return {
    write: (out, value) => codec.write(out, check(value)),
    read: (input) => check(codec.read(input)),
  };
}

type Fields = { readonly [name: string]: { write(out: Writer, value: never): void; read(input: Reader): unknown } };
type Shape<F extends Fields> = { -readonly [K in keyof F]: Decoded<F[K]> };

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

/** The fields in the order written here, with nothing between them. */
export function struct<F extends Fields>(fields: F): Codec<Shape<F>>;
export function struct(fields: Record<string, Codec<unknown>>): Codec<unknown> {
  const entries = Object.entries(fields);
  return {
    write(out, value) {
      if (!isRecord(value)) throw new WireRefusal('bad-value', 'no object');
      for (const [name, field] of entries) field.write(out, value[name]);
    },
    read(input) {
      const value: Record<string, unknown> = {};
      for (const [name, field] of entries) value[name] = field.read(input);
      return value;
    },
  };
}

type Variants = {
  readonly [name: string]: readonly [
    tag: number,
    fields: { write(out: Writer, value: never): void; read(input: Reader): unknown },
  ];
};
type Choice<Key extends string, V extends Variants> = {
  [Name in keyof V & string]: { [K in Key]: Name } & Decoded<V[Name][1]>;
}[keyof V & string];

/** A tagged union: one byte says which variant follows; in memory the word under `key` says it. */
export function choice<const Key extends string, const V extends Variants>(key: Key, variants: V): Codec<Choice<Key, V>>;
export function choice(key: string, variants: Record<string, readonly [number, Codec<unknown>]>): Codec<unknown> {
  const byTag = new Map(Object.entries(variants).map(([name, [tag, codec]]) => [tag, { name, codec }]));
  return {
    write(out, value) {
      const name = isRecord(value) ? value[key] : undefined;
      const variant = typeof name === 'string' && Object.hasOwn(variants, name) ? variants[name] : undefined;
      if (variant === undefined) throw new WireRefusal('unknown-type', String(name));
      out.putNumber(variant[0], 1);
      variant[1].write(out, value);
    },
    read(input) {
      const tag = input.takeNumber(1);
      const variant = byTag.get(tag);
      if (variant === undefined) throw new WireRefusal('unknown-type', `0x${tag.toString(16)}`);
      return Object.assign({ [key]: variant.name }, variant.codec.read(input));
    },
  };
}

/** The type byte of an object that travels or is signed by itself. */
export function typed<T>(type: number, codec: Codec<T>): Codec<T> {
  return {
    write(out, value) {
      out.putNumber(type, 1);
      codec.write(out, value);
    },
    read(input) {
      const got = input.takeNumber(1);
      if (got !== type) throw new WireRefusal('unknown-type', `0x${got.toString(16)}`);
      return codec.read(input);
    },
  };
}
