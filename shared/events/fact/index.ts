/** The fact lane, written by the watcher: what was seen, never what it means. */
import Type from 'typebox';

import { defineEvent, type EventOf, type EventOfEach } from '../event.ts';
import { ChangedBy, LabelMap, ObjectRef, PortNumber, ProtocolText, Refusal, ServiceOptions, SourcePlace } from '../words.ts';

const Vanished = Type.Object({ uid: Type.String() });

export const namespaceObserved = defineEvent({
  lane: 'fact', type: 'namespace.observed.v1', key: '<namespace>', summary: 'A Namespace as it is.',
  data: Type.Object({ uid: Type.String(), labels: LabelMap, /** as of a policy: every policy in the namespace is audited */ audit: Type.Optional(Type.Boolean()) }),
});
export const namespaceVanished = defineEvent({
  lane: 'fact', type: 'namespace.vanished.v1', key: '<namespace>', summary: 'A Namespace is gone.', data: Vanished, gone: true,
});

export const nodeObserved = defineEvent({
  lane: 'fact', type: 'node.observed.v1', key: '<node>', summary: 'A Node as it is.',
  data: Type.Object({
    uid: Type.String(), labels: LabelMap, addresses: Type.Array(Type.String()),
    /** Why balancers outside are to send it nothing new; absent: it stays. Unknown to former builds, who pass it over. */
    leaving: Type.Optional(Type.Union([Type.Literal('deletionTimestamp'), Type.Literal('ToBeDeletedByClusterAutoscaler')])),
  }),
});
export const nodeVanished = defineEvent({
  lane: 'fact', type: 'node.vanished.v1', key: '<node>', summary: 'A Node object is gone.', data: Vanished, gone: true,
});

export const podObserved = defineEvent({
  lane: 'fact', type: 'pod.observed.v1', key: '<namespace>/<name>', summary: 'The whole of what Seine uses from one Pod.',
  data: Type.Object({
    uid: Type.String(),
    nodeName: Type.Optional(Type.String()),
    labels: LabelMap,
    serviceAccount: Type.String(),
    hostNetwork: Type.Boolean(),
    /** status.podIPs, at most one per family; often empty where a node report tells them first. */
    addresses: Type.Array(Type.String()),
    phase: Type.Union([Type.Literal('pending'), Type.Literal('running'), Type.Literal('finished')]),
    ports: Type.Array(Type.Object({
      name: Type.Optional(Type.String()), port: PortNumber, protocol: ProtocolText,
      hostPort: Type.Optional(PortNumber),
      /** With hostPort: at this address of the node alone, the unspecified one at each of its family; absent: at each. */
      hostIP: Type.Optional(Type.String()),
    })),
    /** The controller people know it by: Deployment shop/carts. */
    workload: Type.Optional(Type.Object({ kind: Type.String(), name: Type.String() })),
    changedBy: Type.Optional(ChangedBy),
  }),
});
export const podVanished = defineEvent({
  lane: 'fact', type: 'pod.vanished.v1', key: '<namespace>/<name>', summary: 'A Pod is gone.', data: Vanished, gone: true,
});

export const serviceObserved = defineEvent({
  lane: 'fact', type: 'service.observed.v1', key: '<namespace>/<name>', summary: 'A Service as it is.',
  data: Type.Object({
    uid: Type.String(),
    type: Type.String(),
    /** Empty for headless and ExternalName. */
    clusterIPs: Type.Array(Type.String()),
    externalIPs: Type.Optional(Type.Array(Type.String())),
    /** status.loadBalancer.ingress[].ip, but for those of ipMode Proxy. */
    loadBalancerIPs: Type.Optional(Type.Array(Type.String())),
    ...ServiceOptions,
    /** The annotation `service.cilium.io/lb-l7: enabled`: it wants its requests balanced one by one. */
    byRequest: Type.Optional(Type.Boolean()),
    selector: Type.Optional(LabelMap),
    labels: Type.Optional(LabelMap),
    ports: Type.Array(Type.Object({
      name: Type.String(), port: PortNumber, protocol: ProtocolText,
      targetPort: Type.Union([PortNumber, Type.String()]), nodePort: Type.Optional(PortNumber),
    })),
    source: Type.Optional(SourcePlace),
  }),
});
export const serviceVanished = defineEvent({
  lane: 'fact', type: 'service.vanished.v1', key: '<namespace>/<name>', summary: 'A Service is gone.', data: Vanished, gone: true,
});

export const endpointsliceObserved = defineEvent({
  lane: 'fact', type: 'endpointslice.observed.v1', key: '<namespace>/<name>', summary: 'An EndpointSlice as it is.',
  data: Type.Object({
    uid: Type.String(),
    /** Name of the Service in the same namespace (label kubernetes.io/service-name). */
    service: Type.String(),
    addressType: Type.Union([Type.Literal('IPv4'), Type.Literal('IPv6')]),
    endpoints: Type.Array(Type.Object({
      addresses: Type.Array(Type.String()), ready: Type.Boolean(), serving: Type.Boolean(), terminating: Type.Boolean(),
      nodeName: Type.Optional(Type.String()), pod: Type.Optional(Type.String()),
      /** hints.forZones, hints.forNodes: for whom the topology controller means it. */
      forZones: Type.Optional(Type.Array(Type.String())), forNodes: Type.Optional(Type.Array(Type.String())),
    })),
    ports: Type.Array(Type.Object({ name: Type.String(), port: PortNumber, protocol: ProtocolText })),
  }),
});
export const endpointsliceVanished = defineEvent({
  lane: 'fact', type: 'endpointslice.vanished.v1', key: '<namespace>/<name>', summary: 'An EndpointSlice is gone.', data: Vanished, gone: true,
});

/** A policy object as it came: the policy-compiler understands its spec. */
const PolicyObject = Type.Object({
  uid: Type.String(),
  spec: Type.Unknown(),
  /** CiliumNetworkPolicy and CiliumClusterwideNetworkPolicy: several policies in one object. */
  specs: Type.Optional(Type.Unknown()),
  /** The annotation `seine.network/audit: "true"`: judged, told, not enforced. */
  audit: Type.Optional(Type.Boolean()),
  source: Type.Optional(SourcePlace),
  /** Line of each rule and peer in `source.file`, by path: `ingress[0].from[0]`, `specs[1].ingressDeny[0].fromEndpoints[2]`. */
  lines: Type.Optional(Type.Record(Type.String(), Type.Integer())),
  changedBy: Type.Optional(ChangedBy),
});
export const networkpolicyObserved = defineEvent({
  lane: 'fact', type: 'networkpolicy.observed.v1', key: '<namespace>/<name>', summary: 'A networking.k8s.io/v1 NetworkPolicy as it is.', data: PolicyObject,
});
export const networkpolicyVanished = defineEvent({
  lane: 'fact', type: 'networkpolicy.vanished.v1', key: '<namespace>/<name>', summary: 'A NetworkPolicy is gone.', data: Vanished, gone: true,
});
export const ciliumnetworkpolicyObserved = defineEvent({
  lane: 'fact', type: 'ciliumnetworkpolicy.observed.v1', key: '<namespace>/<name>', summary: 'A cilium.io/v2 CiliumNetworkPolicy as it is.', data: PolicyObject,
});
export const ciliumnetworkpolicyVanished = defineEvent({
  lane: 'fact', type: 'ciliumnetworkpolicy.vanished.v1', key: '<namespace>/<name>', summary: 'A CiliumNetworkPolicy is gone.', data: Vanished, gone: true,
});
export const ciliumclusterwidenetworkpolicyObserved = defineEvent({
  lane: 'fact', type: 'ciliumclusterwidenetworkpolicy.observed.v1', key: '<name>', summary: 'A cilium.io/v2 CiliumClusterwideNetworkPolicy as it is.', data: PolicyObject,
});
export const ciliumclusterwidenetworkpolicyVanished = defineEvent({
  lane: 'fact', type: 'ciliumclusterwidenetworkpolicy.vanished.v1', key: '<name>', summary: 'A CiliumClusterwideNetworkPolicy is gone.', data: Vanished, gone: true,
});
export const clusternetworkpolicyObserved = defineEvent({
  lane: 'fact', type: 'clusternetworkpolicy.observed.v1', key: '<name>', summary: 'A policy.networking.k8s.io/v1alpha2 ClusterNetworkPolicy as it is.', data: PolicyObject,
});
export const clusternetworkpolicyVanished = defineEvent({
  lane: 'fact', type: 'clusternetworkpolicy.vanished.v1', key: '<name>', summary: 'A ClusterNetworkPolicy is gone.', data: Vanished, gone: true,
});
export const ciliumcidrgroupObserved = defineEvent({
  lane: 'fact', type: 'ciliumcidrgroup.observed.v1', key: '<name>', summary: 'A cilium.io CiliumCIDRGroup as it is.',
  data: Type.Object({ uid: Type.String(), labels: LabelMap, cidrs: Type.Array(Type.String()) }),
});
export const ciliumcidrgroupVanished = defineEvent({
  lane: 'fact', type: 'ciliumcidrgroup.vanished.v1', key: '<name>', summary: 'A CiliumCIDRGroup is gone.', data: Vanished, gone: true,
});

/** Where pods keep their own addresses towards the world, while they are masqueraded at all. Absent members: the agent's defaults. */
export const ipmasqagentObserved = defineEvent({
  lane: 'fact', type: 'ipmasqagent.observed.v1', key: '<namespace>/<name>', summary: 'The ConfigMap of ip-masq-agent as it is.',
  data: Type.Object({
    uid: Type.String(), nonMasqueradeCIDRs: Type.Optional(Type.Array(Type.String())), masqLinkLocal: Type.Boolean(), masqLinkLocalIPv6: Type.Boolean(), source: Type.Optional(SourcePlace),
  }),
});
export const ipmasqagentVanished = defineEvent({
  lane: 'fact', type: 'ipmasqagent.vanished.v1', key: '<namespace>/<name>', summary: 'The ConfigMap of ip-masq-agent is gone.', data: Vanished, gone: true,
});

/** Settings that change verdicts, or what packets become: a replay needs nobody's environment. Absent: its default. */
export const settingObserved = defineEvent({
  lane: 'fact', type: 'setting.observed.v1', key: '<setting>', summary: 'A setting of the whole cluster, as the watcher was given it.', data: Type.Object({ value: Type.String() }),
});

/** Admitted by the watcher from a node's report. */
export const endpointObserved = defineEvent({
  lane: 'fact', type: 'endpoint.observed.v1', key: '<namespace>/<pod>', summary: "A pod's attachment, as its node reported it.",
  data: Type.Object({
    uid: Type.String(), node: Type.String(), addresses: Type.Array(Type.String()),
    endpointId: Type.Integer({ minimum: 1, maximum: 65535 }), hostInterface: Type.String(), containerId: Type.String(),
  }),
});
export const endpointVanished = defineEvent({
  lane: 'fact', type: 'endpoint.vanished.v1', key: '<namespace>/<pod>', summary: "A pod's attachment is gone.",
  data: Type.Object({ uid: Type.String(), node: Type.String() }), gone: true,
});

/** At most once a minute and node; identity numbers are freed only when every node has passed their retirement. */
export const nodepositionObserved = defineEvent({
  lane: 'fact', type: 'nodeposition.observed.v1', key: '<node>', summary: 'Up to which sequence a node has applied everything.',
  data: Type.Object({ complete: Type.Integer({ minimum: 0 }), bootId: Type.String() }),
});

export const kindListed = defineEvent({
  lane: 'fact', type: 'kind.listed.v1', key: '<kind>', summary: 'Every object of a kind is in the log once; committed after the last of the first full list.',
  data: Type.Object({ kind: Type.String(), resourceVersion: Type.String(), absent: Type.Boolean() }),
});

export const objectRefused = defineEvent({
  lane: 'fact', type: 'object.refused.v1', key: '<kind>/<namespace>/<name>', summary: 'An object that could not be admitted, and why. What was in force stays.',
  data: Type.Object({ object: ObjectRef, refusals: Type.Array(Refusal), source: Type.Optional(SourcePlace) }),
});
/** The object was corrected or removed. */
export const refusalVanished = defineEvent({
  lane: 'fact', type: 'refusal.vanished.v1', key: '<kind>/<namespace>/<name>', summary: 'A refused object was corrected or removed.',
  data: Type.Object({}), gone: true,
});

export const FACTS = [
  namespaceObserved, namespaceVanished, nodeObserved, nodeVanished, podObserved, podVanished, serviceObserved, serviceVanished,
  endpointsliceObserved, endpointsliceVanished, networkpolicyObserved, networkpolicyVanished, ciliumnetworkpolicyObserved, ciliumnetworkpolicyVanished,
  ciliumclusterwidenetworkpolicyObserved, ciliumclusterwidenetworkpolicyVanished, clusternetworkpolicyObserved, clusternetworkpolicyVanished,
  ciliumcidrgroupObserved, ciliumcidrgroupVanished, ipmasqagentObserved, ipmasqagentVanished, endpointObserved, endpointVanished,
  nodepositionObserved, settingObserved, kindListed, objectRefused, refusalVanished,
] as const;

export type FactEvent = EventOfEach<(typeof FACTS)[number]>;
export type PodData = EventOf<typeof podObserved>['data'];
export type NamespaceData = EventOf<typeof namespaceObserved>['data'];
export type NodeData = EventOf<typeof nodeObserved>['data'];
export type ServiceData = EventOf<typeof serviceObserved>['data'];
export type EndpointSliceData = EventOf<typeof endpointsliceObserved>['data'];
/** Of every policy kind: they share one shape. */
export type PolicyObjectData = EventOf<typeof networkpolicyObserved>['data'];
export type CidrGroupData = EventOf<typeof ciliumcidrgroupObserved>['data'];
export type IpMasqAgentData = EventOf<typeof ipmasqagentObserved>['data'];
export type EndpointData = EventOf<typeof endpointObserved>['data'];
