/** The policy look-up with random peers: flat from ten to twenty thousand. And packets a second through the whole receive path, beside other filters of as many peers. */
import { loadObject } from '@seine/kernel';
import { Direction, Verdict } from '@seine/layout';
import { SeineError } from '@seine/model';

import { Datapath, openInterfaces } from '../../bpf/test/datapath.ts';
import { ethernet } from '../../bpf/test/packet.ts';
import { openReceiver, PEERS, requireFilters, type Filter, type Flows } from './lib/inject.ts';
import type { Figure } from './lib/line.ts';

const LOOKUP_ROUNDS = 9;
const LOOKUPS = 1_000_000;

const INJECTOR = new URL('./load/build/inject.o', import.meta.url).pathname;
const INJECT_ROUNDS = 7;
/** The best of these is a round's figure: whatever else runs on that CPU only takes away. */
const BATCHES = 3;
const PACKETS = 20_000;
/** Through a chain of so many rules more would take minutes. */
const PACKETS_BY_CHAIN = 2_000;
const OTHERS = ['none', 'iptables', 'ipset', 'nft set', 'nft set with conntrack'] as const satisfies readonly Filter[];
/** How many times the other's rate. What remembers flows is set beside what does where flows are new; the rest is reported. */
const AIMS: Readonly<Record<Flows, Partial<Readonly<Record<Filter, number>>>>> = {
  'one flow': { iptables: 40, ipset: 0.85, 'nft set': 0.85 },
  'ever new flows': { 'nft set with conntrack': 0.85 },
  denied: { iptables: 40, ipset: 0.85, 'nft set': 0.85 },
};
const ALL_FLOWS = Object.keys(AIMS) as readonly Flows[]; // Object.keys widens; AIMS is closed

const injected = (): readonly Figure[] => {
  requireFilters();
  const injector = loadObject(INJECTOR);
  const receivers = (['seine', ...OTHERS] as const).map((filter) => openReceiver(filter, injector));
  const rates = new Map<string, number[]>();
  const of = (filter: Filter, flows: Flows): number[] => rates.get(`${filter} ${flows}`) ?? [];
  for (let round = 0; round <= INJECT_ROUNDS; round += 1) {
    for (const flows of ALL_FLOWS) {
      for (const { filter, rate } of receivers) {
        const packets = Math.max(...Array.from({ length: BATCHES }, () => rate(flows, filter === 'iptables' ? PACKETS_BY_CHAIN : PACKETS)));
        if (round > 0) rates.set(`${filter} ${flows}`, [...of(filter, flows), packets]); // the first only warms up
      }
    }
  }
  for (const { down } of receivers) down();
  injector.close();
  return ALL_FLOWS.flatMap((flows) => OTHERS.map((filter): Figure => {
    const ratio = AIMS[flows][filter];
    return {
      figure: `injected, ${PEERS.toLocaleString('en')} peers, ${flows}, against ${filter}`, unit: 'packets/s',
      ours: of('seine', flows), yardstick: { name: filter, values: of(filter, flows) }, aim: ratio === undefined ? undefined : { relation: '>=', ratio },
    };
  }));
};

const SUBJECT = 300;
const FIRST_PEER = 1000;
/** As bench_lookup of bpf/test/bench.bpf.c reads it: whose policy, how many peers, where the random numbers begin. */
const lookup = (peers: number): Buffer => {
  const question = Buffer.alloc(12);
  question.writeUInt32LE(SUBJECT, 0);
  question.writeUInt32LE(peers, 4);
  question.writeUInt32LE(peers, 8);
  return ethernet(0x88cc, Buffer.concat([question, Buffer.alloc(46)]));
};

const lookedUp = (): readonly Figure[] => {
  const interfaces = openInterfaces();
  const cells = ([10, 1_000, PEERS] as const).map((size) => {
    const datapath = new Datapath(interfaces, { object: 'bench.o', maxEntries: { sn_peer_01: 32_768 } });
    const row = datapath.row([{ protocol: 6, port: 80, verdict: Verdict.ALLOW }, { protocol: 6, verdict: Verdict.DEFAULT_DENY }]);
    datapath.subject({ identity: SUBJECT, direction: Direction.INGRESS, row: datapath.row([], Verdict.DEFAULT_DENY), peers: Object.fromEntries(Array.from({ length: size }, (_, index) => [FIRST_PEER + index, row])) });
    const { verdict } = datapath.run('bench_lookup', lookup(size), interfaces.a);
    if (verdict !== Verdict.ALLOW) throw new SeineError('SEINE_BENCH_INCOMPLETE', `the look-up of one of ${size} peers answered ${verdict}, expected ${Verdict.ALLOW}`, { size, verdict });
    return { size, datapath, ns: [] as number[] };
  });
  for (let round = 0; round < LOOKUP_ROUNDS; round += 1) {
    for (const { size, datapath, ns } of cells) ns.push(datapath.time('bench_lookup', lookup(size), interfaces.a, LOOKUPS) - datapath.time('bench_empty', lookup(size), interfaces.a, LOOKUPS));
  }
  for (const { datapath } of cells) datapath.close();
  interfaces.close();
  const [ten, thousand, many] = cells as [typeof cells[number], typeof cells[number], typeof cells[number]]; // three sizes, three cells
  const yardstick = { name: 'the same look-up, 10 peers', values: ten.ns };
  return [
    { figure: 'look-up, 1,000 random peers', unit: 'ns', ours: thousand.ns, yardstick, aim: { relation: '<=', ratio: 1.3 } },
    { figure: 'look-up, 20,000 random peers', unit: 'ns', ours: many.ns, yardstick, aim: { relation: '<=', ratio: 1.3 } },
  ];
};

export const measure = async (): Promise<readonly Figure[]> => [...lookedUp(), ...injected()];
