/** A Service's frontends and backends → rows. Each Service's rows depend on that Service, its slices and the node alone. Pure. */
import { LB_MODES, LB_MODE_SETTING, type CompiledBackends, type CompiledHostPorts, type CompiledService, type LbMode } from '@seine/events';
import { echoOf, FrontendFlag, MAPS, Scope, SelfFlag } from '@seine/layout';
import { digestWords, familyOf, formatAddress, parsePrefix, PROTOCOL } from '@seine/model';

import { FAMILIES } from './cluster.ts';
import type { DesiredRow } from './desired.ts';
import type { PackedMapName } from './join/packed-rows.ts';
import { nodeAddress, type NodeState } from './fold.ts';
import { masqueradedFamilies } from './masquerade.rows.ts';
import { maglevTable } from './maglev.ts';

type Backend = CompiledBackends['backends'][number];
type Frontend = CompiledService['frontends'][number];

/** A row of the maps that Services fill. */
export type ServiceRow = Extract<DesiredRow, { readonly map: PackedMapName }>;

/** The node whose rows these are, and how its cluster answers who comes from outside. */
export interface Here { readonly node: string; readonly zone: string | undefined; readonly lbMode: LbMode }

/** bpf/layout/types.h: SLOT_MEMBER. */
const SLOT_MEMBER = 0x80000000;
const ZONE_LABEL = 'topology.kubernetes.io/zone';
/** In a source range's prefix the frontend's id stands before the address. */
const REVNAT_BITS = 32;
/** The programs' clock counts 2^30 ns. */
const NS_PER_SECOND = 1e9;
const NS_PER_TICK = 2 ** 30;
const ticks = (seconds: number): number => Math.ceil((seconds * NS_PER_SECOND) / NS_PER_TICK);

/** Who is active; while nobody is, who still serves while it ends. */
const serving = (offered: readonly Backend[]): readonly Backend[] => {
  const active = offered.filter(({ state }) => state === 'active');
  return active.length > 0 ? active : offered.filter(({ state }) => state === 'terminating');
};

/** Whom the topology controller meant for this node: hints count only where every backend has one, and where somebody is meant. */
const hinted = (all: readonly Backend[], { node, zone }: Here): readonly Backend[] => {
  const meant = (hintsOf: (backend: Backend) => readonly string[] | undefined, own: string | undefined): readonly Backend[] =>
    (own === undefined || all.some((backend) => hintsOf(backend) === undefined) ? [] : all.filter((backend) => hintsOf(backend)!.includes(own)));
  const [forNode, forZone] = [meant(({ forNodes }) => forNodes, node), meant(({ forZones }) => forZones, zone)];
  return forNode.length > 0 ? forNode : forZone.length > 0 ? forZone : all;
};

/** Of those a frontend's connections go to, drawn on this node. */
export const backendsToDraw = (offered: readonly Backend[], local: boolean, here: Here): readonly Backend[] =>
  (local ? serving(offered.filter(({ node }) => node === here.node)) : hinted(serving(offered), here));

/** Backends that serve a frontend's port, whatever their state; one that moves between slices once, ready if one of them says so. */
export const offeredTo = (frontend: Frontend, slices: readonly CompiledBackends[]): readonly Backend[] => {
  const { portName, protocol } = frontend;
  const family = familyOf(frontend.address);
  const serves = (backend: Backend): boolean => backend.portName === portName && backend.protocol === protocol && familyOf(backend.address) === family;
  if (slices.length === 1) return slices[0]!.backends.filter(serves); // there nobody stands twice
  const offered = new Map<number, Backend>();
  for (const { backends } of slices) {
    for (const backend of backends) if (serves(backend) && (!offered.has(backend.id) || backend.state === 'active')) offered.set(backend.id, backend);
  }
  return [...offered.values()];
};

const hashedIds = (drawn: readonly Backend[]): readonly number[] => {
  const idOf = new Map(drawn.map(({ id, address, port }) => [`${address}/${port}`, id]));
  return maglevTable([...idOf.keys()]).map((name) => idOf.get(name)!);
};

/** Ids of the slots in their order: each draw takes one of them. */
export const slotIds = (drawn: readonly Backend[], maglev: boolean): readonly number[] => (maglev ? hashedIds(drawn) : drawn.map(({ id }) => id));

/** A set of slots is named by a digest of its content, the same on every node and after every restart: equal sets are one, and none is ever overwritten. */
const slotSet = (drawn: readonly Backend[], { maglev = false, affinityS }: CompiledService): { readonly slots: number; readonly slotsHigh: number; readonly count: number; readonly rows: readonly ServiceRow[] } => {
  if (drawn.length === 0) return { slots: 0, slotsHigh: 0, count: 0, rows: [] };
  const ids = slotIds(drawn, maglev);
  const { high: slotsHigh, low: slots } = digestWords(`${affinityS === undefined ? '' : 'members '}${ids.join(',')}`);
  const slot = (index: number, id: number): ServiceRow => ({ map: 'sn_slot_02', key: { slots, slotsHigh, index }, value: { value: id } });
  const members = affinityS === undefined ? [] : drawn.map(({ id }) => slot(SLOT_MEMBER + id, id));
  return { slots, slotsHigh, count: ids.length, rows: [...ids.map((id, index) => slot(index, id)), ...members] };
};

const rangeRows = ({ id }: Frontend, ranges: readonly string[]): readonly ServiceRow[] => ranges.flatMap((range): readonly ServiceRow[] => {
  const prefix = parsePrefix(range);
  return prefix === undefined ? [] : [{ map: 'sn_srange_01', key: { prefixLength: REVNAT_BITS + prefix.length, revnat: id, address: formatAddress(prefix.address) }, value: { value: 1 } }];
});

/** Whether pods elsewhere answer who comes from outside themselves. A ClusterIP is not meant for those; where only the node's own serve nobody is elsewhere. */
const isDirect = ({ kind, protocol }: Frontend, { forwarding, externalLocal = false }: CompiledService, { lbMode }: Here): boolean => {
  const mode = forwarding ?? lbMode;
  return kind !== undefined && !externalLocal && (mode === 'dsr' || (mode === 'hybrid' && protocol === 'TCP'));
};

/** Who here may answer for the frontend, also if it is not drawn: its connections go on. Other nodes draw by hints of their own, so slots do not say it. */
const directRows = ({ id, address, port, protocol }: Frontend, offered: readonly Backend[], flags: number, { node }: Here): readonly ServiceRow[] => offered.filter((backend) => backend.node === node).map((backend): ServiceRow => {
  const key = { frontend: address, backend: backend.address, frontendPort: port, backendPort: backend.port, protocol: PROTOCOL[protocol] };
  return { map: 'sn_direct_01', key, value: { revnat: id, echo: echoOf(MAPS.sn_direct_01.key, key), flags } };
});

/** @param slices of this Service, in the order of their names. @returns no key twice */
export const serviceRows = (service: CompiledService, slices: readonly CompiledBackends[], here: Here): readonly ServiceRow[] => {
  const rows: ServiceRow[] = [];
  /** Frontends of one Service share backends, and sets of them. */
  const placed = new Set<number>();
  const sets = new Set<number>();
  const { affinityS, maglev = false, externalLocal = false, internalLocal = false, sourceRanges } = service;
  for (const frontend of service.frontends) {
    const { id, address, port, kind } = frontend;
    const protocol = PROTOCOL[frontend.protocol];
    const offered = offeredTo(frontend, slices);
    const ranges = kind === 'loadBalancer' ? sourceRanges : undefined;
    /* Only who comes from outside keeps to the node's own backends: pods and processes would find none where others serve. */
    const split = kind !== undefined && externalLocal;
    const direct = isDirect(frontend, service, here);
    const flags = (split ? FrontendFlag.SPLIT : 0) | (ranges === undefined ? 0 : FrontendFlag.RANGES) | (maglev ? FrontendFlag.HASHED : 0) | (direct ? FrontendFlag.DIRECT : 0);
    const frontendRow = (scope: number, local: boolean): void => {
      const { slots, slotsHigh, count, rows: slotRows } = slotSet(backendsToDraw(offered, local, here), service);
      const name = slotsHigh * 2 ** 32 + slots;
      const key = { address, port, protocol, scope };
      rows.push({ map: 'sn_frontend_02', key, value: { slots, slotsHigh, echo: echoOf(MAPS.sn_frontend_02.key, key), count, revnat: id, affinity: affinityS === undefined ? 0 : ticks(affinityS), flags } });
      if (!sets.has(name)) for (const row of slotRows) rows.push(row);
      sets.add(name);
    };
    frontendRow(Scope.INSIDE, kind === undefined && internalLocal);
    if (split) frontendRow(Scope.OUTSIDE, true);
    if (ranges !== undefined) rows.push(...rangeRows(frontend, ranges));
    if (direct) rows.push(...directRows(frontend, offered, flags, here));
    /* Also those that are not drawn: their connections go on. */
    for (const backend of offered) {
      if (placed.has(backend.id)) continue;
      placed.add(backend.id);
      rows.push({ map: 'sn_backend_01', key: { value: backend.id }, value: { address: backend.address, port: backend.port, protocol } });
    }
  }
  return rows;
};

/** A pod's host ports are frontends of one backend each, on its own node alone. @returns no key twice */
export const hostPortRows = ({ node, ports }: CompiledHostPorts, pod: string, here: Here): readonly ServiceRow[] => {
  if (node !== here.node) return [];
  const named = ports.map((port) => ({ ...port, portName: `${port.address}/${port.port}` }));
  return serviceRows(
    { frontends: named.map(({ id, address, port, protocol, portName }) => ({ id, address, port, protocol, portName })), refusals: [] },
    [{ service: pod, backends: named.map(({ backend, protocol, portName }) => ({ ...backend, protocol, portName, state: 'active' as const, node, pod })) }],
    here,
  );
};

/** What this node is the source of where it translates one. An array has both rows always. @param serves some Service's backend is the node itself */
export const selfRows = (state: Readonly<NodeState>, node: string, serves: boolean): readonly DesiredRow[] => FAMILIES.map((family, value): DesiredRow => ({
  map: 'sn_self_01', key: { value }, value: { address: nodeAddress(state, node, family) ?? '::', flags: (serves ? SelfFlag.SERVES : 0) | (masqueradedFamilies(state).has(family) ? SelfFlag.MASQUERADES : 0) },
}));

const lbModeOf = (state: Readonly<NodeState>): LbMode => LB_MODES.find((mode) => mode === state.settings.get(LB_MODE_SETTING)) ?? 'snat';

export const hereOf = (state: Readonly<NodeState>, node: string): Here => ({ node, zone: state.nodes.get(node)?.labels[ZONE_LABEL], lbMode: lbModeOf(state) });
