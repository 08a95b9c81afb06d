/** A change costs what it changes: the same changes in a cluster with twice of everything that does not concern them. */
import { incremental, SIZE } from './policy.ts';
import type { Figure } from './lib/line.ts';

/** Twice the namespaces, and so the identities and policies of others. */
const TWICE = { ...SIZE, namespaces: SIZE.namespaces * 2, identities: SIZE.identities * 2, policies: SIZE.policies * 2 };
const NAMES = { identity: 'one new identity', rules: 'one policy of 100 rules', nothing: 'a pod that no local policy means' } as const;

export const measure = async (): Promise<readonly Figure[]> => {
  const [once, twice] = [incremental(SIZE), incremental(TWICE)];
  return (Object.keys(NAMES) as (keyof typeof NAMES)[]).map((name): Figure => ({ // Object.keys widens
    figure: `${NAMES[name]}, with twice of all that does not concern it`, unit: 'ms', ours: twice[name], yardstick: { name: 'with once', values: once[name] }, aim: { relation: '<=', ratio: 1.15 },
  }));
};
