/** A node's report × what the watcher knows → endpoint facts. A node is believed only about pods scheduled there and addresses of its own block. Pure. */
import type { EndpointData, FactEvent } from '@seine/events';
import { parseAddress, parsePrefix, prefixContains } from '@seine/model';
import { faults, isObject, listAt, member, objectAt } from '@seine/objects';

import type { Known } from './diff.ts';

export interface ReportedEndpoint extends EndpointData { readonly pod: string }
export interface NodeReport {
  readonly node: string;
  readonly bootId: string;
  /** Log sequence up to which the node has applied everything. */
  readonly complete: number;
  readonly endpoints: readonly ReportedEndpoint[];
}

const MOST_ENDPOINTS = 1024;

/** @returns undefined when it is no report */
export const parseReport = (value: unknown): NodeReport | undefined => {
  const found = faults();
  if (!isObject(value)) return undefined;
  const [node, bootId, complete] = ['node', 'bootId', 'complete'].map((name) => member(value, name));
  const endpoints = (listAt(found, 'endpoints', member(value, 'endpoints')) ?? []).slice(0, MOST_ENDPOINTS).flatMap((item): readonly ReportedEndpoint[] => {
    const entry = objectAt(found, 'endpoints', item);
    const [pod, uid, hostInterface, containerId] = ['pod', 'uid', 'hostInterface', 'containerId'].map((name) => member(entry, name));
    const endpointId = member(entry, 'endpointId');
    const addresses = listAt(found, 'endpoints.addresses', member(entry, 'addresses')) ?? [];
    if (typeof pod !== 'string' || typeof uid !== 'string' || typeof hostInterface !== 'string' || typeof containerId !== 'string') return [];
    if (typeof endpointId !== 'number' || !Number.isInteger(endpointId) || endpointId < 1 || endpointId > 65535) return [];
    return [{ pod, uid, node: String(node), hostInterface, containerId, endpointId, addresses: addresses.filter((address): address is string => typeof address === 'string' && parseAddress(address) !== undefined) }];
  });
  if (typeof node !== 'string' || typeof bootId !== 'string' || typeof complete !== 'number') return undefined;
  return { node, bootId, complete, endpoints };
};

export interface Admitted { readonly facts: readonly FactEvent[]; readonly refused: readonly string[] }

/** @param blocks the node's pod CIDRs, from the ipam lane */
export const admitReport = (known: Known, blocks: readonly string[], report: NodeReport, time: string): Admitted => {
  const facts: FactEvent[] = [];
  const refused: string[] = [];
  const prefixes = blocks.flatMap((block) => parsePrefix(block) ?? []);
  const reported = new Map(report.endpoints.map((endpoint) => [endpoint.pod, endpoint]));
  for (const { pod, ...data } of report.endpoints) {
    const podFact = known.facts.get(`pod/${pod}`);
    if (podFact?.type !== 'pod.observed.v1' || podFact.data.uid !== data.uid || podFact.data.nodeName !== report.node) {
      refused.push(`${report.node} reports pod ${pod} (${data.uid}), which is not scheduled there`);
      continue;
    }
    const own = (address: string): boolean => podFact.data.addresses.includes(address) || prefixes.some((prefix) => prefixContains(prefix, parseAddress(address)!));
    const stray = data.addresses.find((address) => !own(address));
    if (stray !== undefined) { refused.push(`${report.node} reports ${pod} at ${stray}, outside its block ${blocks.join(', ')}`); continue; }
    const former = known.facts.get(`endpoint/${pod}`);
    if (former === undefined || JSON.stringify(former.data) !== JSON.stringify(data)) {
      facts.push({ type: 'endpoint.observed.v1', key: pod, time, ...(podFact.traceparent === undefined ? {} : { traceparent: podFact.traceparent }), data });
    }
  }
  for (const [key, fact] of known.facts) {
    if (!key.startsWith('endpoint/') || fact.type !== 'endpoint.observed.v1' || fact.data.node !== report.node || reported.has(fact.key)) continue;
    facts.push({ type: 'endpoint.vanished.v1', key: fact.key, time, data: { uid: fact.data.uid, node: report.node } });
  }
  return { facts, refused };
};

/** How far a position must have moved before it is worth a fact. */
const POSITION_STEP = 256;

export const positionFact = (known: Known, report: NodeReport, time: string): readonly FactEvent[] => {
  const former = known.facts.get(`nodeposition/${report.node}`);
  if (former?.type === 'nodeposition.observed.v1' && former.data.bootId === report.bootId && report.complete - former.data.complete < POSITION_STEP) return [];
  return [{ type: 'nodeposition.observed.v1', key: report.node, time, data: { complete: report.complete, bootId: report.bootId } }];
};
