/** Services, EndpointSlices and pods' host ports → frontends and backends with ids that stay with their key. Pure. */
import {
  packBackends, unpackBackends, type CompiledBackends, type CompiledHostPorts, type CompiledService, type Decider, type EndpointSliceData, type ObjectRef, type PackedBackends, type Refusal, type SeineEvent, type ServiceData,
} from '@seine/events';
import { familyOf, isOrdinaryAddress, ORDINARY_ADDRESS } from '@seine/model';

import { frontendKey, frontendsAskedBy, healthCheckKeys, isOurs, keysHeldBy, refusal, type Asked } from './asked.ts';
import { emptyHolders, holderOf, holdersAfter, type Holders } from './holders.ts';
import { emptyHostPorts, HOST_PORT_FIELD, hostPortsAfter, hostPortsAsked, type HostPortsState } from './host-ports.ts';

const FRONTEND_MAX = 0x7fffffff;
/** Source ports of what the nodes translate (SNAT): no node port may stand there. */
export const SNAT_PORTS = { first: 61_000, last: 65_535 } as const;

export interface ServiceState {
  readonly services: Map<string, ServiceData>;
  /** frontend key (also of a health check) → the Services and pods (`pod <key>`) that ask for it, in the order in which they came. */
  readonly asking: Map<string, Set<string>>;
  /** address → the Services that ask for a frontend there. */
  readonly askingAddress: Map<string, Set<string>>;
  readonly holders: Holders;
  /** Addresses whose holders the last fact changed, as far as a Service asks for them. */
  touched: readonly string[];
  readonly hostPorts: HostPortsState;
  /** Pods with host ports that the last fact concerns. */
  touchedPods: readonly string[];
  /** Keys under which a pod stands in `asking`. */
  readonly keysAskedByPod: Map<string, readonly string[]>;
  readonly compiledServices: Map<string, CompiledService>;
  readonly compiledSlices: Map<string, PackedBackends>;
  /** `address/port/protocol` of a frontend or of a health check → its Service or pod: the first holds it. */
  readonly frontendOwner: Map<string, string>;
  readonly frontendIds: Map<string, number>;
  readonly idsTaken: Set<number>;
  nextFrontend: number;
  /** A backend may stand in two slices while it moves from one to the other: it keeps its id until the last of them leaves it. */
  readonly backends: Map<string, { readonly id: number; slices: number }>;
  nextBackend: number;
}

const backendKey = (service: string, address: string, port: number, protocol: string): string => `${service} ${address}/${port}/${protocol}`;

const join = (index: Map<string, Set<string>>, key: string, name: string): void => {
  const names = index.get(key);
  if (names === undefined) index.set(key, new Set([name]));
  else names.add(name);
};
const leave = (index: Map<string, Set<string>>, key: string, name: string): void => {
  const names = index.get(key);
  names?.delete(name);
  if (names?.size === 0) index.delete(key);
};

const ask = (draft: ServiceState, name: string, service: ServiceData | undefined): void => {
  const former = draft.services.get(name);
  const [left, wanted] = [frontendsAskedBy(former), frontendsAskedBy(service)];
  const keys = new Set([...wanted.map(({ key }) => key), ...healthCheckKeys(service?.healthCheckNodePort)]);
  for (const key of [...left.map((each) => each.key), ...healthCheckKeys(former?.healthCheckNodePort)]) if (!keys.has(key)) leave(draft.asking, key, name);
  for (const { frontend } of left) leave(draft.askingAddress, frontend.address, name);
  for (const key of keys) join(draft.asking, key, name);
  for (const { frontend } of wanted) join(draft.askingAddress, frontend.address, name);
  if (service === undefined) draft.services.delete(name);
  else draft.services.set(name, service);
};

/** Who asks for a frontend: a Service by its name, a pod by its own, which no Service can have. */
const POD = 'pod ';
const podOf = (name: string): string | undefined => (name.startsWith(POD) ? name.slice(POD.length) : undefined);
const ownerText = (name: string): string => (podOf(name) === undefined ? `Service ${name}` : name);

/** What it asks for now: its own frontends, and to hear of the node ports that would stand in its place. */
const askForPod = (draft: ServiceState, pod: string): void => {
  const name = POD + pod;
  const keys = [...new Set(hostPortsAsked(draft.hostPorts, pod).asked.flatMap(({ key, nodePortKey }) => [key, nodePortKey]))];
  for (const key of draft.keysAskedByPod.get(pod) ?? []) if (!keys.includes(key)) leave(draft.asking, key, name);
  for (const key of keys) join(draft.asking, key, name);
  if (keys.length === 0) draft.keysAskedByPod.delete(pod);
  else draft.keysAskedByPod.set(pod, keys);
};

const joinBackend = (draft: ServiceState, key: string, id: number): void => {
  draft.backends.set(key, { id, slices: (draft.backends.get(key)?.slices ?? 0) + 1 });
  draft.nextBackend = Math.max(draft.nextBackend, id + 1);
};
const leaveBackend = (draft: ServiceState, key: string): void => {
  const backend = draft.backends.get(key);
  if (backend !== undefined && (backend.slices -= 1) === 0) draft.backends.delete(key);
};
const leaveSlice = (draft: ServiceState, slice: PackedBackends | undefined): void => {
  if (slice === undefined) return;
  for (const { address, port, protocol } of unpackBackends(slice).backends) leaveBackend(draft, backendKey(slice.service, address, port, protocol));
};

const leaveFrontends = (draft: ServiceState, name: string, keys: readonly string[], ids: readonly { readonly id: number }[]): void => {
  for (const key of keys) {
    if (draft.frontendOwner.get(key) !== name) continue; // of a former build: a health check at another's node port
    draft.frontendOwner.delete(key);
    draft.frontendIds.delete(key);
  }
  for (const { id } of ids) draft.idsTaken.delete(id);
};
const joinFrontends = (draft: ServiceState, name: string, keys: readonly string[], frontends: readonly (Parameters<typeof frontendKey>[0] & { readonly id: number })[], former: readonly { readonly id: number }[]): void => {
  for (const key of keys) draft.frontendOwner.set(key, name);
  for (const frontend of frontends) {
    draft.frontendIds.set(frontendKey(frontend), frontend.id);
    draft.idsTaken.add(frontend.id);
    if (!former.some(({ id }) => id === frontend.id)) draft.nextFrontend = (frontend.id % FRONTEND_MAX) + 1;
  }
};

const evolve = (draft: ServiceState, event: SeineEvent): void => {
  const touched = holdersAfter(draft.holders, event);
  if (touched.length > 0 || draft.touched.length > 0) draft.touched = touched.filter((address) => draft.askingAddress.has(address));
  const pods = hostPortsAfter(draft.hostPorts, event);
  if (pods.length > 0 || draft.touchedPods.length > 0) draft.touchedPods = pods;
  for (const pod of pods) askForPod(draft, pod);
  switch (event.type) {
    case 'service.observed.v1': ask(draft, event.key, event.data); return;
    case 'service.vanished.v1': ask(draft, event.key, undefined); return;
    case 'service.compiled.v1':
    case 'service.removed.v1': {
      const former = draft.compiledServices.get(event.key);
      leaveFrontends(draft, event.key, keysHeldBy(former), former?.frontends ?? []);
      if (event.type === 'service.removed.v1') { draft.compiledServices.delete(event.key); return; }
      draft.compiledServices.set(event.key, event.data);
      joinFrontends(draft, event.key, keysHeldBy(event.data), event.data.frontends, former?.frontends ?? []);
      return;
    }
    case 'hostports.compiled.v1':
    case 'hostports.removed.v1': {
      const name = POD + event.key;
      const former = draft.hostPorts.compiled.get(event.key)?.ports ?? [];
      leaveFrontends(draft, name, former.map(frontendKey), former);
      for (const { backend, protocol } of former) leaveBackend(draft, backendKey(name, backend.address, backend.port, protocol));
      if (event.type === 'hostports.removed.v1') { draft.hostPorts.compiled.delete(event.key); return; }
      draft.hostPorts.compiled.set(event.key, event.data);
      joinFrontends(draft, name, event.data.ports.map(frontendKey), event.data.ports, former);
      for (const { backend, protocol } of event.data.ports) joinBackend(draft, backendKey(name, backend.address, backend.port, protocol), backend.id);
      return;
    }
    case 'backends.compiled.v2':
    case 'backends.removed.v1': {
      leaveSlice(draft, draft.compiledSlices.get(event.key));
      if (event.type === 'backends.removed.v1') { draft.compiledSlices.delete(event.key); return; }
      draft.compiledSlices.set(event.key, event.data);
      for (const { id, address, port, protocol } of unpackBackends(event.data).backends) joinBackend(draft, backendKey(event.data.service, address, port, protocol), id);
      return;
    }
    default: return;
  }
};

/** What one decision gives and takes beside the state, which does not move before all of it is decided. */
const openLedger = (state: Readonly<ServiceState>) => {
  const released = new Set<string>();
  const given = new Map<string, { readonly name: string; readonly id?: number }>();
  const idsGiven = new Set<number>();
  let next = state.nextFrontend;
  let nextBackend = state.nextBackend;
  const backends = new Map<string, number>();
  return {
    release: (key: string): void => { released.add(key); },
    ownerOf: (key: string): string | undefined => given.get(key)?.name ?? (released.has(key) ? undefined : state.frontendOwner.get(key)),
    /** For what has no id. */
    keep: (key: string, name: string): void => { given.set(key, { name }); },
    /** The id that the key has, or a new one; one that is released now is not given again at once. */
    take: (key: string, name: string): number | undefined => {
      const kept = state.frontendOwner.get(key) === name ? state.frontendIds.get(key) : given.get(key)?.id;
      if (kept !== undefined) return kept;
      for (let tries = 0; tries < FRONTEND_MAX; tries += 1) {
        const id = next;
        next = (next % FRONTEND_MAX) + 1;
        if (state.idsTaken.has(id) || idsGiven.has(id)) continue;
        idsGiven.add(id);
        given.set(key, { name, id });
        return id;
      }
      return undefined;
    },
    takeBackend: (key: string): number => {
      const id = state.backends.get(key)?.id ?? backends.get(key) ?? nextBackend++;
      backends.set(key, id);
      return id;
    },
  };
};

const portFault = (field: string, port: number): Refusal => refusal(field, String(port), `a port below ${SNAT_PORTS.first}: from there on nodes translate sources`);

const familyFault = ({ frontend: { address }, field }: Asked, { clusterIPs }: ServiceData): Refusal | undefined => {
  const family = familyOf(address);
  if (clusterIPs.some((own) => familyOf(own) === family)) return undefined;
  const [own] = clusterIPs;
  return refusal(field, address, own === undefined ? 'none: a headless Service has no frontends' : `an IPv${familyOf(own)} address: the Service has no IPv${family} one`);
};

/** Why this one is not served; undefined: it is. */
const faultOf = (asked: Asked, name: string, service: ServiceData, state: Readonly<ServiceState>): Refusal | undefined => {
  const { frontend: { address, port, protocol, kind }, targetPort, field } = asked;
  if (kind === 'loadBalancer' && !isOrdinaryAddress(address)) return refusal(field, address, ORDINARY_ADDRESS);
  const holder = holderOf(state.holders, address, name, kind);
  if (holder !== undefined) return refusal(field, address, `an address that ${holder} does not have: its traffic would be another's`);
  const stranger = familyFault(asked, service);
  if (stranger !== undefined) return stranger;
  if (kind === 'nodePort' && port >= SNAT_PORTS.first) return portFault(field, port);
  if (protocol === 'SCTP' && targetPort !== port) {
    return refusal(field.endsWith('.nodePort') ? field : `${field}.targetPort`, String(kind === 'nodePort' ? port : targetPort), kind === 'nodePort' ? `${targetPort}: SCTP is translated by address only` : `${port}: SCTP is translated by address only`);
  }
  return undefined;
};

const NO_PROXY = refusal('metadata.annotations.service.cilium.io/lb-l7', 'enabled', 'disabled: there is no proxy to balance requests; connections are balanced');

const HEALTH_FIELD = 'spec.healthCheckNodePort';
/** Why nobody is told at this port which nodes have backends; undefined: balancers are. @param own keys of the Service's frontends */
const healthFault = (port: number, name: string, own: ReadonlySet<string>, ownerOf: (key: string) => string | undefined): Refusal | undefined => {
  if (port >= SNAT_PORTS.first) return portFault(HEALTH_FIELD, port);
  const keys = healthCheckKeys(port);
  if (keys.some((key) => own.has(key))) return refusal(HEALTH_FIELD, String(port), 'a port that is none of its node ports');
  const owner = keys.map(ownerOf).find((holder) => holder !== undefined && holder !== name);
  return owner === undefined ? undefined : refusal(HEALTH_FIELD, String(port), `a port of the nodes that Service ${owner} does not have`);
};

const compileService = (name: string, service: ServiceData, state: Readonly<ServiceState>, ledger: ReturnType<typeof openLedger>): CompiledService => {
  const refusals: Refusal[] = service.byRequest === true ? [NO_PROXY] : [];
  const frontends: CompiledService['frontends'][number][] = [];
  const own = new Set<string>();
  for (const asked of frontendsAskedBy(service)) {
    const { key, frontend, field } = asked;
    if (own.has(key)) continue; // the same address named twice, as load balancers' are in spec and status
    const fault = faultOf(asked, name, service, state);
    if (fault !== undefined) { refusals.push(fault); continue; }
    const owner = ledger.ownerOf(key);
    if (owner !== undefined && owner !== name) { refusals.push(refusal(field, key, `a frontend that ${ownerText(owner)} does not have`)); continue; }
    const id = ledger.take(key, name);
    if (id === undefined) { refusals.push(refusal(field, key, `at most ${FRONTEND_MAX} frontends in a cluster`)); continue; }
    own.add(key);
    frontends.push({ id, ...frontend });
  }
  const { externalLocal, internalLocal, sourceRanges, affinityS, maglev, forwarding } = service;
  const healthCheckNodePort = isOurs(service) ? service.healthCheckNodePort : undefined;
  const unhealthy = healthCheckNodePort === undefined ? undefined : healthFault(healthCheckNodePort, name, own, ledger.ownerOf);
  if (unhealthy !== undefined) refusals.push(unhealthy);
  else for (const key of healthCheckKeys(healthCheckNodePort)) ledger.keep(key, name);
  return {
    frontends, refusals,
    ...(externalLocal === undefined ? {} : { externalLocal }), ...(internalLocal === undefined ? {} : { internalLocal }), ...(healthCheckNodePort === undefined || unhealthy !== undefined ? {} : { healthCheckNodePort }),
    ...(sourceRanges === undefined ? {} : { sourceRanges }), ...(affinityS === undefined ? {} : { affinityS }), ...(maglev === undefined ? {} : { maglev }), ...(forwarding === undefined ? {} : { forwarding }),
  };
};

/** A Service's node port stands at every address of every node: it goes before what one pod wants of its own. */
const compileHostPorts = (pod: string, state: Readonly<ServiceState>, ledger: ReturnType<typeof openLedger>): CompiledHostPorts | undefined => {
  const { asked, refusals: faults } = hostPortsAsked(state.hostPorts, pod);
  const name = POD + pod;
  const refusals = [...faults];
  const ports = asked.flatMap(({ key, nodePortKey, backend, ...frontend }): CompiledHostPorts['ports'] => {
    const refuse = (value: string, expected: string): [] => { refusals.push(refusal(HOST_PORT_FIELD, value, expected)); return []; };
    if (frontend.port >= SNAT_PORTS.first) { refusals.push(portFault(HOST_PORT_FIELD, frontend.port)); return []; }
    const owner = ledger.ownerOf(nodePortKey) ?? ledger.ownerOf(key);
    if (owner !== undefined && owner !== name) return refuse(key, `a port of the node that ${ownerText(owner)} does not have`);
    const id = ledger.take(key, name);
    if (id === undefined) return refuse(key, `at most ${FRONTEND_MAX} frontends in a cluster`);
    return [{ id, ...frontend, backend: { id: ledger.takeBackend(backendKey(name, backend.address, backend.port, frontend.protocol)), ...backend } }];
  });
  return ports.length === 0 && refusals.length === 0 ? undefined : { node: state.hostPorts.pods.get(pod)!.pod.nodeName, ports, refusals }; // it asks
};

type BackendState = CompiledBackends['backends'][number]['state'];
/** Ready decides alone: who ends is called ready only where its Service publishes addresses that are not (`publishNotReadyAddresses`). */
const stateOf = ({ ready, serving, terminating }: EndpointSliceData['endpoints'][number]): BackendState => (ready ? 'active' : serving && terminating ? 'terminating' : 'quarantined');

const compileSlice = (slice: EndpointSliceData, serviceKey: string, state: Readonly<ServiceState>): PackedBackends => {
  let next = state.nextBackend;
  const fresh = new Map<string, number>();
  const idOf = (key: string): number => {
    const id = state.backends.get(key)?.id ?? fresh.get(key) ?? next++;
    fresh.set(key, id);
    return id;
  };
  const listed = new Set<string>();
  const backends = slice.endpoints.flatMap((endpoint) => endpoint.addresses.flatMap((address) => slice.ports.flatMap(({ name, port, protocol }) => {
    const key = backendKey(serviceKey, address, port, protocol);
    const portKey = `${name} ${key}`;
    if (listed.has(portKey)) return [];
    listed.add(portKey);
    const { nodeName: node, pod, forZones, forNodes } = endpoint;
    return [{
      id: idOf(key), address, port, protocol, portName: name, state: stateOf(endpoint),
      ...(node === undefined ? {} : { node }), ...(pod === undefined ? {} : { pod }), ...(forZones === undefined ? {} : { forZones }), ...(forNodes === undefined ? {} : { forNodes }),
    }];
  })));
  return packBackends({ service: serviceKey, backends });
};

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

const objectOf = (key: string): ObjectRef => ({ kind: 'Service', namespace: key.slice(0, key.indexOf('/')), name: key.slice(key.indexOf('/') + 1) });

/** What one of those that ask has, and had. */
interface Decision { readonly event: SeineEvent | undefined; readonly had: readonly string[]; readonly has: readonly string[] }

type Head = Pick<SeineEvent, 'time' | 'traceparent'>;

const decideService = (name: string, head: Head, state: Readonly<ServiceState>, ledger: ReturnType<typeof openLedger>): Decision => {
  const service = state.services.get(name);
  const former = state.compiledServices.get(name);
  const data = service === undefined ? undefined : compileService(name, service, state, ledger);
  const event: SeineEvent | undefined = data !== undefined ? (same(former, data) ? undefined : { type: 'service.compiled.v1', key: name, ...head, data }) :
    former === undefined ? undefined : { type: 'service.removed.v1', key: name, ...head, data: { object: objectOf(name) } };
  return { event, had: keysHeldBy(former), has: keysHeldBy(data) };
};

const decideHostPorts = (key: string, head: Head, state: Readonly<ServiceState>, ledger: ReturnType<typeof openLedger>): Decision => {
  const former = state.hostPorts.compiled.get(key);
  const data = compileHostPorts(key, state, ledger);
  const event: SeineEvent | undefined = data !== undefined ? (same(former, data) ? undefined : { type: 'hostports.compiled.v1', key, ...head, data }) :
    former === undefined ? undefined : { type: 'hostports.removed.v1', key, ...head, data: { node: former.node } };
  return { event, had: (former?.ports ?? []).map(frontendKey), has: (data?.ports ?? []).map(frontendKey) };
};

/**
 * Services and pods as they are now, or gone; what they leave goes to those that ask for it, and what that moves goes on. Pods hear of what a
 * Service takes too: it goes before them.
 * @param names of those that the input touches, the first of them first
 */
const decideFrontends = (input: SeineEvent, names: readonly string[], state: Readonly<ServiceState>): readonly SeineEvent[] => {
  const head = { time: input.time, ...(input.traceparent === undefined ? {} : { traceparent: input.traceparent }) };
  const ledger = openLedger(state);
  const decided = new Map<string, SeineEvent>();
  const seen = new Set<string>();
  const queue = [...names];
  for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
    const pod = podOf(name);
    const { event, had, has } = pod === undefined ? decideService(name, head, state, ledger) : decideHostPorts(pod, head, state, ledger);
    decided.delete(name);
    if (event !== undefined) decided.set(name, event);
    if (seen.has(name)) continue; // it takes what was left, and leaves nothing more
    seen.add(name);
    const [held, kept] = [new Set(had), new Set(has)];
    const left = had.filter((key) => !kept.has(key));
    for (const key of left) ledger.release(key);
    const askers = (keys: readonly string[]): readonly string[] => keys.flatMap((key) => [...state.asking.get(key) ?? []]);
    const took = pod === undefined ? askers(has.filter((key) => !held.has(key))).filter((asker) => podOf(asker) !== undefined) : [];
    for (const waiting of new Set([...askers(left), ...took])) if (waiting !== name && !queue.includes(waiting)) queue.push(waiting);
  }
  return [...decided.values()];
};

/** Services that ask for an address whose holders this fact changed, and pods whose host ports it concerns. */
const touchedBy = (state: Readonly<ServiceState>): readonly string[] => [...new Set([...state.touched.flatMap((address) => [...state.askingAddress.get(address) ?? []]), ...state.touchedPods.map((pod) => POD + pod)])];

export const serviceDecider: Decider<ServiceState> = {
  initialState: () => ({
    services: new Map(), asking: new Map(), askingAddress: new Map(), holders: emptyHolders(), touched: [], hostPorts: emptyHostPorts(), touchedPods: [], keysAskedByPod: new Map(), compiledServices: new Map(), compiledSlices: new Map(),
    frontendOwner: new Map(), frontendIds: new Map(), idsTaken: new Set(), nextFrontend: 1, backends: new Map(), nextBackend: 1,
  }),
  evolve,
  decide: (input, state) => {
    const head = { key: input.key, time: input.time, ...(input.traceparent === undefined ? {} : { traceparent: input.traceparent }) };
    const gone = (former: PackedBackends | undefined): readonly SeineEvent[] => (former === undefined ? [] : [{ type: 'backends.removed.v1', ...head, data: { service: former.service } }]);
    switch (input.type) {
      case 'service.observed.v1':
      case 'service.vanished.v1': return decideFrontends(input, [...new Set([input.key, ...touchedBy(state)])], state);
      case 'endpointslice.observed.v1': {
        if (input.data.service === '') return gone(state.compiledSlices.get(input.key)); // a slice without a Service is nobody's backends
        const service = `${input.key.slice(0, input.key.indexOf('/'))}/${input.data.service}`;
        const data = compileSlice(input.data, service, state);
        return same(state.compiledSlices.get(input.key), data) ? [] : [{ type: 'backends.compiled.v2', ...head, data }];
      }
      case 'endpointslice.vanished.v1': return gone(state.compiledSlices.get(input.key));
      default: return state.touched.length === 0 && state.touchedPods.length === 0 ? [] : decideFrontends(input, touchedBy(state), state);
    }
  },
};
