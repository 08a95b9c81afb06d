/**
 * networking.k8s.io/v1 NetworkPolicy → a compiled policy, or every reason why not. The watcher's folder admits by this function, the
 * policy-compiler compiles by it, `check` refuses by it. Pure.
 *
 * What catches implementers: an absent `from` (or an empty one) is any peer; an absent `ports` (or an empty one) is any port; `ingress: []`
 * isolates, `ingress: [{}]` opens; policyTypes absent means Ingress, and Egress only when `egress` has rules; a protocol alone is all its ports.
 */
import type { CompiledPolicy, CompiledRule, Peer, PortItem, Refusal } from '@seine/events';
import { formatPrefix, parsePrefix, PROTOCOL } from '@seine/model';

import { isWithin, mappedHoles } from './block.ts';
import { isDnsSubdomain, isPortName, readSelector } from './names.ts';
import { faults, isObject, listAt, member, objectAt, onlyMembers, type Faults, type PlainObject } from './refusal.ts';

export interface NetworkPolicyObject { readonly namespace: string; readonly name: string; readonly uid: string; readonly spec: unknown; readonly lines?: Readonly<Record<string, number>> | undefined }

export type Parsed = { readonly ok: true; readonly policy: CompiledPolicy } | { readonly ok: false; readonly refusals: readonly Refusal[] };

const PROTOCOLS = ['TCP', 'UDP', 'SCTP'] as const;

const readPort = (found: Faults, field: string, value: unknown): PortItem | undefined => {
  if (!isObject(value)) { found.refuse(field, value, 'an object with port and protocol'); return undefined; }
  const item = value;
  onlyMembers(found, field, item, ['protocol', 'port', 'endPort']);
  const protocolText = member(item, 'protocol') ?? 'TCP';
  const name = PROTOCOLS.find((candidate) => candidate === protocolText);
  if (name === undefined) { found.refuse(`${field}.protocol`, protocolText, `one of ${PROTOCOLS.join(', ')}`); return undefined; }
  const protocol = PROTOCOL[name];
  const port = member(item, 'port') ?? undefined;
  const endPort = member(item, 'endPort') ?? undefined;
  if (port === undefined) {
    if (endPort !== undefined) found.refuse(`${field}.endPort`, endPort, 'no endPort without a port');
    return { type: 'range', protocol, from: 0, to: 65535 };
  }
  if (typeof port === 'string') {
    if (!isPortName(port)) { found.refuse(`${field}.port`, port, 'a number from 1 to 65535 or a port name: at most 15 of [a-z0-9-], with a letter'); return undefined; }
    if (endPort !== undefined) { found.refuse(`${field}.endPort`, endPort, 'no endPort beside a named port'); return undefined; }
    return { type: 'named', protocol, name: port };
  }
  if (typeof port !== 'number' || !Number.isInteger(port) || port < 1 || port > 65535) { found.refuse(`${field}.port`, port, 'a number from 1 to 65535 or a port name'); return undefined; }
  if (endPort === undefined) return { type: 'range', protocol, from: port, to: port };
  if (typeof endPort !== 'number' || !Number.isInteger(endPort) || endPort < port || endPort > 65535) {
    found.refuse(`${field}.endPort`, endPort, `a number from port (${port}) to 65535`);
    return undefined;
  }
  return { type: 'range', protocol, from: port, to: endPort };
};

const readIpBlock = (found: Faults, field: string, value: unknown): Peer | undefined => {
  const block = objectAt(found, field, value);
  onlyMembers(found, field, block, ['cidr', 'except']);
  const readCidr = (at: string, text: unknown) => {
    const prefix = typeof text === 'string' && text.includes('/') ? parsePrefix(text) : undefined;
    if (prefix === undefined) found.refuse(at, text, 'a CIDR such as 10.0.0.0/8 or fd00::/8');
    return prefix;
  };
  const outer = readCidr(`${field}.cidr`, member(block, 'cidr'));
  const except = (listAt(found, `${field}.except`, member(block, 'except')) ?? []).flatMap((text, index) => {
    const hole = readCidr(`${field}.except[${index}]`, text);
    if (hole === undefined || outer === undefined) return [];
    if (!isWithin(hole, outer) || hole.length === outer.length) { found.refuse(`${field}.except[${index}]`, text, `a CIDR strictly inside ${formatPrefix(outer)}`); return []; }
    return [formatPrefix(hole)];
  });
  if (outer === undefined) return undefined;
  return { type: 'cidr', cidr: formatPrefix(outer), except: [...except, ...mappedHoles(outer)] };
};

const readPeer = (found: Faults, field: string, namespace: string, value: unknown): Peer | undefined => {
  if (!isObject(value)) { found.refuse(field, value, 'an object with podSelector, namespaceSelector or ipBlock'); return undefined; }
  onlyMembers(found, field, value, ['podSelector', 'namespaceSelector', 'ipBlock']);
  const [pods, namespaces, block] = ['podSelector', 'namespaceSelector', 'ipBlock'].map((name) => member(value, name) ?? undefined);
  if (block !== undefined) {
    if (pods !== undefined || namespaces !== undefined) { found.refuse(field, value, 'ipBlock alone, without podSelector or namespaceSelector'); return undefined; }
    return readIpBlock(found, `${field}.ipBlock`, block);
  }
  if (pods === undefined && namespaces === undefined) { found.refuse(field, value, 'at least one of podSelector, namespaceSelector, ipBlock'); return undefined; }
  const podSelector = readSelector(found, `${field}.podSelector`, pods);
  return namespaces === undefined ? { type: 'pods', namespace, pods: podSelector } :
    { type: 'pods', namespaces: readSelector(found, `${field}.namespaceSelector`, namespaces), pods: podSelector };
};

interface RuleContext { readonly found: Faults; readonly namespace: string; readonly lines: Readonly<Record<string, number>> }

const readRule = ({ found, namespace, lines }: RuleContext, direction: 'ingress' | 'egress', value: unknown, index: number): CompiledRule => {
  const field = `spec.${direction}[${index}]`;
  const peersName = direction === 'ingress' ? 'from' : 'to';
  if (!isObject(value)) found.refuse(field, value, 'an object');
  const rule: PlainObject = isObject(value) ? value : {};
  onlyMembers(found, field, rule, ['ports', peersName]);
  const ports = listAt(found, `${field}.ports`, member(rule, 'ports'));
  const peers = listAt(found, `${field}.${peersName}`, member(rule, peersName));
  const lineOf = (path: string): number | undefined => lines[path];
  const line = lineOf(`${direction}[${index}]`);
  const peerLines = peers?.map((_, at) => lineOf(`${direction}[${index}].${peersName}[${at}]`) ?? line ?? 0);
  return {
    direction, section: direction, index, action: 'allow',
    peers: peers === undefined || peers.length === 0 ? 'any' : peers.flatMap((peer, at) => readPeer(found, `${field}.${peersName}[${at}]`, namespace, peer) ?? []),
    ports: ports === undefined || ports.length === 0 ? 'any' : ports.flatMap((port, at) => readPort(found, `${field}.ports[${at}]`, port) ?? []),
    ...(line === undefined ? {} : { line }),
    ...(line === undefined || peerLines === undefined || peerLines.length === 0 ? {} : { peerLines }),
  };
};

const TYPES = ['Ingress', 'Egress'] as const;

export const parseNetworkPolicy = ({ namespace, name, uid, spec: raw, lines = {} }: NetworkPolicyObject): Parsed => {
  const found = faults();
  if (!isDnsSubdomain(name)) found.refuse('metadata.name', name, 'a DNS subdomain of at most 253 of [a-z0-9-.]');
  /* Absent is empty to an API server: every pod, and nobody may come in. */
  const spec = objectAt(found, 'spec', raw);
  onlyMembers(found, 'spec', spec, ['podSelector', 'policyTypes', 'ingress', 'egress']);
  const context = { found, namespace, lines };
  const ingress = listAt(found, 'spec.ingress', member(spec, 'ingress'));
  const egress = listAt(found, 'spec.egress', member(spec, 'egress'));
  const types = listAt(found, 'spec.policyTypes', member(spec, 'policyTypes'));
  types?.forEach((type, index) => {
    if (!TYPES.some((known) => known === type)) found.refuse(`spec.policyTypes[${index}]`, type, `one of ${TYPES.join(', ')}`);
  });
  if (types !== undefined && types.length > 2) found.refuse('spec.policyTypes', types, 'at most two types');
  const isolates = types === undefined || types.length === 0 ? { ingress: true, egress: (egress?.length ?? 0) > 0 } :
    { ingress: types.includes('Ingress'), egress: types.includes('Egress') };
  const subject = { type: 'pods' as const, namespace, pods: readSelector(found, 'spec.podSelector', member(spec, 'podSelector')) };
  /* Rules of a direction that the policy does not have are validated, and mean nothing. */
  const rules = [
    ...(ingress ?? []).map((rule, index) => readRule(context, 'ingress', rule, index)),
    ...(egress ?? []).map((rule, index) => readRule(context, 'egress', rule, index)),
  ].filter((rule) => isolates[rule.direction]);
  if (found.refusals.length > 0) return { ok: false, refusals: found.refusals };
  return {
    ok: true,
    policy: { object: { kind: 'NetworkPolicy', namespace, name }, uid, tier: 'normal', priority: 0, subject, isolates, audit: false, rules },
  };
};
