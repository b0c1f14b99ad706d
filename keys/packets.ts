// The outer framing of OpenPGP packets (RFC 9580 §4.2), read without a look inside, so that shapes are refused before anything is parsed.

export const packetTag = {
  publicKeyEncryptedSessionKey: 1,
  signature: 2,
  symmetricKeyEncryptedSessionKey: 3,
  onePassSignature: 4,
  secretKey: 5,
  publicKey: 6,
  secretSubkey: 7,
  compressed: 8,
  symmetricallyEncrypted: 9,
  marker: 10,
  literal: 11,
  trust: 12,
  userId: 13,
  publicSubkey: 14,
  userAttribute: 17,
  encryptedData: 18,
  aeadEncryptedData: 20,
  padding: 21,
} as const;

export type Packet = {
  readonly tag: number;
  readonly body: Uint8Array;
  /** Header and body as they came. */
  readonly whole: Uint8Array;
};

/** 'truncated': the last packet ends after the bytes do. 'damaged': no packet header, or a length that is not definite. */
export type PacketsResult = { readonly packets: Packet[] } | { readonly fault: 'truncated' | 'damaged' };

/** Reads all packets or none. Partial and indeterminate lengths are refused: nobody needs them below 64 KiB. */
export function readPackets(bytes: Uint8Array, most: number): PacketsResult {
  const packets: Packet[] = [];
  let at = 0;
  while (at < bytes.length) {
    if (packets.length === most) return { fault: 'damaged' };
    const header = readHeader(bytes.subarray(at, at + 6));
    if ('fault' in header) return header;
    const end = at + header.headerLength + header.bodyLength;
    if (end > bytes.length) return { fault: 'truncated' };
    packets.push({ tag: header.tag, body: bytes.subarray(at + header.headerLength, end), whole: bytes.subarray(at, end) });
    at = end;
  }
  return { packets };
}

/** How many bytes a packet with that body takes in the new format, header included. */
export function packetLength(bodyLength: number): number {
  if (bodyLength < 192) return 2 + bodyLength;
  return (bodyLength < 8384 ? 3 : 6) + bodyLength;
}

type Header = { readonly tag: number; readonly headerLength: number; readonly bodyLength: number };

function readHeader(bytes: Uint8Array): Header | { readonly fault: 'truncated' | 'damaged' } {
  const first = bytes[0] ?? 0;
  if ((first & 0x80) === 0) return { fault: 'damaged' };
  const isNewFormat = (first & 0x40) !== 0;
  const tag = isNewFormat ? first & 0x3f : (first & 0x3f) >> 2;
  const lengthOctets = isNewFormat ? newFormatLengthOctets(bytes[1]) : [1, 2, 4, 0][first & 3];
  if (lengthOctets === undefined) return { fault: 'truncated' };
  if (lengthOctets === 0) return { fault: 'damaged' };
  if (bytes.length < 1 + lengthOctets) return { fault: 'truncated' };
  const octets = bytes.subarray(1, 1 + lengthOctets);
  const headerLength = 1 + lengthOctets;
  if (isNewFormat && lengthOctets === 2) return { tag, headerLength, bodyLength: bigEndianOf(octets) - (192 << 8) + 192 };
  return { tag, headerLength, bodyLength: bigEndianOf(isNewFormat && lengthOctets === 5 ? octets.subarray(1) : octets) };
}

function newFormatLengthOctets(first: number | undefined): number | undefined {
  if (first === undefined) return undefined;
  if (first < 192) return 1;
  if (first < 224) return 2;
  return first === 255 ? 5 : 0;
}

function bigEndianOf(octets: Uint8Array): number {
  return octets.reduce((sum, octet) => sum * 256 + octet, 0);
}
