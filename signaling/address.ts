// Who a connection counts for: an IPv4 address, an IPv6 network, or nobody for this machine itself. Never logged and never stored.
import type { IncomingMessage } from 'node:http';
import { isIPv6, type Socket } from 'node:net';

/** Undefined: loopback, which is not held to the limits per address. A proxy on this machine says for whom it speaks. */
export function addressOf(request: IncomingMessage): string | undefined {
  const remote = remoteOf(request.socket);
  if (remote !== undefined) return remote;
  const forwarded = [request.headers['x-forwarded-for'] ?? []].flat().join(',');
  // The last entry is what our proxy saw; those before are what its client claimed.
  const last = forwarded.split(',').at(-1)?.trim() ?? '';
  return last === '' ? undefined : networkOf(plainAddress(last.slice(0, 64)));
}

/** Of the other end, whoever it speaks for; undefined for loopback. */
export function remoteOf(socket: Socket): string | undefined {
  const remote = plainAddress(socket.remoteAddress ?? '');
  return isLoopback(remote) ? undefined : networkOf(remote);
}

export function isLoopback(host: string): boolean {
  return host === '::1' || host === 'localhost' || /^127\.\d+\.\d+\.\d+$/.test(host);
}

/** Without the IPv6 form of an IPv4 address and without brackets. */
function plainAddress(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/i, '').replace(/^\[(.*)\]$/, '$1');
}

/** One household has a /64, with more addresses than anyone can count. */
function networkOf(address: string): string {
  if (!isIPv6(address)) return address;
  const [before = '', after] = address.toLowerCase().split('%')[0]?.split('::') ?? [];
  const groups = before.split(':').filter((group) => group !== '');
  const rest = after?.split(':').filter((group) => group !== '') ?? [];
  const zeros: string[] = after === undefined ? [] : new Array(Math.max(0, 8 - groups.length - rest.length)).fill('0');
  return [...groups, ...zeros, ...rest]
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':');
}
