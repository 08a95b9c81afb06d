/**
 * A lab: one process that keeps a cluster on this machine. It plays what Seine is not (API server, controllers, kubelet, an outside world)
 * and starts what Seine is, each role inside its node's namespace.
 *
 *   node supervisor.ts {"lab":"lab","nodes":2,"repair":true,"offload":false}
 */
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { connectBus, createLog, type Bus } from '@seine/bus';
import { MASQUERADE_SETTINGS } from '@seine/events';
import { createCgroup, moveToNetns } from '@seine/kernel';
import { familyOf, formatEnd, formatPrefix, parseAddress, parsePrefix, prefixContains, SeineError } from '@seine/model';
import { persistentUnix, serveUnix, SOCKET, type Handler, type LocalEndpoint, type NodeStatus, type PersistentUnix } from '@seine/node';
import { LINES_ANNOTATION, objectKey, settingsEnv, SOURCE_ANNOTATION, type KubeObject, type Settings } from '@seine/objects';

import { clusterIPs, expand, IP_FAMILIES, labNodes, nodeOf, POD_CIDRS, podAddresses, SERVICE_CIDRS, servicesAsked, withEndpointSlices, withPodAddresses, type IpFamilyName } from './core/index.ts';
import { createKubelet, podShape, wantsPod } from './shell/kubelet.ts';
import { followLab, GENERATION_LABEL, type Progress } from './shell/log.ts';
import { makePlaces, nodeBinary, placesOf, PROJECT } from './shell/places.ts';
import { createProber, type Probe } from './shell/prober.ts';
import { createProcesses, rssBytes } from './shell/processes.ts';
import { takeDown } from './shell/takedown.ts';
import { buildWires, HUB_ADDRESSES, setExternalRoutes } from './shell/wires.ts';

interface Order {
  readonly lab: string; readonly nodes: number; readonly repair: boolean; readonly offload: boolean; readonly ipFamily: IpFamilyName; readonly ctSize?: number; /** CNI ADDs at the same time. */ readonly atOnce?: number;
  readonly xdp?: string; /** JSON of settings of the cluster */ readonly settings?: string;
}

let order = JSON.parse(process.argv[2] ?? '{}') as Order; // written by `seine lab up`
const places = placesOf(order.lab);
const families = IP_FAMILIES[order.ipFamily];
const nodes = labNodes(order.nodes, families);
const hubAddress = HUB_ADDRESSES[families[0]];
const NATS_URL = `nats://${formatEnd(hubAddress, 4222)}`;
const CLUSTER = 'default';
const PATIENCE_MS = 30_000;
const DECIDING = ['watcher', 'identity-allocator', 'ipam', 'policy-compiler', 'service-compiler'] as const;
const DECIDERS: ReadonlySet<string> = new Set(DECIDING.filter((role) => role !== 'watcher'));
const ON_NODES = ['loader', 'datapath-writer', 'observer'] as const;

const times: Record<string, number> = {};
const timed = async <T>(what: string, work: () => Promise<T> | T): Promise<T> => {
  const start = performance.now();
  const value = await work();
  times[what] = Math.round(performance.now() - start);
  return value;
};
const note = (text: string): void => { process.stdout.write(`${new Date().toISOString()} ${text}\n`); };

makePlaces(places);
await timed('wires', () => { buildWires(places, nodes, order.offload); });
moveToNetns(places.hub);
const stopping = new AbortController();
const processes = createProcesses(places.logs);

/* --- the broker and the log ----------------------------------------------------------------- */
/**
 * One arena for all threads: a role's few allocations beside V8's heap do not contend, and an arena for each thread costs 5 MB. Large buffers are mapped by
 * themselves and given back: without, a writer that has read a large log keeps 100 MB of room where they were (docs/datapath.md).
 */
const env = (extra: Readonly<Record<string, string>>): Readonly<Record<string, string>> => ({
  MALLOC_ARENA_MAX: '1', MALLOC_MMAP_THRESHOLD_: '65536', SEINE_NATS_URL: NATS_URL, SEINE_CLUSTER: CLUSTER, SEINE_INSTANCE: places.lab, NODE_COMPILE_CACHE: join(PROJECT, '.seine', 'compile-cache'), ...extra,
});
mkdirSync(join(places.state, 'nats'), { recursive: true });
processes.start({
  role: 'nats-server', node: undefined, netns: places.hub, env: {},
  command: ['nats-server', '-c', join(PROJECT, 'infra/nats/nats-server.conf'), '-a', hubAddress, '-p', '4222', '-sd', join(places.state, 'nats')],
});
const connectOptions = { url: NATS_URL, cluster: CLUSTER, name: `${places.lab}/lab`, build: 'lab', signal: stopping.signal, patienceMs: PATIENCE_MS };
const untilDone = async <T>(what: string, work: () => Promise<T>, patienceMs = PATIENCE_MS): Promise<T> => {
  const end = Date.now() + patienceMs;
  for (;;) {
    try { return await work(); } catch (error) {
      if (Date.now() >= end || stopping.signal.aborted) throw new SeineError('SEINE_PEER_UNREACHABLE', `${what}: ${(error as Error).message}`, {}, { cause: error });
    }
    await new Promise((resolve) => { setTimeout(resolve, 25); });
  }
};
await timed('broker', () => untilDone('nats-server', () => createLog(connectOptions)));

/* --- the roles ------------------------------------------------------------------------------- */
const main = (role: string): readonly string[] => [nodeBinary(), '--disable-warning=ExperimentalWarning', '--max-semi-space-size=1', join(PROJECT, 'services', role, 'main.ts')];
let port = 9100;
const health = (host: string): { readonly url: string; readonly env: Readonly<Record<string, string>> } => {
  port += 1;
  return { url: `http://${formatEnd(host, port)}`, env: { SEINE_HEALTH_HOST: host, SEINE_HEALTH_PORT: String(port) } };
};
let settings = JSON.parse(order.settings ?? '{}') as Settings; // as the order was written
for (const role of DECIDING) {
  const { url, env: healthEnv } = health(hubAddress);
  processes.start({ role, node: undefined, netns: places.hub, command: main(role), health: url, env: env({ ...healthEnv, ...(role === 'watcher' ? settingsEnv(settings) : {}), ...(role === 'ipam' ? { SEINE_POD_CIDR: families.map((family) => POD_CIDRS[family]).join() } : {}), SEINE_MANIFESTS: places.objects, SEINE_STATE_DIR: join(places.state, role) }) });
}
const ANY_ADDRESS = { 4: '0.0.0.0', 6: '::' } as const;
/** The world answers wherever it is asked: web servers on every address that is not the cluster's. */
const OUTSIDE = { addresses: families.map((family) => ANY_ADDRESS[family]), name: 'external', ports: [80, 443, 8080].map((number) => ({ port: number, protocol: 'TCP' })) };
const podHosts = new Map<string | undefined, PersistentUnix>();
const startPodHost = (node: string | undefined, netns: string): void => {
  const run = node === undefined ? join(places.run, 'external') : places.nodeRun(node);
  mkdirSync(run, { recursive: true, mode: 0o700 });
  const socket = join(run, SOCKET.pods);
  processes.start({
    role: 'pods', node: node ?? 'external', netns, command: [nodeBinary(), '--disable-warning=ExperimentalWarning', join(PROJECT, 'infra/lab/pod-host.ts')], env: { SEINE_PODS_SOCKET: socket },
    ...(node === undefined ? {} : { cgroup: places.nodeCgroup(node) }),
  });
  podHosts.set(node, persistentUnix(socket, stopping.signal, () => {}, (client) => { void (node === undefined ? client.call('open', OUTSIDE).catch(() => {}) : reopenPods(node)); }));
};
/** Whoever takes Seine's programs off a pod in a lab without repair sees what routes alone would carry: no second lock closes what the first leaves open. */
const LOCKS = order.repair ? { SEINE_UPLINKS: 'eth0' } : { SEINE_UPLINKS: '', SEINE_TCX: 'false' };
for (const { name, addresses } of nodes) {
  createCgroup(places.nodeCgroup(name));
  for (const role of ON_NODES) {
    const { url, env: healthEnv } = health(addresses[0]!); // one of a family at least
    processes.start({
      role, node: name, netns: places.nodeNetns(name), command: main(role), health: url,
      env: env({
        ...healthEnv, SEINE_NODE: name, SEINE_RUN_DIR: places.nodeRun(name), SEINE_STATE_DIR: places.nodeState(name), SEINE_PIN_ROOT: places.nodePins(name),
        SEINE_CGROUP_ROOT: places.nodeCgroup(name), SEINE_CT_SIZE: String(order.ctSize ?? 16384), SEINE_REPAIR: String(order.repair), ...(order.xdp === undefined ? {} : { SEINE_XDP: order.xdp }), ...LOCKS,
      }),
    });
  }
  startPodHost(name, places.nodeNetns(name));
}
startPodHost(undefined, places.external);

const bus: Bus = await connectBus(connectOptions);
/** The deciding roles' own word, as Prometheus would read it; while one of them is away nothing is decided. */
const progress = async (): Promise<Progress> => {
  const urls = processes.list().filter(({ spec }) => DECIDERS.has(spec.role)).map(({ spec }) => spec.health);
  const words = await Promise.all(urls.map(async (url) => (await fetch(`${url}/metrics`, { signal: AbortSignal.timeout(1_000) })).text()));
  const numbers = (name: string): readonly number[] => words.map((text) => Number(new RegExp(`^seine_[a-z_]+_${name}_sequence ([0-9]+)$`, 'm').exec(text)?.[1] ?? 0));
  return { decided: Math.min(...numbers('decided')), stored: Math.max(...numbers('stored')) };
};
const log = followLab(bus, nodes[0]!.name, nodes.map(({ name }) => name), () => progress().catch(() => ({ decided: 0, stored: 0 })), stopping.signal);
const writers = new Map(nodes.map(({ name }) => [name, persistentUnix(join(places.nodeRun(name), SOCKET.writer), stopping.signal)]));
const ready = async (url: string): Promise<void> => {
  const response = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(1_000) });
  if (!response.ok) throw new SeineError('SEINE_PEER_UNREACHABLE', `${url}: not ready`);
};

const rolesReady = async (): Promise<void> => {
  await Promise.all(processes.list().flatMap(({ spec: { health: url, role, node } }) => (url === undefined ? [] : [untilDone(`${role}${node === undefined ? '' : ` on ${node}`}`, () => ready(url))])));
};

/* --- objects --------------------------------------------------------------------------------- */
const given = new Map<string, KubeObject>();
let objects: readonly KubeObject[] = [];
let generation = 0;
const nodeSeq = new Map<string, number>();
let ignored: Readonly<Record<string, number>> = {};
const skipped: string[] = [];

const host = (node: string | undefined): PersistentUnix => {
  const found = podHosts.get(node);
  if (found === undefined) throw new SeineError('SEINE_INPUT_INVALID', `node ${node}: expected one of ${nodes.map(({ name }) => name).join(', ')}`);
  return found;
};
const kubelet = createKubelet(places, {
  open: (node, body) => { // what a pod asks is what is there when it starts
    const pod = objects.find(({ kind, namespace, name }) => kind === 'Pod' && `${namespace}/${name}` === body.name);
    return host(node).call('open', { ...body, asks: pod === undefined ? [] : servicesAsked(pod, objects) });
  },
  close: async (node, name) => { await host(node).call('close', { name }); },
}, (text) => { skipped.push(text); }, order.atOnce);
const reopenPods = async (node: string): Promise<void> => { await kubelet.reopen(node, objects.filter(({ kind }) => kind === 'Pod')).catch(() => {}); };

const withAddresses = (all: readonly KubeObject[]): readonly KubeObject[] => all.map((object) => {
  const attached = object.kind === 'Pod' ? kubelet.attached().get(`${object.namespace}/${object.name}`) : undefined;
  if (object.kind !== 'Pod' || (attached === undefined && wantsPod(object))) return object;
  const own = podAddresses(object);
  const addresses = attached?.addresses ?? (own.length > 0 ? own : nodes.find(({ name }) => name === nodeOf(object))?.addresses ?? []);
  return addresses.length === 0 ? object : withPodAddresses(object, addresses);
});

/** The objects as the watcher will read them: one file, replaced at once. */
const writeObjects = (all: readonly KubeObject[]): void => {
  generation += 1;
  const items = all.map((object) => {
    const metadata = object.raw['metadata'] as { readonly labels?: object; readonly annotations?: object } | undefined;
    const marker = object.kind === 'Node' && object.name === nodes[0]!.name ? { labels: { ...metadata?.labels, [GENERATION_LABEL]: String(generation) } } : {};
    const annotations = object.place === undefined ? {} : {
      annotations: {
        ...metadata?.annotations, [SOURCE_ANNOTATION]: `${object.place.file}:${object.place.line}`,
        ...(object.lines === undefined ? {} : { [LINES_ANNOTATION]: Object.entries(object.lines).map(([path, line]) => `${path}=${line}`).join(' ') }),
      },
    };
    return { ...object.raw, metadata: { ...metadata, ...marker, ...annotations, name: object.name, uid: object.uid, ...(object.namespace === '' ? {} : { namespace: object.namespace }) } };
  });
  const path = join(places.objects, 'objects.json');
  writeFileSync(join(places.objects, '.objects.new'), JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
  renameSync(join(places.objects, '.objects.new'), path);
};

const nodesAt = async (seq: number): Promise<void> => {
  await Promise.all(nodes.map(async ({ name }) => {
    const status = await writers.get(name)!.call<NodeStatus>('wait', { seq, timeoutMs: PATIENCE_MS });
    nodeSeq.set(name, status.seq);
  }));
};

const routeExternal = (): void => {
  const addressesOf = new Map(nodes.map(({ name, addresses }) => [name, addresses]));
  const way = (cidr: string, node: string) => {
    const [destination, length] = cidr.split('/') as [string, string]; // a CIDR of the ipam lane, or a whole address
    return (addressesOf.get(node) ?? []).filter((address) => familyOf(address) === familyOf(cidr)).map((gateway) => ({ destination, length: Number(length), gateway }));
  };
  const routes = nodes.flatMap(({ name }) => (log.blocks().get(name) ?? []).flatMap((cidr) => way(cidr, name)));
  const strays = [...kubelet.attached().values()].flatMap(({ addresses, node }) => addresses.flatMap((address) => {
    const bytes = parseAddress(address)!; // of a CNI result
    const own = (log.blocks().get(node) ?? []).some((cidr) => { const prefix = parsePrefix(cidr); return prefix !== undefined && prefixContains(prefix, bytes); });
    return own ? [] : way(formatPrefix({ address: bytes, length: 128 }), node);
  }));
  /* Any node answers for Services; a router has one way there, or several. */
  const services = families.flatMap((family) => way(SERVICE_CIDRS[family], nodes[0]!.name)); // a lab has nodes
  setExternalRoutes(places, [...routes, ...strays, ...services]);
};

export interface Converged { readonly seq: number; readonly policySeq: number; readonly attached: number; readonly failed: readonly string[]; readonly ms: number; readonly warnings: readonly string[]; readonly refused: ReturnType<typeof log.refused>; readonly refusedInPart: ReturnType<typeof log.refusedInPart>; readonly ignored: Readonly<Record<string, number>> }

/** As in a real cluster a pod that is made anew has a uid that no pod had: what was said of the former one does not hold for it. */
const lives = new Map<string, { readonly shape: string; readonly count: number; present: boolean }>();
const withLives = (all: readonly KubeObject[]): readonly KubeObject[] => {
  const seen = new Set<string>();
  const out = all.map((object) => {
    if (!wantsPod(object)) return object;
    const key = `${object.namespace}/${object.name}`;
    seen.add(key);
    const shape = podShape(object);
    const former = lives.get(key);
    const count = former === undefined ? 1 : former.present && former.shape === shape ? former.count : former.count + 1;
    lives.set(key, { shape, count, present: true });
    return count === 1 ? object : { ...object, uid: `${object.uid}/${count}` };
  });
  for (const [key, life] of lives) if (!seen.has(key)) life.present = false;
  return out;
};

/** What a converging lab waits for, in words. */
let stage = '';

/** Brings the cluster to what was given: facts, decisions, pods, addresses, rows on every node. */
const converge = async (): Promise<Converged> => {
  const startMs = performance.now();
  const warnings: string[] = [];
  const paper = expand([...given.values()], nodes);
  const expanded = { ...paper, objects: withLives(paper.objects) };
  ignored = expanded.ignored;
  /* As given: an address that the node chose is no change of the pod. */
  const wanted = expanded.objects.filter(wantsPod);
  stage = 'pods that go';
  const failed = [...await kubelet.stopped(wanted)];
  stage = 'the objects in the log';
  objects = withEndpointSlices(withAddresses(expanded.objects));
  writeObjects(objects);
  const factSeq = await log.generation(generation, PATIENCE_MS);
  const before = kubelet.attached().size;
  stage = `pods (${wanted.length} in all)`;
  /* A pod that the watcher refused does not exist. */
  const refusedObjects = new Set(log.refused().map(({ object }) => object));
  failed.push(...await kubelet.started(wanted.filter((pod) => !refusedObjects.has(objectKey(pod)))));
  failed.push(...await kubelet.serveHosts(objects.filter((object) => !refusedObjects.has(objectKey(object)))));
  if (kubelet.attached().size !== before || wanted.some((pod) => podAddresses(pod).length < families.length)) {
    objects = withEndpointSlices(withAddresses(expanded.objects));
    writeObjects(objects);
    await log.generation(generation, PATIENCE_MS);
  }
  stage = 'identities of all pods';
  await log.bound(new Map([...kubelet.attached().values()].flatMap(({ addresses, uid }) => addresses.map((address) => [address, uid] as const))), PATIENCE_MS);
  stage = 'what the deciding roles make of it';
  const seq = await log.decided(Math.max(factSeq, log.head()), PATIENCE_MS);
  stage = `every node at #${seq}`;
  await nodesAt(seq);
  stage = '';
  routeExternal();
  warnings.push(...skipped.splice(0));
  return { seq, policySeq: factSeq, attached: kubelet.attached().size, failed, ms: Math.round(performance.now() - startMs), warnings, refused: log.refused(), refusedInPart: log.refusedInPart(), ignored };
};

/** Orders that change the cluster are one after the other. */
let turn: Promise<unknown> = Promise.resolve();
const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
  const done = turn.then(work);
  turn = done.catch(() => {});
  return done;
};

const prober = createProber({
  log, objects: () => objects, netnsOf: (pod) => kubelet.attached().get(pod)?.netns, hostOf: host, seqOf: (node) => nodeSeq.get(node) ?? log.head(),
  isMasqueraded: (family) => settings[MASQUERADE_SETTINGS[family]] === 'true',
});

const reachableServices = async (): Promise<number> => {
  const frontends = objects.filter((object) => object.kind === 'Service').flatMap((service) => {
    const spec = service.raw['spec'] as { readonly ports?: readonly { readonly port: number; readonly protocol?: string }[] } | undefined;
    const first = spec?.ports?.find(({ protocol }) => (protocol ?? 'TCP') === 'TCP') ?? spec?.ports?.find(({ protocol }) => protocol === 'UDP');
    return first === undefined ? [] : clusterIPs(service).slice(0, 1).map((address) => ({ service, port: first.port, protocol: first.protocol ?? 'TCP', family: familyOf(address) }));
  });
  /* From the node itself: host traffic reaches its own pods whatever isolates them, so this asks for the translation, not for a policy. */
  const report = await prober.probeAll(frontends.map(({ service, port: servicePort, protocol, family }): Probe => {
    const slice = objects.find((object) => object.kind === 'EndpointSlice' && object.namespace === service.namespace && (object.raw['metadata'] as { labels?: Record<string, string> }).labels?.['kubernetes.io/service-name'] === service.name);
    const node = (slice?.raw['endpoints'] as readonly { readonly nodeName?: string }[] | undefined)?.[0]?.nodeName ?? nodes[0]!.name;
    return { from: `node:${node}`, to: `svc:${service.namespace}/${service.name}`, protocol, port: servicePort, family };
  }));
  return report.probes.filter(({ got }) => got === 'allow').length;
};

const handle: Handler = async (op, body) => {
  switch (op) {
    case 'ping': return { pid: process.pid, times, order, bus: NATS_URL };
    case 'apply': return inTurn(async () => {
      const { objects: more, replace } = body as { readonly objects: readonly KubeObject[]; readonly replace?: boolean };
      const former = new Set(given.keys());
      const give = (all: readonly KubeObject[]): Promise<Converged> => {
        if (replace === true) given.clear();
        for (const object of all) given.set(objectKey(object), object);
        return converge();
      };
      const converged = await give(more);
      /* What is refused leaves its former self in force; a cluster that was replaced has no former self. */
      const kept = new Set(converged.refused.map(({ object }) => object).filter((key) => former.has(key)));
      if (replace !== true || kept.size === 0) return converged;
      await give(more.filter((object) => !kept.has(objectKey(object))));
      return give(more);
    });
    case 'delete': return inTurn(async () => {
      const missing = (body as { readonly keys: readonly string[] }).keys.filter((key) => !given.delete(key));
      return { ...await converge(), missing };
    });
    case 'probe': return prober.probeAll((body as { readonly probes: readonly Probe[] }).probes);
    case 'progress': return { stage, attached: kubelet.attached().size };
    case 'objects': return objects;
    case 'applied': return log.appliedAt((body as { readonly seq: number }).seq);
    case 'enforcement': return log.enforcement((body as { readonly policy: string }).policy) ?? null;
    case 'set': return inTurn(async () => {
      settings = { ...settings, ...(body as { readonly settings: Settings }).settings };
      order = { ...order, settings: JSON.stringify(settings) };
      await processes.configure('watcher', settingsEnv(settings));
      await rolesReady();
      return converge();
    });
    case 'ready': {
      await rolesReady();
      await Promise.all([...podHosts.values()].map((podHost) => podHost.call('ping')));
      return { times };
    }
    case 'nodes': return nodes.map(({ name, addresses }) => ({ name, address: addresses[0]!, addresses, netns: places.nodeNetns(name), run: places.nodeRun(name) }));
    case 'pods': return Promise.all(nodes.map(async ({ name }) => ({ node: name, endpoints: await writers.get(name)!.call<readonly LocalEndpoint[]>('endpoints') })));
    case 'kill': {
      const { role, node } = body as { readonly role: string; readonly node?: string };
      return { killed: processes.kill(role, node) };
    }
    case 'status': {
      const { reach } = body as { readonly reach?: boolean };
      const statuses = await Promise.all(nodes.map(({ name }) => writers.get(name)!.call<NodeStatus>('status', {}, 2_000).catch(() => undefined)));
      const roles = await Promise.all(processes.list().filter(({ spec }) => spec.role !== 'pods').map(async ({ spec, pid, starts }) => ({
        name: spec.role, node: spec.node ?? null, pid: pid ?? null, rssBytes: pid === undefined ? 0 : rssBytes(pid), starts, health: spec.health ?? null,
        ready: spec.health === undefined ? pid !== undefined : await ready(spec.health).then(() => true, () => false),
      })));
      const pods = objects.filter(({ kind }) => kind === 'Pod');
      const services = objects.filter(({ kind }) => kind === 'Service');
      return {
        name: places.lab, nodes: nodes.map(({ name }, index) => ({ name, netns: places.nodeNetns(name), seq: statuses[index]?.seq ?? null })), roles,
        pods: { total: pods.length, ready: pods.filter((pod) => kubelet.attached().has(`${pod.namespace}/${pod.name}`) || (nodeOf(pod) !== undefined && !wantsPod(pod))).length },
        services: { total: services.length, reachable: reach === false ? null : await reachableServices() }, head: log.head(), cniAddMs: kubelet.addMs(),
      };
    }
    case 'down': {
      setImmediate(() => { void down(); });
      return {};
    }
    default: throw new SeineError('SEINE_QUERY_UNKNOWN', `${op}: no such order`);
  }
};

const server = await serveUnix(places.socket, handle);
const down = async (): Promise<void> => {
  note('going down');
  stopping.abort();
  await processes.stop(['watcher', 'policy-compiler', 'service-compiler', 'ipam', 'identity-allocator', 'observer', 'datapath-writer', 'loader', 'pods', 'nats-server']);
  await server.close();
  await takeDown(places);
  process.exit(0);
};
process.on('SIGTERM', () => { void down(); });
process.on('SIGINT', () => { void down(); });
note(`lab ${places.lab} is up`);
