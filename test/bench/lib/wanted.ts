/** Which parts of a long bench to run: `BENCH_SERVICES=10,1000` and `BENCH_METHODS=nftables` leave the others out. */
import { SeineError } from '@seine/model';

const listOf = (variable: string): readonly string[] | undefined => process.env[variable]?.split(',').filter((each) => each !== '');

/** @throws SEINE_BENCH_INCOMPLETE for what is no number */
export const sizesWanted = (all: readonly number[]): readonly number[] => {
  const sizes = listOf('BENCH_SERVICES')?.map(Number) ?? all;
  if (sizes.length === 0 || !sizes.every((size) => Number.isInteger(size) && size > 0)) throw new SeineError('SEINE_BENCH_INCOMPLETE', `BENCH_SERVICES: ${process.env['BENCH_SERVICES']}: expected numbers of Services by commas`);
  return [...sizes].sort((a, b) => a - b);
};

/** @throws SEINE_BENCH_INCOMPLETE for a name that is none of them */
export const methodsWanted = <const T extends string>(all: readonly T[]): readonly T[] => {
  const wanted = listOf('BENCH_METHODS');
  const strange = wanted?.find((name) => !(all as readonly string[]).includes(name));
  if (strange !== undefined) throw new SeineError('SEINE_BENCH_INCOMPLETE', `BENCH_METHODS: ${strange}: expected some of ${all.join(', ')}`);
  return wanted === undefined ? all : all.filter((name) => wanted.includes(name));
};
