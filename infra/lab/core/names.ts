/** How people name the ends of a probe: `ns/pod`, `ns/deployment`, `svc:ns/name`, `node:n1`, `external`, an address. Pure. */
import { familyOf, formatAddress, parseAddress, SeineError, type IpFamily } from '@seine/model';
import { isObject, member, workloadOf, type KubeObject } from '@seine/objects';

import { clusterIPs, EXTERNAL_ADDRESSES, familiesOf, nodeAddress, nodeOf, podAddress, serviceAddresses } from './expand.ts';

export type Party =
  | { readonly type: 'pod'; readonly name: string; readonly address: string; readonly node: string; readonly pod: KubeObject }
  | { readonly type: 'service'; readonly name: string; readonly address: string; readonly service: KubeObject }
  | { readonly type: 'node'; readonly name: string; readonly address: string }
  | { readonly type: 'external'; readonly name: string; readonly address: string };

const unknown = (text: string, expected: string): SeineError => new SeineError('SEINE_INPUT_INVALID', `${text}: ${expected}`);

const at = (object: unknown, ...path: readonly string[]): unknown => path.reduce<unknown>((value, name) => (isObject(value) ? member(value, name) : undefined), object);

const ownerOf = (pod: KubeObject): string | undefined => { const metadata = at(pod.raw, 'metadata'); return isObject(metadata) ? workloadOf(metadata)?.name : undefined; };

/** Why a Service has no address of its own: its name is all there is to it. */
const noClusterIp = ({ raw }: KubeObject): string => {
  const spec = at(raw, 'spec');
  if (at(spec, 'type') === 'ExternalName') return `an ExternalName Service: its name stands for ${at(spec, 'externalName') === undefined ? 'another name' : String(at(spec, 'externalName'))} in DNS, and nothing is translated; expected a Service with a ClusterIP`;
  return at(spec, 'clusterIP') === 'None' || JSON.stringify(at(spec, 'clusterIPs')) === '["None"]' ?
    'a headless Service: its name stands for its pods\' own addresses in DNS, and nothing is translated; expected one of its pods, or a Service with a ClusterIP' : 'expected a Service with a ClusterIP: this one has none yet';
};

/** Who is asked about: names, and the family in which they speak. */
export interface ProbeEnds { readonly from: string; readonly to: string; readonly family?: IpFamily }

/** An echo request of each family. */
export const ECHO_TYPE = { 4: 8, 6: 128 } as const satisfies Record<IpFamily, number>;

/** The family that a probe says, or that of an address in it, or the cluster's first. @throws SEINE_INPUT_INVALID where they differ */
export const familyOfEnds = ({ from, to, family }: ProbeEnds, objects: readonly KubeObject[]): IpFamily => {
  const addresses = [from, to].filter((text) => parseAddress(text) !== undefined);
  const wanted = family ?? (addresses[0] === undefined ? familiesOf(objects)[0]! : familyOf(addresses[0])); // never empty
  const other = addresses.find((address) => familyOf(address) !== wanted);
  if (other !== undefined) throw unknown(other, `expected an IPv${wanted} address${family === undefined ? ', as the other end has' : ': the probe\'s family is ' + String(family)}`);
  return wanted;
};

const lacks = (text: string, family: IpFamily): SeineError => unknown(text, `has no IPv${family} address: expected family ${family === 4 ? 6 : 4}, or a cluster with both`);

/**
 * @param family in which it is spoken to; an address has its own, anybody else that of the cluster which comes first
 * @throws SEINE_INPUT_INVALID naming what was expected
 */
export const resolveParty = (text: string, objects: readonly KubeObject[], family: IpFamily = parseAddress(text) === undefined ? familiesOf(objects)[0]! : familyOf(text)): Party => {
  if (text === 'external') return { type: 'external', name: text, address: EXTERNAL_ADDRESSES[family] };
  const pods = objects.filter(({ kind }) => kind === 'Pod');
  const asPod = (pod: KubeObject): Party => {
    const address = podAddress(pod, family);
    const node = nodeOf(pod);
    if (podAddress(pod) === undefined || node === undefined) throw unknown(text, `pod ${pod.namespace}/${pod.name} has no address: it is not running`);
    if (address === undefined) throw lacks(text, family);
    return { type: 'pod', name: `${pod.namespace}/${pod.name}`, address, node, pod };
  };
  const bytes = parseAddress(text);
  if (bytes !== undefined) {
    const address = formatAddress(bytes);
    const pod = pods.find((candidate) => podAddress(candidate, family) === address && at(candidate.raw, 'spec', 'hostNetwork') !== true);
    if (pod !== undefined) return asPod(pod);
    const node = objects.find((object) => object.kind === 'Node' && JSON.stringify(at(object.raw, 'status', 'addresses') ?? []).includes(`"${address}"`));
    if (node !== undefined) return { type: 'node', name: `node:${node.name}`, address };
    const service = objects.find((object) => object.kind === 'Service' && serviceAddresses(object).includes(address));
    return service === undefined ? { type: 'external', name: text, address } : { type: 'service', name: `svc:${service.namespace}/${service.name}`, address, service };
  }
  if (text.startsWith('node:')) {
    const node = objects.find(({ kind, name }) => kind === 'Node' && name === text.slice(5));
    if (node === undefined || nodeAddress(node) === undefined) throw unknown(text, `expected one of ${objects.filter(({ kind }) => kind === 'Node').map(({ name }) => `node:${name}`).join(', ')}`);
    const address = nodeAddress(node, family);
    if (address === undefined) throw lacks(text, family);
    return { type: 'node', name: text, address };
  }
  const service = text.startsWith('svc:');
  const [namespace, name, ...rest] = (service ? text.slice(4) : text).split('/');
  if (namespace === undefined || name === undefined || rest.length > 0) throw unknown(text, 'expected ns/pod, ns/deployment, svc:ns/name, node:NAME, external, or an address');
  if (service) {
    const found = objects.find((object) => object.kind === 'Service' && object.namespace === namespace && object.name === name);
    if (found === undefined) throw unknown(text, `no Service ${namespace}/${name}`);
    const addresses = clusterIPs(found);
    if (addresses.length === 0) throw unknown(text, noClusterIp(found));
    const address = addresses.find((candidate) => familyOf(candidate) === family);
    if (address === undefined) throw lacks(text, family);
    return { type: 'service', name: text, address, service: found };
  }
  const own = pods.filter((pod) => pod.namespace === namespace);
  const exact = own.find((pod) => pod.name === name);
  if (exact !== undefined) return asPod(exact);
  const running = own.filter((pod) => ownerOf(pod) === name && podAddress(pod) !== undefined).sort((a, b) => (a.name < b.name ? -1 : 1));
  if (running[0] === undefined) throw unknown(text, `no pod or workload ${namespace}/${name}${own.length > 0 ? `; in ${namespace} there are ${[...new Set(own.map((pod) => ownerOf(pod) ?? pod.name))].slice(0, 8).join(', ')}` : ''}`);
  return asPod(running[0]);
};
