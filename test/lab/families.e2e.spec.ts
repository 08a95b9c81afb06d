/** A cluster of IPv6 alone: nothing of Seine, of its log or of its roles' own traffic needs IPv4. The other suites' labs have both families. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { json, seine, SHOP, type ProbeReport } from './lab.ts';

const LAB = 'e2esix';
interface Attached { readonly pod: string; readonly addresses: readonly string[] }

describe('a cluster of IPv6 alone', () => {
  const attached = async (): Promise<readonly Attached[]> => (await json<readonly Attached[]>('get', 'endpoints', '--name', LAB)).map(({ pod, addresses }) => ({ pod, addresses }));
  const shop = async (): Promise<{ readonly wrong: readonly string[]; readonly unexplained: number }> => {
    const { probes, unexplained } = await json<ProbeReport>('probe', '--probes', `${SHOP}/probes.json`, '--name', LAB);
    return { wrong: probes.filter(({ ok }) => !ok).map(({ from, to, got }) => `${from} ${to} ${got}`), unexplained };
  };
  const MISTAKE = { wrong: ['shop/carts shop/carts-db deny'], unexplained: 0 };
  beforeAll(async () => { expect(await seine('lab', 'up', '-f', SHOP, '--name', LAB, '--ip-family', 'ipv6')).toMatchObject({ code: 0 }); }, 90_000);
  afterAll(async () => { await seine('lab', 'down', '--name', LAB); }, 60_000);

  test('gives each pod one address, and the shop the verdicts that it has elsewhere', async () => {
    const pods = await attached();
    expect(pods.length).toBeGreaterThan(8);
    expect(pods.filter(({ addresses }) => !/^fd00:10:244:[12]::[0-9a-f]+$/.test(addresses.join(' ')))).toEqual([]);
    expect(await shop()).toEqual(MISTAKE);
  }, 60_000);

  test('answers over IPv4 by saying that there is none', async () => {
    const { code, err } = await seine('probe', 'shop/front-end', 'shop/catalogue', '80', '--family', '4', '--name', LAB);
    expect({ code, err }).toMatchObject({ code: 2, err: expect.stringContaining('has no IPv4 address') });
  }, 20_000);

  test('comes back with the same addresses and verdicts when every role of a node was killed', async () => {
    const before = await attached();
    for (const role of ['datapath-writer', 'loader', 'observer']) expect((await seine('lab', 'kill', role, '--node', 'n1', '--name', LAB)).code).toBe(0);
    await json('lab', 'apply', '-f', SHOP, '--name', LAB); // returns when every node enforces
    expect(await attached()).toEqual(before);
    expect(await shop()).toEqual(MISTAKE);
    expect((await seine('verify', '--name', LAB)).code).toBe(0);
    const [dump, replay] = await Promise.all([seine('dump', '--node', 'n1', '--name', LAB), seine('replay', '--node', 'n1', '--name', LAB)]);
    expect(replay.out).toBe(dump.out);
  }, 90_000);
});
