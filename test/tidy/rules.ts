/** The rules of the house, as a function over files: what may import what, and what a core may not call. Pure. */

export interface SourceFile { readonly path: string; readonly text: string }

const IMPORT = /(?:^|\n)\s*(?:import|export)\s(?:[^'";]*?\sfrom\s)?['"]([^'"]+)['"]|import\(['"]([^'"]+)['"]\)/g;

export const importsOf = (text: string): readonly string[] => [...text.matchAll(IMPORT)].map((match) => match[1] ?? match[2] ?? '');

const SERVICES = new Set(['watcher', 'identity-allocator', 'ipam', 'policy-compiler', 'service-compiler', 'datapath-writer', 'loader', 'observer', 'cli']);
/** What a core may not touch, and what it takes instead. */
const FOREIGN: readonly (readonly [RegExp, string])[] = [
  [/^node:/, 'the platform belongs to the shell'], [/^@nats-io\//, 'the bus belongs to the shell'], [/^inversify$/, 'containers belong to main.ts'], [/^@opentelemetry\//, 'telemetry belongs to the shell'],
  [/^koffi$/, 'the kernel belongs to the shell'], [/^@seine\/(bus|kernel|role)$/, 'I/O belongs to the shell'], [/\/shell\//, 'a core knows no shell'],
];
const BANNED_CALLS: readonly (readonly [RegExp, string])[] = [
  [/\bDate\.now\(/, 'take the time as an argument'], [/\bMath\.random\(/, 'take a seeded source'], [/\bprocess\.env\b/, 'take configuration'], [/\bconsole\./, 'return data'],
  [/\bJSON\.parse\(/, 'parse at the edge'], [/\.localeCompare\(/, 'compare code units'],
];
/** A request of a stranger is parsed here, once, into what cannot be wrong. */
const PARSERS = new Set(['services/datapath-writer/core/cni.ts']);

const isCore = (path: string): boolean => /^services\/[^/]+\/core\//.test(path) || /^infra\/lab\/core\//.test(path) || path.startsWith('shared/model/');
const isSpec = (path: string): boolean => /\.spec\.ts$/.test(path);
const serviceOf = (path: string): string | undefined => /^services\/([^/]+)\//.exec(path)?.[1];

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
    const target = /^@seine\/([a-z-]+)/.exec(name)?.[1];
    const foreign = target !== undefined && SERVICES.has(target) && target !== service;
    if (foreign && service !== undefined && service !== 'cli') broken.push(`${path} imports ${name}: services never import services`);
    if (foreign && (path.startsWith('shared/') || path.startsWith('infra/'))) broken.push(`${path} imports ${name}: only services/cli and test may import cores`);
    if (service !== undefined && /^(\.\.\/)+(services|shared|infra)\//.test(name)) broken.push(`${path} imports ${name}: other packages by their name`);
  }
  if (path.startsWith('test/oracle/') && /@seine|\/(services|shared)\//.test(text)) broken.push(`${path}: the oracle imports nothing of ours`);
  if (/\b(FIXME|TODO)\b/.test(text) && !path.startsWith('test/tidy/')) broken.push(`${path}: unfinished work is an issue, not a comment`);
  return broken;
});
