import { describe, expect, test } from '@jest/globals';

import { decode, Direction, encode, File, SAMPLE, SampleKind, Verdict, type Row } from '@seine/layout';
import { CIDR_IDENTITY_BASE } from '@seine/model';

import { createAttributions, createFlowRing, emptyNames, questionOf, selectFlows, toFlow, type Names } from './index.ts';

const sample: Row<typeof SAMPLE> = {
  time: 5_000_000_000n, seen: 142n, source: '10.244.1.10', destination: '10.244.1.20', sourcePort: 40000, destinationPort: 27017, protocol: 6, kind: SampleKind.DROP, reason: 133,
  direction: Direction.INGRESS, verdict: Verdict.DEFAULT_DENY, tcpFlags: 2, file: File.POLICY, reply: 0, line: 80, endpointId: 3, sourceIdentity: 300, destinationIdentity: 301, rule: 0,
  ifindex: 7, length: 60, lost: 0,
};
const names: Names = {
  rules: new Map([[7, 'NetworkPolicy/shop/db-access ingress[0]']]), identities: new Map([[300, ['k8s:app=web']], [301, ['k8s:app=db']]]),
  pods: new Map([['10.244.1.10', 'shop/web'], ['10.244.1.20', 'shop/db']]), classes: new Map([[4, '203.0.113.0/24']]),
};
const flow = (change: Partial<typeof sample> = {}, known = names) => toFlow({ ...sample, ...change }, 'n1', Date.UTC(2026, 0, 1), known);

describe('a flow', () => {
  test('of a drop tells reason, names, place and the position of the node', () => {
    expect(flow()).toEqual({
      time: '2026-01-01T00:00:05.000Z', seen: 142, node: 'n1', verdict: 'DROPPED', direction: 'ingress', reason: { code: 133, name: expect.stringContaining('no rule allows it') },
      source: { address: '10.244.1.10', port: 40000, identity: 300, labels: ['k8s:app=web'], pod: 'shop/web' },
      destination: { address: '10.244.1.20', port: 27017, identity: 301, labels: ['k8s:app=db'], pod: 'shop/db' },
      protocol: 'TCP', icmp: null, rule: null, peer: null, peerField: null, isolatedBy: [], policy_log: [], tcpFlags: 2, isReply: false, file: 'policy', line: 80, lost: 0,
    });
  });

  test.each([
    [{ kind: SampleKind.VERDICT, verdict: Verdict.ALLOW, reason: 0, rule: 7 }, { verdict: 'FORWARDED', reason: null, rule: 'NetworkPolicy/shop/db-access ingress[0]' }],
    [{ kind: SampleKind.VERDICT, verdict: Verdict.AUDIT, reason: 0, rule: 9 }, { verdict: 'AUDIT', reason: null, rule: 'rule 9' }],
    [{ protocol: 1, sourcePort: 0, destinationPort: 0x0800 }, { protocol: 'ICMP', icmp: { type: 8, code: 0 } }],
    [{ direction: 0 }, { direction: null }],
    [{ reply: 1 }, { isReply: true }],
  ])('of %j is %j', (change, want) => { expect(flow(change)).toMatchObject(want); });

  test('names reserved identities, prefixes outside, and nobody', () => {
    expect(flow({ sourceIdentity: 1 }).source.labels).toEqual(['reserved:host']);
    expect(flow({ sourceIdentity: CIDR_IDENTITY_BASE + 4 }).source.labels).toEqual(['cidr:203.0.113.0/24', 'reserved:world']);
    expect(flow({}, emptyNames()).source).toMatchObject({ labels: [], pod: null });
  });
});

describe('who decided', () => {
  const denied = flow();
  const allowed = flow({ kind: SampleKind.VERDICT, verdict: Verdict.ALLOW, reason: 0, rule: 7 });

  test.each([
    { name: 'a default deny asks for the policies that isolate the destination', told: denied, want: { direction: 'ingress', rule: null, audit: false, identity: 301, address: '10.244.1.20', peerIdentity: 300, peerAddress: '10.244.1.10' } },
    { name: 'a rule at egress asks for the peer that is the destination', told: flow({ kind: SampleKind.VERDICT, verdict: Verdict.ALLOW, reason: 0, rule: 7, direction: Direction.EGRESS }), want: { direction: 'egress', rule: 'NetworkPolicy/shop/db-access ingress[0]', identity: 300, peerIdentity: 301 } },
    { name: 'an audited flow asks which policies under audit would have denied it', told: flow({ kind: SampleKind.VERDICT, verdict: Verdict.AUDIT, reason: 0 }), want: { audit: true, rule: null } },
  ])('$name', ({ told, want }) => { expect(questionOf(told)).toMatchObject(want); });

  test.each([
    { name: 'a drop that is no policy\'s', told: flow({ reason: 132 }) },
    { name: 'a flow that no rule decided', told: flow({ kind: SampleKind.VERDICT, verdict: Verdict.ALLOW, reason: 0 }) },
    { name: 'a flow without direction', told: flow({ direction: 0 }) },
  ])('$name asks nothing', ({ told }) => { expect(questionOf(told)).toBeUndefined(); });

  test('is asked once for flows alike, told with each, and asked again once the log has gone on', () => {
    const known = createAttributions();
    const questions = known.missing([denied, allowed, { ...denied, source: { ...denied.source, port: 40001 } }]);
    expect(questions.map(({ rule }) => rule)).toEqual([null, 'NetworkPolicy/shop/db-access ingress[0]']);
    expect(known.apply(denied)).toEqual(denied);
    known.learn(questions, [{ peer: null, peerField: null, isolatedBy: ['NetworkPolicy/shop/db-access'], log: [] }, { peer: 2, peerField: 'from[2]', isolatedBy: [], log: ['seen by the shop'] }]);
    expect(known.missing([denied, allowed])).toEqual([]);
    expect(known.apply(denied)).toMatchObject({ peer: null, isolatedBy: ['NetworkPolicy/shop/db-access'] });
    expect(known.apply(allowed)).toMatchObject({ peer: 2, peerField: 'from[2]', policy_log: ['seen by the shop'] });
    const later = { ...denied, seen: denied.seen + 1 }; // the log has gone on: another policy may isolate the same two
    expect(known.missing([later])).toHaveLength(1);
    expect(known.apply(later)).toEqual(later);
    known.learn(known.missing([later]), [{ peer: null, peerField: null, isolatedBy: ['NetworkPolicy/shop/other'], log: [] }]);
    expect(known.missing([{ ...later, seen: later.seen }])).toEqual([]);
    expect(known.apply(later)).toMatchObject({ isolatedBy: ['NetworkPolicy/shop/other'] });
    expect(known.missing([allowed])).toHaveLength(1);
  });

  test('is told again by the ring', () => {
    const ring = createFlowRing(2, SAMPLE.size, (bytes) => toFlow(decode(SAMPLE, bytes), 'n1', Date.UTC(2026, 0, 1), emptyNames()));
    const told = { ...denied, isolatedBy: ['NetworkPolicy/shop/db-access'], policy_log: ['x'] };
    ring.add(encode(SAMPLE, sample), told);
    expect(ring.all()).toEqual([told]);
  });
});

describe('the ring', () => {
  test('keeps the last flows, oldest first, and counts all', () => {
    const ring = createFlowRing(3, SAMPLE.size, (bytes) => toFlow(decode(SAMPLE, bytes), 'n1', Date.UTC(2026, 0, 1), emptyNames()));
    const added = [1, 2, 3, 4].map((line) => ({ bytes: encode(SAMPLE, { ...sample, line, rule: 7 }), flow: flow({ line, rule: 7 }) }));
    for (const { bytes, flow: told } of added.slice(0, 2)) ring.add(bytes, told);
    expect(ring.all()).toEqual([added[0]!.flow, added[1]!.flow]);
    for (const { bytes, flow: told } of added.slice(2)) ring.add(bytes, told);
    expect(ring.all()).toEqual([added[1]!.flow, added[2]!.flow, added[3]!.flow]);
    expect(ring.seen()).toBe(4);
  });

  test('is asked by time, number and what both sides are', () => {
    const flows = [1n, 2n, 3n].map((second) => flow({ time: second * 1_000_000_000n, sourceIdentity: second === 2n ? 1 : 300 }));
    expect(selectFlows(flows, {})).toEqual(flows);
    expect(selectFlows(flows, { since: '2026-01-01T00:00:02Z' })).toEqual(flows.slice(1));
    expect(selectFlows(flows, { last: 1 })).toEqual(flows.slice(2));
    expect(selectFlows(flows, { last: 0 })).toEqual([]);
    expect(selectFlows(flows, { filter: { verdict: 'FORWARDED' } })).toEqual([]);
    expect(selectFlows(flows, { filter: { pod: 'shop/db', verdict: 'DROPPED' }, last: 2 })).toEqual(flows.slice(1));
    expect(selectFlows(flows, { filter: { pod: 'shop/other' } })).toEqual([]);
  });
});
