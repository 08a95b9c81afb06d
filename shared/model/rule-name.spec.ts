import { expect, test } from '@jest/globals';

import { parseRuleName } from './rule-name.ts';

test.each([
  { name: 'of a NetworkPolicy', text: 'NetworkPolicy/shop/x ingress[0]', want: { kind: 'NetworkPolicy', namespace: 'shop', name: 'x', section: 'ingress', index: 0 } },
  { name: 'of one of several specs', text: 'CiliumNetworkPolicy/shop/a.b specs[1].egressDeny[12]', want: { kind: 'CiliumNetworkPolicy', namespace: 'shop', name: 'a.b', section: 'specs[1].egressDeny', index: 12 } },
  { name: 'of a cluster-scoped policy', text: 'ClusterNetworkPolicy//x egress[3]', want: { kind: 'ClusterNetworkPolicy', namespace: '', name: 'x', section: 'egress', index: 3 } },
  { name: 'of nothing that is one', text: 'rule 7', want: undefined },
])('a rule name $name', ({ text, want }) => { expect(parseRuleName(text)).toEqual(want); });
