/**
 * Peers of a rule of Cilium's policies. A rule has peers of one kind; a stated empty list is nobody; no list at all is anybody, if the rule has ports. Pure.
 */
import type { CidrPeer, EntityPeer, GroupPeer, Peer } from '@seine/events';
import { formatPrefix, parsePrefix, type Prefix } from '@seine/model';

import { isWithin, mappedHoles } from './block.ts';
import { readPeerLabels, readPlainLabels } from './cilium-labels.ts';
import { isDnsLabel, isDnsSubdomain } from './names.ts';
import { isObject, listAt, member, objectAt, onlyMembers, type Faults, type PlainObject } from './refusal.ts';

export interface PeerContext {
  readonly found: Faults;
  /** '' in clusterwide policies */
  readonly namespace: string;
  readonly subjectIsInit: boolean;
  readonly cidrNot: NonNullable<CidrPeer['not']>;
}

export interface ReadPeers {
  /** `unstated`: the rule names no peers at all. */
  readonly peers: 'unstated' | 'any' | readonly { readonly field: string; readonly peer: Peer }[];
  readonly withheld: readonly string[];
}

/** Cilium's code knows world-ipv4 and world-ipv6 as well; its definition does not, and no API server stores them. */
const ENTITIES: readonly EntityPeer['entity'][] = [
  'all', 'world', 'cluster', 'cluster-mesh', 'host', 'init', 'ingress', 'unmanaged', 'remote-node', 'health', 'none', 'kube-apiserver',
];

const prefixAt = (found: Faults, field: string, value: unknown, bareToo: boolean): Prefix | undefined => {
  const prefix = typeof value === 'string' && (bareToo || value.includes('/')) ? parsePrefix(value) : undefined;
  if (prefix === undefined) found.refuse(field, value, `a CIDR such as 10.0.0.0/8 or fd00::/8${bareToo ? ', or an address' : ''}`);
  return prefix;
};

type Reader = (context: PeerContext, field: string, value: unknown) => Peer | undefined;

const readEndpoints: Reader = ({ found, namespace, subjectIsInit }, field, value) => ({ type: 'labels', labels: readPeerLabels(found, field, value, namespace, subjectIsInit) });

const readEntity: Reader = ({ found }, field, value) => {
  const entity = ENTITIES.find((known) => known === value);
  if (entity === undefined) { found.refuse(field, value, `one of ${ENTITIES.join(', ')}`); return undefined; }
  return { type: 'entity', entity };
};

const readCidr: Reader = ({ found, cidrNot }, field, value) => {
  const prefix = prefixAt(found, field, value, true);
  return prefix === undefined ? undefined : { type: 'cidr', cidr: formatPrefix(prefix), except: mappedHoles(prefix), not: cidrNot };
};

const CIDR_SET_KINDS = ['cidr', 'cidrGroupRef', 'cidrGroupSelector'] as const;

const groupRef = (found: Faults, field: string, item: PlainObject, except: readonly string[], not: CidrPeer['not']): GroupPeer['ref'] | undefined => {
  const more = { ...(except.length === 0 ? {} : { except }), ...(not === undefined ? {} : { not }) };
  const name = member(item, 'cidrGroupRef') ?? undefined;
  if (name === undefined) return { kind: 'CiliumCIDRGroup', labels: readPlainLabels(found, `${field}.cidrGroupSelector`, member(item, 'cidrGroupSelector'), ['cidrgroup']), ...more };
  if (typeof name === 'string' && isDnsSubdomain(name)) return { kind: 'CiliumCIDRGroup', name, ...more };
  found.refuse(`${field}.cidrGroupRef`, name, 'the name of a CiliumCIDRGroup: a DNS subdomain of at most 253 of [a-z0-9-.]');
  return undefined;
};

const readCidrRule: Reader = ({ found, cidrNot }, field, value) => {
  if (!isObject(value)) { found.refuse(field, value, `an object with one of ${CIDR_SET_KINDS.join(', ')}`); return undefined; }
  onlyMembers(found, field, value, [...CIDR_SET_KINDS, 'except']);
  const set = CIDR_SET_KINDS.filter((name) => (member(value, name) ?? undefined) !== undefined);
  const outer = set.includes('cidr') ? prefixAt(found, `${field}.cidr`, member(value, 'cidr'), false) : undefined;
  const except = (listAt(found, `${field}.except`, member(value, 'except')) ?? []).flatMap((text, index) => {
    const hole = prefixAt(found, `${field}.except[${index}]`, text, false);
    if (hole === undefined) return [];
    if (outer === undefined || isWithin(hole, outer)) return [formatPrefix(hole)];
    found.refuse(`${field}.except[${index}]`, text, `a CIDR inside ${formatPrefix(outer)}`);
    return [];
  });
  if (set.length !== 1) { found.refuse(field, value, `exactly one of ${CIDR_SET_KINDS.join(', ')}`); return undefined; }
  if (set[0] === 'cidr') return outer === undefined ? undefined : { type: 'cidr', cidr: formatPrefix(outer), except: [...except, ...mappedHoles(outer)], not: cidrNot };
  const ref = groupRef(found, field, value, except, cidrNot);
  return ref === undefined ? undefined : { type: 'group', ref, members: [] };
};

const readNodes: Reader = ({ found }, field, value) => ({ type: 'nodes', labels: readPlainLabels(found, field, value, ['k8s', 'any', 'node']) });

const namespaceAt = (found: Faults, field: string, value: unknown): { readonly namespace?: string } => {
  if (value === undefined || value === null || value === '') return {};
  if (typeof value === 'string' && isDnsLabel(value)) return { namespace: value };
  found.refuse(field, value, 'a namespace: a DNS label of at most 63 of [a-z0-9-]');
  return {};
};

/** A service without a namespace is one of any namespace. The addresses of one without a selector are meant as CIDRs are: whoever may write slices names no pods by it. */
const readService: Reader = ({ found, cidrNot }, field, value) => {
  const item = isObject(value) ? value : {};
  onlyMembers(found, field, item, ['k8sService', 'k8sServiceSelector']);
  const [byName, bySelector] = [member(item, 'k8sService') ?? undefined, member(item, 'k8sServiceSelector') ?? undefined];
  if ((byName === undefined) === (bySelector === undefined)) { found.refuse(field, value, 'exactly one of k8sService, k8sServiceSelector'); return undefined; }
  if (byName === undefined) {
    const inner = `${field}.k8sServiceSelector`;
    const service = objectAt(found, inner, bySelector);
    onlyMembers(found, inner, service, ['selector', 'namespace']);
    const labels = readPlainLabels(found, `${inner}.selector`, member(service, 'selector'), ['k8s', 'any']);
    return { type: 'group', ref: { kind: 'Service', ...namespaceAt(found, `${inner}.namespace`, member(service, 'namespace')), labels, not: cidrNot }, members: [] };
  }
  const inner = `${field}.k8sService`;
  const service = objectAt(found, inner, byName);
  onlyMembers(found, inner, service, ['serviceName', 'namespace']);
  const name = member(service, 'serviceName');
  const namespace = namespaceAt(found, `${inner}.namespace`, member(service, 'namespace'));
  if (typeof name === 'string' && isDnsLabel(name)) return { type: 'group', ref: { kind: 'Service', ...namespace, name, not: cidrNot }, members: [] };
  found.refuse(`${inner}.serviceName`, name, 'the name of a Service: a DNS label of at most 63 of [a-z0-9-]');
  return undefined;
};

const LONGEST_NAME = 255;
const NAME_CHARACTERS = /^[-A-Za-z0-9_.]+$/;
const PATTERN_CHARACTERS = /^[-A-Za-z0-9_.*]+$/;
const hasEmptyLabel = (name: string): boolean => name.startsWith('.') || name.includes('..');

/** A DNS name, or a pattern of names in which `*` stands for any characters of a label. */
export const readDnsName = (found: Faults, field: string, value: unknown): string | undefined => {
  if (!isObject(value)) { found.refuse(field, value, 'an object with matchName or matchPattern'); return undefined; }
  onlyMembers(found, field, value, ['matchName', 'matchPattern']);
  const [name, pattern] = [member(value, 'matchName') ?? undefined, member(value, 'matchPattern') ?? undefined];
  if ((name === undefined) === (pattern === undefined)) { found.refuse(field, value, 'exactly one of matchName, matchPattern'); return undefined; }
  const [at, text, characters] = name === undefined ? [`${field}.matchPattern`, pattern, PATTERN_CHARACTERS] : [`${field}.matchName`, name, NAME_CHARACTERS];
  if (typeof text === 'string' && text.length <= LONGEST_NAME && characters.test(text) && !hasEmptyLabel(text)) return text;
  found.refuse(at, text, `a DNS ${name === undefined ? 'pattern' : 'name'}: at most ${LONGEST_NAME} of [A-Za-z0-9-_.${name === undefined ? '*' : ''}], no label empty`);
  return undefined;
};

const readName: Reader = ({ found }, field, value) => {
  const name = readDnsName(found, field, value);
  return name === undefined ? undefined : { type: 'name', name };
};

const textsAt = (found: Faults, field: string, value: unknown): void => {
  (listAt(found, field, value) ?? []).forEach((text, index) => { if (typeof text !== 'string') found.refuse(`${field}[${index}]`, text, 'text'); });
};

/** Groups of a cloud: checked, and nobody, since nothing here asks a cloud for its addresses. */
const readCloudGroup: Reader = ({ found }, field, value) => {
  const item = objectAt(found, field, value);
  onlyMembers(found, field, item, ['aws']);
  const aws = objectAt(found, `${field}.aws`, member(item, 'aws'));
  onlyMembers(found, `${field}.aws`, aws, ['labels', 'region', 'securityGroupsIds', 'securityGroupsNames']);
  for (const [key, text] of Object.entries(objectAt(found, `${field}.aws.labels`, member(aws, 'labels')))) if (typeof text !== 'string') found.refuse(`${field}.aws.labels.${key}`, text, 'text');
  const region = member(aws, 'region') ?? '';
  if (typeof region !== 'string') found.refuse(`${field}.aws.region`, region, 'text');
  textsAt(found, `${field}.aws.securityGroupsIds`, member(aws, 'securityGroupsIds'));
  textsAt(found, `${field}.aws.securityGroupsNames`, member(aws, 'securityGroupsNames'));
  return undefined;
};

interface Kind { readonly read: Reader; readonly withheld?: string; /** its empty list is nobody for Cilium; of the others only in rules that allow */ readonly emptyIsNobody: boolean }

const stated = (read: Reader): Kind => ({ read, emptyIsNobody: true });
const NAMES_WITHHELD = 'nobody learns the addresses of DNS names here: it matches no traffic';
const GROUPS_WITHHELD = 'nobody learns the addresses of cloud groups here: it matches no traffic';

const INGRESS_KINDS: Readonly<Record<string, Kind>> = {
  fromEndpoints: stated(readEndpoints), fromEntities: stated(readEntity), fromCIDR: stated(readCidr), fromCIDRSet: stated(readCidrRule), fromNodes: stated(readNodes),
  fromGroups: { read: readCloudGroup, withheld: GROUPS_WITHHELD, emptyIsNobody: false },
};
const EGRESS_KINDS: Readonly<Record<string, Kind>> = {
  toEndpoints: stated(readEndpoints), toEntities: stated(readEntity), toCIDR: stated(readCidr), toCIDRSet: stated(readCidrRule), toNodes: stated(readNodes),
  toServices: { read: readService, emptyIsNobody: false },
  toGroups: { read: readCloudGroup, withheld: GROUPS_WITHHELD, emptyIsNobody: false },
};
const NAMES_KIND: Kind = { read: readName, withheld: NAMES_WITHHELD, emptyIsNobody: false };

const KINDS = {
  ingress: { allow: INGRESS_KINDS, deny: INGRESS_KINDS },
  egress: { allow: { ...EGRESS_KINDS, toFQDNs: NAMES_KIND }, deny: EGRESS_KINDS },
} as const;

export type RuleAction = 'allow' | 'deny';

export const peerMembers = (direction: 'ingress' | 'egress', action: RuleAction): readonly string[] => [...Object.keys(KINDS[direction][action]), direction === 'ingress' ? 'fromRequires' : 'toRequires'];

export const readPeers = (context: PeerContext, direction: 'ingress' | 'egress', action: RuleAction, field: string, rule: PlainObject): ReadPeers => {
  const { found } = context;
  const requires = direction === 'ingress' ? 'fromRequires' : 'toRequires';
  const required = listAt(found, `${field}.${requires}`, member(rule, requires)) ?? [];
  if (required.length > 0) found.refuse(`${field}.${requires}`, `${required.length} items`, `at most 0 items: ${requires} is no longer supported; write its labels into each selector`);
  const lists = Object.entries(KINDS[direction][action]).flatMap(([name, kind]) => {
    const items = listAt(found, `${field}.${name}`, member(rule, name));
    return items === undefined ? [] : [{ name, kind, items }];
  });
  const filled = lists.filter(({ items }) => items.length > 0);
  if (filled.length > 1) found.refuse(field, filled.map(({ name }) => name), 'one kind of peers in a rule: write one rule for each');
  const read = filled.flatMap(({ name, kind, items }) => items.map((item, index) => ({ field: `${name}[${index}]`, peer: kind.read(context, `${field}.${name}[${index}]`, item) })));
  const withheld = filled.flatMap(({ name, kind }) => (kind.withheld === undefined ? [] : [`${field}.${name}: ${kind.withheld}`]));
  if (lists.some(({ kind, items }) => items.length === 0 && (kind.emptyIsNobody || action === 'allow'))) return { peers: [], withheld };
  if (filled.length === 0) return { peers: 'unstated', withheld };
  if (read.some(({ peer }) => peer?.type === 'entity' && peer.entity === 'all')) return { peers: 'any', withheld };
  return { peers: read.flatMap(({ field: at, peer }) => (peer === undefined ? [] : [{ field: at, peer }])), withheld };
};

