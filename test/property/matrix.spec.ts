/** The matrix asks about everybody at once, and by another way than a probe: every cell must say what a probe of its two ends is told. */
import { describe, expect, test } from '@jest/globals';

import { matrixOf, type Matrix, type MatrixCell } from '../../services/cli/matrix.ts';
import type { Whole } from '../../services/cli/whole.ts';
import { insideCidr } from '../oracle/naive.mjs';
import { clusters } from './clusters.ts';
import { caseOf } from './generate.ts';
import { clusterOf } from './judge.ts';

/** Pods of a party: two of one workload may have addresses that a rule tells apart, so each stands by its identity and its ports. */
const podsOf = (cluster: Whole, matrix: Matrix): ReadonlyMap<string, readonly string[]> => new Map(matrix.from.map(({ name, members, identities, pods }) => {
  const own = [...cluster.state.addresses].filter(([, { pod, identity }]) => {
    const workload = cluster.state.pods.get(pod)?.workload;
    return identities.includes(identity) && members.includes(workload === undefined ? pod : `${pod.split('/')[0]}/${workload.name}`);
  }).map(([, { pod }]) => pod);
  return [name, own.length === pods ? own : []]; // else the party is not told apart by its name alone
}));

const OUTSIDE = ['9.9.9.9', '198.18.7.7', '11.22.33.44'];

/** An address that a party outside stands for: its prefix' own, where no smaller prefix holds it; of all the rest one that is in none. */
const addressOf = (name: string, matrix: Matrix): readonly string[] => {
  const prefixes = matrix.from.flatMap(({ name: each }) => (each.startsWith('external ') ? [each.slice('external '.length)] : []));
  const own = name.slice('external '.length);
  if (name !== 'external') return prefixes.some((other) => other !== own && insideCidr(own.split('/')[0]!, other) && Number(other.split('/')[1]) > Number(own.split('/')[1])) ? [] : [own.split('/')[0]!];
  return OUTSIDE.filter((address) => !prefixes.some((prefix) => insideCidr(address, prefix)));
};

/** Cells that a probe of some pod of each party contradicts. */
const contradicted = (cluster: Whole, matrix: Matrix): { readonly asked: number; readonly wrong: readonly unknown[] } => {
  const pods = podsOf(cluster, matrix);
  let asked = 0;
  const wrong = matrix.cells.flatMap((cell) => {
    const endsOf = (name: string): readonly string[] => (name.startsWith('external') ? addressOf(name, matrix) : pods.get(name) ?? []);
    const [from, to] = [endsOf(cell.from), endsOf(cell.to)];
    const pair = from.flatMap((source) => to.filter((destination) => destination !== source).map((destination) => [source, destination] as const))[0];
    if (pair === undefined || cell.protocol === 'SCTP') return [];
    asked += 1;
    const verdict = cluster.verdict({ from: pair[0], to: pair[1], protocol: cell.protocol, port: cell.port });
    const said = verdict.audit ? 'audit' : verdict.got;
    /* Of several that allow, a row names the destination's rule where it has one. */
    const same = said === cell.verdict && JSON.stringify(verdict.isolatedBy) === JSON.stringify(cell.isolatedBy) && (said !== 'deny' || (verdict.direction === cell.direction && verdict.reason?.code === cell.reason?.code));
    return same && JSON.stringify(verdict.rule) === JSON.stringify(cell.rule) ? [] : [{ cell, verdict: { said, rule: verdict.rule, direction: verdict.direction, isolatedBy: verdict.isolatedBy } }];
  });
  return { asked, wrong };
};

const keyOf = ({ from, to, port, protocol }: Pick<MatrixCell, 'from' | 'to' | 'port' | 'protocol'>): string => `${from} ${to} ${port}/${protocol}`;

/** What a matrix that lists only exceptions says of every pair. */
const filledIn = (sparse: Matrix): ReadonlyMap<string, string> => {
  const listed = new Map(sparse.cells.map((cell) => [keyOf(cell), cell.verdict]));
  return new Map(sparse.to.flatMap(({ to, port, protocol, otherwise }) => sparse.from.map(({ name, egress, egressAt }) => {
    const key = keyOf({ from: name, to, port, protocol });
    const side = egressAt.find((at) => at.port === port && at.protocol === protocol)?.decision ?? egress;
    return [key, listed.get(key) ?? (side.verdict === 'deny' ? 'deny' : otherwise.verdict)] as const;
  })));
};

describe.each([
  { name: 'NetworkPolicies near the shop', said: ['allow', 'deny'], made: () => clusters([41, 42], 20).map(({ cluster }) => cluster) },
  { name: 'policies of every kind', said: ['allow', 'audit', 'deny'], made: () => Array.from({ length: 60 }, (_, index) => clusterOf(caseOf(7, index))) },
])('the matrix over random clusters with $name', ({ said, made }) => {
  const all = made();
  const dense = all.map((cluster) => matrixOf(cluster.state));

  test('says in every cell what a probe is told', () => {
    const found = all.map((cluster, index) => contradicted(cluster, dense[index]!));
    expect(found.flatMap(({ wrong }) => wrong)).toEqual([]);
    expect(found.reduce((sum, { asked }) => sum + asked, 0)).toBeGreaterThan(500);
    expect([...new Set(dense.flatMap(({ cells }) => cells.map(({ verdict }) => verdict)))].sort()).toEqual(said);
  });

  test('says the same where it lists only exceptions, and counts the same', () => {
    all.forEach((cluster, index) => {
      const whole = dense[index]!;
      const sparse = matrixOf(cluster.state, { cells: 0 });
      expect(sparse.complete).toBe(false);
      const filled = filledIn(sparse);
      const inside = whole.cells.filter(({ to }) => to !== 'external');
      expect(inside.filter((cell) => filled.get(keyOf(cell)) !== cell.verdict && !(filled.get(keyOf(cell)) !== 'deny' && cell.verdict !== 'deny')).map(keyOf)).toEqual([]);
      expect({ ...sparse.counts, allow: sparse.counts.allow + sparse.counts.audit, audit: 0 }).toMatchObject({ cells: inside.length, deny: inside.filter(({ verdict }) => verdict === 'deny').length });
      expect(sparse.cells.length).toBeLessThanOrEqual(inside.length);
    });
  });
});
