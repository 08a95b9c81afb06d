import { describe, expect, test } from '@jest/globals';

import type { SeineEvent } from '@seine/events';

import { emptyKnown, evolveKnown, type Known } from './diff.ts';
import { admitReport, parseReport, type NodeReport } from './report.ts';

const time = '1970-01-01T00:00:00.000Z';
const entry = (name: string, address = '10.244.1.2', uid = name) =>
  ({ pod: `shop/${name}`, uid, addresses: [address], endpointId: 1, hostInterface: `sn${name}`, containerId: name });
const report = (...endpoints: readonly unknown[]): unknown => ({ node: 'n1', bootId: 'b', complete: 7, endpoints, another: 'member' });
const parsed = (...endpoints: readonly unknown[]): NodeReport => parseReport(report(...endpoints))!; // well formed

const scheduled = (name: string, nodeName = 'n1'): SeineEvent => ({
  type: 'pod.observed.v1', key: `shop/${name}`, time, data: { uid: name, nodeName, labels: {}, serviceAccount: 'default', hostNetwork: false, addresses: [], phase: 'running', ports: [] },
});
const knowing = (...events: readonly SeineEvent[]): Known => {
  const known = emptyKnown();
  for (const event of events) evolveKnown(known, event);
  return known;
};
const said = (known: Known, told: NodeReport): readonly string[] => {
  const { facts, refused } = admitReport(known, ['10.244.1.0/24'], told, time);
  for (const fact of facts) evolveKnown(known, fact);
  return [...facts.map(({ type, key }) => `${type} ${key}`), ...refused];
};

describe('a report', () => {
  test('is read with the members that it must have', () => {
    expect(parsed(entry('a'))).toEqual({ node: 'n1', bootId: 'b', complete: 7, endpoints: [{ ...entry('a'), node: 'n1' }] });
  });

  test.each<{ name: string; value: unknown }>([
    { name: 'no object', value: [] },
    { name: 'endpoints that are no list', value: { node: 'n1', bootId: 'b', complete: 7, endpoints: 'x' } },
    { name: 'a position below zero', value: { node: 'n1', bootId: 'b', complete: -1, endpoints: [] } },
    { name: 'one endpoint that is none', value: report(entry('a'), { ...entry('b'), endpointId: 0 }) },
    { name: 'one address that is none', value: report(entry('a', '10.244.1')) },
    { name: 'a name of very many letters', value: report(entry('a'.repeat(600))) },
    { name: 'more endpoints than a node has', value: report(...Array.from({ length: 1025 }, (_, index) => entry(`a${index}`))) },
  ])('with $name is none', ({ value }) => { expect(parseReport(value)).toBeUndefined(); });
});

describe('what a node claims', () => {
  test.each<{ name: string; known: Known; told: NodeReport; then: readonly unknown[] }>([
    { name: 'is believed of a pod that is scheduled there', known: knowing(scheduled('a')), told: parsed(entry('a')), then: ['endpoint.observed.v1 shop/a'] },
    { name: 'is not believed of a pod that nobody knows', known: knowing(), told: parsed(entry('a')), then: [expect.stringContaining('which is not scheduled there')] },
    { name: 'is not believed of a pod of another node', known: knowing(scheduled('a', 'n2')), told: parsed(entry('a')), then: [expect.stringContaining('which is not scheduled there')] },
    { name: 'is not believed of a former pod of that name', known: knowing(scheduled('a')), told: parsed(entry('a', '10.244.1.2', 'former')), then: [expect.stringContaining('which is not scheduled there')] },
    { name: "is not believed of another node's address", known: knowing(scheduled('a')), told: parsed(entry('a', '10.244.2.2')), then: [expect.stringContaining('outside its block 10.244.1.0/24')] },
  ])('$name', ({ known, told, then }) => { expect(said(known, told)).toEqual(then); });

  test('is a fact once, until it no longer claims it', () => {
    const known = knowing(scheduled('a'));
    said(known, parsed(entry('a')));
    expect(said(known, parsed(entry('a')))).toEqual([]);
    expect(said(known, parsed())).toEqual(['endpoint.vanished.v1 shop/a']);
  });

  test('takes nothing from another node', () => {
    const known = knowing(scheduled('a', 'n2'), { type: 'endpoint.observed.v1', key: 'shop/a', time, data: { uid: 'a', node: 'n2', addresses: ['10.244.2.2'], endpointId: 1, hostInterface: 'x', containerId: 'a' } });
    expect(said(known, parsed())).toEqual([]);
  });
});
