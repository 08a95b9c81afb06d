/** Transactions, connections and one stream between two pods, policies in force and samples on, beside routing with conntrack and a bare redirect. */
import { bareRedirect, routedAcross, routedByIptables, type Cell } from './lib/cells.ts';
import { admit, pods, withLab } from './lib/lab.ts';
import type { Figure } from './lib/line.ts';
import { runIn, serve } from './lib/shell.ts';

const LOAD = new URL('./load/build/load', import.meta.url).pathname;
const REDIRECT = new URL('./load/build/redirect.o', import.meta.url).pathname;
const ROUNDS = 7;
const SECONDS = '1';
const PORT = '5001';
/** Both ends on one CPU: a wake-up across CPUs costs more than what is measured. */
const ENV = { LOAD_CPU: '1' };
const MODES = [['rr', 'transactions/s'], ['crr', 'connections/s'], ['stream', 'Mbit/s']] as const;

const measureCells = async (cells: readonly Cell[]): Promise<ReadonlyMap<string, readonly number[]>> => {
  const servers = await Promise.all(cells.map((cell) => serve(cell.server, ENV, LOAD, 'server', '0.0.0.0', PORT)));
  const values = new Map<string, number[]>();
  try {
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const [mode] of MODES) {
        for (const cell of cells) {
          const key = `${cell.name} ${mode}`;
          values.set(key, [...values.get(key) ?? [], Number(runIn(cell.client, ENV, LOAD, mode, cell.address, PORT, SECONDS))]);
        }
      }
    }
  } finally {
    for (const server of servers) server.kill();
  }
  return values;
};

export const measure = (): Promise<readonly Figure[]> => withLab('bench', `${pods([{ name: 'client', node: 'n1' }, { name: 'server', node: 'n1' }, { name: 'far', node: 'n2' }])}${admit('server', 'client')}${admit('far', 'client').replace(/name: client, namespace/g, 'name: client-far, namespace')}`, ['--offload'], async (endpoints) => {
  const at = (name: string) => endpoints.find(({ pod }) => pod === `bench/${name}`)!;
  const ours = (name: string, server: string): Cell => ({ name, client: at('client').podNetns, server: at(server).podNetns, address: at(server).address, down: () => {} });
  const cells = [ours('seine', 'server'), ours('seine across nodes', 'far'), routedByIptables('rt'), bareRedirect('rd', REDIRECT), routedAcross('ra')];
  try {
    const values = await measureCells(cells);
    const figure = (name: string, yardstick: string, mode: string, unit: string, ratio?: number): Figure => ({
      figure: `${name} ${mode} against ${yardstick}`, unit, ours: values.get(`${name} ${mode}`)!, yardstick: { name: yardstick, values: values.get(`${yardstick} ${mode}`)! }, aim: ratio === undefined ? undefined : { relation: '>=', ratio },
    });
    return MODES.flatMap(([mode, unit]) => [
      figure('seine', cells[2]!.name, mode, unit, 1.10), figure('seine', cells[3]!.name, mode, unit, 0.93), figure('seine across nodes', cells[4]!.name, mode, unit, 1.0),
      figure('seine across nodes', cells[2]!.name, mode, unit),
    ]);
  } finally {
    for (const cell of cells) cell.down();
  }
});
