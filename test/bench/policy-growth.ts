/** A change costs what it changes: the same changes, in turn, in a cluster with twice of everything that does not concern them. */
import { openChanges, ROUNDS, SIZE, WARM } from './policy.ts';
import type { Figure } from './lib/line.ts';

/** Twice the namespaces, and so the identities and policies of others. */
const TWICE = { ...SIZE, namespaces: SIZE.namespaces * 2, identities: SIZE.identities * 2, policies: SIZE.policies * 2 };
const NAMES = { identity: 'one new identity', rules: 'one policy of 100 rules', nothing: 'a pod that no local policy means' } as const;

export const measure = async (): Promise<readonly Figure[]> => {
  const [once, twice] = [openChanges(SIZE), openChanges(TWICE)];
  return (Object.keys(NAMES) as (keyof typeof NAMES)[]).map((name): Figure => { // Object.keys widens
    const [ours, theirs]: [number[], number[]] = [[], []];
    for (let round = 0; round < WARM + 3 * ROUNDS; round += 1) {
      const [large, small] = [twice[name](round), once[name](round)];
      if (round < WARM) continue;
      ours.push(large);
      theirs.push(small);
    }
    return { figure: `${NAMES[name]}, with twice of all that does not concern it`, unit: 'ms', ours, yardstick: { name: 'with once', values: theirs }, aim: { relation: '<=', ratio: 1.15 } };
  });
};
