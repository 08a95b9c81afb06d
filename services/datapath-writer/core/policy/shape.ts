/**
 * Shapes: which prefix lengths a row uses, told by the top byte of its number. The table is the same on every node and never changes:
 * lengths are grouped, so that five bits name them; shape 0 is one verdict for everything, 255 every length.
 */
import type { RowContent } from './row.ts';

const GROUPS = [[16], [15, 14, 13], [12, 11, 10, 9], [8, 7, 6, 5, 4, 3, 2, 1], [0]] as const;
const FULL = 0x1ffff;

const lengthsOf = (shape: number): number => {
  if (shape >= 1 << GROUPS.length) return FULL;
  return GROUPS.reduce((bits, group, index) => ((shape >> index) & 1) === 1 ? group.reduce((sum, length) => sum | (1 << length), bits) : bits, 0);
};

/** Bitmaps of prefix lengths, by shape number. */
export const SHAPES: readonly number[] = Array.from({ length: 256 }, (_, shape) => lengthsOf(shape));

/** The shape of a row: only entries of a protocol count, the root is always asked last. */
export const shapeOf = (row: RowContent): number =>
  row.entries.slice(1).reduce((shape, { length }) => shape | (1 << GROUPS.findIndex((group) => (group as readonly number[]).includes(length))), 0);

export const ROW_SHAPE_SHIFT = 24;
