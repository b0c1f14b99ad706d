// Opens the store in the folder it is given, writes one entry and holds on until it is killed: run by spec/stores.spec.ts.
import { openLmdbStore } from '../peer/lmdb-store.ts';
import { utf8 } from '../wire/bytes.ts';

const store = await openLmdbStore(process.argv[2] ?? '');
await store.write([{ put: ['written before the kill'], value: utf8('yes') }]);
process.send?.('written');
