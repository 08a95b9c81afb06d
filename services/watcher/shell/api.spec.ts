/** What is kept of an object is what becomes of it: a member that facts read and `keep` drops would be lost without a word. */
import { describe, expect, test } from '@jest/globals';
import { IP_MASQ_AGENT_KIND, JUDGED_KINDS, keep, type Mask } from '@seine/kube';
import { toObject, type KubeObject } from '@seine/objects';

import { toFact, WATCHED_KINDS } from '../core/index.ts';

/** Members that `keep` looks after itself: they are of every kind. */
const METADATA: Mask = { name: true, namespace: true, uid: true, labels: true, annotations: true, ownerReferences: true, managedFields: true };
const EVERY: Mask = { apiVersion: true, kind: true, metadata: METADATA };

const allows = (mask: Mask, path: readonly string[]): boolean => {
  const [first, ...rest] = path;
  if (first === undefined || mask === true) return true;
  if (Array.isArray(mask)) return allows(mask[0] as Mask, first === '[]' ? rest : path); // a mask of a list has one
  const inner = (mask as Readonly<Record<string, Mask>>)[first];
  return inner !== undefined && allows(inner, rest);
};

/** The same object; whoever asks it for a member is written down. */
const watched = (value: unknown, path: readonly string[], asked: Set<string>): unknown => {
  if (typeof value !== 'object' || value === null) return value;
  return new Proxy(value, {
    getOwnPropertyDescriptor: (target, name) => { if (typeof name === 'string' && !Array.isArray(target)) asked.add([...path, name].join(' ')); return Reflect.getOwnPropertyDescriptor(target, name); },
    get: (target, name, receiver) => (typeof name === 'string' ? watched(Reflect.get(target, name, receiver), [...path, Array.isArray(target) ? '[]' : name], asked) : Reflect.get(target, name, receiver)) as unknown, // whatever it holds
  });
};

/** Everything that an object of a kind may have and that has members of its own. */
const PARTS: Readonly<Record<string, object>> = {
  Node: { status: { addresses: [{ type: 'InternalIP', address: '10.0.0.1' }] } },
  ConfigMap: { data: { config: 'nonMasqueradeCIDRs: [10.0.0.0/8]' } },
  CiliumCIDRGroup: { spec: { externalCIDRs: ['10.0.0.0/8'] } },
  Service: {
    spec: { type: 'LoadBalancer', clusterIP: '10.96.0.1', clusterIPs: ['10.96.0.1'], selector: { a: 'b' }, ports: [{ name: 'a', port: 80 }], sessionAffinity: 'ClientIP', sessionAffinityConfig: { clientIP: { timeoutSeconds: 10 } } },
    status: { loadBalancer: { ingress: [{ ip: '192.0.2.1' }] } },
  },
  Pod: {
    spec: { nodeName: 'n1', hostNetwork: false, serviceAccountName: 'a', containers: [{ name: 'a', ports: [{ name: 'a', containerPort: 80, protocol: 'TCP', hostPort: 80, hostIP: '192.168.50.1' }] }], initContainers: [{ name: 'i', restartPolicy: 'Always', ports: [{ containerPort: 81, hostPort: 81 }] }] },
    status: { phase: 'Running', podIP: '10.244.1.2', podIPs: [{ ip: '10.244.1.2' }] },
  },
  EndpointSlice: {
    addressType: 'IPv4', ports: [{ name: 'a', port: 80, protocol: 'TCP' }],
    endpoints: [{ addresses: ['10.244.1.2'], conditions: { ready: true }, nodeName: 'n1', zone: 'z', targetRef: { kind: 'Pod', name: 'a' }, hints: { forZones: [{ name: 'z' }], forNodes: [{ name: 'n1' }] } }],
  },
};
const POLICY = { spec: { podSelector: {}, endpointSelector: {}, ingress: [], tier: 'Admin', priority: 1, subject: { namespaces: {} } } };

describe('what is kept of an object is all that its fact reads', () => {
  test.each(WATCHED_KINDS)('%s', (kind) => {
    const { kept, apiVersions, only = { name: 'a', namespace: 'shop' } } = [...JUDGED_KINDS, IP_MASQ_AGENT_KIND].find((judged) => judged.kind === kind)!; // every watched kind is there
    const asked = new Set<string>();
    const raw = { apiVersion: apiVersions[0], kind, metadata: { name: only.name, namespace: only.namespace, labels: { 'kubernetes.io/service-name': 'a' }, annotations: {}, ownerReferences: [{ kind: 'Job', name: 'a', controller: true }], managedFields: [{ manager: 'm', operation: 'Apply', time: 't' }] }, ...(PARTS[kind] ?? POLICY) };
    const object = toObject(raw) as KubeObject; // well formed
    const fact = toFact({ ...object, raw: watched(raw, [], asked) as KubeObject['raw'] }, ''); // the same object
    expect(fact).toBeDefined();
    expect([...asked].map((path) => path.split(' ')).filter((path) => !allows(kept.mask, path) && !allows(EVERY, path) && !(kept.deletion === true && path.join('.') === 'metadata.deletionTimestamp')).map((path) => path.join('.'))).toEqual([]);
    const annotations = [...asked].flatMap((path) => (path.startsWith('metadata annotations ') ? path.split(' ').slice(2) : []));
    const withThem = { metadata: { name: 'a', annotations: Object.fromEntries(annotations.map((name) => [name, 'x'])) } };
    expect(keep('v1', kind, kept, withThem)).toMatchObject(annotations.length === 0 ? {} : withThem);
    expect(asked.size).toBeGreaterThan(0);
  });
});
