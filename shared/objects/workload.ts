/** Whose a pod is, as people name it. Pure. */
import { isObject, member, type PlainObject } from './refusal.ts';

export interface Workload { readonly kind: string; readonly name: string }

const TEMPLATE_HASH = 'pod-template-hash';

/**
 * The controller of a pod. The ReplicaSet of a Deployment is named by its Deployment and the hash of the template, which the pod carries
 * as a label: people mean the Deployment.
 */
export const workloadOf = (metadata: PlainObject): Workload | undefined => {
  const [owners, labels] = [member(metadata, 'ownerReferences'), member(metadata, 'labels')];
  const owner = Array.isArray(owners) ? (owners as readonly unknown[]).filter(isObject).find((reference) => member(reference, 'controller') === true) : undefined; // Array.isArray says any[]
  const [kind, name] = owner === undefined ? [undefined, undefined] : [member(owner, 'kind'), member(owner, 'name')];
  if (typeof kind !== 'string' || typeof name !== 'string') return undefined;
  const hash = isObject(labels) ? member(labels, TEMPLATE_HASH) : undefined;
  return kind === 'ReplicaSet' && typeof hash === 'string' && hash !== '' && name.endsWith(`-${hash}`) && name.length > hash.length + 1 ? { kind: 'Deployment', name: name.slice(0, -hash.length - 1) } : { kind, name };
};
