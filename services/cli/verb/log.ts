/** `seine log`: the record itself. */
import { writeFileSync } from 'node:fs';

import { exportLog, toCommit, verifyChain, type Commit, type StoredCommit } from '@seine/bus';
import { LANES, type Lane } from '@seine/events';

import { labBus, openHistory } from '../history.ts';
import { rederive, rederivedText } from '../rederive.ts';
import { badInput, EXIT, readArgs, readInteger, readOutput, type Verb } from './verb.ts';

const OPTIONS = {
  name: { type: 'string' }, log: { type: 'string' }, file: { type: 'string', short: 'O' }, last: { type: 'string' }, lane: { type: 'string' }, rederive: { type: 'boolean' }, follow: { type: 'boolean', short: 'f' }, output: { type: 'string', short: 'o' },
} as const;

const lanesOf = (text: string | undefined): readonly Lane[] => {
  if (text === undefined) return LANES;
  const lane = LANES.find((known) => known === text);
  if (lane === undefined) throw badInput(`--lane ${text}: expected one of ${LANES.join(', ')}`);
  return [lane];
};

const lines = (commit: Commit, json: boolean): string => (json ? `${JSON.stringify(commit)}\n` :
  commit.events.map((event) => `#${String(commit.seq).padEnd(6)} ${new Date(commit.storedMs).toISOString().slice(11, 23)} ${commit.lane.padEnd(8)} ${event.type.padEnd(28)} ${event.key}\n`).join(''));

const tail: Verb['run'] = async (args, io) => {
  const { values } = readArgs(args, OPTIONS);
  const json = readOutput(values.output, ['table', 'json', 'jsonl']) !== 'table';
  const lanes = lanesOf(values.lane);
  const last = readInteger('--last', values.last ?? '20', { min: 0, max: 1_000_000 });
  const history = await openHistory({ log: values.log, name: values.name ?? 'lab' });
  const commits: Commit[] = [];
  for await (const commit of history.read({ lanes })) { commits.push(commit); if (commits.length > last) commits.shift(); }
  for (const commit of commits) io.stdout(lines(commit, json));
  await history.close();
  if (values.follow !== true) return EXIT.yes;
  if (values.log !== undefined) throw badInput('-f with --log: expected a lab: a file does not grow');
  const bus = await labBus(values.name ?? 'lab');
  const from = commits.at(-1)?.seq ?? 0;
  for await (const batch of bus.follow({ lanes, from: 0, signal: io.signal })) for (const item of batch) if (item.type === 'commit' && item.commit.seq > from) io.stdout(lines(item.commit, json));
  await bus.close();
  return EXIT.yes;
};

const exportTo: Verb['run'] = async (args, io) => {
  const { values } = readArgs(args, OPTIONS);
  const history = await openHistory({ log: values.log, name: values.name ?? 'lab' });
  const out: string[] = [];
  for await (const line of exportLog(history)) out.push(`${line}\n`);
  await history.close();
  if (values.file === undefined) io.stdout(out.join(''));
  else { writeFileSync(values.file, out.join('')); io.stderr(`${out.length} commits in ${values.file}\n`); }
  return EXIT.yes;
};

const verifyLog: Verb['run'] = async (args, io) => {
  const { values } = readArgs(args, OPTIONS);
  const output = readOutput(values.output, ['table', 'json']);
  const history = await openHistory({ log: values.log, name: values.name ?? 'lab' });
  const commits: StoredCommit[] = [];
  for await (const commit of history.stored({ lanes: LANES })) commits.push(commit);
  await history.close();
  const verdict = verifyChain(commits);
  /* A damaged log has no past to decide again. */
  const rederived = values.rederive === true && verdict.ok ? rederive(commits.map((stored) => toCommit(stored))) : [];
  const text = verdict.ok ? `${commits.length} commits: each names its predecessor's hash, none is missing\n` : `damaged: ${JSON.stringify(verdict)}\n`;
  io.stdout(output === 'json' ? `${JSON.stringify({ ...verdict, commits: commits.length, ...(values.rederive === true ? { rederived } : {}) }, undefined, 2)}\n` : `${text}${rederived.map(rederivedText).join('')}`);
  return verdict.ok && rederived.every(({ ok }) => ok) ? EXIT.yes : EXIT.no;
};

const VERBS: Readonly<Record<string, Verb['run']>> = { tail, export: exportTo, verify: verifyLog };

export const log: Verb = {
  name: 'log',
  summary: 'the record itself: tail, export, verify',
  usage: `
seine log tail [-f] [--last N] [--lane fact|identity|ipam|policy|service|audit] [--name LAB | --log FILE] [-o jsonl]
seine log export [-O FILE] [--name LAB]       one stored commit a line, bytes as stored
seine log verify [--name LAB | --log FILE] [--rederive] [-o json]

verify checks every lane's chain of hashes; --rederive decides the past again with this build (its settings are in it) and compares byte for byte.
Exported files serve every verb that has --log.
Exit: 0, 1 damaged or decided otherwise (and where), 2 bad input, 3 no lab.`,
  examples: [
    ['seine log tail -f --lane policy', 'policies as they are compiled'],
    ['seine log export -O prod.seinelog', 'the record, to ask elsewhere'],
    ['seine log verify --log prod.seinelog', 'is it whole, is it unchanged'],
    ['seine log verify --rederive', 'would this build have decided the same'],
  ],
  run: async (args, io) => {
    const [name, ...rest] = args;
    const run = name !== undefined && Object.hasOwn(VERBS, name) ? VERBS[name] : undefined;
    if (run === undefined) throw badInput(`log ${name ?? ''}: expected one of ${Object.keys(VERBS).join(', ')}`);
    return run(rest, io);
  },
};
