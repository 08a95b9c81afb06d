import { describe, expect, test } from '@jest/globals';

import { METRIC_NAME, createRegistry, type MetricDefinitions } from './metrics.ts';
import { DECIDER_METRICS } from './run-decider.ts';
import { PROCESS_METRICS } from './run.ts';

const METRICS = {
  writes: { type: 'counter', name: 'map_writes_total', help: 'Rows written.' },
  lag: { type: 'gauge', name: 'lag_seconds', help: 'Behind the log.' },
  ack: { type: 'histogram', name: 'ack_seconds', help: 'To the acknowledgement.', buckets: [0.1, 1] },
} as const satisfies MetricDefinitions;

describe('metrics', () => {
  test('print themselves in Prometheus\' text format', () => {
    const registry = createRegistry('datapath-writer');
    const { writes, lag, ack } = registry.define(METRICS);
    writes.add(2, { map: 'ipcache' });
    writes.add(1, { map: 'ipcache' });
    writes.add(1, { map: 'a"b\\c\nd' });
    lag.set(0.5);
    for (const seconds of [0.05, 0.1, 0.5, 3]) ack.observe(seconds);
    expect(registry.print()).toBe([
      '# HELP seine_datapath_writer_map_writes_total Rows written.', '# TYPE seine_datapath_writer_map_writes_total counter',
      'seine_datapath_writer_map_writes_total{map="ipcache"} 3', 'seine_datapath_writer_map_writes_total{map="a\\"b\\\\c\\nd"} 1',
      '# HELP seine_datapath_writer_lag_seconds Behind the log.', '# TYPE seine_datapath_writer_lag_seconds gauge', 'seine_datapath_writer_lag_seconds 0.5',
      '# HELP seine_datapath_writer_ack_seconds To the acknowledgement.', '# TYPE seine_datapath_writer_ack_seconds histogram',
      'seine_datapath_writer_ack_seconds_bucket{le="0.1"} 2', 'seine_datapath_writer_ack_seconds_bucket{le="1"} 3', 'seine_datapath_writer_ack_seconds_bucket{le="+Inf"} 4',
      'seine_datapath_writer_ack_seconds_sum 3.65', 'seine_datapath_writer_ack_seconds_count 4', '',
    ].join('\n'));
  });

  test('are bounded: label sets beyond the limit are counted together', () => {
    const registry = createRegistry('x');
    const { writes } = registry.define(METRICS);
    for (let index = 0; index < 1_500; index += 1) writes.add(1, { map: String(index) });
    expect(registry.print().split('\n').length).toBeLessThan(1_010);
    expect(registry.print()).toContain('seine_x_map_writes_total{overflow="true"} 500');
  });

  test('counted elsewhere are told as they are: who is gone is not, who was there keeps its own series, the rest is one', async () => {
    const registry = createRegistry('x');
    const { writes } = registry.define(METRICS);
    const counted = (from: number, count: number): readonly { readonly value: number; readonly labels: { readonly id: string } }[] => Array.from({ length: count }, (_, index) => ({ value: 2, labels: { id: String(from + index) } }));
    let told = counted(500, 3);
    registry.beforeRead(async () => { writes.replace(told); });
    expect(await registry.read()).toContain('seine_x_map_writes_total{id="502"} 2\n');
    told = [...counted(0, 500), ...counted(501, 1_000)];
    const lines = (await registry.read()).split('\n').filter((line) => line.startsWith('seine_x_map_writes_total'));
    expect(lines).toHaveLength(1_001);
    expect(lines.slice(0, 2)).toEqual(['seine_x_map_writes_total{id="501"} 2', 'seine_x_map_writes_total{id="502"} 2']);
    expect(lines.at(-1)).toBe('seine_x_map_writes_total{overflow="true"} 1000');
    expect(lines.some((line) => line.includes('"500"'))).toBe(false);
  });

  test('what cannot be asked for keeps nobody from being told', async () => {
    const registry = createRegistry('x');
    const { writes } = registry.define(METRICS);
    writes.add(3);
    registry.beforeRead(async () => { throw new Error('away'); });
    expect(await registry.read()).toContain('seine_x_map_writes_total 3\n');
  });

  test('who never answers keeps nobody from being told', async () => {
    const registry = createRegistry('x', 10);
    registry.define(METRICS).writes.add(3);
    registry.beforeRead(() => new Promise(() => {}));
    expect(await registry.read()).toContain('seine_x_map_writes_total 3\n');
  });

  test('gauges that are read are read at each print', () => {
    const registry = createRegistry('x');
    const { lag } = registry.define(METRICS);
    let value = 1;
    registry.beforePrint(() => lag.set(value += 1));
    expect(registry.print()).toContain('seine_x_lag_seconds 2');
    expect(registry.print()).toContain('seine_x_lag_seconds 3');
  });

  test.each(Object.values({ ...PROCESS_METRICS, ...DECIDER_METRICS }))('$name has the form of a name', ({ name }) => {
    expect(`seine_ipam_${name}`).toMatch(METRIC_NAME);
  });
});
