// The one spelling of a node's address.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { canonicalOrigin } from '../wire/origin.ts';

describe('an origin', () => {
  const spellings: Record<string, string> = {
    'wss://chat.example': 'wss://chat.example',
    'WSS://Chat.Example:443/': 'wss://chat.example',
    ' https://chat.example/path?query#fragment ': 'wss://chat.example',
    'wss://chat.example:8443': 'wss://chat.example:8443',
    'https://10.0.0.1:08443': 'wss://10.0.0.1:8443',
    'wss://[2001:db8::1]:8443': 'wss://[2001:db8::1]:8443',
    'ws://localhost:8080': 'ws://localhost:8080',
    'http://localhost:80': 'ws://localhost',
    'ws://127.0.0.1:8080': 'ws://127.0.0.1:8080',
    'ws://127.255.255.254': 'ws://127.255.255.254',
    'http://[::1]:8080/': 'ws://[::1]:8080',
    'wss://xn--bcher-kva.example': 'wss://xn--bcher-kva.example',
  };

  for (const [address, expected] of Object.entries(spellings)) {
    it(`of ${address} is ${expected}`, () => assert.equal(canonicalOrigin(address), expected));
  }

  const refused = {
    'in the clear to another machine': ['ws://chat.example', 'http://10.0.0.1', 'ws://128.0.0.1', 'ws://[2001:db8::1]'],
    'that only looks like this machine': [
      'ws://localhost.example',
      'ws://127.0.0.1.example',
      'ws://127.example',
      'ws://localhost.',
    ],
    'of this machine in odd spellings': ['ws://127.1', 'ws://0x7f.1', 'ws://2130706433', 'ws://127.0.0.01', 'ws://127.0.0.256'],
    'with somebody else in front': [
      'wss://user@chat.example',
      'wss://chat.example@evil.example',
      'wss://chat.example\\@evil.example',
    ],
    'that is no host': ['wss://', 'wss:///', 'wss://-a.example', 'wss://a..b', 'wss://a b', 'wss://büro.example', 'wss://[::1'],
    'with no port': ['wss://chat.example:', 'wss://chat.example:0', 'wss://chat.example:65536', 'wss://chat.example:1e3'],
    'of something else': ['', 'chat.example', 'ftp://chat.example', 'javascript:alert(1)', 'wss:chat.example', '//chat.example'],
  };
  for (const [what, addresses] of Object.entries(refused)) {
    it(`is refused: one ${what}`, () => {
      for (const address of addresses) assert.equal(canonicalOrigin(address), undefined, address);
    });
  }

  it('has one spelling: the origin of an origin is itself', () => {
    const host = fc.oneof(fc.domain(), fc.ipV4(), fc.constant('localhost'), fc.string());
    const address = fc.tuple(fc.constantFrom('ws', 'wss', 'http', 'https'), host, fc.option(fc.nat(70_000)));
    fc.assert(
      fc.property(address, ([scheme, name, port]) => {
        const once = canonicalOrigin(`${scheme}://${name}${port === null ? '' : `:${port}`}`);
        if (once !== undefined) assert.equal(canonicalOrigin(once), once);
      }),
    );
  });
});
