import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { check } from './check.ts';
import { runSeine } from '../seine.ts';
import type { Io } from './verb.ts';

const SHOP = new URL('../../../infra/examples/shop', import.meta.url).pathname;

const collect = (): { readonly io: Io; readonly out: string[]; readonly err: string[] } => {
  const [out, err]: [string[], string[]] = [[], []];
  return { out, err, io: { stdout: (text) => { out.push(text); }, stderr: (text) => { err.push(text); }, terminal: false, signal: new AbortController().signal } };
};

describe('seine check', () => {
  let folder: string;
  beforeAll(() => { folder = mkdtempSync(join(tmpdir(), 'seine-check-')); });
  afterAll(() => { rmSync(folder, { recursive: true }); });
  const run = async (...args: readonly string[]) => {
    const { io, out, err } = collect();
    return { code: await runSeine(['check', ...args], io), out: out.join(''), err: err.join('') };
  };

  test('finds the one mistake of the shop and exits 1', async () => {
    const { code, out } = await run('-f', SHOP, '--probes', join(SHOP, 'probes.json'), '-o', 'json');
    expect(code).toBe(1);
    const report = JSON.parse(out) as { readonly mismatched: number; readonly probes: readonly { readonly ok: boolean; readonly to: string; readonly reason: unknown }[] };
    expect(report.mismatched).toBe(1);
    expect(report.probes.find(({ ok }) => !ok)).toMatchObject({ to: 'shop/carts-db', reason: { code: 133 } });
  });

  test('exits 0 once the fix is applied', async () => {
    expect((await run('-f', SHOP, '-f', join(SHOP, 'fix.yaml'), '--probes', join(SHOP, 'probes.json'))).code).toBe(0);
  });

  test('exits 2 and names object, field, value and expectation of a bad manifest', async () => {
    writeFileSync(join(folder, 'bad.yaml'), 'apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p, namespace: a}\nspec: {podSelector: {}, ingress: [{ports: [{port: 70000}]}]}\n');
    const { code, err } = await run('-f', join(folder, 'bad.yaml'));
    expect(code).toBe(2);
    expect(err).toContain('NetworkPolicy a/p: spec.ingress[0].ports[0].port: 70000: expected a number from 1 to 65535');
  });

  test('a Service that was given its slice leaves the others theirs', async () => {
    const pod = (name: string): string => `apiVersion: v1\nkind: Pod\nmetadata: {name: ${name}, namespace: a, labels: {app: ${name}}}\nspec: {nodeName: n1, containers: [{name: main, ports: [{containerPort: 80}]}]}\n---\n`;
    const service = (name: string, selector: string): string => `apiVersion: v1\nkind: Service\nmetadata: {name: ${name}, namespace: a}\nspec: {${selector}ports: [{port: 80}]}\n---\n`;
    writeFileSync(join(folder, 'slices.yaml'), `${pod('web')}${pod('client')}${service('web', 'selector: {app: web}, ')}${service('outside', '')}
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: outside-1, namespace: a, labels: {kubernetes.io/service-name: outside}}
addressType: IPv4
ports: [{port: 8080, protocol: TCP}]
endpoints: [{addresses: [203.0.113.9], conditions: {ready: true}}]
`);
    for (const [to, destination] of [['svc:a/web', ':80'], ['svc:a/outside', '203.0.113.9:8080']] as const) {
      const { code, out } = await run('-f', join(folder, 'slices.yaml'), 'a/client', to, '80', '-o', 'json');
      expect([to, code]).toEqual([to, 0]);
      expect((JSON.parse(out) as { readonly probes: readonly unknown[] }).probes).toEqual([expect.objectContaining({ got: 'allow', evidence: expect.objectContaining({ destination: expect.stringContaining(destination) }) })]);
    }
  });

  test.each([
    { name: 'a name that nobody has', args: ['-f', SHOP, 'shop/nobody', 'shop/carts', '80'], want: 'shop/nobody: no pod or workload' },
    { name: 'a port that is none', args: ['-f', SHOP, 'shop/carts', 'shop/carts-db', '99999'], want: 'expected a number from 1 to 65535' },
    { name: 'an option that is none', args: ['--frobnicate'], want: 'frobnicate' },
    { name: 'a setting that nobody has', args: ['--set', 'mode=always', '-f', SHOP], want: '--set mode=always: expected NAME=VALUE, NAME one of policy-enforcement-mode, policy-cidr-match-mode' },
    { name: 'a value that no setting has', args: ['--set', 'policy-enforcement-mode=sometimes', '-f', SHOP], want: 'expected one of default, always, never' },
    { name: 'a folder that is not there', args: ['-f', '/nowhere'], want: '/nowhere: no such file or folder' },
  ])('refuses $name with one sentence and exit 2', async ({ args, want }) => {
    const { code, err } = await run(...args);
    expect(code).toBe(2);
    expect(err).toContain(want);
  });

  test.each([
    { mode: 'default', open: 'allow', closed: 'deny', own: 'allow' },
    { mode: 'always', open: 'deny', closed: 'deny', own: 'allow' },
    { mode: 'never', open: 'allow', closed: 'allow', own: 'allow' },
  ])('judges a cluster whose policies are enforced $mode', async ({ mode, open, closed, own }) => {
    const pod = (name: string): object => ({ apiVersion: 'v1', kind: 'Pod', metadata: { namespace: 'a', name, labels: { app: name } }, spec: { nodeName: 'n1', containers: [] } });
    writeFileSync(join(folder, 'mode.jsonl'), JSON.stringify({
      objects: [pod('free'), pod('shut'), { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata: { namespace: 'a', name: 'p' }, spec: { podSelector: { matchLabels: { app: 'shut' } }, ingress: [] } }],
      probes: [{ from: 'external', to: 'a/free', port: 80 }, { from: 'external', to: 'a/shut', port: 80 }, { from: 'node:n1', to: 'a/free', port: 80 }],
    }));
    const { out } = await run('--batch', join(folder, 'mode.jsonl'), '--set', `policy-enforcement-mode=${mode}`);
    expect((JSON.parse(out) as { readonly probes: readonly { readonly got: string }[] }).probes.map(({ got }) => got)).toEqual([open, closed, own]);
  });

  test('judges every other line of a batch where one, or a probe in one, is none', async () => {
    const pod = (name: string): object => ({ apiVersion: 'v1', kind: 'Pod', metadata: { namespace: 'a', name }, spec: { nodeName: 'n1', containers: [] } });
    const good = { from: 'a/web', to: 'a/db', port: 80 };
    writeFileSync(join(folder, 'bad.jsonl'), [
      JSON.stringify({ name: 'first', objects: [pod('web'), pod('db')], probes: [{ ...good, port: 70_000 }, good, 7] }), '{"name":', '[]', JSON.stringify({ name: 'last', objects: [pod('web'), pod('db')], probes: [good] }),
    ].join('\n'));
    const { code, out } = await run('--batch', join(folder, 'bad.jsonl'));
    expect(code).toBe(2);
    expect(out.trim().split('\n').map((line) => JSON.parse(line) as unknown)).toMatchObject([
      { name: 'first', pass: false, probes: [{ from: 'a/web', to: 'a/db', got: 'error', ok: false, message: expect.stringContaining('bad.jsonl:1 probes[0].port: 70000: expected a number from 1 to 65535') }, { got: 'allow', ok: true }, { got: 'error', message: expect.stringContaining('probes[2]: 7: expected a probe') }] },
      { name: expect.stringContaining('bad.jsonl:2'), got: 'error', pass: false, message: expect.stringContaining('bad.jsonl:2: ') }, { got: 'error', message: expect.stringContaining('bad.jsonl:3: expected') }, { name: 'last', pass: true, probes: [{ got: 'allow' }] },
    ]);
  });

  test('takes cases without probes, and Lists of objects', async () => {
    const policy = (name: string, port: number): object => ({ apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata: { namespace: 'a', name }, spec: { podSelector: {}, ingress: [{ ports: [{ port }] }] } });
    writeFileSync(join(folder, 'lists.jsonl'), JSON.stringify({ name: 'l', objects: [{ apiVersion: 'v1', kind: 'List', items: [policy('good', 80), policy('bad', 0)] }] }));
    const { code, out } = await run('--batch', join(folder, 'lists.jsonl'));
    expect([code, JSON.parse(out)]).toMatchObject([0, { name: 'l', pass: true, probes: [], rejected: [{ kind: 'NetworkPolicy', namespace: 'a', name: 'bad', field: 'spec.ingress[0].ports[0].port' }] }]);
  });

  test('refuses a policy kind that it cannot judge, visibly', async () => {
    writeFileSync(join(folder, 'anp.yaml'), 'apiVersion: policy.networking.k8s.io/v1alpha1\nkind: AdminNetworkPolicy\nmetadata: {name: p}\nspec: {priority: 1, subject: {namespaces: {}}}\n');
    const { code, err } = await run('-f', join(folder, 'anp.yaml'));
    expect(code).toBe(2);
    expect(err).toContain('AdminNetworkPolicy of policy.networking.k8s.io/v1alpha1 is not supported');
  });

  test('says what of a Service is refused although the rest of it is served', async () => {
    writeFileSync(join(folder, 'part.yaml'), `apiVersion: v1
kind: Pod
metadata: {name: web, namespace: a, labels: {app: web}}
spec: {nodeName: n1, containers: [{name: main, ports: [{containerPort: 80}]}]}
status: {podIP: 10.244.1.9}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: a}
spec: {selector: {app: web}, externalIPs: [10.244.1.9], ports: [{port: 80}]}
`);
    const { code, out, err } = await run('-f', join(folder, 'part.yaml'), 'node:n1', 'svc:a/web', '80', '-o', 'json');
    expect(code).toBe(0);
    expect(err).toContain('refused in part: Service a/web: spec.externalIPs[0]: 10.244.1.9: expected an address that');
    expect(JSON.parse(out)).toMatchObject({ rejected: [], refusedInPart: [{ kind: 'Service', namespace: 'a', name: 'web', field: 'spec.externalIPs[0]', value: '10.244.1.9' }] });
  });

  test('says how it is used', () => {
    expect(check.usage).toContain('--batch');
  });
});
