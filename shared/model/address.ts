/**
 * Addresses are 16 bytes, IPv4 mapped (::ffff:a.b.c.d); text only at the edges. Pure.
 */

const V4_PREFIX = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff] as const;

const [ZERO, DOT] = [48, 46];

/** Writes four bytes at `at`; nodes with many Services read an address for every row. @returns whether the text is an address */
const parseV4Into = (text: string, bytes: Uint8Array, at: number): boolean => {
  let value = 0;
  let digits = 0;
  let part = 0;
  for (let index = 0; index <= text.length; index += 1) {
    const code = index === text.length ? DOT : text.charCodeAt(index);
    if (code === DOT) {
      if (digits === 0 || part === 4) return false;
      bytes[at + part] = value;
      part += 1;
      value = 0;
      digits = 0;
      continue;
    }
    const digit = code - ZERO;
    if (digit < 0 || digit > 9 || (digits > 0 && value === 0)) return false; // leading zeros were octal once
    value = 10 * value + digit;
    digits += 1;
    if (value > 255) return false;
  }
  return part === 4;
};
const V4_AT = 12;
const parseV4 = (text: string): Uint8Array | undefined => {
  const bytes = new Uint8Array(16);
  bytes.set(V4_PREFIX);
  return parseV4Into(text, bytes, V4_AT) ? bytes : undefined;
};

const parseGroups = (text: string): number[] | undefined => {
  if (text === '') return [];
  const groups: number[] = [];
  const parts = text.split(':');
  for (const [index, part] of parts.entries()) {
    if (part.includes('.')) {
      const v4 = index === parts.length - 1 ? parseV4(part) : undefined;
      if (v4 === undefined) return undefined;
      groups.push((v4[V4_AT]! << 8) | v4[V4_AT + 1]!, (v4[V4_AT + 2]! << 8) | v4[V4_AT + 3]!);
    } else {
      if (!/^[0-9a-fA-F]{1,4}$/.test(part)) return undefined;
      groups.push(Number.parseInt(part, 16));
    }
  }
  return groups;
};

const parseV6 = (text: string): Uint8Array | undefined => {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const head = parseGroups(halves[0]!);
  const tail = halves.length === 2 ? parseGroups(halves[1]!) : [];
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  const bytes = new Uint8Array(16);
  [...head, ...Array.from({ length: missing }, () => 0), ...tail].forEach((group, index) => {
    bytes[2 * index] = group >> 8;
    bytes[2 * index + 1] = group & 0xff;
  });
  return bytes;
};

/** @returns 16 bytes, IPv4 mapped; undefined when the text is no address (leading zeros and zones are refused). */
export const parseAddress = (text: string): Uint8Array | undefined => (text.includes(':') ? parseV6(text) : parseV4(text));

/** Writes 16 bytes at `at`. @returns whether the text is an address; what stands there otherwise is nothing */
export const parseAddressInto = (text: string, bytes: Uint8Array, at: number): boolean => {
  if (!text.includes(':')) {
    for (let index = 0; index < V4_AT; index += 1) bytes[at + index] = V4_PREFIX[index]!; // as long
    return parseV4Into(text, bytes, at + V4_AT);
  }
  const parsed = parseV6(text);
  if (parsed !== undefined) bytes.set(parsed, at);
  return parsed !== undefined;
};

const isV4At = (bytes: Uint8Array, at: number): boolean => {
  for (let index = 0; index < V4_PREFIX.length; index += 1) if (bytes[at + index] !== V4_PREFIX[index]) return false;
  return true;
};
export const isV4 = (address: Uint8Array): boolean => isV4At(address, 0);

export type IpFamily = 4 | 6;

/** Of an address, or of a prefix over addresses in text. */
export const familyOf = (text: string): IpFamily => (text.includes(':') ? 6 : 4);

const formatV6 = (bytes: Uint8Array): string => {
  const groups = Array.from({ length: 8 }, (_, index) => (bytes[2 * index]! << 8) | bytes[2 * index + 1]!);
  let best = { start: -1, length: 1 };
  for (let start = 0; start < 8; start += 1) {
    let length = 0;
    while (start + length < 8 && groups[start + length] === 0) length += 1;
    if (length > best.length) best = { start, length };
  }
  const hex = groups.map((group) => group.toString(16));
  if (best.start < 0) return hex.join(':');
  return `${hex.slice(0, best.start).join(':')}::${hex.slice(best.start + best.length).join(':')}`;
};

/** The address whose 16 bytes begin at `at`: dotted for mapped ones, RFC 5952 otherwise. */
export const formatAddressAt = (bytes: Uint8Array, at: number): string =>
  isV4At(bytes, at) ? `${bytes[at + 12]}.${bytes[at + 13]}.${bytes[at + 14]}.${bytes[at + 15]}` : formatV6(bytes.subarray(at, at + 16));
export const formatAddress = (bytes: Uint8Array): string => formatAddressAt(bytes, 0);

/** An address and a port as people write them: IPv6 in brackets (RFC 5952, 6). */
export const formatEnd = (address: string, port: number): string => (familyOf(address) === 6 ? `[${address}]:${port}` : `${address}:${port}`);
