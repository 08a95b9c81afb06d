/** `seine get frontends` and `get backends`: each with what its node's choice depends on. Pure. */
import type { CompiledBackends, CompiledService } from '@seine/events';
import { hereOf, type NodeState } from '@seine/datapath-writer';
import { compareCodeUnits, formatEnd } from '@seine/model';

import { absenceText, drawAt, drawOfPod, type Draw } from './draw.ts';

type Frontend = CompiledService['frontends'][number];

/** What one node draws from for one frontend. */
export interface DrawnOn { readonly node: string; readonly from: Draw['scope']; readonly drawn: number; readonly of: number; readonly set: Draw['set'] }

export interface FrontendItem {
  /** null: a pod's host port. */
  readonly service: string | null; readonly pod: string | null; readonly id: number; readonly address: string; readonly port: number; readonly protocol: string; readonly portName: string; readonly kind: string;
  /** Of the frontend's port, whatever their state. */
  readonly backends: number;
  readonly trafficPolicy: 'Cluster' | 'Local'; readonly algorithm: 'random' | 'maglev'; readonly affinityS: number | null; readonly sourceRanges: readonly string[]; readonly healthCheckNodePort: number | null;
  readonly drawnOn: readonly DrawnOn[];
}

/** The share of one frontend's draws on one node; `out`: why there are none. */
export interface Share { readonly frontend: string; readonly node: string; readonly from: Draw['scope']; readonly share: number; readonly out: string | null }

export type BackendItem = Omit<CompiledBackends['backends'][number], 'node' | 'pod' | 'forZones' | 'forNodes'> & {
  /** null: a pod's host port. */
  readonly service: string | null; readonly slice: string | null; readonly node: string | null; readonly pod: string | null; readonly zone: string | null; readonly forZones: readonly string[]; readonly forNodes: readonly string[];
  readonly shares: readonly Share[];
};

const nodesOf = (state: Readonly<NodeState>, node: string | undefined): readonly string[] => (node === undefined ? [...state.nodes.keys()].sort(compareCodeUnits) : [node]);

/** Both sides are told apart where they may differ. */
const scopesOf = (frontend: Frontend, { externalLocal = false }: CompiledService): readonly Draw['scope'][] => (frontend.kind !== undefined && externalLocal ? ['inside', 'outside'] : ['inside']);

const drawsOf = (state: Readonly<NodeState>, service: string, compiled: CompiledService, nodes: readonly string[]): readonly Draw[] =>
  compiled.frontends.flatMap((frontend) => nodes.flatMap((node) => scopesOf(frontend, compiled).map((scope) => drawAt(state, { service, frontend }, { node, scope, client: undefined }))));

const hostPortDraws = (state: Readonly<NodeState>): readonly Draw[] =>
  [...state.hostPorts].flatMap(([pod, { node, ports }]) => ports.map((asked) => drawOfPod(state, { pod, node, asked }, 'inside')));

const drawnOnOf = ({ node, scope, set, backends }: Draw): DrawnOn => ({ node, from: scope, drawn: backends.filter(({ absence }) => absence === undefined).length, of: backends.length, set });
const frontendText = ({ frontend: { address, port, protocol } }: Draw): string => `${formatEnd(address, port)}/${protocol}`;

/** @param node only this one's draws */
export const frontendItems = (state: Readonly<NodeState>, node?: string): readonly FrontendItem[] => {
  const nodes = nodesOf(state, node);
  const ofPods = hostPortDraws(state).map((draw): FrontendItem => ({
    service: null, pod: draw.service, ...draw.frontend, kind: 'hostPort', backends: draw.backends.length, trafficPolicy: 'Cluster', algorithm: 'random', affinityS: null, sourceRanges: [], healthCheckNodePort: null,
    drawnOn: nodes.includes(draw.node) ? [drawnOnOf(draw)] : [],
  }));
  const ofServices = [...state.services].flatMap(([service, compiled]) => {
    const draws = drawsOf(state, service, compiled, nodes);
    return compiled.frontends.map((frontend): FrontendItem => {
      const own = draws.filter((draw) => draw.frontend === frontend);
      const { affinityS = null, maglev = false, externalLocal = false, internalLocal = false, sourceRanges = [], healthCheckNodePort = null } = compiled;
      const isInside = frontend.kind === undefined;
      return {
        service, pod: null, ...frontend, kind: frontend.kind ?? 'clusterIP', backends: own[0]?.backends.length ?? 0,
        trafficPolicy: (isInside ? internalLocal : externalLocal) ? 'Local' : 'Cluster', algorithm: maglev ? 'maglev' : 'random', affinityS,
        sourceRanges: frontend.kind === 'loadBalancer' ? sourceRanges : [], healthCheckNodePort: isInside ? null : healthCheckNodePort,
        drawnOn: own.map(drawnOnOf),
      };
    });
  });
  return [...ofServices, ...ofPods];
};

/** @param node only this one's draws. One that stands in two slices while it moves is told twice. */
export const backendItems = (state: Readonly<NodeState>, node?: string): readonly BackendItem[] => {
  const nodes = nodesOf(state, node);
  const shares = new Map<string, Map<number, Share[]>>();
  for (const [service, compiled] of state.services) {
    const own = new Map<number, Share[]>();
    for (const draw of drawsOf(state, service, compiled, nodes)) {
      for (const { backend, share, absence } of draw.backends) {
        const told: Share = { frontend: frontendText(draw), node: draw.node, from: draw.scope, share, out: absence === undefined ? null : absenceText(absence, draw) };
        const known = own.get(backend.id);
        if (known === undefined) own.set(backend.id, [told]); else known.push(told);
      }
    }
    shares.set(service, own);
  }
  const ofPods = new Map<number, BackendItem>();
  for (const draw of hostPortDraws(state)) {
    for (const { backend, share } of draw.backends) {
      const own = [...ofPods.get(backend.id)?.shares ?? [], ...(nodes.includes(draw.node) ? [{ frontend: frontendText(draw), node: draw.node, from: draw.scope, share, out: null }] : [])];
      ofPods.set(backend.id, { service: null, slice: null, ...backend, node: draw.node, pod: draw.service, zone: draw.zone ?? null, forZones: [], forNodes: [], shares: own });
    }
  }
  const ofServices = [...state.slices].flatMap(([slice, { service, backends }]) => backends.map((backend): BackendItem => ({
    service, slice, ...backend, node: backend.node ?? null, pod: backend.pod ?? null, zone: backend.node === undefined ? null : hereOf(state, backend.node).zone ?? null,
    forZones: backend.forZones ?? [], forNodes: backend.forNodes ?? [], shares: shares.get(service)?.get(backend.id) ?? [],
  })));
  return [...ofServices, ...ofPods.values()];
};

/** `n1 2/3, n2 1/3 terminating; outside n1 0/3`. */
export const drawnText = (drawn: readonly DrawnOn[]): string => (['inside', 'outside'] as const).flatMap((from) => {
  const own = drawn.filter((each) => each.from === from);
  const text = own.map(({ node, drawn: count, of, set }) => `${node} ${count}/${of}${set === 'terminating' ? ' terminating' : ''}`).join(', ');
  return own.length === 0 ? [] : [from === 'outside' ? `outside ${text}` : text];
}).join('; ');

/** Of the Service's first frontend with this backend, from inside: `n1 50 %, n2 out: not ready`. */
export const shareText = (shares: readonly Share[]): string => shares.filter(({ frontend, from }) => frontend === shares[0]!.frontend && from === 'inside')
  .map(({ node, share, out }) => `${node} ${out === null ? `${Math.round(share * 1000) / 10} %` : `out: ${out}`}`).join(', ');
