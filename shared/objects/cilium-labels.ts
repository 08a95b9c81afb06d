/**
 * Selectors of Cilium's policies: over a whole security label set, every key with its source in front. No source written is `any:`; a key such as
 * `k8s.app` has none. In a policy of a namespace a selector means that namespace, unless it says otherwise. Pure.
 */
import { NAMESPACE_LABEL, NAMESPACE_LABELS_PREFIX, formatPrefix, parsePrefix, RESERVED_IDENTITY, type Requirement, type Selector } from '@seine/model';

import { isLabelKey, isLabelValue, LABEL_KEY_TEXT, LABEL_VALUE_TEXT, readLabelValues, SELECTOR_OPERATORS } from './names.ts';
import { isObject, listAt, member, objectAt, onlyMembers, type Faults } from './refusal.ts';

/** `unknown` is an identity without labels; `none` a label that nobody has. */
const RESERVED_NAMES: readonly string[] = [...Object.keys(RESERVED_IDENTITY).filter((name) => name !== 'unknown'), 'none'];

const K8S_NAMESPACE = `k8s:${NAMESPACE_LABEL}`;
const NAMESPACE_KEYS: readonly string[] = [K8S_NAMESPACE, `any:${NAMESPACE_LABEL}`];
const NAMESPACE_LABEL_KEYS: readonly string[] = [`k8s:${NAMESPACE_LABELS_PREFIX}`, `any:${NAMESPACE_LABELS_PREFIX}`];

const INSTEAD: Readonly<Record<string, string>> = {
  fqdn: 'no key of source fqdn here; write toFQDNs', cidrgroup: 'no key of source cidrgroup here; write fromCIDRSet or toCIDRSet with cidrGroupRef or cidrGroupSelector',
};

/** `cidr:10.0.0.0/8`; Cilium writes the colons of IPv6 in labels as dashes. */
const cidrKey = (name: string): string | undefined => {
  const prefix = parsePrefix(name.includes('.') ? name : name.replaceAll('-', ':'));
  return prefix === undefined ? undefined : `cidr:${formatPrefix(prefix)}`;
};

const sourcedKey = (found: Faults, field: string, key: unknown): string | undefined => {
  const text = typeof key === 'string' ? key : '';
  const colon = text.indexOf(':');
  const [source, name] = colon < 0 ? ['any', text] : [text.slice(0, colon), text.slice(colon + 1)];
  const refused = (expected: string): undefined => { found.refuse(field, key, expected); return undefined; };
  switch (source) {
    case 'any': case 'k8s': {
      const plain = name.startsWith(NAMESPACE_LABELS_PREFIX) ? name.slice(NAMESPACE_LABELS_PREFIX.length) : name;
      return isLabelKey(plain) ? `${source}:${name}` : refused(`${LABEL_KEY_TEXT}, with or without its source (k8s:, any:) in front`);
    }
    case 'reserved': return RESERVED_NAMES.includes(name) ? `reserved:${name}` : refused(`a reserved label: one of ${RESERVED_NAMES.map((known) => `reserved:${known}`).join(', ')}`);
    case 'cidr': return cidrKey(name) ?? refused('a CIDR after cidr:, such as cidr:10.0.0.0/8');
    default: return refused(Object.hasOwn(INSTEAD, source) ? INSTEAD[source]! : 'a source of labels before the colon: one of k8s, any, reserved, cidr');
  }
};

const valuesAt = (found: Faults, field: string, operator: 'In' | 'NotIn', value: unknown): readonly string[] => {
  const values = listAt(found, field, value) ?? [];
  if (values.length === 0) found.refuse(field, values, `at least one value with ${operator}`);
  return readLabelValues(found, field, values);
};

type KeyReader = (found: Faults, field: string, key: unknown) => string | undefined;

const readExpression = (found: Faults, field: string, value: unknown, readKey: KeyReader): Requirement | undefined => {
  const item = objectAt(found, field, value);
  onlyMembers(found, field, item, ['key', 'operator', 'values']);
  const key = readKey(found, `${field}.key`, member(item, 'key'));
  const operator = SELECTOR_OPERATORS.find((candidate) => candidate === member(item, 'operator'));
  if (operator === undefined) { found.refuse(`${field}.operator`, member(item, 'operator'), `one of ${SELECTOR_OPERATORS.join(', ')}`); return undefined; }
  if (operator === 'In' || operator === 'NotIn') {
    const values = valuesAt(found, `${field}.values`, operator, member(item, 'values'));
    return key === undefined ? undefined : { key, operator, values };
  }
  const values = listAt(found, `${field}.values`, member(item, 'values')) ?? [];
  if (values.length > 0) found.refuse(`${field}.values`, values, `no values with ${operator}`);
  return key === undefined ? undefined : { key, operator };
};

interface ReadSelector { readonly labels: Selector; readonly expressions: Selector }

const readSelectorOf = (found: Faults, field: string, value: unknown, readKey: KeyReader): ReadSelector => {
  if (!isObject(value)) { found.refuse(field, value, 'a label selector; {} selects everything that it may'); return { labels: [], expressions: [] }; }
  onlyMembers(found, field, value, ['matchLabels', 'matchExpressions']);
  const labels = Object.entries(objectAt(found, `${field}.matchLabels`, member(value, 'matchLabels'))).flatMap(([written, text]): Requirement[] => {
    const key = readKey(found, `${field}.matchLabels.${written}`, written);
    if (typeof text !== 'string' || !isLabelValue(text)) { found.refuse(`${field}.matchLabels.${written}`, text, LABEL_VALUE_TEXT); return []; }
    return key === undefined ? [] : [{ key, operator: 'In', values: [text] }];
  });
  const expressions = (listAt(found, `${field}.matchExpressions`, member(value, 'matchExpressions')) ?? [])
    .flatMap((expression, index) => readExpression(found, `${field}.matchExpressions[${index}]`, expression, readKey) ?? []);
  return { labels, expressions };
};

const namesNamespace = (selector: Selector): boolean => selector.some(({ key }) => NAMESPACE_KEYS.includes(key));
const namesNamespaceLabels = (selector: Selector): boolean => selector.some(({ key }) => NAMESPACE_LABEL_KEYS.some((prefix) => key.startsWith(prefix)));
const namesReserved = (selector: Selector): boolean => selector.some(({ key }) => key.startsWith('reserved:'));

export const namesInit = (selector: Selector): boolean => selector.some(({ key }) => key === 'reserved:init');

const inNamespace = (namespace: string): Requirement => ({ key: K8S_NAMESPACE, operator: 'In', values: [namespace] });
const IN_SOME_NAMESPACE: Requirement = { key: K8S_NAMESPACE, operator: 'Exists' };

/** Whom a policy is for. A policy of a namespace never leaves it: another namespace among matchLabels is replaced by its own. */
export const readSubjectLabels = (found: Faults, field: string, value: unknown, namespace: string): Selector => {
  const { labels, expressions } = readSelectorOf(found, field, value, sourcedKey);
  if (namespace !== '') return [...labels.filter(({ key }) => key !== K8S_NAMESPACE), ...expressions, inNamespace(namespace)];
  const selector = [...labels, ...expressions];
  return namesReserved(selector) || namesNamespace(selector) ? selector : [...selector, IN_SOME_NAMESPACE];
};

/** @param subjectIsInit the policy is for initializing pods, which have no namespace: a clusterwide selector then means them too */
export const readPeerLabels = (found: Faults, field: string, value: unknown, namespace: string, subjectIsInit: boolean): Selector => {
  const { labels, expressions } = readSelectorOf(found, field, value, sourcedKey);
  const selector = [...labels, ...expressions];
  if (namesReserved(selector) || namesNamespace(selector)) return selector;
  if (namespace === '') return subjectIsInit ? selector : [...selector, IN_SOME_NAMESPACE];
  return namesNamespaceLabels(selector) ? selector : [...selector, inNamespace(namespace)];
};

const plainKey = (sources: readonly string[]) => (found: Faults, field: string, key: unknown): string | undefined => {
  const colon = typeof key === 'string' ? key.indexOf(':') : -1;
  const plain = typeof key === 'string' && sources.includes(key.slice(0, Math.max(colon, 0))) ? key.slice(colon + 1) : key;
  if (typeof plain === 'string' && isLabelKey(plain)) return plain;
  found.refuse(field, key, `${LABEL_KEY_TEXT}, with or without ${sources.map((source) => `${source}:`).join(' or ')} in front`);
  return undefined;
};

/** Selectors over the plain labels of an object (a node, a service, a group): a source in front says nothing there. */
export const readPlainLabels = (found: Faults, field: string, value: unknown, sources: readonly string[]): Selector => {
  const { labels, expressions } = readSelectorOf(found, field, value, plainKey(sources));
  return [...labels, ...expressions];
};
