/** A Service's frontends and backends → rows. Each Service's rows depend on that Service and its slices alone. Pure. */
import type { CompiledBackends, CompiledService } from '@seine/events';
import { echoOf, MAPS } from '@seine/layout';
import { compareCodeUnits, familyOf, PROTOCOL } from '@seine/model';

import type { DesiredRow } from './desired.ts';
import type { NodeState } from './fold.ts';
import { numberFor, type Tables } from './policy/index.ts';

/**
 * Frontends point at a numbered, immutable set of slots: a change is a new set and one switched word.
 * @param slices of this Service, in the order of their names
 */
export const serviceRows = (service: CompiledService, slices: readonly CompiledBackends[], tables: Tables): readonly DesiredRow[] => {
  const rows: DesiredRow[] = [];
  const placed = new Set<number>();
  const all = slices.flatMap(({ backends }) => backends);
  for (const frontend of service.frontends) {
    const offered = all.filter(({ address, portName, protocol }) => portName === frontend.portName && protocol === frontend.protocol && familyOf(address) === familyOf(frontend.address));
    const active = offered.filter(({ state }) => state === 'active');
    const serving = active.length > 0 ? active : offered.filter(({ state }) => state === 'terminating');
    const key = { address: frontend.address, port: frontend.port, protocol: PROTOCOL[frontend.protocol] };
    const slots = numberFor(tables.slots, `${frontend.address}/${frontend.port}/${frontend.protocol} ${serving.map(({ id }) => id).join(',')}`);
    rows.push({ map: 'sn_frontend_01', key, value: { slots, echo: echoOf(MAPS.sn_frontend_01.key, key), count: serving.length, revnat: frontend.id } });
    serving.forEach(({ id, address, port, protocol }, index) => {
      rows.push({ map: 'sn_slot_01', key: { slots, index }, value: { value: id } });
      if (placed.has(id)) return;
      placed.add(id);
      rows.push({ map: 'sn_backend_01', key: { value: id }, value: { address, port, protocol: PROTOCOL[protocol] } });
    });
  }
  return rows;
};

/** Every Service's rows, in the order of their names. */
export const servicesRows = (state: Readonly<NodeState>, tables: Tables): readonly DesiredRow[] => {
  const slices = new Map<string, CompiledBackends[]>();
  for (const [, slice] of [...state.slices].sort(([a], [b]) => compareCodeUnits(a, b))) {
    const others = slices.get(slice.service);
    if (others === undefined) slices.set(slice.service, [slice]);
    else others.push(slice);
  }
  return [...state.services].sort(([a], [b]) => compareCodeUnits(a, b)).flatMap(([name, service]) => serviceRows(service, slices.get(name) ?? [], tables));
};
