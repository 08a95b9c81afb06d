/** The service lane, written by the service-compiler. Ids are allocated here and stay with their key. */
import Type from 'typebox';

import { defineEvent, type EventOf, type EventOfEach } from './event.ts';
import { ObjectRef, PortNumber, ProtocolText, Refusal, ServiceOptions } from './words.ts';

export const serviceCompiled = defineEvent({
  lane: 'service', type: 'service.compiled.v1', key: '<namespace>/<name>', summary: "A Service's frontends.",
  data: Type.Object({
    frontends: Type.Array(Type.Object({
      /** revnat id */
      id: Type.Integer({ minimum: 1, maximum: 0x7fffffff }),
      /** Of a node port the unspecified address of its family: every address of every node. */
      address: Type.String(), port: PortNumber, protocol: ProtocolText, portName: Type.String(),
      /** Absent: a ClusterIP. */
      kind: Type.Optional(Type.Union([Type.Literal('nodePort'), Type.Literal('externalIP'), Type.Literal('loadBalancer')])),
    })),
    ...ServiceOptions,
    refusals: Type.Array(Refusal),
  }),
});
export const serviceRemoved = defineEvent({
  lane: 'service', type: 'service.removed.v1', key: '<namespace>/<name>', summary: 'The Service is gone.',
  data: Type.Object({ object: ObjectRef }), gone: true,
});
export const hostportsCompiled = defineEvent({
  lane: 'service', type: 'hostports.compiled.v1', key: '<namespace>/<pod>', summary: "What a pod answers at its node's own addresses, on that node.",
  data: Type.Object({
    node: Type.String(),
    ports: Type.Array(Type.Object({
      /** revnat id, of the same numbers as Services' */
      id: Type.Integer({ minimum: 1, maximum: 0x7fffffff }),
      address: Type.String(), port: PortNumber, protocol: ProtocolText,
      backend: Type.Object({ id: Type.Integer({ minimum: 1 }), address: Type.String(), port: PortNumber }),
    })),
    refusals: Type.Array(Refusal),
  }),
});
export const hostportsRemoved = defineEvent({
  lane: 'service', type: 'hostports.removed.v1', key: '<namespace>/<pod>', summary: "The pod answers at its node's addresses no more.",
  data: Type.Object({ node: Type.String() }), gone: true,
});
/** active: drawn; terminating: drawn while nobody is active; quarantined (not ready): not drawn, its connections go on. */
const BackendState = Type.Union([Type.Literal('active'), Type.Literal('terminating'), Type.Literal('quarantined')]);
/** Where it runs, and for whom the topology controller means it. */
const BackendPlace = {
  node: Type.Optional(Type.String()), pod: Type.Optional(Type.String()),
  forZones: Type.Optional(Type.Array(Type.String())), forNodes: Type.Optional(Type.Array(Type.String())),
} as const;
export const backendsCompiled = defineEvent({
  lane: 'service', type: 'backends.compiled.v2', key: '<namespace>/<slice>', summary: "One EndpointSlice's backends: each endpoint at each port.",
  data: Type.Object({
    /** `<namespace>/<name>` */
    service: Type.String(),
    ports: Type.Array(Type.Object({ name: Type.String(), port: PortNumber, protocol: ProtocolText })),
    endpoints: Type.Array(Type.Object({
      address: Type.String(),
      /** Backend ids, one for each of `ports`, in their order. */
      ids: Type.Array(Type.Integer({ minimum: 1 })),
      /** Absent: active. */
      state: Type.Optional(BackendState),
      ...BackendPlace,
    })),
  }),
});
export const backendsCompiledV1 = defineEvent({
  lane: 'service', type: 'backends.compiled.v1', key: '<namespace>/<slice>', summary: "One EndpointSlice's backends, one by one.", now: 'backends.compiled.v2',
  data: Type.Object({
    /** `<namespace>/<name>` */
    service: Type.String(),
    backends: Type.Array(Type.Object({
      id: Type.Integer({ minimum: 1 }),
      address: Type.String(), port: PortNumber, protocol: ProtocolText, portName: Type.String(), state: BackendState, ...BackendPlace,
    })),
  }),
});
export const backendsRemoved = defineEvent({
  lane: 'service', type: 'backends.removed.v1', key: '<namespace>/<slice>', summary: 'The EndpointSlice is gone.',
  data: Type.Object({ service: Type.String() }), gone: true,
});

/** What former builds wrote: read for ever, written no more. */
export const FORMER_SERVICE_EVENTS = [backendsCompiledV1] as const;
export const SERVICE_EVENTS = [serviceCompiled, serviceRemoved, hostportsCompiled, hostportsRemoved, backendsCompiled, backendsRemoved] as const;
export type ServiceEvent = EventOfEach<(typeof SERVICE_EVENTS)[number]>;
export type CompiledService = EventOf<typeof serviceCompiled>['data'];
export type CompiledHostPorts = EventOf<typeof hostportsCompiled>['data'];
/** As stored; `unpackBackends` has it as readers want it. */
export type PackedBackends = EventOf<typeof backendsCompiled>['data'];
/** Backends one by one: an address and a port each. */
export type CompiledBackends = EventOf<typeof backendsCompiledV1>['data'];
