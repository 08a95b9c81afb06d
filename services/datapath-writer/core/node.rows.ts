/** The node's state → every row that its maps should hold. Pure: the same state gives the same rows, here and in a replay. */
import { CIDR_IDENTITY_BASE, compareCodeUnits, digest, formatAddress, parsePrefix, RESERVED_IDENTITY } from '@seine/model';
import { AddressFlag, echoOf, MAPS } from '@seine/layout';
import type { LocalEndpoint } from '@seine/node';

import type { DesiredRow } from './desired.ts';
import { policiesKnown, type NodeState } from './fold.ts';
import { insidePodRange, partiesOf, type KnownAddress } from './parties.ts';
import { classRow, policyRows, selectingPolicies, shapeRows, subjectPolicy, type PolicyRows, type Subject, type SubjectPolicy, type Tables } from './policy/index.ts';
import { servicesRows } from './service.rows.ts';

/** Every host side veth has this MAC (bpf/layout/types.h). */
export const HOST_MAC = '02:5e:1e:00:00:01';

/** A pod's MAC from its address: nothing to remember. */
export const podMac = (address: string): string => `0a:58:${address.split('.').map((part) => Number(part).toString(16).padStart(2, '0')).join(':')}`;

/** `sn` and 12 hex digits: the same name in the log and in the kernel. */
export const hostInterfaceName = (pod: string, uid: string): string => `sn${digest(`${pod} ${uid}`).slice(0, 12)}`;

const endpointRow = (endpoint: LocalEndpoint, known: KnownAddress): DesiredRow => {
  const key = { address: known.address };
  return {
    map: 'sn_endpoint_01', key,
    value: {
      identity: known.identity, echo: echoOf(MAPS.sn_endpoint_01.key, key), ifindex: endpoint.ifindex, endpointId: endpoint.endpointId, variant: known.variant,
      podMac: podMac(known.address), hostMac: HOST_MAC, flags: AddressFlag.IN_CLUSTER,
    },
  };
};

const ipcacheRow = (known: KnownAddress, self: string, state: Readonly<NodeState>): DesiredRow => {
  const key = { address: known.address };
  const tunnel = known.pod === undefined || known.node === self ? '::' : state.nodes.get(known.node)?.addresses[0] ?? '::';
  const flags = AddressFlag.IN_CLUSTER | (known.pod === undefined ? AddressFlag.HOST : 0);
  return { map: 'sn_ipcache_01', key, value: { identity: known.identity, echo: echoOf(MAPS.sn_ipcache_01.key, key), tunnel, variant: known.variant, flags } };
};

const prefixRow = (text: string, identity: number): readonly DesiredRow[] => {
  const prefix = parsePrefix(text);
  if (prefix === undefined) return [];
  return [{
    map: 'sn_ipprefix_01', key: { prefixLength: prefix.length, address: formatAddress(prefix.address) },
    value: { identity, echo: 0, tunnel: '::', variant: 0, flags: 0 },
  }];
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
      ...shapeRows(), ...servicesRows(state, tables), ...rows,
      ...parties.prefixes.map(({ prefix, cidrClass }) => classRow(prefix, cidrClass, formatAddress)),
      ...[...state.podCidrs.values()].flat().flatMap((cidr) => prefixRow(cidr, RESERVED_IDENTITY.unknown)),
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
