// The node without its ports: everything that a socket is attached to, from the store to the log.
import type { SigningKey } from '../keys/ed25519.ts';
import { nodeIdOf } from '../keys/identity.ts';
import { encode } from '../wire/codec.ts';
import type { NodeId } from '../wire/ids.ts';
import { limits } from '../wire/limits.ts';
import type { IceServer } from '../wire/login-messages.ts';
import { nodeMessage } from '../wire/node-messages.ts';
import { Buckets } from './buckets.ts';
import { Challenges } from './challenges.ts';
import { every, type NodeClock, type Stop } from './clock.ts';
import { type ClientSocket, Connection, type ConnectionParts } from './connection.ts';
import { Directory } from './directory.ts';
import { GroupStore } from './group-store.ts';
import { type Counters, Happenings } from './happenings.ts';
import type { NodeLimits } from './limits.ts';
import { Mailboxes } from './mailbox.ts';
import { Presence } from './presence.ts';
import { Requests } from './requests.ts';
import { type Registration, SignIn } from './sign-in.ts';
import type { NodeStore } from './store.ts';

export type HubParts = {
  store: NodeStore;
  nodeKey: SigningKey;
  /** Canonical (wire/origin.ts): the addresses that clients may have dialled. */
  origins: readonly string[];
  registration: Registration;
  iceServers: IceServer[];
  limits: NodeLimits;
  clock: NodeClock;
  random: (length: number) => Uint8Array;
  /** One line of the log. */
  print(line: string): void;
};

export type HubStats = Counters & { sockets: number; online: number; challenges: number };

/** When a stopping node may be dialled again. */
const stoppedFor = 2_000;

export class Hub {
  readonly nodeId: NodeId;
  readonly #parts: HubParts;
  readonly #connectionParts: ConnectionParts;
  readonly #connections = new Set<Connection>();
  readonly #strangers = new Set<Connection>();
  readonly #stops: Stop[];
  #sweeping: Promise<void> = Promise.resolve();

  constructor(parts: HubParts) {
    const { store, nodeKey, limits: own, clock, random } = parts;
    this.nodeId = nodeIdOf(nodeKey.publicKey);
    this.#parts = parts;
    const happenings = new Happenings({ clock, perSecond: own.logLinesPerSecond, print: parts.print });
    const directory = new Directory({ store, nodeId: this.nodeId });
    const challenges = new Challenges({ limits: own });
    const presence = new Presence();
    const perHour = (count: number) => new Buckets({ perSecond: count / 3600, burst: count });
    this.#connectionParts = {
      signIn: new SignIn({
        ...parts,
        directory,
        challenges,
        rates: {
          logins: new Buckets({ perSecond: own.loginsPerSecond, burst: own.loginsBurst }),
          registrations: perHour(own.registrationsPerHour),
          resumes: new Buckets({ perSecond: own.resumesPerSecond, burst: own.resumesBurst }),
          wrongNames: perHour(own.wrongNamesPerHour),
        },
      }),
      requests: new Requests({
        directory,
        groups: new GroupStore({ store, limits: own }),
        mailboxes: new Mailboxes({ store, limits: own, senderKey: random(32) }),
        presence,
        happenings,
        nameLookUps: perHour(own.nameLookUpsPerHour),
        uidLookUps: perHour(own.uidLookUpsPerHour),
        certificates: perHour(own.certificatesPerHour),
        stored: new Buckets({ perSecond: own.storedKiBPerDay / 86_400, burst: own.storedKiBPerDay }),
        clock,
      }),
      presence,
      challenges,
      happenings,
      limits: own,
      clock,
      turns: new Buckets({ perSecond: own.requestsPerSecond, burst: own.requestsBurst }),
      joined: (connection) => this.#strangers.delete(connection),
    };
    this.#stops = [
      every(clock, 1_000, () => this.#hurryStrangers()),
      every(clock, limits.heartbeat, () => this.#beat()),
      every(clock, own.sweep, () => this.#sweep()),
    ];
  }

  /** 'full': no socket more. */
  get room(): 'free' | 'full' {
    return this.#connections.size < this.#parts.limits.sockets ? 'free' : 'full';
  }

  /** From then on the caller says what comes: `receive`, and at last `gone`. */
  accept(socket: ClientSocket, address: string | undefined): Connection {
    if (this.#strangers.size >= this.#parts.limits.strangers) this.#dropOldestStranger();
    const connection = new Connection(this.#connectionParts, socket, address);
    this.#connections.add(connection);
    this.#strangers.add(connection);
    return connection;
  }

  /** The socket has closed. */
  gone(connection: Connection): void {
    this.#connections.delete(connection);
    this.#strangers.delete(connection);
    connection.closed();
  }

  stats(): HubStats {
    const { happenings, presence, challenges } = this.#connectionParts;
    return {
      ...happenings.counters,
      sockets: this.#connections.size,
      online: presence.online,
      challenges: challenges.waiting,
    };
  }

  /** Says goodbye to everybody. The store is the caller's. */
  async stop(): Promise<void> {
    for (const stop of this.#stops) stop();
    const goodbye = encode(nodeMessage, { type: 'stopping', retryAfter: stoppedFor });
    for (const connection of [...this.#connections]) connection.dismiss(goodbye);
    await this.#sweeping;
  }

  /** Ends what is still open. */
  cut(): void {
    for (const connection of [...this.#connections]) connection.cut();
  }

  /** Logging in takes a second or two: a crowd that stays keeps nobody out who goes on. */
  #dropOldestStranger(): void {
    const [oldest] = this.#strangers;
    if (oldest === undefined) return;
    this.#strangers.delete(oldest);
    oldest.end('busy');
  }

  #hurryStrangers(): void {
    const now = this.#parts.clock.now();
    for (const connection of [...this.#strangers]) connection.hurry(now);
  }

  #beat(): void {
    for (const connection of [...this.#connections]) connection.beat();
  }

  #sweep(): void {
    const { store, clock, limits: own } = this.#parts;
    const now = clock.now();
    this.#sweeping = store
      .sweep({ mail: now - limits.mailAge, staged: now - own.stagedAge })
      .then(() => undefined)
      .catch((error: unknown) => {
        this.#connectionParts.happenings.log({ who: 'the node', what: `could not sweep: ${String(error)}`, code: 'internal' });
      });
  }
}
