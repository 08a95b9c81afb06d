/** What programs count by themselves, one value for each CPU: packets by direction and reason, flows by frontend. It goes on while no loader runs. */
import { mapKernel, type MapHandle } from '@seine/kernel';
import { decodeAll, Direction, MAPS, type Row, type StructLayout } from '@seine/layout';
import { dropReasonName } from '@seine/model';
import type { Flows, ForgetFlowsOrder } from '@seine/node';
import type { MetricDefinitions, Metrics } from '@seine/role';

import type { NodeObjects } from './objects.ts';

export const COUNT_METRICS = {
  packets: { type: 'counter', name: 'packets_total', help: 'Packets that a program let on, by direction; also while no loader ran.' },
  drops: { type: 'counter', name: 'dropped_packets_total', help: 'Packets that a program dropped, by direction and reason; also while no loader ran.' },
  carried: { type: 'counter', name: 'xdp_packets_total', help: 'Packets of Services that were carried at XDP, also while no loader ran.' },
} as const satisfies MetricDefinitions;

/** Of sn_metrics_01: no direction, no reason. */
const CARRIED_AT_XDP = 0;
const REASON_BITS = 8;
const reasonOf = (index: number): number => index & ((1 << REASON_BITS) - 1);
const directionName = (index: number): string => ({ [Direction.INGRESS]: 'ingress', [Direction.EGRESS]: 'egress' })[index >> REASON_BITS] ?? 'none';

/** Added up over the CPUs, by the map's number. @param layout of a whole number of 8 bytes: that far apart CPUs' values are */
const countedIn = <const L extends StructLayout>(map: MapHandle, layout: L, valueOf: (row: Row<L>) => bigint): ReadonlyMap<number, number> => {
  const { keys, values, count } = mapKernel.dump(map);
  const rows = decodeAll(layout, values, values.length / layout.size);
  const cpus = count === 0 ? 0 : rows.length / count;
  const numbers = new DataView(keys.buffer, keys.byteOffset, keys.byteLength);
  return new Map(Array.from({ length: count }, (_, index) => [numbers.getUint32(index * 4, true), Number(rows.slice(index * cpus, (index + 1) * cpus).reduce((sum, row) => sum + valueOf(row), 0n))]));
};

export const createCounts = (objects: Pick<NodeObjects, 'map'>, metrics: Metrics<typeof COUNT_METRICS>) => ({
  /** Into the metrics. */
  count: (): void => {
    const counted = [...countedIn(objects.map('sn_metrics_01'), MAPS.sn_metrics_01.value, ({ packets }) => packets)].filter(([, value]) => value > 0);
    const told = counted.filter(([index]) => index !== CARRIED_AT_XDP);
    metrics.carried.replace(counted.filter(([index]) => index === CARRIED_AT_XDP).map(([, value]) => ({ value, labels: {} })));
    metrics.packets.replace(told.filter(([index]) => reasonOf(index) === 0).map(([index, value]) => ({ value, labels: { direction: directionName(index) } })));
    metrics.drops.replace(told.filter(([index]) => reasonOf(index) !== 0).map(([index, value]) => ({ value, labels: { direction: directionName(index), reason: dropReasonName(reasonOf(index)), code: String(reasonOf(index)) } })));
  },
  flows: (): Flows => ({ flows: [...countedIn(objects.map('sn_flows_01'), MAPS.sn_flows_01.value, ({ value }) => value)] }),
  forgetFlows: ({ ids }: ForgetFlowsOrder): void => { mapKernel.deleteBatch(objects.map('sn_flows_01'), new Uint8Array(Uint32Array.from(ids).buffer), ids.length); },
});
