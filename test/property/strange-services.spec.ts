/** Services and EndpointSlices as strangers write them, from the object to the rows: each is a fact or says why not, and what is well beside them is served. */
import { describe, expect, test } from '@jest/globals';

import { foldNode, replayNode } from '@seine/datapath-writer';
import { assertEvent, decideAll, type FactEvent, type SeineEvent } from '@seine/events';
import { encode, MAPS, type StructLayout } from '@seine/layout';
import { toObject, type KubeObject } from '@seine/objects';
import { serviceDecider } from '@seine/service-compiler';
import { toFact } from '@seine/watcher';

import { randomOf } from '../oracle/mutate.mjs';
import type { Random } from './generate.ts';
import { mutated, stockOf } from './strangers.ts';

/** More are asked for by the environment: SEINE_STRANGERS=200000 SEINE_SEED=7. */
const COUNT = Number(process.env['SEINE_STRANGERS'] ?? 2_000);
const SEED = Number(process.env['SEINE_SEED'] ?? 1);
const MOST_CHANGES = 3;
const TIME = '1970-01-01T00:00:00.000Z';

type Raw = Readonly<Record<string, unknown>>;
const service = (name: string, spec: Raw, rest: Raw = {}, annotations: Raw = {}): Raw => ({ apiVersion: 'v1', kind: 'Service', metadata: { name, namespace: 'shop', annotations }, spec, ...rest });
const slice = (name: string, of: string, addressType: string, endpoints: readonly Raw[]): Raw => ({
  apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', metadata: { name, namespace: 'shop', labels: { 'kubernetes.io/service-name': of } }, addressType, endpoints, ports: [{ name: 'http', port: 8080, protocol: 'TCP' }, { name: 'dns', port: 53, protocol: 'UDP' }],
});
const CLUSTER: readonly Raw[] = [
  { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1' }, status: { addresses: [{ type: 'InternalIP', address: '192.168.50.1' }, { type: 'InternalIP', address: 'fd00:192:168:50::1' }] } },
  { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'web', namespace: 'shop' }, spec: { nodeName: 'n1', containers: [] }, status: { podIPs: [{ ip: '10.244.1.2' }, { ip: 'fd00:244::2' }] } },
  service('well', { type: 'NodePort', clusterIPs: ['10.96.0.1', 'fd00:96::1'], ports: [{ name: 'http', port: 80, targetPort: 8080, nodePort: 30080 }] }),
  slice('well-4', 'well', 'IPv4', [{ addresses: ['10.244.1.2'], nodeName: 'n1' }]),
];
const STRANGERS: readonly Raw[] = [
  service('strange', {
    type: 'LoadBalancer', clusterIPs: ['10.96.0.2', 'fd00:96::2'], ipFamilies: ['IPv4', 'IPv6'], ipFamilyPolicy: 'PreferDualStack', externalIPs: ['192.0.2.1', '192.168.50.1', '10.244.1.2', '10.96.0.1', '2001:db8::1'], externalTrafficPolicy: 'Local', internalTrafficPolicy: 'Cluster', healthCheckNodePort: 31000,
    sessionAffinity: 'ClientIP', sessionAffinityConfig: { clientIP: { timeoutSeconds: 60 } }, loadBalancerSourceRanges: ['192.0.2.0/24', '2001:db8::/32'], selector: { app: 'web' },
    ports: [{ name: 'http', port: 80, targetPort: 8080, nodePort: 30081, protocol: 'TCP' }, { name: 'dns', port: 53, targetPort: 'dns', nodePort: 30053, protocol: 'UDP' }],
  }, { status: { loadBalancer: { ingress: [{ ip: '192.0.2.9', ipMode: 'VIP' }, { hostname: 'a.example' }] } } }, { 'seine.network/load-balancing': 'maglev', 'service.cilium.io/lb-l7': 'disabled' }),
  service('outside', { type: 'ExternalName', externalName: 'a.example' }), service('headless', { clusterIP: 'None', selector: { app: 'web' }, ports: [{ port: 80 }] }),
  slice('strange-4', 'strange', 'IPv4', [
    { addresses: ['10.244.1.2'], conditions: { ready: true, serving: true, terminating: false }, nodeName: 'n1', targetRef: { kind: 'Pod', name: 'web' }, hints: { forZones: [{ name: 'a' }], forNodes: [{ name: 'n1' }] } }, { addresses: ['192.0.2.7'] },
  ]),
  slice('strange-6', 'strange', 'IPv6', [{ addresses: ['fd00:244::2'], conditions: { ready: false, serving: true, terminating: true } }]),
];
const STOCK = stockOf([...CLUSTER, ...STRANGERS]);

/** The same object with its kind and name: what is not even that is refused before. */
const strange = (random: Random, raw: Raw): Raw => {
  const { apiVersion, kind, metadata, ...rest } = raw;
  const { name, namespace, ...said } = metadata as Raw; // written above
  let body: unknown = { ...rest, said };
  for (let changes = 1 + random.below(MOST_CHANGES); changes > 0; changes -= 1) body = typeof body === 'object' && body !== null && Object.keys(body).length > 0 ? mutated(random, body, STOCK) : body;
  const { said: saidNow, ...now } = (typeof body === 'object' && body !== null ? body : {}) as Raw; // an object, looked at
  return { ...now, apiVersion, kind, metadata: { ...(typeof saidNow === 'object' ? saidNow : {}), name, namespace } };
};

interface Refused { readonly field: string; readonly value: string; readonly expected: string; readonly message: string }
const readable = ({ field, value, expected, message }: Refused): boolean => value !== '' && expected !== '' && message.startsWith(field) && message.includes(expected) && message.length < 2000;

const factOf = (raw: Raw): { readonly fact?: FactEvent; readonly refusals: readonly Refused[] } => {
  const made = toFact(toObject(raw) as KubeObject, TIME); // named above
  if (made === undefined) throw new Error(`${String(raw['kind'])} is no fact and no refusal`);
  return 'refusals' in made ? made : { fact: made.fact, refusals: [] };
};
const factsOf = (raws: readonly Raw[]): readonly FactEvent[] => raws.flatMap((raw) => factOf(raw).fact ?? []);

/** Of a node, a pod and a Service: nobody else is served there. */
const TAKEN: ReadonlySet<string> = new Set(['192.168.50.1', 'fd00:192:168:50::1', '10.244.1.2', 'fd00:244::2', '10.96.0.1', 'fd00:96::1']);
const isSpecial = (address: string): boolean => /^(127\.|169\.254\.|2(2[4-9]|3[0-9])\.|255\.255\.255\.255$|::1$|fe[89ab].:|ff..:)/.test(address);

interface Served { /** Frontends of the Service that is well. */ readonly own: readonly string[]; /** Those of others where they may not be. */ readonly stolen: readonly string[] }
const served = (facts: readonly SeineEvent[]): Served => {
  const decided = decideAll(serviceDecider, serviceDecider.initialState(), facts);
  for (const event of decided) assertEvent('service', event);
  for (const event of decided) if (event.type === 'service.compiled.v1') expect(event.data.refusals.filter((refusal) => !readable(refusal))).toEqual([]);
  const { rows } = replayNode('n1', foldNode([...facts, ...decided].map((event, index) => ({ seq: index + 1, events: [event] }))), facts.length).rows;
  for (const { map, key, value } of rows) { encode(MAPS[map].key as StructLayout, key as never); encode(MAPS[map].value as StructLayout, value as never); } // a row is of its map
  const ids = new Set(decided.flatMap((event) => (event.type === 'service.compiled.v1' && event.key === 'shop/well' ? event.data.frontends.map(({ id }) => id) : [])));
  const frontends = rows.flatMap((row) => (row.map === 'sn_frontend_02' ? [{ isOwn: ids.has(row.value.revnat), ...row.key }] : []));
  const told = (isWanted: (frontend: (typeof frontends)[number]) => boolean): readonly string[] => frontends.filter(isWanted).map(({ address, port }) => `${address} ${port}`).sort();
  return { own: told(({ isOwn }) => isOwn), stolen: told(({ isOwn, address }) => !isOwn && (TAKEN.has(address) || isSpecial(address))) };
};

describe(`${COUNT} Services and EndpointSlices of strangers`, () => {
  const random = randomOf(SEED) as Random;
  const all = Array.from({ length: COUNT }, () => strange(random, random.pick(STRANGERS)));
  const made = all.map(factOf);
  const well = factsOf(CLUSTER);
  const want = served(well);

  test('many are facts, and many are not', () => {
    const admitted = made.filter(({ fact }) => fact !== undefined).length;
    expect(admitted).toBeGreaterThan(COUNT / 5);
    expect(admitted).toBeLessThan(COUNT * 0.8);
  });
  test('each that is no fact says why: field, value and what was expected', () => {
    expect(made.flatMap(({ fact, refusals }, index) => (fact === undefined && (refusals.length === 0 || !refusals.every(readable)) ? [{ raw: all[index], refusals }] : []))).toEqual([]);
  });
  test('each that is a fact fits the log', () => { for (const { fact } of made) if (fact !== undefined) assertEvent('fact', fact); });
  test('none takes what is another\'s, the Service beside it is served as ever, and the rows of its node can be written', () => {
    expect(want).toEqual({ own: ['0.0.0.0 30080', '10.96.0.1 80', ':: 30080', 'fd00:96::1 80'], stolen: [] });
    for (const [index, { fact }] of made.entries()) if (fact !== undefined) expect({ raw: all[index], served: served([...well, fact]) }).toMatchObject({ served: want });
  });
});
