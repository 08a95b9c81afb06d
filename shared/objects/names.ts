/** Names, labels and selectors as Kubernetes allows them. Pure. */
import type { Requirement, Selector } from '@seine/model';

import { listAt, member, objectAt, onlyMembers, type Faults } from './refusal.ts';

const LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const QUALIFIED = /^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/;
const VALUE = /^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/;

export const isDnsLabel = (text: string): boolean => text.length <= 63 && LABEL.test(text);
export const isDnsSubdomain = (text: string): boolean => text.length <= 253 && SUBDOMAIN.test(text);

export const isLabelKey = (text: string): boolean => {
  const slash = text.indexOf('/');
  if (slash < 0) return text.length <= 63 && QUALIFIED.test(text);
  const name = text.slice(slash + 1);
  return isDnsSubdomain(text.slice(0, slash)) && name.length <= 63 && QUALIFIED.test(name);
};
export const isLabelValue = (text: string): boolean => text.length <= 63 && VALUE.test(text);

/** IANA service name: what a named port may be called. */
export const isPortName = (text: string): boolean => text.length <= 15 && /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/.test(text) && /[a-z]/.test(text) && !text.includes('--');

export const LABEL_KEY_TEXT = 'a label key: an optional DNS subdomain and "/", then at most 63 of [A-Za-z0-9-_.]';
export const LABEL_VALUE_TEXT = 'a label value: at most 63 of [A-Za-z0-9-_.], beginning and ending with a letter or digit';

/** A label map in a null-prototype record. */
export const readLabels = (found: Faults, field: string, value: unknown): Readonly<Record<string, string>> => {
  const labels = Object.create(null) as Record<string, string>;
  for (const [key, text] of Object.entries(objectAt(found, field, value))) {
    if (!isLabelKey(key)) found.refuse(`${field}.${key}`, key, LABEL_KEY_TEXT);
    else if (typeof text !== 'string' || !isLabelValue(text)) found.refuse(`${field}.${key}`, text, LABEL_VALUE_TEXT);
    else labels[key] = text;
  }
  return labels;
};

export const readLabelValues = (found: Faults, field: string, values: readonly unknown[]): readonly string[] => values.filter((text, index): text is string => {
  if (typeof text === 'string' && isLabelValue(text)) return true;
  found.refuse(`${field}[${index}]`, text, LABEL_VALUE_TEXT);
  return false;
});

export const SELECTOR_OPERATORS = ['In', 'NotIn', 'Exists', 'DoesNotExist'] as const;

const readRequirement = (found: Faults, field: string, value: unknown): Requirement | undefined => {
  const item = objectAt(found, field, value);
  onlyMembers(found, field, item, ['key', 'operator', 'values']);
  const key = member(item, 'key');
  const operator = SELECTOR_OPERATORS.find((candidate) => candidate === member(item, 'operator'));
  const isKey = typeof key === 'string' && isLabelKey(key);
  if (!isKey) found.refuse(`${field}.key`, key, LABEL_KEY_TEXT);
  if (operator === undefined) { found.refuse(`${field}.operator`, member(item, 'operator'), `one of ${SELECTOR_OPERATORS.join(', ')}`); return undefined; }
  const values = listAt(found, `${field}.values`, member(item, 'values')) ?? [];
  if (operator === 'Exists' || operator === 'DoesNotExist') {
    if (values.length > 0) found.refuse(`${field}.values`, values, `no values with ${operator}`);
    return isKey ? { key, operator } : undefined;
  }
  if (values.length === 0) found.refuse(`${field}.values`, values, `at least one value with ${operator}`);
  const texts = readLabelValues(found, `${field}.values`, values);
  return isKey ? { key, operator, values: texts } : undefined;
};

/** A LabelSelector in normal form; {} is the empty selector, which matches everything. */
export const readSelector = (found: Faults, field: string, value: unknown): Selector => {
  const selector = objectAt(found, field, value);
  onlyMembers(found, field, selector, ['matchLabels', 'matchExpressions']);
  const labels = Object.entries(readLabels(found, `${field}.matchLabels`, member(selector, 'matchLabels')));
  const expressions = listAt(found, `${field}.matchExpressions`, member(selector, 'matchExpressions')) ?? [];
  return [
    ...labels.map(([key, text]): Requirement => ({ key, operator: 'In', values: [text] })),
    ...expressions.flatMap((expression, index) => readRequirement(found, `${field}.matchExpressions[${index}]`, expression) ?? []),
  ];
};
