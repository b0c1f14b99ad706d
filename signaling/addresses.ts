// How many connections each address has, and no more than so many.
import type { Server } from 'node:http';
import { remoteOf } from './address.ts';

export class Addresses {
  readonly #most: number;
  readonly #connections = new Map<string, number>();

  constructor(most: number) {
    this.#most = most;
  }

  hasRoom(address: string | undefined): boolean {
    return address === undefined || (this.#connections.get(address) ?? 0) < this.#most;
  }

  enter(address: string | undefined): void {
    if (address !== undefined) this.#connections.set(address, (this.#connections.get(address) ?? 0) + 1);
  }

  leave(address: string | undefined): void {
    if (address === undefined) return;
    const others = (this.#connections.get(address) ?? 0) - 1;
    if (others > 0) this.#connections.set(address, others);
    else this.#connections.delete(address);
  }
}

/** Ends connections above so many of one address, which need not even have asked for anything. */
export function boundConnections(server: Server, { perAddress }: { perAddress: number }): void {
  const addresses = new Addresses(perAddress);
  server.on('connection', (tcp) => {
    const address = remoteOf(tcp);
    if (address === undefined) return;
    if (!addresses.hasRoom(address)) {
      tcp.destroy();
      return;
    }
    addresses.enter(address);
    tcp.once('close', () => addresses.leave(address));
  });
}
