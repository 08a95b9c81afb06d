/** What the two engines and the observer said, against what a row wants. Pure. */
import { formatEnd } from '@seine/model';
import type { Flow } from '@seine/node';

import { DENY_RULE, type Ask, type Direction } from './scenario.ts';

/** What `check` and `probe` both say of a question (product.md section 5). */
export interface Answer {
  readonly got: string;
  readonly direction: string | null;
  readonly reason: { readonly code: number } | null;
  readonly connected?: boolean | null;
  readonly message?: string;
  readonly evidence: { readonly arrived: number; readonly replied: number; readonly source: string; readonly destination: string; readonly status?: number; readonly bytes?: number };
}

/** Who judges for an address: a pod's node, or a node itself. */
export interface Judge { readonly node: string; readonly pod: string | null }
export type JudgeOf = (address: string) => Judge | undefined;

export interface WantedFlow { readonly node: string; readonly direction: Direction; readonly verdict: 'FORWARDED' | 'DROPPED'; readonly code: number | null }

export const askText = ({ from, to, protocol, family, port, http, icmp }: Ask): string => {
  const what = protocol === 'ICMP' ? `ping${icmp?.overMtu === undefined ? '' : ` of the MTU${icmp.overMtu === 0 ? '' : ` + ${icmp.overMtu}`}`}` : `${port ?? ''}/${protocol}`;
  return `${from} -> ${to} ${what}${http === undefined || http.path === '/' ? '' : ` ${http.path}`}${family === 6 ? ' over IPv6' : ''}`;
};
const verdictText = (got: string, direction: string | null, code: number | undefined): string => (got === 'deny' ? `deny ${code ?? '?'} ${direction ?? '?'}` : got);
const wantText = ({ want }: Ask): string => (want === 'ok' ? 'allow' : `deny ${want.code} ${want.direction}`);

/** The verdict itself: the same question to both engines. */
const verdictFault = (ask: Ask, { got, direction, reason, message }: Answer): string | undefined => {
  const { want } = ask;
  const right = want === 'ok' ? got === 'allow' : got === 'deny' && direction === want.direction && reason?.code === want.code;
  return right ? undefined : `${askText(ask)}: wanted ${wantText(ask)}, got ${verdictText(got, direction, reason?.code)}${message === undefined ? '' : ` (${message})`}`;
};

/** What came back: where an answer is wanted it has to arrive, not only the question. */
const answerFault = (ask: Ask, { connected, evidence: { arrived, replied, status }, message }: Answer): string | undefined => {
  if (ask.want !== 'ok') return arrived === 0 && connected !== true ? undefined : `${askText(ask)}: it arrived although it was dropped`;
  const answered = ask.http === undefined ? replied > 0 : status === 200;
  return answered ? undefined : `${askText(ask)}: allowed, but no answer came back${message === undefined ? '' : ` (${message})`}`;
};

export const checkFaults = (asks: readonly Ask[], answers: readonly Answer[]): readonly string[] => asks.flatMap((ask, index) => verdictFault(ask, answers[index]!) ?? []); // an answer for each
export const probeFaults = (asks: readonly Ask[], answers: readonly Answer[]): readonly string[] => asks.flatMap((ask, index) => verdictFault(ask, answers[index]!) ?? answerFault(ask, answers[index]!) ?? []);

/** `10.0.0.1:80` and `[fd00::1]:80` → the address. */
const hostOf = (end: string): string => end.slice(0, end.lastIndexOf(':')).replace(/^\[(.*)\]$/, '$1');

/**
 * The verdicts that must be told of one question. A pod is always judged on its own node; a node itself only where a policy selects it, so
 * of a node nothing is demanded but the drop that the row is about.
 */
export const wantedFlows = ({ want, untold }: Ask, { evidence }: Answer, judgeOf: JudgeOf): readonly WantedFlow[] => {
  const [source, destination] = [hostOf(evidence.source), hostOf(evidence.destination)];
  if (untold === true) return [];
  const [from, to] = [judgeOf(source), judgeOf(destination)];
  const forwarded = (judge: Judge | undefined, direction: Direction): readonly WantedFlow[] => (judge === undefined || judge.pod === null ? [] : [{ node: judge.node, direction, verdict: 'FORWARDED', code: null }]);
  if (want === 'ok') return [...forwarded(from, 'egress'), ...forwarded(to, 'ingress')];
  const judge = want.direction === 'egress' ? from : to;
  const dropped: WantedFlow = { node: judge?.node ?? 'a node that judges', direction: want.direction, verdict: 'DROPPED', code: want.code };
  return want.direction === 'egress' ? [dropped] : [...forwarded(from, 'egress'), dropped];
};

/** Is this flow the one of this question? An echo's id stands where its source port would. */
export const isFlowOf = ({ protocol, family }: Ask, { evidence }: Answer, flow: Flow): boolean =>
  flow.protocol === (protocol === 'ICMP' && family === 6 ? 'ICMPV6' : protocol) && formatEnd(flow.source.address, flow.source.port) === evidence.source;

const meets = (wanted: WantedFlow, flow: Flow): boolean =>
  flow.node === wanted.node && flow.direction === wanted.direction && flow.verdict === wanted.verdict && (flow.reason?.code ?? null) === wanted.code;
const flowText = ({ verdict, direction, node }: { readonly verdict: string; readonly direction: string | null; readonly node: string }, code: number | null): string => `${verdict}${code === null ? '' : ` ${code}`} ${direction ?? ''} on ${node}`;

export const missingFlows = (wanted: readonly WantedFlow[], seen: readonly Flow[]): readonly WantedFlow[] => wanted.filter((each) => !seen.some((flow) => meets(each, flow)));

/** A drop names the policy that decided: the deny rule's, or those that isolate; both are the row's own. */
const decidedByOther = ({ verdict, rule, isolatedBy, reason }: Flow, policies: ReadonlySet<string>): boolean => {
  if (verdict !== 'DROPPED') return false;
  const named = [...(rule === null ? [] : [rule.slice(0, rule.lastIndexOf(' '))]), ...isolatedBy];
  return named.length === 0 || !named.every((name) => policies.has(name)) || (reason?.code === DENY_RULE && rule === null);
};

/** What is missing, what contradicts, and who was not named. @param policies the row's, as `<kind>/<namespace>/<name>` */
export const flowFaults = (ask: Ask, answer: Answer, seen: readonly Flow[], judgeOf: JudgeOf, policies: ReadonlySet<string>): readonly string[] => {
  const wanted = wantedFlows(ask, answer, judgeOf);
  const named = (address: string, pod: string | null): boolean => { const judge = judgeOf(address); return judge === undefined || judge.pod === null || judge.pod === pod; };
  return [
    ...missingFlows(wanted, seen).map((each) => `${askText(ask)}: nobody told ${flowText(each, each.code)}`),
    ...seen.filter((flow) => !wanted.some((each) => meets(each, flow)) && (flow.verdict === 'DROPPED' || wanted.some(({ direction, verdict }) => direction === flow.direction && verdict === 'DROPPED')))
      .map((flow) => `${askText(ask)}: told against it: ${flowText(flow, flow.reason?.code ?? null)}`),
    ...seen.filter(({ source, destination }) => !named(source.address, source.pod) || !named(destination.address, destination.pod)).map((flow) => `${askText(ask)}: a pod without its name in ${flowText(flow, null)}`),
    ...seen.filter((flow) => wanted.some((each) => meets(each, flow)) && decidedByOther(flow, policies)).map((flow) => `${askText(ask)}: decided by none of the row's policies: ${[flow.rule ?? 'no rule', ...flow.isolatedBy].join(', ')}`),
  ];
};
