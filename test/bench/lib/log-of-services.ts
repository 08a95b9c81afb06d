/**
 * A process: `log-of-services.ts COUNT ENDPOINTS` writes the log of a cluster with so many Services to the broker at hand, says its last sequence, and ticks
 * until it is killed. For each line that it is told one Service more comes: fact, decision, each stored before the next; it says the last one's sequence.
 */
import { createInterface } from 'node:readline';

import { connectBus, createLog, type LaneWriter } from '@seine/bus';
import { LANES, type Lane, type SeineEvent } from '@seine/events';

import { nodeEvents } from './cluster.ts';
import { backendsOf, compileServices, factOf, serviceObject, sliceObject } from './services.ts';

const [count, endpoints] = process.argv.slice(2).map(Number) as [number, number];
const PATIENCE_MS = 10_000;
const TICK_MS = 500;
const signal = new AbortController().signal;
const options = { url: 'nats://127.0.0.1:4222', cluster: 'bench', name: 'bench/log', build: 'bench', signal, patienceMs: PATIENCE_MS };

await createLog(options);
const bus = await connectBus(options);
const laneOf = ({ type }: SeineEvent): Lane => (type.startsWith('policykind') ? 'policy' : type.startsWith('node') ? 'fact' : 'service');
const { events: compiled, decideFact } = compileServices(count, endpoints);
const events = [...nodeEvents(), ...compiled];
const writers = new Map<Lane, LaneWriter>();
for (const lane of LANES.filter((each) => each !== 'audit')) {
  const writer = await bus.openLane(lane, 'bench', signal);
  writers.set(lane, writer);
  const own = events.filter((event) => laneOf(event) === lane);
  if (own.length > 0) await writer.commit(own, 0);
  setInterval(() => { void bus.lastSeq().then(writer.folded); }, TICK_MS);
}
process.stdout.write(`${await bus.lastSeq()}\n`);

let next = count;
for await (const _ of createInterface({ input: process.stdin })) {
  const facts = [serviceObject(next), sliceObject(next, backendsOf(next, endpoints))].map(factOf);
  next += 1;
  const { seq: seen } = await writers.get('fact')!.commit(facts, 0);
  const { seq } = await writers.get('service')!.commit(facts.flatMap(decideFact), seen);
  for (const writer of writers.values()) writer.folded(seq);
  process.stdout.write(`${seq}\n`);
}
