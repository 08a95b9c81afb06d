/** What a node's service maps hold, told in short: frontend → backends that are drawn. */
import { describe, expect, test } from '@jest/globals';

import type { CompiledBackends, CompiledService } from '@seine/events';
import { FrontendFlag } from '@seine/layout';

import { WORLD } from '../fixture/world.ts';
import type { DesiredRow } from './desired.ts';
import { foldNode, replayNode } from './replay.ts';
import { serviceRows } from './service.rows.ts';

type Backend = CompiledBackends['backends'][number];
type Frontend = CompiledService['frontends'][number];

const HERE = { node: 'n1', zone: 'a', lbMode: 'snat' } as const;
const frontend = (over: Partial<Frontend> = {}): Frontend => ({ id: 1, address: '10.96.0.10', port: 80, protocol: 'TCP', portName: 'http', ...over });
const backend = (id: number, over: Partial<Backend> = {}): Backend => ({ id, address: `10.244.1.${id}`, port: 8080, protocol: 'TCP', portName: 'http', state: 'active', ...over });
const slice = (...backends: readonly Backend[]): CompiledBackends => ({ service: 'shop/db', backends });
const service = (frontends: readonly Frontend[], over: Partial<CompiledService> = {}): CompiledService => ({ frontends, refusals: [], ...over });

const of = <M extends DesiredRow['map']>(rows: readonly DesiredRow[], map: M): readonly Extract<DesiredRow, { readonly map: M }>[] => rows.filter((row): row is Extract<DesiredRow, { readonly map: M }> => row.map === map);
const SLOT_MEMBER = 0x80000000;
const drawn = (rows: readonly DesiredRow[]): readonly string[] => of(rows, 'sn_frontend_02').map(({ key, value }) => {
  const ids = of(rows, 'sn_slot_02').filter((slot) => slot.key.slots === value.slots && slot.key.slotsHigh === value.slotsHigh && slot.key.index < SLOT_MEMBER).map((slot) => slot.value.value);
  expect(ids).toHaveLength(value.count);
  return `${key.address}:${key.port}${key.scope === 0 ? '' : ' from outside'} → ${ids.join(',')}`;
});
const NODE_PORT = frontend({ id: 2, address: '0.0.0.0', port: 30080, kind: 'nodePort' });
const BALANCER = frontend({ id: 3, address: '192.0.2.9', kind: 'loadBalancer' });

describe('a frontend is served by', () => {
  test.each<{ name: string; given: CompiledService; slices: readonly CompiledBackends[]; then: readonly string[] }>([
    { name: 'the backends of all its slices', given: service([frontend()]), slices: [slice(backend(1)), slice(backend(2))], then: ['10.96.0.10:80 → 1,2'] },
    { name: 'a backend once while it stands in two slices', given: service([frontend()]), slices: [slice(backend(1, { state: 'quarantined' })), slice(backend(1))], then: ['10.96.0.10:80 → 1'] },
    { name: 'those of its port and protocol', given: service([frontend(), frontend({ id: 4, protocol: 'UDP' })]), slices: [slice(backend(1), backend(2, { portName: 'other' }), backend(3, { protocol: 'UDP' }))], then: ['10.96.0.10:80 → 1', '10.96.0.10:80 → 3'] },
    { name: 'those of its family', given: service([frontend(), frontend({ id: 4, address: 'fd00:96::10' })]), slices: [slice(backend(1), backend(2, { address: 'fd00:244::2' }))], then: ['10.96.0.10:80 → 1', 'fd00:96::10:80 → 2'] },
    { name: 'who is active, not who ends or is not ready', given: service([frontend()]), slices: [slice(backend(1), backend(2, { state: 'terminating' }), backend(3, { state: 'quarantined' }))], then: ['10.96.0.10:80 → 1'] },
    { name: 'who ends while nobody is active', given: service([frontend()]), slices: [slice(backend(2, { state: 'terminating' }), backend(3, { state: 'quarantined' }))], then: ['10.96.0.10:80 → 2'] },
    { name: 'nobody while nobody is ready', given: service([frontend()]), slices: [slice(backend(3, { state: 'quarantined' }))], then: ['10.96.0.10:80 → '] },
    { name: 'every backend at a node port', given: service([frontend(), NODE_PORT]), slices: [slice(backend(1, { node: 'n1' }), backend(2, { node: 'n2' }))], then: ['10.96.0.10:80 → 1,2', '0.0.0.0:30080 → 1,2'] },
    { name: 'the node\'s own from outside, all from inside, where the external policy is Local', given: service([frontend(), NODE_PORT], { externalLocal: true }), slices: [slice(backend(1, { node: 'n1' }), backend(2, { node: 'n2' }))],
      then: ['10.96.0.10:80 → 1,2', '0.0.0.0:30080 → 1,2', '0.0.0.0:30080 from outside → 1'] },
    { name: 'nobody from outside where the node has none', given: service([BALANCER], { externalLocal: true }), slices: [slice(backend(2, { node: 'n2' }))], then: ['192.0.2.9:80 → 2', '192.0.2.9:80 from outside → '] },
    { name: 'the node\'s own ending ones where only they are left here', given: service([BALANCER], { externalLocal: true }), slices: [slice(backend(1, { node: 'n1', state: 'terminating' }), backend(2, { node: 'n2' }))], then: ['192.0.2.9:80 → 2', '192.0.2.9:80 from outside → 1'] },
    { name: 'the node\'s own at the ClusterIP alone where the internal policy is Local', given: service([frontend(), NODE_PORT], { internalLocal: true }), slices: [slice(backend(1, { node: 'n1' }), backend(2, { node: 'n2' }))], then: ['10.96.0.10:80 → 1', '0.0.0.0:30080 → 1,2'] },
    { name: 'those of the node\'s zone where every backend has a hint', given: service([frontend()]), slices: [slice(backend(1, { forZones: ['a'] }), backend(2, { forZones: ['b'] }))], then: ['10.96.0.10:80 → 1'] },
    { name: 'those of the node before those of its zone', given: service([frontend()]), slices: [slice(backend(1, { forZones: ['a'], forNodes: ['n9'] }), backend(2, { forZones: ['a'], forNodes: ['n1'] }))], then: ['10.96.0.10:80 → 2'] },
    { name: 'all where one has no hint', given: service([frontend()]), slices: [slice(backend(1, { forZones: ['a'] }), backend(2))], then: ['10.96.0.10:80 → 1,2'] },
    { name: 'all where no hint means this zone', given: service([frontend()]), slices: [slice(backend(1, { forZones: ['b'] }), backend(2, { forZones: ['c'] }))], then: ['10.96.0.10:80 → 1,2'] },
  ])('$name', ({ given, slices, then }) => { expect(drawn(serviceRows(given, slices, HERE))).toEqual(then); });
});

describe('rows', () => {
  test('hold a backend that is not drawn: its connections go on', () => {
    expect(of(serviceRows(service([frontend()]), [slice(backend(1), backend(3, { state: 'quarantined' }))], HERE), 'sn_backend_01').map(({ key }) => key.value)).toEqual([1, 3]);
  });
  test('of equal sets are one set', () => {
    const rows = serviceRows(service([frontend(), NODE_PORT, BALANCER]), [slice(backend(1), backend(2))], HERE);
    expect(of(rows, 'sn_slot_02')).toHaveLength(2);
  });
  test('of another set have another number, and the former content has the former number again', () => {
    const numberOf = (...backends: readonly Backend[]): readonly number[] => of(serviceRows(service([frontend()]), [slice(...backends)], HERE), 'sn_frontend_02').flatMap(({ value }) => [value.slots, value.slotsHigh]);
    expect(numberOf(backend(1), backend(2))).not.toEqual(numberOf(backend(1)));
    expect(numberOf(backend(1), backend(2))).toEqual(numberOf(backend(1), backend(2)));
  });
  test('say who is in a set where clients keep their backend, and for how long', () => {
    const rows = serviceRows(service([frontend()], { affinityS: 10_800 }), [slice(backend(1), backend(2))], HERE);
    expect(of(rows, 'sn_slot_02').map(({ key }) => key.index)).toEqual([0, 1, SLOT_MEMBER + 1, SLOT_MEMBER + 2]);
    expect(of(rows, 'sn_frontend_02')[0]!.value.affinity).toBe(10_059);
  });
  test('of a load balancer\'s address with source ranges hold them, and flag it; its other addresses are open', () => {
    const rows = serviceRows(service([frontend(), BALANCER], { sourceRanges: ['198.51.100.0/24'] }), [slice(backend(1))], HERE);
    expect(of(rows, 'sn_srange_01')).toEqual([{ map: 'sn_srange_01', key: { prefixLength: 32 + 96 + 24, revnat: 3, address: '198.51.100.0' }, value: { value: 1 } }]);
    expect(of(rows, 'sn_frontend_02').map(({ value }) => value.flags & FrontendFlag.RANGES)).toEqual([0, FrontendFlag.RANGES]);
  });
  test('of a Maglev table repeat the backends, and say that clients are hashed', () => {
    const rows = serviceRows(service([frontend()], { maglev: true }), [slice(backend(1), backend(2))], HERE);
    expect(of(rows, 'sn_frontend_02')[0]!.value).toMatchObject({ count: 4093, flags: FrontendFlag.HASHED });
    expect(new Set(of(rows, 'sn_slot_02').map(({ value }) => value.value))).toEqual(new Set([1, 2]));
  });
});

describe('who comes from outside is answered by the pod\'s own node', () => {
  const UDP_PORT = frontend({ id: 5, address: '0.0.0.0', port: 30053, protocol: 'UDP', kind: 'nodePort' });
  const slices = [slice(backend(1, { node: 'n1' }), backend(2, { node: 'n2' }), backend(3, { node: 'n1', state: 'quarantined' }), backend(4, { node: 'n1', protocol: 'UDP' }))];
  const direct = (lbMode: 'snat' | 'dsr' | 'hybrid', over: Partial<CompiledService> = {}): { readonly flagged: readonly number[]; readonly allowed: readonly string[] } => {
    const rows = serviceRows(service([frontend(), NODE_PORT, BALANCER, UDP_PORT], over), slices, { ...HERE, lbMode });
    return {
      flagged: of(rows, 'sn_frontend_02').filter(({ value }) => (value.flags & FrontendFlag.DIRECT) !== 0).map(({ value }) => value.revnat),
      allowed: of(rows, 'sn_direct_01').map(({ key, value }) => `${value.revnat} ${key.frontend}:${key.frontendPort} ${key.backend}:${key.backendPort}`),
    };
  };
  const TCP_ROWS = ['2 0.0.0.0:30080 10.244.1.1:8080', '2 0.0.0.0:30080 10.244.1.3:8080', '3 192.0.2.9:80 10.244.1.1:8080', '3 192.0.2.9:80 10.244.1.3:8080'];
  test.each<{ name: string; said: ReturnType<typeof direct>; then: ReturnType<typeof direct> }>([
    { name: 'nowhere unless it is asked for', said: direct('snat'), then: { flagged: [], allowed: [] } },
    { name: 'at every address but the ClusterIP; its pods here may answer, drawn or not', said: direct('dsr'), then: { flagged: [2, 3, 5], allowed: [...TCP_ROWS, '5 0.0.0.0:30053 10.244.1.4:8080'] } },
    { name: 'of TCP alone in between', said: direct('hybrid'), then: { flagged: [2, 3], allowed: TCP_ROWS } },
    { name: 'where the Service says so, of every protocol', said: direct('hybrid', { forwarding: 'dsr' }), then: { flagged: [2, 3, 5], allowed: [...TCP_ROWS, '5 0.0.0.0:30053 10.244.1.4:8080'] } },
    { name: 'not where it says otherwise', said: direct('dsr', { forwarding: 'snat' }), then: { flagged: [], allowed: [] } },
    { name: 'not where only the node\'s own serve', said: direct('dsr', { externalLocal: true }), then: { flagged: [], allowed: [] } },
  ])('$name', ({ said, then }) => { expect(said).toEqual(then); });
  test('within source ranges, which the pod\'s node asks again', () => {
    const rows = serviceRows(service([BALANCER], { sourceRanges: ['198.51.100.0/24'] }), slices, { ...HERE, lbMode: 'dsr' });
    expect(of(rows, 'sn_direct_01').map(({ value }) => value.flags)).toEqual([FrontendFlag.DIRECT | FrontendFlag.RANGES, FrontendFlag.DIRECT | FrontendFlag.RANGES]);
  });
});

describe('a pod elsewhere', () => {
  const subjects = (events: typeof WORLD): readonly number[] => [...new Set(of(replayNode('n1', foldNode(events.map((event, index) => ({ seq: index + 1, events: [event] }))), 1).rows.rows, 'sn_subject_01').map(({ key }) => key.identity))].sort((a, b) => a - b);
  test('is judged here while it serves: who comes to it from outside by this node is asked about here', () => {
    expect(subjects(WORLD)).toEqual([300, 301, 302]);
    expect(subjects(WORLD.filter(({ key }) => key !== 'shop/db-2'))).toEqual([300, 301]);
  });
});
