/** A node's report × what the watcher knows → endpoint facts. A node is believed only about pods scheduled there and addresses of its own block. Pure. */
import type { EndpointData, FactEvent } from '@seine/events';
import { parseAddress, parsePrefix, prefixContains } from '@seine/model';
import { isObject, member } from '@seine/objects';

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
const MOST_ADDRESSES = 8;
const LONGEST_TEXT = 512;

const isText = (value: unknown): value is string => typeof value === 'string' && value.length <= LONGEST_TEXT;

const parseEndpoint = (node: string, value: unknown): ReportedEndpoint | undefined => {
  if (!isObject(value)) return undefined;
  const [pod, uid, hostInterface, containerId] = ['pod', 'uid', 'hostInterface', 'containerId'].map((name) => member(value, name));
  const [endpointId, addresses] = [member(value, 'endpointId'), member(value, 'addresses')];
  if (!isText(pod) || !isText(uid) || !isText(hostInterface) || !isText(containerId)) return undefined;
  if (typeof endpointId !== 'number' || !Number.isInteger(endpointId) || endpointId < 1 || endpointId > 65535) return undefined;
  if (!Array.isArray(addresses) || addresses.length > MOST_ADDRESSES || !addresses.every((address): address is string => isText(address) && parseAddress(address) !== undefined)) return undefined;
  return { pod, uid, node, hostInterface, containerId, endpointId, addresses };
};

/** @returns undefined when it is no report. One bad entry makes none of it one: what a report leaves out has vanished, so half of one is a lie. */
export const parseReport = (value: unknown): NodeReport | undefined => {
  if (!isObject(value)) return undefined;
  const [node, bootId, complete, listed] = ['node', 'bootId', 'complete', 'endpoints'].map((name) => member(value, name));
  if (!isText(node) || !isText(bootId) || typeof complete !== 'number' || !Number.isSafeInteger(complete) || complete < 0) return undefined;
  if (!Array.isArray(listed) || listed.length > MOST_ENDPOINTS) return undefined;
  const endpoints = listed.map((entry: unknown) => parseEndpoint(node, entry));
  return endpoints.every((endpoint) => endpoint !== undefined) ? { node, bootId, complete, endpoints } : undefined;
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
