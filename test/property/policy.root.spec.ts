/** Rows of random clusters in real maps: the kernel's look-up and the one in TypeScript answer alike. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { emptyTables, endpointsOfLog, indexRows, lookUp, nodeRows } from '@seine/datapath-writer';
import { Direction, MAPS, type KeyRow, type MapName, type ValueRow } from '@seine/layout';
import { PROTOCOL } from '@seine/model';

import { Datapath, openInterfaces, type Interfaces } from '../../bpf/test/datapath.ts';
import { openProbe, type Question } from '../../bpf/test/probe.ts';
import { randomOf } from '../oracle/mutate.mjs';
import { clusters } from './clusters.ts';
import { inBothFamilies } from './families.ts';
import { caseOf } from './generate.ts';
import { clusterOf } from './judge.ts';
import { openKernel, type Kernel } from './kernel.ts';

const POLICY_MAPS: readonly MapName[] = ['sn_subject_01', 'sn_peer_01', 'sn_row_01', 'sn_shape_01', 'sn_class_01'];
const ROOM = Object.fromEntries(POLICY_MAPS.filter((name) => MAPS[name].type !== 'array').map((name) => [name, 16_384]));
const PORTS = [80, 443, 3306, 8079, 8080, 8087, 8088, 27017, 53, 1, 65535, 0x0800];

describe('the look-up in the kernel and in TypeScript', () => {
  let interfaces: Interfaces;
  beforeAll(() => { interfaces = openInterfaces(); });
  afterAll(() => { interfaces.close(); });

  test.each([21, 22, 23, 24])('answer alike over the rows of cluster %i', (seed) => {
    const { cluster } = clusters([seed], 40).at(-1)!;
    const { rows } = nodeRows('n1', cluster.state, endpointsOfLog('n1', cluster.state, () => 1), emptyTables());
    const index = indexRows(rows);
    const datapath = new Datapath(interfaces, { maxEntries: ROOM });
    const probe = openProbe(datapath.maps());
    try {
      for (const row of rows) if (POLICY_MAPS.includes(row.map)) datapath.put(row.map, row.key as KeyRow<MapName>, row.value as ValueRow<MapName>);
      const random = randomOf(seed);
      const subjects = rows.flatMap((row) => (row.map === 'sn_subject_01' ? [row.key] : []));
      const known = rows.flatMap((row) => (row.map === 'sn_ipcache_01' ? [{ address: row.key.address, identity: row.value.identity, variant: row.value.variant }] : []));
      const classes = rows.flatMap((row) => (row.map === 'sn_class_01' ? [row] : []));
      const asked = Array.from({ length: 256 }, () => ({ subject: random.pick(subjects), peer: random.pick(known), port: random.pick(PORTS), protocol: random.pick(Object.values(PROTOCOL)) }));
      const classOf = (address: string): number => {
        const number = (text: string): number => text.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
        const around = classes.filter(({ key }) => !key.address.includes(':')).map(({ key, value }) => ({ bits: key.prefixLength - 96, base: key.address, value: value.value }))
          .filter(({ bits, base }) => bits >= 0 && Math.floor(number(address) / 2 ** (32 - bits)) === Math.floor(number(base) / 2 ** (32 - bits)));
        return around.sort((a, b) => b.bits - a.bits)[0]?.value ?? 0;
      };
      const kernel = probe.ask(asked.map(({ subject, peer, port, protocol }): Question => ({
        identity: subject.identity, variant: subject.variant, direction: subject.direction, peerIdentity: peer.identity, peerVariant: peer.variant, peerAddress: peer.address, peerInCluster: 1, port, protocol,
      })));
      const here = asked.map(({ subject, peer, port, protocol }) => lookUp(index, {
        direction: subject.direction === Direction.INGRESS ? 'ingress' : 'egress', identity: subject.identity, variant: subject.variant,
        peer: { identity: peer.identity, variant: peer.variant, cidrClass: classOf(peer.address) }, protocol, port,
      }));
      expect(new Set(here.map(({ verdict }) => verdict)).size).toBeGreaterThan(1);
      expect(kernel).toEqual(here);
    } finally {
      probe.close();
      datapath.close();
    }
  });
});

describe('policies of every kind in real maps', () => {
  let kernel: Kernel;
  beforeAll(() => { kernel = openKernel(); });
  afterAll(() => { kernel.close(); });

  test('the kernel says what the texts of the APIs say, for 250 random clusters', () => {
    const cases = Array.from({ length: 250 }, (_, index) => caseOf(8, index));
    const found = cases.map((made) => kernel.ask(clusterOf(made), made));
    expect(found.reduce((sum, { answers }) => sum + answers, 0)).toBeGreaterThan(1800);
    expect(found.flatMap(({ disagreements }) => disagreements)).toEqual([]);
  });

  test('and says the same between addresses of IPv6, for 100 of both families', () => {
    const found = Array.from({ length: 100 }, (_, index) => inBothFamilies(caseOf(9, index))).map(({ made, twins }) => kernel.ask(clusterOf(made), { ...made, probes: twins }));
    expect(found.reduce((sum, { answers }) => sum + answers, 0)).toBeGreaterThan(500);
    expect(found.flatMap(({ disagreements }) => disagreements)).toEqual([]);
  });
});
