/** A lab for a bench, through the command line as a person would. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const SEINE = new URL('../../../node_modules/.bin/seine', import.meta.url).pathname;

export interface Endpoint { readonly pod: string; readonly node: string; readonly podNetns: string; readonly address: string }

export const seine = (...args: readonly string[]): string => execFileSync(SEINE, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], maxBuffer: 256 << 20 });

export const withLab = async <T>(name: string, manifest: string, options: readonly string[], work: (endpoints: readonly Endpoint[]) => Promise<T>): Promise<T> => {
  const folder = mkdtempSync(join(tmpdir(), 'seine-bench-'));
  writeFileSync(join(folder, 'objects.yaml'), manifest);
  try {
    seine('lab', 'up', '-f', folder, '--name', name, ...options);
    return await work(JSON.parse(seine('get', 'endpoints', '-o', 'json', '--name', name)) as readonly Endpoint[]);
  } finally {
    seine('lab', 'down', '--name', name);
    rmSync(folder, { recursive: true });
  }
};

/** Pods that do nothing, on given nodes. */
export const pods = (entries: readonly { readonly name: string; readonly node: string }[]): string => entries.map(({ name, node }) => `apiVersion: v1
kind: Pod
metadata: {name: ${name}, namespace: bench, labels: {name: ${name}}}
spec: {nodeName: ${node}, containers: [{name: idle}]}
`).join('---\n');

/** Each server admits its client only: a policy is in force wherever a packet goes. */
export const admit = (server: string, client: string): string => `---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: ${server}, namespace: bench}
spec:
  podSelector: {matchLabels: {name: ${server}}}
  ingress: [{from: [{podSelector: {matchLabels: {name: ${client}}}}], ports: [{port: 5001}]}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: ${client}, namespace: bench}
spec:
  podSelector: {matchLabels: {name: ${client}}}
  policyTypes: [Egress]
  egress: [{to: [{podSelector: {matchLabels: {name: ${server}}}}], ports: [{port: 5001}]}]
`;
