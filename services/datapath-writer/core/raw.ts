/** Rows as the kernel holds them, decoded and nothing more: this node's own numbers, echoes included. Pure. */
import { FOLDED_MAPS } from '@seine/layout';
import { compareCodeUnits } from '@seine/model';
import type { AnyRow, CanonicalEntry } from '@seine/node';

import type { Rows } from './order.ts';

const text = (row: AnyRow): string => Object.entries(row).map(([member, value]) => `${member}=${value}`).join(' ');

/** One entry for each entry of the kernel, in the order of their text; comparable with nothing but another raw dump of the same node. */
export const rawEntries = (rows: Rows): readonly CanonicalEntry[] => FOLDED_MAPS
  .flatMap((map) => [...rows.get(map)?.values() ?? []].map(({ key, value }) => ({ map, key: text(key), value: text(value) })))
  .sort((a, b) => compareCodeUnits(a.map, b.map) || compareCodeUnits(a.key, b.key));
