/**
 * The node's mind.
 *
 *   log ──► fold ──► rows ──► ordered steps ──► loader ──► kernel
 *   CNI ──► local table ──┘                        └── dump ──► verify, repair
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

import { appliedSubject, type Bus, type LanePosition, type Position } from '@seine/bus';
import type { Lane } from '@seine/events';
import { familyOf, isSeineError, SeineError } from '@seine/model';
import {
  NO_INTERFACE, type Abandoned, type Applied, type Attachment, type CanonicalEntry, type CniRequest, type DumpReport, type FlowQuestion, type Flows, type Handler, type Hello, type LocalEndpoint, type NodeStatus, type NodeVerify,
  type PersistentUnix, type Plumbed, type PlumbOrder,
} from '@seine/node';
import { withSpan, type Logger, type MetricDefinitions, type Metrics } from '@seine/role';

import {
  attributor, canonicalEntries, CNI_ERROR, cniError, cniResult, differences, emptyNodeState, evolveNode, flowsByFrontend, healthChecks, HOST_MAC, hostInterfaceName, nextAddresses, originOf,
  parseCni, podMac, rawEntries, stepText, type CniCall, type LocalNames, type Ordered,
} from '../core/index.ts';
import { packSteps } from './pack.ts';
import { createRealizer } from './realizer.ts';
import type { NodeHealth } from './health-ports.ts';
import type { Store } from './store.ts';

export const WRITER_METRICS = {
  writes: { type: 'counter', name: 'rows_written_total', help: 'Rows written or deleted.' },
  changed: { type: 'counter', name: 'batches_total', help: 'Batches sent to the loader.' },
  drift: { type: 'counter', name: 'drift_entries_total', help: 'Differences found between the kernel and the log.' },
  endpoints: { type: 'gauge', name: 'endpoint_entries', help: 'Pods attached to this node.' },
  flows: { type: 'counter', name: 'service_flows_total', help: 'Flows for which this node drew a backend, by frontend; before policy is asked. Beyond 1,000 frontends together.' },
  lag: { type: 'histogram', name: 'apply_seconds', help: 'From a batch of events to its rows in the kernel.' },
} as const satisfies MetricDefinitions;

/** How long an ADD waits for its pod's identity, which is normally there since scheduling. */
export const IDENTITY_PATIENCE_MS = 5_000;
const RETRY_MS = 200;
/** Counts of frontends that are gone are looked for this long after one went, however many go meanwhile. */
const FORGET_AFTER_MS = 60_000;
/** How long a dump waits for what this node did to be in the log: only then a replay can know it. */
const SETTLE_PATIENCE_MS = 3_000;
/** How long the log is waited for at start; with a fold on disk pods are answered from it soon. */
const LOG_PATIENCE_MS = 120_000;
const FOLD_PATIENCE_MS = 5_000;
/** The fold is kept at most so often, and takes at most one part in so many of the time. */
const FOLD_EVERY_MS = 5_000;
const FOLD_SHARE = 50;
const REPORT_EVERY_MS = 1_000;
/** Drift is looked for at most so often, and takes at most one part in so many of the time. */
const DRIFT_EVERY_MS = 2_000;
const DRIFT_SHARE = 20;
const LANES = ['fact', 'identity', 'ipam', 'policy', 'service'] as const satisfies readonly Lane[];

const digestOf = (entries: readonly CanonicalEntry[]): string => {
  const hash = createHash('sha256');
  for (const { map, key, value } of entries) hash.update(`${map} ${key} ${value}\n`);
  return hash.digest('hex');
};

/** How long rows may be on their way before the node is called unwell. */
const BEHIND_PATIENCE_MS = 5_000;

export interface WriterPorts {
  readonly node: string;
  readonly cluster: string;
  /** Rejects SEINE_BUS_UNAVAILABLE, SEINE_LOG_MISSING while there is none. */
  readonly connectBus: () => Promise<Bus>;
  readonly loader: PersistentUnix;
  readonly store: Store;
  readonly log: Logger;
  readonly metrics: Metrics<typeof WRITER_METRICS>;
  readonly mtu: number;
  readonly repair: boolean;
  readonly identityPatienceMs: number;
  /** Each row that is written becomes a line of level debug. */
  readonly traceRows: boolean;
}

export const createWriter = (ports: WriterPorts) => {
  const { node, loader, store, log, metrics } = ports;
  /** What was folded before this process; where the log goes on from. */
  const kept = store.readFold(node);
  const state = kept?.state ?? emptyNodeState();
  const lanes: Partial<Record<Lane, LanePosition>> = { ...kept?.position.lanes };
  let bus: Bus | undefined;
  const tables = store.readTables();
  const table = store.readTable();
  const local = new Map(table.endpoints.map((endpoint) => [endpoint.containerId, endpoint]));
  let { lastAddresses } = table;
  const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();

  let complete = kept?.position.seq ?? 0;
  let keptSeq = complete;
  let keepAfterMs = 0;
  let inSync = false;
  let trusted = true;
  let appliedSeq = 0;
  let lastUpdatedMs = 0;
  let behindSinceMs: number | undefined;
  const realizer = createRealizer({ node, loader, store, log }, state, tables);
  let repairs = 0;
  /** How often the kernel was written, and whether it is being written: what is read meanwhile is neither old nor new. */
  let changes = 0;
  let changing = false;
  let reported = '';
  let traceparent: string | undefined;
  /** Who decided what, as the log stands; made anew when it has gone on. */
  let attribute: ReturnType<typeof attributor> | undefined;
  const waiters = new Set<() => void>();
  const wake = (): void => { for (const waiter of waiters) waiter(); };

  /** Everything that touches rows is one after the other. */
  let turn: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const done = turn.then(work);
    turn = done.catch(() => {});
    return done;
  };

  const endpoints = (): readonly LocalEndpoint[] => [...local.values()];
  const names = (): LocalNames => {
    const byIndex = new Map(endpoints().map(({ ifindex, hostInterface }) => [ifindex, hostInterface]));
    return { tables, interfaceName: (ifindex) => byIndex.get(ifindex) };
  };

  /** Whether backends may have left connected sockets behind: they went, or went while this process was away. */
  let abandoned = true;
  let looking = false;
  /** One pass at a time: it walks the sockets of every pod, and what goes meanwhile is one pass more, however many changes it was. */
  const destroyAbandoned = (): void => {
    if (looking) return;
    looking = true;
    abandoned = false;
    loader.call<Abandoned>('abandoned', { netns: endpoints().map(({ netns }) => netns) }).then(() => {
      looking = false;
      if (abandoned) destroyAbandoned();
    }, (error: unknown) => {
      looking = false;
      abandoned = true;
      log.warn('sockets of gone backends could not be looked for; with the next change again', { error: (error as Error).message });
    });
  };

  /** Into the metrics. Of a log that is not wholly read nobody can say whose ids are nobody's. */
  const countFlows = async (): Promise<void> => {
    const { flows } = await loader.call<Flows>('flows', {});
    const { counted, gone } = flowsByFrontend(state, flows);
    metrics.flows.replace(counted);
    if (gone.length > 0 && inSync && trusted) await loader.call('forgetFlows', { ids: gone });
  };
  let forgetting: NodeJS.Timeout | undefined;
  const forgetFlowsSoon = (): void => {
    forgetting ??= setTimeout(() => {
      forgetting = undefined;
      countFlows().catch((error: unknown) => { log.warn('counts of gone frontends could not be taken away; when the next one goes again', { error: (error as Error).message }); });
    }, FORGET_AFTER_MS).unref();
  };

  /** One pass: fold → rows → steps → kernel. A fold that is not in sync adds what new pods need, and no more. */
  const bringAbout = async (): Promise<void> => {
    const startMs = performance.now();
    const seq = complete;
    const apply = async ({ steps, writes }: Ordered): Promise<void> => {
      if (steps.length === 0 && seq === appliedSeq) return;
      await withSpan('apply', { traceparent, attributes: { node, seq, writes } }, async (parent) => {
        await loader.call<Applied>('apply', { seq, steps: packSteps(steps), traceparent: parent });
      });
      abandoned ||= steps.some((step) => step.step === 'delete' && step.map === 'sn_backend_01');
      if (abandoned && inSync) destroyAbandoned();
      if (steps.some((step) => step.step === 'delete' && step.map === 'sn_frontend_02')) forgetFlowsSoon();
      if (writes > 0) {
        if (ports.traceRows) for (const step of steps) for (const line of stepText(step)) log.debug(line);
        log.info('applied', { seq, rows: writes, ms: Math.round(performance.now() - startMs), ...(traceparent === undefined ? {} : { traceparent }) });
        metrics.writes.add(writes);
        metrics.changed.add();
        metrics.lag.observe((performance.now() - startMs) / 1000);
      }
      traceparent = undefined;
      appliedSeq = seq;
      lastUpdatedMs = Date.now();
      bus?.publish(appliedSubject(ports.cluster, node), { node, seq, rows: writes, timeMs: Date.now() });
    };
    if (inSync) await realizer.bringAbout(local.values(), apply);
    else await realizer.addMissing(endpoints(), apply);
    metrics.endpoints.set(local.size);
    wake();
  };

  const reconcile = async (): Promise<void> => {
    changes += 1;
    changing = true;
    try {
      await bringAbout();
    } finally {
      changing = false;
    }
  };

  let pending: Promise<void> | undefined;
  /** Resolves when a pass that began after the call is done; calls that come together share one. */
  const reconciled = (): Promise<void> => (pending ??= inTurn(async () => {
    pending = undefined;
    if (inSync) await reconcile(); // never delete before; a log that is not trusted says nothing more: what changes then is local
  }));
  /** Resolves when this node's pods have what they need, from the log or from the fold. */
  const enforced = (): Promise<void> => (inSync ? reconciled() : inTurn(reconcile));
  const retry = (signal: AbortSignal) => (error: unknown): void => {
    if (signal.aborted) return;
    log.warn('rows could not be written; trying again', { error: (error as Error).message });
    setTimeout(() => { if (!signal.aborted) reconciled().catch(retry(signal)); }, RETRY_MS);
  };

  /** Are the log's endpoints of this node those of its table? */
  const logShowsTable = (): boolean => {
    const shown = [...state.endpoints.values()].filter((endpoint) => endpoint.node === node).length;
    return shown === local.size && endpoints().every(({ pod, uid, containerId }) => {
      const known = state.endpoints.get(pod);
      return known?.uid === uid && known.containerId === containerId;
    });
  };
  /** The whole state, sent again until the log shows it. */
  const report = async (): Promise<void> => {
    const body = {
      node, bootId, complete: appliedSeq, build: '0.1.0',
      endpoints: endpoints().map(({ pod, uid, addresses, endpointId, hostInterface, containerId }) => ({ pod, uid, node, addresses, endpointId, hostInterface, containerId })),
      identities: [...new Set(endpoints().flatMap(({ pod }) => state.podIdentities.get(pod)?.identity ?? []))],
    };
    const text = JSON.stringify(body);
    if (text === reported && logShowsTable()) return;
    if (bus === undefined) throw new SeineError('SEINE_BUS_UNAVAILABLE', 'not connected yet');
    await bus.report(node, body);
    reported = text;
  };
  const reportSoon = (): void => { report().catch((error: unknown) => { log.debug('report not sent yet', { error: String(error) }); }); };

  const saveTable = (): void => { store.writeTable({ endpoints: endpoints(), lastAddresses }); };

  /** Resolves when `holds` does; @throws what `late` makes after `patienceMs` */
  const waitFor = (holds: () => boolean, patienceMs: number, late: () => SeineError): Promise<void> => new Promise((resolve, reject) => {
    const done = (): void => { clearTimeout(timer); waiters.delete(check); };
    const check = (): void => { if (holds()) { done(); resolve(); } };
    const timer = setTimeout(() => { done(); reject(late()); }, patienceMs);
    waiters.add(check);
    check();
  });

  const freeEndpointId = (): number => {
    const used = new Set(endpoints().map(({ endpointId }) => endpointId));
    for (let id = 1; id <= 0xffff; id += 1) if (!used.has(id)) return id;
    throw cniError(CNI_ERROR.tryAgain, 'all 65535 endpoint ids of this node are in use');
  };

  /** Requests for one container, and for one pod, are one after the other; pods are attached side by side. */
  const lines = new Map<string, Promise<unknown>>();
  const inLine = <T>(name: string, work: () => Promise<T>): Promise<T> => {
    const done = (lines.get(name) ?? Promise.resolve()).then(work);
    const settled: Promise<void> = done.then(() => {}, () => {}).then(() => { if (lines.get(name) === settled) lines.delete(name); });
    lines.set(name, settled);
    return done;
  };

  /** Is there a state to attach pods by: the log's, or the last that was kept? */
  const knows = (): boolean => inSync || kept !== undefined;

  const reservedAddresses = new Set<string>();
  /** One of each family that the node has blocks of. */
  const takeAddresses = (call: CniCall): readonly string[] => {
    const used = new Set([...endpoints().flatMap(({ addresses }) => addresses), ...reservedAddresses]);
    const blocks = state.podCidrs.get(node) ?? [];
    for (const address of call.addresses) {
      const owner = endpoints().find(({ addresses }) => addresses.includes(address));
      if (owner !== undefined || used.has(address)) throw cniError(CNI_ERROR.tryAgain, `CNI_ARGS IP: ${address}: expected an address that ${owner?.pod ?? 'another pod'} does not have`);
      if (blocks.length > 0 && !blocks.some((block) => familyOf(block) === familyOf(address))) throw cniError(CNI_ERROR.badEnvironment, `CNI_ARGS IP: ${address}: expected an address of a family that node ${node} has: its blocks are ${blocks.join(', ')}`);
    }
    if (blocks.length === 0) throw cniError(CNI_ERROR.tryAgain, `node ${node} has no block of pod addresses yet`);
    const addresses = nextAddresses({ blocks, used, last: lastAddresses, asked: call.addresses }).flatMap((address) => address ?? []);
    const full = blocks.filter((block) => !addresses.some((address) => familyOf(address) === familyOf(block)));
    if (full.length > 0) throw cniError(CNI_ERROR.tryAgain, `every address of ${full.join(', ')} is in use`);
    lastAddresses = addresses.filter((address) => !call.addresses.includes(address)).concat(lastAddresses.filter((last) => call.addresses.some((address) => familyOf(address) === familyOf(last))));
    return addresses;
  };

  const plumbOrder = ({ netns, podInterface, hostInterface, addresses }: Pick<LocalEndpoint, 'netns' | 'podInterface' | 'hostInterface' | 'addresses'>): PlumbOrder =>
    ({ netns, podInterface, hostInterface, addresses, podMac: podMac(addresses), mtu: ports.mtu });

  const resultOf = (endpoint: LocalEndpoint, version: string): unknown => cniResult({
    version, hostInterface: endpoint.hostInterface, hostMac: HOST_MAC, podInterface: endpoint.podInterface, podMac: podMac(endpoint.addresses), netns: endpoint.netns,
    addresses: endpoint.addresses, mtu: ports.mtu,
  });

  /** What fails half-way stays in the table, so that the next DEL goes on. */
  const remove = async (endpoint: LocalEndpoint): Promise<void> => {
    local.delete(endpoint.containerId);
    try {
      await reconciled();
      await loader.call('unplumb', { hostInterface: endpoint.hostInterface });
    } catch (error) {
      local.set(endpoint.containerId, endpoint);
      throw error;
    }
    saveTable();
    reportSoon();
  };

  const add = async (call: CniCall): Promise<unknown> => {
    const former = local.get(call.containerId);
    if (former !== undefined) {
      if (former.pod === call.pod && former.uid === call.uid) return resultOf(former, call.version);
      throw cniError(CNI_ERROR.badEnvironment, `CNI_CONTAINERID: ${call.containerId}: expected a container that is not attached; it is ${former.pod}`);
    }
    if (!knows()) throw cniError(CNI_ERROR.tryAgain, `node ${node} has not read the log yet`);
    /* A pod has one sandbox at a time: a new one ends the one before, whose DEL may still be to come. */
    for (const endpoint of endpoints()) if (endpoint.pod === call.pod) await remove(endpoint);
    const addresses = takeAddresses(call);
    for (const address of addresses) reservedAddresses.add(address);
    const hostInterface = hostInterfaceName(call.pod, call.uid);
    const startMs = performance.now();
    const spent: Record<string, number> = {};
    const spend = (what: string): void => { spent[what] = Math.round((performance.now() - startMs) * 10) / 10; };
    try {
      const { ifindex } = await loader.call<Plumbed>('plumb', plumbOrder({ netns: call.netns, podInterface: call.podInterface, hostInterface, addresses }));
      spend('wiredMs');
      try {
        await waitFor(() => state.podIdentities.get(call.pod)?.uid === call.uid, ports.identityPatienceMs,
          () => cniError(CNI_ERROR.tryAgain, `pod ${call.pod} (${call.uid}) has no identity after ${ports.identityPatienceMs / 1000} s: is it scheduled, and does the identity-allocator run?`));
        spend('identifiedMs');
        const endpoint: LocalEndpoint = {
          pod: call.pod, uid: call.uid, containerId: call.containerId, netns: call.netns, podInterface: call.podInterface, hostInterface, ifindex, endpointId: freeEndpointId(), addresses,
        };
        local.set(call.containerId, endpoint);
        try {
          await enforced();
          spend('enforcedMs');
          saveTable();
        } catch (error) {
          local.delete(call.containerId);
          throw error;
        }
        reportSoon();
        spend('doneMs');
        log.info('attached', { pod: call.pod, addresses, ...spent });
        return resultOf(endpoint, call.version);
      } catch (error) {
        await loader.call('unplumb', { hostInterface });
        throw error;
      }
    } finally {
      for (const address of addresses) reservedAddresses.delete(address);
    }
  };


  /** `<code> <base64 of the output>`: what the shim understands without a parser. */
  const cni = async (request: CniRequest): Promise<string> => {
    const answer = (code: number, output: unknown): string => `${code} ${Buffer.from(output === undefined ? '' : `${JSON.stringify(output)}\n`).toString('base64')}`;
    let version = '1.1.0';
    try {
      const call = parseCni(request);
      version = call.version;
      switch (call.command) {
        case 'ADD': return answer(0, await inLine(`container ${call.containerId}`, () => inLine(`pod ${call.pod}`, () => add(call))));
        case 'DEL':
          await inLine(`container ${call.containerId}`, () => inLine(`pod ${local.get(call.containerId)?.pod ?? ''}`, async () => {
            const endpoint = local.get(call.containerId);
            if (endpoint !== undefined) await remove(endpoint);
          }));
          return answer(0, undefined);
        case 'CHECK':
          if (!local.has(call.containerId)) throw cniError(CNI_ERROR.unknownContainer, `CNI_CONTAINERID: ${call.containerId}: expected an attached container`);
          return answer(0, undefined);
        case 'STATUS':
          if (!knows()) throw cniError(CNI_ERROR.notAvailable, `node ${node} has not read the log yet`);
          return answer(0, undefined);
      }
    } catch (error) {
      const code = isSeineError(error, 'SEINE_CNI_REFUSED') ? Number(error.details['cni']) : isSeineError(error, 'SEINE_NETNS_UNKNOWN') ? CNI_ERROR.badEnvironment : CNI_ERROR.tryAgain;
      log.warn('a CNI request was refused', { code, error: (error as Error).message });
      return answer(code, { cniVersion: version, code, msg: (error as Error).message, details: '' });
    }
  };

  const hostInterfaces = () => ({ interfaces: endpoints().map(({ hostInterface }) => hostInterface) });
  const lostAttachments = (): Promise<readonly Attachment[]> => loader.call<readonly Attachment[]>('attachments', hostInterfaces());

  const compare = async (): Promise<NodeVerify> => {
    const have = canonicalEntries(await realizer.dumpKernel(), names());
    const want = canonicalEntries(realizer.rows() ?? new Map(), names());
    const programs = await lostAttachments();
    return { node, seq: appliedSeq, rows: have.length, digestLog: digestOf(want), digestKernel: digestOf(have), differences: differences(want, have, state), programs };
  };

  /** Looks beside the line of changes, so that no pod waits for it; what changed meanwhile is looked at the next time. In words only where something differs. */
  const findDrift = async (): Promise<Pick<NodeVerify, 'differences' | 'programs'> | undefined> => {
    if (!inSync || realizer.rows() === undefined || changing) return undefined;
    const before = changes;
    const programs = await lostAttachments();
    const found = await realizer.differs() ? await compare() : { differences: [], programs };
    return changes === before && found.differences.length + found.programs.length > 0 ? found : undefined;
  };

  /** A wire that somebody deleted is laid again: the pod still has its namespace. In line with the container's own requests, so not in turn. */
  const rewire = async (): Promise<void> => {
    const there = new Set((await loader.call<readonly { readonly name: string }[]>('interfaces')).map(({ name }) => name));
    for (const { containerId, hostInterface } of endpoints()) {
      if (there.has(hostInterface)) continue;
      await inLine(`container ${containerId}`, async () => {
        const endpoint = local.get(containerId);
        if (endpoint === undefined) return;
        try {
          const { ifindex } = await loader.call<Plumbed>('plumb', plumbOrder(endpoint));
          local.set(containerId, { ...endpoint, ifindex });
          saveTable();
        } catch (error) {
          log.warn('a deleted interface could not be wired again', { pod: endpoint.pod, error: (error as Error).message });
        }
      });
    }
  };

  const repairDrift = async ({ differences: rowsFound, programs }: Pick<NodeVerify, 'differences' | 'programs'>): Promise<void> => {
    metrics.drift.add(rowsFound.length + programs.length);
    for (const difference of rowsFound) log.warn('drift: the kernel differs from the log', { ...difference });
    for (const program of programs) log.warn('drift: attachment lost', { ...program });
    if (programs.some(({ have }) => have === NO_INTERFACE)) await rewire();
    await inTurn(async () => {
      if (programs.length > 0) await loader.call('reattach', hostInterfaces());
      if (rowsFound.length > 0) realizer.doubt();
      await reconcile();
    });
    repairs += 1;
  };

  const status = (): NodeStatus => ({ node, seq: appliedSeq, complete, inSync, trusted, endpoints: local.size, repairs, pid: process.pid });

  const settleLate = (): SeineError => new SeineError('SEINE_LOG_BEHIND', `the log does not show the endpoints of ${node} yet`);
  const handle: Handler = async (op, body) => {
    switch (op) {
      case 'cni': return cni(body as CniRequest);
      case 'status': return status();
      case 'wait': {
        const { seq, timeoutMs } = body as { readonly seq: number; readonly timeoutMs: number };
        await waitFor(() => appliedSeq >= seq, timeoutMs, () => new SeineError('SEINE_WAIT_TIMEOUT', `${node} is at #${appliedSeq}, not at #${seq}, after ${timeoutMs} ms`));
        return status();
      }
      case 'endpoints': return endpoints();
      case 'maps': return (await loader.call<Hello>('hello')).maps.map((map) => ({ ...map, rows: realizer.rows()?.get(map.name)?.size ?? 0 }));
      case 'dump':
        await waitFor(() => logShowsTable() && appliedSeq === complete, SETTLE_PATIENCE_MS, settleLate).catch(() => {}); // else as it is
        return inTurn(async (): Promise<DumpReport> => ({ node, seq: appliedSeq, entries: ((body as { readonly raw?: boolean } | null)?.raw === true ? rawEntries : canonicalEntries)(await realizer.dumpKernel(), names()) }));
      case 'verify': return inTurn(compare);
      case 'names': return {
        seq: appliedSeq, rules: [...tables.rule.textOf], identities: [...state.identities], addresses: [...state.addresses].map(([address, { pod }]) => [address, pod]),
        local: endpoints().flatMap(({ addresses, pod }) => addresses.map((address) => [address, pod])), classes: [...tables.cidrClass.textOf],
      };
      case 'attribute': return { seq: appliedSeq, answers: (body as { readonly questions: readonly FlowQuestion[] }).questions.map(attribute ??= attributor(state, node)) };
      case 'origin': return originOf(state, body as CanonicalEntry) ?? null;
      default: throw new SeineError('SEINE_QUERY_UNKNOWN', `${op}: no such query`);
    }
  };

  /** Keeps trying while there is a fold to live by. */
  const connect = async (signal: AbortSignal): Promise<Bus> => {
    for (;;) {
      try {
        return await ports.connectBus();
      } catch (error) {
        if (signal.aborted || kept === undefined || !(isSeineError(error, 'SEINE_BUS_UNAVAILABLE') || isSeineError(error, 'SEINE_LOG_MISSING'))) throw error;
        log.warn('the bus is away: pods are attached by what is known', { seq: complete, error: error.message });
      }
    }
  };

  /** What is folded, beside the tables: written whole, so that a kill at any time leaves the old or the new. */
  const keepFold = (): void => {
    if (bus === undefined || !trusted || complete === keptSeq) return;
    const startMs = performance.now();
    store.writeFold(node, state, { log: bus.logId, seq: complete, lanes: lanes as Position['lanes'] & Readonly<Record<string, LanePosition>> }); // each lane that is there has its position
    keptSeq = complete;
    keepAfterMs = startMs + Math.max(FOLD_EVERY_MS, FOLD_SHARE * (performance.now() - startMs));
  };

  const followLog = async (signal: AbortSignal): Promise<void> => {
    bus = await connect(signal);
    for await (const batch of bus.follow({ lanes: LANES, from: kept?.position ?? 0, signal })) {
      let changed = false;
      for (const item of batch) {
        switch (item.type) {
          case 'commit':
            for (const event of item.commit.events) { evolveNode(state, event, item.commit.seq); realizer.note(event); }
            lanes[item.commit.lane] = { seq: item.commit.seq, laneSeq: item.commit.laneSeq, hash: item.commit.hash };
            attribute = undefined;
            traceparent = item.commit.events.at(-1)?.traceparent ?? traceparent;
            changed = true;
            break;
          case 'complete': changed ||= item.seq !== complete; complete = Math.max(complete, item.seq); break;
          case 'inSync': inSync = true; changed = true; break;
          case 'stale': log.warn('no tick of a lane: nothing changes until it comes back', { lane: item.lane }); break;
          case 'distrusted':
            trusted = false;
            log.error('the log is not trusted: frozen, forwarding goes on', { reason: item.reason, ...(inSync ? {} : { remedy: 'if this log is the right one, remove fold.json in the state directory and restart' }) });
            break;
        }
      }
      if (!changed) continue;
      wake();
      reconciled().catch(retry(signal));
    }
    if (!signal.aborted) await new Promise<void>((resolve) => { signal.addEventListener('abort', () => { resolve(); }, { once: true }); }); // frozen
  };

  let touched = false;
  let wakeBeat = (): void => {};
  const beat = async (signal: AbortSignal): Promise<void> => {
    let dueMs = 0;
    signal.addEventListener('abort', () => { wakeBeat(); }, { once: true });
    while (!signal.aborted) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, touched ? 0 : REPORT_EVERY_MS);
        wakeBeat = () => { clearTimeout(timer); resolve(); };
      });
      reportSoon();
      if (performance.now() >= keepAfterMs) keepFold();
      const startMs = performance.now();
      const due = startMs >= dueMs;
      if (!ports.repair || signal.aborted || !(touched || due)) continue;
      touched = false;
      try {
        const found = due ? await findDrift() : { differences: [], programs: await lostAttachments() };
        if (found !== undefined && found.differences.length + found.programs.length > 0) await repairDrift(found);
      } catch (error) {
        log.warn('drift could not be checked', { error: (error as Error).message });
      }
      if (due) dueMs = performance.now() + Math.max(DRIFT_EVERY_MS, DRIFT_SHARE * (performance.now() - startMs));
    }
  };

  /** Interface indexes are the kernel's: after a reboot or a rename by hand the table's are wrong, and such endpoints are gone. */
  const adoptInterfaces = async (): Promise<void> => {
    const links = new Map((await loader.call<readonly { readonly name: string; readonly index: number }[]>('interfaces')).map(({ name, index }) => [name, index]));
    for (const [id, endpoint] of local) {
      const ifindex = links.get(endpoint.hostInterface);
      if (ifindex === undefined) { log.warn('an endpoint has no interface any more', { pod: endpoint.pod }); local.delete(id); } else local.set(id, { ...endpoint, ifindex });
    }
    saveTable();
  };

  return { handle, followLog, beat, adoptInterfaces, countFlows,
    /** A log that is not trusted, or rows that were not written, are no reason to send more here. */
    health: (): NodeHealth => {
      behindSinceMs = appliedSeq === complete ? undefined : behindSinceMs ?? Date.now();
      const late = behindSinceMs !== undefined && Date.now() - behindSinceMs > BEHIND_PATIENCE_MS;
      return { healthy: inSync && trusted && !late, eligible: state.nodes.get(node)?.leaving === undefined, lastUpdatedMs, checks: healthChecks(state, node) };
    },
    /** Somebody touched an interface of this node: what is attached is looked at now. */
    touched: (): void => { touched = true; wakeBeat(); },
    keepFold,
    /** In sync; or, with a fold, ready to attach pods by it. @throws SEINE_LOG_UNREADABLE */
    waitReady: async (): Promise<void> => {
      try {
        await waitFor(() => inSync && realizer.rows() !== undefined, kept === undefined ? LOG_PATIENCE_MS : FOLD_PATIENCE_MS, () => new SeineError('SEINE_LOG_UNREADABLE', `the log was not read within ${LOG_PATIENCE_MS / 1000} s`));
      } catch (error) {
        if (kept === undefined) throw error;
        log.warn('not in sync yet: pods are attached by what is known', { seq: complete });
      }
    },
  };
};
