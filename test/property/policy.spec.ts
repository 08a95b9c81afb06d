import { existsSync, readdirSync, readFileSync } from 'node:fs';

import { beforeAll, describe, expect, test } from '@jest/globals';

import { naive } from '../oracle/naive.mjs';
import { clusters, type JudgedCluster } from './clusters.ts';
import { FEATURES } from './features.ts';
import { caseOf, KINDS } from './generate.ts';
import { clusterOf, differs, judged, type Kept } from './judge.ts';

/** Cases that `npm run property` has shrunk; they stay once they are right. */
const KEPT = new URL('kept/', import.meta.url);

const SEEDS = [11, 12, 13, 14, 15, 16];
const EDITS = 50;

describe('random clusters and what a literal reading of NetworkPolicy says of them', () => {
  let shops: readonly JudgedCluster[];
  beforeAll(() => { shops = clusters(SEEDS, EDITS); });

  const answers = () => shops.flatMap(({ made, cluster }) => made.probes.map(({ want, ...probe }) => ({ case: made.name, ...probe, want, got: cluster.verdict(probe).got })));

  test('asks thousands of questions, and neither answer is rare', () => {
    const wants = shops.flatMap(({ made }) => made.probes.map(({ want }) => want));
    expect(wants.length).toBeGreaterThan(4000);
    const denied = wants.filter((want) => want === 'deny').length / wants.length;
    expect(denied).toBeGreaterThan(0.3);
    expect(denied).toBeLessThan(0.7);
  });

  test('refuses none of these objects', () => {
    expect(shops.flatMap(({ cluster }) => cluster.refused)).toEqual([]);
  });

  test('agrees on every question', () => {
    expect(answers().filter(({ want, got }) => want !== got)).toEqual([]);
  });

  test.each([
    'an empty list of peers is nobody', 'an empty list of ports is no port', 'the holes of an ipBlock are inside', 'endPort is forgotten',
  ])('notices when one sentence is read wrongly: %s', (defect) => {
    const noticed = shops.flatMap(({ made, cluster }) => made.probes.filter((probe) => naive(made.objects, probe, { defect }) !== cluster.verdict(probe).got));
    expect(noticed).not.toEqual([]);
  });
});

describe('random clusters with policies of every kind and what the texts of the APIs say of them', () => {
  const SEED = 7;
  const CASES = Array.from({ length: 400 }, (_, index) => caseOf(SEED, index));
  const answers = CASES.map(judged);
  const wants = CASES.flatMap(({ probes }) => probes.map(({ want }) => want));

  test('neither answer is rare', () => {
    expect(wants.length).toBeGreaterThan(3000);
    const denied = wants.filter((want) => want === 'deny').length / wants.length;
    expect(denied).toBeGreaterThan(0.3);
    expect(denied).toBeLessThan(0.7);
  });
  test('no kind and no feature is missing', () => {
    const seen = new Set(CASES.flatMap(({ features }) => features));
    expect(KINDS.flatMap((kind) => FEATURES[kind].map((feature) => `${kind}: ${feature}`)).filter((feature) => !seen.has(feature))).toEqual([]);
  });
  test('refuses none of these objects', () => { expect(answers.flatMap(({ refused }) => refused)).toEqual([]); });
  test('agrees on every question', () => { expect(answers.flatMap(({ disagreements }) => disagreements)).toEqual([]); });
});

test('what a run found and kept is right now', () => {
  const kept = (existsSync(KEPT) ? readdirSync(KEPT) : []).map((file) => ({ file, ...(JSON.parse(readFileSync(new URL(file, KEPT), 'utf8')) as Kept) })); // written by run.ts
  const wrong = kept.filter(({ want, ...each }) => naive(each.objects, each.probe, each) !== want || differs(clusterOf(each), each, each.probe, want) !== undefined);
  expect(wrong.map(({ file }) => file)).toEqual([]);
});
