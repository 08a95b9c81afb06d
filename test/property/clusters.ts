/** Random clusters near the shop, judged twice: by the text of NetworkPolicy v1, and by everything that runs in Seine but time. */
import { isRefused, toObject, type KubeObject } from '@seine/objects';

import { whole, type Whole } from '../../services/cli/whole.ts';
import { casesOf, readWorld, type MadeCase } from '../oracle/mutate.mjs';

const SHOP = new URL('../../infra/examples/shop', import.meta.url).pathname;

export interface JudgedCluster { readonly made: MadeCase; readonly cluster: Whole }

export const clusters = (seeds: readonly number[], edits: number): readonly JudgedCluster[] => {
  const start = readWorld(SHOP);
  return seeds.flatMap((seed) => [...casesOf(start, seed, edits)].map((made): JudgedCluster => ({
    made, cluster: whole(made.objects.map((raw) => toObject(raw)).filter((each): each is KubeObject => !isRefused(each)), []),
  })));
};
