import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { createDeciderFold, decideAll, type CompiledPolicy, type Peer, type SeineEvent } from '@seine/events';

import { policyDecider as createDecider } from './policy.decider.ts';

const policyDecider = createDecider();
const time = '2026-03-01T12:00:00.000Z';

type PolicyFact = Extract<SeineEvent, { readonly type: 'ciliumnetworkpolicy.observed.v1' }>['data'];
const policy = (name: string, spec: unknown, more: Partial<PolicyFact> = {}, namespace = 'shop'): SeineEvent => ({ type: 'ciliumnetworkpolicy.observed.v1', key: `${namespace}/${name}`, time, data: { uid: name, spec, ...more } });
const noPolicy = (name: string): SeineEvent => ({ type: 'ciliumnetworkpolicy.vanished.v1', key: `shop/${name}`, time, data: { uid: name } });
const group = (name: string, cidrs: readonly string[], labels: Record<string, string> = {}): SeineEvent => ({ type: 'ciliumcidrgroup.observed.v1', key: name, time, data: { uid: name, labels, cidrs: [...cidrs] } });
const noGroup = (name: string): SeineEvent => ({ type: 'ciliumcidrgroup.vanished.v1', key: name, time, data: { uid: name } });
const service = (key: string, selector?: Record<string, string>, labels: Record<string, string> = {}): SeineEvent => ({
  type: 'service.observed.v1', key, time, data: { uid: key, type: 'ClusterIP', clusterIPs: [], ports: [], labels, ...(selector === undefined ? {} : { selector }) },
});
const noService = (key: string): SeineEvent => ({ type: 'service.vanished.v1', key, time, data: { uid: key } });
const slice = (key: string, of: string, ...addresses: readonly string[]): SeineEvent => ({
  type: 'endpointslice.observed.v1', key, time, data: { uid: key, service: of, addressType: 'IPv4', endpoints: [{ addresses: [...addresses], ready: true, serving: true, terminating: false }], ports: [] },
});
const noSlice = (key: string): SeineEvent => ({ type: 'endpointslice.vanished.v1', key, time, data: { uid: key } });
const namespace = (name: string, audit?: boolean): SeineEvent => ({ type: 'namespace.observed.v1', key: name, time, data: { uid: name, labels: {}, ...(audit === undefined ? {} : { audit }) } });

const setting = (key: string, value: string): SeineEvent => ({ type: 'setting.observed.v1', key, time, data: { value } });

const toGroup = { endpointSelector: {}, egress: [{ toCIDRSet: [{ cidrGroupRef: 'partners', except: ['10.1.0.0/16'] }] }] };
const toGroups = { endpointSelector: {}, egress: [{ toCIDRSet: [{ cidrGroupSelector: { matchLabels: { of: 'partners' } } }] }] };
const toService = { endpointSelector: {}, egress: [{ toServices: [{ k8sService: { serviceName: 'db', namespace: 'data' } }] }] };
const toServices = { endpointSelector: {}, egress: [{ toServices: [{ k8sServiceSelector: { selector: { matchLabels: { tier: 'db' } } } }] }] };
const plain = { endpointSelector: {}, ingress: [{ fromEntities: ['host'] }] };
const denyGroup = { endpointSelector: {}, egressDeny: [{ toCIDRSet: [{ cidrGroupRef: 'partners' }] }] };

const memberText = (peer: Peer): string => {
  switch (peer.type) {
    case 'cidr': return `${peer.cidr}${peer.except.length === 0 ? '' : ` but ${peer.except.join('|')}`}${peer.not === undefined ? '' : ` not ${peer.not.join('|')}`}`;
    case 'pods': return `pods of ${peer.namespace} with ${peer.pods.map((each) => each.key).join('|')}`;
    default: return peer.type;
  }
};
const membersText = ({ rules }: CompiledPolicy): string => rules.map(({ peers }) => (peers === 'any' ? 'anybody' : peers.flatMap((peer): readonly Peer[] => (peer.type === 'group' ? peer.members : [peer])).map(memberText).join(' or ') || 'nobody')).join('; ');
const said = (event: SeineEvent): string => {
  const key = event.key.replace('CiliumNetworkPolicy/shop/', '');
  switch (event.type) {
    case 'policy.compiled.v1': return `${key}${event.data.audit ? ' audited' : ''}: ${membersText(event.data)}`;
    case 'policy.refused.v1': return event.data.refusals.some(({ field }) => field === 'policy-enforcement-mode') ? `${key} not enforced${event.data.standing === undefined ? '' : ', and something stands'}` : `${key} refused: ${event.data.standing === undefined ? 'nothing stands' : membersText(event.data.standing)}`;
    default: return `${key} gone`;
  }
};
const decided = (...inputs: readonly SeineEvent[]): readonly string[] => decideAll(policyDecider, policyDecider.initialState(), inputs).map(said);

describe('what a policy refers to', () => {
  test.each<{ name: string; given: readonly SeineEvent[]; then: readonly string[] }>([
    { name: 'a group that nobody has seen is nobody', given: [policy('a', toGroup)], then: ['a: nobody'] },
    { name: 'a group is its prefixes, those outside of the cluster, without what is excepted', given: [group('partners', ['10.0.0.0/8', '192.0.2.0/24', '10.1.2.0/24']), policy('a', toGroup)], then: ['a: 10.0.0.0/8 but 10.1.0.0/16 not pods|nodes or 192.0.2.0/24 not pods|nodes'] },
    { name: 'a group that comes later is filled in', given: [policy('a', toGroup), group('partners', ['192.0.2.0/24'])], then: ['a: nobody', 'a: 192.0.2.0/24 not pods|nodes'] },
    { name: 'a group that changes is followed, and one that goes', given: [policy('a', toGroup), group('partners', ['192.0.2.0/24']), group('partners', ['198.51.100.0/24']), noGroup('partners')], then: ['a: nobody', 'a: 192.0.2.0/24 not pods|nodes', 'a: 198.51.100.0/24 not pods|nodes', 'a: nobody'] },
    { name: 'a group that stays as it is decides nothing', given: [policy('a', toGroup), group('partners', ['192.0.2.0/24']), group('partners', ['192.0.2.0/24'])], then: ['a: nobody', 'a: 192.0.2.0/24 not pods|nodes'] },
    { name: 'another group decides nothing', given: [policy('a', toGroup), group('other', ['192.0.2.0/24'])], then: ['a: nobody'] },
    { name: 'only who refers to it is compiled anew', given: [policy('a', toGroup), policy('b', plain), policy('c', toService), group('partners', ['192.0.2.0/24'])], then: ['a: nobody', 'b: entity', 'c: nobody', 'a: 192.0.2.0/24 not pods|nodes'] },
    { name: 'groups by label are all that have it now', given: [policy('a', toGroups), group('y', ['192.0.2.0/24'], { of: 'partners' }), group('x', ['198.51.100.0/24'], { of: 'partners' }), group('y', ['192.0.2.0/24'], { of: 'nobody' })],
      then: ['a: nobody', 'a: 192.0.2.0/24 not pods|nodes', 'a: 198.51.100.0/24 not pods|nodes or 192.0.2.0/24 not pods|nodes', 'a: 198.51.100.0/24 not pods|nodes'] },
    { name: 'a policy that no longer refers is not compiled anew', given: [policy('a', toGroup), policy('a', plain), group('partners', ['192.0.2.0/24'])], then: ['a: nobody', 'a: entity'] },
    { name: 'a policy that is gone is not either', given: [policy('a', toGroup), noPolicy('a'), group('partners', ['192.0.2.0/24'])], then: ['a: nobody', 'a gone'] },
    { name: 'a service is the pods that it selects, in its namespace', given: [service('data/db', { app: 'db', zone: 'a' }), policy('a', toService)], then: ['a: pods of data with app|zone'] },
    { name: 'a service of that name elsewhere is not meant', given: [service('shop/db', { app: 'db' }), policy('a', toService)], then: ['a: nobody'] },
    { name: 'slices of a service with a selector say nothing more', given: [service('data/db', { app: 'db' }), policy('a', toService), slice('data/db-1', 'db', '192.0.2.7')], then: ['a: pods of data with app'] },
    { name: 'a service without a selector is the addresses of its slices, those outside of the cluster', given: [policy('a', toService), slice('data/db-1', 'db', '192.0.2.8', '192.0.2.7'), service('data/db'), slice('data/db-2', 'db', '192.0.2.9'), noSlice('data/db-1')],
      then: ['a: nobody', 'a: 192.0.2.7/32 not pods|nodes or 192.0.2.8/32 not pods|nodes', 'a: 192.0.2.7/32 not pods|nodes or 192.0.2.8/32 not pods|nodes or 192.0.2.9/32 not pods|nodes', 'a: 192.0.2.9/32 not pods|nodes'] },
    { name: 'a slice that goes over to another service leaves the first', given: [service('data/db'), slice('data/db-1', 'db', '192.0.2.7'), policy('a', toService), slice('data/db-1', 'other', '192.0.2.7')], then: ['a: 192.0.2.7/32 not pods|nodes', 'a: nobody'] },
    { name: 'services by label, in every namespace', given: [policy('a', toServices), service('data/db', { app: 'db' }, { tier: 'db' }), service('more/db', { app: 'x' }, { tier: 'db' }), noService('data/db')],
      then: ['a: nobody', 'a: pods of data with app', 'a: pods of data with app or pods of more with app', 'a: pods of more with app'] },
    { name: 'each of several specs follows its own', given: [policy('a', plain, { specs: [toGroup] }), group('partners', ['192.0.2.0/24'])], then: ['a: entity', 'a/1: nobody', 'a/1: 192.0.2.0/24 not pods|nodes'] },
    { name: 'a withheld rule stands for a refused policy too: it denies what nobody else allows', given: [policy('a', { endpointSelector: {}, egress: [{ toEntities: ['world'] }, { toEntities: ['all'], authentication: { mode: 'required' } }] }), policy('a', { nothing: 1 })],
      then: ['a: entity; anybody', 'a refused: anybody'] },
    { name: 'what stands for a refused policy follows its groups', given: [group('partners', ['192.0.2.0/24']), policy('a', denyGroup), policy('a', { nothing: 1 }), group('partners', ['198.51.100.0/24'])],
      then: ['a: 192.0.2.0/24 not pods|nodes', 'a refused: 192.0.2.0/24 not pods|nodes', 'a refused: 198.51.100.0/24 not pods|nodes'] },
  ])('$name', ({ given, then }) => { expect(decided(...given)).toEqual(then); });

  const MANY = Array.from({ length: 4000 }, (_, index) => `100.${index >> 8}.${index & 255}.0/24`);
  test('a group that is too large is refused: nobody is allowed by it', () => { expect(decided(group('partners', MANY), policy('a', toGroup))).toEqual(['a refused: ']); });
  test('a group that is too large to be denied denies everybody, until it fits', () => {
    expect(decided(group('partners', MANY), policy('a', denyGroup), group('partners', ['192.0.2.0/24']))).toEqual(['a refused: anybody', 'a: 192.0.2.0/24 not pods|nodes']);
  });
});

describe('audited namespaces', () => {
  test.each<{ name: string; given: readonly SeineEvent[]; then: readonly string[] }>([
    { name: 'a policy of an audited namespace is audited', given: [namespace('shop', true), policy('a', plain)], then: ['a audited: entity'] },
    { name: 'the audit of a namespace begins and ends for the policies in it', given: [policy('a', plain), policy('b', plain, {}, 'other'), namespace('shop', true), namespace('shop', true), namespace('shop', false)], then: ['a: entity', 'CiliumNetworkPolicy/other/b: entity', 'a audited: entity', 'a: entity'] },
    { name: 'a policy audited by itself stays so', given: [policy('a', plain, { audit: true }), namespace('shop', true), namespace('shop')], then: ['a audited: entity'] },
    { name: 'the labels of a namespace change nothing', given: [policy('a', plain), namespace('shop')], then: ['a: entity'] },
  ])('$name', ({ given, then }) => { expect(decided(...given)).toEqual(then); });
});

describe('settings', () => {
  const ALWAYS = 'Seine//policy-enforcement-mode: ';
  const mode = (value: string): SeineEvent => setting('policy-enforcement-mode', value);
  const match = (value: string): SeineEvent => setting('policy-cidr-match-mode', value);
  const toCidr = { endpointSelector: {}, egress: [{ toCIDR: ['192.0.2.0/24'] }] };
  test.each<{ name: string; given: readonly SeineEvent[]; then: readonly string[] }>([
    { name: 'always: one more policy stands, once', given: [mode('always'), mode('always'), policy('a', plain)], then: [ALWAYS, 'a: entity'] },
    { name: 'no longer always: it goes', given: [mode('always'), policy('a', plain), mode('default')], then: [ALWAYS, 'a: entity', 'Seine//policy-enforcement-mode gone'] },
    { name: 'never: every policy says that it is not enforced, those of before and those to come', given: [policy('a', plain), mode('never'), policy('b', denyGroup), group('partners', ['192.0.2.0/24'])], then: ['a: entity', 'a not enforced', 'b not enforced'] },
    { name: 'never, then default: all are in force', given: [mode('never'), policy('a', plain), mode('default')], then: ['a not enforced', 'a: entity'] },
    { name: 'always, then never: nothing is enforced', given: [mode('always'), policy('a', plain), mode('never')], then: [ALWAYS, 'a: entity', 'a not enforced', 'Seine//policy-enforcement-mode gone'] },
    { name: 'a policy that goes while nothing is enforced is gone', given: [mode('never'), policy('a', plain, { specs: [plain] }), noPolicy('a'), mode('default')], then: ['a not enforced', 'a/1 not enforced', 'a/1 gone', 'a gone'] },
    { name: 'what does not compile says why, whatever the mode', given: [mode('never'), policy('a', { nothing: 1 })], then: ['a refused: nothing stands'] },
    { name: 'CIDR rules mean nodes from now on, and no longer', given: [policy('a', toCidr), policy('b', plain), match('nodes'), match('nodes'), match('')], then: ['a: 192.0.2.0/24 not pods|nodes', 'b: entity', 'a: 192.0.2.0/24 not pods', 'a: 192.0.2.0/24 not pods|nodes'] },
    { name: 'addresses of a service without a selector are CIDRs too', given: [match('nodes'), service('data/db'), slice('data/db-1', 'db', '192.0.2.7'), policy('a', toService)], then: ['a: 192.0.2.7/32 not pods'] },
    { name: 'CIDR rules mean everybody, in groups too', given: [match('pods,nodes'), group('partners', ['192.0.2.0/24']), policy('a', toGroup)], then: ['a: 192.0.2.0/24 not '] },
    { name: 'a setting that this build does not know changes nothing', given: [policy('a', plain), setting('policy-deny-response', 'icmp')], then: ['a: entity'] },
  ])('$name', ({ given, then }) => { expect(decided(...given)).toEqual(then); });

  test('the policy of always isolates every pod both ways, and no node', () => {
    expect(decideAll(policyDecider, policyDecider.initialState(), [mode('always')])).toMatchObject([{ key: 'Seine//policy-enforcement-mode', data: { subject: { type: 'pods', namespaces: [], pods: [] }, isolates: { ingress: true, egress: true }, audit: false, rules: [] } }]);
  });
});

const FACTS: readonly SeineEvent[] = [
  policy('a', toGroup), policy('a', denyGroup), policy('a', { nothing: 1 }), noPolicy('a'), policy('b', toGroups), policy('c', toService), policy('d', toServices, { specs: [plain] }), group('partners', ['192.0.2.0/24'], { of: 'partners' }),
  group('partners', ['10.0.0.0/8']), noGroup('partners'), service('data/db'), service('data/db', { app: 'db' }, { tier: 'db' }), noService('data/db'), slice('data/db-1', 'db', '192.0.2.7'), noSlice('data/db-1'), namespace('shop', true), namespace('shop'),
  setting('policy-enforcement-mode', 'always'), setting('policy-enforcement-mode', 'never'), setting('policy-enforcement-mode', 'default'), setting('policy-cidr-match-mode', 'nodes'), setting('policy-cidr-match-mode', ''),
];
/** Whom each policy allows and isolates at the end; what stands for a refused one depends on what was before. */
const outcome = (facts: readonly SeineEvent[]): unknown => {
  const state = policyDecider.initialState();
  decideAll(policyDecider, state, facts);
  return [...state.events.values()].sort((a, b) => (a.key < b.key ? -1 : 1)).map((event) => [event.key, event.type, event.data]);
};

describe('laws', () => {
  test('doubled and repeated facts come to the same policies', () => {
    fc.assert(fc.property(fc.array(fc.constantFrom(...FACTS), { maxLength: 14 }), (facts) => { expect(outcome(facts.flatMap((fact) => [fact, fact]))).toEqual(outcome(facts)); }));
  });

  test('policies are those of the last fact of each object, however it came to be', () => {
    const valid = FACTS.filter((fact) => JSON.stringify(fact).includes('nothing') === false);
    fc.assert(fc.property(fc.array(fc.constantFrom(...valid), { maxLength: 14 }), (facts) => {
      const last = [...new Map(facts.map((fact) => [`${fact.type.split('.')[0]}/${fact.key}`, fact])).values()];
      expect(outcome(last)).toEqual(outcome(facts));
      expect(outcome(last.toReversed())).toEqual(outcome(facts));
    }));
  });

  test('a successor that reads the log decides on as its predecessor would have', () => {
    fc.assert(fc.property(fc.array(fc.constantFrom(...FACTS), { maxLength: 10 }), fc.array(fc.constantFrom(...FACTS), { maxLength: 4 }), (before, after) => {
      const commit = (seq: number, lane: 'fact' | 'policy', seen: number, events: readonly SeineEvent[]) => ({ seq, lane, seen, events });
      const [writer, successor] = [createDeciderFold(policyDecider), createDeciderFold(policyDecider)];
      writer.input(commit(1, 'fact', 0, before));
      const stored = writer.decide();
      successor.input(commit(1, 'fact', 0, before));
      successor.own(commit(2, 'policy', 1, stored.events));
      writer.input(commit(3, 'fact', 0, after));
      successor.input(commit(3, 'fact', 0, after));
      expect(successor.decide()).toEqual(writer.decide());
    }));
  });

  test('five thousand policies are compiled well inside a second, and a change concerns only its own', () => {
    const policies = Array.from({ length: 5000 }, (_, index) => policy(`p${index}`, index === 0 ? toGroup : { endpointSelector: { matchLabels: { app: `a${index % 100}` } }, ingress: [{ fromEndpoints: [{ matchLabels: { app: `b${index}` } }], toPorts: [{ ports: [{ port: '80', protocol: 'TCP' }] }] }] }, {}, `n${index % 50}`));
    const state = policyDecider.initialState();
    /* Of the processor: others work beside us. */
    const userMs = (): number => process.cpuUsage().user / 1000;
    const startMs = userMs();
    decideAll(policyDecider, state, policies);
    const compiledMs = userMs() - startMs;
    const again = decideAll(policyDecider, state, Array.from({ length: 100 }, (_, index) => group('partners', [`192.0.${index}.0/24`])));
    expect(again).toHaveLength(100);
    expect(compiledMs).toBeLessThan(1000);
    expect(userMs() - startMs - compiledMs).toBeLessThan(200);
  });
});
