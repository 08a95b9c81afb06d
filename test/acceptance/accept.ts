/** One run over the table: a lab, its fixture, row after row. */
import { resolveParty } from '@seine/lab';
import { startLab, stopLab } from '@seine/lab/client';
import { SeineError } from '@seine/model';
import type { UnixClient } from '@seine/node';
import { objectKey, type KubeObject } from '@seine/objects';

import { acceptanceCases, fixture, type AcceptanceCase } from './cases.ts';
import { checkAll, observe, probeOf, type Checked, type Observer } from './engines.ts';
import { extraFaults } from './extras.ts';
import { checkFaults, flowFaults, isFlowOf, missingFlows, probeFaults, wantedFlows, type Answer, type Judge, type JudgeOf } from './judge.ts';
import type { Ask } from './scenario.ts';

export interface RowReport {
  readonly name: string;
  readonly section: string;
  readonly twin: boolean;
  readonly state: 'pass' | 'refused' | 'absent' | 'failed';
  /** What is refused or absent, or what is wrong. */
  readonly why: string | null;
  readonly check: { readonly total: number; readonly faults: readonly string[] };
  readonly probe: { readonly total: number; readonly unexplained: number; readonly faults: readonly string[] };
  readonly flows: { readonly wanted: number; readonly seen: number; readonly faults: readonly string[] };
  /** Apply, packets, flows, delete. */
  readonly ms: number;
}
export interface AcceptanceReport { readonly rows: readonly RowReport[]; readonly passed: number; readonly refused: number; readonly absent: number; readonly failed: number; readonly ms: number }

interface Refused { readonly object: string; readonly messages: readonly string[] }
interface Converged { readonly failed: readonly string[]; readonly refused: readonly Refused[]; readonly refusedInPart: readonly Refused[] }
interface Probed { readonly probes: readonly (Answer & { readonly unexplained: boolean })[]; readonly unexplained: number }

const FLOW_PATIENCE_MS = 2_000;
const LOOK_EVERY_MS = 5;
const pause = (ms: number): Promise<void> => new Promise((resolve) => { setTimeout(resolve, ms); });

interface Running { readonly lab: string; readonly client: UnixClient; readonly observer: Observer; readonly judgeOf: JudgeOf }

/** Who judges for whom in the lab as it stands. */
const judgesOf = (objects: readonly KubeObject[]): JudgeOf => {
  const known = new Map<string, Judge | undefined>();
  return (address) => {
    if (!known.has(address)) {
      const party = resolveParty(address, objects);
      known.set(address, party.type === 'pod' ? { node: party.node, pod: party.name } : party.type === 'node' ? { node: party.name.slice('node:'.length), pod: null } : undefined);
    }
    return known.get(address);
  };
};

/** Until every verdict that the row demands was told, or time is up; what is missing then is a fault. */
const flowsTold = async ({ asks, objects }: AcceptanceCase, answers: readonly Answer[], { observer, judgeOf }: Running): Promise<RowReport['flows']> => {
  const questions = asks.map((ask, index) => ({ ask, answer: answers[index]! })).map((each) => ({ ...each, wanted: wantedFlows(each.ask, each.answer, judgeOf) })); // an answer for each
  const policies = new Set(objects.map(objectKey));
  const seenOf = (ask: Ask, answer: Answer) => observer.flows().filter((flow) => isFlowOf(ask, answer, flow));
  const end = performance.now() + FLOW_PATIENCE_MS;
  while (performance.now() < end && questions.some(({ ask, answer, wanted }) => missingFlows(wanted, seenOf(ask, answer)).length > 0)) await pause(LOOK_EVERY_MS);
  return {
    wanted: questions.reduce((sum, { wanted }) => sum + wanted.length, 0), seen: questions.reduce((sum, { ask, answer }) => sum + seenOf(ask, answer).length, 0),
    faults: questions.flatMap(({ ask, answer }) => flowFaults(ask, answer, seenOf(ask, answer), judgeOf, policies)),
  };
};

const refusals = ({ refused, failed }: Converged): readonly string[] => [...refused.flatMap(({ object, messages }) => messages.map((message) => `${object}: ${message}`)), ...failed];

const inPart = (converged: Converged | undefined): readonly string[] => converged?.refusedInPart.flatMap(({ object, messages }) => messages.map((message) => `${object}: ${message}`)) ?? [];

const stateOf = (faults: readonly string[], { refused, absent }: AcceptanceCase['row']): Pick<RowReport, 'state' | 'why'> =>
  faults.length > 0 ? { state: 'failed', why: faults.join('\n') } : refused !== undefined ? { state: 'refused', why: refused } : absent !== undefined ? { state: 'absent', why: absent } : { state: 'pass', why: null };

const runRow = async (each: AcceptanceCase, checked: Checked, running: Running): Promise<RowReport> => {
  const { lab, client, observer } = running;
  const { row, name, twin, objects, asks } = each;
  const startedMs = performance.now();
  const faults: string[] = [];
  const applied = objects.length > 0 ? await client.call<Converged>('apply', { objects }) : undefined;
  if (applied !== undefined) faults.push(...refusals(applied));
  const extra = row.extra === undefined ? undefined : extraFaults[row.extra];
  const before = await extra?.before?.({ lab, client });
  observer.forget();
  const { probes, unexplained } = await client.call<Probed>('probe', { probes: asks.map(probeOf) });
  const flows = await flowsTold(each, probes, running);
  if (extra !== undefined) faults.push(...await extra.after({ lab, client, answers: probes, before, refusedInPart: inPart(applied) }));
  if (objects.length > 0) faults.push(...refusals(await client.call<Converged>('delete', { keys: objects.map(objectKey) })));
  /* What a row is about may be refused in part, by both engines alike; anything else that is refused is a fault. */
  const rejected = row.extra === 'refused in part' ? [] : checked.rejected;
  const check = { total: checked.probes.length, faults: [...rejected, ...checkFaults(asks, checked.probes)] };
  const probe = { total: probes.length, unexplained, faults: [...faults, ...probeFaults(asks, probes)] };
  const all = [...check.faults.map((fault) => `check: ${fault}`), ...probe.faults.map((fault) => `probe: ${fault}`), ...flows.faults.map((fault) => `flows: ${fault}`)];
  return { name, section: row.section, twin, ...stateOf(all, row), check, probe, flows, ms: Math.round(performance.now() - startedMs) };
};

export interface AcceptanceOptions { readonly lab: string; readonly only?: string | undefined; readonly signal: AbortSignal; readonly tell: (row: RowReport) => void }

export const runAcceptance = async ({ lab, only, signal, tell }: AcceptanceOptions): Promise<AcceptanceReport> => {
  const startedMs = performance.now();
  const base = fixture();
  const cases = acceptanceCases().filter(({ name }) => only === undefined || name.includes(only));
  const modes = [...new Set(cases.map(({ row }) => row.cidrMatchMode ?? ''))];
  const checks = modes.map((mode) => checkAll(cases.filter(({ row }) => (row.cidrMatchMode ?? '') === mode).map(({ name, objects, asks }) => ({ name, objects: [...base, ...objects], asks })), mode));
  const { client, existed } = await startLab(lab, { nodes: 2 });
  if (existed) {
    client.close();
    throw new SeineError('SEINE_INPUT_INVALID', `lab ${lab} is up already: a run needs one of its own (--name)`);
  }
  const rows: RowReport[] = [];
  const observer = observe(lab);
  try {
    const converged = await client.call<Converged>('apply', { objects: base, replace: true });
    if (refusals(converged).length > 0) throw new Error(`the fixture: ${refusals(converged).join('; ')}`);
    const judgeOf = judgesOf(await client.call<readonly KubeObject[]>('objects'));
    /* The observer is heard once a packet that must be told was told. */
    const hello = { from: 'acceptance/client', to: 'acceptance/echo-same-node', protocol: 'TCP', port: 8080 } as const;
    while (observer.flows().length === 0 && !signal.aborted) {
      if (observer.failure() !== undefined) throw new Error(observer.failure());
      await client.call('probe', { probes: [hello] });
    }
    for (const [index, mode] of modes.entries()) {
      const checked = await checks[index]!; // one for each mode
      await client.call('set', { settings: { 'policy-cidr-match-mode': mode } });
      for (const each of cases.filter(({ row }) => (row.cidrMatchMode ?? '') === mode)) {
        if (signal.aborted) break;
        const report = await runRow(each, checked.get(each.name)!, { lab, client, observer, judgeOf }); // `check` answers every case
        rows.push(report);
        tell(report);
      }
    }
  } finally {
    observer.stop();
    client.close();
    await stopLab(lab);
  }
  const count = (state: RowReport['state']): number => rows.filter((row) => row.state === state).length;
  const place = new Map(cases.map(({ name }, index) => [name, index]));
  rows.sort((a, b) => place.get(a.name)! - place.get(b.name)!); // each row is a case
  return { rows, passed: count('pass'), refused: count('refused'), absent: count('absent'), failed: count('failed') + (cases.length - rows.length), ms: Math.round(performance.now() - startedMs) };
};
