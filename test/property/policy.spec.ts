import { beforeAll, describe, expect, test } from '@jest/globals';

import { naive } from '../oracle/naive.mjs';
import { clusters, type JudgedCluster } from './clusters.ts';

const SEEDS = [11, 12, 13, 14, 15, 16];
const EDITS = 50;

describe('random clusters and what a literal reading of NetworkPolicy says of them', () => {
  let judged: readonly JudgedCluster[];
  beforeAll(() => { judged = clusters(SEEDS, EDITS); });

  const answers = () => judged.flatMap(({ made, cluster }) => made.probes.map(({ want, ...probe }) => ({ case: made.name, ...probe, want, got: cluster.verdict(probe).got })));

  test('asks thousands of questions, and neither answer is rare', () => {
    const wants = judged.flatMap(({ made }) => made.probes.map(({ want }) => want));
    expect(wants.length).toBeGreaterThan(4000);
    const denied = wants.filter((want) => want === 'deny').length / wants.length;
    expect(denied).toBeGreaterThan(0.3);
    expect(denied).toBeLessThan(0.7);
  });

  test('refuses none of these objects', () => {
    expect(judged.flatMap(({ cluster }) => cluster.refused)).toEqual([]);
  });

  test('agrees on every question', () => {
    expect(answers().filter(({ want, got }) => want !== got)).toEqual([]);
  });

  test.each([
    'an empty list of peers is nobody', 'an empty list of ports is no port', 'the holes of an ipBlock are inside', 'endPort is forgotten',
  ])('notices when one sentence is read wrongly: %s', (defect) => {
    const noticed = judged.flatMap(({ made, cluster }) => made.probes.filter((probe) => naive(made.objects, probe, defect) !== cluster.verdict(probe).got));
    expect(noticed).not.toEqual([]);
  });
});
