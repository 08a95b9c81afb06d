import { describe, expect, test } from '@jest/globals';

import type { DecidedCommit, Lane, SeineEvent } from '@seine/events';
import { labNodes } from '@seine/lab';
import { isRefused, toObject, type KubeObject, type Settings } from '@seine/objects';

import { rederive, rederivedText } from './rederive.ts';
import { whole } from './whole.ts';

const OBJECTS = [
  { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'web', namespace: 'shop', labels: { app: 'web' } }, spec: { containers: [{ name: 'a', ports: [{ containerPort: 80 }] }] } },
  { apiVersion: 'v1', kind: 'Service', metadata: { name: 'web', namespace: 'shop' }, spec: { selector: { app: 'web' }, ports: [{ port: 80 }] } },
  { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata: { name: 'closed', namespace: 'shop' }, spec: { podSelector: {}, ingress: [] } },
].map((raw) => toObject(raw)).filter((object): object is KubeObject => !isRefused(object));

const LANES_OF: readonly (readonly [Lane, RegExp])[] = [
  ['identity', /^(identity|podidentity|address)\./], ['ipam', /^podcidr\./], ['policy', /^policy(kind)?\./], ['service', /^(service\.compiled|backends\.)/],
];

/** A log whose facts came in one commit, and which each lane answered in one. */
const logOf = (change: (event: SeineEvent) => SeineEvent = (event) => event, settings: Settings = {}): readonly DecidedCommit[] => {
  const { events } = whole(OBJECTS, labNodes(2), [], settings);
  const laneOf = ({ type }: SeineEvent): Lane => LANES_OF.find(([, types]) => types.test(type))?.[0] ?? 'fact';
  return (['fact', ...LANES_OF.map(([lane]) => lane)] as const).map((lane, index) =>
    ({ seq: index + 1, lane, seen: lane === 'fact' ? 0 : 1, events: events.filter((event) => laneOf(event) === lane).map((event) => (lane === 'fact' ? event : change(event))) }));
};

describe('the past decided again', () => {
  test('comes to the stored decisions of every lane', () => {
    const found = rederive(logOf());
    expect(found.map(({ lane, ok }) => ({ lane, ok }))).toEqual(LANES_OF.map(([lane]) => ({ lane, ok: true })));
    expect(found.every((each) => each.ok && each.decisions > 0)).toBe(true);
  });

  test('comes to them whatever the settings were: the log holds them', () => {
    const found = rederive(logOf(undefined, { 'policy-enforcement-mode': 'always', 'policy-cidr-match-mode': 'nodes' }));
    expect(found.map(({ lane, ok }) => ({ lane, ok }))).toEqual(LANES_OF.map(([lane]) => ({ lane, ok: true })));
  });

  test('names the first decision that this build would not make', () => {
    const found = rederive(logOf((event) => (event.type === 'policy.compiled.v1' ? { ...event, data: { ...event.data, isolates: { ingress: false, egress: false } } } : event)));
    expect(found.filter(({ ok }) => !ok)).toEqual([expect.objectContaining({ lane: 'policy', at: 4, index: 2 })]);
    expect(found.map(rederivedText).join('')).toContain('policy: differs at #4\n  stored   policy.compiled.v1 NetworkPolicy/shop/closed');
  });
});
