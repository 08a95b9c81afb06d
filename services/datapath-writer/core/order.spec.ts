import { describe, expect, test } from '@jest/globals';

import { echoOfBytes, encode, FOLDED_MAPS, MAPS, SubjectFlag, type MapName } from '@seine/layout';
import type { AnyRow, MapEntry, Step } from '@seine/node';

import { WORLD } from '../fixture/world.ts';
import { emptyTables, endpointsOfLog, foldNode, keyText, nodeRows, orderSteps, ROW_SHAPE_SHIFT, rowsByMap, serviceRows, SHAPES, stepText, valueText, type Rows } from './index.ts';

const tables = emptyTables();
const echo = (key: AnyRow): number => echoOfBytes(encode(MAPS.sn_peer_01.key, key as never));
const rowsAfter = (count: number): Rows => {
  const state = foldNode(WORLD.slice(0, count).map((event, index) => ({ seq: index + 1, events: [event] })));
  const interfaces: string[] = [];
  return rowsByMap(nodeRows('n1', state, endpointsOfLog('n1', state, (name) => interfaces.push(name)), tables).rows);
};
const states = WORLD.map((_, index) => rowsAfter(index + 1));
const full = states.at(-1)!;
const empty: Rows = new Map();
/** An array has all its entries always. */
const bare = rowsAfter(0);

type Kernel = Map<MapName, Map<string, MapEntry>>;
const kernelOf = (rows: Rows): Kernel => new Map(FOLDED_MAPS.map((map) => [map, new Map(rows.get(map) ?? [])]));
const apply = (kernel: Kernel, step: Step): void => {
  if (step.step === 'upsert') for (const entry of step.rows) kernel.get(step.map)!.set(keyText(entry.key), entry);
  if (step.step === 'delete') for (const key of step.keys) kernel.get(step.map)!.delete(keyText(key));
};
const textOf = (rows: Rows | Kernel): readonly string[] =>
  FOLDED_MAPS.flatMap((map) => [...rows.get(map)?.values() ?? []].map(({ key, value }) => `${map} ${keyText(key)} ${valueText(value)}`)).sort();

/** References that stand without what they name. */
const dangling = (kernel: Kernel): readonly string[] => {
  const found: string[] = [];
  const hasRow = (row: unknown): boolean => kernel.get('sn_row_01')!.has(`${String(row)} 0 0 0`);
  for (const { key, value } of kernel.get('sn_subject_01')!.values()) {
    if ((Number(value['flags']) & SubjectFlag.ENFORCED) !== 0 && !hasRow(value['defaultRow'])) found.push(`subject ${keyText(key)} → row ${value['defaultRow']}`);
  }
  for (const { key, value } of kernel.get('sn_peer_01')!.values()) {
    if (!hasRow(value['row'])) found.push(`peer ${keyText(key)} → row ${value['row']}`);
    if (kernel.get('sn_shape_01')!.get(String(Number(value['row']) >>> ROW_SHAPE_SHIFT))?.value['value'] !== SHAPES[Number(value['row']) >>> ROW_SHAPE_SHIFT]) found.push(`row ${value['row']} → shape`);
  }
  for (const { key, value } of kernel.get('sn_frontend_02')!.values()) {
    for (let index = 0; index < Number(value['count']); index += 1) if (!kernel.get('sn_slot_02')!.has(`${value['slots']} ${value['slotsHigh']} ${index}`)) found.push(`frontend ${keyText(key)} → slot ${index}`);
  }
  for (const { key, value } of kernel.get('sn_slot_02')!.values()) if (!kernel.get('sn_backend_01')!.has(String(value['value']))) found.push(`slot ${keyText(key)} → backend`);
  return found;
};

describe('an ordered batch', () => {
  const pairs = [empty, ...states].flatMap((from, index) => [bare, ...states].map((to, other) => ({ name: `${index} → ${other}`, from, to })));
  test('leads from any state to any other, and at no step a reference stands without its referent', () => {
    for (const { name, from, to } of pairs) {
      const kernel = kernelOf(from);
      for (const step of orderSteps(from, to, echo).steps) {
        apply(kernel, step);
        expect({ name, step: step.step, dangling: dangling(kernel) }).toEqual({ name, step: step.step, dangling: [] });
      }
      expect({ name, rows: textOf(kernel) }).toEqual({ name, rows: textOf(to) });
    }
  });

  test('writes nothing twice: what stands is left alone', () => {
    expect(orderSteps(full, full, echo)).toEqual({ steps: [], writes: 0 });
    for (const { from, to } of pairs) {
      for (const step of orderSteps(from, to, echo).steps) {
        if (step.step !== 'upsert') continue;
        for (const { key, value } of step.rows) expect(valueText(from.get(step.map)?.get(keyText(key))?.value ?? {})).not.toBe(valueText(value));
      }
    }
  });

  const stepsUp = orderSteps(empty, full, echo).steps;
  const at = (map: MapName): number => stepsUp.findIndex((step) => step.step === 'upsert' && step.map === map);
  test.each([
    ['sn_shape_01', 'sn_row_01'], ['sn_row_01', 'sn_peer_01'], ['sn_peer_01', 'sn_subject_01'], ['sn_subject_01', 'sn_ipcache_01'], ['sn_ipcache_01', 'sn_endpoint_01'],
    ['sn_backend_01', 'sn_slot_02'], ['sn_slot_02', 'sn_frontend_02'],
  ] as const)('writes %s before %s', (first, then) => {
    expect(at(first)).toBeGreaterThanOrEqual(0);
    expect(at(first)).toBeLessThan(at(then));
  });

  test('takes references away first, bumps, waits, then takes away what they named', () => {
    const { steps } = orderSteps(full, bare, echo);
    const kinds = steps.map((step) => ('map' in step ? `${step.step} ${step.map}` : step.step));
    const order = ['delete sn_endpoint_01', 'bump', 'grace', 'delete sn_subject_01', 'delete sn_peer_01', 'delete sn_row_01'].map((kind) => kinds.indexOf(kind));
    expect(order).toEqual([...order].sort((a, b) => a - b));
    expect(order[0]).toBeGreaterThanOrEqual(0);
  });

  test.each([
    { name: 'of a pod goes a grace period after the endpoints that refer to it', identity: 256, then: ['bump', 'grace', 'delete sn_subject_01'] },
    { name: 'of the node itself goes at once: it must not outlast its peers', identity: 1, then: ['delete sn_subject_01', 'bump'] },
  ])('a subject $name', ({ identity, then }) => {
    const key = { identity, variant: 0, direction: 1 };
    const subject: Rows = new Map([['sn_subject_01', new Map([[keyText(key), { key, value: { revision: 1, echo: 0, defaultRow: 1, flags: 1 } }]])]]);
    expect(orderSteps(subject, empty, echo).steps.map((step) => ('map' in step ? `${step.step} ${step.map}` : step.step))).toEqual(then);
  });

  test('draws from a smaller set before a backend goes, and a grace period lies between', () => {
    const shrunk = rowsByMap(serviceRows({ frontends: [{ id: 1, address: '10.96.0.10', port: 80, protocol: 'TCP', portName: 'http' }], refusals: [] }, [], { node: 'n1', zone: undefined, lbMode: 'snat' }));
    const services = new Map([...full].filter(([map]) => ['sn_frontend_02', 'sn_slot_02', 'sn_backend_01'].includes(map)));
    expect(orderSteps(services, shrunk, echo).steps.map((step) => ('map' in step ? `${step.step} ${step.map}` : step.step)))
      .toEqual(['upsert sn_frontend_02', 'grace', 'delete sn_slot_02', 'delete sn_backend_01']);
  });

  test('does not bump for pure additions', () => {
    const before = WORLD.findIndex(({ type, key }) => type === 'pod.observed.v1' && key === 'shop/far');
    const steps = orderSteps(rowsAfter(before), rowsAfter(before + 5), echo).steps;
    expect(steps.filter(({ step }) => step === 'upsert')).not.toEqual([]);
    expect(steps.filter(({ step }) => step === 'bump')).toEqual([]);
  });

  test('reads as text', () => {
    expect(stepText({ step: 'upsert', map: 'sn_backend_01', rows: [{ key: { value: 1 }, value: { address: '10.244.1.20', port: 8301, protocol: 6 } }] }))
      .toEqual(['sn_backend_01 upsert value=1 → address=10.244.1.20 port=8301 protocol=6']);
    expect([{ step: 'bump' }, { step: 'grace' }].flatMap((step) => stepText(step as Step))).toEqual(['bump the verdict epoch', 'wait for a grace period']);
  });
});
