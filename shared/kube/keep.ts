/** What of an object leaves the cluster: a list of members for each kind, and nothing else. Pure. */
import { isObject, member, type PlainObject } from '@seine/objects';

/** `true`: whole as it is. A record: these members. A list of one: of each entry. */
export type Mask = true | { readonly [name: string]: Mask } | readonly [Mask];

const isList = (mask: Mask): mask is readonly [Mask] => Array.isArray(mask);

/** @returns undefined where nothing is left: what has another shape than its mask is not let through unseen */
export const masked = (mask: Mask, value: unknown): unknown => {
  if (value === null || value === undefined) return undefined;
  if (mask === true) return value;
  if (isList(mask)) {
    if (!Array.isArray(value)) return undefined;
    const items = (value as readonly unknown[]).flatMap((item) => masked(mask[0], item) ?? []); // Array.isArray says any[]
    return items.length === 0 ? undefined : items;
  }
  if (!isObject(value)) return undefined;
  const members = Object.entries(mask).flatMap(([name, inner]) => { const kept = masked(inner, member(value, name)); return kept === undefined ? [] : [[name, kept] as const]; });
  return members.length === 0 ? undefined : Object.fromEntries(members);
};

const SERVICE_ANNOTATIONS = ['affinity', 'forwarding-mode', 'global', 'global-sync-endpoint-slices', 'lb-algorithm', 'lb-l7', 'node', 'node-selector', 'proxy-delegation', 'shared', 'src-ranges-policy', 'type', 'weight'];
const OWN_PREFIX = 'seine.network/';
/** What users of Cilium set to say how traffic goes. */
const ANNOTATIONS: ReadonlySet<string> = new Set([
  ...SERVICE_ANNOTATIONS.map((name) => `service.cilium.io/${name}`), 'lbipam.cilium.io/ips', 'lbipam.cilium.io/sharing-key',
  'kubernetes.io/ingress-bandwidth', 'kubernetes.io/egress-bandwidth', 'bandwidth.cilium.io/priority', 'cni.cilium.io/mac-address', 'policy.cilium.io/no-track-port', 'ipam.cilium.io/ip-pool',
]);

/** Every other one stays in the cluster. Of Seine's own all: one that is spelled wrong is refused, not lost. */
const isKeptAnnotation = (key: string): boolean => key.startsWith(OWN_PREFIX) || ANNOTATIONS.has(key);

const sorted = (value: unknown, wanted: (key: string) => boolean): unknown => {
  if (!isObject(value)) return undefined;
  const entries = Object.entries(value).filter(([key]) => wanted(key)).sort(([a], [b]) => (a < b ? -1 : 1));
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
};

/** Who wrote the object last, of those that do not only report its status: an entry of managedFields without its fields. */
const lastManager = (managedFields: unknown): unknown => {
  if (!Array.isArray(managedFields)) return undefined;
  const writers = (managedFields as readonly unknown[]).filter(isObject).filter((entry) => member(entry, 'subresource') === undefined && typeof member(entry, 'time') === 'string'); // Array.isArray says any[]
  const last = writers.reduce<PlainObject | undefined>((latest, entry) => (latest === undefined || String(member(entry, 'time')) >= String(member(latest, 'time')) ? entry : latest), undefined);
  return last === undefined ? undefined : [masked({ manager: true, operation: true, time: true }, last)];
};

const metadata = (raw: PlainObject, { managers, deletion, withUid }: { readonly managers: boolean; readonly deletion: boolean; readonly withUid: boolean }): PlainObject => {
  const given = member(raw, 'metadata');
  const own: PlainObject = isObject(given) ? given : {};
  const controllers = member(own, 'ownerReferences');
  const entries: readonly (readonly [string, unknown])[] = [
    ['name', member(own, 'name')], ['namespace', member(own, 'namespace') ?? undefined], ['uid', withUid ? member(own, 'uid') ?? undefined : undefined],
    ['deletionTimestamp', deletion ? member(own, 'deletionTimestamp') ?? undefined : undefined],
    ['labels', sorted(member(own, 'labels'), () => true)],
    ['annotations', sorted(member(own, 'annotations'), isKeptAnnotation)],
    ['ownerReferences', masked([{ kind: true, name: true, controller: true }], Array.isArray(controllers) ? controllers.filter((owner) => isObject(owner) && member(owner, 'controller') === true) : undefined)],
    ['managedFields', managers ? lastManager(member(own, 'managedFields')) : undefined],
  ];
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined));
};

/** `deletion`: also since when it is being deleted. */
export interface Kept { readonly mask: Mask; readonly managers?: boolean; readonly deletion?: boolean }

/**
 * The part of an object that Seine reads, in an order that does not depend on the server.
 * @param raw one item of a list, which names neither apiVersion nor kind
 * @param withUid a uid tells an object from another that had its name before; it says nothing to a person
 */
export const keep = (apiVersion: string, kind: string, { mask, managers, deletion }: Kept, raw: unknown, withUid = false): PlainObject => {
  const object: PlainObject = isObject(raw) ? raw : {};
  const rest = masked(mask, object);
  return { apiVersion, kind, metadata: metadata(object, { managers: managers === true, deletion: deletion === true, withUid }), ...(isObject(rest) ? rest : {}) };
};
