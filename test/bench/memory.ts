/** Resident memory of each role, idle, in a lab of two nodes with the shop. */
import { readFileSync } from 'node:fs';

import { seine, withLab } from './lib/lab.ts';
import type { Figure } from './lib/line.ts';

const SHOP = new URL('../../infra/examples/shop/', import.meta.url);
const AIM_MB = 90;
const LOOKS = 5;

interface Status { readonly roles: readonly { readonly name: string; readonly node: string | null; readonly rssBytes: number }[] }

export const measure = (): Promise<readonly Figure[]> => withLab('bench', `${readFileSync(new URL('shop.yaml', SHOP), 'utf8')}---\n${readFileSync(new URL('policies.yaml', SHOP), 'utf8')}`, [], async () => {
  const values = new Map<string, number[]>();
  for (let look = 0; look < LOOKS; look += 1) {
    for (const { name, node, rssBytes } of (JSON.parse(seine('lab', 'status', '--name', 'bench', '-o', 'json')) as Status).roles) {
      const key = node === null ? name : `${name} on ${node}`;
      values.set(key, [...values.get(key) ?? [], rssBytes / 1_048_576]);
    }
  }
  return [...values].map(([role, ours]): Figure => ({ figure: `${role}, idle`, unit: 'MB resident', ours, yardstick: { name: `the aim of ${AIM_MB} MB`, values: [AIM_MB] }, aim: { relation: '<=', ratio: 1 } }));
});
