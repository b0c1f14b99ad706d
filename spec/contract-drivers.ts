// Drives one link or socket for the contracts and keeps a diary of what it says: in this process, or in a page.
import type { DialSocket, Link, LinkFingerprints, LinkRoute, LinkSignal, OpenLink, Socket } from '../mesh/ports.ts';

/** What a link has said so far. `late`: anything after closed, or after it was told to close but that it is. `nested`: from within a call. */
export type LinkDiary = {
  signals: LinkSignal[];
  opened: LinkFingerprints[];
  messages: Uint8Array[];
  drained: number;
  closed: string[];
  late: number;
  nested: number;
};

/** A link that may live in another process: the calls of Link, and its diary. */
export type TestedLink = {
  diary: LinkDiary;
  signal(signal: LinkSignal): Promise<void>;
  /** Sends copies of `message` one after the other until one is not taken. */
  send(message: Uint8Array, copies?: number): Promise<{ taken: number; last: 'sent' | 'full' | 'closed' }>;
  route(): Promise<LinkRoute>;
  close(): Promise<void>;
};

export type StartLink = (role: 'offerer' | 'answerer', heard: () => void) => Promise<TestedLink>;

/** A link of this process. */
export function localLink(openLink: OpenLink): StartLink {
  return async (role, heard) => driveLink(openLink, role, heard);
}

export function driveLink(openLink: OpenLink, role: 'offerer' | 'answerer', heard: () => void): TestedLink {
  const diary: LinkDiary = { signals: [], opened: [], messages: [], drained: 0, closed: [], late: 0, nested: 0 };
  let calls = 0;
  const call = <T>(run: () => T): T => {
    calls++;
    try {
      return run();
    } finally {
      calls--;
    }
  };
  let mayTalk = true;
  const note = (write: () => void) => {
    if (calls > 0) diary.nested++;
    if (!mayTalk) diary.late++;
    write();
    heard();
  };
  const close = (reason: string) => {
    mayTalk = diary.closed.length === 0;
    note(() => diary.closed.push(reason));
    mayTalk = false;
  };
  const events = {
    signal: (signal: LinkSignal) => note(() => diary.signals.push(signal)),
    opened: (fingerprints: LinkFingerprints) => note(() => diary.opened.push(fingerprints)),
    message: (bytes: Uint8Array) => note(() => diary.messages.push(bytes)),
    drained: () => note(() => diary.drained++),
    closed: close,
  };
  const link: Link = call(() => openLink({ role, iceServers: [], events }));
  return {
    diary,
    signal: async (signal) => call(() => link.signal(signal)),
    send: async (message, copies = 1) => {
      let taken = 0;
      let last: 'sent' | 'full' | 'closed' = 'sent';
      while (taken < copies && last === 'sent') {
        last = call(() => link.send(message));
        if (last === 'sent') taken++;
      }
      return { taken, last };
    },
    route: () => call(() => link.route()),
    close: async () => {
      mayTalk = false;
      call(() => link.close());
    },
  };
}

export type SocketDiary = { opened: number; messages: Uint8Array[]; closed: string[]; late: number; nested: number };
export type TestedSocket = { diary: SocketDiary; send(message: Uint8Array): Promise<void>; close(): Promise<void> };
export type StartSocket = (origin: string, heard: () => void) => Promise<TestedSocket>;

export function localSocket(dial: DialSocket): StartSocket {
  return async (origin, heard) => driveSocket(dial, origin, heard);
}

export function driveSocket(dial: DialSocket, origin: string, heard: () => void): TestedSocket {
  const diary: SocketDiary = { opened: 0, messages: [], closed: [], late: 0, nested: 0 };
  let calls = 0;
  const call = <T>(run: () => T): T => {
    calls++;
    try {
      return run();
    } finally {
      calls--;
    }
  };
  let mayTalk = true;
  const note = (write: () => void) => {
    if (calls > 0) diary.nested++;
    if (!mayTalk) diary.late++;
    write();
    heard();
  };
  const close = (reason: string) => {
    mayTalk = diary.closed.length === 0;
    note(() => diary.closed.push(reason));
    mayTalk = false;
  };
  const socket: Socket = call(() =>
    dial(origin, {
      opened: () => note(() => diary.opened++),
      message: (bytes) => note(() => diary.messages.push(bytes)),
      closed: close,
    }),
  );
  return {
    diary,
    send: async (message) => call(() => socket.send(message)),
    close: async () => {
      mayTalk = false;
      call(() => socket.close());
    },
  };
}
