// A node's origin in its one spelling, as clients dial it and nodes are configured with it (spec/protocol.md §2).

/**
 * `wss://host[:port]`, or `ws://` for this machine alone, of any web or socket address; lower case, no default port, no path.
 * Undefined for what is no such address, and for `ws://` and `http://` to other machines. Hosts are ASCII: write IDNA names in punycode.
 */
export function canonicalOrigin(address: string): string | undefined {
  const [, scheme, host, port] = addressPattern.exec(address.trim().toLowerCase()) ?? [];
  if (scheme === undefined || host === undefined || !isHost(host)) return undefined;
  const isSecure = scheme === 'wss' || scheme === 'https';
  if (!isSecure && !isLoopback(host)) return undefined;
  const portNumber = port === undefined ? undefined : Number(port);
  if (portNumber !== undefined && (portNumber < 1 || portNumber > 65535)) return undefined;
  const isDefault = portNumber === undefined || portNumber === (isSecure ? 443 : 80);
  return `${isSecure ? 'wss' : 'ws'}://${host}${isDefault ? '' : `:${portNumber}`}`;
}

const addressPattern = /^(wss?|https?):\/\/([a-z0-9.-]+|\[[0-9a-f:.]+\])(?::(\d{1,5}))?(?:[/?#]|$)/;
const labelPattern = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const byte = '(?:0|[1-9]\\d?|1\\d\\d|2[0-4]\\d|25[0-5])';
const ipv4Pattern = new RegExp(`^${byte}(?:\\.${byte}){3}$`);

function isHost(host: string): boolean {
  if (host.startsWith('[')) return true;
  const labels = host.split('.');
  // Browsers read 127.1, 0x7f.1 and 2130706433 as addresses too: one spelling is enough.
  if (/^(?:\d+|0x[0-9a-f]*)$/.test(labels.at(-1) ?? '')) return ipv4Pattern.test(host);
  return host.length <= 253 && labels.every((label) => labelPattern.test(label));
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || (host.startsWith('127.') && ipv4Pattern.test(host));
}
