/**
 * The ConfigMap of ip-masq-agent: where pods speak to the world with their own addresses although their cluster is masqueraded. One object of the
 * cluster, by its name; every other ConfigMap is nobody's business. Pure.
 */
import type { IpMasqAgentData } from '@seine/events';
import { formatPrefix, parseAddress, parsePrefix } from '@seine/model';
import { parseDocument } from 'yaml';

import type { KubeObject } from './object.ts';
import { isObject, listAt, member, objectAt, onlyMembers, type Faults, type PlainObject } from './refusal.ts';

export const IP_MASQ_AGENT = { kind: 'ConfigMap', namespace: 'kube-system', name: 'ip-masq-agent' } as const;

export const isIpMasqAgent = ({ kind, namespace, name }: Pick<KubeObject, 'kind' | 'namespace' | 'name'>): boolean =>
  kind === IP_MASQ_AGENT.kind && namespace === IP_MASQ_AGENT.namespace && name === IP_MASQ_AGENT.name;

/** Of ip-masq-agent: more ranges than these are taken for a mistake, unless `cidrLimit` says so. */
const CIDR_LIMIT = 64;
/** What a node has room for beside its cluster's pods. */
const MOST_CIDRS = 4096;
/** Go's way to write a time. */
const DURATION = /^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$/;
const CONFIG = 'data.config';

const booleanAt = (found: Faults, config: PlainObject, name: string): boolean => {
  const value = member(config, name) ?? false;
  if (typeof value !== 'boolean') found.refuse(`${CONFIG}.${name}`, value, 'true or false');
  return value === true;
};

/** @returns the one spelling that a range has; undefined (with a fault) where it is none, or does not begin at its own first address */
const rangeAt = (found: Faults, field: string, value: unknown): string | undefined => {
  const prefix = typeof value === 'string' && value.includes('/') ? parsePrefix(value) : undefined;
  if (prefix === undefined) { found.refuse(field, value, 'a CIDR such as 10.0.0.0/8 or fd00::/8'); return undefined; }
  const [address] = String(value).split('/');
  if (parseAddress(address!)!.some((byte, index) => byte !== prefix.address[index])) { found.refuse(field, value, `a CIDR that begins at its own first address: ${formatPrefix(prefix)}`); return undefined; }
  return formatPrefix(prefix);
};

const configOf = (found: Faults, text: unknown): PlainObject => {
  if (typeof text !== 'string') { found.refuse(CONFIG, text, 'the configuration of ip-masq-agent as text: YAML or JSON'); return {}; }
  const document = parseDocument(text, { prettyErrors: false });
  const parsed: unknown = document.errors.length > 0 ? undefined : document.toJS({ maxAliasCount: 0 }) ?? {};
  if (isObject(parsed)) return parsed;
  found.refuse(CONFIG, text, document.errors.length > 0 ? `YAML or JSON: ${document.errors[0]!.message}` : 'an object as YAML or JSON');
  return {};
};

/** What it says; each member that it does not say is the agent's default, which is the reader's business. */
export const readIpMasqAgent = (found: Faults, object: KubeObject): IpMasqAgentData => {
  const config = configOf(found, member(objectAt(found, 'data', member(object.raw, 'data')), 'config'));
  onlyMembers(found, CONFIG, config, ['nonMasqueradeCIDRs', 'masqLinkLocal', 'masqLinkLocalIPv6', 'resyncInterval', 'cidrLimit']);
  const listed = listAt(found, `${CONFIG}.nonMasqueradeCIDRs`, member(config, 'nonMasqueradeCIDRs'));
  const limit = member(config, 'cidrLimit') ?? CIDR_LIMIT;
  if (!(typeof limit === 'number' && Number.isInteger(limit) && limit >= 0 && limit <= MOST_CIDRS)) found.refuse(`${CONFIG}.cidrLimit`, limit, `a number of ranges, at most ${MOST_CIDRS}`);
  else if (listed !== undefined && listed.length > limit) found.refuse(`${CONFIG}.nonMasqueradeCIDRs`, `${listed.length} ranges`, `at most ${limit}, as cidrLimit says`);
  const interval = member(config, 'resyncInterval') ?? '60s';
  if (!(typeof interval === 'string' && DURATION.test(interval))) found.refuse(`${CONFIG}.resyncInterval`, interval, 'a time such as 60s');
  const ranges = listed?.flatMap((value, index) => rangeAt(found, `${CONFIG}.nonMasqueradeCIDRs[${index}]`, value) ?? []);
  return {
    uid: object.uid, ...(ranges === undefined ? {} : { nonMasqueradeCIDRs: ranges }),
    masqLinkLocal: booleanAt(found, config, 'masqLinkLocal'), masqLinkLocalIPv6: booleanAt(found, config, 'masqLinkLocalIPv6'),
    ...(object.place === undefined ? {} : { source: object.place }),
  };
};
