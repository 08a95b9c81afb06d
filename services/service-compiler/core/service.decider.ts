/** Services and EndpointSlices → frontends and backends with ids that stay with their key. Pure. */
import type { CompiledBackends, CompiledService, Decider, EndpointSliceData, Refusal, SeineEvent, ServiceData } from '@seine/events';

const FRONTEND_MAX = 65535;

export interface ServiceState {
  readonly services: Map<string, ServiceData>;
  readonly slices: Map<string, EndpointSliceData>;
  readonly compiledServices: Map<string, CompiledService>;
  readonly compiledSlices: Map<string, CompiledBackends>;
  /** `address/port/protocol` → its Service: the first holds it. */
  readonly frontendOwner: Map<string, string>;
  readonly frontendIds: Map<string, number>;
  readonly idsTaken: Set<number>;
  nextFrontend: number;
  readonly backendIds: Map<string, number>;
  nextBackend: number;
}

const frontendKey = (address: string, port: number, protocol: string): string => `${address}/${port}/${protocol}`;
const backendKey = (service: string, address: string, port: number, protocol: string): string => `${service} ${address}/${port}/${protocol}`;

const evolve = (draft: ServiceState, event: SeineEvent): void => {
  switch (event.type) {
    case 'service.observed.v1': draft.services.set(event.key, event.data); return;
    case 'service.vanished.v1': draft.services.delete(event.key); return;
    case 'endpointslice.observed.v1': draft.slices.set(event.key, event.data); return;
    case 'endpointslice.vanished.v1': draft.slices.delete(event.key); return;
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
      const service = event.data.service;
      for (const { address, port, protocol } of draft.compiledSlices.get(event.key)?.backends ?? []) draft.backendIds.delete(backendKey(service, address, port, protocol));
      if (event.type === 'backends.removed.v1') { draft.compiledSlices.delete(event.key); return; }
      draft.compiledSlices.set(event.key, event.data);
      for (const { id, address, port, protocol } of event.data.backends) {
        draft.backendIds.set(backendKey(service, address, port, protocol), id);
        draft.nextBackend = Math.max(draft.nextBackend, id + 1);
      }
      return;
    }
    default: return;
  }
};

const refusal = (field: string, value: string, expected: string): Refusal => ({ field, value, expected, message: `${field}: ${value}: expected ${expected}` });

const compileService = (name: string, service: ServiceData, state: Readonly<ServiceState>): CompiledService => {
  const refusals: Refusal[] = [];
  const frontends: CompiledService['frontends'][number][] = [];
  const taken = new Set(state.idsTaken);
  let next = state.nextFrontend;
  const freeId = (): number | undefined => {
    for (let tries = 0; tries < FRONTEND_MAX; tries += 1) {
      const id = next;
      next = (next % FRONTEND_MAX) + 1;
      if (!taken.has(id)) { taken.add(id); return id; }
    }
    return undefined;
  };
  if (service.type === 'NodePort' || service.type === 'LoadBalancer') refusals.push(refusal('spec.type', service.type, 'ClusterIP: its ClusterIP works, the rest is not supported yet'));
  for (const address of service.type === 'ExternalName' ? [] : service.clusterIPs) {
    for (const [index, { port, protocol, name: portName, targetPort }] of service.ports.entries()) {
      const key = frontendKey(address, port, protocol);
      const owner = state.frontendOwner.get(key);
      if (owner !== undefined && owner !== name) { refusals.push(refusal(`spec.ports[${index}]`, key, `a frontend that Service ${owner} does not have`)); continue; }
      if (protocol === 'SCTP' && targetPort !== port) { refusals.push(refusal(`spec.ports[${index}].targetPort`, String(targetPort), `${port}: SCTP is translated by address only`)); continue; }
      const id = state.frontendIds.get(key) ?? freeId();
      if (id === undefined) { refusals.push(refusal(`spec.ports[${index}]`, key, `at most ${FRONTEND_MAX} frontends in a cluster`)); continue; }
      frontends.push({ id, address, port, protocol, portName });
    }
  }
  return { frontends, refusals };
};

const compileSlice = (slice: EndpointSliceData, serviceKey: string, state: Readonly<ServiceState>): CompiledBackends => {
  let next = state.nextBackend;
  const backends = slice.endpoints.flatMap((endpoint) => endpoint.addresses.flatMap((address) => slice.ports.flatMap(({ name, port, protocol }) => {
    const terminating = endpoint.terminating && endpoint.serving;
    if (!endpoint.ready && !terminating) return [];
    return [{
      id: state.backendIds.get(backendKey(serviceKey, address, port, protocol)) ?? next++,
      address, port, protocol, portName: name, state: terminating ? 'terminating' as const : 'active' as const,
      ...(endpoint.nodeName === undefined ? {} : { node: endpoint.nodeName }), ...(endpoint.pod === undefined ? {} : { pod: endpoint.pod }),
    }];
  })));
  return { service: serviceKey, backends };
};

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

export const serviceDecider: Decider<ServiceState> = {
  initialState: () => ({
    services: new Map(), slices: new Map(), compiledServices: new Map(), compiledSlices: new Map(), frontendOwner: new Map(), frontendIds: new Map(),
    idsTaken: new Set(), nextFrontend: 1, backendIds: new Map(), nextBackend: 1,
  }),
  evolve,
  decide: (input, state) => {
    const head = { key: input.key, time: input.time, ...(input.traceparent === undefined ? {} : { traceparent: input.traceparent }) };
    switch (input.type) {
      case 'service.observed.v1': {
        const data = compileService(input.key, input.data, state);
        return same(state.compiledServices.get(input.key), data) ? [] : [{ type: 'service.compiled.v1', ...head, data }];
      }
      case 'service.vanished.v1': {
        const slash = input.key.indexOf('/');
        const object = { kind: 'Service', namespace: input.key.slice(0, slash), name: input.key.slice(slash + 1) };
        return state.compiledServices.has(input.key) ? [{ type: 'service.removed.v1', ...head, data: { object } }] : [];
      }
      case 'endpointslice.observed.v1': {
        const service = `${input.key.slice(0, input.key.indexOf('/'))}/${input.data.service}`;
        const data = compileSlice(input.data, service, state);
        return same(state.compiledSlices.get(input.key), data) ? [] : [{ type: 'backends.compiled.v1', ...head, data }];
      }
      case 'endpointslice.vanished.v1': {
        const former = state.compiledSlices.get(input.key);
        return former === undefined ? [] : [{ type: 'backends.removed.v1', ...head, data: { service: former.service } }];
      }
      default: return [];
    }
  },
};
