import { describe, expect, test } from '@jest/globals';

import type { Flow } from '@seine/node';

import { acceptanceCases } from './cases.ts';
import { checkFaults, flowFaults, probeFaults, wantedFlows, type Answer, type JudgeOf } from './judge.ts';
import { ROWS } from './rows.ts';
import { denyRule, noRule, type Ask, type Want } from './scenario.ts';

const POLICY = 'CiliumNetworkPolicy/a/x';
const [CLIENT, ECHO] = ['10.244.1.2', '10.244.2.2'] as const;
const ask = (want: Want): Ask => ({ from: 'a/client', to: 'a/echo', protocol: 'TCP', port: 8080, http: { method: 'GET', path: '/' }, want });
const answer = (change: Partial<Answer> = {}, evidence: Partial<Answer['evidence']> = {}): Answer =>
  ({ got: 'allow', direction: null, reason: null, connected: true, ...change, evidence: { arrived: 1, replied: 1, source: `${CLIENT}:40000`, destination: `${ECHO}:8080`, status: 200, ...evidence } });
const denied = (code: number, direction: string): Answer => answer({ got: 'deny', direction, reason: { code }, connected: false }, { arrived: 0, replied: 0, status: undefined as never });

const judgeOf: JudgeOf = (address) => ({ [CLIENT]: { node: 'n1', pod: 'a/client' }, [ECHO]: { node: 'n2', pod: 'a/echo' }, '192.168.50.1': { node: 'n1', pod: null } })[address];
const party = (address: string, port: number, pod: string | null): Flow['source'] => ({ address, port, identity: 256, labels: [], pod });
const flow = (node: string, verdict: Flow['verdict'], direction: 'ingress' | 'egress', code?: number): Flow => ({
  time: '', seen: 1, node, verdict, direction, reason: code === undefined ? null : { code, name: '' }, source: party(CLIENT, 40000, 'a/client'), destination: party(ECHO, 8080, 'a/echo'),
  protocol: 'TCP', icmp: null, rule: code === 181 ? `${POLICY} egressDeny[0]` : null, peer: null, peerField: null, isolatedBy: code === 133 ? [POLICY] : [], policy_log: [], tcpFlags: 2, isReply: false, file: '', line: 0, lost: 0,
});

describe('a verdict', () => {
  test.each([
    { name: 'an answer where one is wanted', want: 'ok' as Want, got: answer(), faults: [] },
    { name: 'no answer to a question that arrived', want: 'ok' as Want, got: answer({}, { status: 500 }), faults: ['a/client -> a/echo 8080/TCP: allowed, but no answer came back'] },
    { name: 'a drop where an answer is wanted', want: 'ok' as Want, got: denied(133, 'ingress'), faults: ['a/client -> a/echo 8080/TCP: wanted allow, got deny 133 ingress'] },
    { name: 'the drop that is wanted', want: noRule('ingress'), got: denied(133, 'ingress'), faults: [] },
    { name: 'the other reason', want: denyRule('ingress'), got: denied(133, 'ingress'), faults: ['a/client -> a/echo 8080/TCP: wanted deny 181 ingress, got deny 133 ingress'] },
    { name: 'the other direction', want: noRule('egress'), got: denied(133, 'ingress'), faults: ['a/client -> a/echo 8080/TCP: wanted deny 133 egress, got deny 133 ingress'] },
    { name: 'an answer where a drop is wanted', want: noRule('ingress'), got: answer(), faults: ['a/client -> a/echo 8080/TCP: wanted deny 133 ingress, got allow'] },
    { name: 'a drop that was told although the packet arrived', want: noRule('ingress'), got: { ...denied(133, 'ingress'), evidence: answer().evidence }, faults: ['a/client -> a/echo 8080/TCP: it arrived although it was dropped'] },
  ])('$name', ({ want, got, faults }) => { expect(probeFaults([ask(want)], [got])).toEqual(faults); });

  test('of check is asked for no packets', () => {
    expect(checkFaults([ask('ok')], [answer({ connected: null }, { arrived: 0, replied: 0, status: undefined as never })])).toEqual([]);
    expect(checkFaults([ask(noRule('egress'))], [answer()])).toEqual(['a/client -> a/echo 8080/TCP: wanted deny 133 egress, got allow']);
  });
});

describe('flows', () => {
  test.each([
    { name: 'both sides of what is allowed', want: 'ok' as Want, seen: [flow('n1', 'FORWARDED', 'egress'), flow('n2', 'FORWARDED', 'ingress')], faults: [] },
    { name: 'one side is silent', want: 'ok' as Want, seen: [flow('n1', 'FORWARDED', 'egress')], faults: ['nobody told FORWARDED ingress on n2'] },
    { name: 'a drop of what is allowed', want: 'ok' as Want, seen: [flow('n1', 'FORWARDED', 'egress'), flow('n2', 'FORWARDED', 'ingress'), flow('n2', 'DROPPED', 'ingress', 133)], faults: ['told against it: DROPPED 133 ingress on n2'] },
    { name: 'a drop at ingress after the source let it go', want: noRule('ingress'), seen: [flow('n1', 'FORWARDED', 'egress'), flow('n2', 'DROPPED', 'ingress', 133)], faults: [] },
    { name: 'a drop at egress', want: denyRule('egress'), seen: [flow('n1', 'DROPPED', 'egress', 181)], faults: [] },
    { name: 'a drop told by the wrong node', want: denyRule('egress'), seen: [flow('n2', 'DROPPED', 'egress', 181)], faults: ['nobody told DROPPED 181 egress on n1', 'told against it: DROPPED 181 egress on n2'] },
    { name: 'a drop for the other reason', want: denyRule('egress'), seen: [flow('n1', 'DROPPED', 'egress', 133)], faults: ['nobody told DROPPED 181 egress on n1', 'told against it: DROPPED 133 egress on n1'] },
    { name: 'forwarded where it is dropped', want: denyRule('egress'), seen: [flow('n1', 'DROPPED', 'egress', 181), flow('n1', 'FORWARDED', 'egress')], faults: ['told against it: FORWARDED egress on n1'] },
    { name: 'a pod whose name nobody knew', want: denyRule('egress'), seen: [{ ...flow('n1', 'DROPPED', 'egress', 181), source: party(CLIENT, 40000, null) }], faults: ['a pod without its name in DROPPED egress on n1'] },
    { name: 'a deny that names no rule', want: denyRule('egress'), seen: [{ ...flow('n1', 'DROPPED', 'egress', 181), rule: null, isolatedBy: [POLICY] }], faults: [`decided by none of the row's policies: no rule, ${POLICY}`] },
    { name: "a drop by somebody else's policy", want: noRule('egress'), seen: [{ ...flow('n1', 'DROPPED', 'egress', 133), isolatedBy: [POLICY, 'NetworkPolicy/a/y'] }], faults: [`decided by none of the row's policies: no rule, ${POLICY}, NetworkPolicy/a/y`] },
    { name: 'a drop for which nobody is named', want: noRule('egress'), seen: [{ ...flow('n1', 'DROPPED', 'egress', 133), isolatedBy: [] }], faults: ["decided by none of the row's policies: no rule"] },
  ])('$name', ({ want, seen, faults }) => {
    expect(flowFaults(ask(want), denied(133, 'egress'), seen, judgeOf, new Set([POLICY]))).toEqual(faults.map((fault) => `a/client -> a/echo 8080/TCP: ${fault}`));
  });

  test('of a node are demanded only where it drops, of the world never', () => {
    const fromNode = answer({}, { source: '192.168.50.1:40000' });
    expect(wantedFlows(ask('ok'), fromNode, judgeOf)).toEqual([{ node: 'n2', direction: 'ingress', verdict: 'FORWARDED', code: null }]);
    expect(wantedFlows(ask(noRule('egress')), fromNode, judgeOf)).toEqual([{ node: 'n1', direction: 'egress', verdict: 'DROPPED', code: 133 }]);
    expect(wantedFlows(ask('ok'), answer({}, { destination: '198.51.100.1:80' }), judgeOf)).toEqual([{ node: 'n1', direction: 'egress', verdict: 'FORWARDED', code: null }]);
  });
});

describe('the table', () => {
  test('has the rows that were agreed: 9, 32 lines of which three name two tests, 11, 3, and nine twins', () => {
    const of = (section: string): number => ROWS.filter((row) => row.section === section).length;
    expect([of('3.4'), of('3.5'), of('3.6'), of('3.8')]).toEqual([9, 32 + 3, 11, 3]);
    expect(acceptanceCases().filter(({ twin }) => twin)).toHaveLength(9);
    expect(new Set(acceptanceCases().map(({ name }) => name)).size).toBe(ROWS.length + 9);
  });

  test('asks something in every row that is neither refused nor absent, and every policy denies or restricts something', () => {
    for (const { row, asks, objects } of acceptanceCases()) {
      if (row.refused === undefined && row.absent === undefined) expect([row.name, asks.length > 0]).toEqual([row.name, true]);
      if (objects.some(({ kind }) => kind.endsWith('Policy')) && asks.length > 0) expect([row.name, asks.some(({ want }) => want !== 'ok')]).toEqual([row.name, true]);
    }
  });

  test('a twin names the range around the port and nothing else changes', () => {
    const cases = new Map(acceptanceCases().map((each) => [each.name, each]));
    const spec = (name: string): string => JSON.stringify(cases.get(name)!.objects.at(-1)!.raw['spec']);
    expect(spec('to-entities-world-port-range')).toBe(spec('to-entities-world').replace('"port":"80"', '"port":"64"').replace('"protocol":"TCP"', '"protocol":"TCP","endPort":127'));
    expect(spec('client-egress-expression-knp-port-range')).toBe(spec('client-egress-expression-knp').replace('"port":8080', '"port":4096').replace('"protocol":"TCP"', '"protocol":"TCP","endPort":8191'));
  });
});
