/**
 * A random case in both families: every address gets a twin, every block of a policy too. What the texts of the APIs say of the case between
 * addresses of IPv4 holds between their twins, so no second reading of the texts is needed.
 */
import { formatAddress, formatPrefix, parseAddress, parsePrefix } from '@seine/model';

import type { Answered, PropertyCase, RawObject } from './generate.ts';

/** Twins are their IPv4 address behind this. */
const BEHIND = '2001:db8:4::';
const BEHIND_BITS = 96;
/** Of IPv4 the whole of the other family means nobody. */
const NOBODYS = '2001:db8:dead::/48';
const V4 = /^\d+\.\d+\.\d+\.\d+(\/\d+)?$/;

/** @param text an IPv4 address or block */
export const twin = (text: string): string => {
  const [address, length] = text.split('/');
  if (length === '0') return '::/0';
  const behind = `${BEHIND}${address}`;
  return length === undefined ? formatAddress(parseAddress(behind)!) : formatPrefix(parsePrefix(`${behind}/${BEHIND_BITS + Number(length)}`)!); // generated: addresses and blocks
};

const eachText = (value: unknown, act: (text: string) => string): unknown => {
  if (typeof value === 'string') return act(value);
  if (Array.isArray(value)) return value.map((item) => eachText(item, act));
  return typeof value === 'object' && value !== null ? Object.fromEntries(Object.entries(value).map(([name, member]) => [name, eachText(member, act)])) : value;
};
const sole = (value: unknown): unknown => eachText(value, (text) => (text === '::/0' ? NOBODYS : text));
const twinOf = (value: unknown): unknown => eachText(value, (text) => (V4.test(text) ? twin(text) : text));
const hasAddress = (value: unknown): boolean => { let found = false; eachText(value, (text) => { found ||= V4.test(text); return text; }); return found; };

/** The outermost lists that hold addresses hold their twins as well: rules, peers, blocks. */
const doubled = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.flatMap((item: unknown) => (hasAddress(item) ? [item, twinOf(item)] : [item]));
  return typeof value === 'object' && value !== null ? Object.fromEntries(Object.entries(value).map(([name, member]) => [name, doubled(member)])) : value;
};

const withTwins = (object: RawObject): readonly RawObject[] => {
  const plain = sole(object) as RawObject; // the same members
  switch (plain.kind) {
    case 'Pod': {
      const status = plain['status'] as { readonly podIP?: string };
      return [status.podIP === undefined ? plain : { ...plain, status: { ...status, podIPs: [{ ip: status.podIP }, { ip: twin(status.podIP) }] } }];
    }
    case 'Service': {
      const spec = plain['spec'] as { readonly clusterIP?: string };
      return [spec.clusterIP === undefined || !V4.test(spec.clusterIP) ? plain : { ...plain, spec: { ...spec, clusterIPs: [spec.clusterIP, twin(spec.clusterIP)] } }];
    }
    case 'EndpointSlice': {
      const six = twinOf(plain) as RawObject; // the same members
      return [plain, { ...six, addressType: 'IPv6', metadata: { ...six.metadata, name: `${six.metadata.name}-6` } }];
    }
    default: return [doubled(plain) as RawObject]; // the same members
  }
};

const EXTERNAL = '192.168.50.200';
const twinParty = (name: string): string => (name === 'external' ? twin(EXTERNAL) : V4.test(name) ? twin(name) : name);

/** @returns the case with twins, and its probes between twins; ICMP apart: its types are others */
export const inBothFamilies = (made: PropertyCase): { readonly made: PropertyCase; readonly twins: readonly Answered[] } => ({
  made: { ...made, objects: made.objects.flatMap(withTwins) },
  twins: made.probes.filter(({ protocol }) => protocol !== 'ICMP').map((probe) => ({ ...probe, from: twinParty(probe.from), to: twinParty(probe.to), family: 6 })),
});
