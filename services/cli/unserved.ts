/** What objects ask for that is not served yet and that nothing else refuses: said, so that nobody waits for it. Pure. */
import { isObject, member, WORKLOAD_KINDS, type KubeObject } from '@seine/objects';

const at = (value: unknown, ...path: readonly string[]): unknown => path.reduce<unknown>((inner, name) => (isObject(inner) ? member(inner, name) : undefined), value);
const listAt = (value: unknown, ...path: readonly string[]): readonly unknown[] => { const list = at(value, ...path); return Array.isArray(list) ? list as readonly unknown[] : []; }; // Array.isArray says any[]

const POD_SPEC: Readonly<Record<string, readonly string[]>> = { Pod: ['spec'], CronJob: ['spec', 'jobTemplate', 'spec', 'template', 'spec'] };
const podSpec = ({ kind, raw }: KubeObject): unknown => at(raw, ...POD_SPEC[kind] ?? ['spec', 'template', 'spec']);

const hostPorts = (object: KubeObject): readonly string[] => {
  const spec = podSpec(object);
  /* A pod on its node's own network is at its ports there, whatever hostPort says. */
  if (at(spec, 'hostNetwork') === true) return [];
  return listAt(spec, 'containers').flatMap((container, index) => listAt(container, 'ports').flatMap((port, place) => {
    const hostPort = at(port, 'hostPort');
    return typeof hostPort === 'number' && hostPort !== 0 ? [`containers[${index}].ports[${place}].hostPort: ${hostPort}`] : [];
  }));
};

/** @returns a sentence for each object */
export const unserved = (objects: readonly KubeObject[]): readonly string[] => objects.filter(({ kind }) => kind === 'Pod' || WORKLOAD_KINDS.has(kind)).flatMap((object) => {
  const found = hostPorts(object);
  return found.length === 0 ? [] : [`${object.kind} ${object.namespace}/${object.name}: ${found.join(', ')}: a hostPort is not served yet; the pod answers at its own address, and a Service may have a node port`];
});
