/** How people name the ends of a probe: `ns/pod`, `ns/deployment`, `svc:ns/name`, `node:n1`, `external`, an address. Pure. */
import { parseAddress, SeineError } from '@seine/model';
import { isObject, member, workloadOf, type KubeObject } from '@seine/objects';

import { nodeAddress, nodeOf, podAddress } from './expand.ts';

export const EXTERNAL_ADDRESS = '192.168.50.200';

export type Party =
  | { readonly type: 'pod'; readonly name: string; readonly address: string; readonly node: string; readonly pod: KubeObject }
  | { readonly type: 'service'; readonly name: string; readonly address: string; readonly service: KubeObject }
  | { readonly type: 'node'; readonly name: string; readonly address: string }
  | { readonly type: 'external'; readonly name: string; readonly address: string };

const unknown = (text: string, expected: string): SeineError => new SeineError('SEINE_INPUT_INVALID', `${text}: ${expected}`);

const at = (object: unknown, ...path: readonly string[]): unknown => path.reduce<unknown>((value, name) => (isObject(value) ? member(value, name) : undefined), object);

const ownerOf = (pod: KubeObject): string | undefined => { const metadata = at(pod.raw, 'metadata'); return isObject(metadata) ? workloadOf(metadata)?.name : undefined; };

/** @throws SEINE_INPUT_INVALID naming what was expected */
export const resolveParty = (text: string, objects: readonly KubeObject[]): Party => {
  if (text === 'external') return { type: 'external', name: text, address: EXTERNAL_ADDRESS };
  const pods = objects.filter(({ kind }) => kind === 'Pod');
  const asPod = (pod: KubeObject): Party => {
    const address = podAddress(pod);
    const node = nodeOf(pod);
    if (address === undefined || node === undefined) throw unknown(text, `pod ${pod.namespace}/${pod.name} has no address: it is not running`);
    return { type: 'pod', name: `${pod.namespace}/${pod.name}`, address, node, pod };
  };
  if (parseAddress(text) !== undefined) {
    const pod = pods.find((candidate) => podAddress(candidate) === text && at(candidate.raw, 'spec', 'hostNetwork') !== true);
    if (pod !== undefined) return asPod(pod);
    const node = objects.find((object) => object.kind === 'Node' && JSON.stringify(at(object.raw, 'status', 'addresses') ?? []).includes(`"${text}"`));
    return node === undefined ? { type: 'external', name: text, address: text } : { type: 'node', name: `node:${node.name}`, address: text };
  }
  if (text.startsWith('node:')) {
    const node = objects.find(({ kind, name }) => kind === 'Node' && name === text.slice(5));
    const address = node === undefined ? undefined : nodeAddress(node);
    if (address === undefined) throw unknown(text, `expected one of ${objects.filter(({ kind }) => kind === 'Node').map(({ name }) => `node:${name}`).join(', ')}`);
    return { type: 'node', name: text, address };
  }
  const service = text.startsWith('svc:');
  const [namespace, name, ...rest] = (service ? text.slice(4) : text).split('/');
  if (namespace === undefined || name === undefined || rest.length > 0) throw unknown(text, 'expected ns/pod, ns/deployment, svc:ns/name, node:NAME, external, or an address');
  if (service) {
    const found = objects.find((object) => object.kind === 'Service' && object.namespace === namespace && object.name === name);
    const address = found === undefined ? undefined : at(found.raw, 'spec', 'clusterIP') ?? (at(found.raw, 'spec', 'clusterIPs') as readonly unknown[] | undefined)?.[0];
    if (found === undefined) throw unknown(text, `no Service ${namespace}/${name}`);
    if (typeof address !== 'string' || address === 'None') throw unknown(text, 'expected a Service with a ClusterIP');
    return { type: 'service', name: text, address, service: found };
  }
  const own = pods.filter((pod) => pod.namespace === namespace);
  const exact = own.find((pod) => pod.name === name);
  if (exact !== undefined) return asPod(exact);
  const running = own.filter((pod) => ownerOf(pod) === name && podAddress(pod) !== undefined).sort((a, b) => (a.name < b.name ? -1 : 1));
  if (running[0] === undefined) throw unknown(text, `no pod or workload ${namespace}/${name}${own.length > 0 ? `; in ${namespace} there are ${[...new Set(own.map((pod) => ownerOf(pod) ?? pod.name))].slice(0, 8).join(', ')}` : ''}`);
  return asPod(running[0]);
};
