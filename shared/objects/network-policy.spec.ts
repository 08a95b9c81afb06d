import { describe, expect, test } from '@jest/globals';

import { parseNetworkPolicy } from './network-policy.ts';

const parse = (spec: unknown) => parseNetworkPolicy({ namespace: 'shop', name: 'p', uid: 'u', spec });
const fields = (spec: unknown): readonly string[] => { const parsed = parse(spec); return parsed.ok ? [] : parsed.refusals.map(({ field }) => field); };
const from = (peer: unknown) => ({ podSelector: {}, ingress: [{ from: [peer] }] });
const port = (item: unknown) => ({ podSelector: {}, ingress: [{ ports: [item] }] });

describe('a policy that is refused names the field', () => {
  test.each<{ name: string; spec: unknown; field: string }>([
    { name: 'a spec that is no object', spec: 'all', field: 'spec' },
    { name: 'an unknown member', spec: { podSelector: {}, ingres: [] }, field: 'spec.ingres' },
    { name: 'rules that are no list', spec: { ingress: {} }, field: 'spec.ingress' },
    { name: 'a rule that is no object', spec: { ingress: ['x'] }, field: 'spec.ingress[0]' },
    { name: 'the peers of the other direction', spec: { ingress: [{ to: [] }] }, field: 'spec.ingress[0].to' },
    { name: 'an unknown type', spec: { policyTypes: ['ingress'] }, field: 'spec.policyTypes[0]' },
    { name: 'three types', spec: { policyTypes: ['Ingress', 'Egress', 'Ingress'] }, field: 'spec.policyTypes' },
    { name: 'an empty peer', spec: from({}), field: 'spec.ingress[0].from[0]' },
    { name: 'an ipBlock beside a selector', spec: from({ podSelector: {}, ipBlock: { cidr: '10.0.0.0/8' } }), field: 'spec.ingress[0].from[0]' },
    { name: 'an address without a length', spec: from({ ipBlock: { cidr: '10.0.0.1' } }), field: 'spec.ingress[0].from[0].ipBlock.cidr' },
    { name: 'a hole outside its block', spec: from({ ipBlock: { cidr: '10.0.0.0/8', except: ['11.0.0.0/16'] } }), field: 'spec.ingress[0].from[0].ipBlock.except[0]' },
    { name: 'a hole as large as its block', spec: from({ ipBlock: { cidr: '10.0.0.0/8', except: ['10.0.0.0/8'] } }), field: 'spec.ingress[0].from[0].ipBlock.except[0]' },
    { name: 'an unknown operator', spec: from({ podSelector: { matchExpressions: [{ key: 'a', operator: 'Is' }] } }), field: 'spec.ingress[0].from[0].podSelector.matchExpressions[0].operator' },
    { name: 'In without values', spec: from({ podSelector: { matchExpressions: [{ key: 'a', operator: 'In' }] } }), field: 'spec.ingress[0].from[0].podSelector.matchExpressions[0].values' },
    { name: 'Exists with values', spec: from({ podSelector: { matchExpressions: [{ key: 'a', operator: 'Exists', values: ['b'] }] } }), field: 'spec.ingress[0].from[0].podSelector.matchExpressions[0].values' },
    { name: 'a bad label key', spec: { podSelector: { matchLabels: { '-a': 'b' } } }, field: 'spec.podSelector.matchLabels.-a' },
    { name: 'a label value that is a number', spec: { podSelector: { matchLabels: { a: 1 } } }, field: 'spec.podSelector.matchLabels.a' },
    { name: 'an unknown protocol', spec: port({ protocol: 'ICMP' }), field: 'spec.ingress[0].ports[0].protocol' },
    { name: 'port 0', spec: port({ port: 0 }), field: 'spec.ingress[0].ports[0].port' },
    { name: 'a port beyond the last', spec: port({ port: 65536 }), field: 'spec.ingress[0].ports[0].port' },
    { name: 'a port name of digits only', spec: port({ port: '80' }), field: 'spec.ingress[0].ports[0].port' },
    { name: 'an endPort alone', spec: port({ endPort: 90 }), field: 'spec.ingress[0].ports[0].endPort' },
    { name: 'an endPort beside a name', spec: port({ port: 'web', endPort: 90 }), field: 'spec.ingress[0].ports[0].endPort' },
    { name: 'an endPort before its port', spec: port({ port: 90, endPort: 80 }), field: 'spec.ingress[0].ports[0].endPort' },
    { name: 'a port that is nothing', spec: port(null), field: 'spec.ingress[0].ports[0]' },
    { name: 'a hole of another family', spec: from({ ipBlock: { cidr: '::/0', except: ['10.0.0.0/8'] } }), field: 'spec.ingress[0].from[0].ipBlock.except[0]' },
    { name: 'a value that is none, by its place', spec: { podSelector: { matchExpressions: [{ key: 'a', operator: 'In', values: ['b', '-'] }] } }, field: 'spec.podSelector.matchExpressions[0].values[1]' },
    { name: 'a requirement of which nothing is right', spec: { podSelector: { matchExpressions: [{ key: '-', operator: 'In' }] } }, field: 'spec.podSelector.matchExpressions[0].key' },
    { name: 'a fault in a direction that the policy does not have', spec: { policyTypes: ['Ingress'], egress: [{ ports: [{ port: 0 }] }] }, field: 'spec.egress[0].ports[0].port' },
  ])('$name', ({ spec, field }) => { expect([...new Set(fields(spec))][0]).toEqual(field); });

  test.each(['My_Policy', 'a:b', 'a..b', '-a', 'a'.repeat(254)])('the name %s', (name) => {
    expect(parseNetworkPolicy({ namespace: 'shop', name, uid: 'u', spec: {} })).toMatchObject({ ok: false, refusals: [{ field: 'metadata.name' }] });
  });

  test('every fault at once', () => { expect(fields({ ingress: [{ ports: [{ port: 0 }, { port: 70000 }] }] })).toHaveLength(2); });
});

describe('empty is not absent', () => {
  test.each([
    { name: 'no spec is an empty one: every pod, and nobody comes in', spec: undefined, isolates: { ingress: true, egress: false }, rules: [] },
    { name: 'nothing but a selector isolates ingress', spec: { podSelector: {} }, isolates: { ingress: true, egress: false }, rules: [] },
    { name: 'an empty list of rules isolates', spec: { ingress: [] }, isolates: { ingress: true, egress: false }, rules: [] },
    { name: 'an empty egress without types isolates ingress only', spec: { egress: [] }, isolates: { ingress: true, egress: false }, rules: [] },
    { name: 'an egress rule without types isolates both', spec: { egress: [{}] }, isolates: { ingress: true, egress: true }, rules: [{ peers: 'any', ports: 'any' }] },
    { name: 'an empty rule opens', spec: { ingress: [{}] }, isolates: { ingress: true, egress: false }, rules: [{ peers: 'any', ports: 'any' }] },
    { name: 'empty lists of peers and ports are any', spec: { ingress: [{ from: [], ports: [] }] }, isolates: { ingress: true, egress: false }, rules: [{ peers: 'any', ports: 'any' }] },
    { name: 'an empty list of types is none said', spec: { policyTypes: [], egress: [{}] }, isolates: { ingress: true, egress: true }, rules: [{ peers: 'any', ports: 'any' }] },
    { name: 'rules of a direction that the policy does not have mean nothing', spec: { policyTypes: ['Egress'], ingress: [{}] }, isolates: { ingress: false, egress: true }, rules: [] },
  ])('$name', ({ spec, isolates, rules }) => { expect(parse(spec)).toMatchObject({ ok: true, policy: { isolates, rules } }); });

  test.each([
    { name: 'a port without a protocol is TCP', item: { port: 80 }, want: { type: 'range', protocol: 6, from: 80, to: 80 } },
    { name: 'a protocol alone is all its ports', item: { protocol: 'UDP' }, want: { type: 'range', protocol: 17, from: 0, to: 65535 } },
    { name: 'endPort ends a range', item: { port: 80, endPort: 90, protocol: 'SCTP' }, want: { type: 'range', protocol: 132, from: 80, to: 90 } },
    { name: 'a range may be of one port', item: { port: 80, endPort: 80 }, want: { type: 'range', protocol: 6, from: 80, to: 80 } },
    { name: 'a name stays a name', item: { port: 'web' }, want: { type: 'named', protocol: 6, name: 'web' } },
  ])('$name', ({ item, want }) => { expect(parse(port(item))).toMatchObject({ ok: true, policy: { rules: [{ ports: [want] }] } }); });
});

describe('a block of addresses', () => {
  test.each([
    { name: 'keeps its holes', block: { cidr: '10.0.0.0/8', except: ['10.1.0.0/16'] }, want: { cidr: '10.0.0.0/8', except: ['10.1.0.0/16'] } },
    { name: 'loses its host bits', block: { cidr: '10.1.2.3/8' }, want: { cidr: '10.0.0.0/8', except: [] } },
    { name: 'of IPv6 is one without IPv4', block: { cidr: 'fd00::/8' }, want: { cidr: 'fd00::/8', except: [] } },
    { name: 'of all IPv6 means no IPv4', block: { cidr: '::/0' }, want: { cidr: '::/0', except: ['0.0.0.0/0'] } },
    { name: 'of all IPv6 keeps its holes', block: { cidr: '::/0', except: ['fc00::/7'] }, want: { cidr: '::/0', except: ['fc00::/7', '0.0.0.0/0'] } },
    { name: 'just around the mapped addresses means none of them', block: { cidr: '::ffff:0:0/95' }, want: { except: ['0.0.0.0/0'] } },
  ])('$name', ({ block, want }) => { expect(parse(from({ ipBlock: block }))).toMatchObject({ ok: true, policy: { rules: [{ peers: [{ type: 'cidr', ...want }] }] } }); });
});
