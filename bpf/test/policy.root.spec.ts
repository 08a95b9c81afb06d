/** The look-up of datapath.md on the real kernel: subject, peer, row, longest port prefix. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';

import fc from 'fast-check';

import { Direction, Reason, SubjectFlag, Verdict } from '@seine/layout';

import { Datapath, openInterfaces, type Interfaces, type PortRule } from './datapath.ts';
import { PROTOCOL } from './packet.ts';
import { openProbe, type Probe, type Question } from './probe.ts';

const SUBJECT = 300;
const PEER = 301;
const INGRESS = Direction.INGRESS;
const { ALLOW, DENY, DEFAULT_DENY, AUDIT, REDIRECT, FULL, NONE } = Verdict;
const { tcp, udp, icmp, sctp } = PROTOCOL;

let interfaces: Interfaces;
let datapath: Datapath;
let probe: Probe;
beforeAll(() => { interfaces = openInterfaces(); });
afterAll(() => { interfaces.close(); });
beforeEach(() => {
  datapath = new Datapath(interfaces);
  probe = openProbe(datapath.maps());
});
afterEach(() => {
  probe.close();
  datapath.close();
});

const ask = (question: Partial<Question> = {}) => probe.ask([{ identity: SUBJECT, direction: INGRESS, peerIdentity: PEER, ...question }])[0]!;

describe('a row answers by the longest prefix of the port', () => {
  const ports8080: PortRule = { protocol: tcp, port: 8080, prefixLength: 13, verdict: ALLOW }; // 8080-8087
  test.each<{ name: string; rules: readonly PortRule[]; otherwise?: number; protocol?: number; port: number; want: number; reason?: number }>([
    { name: 'drops when no rule matches (fail closed)', rules: [], port: 80, want: DEFAULT_DENY, reason: Reason.POLICY },
    { name: 'passes the allowed port', rules: [{ protocol: tcp, port: 443, verdict: ALLOW }], port: 443, want: ALLOW },
    { name: 'drops another port', rules: [{ protocol: tcp, port: 443, verdict: ALLOW }], port: 80, want: DEFAULT_DENY, reason: Reason.POLICY },
    { name: 'drops the same port of another protocol', rules: [{ protocol: tcp, port: 443, verdict: ALLOW }], protocol: udp, port: 443, want: DEFAULT_DENY, reason: Reason.POLICY },
    { name: 'passes the first port of a range', rules: [ports8080], port: 8080, want: ALLOW },
    { name: 'passes the last port of a range', rules: [ports8080], port: 8087, want: ALLOW },
    { name: 'drops the port after a range', rules: [ports8080], port: 8088, want: DEFAULT_DENY, reason: Reason.POLICY },
    { name: 'drops the port before a range', rules: [ports8080], port: 8079, want: DEFAULT_DENY, reason: Reason.POLICY },
    { name: 'lets one denied port out of an allowed range', rules: [ports8080, { protocol: tcp, port: 8082, verdict: DENY }], port: 8082, want: DENY, reason: Reason.DENYLIST },
    { name: 'keeps the neighbours of a denied port allowed', rules: [ports8080, { protocol: tcp, port: 8082, verdict: DENY }], port: 8083, want: ALLOW },
    { name: 'answers a whole protocol', rules: [{ protocol: udp, verdict: ALLOW }], protocol: udp, port: 53, want: ALLOW },
    { name: 'prefers a port to its whole protocol', rules: [{ protocol: udp, verdict: ALLOW }, { protocol: udp, port: 53, verdict: DENY }], protocol: udp, port: 53, want: DENY, reason: Reason.DENYLIST },
    { name: 'answers one verdict for everything with one probe', rules: [], otherwise: ALLOW, port: 1, want: ALLOW },
    { name: 'answers ports of SCTP', rules: [{ protocol: sctp, port: 3868, verdict: ALLOW }], protocol: sctp, port: 3868, want: ALLOW },
    { name: 'knows the half of all ports', rules: [{ protocol: tcp, port: 0x8000, prefixLength: 1, verdict: ALLOW }], port: 65535, want: ALLOW },
    { name: 'keeps the other half out', rules: [{ protocol: tcp, port: 0x8000, prefixLength: 1, verdict: ALLOW }], port: 32767, want: DEFAULT_DENY, reason: Reason.POLICY },
    { name: 'passes the allowed ICMP type with any code', rules: [{ protocol: icmp, port: 8 << 8, prefixLength: 8, verdict: ALLOW }], protocol: icmp, port: 8 << 8 | 3, want: ALLOW },
    { name: 'drops another ICMP type', rules: [{ protocol: icmp, port: 8 << 8, prefixLength: 8, verdict: ALLOW }], protocol: icmp, port: 13 << 8, want: DEFAULT_DENY, reason: Reason.POLICY },
    { name: 'tells ICMP codes apart', rules: [{ protocol: icmp, port: 3 << 8 | 4, prefixLength: 16, verdict: ALLOW }], protocol: icmp, port: 3 << 8 | 3, want: DEFAULT_DENY, reason: Reason.POLICY },
    { name: 'passes what is only audited', rules: [{ protocol: tcp, port: 80, verdict: AUDIT }], port: 80, want: AUDIT },
    { name: 'closes a redirect while no proxy is there', rules: [{ protocol: tcp, port: 80, verdict: REDIRECT }], port: 80, want: REDIRECT, reason: Reason.NO_PROXY },
    { name: 'denies all of a policy that did not fit', rules: [], otherwise: FULL, port: 80, want: FULL, reason: Reason.MAP_INSERT },
  ])('$name', ({ rules, otherwise, protocol = tcp, port, want, reason = Reason.NONE }) => {
    datapath.subject({ identity: SUBJECT, direction: INGRESS, row: datapath.row([], DENY), peers: { [PEER]: datapath.row(rules, otherwise) } });
    expect(ask({ protocol, port })).toMatchObject({ verdict: want, reason });
  });

  test('says which rule decided', () => {
    datapath.subject({ identity: SUBJECT, direction: INGRESS, row: datapath.row([{ protocol: tcp, port: 80, verdict: ALLOW, rule: 4711 }]) });
    expect(ask({ port: 80 })).toEqual({ verdict: ALLOW, reason: 0, rule: 4711 });
  });

  test('is right, only slower, where the shape was never written', () => {
    datapath.subject({ identity: SUBJECT, direction: INGRESS, row: datapath.row([{ protocol: tcp, port: 8080, prefixLength: 13, verdict: ALLOW }], DENY, { shape: 9, lengths: 0 }) });
    expect([8079, 8080, 8088].map((port) => ask({ port }).verdict)).toEqual([DENY, ALLOW, DENY]);
  });

  test('refuses by a row that does not hold its root', () => {
    datapath.subject({ identity: SUBJECT, direction: INGRESS, row: 77 });
    expect(ask()).toMatchObject({ verdict: NONE, reason: Reason.NO_POLICY });
  });
});

describe('a subject', () => {
  test('without a policy drops with 203', () => {
    expect(ask()).toMatchObject({ verdict: NONE, reason: Reason.NO_POLICY });
  });
  test('that nothing isolates allows', () => {
    datapath.open(SUBJECT, INGRESS);
    expect(ask()).toMatchObject({ verdict: ALLOW, reason: 0 });
  });
  test('has one policy for each direction', () => {
    datapath.subject({ identity: SUBJECT, direction: INGRESS, row: datapath.row([], DENY) });
    datapath.open(SUBJECT, Direction.EGRESS);
    expect([INGRESS, Direction.EGRESS].map((direction) => ask({ direction }).verdict)).toEqual([DENY, ALLOW]);
  });
  test('has one policy for each named-port variant', () => {
    datapath.subject({ identity: SUBJECT, direction: INGRESS, row: datapath.row([], DENY) });
    datapath.subject({ identity: SUBJECT, variant: 2, direction: INGRESS, row: datapath.row([], ALLOW) });
    expect([0, 2].map((variant) => ask({ variant }).verdict)).toEqual([DENY, ALLOW]);
    expect(ask({ variant: 1 }).reason).toBe(Reason.NO_POLICY);
  });
  test('meets peers without an entry by its default row', () => {
    datapath.subject({ identity: SUBJECT, direction: INGRESS, row: datapath.row([], ALLOW), peers: { [PEER]: datapath.row([], DENY) } });
    expect([PEER, 999, 0].map((peerIdentity) => ask({ peerIdentity }).verdict)).toEqual([DENY, ALLOW, ALLOW]);
  });
  test('whose policy denies some peers drops one it does not know with 171', () => {
    datapath.subject({ identity: SUBJECT, direction: INGRESS, row: datapath.row([], ALLOW), flags: SubjectFlag.PEER_DENY });
    expect(ask({ peerIdentity: 0 })).toMatchObject({ reason: Reason.INVALID_IDENTITY });
    expect(ask({ peerIdentity: 2 })).toMatchObject({ verdict: ALLOW });
  });
  test('looks at the peer\'s named-port variant only where it asks for it', () => {
    const revision = datapath.subject({ identity: SUBJECT, direction: INGRESS, row: datapath.row([], DENY), flags: SubjectFlag.NEEDS_VARIANT });
    datapath.peer({ revision, identity: PEER, classVariant: 3 }, datapath.row([], ALLOW));
    expect([3, 0].map((peerVariant) => ask({ peerVariant }).verdict)).toEqual([ALLOW, DENY]);
    const plain = datapath.subject({ identity: SUBJECT + 1, direction: INGRESS, row: datapath.row([], DENY) });
    datapath.peer({ revision: plain, identity: PEER, classVariant: 0 }, datapath.row([], ALLOW));
    expect(ask({ identity: SUBJECT + 1, peerVariant: 3 }).verdict).toBe(ALLOW);
  });
  test('finds the class of the longest prefix for an in-cluster address, and only for such', () => {
    datapath.put('sn_class_01', { prefixLength: 96 + 16, address: '10.9.0.0' }, { value: 5 });
    datapath.put('sn_class_01', { prefixLength: 96 + 24, address: '10.9.9.0' }, { value: 6 });
    const revision = datapath.subject({ identity: SUBJECT, direction: INGRESS, row: datapath.row([], DEFAULT_DENY), flags: SubjectFlag.NEEDS_CLASS });
    datapath.peer({ revision, identity: PEER, classVariant: 5 << 16 }, datapath.row([], ALLOW));
    datapath.peer({ revision, identity: PEER, classVariant: 6 << 16 }, datapath.row([], DENY));
    expect(ask({ peerAddress: '10.9.8.1' }).verdict).toBe(ALLOW);
    expect(ask({ peerAddress: '10.9.9.1' }).verdict).toBe(DENY);
    expect(ask({ peerAddress: '10.8.0.1' }).verdict).toBe(DEFAULT_DENY);
    expect(ask({ peerAddress: '10.9.8.1', peerInCluster: 0 }).verdict).toBe(DEFAULT_DENY);
  });
  test('switches to a new revision by one write', () => {
    const before = datapath.subject({ identity: SUBJECT, direction: INGRESS, row: datapath.row([], DENY), peers: { [PEER]: datapath.row([], DENY) } });
    expect(ask().verdict).toBe(DENY);
    const after = datapath.subject({ identity: SUBJECT, direction: INGRESS, row: datapath.row([], DENY), peers: { [PEER]: datapath.row([], ALLOW) } });
    expect(after).not.toBe(before);
    expect(ask().verdict).toBe(ALLOW);
  });
});

describe('a value whose echo is another key\'s is never obeyed', () => {
  test('of a subject: it counts as missing', () => {
    datapath.subject({ identity: SUBJECT, direction: INGRESS, row: datapath.row([], ALLOW), echo: 1 });
    expect(ask()).toMatchObject({ reason: Reason.NO_POLICY });
  });
  test('of a peer: the default row decides', () => {
    datapath.subject({ identity: SUBJECT, direction: INGRESS, row: datapath.row([], DENY), peers: { [PEER]: datapath.row([], ALLOW) }, peerEcho: 1 });
    expect(ask().verdict).toBe(DENY);
  });
});

test('any row answers every port as the slow, obvious search does', () => {
  const prefix = fc.record({ protocol: fc.constantFrom(tcp, udp), length: fc.integer({ min: 0, max: 16 }), bits: fc.integer({ min: 0, max: 0xffff }), verdict: fc.constantFrom(ALLOW, DENY, AUDIT) });
  let identity = 5000;
  fc.assert(fc.property(fc.array(prefix, { maxLength: 12 }), fc.constantFrom(ALLOW, DEFAULT_DENY), fc.array(fc.integer({ min: 0, max: 0xffff }), { minLength: 20, maxLength: 20 }),
    (entries, otherwise, ports) => {
      const mask = (length: number): number => (0xffff << (16 - length)) & 0xffff;
      const rules = new Map(entries.map(({ protocol, length, bits, verdict }, index) =>
        [`${protocol}/${length}/${bits & mask(length)}`, { protocol, prefixLength: length, port: bits & mask(length), verdict, rule: index + 1 }]));
      identity += 1;
      datapath.subject({ identity, direction: INGRESS, row: datapath.row([...rules.values()], otherwise) });
      // Besides random ports, those where a prefix begins and ends.
      const probed = [...ports, ...entries.flatMap(({ length, bits }) => [bits & mask(length), (bits & mask(length)) | (~mask(length) & 0xffff)])];
      const questions = probed.flatMap((port) => [tcp, udp, sctp].map((protocol) => ({ identity, direction: INGRESS, peerIdentity: PEER, protocol, port })));
      const want = questions.map(({ protocol, port }) => {
        const lengths = Array.from({ length: 17 }, (_, index) => 16 - index);
        const found = lengths.map((length) => rules.get(`${protocol}/${length}/${port & mask(length)}`)).find((rule) => rule !== undefined);
        return { verdict: found?.verdict ?? otherwise, rule: found?.rule ?? 0 };
      });
      expect(probe.ask(questions).map(({ verdict, rule }) => ({ verdict, rule }))).toEqual(want);
    }), { numRuns: 60 });
});

describe('what a row answered is remembered', () => {
  test('under its epoch only: a number that is given anew answers anew', () => {
    const row = datapath.row([{ protocol: tcp, port: 80, verdict: ALLOW }]);
    datapath.subject({ identity: SUBJECT, direction: INGRESS, row });
    const verdicts = (): ReadonlySet<number> => new Set(Array.from({ length: 200 }, () => ask({ port: 80 }).verdict));
    expect(verdicts()).toEqual(new Set([ALLOW]));
    datapath.put('sn_row_01', { row, protocol: tcp, prefixLength: 16, port: 80 }, { verdict: DENY, proxyPort: 0, rule: 9 });
    datapath.bumpEpoch();
    expect(verdicts()).toEqual(new Set([DENY]));
    expect(ask({ port: 80 })).toEqual({ verdict: DENY, reason: Reason.DENYLIST, rule: 9 });
  });
  test('for its own question only: more ports and rows than there is room for, asked twice in any order', () => {
    const [even, odd] = [ALLOW, DENY].map((verdict) => datapath.row([{ protocol: tcp, port: 0, prefixLength: 1, verdict }, { protocol: tcp, port: 0x8000, prefixLength: 1, verdict: AUDIT }]));
    datapath.subject({ identity: SUBJECT, direction: INGRESS, row: even!, peers: { [PEER]: odd! } });
    const questions = Array.from({ length: 6_000 }, (_, index): Question => ({ identity: SUBJECT, direction: INGRESS, peerIdentity: index % 2 === 0 ? PEER : 999, port: index * 7919 % 65_536, protocol: tcp }));
    const want = questions.map(({ port, peerIdentity }) => (port! >= 0x8000 ? AUDIT : peerIdentity === PEER ? DENY : ALLOW));
    for (const order of [questions, questions.toReversed()]) {
      expect(probe.ask(order).map(({ verdict }) => verdict)).toEqual(order === questions ? want : want.toReversed());
    }
  });
});
