/**
 * cilium.io/v2 CiliumNetworkPolicy and CiliumClusterwideNetworkPolicy → a compiled policy for each spec, or every reason why not. Pure.
 *
 * What catches implementers: `ingress: []` has no effect and `ingress: [{}]` isolates, the opposite of a NetworkPolicy; `fromEndpoints: []` is
 * nobody; ports without a protocol are TCP, UDP and SCTP, not ICMP; a policy of a namespace means its own namespace unless a selector names another;
 * CIDR rules do not mean pods and nodes. A rule whose condition nothing here can check (HTTP, DNS, TLS, authentication) is withheld, never waved through.
 */
import type { CompiledPolicy, CompiledRule, PolicySubject } from '@seine/events';

import { namesInit, readPlainLabels, readSubjectLabels } from './cilium-labels.ts';
import { peerMembers, readPeers, type ReadPeers, type RuleAction } from './cilium-peers.ts';
import { readAuthentication, readPorts } from './cilium-ports.ts';
import { isDnsSubdomain } from './names.ts';
import type { ParsedPolicies, PolicySource } from './policy.ts';
import { faults, isObject, listAt, member, objectAt, onlyMembers, type Faults, type PlainObject } from './refusal.ts';
import type { PolicyOptions } from './settings.ts';

const SECTIONS = [
  { name: 'ingress', direction: 'ingress', action: 'allow' }, { name: 'ingressDeny', direction: 'ingress', action: 'deny' },
  { name: 'egress', direction: 'egress', action: 'allow' }, { name: 'egressDeny', direction: 'egress', action: 'deny' },
] as const satisfies readonly { readonly name: string; readonly direction: 'ingress' | 'egress'; readonly action: RuleAction }[];

interface SpecContext {
  readonly found: Faults;
  readonly source: PolicySource;
  readonly options: PolicyOptions;
  /** `spec`, `specs[1]` */
  readonly field: string;
  /** '' or `specs[1].` */
  readonly prefix: string;
  readonly subject: PolicySubject;
}

interface RuleRead { readonly rules: readonly CompiledRule[]; readonly withheld: readonly string[] }

type Head = Pick<CompiledRule, 'direction' | 'section' | 'index' | 'line'>;

const peersOfRule = (head: Head, peers: ReadPeers['peers'], lineOf: (path: string) => number | undefined): Pick<CompiledRule, 'peers' | 'peerFields' | 'peerLines'> => {
  if (peers === 'any' || peers === 'unstated') return { peers: 'any' };
  const { line } = head;
  return {
    peers: peers.map(({ peer }) => peer), peerFields: peers.map(({ field }) => field),
    ...(line === undefined ? {} : { peerLines: peers.map(({ field }) => lineOf(`${head.section}[${head.index}].${field}`) ?? line) }),
  };
};

const readRule = (context: SpecContext, { name, direction, action }: (typeof SECTIONS)[number], value: unknown, index: number): RuleRead => {
  const { found, source, options, subject } = context;
  const field = `${context.field}.${name}[${index}]`;
  const section = `${context.prefix}${name}`;
  if (!isObject(value)) { found.refuse(field, value, 'an object'); return { rules: [], withheld: [] }; }
  const known = [...peerMembers(direction, action), 'toPorts', 'icmps', ...(action === 'allow' ? ['authentication'] : [])];
  if (action === 'deny') for (const only of ['toFQDNs', 'authentication']) if (Object.hasOwn(value, only)) found.refuse(`${field}.${only}`, value[only], 'no such field in a deny rule');
  onlyMembers(found, field, value, action === 'deny' ? [...known, 'toFQDNs', 'authentication'] : known);
  const subjectIsInit = subject.type === 'labels' && namesInit(subject.labels);
  const read = readPeers({ found, namespace: source.namespace, subjectIsInit, cidrNot: options.cidrNot }, direction, action, field, value);
  const ports = readPorts({ found, direction, action, isHostPolicy: subject.type === 'nodes', isClusterwide: source.namespace === '' }, field, value);
  const authentication = action === 'allow' ? readAuthentication(found, `${field}.authentication`, member(value, 'authentication')) : undefined;
  const withheld = [...read.withheld, ...ports.withheld, ...(authentication === undefined ? [] : [authentication])];
  /* The empty rule isolates, and says nothing about anybody. */
  if (read.peers === 'unstated' && !ports.stated) return { rules: [], withheld };
  const lineOf = (path: string): number | undefined => (source.lines !== undefined && Object.hasOwn(source.lines, path) ? source.lines[path] : undefined);
  const line = lineOf(`${section}[${index}]`);
  const head: Head = { direction, section, index, ...(line === undefined ? {} : { line }) };
  const rule = (as: CompiledRule['action'], of: CompiledRule['ports']): CompiledRule => ({ ...head, action: as, ...peersOfRule(head, read.peers, lineOf), ports: of });
  const whole = authentication === undefined ? action : 'withheld';
  const rules = [
    ...(!ports.stated ? [rule(whole, 'any')] : ports.plain.length > 0 ? [rule(whole, ports.plain)] : []),
    ...(ports.conditional.length > 0 ? [rule('withheld', ports.conditional)] : []),
  ];
  return { rules, withheld };
};

const readSubject = ({ found, source, field }: Omit<SpecContext, 'subject'>, spec: PlainObject): PolicySubject => {
  const [endpoints, nodes] = [member(spec, 'endpointSelector') ?? undefined, member(spec, 'nodeSelector') ?? undefined];
  if ((endpoints === undefined) === (nodes === undefined)) found.refuse(field, Object.keys(spec), 'exactly one of endpointSelector, nodeSelector');
  if (nodes !== undefined && source.kind !== 'CiliumClusterwideNetworkPolicy') found.refuse(`${field}.nodeSelector`, nodes, 'endpointSelector: only a CiliumClusterwideNetworkPolicy is for nodes');
  if (endpoints === undefined && nodes !== undefined) return { type: 'nodes', labels: readPlainLabels(found, `${field}.nodeSelector`, nodes, ['k8s', 'any', 'node']) };
  return { type: 'labels', labels: endpoints === undefined ? [] : readSubjectLabels(found, `${field}.endpointSelector`, endpoints, source.namespace) };
};

const readDefaultDeny = (found: Faults, field: string, value: unknown): { readonly ingress?: boolean; readonly egress?: boolean } => {
  const given = objectAt(found, field, value);
  onlyMembers(found, field, given, ['ingress', 'egress']);
  return Object.fromEntries((['ingress', 'egress'] as const).flatMap((direction) => {
    const isOn = member(given, direction) ?? undefined;
    if (isOn === undefined) return [];
    if (typeof isOn !== 'boolean') found.refuse(`${field}.${direction}`, isOn, 'true or false');
    return [[direction, isOn === true]];
  }));
};

const readText = (found: Faults, field: string, value: unknown): string | undefined => {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'string') return value;
  found.refuse(field, value, 'text');
  return undefined;
};

const readLog = (found: Faults, field: string, value: unknown): string | undefined => {
  const log = objectAt(found, field, value);
  onlyMembers(found, field, log, ['value']);
  return readText(found, `${field}.value`, member(log, 'value'));
};

/** Labels of the policy itself: whoever wrote them may; nothing here reads them. */
const readOwnLabels = (found: Faults, field: string, value: unknown): void => {
  (listAt(found, field, value) ?? []).forEach((item, index) => {
    const label = objectAt(found, `${field}[${index}]`, item);
    onlyMembers(found, `${field}[${index}]`, label, ['key', 'value', 'source']);
    if (typeof member(label, 'key') !== 'string') found.refuse(`${field}[${index}].key`, member(label, 'key'), 'text');
    for (const name of ['value', 'source']) readText(found, `${field}[${index}].${name}`, member(label, name));
  });
};

const readSpec = (outer: Omit<SpecContext, 'subject'>, value: unknown, part: number | undefined): CompiledPolicy | undefined => {
  const { found, source, field } = outer;
  if (!isObject(value)) { found.refuse(field, value, 'an object with endpointSelector or nodeSelector'); return undefined; }
  onlyMembers(found, field, value, ['endpointSelector', 'nodeSelector', ...SECTIONS.map(({ name }) => name), 'enableDefaultDeny', 'labels', 'description', 'log']);
  const context = { ...outer, subject: readSubject(outer, value) };
  if (SECTIONS.every(({ name }) => (member(value, name) ?? undefined) === undefined)) found.refuse(field, Object.keys(value), `at least one of ${SECTIONS.map(({ name }) => name).join(', ')}`);
  const lists = SECTIONS.map((section) => ({ section, rules: listAt(found, `${field}.${section.name}`, member(value, section.name)) ?? [] }));
  const read = lists.flatMap(({ section, rules }) => rules.map((rule, index) => readRule(context, section, rule, index)));
  const defaultDeny = readDefaultDeny(found, `${field}.enableDefaultDeny`, member(value, 'enableDefaultDeny'));
  const log = readLog(found, `${field}.log`, member(value, 'log'));
  readText(found, `${field}.description`, member(value, 'description'));
  readOwnLabels(found, `${field}.labels`, member(value, 'labels'));
  const has = (direction: 'ingress' | 'egress'): boolean => lists.some(({ section, rules }) => section.direction === direction && rules.length > 0);
  const withheld = read.flatMap((rule) => rule.withheld);
  return {
    object: { kind: source.kind, namespace: source.namespace, name: source.name }, ...(part === undefined ? {} : { part }), uid: source.uid, tier: 'normal', priority: 0,
    subject: context.subject, isolates: { ingress: defaultDeny.ingress ?? has('ingress'), egress: defaultDeny.egress ?? has('egress') }, audit: source.audit ?? false,
    rules: read.flatMap((rule) => rule.rules), ...(log === undefined ? {} : { log }), ...(withheld.length === 0 ? {} : { withheld }),
  };
};

export const parseCiliumNetworkPolicy = (source: PolicySource, options: PolicyOptions): ParsedPolicies => {
  const found = faults();
  if (!isDnsSubdomain(source.name)) found.refuse('metadata.name', source.name, 'a DNS subdomain of at most 253 of [a-z0-9-.]');
  const spec = source.spec ?? undefined;
  const specs = listAt(found, 'specs', source.specs);
  if (spec === undefined && (specs === undefined || specs.length === 0)) found.refuse('spec', spec, 'a spec, or at least one item of specs');
  const all = [...(spec === undefined ? [] : [{ field: 'spec', prefix: '', value: spec }]), ...(specs ?? []).map((value, index) => ({ field: `specs[${index}]`, prefix: `specs[${index}].`, value }))];
  const policies = all.flatMap(({ field, prefix, value }, part) => readSpec({ found, source, options, field, prefix }, value, specs === undefined ? undefined : part) ?? []);
  return found.refusals.length > 0 ? { ok: false, refusals: found.refusals } : { ok: true, policies };
};
