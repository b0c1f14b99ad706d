// The page's half of spec/contracts-browser.spec.ts: the adapters of web/, called from the spec, which reads what they say.
import type { Store, StoreChange, StoreEntry, StoreKey } from '../mesh/ports.ts';
import type { CandidatePolicy } from '../mesh/sdp.ts';
import { StoreFailure } from '../mesh/store-failure.ts';
import { browserClock, browserRandom } from '../web/adapters/browser-clock.ts';
import { dialBrowserSocket } from '../web/adapters/browser-socket.ts';
import { openIndexedDbStore } from '../web/adapters/indexeddb-store.ts';
import { simplePeerLinks } from '../web/adapters/simple-peer-link.ts';
import { driveLink, driveSocket, type TestedLink, type TestedSocket } from './contract-drivers.ts';
import { pack, unpack } from './packing.ts';

export type Diary = Record<string, unknown[] | number>;
export type PageCalls = typeof calls;
/** What the spec gets for a call: the result, or what was thrown. */
export type Answer<Result> = { result: Result } | { thrown: { name: string; code?: string; message: string } };

declare global {
  /** Gives the spec what a diary has gained. */
  function heard(packed: string): void;
}

const links = new Map<number, TestedLink>();
const sockets = new Map<number, TestedSocket>();
const stores = new Map<number, Store>();
const hogs: IDBDatabase[] = [];

const calls = {
  openLink(id: number, role: 'offerer' | 'answerer', policy: CandidatePolicy): void {
    const link = driveLink(simplePeerLinks(policy), role, () => tellGain(id, links.get(id)?.diary));
    links.set(id, link);
  },
  signal: (id: number, signal: Parameters<TestedLink['signal']>[0]) => held(links, id).signal(signal),
  send: (id: number, message: Uint8Array, copies: number) => held(links, id).send(message, copies),
  route: (id: number) => held(links, id).route(),
  closeLink: (id: number) => held(links, id).close(),

  dial(id: number, origin: string): void {
    sockets.set(
      id,
      driveSocket(dialBrowserSocket, origin, () => tellGain(id, sockets.get(id)?.diary)),
    );
  },
  sendOnSocket: (id: number, message: Uint8Array) => held(sockets, id).send(message),
  closeSocket: (id: number) => held(sockets, id).close(),

  async openStore(id: number, name: string, patience?: number): Promise<void> {
    stores.set(id, await openIndexedDbStore(name, patience));
  },
  /** As "clear site data" does. */
  deleteDatabase: (name: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const deleting = indexedDB.deleteDatabase(name);
      deleting.addEventListener('success', () => resolve());
      deleting.addEventListener('error', () => reject(deleting.error));
    }),
  /** Opens it as a later version of the app would, holds on to it, and asks in vain for its deletion. */
  hogDatabase: (name: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const opening = indexedDB.open(name, 7);
      opening.addEventListener('error', () => reject(opening.error));
      opening.addEventListener('success', () => {
        hogs.push(opening.result);
        indexedDB.deleteDatabase(name).addEventListener('blocked', () => resolve());
      });
    }),
  async openLaterVersion(name: string): Promise<void> {
    await new Promise((resolve, reject) => {
      const opening = indexedDB.open(name, 7);
      opening.addEventListener('error', () => reject(opening.error));
      opening.addEventListener('success', () => resolve(opening.result.close()));
    });
  },
  // JSON has no undefined.
  get: async (id: number, key: StoreKey): Promise<Uint8Array | null> => (await held(stores, id).get(key)) ?? null,
  range: (
    id: number,
    prefix: StoreKey,
    options: { after?: StoreKey; reverse?: boolean; limit?: number },
  ): Promise<StoreEntry[]> => held(stores, id).range(prefix, options),
  write: (id: number, changes: StoreChange[]) => held(stores, id).write(changes),
  closeStore: (id: number) => held(stores, id).close(),

  /** Reads [bytes, size of the memory behind them] after the written bytes were changed by their owner. */
  async readAfterReuse(id: number): Promise<[Uint8Array | undefined, number | undefined]> {
    const bytes = new Uint8Array(1000).subarray(10, 12);
    const writing = held(stores, id).write([{ put: ['reused'], value: bytes }]);
    bytes.fill(9);
    await writing;
    const read = await held(stores, id).get(['reused']);
    return [read, read?.buffer.byteLength];
  },

  /** What timers run, in which order, until the last that is due. */
  timers: (): Promise<{ ran: string[]; passed: number }> =>
    new Promise((resolve) => {
      const ran: string[] = [];
      const start = browserClock.now();
      browserClock.after(2 ** 40, () => ran.push('in 34 years'));
      browserClock.after(40, () => resolve({ ran, passed: browserClock.now() - start }));
      browserClock.after(20, () => ran.push('second'));
      const stop = browserClock.after(10, () => ran.push('stopped'));
      browserClock.after(-5, () => ran.push('first'));
      stop();
      stop();
    }),
  random: (length: number): Uint8Array => browserRandom(length),
};

Object.assign(globalThis, {
  async ask(packed: string): Promise<string> {
    const [name, args] = unpack<[keyof PageCalls, unknown[]]>(packed);
    try {
      const result: unknown = await Reflect.apply(calls[name], undefined, args);
      return pack({ result: result ?? null });
    } catch (error) {
      return pack({ thrown: described(error) });
    }
  },
});

function described(error: unknown): { name: string; code?: string; message: string } {
  if (!(error instanceof Error)) return { name: 'unknown', message: String(error) };
  const { name, message } = error;
  return error instanceof StoreFailure ? { name, message, code: error.code } : { name, message };
}

function held<T>(map: Map<number, T>, id: number): T {
  const thing = map.get(id);
  if (thing === undefined) throw new Error(`nothing numbered ${id}`);
  return thing;
}

const told = new Map<number, Record<string, number>>();

function tellGain(id: number, diary: Diary | undefined): void {
  if (diary === undefined) return;
  const before = told.get(id) ?? {};
  const gain: Diary = {};
  for (const [field, value] of Object.entries(diary)) {
    gain[field] = typeof value === 'number' ? value : value.slice(before[field] ?? 0);
    if (typeof value !== 'number') before[field] = value.length;
  }
  told.set(id, before);
  heard(pack({ id, gain }));
}
