/** The node's state → every row that its maps should hold. Pure: the same state gives the same rows, here and in a replay. */
import { CIDR_IDENTITY_BASE, compareCodeUnits, digest, familyOf, formatAddress, formatPrefix, isV4, parseAddress, parsePrefix, RESERVED_IDENTITY, SeineError, type IpFamily } from '@seine/model';
import { AddressFlag, echoOf, MAPS } from '@seine/layout';
import type { LocalEndpoint } from '@seine/node';

import type { DesiredRow } from './desired.ts';
import { nodeAddress, policiesKnown, type NodeState } from './fold.ts';
import { clusterFamilies, insidePodRange, partiesOf, worldIdentity, type KnownAddress } from './parties.ts';
import { classRow, policyRows, selectingPolicies, shapeRows, subjectPolicy, type PolicyRows, type Subject, type SubjectPolicy, type Tables } from './policy/index.ts';
import { hereOf, servicesRows } from './service.rows.ts';

/** Every host side veth has this MAC (bpf/layout/types.h). */
export const HOST_MAC = '02:5e:1e:00:00:01';

/** A pod's MAC from its first address, IPv4's bytes or a digest of IPv6's: nothing to remember. */
export const podMac = ([first]: readonly string[]): string => {
  const bytes = first === undefined ? undefined : parseAddress(first);
  if (first === undefined || bytes === undefined) throw new SeineError('SEINE_ADDRESS_INVALID', `${first ?? 'no address'}: expected the address of a pod`);
  const hex = isV4(bytes) ? [...bytes.subarray(12)].map((byte) => byte.toString(16).padStart(2, '0')).join('') : digest(first).slice(-8);
  return `0a:58:${hex.replace(/(..)(?!$)/g, '$1:')}`;
};

/** `sn` and 12 hex digits: the same name in the log and in the kernel. */
export const hostInterfaceName = (pod: string, uid: string): string => `sn${digest(`${pod} ${uid}`).slice(0, 12)}`;

const endpointRow = (endpoint: LocalEndpoint, known: KnownAddress): DesiredRow => {
  const key = { address: known.address };
  return {
    map: 'sn_endpoint_01', key,
    value: {
      identity: known.identity, echo: echoOf(MAPS.sn_endpoint_01.key, key), ifindex: endpoint.ifindex, endpointId: endpoint.endpointId, variant: known.variant,
      podMac: podMac(endpoint.addresses), hostMac: HOST_MAC, flags: AddressFlag.IN_CLUSTER,
    },
  };
};

const ipcacheRow = (known: KnownAddress, self: string, state: Readonly<NodeState>): DesiredRow => {
  const key = { address: known.address };
  const tunnel = known.pod === undefined || known.node === self ? '::' : nodeAddress(state, known.node, familyOf(known.address)) ?? '::';
  const flags = AddressFlag.IN_CLUSTER | (known.pod === undefined ? AddressFlag.HOST : 0);
  return { map: 'sn_ipcache_01', key, value: { identity: known.identity, echo: echoOf(MAPS.sn_ipcache_01.key, key), tunnel, variant: known.variant, flags } };
};

const ALL_OF = { 4: '0.0.0.0/0', 6: '::/0' } as const satisfies Record<IpFamily, string>;

const prefixRow = (text: string, identity: number): readonly DesiredRow[] => {
  const prefix = parsePrefix(text);
  if (prefix === undefined) return [];
  return [{
    map: 'sn_ipprefix_01', key: { prefixLength: prefix.length, address: formatAddress(prefix.address) },
    value: { identity, echo: 0, tunnel: '::', variant: 0, flags: 0 },
  }];
};

/** With both families in use the world is two, and the longest prefix tells them apart; where policies mention all of a family, theirs stands. */
const worldRows = (state: Readonly<NodeState>, mentioned: ReadonlySet<string>): readonly DesiredRow[] => {
  const families = clusterFamilies(state);
  return families.length < 2 ? [] : families.filter((family) => !mentioned.has(ALL_OF[family])).flatMap((family) => prefixRow(ALL_OF[family], worldIdentity(families, family)));
};

export interface NodeRows {
  readonly rows: readonly DesiredRow[];
  readonly subjects: readonly SubjectPolicy[];
  readonly full: PolicyRows['full'];
}

/** @param local the node's own endpoints: its table while it runs, the log's endpoint facts in a replay */
export const nodeRows = (self: string, state: Readonly<NodeState>, local: readonly LocalEndpoint[], tables: Tables): NodeRows => {
  const own = local.flatMap(({ addresses, pod, uid }) => addresses.map((address) => ({ address, pod, uid })));
  const parties = partiesOf(state, self, own, tables);
  const known = new Map(parties.addresses.map((entry) => [entry.address, entry]));
  const subjects = new Map<string, Subject>();
  const endpoints = local.flatMap((endpoint) => endpoint.addresses.flatMap((address) => {
    const entry = known.get(address);
    if (entry === undefined || entry.pod !== endpoint.pod || state.podIdentities.get(endpoint.pod)?.uid !== endpoint.uid) return [];
    if (entry.view !== undefined) subjects.set(`${entry.identity}/${entry.variant}`, { identity: entry.identity, variant: entry.variant, bindings: entry.bindings, party: entry });
    return [endpointRow(endpoint, entry)];
  }));
  /* The node itself is a subject only while a policy selects it: no row, no judgement. */
  const host = parties.addresses.find(({ identity }) => identity === RESERVED_IDENTITY.host);
  if (host !== undefined && selectingPolicies(state.policies.values(), host).length > 0) subjects.set(`${host.identity}/0`, { identity: host.identity, variant: 0, bindings: host.bindings, party: host });
  const ordered = [...subjects].sort(([a], [b]) => compareCodeUnits(a, b)).map(([, subject]) => subject);
  const policies = policiesKnown(state) ? ordered.flatMap((subject) => (['ingress', 'egress'] as const).map((direction) => subjectPolicy(subject, direction, state.policies.values(), parties.kinds))) : [];
  const { rows, full } = policyRows(policies, tables);
  return {
    subjects: policies, full,
    rows: [
      ...shapeRows(), ...servicesRows(state, hereOf(state, self)), ...rows,
      ...parties.prefixes.map(({ prefix, cidrClass }) => classRow(prefix, cidrClass, formatAddress)),
      ...[...state.podCidrs.values()].flat().flatMap((cidr) => prefixRow(cidr, RESERVED_IDENTITY.unknown)),
      ...worldRows(state, new Set(parties.prefixes.map(({ prefix }) => formatPrefix(prefix)))),
      ...parties.prefixes.filter(({ prefix }) => !insidePodRange(state, prefix)).map(({ prefix, cidrClass }): DesiredRow => ({
        map: 'sn_ipprefix_01', key: { prefixLength: prefix.length, address: formatAddress(prefix.address) },
        value: { identity: CIDR_IDENTITY_BASE + cidrClass, echo: 0, tunnel: '::', variant: 0, flags: 0 },
      })),
      ...parties.addresses.map((entry) => ipcacheRow(entry, self, state)), ...endpoints,
    ],
  };
};

/** The log's own view of a node's endpoints: what a replay stands on. Interface indexes are the kernel's, so names stand in for them. */
export const endpointsOfLog = (self: string, state: Readonly<NodeState>, indexOf: (hostInterface: string) => number): readonly LocalEndpoint[] =>
  [...state.endpoints].filter(([, { node }]) => node === self).sort(([a], [b]) => compareCodeUnits(a, b)).map(([pod, data]) => ({
    pod, uid: data.uid, containerId: data.containerId, netns: '', podInterface: 'eth0', hostInterface: data.hostInterface, ifindex: indexOf(data.hostInterface),
    endpointId: data.endpointId, addresses: data.addresses,
  }));
