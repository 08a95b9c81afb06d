import { expect, test } from '@jest/globals';

import { isRefused, toObject, type KubeObject } from '@seine/objects';

import { unserved } from './unserved.ts';

const objectOf = (kind: string, spec: unknown): KubeObject => {
  const object = toObject({ apiVersion: kind === 'Pod' ? 'v1' : kind === 'CronJob' ? 'batch/v1' : 'apps/v1', kind, metadata: { name: 'web', namespace: 'shop' }, spec });
  if (isRefused(object)) throw new Error(JSON.stringify(object.refusals));
  return object;
};
const POD = { containers: [{ name: 'a', ports: [{ containerPort: 8080 }, { containerPort: 80, hostPort: 4000 }] }] };

test.each([
  { name: 'a pod with a hostPort is told of', object: objectOf('Pod', POD), want: [expect.stringContaining('Pod shop/web: containers[0].ports[1].hostPort: 4000: a hostPort is not served yet')] },
  { name: 'so is a workload whose pods have one', object: objectOf('DaemonSet', { template: { spec: POD } }), want: [expect.stringContaining('DaemonSet shop/web')] },
  { name: 'and a CronJob', object: objectOf('CronJob', { jobTemplate: { spec: { template: { spec: POD } } } }), want: [expect.stringContaining('CronJob shop/web')] },
  { name: 'a pod on the network of its node is there anyway', object: objectOf('Pod', { ...POD, hostNetwork: true }), want: [] },
  { name: 'a pod without one is not', object: objectOf('Pod', { containers: [{ name: 'a', ports: [{ containerPort: 80 }] }] }), want: [] },
  { name: 'nor is what has no pods', object: objectOf('Service', {}), want: [] },
  { name: 'and nonsense asks for nothing', object: objectOf('Deployment', { template: [{ spec: 7 }] }), want: [] },
])('$name', ({ object, want }) => { expect(unserved([object])).toEqual(want); });
