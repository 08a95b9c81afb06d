/**
 * Nanoseconds a packet, by BPF_PROG_TEST_RUN: run by hand, as root, on a quiet machine. Each figure is the least of several rounds, less what
 * the harness and the wrapper cost. Nobody drains the ring during a round: where it is longer than the ring, most samples of new flows are lost.
 */
import { Direction, Verdict } from '@seine/layout';

import { Datapath, openInterfaces, type Pod } from './datapath.ts';
import { openProbe, type Question } from './probe.ts';
import { ethernet, TCP, tcp } from './packet.ts';

const FLOWS = 1 << 18;
const ROUNDS = 7;
const PORT = 80;

const interfaces = openInterfaces();
process.on('exit', interfaces.close);
const web: Pod = { address: '10.244.1.10', identity: 300, endpointId: 10, ifindex: interfaces.a, mac: '02:00:00:00:00:0a' };
const db: Pod = { address: '10.244.1.20', identity: 301, endpointId: 20, ifindex: interfaces.b, mac: '02:00:00:00:00:0b' };
const many = new Datapath(interfaces, { object: 'bench.o', maxEntries: { sn_cttcp_01: 2 * FLOWS } });
const few = new Datapath(interfaces, { object: 'bench.o', maxEntries: { sn_cttcp_01: 1 << 14 } });
const pods = new Datapath(interfaces);

const least = (measure: () => number): number => Math.min(...Array.from({ length: ROUNDS }, () => measure()));
const packet = (flags: number, start = 0) => tcp({ source: web.address, destination: db.address, sourcePort: 40000 + start, destinationPort: PORT + 1009 * start }, flags);
const ack = packet(TCP.ACK);

for (const each of [many, few, pods]) {
  each.endpoint(web);
  each.endpoint(db);
  const row = (): number => each.row([{ protocol: 6, port: 22, verdict: Verdict.DENY }, { protocol: 6, verdict: Verdict.ALLOW }]);
  each.subject({ identity: 300, direction: Direction.EGRESS, row: row(), peers: { 301: row() } });
  each.subject({ identity: 301, direction: Direction.INGRESS, row: row(), peers: { 300: row() } });
}

const report = (what: string, ns: number, aim: string): void => { process.stdout.write(`${what.padEnd(64)} ${ns.toFixed(0).padStart(5)} ns   ${aim}\n`); };

const drop = least(() => pods.time('from_pod', ethernet(0x88cc, Buffer.alloc(46)), web.ifindex, 1e6));
const nothing = least(() => many.time('bench_nothing', ack, web.ifindex, 1e6));
report('(a packet that is only counted and dropped, harness included)', drop, '');
pods.run('from_pod', packet(TCP.SYN), web.ifindex);
report('established flow, hot', least(() => pods.time('from_pod', ack, web.ifindex, 1e6)) - drop, 'aim 150 or less');

many.time('bench_established', ack, web.ifindex, 2 * FLOWS);
report(`established, ${FLOWS} flows in random order`, least(() => many.time('bench_established', ack, web.ifindex, FLOWS)) - nothing, 'aim 450 or less');
/** Every round begins elsewhere: the same flows again would be established ones. */
let start = 0;
const fresh = (datapath: Datapath, flows = FLOWS): number => least(() => {
  datapath.samples();
  start += 1;
  return datapath.time('bench_new', packet(TCP.SYN, start), web.ifindex, flows);
}) - nothing;
report('new flow, both policies, an old entry evicted, table of 16384', fresh(few), 'aim 600 or less');
report('the same, every sample with room in the ring', fresh(few, 4000), '');
report(`the same, table of ${2 * FLOWS}`, fresh(many), '');

const probe = openProbe(pods.maps());
const question: Question = { identity: 301, direction: Direction.INGRESS, peerIdentity: 300, port: 22 };
many.openBoth(400);
pods.openBoth(400);
report('policy look-up, nothing isolates: one map', least(() => probe.time(Array.from({ length: 64 }, () => ({ ...question, identity: 400 })), 20_000)), '');
report('policy look-up, a port named exactly', least(() => probe.time(Array.from({ length: 64 }, () => question), 20_000)), '');
report('policy look-up, another port', least(() => probe.time(Array.from({ length: 64 }, () => ({ ...question, port: PORT })), 20_000)), '');
report('policy look-up, a peer without an entry', least(() => probe.time(Array.from({ length: 64 }, () => ({ ...question, peerIdentity: 999 })), 20_000)), '');

probe.close();
many.close();
few.close();
pods.close();
