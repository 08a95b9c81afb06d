/** The policy look-up with random peers: flat from ten to twenty thousand. And packets a second through the whole receive path, beside other filters of as many peers. */
import { loadObject } from '@seine/kernel';
import { Direction, Verdict } from '@seine/layout';

import { Datapath, openInterfaces } from '../../bpf/test/datapath.ts';
import { openProbe, type Question } from '../../bpf/test/probe.ts';
import { openReceiver, type Filter, type Flows } from './lib/inject.ts';
import type { Figure } from './lib/line.ts';

const ROUNDS = 9;
const REPEAT = 2_000;
const SETS = 40;

const INJECTOR = new URL('./load/build/inject.o', import.meta.url).pathname;
const PEERS = 20_000;
const INJECT_ROUNDS = 7;
const PACKETS = 50_000;
/** A chain of so many rules would take minutes. */
const PACKETS_BY_CHAIN = 2_000;
/** How many times the other filter's rate, over one flow; undefined: reported only. */
const AIMS: Readonly<Record<Exclude<Filter, 'seine'>, number | undefined>> = { none: undefined, iptables: 40, ipset: 0.85, 'nft set': 0.85 };

const injected = (): readonly Figure[] => {
  const injector = loadObject(INJECTOR);
  const others = Object.keys(AIMS) as (keyof typeof AIMS)[]; // Object.keys widens; AIMS is closed
  const receivers = (['seine', ...others] as const).map((filter) => openReceiver(filter, PEERS, injector));
  const rates = new Map<string, number[]>();
  const of = (filter: Filter, flows: Flows): number[] => rates.get(`${filter} ${flows}`) ?? [];
  for (let round = 0; round <= INJECT_ROUNDS; round += 1) {
    for (const { filter, rate } of receivers) {
      for (const flows of ['same', 'new'] as const) {
        const packets = rate(flows, filter === 'iptables' ? PACKETS_BY_CHAIN : PACKETS);
        if (round > 0) rates.set(`${filter} ${flows}`, [...of(filter, flows), packets]); // the first only warms up
      }
    }
  }
  for (const { down } of receivers) down();
  injector.close();
  return (['same', 'new'] as const).flatMap((flows) => others.map((filter): Figure => {
    const ratio = flows === 'same' ? AIMS[filter] : undefined;
    return {
      figure: `injected, ${PEERS.toLocaleString('en')} peers, ${flows === 'same' ? 'one flow' : 'ever new flows'}, against ${filter}`, unit: 'packets/s',
      ours: of('seine', flows), yardstick: { name: filter, values: of(filter, flows) }, aim: ratio === undefined ? undefined : { relation: '>=', ratio },
    };
  }));
};

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
    ...injected(),
  ];
};
