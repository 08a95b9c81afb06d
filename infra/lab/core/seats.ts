/**
 * A case brings nodes of its own names; a lab has n1..nN. Each node of the case takes a seat: a lab node that plays it, with its labels. Pure.
 */
import { isObject, member, WORKLOAD_KINDS, type KubeObject, type PlainObject } from '@seine/objects';

import { nodeOf } from './expand.ts';

export interface Seated {
  readonly objects: readonly KubeObject[];
  /** `node:worker-a` or the node's address → `node:n1`; everything else as it is. */
  readonly party: (text: string) => string;
  /** The case's own name of a lab node. */
  readonly nameOf: (labNode: string) => string;
}

const plain = (value: unknown): PlainObject => (isObject(value) ? value : {});

const templateNode = (workload: KubeObject): unknown => member(plain(member(plain(member(plain(workload.raw['spec']), 'template')), 'spec')), 'nodeName');

/** Names of nodes that objects speak of, in the order in which they come up. */
export const nodesNamed = (objects: readonly KubeObject[]): readonly string[] => [...new Set([
  ...objects.filter(({ kind }) => kind === 'Node').map(({ name }) => name),
  ...objects.flatMap((object) => (object.kind === 'Pod' ? nodeOf(object) ?? [] : WORKLOAD_KINDS.has(object.kind) ? templateNode(object) ?? [] : [])).filter((name): name is string => typeof name === 'string' && name !== ''),
])];

const renamed = (object: KubeObject, seats: ReadonlyMap<string, string>): KubeObject => {
  const spec = plain(object.raw['spec']);
  if (object.kind === 'Node') {
    const name = seats.get(object.name) ?? object.name;
    return { ...object, name, raw: { ...object.raw, metadata: { ...plain(object.raw['metadata']), name } } };
  }
  if (object.kind === 'Pod') {
    const seat = seats.get(nodeOf(object) ?? '');
    return seat === undefined ? object : { ...object, raw: { ...object.raw, spec: { ...spec, nodeName: seat } } };
  }
  const seat = WORKLOAD_KINDS.has(object.kind) ? seats.get(String(templateNode(object))) : undefined;
  if (seat === undefined) return object;
  const template = plain(member(spec, 'template'));
  return { ...object, raw: { ...object.raw, spec: { ...spec, template: { ...template, spec: { ...plain(member(template, 'spec')), nodeName: seat } } } } };
};

/** A node that has a lab node's name keeps it; the others take what is free, in order; who finds no seat stays where no pod can run. */
export const seatNodes = (objects: readonly KubeObject[], labNodes: readonly string[]): Seated => {
  const named = nodesNamed(objects);
  const free = labNodes.filter((name) => !named.includes(name));
  const seats = new Map(named.flatMap((name): readonly (readonly [string, string])[] => {
    const seat = labNodes.includes(name) ? name : free.shift();
    return seat === undefined ? [] : [[name, seat]];
  }));
  const byAddress = new Map(objects.filter(({ kind }) => kind === 'Node').flatMap((node) => {
    const addresses = member(plain(node.raw['status']), 'addresses');
    const seat = seats.get(node.name);
    return seat === undefined || !Array.isArray(addresses) ? [] : (addresses as readonly unknown[]).map((item) => [String(member(plain(item), 'address')), seat] as const); // Array.isArray says any[]
  }));
  const owners = new Map([...seats].map(([name, seat]) => [seat, name]));
  return {
    objects: objects.map((object) => renamed(object, seats)),
    party: (text) => {
      const seat = text.startsWith('node:') ? seats.get(text.slice(5)) : byAddress.get(text);
      return seat === undefined ? text : `node:${seat}`;
    },
    nameOf: (labNode) => owners.get(labNode) ?? labNode,
  };
};
