/**
 * The node's hands. It has no opinions and takes orders from the writer beside it only, over a socket that only root may open.
 *
 *   writer ──► orders ──► maps, programs, links, routes          kernel ──► samples ──► observer
 */
import { mapKernel, openNetlink, openRingBuffer, queryPrograms, runMapIterator } from '@seine/kernel';
import { decodeAll, FOLDED_MAPS, MAPS, SAMPLE, type MapName, type StructLayout } from '@seine/layout';
import { SeineError } from '@seine/model';
import type { ApplyOrder, Attachment, Connection, Handler, Hello, MapEntry, NodeRoute, PlumbOrder } from '@seine/node';
import type { Logger, MetricDefinitions, Metrics } from '@seine/role';

import { applyOrder } from './apply.ts';
import type { NodeObjects, Place } from './objects.ts';
import { attachStubs, plumb, prepareNode, setRoutes, unplumb } from './plumb.ts';
import { setUplinks, uplinkRows } from './uplinks.ts';

export const LOADER_METRICS = {
  writes: { type: 'counter', name: 'map_writes_total', help: 'Entries written to maps.' },
  deletes: { type: 'counter', name: 'map_deletes_total', help: 'Entries deleted from maps.' },
  plumbed: { type: 'counter', name: 'pods_plumbed_total', help: 'Pods that were wired.' },
  samples: { type: 'counter', name: 'samples_total', help: 'Samples handed to the observer.' },
} as const satisfies MetricDefinitions;

/** Samples come in bursts: looked for often while they come, seldom while all is quiet. */
const DRAIN_BUSY_MS = 3;
const DRAIN_QUIET_MS = 6;
const QUIET_AFTER_DRAINS = 50;
const COLLECT_EVERY_MS = 30_000;

/** @param uplinks names of the interfaces towards other nodes and the world; one that is not there is reported as drift */
export const createLoader = (objects: NodeObjects, uplinks: readonly string[], log: Logger, metrics: Metrics<typeof LOADER_METRICS>) => {
  const netlink = openNetlink();
  prepareNode();
  setUplinks(netlink, objects, uplinks);
  let routes: readonly NodeRoute[] = [];
  let observer: Connection | undefined;
  /** Orders that write are one after the other. */
  let turn: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(work: () => Promise<T> | T): Promise<T> => {
    const done = turn.then(work);
    turn = done.catch(() => {});
    return done;
  };

  const hello = (): Hello => ({
    build: objects.build,
    maps: (Object.keys(MAPS) as MapName[]).map((name) => { // Object.keys widens; MAPS is closed
      const { id, maxEntries } = objects.map(name);
      return { name, id, maxEntries, fold: (FOLDED_MAPS as readonly string[]).includes(name) };
    }),
  });

  const dump = (name: MapName): readonly MapEntry[] => {
    const layout: { readonly key: StructLayout; readonly value: StructLayout } = MAPS[name];
    const { keys, values, count } = mapKernel.dump(objects.map(name));
    const keyRows = decodeAll(layout.key, keys, count);
    const valueRows = decodeAll(layout.value, values, count);
    return keyRows.map((key, index) => ({ key, value: valueRows[index]! }) as unknown as MapEntry); // folded maps hold no 64-bit numbers
  };

  const attachments = (interfaces: readonly string[]): readonly Attachment[] => {
    const links = new Map(netlink.links().map((link) => [link.name, link.index]));
    const found: Attachment[] = [];
    const places: readonly { readonly name: string; readonly place: Place }[] = [...interfaces.map((name) => ({ name, place: 'pod' as const })), ...uplinks.map((name) => ({ name, place: 'uplink' as const }))];
    for (const { name, place } of places) {
      const index = links.get(name);
      for (const direction of ['ingress', 'egress'] as const) {
        const want = String(objects.stub(place, direction).id);
        const have = index === undefined ? 'no such interface' : String(netlink.filterProgram(index, direction) ?? 'nothing');
        if (have !== want) found.push({ hook: `${name} tc ${direction}`, want: `program ${want}`, have });
      }
    }
    const rows = uplinkRows(objects);
    for (const name of uplinks) {
      const index = links.get(name);
      if (index !== undefined && !rows.includes(index)) found.push({ hook: `uplink ${name}`, want: `a row for interface ${index}`, have: 'nothing' });
    }
    for (const { slot, name, id } of objects.slots) {
      const value = mapKernel.lookup(objects.map('sn_progs_01'), Uint8Array.of(slot, 0, 0, 0));
      const have = value === undefined ? 0 : new DataView(value.buffer, value.byteOffset).getUint32(0, true);
      if (have !== id) found.push({ hook: `slot ${slot} (${name})`, want: `program ${id}`, have: have === 0 ? 'nothing' : `program ${have}` });
    }
    for (const { hook, attachType, id } of objects.socketPrograms) {
      if (queryPrograms(objects.cgroupFd, attachType)?.includes(id) !== true) found.push({ hook: `cgroup ${hook}`, want: `program ${id}`, have: 'nothing' });
    }
    return found;
  };

  const reattach = (interfaces: readonly string[]): readonly string[] => {
    const links = new Map(netlink.links().map((link) => [link.name, link.index]));
    const put = [...objects.repair(), ...setUplinks(netlink, objects, uplinks)];
    for (const name of interfaces) {
      const index = links.get(name);
      if (index === undefined) continue;
      if (netlink.filterProgram(index, 'ingress') === objects.stub('pod', 'ingress').id && netlink.filterProgram(index, 'egress') === objects.stub('pod', 'egress').id) continue;
      attachStubs(netlink, objects, 'pod', index);
      put.push(`filters of ${name}`);
    }
    return put;
  };

  const handle: Handler = async (op, body, connection) => {
    switch (op) {
      case 'hello': return hello();
      case 'dump': return dump((body as { readonly map: MapName }).map);
      case 'apply': return inTurn(async () => {
        const applied = await applyOrder(objects, body as ApplyOrder);
        metrics.writes.add(applied.upserted);
        metrics.deletes.add(applied.deleted);
        return applied;
      });
      case 'plumb': return inTurn(() => {
        const plumbed = plumb(netlink, objects, body as PlumbOrder);
        metrics.plumbed.add();
        return plumbed;
      });
      case 'unplumb': return inTurn(() => { unplumb(netlink, (body as { readonly hostInterface: string }).hostInterface); });
      case 'routes': return inTurn(() => {
        const wanted = (body as { readonly routes: readonly NodeRoute[] }).routes;
        const failed = setRoutes(netlink, wanted, routes);
        routes = wanted.filter(({ cidr }) => !failed.some((text) => text.startsWith(`${cidr} `)));
        return { failed };
      });
      case 'interfaces': return netlink.links().filter(({ name }) => name.startsWith('sn')).map(({ name, index }) => ({ name, index }));
      case 'attachments': return attachments((body as { readonly interfaces: readonly string[] }).interfaces);
      case 'reattach': return inTurn(() => reattach((body as { readonly interfaces: readonly string[] }).interfaces));
      case 'samples': observer = connection; return {};
      default: throw new SeineError('SEINE_ORDER_UNKNOWN', `${op}: no such order`);
    }
  };

  const samples = objects.map('sn_samples_01');
  const ring = openRingBuffer(samples.fd, samples.maxEntries);
  /** While nobody listens the ring fills, and the kernel counts what it could not tell. */
  const drain = (): number => {
    if (observer === undefined || observer.closed.aborted) { observer = undefined; return 0; }
    const records: Buffer[] = [];
    if (ring.drain((record) => { records.push(Buffer.from(record)); }) === 0) return 0;
    const data = Buffer.concat(records);
    const count = data.length / SAMPLE.size; // a record is one sample or more
    metrics.samples.add(count);
    observer.push('samples', { count, data: data.toString('base64') });
    return count;
  };
  let quietDrains = 0;
  let drainTimer: NodeJS.Timeout;
  const drainOn = (): void => {
    quietDrains = drain() > 0 ? 0 : quietDrains + 1;
    drainTimer = setTimeout(drainOn, quietDrains > QUIET_AFTER_DRAINS ? DRAIN_QUIET_MS : DRAIN_BUSY_MS);
  };
  drainOn();
  const collect = (): void => {
    void inTurn(async () => { for (const { fd, map } of objects.collectors) await runMapIterator(fd, map); })
      .catch((error: unknown) => { log.warn('conntrack could not be collected', { error: String(error) }); });
  };
  const collectTimer = setInterval(collect, COLLECT_EVERY_MS);
  return {
    handle,
    stop: async (): Promise<void> => {
      clearTimeout(drainTimer);
      clearInterval(collectTimer);
      await turn;
      ring.close();
      netlink.close();
    },
  };
};
