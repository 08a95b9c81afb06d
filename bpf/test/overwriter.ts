/** Overwrites every entry of the policy maps pinned in a directory with what it holds, in batches, and makes and deletes others between them. */
import { mapHandle, mapKernel, pinned, type Entries, type MapHandle } from '@seine/kernel';
import { echoOf, encodeAll, MAPS } from '@seine/layout';

const directory = process.argv[2] ?? '';
const OTHERS = 2048;

const open = (name: string): MapHandle => {
  const fd = pinned(`${directory}/${name}`);
  if (fd === undefined) throw new Error(`${name} is not pinned`);
  return mapHandle(fd);
};
const subjects = open('sn_subject_01');
const peers = open('sn_peer_01');
const standing: readonly (readonly [MapHandle, Entries])[] = [subjects, peers].map((map) => [map, mapKernel.dump(map)]);

/** Entries that come and go: their elements are what the kernel recycles for the standing ones. */
const otherKeys = Array.from({ length: OTHERS }, (_, index) => ({ revision: 900_000 + index, identity: 7, classVariant: 0 }));
const others: Entries = {
  keys: encodeAll(MAPS.sn_peer_01.key, otherKeys),
  values: encodeAll(MAPS.sn_peer_01.value, otherKeys.map((key) => ({ row: 1, echo: echoOf(MAPS.sn_peer_01.key, key) }))),
  count: OTHERS,
};

let running = true;
let written = 0;
process.stdin.on('end', () => { running = false; }).resume();
process.stdout.write('ready\n');
while (running) {
  for (const [map, entries] of standing) {
    mapKernel.updateBatch(map, entries);
    written += entries.count;
  }
  mapKernel.updateBatch(peers, others);
  mapKernel.deleteBatch(peers, others.keys, others.count);
  await new Promise((resolve) => { setImmediate(resolve); });
}
process.stdout.write(`${written}\n`);
