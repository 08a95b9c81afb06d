/** Where a lab keeps what, by its name: enough to clean up after a kill of anything, without a state file. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

import { BPFFS, cgroupRoot } from '@seine/kernel';
import { digest, SeineError } from '@seine/model';

export const PROJECT = new URL('../../../', import.meta.url).pathname;
const NAME = /^[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?$/;

export interface Places {
  readonly lab: string;
  readonly run: string;
  readonly state: string;
  readonly logs: string;
  readonly objects: string;
  readonly pins: string;
  readonly cgroup: string;
  readonly socket: string;
  readonly hub: string;
  readonly external: string;
  readonly nodeNetns: (node: string) => string;
  readonly podNetns: (namespace: string, pod: string) => string;
  readonly nodeRun: (node: string) => string;
  readonly nodePins: (node: string) => string;
  readonly nodeCgroup: (node: string) => string;
  readonly nodeState: (node: string) => string;
  readonly netnsPrefix: string;
}

/** @throws SEINE_INPUT_INVALID for a name that could not be part of paths and namespaces */
export const placesOf = (lab: string): Places => {
  if (!NAME.test(lab)) throw new SeineError('SEINE_INPUT_INVALID', `--name ${lab}: expected at most 20 of [a-z0-9-], beginning and ending with a letter or digit`);
  const run = `/run/seine/${lab}`;
  const state = join(PROJECT, '.seine', 'lab', lab);
  const pins = `${BPFFS}/seine-${lab}`;
  const cgroup = join(cgroupRoot(), `seine-${lab}`);
  const netnsPrefix = `seine-${lab}-`;
  return {
    lab, run, state, pins, cgroup, netnsPrefix,
    logs: join(state, 'logs'), objects: join(state, 'objects'), socket: join(run, 'lab.sock'),
    hub: `${netnsPrefix}hub`, external: `${netnsPrefix}ext`,
    nodeNetns: (node) => `${netnsPrefix}node-${node}`,
    podNetns: (namespace, pod) => `${netnsPrefix}pod-${digest(`${namespace}/${pod}`)}`,
    nodeRun: (node) => join(run, node), nodePins: (node) => join(pins, node), nodeCgroup: (node) => join(cgroup, node), nodeState: (node) => join(state, 'nodes', node),
  };
};

export const makePlaces = (places: Places): void => {
  for (const directory of [places.run, places.state, places.logs, places.objects]) mkdirSync(directory, { recursive: true, mode: 0o700 });
};

/** The project's own Node. */
export const nodeBinary = (): string => process.execPath;
