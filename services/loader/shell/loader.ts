/**
 * The node's hands. It has no opinions and takes orders from the writer beside it only, over a socket that only root may open.
 *
 *   writer ──► orders ──► maps, programs, links, routes          kernel ──► samples ──► observer
 */
import { mapKernel, openNetlink, openNetlinkEvents, openRingBuffer, runMapIterator } from '@seine/kernel';
import { addEntries, decodeAll, FOLDED_MAPS, MAPS, NO_ENTRIES, SAMPLE, type MapName, type StructLayout } from '@seine/layout';
import { familyOf, SeineError } from '@seine/model';
import type { AbandonedOrder, ApplyOrder, Connection, ForgetFlowsOrder, Handler, Hello, MapEntry, MapSums, NodeRoute, Packed, PlumbOrder } from '@seine/node';
import type { Logger, MetricDefinitions, Metrics } from '@seine/role';

import type { XdpSetting } from '../core/xdp-modes.ts';
import { destroyAbandoned } from './abandoned.ts';
import { applyOrder } from './apply.ts';
import { createAttachments } from './attachments.ts';
import { COUNT_METRICS, createCounts } from './counts.ts';
import type { NodeObjects } from './objects.ts';
import { plumb, prepareIpv6, prepareNode, setRoutes, unplumb } from './plumb.ts';
import { openTcx, WITHOUT_TCX, type Interface } from './tcx.ts';
import { setUplinks } from './uplinks.ts';
import { openXdp } from './xdp.ts';

export const LOADER_METRICS = {
  writes: { type: 'counter', name: 'map_writes_total', help: 'Entries written to maps.' },
  deletes: { type: 'counter', name: 'map_deletes_total', help: 'Entries deleted from maps.' },
  plumbed: { type: 'counter', name: 'pods_plumbed_total', help: 'Pods that were wired.' },
  destroyed: { type: 'counter', name: 'sockets_destroyed_total', help: 'Connected UDP sockets whose backend was gone.' },
  samples: { type: 'counter', name: 'samples_total', help: 'Samples handed to the observer.' },
  ...COUNT_METRICS,
} as const satisfies MetricDefinitions;

/** Samples come in bursts: looked for often while they come, seldom while all is quiet; where there are many, each batch costs more than its wait. */
const DRAIN_BUSY_MS = 3;
const DRAIN_QUIET_MS = 6;
const QUIET_AFTER_DRAINS = 50;
const DRAIN_FLOOD_MS = 10;
const FLOOD = 64;
/** An observer that is further behind waits: the ring fills instead of this process, and the kernel counts what is lost. */
const BACKLOG_MAX_BYTES = 4 << 20;
const COLLECT_EVERY_MS = 30_000;

/** Pods' host sides, as the writer names them. */
const POD_INTERFACE = /^sn[0-9a-f]{12}$/;

export interface LoaderPorts {
  readonly objects: NodeObjects;
  readonly pinRoot: string;
  /** Interfaces towards other nodes and the world; one that is not there is reported as drift. */
  readonly uplinks: readonly string[];
  /** Whether links at TCX are wanted, where the kernel has it. */
  readonly tcx: boolean;
  readonly xdp: XdpSetting;
  readonly log: Logger;
  readonly metrics: Metrics<typeof LOADER_METRICS>;
}

export const createLoader = ({ objects, pinRoot, uplinks, tcx: wanted, xdp: setting, log, metrics }: LoaderPorts) => {
  const netlink = openNetlink();
  const events = openNetlinkEvents(netlink.port);
  prepareNode();
  setUplinks(netlink, objects, uplinks);
  const ours = new Map(netlink.links().flatMap(({ name, index }): readonly [string, Interface][] => {
    if (uplinks.includes(name)) return [[name, { name, index, place: 'uplink' }]];
    return POD_INTERFACE.test(name) ? [[name, { name, index, place: 'pod' }]] : [];
  }));
  const tcx = wanted ? openTcx({ objects, pinRoot, ours, log }) : WITHOUT_TCX;
  const xdp = openXdp({ objects, links: netlink.links, uplinks, setting, pinRoot, log });
  const attachments = createAttachments({ netlink, objects, uplinks, tcx, xdp });
  let routes: readonly NodeRoute[] = [];
  let forwardsIpv6 = false;
  /** @param texts addresses or CIDRs that the node is to forward */
  const forwardAll = (texts: readonly string[]): void => {
    if (forwardsIpv6 || !texts.some((text) => familyOf(text) === 6)) return;
    prepareIpv6(uplinks);
    forwardsIpv6 = true;
  };
  if ('refused' in objects.destroyer) log.warn('this kernel destroys no sockets (from 6.5 it does): a connected UDP socket stays with a backend that is gone', { reason: objects.destroyer.refused });
  const counts = createCounts(objects, metrics);
  let observer: Connection | undefined;
  let watcher: Connection | undefined;
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

  /** Of every map that the writer fills. */
  const sums = (): MapSums => Object.fromEntries(FOLDED_MAPS.map((name) => [name, addEntries(NO_ENTRIES, mapKernel.dump(objects.map(name)))]));

  /** As bytes: a map that is large would be many times as large in words. */
  const dumpPacked = (name: MapName): Packed => {
    const { keys, values, count } = mapKernel.dump(objects.map(name));
    const base64 = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
    return { count, keys: base64(keys), values: base64(values) };
  };

  const dump = (name: MapName): readonly MapEntry[] => {
    const layout: { readonly key: StructLayout; readonly value: StructLayout } = MAPS[name];
    const { keys, values, count } = mapKernel.dump(objects.map(name));
    const keyRows = decodeAll(layout.key, keys, count);
    const valueRows = decodeAll(layout.value, values, count);
    return keyRows.map((key, index) => ({ key, value: valueRows[index]! }) as unknown as MapEntry); // folded maps hold no 64-bit numbers
  };

  const handle: Handler = async (op, body, connection) => {
    switch (op) {
      case 'hello': return hello();
      case 'dump': return dump((body as { readonly map: MapName }).map);
      case 'dumpPacked': return dumpPacked((body as { readonly map: MapName }).map);
      case 'sums': return sums();
      case 'apply': return inTurn(async () => {
        const applied = await applyOrder(objects, body as ApplyOrder);
        metrics.writes.add(applied.upserted);
        metrics.deletes.add(applied.deleted);
        return applied;
      });
      case 'plumb': return inTurn(() => {
        const order = body as PlumbOrder;
        forwardAll(order.addresses);
        const plumbed = plumb(netlink, objects, order);
        const wired: Interface = { name: order.hostInterface, index: plumbed.ifindex, place: 'pod' };
        ours.set(wired.name, wired);
        tcx.attachSoon(wired);
        metrics.plumbed.add();
        return plumbed;
      });
      case 'unplumb': {
        const { hostInterface } = body as { readonly hostInterface: string };
        ours.delete(hostInterface);
        await tcx.leave(hostInterface);
        return inTurn(() => { unplumb(netlink, hostInterface); });
      }
      case 'routes': return inTurn(() => {
        const wanted = (body as { readonly routes: readonly NodeRoute[] }).routes;
        forwardAll(wanted.map(({ cidr }) => cidr));
        const failed = setRoutes(netlink, wanted, routes);
        routes = wanted.filter(({ cidr }) => !failed.some((text) => text.startsWith(`${cidr} `)));
        return { failed };
      });
      case 'abandoned': {
        const destroyed = await destroyAbandoned(objects, (body as AbandonedOrder).netns);
        metrics.destroyed.add(destroyed);
        if (destroyed > 0) log.info('sockets of gone backends destroyed', { sockets: destroyed });
        return { destroyed };
      }
      case 'flows': return counts.flows();
      case 'forgetFlows': counts.forgetFlows(body as ForgetFlowsOrder); return {};
      case 'interfaces': return netlink.links().filter(({ name }) => POD_INTERFACE.test(name)).map(({ name, index }) => ({ name, index }));
      case 'attachments': return attachments.lost((body as { readonly interfaces: readonly string[] }).interfaces);
      case 'reattach': return inTurn(() => attachments.putBack((body as { readonly interfaces: readonly string[] }).interfaces));
      case 'watch': watcher = connection; return {};
      case 'samples': observer = connection; return {};
      default: throw new SeineError('SEINE_ORDER_UNKNOWN', `${op}: no such order`);
    }
  };

  const samples = objects.map('sn_samples_01');
  const ring = openRingBuffer(samples.fd, samples.maxEntries);
  /** While nobody listens the ring fills, and the kernel counts what it could not tell. */
  const drain = (): number => {
    if (observer === undefined || observer.closed.aborted) { observer = undefined; return 0; }
    if (observer.backlogBytes() > BACKLOG_MAX_BYTES) return 0;
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
  /** Somebody else touched what is attached here: the writer may want to look at once. */
  const listen = (): void => {
    const changed = events.changed();
    if (changed !== 'all' && changed.size === 0) return;
    if (changed === 'all' || [...ours.values()].some(({ index }) => changed.has(index))) watcher?.push('touched', {});
  };
  const drainOn = (): void => {
    const drained = drain();
    quietDrains = drained > 0 ? 0 : quietDrains + 1;
    listen();
    drainTimer = setTimeout(drainOn, drained >= FLOOD ? DRAIN_FLOOD_MS : quietDrains > QUIET_AFTER_DRAINS ? DRAIN_QUIET_MS : DRAIN_BUSY_MS);
  };
  drainOn();
  const collect = (): void => {
    void inTurn(async () => { for (const { fd, map } of objects.collectors) await runMapIterator(fd, map); })
      .catch((error: unknown) => { log.warn('conntrack could not be collected', { error: String(error) }); });
  };
  const collectTimer = setInterval(collect, COLLECT_EVERY_MS);
  return {
    handle,
    count: counts.count,
    stop: async (): Promise<void> => {
      clearTimeout(drainTimer);
      clearInterval(collectTimer);
      await turn;
      await tcx.stop();
      await xdp.stop();
      ring.close();
      events.close();
      netlink.close();
    },
  };
};
