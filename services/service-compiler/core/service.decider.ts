/** Services and EndpointSlices → frontends and backends with ids that stay with their key. Pure. */
import type { CompiledBackends, CompiledService, Decider, EndpointSliceData, ObjectRef, Refusal, SeineEvent, ServiceData } from '@seine/events';

const FRONTEND_MAX = 65535;

export interface ServiceState {
  readonly services: Map<string, ServiceData>;
  /** frontend key → the Services that ask for it, in the order in which they came. */
  readonly asking: Map<string, Set<string>>;
  readonly compiledServices: Map<string, CompiledService>;
  readonly compiledSlices: Map<string, CompiledBackends>;
  /** `address/port/protocol` → its Service: the first holds it. */
  readonly frontendOwner: Map<string, string>;
  readonly frontendIds: Map<string, number>;
  readonly idsTaken: Set<number>;
  nextFrontend: number;
  /** A backend may stand in two slices while it moves from one to the other: it keeps its id until the last of them leaves it. */
  readonly backends: Map<string, { readonly id: number; slices: number }>;
  nextBackend: number;
}

const frontendKey = (address: string, port: number, protocol: string): string => `${address}/${port}/${protocol}`;
const backendKey = (service: string, address: string, port: number, protocol: string): string => `${service} ${address}/${port}/${protocol}`;

const askedBy = (service: ServiceData | undefined): readonly string[] =>
  (service === undefined || service.type === 'ExternalName' ? [] : service.clusterIPs.flatMap((address) => service.ports.map(({ port, protocol }) => frontendKey(address, port, protocol))));

const ask = (draft: ServiceState, name: string, service: ServiceData | undefined): void => {
  const [former, wanted] = [askedBy(draft.services.get(name)), askedBy(service)];
  for (const key of former) {
    if (wanted.includes(key)) continue;
    draft.asking.get(key)?.delete(name);
    if (draft.asking.get(key)?.size === 0) draft.asking.delete(key);
  }
  for (const key of wanted) draft.asking.set(key, (draft.asking.get(key) ?? new Set()).add(name));
  if (service === undefined) draft.services.delete(name);
  else draft.services.set(name, service);
};

const leaveSlice = (draft: ServiceState, slice: CompiledBackends | undefined): void => {
  for (const { address, port, protocol } of slice?.backends ?? []) {
    const key = backendKey(slice!.service, address, port, protocol);
    const backend = draft.backends.get(key);
    if (backend !== undefined && (backend.slices -= 1) === 0) draft.backends.delete(key);
  }
};

const evolve = (draft: ServiceState, event: SeineEvent): void => {
  switch (event.type) {
    case 'service.observed.v1': ask(draft, event.key, event.data); return;
    case 'service.vanished.v1': ask(draft, event.key, undefined); return;
    case 'service.compiled.v1':
    case 'service.removed.v1': {
      for (const { address, port, protocol, id } of draft.compiledServices.get(event.key)?.frontends ?? []) {
        draft.frontendOwner.delete(frontendKey(address, port, protocol));
        draft.frontendIds.delete(frontendKey(address, port, protocol));
        draft.idsTaken.delete(id);
      }
      if (event.type === 'service.removed.v1') { draft.compiledServices.delete(event.key); return; }
      draft.compiledServices.set(event.key, event.data);
      for (const { id, address, port, protocol } of event.data.frontends) {
        const key = frontendKey(address, port, protocol);
        draft.frontendOwner.set(key, event.key);
        draft.frontendIds.set(key, id);
        draft.idsTaken.add(id);
        draft.nextFrontend = (id % FRONTEND_MAX) + 1;
      }
      return;
    }
    case 'backends.compiled.v1':
    case 'backends.removed.v1': {
      leaveSlice(draft, draft.compiledSlices.get(event.key));
      if (event.type === 'backends.removed.v1') { draft.compiledSlices.delete(event.key); return; }
      draft.compiledSlices.set(event.key, event.data);
      for (const { id, address, port, protocol } of event.data.backends) {
        const key = backendKey(event.data.service, address, port, protocol);
        draft.backends.set(key, { id, slices: (draft.backends.get(key)?.slices ?? 0) + 1 });
        draft.nextBackend = Math.max(draft.nextBackend, id + 1);
      }
      return;
    }
    default: return;
  }
};

const refusal = (field: string, value: string, expected: string): Refusal => ({ field, value, expected, message: `${field}: ${value}: expected ${expected}` });

/** What one decision gives and takes beside the state, which does not move before all of it is decided. */
const openLedger = (state: Readonly<ServiceState>) => {
  const released = new Set<string>();
  const given = new Map<string, string>();
  const idsGiven = new Set<number>();
  let next = state.nextFrontend;
  return {
    release: (key: string): void => { released.add(key); },
    ownerOf: (key: string): string | undefined => given.get(key) ?? (released.has(key) ? undefined : state.frontendOwner.get(key)),
    /** The id that the key has, or a new one; one that is released now is not given again at once. */
    take: (key: string, name: string): number | undefined => {
      const kept = state.frontendOwner.get(key) === name ? state.frontendIds.get(key) : undefined;
      if (kept !== undefined) return kept;
      for (let tries = 0; tries < FRONTEND_MAX; tries += 1) {
        const id = next;
        next = (next % FRONTEND_MAX) + 1;
        if (state.idsTaken.has(id) || idsGiven.has(id)) continue;
        idsGiven.add(id);
        given.set(key, name);
        return id;
      }
      return undefined;
    },
  };
};

const compileService = (name: string, service: ServiceData, ledger: ReturnType<typeof openLedger>): CompiledService => {
  const refusals: Refusal[] = [];
  const frontends: CompiledService['frontends'][number][] = [];
  if (service.type === 'NodePort' || service.type === 'LoadBalancer') refusals.push(refusal('spec.type', service.type, 'ClusterIP: its ClusterIP works, the rest is not supported yet'));
  for (const [index, address] of (service.externalIPs ?? []).entries()) refusals.push(refusal(`spec.externalIPs[${index}]`, address, 'no external address: its ClusterIP works, the rest is not supported yet'));
  for (const address of service.type === 'ExternalName' ? [] : service.clusterIPs) {
    for (const [index, { port, protocol, name: portName, targetPort }] of service.ports.entries()) {
      const key = frontendKey(address, port, protocol);
      const owner = ledger.ownerOf(key);
      if (owner !== undefined && owner !== name) { refusals.push(refusal(`spec.ports[${index}]`, key, `a frontend that Service ${owner} does not have`)); continue; }
      if (protocol === 'SCTP' && targetPort !== port) { refusals.push(refusal(`spec.ports[${index}].targetPort`, String(targetPort), `${port}: SCTP is translated by address only`)); continue; }
      const id = ledger.take(key, name);
      if (id === undefined) { refusals.push(refusal(`spec.ports[${index}]`, key, `at most ${FRONTEND_MAX} frontends in a cluster`)); continue; }
      frontends.push({ id, address, port, protocol, portName });
    }
  }
  return { frontends, refusals };
};

const compileSlice = (slice: EndpointSliceData, serviceKey: string, state: Readonly<ServiceState>): CompiledBackends => {
  let next = state.nextBackend;
  const fresh = new Map<string, number>();
  const idOf = (key: string): number => {
    const id = state.backends.get(key)?.id ?? fresh.get(key) ?? next++;
    fresh.set(key, id);
    return id;
  };
  const listed = new Set<string>();
  const backends = slice.endpoints.flatMap((endpoint) => endpoint.addresses.flatMap((address) => slice.ports.flatMap(({ name, port, protocol }) => {
    const terminating = endpoint.terminating && endpoint.serving;
    const key = backendKey(serviceKey, address, port, protocol);
    const portKey = `${name} ${key}`;
    if (listed.has(portKey) || (!endpoint.ready && !terminating)) return [];
    listed.add(portKey);
    return [{
      id: idOf(key), address, port, protocol, portName: name, state: terminating ? 'terminating' as const : 'active' as const,
      ...(endpoint.nodeName === undefined ? {} : { node: endpoint.nodeName }), ...(endpoint.pod === undefined ? {} : { pod: endpoint.pod }),
    }];
  })));
  return { service: serviceKey, backends };
};

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

const objectOf = (key: string): ObjectRef => ({ kind: 'Service', namespace: key.slice(0, key.indexOf('/')), name: key.slice(key.indexOf('/') + 1) });

/** A Service as it is now, or gone; what it leaves goes to those that ask for it. */
const decideService = (input: SeineEvent, service: ServiceData | undefined, state: Readonly<ServiceState>): readonly SeineEvent[] => {
  const head = { time: input.time, ...(input.traceparent === undefined ? {} : { traceparent: input.traceparent }) };
  const ledger = openLedger(state);
  const events: SeineEvent[] = [];
  const keysOf = (compiled: CompiledService | undefined): readonly string[] => (compiled?.frontends ?? []).map(({ address, port, protocol }) => frontendKey(address, port, protocol));
  const compile = (key: string, data: ServiceData): CompiledService => {
    const compiled = compileService(key, data, ledger);
    if (!same(state.compiledServices.get(key), compiled)) events.push({ type: 'service.compiled.v1', key, ...head, data: compiled });
    return compiled;
  };
  const former = state.compiledServices.get(input.key);
  const kept = new Set(keysOf(service === undefined ? undefined : compile(input.key, service)));
  if (service === undefined && former !== undefined) events.push({ type: 'service.removed.v1', key: input.key, ...head, data: { object: objectOf(input.key) } });
  const left = keysOf(former).filter((key) => !kept.has(key));
  for (const key of left) ledger.release(key);
  for (const name of new Set(left.flatMap((key) => [...state.asking.get(key) ?? []]))) if (name !== input.key) compile(name, state.services.get(name)!); // holds: who asks is observed
  return events;
};

export const serviceDecider: Decider<ServiceState> = {
  initialState: () => ({
    services: new Map(), asking: new Map(), compiledServices: new Map(), compiledSlices: new Map(), frontendOwner: new Map(), frontendIds: new Map(),
    idsTaken: new Set(), nextFrontend: 1, backends: new Map(), nextBackend: 1,
  }),
  evolve,
  decide: (input, state) => {
    const head = { key: input.key, time: input.time, ...(input.traceparent === undefined ? {} : { traceparent: input.traceparent }) };
    const leave = (former: CompiledBackends | undefined): readonly SeineEvent[] => (former === undefined ? [] : [{ type: 'backends.removed.v1', ...head, data: { service: former.service } }]);
    switch (input.type) {
      case 'service.observed.v1': return decideService(input, input.data, state);
      case 'service.vanished.v1': return decideService(input, undefined, state);
      case 'endpointslice.observed.v1': {
        if (input.data.service === '') return leave(state.compiledSlices.get(input.key)); // a slice without a Service is nobody's backends
        const service = `${input.key.slice(0, input.key.indexOf('/'))}/${input.data.service}`;
        const data = compileSlice(input.data, service, state);
        return same(state.compiledSlices.get(input.key), data) ? [] : [{ type: 'backends.compiled.v1', ...head, data }];
      }
      case 'endpointslice.vanished.v1': return leave(state.compiledSlices.get(input.key));
      default: return [];
    }
  },
};
