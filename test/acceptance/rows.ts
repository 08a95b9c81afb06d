/** The acceptance table: a row for each test of ../shared/acceptance.md 3.4, 3.5, 3.6 and three of 3.8 (node ports from outside, the host firewall), with its twin over a range of ports. */
import {
  allOk, besidePort, ccnpToCcnp, CLIENTS, clientToClient, denyRule, EXTERNAL, fromCidrToPod, hostToPod, largestEcho, nodeToNode, noRule, OTHER_EXTERNAL, OUTSIDE_NODE, outsideToNodePort, podToApiServer, podToCidr, podToDns,
  podToHost, podToHostPort, podToItself, podToL7Service, podToNodePort, podToPod, podToPodWithEndpoints, podToService, podToWorld, toPod, toWorld, type Ask, type Expect, type Want,
} from './scenario.ts';

/** What a row asks beside its questions; run.ts knows how. */
export type Extra = 'forward metrics' | 'fragments forbidden' | 'health over HTTP' | 'withheld policy' | 'refused in part';

export interface Row {
  readonly name: string;
  readonly section: '3.4' | '3.5' | '3.6' | '3.8';
  /** Manifests of `policies/`, applied together. */
  readonly manifests: readonly string[];
  readonly asks: readonly Ask[];
  /** Beyond the table, where it wants answers only: what shows that the policy is in force at all. */
  readonly beyond?: readonly Ask[];
  readonly extra?: Extra;
  /** Also over a range of ports around the one that the manifest names. */
  readonly twin?: true;
  /** `policy-cidr-match-mode` of the cluster; nothing unless said. */
  readonly cidrMatchMode?: 'nodes';
  /** What nobody can show here; the questions that there are were asked all the same. */
  readonly absent?: string;
  /** What Seine refuses; the questions that there are were asked all the same. */
  readonly refused?: string;
}

const client2Only = (want: Want): Expect => (from) => (from === 'client2' ? 'ok' : want);
const allBut = (name: string, want: Want): Expect => (from) => (from === name ? want : 'ok');
const always = (want: Want): Expect => () => want;
const only = (name: string, want: Want): Expect => (_, to) => (to === name ? 'ok' : want);
const port80Only = (want: Want): Expect => (_, port) => (port === '80' ? 'ok' : want);

const ALLOW_ALL = ['allow-all-ingress', 'allow-all-egress'];

const connectivity: readonly Row[] = [
  {
    name: 'no-policies', section: '3.4', manifests: [],
    asks: [...podToPod(allOk), ...clientToClient(allOk), ...podToService(allOk), ...podToHostPort, ...podToWorld(allOk), ...podToHost(allOk), ...hostToPod(allOk), ...podToCidr(allOk)],
  },
  { name: 'no-policies-extra', section: '3.4', manifests: [], asks: podToNodePort },
  { name: 'no-policies-from-outside', section: '3.4', manifests: [], asks: fromCidrToPod(allOk) },
  { name: 'allow-all-except-world', section: '3.4', manifests: ['allow-all-except-world'], asks: [...podToPod(allOk), ...clientToClient(allOk), ...podToService(allOk), ...podToHost(allOk), ...podToDns(allOk)], beyond: toWorld(CLIENTS, noRule('egress')) },
  { name: 'allow-all-with-metrics-check', section: '3.4', manifests: [], asks: podToPod(allOk), extra: 'forward metrics' },
  { name: 'pod-to-itself-via-service', section: '3.4', manifests: [], asks: podToItself },
  { name: 'pod-to-pod-no-frag', section: '3.4', manifests: [], asks: largestEcho, extra: 'fragments forbidden' },
  { name: 'health', section: '3.4', manifests: [], asks: nodeToNode, extra: 'health over HTTP' },
  {
    name: 'l7-lb', section: '3.4', manifests: ['l7-lb'], asks: podToL7Service, extra: 'refused in part',
    refused: 'requests are not balanced one by one: that needs a proxy, and there is none yet; the Service says so, and its connections are balanced',
  },
];

const allowAndDefaultDeny: readonly Row[] = [
  { name: 'client-ingress', section: '3.5', manifests: ['client-ingress'], asks: clientToClient(client2Only(noRule('ingress'))) },
  { name: 'client-ingress-knp', section: '3.5', manifests: ['client-ingress-knp'], asks: clientToClient(client2Only(noRule('ingress'))) },
  { name: 'client-ingress-icmp', section: '3.5', manifests: ['client-ingress-icmp'], asks: clientToClient(client2Only(noRule('ingress'))) },
  { name: 'all-ingress-deny', section: '3.5', manifests: ['all-ingress-deny'], asks: [...podToPod(always(noRule('ingress'))), ...podToCidr(allOk)] },
  { name: 'all-ingress-deny-knp', section: '3.5', manifests: ['all-ingress-deny-knp'], asks: [...podToPod(always(noRule('ingress'))), ...podToCidr(allOk)] },
  { name: 'all-ingress-deny-from-outside', section: '3.5', manifests: ['all-ingress-deny'], asks: fromCidrToPod(always(noRule('ingress'))) },
  { name: 'all-egress-deny', section: '3.5', manifests: ['all-egress-deny'], asks: podToPodWithEndpoints(always(noRule('egress'))) },
  { name: 'all-egress-deny-knp', section: '3.5', manifests: ['all-egress-deny-knp'], asks: podToPodWithEndpoints(always(noRule('egress'))) },
  { name: 'all-entities-deny', section: '3.5', manifests: ['all-entities-deny'], asks: [...podToPod(always(denyRule('egress'))), ...podToCidr(always(denyRule('egress')))] },
  { name: 'cluster-entity', section: '3.5', manifests: ['cluster-entity'], asks: podToPod(allOk, undefined, ['echo-same-node']), beyond: toWorld(CLIENTS, noRule('egress')) },
  { name: 'cluster-entity-multi-cluster', section: '3.5', manifests: ['cluster-entity'], asks: [], absent: 'a second cluster of a mesh, whose pods the entity cluster does not mean' },
  { name: 'host-entity-egress', section: '3.5', manifests: ['host-entity-egress'], asks: podToHost(allOk), beyond: podToPod(always(noRule('egress'))) },
  { name: 'host-entity-ingress', section: '3.5', manifests: ['host-entity-ingress'], asks: hostToPod(allOk), beyond: podToPod(always(noRule('ingress'))) },
  { name: 'echo-ingress', section: '3.5', manifests: ['echo-ingress'], asks: podToPod(client2Only(noRule('ingress'))) },
  { name: 'echo-ingress-knp', section: '3.5', manifests: ['echo-ingress-knp'], asks: podToPod(client2Only(noRule('ingress'))) },
  { name: 'echo-ingress-from-outside', section: '3.5', manifests: ['echo-ingress'], asks: fromCidrToPod(always(noRule('ingress'))) },
  { name: 'client-egress', section: '3.5', manifests: ['client-egress'], asks: [...podToPod(allOk), ...podToDns(allOk)], beyond: toWorld(CLIENTS, noRule('egress')) },
  { name: 'client-egress-knp', section: '3.5', manifests: ['client-egress-knp'], asks: [...podToPod(allOk), ...podToDns(allOk)], beyond: toWorld(CLIENTS, noRule('egress')) },
  { name: 'client-egress-expression', section: '3.5', manifests: ['client-egress-expression'], asks: podToPod(allOk), beyond: [...toWorld(['client2', 'client3'], noRule('egress')), ...toWorld(['client'], 'ok'), ...besidePort(['client2', 'client3'], noRule('egress'))], twin: true },
  { name: 'client-egress-expression-knp', section: '3.5', manifests: ['client-egress-expression-knp'], asks: podToPod(allOk), beyond: [...toWorld(['client2', 'client3'], noRule('egress')), ...toWorld(['client'], 'ok'), ...besidePort(['client2', 'client3'], noRule('egress'))], twin: true },
  { name: 'client-with-service-account-egress-to-echo', section: '3.5', manifests: ['client-with-service-account-egress-to-echo'], asks: podToPod(allOk), beyond: [...toWorld(['client'], noRule('egress')), ...toWorld(['client2'], 'ok'), ...besidePort(['client'], noRule('egress'))], twin: true },
  { name: 'client-egress-to-echo-service-account', section: '3.5', manifests: ['client-egress-to-echo-service-account'], asks: podToPod(only('echo-same-node', noRule('egress'))), beyond: besidePort(['client'], noRule('egress')), twin: true },
  { name: 'to-entities-world', section: '3.5', manifests: ['to-entities-world'], asks: [...podToWorld(port80Only(noRule('egress'))), ...podToDns(allOk)], twin: true },
  { name: 'to-cidr-external', section: '3.5', manifests: ['to-cidr-external'], asks: podToCidr(only(EXTERNAL, noRule('egress'))) },
  { name: 'to-cidr-external-knp', section: '3.5', manifests: ['to-cidr-external-knp'], asks: podToCidr(only(EXTERNAL, noRule('egress'))) },
  { name: 'from-cidr-host-netns', section: '3.5', manifests: ['from-cidr-host-netns'], asks: fromCidrToPod((from) => (from === OUTSIDE_NODE ? 'ok' : noRule('ingress')), [OUTSIDE_NODE, OTHER_EXTERNAL]) },
  {
    name: 'dns-only', section: '3.5', manifests: ['dns-only'], asks: [...podToPod(always(noRule('egress'))), ...podToWorld(always(noRule('egress'))), ...podToDns(always(noRule('egress')))],
    extra: 'withheld policy',
    refused: 'a rule over names needs a DNS proxy, and there is none yet: what it would allow is denied as well, and `seine get policies` says so',
  },
  { name: 'policy-local-cluster-egress', section: '3.5', manifests: ['policy-local-cluster-egress'], asks: podToPod(allOk), beyond: toWorld(CLIENTS, noRule('egress')), absent: 'a second cluster of a mesh, whose pods a selector without a cluster label does not mean; the own cluster was tried' },
  { name: 'ingress-from-specific-namespace-ccnp', section: '3.5', manifests: ['ingress-from-specific-namespace-ccnp'], asks: [...ccnpToCcnp({ into: 'ok', back: 'ok' }), toPod('acceptance/client', 'acceptance-ccnp1/client-ccnp', noRule('ingress'))] },
  { name: 'egress-to-specific-namespace-ccnp', section: '3.5', manifests: ['egress-to-specific-namespace-ccnp'], asks: [...ccnpToCcnp({ into: 'ok', back: 'ok' }), toPod('acceptance-ccnp1/client-ccnp', 'acceptance/echo-same-node', noRule('egress'))] },
  { name: 'pod-to-controlplane-host', section: '3.5', manifests: ['pod-to-controlplane-host'], asks: podToHost(only('n1', noRule('egress')), ['client', 'client2']) },
  { name: 'pod-to-controlplane-host-cidr', section: '3.5', manifests: ['pod-to-controlplane-host-cidr'], asks: podToHost(only('n1', noRule('egress')), ['client', 'client2']), cidrMatchMode: 'nodes' },
  { name: 'pod-to-k8s-on-controlplane', section: '3.5', manifests: ['pod-to-k8s-on-controlplane'], asks: [...podToApiServer(allOk), ...podToDns(allOk), ...podToPod(always(noRule('egress')))] },
  { name: 'pod-to-k8s-on-controlplane-cidr', section: '3.5', manifests: ['pod-to-k8s-on-controlplane-cidr'], asks: [...podToApiServer(allOk), ...podToDns(allOk), ...podToPod(always(noRule('egress')))], cidrMatchMode: 'nodes' },
  { name: 'pod-to-node-cidrpolicy', section: '3.5', manifests: ['pod-to-node-cidrpolicy'], asks: podToHost(allOk), beyond: podToPod(always(noRule('egress'))), cidrMatchMode: 'nodes' },
];

const toCidrDenied = (want: Want): readonly Ask[] => podToCidr((_, to) => (to === OTHER_EXTERNAL ? denyRule('egress') : want));
const denyRules: readonly Row[] = [
  { name: 'echo-ingress-from-other-client-deny', section: '3.6', manifests: [...ALLOW_ALL, 'echo-ingress-from-other-client-deny'], asks: [...podToPod(allBut('client2', denyRule('ingress')), ['client', 'client2']), ...clientToClient(allOk)] },
  {
    name: 'client-ingress-from-other-client-icmp-deny', section: '3.6', manifests: [...ALLOW_ALL, 'client-ingress-from-other-client-icmp-deny'],
    asks: [...clientToClient(allBut('client2', denyRule('ingress'))), ...podToPod(allOk)],
  },
  { name: 'client-egress-to-echo-deny', section: '3.6', manifests: [...ALLOW_ALL, 'client-egress-to-echo-deny'], asks: [...podToPod(always(denyRule('egress'))), ...clientToClient(allOk)], twin: true },
  { name: 'client-ingress-to-echo-named-port-deny', section: '3.6', manifests: [...ALLOW_ALL, 'client-ingress-to-echo-named-port-deny'], asks: podToPod(allBut('client', denyRule('ingress')), ['client', 'client2']) },
  { name: 'client-egress-to-echo-expression-deny', section: '3.6', manifests: [...ALLOW_ALL, 'client-egress-to-echo-expression-deny'], asks: podToPod(allBut('client', denyRule('egress')), ['client', 'client2']), twin: true },
  { name: 'client-with-service-account-egress-to-echo-deny', section: '3.6', manifests: [...ALLOW_ALL, 'client-with-service-account-egress-to-echo-deny'], asks: podToPod(allBut('client', denyRule('egress')), ['client', 'client2']), twin: true },
  { name: 'client-egress-to-echo-service-account-deny', section: '3.6', manifests: [...ALLOW_ALL, 'client-egress-to-echo-service-account-deny'], asks: podToPod(only('echo-other-node', denyRule('egress')), ['client']), twin: true },
  { name: 'client-egress-to-cidr-deny', section: '3.6', manifests: ['allow-all-egress', 'client-egress-to-cidr-deny'], asks: toCidrDenied('ok') },
  { name: 'client-egress-to-cidr-deny-default', section: '3.6', manifests: ['client-egress-to-cidr-deny'], asks: toCidrDenied(noRule('egress')) },
  { name: 'client-egress-to-cidrgroup-deny', section: '3.6', manifests: ['allow-all-egress', 'client-egress-to-cidrgroup-deny'], asks: toCidrDenied('ok') },
  { name: 'client-egress-to-cidrgroup-deny-by-label', section: '3.6', manifests: ['allow-all-egress', 'client-egress-to-cidrgroup-deny-by-label'], asks: toCidrDenied('ok') },
];

const northSouth: readonly Row[] = [{ name: 'north-south-loadbalancing', section: '3.8', manifests: [], asks: outsideToNodePort }];

const hostFirewall: readonly Row[] = [
  { name: 'host-firewall-ingress', section: '3.8', manifests: ['host-firewall-ingress'], asks: [...podToHost(allBut('client', noRule('ingress')))] },
  { name: 'host-firewall-egress', section: '3.8', manifests: ['host-firewall-egress'], asks: hostToPod(only('echo-same-node', noRule('egress'))) },
];

export const ROWS: readonly Row[] = [...connectivity, ...allowAndDefaultDeny, ...denyRules, ...northSouth, ...hostFirewall];
