/**
 * Nanoseconds a packet costs in the pod program, by BPF_PROG_TEST_RUN, over an empty program; where each packet is of another flow, over one that
 * only moves the packet on. Both policies stand in the way of a new flow: a port that is denied, and the whole protocol behind it.
 */
import { Direction, Verdict } from '@seine/layout';

import { Datapath, openInterfaces, type Pod } from '../../bpf/test/datapath.ts';
import { TCP, tcp } from '../../bpf/test/packet.ts';
import type { Figure } from './lib/line.ts';

const FLOWS = 1 << 18;
const ROUNDS = 7;
/** Their samples fit into the ring, those of the flows before them too: whoever reads the ring leaves the caches cold. */
const TOLD = 3_500;
const WARM = 1_500;
/** No client comes again. */
const FLOOD = 1 << 16;
/** A loader's own, and one that is full at once. */
const ROOM = 1 << 16;
const TIGHT = 1 << 14;

export const measure = async (): Promise<readonly Figure[]> => {
  const interfaces = openInterfaces();
  const web: Pod = { address: '10.244.1.10', identity: 300, endpointId: 10, ifindex: interfaces.a, mac: '02:00:00:00:00:0a' };
  const db: Pod = { address: '10.244.1.20', identity: 301, endpointId: 20, ifindex: interfaces.b, mac: '02:00:00:00:00:0b' };
  const open = (flows: number): Datapath => {
    const datapath = new Datapath(interfaces, { object: 'bench.o', maxEntries: { sn_cttcp_01: flows } });
    datapath.endpoint(web);
    datapath.endpoint(db);
    const row = (): number => datapath.row([{ protocol: 6, port: 22, verdict: Verdict.DENY }, { protocol: 6, verdict: Verdict.ALLOW }]);
    datapath.subject({ identity: 300, direction: Direction.EGRESS, row: row(), peers: { 301: row() } });
    datapath.subject({ identity: 301, direction: Direction.INGRESS, row: row(), peers: { 300: row() } });
    return datapath;
  };
  /** Every round begins elsewhere: the same flows again would be established ones. */
  let start = 0;
  const packet = (flags: number): Buffer => tcp({ source: web.address, destination: db.address, sourcePort: 40_000 + start, destinationPort: (80 + 1009 * start) % 65_536 }, flags);
  const fresh = (datapath: Datapath, flows: number, program = 'bench_new'): number => {
    datapath.samples();
    const run = (many: number): number => {
      start += 1;
      return datapath.time(program, packet(TCP.SYN), web.ifindex, many);
    };
    run(WARM);
    return run(flows);
  };
  const many = open(2 * FLOWS);
  const tight = open(TIGHT);
  fresh(tight, 2 * TIGHT);
  many.run('from_pod', packet(TCP.SYN), web.ifindex);
  many.time('bench_established', packet(TCP.ACK), web.ifindex, 2 * FLOWS);
  const over = { hot: [] as number[], random: [] as number[], told: [] as number[], room: [] as number[], evicting: [] as number[], flood: [] as number[], scan: [] as number[] };
  for (let round = 0; round < ROUNDS; round += 1) {
    const ack = packet(TCP.ACK);
    const empty = many.time('bench_empty', ack, web.ifindex, 1e6);
    const moved = many.time('bench_nothing', ack, web.ifindex, 1e6);
    many.run('from_pod', packet(TCP.SYN), web.ifindex);
    over.hot.push(many.time('from_pod', ack, web.ifindex, 1e6) - empty);
    over.random.push(many.time('bench_established', ack, web.ifindex, FLOWS) - moved);
    const roomy = open(ROOM);
    over.told.push(fresh(roomy, TOLD) - moved);
    over.room.push(fresh(roomy, ROOM / 2) - moved);
    roomy.close();
    over.evicting.push(fresh(tight, TOLD) - moved);
    over.flood.push(fresh(tight, FLOOD) - moved);
    over.scan.push(fresh(tight, FLOOD, 'bench_scan') - moved);
  }
  many.close();
  tight.close();
  interfaces.close();
  /* The aim is in ns: the yardstick is that number, so the ratio is the share of it. */
  const figure = (name: string, ours: readonly number[], ns: number): Figure => ({ figure: name, unit: 'ns over an empty program', ours, yardstick: { name: `the aim of ${ns} ns`, values: [ns] }, aim: { relation: '<=', ratio: 1 } });
  return [
    figure('established flow, hot', over.hot, 150),
    figure('established, 262,144 flows at random', over.random, 450),
    figure('new flow, both directions, every sample told', over.told, 600),
    figure('new flow, both directions, most samples lost', over.room, 600),
    figure('new flow, both directions, table full, every sample told', over.evicting, 600),
    figure('new flow, both directions, table full, most samples lost', over.flood, 600),
    figure('new flow to ever other ports, both directions, table full, most samples lost', over.scan, 600),
  ];
};
