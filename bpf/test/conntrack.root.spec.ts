/** One entry for both directions and both policies: who may pass by it, for how long, and when it is judged again. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';

import { runMapIterator, loadObject } from '@seine/kernel';
import { CtFlag, Direction, Reason, SampleKind, Verdict } from '@seine/layout';

import { Datapath, OK, openInterfaces, REDIRECT, SHOT, type Interfaces, type Pod } from './datapath.ts';
import { describeIn } from './describe-in.ts';
import { FAMILIES, type Family } from './families.ts';
import { icmp, ip, PROTOCOL, reversed, sctp, TCP, tcp, tcpSegment, udp, udpDatagram, type Flow } from './packet.ts';

const { INGRESS, EGRESS } = Direction;
const { SYN, ACK, FIN, RST } = TCP;

let interfaces: Interfaces;
let datapath: Datapath;
let at: Family;
let web: Pod;
let db: Pod;
const describeBoth = describeIn(FAMILIES, (family) => {
  at = family;
  web = { address: at.web, identity: 300, endpointId: 10, ifindex: interfaces.a, mac: '02:00:00:00:00:0a' };
  db = { address: at.db, identity: 301, endpointId: 20, ifindex: interfaces.b, mac: '02:00:00:00:00:0b' };
});
beforeAll(() => { interfaces = openInterfaces(); });
afterAll(() => { interfaces.close(); });
beforeEach(() => {
  datapath = new Datapath(interfaces);
  datapath.endpoint(web);
  datapath.endpoint(db);
  datapath.remote(at.remote, 302);
  for (const identity of [300, 301]) datapath.openBoth(identity);
});
afterEach(() => { datapath.close(); });

const flow = (destination = db.address, destinationPort = 80): Flow => ({ source: web.address, destination, sourcePort: 40000, destinationPort });
const back = (of = flow()): Flow => reversed(of);
const leaves = (packet: Buffer, pod = web) => datapath.run('from_pod', packet, pod.ifindex);
const arrives = (packet: Buffer, pod = web) => datapath.run('to_pod', packet, pod.ifindex);
const deny = (identity: number, direction: number, verdict: number = Verdict.DEFAULT_DENY): void => {
  datapath.subject({ identity, direction, row: datapath.row([], verdict) });
};
/** Web may call, db may be called, at port 80; nothing else: replies pass by the entry only. */
const oneWay = (protocol: number = PROTOCOL.tcp, port = 80): void => {
  datapath.subject({ identity: 300, direction: EGRESS, row: datapath.row([{ protocol, port, verdict: Verdict.ALLOW, rule: 1 }]) });
  datapath.subject({ identity: 301, direction: INGRESS, row: datapath.row([{ protocol, port, verdict: Verdict.ALLOW, rule: 2 }]) });
  deny(300, INGRESS);
  deny(301, EGRESS);
};
const only = () => {
  const flows = datapath.flows();
  expect(flows).toHaveLength(1);
  return flows[0]!;
};
const now = (): number => Number(process.hrtime.bigint() >> 30n);
/** Seconds until the entry ends, within the clock's grain. */
const lifetimeS = (): number => (only().value.expiry - now()) * 2 ** 30 / 1e9;
const nearly = (seconds: number): void => {
  expect(lifetimeS()).toBeGreaterThan(seconds - 4);
  expect(lifetimeS()).toBeLessThan(seconds + 4);
};
const dropped = (outcome: { readonly samples: readonly { readonly kind: number; readonly reason: number }[] }) =>
  outcome.samples.filter(({ kind }) => kind === SampleKind.DROP).map(({ reason }) => reason);

describeBoth('replies', () => {
  test('of a flow on one node pass by the one entry, straight back, untold', () => {
    oneWay();
    expect(leaves(tcp(flow(), SYN)).verdict).toBe(REDIRECT);
    const { verdict, packet, samples } = leaves(tcp(back(), SYN | ACK), db);
    expect(verdict).toBe(REDIRECT);
    expect(packet.subarray(0, 6).toString('hex')).toBe('02000000000a');
    expect(samples).toEqual([]);
    expect(only()).toMatchObject({ value: { egressRule: 1, ingressRule: 2, egressEpoch: datapath.epoch, ingressEpoch: datapath.epoch } });
  });
  test('from another node pass at the pod\'s own hook', () => {
    oneWay();
    expect(leaves(tcp(flow(at.remote), SYN)).verdict).toBe(OK);
    expect(arrives(tcp(back(flow(at.remote)), SYN | ACK))).toMatchObject({ verdict: OK, samples: [] });
    expect(only().value).toMatchObject({ egressEpoch: datapath.epoch, ingressEpoch: 0 });
  });
  test('to another node pass on their way out', () => {
    datapath.subject({ identity: 300, direction: INGRESS, row: datapath.row([{ protocol: 6, port: 40000, verdict: Verdict.ALLOW }]) });
    deny(300, EGRESS);
    expect(arrives(tcp(back(flow(at.remote)), SYN)).verdict).toBe(OK);
    expect(leaves(tcp(flow(at.remote), SYN | ACK))).toMatchObject({ verdict: OK, samples: [] });
  });
  test.each([
    { name: 'UDP', protocol: PROTOCOL.udp, make: udp },
    { name: 'SCTP', protocol: PROTOCOL.sctp, make: sctp },
  ])('of $name pass', ({ protocol, make }) => {
    oneWay(protocol);
    expect(leaves(make(flow())).verdict).toBe(REDIRECT);
    expect(leaves(make(back()), db).verdict).toBe(REDIRECT);
    expect(leaves(make({ ...back(), destinationPort: 40001 }), db).verdict).toBe(SHOT);
  });
  test('of a ping pass by its id, and by no other', () => {
    oneWay(at.icmp.protocol, at.icmp.request << 8);
    const there = { source: web.address, destination: db.address };
    const home = { source: db.address, destination: web.address };
    expect(leaves(icmp(there, { type: at.icmp.request, id: 5 })).verdict).toBe(REDIRECT);
    expect(leaves(icmp(home, { type: at.icmp.reply, id: 5 }), db).verdict).toBe(REDIRECT);
    expect(leaves(icmp(home, { type: at.icmp.reply, id: 6 }), db).verdict).toBe(SHOT);
    expect(leaves(icmp(home, { type: at.icmp.request, id: 5 }), db).verdict).toBe(SHOT); // a request against the entry is no reply
  });
});

describeBoth('a SYN against an entry\'s direction is a new flow in its own', () => {
  test('and is dropped where only the other way is allowed; the flow lives on', () => {
    oneWay();
    leaves(tcp(flow(), SYN));
    const before = only();
    expect(dropped(leaves(tcp(back(), SYN), db))).toEqual([Reason.POLICY]);
    expect(only()).toEqual(before);
    expect(leaves(tcp(back(), ACK), db).verdict).toBe(REDIRECT);
  });
  test('and turns the entry where it is allowed', () => {
    leaves(tcp(flow(), SYN));
    const before = only().value.flags & CtFlag.ORIGINATOR_A;
    expect(leaves(tcp(back(), SYN), db).samples.map(({ source }) => source)).toEqual([db.address, db.address]);
    expect(only().value.flags & CtFlag.ORIGINATOR_A).not.toBe(before);
  });
});

describeBoth('a stale epoch', () => {
  test('of a flow that is still allowed is judged again, told and stamped', () => {
    oneWay();
    leaves(tcp(flow(), SYN));
    datapath.bumpEpoch();
    const { verdict, samples } = leaves(tcp(flow(), ACK));
    expect(verdict).toBe(REDIRECT);
    expect(samples.map(({ kind, direction, reply }) => ({ kind, direction, reply }))).toEqual([
      { kind: SampleKind.VERDICT, direction: EGRESS, reply: 0 }, { kind: SampleKind.VERDICT, direction: INGRESS, reply: 0 },
    ]);
    expect(only().value).toMatchObject({ egressEpoch: datapath.epoch, ingressEpoch: datapath.epoch });
    expect(leaves(tcp(flow(), ACK)).samples).toEqual([]);
  });
  test.each([
    { name: 'the egress policy turned', direction: EGRESS, identity: 300 },
    { name: 'the ingress policy turned', direction: INGRESS, identity: 301 },
  ])('cuts a live flow, in both directions, when $name', ({ direction, identity }) => {
    oneWay();
    leaves(tcp(flow(), SYN));
    leaves(tcp(back(), SYN | ACK), db);
    deny(identity, direction, Verdict.DENY);
    datapath.bumpEpoch();
    const reply = leaves(tcp(back(), ACK), db);
    expect(reply.samples).toMatchObject([...(direction === INGRESS ? [{ kind: SampleKind.VERDICT, direction: EGRESS }] : []),
      { reason: Reason.DENYLIST, direction, reply: 1, source: web.address, destinationPort: 80 }]);
    expect(dropped(leaves(tcp(flow(), ACK)))).toEqual([Reason.DENYLIST]);
  });
  test('does not let a cut flow come back the other way round', () => {
    leaves(tcp(flow(), SYN));
    leaves(tcp(back(), SYN | ACK), db);
    deny(301, INGRESS);
    datapath.bumpEpoch();
    // Judged by itself each reply would pass: db may call web. It belongs to what web began.
    for (const _ of [1, 2, 3]) {
      expect(leaves(tcp(back(), ACK), db).verdict).toBe(SHOT);
      expect(leaves(tcp(flow(), ACK)).verdict).toBe(SHOT);
    }
  });
  test('judges a reply by the originator\'s tuple', () => {
    oneWay();
    leaves(tcp(flow(), SYN));
    datapath.bumpEpoch();
    const { verdict, samples } = leaves(tcp(back(), SYN | ACK), db);
    expect(verdict).toBe(REDIRECT);
    expect(samples).toMatchObject([
      { direction: EGRESS, source: web.address, destinationPort: 80, sourceIdentity: 300, destinationIdentity: 301, endpointId: 10, reply: 1, rule: 1 },
      { direction: INGRESS, source: web.address, destinationPort: 80, endpointId: 20, reply: 1, rule: 2 },
    ]);
  });
  test('judges a ping\'s answer as the ping', () => {
    oneWay(at.icmp.protocol, at.icmp.request << 8);
    leaves(icmp({ source: web.address, destination: db.address }, { type: at.icmp.request, id: 5 }));
    datapath.bumpEpoch();
    expect(leaves(icmp({ source: db.address, destination: web.address }, { type: at.icmp.reply, id: 5 }), db).verdict).toBe(REDIRECT);
  });
  test('brings a flow to where its peer is now: relabelled, then gone to another node', () => {
    oneWay();
    leaves(tcp(flow(), SYN));
    datapath.endpoint({ ...db, identity: 309 });
    datapath.bumpEpoch();
    expect(dropped(leaves(tcp(flow(), ACK)))).toEqual([Reason.NO_POLICY]);
    datapath.remove('sn_endpoint_01', { address: db.address });
    datapath.remote(db.address, 301);
    expect(leaves(tcp(flow(), ACK)).verdict).toBe(OK);
  });
  test('makes anti-spoofing ask again', () => {
    leaves(tcp(flow(), SYN));
    datapath.endpoint({ ...web, ifindex: db.ifindex });
    datapath.bumpEpoch();
    expect(dropped(leaves(tcp(flow(), ACK)))).toEqual([Reason.INVALID_SOURCE_IP]);
  });
  test('is one that user space never wrote back: 0 vouches for nothing', () => {
    leaves(tcp(flow(), SYN));
    datapath.setEpoch(0);
    expect(dropped(leaves(tcp(flow(), ACK)))).toEqual([Reason.HOST_NOT_READY]);
  });
});

describeBoth('a stream without an entry', () => {
  test('is picked up in its own direction', () => {
    oneWay();
    expect(leaves(tcp(flow(), ACK)).verdict).toBe(REDIRECT);
    expect(leaves(tcp(back(), ACK), db)).toMatchObject({ verdict: REDIRECT, samples: [] });
  });
  test('is picked up by a packet against its direction', () => {
    oneWay();
    const { verdict, samples } = leaves(tcp(back(), ACK), db);
    expect(verdict).toBe(REDIRECT);
    expect(samples).toMatchObject([{ direction: EGRESS, source: web.address, reply: 1 }, { direction: INGRESS, source: web.address, reply: 1 }]);
    expect(leaves(tcp(flow(), ACK))).toMatchObject({ verdict: REDIRECT, samples: [] });
  });
  test('is dropped where neither direction is allowed, told in the packet\'s own', () => {
    deny(300, EGRESS);
    deny(301, EGRESS);
    const { verdict, samples } = leaves(tcp(back(), ACK), db);
    expect(verdict).toBe(SHOT);
    expect(samples).toMatchObject([{ kind: SampleKind.DROP, direction: EGRESS, source: db.address, reply: 0 }]);
  });
  test('that begins with a SYN and ACK began the other way', () => {
    oneWay();
    leaves(tcp(back(), SYN | ACK), db);
    expect(only().value.flags & CtFlag.ORIGINATOR_A).toBeTruthy(); // web has the smaller address
  });
  test('leaves no entry by a reset', () => {
    expect(leaves(tcp(flow(), RST)).verdict).toBe(REDIRECT);
    expect(datapath.flows()).toEqual([]);
  });
  test('is no excuse for a SYN', () => {
    oneWay();
    expect(leaves(tcp(back(), SYN), db).verdict).toBe(SHOT);
  });
  test('is no excuse for UDP', () => {
    oneWay(PROTOCOL.udp);
    expect(leaves(udp(back()), db).verdict).toBe(SHOT);
  });
});

describeBoth('an entry lives', () => {
  test.each([
    { name: '60 s after a SYN', run: () => { leaves(tcp(flow(), SYN)); }, seconds: 60 },
    { name: '60 s after a picked up packet, until the other direction was seen', run: () => { leaves(tcp(flow(), ACK)); }, seconds: 60 },
    { name: '6 h once both directions were seen', run: () => { leaves(tcp(flow(), SYN)); leaves(tcp(back(), SYN | ACK), db); }, seconds: 21600 },
    { name: '6 h while only one side is closed', run: () => { leaves(tcp(flow(), SYN)); leaves(tcp(back(), SYN | ACK), db); leaves(tcp(flow(), FIN | ACK)); }, seconds: 21600 },
    { name: '10 s once both sides are closed', run: () => { leaves(tcp(flow(), SYN)); leaves(tcp(back(), FIN | ACK), db); leaves(tcp(flow(), FIN | ACK)); }, seconds: 10 },
    { name: '10 s after a reset', run: () => { leaves(tcp(flow(), SYN)); leaves(tcp(back(), RST | ACK), db); }, seconds: 10 },
    { name: '60 s after a datagram', run: () => { leaves(udp(flow())); }, seconds: 60 },
    { name: '120 s after an answered datagram', run: () => { leaves(udp(flow())); leaves(udp(back()), db); }, seconds: 120 },
    { name: '60 s after a ping and its answer', run: () => {
      leaves(icmp({ source: web.address, destination: db.address }, { type: at.icmp.request, id: 5 }));
      leaves(icmp({ source: db.address, destination: web.address }, { type: at.icmp.reply, id: 5 }), db);
    }, seconds: 60 },
  ])('$name', ({ run, seconds }) => {
    run();
    nearly(seconds);
  });

  const age = (): void => {
    const { key, value } = only();
    datapath.put<'sn_cttcp_01' | 'sn_ctany_01'>(key.protocol === PROTOCOL.tcp ? 'sn_cttcp_01' : 'sn_ctany_01', key, { ...value, expiry: now() - 5 });
  };
  test('no longer than that: an expired one is as none', () => {
    oneWay(PROTOCOL.udp);
    leaves(udp(flow()));
    age();
    expect(leaves(udp(back()), db).verdict).toBe(SHOT);
    expect(leaves(udp(flow())).samples).toHaveLength(2);
  });
  test('until a SYN after the end begins anew', () => {
    leaves(tcp(flow(), SYN));
    leaves(tcp(back(), RST | ACK), db);
    expect(leaves(tcp(flow(), SYN)).samples).toHaveLength(2);
    nearly(60);
    expect(only().value.flags & (CtFlag.RESET | CtFlag.CLOSING_A | CtFlag.CLOSING_B)).toBe(0);
  });
  test('until the collector meets it expired, and no others', async () => {
    leaves(tcp(flow(), SYN));
    leaves(udp(flow()));
    leaves(tcp({ ...flow(), sourcePort: 40001 }, SYN));
    const [first] = datapath.rows('sn_cttcp_01');
    datapath.put('sn_cttcp_01', first!.key, { ...first!.value, expiry: now() - 5 });
    const collector = loadObject(new URL('../build/gc.o', import.meta.url).pathname, {
      reuse: new Map((['sn_cttcp_01', 'sn_ctany_01'] as const).map((name) => [name, datapath.map(name).fd])),
    });
    await runMapIterator(collector.programFd('collect_tcp'), datapath.map('sn_cttcp_01'));
    await runMapIterator(collector.programFd('collect_any'), datapath.map('sn_ctany_01'));
    collector.close();
    expect(datapath.rows('sn_cttcp_01').map(({ key }) => key)).toEqual([expect.not.objectContaining(first!.key)]);
    expect(datapath.rows('sn_ctany_01')).toHaveLength(1);
  });
});

describeBoth('the tables', () => {
  test('TCP and the rest have tables of their own', () => {
    leaves(tcp(flow(), SYN));
    leaves(udp(flow()));
    expect([datapath.rows('sn_cttcp_01').length, datapath.rows('sn_ctany_01').length]).toEqual([1, 1]);
  });

  test('an entry whose echo is another flow\'s is never obeyed', () => {
    oneWay();
    leaves(tcp(flow(), SYN));
    const { key, value } = only();
    deny(301, INGRESS);
    datapath.put('sn_cttcp_01', key, { ...value, echo: (value.echo ^ 1) >>> 0 });
    expect(leaves(tcp(flow(), ACK)).verdict).toBe(SHOT);
  });
});

describeBoth('an ICMP error', () => {
  const unreachable = (from: string, about: Buffer, to = web.address) => icmp({ source: from, destination: to }, { ...at.icmp.tooBig, inner: about });
  const sent = (protocol: number = PROTOCOL.tcp, of = flow()): Buffer =>
    ip(of, protocol, (protocol === PROTOCOL.tcp ? tcpSegment(of, ACK) : udpDatagram(of)).subarray(0, 8));
  beforeEach(() => { oneWay(); });

  test('about a live flow passes from the pod that it was sent to', () => {
    leaves(tcp(flow(), SYN));
    const { verdict, packet, samples } = leaves(unreachable(db.address, sent()), db);
    expect(verdict).toBe(REDIRECT);
    expect(packet.subarray(0, 6).toString('hex')).toBe('02000000000a');
    expect(samples).toEqual([]);
  });
  test('about a live flow passes from any router on its way', () => {
    leaves(tcp(flow(at.remote), SYN));
    expect(arrives(unreachable(at.onTheWay, sent(PROTOCOL.tcp, flow(at.remote)))).verdict).toBe(OK);
  });
  test('about no flow is judged as a packet of its own', () => {
    expect(dropped(leaves(unreachable(db.address, sent()), db))).toEqual([Reason.POLICY]);
    datapath.openBoth(300);
    datapath.openBoth(301);
    expect(leaves(unreachable(db.address, sent()), db).verdict).toBe(REDIRECT);
    expect(datapath.flows()).toEqual([]);
  });
  test('about another\'s flow does not pass: a pod tells only of what was sent to it', () => {
    leaves(tcp(flow(at.remote), SYN));
    expect(dropped(leaves(unreachable(db.address, sent(PROTOCOL.tcp, flow(at.remote))), db))).toEqual([Reason.POLICY]);
  });
  test('about what its receiver never sent does not pass', () => {
    leaves(tcp(flow(), SYN));
    expect(dropped(leaves(unreachable(db.address, sent(PROTOCOL.tcp, back())), db))).toEqual([Reason.POLICY]);
  });
  test('about a flow whose stamp is stale is judged as a packet of its own', () => {
    leaves(tcp(flow(), SYN));
    datapath.bumpEpoch();
    expect(dropped(leaves(unreachable(db.address, sent()), db))).toEqual([Reason.POLICY]);
  });
  test('with half a packet inside is judged as a packet of its own', () => {
    leaves(tcp(flow(), SYN));
    expect(dropped(leaves(unreachable(db.address, sent().subarray(0, 12)), db))).toEqual([Reason.POLICY]);
  });
});
