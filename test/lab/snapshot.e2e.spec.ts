/** A namespace of a recorded cluster, taken by `seine snapshot`, run in the lab: its policies judge real packets as they were judged on paper. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { recordedCluster, startRecordedApi, type RecordedApi } from '@seine/testkit';

import { json, seine, type ProbeReport } from './lab.ts';

const LAB = 'e2esnap';
const PROBES = [
  { from: 'shop/carts', to: 'shop/carts-db', port: 27017, want: 'deny' },
  { from: 'shop/orders', to: 'shop/orders-db', port: 27017, want: 'allow' },
  { from: 'shop/orders', to: 'svc:shop/payment', port: 80, want: 'allow' },
  { from: 'shop/carts', to: 'shop/payment', port: 8443, want: 'deny' },
];

describe('a snapshot in the lab', () => {
  let folder: string;
  let api: RecordedApi;
  const file = (name: string): string => join(folder, name);
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'seine-e2esnap-'));
    const few = recordedCluster('cilium').map((resource) => ({ ...resource, items: resource.items.filter(({ metadata: { name, namespace } }) => namespace !== 'shop' || !name.startsWith('front-end-')) }));
    api = await startRecordedApi({ resources: few });
    writeFileSync(file('config'), JSON.stringify({ 'current-context': 'c', contexts: [{ name: 'c', context: { cluster: 'c' } }], clusters: [{ name: 'c', cluster: { server: api.url } }] }));
    writeFileSync(file('probes.json'), JSON.stringify(PROBES));
    expect(await seine('snapshot', '--kubeconfig', file('config'), '-n', 'shop', '-O', file('shop.yaml'))).toMatchObject({ code: 0 });
    const up = await seine('lab', 'up', '--name', LAB, '-f', file('shop.yaml'));
    expect(up).toMatchObject({ code: 0, err: expect.stringMatching(/^warning: a snapshot: its 20 Nodes, \d+ EndpointSlices and 0 pods of host networks stay behind, its 36 pods run on the lab's nodes\nuncertain: only namespace shop/) });
  }, 120_000);
  afterAll(async () => {
    await seine('lab', 'down', '--name', LAB);
    await api.close();
    rmSync(folder, { recursive: true });
  }, 60_000);

  test('is judged by packets as on paper', async () => {
    const paper = await json<ProbeReport>('check', '-f', file('shop.yaml'), '--probes', file('probes.json'));
    const packets = await json<ProbeReport>('probe', '--probes', file('probes.json'), '--name', LAB);
    for (const report of [paper, packets]) expect(report).toMatchObject({ total: PROBES.length, ok: PROBES.length, unexplained: 0 });
    expect(packets.probes.every(({ evidence }) => evidence.engine === 'kernel')).toBe(true);
  }, 60_000);
});
