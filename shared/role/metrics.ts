/** Metrics as data, printed in Prometheus' text format. A registry belongs to a process; nothing is global. */
import { setTimeout as delay } from 'node:timers/promises';

export interface MetricDefinition {
  readonly type: 'counter' | 'gauge' | 'histogram';
  /** `<noun>_<unit>`; `seine_<process>_` comes in front. */
  readonly name: string;
  readonly help: string;
  /** Upper bounds of a histogram, ascending. */
  readonly buckets?: readonly number[];
}
export type MetricDefinitions = Readonly<Record<string, MetricDefinition>>;
export type MetricLabels = Readonly<Record<string, string>>;

/** One series as somebody else counted it. */
export interface Counted { readonly value: number; readonly labels: MetricLabels }
export interface Counter {
  readonly add: (by?: number, labels?: MetricLabels) => void;
  /** All series at once, counted elsewhere: those that are not told are gone; what is beyond the limit is told together. */
  readonly replace: (counted: readonly Counted[]) => void;
}
export interface Gauge { readonly set: (value: number, labels?: MetricLabels) => void }
export interface Histogram { readonly observe: (value: number, labels?: MetricLabels) => void }
type HandleOf<D extends MetricDefinition> = D['type'] extends 'counter' ? Counter : D['type'] extends 'gauge' ? Gauge : Histogram;
export type Metrics<D extends MetricDefinitions> = { readonly [Name in keyof D]: HandleOf<D[Name]> };

const SECONDS_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10] as const;

/** Units that a name may end in: Prometheus' base units, counts of things, and states. */
export const METRIC_NAME = /^seine(_[a-z][a-z0-9]*){2,}_(total|seconds|bytes|ratio|entries|sequence|active|info)$/;

/** Series of one metric; more label sets than this are counted together, so that a stranger's names cannot fill the memory. */
const SERIES_MAX = 1_000;
const OVERFLOW: MetricLabels = { overflow: 'true' };

const escape = (value: string): string => value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
const labelText = (labels: MetricLabels): string => {
  const entries = Object.entries(labels);
  return entries.length === 0 ? '' : `{${entries.map(([key, value]) => `${key}="${escape(value)}"`).join(',')}}`;
};

const createSeries = <T>(make: () => T) => {
  const series = new Map<string, { labels: MetricLabels; value: T }>();
  const of = (labels: MetricLabels): { labels: MetricLabels; value: T } => {
    const key = labelText(labels);
    const found = series.get(key);
    if (found !== undefined) return found;
    if (series.size >= SERIES_MAX && labels !== OVERFLOW) return of(OVERFLOW);
    const made = { labels, value: make() };
    series.set(key, made);
    return made;
  };
  return { of, all: () => series.values(), has: (labels: MetricLabels) => series.has(labelText(labels)), clear: () => { series.clear(); } };
};

const createNumber = (name: string) => {
  const series = createSeries(() => 0);
  return {
    add: (by = 1, labels: MetricLabels = {}): void => { series.of(labels).value += by; },
    set: (value: number, labels: MetricLabels = {}): void => { series.of(labels).value = value; },
    replace: (counted: readonly Counted[]): void => {
      /* Who had a series of its own keeps it, so that no counter goes back because another came. */
      const [known, fresh] = [counted.filter(({ labels }) => series.has(labels)), counted.filter(({ labels }) => !series.has(labels))];
      series.clear();
      for (const { labels, value } of [...known, ...fresh]) series.of(labels).value += value;
    },
    lines: (): string[] => Array.from(series.all(), ({ labels, value }) => `${name}${labelText(labels)} ${value}`),
  };
};

const createHistogram = (name: string, bounds: readonly number[]) => {
  const series = createSeries(() => ({ counts: bounds.map(() => 0), count: 0, sum: 0 }));
  return {
    observe: (value: number, labels: MetricLabels = {}): void => {
      const { value: found } = series.of(labels);
      const index = bounds.findIndex((bound) => value <= bound);
      if (index >= 0) found.counts[index]! += 1;
      found.count += 1;
      found.sum += value;
    },
    lines: (): string[] => Array.from(series.all()).flatMap(({ labels, value }) => {
      let below = 0;
      return [
        ...bounds.map((bound, index) => `${name}_bucket${labelText({ ...labels, le: String(bound) })} ${below += value.counts[index]!}`),
        `${name}_bucket${labelText({ ...labels, le: '+Inf' })} ${value.count}`,
        `${name}_sum${labelText(labels)} ${value.sum}`,
        `${name}_count${labelText(labels)} ${value.count}`,
      ];
    }),
  };
};

export interface MetricsRegistry {
  readonly define: <const D extends MetricDefinitions>(definitions: D) => Metrics<D>;
  /** Called before each print, to set what is read rather than kept. */
  readonly beforePrint: (read: () => void) => void;
  /** Called before each read of all: what is asked of another process. One that fails, or takes too long, leaves what was known before. */
  readonly beforeRead: (ask: () => Promise<void>) => void;
  readonly print: () => string;
  readonly read: () => Promise<string>;
}

/** Whoever scrapes waits seconds, not for a process that hangs. */
const ASK_PATIENCE_MS = 2_000;

export const createRegistry = (process: string, askPatienceMs = ASK_PATIENCE_MS): MetricsRegistry => {
  const printed = new Map<string, { readonly definition: MetricDefinition; readonly lines: () => string[] }>();
  const reads: (() => void)[] = [];
  const asks: (() => Promise<void>)[] = [];
  const print = (): string => {
    for (const read of reads) read();
    return [...printed].map(([name, { definition, lines }]) =>
      `# HELP ${name} ${definition.help}\n# TYPE ${name} ${definition.type}\n${lines().map((line) => `${line}\n`).join('')}`).join('');
  };
  return {
    define: (definitions) => Object.fromEntries(Object.entries(definitions).map(([key, definition]) => {
      const name = `seine_${process.replaceAll('-', '_')}_${definition.name}`;
      const metric = definition.type === 'histogram' ? createHistogram(name, definition.buckets ?? SECONDS_BUCKETS) : createNumber(name);
      printed.set(name, { definition, lines: metric.lines });
      return [key, metric];
    })) as unknown as Metrics<typeof definitions>, // each handle has the methods of its definition's type
    beforePrint: (read) => { reads.push(read); },
    beforeRead: (ask) => { asks.push(ask); },
    print,
    read: async () => {
      const told = new AbortController();
      await Promise.race([Promise.allSettled(asks.map((ask) => ask())), delay(askPatienceMs, undefined, { signal: told.signal }).catch(() => {})]);
      told.abort();
      return print();
    },
  };
};
