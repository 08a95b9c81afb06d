/** `seine why` for people. Pure. */
import type { DirectionName } from '@seine/datapath-writer';
import { formatEnd } from '@seine/model';
import type { PolicyRef, RuleRef } from '@seine/node';

import type { HistoryEntry } from '../trace.ts';
import type { SelectingPolicy, WhyBackend, WhyReport, WhyService, WhySide } from '../why.ts';
import { table } from './table.ts';

/** History shown to people; all of it is in the JSON. */
const MOST_HISTORY = 6;

const count = (number: number, noun: string): string => `${number} ${number === 1 ? noun : noun.replace(/y$/, 'ie')}${number === 1 ? '' : 's'}`;
const indent = (text: string, by: string): string => text.replace(/^(?=.)/gm, by);

export const policyText = ({ kind, namespace, name }: PolicyRef): string => `${kind} ${namespace === '' ? '' : `${namespace}/`}${name}`;
export const ruleText = (ref: RuleRef): string => `${policyText(ref)} ${ref.section}[${ref.index}]${ref.peerField === null ? '' : `.${ref.peerField}`}`;
export const placeText = ({ file, line }: Pick<RuleRef, 'file' | 'line'>): string => (file === null ? '' : `${file.replace(/^.*\//, '')}${line === null ? '' : `:${line}`}`);

/** Time of day; the date too where it is not the day of `near`. */
const timeText = (time: string, near: string | null): string => (near !== null && near.slice(0, 10) !== time.slice(0, 10) ? `${time.slice(0, 10)} ${time.slice(11, 19)}` : time.slice(11, 19));
const preciseText = (time: string): string => `${time.slice(11, 23)}`;

const ANSWER = { allow: 'ALLOWED', deny: 'DENIED', audit: 'AUDITED', redirect: 'REDIRECTED' } as const;
const PAD = ' '.repeat(8);

const sideText = ({ name, asked, identity, node }: WhySide): string => `${name} (${asked.startsWith('svc:') && asked !== name ? `${asked}, ` : ''}identity ${identity}${node === null ? '' : `, ${node}`})`;

/** What a drop reason says of a policy, where the field's name for it does not. */
const REASON_TEXT: Readonly<Record<number, string>> = {
  133: 'no rule allows it', 155: 'its policies do not fit into the maps, so it is closed', 158: 'no backend can be drawn', 171: 'nobody knows yet who that is, and its policies tell peers apart', 177: 'this client is in none of the Service\'s source ranges', 181: 'a deny rule matched',
};

const reasonText = ({ reason, isolatedBy }: WhyReport): string => {
  if (reason === null) return '';
  const what = REASON_TEXT[reason.code] ?? reason.name;
  return `drop reason ${reason.code}, ${what}${isolatedBy.length > 1 ? ' (any of its policies isolates it)' : ''}`;
};

const headText = (report: WhyReport): string => {
  const { verdict, direction, from, to, port, protocol } = report;
  const answer = ANSWER[verdict].padEnd(PAD.length);
  const first = `${answer}${sideText(from)}  ->  ${sideText(to)}  ${port === null ? protocol : `${port}/${protocol}`}\n`;
  if (direction === null) return first;
  const where = `at ${direction} of ${direction === 'egress' ? from.name : to.name}`;
  if (verdict === 'deny') return `${first}${PAD}${where}: ${reasonText(report)}\n`;
  return verdict === 'audit' ? `${first}${PAD}${where}: it passes, policies under audit would deny it\n` : `${first}${PAD}${where}: a rule allows it\n`;
};

const wayText = (report: WhyReport, direction: DirectionName): string => {
  const side = direction === 'egress' ? report.from : report.to;
  const said = report.ways[direction];
  const selecting = report.selecting[direction];
  if (side.node === null && said === null) return 'not judged: no pod of this cluster';
  if (said === null) return report.direction === 'egress' && report.verdict === 'deny' ? 'not reached' : 'not judged: it talks to itself';
  const word = { allow: 'allowed', deny: 'denied', audit: 'audited' }[said].padEnd(10);
  if (selecting.length === 0) return `${word}no policy selects it for ${direction}`;
  const rules = selecting.reduce((sum, policy) => sum + policy.rules, 0);
  const decides = report.direction === direction && (report.reason === null || report.reason.code === 133 || report.anyOf.length > 0);
  const tail = !decides ? '' : report.anyOf.length > 0 ? `, ${report.anyOf.length} decide${report.anyOf.length === 1 ? 's' : ''}` : ', none matches';
  return `${word}selected by ${count(selecting.length, 'policy')}, ${count(rules, 'rule')}${tail}`;
};

/** Who was asked for; at a node's port that is its backend. */
const askedText = ({ service, to }: WhyReport): string => (service === null || to.asked.startsWith('svc:') ? to.asked : to.name);

const waysText = (report: WhyReport): string => indent(table((['egress', 'ingress'] as const).map((direction) =>
  [`${direction} of ${direction === 'egress' ? report.from.asked : askedText(report)}`, ` ${wayText(report, direction)}`])), '  ');

const alignedPair = (head: readonly [string, string], first: readonly string[], second: readonly string[], note: string): string => {
  const columns = Math.max(first.length, second.length);
  const padded = (cells: readonly string[]): readonly string[] => Array.from({ length: columns }, (_, index) => cells[index] ?? '');
  return table([[`${head[0]} `, ...padded(first), ''], [`${head[1]} `, ...padded(second), note === '' ? '' : `  ${note}`]]);
};

const decidedText = ({ anyOf, overruled, verdict, direction, withheld }: WhyReport): string => {
  if (anyOf.length === 0) return '';
  const other = direction === 'egress' ? 'server' : 'client';
  const blocks = anyOf.map(({ rule, columns, since }) => {
    const place = placeText(rule);
    return `${ruleText(rule)}${place === '' ? '' : `   ${place}`}\n${indent(alignedPair(['matches', `${other} `], columns.matches, columns.has, since === null ? '' : `since #${since}`), '  ')}`;
  });
  const lines = [`\n  ${withheld.length > 0 ? 'Would allow, on a condition that cannot be enforced here' : verdict === 'audit' ? 'Would be denied by' : 'Decided by'}${anyOf.length > 1 ? ' any of' : ''}\n`, ...blocks.map((block) => indent(block, '    '))];
  for (const reason of withheld) lines.push(`      withheld  ${reason}\n`);
  if (overruled.length > 0) {
    const why = verdict === 'deny' ? '(deny wins over any allow)' : '(a tier before it decided)';
    lines.push(`\n  ${verdict === 'deny' ? 'Allowed' : 'Denied'} but overruled   ${why}\n`, ...overruled.map((rule) => `    ${ruleText(rule)}${placeText(rule) === '' ? '' : `   ${placeText(rule)}`}\n`));
  }
  return lines.join('');
};

const KIND_TEXT: Readonly<Record<string, string>> = { clusterIP: 'ClusterIP', nodePort: 'node port', externalIP: 'external address', loadBalancer: 'load balancer', hostPort: 'host port' };
/** Backends shown to people; all of them are in the JSON. */
const MOST_BACKENDS = 12;

const backendCells = ({ address, port, pod, node, share, verdict, direction, reason, out }: WhyBackend): readonly string[] => [
  formatEnd(address, port), pod ?? '-', node ?? '-', out === null ? `${Math.round(share * 1000) / 10} %` : 'out',
  out ?? (verdict === null ? '' : `${ANSWER[verdict].toLowerCase()}${reason === null ? '' : ` at ${direction ?? 'egress'}: ${REASON_TEXT[reason.code] ?? reason.name} (${reason.code})`}`),
];

const SET_TEXT = { active: 'active backends', terminating: 'backends that end: nobody is active', nobody: 'nobody: no backend serves' } as const satisfies Record<WhyService['set'], string>;

const serviceText = ({ service }: WhyReport): string => {
  if (service === null) return '';
  const { service: name, kind, address, port, protocol, node, from, trafficPolicy, set, algorithm, affinityS, sourceRanges, backends } = service;
  const where = `${from === 'outside' ? 'asked from outside at' : 'drawn on'} ${node}`;
  const how = kind === 'hostPort' ? [where] : [
    where, `from ${SET_TEXT[set]}`, ...(trafficPolicy === 'Local' ? [`traffic policy Local: those of ${node}`] : []),
    algorithm === 'maglev' ? 'Maglev: by the client\'s address and port' : 'at random', ...(affinityS === null ? [] : [`a client keeps its backend for ${affinityS} s`]), ...(sourceRanges === null ? [] : [`for ${sourceRanges.join(', ')} alone`]),
  ];
  const more = backends.length - MOST_BACKENDS;
  return `  ${kind === 'hostPort' ? 'Pod' : 'Service'} ${name}  ${formatEnd(address, port)}/${protocol} (${KIND_TEXT[kind] ?? kind})\n    ${how.join(', ')}\n${indent(table(backends.slice(0, MOST_BACKENDS).map(backendCells)), '    ')}${more > 0 ? `    ${more} more with -o json\n` : ''}\n`;
};

const missesText = ({ nearestMisses, direction }: WhyReport): string => (nearestMisses.length === 0 ? '' : `\n  Nearest misses\n${nearestMisses.map(({ rule, columns, what }) => {
  const place = placeText(rule);
  return `    ${ruleText(rule)}${place === '' ? '' : `   ${place}`}\n${indent(alignedPair(['admits', direction === 'egress' ? 'server' : 'client'], columns.admits, columns.has, what), '      ')}`;
}).join('')}`);

/** @param dated the sequences are a log's, and mean something */
const selectingLine = (direction: DirectionName, policy: SelectingPolicy, dated: boolean): readonly string[] => [
  direction, policyText(policy), `${policy.isolates ? 'isolates, ' : ''}${count(policy.rules, 'rule')}${policy.audit ? ', audited' : ''}`, placeText(policy), policy.seq === null || !dated ? '' : `since #${policy.seq}`,
];

const selectingText = ({ selecting, asOf }: WhyReport): string => {
  const lines = (['egress', 'ingress'] as const).flatMap((direction) => selecting[direction].map((policy) => selectingLine(direction, policy, asOf.time !== null)));
  return lines.length === 0 ? '' : `\n  Selected by\n${indent(table(lines), '    ')}`;
};

const entryText = ({ seq, time, summary, manager, verdict, flipped }: HistoryEntry, near: string | null): readonly string[] =>
  [`#${seq}`, timeText(time, near), `${summary}${manager === null ? '' : `   set by field manager ${manager}`}${!flipped || verdict === null ? '' : `   <- the verdict flipped here: ${ANSWER[verdict]}`}`];

/** Told where there is something to tell: since both ends are there the verdict has been another one. */
const historyText = ({ history, asOf }: WhyReport): string => {
  if (!history.some(({ flipped }) => flipped)) return '';
  const lived = history.slice(history.findIndex(({ verdict }) => verdict !== null) + 1);
  const shown = lived.slice(-MOST_HISTORY);
  const left = history.length - shown.length;
  return `\n  How it came about${left === 0 ? '' : `   (${left} more with -o json)`}\n${indent(table(shown.map((entry) => entryText(entry, asOf.time))), '    ')}`;
};

const todayText = ({ today, asOf }: WhyReport): string => {
  if (today === null) return '';
  const because = today.because === null ? '' : `  (#${today.because.seq}: ${today.because.summary} ${timeText(today.because.time, asOf.time)}${today.because.manager === null ? '' : `, field manager ${today.because.manager}`})`;
  return `  Today it would be  ${today.verdict === null ? 'nothing: an end is gone' : ANSWER[today.verdict]}${because}\n`;
};

const SEEN_NOUN = { DROPPED: 'drop', FORWARDED: 'flow let through', AUDIT: 'audited flow' } as const;

const seenText = ({ seen, to }: WhyReport): string => {
  if (seen === null) return '';
  const noun = SEEN_NOUN[seen.verdict];
  const many = seen.count === 1 ? noun : noun.replace(/^(\w+ )?(drop|flow)/, '$1$2s');
  const last = seen.last === null ? '' : `, last ${preciseText(seen.last.time)} on ${seen.last.node}`;
  return `  Seen   ${seen.count} ${many} in the last ${seen.minutes} minutes${last} (seine observe --to ${to.asked.replace(/^svc:/, '')} --verdict ${seen.verdict.toLowerCase()})\n`;
};

const asOfText = ({ asOf: { seq, time, node, head, applied } }: WhyReport): string => {
  if (time === null) return '  As of  the manifests as given: no log was asked\n';
  const when = applied === null ? `stored ${timeText(time, null)}${node === '' ? '' : `, judged on ${node}`}` : `applied by ${node} at ${preciseText(applied)}`;
  return `  As of  #${seq}, ${when}${head === seq ? '' : ` (the log's head is #${head})`}\n`;
};

export const whyText = (report: WhyReport): string => [
  headText(report), ...report.notes.map((note) => `${PAD}${note}\n`), '\n', serviceText(report), waysText(report), decidedText(report), missesText(report), selectingText(report), historyText(report), todayText(report), '\n', seenText(report), asOfText(report),
].join('');
