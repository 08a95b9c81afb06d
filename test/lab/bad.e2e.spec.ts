import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { BAD_MANIFESTS, BAD_REQUESTS, BAD_TEXTS, IN_PART, SERVICES_IN_PART } from './bad.ts';
import { json, ROOT, seine, SHOP, type ProbeReport, type Ran } from './lab.ts';

const LAB = 'e2ebad';
const GOOD = 'apiVersion: v1\nkind: Pod\nmetadata: {name: good, namespace: shop, labels: {name: good}}\nspec: {containers: [{name: a, ports: [{containerPort: 80}]}]}\n';

describe('bad input', () => {
  let folder: string;
  let applied: Ran;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'seine-bad-'));
    mkdirSync(join(folder, 'all'));
    BAD_MANIFESTS.forEach(({ manifest }, index) => { writeFileSync(join(folder, 'all', `${index}.yaml`), manifest); });
    writeFileSync(join(folder, 'all', 'good.yaml'), GOOD);
    writeFileSync(join(folder, 'all', 'part.yaml'), IN_PART);
    expect((await seine('lab', 'up', '-f', SHOP, '--nodes', '1', '--name', LAB)).code).toBe(0);
    applied = await seine('lab', 'apply', '-f', join(folder, 'all'), '--name', LAB);
  }, 90_000);
  afterAll(async () => {
    await seine('lab', 'down', '--name', LAB);
    rmSync(folder, { recursive: true });
  }, 60_000);

  test('is at least thirty prepared cases', () => {
    expect(BAD_MANIFESTS.length + BAD_TEXTS.length + BAD_REQUESTS.length).toBeGreaterThanOrEqual(30);
  });

  test.each(BAD_MANIFESTS.map((each) => [each.name, each] as const))('%s is refused by check and by the lab, with object, field, value and expectation', async (_, { manifest, object, message }) => {
    writeFileSync(join(folder, 'one.yaml'), manifest);
    const { code, err } = await seine('check', '-f', join(folder, 'one.yaml'));
    expect({ code, err }).toMatchObject({ code: 2, err: expect.stringContaining(message) });
    expect(err).toContain(`refused: ${object}: `);
    expect(applied.code).toBe(2);
    expect(applied.err).toContain(message);
  }, 20_000);

  test.each(BAD_TEXTS.map((each) => [each.name, each] as const))('%s is refused', async (_, { manifest, object, message }) => {
    writeFileSync(join(folder, 'bad.yaml'), manifest);
    const { code, err } = await seine('check', '-f', join(folder, 'bad.yaml'));
    expect(code).toBe(2);
    expect(err).toContain(message);
    expect(err).toContain(object);
  }, 20_000);

  test('a Service that asks for what it may not have is refused in part, by check and by the lab', async () => {
    const { code, err } = await seine('check', '-f', join(folder, 'all', 'part.yaml'));
    expect(code).toBe(0);
    const all = Object.entries(SERVICES_IN_PART);
    for (const [name, { message }] of all) expect(err).toContain(`refused in part: Service bad/${name}: ${message}`);
    for (const [name, { message }] of all) expect(applied.err).toContain(`refused in part: Service/bad/${name}: ${message}`);
    expect(err.split('\n').filter((line) => line.startsWith('refused'))).toHaveLength(all.length);
  }, 20_000);

  test.each(Object.entries(SERVICES_IN_PART).map(([name, { name: what, served }]) => [what, name, served] as const))('a Service that asks for %s is served where it may be', async (_, name, served) => {
    const frontends = await json<readonly { readonly address: string; readonly port: number }[]>('get', 'frontends', `bad/${name}`, '--name', LAB);
    expect(frontends.map(({ address, port }) => `${address}:${port}`)).toEqual([served]);
    expect((await json<ProbeReport>('probe', 'bad/client', `svc:bad/${name}`, served.split(':')[1]!, '--name', LAB)).probes[0]!.got).toBe('allow');
  }, 20_000);

  test('stays told, reason by reason, until it is good again or gone', async () => {
    interface Refused { readonly kind: string; readonly namespace: string; readonly name: string; readonly refused: string; readonly message: string }
    const refusals = (...args: readonly string[]): Promise<readonly Refused[]> => json<readonly Refused[]>('get', 'refusals', ...args, '--name', LAB);
    const wholly = (await refusals()).filter(({ refused }) => refused === 'as a whole').map(({ kind, namespace, name, message }) => `${kind} ${namespace === '' ? '' : `${namespace}/`}${name}: ${message}`);
    expect(BAD_MANIFESTS.filter(({ object, message }) => !wholly.some((told) => told.startsWith(`${object}: `) && told.includes(message)))).toEqual([]);
    expect((await refusals('-n', 'bad')).map(({ name, refused }) => `${name} ${refused}`).sort()).toEqual(Object.keys(SERVICES_IN_PART).map((name) => `${name} in part`).sort());
    writeFileSync(join(folder, 'edit.yaml'), 'apiVersion: v1\nkind: Service\nmetadata: {name: thief, namespace: bad}\nspec: {clusterIP: 10.96.200.61, selector: {app: server}, ports: [{port: 80}]}\n');
    await seine('lab', 'apply', '-f', join(folder, 'edit.yaml'), '--name', LAB);
    expect((await refusals('-n', 'bad')).map(({ name }) => name).sort()).toEqual(Object.keys(SERVICES_IN_PART).filter((name) => name !== 'thief').sort());
  }, 30_000);

  test('leaves a good manifest beside it applied', async () => {
    expect((await json<readonly { readonly pod: string }[]>('get', 'endpoints', 'shop/good', '--name', LAB))).toHaveLength(1);
    expect((await json<ProbeReport>('probe', 'external', 'shop/good', '80', '--name', LAB)).probes[0]!.got).toBe('allow');
  }, 20_000);

  test('leaves a policy in force as it was, until it is good again', async () => {
    const got = async (): Promise<string> => (await json<ProbeReport>('probe', 'shop/catalogue', 'shop/catalogue-db', '3306', '--name', LAB)).probes[0]!.got;
    const edited = (port: string): string => `apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: catalogue-db-access, namespace: shop}\nspec: {podSelector: {matchLabels: {name: catalogue-db}}, ingress: [{from: [{podSelector: {matchLabels: {name: catalogue}}}], ports: [{port: ${port}}]}]}\n`;
    expect(await got()).toBe('allow');
    writeFileSync(join(folder, 'edit.yaml'), edited('330600'));
    expect((await seine('lab', 'apply', '-f', join(folder, 'edit.yaml'), '--name', LAB)).code).toBe(2);
    expect(await got()).toBe('allow');
    writeFileSync(join(folder, 'edit.yaml'), edited('3307'));
    await seine('lab', 'apply', '-f', join(folder, 'edit.yaml'), '--name', LAB);
    expect(await got()).toBe('deny');
  }, 60_000);

  test.each(BAD_REQUESTS.map((each) => [each.name, each] as const))('a CNI request with %s is refused with its code', (_, { env, stdin, code, message }) => {
    const { status, stdout } = spawnSync(`${ROOT}services/loader/cni/build/seine-cni`, { env: { ...env, SEINE_CNI_SOCKET: `/run/seine/${LAB}/n1/cni.sock` }, input: stdin ?? '{"cniVersion":"1.1.0","name":"seine","type":"seine-cni"}', encoding: 'utf8' });
    expect(status).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ code });
    expect(stdout).toContain(message);
  }, 20_000);
});
