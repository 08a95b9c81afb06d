/** The policy look-up with random peers: flat from ten to twenty thousand. Injected packets against iptables, ipset and nft are not measured here. */
import { Direction, Verdict } from '@seine/layout';

import { Datapath, openInterfaces } from '../../bpf/test/datapath.ts';
import { openProbe, type Question } from '../../bpf/test/probe.ts';
import type { Figure } from './lib/line.ts';

const ROUNDS = 9;
const REPEAT = 2_000;
const SETS = 40;

export const measure = async (): Promise<readonly Figure[]> => {
  const interfaces = openInterfaces();
  const sizes = [10, 1_000, 20_000] as const;
  const cells = sizes.map((size) => {
    const datapath = new Datapath(interfaces, { maxEntries: { sn_peer_01: 32_768 } });
    const row = datapath.row([{ protocol: 6, port: 80, verdict: Verdict.ALLOW }, { protocol: 6, verdict: Verdict.DEFAULT_DENY }]);
    datapath.subject({ identity: 300, direction: Direction.INGRESS, row, peers: Object.fromEntries(Array.from({ length: size }, (_, index) => [1_000 + index, row])) });
    const probe = openProbe(datapath.maps());
    const sets = Array.from({ length: SETS }, () => Array.from({ length: 64 }, (): Question => ({ identity: 300, direction: Direction.INGRESS, peerIdentity: 1_000 + Math.floor(Math.random() * size), port: 80 })));
    return { size, datapath, probe, sets, ns: [] as number[] };
  });
  for (let round = 0; round < ROUNDS; round += 1) for (const cell of cells) cell.ns.push(cell.sets.reduce((sum, set) => sum + cell.probe.time(set, REPEAT / SETS), 0) / SETS);
  for (const cell of cells) { cell.probe.close(); cell.datapath.close(); }
  interfaces.close();
  const [ten, thousand, many] = cells as [typeof cells[number], typeof cells[number], typeof cells[number]]; // three sizes, three cells
  const yardstick = { name: 'the same look-up, 10 peers', values: ten.ns };
  return [
    { figure: 'look-up, 1,000 random peers', unit: 'ns', ours: thousand.ns, yardstick, aim: { relation: '<=', ratio: 1.3 } },
    { figure: 'look-up, 20,000 random peers', unit: 'ns', ours: many.ns, yardstick, aim: { relation: '<=', ratio: 1.3 } },
  ];
};
