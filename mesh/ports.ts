// What the mesh needs from the machine it runs on. Each port has one contract in spec/contracts.ts, run against every implementation.

/** Stops what was started; harmless when called twice. */
export type Stop = () => void;

export interface Clock {
  /** Milliseconds since 1970 UTC. */
  now(): number;
  /** Runs once after at least `ms`. */
  after(ms: number, run: () => void): Stop;
}

/** Unpredictable bytes. */
export type Random = (length: number) => Uint8Array;

export type StoreKey = readonly (string | number)[];
export type StoreChange = { put: StoreKey; value: Uint8Array } | { remove: StoreKey };
export type StoreEntry = { key: StoreKey; value: Uint8Array };

/** Keys are ordered part by part: numbers before strings, numbers by size, strings by code unit, a prefix before what it starts. */
export interface Store {
  get(key: StoreKey): Promise<Uint8Array | undefined>;
  /** Entries whose key starts with `prefix` and is longer, in key order. `after` (exclusive) is a whole key under the prefix. */
  range(prefix: StoreKey, options?: { after?: StoreKey; reverse?: boolean; limit?: number }): Promise<StoreEntry[]>;
  /** All of it or none of it, on disk when the promise resolves; calls take effect in their order. */
  write(changes: StoreChange[]): Promise<void>;
  close(): Promise<void>;
}

export type SocketEvents = {
  opened(): void;
  message(bytes: Uint8Array): void;
  /** Exactly once, after which nothing more is called. */
  closed(reason: string): void;
};

/** A binary web socket to a node; text frames and messages over the size limit close it. */
export interface Socket {
  /** Dropped silently once closed. */
  send(message: Uint8Array): void;
  close(): void;
}

/** `origin` such as wss://chat.example or ws://localhost:8080. */
export type DialSocket = (origin: string, events: SocketEvents) => Socket;

export type LinkSignal =
  | { kind: 'offer'; sdp: string }
  | { kind: 'answer'; sdp: string }
  | { kind: 'candidate'; candidate: string };

/** SHA-256 fingerprints of the two DTLS certificates of the connection, 32 bytes each. */
export type LinkFingerprints = { local: Uint8Array; remote: Uint8Array };

export type LinkEvents = {
  /** For the other side, in order. */
  signal(signal: LinkSignal): void;
  opened(fingerprints: LinkFingerprints): void;
  message(bytes: Uint8Array): void;
  /** There is room again after `send` said 'full'. */
  drained(): void;
  /** Exactly once, after which nothing more is called. */
  closed(reason: string): void;
};

/** How packets travel: straight, or through a TURN server. */
export type LinkRoute = 'direct' | 'relayed' | 'unknown';

/** One data channel on one connection: whole messages, in order. A bad signal closes it; nothing here throws. */
export interface Link {
  /** What the other side said, already rebuilt from the whitelist (mesh/sdp.ts). */
  signal(signal: LinkSignal): void;
  /** 'full': not taken; try again after `drained`. 'closed': never. */
  send(message: Uint8Array): 'sent' | 'full' | 'closed';
  route(): Promise<LinkRoute>;
  close(): void;
}

export type IceServerUrls = { urls: string[]; username: string; credential: string };

export type OpenLink = (start: { role: 'offerer' | 'answerer'; iceServers: IceServerUrls[]; events: LinkEvents }) => Link;
