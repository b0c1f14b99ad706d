// Padding before sealing, so that a ciphertext's length says little: the value, 0x80, then zeros up to smallest · 2^k bytes.
import type { Codec } from './codec.ts';
import { WireRefusal } from './refusal.ts';

/** Must be the whole of what is encoded. Above `largest` (itself smallest · 2^k) writing refuses; reading refuses any but the shortest padding. */
export function padded<T>(codec: Codec<T>, { smallest, largest }: { smallest: number; largest: number }): Codec<T> {
  const sizeFor = (used: number) => {
    let size = smallest;
    while (size < used) size *= 2;
    return size;
  };
  return {
    write(out, value) {
      codec.write(out, value);
      out.putNumber(0x80, 1);
      const size = sizeFor(out.length);
      if (size > largest) throw new WireRefusal('too-large', 'plaintext');
      out.put(new Uint8Array(size - out.length));
    },
    read(input) {
      const total = input.left;
      const value = codec.read(input);
      const used = total - input.left + 1;
      if (input.takeNumber(1) !== 0x80) throw new WireRefusal('bad-value', 'padding');
      if (input.take(input.left).some((byte) => byte !== 0)) throw new WireRefusal('bad-value', 'padding');
      if (sizeFor(used) !== total || total > largest) throw new WireRefusal('bad-value', 'padding');
      return value;
    },
  };
}
