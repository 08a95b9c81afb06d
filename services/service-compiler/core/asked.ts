/** What a Service asks for: one frontend for each of its addresses and ports. Pure. */
import type { CompiledService, Refusal, ServiceData } from '@seine/events';
import { familyOf } from '@seine/model';

type Frontend = CompiledService['frontends'][number];

export interface Asked {
  readonly key: string;
  readonly frontend: Omit<Frontend, 'id'>;
  readonly targetPort: number | string;
  /** Where the object asks for it. */
  readonly field: string;
}

/** Of a node port the unspecified address of the family. */
export const ANY_ADDRESS = { 4: '0.0.0.0', 6: '::' } as const;

export const refusal = (field: string, value: string, expected: string): Refusal => ({ field, value, expected, message: `${field}: ${value}: expected ${expected}` });

/** Who has the key has the frontend. */
export const frontendKey = ({ address, port, protocol }: { readonly address: string; readonly port: number; readonly protocol: string }): string => `${address}/${port}/${protocol}`;

/**
 * Keys that Seine's answer to a balancer's health check takes: it is no frontend, but a port of every node, and a node port of that number
 * would be answered in its place.
 */
export const healthCheckKeys = (port: number | undefined): readonly string[] => (port === undefined ? [] : Object.values(ANY_ADDRESS).map((address) => frontendKey({ address, port, protocol: 'TCP' })));

/** Keys that a Service has. */
export const keysHeldBy = (compiled: CompiledService | undefined): readonly string[] => (compiled === undefined ? [] : [...compiled.frontends.map(frontendKey), ...healthCheckKeys(compiled.healthCheckNodePort)]);

/** Labels of a Service, whatever their value, that say that another proxy serves it, or none: every proxy of Kubernetes heeds them. */
const NOT_OURS = ['service.kubernetes.io/service-proxy-name', 'service.kubernetes.io/headless'] as const;
export const isOurs = ({ type, labels = {} }: ServiceData): boolean => type !== 'ExternalName' && !NOT_OURS.some((label) => Object.hasOwn(labels, label));

/** In the order in which they are served: ClusterIPs first. ExternalName asks for nothing, a headless Service for what it does not get. */
export const frontendsAskedBy = (service: ServiceData | undefined): readonly Asked[] => {
  if (service === undefined || !isOurs(service)) return [];
  const at = (address: string, field: string, kind?: Frontend['kind']): readonly Asked[] => service.ports.map(({ port, protocol, name, targetPort }, index) => {
    const frontend = { address, port, protocol, portName: name, ...(kind === undefined ? {} : { kind }) };
    return { key: frontendKey(frontend), frontend, targetPort, field: kind === undefined ? `spec.ports[${index}]` : field };
  });
  const nodePorts = service.type === 'ClusterIP' ? [] : [...new Set(service.clusterIPs.map(familyOf))].flatMap((family) => service.ports.flatMap(({ nodePort, protocol, name, targetPort }, index): readonly Asked[] => {
    if (nodePort === undefined) return [];
    const frontend = { address: ANY_ADDRESS[family], port: nodePort, protocol, portName: name, kind: 'nodePort' as const };
    return [{ key: frontendKey(frontend), frontend, targetPort, field: `spec.ports[${index}].nodePort` }];
  }));
  return [
    ...service.clusterIPs.flatMap((address, index) => at(address, `spec.clusterIPs[${index}]`)),
    ...nodePorts,
    ...(service.externalIPs ?? []).flatMap((address, index) => at(address, `spec.externalIPs[${index}]`, 'externalIP')),
    ...(service.loadBalancerIPs ?? []).flatMap((address, index) => at(address, `status.loadBalancer.ingress[${index}].ip`, 'loadBalancer')),
  ];
};
