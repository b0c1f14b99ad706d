// Objects that hold keys: whoever logs or serialises one by mistake gets '[key]'.

const hidden = { value: () => '[key]', enumerable: false };
const disguise = { toString: hidden, toJSON: hidden, [Symbol.for('nodejs.util.inspect.custom')]: hidden };

/** The same object, printing as '[key]'. A copy made with `{ ...value }` prints in full again: pass it through here too. */
export function secret<T extends object>(value: T): T {
  return Object.defineProperties(value, disguise);
}
