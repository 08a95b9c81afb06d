/** Many Services as Kubernetes has them: objects, and what the log says of them. The last of them may really be served. */
import { decideAll, type FactEvent, type SeineEvent } from '@seine/events';
import { SeineError } from '@seine/model';
import { isRefused, toObject } from '@seine/objects';
import { serviceDecider } from '@seine/service-compiler';
import { toFact } from '@seine/watcher';

const TIME = '2026-03-01T12:00:00.000Z';
export const PORT = 80;
export const TARGET_PORT = 8080;
/** So many addresses of a /16 each, the first and the last of each 256 left out. */
const PER_BLOCK = 250;
const addressIn = (first: number, index: number): string => `10.${first + Math.floor(index / (PER_BLOCK * 256))}.${Math.floor(index / PER_BLOCK) % 256}.${(index % PER_BLOCK) + 1}`;

export const serviceAddress = (index: number): string => addressIn(96, index);
/** Every backend is a pod address of its own. @param at which of the Service's endpoints, from 0 */
export const backendAddress = (index: number, at = 0): string => addressIn(128 + 32 * at, index);
/** All of them. */
export const BACKEND_RANGES = ['10.128.0.0/11', '10.160.0.0/11'] as const;

export const serviceObject = (index: number): unknown => ({
  apiVersion: 'v1', kind: 'Service', metadata: { namespace: 'shop', name: `s${index}`, uid: `s${index}` },
  spec: { type: 'ClusterIP', clusterIPs: [serviceAddress(index)], selector: { app: `s${index}` }, ports: [{ port: PORT, targetPort: TARGET_PORT, protocol: 'TCP' }] },
});
/** @param addresses of its endpoints */
export const sliceObject = (index: number, addresses: readonly string[]): unknown => ({
  apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', metadata: { namespace: 'shop', name: `s${index}-x`, uid: `s${index}-x`, labels: { 'kubernetes.io/service-name': `s${index}` } }, addressType: 'IPv4',
  endpoints: addresses.map((address, at) => ({
    addresses: [address], conditions: { ready: true, serving: true, terminating: false }, nodeName: `n${2 + (index % 98)}`, targetRef: { kind: 'Pod', namespace: 'shop', name: `s${index}-6d9f7c-${at}` },
  })),
  ports: [{ name: '', port: TARGET_PORT, protocol: 'TCP' }],
});

/** As the watcher says it. @throws SEINE_BENCH_INCOMPLETE where it would be refused */
export const factOf = (raw: unknown): FactEvent => {
  const object = toObject(raw);
  const fact = isRefused(object) ? undefined : toFact(object, TIME);
  if (fact === undefined || 'refusals' in fact) throw new SeineError('SEINE_BENCH_INCOMPLETE', `${JSON.stringify(raw)} is no fact`);
  return fact.fact;
};

export const backendsOf = (index: number, endpoints: number): readonly string[] => Array.from({ length: endpoints }, (_, at) => backendAddress(index, at));

/** A service-compiler that has decided so many Services, and what it said of them. @param last where the last of them is really served */
export const compileServices = (count: number, endpoints: number, last?: string) => {
  const state = serviceDecider.initialState();
  const decideFact = (fact: SeineEvent): readonly SeineEvent[] => decideAll(serviceDecider, state, [fact]);
  const decide = (raw: unknown): readonly SeineEvent[] => decideFact(factOf(raw));
  const events = Array.from({ length: count }, (_, index) => [...decide(serviceObject(index)), ...decide(sliceObject(index, last !== undefined && index === count - 1 ? [last] : backendsOf(index, endpoints)))]).flat();
  return { events, decide, decideFact };
};
