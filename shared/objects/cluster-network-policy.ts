/**
 * policy.networking.k8s.io/v1alpha2 ClusterNetworkPolicy → a compiled policy of the tier Admin or Baseline, or every reason why not. Pure.
 *
 * What catches implementers: it isolates nobody; a rule without peers is an error, not "any"; `protocols` absent is any traffic, ICMP included;
 * `networks` means every address, pods included; `tcp: {}` is an error; a named port is of any protocol that has ports.
 *
 * A peer that this version of the API does not know reaches us as a peer of no known member. It fails closed, as the API asks: an Accept rule
 * with one matches no traffic at all; a Deny or a Pass rule with one denies all traffic of its direction.
 */
import type { CompiledRule, LabelsPeer, Peer, PodsPeer, PortItem } from '@seine/events';
import { formatPrefix, parsePrefix, PROTOCOL } from '@seine/model';

import { mappedHoles } from './block.ts';
import { readPeerLabels } from './cilium-labels.ts';
import { isDnsSubdomain, isPortName, readSelector } from './names.ts';
import type { ParsedPolicies, PolicySource } from './policy.ts';
import { faults, isObject, listAt, member, onlyMembers, type Faults, type PlainObject } from './refusal.ts';
import type { PolicyOptions } from './settings.ts';

const TIERS = { Admin: 'admin', Baseline: 'baseline' } as const;
const ACTIONS = { Accept: 'allow', Deny: 'deny', Pass: 'pass' } as const;
const PROTOCOLS = { tcp: PROTOCOL.TCP, udp: PROTOCOL.UDP, sctp: PROTOCOL.SCTP } as const;
const HIGHEST_PRIORITY = 1000;
const MOST_ITEMS = 25;
const LONGEST_RULE_NAME = 100;
const LONGEST_CIDR = 43;
const DOMAIN = /^(\*\.)?([A-Za-z0-9]([-A-Za-z0-9_]*[A-Za-z0-9])?\.)+[A-Za-z0-9]([-A-Za-z0-9_]*[A-Za-z0-9])?\.?$/;

/** One of the words of an enum, as the model says it. */
const wordAt = <Word extends string>(found: Faults, field: string, value: unknown, words: Readonly<Record<string, Word>>): Word | undefined => {
  if (typeof value === 'string' && Object.hasOwn(words, value)) return words[value];
  found.refuse(field, value, `one of ${Object.keys(words).join(', ')}`);
  return undefined;
};

const integerAt = (found: Faults, field: string, value: unknown, lowest: number, highest: number): number | undefined => {
  if (typeof value === 'number' && Number.isInteger(value) && value >= lowest && value <= highest) return value;
  found.refuse(field, value, `a number from ${lowest} to ${highest}`);
  return undefined;
};

/** A list of 1 to 25 items. */
const itemsAt = (found: Faults, field: string, value: unknown): readonly unknown[] => {
  const items = listAt(found, field, value);
  if (items === undefined) {
    if (value === undefined || value === null) found.refuse(field, value, 'a list of at least one item');
    return [];
  }
  if (items.length === 0) found.refuse(field, value, 'at least one item');
  if (items.length > MOST_ITEMS) found.refuse(field, `${items.length} items`, `at most ${MOST_ITEMS} items`);
  return items.slice(0, MOST_ITEMS);
};

/** The one member that an object of exactly one has. */
const onlyMember = (found: Faults, field: string, value: unknown, names: readonly string[]): { readonly name: string; readonly value: unknown } | undefined => {
  if (!isObject(value)) { found.refuse(field, value, `an object with one of ${names.join(', ')}`); return undefined; }
  onlyMembers(found, field, value, names);
  const given = names.filter((name) => (member(value, name) ?? undefined) !== undefined);
  if (given.length !== 1) { found.refuse(field, value, `exactly one of ${names.join(', ')}`); return undefined; }
  return { name: given[0]!, value: member(value, given[0]!) };
};

const readNamespacedPods = (found: Faults, field: string, value: unknown): PodsPeer => {
  const pods: PlainObject = isObject(value) ? value : {};
  if (!isObject(value)) found.refuse(field, value, 'an object with namespaceSelector and podSelector');
  onlyMembers(found, field, pods, ['namespaceSelector', 'podSelector']);
  const selector = member(pods, 'podSelector');
  if (isObject(value) && !isObject(selector)) found.refuse(`${field}.podSelector`, selector, 'a label selector; {} selects every pod');
  return {
    type: 'pods', namespaces: readSelector(found, `${field}.namespaceSelector`, member(pods, 'namespaceSelector')),
    pods: isObject(selector) ? readSelector(found, `${field}.podSelector`, selector) : [],
  };
};

const isReservedLabel = (expression: unknown): boolean => {
  const key = isObject(expression) ? member(expression, 'key') : undefined;
  return typeof key === 'string' && key.startsWith('reserved:') && member(expression as PlainObject, 'operator') === 'Exists'; // it has a key
};

/**
 * Cilium's word for nodes and others that are no pods: a podSelector of nothing but reserved labels that exist. No pod can carry such a label,
 * so nothing that Kubernetes means is lost. Said in any other way they are no label keys and refused.
 */
const readReservedPeer = (found: Faults, field: string, value: unknown): LabelsPeer | undefined => {
  const only = (object: unknown, name: string): unknown => (isObject(object) && Object.keys(object).every((each) => each === name || member(object, each) === null) ? member(object, name) : undefined);
  const selector = only(value, 'podSelector');
  const expressions = only(selector, 'matchExpressions');
  if (!Array.isArray(expressions) || expressions.length === 0 || !expressions.every(isReservedLabel)) return undefined;
  if (isObject(value)) onlyMembers(found, field, value, ['namespaceSelector', 'podSelector']);
  return { type: 'labels', labels: readPeerLabels(found, `${field}.podSelector`, selector, '', false) };
};

const readNamespaces = (found: Faults, field: string, value: unknown): PodsPeer => ({ type: 'pods', namespaces: readSelector(found, field, value), pods: [] });

const readSubject = (found: Faults, value: unknown): PodsPeer => {
  const one = onlyMember(found, 'spec.subject', value, ['namespaces', 'pods']);
  if (one === undefined) return { type: 'pods', namespaces: [], pods: [] };
  return one.name === 'pods' ? readNamespacedPods(found, 'spec.subject.pods', one.value) : readNamespaces(found, 'spec.subject.namespaces', one.value);
};

const refuseTwins = (found: Faults, field: string, items: readonly unknown[]): void => {
  items.forEach((item, index) => { if (items.indexOf(item) < index) found.refuse(`${field}[${index}]`, item, 'no item twice'); });
};

const readNetwork = (found: Faults, field: string, value: unknown): Peer | undefined => {
  const prefix = typeof value === 'string' && value.length <= LONGEST_CIDR && value.includes('/') ? parsePrefix(value) : undefined;
  if (prefix === undefined) { found.refuse(field, value, 'a CIDR such as 10.0.0.0/8 or fd00::/8'); return undefined; }
  return { type: 'cidr', cidr: formatPrefix(prefix), except: mappedHoles(prefix) };
};

const readName = (found: Faults, field: string, value: unknown): Peer | undefined => {
  if (typeof value === 'string' && DOMAIN.test(value)) return { type: 'name', name: value };
  found.refuse(field, value, 'a domain name such as kubernetes.io or *.kubernetes.io');
  return undefined;
};

/** Peers of one item of `from` or `to`, each with the member that it came from; `unknown` where no known member is set. */
type PeerItem = { readonly field: string; readonly peer: Peer };
type Peers = readonly PeerItem[] | 'unknown';

const PEERS = { ingress: ['namespaces', 'pods'], egress: ['namespaces', 'pods', 'nodes', 'networks', 'domainNames'] } as const;

const listed = (found: Faults, field: string, at: string, value: unknown, read: (found: Faults, field: string, value: unknown) => Peer | undefined): readonly PeerItem[] => {
  const items = itemsAt(found, field, value);
  refuseTwins(found, field, items);
  return items.flatMap((item, index) => {
    const peer = read(found, `${field}[${index}]`, item);
    return peer === undefined ? [] : [{ field: `${at}[${index}]`, peer }];
  });
};

const readPeers = (found: Faults, direction: 'ingress' | 'egress', field: string, at: string, value: unknown): Peers => {
  const known: readonly string[] = PEERS[direction];
  if (!isObject(value)) { found.refuse(field, value, `an object with one of ${known.join(', ')}`); return []; }
  const set = Object.keys(value).filter((name) => (member(value, name) ?? undefined) !== undefined);
  if (set.length > 1) { found.refuse(field, value, `exactly one of ${known.join(', ')}`); return []; }
  const name = set[0];
  if (name === undefined || !known.includes(name)) return 'unknown';
  const inner = `${field}.${name}`;
  const given = member(value, name);
  switch (name) {
    case 'namespaces': return [{ field: at, peer: readNamespaces(found, inner, given) }];
    case 'pods': return [{ field: at, peer: readReservedPeer(found, inner, given) ?? readNamespacedPods(found, inner, given) }];
    case 'nodes': return [{ field: at, peer: { type: 'nodes', labels: readSelector(found, inner, given) } }];
    case 'networks': return listed(found, inner, `${at}.networks`, given, readNetwork);
    default: return listed(found, inner, `${at}.domainNames`, given, readName);
  }
};

const readPort = (found: Faults, field: string, protocol: number, value: unknown): PortItem | undefined => {
  const one = onlyMember(found, field, value, ['number', 'range']);
  if (one === undefined) return undefined;
  if (one.name === 'number') {
    const port = integerAt(found, `${field}.number`, one.value, 1, 65535);
    return port === undefined ? undefined : { type: 'range', protocol, from: port, to: port };
  }
  const range: PlainObject = isObject(one.value) ? one.value : {};
  if (!isObject(one.value)) { found.refuse(`${field}.range`, one.value, 'an object with start and end'); return undefined; }
  onlyMembers(found, `${field}.range`, range, ['start', 'end']);
  const from = integerAt(found, `${field}.range.start`, member(range, 'start'), 1, 65535);
  const to = integerAt(found, `${field}.range.end`, member(range, 'end'), 1, 65535);
  if (from === undefined || to === undefined) return undefined;
  if (from >= to) { found.refuse(`${field}.range.end`, to, `a number above start (${from})`); return undefined; }
  return { type: 'range', protocol, from, to };
};

const readProtocol = (found: Faults, field: string, value: unknown): readonly PortItem[] => {
  const one = onlyMember(found, field, value, [...Object.keys(PROTOCOLS), 'destinationNamedPort']);
  if (one === undefined) return [];
  if (one.name === 'destinationNamedPort') {
    const { value: name } = one;
    if (typeof name === 'string' && isPortName(name)) return Object.values(PROTOCOLS).map((protocol) => ({ type: 'named', protocol, name }));
    found.refuse(`${field}.destinationNamedPort`, name, 'a port name: at most 15 of [a-z0-9-], with a letter');
    return [];
  }
  const inner = `${field}.${one.name}`;
  const protocol = PROTOCOLS[one.name as keyof typeof PROTOCOLS]; // the other member has returned
  if (!isObject(one.value)) { found.refuse(inner, one.value, 'an object with destinationPort'); return []; }
  onlyMembers(found, inner, one.value, ['destinationPort']);
  const port = member(one.value, 'destinationPort') ?? undefined;
  if (port === undefined) { found.refuse(inner, one.value, 'a destinationPort'); return []; }
  const item = readPort(found, `${inner}.destinationPort`, protocol, port);
  return item === undefined ? [] : [item];
};

const PORTLESS: ReadonlySet<Peer['type']> = new Set(['nodes', 'cidr', 'name']);

interface RuleRead { readonly rule: CompiledRule; readonly withheld: readonly string[] }

const readRule = (found: Faults, direction: 'ingress' | 'egress', value: unknown, index: number, lines: Readonly<Record<string, number>>): RuleRead => {
  const field = `spec.${direction}[${index}]`;
  const peersName = direction === 'ingress' ? 'from' : 'to';
  if (!isObject(value)) found.refuse(field, value, `an object with action and ${peersName}`);
  const raw: PlainObject = isObject(value) ? value : {};
  onlyMembers(found, field, raw, ['name', 'action', peersName, 'protocols']);
  const name = member(raw, 'name') ?? '';
  if (typeof name !== 'string' || name.length > LONGEST_RULE_NAME) found.refuse(`${field}.name`, name, `text of at most ${LONGEST_RULE_NAME} characters`);
  const action = wordAt(found, `${field}.action`, member(raw, 'action'), ACTIONS) ?? 'deny';
  const items = itemsAt(found, `${field}.${peersName}`, member(raw, peersName)).map((item, at) => ({ at, peers: readPeers(found, direction, `${field}.${peersName}[${at}]`, `${peersName}[${at}]`, item) }));
  const protocols = member(raw, 'protocols') ?? undefined;
  const ports = protocols === undefined ? 'any' as const : itemsAt(found, `${field}.protocols`, protocols).flatMap((item, at) => readProtocol(found, `${field}.protocols[${at}]`, item));
  const peers = items.flatMap((item) => (item.peers === 'unknown' ? [] : item.peers.map((each) => ({ ...each, at: item.at }))));
  const named = peers.filter(({ peer }) => peer.type === 'name');
  if (named.length > 0 && action !== 'allow') found.refuse(`${field}.to`, named.map(({ field: at }) => at), 'domainNames only in Accept rules');
  const portless = peers.find(({ peer }) => PORTLESS.has(peer.type));
  if (portless !== undefined && ports !== 'any' && ports.some((port) => port.type === 'named')) {
    found.refuse(`${field}.protocols`, protocols, `no destinationNamedPort beside ${portless.field}: only pods have named ports`);
  }
  const line = lines[`${direction}[${index}]`];
  const head = { direction, section: direction, index, ...(line === undefined ? {} : { line }) };
  const unknown = items.find((item) => item.peers === 'unknown');
  if (unknown !== undefined) {
    const place = `${field}.${peersName}[${unknown.at}]`;
    return action === 'allow' ?
      { rule: { ...head, action, peers: [], ports }, withheld: [`${place}: a peer of no known kind: this Accept rule matches no traffic`] } :
      { rule: { ...head, action: 'deny', peers: 'any', ports: 'any' }, withheld: [`${place}: a peer of no known kind: this ${action === 'pass' ? 'Pass' : 'Deny'} rule denies all traffic`] };
  }
  const whole = peers.every((each) => each.field === `${peersName}[${each.at}]`);
  return {
    rule: {
      ...head, action, peers: peers.map(({ peer }) => peer), ports,
      ...(whole && peers.length === items.length ? {} : { peerFields: peers.map((each) => each.field) }),
      ...(line === undefined ? {} : { peerLines: peers.map(({ at }) => lines[`${direction}[${index}].${peersName}[${at}]`] ?? line) }),
    },
    withheld: named.map(({ field: at }) => `${field}.${at}: nobody learns the addresses of domain names here: it matches no traffic`),
  };
};

const readRules = (found: Faults, direction: 'ingress' | 'egress', value: unknown, lines: Readonly<Record<string, number>>): readonly RuleRead[] => {
  const rules = listAt(found, `spec.${direction}`, value) ?? [];
  if (rules.length > MOST_ITEMS) found.refuse(`spec.${direction}`, `${rules.length} rules`, `at most ${MOST_ITEMS} rules`);
  return rules.slice(0, MOST_ITEMS).map((rule, index) => readRule(found, direction, rule, index, lines));
};

export const parseClusterNetworkPolicy = ({ kind, namespace, name, uid, spec: raw, specs, audit, lines = {} }: PolicySource, _options: PolicyOptions): ParsedPolicies => {
  const found = faults();
  if (!isDnsSubdomain(name)) found.refuse('metadata.name', name, 'a DNS subdomain of at most 253 of [a-z0-9-.]');
  if (specs !== undefined) found.refuse('specs', specs, 'no such field; a ClusterNetworkPolicy has one spec');
  if (!isObject(raw)) {
    found.refuse('spec', raw, 'an object with tier, priority and subject');
    return { ok: false, refusals: found.refusals };
  }
  onlyMembers(found, 'spec', raw, ['tier', 'priority', 'subject', 'ingress', 'egress']);
  const tier = wordAt(found, 'spec.tier', member(raw, 'tier'), TIERS) ?? 'admin';
  const priority = integerAt(found, 'spec.priority', member(raw, 'priority'), 0, HIGHEST_PRIORITY) ?? 0;
  const subject = readSubject(found, member(raw, 'subject'));
  const rules = [...readRules(found, 'ingress', member(raw, 'ingress'), lines), ...readRules(found, 'egress', member(raw, 'egress'), lines)];
  if (found.refusals.length > 0) return { ok: false, refusals: found.refusals };
  const withheld = rules.flatMap((rule) => rule.withheld);
  return {
    ok: true,
    policies: [{
      object: { kind, namespace, name }, uid, tier, priority, subject, isolates: { ingress: false, egress: false }, audit: audit ?? false,
      rules: rules.map(({ rule }) => rule), ...(withheld.length === 0 ? {} : { withheld }),
    }],
  };
};
