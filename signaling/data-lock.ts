// One node for each data folder: it listens on a socket in there, which the system takes back however the process ends.
import { unlink } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { join, relative } from 'node:path';

export const lockFile = 'node.lock';

/** Lets go of the folder. */
export type Unlock = () => Promise<void>;

/** 'taken' while another process has it. Where the file system has no sockets, or the path is too long for one, nothing is locked. */
export async function lockFolder(folder: string): Promise<Unlock | 'taken'> {
  const path = shorter(join(folder, lockFile), relative(process.cwd(), join(folder, lockFile)));
  if (Buffer.byteLength(path) > longestPath) return async () => undefined;
  const first = await listen(path);
  if (first !== 'taken') return first;
  if (await isAnswered(path)) return 'taken';
  // Left behind by a process that was killed.
  await unlink(path).catch(() => undefined);
  return listen(path);
}

/** macOS takes 103 bytes, Linux 107. */
const longestPath = 103;

function shorter(a: string, b: string): string {
  return a.length <= b.length ? a : b;
}

function listen(path: string): Promise<Unlock | 'taken'> {
  const server = createServer((socket) => socket.destroy());
  server.unref();
  return new Promise((resolve) => {
    server.once('error', (error: Error & { code?: string }) => {
      resolve(error.code === 'EADDRINUSE' ? 'taken' : async () => undefined);
    });
    // Closing removes the file.
    server.listen(path, () => resolve(() => new Promise<void>((done) => server.close(() => done()))));
  });
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
