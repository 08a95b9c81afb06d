/** What a bench prints: one JSON line a figure, ratios of medians measured in one run. Pure. */

export interface Figure {
  readonly figure: string;
  readonly unit: string;
  /** At least five, taken in turn with the yardstick's. */
  readonly ours: readonly number[];
  readonly yardstick: { readonly name: string; readonly values: readonly number[] };
  /** `>= 1.10`: the ratio ours/yardstick that is wanted; undefined where a figure is only reported. */
  readonly aim: { readonly relation: '>=' | '<='; readonly ratio: number } | undefined;
}

export interface BenchLine {
  readonly bench: string;
  readonly figure: string;
  readonly unit: string;
  readonly ours: readonly number[];
  readonly yardstick: Figure['yardstick'];
  readonly ratio: number;
  readonly aim: string;
  readonly pass: boolean | null;
  readonly order: 'interleaved';
  readonly machine: string;
  readonly commit: string;
}

export const median = (values: readonly number[]): number => {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
};

/** @param p 0..1 */
export const percentile = (values: readonly number[], p: number): number => {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(p * sorted.length))]!;
};

const round = (value: number): number => Number(value.toPrecision(4));

export const toLine = (bench: string, figure: Figure, place: { readonly machine: string; readonly commit: string }): BenchLine => {
  const ratio = median(figure.ours) / median(figure.yardstick.values);
  const { aim } = figure;
  return {
    bench,
    figure: figure.figure,
    unit: figure.unit,
    ours: figure.ours.map(round),
    yardstick: { name: figure.yardstick.name, values: figure.yardstick.values.map(round) },
    ratio: round(ratio),
    aim: aim === undefined ? 'reported' : `${aim.relation} ${aim.ratio}`,
    pass: aim === undefined ? null : aim.relation === '>=' ? ratio >= aim.ratio : ratio <= aim.ratio,
    order: 'interleaved',
    ...place,
  };
};
