/** Nanoseconds a packet costs in the pod program, by BPF_PROG_TEST_RUN, over a packet that is only counted and dropped. */
import { Direction, Verdict } from '@seine/layout';

import { Datapath, openInterfaces, type Pod } from '../../bpf/test/datapath.ts';
import { ethernet, TCP, tcp } from '../../bpf/test/packet.ts';
import type { Figure } from './lib/line.ts';

const FLOWS = 1 << 18;
const ROUNDS = 7;

export const measure = async (): Promise<readonly Figure[]> => {
  const interfaces = openInterfaces();
  const web: Pod = { address: '10.244.1.10', identity: 300, endpointId: 10, ifindex: interfaces.a, mac: '02:00:00:00:00:0a' };
  const db: Pod = { address: '10.244.1.20', identity: 301, endpointId: 20, ifindex: interfaces.b, mac: '02:00:00:00:00:0b' };
  const many = new Datapath(interfaces, { object: 'bench.o', maxEntries: { sn_cttcp_01: 2 * FLOWS } });
  const few = new Datapath(interfaces, { object: 'bench.o', maxEntries: { sn_cttcp_01: 1 << 14 } });
  const pods = new Datapath(interfaces);
  for (const each of [many, few, pods]) {
    each.endpoint(web);
    each.endpoint(db);
    const row = (): number => each.row([{ protocol: 6, port: 22, verdict: Verdict.DENY }, { protocol: 6, verdict: Verdict.ALLOW }]);
    each.subject({ identity: 300, direction: Direction.EGRESS, row: row(), peers: { 301: row() } });
    each.subject({ identity: 301, direction: Direction.INGRESS, row: row(), peers: { 300: row() } });
  }
  const packet = (flags: number, start = 0): Buffer => tcp({ source: web.address, destination: db.address, sourcePort: 40000 + start, destinationPort: 80 + 1009 * start }, flags);
  const empty = ethernet(0x88cc, Buffer.alloc(46));
  pods.run('from_pod', packet(TCP.SYN), web.ifindex);
  many.time('bench_established', packet(TCP.ACK), web.ifindex, 2 * FLOWS);
  const values = { floor: [] as number[], nothing: [] as number[], hot: [] as number[], random: [] as number[], fresh: [] as number[] };
  for (let round = 1; round <= ROUNDS; round += 1) {
    values.floor.push(pods.time('from_pod', empty, web.ifindex, 1e6));
    values.hot.push(pods.time('from_pod', packet(TCP.ACK), web.ifindex, 1e6));
    values.nothing.push(many.time('bench_nothing', packet(TCP.ACK), web.ifindex, 1e6));
    values.random.push(many.time('bench_established', packet(TCP.ACK), web.ifindex, FLOWS));
    few.samples();
    values.fresh.push(few.time('bench_new', packet(TCP.SYN, round), web.ifindex, FLOWS));
  }
  for (const each of [many, few, pods]) each.close();
  interfaces.close();
  const over = (ours: readonly number[], floor: readonly number[]): readonly number[] => ours.map((value, index) => value - floor[index]!);
  /* The aim is in ns: the yardstick is that number, so the ratio is the share of it. */
  const figure = (name: string, ours: readonly number[], ns: number): Figure => ({ figure: name, unit: 'ns over an empty program', ours, yardstick: { name: `the aim of ${ns} ns`, values: [ns] }, aim: { relation: '<=', ratio: 1 } });
  return [
    figure('established flow, hot', over(values.hot, values.floor), 150),
    figure('established, 262,144 flows at random', over(values.random, values.nothing), 450),
    figure('new flow, both directions', over(values.fresh, values.nothing), 600),
  ];
};
