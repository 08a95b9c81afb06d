import { formatAddress, isV4, parseAddress, type IpFamily } from './address.ts';

/** A prefix over mapped addresses: `length` is 0..128 (an IPv4 /24 is 120). Bits beyond the length are zero. */
export interface Prefix {
  readonly address: Uint8Array;
  readonly length: number;
}

/** Keeps the first `length` bits (0..128) of a 16-byte address; a new array. */
export const maskAddress = (address: Uint8Array, length: number): Uint8Array =>
  address.map((byte, index) => {
    const bits = Math.min(8, Math.max(0, length - 8 * index));
    return byte & (0xff00 >> bits) & 0xff;
  });

/** Parses `10.0.0.0/8`, `fd00::/8` or a bare address. Host bits are cleared, as Kubernetes does. undefined when it is none. */
export const parsePrefix = (text: string): Prefix | undefined => {
  const slash = text.indexOf('/');
  const address = parseAddress(slash < 0 ? text : text.slice(0, slash));
  if (address === undefined) return undefined;
  const offset = isV4(address) && !text.slice(0, slash < 0 ? undefined : slash).includes(':') ? 96 : 0;
  if (slash < 0) return { address, length: 128 };
  const lengthText = text.slice(slash + 1);
  if (!/^(0|[1-9][0-9]{0,2})$/.test(lengthText)) return undefined;
  const length = Number(lengthText) + offset;
  if (length > 128) return undefined;
  return { address: maskAddress(address, length), length };
};

/** Of a prefix over mapped addresses. `::/0` and all that is wider than IPv4's part of the space are IPv6. */
export const prefixFamily = ({ address, length }: Prefix): IpFamily => (isV4(address) && length >= 96 ? 4 : 6);

export const formatPrefix = ({ address, length }: Prefix): string =>
  prefixFamily({ address, length }) === 4 ? `${formatAddress(address)}/${length - 96}` : `${formatAddress(address)}/${length}`;

export const prefixContains = (outer: Prefix, address: Uint8Array): boolean => {
  const full = outer.length >> 3;
  for (let index = 0; index < full; index += 1) if (outer.address[index] !== address[index]) return false;
  const rest = outer.length & 7;
  if (rest === 0) return true;
  const mask = (0xff00 >> rest) & 0xff;
  return (outer.address[full]! & mask) === (address[full]! & mask);
};

/** inner ⊆ outer. */
export const prefixCovers = (outer: Prefix, inner: Prefix): boolean =>
  outer.length <= inner.length && prefixContains(outer, inner.address);
