/** Goes to and fro between two states of the maps that are pinned in a directory, as the loader does it, until its input ends. Says how often. */
import { readFileSync } from 'node:fs';

import { mapHandle, pinned, type MapHandle } from '@seine/kernel';
import type { MapName } from '@seine/layout';
import type { Step } from '@seine/node';

import { applyOrder } from '../../services/loader/shell/apply.ts';

const directory = process.argv[2] ?? '';
const [there, back] = JSON.parse(readFileSync(`${process.argv[3] ?? ''}`, 'utf8')) as readonly [readonly Step[], readonly Step[]]; // written by the spec

const handles = new Map<MapName, MapHandle>();
const map = (name: MapName): MapHandle => {
  const known = handles.get(name);
  if (known !== undefined) return known;
  const fd = pinned(`${directory}/${name}`);
  if (fd === undefined) throw new Error(`${name} is not pinned`);
  const handle = mapHandle(fd);
  handles.set(name, handle);
  return handle;
};

const BUILD = '0'.repeat(64);
let running = true;
process.stdin.on('end', () => { running = false; }).resume();
process.stdout.write('ready\n');
let storms = 0;
while (running) {
  await applyOrder({ map, build: BUILD }, { seq: storms + 1, steps: there });
  await applyOrder({ map, build: BUILD }, { seq: storms + 2, steps: back });
  storms += 2;
}
await applyOrder({ map, build: BUILD }, { seq: storms + 1, steps: there });
process.stdout.write(`${storms}\n`);
