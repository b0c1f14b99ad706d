// What is really in a node's store, and what spec/protocol.md says is: tables and their fields.
import { join } from 'node:path';
import { open } from 'lmdb';
import { storedTables } from '../signaling/stored-records.ts';
import { type Codec, decode } from '../wire/codec.ts';

/** table → fields, each once and sorted; those of a list's items as `list.field`. */
export type Fields = Record<string, string[]>;

/** Of every record in the store of that data folder. Throws for a table or a record that is in no known form. */
export async function storedFields(data: string): Promise<Fields> {
  const binary = { encoding: 'binary', keyEncoding: 'binary' } as const;
  const root = open<Uint8Array, Uint8Array>({ path: join(data, 'store'), maxDbs: 64, ...binary });
  const found: Fields = {};
  try {
    for (const key of root.getKeys()) {
      const name = new TextDecoder().decode(key).replace(/\0$/, '');
      if (!isTable(name)) throw new Error(`a table called ${name}`);
      const codec: Codec<object> = storedTables[name];
      const fields = new Set<string>();
      for (const { value } of root.openDB({ name, ...binary }).getRange()) {
        for (const field of fieldsOf(decode(codec, new Uint8Array(value)))) fields.add(field);
      }
      found[name] = [...fields].sort();
    }
  } finally {
    await root.close();
  }
  return found;
}

function isTable(name: string): name is keyof typeof storedTables {
  return Object.hasOwn(storedTables, name);
}

function fieldsOf(record: object): string[] {
  return Object.entries(record).flatMap(([name, value]) => {
    const items: unknown[] = Array.isArray(value) ? value : [];
    const objects = items.filter((item) => typeof item === 'object' && item !== null && !(item instanceof Uint8Array));
    if (objects.length === 0) return [name];
    return objects.flatMap((item) => fieldsOf(item ?? {}).map((field) => `${name}.${field}`));
  });
}

/** From the table under "What the node stores": its first and third columns. */
export function documentedTables(protocol: string): Fields {
  const section = /### What the node stores\n([\s\S]*?)(?=\n#|$)/.exec(protocol)?.[1] ?? '';
  const rows = section.split('\n').filter((line) => /^\| (?!table )[a-z]/i.test(line));
  return Object.fromEntries(
    rows.map((row) => {
      const [, table = '', , fields = ''] = row.split('|').map((cell) => cell.trim());
      return [table, fields.split(', ').sort()];
    }),
  );
}
