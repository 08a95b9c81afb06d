/** A slice's backends as they are stored, each endpoint once with an id for each port, and as readers want them, one by one. Pure. */
import { SeineError } from '@seine/model';

import type { CompiledBackends, PackedBackends } from './service.ts';

type Backend = CompiledBackends['backends'][number];
type Port = PackedBackends['ports'][number];

const portOf = ({ portName: name, port, protocol }: Backend): Port => ({ name, port, protocol });
const portText = ({ name, port, protocol }: Port): string => `${protocol}/${port}/${name}`;

/** @throws SEINE_EVENT_MALFORMED where not every endpoint has every port: no EndpointSlice says such a thing */
export const packBackends = ({ service, backends }: CompiledBackends): PackedBackends => {
  const ports = new Map<string, Port>();
  const byAddress = new Map<string, Backend[]>();
  for (const backend of backends) {
    const port = portOf(backend);
    ports.set(portText(port), port);
    const others = byAddress.get(backend.address);
    if (others === undefined) byAddress.set(backend.address, [backend]);
    else others.push(backend);
  }
  const names = [...ports.keys()];
  const endpoints = [...byAddress.values()].map((own): PackedBackends['endpoints'][number] => {
    const idOf = new Map(own.map((backend) => [portText(portOf(backend)), backend.id]));
    const { address, state, node, pod, forZones, forNodes } = own[0]!; // never empty
    const ids = names.map((name) => idOf.get(name));
    if (own.length !== names.length || !ids.every((id) => id !== undefined)) throw new SeineError('SEINE_EVENT_MALFORMED', `backends of ${service}: ${address} has the ports ${[...idOf.keys()].join(', ')}, expected ${names.join(', ')}`, { service, address });
    return {
      address, ids, ...(state === 'active' ? {} : { state }),
      ...(node === undefined ? {} : { node }), ...(pod === undefined ? {} : { pod }), ...(forZones === undefined ? {} : { forZones }), ...(forNodes === undefined ? {} : { forNodes }),
    };
  });
  return { service, ports: [...ports.values()], endpoints };
};

/** By endpoint, then by port. An id without a port, or a port without an id, is no backend. */
export const unpackBackends = ({ service, ports, endpoints }: PackedBackends): CompiledBackends => {
  const backends = endpoints.flatMap(({ address, ids, state = 'active', ...place }) => ports.flatMap(({ name: portName, port, protocol }, index) => {
    const id = ids[index];
    return id === undefined ? [] : [{ id, address, port, protocol, portName, state, ...place }];
  }));
  return { service, backends: backends.slice() }; // a list that has grown has room for more, and nodes keep very many
};
