/**
 * Many Services programmed: an empty node filled, one Service added, one endpoint changed; beside what `iptables-restore` and `nft` need for the same in
 * kube-proxy's layouts. Ours begins at the object, or at the compiled Services, and ends in the kernel: watcher's fact, compiler's decision, both commits
 * written and read again, fold, rows, ordered steps, the loader's process. Not in it: the broker, and kube-proxy's own reckoning.
 */
import { gracePeriod, mapKernel } from '@seine/kernel';
import { createNodeJoin, emptyTables, orderChanges, peerEcho } from '@seine/datapath-writer';
import { NO_PREVIOUS, parseCommit, serialiseCommit, type Lane, type SeineEvent } from '@seine/events';
import { MAPS } from '@seine/layout';
import type { Step } from '@seine/node';

import { Datapath, openInterfaces } from '../../bpf/test/datapath.ts';
import { encodeEntries } from '../../services/loader/core/index.ts';
import { CELL_SERVER, routed } from './lib/cells.ts';
import { nodeEvents, SELF } from './lib/cluster.ts';
import type { Figure } from './lib/line.ts';
import { stateOf } from './lib/mind.ts';
import { loadNft } from './lib/nft.ts';
import { openNode, type BenchNode } from './lib/node.ts';
import { iptablesAll, iptablesSync, nftAdd, nftChains, proxied, type Proxied } from './lib/proxies.ts';
import { backendAddress, backendsOf, compileServices, factOf, serviceObject, sliceObject } from './lib/services.ts';
import { feed, requireCommands } from './lib/shell.ts';
import { methodsWanted, sizesWanted } from './lib/wanted.ts';

const ROUNDS = 5;
/** Changes before the first that counts: processes that run for weeks are warm. */
const WARM = 15;
const AT = 20_000;
const MANY = 50_000;
const OTHERS = ['iptables-legacy', 'iptables-nft', 'nftables'] as const;
type Other = (typeof OTHERS)[number];

const taken = async (work: () => Promise<void> | void): Promise<number> => { const started = performance.now(); await work(); return performance.now() - started; };
const repeated = async (work: (round: number) => Promise<void> | void): Promise<readonly number[]> => {
  const values: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) values.push(await taken(() => work(round)));
  return values;
};

/* --- ours --------------------------------------------------------------------------------- */

const header = { log: 'bench', laneSeq: 1, epoch: 1, prev: NO_PREVIOUS, seen: 0, writer: 'bench' } as const;
/** As a lane's writer stores events and a node reads them. */
const throughLog = (lane: Lane, events: readonly SeineEvent[]): readonly SeineEvent[] => parseCommit(serialiseCommit({ ...header, lane }, events)).events;

/** Until the steps that clients feel are done, and until what they left is gone: a grace period later. */
interface Change { readonly feltMs: number; readonly doneMs: number; readonly writes: number }

const openChanges = (node: BenchNode, { decideFact }: { readonly decideFact: (fact: SeineEvent) => readonly SeineEvent[] }) => async (objects: readonly unknown[]): Promise<Change> => {
  const started = performance.now();
  const facts = throughLog('fact', objects.map(factOf));
  const decisions = throughLog('service', facts.flatMap(decideFact));
  const { steps } = node.mind.pass(decisions).ordered;
  const grace = steps.findIndex(({ step }) => step === 'grace');
  const [felt, rest] = grace < 0 ? [steps, []] : [steps.slice(0, grace), steps.slice(grace)];
  const first = await node.apply(felt);
  const feltMs = performance.now() - started;
  const last = rest.length === 0 ? { upserted: 0, deleted: 0 } : await node.apply(rest);
  return { feltMs, doneMs: performance.now() - started, writes: first.upserted + first.deleted + last.upserted + last.deleted };
};

const emptied = (steps: readonly Step[]): readonly Step[] => steps.flatMap((step): readonly Step[] => (step.step === 'upsert' ? [{ step: 'delete', map: step.map, keys: step.rows.map(({ key }) => key) }] : []));

/** A node's mind that begins with these Services alone, so often; each time into maps that hold none. */
const fill = async (node: BenchNode, events: readonly SeineEvent[]): Promise<{ readonly wholeMs: readonly number[]; readonly steps: readonly Step[]; readonly kernelMs: readonly number[] }> => {
  const state = stateOf([...nodeEvents(), ...events]);
  let steps: readonly Step[] = [];
  const own = new Set(['sn_frontend_02', 'sn_slot_02', 'sn_backend_01']);
  const compute = (): void => {
    const join = createNodeJoin(SELF, state, emptyTables());
    join.update([]);
    steps = orderChanges(join.changes(), join.rows, peerEcho).steps.filter((step) => 'map' in step && own.has(step.map));
  };
  const [wholeMs, kernelMs]: [number[], number[]] = [[], []];
  for (let round = 0; round <= ROUNDS; round += 1) {
    const whole = await taken(async () => { compute(); await node.apply(steps); });
    await node.apply(emptied(steps));
    const kernel = await taken(async () => { await node.apply(steps); });
    await node.apply(emptied(steps));
    if (round === 0) continue; // the first only warms up
    wholeMs.push(whole);
    kernelMs.push(kernel);
  }
  return { wholeMs, steps, kernelMs };
};

/** The same entries by nothing but the kernel's batch calls, their bytes made before. */
const floorMs = async (steps: readonly Step[]): Promise<readonly number[]> => {
  const interfaces = openInterfaces();
  const sizes = Object.fromEntries((['sn_frontend_02', 'sn_slot_02', 'sn_backend_01'] as const).map((map) => [map, MAPS[map].maxEntries]));
  const values: number[] = [];
  const entries = steps.flatMap((step) => (step.step === 'upsert' ? [{ map: step.map, entries: encodeEntries(step.map, step.rows) }] : []));
  for (let round = 0; round <= ROUNDS; round += 1) {
    const datapath = new Datapath(interfaces, { maxEntries: sizes });
    const maps = entries.map(({ map, entries: bytes }) => ({ handle: datapath.map(map), bytes }));
    const ms = await taken(() => { for (const { handle, bytes } of maps) mapKernel.updateBatch(handle, bytes); });
    if (round > 0) values.push(ms);
    datapath.close();
    await gracePeriod();
  }
  interfaces.close();
  return values;
};

const ourFigures = async (at: number) => {
  const node = await openNode('scale');
  try {
    const { events, decideFact } = compileServices(at, 1);
    const filled = await fill(node, events);
    const floor = await floorMs(filled.steps);
    await node.apply(node.mind.pass(events).ordered.steps);
    const change = openChanges(node, { decideFact });
    const [added, changed]: [Change[], Change[]] = [[], []];
    for (let round = 0; round < WARM + ROUNDS; round += 1) {
      added.push(await change([serviceObject(at + round), sliceObject(at + round, backendsOf(at + round, 1))]));
      changed.push(await change([sliceObject(round, backendsOf(round, 2))]));
    }
    return { ...filled, floor, added: added.slice(WARM), changed: changed.slice(WARM) };
  } finally {
    await node.down();
  }
};

/* --- kube-proxy's ------------------------------------------------------------------------- */

interface Programmed { readonly loadMs: readonly number[]; readonly addMs: readonly number[]; readonly changeMs: readonly number[] }

const otherFigures = async (other: Other, at: number): Promise<Programmed> => {
  const cell = routed(`sc-${other}`, other);
  const { node } = cell;
  try {
    const services = proxied(at, CELL_SERVER);
    const more = (round: number): Proxied => ({ index: at + round, backends: [backendAddress(at + round)] });
    const wider = (round: number): Proxied => ({ index: round, backends: backendsOf(round, 2) });
    if (other === 'nftables') {
      const loadMs = [loadNft(node, services)];
      return {
        loadMs,
        addMs: await repeated((round) => { feed(node, nftAdd([more(round)]), 'nft', '-f', '-'); }),
        changeMs: await repeated((round) => { feed(node, nftChains([wider(round)]), 'nft', '-f', '-'); }),
      };
    }
    const restore = `${other}-restore`;
    const all = iptablesAll(services);
    const loadMs = await repeated(() => { feed(node, all, restore); });
    const texts = (changedOf: (round: number) => Proxied): readonly string[] => Array.from({ length: ROUNDS }, (_, round) => {
      const changed = changedOf(round);
      return iptablesSync([...services.filter(({ index }) => index !== changed.index), changed], [changed]);
    });
    const [adds, changes] = [texts(more), texts(wider)];
    return {
      loadMs,
      addMs: await repeated((round) => { feed(node, adds[round]!, restore, '-w', '--noflush'); }), // as many as rounds
      changeMs: await repeated((round) => { feed(node, changes[round]!, restore, '-w', '--noflush'); }),
    };
  } finally {
    cell.down();
  }
};

/** What part of the other's time a change, and a full load, may take; undefined: only reported. */
const CHANGE: Readonly<Record<Other, number | undefined>> = { 'iptables-legacy': 0.0033, 'iptables-nft': undefined, nftables: 0.01 };
const LOAD: Readonly<Record<Other, number | undefined>> = { 'iptables-legacy': 0.125, 'iptables-nft': undefined, nftables: undefined };
/** New entries of a Service with one endpoint: frontend, slot, backend. An endpoint that comes: backend, two slots, the frontend again, the former set's slot away. */
const ENTRIES = { added: 3, changed: 5 } as const;

export const measure = async (): Promise<readonly Figure[]> => {
  const wanted = methodsWanted(OTHERS);
  requireCommands(...wanted.map((other) => (other === 'nftables' ? 'nft' : `${other}-restore` as const)));
  const [at, many] = process.env['BENCH_SERVICES'] === undefined ? [AT, MANY] : [sizesWanted([]).at(0)!, sizesWanted([]).at(-1)!];
  const ours = await ourFigures(at);
  const large = many > at ? await ourFigures(many) : undefined;
  const figure = (name: string, unit: string, values: readonly number[], yardstick: Figure['yardstick'], ratio: number | undefined): Figure =>
    ({ figure: `${at.toLocaleString('en')} Services, ${name}`, unit, ours: values, yardstick, aim: ratio === undefined ? undefined : { relation: '<=', ratio } });
  const others: Figure[] = [];
  for (const other of wanted) {
    const { loadMs, addMs, changeMs } = await otherFigures(other, at);
    const how = other === 'nftables' ? 'nft, a full load in chunks of 1,000' : `${other}-restore`;
    const how1 = other === 'nftables' ? 'nft, the change alone' : `${other}-restore, a partial sync`;
    others.push(
      figure(`an empty node filled, from compiled Services into the kernel, against ${other}`, 'ms', ours.wholeMs, { name: how, values: loadMs }, LOAD[other]),
      figure(`one more, from its objects into the kernel, against ${other}`, 'ms', ours.added.map(({ feltMs }) => feltMs), { name: how1, values: addMs }, CHANGE[other]),
      figure(`one more endpoint, from its object into the kernel, against ${other}`, 'ms', ours.changed.map(({ feltMs }) => feltMs), { name: how1, values: changeMs }, CHANGE[other]),
    );
  }
  return [
    ...others,
    figure('an empty node filled, from ordered steps into the kernel', 'ms', ours.kernelMs, { name: 'the batch calls alone', values: ours.floor }, 3),
    figure('an empty node filled, from compiled Services into the kernel', 'ms', ours.wholeMs, { name: 'the batch calls alone', values: ours.floor }, undefined),
    figure('one more endpoint, until what it replaced is gone', 'ms', ours.changed.map(({ doneMs }) => doneMs), { name: 'until clients feel it', values: ours.changed.map(({ feltMs }) => feltMs) }, undefined),
    figure('one more: entries written', 'entries', ours.added.map(({ writes }) => writes), { name: 'entries that differ', values: [ENTRIES.added] }, 1),
    figure('one more endpoint: entries written', 'entries', ours.changed.map(({ writes }) => writes), { name: 'entries that differ', values: [ENTRIES.changed] }, 1),
    ...large === undefined ? [] : [
      { figure: `${many.toLocaleString('en')} Services, an empty node filled: microseconds a Service`, unit: 'us', ours: large.wholeMs.map((ms) => (ms * 1000) / many), yardstick: { name: `of ${at.toLocaleString('en')}`, values: ours.wholeMs.map((ms) => (ms * 1000) / at) }, aim: { relation: '<=', ratio: 1.15 } } as const,
      { figure: `${many.toLocaleString('en')} Services, one more`, unit: 'ms', ours: large.added.map(({ feltMs }) => feltMs), yardstick: { name: `with ${at.toLocaleString('en')}`, values: ours.added.map(({ feltMs }) => feltMs) }, aim: undefined } as const,
    ],
  ];
};
