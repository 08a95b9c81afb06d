/** Parsers of policies against what strangers write: `forbidden` says from the texts of the APIs alone what may not be. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { isRefused, parsePolicyObject, toObject, type ParsedPolicies } from '@seine/objects';
import { toFact } from '@seine/watcher';

import { forbidden } from '../oracle/schema.mjs';
import { strangers, type Strange } from './strangers.ts';

/** More are asked for by the environment: SEINE_STRANGERS=200000 SEINE_SEED=7. */
const COUNT = Number(process.env['SEINE_STRANGERS'] ?? 20_000);
const SEED = Number(process.env['SEINE_SEED'] ?? 1);
const LONGEST_MS = 500;
const LONGEST_MESSAGE = 2000;

interface Tried { readonly written: Strange; readonly parsed: ParsedPolicies; readonly wrong: readonly string[]; /** of the processor: others work beside us */ readonly ms: number }
const tried = (written: Strange): Tried => {
  const before = process.cpuUsage();
  const parsed = parsePolicyObject({ ...written, name: 'p', uid: 'u' });
  const { user } = process.cpuUsage(before);
  return { written, parsed, wrong: forbidden({ ...written }), ms: user / 1000 };
};
const isAbout = (field: string, path: string): boolean => field.startsWith(path) || path.startsWith(field);
const told = ({ written, parsed, wrong }: Tried): unknown => ({ ...written, wrong, refused: parsed.ok ? [] : parsed.refusals.map(({ message }) => message) });

describe(`${COUNT} policies of strangers`, () => {
  const all = [...strangers(SEED, COUNT, 3)].map(tried);

  test('many are well, and many are not', () => {
    const accepted = all.filter(({ parsed }) => parsed.ok).length;
    expect(accepted).toBeGreaterThan(COUNT / 5);
    expect(accepted).toBeLessThan(COUNT * 0.8);
  });
  test('nothing is accepted that its schema forbids', () => { expect(all.filter(({ parsed, wrong }) => parsed.ok && wrong.length > 0).map(told)).toEqual([]); });
  test('nothing is refused that it allows', () => { expect(all.filter(({ parsed, wrong }) => !parsed.ok && wrong.length === 0).map(told)).toEqual([]); });
  test('every reason is about something that is wrong there, and says field, value and expectation in a line that can be read', () => {
    expect(all.filter(({ parsed, wrong }) => !parsed.ok && parsed.refusals.some(({ field, value, expected, message }) =>
      value === '' || expected === '' || message.length > LONGEST_MESSAGE || !message.startsWith(field) || !wrong.some((path) => isAbout(field, path)))).map(told)).toEqual([]);
  });
  test('none takes long', () => { expect(Math.max(...all.map(({ ms }) => ms))).toBeLessThan(LONGEST_MS); });
});

test('the valid ones among them are refused by nobody', () => { expect([...strangers(SEED, 400, 0)].map(tried).filter(({ parsed, wrong }) => !parsed.ok || wrong.length > 0).map(told)).toEqual([]); });

test('whatever a manifest holds becomes a fact, a refusal or nothing: nothing is thrown', () => {
  const kind = fc.constantFrom('NetworkPolicy', 'CiliumNetworkPolicy', 'CiliumClusterwideNetworkPolicy', 'ClusterNetworkPolicy', 'CiliumCIDRGroup', 'Namespace', 'Node', 'Pod', 'Service', 'EndpointSlice', 'List', '__proto__');
  const junk = fc.jsonValue({ maxDepth: 4 });
  const metadata = fc.oneof(junk, fc.record({ name: fc.oneof(fc.constantFrom('a', 'a.b', 'A b', ''), junk), namespace: fc.oneof(fc.constant('shop'), junk), labels: junk, annotations: fc.oneof(junk, fc.record({ 'seine.network/audit': junk })) }, { requiredKeys: [] }));
  const written = fc.oneof(junk, fc.record({ apiVersion: fc.oneof(fc.constantFrom('v1', 'cilium.io/v2', 'networking.k8s.io/v1', 'policy.networking.k8s.io/v1alpha2'), junk), kind: fc.oneof(kind, junk), metadata, spec: junk, specs: junk, status: junk, endpoints: junk, ports: junk, addressType: junk }, { requiredKeys: [] }));
  fc.assert(fc.property(written, (raw) => {
    const object = toObject(raw);
    const made = isRefused(object) ? object : toFact(object, '1970-01-01T00:00:00.000Z');
    if (made !== undefined && 'refusals' in made) expect(made.refusals.length).toBeGreaterThan(0);
  }), { numRuns: 4000, seed: SEED });
});
