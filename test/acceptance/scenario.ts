/**
 * The scenarios of the acceptance table: who asks whom, and what must come of it. Pure.
 * Ends are named as people name them; the fixture says who they are (fixture.yaml).
 */
export type Direction = 'ingress' | 'egress';
export interface Drop { readonly code: 133 | 181; readonly direction: Direction }
/** What must come of one question: an answer, or a drop for this reason in this direction. */
export type Want = 'ok' | Drop;

export interface Ask {
  readonly from: string;
  readonly to: string;
  readonly protocol: 'TCP' | 'UDP' | 'ICMP';
  /** 4 unless said. */
  readonly family?: 4 | 6;
  readonly port?: number;
  readonly http?: { readonly method: string; readonly path: string };
  readonly icmp?: { readonly type: number; readonly code: number; readonly overMtu?: number };
  readonly want: Want;
  /** No verdict is demanded: the packets never leave the pod (its socket was translated to itself), or their addresses change on the way. */
  readonly untold?: true;
}

/** No rule allows it. */
export const NO_RULE = 133;
/** A deny rule matched. */
export const DENY_RULE = 181;
export const noRule = (direction: Direction): Drop => ({ code: NO_RULE, direction });
export const denyRule = (direction: Direction): Drop => ({ code: DENY_RULE, direction });

const NAMESPACE = 'acceptance';
const own = (name: string): string => `${NAMESPACE}/${name}`;

export const CLIENTS = ['client', 'client2', 'client3'] as const;
export const ECHOS = ['echo-same-node', 'echo-other-node'] as const;
export const NODES = ['n1', 'n2'] as const;
/** Where the external host answers: the first name of PodToWorld, the two addresses of PodToCIDR, the API server's stand-in. */
export const WORLD = '198.51.100.10';
export const EXTERNAL = '203.0.113.1';
export const OTHER_EXTERNAL = '203.0.113.2';
export const OUTSIDE_NODE = 'external';
export const API_SERVER = { address: '192.168.50.1', port: 6443 } as const;

/** What a pair must come to, by the short names of both. */
export type Expect = (from: string, to: string) => Want;
export const allOk: Expect = () => 'ok';

const ECHO_PORT = 8080;
const get = (path: string): Pick<Ask, 'protocol' | 'http'> => ({ protocol: 'TCP', http: { method: 'GET', path } });
const ping: Pick<Ask, 'protocol' | 'icmp'> = { protocol: 'ICMP', icmp: { type: 8, code: 0 } };
const pairs = <T>(left: readonly string[], right: readonly string[], make: (from: string, to: string) => T | readonly T[]): readonly T[] =>
  left.flatMap((from) => right.flatMap((to) => (from === to ? [] : make(from, to))));

export const podToPod = (expect: Expect, clients: readonly string[] = CLIENTS, echos: readonly string[] = ECHOS, paths: readonly string[] = ['/']): readonly Ask[] =>
  pairs(clients, echos, (from, to) => paths.map((path): Ask => ({ from: own(from), to: own(to), port: ECHO_PORT, ...get(path), want: expect(from, to) })));

export const podToPodWithEndpoints = (expect: Expect): readonly Ask[] => podToPod(expect, CLIENTS, ECHOS, ['/public', '/private']);

export const clientToClient = (expect: Expect): readonly Ask[] => pairs(CLIENTS, CLIENTS, (from, to): Ask => ({ from: own(from), to: own(to), ...ping, want: expect(from, to) }));

export const podToService = (expect: Expect): readonly Ask[] => pairs(CLIENTS, ECHOS, (from, to): Ask => ({ from: own(from), to: `svc:${own(to)}`, port: ECHO_PORT, ...get('/'), want: expect(from, to) }));

export const podToHost = (expect: Expect, clients: readonly string[] = CLIENTS, nodes: readonly string[] = NODES): readonly Ask[] =>
  pairs(clients, nodes, (from, to): Ask => ({ from: own(from), to: `node:${to}`, ...ping, want: expect(from, to) }));

export const hostToPod = (expect: Expect, echos: readonly string[] = ECHOS): readonly Ask[] =>
  pairs(NODES, echos, (from, to): Ask => ({ from: `node:${from}`, to: own(to), port: ECHO_PORT, ...get('/'), want: expect(from, to) }));

/** http, https and a page of https; the second end is the port. */
export const podToWorld = (expect: Expect): readonly Ask[] => CLIENTS.flatMap((from) => ([[80, '/'], [443, '/'], [443, '/index.html']] as const).map(([port, path]): Ask =>
  ({ from: own(from), to: WORLD, port, ...get(path), want: expect(from, String(port)) })));

export const podToCidr = (expect: Expect): readonly Ask[] => pairs(CLIENTS, [EXTERNAL, OTHER_EXTERNAL], (from, to): Ask => ({ from: own(from), to, port: 443, ...get('/'), want: expect(from, to) }));

export const fromCidrToPod = (expect: Expect, sources: readonly string[] = [OUTSIDE_NODE]): readonly Ask[] =>
  pairs(sources, ECHOS, (from, to): Ask => ({ from, to: own(to), port: ECHO_PORT, ...get('/'), want: expect(from, to) }));

export const podToDns = (expect: Expect): readonly Ask[] => CLIENTS.map((from): Ask => ({ from: own(from), to: 'svc:kube-system/kube-dns', protocol: 'UDP', port: 53, want: expect(from, 'kube-dns') }));

export const podToApiServer = (expect: Expect, clients: readonly string[] = CLIENTS): readonly Ask[] =>
  clients.flatMap((from) => [API_SERVER.address, 'svc:default/kubernetes'].map((to): Ask => ({ from: own(from), to, port: to === API_SERVER.address ? API_SERVER.port : 443, ...get('/healthz'), want: expect(from, to) })));

/** Between the clients of the two namespaces of the clusterwide policies, by ping and by connection. */
export const ccnpToCcnp = (want: { readonly into: Want; readonly back: Want }): readonly Ask[] => ([['acceptance-ccnp2/client-ccnp', 'acceptance-ccnp1/client-ccnp', want.into], ['acceptance-ccnp1/client-ccnp', 'acceptance-ccnp2/client-ccnp', want.back]] as const)
  .flatMap(([from, to, each]): readonly Ask[] => [{ from, to, ...ping, want: each }, { from, to, port: ECHO_PORT, ...get('/'), want: each }]);

export const toPod = (from: string, to: string, want: Want): Ask => ({ from, to, port: ECHO_PORT, ...get('/'), want });

export const toWorld = (clients: readonly string[], want: Want): readonly Ask[] => clients.map((from): Ask => ({ from: own(from), to: WORLD, port: 80, ...get('/'), want }));

/** Just beyond the servers' port, and beyond the range around it; nobody need listen there. */
const BESIDE_PORT = 8192;
export const besidePort = (clients: readonly string[], want: Drop): readonly Ask[] => pairs(clients, ECHOS, (from, to): Ask => ({ from: own(from), to: own(to), protocol: 'TCP', port: BESIDE_PORT, want }));

export const podToItself: readonly Ask[] = [{ from: own('loop'), to: `svc:${own('loop')}`, port: ECHO_PORT, ...get('/'), want: 'ok', untold: true }];

/** Every node port of the servers, on the own node and on the other. */
const NODE_PORTS = [30001, 30002] as const;
export const podToNodePort: readonly Ask[] = CLIENTS.flatMap((from) => NODES.flatMap((node) => NODE_PORTS.map((port): Ask => ({ from: own(from), to: `node:${node}`, port, ...get('/'), want: 'ok', untold: true }))));

/** The servers' hostPort, each at its own node alone. */
const HOST_PORT = 4000;
export const podToHostPort: readonly Ask[] = CLIENTS.flatMap((from) => NODES.map((node): Ask => ({ from: own(from), to: `node:${node}`, port: HOST_PORT, ...get('/'), want: 'ok', untold: true })));

/** From outside the cluster: every node answers for every Service, wherever its servers are. */
export const outsideToNodePort: readonly Ask[] = NODES.flatMap((node) => NODE_PORTS.map((port): Ask => ({ from: OUTSIDE_NODE, to: `node:${node}`, port, ...get('/'), want: 'ok', untold: true })));

export const podToL7Service: readonly Ask[] = CLIENTS.map((from): Ask => ({ from: own(from), to: `svc:${own('l7-lb')}`, port: ECHO_PORT, ...get('/'), want: 'ok' }));

/** The largest echo that the route takes in one piece, across nodes and back. */
export const largestEcho: readonly Ask[] = pairs(['client', 'client2'], ['client3'], (from, to) =>
  [[from, to], [to, from]].map(([a, b]): Ask => ({ from: own(a!), to: own(b!), protocol: 'ICMP', icmp: { type: 8, code: 0, overMtu: 0 }, want: 'ok' }))); // both are there

/** The other family's places: the same ends have both, addresses have a twin. */
const V6_OF: ReadonlyMap<string, string> = new Map([[WORLD, '2001:db8:198::10'], [EXTERNAL, '2001:db8:113::1'], [OTHER_EXTERNAL, '2001:db8:113::2'], [API_SERVER.address, 'fd00:192:168:50::1']]);
const ECHO_V6 = { type: 128, code: 0 } as const;
/** The same question over IPv6. */
export const overV6 = ({ icmp, ...ask }: Ask): Ask =>
  ({ ...ask, family: 6, from: V6_OF.get(ask.from) ?? ask.from, to: V6_OF.get(ask.to) ?? ask.to, ...(icmp === undefined ? {} : { icmp: { ...icmp, ...ECHO_V6 } }) });

/** Every node hears every other by ICMP. */
export const nodeToNode: readonly Ask[] = pairs(NODES, NODES, (from, to): Ask => ({ from: `node:${from}`, to: `node:${to}`, ...ping, want: 'ok' }));
