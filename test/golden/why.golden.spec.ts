/** What `seine why` says of a log: a cluster lived through, then asked at several moments. */
import { describe, expect, test } from '@jest/globals';

import type { Commit } from '@seine/bus';
import { mergeObjects, parseManifests, type KubeObject } from '@seine/objects';

import type { History } from '../../services/cli/history.ts';
import { whyText } from '../../services/cli/print/why.ts';
import { probeOfWords } from '../../services/cli/probes.ts';
import { whyInLog } from '../../services/cli/verb/why.ts';
import type { Moment } from '../../services/cli/moment.ts';
import { openCluster } from './engine.ts';

const START_MS = Date.UTC(2026, 10, 21, 2, 57);

const managed = (manager: string) => ({ managedFields: [{ manager, operation: 'Update', time: '2026-11-21T02:57:00Z' }] });
const pod = (name: string, tier: string): string => JSON.stringify({
  apiVersion: 'v1', kind: 'Pod', metadata: { namespace: 'prod', name, uid: name, labels: { app: name, tier }, ...managed('helm') }, spec: { nodeName: 'n1', containers: [{ name: 'c', ports: [{ containerPort: 8443 }] }] },
});
const PAYMENTS_IN = JSON.stringify({
  apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata: { namespace: 'prod', name: 'payments-in', ...managed('kubectl-client-side-apply') },
  spec: { podSelector: { matchLabels: { app: 'payments' } }, ingress: [{ from: [{ podSelector: { matchLabels: { app: 'checkout' } } }] }] },
});
const QUARANTINE = JSON.stringify({
  apiVersion: 'cilium.io/v2', kind: 'CiliumNetworkPolicy', metadata: { namespace: 'prod', name: 'quarantine', ...managed('argocd-controller') },
  spec: { endpointSelector: { matchLabels: { app: 'payments' } }, ingressDeny: [{ fromEndpoints: [{ matchLabels: { 'k8s:tier': 'web' } }] }] },
});
const objectsOf = (...documents: readonly string[]): readonly KubeObject[] => mergeObjects(parseManifests(documents.join('\n---\n'), 'prod.yaml').objects).objects;

/** One commit for each event, a second apart; steps are a minute apart. */
const lived = (...steps: readonly (readonly KubeObject[])[]): { readonly history: History; readonly ends: readonly number[] } => {
  const cluster = openCluster(1);
  const commits: Commit[] = [];
  const ends: number[] = [];
  for (const [step, objects] of steps.entries()) {
    for (const event of cluster.apply(objects)) {
      commits.push({ seq: commits.length + 1, lane: 'fact', laneSeq: commits.length + 1, epoch: 1, seen: 0, writer: '', storedMs: START_MS + step * 60_000, hash: '', prev: '', events: [event] });
    }
    ends.push(commits.length);
  }
  const read: History['read'] = async function* ({ until = Number.MAX_SAFE_INTEGER }) { for (const commit of commits) if (commit.seq <= until) yield commit; };
  return { history: { logId: 'golden', read, stored: async function* () {}, lastSeq: async () => commits.length, close: async () => {} }, ends };
};

const STEPS = [
  objectsOf(pod('checkout', 'edge'), pod('payments', 'back'), PAYMENTS_IN),
  objectsOf(pod('checkout', 'edge'), pod('payments', 'back'), PAYMENTS_IN, QUARANTINE),
  objectsOf(pod('checkout', 'web'), pod('payments', 'back'), PAYMENTS_IN, QUARANTINE),
  objectsOf(pod('checkout', 'web'), pod('payments', 'back'), PAYMENTS_IN),
];
const { history, ends } = lived(...STEPS);
const ask = async (at: Moment | undefined) => whyInLog(history, probeOfWords(['prod/checkout', 'prod/payments', '8443']), at, undefined);
const after = (step: number): Moment => ({ type: 'sequence', seq: ends[step]! });

describe('seine why over a log', () => {
  test('before the relabelling: nothing had flipped, and nothing has by today', async () => {
    const report = await ask(after(1));
    expect(report).toMatchObject({ verdict: 'allow', decidedBy: { name: 'payments-in', peer: 0 }, today: null });
    expect(report.history.some(({ flipped }) => flipped)).toBe(false);
    expect(whyText(report)).not.toContain('How it came about');
  });

  test('after it, at a time: which label, since when, who set it, and what it would be today', async () => {
    const report = await ask({ type: 'time', ms: START_MS + 2 * 60_000 + 30_000 });
    expect(report).toMatchObject({ verdict: 'deny', reason: { code: 181 }, asOf: { seq: ends[2], head: ends[3] }, today: { verdict: 'allow', because: { summary: 'CiliumNetworkPolicy prod/quarantine removed' } } });
    expect(whyText(report)).toBe(`DENIED  prod/checkout (identity 258, n1)  ->  prod/payments (identity 257, n1)  8443/TCP
        at ingress of prod/payments: drop reason 181, a deny rule matched

  egress of prod/checkout    allowed   no policy selects it for egress
  ingress of prod/payments   denied    selected by 2 policies, 2 rules, 1 decides

  Decided by
    CiliumNetworkPolicy prod/quarantine ingressDeny[0].fromEndpoints[0]   prod.yaml:7
      matches   k8s:tier=web  in namespace prod
      client    k8s:tier=web  in namespace prod    since #37

  Allowed but overruled   (deny wins over any allow)
    NetworkPolicy prod/payments-in ingress[0].from[0]   prod.yaml:5

  Selected by
    ingress  CiliumNetworkPolicy prod/quarantine  isolates, 1 rule  prod.yaml:7  since #36
    ingress  NetworkPolicy prod/payments-in       isolates, 1 rule  prod.yaml:5  since #28

  How it came about   (4 more with -o json)
    #28  02:57:00  NetworkPolicy prod/payments-in compiled   set by field manager kubectl-client-side-apply, Update
    #36  02:58:00  CiliumNetworkPolicy prod/quarantine compiled   set by field manager argocd-controller, Update
    #37  02:59:00  pod prod/checkout observed with k8s:tier=web (before: k8s:tier=edge)   set by field manager helm, Update
    #40  02:59:00  prod/checkout has identity 258 (before: 256)   <- the verdict flipped here: DENIED
  Today it would be  ALLOWED  (#43: CiliumNetworkPolicy prod/quarantine removed 03:00:00)

  As of  #41, stored 02:59:00, judged on n1 (the log's head is #43)
`);
  });

  test('at the head: the removal flipped it back', async () => {
    const report = await ask(undefined);
    expect(report).toMatchObject({ verdict: 'allow', today: null, asOf: { seq: ends[3], head: ends[3] } });
    expect(report.history.filter(({ flipped }) => flipped).map(({ summary, verdict, manager }) => [summary, verdict, manager])).toEqual([
      ['prod/checkout has identity 258 (before: 256)', 'deny', null], ['CiliumNetworkPolicy prod/quarantine removed', 'allow', null],
    ]);
  });
});
