import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { parseClusterNetworkPolicy } from './cluster-network-policy.ts';
import { DEFAULT_POLICY_OPTIONS } from './settings.ts';

const parse = (spec: unknown, more: { readonly name?: string; readonly specs?: unknown; readonly audit?: boolean; readonly lines?: Readonly<Record<string, number>> } = {}) =>
  parseClusterNetworkPolicy({ kind: 'ClusterNetworkPolicy', namespace: '', name: 'p', uid: 'u', spec, ...more }, DEFAULT_POLICY_OPTIONS);
const fields = (spec: unknown): readonly string[] => { const parsed = parse(spec); return parsed.ok ? [] : parsed.refusals.map(({ field }) => field); };
const policyOf = (spec: unknown, more: Parameters<typeof parse>[1] = {}) => {
  const parsed = parse(spec, more);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.refusals));
  return parsed.policies[0]!;
};

const HEAD = { tier: 'Admin', priority: 10, subject: { namespaces: {} } };
const EVERYBODY = { namespaces: {} };
const from = (peer: unknown, action = 'Deny') => ({ ...HEAD, ingress: [{ action, from: [peer] }] });
const to = (peer: unknown, action = 'Deny') => ({ ...HEAD, egress: [{ action, to: [peer] }] });
const protocol = (item: unknown, peer: unknown = EVERYBODY) => ({ ...HEAD, egress: [{ action: 'Deny', to: [peer], protocols: [item] }] });
const times = <T>(count: number, item: T): readonly T[] => Array.from({ length: count }, () => item);

describe('a policy that is refused names the field', () => {
  test.each<{ name: string; spec: unknown; field: string }>([
    { name: 'no spec', spec: undefined, field: 'spec' },
    { name: 'an unknown member', spec: { ...HEAD, ingres: [] }, field: 'spec.ingres' },
    { name: 'no tier', spec: { priority: 1, subject: { namespaces: {} } }, field: 'spec.tier' },
    { name: 'the tier of NetworkPolicy', spec: { ...HEAD, tier: 'NetworkPolicy' }, field: 'spec.tier' },
    { name: 'a tier that every object has by birth', spec: { ...HEAD, tier: 'constructor' }, field: 'spec.tier' },
    { name: 'no priority', spec: { tier: 'Admin', subject: { namespaces: {} } }, field: 'spec.priority' },
    { name: 'a priority beyond the last', spec: { ...HEAD, priority: 1001 }, field: 'spec.priority' },
    { name: 'a negative priority', spec: { ...HEAD, priority: -1 }, field: 'spec.priority' },
    { name: 'half a priority', spec: { ...HEAD, priority: 1.5 }, field: 'spec.priority' },
    { name: 'no subject', spec: { tier: 'Admin', priority: 1 }, field: 'spec.subject' },
    { name: 'an empty subject', spec: { ...HEAD, subject: {} }, field: 'spec.subject' },
    { name: 'a subject of two members', spec: { ...HEAD, subject: { namespaces: {}, pods: { podSelector: {} } } }, field: 'spec.subject' },
    { name: 'pods as subject without a pod selector', spec: { ...HEAD, subject: { pods: { namespaceSelector: {} } } }, field: 'spec.subject.pods.podSelector' },
    { name: 'a bad operator in the subject', spec: { ...HEAD, subject: { namespaces: { matchExpressions: [{ key: 'a', operator: 'Is' }] } } }, field: 'spec.subject.namespaces.matchExpressions[0].operator' },
    { name: 'rules that are no list', spec: { ...HEAD, ingress: {} }, field: 'spec.ingress' },
    { name: '26 rules', spec: { ...HEAD, ingress: times(26, { action: 'Deny', from: [EVERYBODY] }) }, field: 'spec.ingress' },
    { name: 'a rule without peers', spec: { ...HEAD, ingress: [{ action: 'Deny' }] }, field: 'spec.ingress[0].from' },
    { name: 'a rule with an empty list of peers', spec: { ...HEAD, ingress: [{ action: 'Deny', from: [] }] }, field: 'spec.ingress[0].from' },
    { name: '26 peers', spec: { ...HEAD, ingress: [{ action: 'Deny', from: times(26, EVERYBODY) }] }, field: 'spec.ingress[0].from' },
    { name: 'an action of another kind of policy', spec: from(EVERYBODY, 'Allow'), field: 'spec.ingress[0].action' },
    { name: 'a name of 101 characters', spec: { ...HEAD, ingress: [{ name: 'n'.repeat(101), action: 'Deny', from: [EVERYBODY] }] }, field: 'spec.ingress[0].name' },
    { name: 'the ports of NetworkPolicy', spec: { ...HEAD, ingress: [{ action: 'Deny', from: [EVERYBODY], ports: [{ port: 80 }] }] }, field: 'spec.ingress[0].ports' },
    { name: 'a peer of two members', spec: from({ namespaces: {}, pods: { podSelector: {} } }), field: 'spec.ingress[0].from[0]' },
    { name: 'a peer that is no object', spec: from('all'), field: 'spec.ingress[0].from[0]' },
    { name: 'a network without a length', spec: to({ networks: ['10.0.0.1'] }), field: 'spec.egress[0].to[0].networks[0]' },
    { name: 'no networks', spec: to({ networks: [] }), field: 'spec.egress[0].to[0].networks' },
    { name: '26 networks', spec: to({ networks: Array.from({ length: 26 }, (_, index) => `10.${index}.0.0/16`) }), field: 'spec.egress[0].to[0].networks' },
    { name: 'a network twice', spec: to({ networks: ['10.0.0.0/8', '10.0.0.0/8'] }), field: 'spec.egress[0].to[0].networks[1]' },
    { name: 'a domain name with a star inside', spec: to({ domainNames: ['www.*.io'] }, 'Accept'), field: 'spec.egress[0].to[0].domainNames[0]' },
    { name: 'a domain name of one label', spec: to({ domainNames: ['localhost'] }, 'Accept'), field: 'spec.egress[0].to[0].domainNames[0]' },
    { name: 'domain names in a Deny rule', spec: to({ domainNames: ['kubernetes.io'] }), field: 'spec.egress[0].to' },
    ...[
      { podSelector: { matchLabels: { 'reserved:host': '' } } }, { podSelector: { matchExpressions: [{ key: 'reserved:host', operator: 'DoesNotExist' }] } },
      { podSelector: { matchExpressions: [{ key: 'reserved:host', operator: 'Exists' }, { key: 'app', operator: 'Exists' }] } }, { namespaceSelector: {}, podSelector: { matchExpressions: [{ key: 'reserved:host', operator: 'Exists' }] } },
    ].map((pods) => ({ name: `a reserved label that would mean nobody or everybody: ${JSON.stringify(pods)}`, spec: from({ pods }), field: `spec.ingress[0].from[0].pods.podSelector.${'matchLabels' in pods.podSelector ? 'matchLabels.reserved:host' : 'matchExpressions[0].key'}` })),
    { name: 'a reserved label that nobody has', spec: from({ pods: { podSelector: { matchExpressions: [{ key: 'reserved:hosts', operator: 'Exists' }] } } }), field: 'spec.ingress[0].from[0].pods.podSelector.matchExpressions[0].key' },
    { name: 'an empty list of protocols', spec: { ...HEAD, egress: [{ action: 'Deny', to: [EVERYBODY], protocols: [] }] }, field: 'spec.egress[0].protocols' },
    { name: '26 protocols', spec: { ...HEAD, egress: [{ action: 'Deny', to: [EVERYBODY], protocols: times(26, { destinationNamedPort: 'web' }) }] }, field: 'spec.egress[0].protocols' },
    { name: 'a protocol of no member', spec: protocol({}), field: 'spec.egress[0].protocols[0]' },
    { name: 'a protocol of two members', spec: protocol({ tcp: { destinationPort: { number: 1 } }, destinationNamedPort: 'web' }), field: 'spec.egress[0].protocols[0]' },
    { name: 'a protocol without ports', spec: protocol({ icmp: {} }), field: 'spec.egress[0].protocols[0].icmp' },
    { name: 'TCP without a port', spec: protocol({ tcp: {} }), field: 'spec.egress[0].protocols[0].tcp' },
    { name: 'an empty port', spec: protocol({ tcp: { destinationPort: {} } }), field: 'spec.egress[0].protocols[0].tcp.destinationPort' },
    { name: 'a number beside a range', spec: protocol({ tcp: { destinationPort: { number: 1, range: { start: 1, end: 2 } } } }), field: 'spec.egress[0].protocols[0].tcp.destinationPort' },
    { name: 'port 0', spec: protocol({ udp: { destinationPort: { number: 0 } } }), field: 'spec.egress[0].protocols[0].udp.destinationPort.number' },
    { name: 'a range of one port', spec: protocol({ sctp: { destinationPort: { range: { start: 9, end: 9 } } } }), field: 'spec.egress[0].protocols[0].sctp.destinationPort.range.end' },
    { name: 'a range without an end', spec: protocol({ tcp: { destinationPort: { range: { start: 9 } } } }), field: 'spec.egress[0].protocols[0].tcp.destinationPort.range.end' },
    { name: 'a port name of digits only', spec: protocol({ destinationNamedPort: '80' }), field: 'spec.egress[0].protocols[0].destinationNamedPort' },
    { name: 'a port name beside networks', spec: protocol({ destinationNamedPort: 'web' }, { networks: ['10.0.0.0/8'] }), field: 'spec.egress[0].protocols' },
    { name: 'a port name beside nodes', spec: protocol({ destinationNamedPort: 'web' }, { nodes: {} }), field: 'spec.egress[0].protocols' },
  ])('$name', ({ spec, field }) => { expect([...new Set(fields(spec))].filter((each) => each.startsWith(field))).toEqual([field]); });

  test.each(['My_Policy', 'a:b', '-a'])('the name %s', (name) => { expect(parse(HEAD, { name })).toMatchObject({ ok: false, refusals: [{ field: 'metadata.name' }] }); });
  test('several specs', () => { expect(parse(HEAD, { specs: [HEAD] })).toMatchObject({ ok: false, refusals: [{ field: 'specs' }] }); });
  test('every fault at once, each with its value and what was expected', () => {
    const parsed = parse({ ...HEAD, tier: 'None', priority: 5000 });
    expect(parsed.ok ? [] : parsed.refusals.map(({ message }) => message)).toEqual(['spec.tier: "None": expected one of Admin, Baseline', 'spec.priority: 5000: expected a number from 0 to 1000']);
  });
});

describe('a policy says', () => {
  test('its tier and its priority, and isolates nobody', () => {
    expect(policyOf({ ...HEAD, tier: 'Baseline', priority: 1000 })).toMatchObject({ tier: 'baseline', priority: 1000, isolates: { ingress: false, egress: false }, rules: [], audit: false });
  });
  test('whether it is only tried', () => { expect(policyOf(HEAD, { audit: true }).audit).toBe(true); });
  test.each([
    { name: 'namespaces by labels, and every pod in them', subject: { namespaces: { matchLabels: { team: 'a' } } }, want: { type: 'pods', namespaces: [{ key: 'team', operator: 'In', values: ['a'] }], pods: [] } },
    { name: 'pods by both selectors', subject: { pods: { namespaceSelector: {}, podSelector: { matchLabels: { app: 'web' } } } }, want: { type: 'pods', namespaces: [], pods: [{ key: 'app', operator: 'In', values: ['web'] }] } },
    { name: 'pods of every namespace where none is said', subject: { pods: { podSelector: {} } }, want: { type: 'pods', namespaces: [], pods: [] } },
  ])('whom it means: $name', ({ subject, want }) => { expect(policyOf({ ...HEAD, subject }).subject).toEqual(want); });
  test.each([['Accept', 'allow'], ['Deny', 'deny'], ['Pass', 'pass']])('%s as %s', (action, want) => { expect(policyOf(from(EVERYBODY, action)).rules).toMatchObject([{ action: want, ports: 'any', section: 'ingress', index: 0 }]); });
  test.each([
    { name: 'nodes by label', peer: { nodes: { matchLabels: { pool: 'gpu' } } }, want: [{ type: 'nodes', labels: [{ key: 'pool', operator: 'In', values: ['gpu'] }] }] },
    { name: 'every node where the selector is empty', peer: { nodes: {} }, want: [{ type: 'nodes', labels: [] }] },
    { name: 'a host, in the words of Cilium', peer: { pods: { podSelector: { matchExpressions: [{ key: 'reserved:host', operator: 'Exists' }] } } }, want: [{ type: 'labels', labels: [{ key: 'reserved:host', operator: 'Exists' }] }] },
    { name: 'networks of any address, pods included', peer: { networks: ['10.1.2.3/8', 'fd00::/8'] }, want: [{ type: 'cidr', cidr: '10.0.0.0/8', except: [] }, { type: 'cidr', cidr: 'fd00::/8', except: [] }] },
    { name: 'all IPv6, and no IPv4', peer: { networks: ['::/0'] }, want: [{ type: 'cidr', cidr: '::/0', except: ['0.0.0.0/0'] }] },
    { name: 'domain names, which nobody learns here', peer: { domainNames: ['*.kubernetes.io'] }, want: [{ type: 'name', name: '*.kubernetes.io' }] },
  ])('its peers: $name', ({ peer, want }) => { expect(policyOf(to(peer, 'Accept')).rules[0]!.peers).toEqual(want); });
  test.each([
    { name: 'one port', item: { tcp: { destinationPort: { number: 80 } } }, want: [{ type: 'range', protocol: 6, from: 80, to: 80 }] },
    { name: 'a range', item: { sctp: { destinationPort: { range: { start: 1, end: 65535 } } } }, want: [{ type: 'range', protocol: 132, from: 1, to: 65535 }] },
    { name: 'a name, of any protocol that has ports', item: { destinationNamedPort: 'web' }, want: [6, 17, 132].map((number) => ({ type: 'named', protocol: number, name: 'web' })) },
  ])('its ports: $name', ({ item, want }) => { expect(policyOf(protocol(item)).rules[0]!.ports).toEqual(want); });
  test('which member each peer came from, where one makes several', () => {
    expect(policyOf({ ...HEAD, egress: [{ action: 'Accept', to: [EVERYBODY, { networks: ['10.0.0.0/8', '11.0.0.0/8'] }] }] }, { lines: { 'egress[0]': 4, 'egress[0].to[1]': 9 } }).rules[0]).toMatchObject({
      peerFields: ['to[0]', 'to[1].networks[0]', 'to[1].networks[1]'], line: 4, peerLines: [4, 9, 9],
    });
  });
  test('what of it is not enforceable here', () => {
    expect(policyOf(to({ domainNames: ['kubernetes.io'] }, 'Accept')).withheld).toEqual(['spec.egress[0].to[0].domainNames[0]: nobody learns the addresses of domain names here: it matches no traffic']);
  });
});

describe('a peer of no known kind fails closed', () => {
  const PORT = { protocols: [{ tcp: { destinationPort: { number: 80 } } }] };
  test.each([
    { name: 'an Accept rule matches no traffic, not that of its other peers either', action: 'Accept', peers: [{}, EVERYBODY], want: { action: 'allow', peers: [] } },
    { name: 'a Deny rule denies all', action: 'Deny', peers: [{}, EVERYBODY], want: { action: 'deny', peers: 'any', ports: 'any' } },
    { name: 'a Pass rule denies all', action: 'Pass', peers: [{ serviceAccounts: {} }], want: { action: 'deny', peers: 'any', ports: 'any' } },
    { name: 'networks are no peer of ingress', action: 'Accept', peers: [{ networks: ['10.0.0.0/8'] }], want: { action: 'allow', peers: [] } },
  ])('$name', ({ action, peers, want }) => {
    const policy = policyOf({ ...HEAD, ingress: [{ action, from: peers, ...PORT }] });
    expect(policy.rules).toMatchObject([want]);
    expect(policy.withheld?.[0]).toMatch(/^spec\.ingress\[0\]\.from\[0\]: a peer of no known kind/);
  });
});

describe('whatever a stranger writes', () => {
  const word = fc.constantFrom('namespaces', 'pods', 'nodes', 'networks', 'domainNames', 'podSelector', 'namespaceSelector', 'matchLabels', 'matchExpressions', 'tcp', 'udp', 'destinationPort', 'destinationNamedPort', 'number', 'range', 'start', 'end', 'Admin', 'Baseline', 'Accept', 'Deny', 'Pass', 'action', 'from', 'to', 'protocols', 'name', '__proto__', 'constructor', '10.0.0.0/8', 'web', '*.a.io');
  const { tree } = fc.letrec((tie) => ({
    leaf: fc.oneof(word, fc.integer({ min: -1, max: 70_000 }), fc.constantFrom(null, true, 1.5, '', 'x'.repeat(300))),
    tree: fc.oneof({ depthSize: 'medium' }, tie('leaf'), fc.array(tie('tree'), { maxLength: 4 }), fc.dictionary(word, tie('tree'), { maxKeys: 3 })),
  }));
  const rule = (peers: string) => fc.record({ action: fc.oneof(word, tree), [peers]: fc.oneof(fc.array(fc.oneof(fc.constant(EVERYBODY), tree), { maxLength: 3 }), tree), protocols: tree }, { requiredKeys: [] });
  const spec = fc.oneof(tree, fc.record({
    tier: fc.oneof(fc.constantFrom('Admin', 'Baseline'), tree), priority: fc.oneof(fc.integer({ min: 0, max: 1000 }), tree), subject: fc.oneof(fc.constant({ namespaces: {} }), tree),
    ingress: fc.oneof(fc.array(rule('from'), { maxLength: 3 }), tree), egress: fc.oneof(fc.array(rule('to'), { maxLength: 3 }), tree),
  }, { requiredKeys: ['tier', 'priority', 'subject'] }));

  test('is compiled, or refused with field, value and expectation; nothing is thrown', () => {
    fc.assert(fc.property(spec, (value) => {
      const parsed = parse(value);
      if (parsed.ok) {
        for (const policy of parsed.policies) for (const each of policy.rules) expect(['allow', 'deny', 'pass']).toContain(each.action);
      } else {
        expect(parsed.refusals.length).toBeGreaterThan(0);
        for (const { field, message, expected } of parsed.refusals) expect([field, expected, message].every((text) => text !== '')).toBe(true);
      }
    }), { numRuns: 2000 });
  });
});
