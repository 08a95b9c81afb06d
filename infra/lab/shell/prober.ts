/**
 * Real packets for each probe: allow = it arrived in the destination's namespace, counted by a packet socket whether or not anybody
 * listens; deny = nothing arrived and a drop sample of this very flow; neither within a second = unexplained.
 */
import { familyOf, formatEnd, parseRuleName, PROTOCOL, SeineError, type IpFamily } from '@seine/model';
import type { Flow, PersistentUnix, PolicyRef, RuleRef } from '@seine/node';
import { isObject, member, type KubeObject } from '@seine/objects';

import { EXTERNAL_ADDRESSES, familyOfEnds, isHostNetwork, nodeOf, podAddresses, resolveParty, type Party } from '../core/index.ts';
import type { Outcome, Sent } from '../pod-host.ts';
import type { LabLog } from './log.ts';

export interface Probe {
  readonly from: string; readonly to: string; readonly protocol?: string; readonly port?: number;
  /** `overMtu`: an echo of the route's MTU and this many bytes, not to be fragmented. */
  readonly icmp?: { readonly type: number; readonly code: number; readonly overMtu?: number };
  /** TCP: asks for this once connected. */
  readonly http?: { readonly method: string; readonly path: string };
  readonly want?: 'allow' | 'deny'; readonly family?: IpFamily;
}
export interface ProbeResult extends Probe {
  readonly got: 'allow' | 'deny' | 'error';
  readonly ok: boolean;
  readonly direction: 'ingress' | 'egress' | null;
  readonly reason: { readonly code: number; readonly name: string } | null;
  readonly rule: RuleRef | null;
  /** Whose isolation denied it, where no rule did. */
  readonly isolatedBy: readonly PolicyRef[];
  /** It passed, but policies under audit would have denied it. */
  readonly audit: boolean;
  readonly connected: boolean | null;
  readonly unexplained: boolean;
  readonly message?: string;
  readonly evidence: { readonly engine: 'kernel'; readonly sent: number; readonly arrived: number; readonly replied: number; readonly drops: number; readonly source: string; readonly destination: string; readonly node: string; readonly seq: number; readonly status?: number; readonly bytes?: number };
}
export interface ProbeReport { readonly probes: readonly ProbeResult[]; readonly total: number; readonly ok: number; readonly mismatched: number; readonly unexplained: number; readonly ms: number }

const PATIENCE_MS = 1_000;
/** After a drop sample: time for a packet that another path might have let through. */
const AFTER_DROP_MS = 15;
const CONNECT_PATIENCE_MS = 300;
const LOOK_EVERY_MS = 4;
const VERDICT_PATIENCE_MS = 250;
const AT_ONCE = 64;
const ECHO_TYPES: ReadonlySet<number> = new Set([8, 128]);
/** A server's process looks for datagrams now and then; where nobody serves none will come. */
const DATAGRAM_PATIENCE_MS = 100;
/** Drop reason of a frontend that nobody serves. */
const NO_BACKEND = 158;

export interface ProberPorts {
  readonly log: LabLog;
  readonly objects: () => readonly KubeObject[];
  readonly netnsOf: (pod: string) => string | undefined;
  readonly hostOf: (node: string | undefined) => PersistentUnix;
  readonly seqOf: (node: string) => number;
  /** Pods speak to the world with their node's address. */
  readonly isMasqueraded: (family: IpFamily) => boolean;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => { setTimeout(resolve, ms); });

const protocolNumber = (name: string): number => PROTOCOL[name as keyof typeof PROTOCOL] ?? 0;
/** A probe's ICMP is that of its family. */
const protocolOf = (name: string, address: string): number => protocolNumber(name === 'ICMP' && familyOf(address) === 6 ? 'ICMPV6' : name);

/** The rule and peer that decided a flow, with the place where they were written. */
const ruleRef = ({ rule, peer, peerField }: Flow, objects: readonly KubeObject[], log: LabLog): RuleRef | null => {
  const name = rule === null ? undefined : parseRuleName(rule);
  if (name === undefined) return null;
  const { kind, namespace, section, index } = name;
  const object = objects.find((candidate) => candidate.kind === kind && candidate.namespace === namespace && candidate.name === name.name);
  const path = `${section}[${index}]`;
  return {
    ...name, peer, peerField, file: object?.place?.file ?? null, line: (peerField === null ? undefined : object?.lines?.[`${path}.${peerField}`]) ?? object?.lines?.[path] ?? object?.place?.line ?? null,
    seq: log.eventOf(`policy ${kind}/${namespace}/${name.name}`)?.seq ?? null,
  };
};

/** Of an allowed packet: what policies under audit would have denied is told first, then the rule of the destination. */
const decisiveOf = (flows: readonly Flow[]): Flow | undefined => {
  const rank = ({ verdict, direction }: Flow): number => (verdict === 'AUDIT' ? 0 : 2) + (direction === 'ingress' ? 0 : 1);
  return flows.filter(({ verdict, rule }) => verdict === 'AUDIT' || (verdict === 'FORWARDED' && rule !== null)).sort((a, b) => rank(a) - rank(b))[0];
};

const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value as readonly unknown[] : []); // Array.isArray says any[]
const portsOf = (owner: unknown): readonly unknown[] => (isObject(owner) ? listOf(member(owner, 'ports')) : []);

/** Some Service's node port, or some pod's host port: who asks there is answered from elsewhere, and may be somebody else when it arrives. */
const isPortOfNodes = (objects: readonly KubeObject[], protocol: string, port: number): boolean => {
  const asks = (name: string) => (each: unknown): boolean => isObject(each) && member(each, name) === port && (member(each, 'protocol') ?? 'TCP') === protocol;
  return objects.some(({ kind, raw: { spec } }) => (kind === 'Service' ? portsOf(spec).some(asks('nodePort')) :
    kind === 'Pod' && isObject(spec) && ['containers', 'initContainers'].some((list) => listOf(member(spec, list)).flatMap(portsOf).some(asks('hostPort')))));
};

const policyRef = (key: string): PolicyRef => {
  const [kind, namespace, ...name] = key.split('/') as [string, string, ...string[]]; // a policy key
  return { kind, namespace, name: name.join('/') };
};

export const createProber = (ports: ProberPorts) => {
  /* An echo's id stands for both ports: with one id, an echo and one that comes back at the same time would be one flow. */
  let icmpId = 0;
  const nextIcmpId = (): number => (icmpId = (icmpId % 0xffff) + 1);

  /** Where packets for this end may arrive: host, namespace or null for the host's own, and the address that they then have. */
  const arrivalPlaces = (party: Party, objects: readonly KubeObject[]): readonly (readonly [string | undefined, string | null, string])[] => {
    switch (party.type) {
      case 'pod': return [[party.node, ports.netnsOf(party.name) ?? null, party.address]];
      case 'node': return [[party.name.slice(5), null, party.address]];
      case 'external': return [[undefined, null, party.address]];
      case 'service': {
        const label = (slice: KubeObject): unknown => (slice.raw['metadata'] as { readonly labels?: Record<string, unknown> } | undefined)?.labels?.['kubernetes.io/service-name'];
        const slices = objects.filter((object) => object.kind === 'EndpointSlice' && object.namespace === party.service.namespace && label(object) === party.service.name);
        const addresses = slices.flatMap((slice) => (slice.raw['endpoints'] as readonly { readonly addresses: readonly string[] }[]).flatMap((endpoint) => endpoint.addresses));
        const own = new Set(objects.filter(({ kind }) => kind === 'Pod').flatMap(podAddresses));
        const outside = addresses.filter((address) => !own.has(address)).map((address) => [undefined, null, address] as const);
        const pods = objects.filter((object) => object.kind === 'Pod').flatMap((pod) => {
          const netns = ports.netnsOf(`${pod.namespace}/${pod.name}`);
          return netns === undefined && !isHostNetwork(pod) ? [] : podAddresses(pod).filter((address) => addresses.includes(address)).map((address) => [nodeOf(pod), netns ?? null, address] as const);
        });
        return [...pods, ...outside];
      }
    }
  };

  /** A pod that is not attached has no namespace to send from or to look into. */
  const running = (party: Party): Party => {
    if (party.type === 'pod' && !isHostNetwork(party.pod) && ports.netnsOf(party.name) === undefined) throw new SeineError('SEINE_INPUT_INVALID', `${party.name}: expected a pod that runs on a node of the lab`);
    if (party.type === 'pod') ports.hostOf(party.node);
    if (party.type === 'node') ports.hostOf(party.name.slice(5));
    return party;
  };

  const failed = (probe: Probe, error: SeineError): ProbeResult => ({
    ...probe, got: 'error', ok: false, direction: null, reason: null, rule: null, isolatedBy: [], audit: false, connected: null, unexplained: false, message: error.message,
    evidence: { engine: 'kernel', sent: 0, arrived: 0, replied: 0, drops: 0, source: '', destination: '', node: '', seq: ports.log.head() },
  });

  const probeAll = async (probes: readonly Probe[]): Promise<ProbeReport> => {
    const startMs = performance.now();
    const objects = ports.objects();
    const prepared = probes.map((probe) => {
      try {
        const family = familyOfEnds(probe, objects);
        return { probe, from: running(resolveParty(probe.from, objects, family)), to: running(resolveParty(probe.to, objects, family)) };
      } catch (error) {
        return { probe, error: error as SeineError };
      }
    });

    /* One packet socket for each namespace that a packet may arrive in. */
    const places = new Map<string | undefined, Set<string | null>>();
    for (const item of prepared) {
      if (!('to' in item)) continue;
      for (const [host, netns] of arrivalPlaces(item.to, objects)) places.set(host, (places.get(host) ?? new Set()).add(netns));
    }
    const watches = await Promise.all([...places].map(async ([host, netns]) => ({ host, netns: [...netns], id: (await ports.hostOf(host).call<{ readonly id: number }>('watch', { netns: [...netns] })).id })));
    const arrivals = new Map<string, number>();
    const look = async (): Promise<void> => {
      await Promise.all(watches.map(async ({ host, netns, id }) => {
        for (const [key, count] of await ports.hostOf(host).call<readonly (readonly [string, number])[]>('arrivals', { id })) {
          const blank = key.indexOf(' ');
          arrivals.set(`${host} ${netns[Number(key.slice(0, blank))]} ${key.slice(blank + 1)}`, count);
        }
      }));
    };
    const flows = new Map<string, Flow[]>();
    const stopFlows = ports.log.onFlow((flow) => {
      for (const { address, port } of [flow.source, flow.destination]) {
        const key = `${protocolNumber(flow.protocol)}/${address}${flow.icmp === null ? ':' : '#'}${flow.icmp === null ? port : flow.source.port}`;
        flows.set(key, [...flows.get(key) ?? [], flow]);
      }
    });
    let looking = true;
    const looker = (async () => { while (looking) { await look(); await pause(LOOK_EVERY_MS); } })();

    const one = async ({ probe, from, to }: { readonly probe: Probe; readonly from: Party; readonly to: Party }): Promise<ProbeResult> => {
      const protocol = probe.protocol ?? 'TCP';
      const host = from.type === 'pod' ? from.node : from.type === 'node' ? from.name.slice(5) : undefined;
      const port = probe.port ?? 0;
      const node = to.type === 'pod' ? to.node : from.type === 'pod' ? from.node : to.type === 'node' ? to.name.slice(5) : host ?? '';
      const sent = await ports.hostOf(host).call<Sent>('send', {
        ...(from.type === 'pod' ? { netns: ports.netnsOf(from.name) } : {}), source: from.address, foreign: from.type === 'external' && from.address !== EXTERNAL_ADDRESSES[familyOf(from.address)],
        destination: to.address, port, protocol, ...(protocol === 'ICMP' ? { icmpId: nextIcmpId() } : {}), ...(probe.icmp === undefined ? {} : { icmp: probe.icmp }), ...(probe.http === undefined ? {} : { http: probe.http }),
      });
      const key = `${protocolOf(protocol, from.address)}/${from.address}${protocol === 'ICMP' ? '#' : ':'}${sent.sourcePort}`;
      const ends = arrivalPlaces(to, objects).map(([place, netns, address]) => `${place} ${netns} ${key}>${address}`);
      /*
       * Sources may be translated on the way to a node port's backend, to whom somebody outside speaks by a Service, and from a pod to the world: no arrival can be
       * told from others there. The answer is the arrival.
       */
      const masqueraded = from.type === 'pod' && !isHostNetwork(from.pod) && to.type === 'external' && ports.isMasqueraded(familyOf(to.address));
      const byAnswer = protocol === 'TCP' && ((to.type === 'node' && isPortOfNodes(objects, protocol, port)) || (to.type === 'service' && from.type === 'external'));
      let answered = 0;
      const arrivedAt = (): number => (byAnswer || answered > 0 ? answered : ends.reduce((sum, end) => sum + (arrivals.get(end) ?? 0), 0));
      const startedMs = performance.now();
      let droppedMs: number | undefined;
      let refused = sent.error;
      /* A socket that is refused has no address yet: what is told then is the frontend alone. */
      const refusedAt = (): readonly Flow[] => (refused === 'ECONNREFUSED' ? (flows.get(`${protocolOf(protocol, to.address)}/${to.address}:${port}`) ?? []).filter(({ reason }) => reason?.code === NO_BACKEND) : []);
      const dropsOf = (): readonly Flow[] => [
        ...(flows.get(key) ?? []).filter(({ verdict, source, destination }) => verdict === 'DROPPED' && (source.address === from.address || destination.address === from.address)), ...refusedAt(),
      ];
      for (;;) {
        if (byAnswer || masqueraded) {
          const { connected, replied, refused: said } = await ports.hostOf(host).call<Outcome>('outcome', { id: sent.id });
          if (connected === true || replied > 0 || (masqueraded && said === 'ECONNREFUSED')) answered = 1;
        }
        if (arrivedAt() > 0) break;
        const now = performance.now();
        if (dropsOf().length > 0) droppedMs ??= now;
        if (droppedMs !== undefined && now - droppedMs > AFTER_DROP_MS) break;
        if (now - startedMs > PATIENCE_MS) break;
        if (refused !== null && refused !== 'ECONNREFUSED' && now - startedMs > AFTER_DROP_MS * 3) break;
        await pause(LOOK_EVERY_MS);
      }
      const arrived = arrivedAt();
      let outcome: Outcome = { connected: null, refused: null, replied: 0, status: null };
      if (arrived > 0 && protocol !== 'SCTP') {
        const answers = protocol !== 'ICMP' || probe.icmp === undefined || ECHO_TYPES.has(probe.icmp.type);
        const until = performance.now() + (protocol === 'UDP' ? DATAGRAM_PATIENCE_MS : CONNECT_PATIENCE_MS);
        do {
          outcome = await ports.hostOf(host).call<Outcome>('outcome', { id: sent.id });
          if (outcome.refused !== null || (probe.http === undefined ? outcome.replied > 0 : outcome.status !== null)) break;
          await pause(LOOK_EVERY_MS);
        } while (performance.now() < until && answers);
      }
      /* The destination's node may tell its verdict a moment after the packet has arrived. */
      const toldBy = performance.now() + VERDICT_PATIENCE_MS;
      while (arrived > 0 && to.type !== 'external' && to.type !== 'node' && performance.now() < toldBy && !(flows.get(key) ?? []).some(({ direction }) => direction === 'ingress')) await pause(LOOK_EVERY_MS);
      await ports.hostOf(host).call('done', { id: sent.id });
      refused ??= outcome.refused;
      const drops = dropsOf();
      const got = arrived > 0 ? 'allow' : 'deny';
      const decisive = got === 'deny' ? drops[0] : decisiveOf(flows.get(key) ?? []);
      const destination = (flows.get(key) ?? []).find(({ source }) => source.address === from.address)?.destination;
      return {
        ...probe, protocol, got, ok: probe.want === undefined || probe.want === got, direction: decisive?.direction ?? null, reason: got === 'deny' ? drops[0]?.reason ?? null : null,
        rule: decisive === undefined ? null : ruleRef(decisive, objects, ports.log), isolatedBy: (decisive?.isolatedBy ?? []).map(policyRef), audit: decisive?.verdict === 'AUDIT', connected: protocol === 'TCP' ? outcome.connected === true : null,
        unexplained: got === 'deny' && drops.length === 0,
        ...(refused === null ? {} : { message: `the socket said ${refused}` }),
        evidence: {
          engine: 'kernel', sent: 1, arrived, replied: outcome.replied, drops: drops.length, source: formatEnd(from.address, sent.sourcePort),
          destination: destination === undefined ? formatEnd(to.address, port) : formatEnd(destination.address, destination.port), node, seq: ports.seqOf(node),
          ...(outcome.status === null ? {} : { status: outcome.status }), ...(sent.bytes === null ? {} : { bytes: sent.bytes }),
        },
      };
    };

    const results: ProbeResult[] = new Array<ProbeResult>(prepared.length);
    const queue = prepared.map((item, index) => ({ item, index }));
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, queue.length) }, async () => {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        const { item, index } = next;
        try {
          results[index] = 'error' in item ? failed(item.probe, item.error) : await one(item);
        } catch (error) {
          results[index] = failed(item.probe, error as SeineError);
        }
      }
    }));
    looking = false;
    await looker;
    stopFlows();
    await Promise.all(watches.map(({ host, id }) => ports.hostOf(host).call('unwatch', { id })));
    return {
      probes: results, total: results.length, ok: results.filter(({ ok }) => ok).length, mismatched: results.filter(({ ok }) => !ok).length,
      unexplained: results.filter(({ unexplained }) => unexplained).length, ms: Math.round(performance.now() - startMs),
    };
  };
  return { probeAll };
};
