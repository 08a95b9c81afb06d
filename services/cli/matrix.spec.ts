import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import type { MatrixDiff } from './diff.ts';
import type { Matrix } from './matrix.ts';
import { namesText } from './print/matrix.ts';
import { runSeine } from './seine.ts';

const SHOP = new URL('../../infra/examples/shop', import.meta.url).pathname;

const run = async (...args: readonly string[]): Promise<{ readonly code: number; readonly out: string; readonly err: string }> => {
  const [out, err]: [string[], string[]] = [[], []];
  const code = await runSeine(args, { stdout: (text) => { out.push(text); }, stderr: (text) => { err.push(text); }, terminal: false, signal: new AbortController().signal });
  return { code, out: out.join(''), err: err.join('') };
};

const pod = (name: string, port?: number): string => JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata: { namespace: 'a', name, labels: { app: name } }, spec: { nodeName: 'n1', containers: [{ name: 'c', ...(port === undefined ? {} : { ports: [{ containerPort: port }] }) }] } });
const PODS = [pod('web', 80), pod('db', 5432), pod('job')].join('\n---\n');
const policy = (name: string, spec: object, annotations: object = {}): string => JSON.stringify({ apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata: { namespace: 'a', name, annotations }, spec });
const fromWeb = (name: string): string => policy(name, { podSelector: { matchLabels: { app: 'db' } }, ingress: [{ from: [{ podSelector: { matchLabels: { app: 'web' } } }] }] });

let folder: string;
beforeAll(() => { folder = mkdtempSync(join(tmpdir(), 'seine-matrix-')); });
afterAll(() => { rmSync(folder, { recursive: true }); });
const file = (name: string, ...documents: readonly string[]): string => { const path = join(folder, name); writeFileSync(path, [PODS, ...documents].join('\n---\n')); return path; };

describe('seine matrix', () => {
  test('of the shop, as people read it: 100 columns, rows that are alike as one, the deciding rule of each port', async () => {
    const { code, out } = await run('matrix', '-n', 'shop', '-f', SHOP);
    expect(code).toBe(0);
    expect(out).toBe(`Who reaches whom in shop: 9 parties, 8 ports; of 72 cells 31 are allowed, 41 denied.

  FROM                          1  2  3  4  5  6  7  8
  external, carts, carts-db +3  .  x  x  x  +  x  x  .
  catalogue                     .  x  x  +  +  x  x  .
  front-end                     .  x  +  x  +  +  x  .
  orders                        .  x  x  x  +  x  +  .

  . no policy judges it  + a rule allows it  x no rule allows it (133)  X a rule denies it (181)  a under audit

     TO            PORT       WHO GETS THROUGH
  1  carts         80/TCP     everybody: no policy judges it
  2  carts-db      27017/TCP  nobody: isolated by carts-db-access
  3  catalogue     80/TCP     front-end: catalogue-access ingress[0].from[0]
  4  catalogue-db  3306/TCP   catalogue: catalogue-db-access ingress[0].from[0]
  5  front-end     80/TCP     everybody: front-end-access ingress[0]
  6  orders        80/TCP     front-end: orders-access ingress[0].from[0]
  7  orders-db     27017/TCP  orders: orders-db-access ingress[0].from[0]
  8  payment       80/TCP     everybody: no policy judges it
`);
  });

  test('names in every cell of the JSON who decided', async () => {
    const { out } = await run('matrix', '-n', 'a', '-f', file('one.yaml', fromWeb('p'), policy('q', { podSelector: { matchLabels: { app: 'web' } } }, { 'seine.network/audit': 'true' })), '-o', 'json');
    const matrix = JSON.parse(out) as Matrix;
    expect(matrix).toMatchObject({ namespace: 'a', complete: true, grouped: false, silent: ['a/job'], counts: { cells: 8, allow: 1, audit: 4, deny: 3 } });
    expect(matrix.cells.find(({ from, to }) => from === 'a/web' && to === 'a/db')).toMatchObject({ port: 5432, protocol: 'TCP', verdict: 'allow', direction: 'ingress', rule: { kind: 'NetworkPolicy', name: 'p', section: 'ingress', index: 0, peer: 0 } });
    expect(matrix.cells.find(({ from, to }) => from === 'a/job' && to === 'a/db')).toMatchObject({ verdict: 'deny', reason: { code: 133 }, rule: null, isolatedBy: [{ name: 'p' }] });
    expect(matrix.cells.find(({ from, to }) => from === 'a/job' && to === 'a/web')).toMatchObject({ verdict: 'audit', isolatedBy: [{ name: 'q' }] });
  });

  test('asks who reaches the world where a policy judges what leaves', async () => {
    const { out } = await run('matrix', '-n', 'a', '-f', file('egress.yaml', policy('e', { podSelector: { matchLabels: { app: 'job' } }, policyTypes: ['Egress'] })), '-o', 'json');
    const cells = (JSON.parse(out) as Matrix).cells.filter(({ to }) => to === 'external');
    expect(cells.map(({ from, verdict, direction }) => [from, verdict, direction])).toEqual([['a/db', 'allow', null], ['a/job', 'deny', 'egress'], ['a/web', 'allow', null]]);
  });

  test('has one line for each cell, for people and for machines', async () => {
    const path = file('lines.yaml', fromWeb('p'));
    expect((await run('matrix', '-n', 'a', '-f', path, '-o', 'wide')).out.split('\n').slice(1, 4)).toEqual([
      'FROM      TO     PORT      VERDICT  DECIDED BY', 'external  a/db   5432/TCP  deny     isolated by a/p', 'a/db      a/db   5432/TCP  deny     isolated by a/p',
    ]);
    expect((await run('matrix', '-n', 'a', '-f', path, '-o', 'jsonl')).out.trim().split('\n').map((line) => (JSON.parse(line) as { readonly verdict: string }).verdict)).toHaveLength(8);
  });

  test.each([
    { name: 'no namespace', args: ['-f', SHOP], want: 'expected -n NAMESPACE, or -A' },
    { name: 'a namespace without pods', args: ['-f', SHOP, '-n', 'nowhere'], want: '-n nowhere: no pod is there: expected one of shop' },
    { name: 'two sources', args: ['-f', SHOP, '-n', 'shop', '--log', 'x'], want: '-f with --at or --log: expected one source' },
  ])('refuses $name with one sentence', async ({ args, want }) => {
    const { code, err } = await run('matrix', ...args);
    expect(code).toBe(2);
    expect(err).toContain(want);
    expect(err).toContain('see: seine matrix --help');
  });

  test.each([
    { name: 'all names that fit', names: ['a', 'b', 'c'], want: 'a, b, c' },
    { name: 'the first ones and how many more', names: ['monitoring/grafana', 'monitoring/prometheus', 'monitoring/x'], want: 'monitoring/grafana +2' },
    { name: 'a part of a name that is too long', names: [`a/${'x'.repeat(60)}`], want: `a/${'x'.repeat(31)}…` },
  ])('shows $name', ({ names, want }) => { expect(namesText(names)).toBe(want); });
});

describe('seine diff', () => {
  test('of the shop and its fix: one cell opens, and the exit says so', async () => {
    const fixed = join(folder, 'fixed');
    mkdirSync(fixed);
    cpSync(join(SHOP, 'shop.yaml'), join(fixed, 'shop.yaml'));
    writeFileSync(join(fixed, 'policies.yaml'), readFileSync(join(SHOP, 'policies.yaml'), 'utf8').replace('name: cart\n', 'name: carts\n'));
    const { code, out } = await run('diff', '-f', SHOP, '-f', fixed, '-o', 'json');
    expect(code).toBe(1);
    expect(JSON.parse(out)).toMatchObject({ opened: 1, closed: 0, flips: [{ from: ['shop/carts'], to: ['shop/carts-db'], port: 27017, protocol: 'TCP', before: { verdict: 'deny', isolatedBy: [{ name: 'carts-db-access' }] }, after: { verdict: 'allow', rule: { name: 'carts-db-access', peer: 0 } } }] });
  });

  test('says what opens and what closes, by which rule', async () => {
    const [old, changed] = [file('old.yaml', fromWeb('p')), file('new.yaml', policy('p', { podSelector: { matchLabels: { app: 'db' } }, ingress: [{ from: [{ podSelector: { matchLabels: { app: 'job' } } }] }] }))];
    const { code, out } = await run('diff', '-f', old, '-f', changed);
    expect(code).toBe(1);
    expect(out).toBe(`2 of 11 cells flip: 1 opened, 1 closed.

  FROM   TO    PORT      BEFORE  AFTER  DECIDED BY
  a/job  a/db  5432/TCP  deny    ALLOW  a/p ingress[0].from[0]
  a/web  a/db  5432/TCP  allow   DENY   isolated by a/p
`);
    expect(await run('diff', '-f', old, '-f', changed, '--quiet')).toEqual({ code: 1, out: '', err: '' });
    expect(await run('diff', '-f', old, '-f', old)).toMatchObject({ code: 0, out: 'No cell of 11 flips.\n' });
  });

  test('sees a door to the world', async () => {
    const closed = policy('e', { podSelector: {}, policyTypes: ['Egress'] });
    const { code, out } = await run('diff', '-f', file('closed.yaml', closed), '-f', file('open.yaml', policy('e', { podSelector: {}, policyTypes: ['Egress'], egress: [{ to: [{ ipBlock: { cidr: '0.0.0.0/0' } }] }] })), '-o', 'json');
    expect(code).toBe(1);
    expect((JSON.parse(out) as MatrixDiff).flips).toContainEqual(expect.objectContaining({ to: ['external'], port: 443, before: expect.objectContaining({ verdict: 'deny' }), after: expect.objectContaining({ verdict: 'allow' }) }));
  });

  test('says what is refused in NEW, and is no success then', async () => {
    const bad = 'apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: bad, namespace: a}\nspec: {podSelector: {}, ingress: [{ports: [{port: 70000}]}]}\n';
    const { code, err } = await run('diff', '-f', file('o.yaml'), '-f', file('n.yaml', bad));
    expect(code).toBe(2);
    expect(err).toContain('refused: NetworkPolicy a/bad: spec.ingress[0].ports[0].port: 70000: expected a number from 1 to 65535');
  });

  test.each([
    { name: 'nothing to compare', args: [], want: 'expected -f OLD -f NEW' },
    { name: 'moments beside manifests', args: ['--from', '#1', '-f', SHOP], want: '--from and --to: expected no -f' },
    { name: 'half a pair of moments', args: ['--to', '#1'], want: '--to: expected --from MOMENT too' },
  ])('refuses $name with one sentence', async ({ args, want }) => {
    const { code, err } = await run('diff', ...args);
    expect(code).toBe(2);
    expect(err).toContain(want);
  });
});
