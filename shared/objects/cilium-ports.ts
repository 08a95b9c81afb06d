/**
 * Ports of a rule of Cilium's policies, and what it asks above them (HTTP, DNS, TLS, a proxy's listener): parsed, checked, and withheld, since
 * nothing here speaks those protocols. Items of `toPorts` are OR; no protocol is TCP, UDP and SCTP, never ICMP. Pure.
 */
import type { PortItem } from '@seine/events';
import { PROTOCOL } from '@seine/model';

import { readDnsName, type RuleAction } from './cilium-peers.ts';
import { isPortName } from './names.ts';
import { isObject, listAt, member, objectAt, onlyMembers, type Faults, type PlainObject } from './refusal.ts';
import { isRegularExpression } from './regular-expression.ts';

const MOST_ITEMS = 40;

/** IANA numbers. `ANY` is every protocol with ports. */
const PROTOCOLS: Readonly<Record<string, readonly number[]>> = {
  TCP: [PROTOCOL.TCP], UDP: [PROTOCOL.UDP], SCTP: [PROTOCOL.SCTP],
  VRRP: [112], IGMP: [2], GRE: [47], IPIP: [4], IPV6: [41], ESP: [50], AH: [51],
  ANY: [PROTOCOL.TCP, PROTOCOL.UDP, PROTOCOL.SCTP],
};
const WITH_PORTS: readonly string[] = ['TCP', 'UDP', 'SCTP', 'ANY'];

export interface PortContext { readonly found: Faults; readonly direction: 'ingress' | 'egress'; readonly action: RuleAction; readonly isHostPolicy: boolean; readonly isClusterwide: boolean }

export interface ReadPorts {
  /** False: the rule says nothing about ports. */
  readonly stated: boolean;
  readonly plain: readonly PortItem[];
  /** Of items whose condition nothing here can check. */
  readonly conditional: readonly PortItem[];
  readonly withheld: readonly string[];
}

const limited = (found: Faults, field: string, value: unknown): readonly unknown[] => {
  const items = listAt(found, field, value) ?? [];
  if (items.length > MOST_ITEMS) found.refuse(field, `${items.length} items`, `at most ${MOST_ITEMS} items`);
  return items.slice(0, MOST_ITEMS);
};

const textAt = (found: Faults, field: string, value: unknown): string | undefined => {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'string') return value;
  found.refuse(field, value, 'text');
  return undefined;
};

const nameAt = (found: Faults, field: string, value: unknown): void => { if (typeof value !== 'string' || value === '') found.refuse(field, value, 'a name'); };

interface ReadPort { readonly items: readonly PortItem[]; readonly protocol: string; readonly port: number | string; readonly isRange: boolean }

const everyPort = (protocols: readonly number[]): readonly PortItem[] => protocols.map((protocol) => ({ type: 'range', protocol, from: 0, to: 65535 }));

const PORT_TEXT = 'the text of a number from 0 to 65535 (such as "80"), or a port name: at most 15 of [A-Za-z0-9-], with a letter';

/** A number, a name in lower case; '' where it is neither. */
const portOf = (found: Faults, field: string, value: unknown): number | string | undefined => {
  if (value === undefined || value === null || value === '') return 0;
  if (typeof value === 'string' && /^(0|[1-9][0-9]{0,4})$/.test(value) && Number(value) <= 65535) return Number(value);
  if (typeof value === 'string' && isPortName(value.toLowerCase())) return value.toLowerCase();
  found.refuse(field, value, PORT_TEXT);
  return undefined;
};

const readPort = (found: Faults, field: string, value: unknown): ReadPort | undefined => {
  if (!isObject(value)) { found.refuse(field, value, 'an object with port and protocol'); return undefined; }
  onlyMembers(found, field, value, ['port', 'endPort', 'protocol']);
  const written = member(value, 'protocol') ?? undefined;
  const protocol = written ?? 'ANY';
  const numbers = typeof protocol === 'string' && Object.hasOwn(PROTOCOLS, protocol) ? PROTOCOLS[protocol] : undefined;
  if (typeof protocol !== 'string' || numbers === undefined) found.refuse(`${field}.protocol`, protocol, `one of ${Object.keys(PROTOCOLS).join(', ')}`);
  const port = portOf(found, `${field}.port`, member(value, 'port'));
  const endPort = member(value, 'endPort') ?? 0;
  if (typeof endPort !== 'number' || !Number.isInteger(endPort) || endPort < 0 || endPort > 65535) { found.refuse(`${field}.endPort`, endPort, 'a number from 0 to 65535'); return undefined; }
  if (typeof protocol !== 'string' || numbers === undefined || port === undefined) return undefined;
  if (!WITH_PORTS.includes(protocol)) {
    if (port === 0 && endPort === 0) return { items: everyPort(numbers), protocol, port, isRange: false };
    found.refuse(`${field}.port`, port, `no port: ${protocol} has none`);
    return undefined;
  }
  /* A name is one port: Cilium ignores an endPort beside it. */
  if (typeof port === 'string') return { items: numbers.map((number) => ({ type: 'named', protocol: number, name: port })), protocol, port, isRange: false };
  if (endPort !== 0 && (port === 0 || endPort < port)) { found.refuse(`${field}.endPort`, endPort, port === 0 ? 'no endPort without a port' : `a number from port (${port}) to 65535`); return undefined; }
  if (port === 0) return { items: everyPort(numbers), protocol, port, isRange: false };
  return { items: numbers.map((number) => ({ type: 'range', protocol: number, from: port, to: endPort === 0 ? port : endPort })), protocol, port, isRange: endPort > port };
};

const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const HEADER_NAME_TEXT = 'the name of a header: letters, digits and !#$%&\'*+-.^_`|~';
const MISMATCHES: readonly unknown[] = ['LOG', 'ADD', 'DELETE', 'REPLACE'];

const readSecret = (found: Faults, field: string, value: unknown): void => {
  const secret = objectAt(found, field, value);
  onlyMembers(found, field, secret, ['name', 'namespace']);
  nameAt(found, `${field}.name`, member(secret, 'name'));
  textAt(found, `${field}.namespace`, member(secret, 'namespace'));
};

const readHeaderMatch = (found: Faults, field: string, value: unknown): void => {
  if (!isObject(value)) { found.refuse(field, value, 'an object with name'); return; }
  onlyMembers(found, field, value, ['name', 'value', 'secret', 'mismatch']);
  const name = member(value, 'name');
  if (typeof name !== 'string' || !HEADER_NAME.test(name)) found.refuse(`${field}.name`, name, HEADER_NAME_TEXT);
  textAt(found, `${field}.value`, member(value, 'value'));
  if ((member(value, 'secret') ?? undefined) !== undefined) readSecret(found, `${field}.secret`, member(value, 'secret'));
  const mismatch = member(value, 'mismatch') ?? undefined;
  if (mismatch !== undefined && !MISMATCHES.includes(mismatch)) found.refuse(`${field}.mismatch`, mismatch, `one of ${MISMATCHES.join(', ')}`);
};

const readHttp = (found: Faults, field: string, value: unknown): void => {
  if (!isObject(value)) { found.refuse(field, value, 'an object with path, method, host, headers or headerMatches'); return; }
  onlyMembers(found, field, value, ['path', 'method', 'host', 'headers', 'headerMatches']);
  for (const name of ['path', 'method', 'host']) {
    const expression = textAt(found, `${field}.${name}`, member(value, name));
    if (expression !== undefined && !isRegularExpression(expression)) found.refuse(`${field}.${name}`, expression, 'a regular expression as RE2 reads it');
  }
  (listAt(found, `${field}.headers`, member(value, 'headers')) ?? []).forEach((header, index) => {
    if (typeof header !== 'string' || !HEADER_NAME.test(header.split(/[: ]/, 1)[0] ?? '')) found.refuse(`${field}.headers[${index}]`, header, `a header, "Name" or "Name: value"; ${HEADER_NAME_TEXT}`);
  });
  (listAt(found, `${field}.headerMatches`, member(value, 'headerMatches')) ?? []).forEach((match, index) => { readHeaderMatch(found, `${field}.headerMatches[${index}]`, match); });
};

const REMOVED: readonly string[] = ['kafka', 'l7', 'l7proto'];

/** The rules above the ports, by the protocol that they are of. */
const readRules = (found: Faults, field: string, value: unknown): 'http' | 'dns' | undefined => {
  const rules = objectAt(found, field, value);
  for (const name of REMOVED) if (Object.hasOwn(rules, name)) found.refuse(`${field}.${name}`, rules[name], 'http or dns: Cilium 1.20 has removed this');
  onlyMembers(found, field, rules, ['http', 'dns', ...REMOVED]);
  const http = listAt(found, `${field}.http`, member(rules, 'http'));
  const dns = listAt(found, `${field}.dns`, member(rules, 'dns'));
  http?.forEach((rule, index) => { readHttp(found, `${field}.http[${index}]`, rule); });
  dns?.forEach((rule, index) => { readDnsName(found, `${field}.dns[${index}]`, rule); });
  if (http !== undefined && dns !== undefined) found.refuse(field, ['http', 'dns'], 'rules of one protocol in an item of toPorts');
  return dns !== undefined ? 'dns' : http !== undefined ? 'http' : undefined;
};

const readTls = (found: Faults, field: string, value: unknown): void => {
  const tls = objectAt(found, field, value);
  onlyMembers(found, field, tls, ['secret', 'trustedCA', 'certificate', 'privateKey']);
  if (isObject(member(tls, 'secret'))) readSecret(found, `${field}.secret`, member(tls, 'secret'));
  else found.refuse(`${field}.secret`, member(tls, 'secret'), 'an object with name and namespace');
  for (const name of ['trustedCA', 'certificate', 'privateKey']) textAt(found, `${field}.${name}`, member(tls, name));
};

const LISTENER_KINDS: readonly unknown[] = ['CiliumEnvoyConfig', 'CiliumClusterwideEnvoyConfig'];
const LOWEST_LISTENER_PRIORITY = 100;

const readListener = ({ found, direction, isClusterwide }: PortContext, field: string, value: unknown): void => {
  const listener = objectAt(found, field, value);
  if (direction === 'ingress') found.refuse(field, value, 'no listener in an ingress rule');
  onlyMembers(found, field, listener, ['envoyConfig', 'name', 'priority']);
  nameAt(found, `${field}.name`, member(listener, 'name'));
  const config = objectAt(found, `${field}.envoyConfig`, member(listener, 'envoyConfig'));
  onlyMembers(found, `${field}.envoyConfig`, config, ['kind', 'name']);
  nameAt(found, `${field}.envoyConfig.name`, member(config, 'name'));
  const kind = member(config, 'kind') ?? undefined;
  if (kind !== undefined && !LISTENER_KINDS.includes(kind)) found.refuse(`${field}.envoyConfig.kind`, kind, `one of ${LISTENER_KINDS.join(', ')}`);
  if (isClusterwide && kind === 'CiliumEnvoyConfig') found.refuse(`${field}.envoyConfig.kind`, kind, 'CiliumClusterwideEnvoyConfig in a clusterwide policy');
  const priority = member(listener, 'priority') ?? 1;
  if (typeof priority !== 'number' || !Number.isInteger(priority) || priority < 1 || priority > LOWEST_LISTENER_PRIORITY) found.refuse(`${field}.priority`, priority, `a number from 1 to ${LOWEST_LISTENER_PRIORITY}`);
};

const LONGEST_SERVER_NAME = 255;

const readServerNames = (found: Faults, field: string, names: readonly unknown[]): void => {
  if (names.length === 0) found.refuse(field, names, 'at least one name');
  names.forEach((name, index) => {
    const fits = typeof name === 'string' && name.length <= LONGEST_SERVER_NAME && /^[-A-Za-z0-9_.*]+$/.test(name) && !name.startsWith('.') && !name.includes('..');
    if (!fits) found.refuse(`${field}[${index}]`, name, `the name of a server: at most ${LONGEST_SERVER_NAME} of [A-Za-z0-9-_.*], no label empty`);
    if (names.indexOf(name) < index) found.refuse(`${field}[${index}]`, name, 'no name twice');
  });
};

const CONDITIONS = {
  'rules.http': 'HTTP is not read here', 'rules.dns': 'DNS is not read here', serverNames: 'TLS is not read here', terminatingTLS: 'TLS is not terminated here',
  originatingTLS: 'TLS is not originated here', listener: 'there is no proxy here',
} as const;
type Condition = keyof typeof CONDITIONS;

const withheldText = (field: string, why: string): string => `${field}: ${why}: what it would allow is denied unless another rule allows it`;

/** What an item asks above its ports, each checked. */
const readConditions = (context: PortContext, field: string, item: PlainObject, ports: readonly ReadPort[]): readonly Condition[] => {
  const { found, direction, isHostPolicy } = context;
  const given = (name: string): boolean => (member(item, name) ?? undefined) !== undefined;
  const rules = readRules(found, `${field}.rules`, member(item, 'rules'));
  const serverNames = listAt(found, `${field}.serverNames`, member(item, 'serverNames'));
  if (serverNames !== undefined) readServerNames(found, `${field}.serverNames`, serverNames);
  const tls = (['terminatingTLS', 'originatingTLS'] as const).filter(given);
  for (const name of tls) readTls(found, `${field}.${name}`, member(item, name));
  if (given('listener')) readListener(context, `${field}.listener`, member(item, 'listener'));
  if (rules !== undefined) {
    const at = `${field}.rules.${rules}`;
    if (given('listener')) found.refuse(`${field}.listener`, member(item, 'listener'), `no listener beside rules.${rules}`);
    if (serverNames !== undefined && !tls.includes('terminatingTLS')) found.refuse(`${field}.serverNames`, serverNames, `no serverNames beside rules.${rules} without terminatingTLS`);
    if (rules === 'dns' && direction === 'ingress') found.refuse(at, member(item, 'rules'), 'no DNS rules in an ingress rule');
    if (rules === 'dns' && ports.length === 0) found.refuse(`${field}.ports`, member(item, 'ports'), 'the port of the DNS server: DNS rules need one');
    if (isHostPolicy && (rules === 'http' || direction === 'ingress')) found.refuse(at, member(item, 'rules'), 'no such rules in a policy of nodes');
    for (const { protocol, port, isRange } of ports) {
      if (port === 0) found.refuse(`${field}.ports`, '0', `a port other than 0 beside rules.${rules}`);
      if (rules === 'http' && protocol !== 'TCP') found.refuse(`${field}.ports`, protocol, 'protocol TCP beside rules.http');
      if (rules === 'dns' && isRange) found.refuse(`${field}.ports`, port, 'no endPort beside rules.dns');
    }
  }
  return [...(rules === undefined ? [] : [`rules.${rules}` as const]), ...(serverNames === undefined ? [] : ['serverNames' as const]), ...tls, ...(given('listener') ? ['listener' as const] : [])];
};

const CONDITION_MEMBERS = ['rules', 'serverNames', 'terminatingTLS', 'originatingTLS', 'listener'];

const readPortRule = (context: PortContext, field: string, value: unknown): Omit<ReadPorts, 'stated'> => {
  const { found, action } = context;
  if (!isObject(value)) { found.refuse(field, value, 'an object with ports'); return { plain: [], conditional: [], withheld: [] }; }
  const item = value;
  if (action === 'deny') for (const name of CONDITION_MEMBERS) if (Object.hasOwn(item, name)) found.refuse(`${field}.${name}`, item[name], 'no such field in a deny rule: it denies ports, whatever is said over them');
  onlyMembers(found, field, item, ['ports', ...CONDITION_MEMBERS]);
  const ports = limited(found, `${field}.ports`, member(item, 'ports')).flatMap((port, index) => readPort(found, `${field}.ports[${index}]`, port) ?? []);
  const conditions = action === 'deny' ? [] : readConditions(context, field, item, ports);
  const items = ports.flatMap((port) => port.items);
  return conditions.length === 0 ? { plain: items, conditional: [], withheld: [] } :
    { plain: [], conditional: items, withheld: conditions.map((condition) => withheldText(`${field}.${condition}`, CONDITIONS[condition])) };
};

/** Types of ICMP and ICMPv6 that have a name in policies. */
const ICMP_TYPES: Readonly<Record<'IPv4' | 'IPv6', Readonly<Record<string, number>>>> = {
  IPv4: {
    EchoReply: 0, DestinationUnreachable: 3, Redirect: 5, Echo: 8, EchoRequest: 8, RouterAdvertisement: 9, RouterSelection: 10, TimeExceeded: 11, ParameterProblem: 12,
    Timestamp: 13, TimestampReply: 14, Photuris: 40, ExtendedEchoRequest: 42, ExtendedEchoReply: 43,
  },
  IPv6: {
    DestinationUnreachable: 1, PacketTooBig: 2, TimeExceeded: 3, ParameterProblem: 4, EchoRequest: 128, EchoReply: 129, MulticastListenerQuery: 130, MulticastListenerReport: 131,
    MulticastListenerDone: 132, RouterSolicitation: 133, RouterAdvertisement: 134, NeighborSolicitation: 135, NeighborAdvertisement: 136, RedirectMessage: 137, RouterRenumbering: 138,
    ICMPNodeInformationQuery: 139, ICMPNodeInformationResponse: 140, InverseNeighborDiscoverySolicitation: 141, InverseNeighborDiscoveryAdvertisement: 142,
    HomeAgentAddressDiscoveryRequest: 144, HomeAgentAddressDiscoveryReply: 145, MobilePrefixSolicitation: 146, MobilePrefixAdvertisement: 147,
    DuplicateAddressRequestCodeSuffix: 157, DuplicateAddressConfirmationCodeSuffix: 158, ExtendedEchoRequest: 160, ExtendedEchoReply: 161,
  },
};

const icmpType = (family: 'IPv4' | 'IPv6', value: unknown): number | undefined => {
  const named = ICMP_TYPES[family];
  if (typeof value === 'string' && Object.hasOwn(named, value)) return named[value];
  const number = typeof value === 'string' && /^(0|[1-9][0-9]{0,2})$/.test(value) ? Number(value) : value;
  return typeof number === 'number' && Number.isInteger(number) && number >= 0 && number <= 255 ? number : undefined;
};

const readIcmpField = (found: Faults, field: string, value: unknown): readonly PortItem[] => {
  if (!isObject(value)) { found.refuse(field, value, 'an object with type'); return []; }
  onlyMembers(found, field, value, ['family', 'type']);
  const family = member(value, 'family') ?? 'IPv4';
  if (family !== 'IPv4' && family !== 'IPv6') { found.refuse(`${field}.family`, family, 'IPv4 or IPv6'); return []; }
  const type = icmpType(family, member(value, 'type'));
  if (type === undefined) { found.refuse(`${field}.type`, member(value, 'type'), `a number from 0 to 255, or one of ${Object.keys(ICMP_TYPES[family]).join(', ')}`); return []; }
  return [{ type: 'range', protocol: family === 'IPv4' ? PROTOCOL.ICMP : PROTOCOL.ICMPV6, from: type << 8, to: (type << 8) | 0xff }];
};

const readIcmp = (found: Faults, field: string, value: unknown): readonly PortItem[] => {
  if (!isObject(value)) { found.refuse(field, value, 'an object with fields'); return []; }
  onlyMembers(found, field, value, ['fields']);
  return limited(found, `${field}.fields`, member(value, 'fields')).flatMap((item, index) => readIcmpField(found, `${field}.fields[${index}]`, item));
};

export const readPorts = (context: PortContext, field: string, rule: PlainObject): ReadPorts => {
  const { found } = context;
  const toPorts = listAt(found, `${field}.toPorts`, member(rule, 'toPorts')) ?? [];
  const icmps = listAt(found, `${field}.icmps`, member(rule, 'icmps')) ?? [];
  if (toPorts.length > 0 && icmps.length > 0) found.refuse(`${field}.icmps`, `${icmps.length} items`, 'no icmps beside toPorts: write one rule for each');
  const read = toPorts.map((item, index) => readPortRule(context, `${field}.toPorts[${index}]`, item));
  return {
    stated: toPorts.length + icmps.length > 0,
    plain: [...read.flatMap(({ plain }) => plain), ...icmps.flatMap((item, index) => readIcmp(found, `${field}.icmps[${index}]`, item))],
    conditional: read.flatMap(({ conditional }) => conditional),
    withheld: read.flatMap(({ withheld }) => withheld),
  };
};

const AUTHENTICATION_MODES: readonly unknown[] = ['disabled', 'required', 'test-always-fail'];

/** What stands in the way of a rule that asks for authentication; undefined: nothing. */
export const readAuthentication = (found: Faults, field: string, value: unknown): string | undefined => {
  if (value === undefined || value === null) return undefined;
  const authentication = objectAt(found, field, value);
  onlyMembers(found, field, authentication, ['mode']);
  const mode = member(authentication, 'mode');
  if (!AUTHENTICATION_MODES.includes(mode)) { found.refuse(`${field}.mode`, mode, `one of ${AUTHENTICATION_MODES.join(', ')}`); return undefined; }
  return mode === 'disabled' ? undefined : withheldText(`${field}.mode`, 'peers are not authenticated here');
};
