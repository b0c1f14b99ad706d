// Bytes that look random and are the same for the same name, so that vectors can be made again.
import { expandKey, hash } from '../../keys/hash.ts';

export function bytesOf(name: string, length: number): Uint8Array {
  return expandKey(hash('vector'), name, new Uint8Array(), length);
}
