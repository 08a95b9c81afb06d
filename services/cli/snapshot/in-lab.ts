/** A snapshot for the lab, which has nodes and addresses of its own: what people wrote stays, where it ran does not. Pure. */
import { isObject, member, type KubeObject, type PlainObject } from '@seine/objects';

const partOf = (raw: PlainObject, name: string): PlainObject => { const part = member(raw, name); return isObject(part) ? part : {}; };
const without = (object: PlainObject, ...names: readonly string[]): PlainObject => Object.fromEntries(Object.entries(object).filter(([name]) => !names.includes(name)));

/** Of another cluster's machinery: its nodes, where its backends are, and agents that share a node's network. */
const staysBehind = ({ kind, raw }: KubeObject): boolean => kind === 'Node' || kind === 'EndpointSlice' || (kind === 'Pod' && partOf(raw, 'spec')['hostNetwork'] === true);

const unplaced = (object: KubeObject): KubeObject => (object.kind !== 'Pod' ? object :
  { ...object, raw: { ...object.raw, spec: without(partOf(object.raw, 'spec'), 'nodeName'), status: without(partOf(object.raw, 'status'), 'podIP', 'podIPs') } });

export interface InLab { readonly objects: readonly KubeObject[]; readonly warning: string }

export const inLab = (objects: readonly KubeObject[]): InLab => {
  const kept = objects.filter((object) => !staysBehind(object)).map(unplaced);
  const count = (of: readonly KubeObject[], kind: string): number => of.filter((object) => object.kind === kind).length;
  const behind = objects.filter(staysBehind);
  return {
    objects: kept,
    warning: `a snapshot: its ${count(behind, 'Node')} Nodes, ${count(behind, 'EndpointSlice')} EndpointSlices and ${count(behind, 'Pod')} pods of host networks stay behind, its ${count(kept, 'Pod')} pods run on the lab's nodes`,
  };
};
