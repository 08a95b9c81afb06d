/** Policies as strangers write them: valid ones of every kind, changed at a random place, once or a few times. Seeded: the same seed, the same policies. */
import type { PolicyObjectKind } from '@seine/events';

import { randomOf } from '../oracle/mutate.mjs';
import { policyAlone, type Random, type RawObject } from './generate.ts';

const PORT = { port: '443', protocol: 'TCP' };
const SECRET = { name: 'certs', namespace: 'shop' };
const cilium = (kind: 'CiliumNetworkPolicy' | 'CiliumClusterwideNetworkPolicy', body: object): RawObject =>
  ({ apiVersion: 'cilium.io/v2', kind, metadata: { name: 'p', ...(kind === 'CiliumNetworkPolicy' ? { namespace: 'shop' } : {}) }, ...body });

/** What the generator of verdicts has no use for. */
const WHOLE: readonly RawObject[] = [
  cilium('CiliumNetworkPolicy', {
    spec: {
      endpointSelector: { matchLabels: { 'k8s:app': 'web' } }, description: 'text', log: { value: 'text' }, labels: [{ key: 'k', value: 'v', source: 'k8s' }], enableDefaultDeny: { ingress: true, egress: false },
      ingress: [{ fromGroups: [{ aws: { labels: { a: 'b' }, region: 'eu', securityGroupsIds: ['sg-1'], securityGroupsNames: ['n'] } }], toPorts: [{ ports: [PORT], terminatingTLS: { secret: SECRET, certificate: 'c', privateKey: 'k' }, serverNames: ['a.example', '*.b.example'], rules: { http: [{ path: '/a', method: 'GET', host: 'h', headers: ['X: 1'], headerMatches: [{ name: 'X', value: '1', mismatch: 'LOG', secret: SECRET }] }] } }], authentication: { mode: 'required' } }],
      egress: [
        { toFQDNs: [{ matchName: 'a.example' }, { matchPattern: '**.example' }], toPorts: [{ ports: [{ port: '53', protocol: 'ANY' }], rules: { dns: [{ matchPattern: '*' }, { matchName: 'b.example' }] } }] },
        { toServices: [{ k8sService: { serviceName: 'db', namespace: 'shop' } }, { k8sServiceSelector: { selector: { matchLabels: { 'k8s:kind': 'inner' } }, namespace: 'pay' } }], toPorts: [{ ports: [PORT], originatingTLS: { secret: SECRET, trustedCA: 'ca' } }] },
        { toEndpoints: [{ matchLabels: { 'cidr:10.0.0.0/8': '' } }, { matchExpressions: [{ key: 'cidr:fd00--/8', operator: 'Exists' }] }], toPorts: [{ ports: [PORT], listener: { name: 'l', priority: 1, envoyConfig: { kind: 'CiliumEnvoyConfig', name: 'c' } } }] },
      ],
      egressDeny: [{ toRequires: [], toPorts: [{ ports: [{ protocol: 'VRRP' }, { port: '0', protocol: 'GRE' }, { protocol: 'ESP' }, { protocol: 'UDP' }] }] }],
    },
  }),
  cilium('CiliumClusterwideNetworkPolicy', { specs: [
    { nodeSelector: { matchLabels: { 'node:pool': 'gpu' } }, egress: [{ toCIDR: ['203.0.113.7', 'fd00::/8', '10.1.2.3/8'], toPorts: [{ ports: [{ port: '53', protocol: 'UDP' }], rules: { dns: [{ matchName: 'a' }] } }] }], ingress: [{ icmps: [{ fields: [{ family: 'IPv6', type: 'PacketTooBig' }, { type: '255' }] }] }] },
    { endpointSelector: { matchExpressions: [{ key: 'io.kubernetes.pod.namespace', operator: 'NotIn', values: ['kube-system'] }] }, ingressDeny: [{ fromCIDRSet: [{ cidr: '10.0.0.0/8', except: ['10.0.0.0/8', '10.1.0.0/16'] }, { cidrGroupSelector: { matchLabels: { 'cidrgroup:trust': 'low' } }, except: ['192.0.2.0/24'] }] }] },
  ] }),
  { apiVersion: 'policy.networking.k8s.io/v1alpha2', kind: 'ClusterNetworkPolicy', metadata: { name: 'p' }, spec: {
    tier: 'Admin', priority: 1000, subject: { pods: { podSelector: {} } },
    egress: [{ name: 'n', action: 'Accept', to: [{ domainNames: ['*.kubernetes.io', 'a.io'] }, { networks: ['10.0.0.0/8', 'fd00::/8'] }, { nodes: {} }], protocols: [{ tcp: { destinationPort: { number: 1 } } }, { udp: { destinationPort: { range: { start: 1, end: 65535 } } } }] }],
    ingress: [{ action: 'Pass', from: [{ namespaces: {} }], protocols: [{ destinationNamedPort: 'http' }] }],
  } },
  { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata: { name: 'p', namespace: 'shop' }, spec: {
    podSelector: { matchLabels: { 'app.kubernetes.io/name': 'web', empty: '' }, matchExpressions: [{ key: 'a', operator: 'DoesNotExist' }] }, policyTypes: ['Ingress', 'Egress'],
    ingress: [{ from: [{ ipBlock: { cidr: '::/0', except: ['fd00::/8', '2001:db8::/32'] } }, { ipBlock: { cidr: '10.1.2.3/8', except: ['10.255.0.0/16'] } }], ports: [{ port: 1, endPort: 65535 }, { port: 'http', protocol: 'SCTP' }, { protocol: 'UDP' }] }], egress: [{}],
  } },
];

type Place = readonly (string | number)[];
interface At { readonly path: Place; readonly value: unknown }

const placesOf = (value: unknown, path: Place = []): readonly At[] => (typeof value !== 'object' || value === null ? [{ path, value }] :
  [{ path, value }, ...Object.entries(value).flatMap(([name, inner]) => placesOf(inner, [...path, Array.isArray(value) ? Number(name) : name]))]);

const GONE = Symbol('gone');
/** The same value, changed at one place; GONE takes the member or item away. */
const changed = (value: unknown, [first, ...rest]: Place, change: (at: unknown) => unknown): unknown => {
  if (first === undefined) return change(value);
  if (Array.isArray(value)) {
    const inner = changed(value[first as number], rest, change);
    return inner === GONE ? value.toSpliced(first as number, 1) : value.with(first as number, inner); // the path leads here
  }
  const object = value as Readonly<Record<string, unknown>>; // the path leads here
  const inner = changed(object[first], rest, change);
  const members = Object.entries(object).filter(([name]) => name !== first || inner !== GONE).map(([name, each]) => [name, name === first ? inner : each] as const);
  return Object.fromEntries(members);
};

const DEEP = Array.from({ length: 200 }).reduce<unknown>((inner) => ({ matchExpressions: [inner] }), {});
const JUNK: readonly unknown[] = [
  null, true, false, 0, -1, 1, 80, 1.5, 65_535, 65_536, 1e21, '', ' ', '0', '80', '080', '65536', '0x10', '-1', 'http', 'HTTP', 'a--b', '1a', 'x'.repeat(64), 'x'.repeat(300), 'á', '\u0000', '__proto__', 'constructor', 'toString', '*', '**', '10.0.0.0/8', '10.0.0.0/33', '10.0.0.0', '010.0.0.0/8',
  '10.0.0.0/08', '1.2.3/8', '::/0', '::1', 'fd00::/129', '::ffff:10.0.0.0/104', 'fe80::1%eth0', 'tcp', 'TCP', 'ICMP', 'ANY', 'IPv4', 'world', 'World', 'world-ipv4', 'In', 'in', 'Exists', 'Accept', 'reserved:host', 'reserved:moon', 'k8s:', ':', 'k8s:a:b', 'cidr:x', 'fqdn:a', [], {}, [[]], [null], [{}], { a: 1 }, DEEP,
];

const textOf = (random: Random, value: string): string => random.pick([
  value.toUpperCase(), value.toLowerCase(), `${value}x`, `${value}.`, `-${value}`, ` ${value}`, value.slice(1), value.slice(0, -1), value.replace(/[0-9]/, '9'), value.replace(/[/]/, ''), value.replace(':', '.'), `k8s:${value}`, `any:${value}`, value.repeat(20),
]);
const numberOf = (random: Random, value: number): unknown => random.pick([value + 1, value - 1, -value, value * 1000, value + 0.5, String(value)]);

/** Members and values that stand somewhere in an object: put where they do not belong. */
interface Stock { readonly names: readonly string[]; readonly values: readonly unknown[] }
export const stockOf = (values: readonly unknown[]): Stock => {
  const places = values.flatMap((value) => placesOf(value));
  return { names: [...new Set(places.flatMap(({ path }) => path.filter((step) => typeof step === 'string')))], values: places.map(({ value }) => value) };
};

/** The same value, changed at one place of it. @param value has a place: it is no empty object */
export const mutated = (random: Random, value: unknown, stock: Stock): unknown => {
  const { path, value: at } = random.pick(placesOf(value).slice(1));
  const to = (next: unknown): unknown => changed(value, path, () => next);
  const kind = random.below(10);
  if (kind === 0) return to(GONE);
  if (kind === 1) return to(random.pick(JUNK));
  if (kind === 2) return to(random.pick(stock.values));
  if (Array.isArray(at)) {
    const item: unknown = at.length === 0 ? random.pick(stock.values) : random.pick(at);
    return to(random.pick<unknown>([[], [...at, item], [...at, random.pick(JUNK)], [...at, random.pick(stock.values)], Array.from({ length: random.pick([25, 26, 40, 41]) }, () => item), item, at.toReversed()]));
  }
  if (typeof at === 'object' && at !== null) {
    const name = random.pick(stock.names);
    return to(random.pick<unknown>([{ ...at, [name]: random.pick(stock.values) }, { ...at, [name]: random.pick(stock.values) }, { ...at, [name]: random.pick(JUNK) }, { ...at, [`${name}s`]: random.pick(stock.values) }, {}, [at], JSON.parse(`{"__proto__": ${JSON.stringify(at)}}`)]));
  }
  return to(typeof at === 'string' ? textOf(random, at) : typeof at === 'number' ? numberOf(random, at) : random.pick(JUNK));
};

export interface Strange { readonly kind: PolicyObjectKind; readonly namespace: string; readonly spec: unknown; readonly specs: unknown }

/** @param most changes of one policy; none for a part of them */
export function* strangers(seed: number, count: number, most: number): Generator<Strange> {
  const random = randomOf(seed);
  const valid = [...WHOLE, ...WHOLE, ...Array.from({ length: 60 }, (_, index) => policyAlone(seed, index))];
  const stock = stockOf(valid.map(({ spec, specs }) => [spec, specs]));
  for (let made = 0; made < count; made += 1) {
    const { kind, metadata, spec, specs } = random.pick(valid);
    let body: unknown = { ...(spec === undefined ? {} : { spec }), ...(specs === undefined ? {} : { specs }) };
    for (let changes = random.below(most + 1); changes > 0; changes -= 1) body = placesOf(body).length > 1 ? mutated(random, body, stock) : body;
    yield { kind: kind as PolicyObjectKind, namespace: metadata.namespace ?? '', spec: undefined, specs: undefined, ...(body as object) }; // policies of the four kinds; a change leaves an object
  }
}
