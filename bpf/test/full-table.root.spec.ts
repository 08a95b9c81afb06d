/** Conntrack filled to the brim by floods: what lives on, what is judged again, what stays closed. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';

import { Direction, Verdict } from '@seine/layout';

import { Datapath, openInterfaces, REDIRECT, SHOT, type Interfaces, type Pod } from './datapath.ts';
import { PROTOCOL, reversed, TCP, tcp, told, udp, type Flow } from './packet.ts';

const { INGRESS, EGRESS } = Direction;
const ENTRIES = 1024;
/** Of another flow each: the table several times over. */
const FLOOD = 20_000;
const STREAMS = 50;
const CROWD = 1000;
const [WEB, DB] = ['10.244.1.10', '10.244.1.20'] as const;

let interfaces: Interfaces;
let datapath: Datapath;
let web: Pod;
let db: Pod;
beforeAll(() => {
  interfaces = openInterfaces();
  web = { address: WEB, identity: 300, endpointId: 10, ifindex: interfaces.a, mac: '02:00:00:00:00:0a' };
  db = { address: DB, identity: 301, endpointId: 20, ifindex: interfaces.b, mac: '02:00:00:00:00:0b' };
});
afterAll(() => { interfaces.close(); });
/** Web may call db by TCP and UDP; db may call nobody and web may not be called: answers pass by their entry only. */
beforeEach(() => {
  datapath = new Datapath(interfaces, { object: 'bench.o', maxEntries: { sn_cttcp_01: ENTRIES, sn_ctany_01: ENTRIES } });
  datapath.endpoint(web);
  datapath.endpoint(db);
  const both = (): number => datapath.row([{ protocol: PROTOCOL.tcp, verdict: Verdict.ALLOW }, { protocol: PROTOCOL.udp, verdict: Verdict.ALLOW }]);
  datapath.subject({ identity: 300, direction: EGRESS, row: both() });
  datapath.subject({ identity: 301, direction: INGRESS, row: both() });
  datapath.closed(300, INGRESS);
  datapath.closed(301, EGRESS);
});
afterEach(() => { datapath.close(); });

const stream = (index: number): Flow => ({ source: WEB, destination: DB, sourcePort: 50_000 + index, destinationPort: 5432 });
const streams = Array.from({ length: STREAMS }, (_, index) => stream(index));
const leaves = (packet: Buffer, pod = web) => datapath.run('from_pod', packet, pod.ifindex);
const establish = (flow: Flow): void => {
  leaves(tcp(flow, TCP.SYN));
  leaves(tcp(reversed(flow), TCP.SYN | TCP.ACK), db);
  leaves(tcp(flow, TCP.ACK));
};
const entries = (): ReadonlySet<string> => new Set(datapath.rows('sn_cttcp_01').map(({ key }) => `${key.portA} ${key.portB}`));
const nameOf = ({ sourcePort, destinationPort }: Flow): string => `${sourcePort} ${destinationPort}`; // web has the smaller address
const known = (flow: Flow): boolean => entries().has(nameOf(flow));
const flood = (packet: Buffer): void => { datapath.time('bench_scan', packet, web.ifindex, FLOOD); };
const synFlood = (): void => { flood(tcp({ ...stream(0), sourcePort: 1, destinationPort: 1 }, TCP.SYN)); };
const udpFlood = (): void => { flood(udp({ ...stream(0), sourcePort: 1, destinationPort: 1 })); };

test('a flood of UDP fills its own table and evicts no stream', () => {
  streams.forEach(establish);
  udpFlood();
  expect(datapath.rows('sn_ctany_01').length).toBeGreaterThan(ENTRIES / 2);
  expect(streams.filter(known)).toHaveLength(STREAMS);
  for (const flow of streams) expect(leaves(tcp(reversed(flow), TCP.ACK), db)).toMatchObject({ verdict: REDIRECT, samples: [] });
});

test('a flood of SYNs evicts half-open flows before streams that both sides spoke in', () => {
  streams.forEach(establish);
  synFlood();
  expect(datapath.rows('sn_cttcp_01').length).toBeGreaterThan(ENTRIES / 2);
  expect(streams.filter(known)).toHaveLength(STREAMS);
});

describe('a flood of SYNs over a table that was nearly full', () => {
  const crowd = Array.from({ length: CROWD }, (_, index) => stream(index));
  beforeEach(() => {
    crowd.forEach(establish);
    synFlood();
  });
  test('evicts streams that stand still, and each goes on, whichever side speaks next', () => {
    const left = entries();
    const evicted = crowd.filter((flow) => !left.has(nameOf(flow)));
    expect(evicted.length).toBeGreaterThan(2);
    for (const [index, flow] of evicted.slice(0, 100).entries()) {
      const [first, second] = [() => leaves(tcp(flow, TCP.ACK)), () => leaves(tcp(reversed(flow), TCP.ACK), db)] as const;
      const order = index % 2 === 0 ? [first, second] : [second, first];
      expect(order.map((speak) => speak().verdict)).toEqual([REDIRECT, REDIRECT]);
      expect(known(flow)).toBe(true);
    }
  });
  test('opens nothing: what no policy allows is dropped as before, as a stream too', () => {
    const refused = reversed({ ...stream(0), sourcePort: 22, destinationPort: 40_000 });
    expect(leaves(tcp(refused, TCP.SYN), db).verdict).toBe(SHOT);
    datapath.closed(301, INGRESS);
    datapath.bumpEpoch();
    expect(leaves(tcp(stream(0), TCP.ACK)).verdict).toBe(SHOT);
    expect(leaves(tcp(reversed(stream(0)), TCP.ACK), db).verdict).toBe(SHOT);
  });
  test('leaves room for a connection that begins now', () => {
    const flow = { ...stream(0), sourcePort: 60_001 };
    establish(flow);
    expect(known(flow)).toBe(true);
    expect(leaves(tcp(reversed(flow), TCP.ACK), db)).toMatchObject({ verdict: REDIRECT, samples: [] });
  });
});

test('a stream that speaks while the flood lasts keeps its entry', () => {
  establish(stream(0));
  for (let round = 0; round < 40; round += 1) {
    datapath.time('bench_scan', tcp({ ...stream(0), sourcePort: 1 + round, destinationPort: 1 }, TCP.SYN), web.ifindex, 100);
    expect(leaves(tcp(reversed(stream(0)), TCP.ACK), db)).toMatchObject({ verdict: REDIRECT });
  }
  expect(known(stream(0))).toBe(true);
});

describe('translated streams, while a flood of SYNs fills the table of flows', () => {
  const SERVICE = '10.96.0.10';
  const asks = (index: number): Flow => ({ source: WEB, destination: SERVICE, sourcePort: 40_000 + index, destinationPort: 80 });
  const behind = (flow: Flow, port: number): Flow => ({ ...flow, destination: DB, destinationPort: port });
  const translated = Array.from({ length: CROWD }, (_, index) => asks(index));
  const went = (packet: Buffer, pod = web) => { const { verdict, packet: out } = leaves(packet, pod); return { verdict, flow: told(out).flow }; };
  const PORTS = [8080, 8081] as const;
  const ids = PORTS.map((_, index) => index + 1);
  let chosen: readonly number[];
  beforeEach(() => {
    datapath.close();
    datapath = new Datapath(interfaces, { object: 'bench.o', maxEntries: { sn_cttcp_01: ENTRIES, sn_nat_01: 4 * CROWD } });
    datapath.serve();
    datapath.endpoint(web);
    datapath.endpoint(db);
    datapath.openBoth(300);
    datapath.openBoth(301);
    PORTS.forEach((port, index) => { datapath.backend(ids[index]!, DB, port); });
    datapath.frontend({ address: SERVICE, port: 80, slots: 1, ids });
    chosen = translated.map((flow) => {
      const { flow: { destinationPort } } = went(tcp(flow, TCP.SYN));
      leaves(tcp(reversed(behind(flow, destinationPort)), TCP.SYN | TCP.ACK), db);
      leaves(tcp(flow, TCP.ACK));
      return destinationPort;
    });
    synFlood();
  });
  const evicted = (): readonly number[] => {
    const left = entries();
    return translated.flatMap((flow, index) => (left.has(`${flow.sourcePort} ${chosen[index]}`) ? [] : [index]));
  };
  test('stay with their backends, whichever side speaks next: their translations are no table of the latest', () => {
    expect(new Set(chosen)).toEqual(new Set(PORTS));
    const gone = evicted();
    expect(gone.length).toBeGreaterThan(2);
    for (const [turn, index] of gone.slice(0, 100).entries()) {
      const flow = translated[index]!;
      const server = behind(flow, chosen[index]!);
      const first = (): void => { expect(went(tcp(flow, TCP.ACK))).toEqual({ verdict: REDIRECT, flow: server }); };
      const second = (): void => { expect(went(tcp(reversed(server), TCP.ACK), db)).toEqual({ verdict: REDIRECT, flow: reversed(flow) }); };
      for (const speak of turn % 2 === 0 ? [first, second] : [second, first]) speak();
    }
  });
  test('are followed by new ones that are served as before', () => {
    const flow = asks(CROWD + 1);
    const { verdict, flow: server } = went(tcp(flow, TCP.SYN));
    expect(verdict).toBe(REDIRECT);
    expect(went(tcp(reversed(server), TCP.SYN | TCP.ACK), db)).toEqual({ verdict: REDIRECT, flow: reversed(flow) });
  });
});
