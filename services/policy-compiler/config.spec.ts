import { expect, test } from '@jest/globals';

import { parseConfig } from '@seine/role';

import { POLICY_COMPILER_FIELDS, policyOptions } from './config.ts';

test.each([
  { given: '', then: ['pods', 'nodes'] }, { given: 'nodes', then: ['pods'] }, { given: 'pods', then: ['nodes'] }, { given: 'nodes, pods', then: [] },
])('CIDR rules that also mean "$given" leave out $then', ({ given, then }) => {
  expect(policyOptions(parseConfig(POLICY_COMPILER_FIELDS, { SEINE_POLICY_CIDR_MATCH_MODE: given }).cidrMatchMode).cidrNot).toEqual(then);
});

test('another kind is refused', () => { expect(() => parseConfig(POLICY_COMPILER_FIELDS, { SEINE_POLICY_CIDR_MATCH_MODE: 'services' })).toThrow('some of pods, nodes, separated by commas, or nothing was expected'); });
