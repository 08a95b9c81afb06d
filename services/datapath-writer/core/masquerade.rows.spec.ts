import { describe, expect, test } from '@jest/globals';

import type { IpMasqAgentData, SeineEvent } from '@seine/events';
import { MAPS, SelfFlag } from '@seine/layout';
import { unkindly } from '@seine/testkit';

import { aggregateOf, WORLD } from '../fixture/world.ts';
import { foldNode, replayNode } from './index.ts';

const time = '2026-03-01T12:00:00.000Z';
const setting = (key: string, value = 'true'): SeineEvent => ({ type: 'setting.observed.v1', key, time, data: { value } });
const LISTED: SeineEvent = { type: 'kind.listed.v1', key: 'ConfigMap', time, data: { kind: 'ConfigMap', resourceVersion: '1', absent: false } };
const agent = (data: Partial<IpMasqAgentData>): SeineEvent => ({ type: 'ipmasqagent.observed.v1', key: 'kube-system/ip-masq-agent', time, data: { uid: 'u', masqLinkLocal: false, masqLinkLocalIPv6: false, ...data } });
const GONE: SeineEvent = { type: 'ipmasqagent.vanished.v1', key: 'kube-system/ip-masq-agent', time, data: { uid: 'u' } };
const [V4, V6] = [setting('enable-ipv4-masquerade'), setting('enable-ipv6-masquerade')];
const SIX: readonly SeineEvent[] = [{ type: 'podcidr.assigned.v1', key: 'n1', time, data: { node: 'n1', cidrs: ['10.244.1.0/24', 'fd00:10:244:1::/64'] } }];

const entriesOf = (events: readonly SeineEvent[]) => replayNode('n1', foldNode([...WORLD, ...events].map((event, index) => ({ seq: index + 1, events: [event] }))), 1).dump.entries;
const member = (text: string, name: string): string => new RegExp(`(?:^| )${name}=(\\S+)`).exec(text)![1]!;
const rangesOf = (events: readonly SeineEvent[]): readonly string[] => entriesOf(events).filter(({ map }) => map === 'sn_nomasq_01')
  .map(({ key, value }) => `${member(key, 'address')}/${member(key, 'prefixLength')}${value === 'value=1' ? '' : ` ${value}`}`);
const flagsOf = (events: readonly SeineEvent[]): readonly boolean[] => entriesOf(events).filter(({ map }) => map === 'sn_self_01').map(({ value }) => (Number(member(value, 'flags')) & SelfFlag.MASQUERADES) !== 0);
const v4 = (text: string): string => { const [address, length] = text.split('/'); return `${address!}/${Number(length) + 96}`; };
const PODS = ['10.244.1.0/24', '10.244.2.0/24'].map(v4);
const LOCAL = v4('169.254.0.0/16');

describe('ranges that are not masqueraded', () => {
  test.each([
    { name: 'none, while nobody is', given: [LISTED, agent({ nonMasqueradeCIDRs: ['10.0.0.0/8'] })], want: [] },
    { name: 'none, until it is known whether somebody names them', given: [V4], want: [] },
    { name: 'pods of every node and this link, where no ConfigMap is', given: [V4, LISTED], want: [...PODS, LOCAL] },
    { name: 'of the family that is masqueraded only', given: [...SIX, V6, LISTED], want: ['fd00:10:244:1::/64', 'fe80::/10'] },
    { name: 'those that the ConfigMap names', given: [V4, LISTED, agent({ nonMasqueradeCIDRs: ['172.16.0.0/12', 'fd00::/8'] })], want: [...PODS, LOCAL, v4('172.16.0.0/12')] },
    { name: 'pods still, where the ConfigMap names nobody', given: [V4, LISTED, agent({ nonMasqueradeCIDRs: [], masqLinkLocal: true })], want: PODS },
    { name: 'the agent\'s own, where the ConfigMap has no list', given: [V4, LISTED, agent({})], want: [...PODS, LOCAL, ...['10.0.0.0/8', '100.64.0.0/10', '172.16.0.0/12', '192.0.0.0/24', '192.0.2.0/24', '192.168.0.0/16', '192.88.99.0/24', '198.18.0.0/15', '198.51.100.0/24', '203.0.113.0/24', '240.0.0.0/4'].map(v4)] },
    { name: 'as without one once the ConfigMap is gone', given: [V4, LISTED, agent({ nonMasqueradeCIDRs: ['172.16.0.0/12'] }), GONE], want: [...PODS, LOCAL] },
    { name: 'none again once it is switched off', given: [V4, LISTED, setting('enable-ipv4-masquerade', 'false')], want: [] },
    { name: 'all of IPv6, which is nothing of IPv4', given: [...SIX, V4, V6, LISTED, agent({ nonMasqueradeCIDRs: ['::/0'] })], want: [...PODS, 'fd00:10:244:1::/64', LOCAL, 'fe80::/10', '::/0', `${v4('0.0.0.0/0')} value=0`] },
    { name: 'all of both, where both are named', given: [...SIX, V4, V6, LISTED, agent({ nonMasqueradeCIDRs: ['::/0', '0.0.0.0/0'] })], want: [...PODS, 'fd00:10:244:1::/64', LOCAL, 'fe80::/10', '::/0', v4('0.0.0.0/0')] },
  ])('are $name', ({ given, want }) => {
    expect(rangesOf(given).toSorted()).toEqual(want.toSorted());
    for (const events of Object.values(unkindly(given, aggregateOf))) expect(rangesOf(events).toSorted()).toEqual(want.toSorted());
  });

  test('the node says itself in which families', () => {
    expect(flagsOf([LISTED])).toEqual([false, false]);
    expect(flagsOf([V4, LISTED])).toEqual([true, false]);
    expect(flagsOf([V4, V6, LISTED])).toEqual([true, true]);
    expect(flagsOf([V4, V6])).toEqual([false, false]);
  });

  test('have room for a block of each family of every node that there may be, and for what the ConfigMap names', () => {
    const [NODES, MOST_CIDRS, OWN] = [5000, 4096, 3];
    expect(MAPS.sn_nomasq_01.maxEntries).toBeGreaterThanOrEqual(2 * NODES + MOST_CIDRS + OWN);
  });
});
