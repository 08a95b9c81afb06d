/** Members of a stranger's object, read one by one: what is wrong with one is a fault. Pure. */
import { familyOf, formatAddress, isOrdinaryAddress, ORDINARY_ADDRESS, parseAddress } from '@seine/model';
import { isObject, member, type Faults, type KubeObject, type PlainObject } from '@seine/objects';

const PROTOCOLS = ['TCP', 'UDP', 'SCTP'] as const;
type Protocol = (typeof PROTOCOLS)[number];

export const text = (found: Faults, field: string, value: unknown): string | undefined => {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'string') return value;
  found.refuse(field, value, 'text');
  return undefined;
};

export const protocolAt = (found: Faults, field: string, value: unknown): Protocol => {
  const protocol = PROTOCOLS.find((known) => known === (value ?? 'TCP'));
  if (protocol === undefined) found.refuse(field, value, `one of ${PROTOCOLS.join(', ')}`);
  return protocol ?? 'TCP';
};

export const portAt = (found: Faults, field: string, value: unknown): number => {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 65535) return value;
  found.refuse(field, value, 'a number from 1 to 65535');
  return 1;
};

/** @returns the one spelling that everything inside has: RFC 5952's */
export const addressAt = (found: Faults, field: string, value: unknown): string | undefined => {
  const bytes = typeof value === 'string' ? parseAddress(value) : undefined;
  if (bytes === undefined) { found.refuse(field, value, 'an IP address'); return undefined; }
  const address = formatAddress(bytes);
  if (familyOf(address) === familyOf(value as string)) return address; // text, as it was parsed
  found.refuse(field, value, `an IPv4 address in its own form: ${address}`);
  return undefined;
};

/** At most one for each family, as an API server has it. */
export const onePerFamily = (found: Faults, field: (index: number) => string, addresses: readonly string[]): readonly string[] => {
  addresses.forEach((address, index) => {
    if (addresses.findIndex((other) => familyOf(other) === familyOf(address)) !== index) found.refuse(field(index), address, `no second IPv${familyOf(address)} address`);
  });
  return addresses;
};

export const endpointAddressAt = (found: Faults, field: string, value: unknown): string | undefined => {
  const address = addressAt(found, field, value);
  if (address === undefined || isOrdinaryAddress(address)) return address;
  found.refuse(field, value, ORDINARY_ADDRESS);
  return undefined;
};

export const metadataOf = (object: KubeObject): PlainObject => { const value = member(object.raw, 'metadata'); return isObject(value) ? value : {}; };

export const oneOf = <const T extends string>(found: Faults, field: string, value: unknown, known: readonly T[]): T => {
  const match = known.find((each) => each === (value ?? known[0]));
  if (match === undefined) found.refuse(field, value, `one of ${known.join(', ')}`);
  return match ?? known[0]!; // never empty
};
