/** Steps as the loader takes them: in words, as people read them; large ones as the bytes that the kernel takes. */
import { encodeAll, MAPS, type MapName, type StructLayout } from '@seine/layout';
import type { AnyRow, PackedStep, Step } from '@seine/node';

import { isPacked, joinPacked } from '../core/index.ts';

/** Below it words cost nothing that anybody would notice. */
const PACKED_ROWS_MIN = 64;

const bytesOf = (layout: StructLayout, rows: readonly AnyRow[]): string => {
  const bytes = encodeAll(layout, rows as never); // rows of this map: the codec checks every member
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
};
const layoutOf = (map: MapName): { readonly key: StructLayout; readonly value: StructLayout } => MAPS[map];

/** @throws SEINE_LAYOUT_RANGE naming struct, field, value and range */
export const packSteps = (steps: readonly Step[]): readonly (Step | PackedStep)[] => steps.map((step) => {
  if (step.step === 'upsert' && step.rows.length >= PACKED_ROWS_MIN) {
    const count = step.rows.length;
    if (isPacked(step.rows)) {
      const { keys, values } = joinPacked(step.rows);
      return { step: 'upsert', map: step.map, packed: { count, keys: keys.toString('base64'), values: values.toString('base64') } };
    }
    const { key, value } = layoutOf(step.map);
    return { step: 'upsert', map: step.map, packed: { count, keys: bytesOf(key, step.rows.map((row) => row.key)), values: bytesOf(value, step.rows.map((row) => row.value)) } };
  }
  if (step.step === 'delete' && step.keys.length >= PACKED_ROWS_MIN) return { step: 'delete', map: step.map, packed: { count: step.keys.length, keys: bytesOf(layoutOf(step.map).key, step.keys), values: '' } };
  return step;
});
