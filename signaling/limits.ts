// What one client may cost the node: rates, counts and times that clients need not know. What both ends agree on stands in wire/limits.ts.

const KiB = 1024;
const minute = 60_000;

export const nodeLimits = {
  /** About 100 MB of memory, and below the usual limit of open files of a service. */
  sockets: 10_000,
  /** A household or an office behind one address; loopback, where proxies and specs come from, is not held to it. */
  socketsPerAddress: 200,
  /** Of whatever kind: its sockets, and some that load the page. */
  connectionsPerAddress: 250,
  /** Sockets that have not logged in: strangers must not use up all sockets. Above that the oldest goes. */
  strangers: 2_000,
  /** Sent before logging in, between two heartbeats: the request, ClientHello with the largest certificate, and ClientAuth are half of it. */
  strangerBytes: 64 * KiB,
  /** Until ClientHello has come. */
  helloTime: 10_000,
  /** Pings without an answer before a socket counts as dead: 50 to 75 s. */
  missedHeartbeats: 2,
  /** Challenges waiting for their answer; those by hand, which live 20 times as long, may take half. */
  challenges: 2_000,
  /** Turns of one account (signaling/costs.ts); a message takes at least one. Above that its messages wait, they are not refused. */
  requestsPerSecond: 50,
  requestsBurst: 200,
  /** Full logins and registrations of one address: each costs OpenPGP work. */
  loginsPerSecond: 1,
  loginsBurst: 10,
  /** Of one address: each may cost a second of OpenPGP work, and makes an account that may store much. A class or an office may come at once. */
  registrationsPerHour: 60,
  /** Of one address, by devices that are known: an office that comes back after a restart, and no more work than that. */
  resumesPerSecond: 20,
  resumesBurst: 200,
  /** Names of one address that nobody has, or that somebody has who wants to register: nobody walks through the names. */
  wrongNamesPerHour: 60,
  /** Of one account, for the same reason. */
  nameLookUpsPerHour: 30,
  /** Of one account: each member of the largest group, and again. */
  uidLookUpsPerHour: 3_000,
  /** Of one account: each may cost half a second. */
  certificatesPerHour: 12,
  /** By one account, of entries, shards and mail: forty times what renewing the key of the largest group takes. */
  storedKiBPerDay: 32 * 1024,
  /** Unread by one client; then it is cut off. Holds the largest answer several times. */
  outgoingBytes: 1024 * KiB,
  /** Of those, what relays may make up: sixteen of the largest. Above that their senders are told to wait. */
  relayedBytes: 256 * KiB,
  /** Answers above this are written out before the next request is read. */
  largeAnswerBytes: 16 * KiB,
  /** One answer to get-log or get-mail; the largest entry fits. */
  pageBytes: 200 * KiB,
  /** Shards put by one account and not yet named by an append: the largest commit to 1000 members has 64. */
  stagedShards: 64,
  stagedBytes: 2 * 1024 * KiB,
  stagedAge: 60 * minute,
  /** Heirs of a group key that may append. */
  appendKeys: 4,
  /** Mail of one sender in a person's or device's box. */
  mailsPerSenderAndPerson: 8,
  /** How often what has expired is removed. */
  sweep: 10 * minute,
  logLinesPerSecond: 50,
} as const;

export type NodeLimits = { readonly [Name in keyof typeof nodeLimits]: number };
