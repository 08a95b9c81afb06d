import { describe, expect, test } from '@jest/globals';

import { faults, isIpMasqAgent, readIpMasqAgent, type KubeObject } from './index.ts';

const configMap = (config: unknown, name = 'ip-masq-agent'): KubeObject => ({ apiVersion: 'v1', kind: 'ConfigMap', namespace: 'kube-system', name, uid: 'u', raw: { data: { config } } });
const read = (config: unknown) => {
  const found = faults();
  const data = readIpMasqAgent(found, configMap(config));
  return { data, messages: found.refusals.map(({ message }) => message) };
};

describe('the ConfigMap of ip-masq-agent', () => {
  test.each([
    { name: 'YAML', config: 'nonMasqueradeCIDRs:\n- 10.0.0.0/8\n- fd00::/8\nmasqLinkLocal: true\nresyncInterval: 60s\n', want: { nonMasqueradeCIDRs: ['10.0.0.0/8', 'fd00::/8'], masqLinkLocal: true, masqLinkLocalIPv6: false } },
    { name: 'JSON', config: '{"nonMasqueradeCIDRs": ["FD00:0::/8"], "masqLinkLocalIPv6": true}', want: { nonMasqueradeCIDRs: ['fd00::/8'], masqLinkLocal: false, masqLinkLocalIPv6: true } },
    { name: 'no list, which is not an empty one', config: 'resyncInterval: 1m30s', want: { masqLinkLocal: false, masqLinkLocalIPv6: false } },
    { name: 'an empty list', config: 'nonMasqueradeCIDRs: []', want: { nonMasqueradeCIDRs: [], masqLinkLocal: false, masqLinkLocalIPv6: false } },
    { name: 'nothing at all', config: '', want: { masqLinkLocal: false, masqLinkLocalIPv6: false } },
  ])('is read from $name', ({ config, want }) => { expect(read(config)).toEqual({ data: { uid: 'u', ...want }, messages: [] }); });

  test.each([
    { name: 'no text', config: undefined, want: 'data.config: nothing: expected the configuration of ip-masq-agent as text: YAML or JSON' },
    { name: 'a list', config: '[]', want: 'data.config: "[]": expected an object as YAML or JSON' },
    { name: 'a member that nobody knows', config: 'nonMasqueradeCIDR: []', want: 'data.config.nonMasqueradeCIDR: []: expected no such field; did you mean nonMasqueradeCIDRs?' },
    { name: 'a range that is none', config: 'nonMasqueradeCIDRs: [10.0.0.0/33]', want: 'data.config.nonMasqueradeCIDRs[0]: "10.0.0.0/33": expected a CIDR such as 10.0.0.0/8 or fd00::/8' },
    { name: 'an address', config: 'nonMasqueradeCIDRs: [10.0.0.1]', want: 'data.config.nonMasqueradeCIDRs[0]: "10.0.0.1": expected a CIDR such as 10.0.0.0/8 or fd00::/8' },
    { name: 'a range that begins elsewhere', config: 'nonMasqueradeCIDRs: [10.0.0.1/8]', want: 'data.config.nonMasqueradeCIDRs[0]: "10.0.0.1/8": expected a CIDR that begins at its own first address: 10.0.0.0/8' },
    { name: 'more ranges than the limit', config: 'cidrLimit: 1\nnonMasqueradeCIDRs: [10.0.0.0/8, 172.16.0.0/12]', want: 'data.config.nonMasqueradeCIDRs: "2 ranges": expected at most 1, as cidrLimit says' },
    { name: 'a limit that is none', config: 'cidrLimit: many', want: 'data.config.cidrLimit: "many": expected a number of ranges, at most 4096' },
    { name: 'a limit beyond a node\'s room', config: 'cidrLimit: 5000', want: 'data.config.cidrLimit: 5000: expected a number of ranges, at most 4096' },
    { name: 'a word for a yes', config: 'masqLinkLocal: "yes"', want: 'data.config.masqLinkLocal: "yes": expected true or false' },
    { name: 'a time without a unit', config: 'resyncInterval: 60', want: 'data.config.resyncInterval: 60: expected a time such as 60s' },
  ])('is refused with $name', ({ config, want }) => { expect(read(config).messages).toEqual([want]); });

  test('is refused where it is no YAML', () => { expect(read('{"nonMasqueradeCIDRs": [').messages).toEqual([expect.stringMatching(/^data\.config: .*: expected YAML or JSON: /)]); });

  test('is one object of the cluster', () => {
    expect(isIpMasqAgent(configMap(''))).toBe(true);
    expect(isIpMasqAgent(configMap('', 'kube-proxy'))).toBe(false);
    expect(isIpMasqAgent({ ...configMap(''), namespace: 'shop' })).toBe(false);
  });
});
