/** Writes an ordered batch: `applying` before, `applied` after. */
import { gracePeriod, mapKernel, updateOne } from '@seine/kernel';
import { decode, encode, MAPS } from '@seine/layout';
import type { Applied, ApplyOrder } from '@seine/node';
import { assertNever } from '@seine/model';

import { encodeEntries, encodeKeys, unpack } from '../core/index.ts';
import type { NodeObjects } from './objects.ts';

const FIRST = new Uint8Array(4);

export const bumpEpoch = (objects: Pick<NodeObjects, 'map'>): number => {
  const map = objects.map('sn_epoch_01');
  const { value } = decode(MAPS.sn_epoch_01.value, mapKernel.lookup(map, FIRST)!);
  const next = value === 0xffffffff ? 1 : value + 1;
  updateOne(map, FIRST, encode(MAPS.sn_epoch_01.value, { value: next }));
  return next;
};

/** @throws SEINE_KERNEL_E2BIG and its like; steps before the failing one stand, and `applied` stays behind `applying` */
export const applyOrder = async (objects: Pick<NodeObjects, 'map' | 'build'>, { seq, steps }: ApplyOrder): Promise<Applied> => {
  const stateMap = objects.map('sn_state_01');
  const mark = (applying: bigint, applied: bigint): void => { updateOne(stateMap, FIRST, encode(MAPS.sn_state_01.value, { applying, applied, digest: objects.build })); };
  const { applied: before } = decode(MAPS.sn_state_01.value, mapKernel.lookup(stateMap, FIRST)!);
  let upserted = 0;
  let deleted = 0;
  /* All of it is encoded before any of it is written: a value out of range changes nothing. */
  const encoded = steps.map((step) => {
    switch (step.step) {
      case 'upsert': return { step: step.step, map: step.map, entries: 'packed' in step ? unpack(step.map, step.packed, true) : encodeEntries(step.map, step.rows) };
      case 'delete': return { step: step.step, map: step.map, ...('packed' in step ? unpack(step.map, step.packed, false) : { keys: encodeKeys(step.map, step.keys), count: step.keys.length }) };
      case 'bump':
      case 'grace': return step;
      default: return assertNever(step);
    }
  });
  mark(BigInt(seq), before);
  for (const step of encoded) {
    switch (step.step) {
      case 'upsert':
        mapKernel.updateBatch(objects.map(step.map), step.entries);
        upserted += step.entries.count;
        break;
      case 'delete':
        mapKernel.deleteBatch(objects.map(step.map), step.keys, step.count);
        deleted += step.count;
        break;
      case 'bump': bumpEpoch(objects); break;
      case 'grace': await gracePeriod(); break;
      default: assertNever(step);
    }
  }
  mark(BigInt(seq), BigInt(seq));
  return { upserted, deleted };
};
