/** The rules of the house, as a function over files: what may import what, and what a core may not call. Pure but for the spelling of paths. */
import { posix } from 'node:path';

export interface SourceFile { readonly path: string; readonly text: string }

const IMPORT = /(?:^|[\n;])\s*(?:import|export)\b(?:[^'";()=]*?\bfrom)?\s*['"]([^'"]+)['"]|\b(?:import|require)\(\s*['"]([^'"]+)['"]/g;

export const importsOf = (text: string): readonly string[] => [...text.matchAll(IMPORT)].map((match) => match[1] ?? match[2] ?? '');

const SERVICES = new Set(['watcher', 'identity-allocator', 'ipam', 'policy-compiler', 'service-compiler', 'datapath-writer', 'loader', 'observer', 'cli']);
/** What a core may not touch, and what it takes instead. */
const FOREIGN: readonly (readonly [RegExp, string])[] = [
  [/^(node:|(assert|buffer|child_process|crypto|events|fs|http|https|net|os|path|process|stream|timers|url|util|worker_threads)(\/|$))/, 'the platform belongs to the shell'], [/^@nats-io\//, 'the bus belongs to the shell'], [/^inversify$/, 'containers belong to main.ts'], [/^@opentelemetry\//, 'telemetry belongs to the shell'],
  [/^(@kubernetes\/|etcd3$)/, 'the cluster belongs to the shell'], [/^pino$/, 'a core logs nothing'], [/^koffi$/, 'the kernel belongs to the shell'], [/^@seine\/(bus|kernel|role)$/, 'I/O belongs to the shell'], [/\/shell\//, 'a core knows no shell'],
];
const BANNED_CALLS: readonly (readonly [RegExp, string])[] = [
  [/\bDate\.now\b|\bnew Date\(\)|\bperformance\.now\b/, 'take the time as an argument'], [/\bMath\.random\b|\bcrypto\.(random|getRandom)/, 'take a seeded source'], [/\bset(Timeout|Interval|Immediate)\(|\bfetch\(/, 'return what to do'], [/\bprocess\.env\b/, 'take configuration'], [/\bconsole\./, 'return data'],
  [/\bJSON\.parse\(/, 'parse at the edge'], [/\.localeCompare\(/, 'compare code units'],
];
/** A request of a stranger is parsed here, once, into what cannot be wrong. */
const PARSERS = new Set(['services/datapath-writer/core/cni.ts']);

/** The one file that knows the Kubernetes client, and who may connect through it: nobody else has a use for a cluster's credentials. */
const CLUSTER_CLIENT = 'shared/kube/connect.ts';
const CLUSTER_READERS = /^(shared\/kube|services\/(cli|watcher))\//;

const isCore = (path: string): boolean => /^services\/[^/]+\/core\//.test(path) || /^infra\/lab\/core\//.test(path) || path.startsWith('shared/model/');
const isSpec = (path: string): boolean => /\.spec\.ts$/.test(path);
const serviceOf = (path: string): string | undefined => /^services\/([^/]+)\//.exec(path)?.[1];
/** A file that looks like a test and that no suite runs is a test skipped in silence. */
const isTest = (path: string): boolean => /[._-](spec|test)\.[cm]?[jt]sx?$/.test(path) || /\.(int|root|e2e|golden)\.[cm]?[jt]sx?$/.test(path);

/** @returns one sentence for each broken rule */
export const brokenRules = (files: readonly SourceFile[]): readonly string[] => files.flatMap(({ path, text }) => {
  const broken: string[] = [];
  const imports = importsOf(text);
  if (isCore(path) && !isSpec(path)) {
    for (const name of imports) for (const [pattern, why] of FOREIGN) if (pattern.test(name)) broken.push(`${path} imports ${name}: ${why}`);
    for (const [pattern, instead] of BANNED_CALLS) if (pattern.test(text) && !(PARSERS.has(path) && pattern.source.includes('JSON'))) broken.push(`${path} uses ${pattern.source}: ${instead}`);
  }
  if (path.startsWith('shared/model/') && !isSpec(path)) for (const name of imports) if (!name.startsWith('./')) broken.push(`${path} imports ${name}: the model imports nothing`);
  const service = serviceOf(path);
  for (const name of imports) {
    const place = name.startsWith('.') ? posix.join(posix.dirname(path), name) : undefined;   // from the root, whatever the number of dots
    const target = /^@seine\/([a-z-]+)/.exec(name)?.[1] ?? (place === undefined ? undefined : serviceOf(place));
    const foreign = target !== undefined && SERVICES.has(target) && target !== service;
    if (foreign && service !== undefined && service !== 'cli') broken.push(`${path} imports ${name}: services never import services`);
    if (foreign && (path.startsWith('shared/') || path.startsWith('infra/'))) broken.push(`${path} imports ${name}: only services/cli and test may import cores`);
    const home = /^(services|shared|infra)\/[^/]+\//.exec(path)?.[0];
    if (service !== undefined && home !== undefined && place !== undefined && /^(services|shared|infra)\//.test(place) && !place.startsWith(home)) broken.push(`${path} imports ${name}: other packages by their name`);
  }
  for (const name of path.startsWith('test/tidy/') ? [] : imports) {
    if (name.startsWith('@kubernetes/') && path !== CLUSTER_CLIENT) broken.push(`${path} imports ${name}: only ${CLUSTER_CLIENT} may talk to an API server (docs/adr/0008)`);
    if (name === '@seine/kube' && !CLUSTER_READERS.test(path)) broken.push(`${path} imports ${name}: only the watcher and the command line connect to an API server (docs/adr/0008)`);
  }
  if (path.startsWith('test/oracle/')) {
    for (const name of imports) {
      const own = name.startsWith('@seine/') || (name.startsWith('.') && !posix.join(posix.dirname(path), name).startsWith('test/oracle/'));
      if (own) broken.push(`${path} imports ${name}: the oracle imports nothing of ours`);
    }
  }
  if (isTest(path) && !isSpec(path)) broken.push(`${path}: no suite runs a file of this name, tests end in .spec.ts`);
  if (/\b(FIXME|TODO)\b/.test(text) && !path.startsWith('test/tidy/')) broken.push(`${path}: unfinished work is an issue, not a comment`);
  return broken;
});
