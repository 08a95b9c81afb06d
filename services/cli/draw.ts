/** Which node translates a packet to a frontend, whom it draws from, and why it draws nobody else: the datapath's own choice, in words. Pure. */
import type { CompiledBackends, CompiledHostPorts, CompiledService } from '@seine/events';
import { backendsToDraw, hereOf, offeredTo, slotIds, type NodeState } from '@seine/datapath-writer';
import { compareCodeUnits, familyOf, parseAddress, parsePrefix, prefixContains } from '@seine/model';
import { ANY_ADDRESS, frontendKey } from '@seine/service-compiler';

type Backend = CompiledBackends['backends'][number];
type ServiceFrontend = CompiledService['frontends'][number];
/** A Service's, or what a pod answers at its node's address. */
type Frontend = Omit<ServiceFrontend, 'kind'> & { readonly kind?: ServiceFrontend['kind'] | 'hostPort' };

/** Who asks. */
export interface Client {
  readonly address: string;
  /** Where its sockets and packets are seen first; undefined: outside the cluster. */
  readonly node: string | undefined;
  /** A process of the node itself, or of a pod on the node's network: translated at the socket or not at all. */
  readonly isNode: boolean;
}
export interface AskedAddress { readonly address: string; readonly port: number; readonly protocol: string }

/** Why a backend is not drawn. */
export type Absence = 'notReady' | 'terminating' | 'otherNode' | 'hints';

export interface DrawnBackend {
  readonly backend: Backend;
  /** Of all draws, 0 to 1. */
  readonly share: number;
  readonly absence: Absence | undefined;
}

export interface Draw {
  /** `<namespace>/<name>` of the Service; of a host port that of the pod. */
  readonly service: string;
  readonly frontend: Frontend;
  /** The node that translates. */
  readonly node: string;
  readonly zone: string | undefined;
  /** `outside`: the packet came by that node's uplink. */
  readonly scope: 'inside' | 'outside';
  /** Only this node's own backends. */
  readonly local: boolean;
  /** Which of the backends serve: who ends does while nobody is active. */
  readonly set: 'active' | 'terminating' | 'nobody';
  readonly maglev: boolean;
  readonly affinityS: number | undefined;
  readonly sourceRanges: readonly string[] | undefined;
  /** Drop reason of whatever asks: nobody serves, or the client may not use this address. */
  readonly refusal: number | undefined;
  /** Those of the frontend's port, whatever their state; who can be drawn first. */
  readonly backends: readonly DrawnBackend[];
}

const NO_BACKEND = 158;
const NOT_IN_RANGE = 177;

interface Held { readonly service: string; readonly compiled: CompiledService; readonly frontend: ServiceFrontend }
export interface HeldByPod { readonly pod: string; readonly node: string; readonly asked: CompiledHostPorts['ports'][number] }
interface Frontends {
  readonly held: ReadonlyMap<string, Held>;
  readonly hostPorts: ReadonlyMap<string, HeldByPod>;
  /** Addresses that Services have to themselves → the Service. */
  readonly owners: ReadonlyMap<string, string>;
  readonly slices: ReadonlyMap<string, readonly CompiledBackends[]>;
  readonly nodes: ReadonlyMap<string, string>;
  /** Whom an outside router asks where nobody says: the first. */
  readonly entry: string | undefined;
}

const frontendsIn = (state: Readonly<NodeState>): Frontends => {
  const slices = new Map<string, CompiledBackends[]>();
  for (const [, slice] of [...state.slices].sort(([a], [b]) => compareCodeUnits(a, b))) {
    const own = slices.get(slice.service);
    if (own === undefined) slices.set(slice.service, [slice]); else own.push(slice);
  }
  const all = [...state.services].flatMap(([service, compiled]) => compiled.frontends.map((frontend): Held => ({ service, compiled, frontend })));
  return {
    held: new Map(all.map((each) => [frontendKey(each.frontend), each])), slices,
    hostPorts: new Map([...state.hostPorts].flatMap(([pod, { node, ports }]) => ports.map((asked) => [frontendKey(asked), { pod, node, asked }]))),
    owners: new Map(all.flatMap(({ service, frontend }) => (frontend.kind === 'nodePort' ? [] : [[frontend.address, service]]))),
    nodes: new Map([...state.nodes].flatMap(([name, { addresses }]) => addresses.map((address) => [address, name]))),
    entry: [...state.nodes.keys()].sort(compareCodeUnits)[0],
  };
};

const known = new WeakMap<object, Frontends>();
/** Made once for a state that does not change any more. */
const frontendsOf = (state: Readonly<NodeState>): Frontends => {
  const found = known.get(state) ?? frontendsIn(state);
  known.set(state, found);
  return found;
};

/** The Service whose own address this is: a ClusterIP, an external or a load balancer's one. */
export const serviceAt = (state: Readonly<NodeState>, address: string): string | undefined => frontendsOf(state).owners.get(address);

const absenceOf = ({ state, node }: Backend, { local, here, set }: { readonly local: boolean; readonly here: string; readonly set: Draw['set'] }): Absence => {
  if (local && node !== here) return 'otherNode';
  if (state === 'quarantined') return 'notReady';
  return state === 'terminating' && set !== 'terminating' ? 'terminating' : 'hints';
};

const inRanges = (ranges: readonly string[], address: string): boolean => {
  const bytes = parseAddress(address);
  return bytes !== undefined && ranges.some((range) => { const prefix = parsePrefix(range); return prefix !== undefined && prefixContains(prefix, bytes); });
};

/** What a node draws from for one frontend. */
export const drawAt = (state: Readonly<NodeState>, { service, frontend }: { readonly service: string; readonly frontend: ServiceFrontend }, asked: { readonly node: string; readonly scope: Draw['scope']; readonly client: string | undefined }): Draw => {
  const { node, scope, client } = asked;
  const { externalLocal = false, internalLocal = false, maglev = false, affinityS, sourceRanges } = state.services.get(service)!; // a frontend is some Service's
  const here = hereOf(state, node);
  const offered = offeredTo(frontend, frontendsOf(state).slices.get(service) ?? []);
  const local = frontend.kind === undefined ? internalLocal : externalLocal && scope === 'outside';
  const drawn = backendsToDraw(offered, local, here);
  const set = drawn[0] === undefined ? 'nobody' : drawn[0].state === 'active' ? 'active' : 'terminating';
  const slots = new Map<number, number>();
  const ids = drawn.length === 0 ? [] : slotIds(drawn, maglev);
  for (const id of ids) slots.set(id, (slots.get(id) ?? 0) + 1);
  const ranges = frontend.kind === 'loadBalancer' ? sourceRanges : undefined;
  const out = offered.filter((backend) => !drawn.includes(backend));
  return {
    service, frontend, node, zone: here.zone, scope, local, set, maglev, affinityS, sourceRanges: ranges,
    refusal: ranges !== undefined && client !== undefined && !inRanges(ranges, client) ? NOT_IN_RANGE : drawn.length === 0 ? NO_BACKEND : undefined,
    backends: [
      ...drawn.map((backend): DrawnBackend => ({ backend, share: (slots.get(backend.id) ?? 0) / ids.length, absence: undefined })),
      ...out.map((backend): DrawnBackend => ({ backend, share: 0, absence: absenceOf(backend, { local, here: node, set }) })),
    ],
  };
};

/** One pod, on its own node; everybody else's packets come to it there. */
export const drawOfPod = (state: Readonly<NodeState>, { pod, node, asked: { backend, ...asked } }: HeldByPod, scope: Draw['scope']): Draw => ({
  service: pod, frontend: { ...asked, portName: '', kind: 'hostPort' }, node, zone: hereOf(state, node).zone, scope,
  local: false, set: 'active', maglev: false, affinityS: undefined, sourceRanges: undefined, refusal: undefined,
  backends: [{ backend: { ...backend, protocol: asked.protocol, portName: '', state: 'active', node, pod }, share: 1, absence: undefined }],
});

/** @returns undefined: no node translates such a packet */
export const drawOf = (state: Readonly<NodeState>, client: Client, asked: AskedAddress): Draw | undefined => {
  const { held, hostPorts, nodes, entry } = frontendsOf(state);
  const ofPod = hostPorts.get(frontendKey(asked));
  if (ofPod !== undefined) return drawOfPod(state, ofPod, client.node === ofPod.node ? 'inside' : 'outside');
  const own = held.get(frontendKey(asked));
  if (own !== undefined) {
    const node = client.node ?? entry;
    /* Who may use the address is asked where packets have clients; a node's own are not looked at there. */
    const isPassedOver = client.isNode && own.frontend.kind === 'loadBalancer' && own.compiled.sourceRanges !== undefined;
    return node === undefined || isPassedOver ? undefined : drawAt(state, own, { node, scope: client.node === undefined ? 'outside' : 'inside', client: client.address });
  }
  const node = nodes.get(asked.address);
  const port = node === undefined ? undefined : held.get(frontendKey({ ...asked, address: ANY_ADDRESS[familyOf(asked.address)] }));
  return node === undefined || port === undefined ? undefined : drawAt(state, port, { node, scope: client.node === node ? 'inside' : 'outside', client: client.address });
};

export const absenceText = (absence: Absence, { node, zone }: Pick<Draw, 'node' | 'zone'>): string => {
  switch (absence) {
    case 'notReady': return 'not ready';
    case 'terminating': return 'terminating, while others are active';
    case 'otherNode': return `not on ${node}, and the traffic policy is Local`;
    case 'hints': return `its hints are for others than ${zone === undefined ? `node ${node}` : `zone ${zone}`}`;
  }
};
