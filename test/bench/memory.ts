/** Memory in a lab of two nodes with the shop, idle: each role's, resident and by its share of what is shared; and the kernel's, of each node's maps. */
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';

import { seine, withLab } from './lib/lab.ts';
import type { Figure } from './lib/line.ts';

const SHOP = new URL('../../infra/examples/shop/', import.meta.url);
const AIM_MB = 90;
const LOOKS = 5;
/** Idle is what is left when the start is over. */
const SETTLE_MS = 5_000;
const LOOK_EVERY_MS = 1_000;
const MB = 1_048_576;

interface Status { readonly roles: readonly { readonly name: string; readonly node: string | null; readonly pid: number; readonly rssBytes: number }[] }

/** Each page divided by how many processes map it. */
const proportionalMb = (pid: number): number => Number(/^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1]) / 1024;

/** Every BPF map that a process holds, once, by what the kernel says it takes (since 6.4: what is used, not what could be). */
const mapMb = (pid: number): ReadonlyMap<string, number> => {
  const found = new Map<string, number>();
  for (const fd of readdirSync(`/proc/${pid}/fdinfo`)) {
    let text: string;
    try {
      text = readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'utf8');
    } catch {
      continue; // closed meanwhile
    }
    const field = (name: string): string | undefined => new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)?.[1];
    const id = field('map_id');
    if (id !== undefined) found.set(id, Number(field('memlock')) / MB);
  }
  return found;
};

export const measure = (): Promise<readonly Figure[]> => withLab('bench', `${readFileSync(new URL('shop.yaml', SHOP), 'utf8')}---\n${readFileSync(new URL('policies.yaml', SHOP), 'utf8')}`, [], async () => {
  const resident = new Map<string, number[]>();
  const proportional = new Map<string, number[]>();
  const maps = new Map<string, { readonly all: number[]; readonly conntrack: number[] }>();
  const note = (values: Map<string, number[]>, key: string, value: number): void => { values.set(key, [...values.get(key) ?? [], value]); };
  const names = new Map((JSON.parse(seine('get', 'maps', '--name', 'bench', '-o', 'json')) as readonly { readonly id: number; readonly name: string }[]).map(({ id, name }) => [String(id), name]));
  await pause(SETTLE_MS);
  for (let look = 0; look < LOOKS; look += 1) {
    for (const { name, node, pid, rssBytes } of (JSON.parse(seine('lab', 'status', '--name', 'bench', '-o', 'json')) as Status).roles) {
      const role = node === null ? name : `${name} on ${node}`;
      note(resident, role, rssBytes / MB);
      note(proportional, role, proportionalMb(pid));
      if (name !== 'loader') continue;
      const sizes = mapMb(pid);
      const sum = (wanted: (map: string) => boolean): number => [...sizes].reduce((total, [id, size]) => (wanted(names.get(id) ?? '') ? total + size : total), 0);
      const of = maps.get(node!) ?? { all: [], conntrack: [] };
      of.all.push(sum(() => true));
      of.conntrack.push(sum((map) => map.startsWith('sn_ct')));
      maps.set(node!, of);
    }
    await pause(LOOK_EVERY_MS);
  }
  return [
    ...[...resident].map(([role, ours]): Figure => ({ figure: `${role}, idle`, unit: 'MB resident', ours, yardstick: { name: `the aim of ${AIM_MB} MB`, values: [AIM_MB] }, aim: { relation: '<=', ratio: 1 } })),
    ...[...proportional].map(([role, ours]): Figure => ({ figure: `${role}, idle, its share of shared pages`, unit: 'MB proportional', ours, yardstick: { name: 'the same, resident', values: resident.get(role)! }, aim: undefined })),
    ...[...maps].map(([node, { all, conntrack }]): Figure => ({ figure: `maps of ${node}`, unit: 'MB of kernel memory', ours: all, yardstick: { name: 'the two conntrack tables alone', values: conntrack }, aim: undefined })),
  ];
});
