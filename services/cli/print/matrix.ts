/** The matrix for people: a grid that fits 100 columns, and below it who is allowed to each port, and by which rule. Pure. */
import type { PolicyRef, RuleRef } from '@seine/node';

import type { Matrix, MatrixCell, MatrixPort } from '../matrix.ts';
import type { Decision } from '../reach.ts';
import { table } from './table.ts';

const WIDTH = 100;
const MOST_NAME = 34;
const CELL = 3;
/** Rows and columns that people can read; more is for -o json. */
const MOST_ROWS = 60;
const MOST_COLUMNS = 80;

const SIGN = { open: '.', rule: '+', default: 'x', deny: 'X', audit: 'a' } as const;
const LEGEND = `${SIGN.open} no policy judges it  ${SIGN.rule} a rule allows it  ${SIGN.default} no rule allows it (133)  ${SIGN.deny} a rule denies it (181)  ${SIGN.audit} under audit`;

const signOf = ({ verdict, rule, reason, direction }: Decision): string =>
  (verdict === 'deny' ? (reason?.code === 181 ? SIGN.deny : SIGN.default) : verdict === 'audit' ? SIGN.audit : rule === null && direction === null ? SIGN.open : SIGN.rule);

const shorten = (name: string, most: number): string => (name.length <= most ? name : `${name.slice(0, most - 1)}…`);

/** `a, b +3`: as many as fit, one at least. */
export const namesText = (names: readonly string[], width = MOST_NAME): string => {
  for (let shown = names.length; shown > 1; shown -= 1) {
    const text = `${names.slice(0, shown).join(', ')}${shown < names.length ? ` +${names.length - shown}` : ''}`;
    if (text.length <= width) return text;
  }
  const rest = names.length > 1 ? ` +${names.length - 1}` : '';
  return `${shorten(names[0] ?? '', width - rest.length)}${rest}`;
};

/** Within one namespace its name goes without saying. */
const local = (name: string, namespace: string | null): string => (namespace !== null && name.startsWith(`${namespace}/`) ? name.slice(namespace.length + 1) : name);

const portText = ({ port, protocol }: Pick<MatrixPort, 'port' | 'protocol'>): string => `${port}/${protocol}`;
const columnKey = ({ to, port, protocol }: Pick<MatrixCell, 'to' | 'port' | 'protocol'>): string => `${to} ${port}/${protocol}`;

/** `carts-db-access` for a NetworkPolicy of the namespace in question, else with what tells it from that. */
const policyName = (ref: PolicyRef, namespace: string | null): string => {
  const name = ref.namespace === '' ? ref.name : local(`${ref.namespace}/${ref.name}`, namespace);
  return ref.kind === 'NetworkPolicy' ? name : `${ref.kind} ${name}`;
};
const ruleName = (rule: RuleRef, namespace: string | null): string => `${policyName(rule, namespace)} ${rule.section}[${rule.index}]${rule.peerField === null ? '' : `.${rule.peerField}`}`;

/** Who decided, in a few words. */
export const decisionText = ({ verdict, rule, isolatedBy }: Decision, namespace: string | null): string => {
  const audit = verdict === 'audit' ? 'under audit ' : '';
  if (rule !== null) return `${audit}${ruleName(rule, namespace)}`;
  return isolatedBy.length === 0 ? 'no policy judges it' : `${audit}isolated by ${isolatedBy.map((policy) => policyName(policy, namespace)).join(', ')}`;
};

/** Sources by what is said of them, the ones that get through first; decisions of one text are one. */
const byDecision = (cells: readonly MatrixCell[]): readonly { readonly decision: Decision; readonly from: readonly string[] }[] => {
  const groups = new Map<string, { readonly decision: Decision; readonly from: string[] }>();
  for (const cell of cells) {
    const key = `${cell.verdict} ${decisionText(cell.rule === null ? cell : { ...cell, rule: { ...cell.rule, peerField: null } }, null)}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { decision: cell, from: [cell.from] }); else group.from.push(cell.from);
  }
  return [...groups.values()].sort((a, b) => Number(a.decision.verdict === 'deny') - Number(b.decision.verdict === 'deny'));
};

const whoText = (cells: readonly MatrixCell[], namespace: string | null): readonly string[] => {
  const groups = byDecision(cells);
  const said = ({ decision, from }: (typeof groups)[number]): string =>
    decisionText(from.length > 1 && decision.rule !== null ? { ...decision, rule: { ...decision.rule, peerField: null } } : decision, namespace);
  const who = ({ from }: (typeof groups)[number]): string => (from.length === cells.length ? 'everybody' : namesText(from.map((name) => local(name, namespace))));
  const passes = groups.filter(({ decision }) => decision.verdict !== 'deny').map((group) => `${who(group)}: ${said(group)}`);
  const isolation = groups.find(({ decision }) => decision.verdict === 'deny' && decision.rule === null);
  const none = passes.length > 0 ? [] : [`nobody${isolation === undefined ? '' : `: ${said(isolation)}`}`];
  return [...passes, ...none, ...groups.filter(({ decision }) => decision.verdict === 'deny' && decision.rule !== null).map((group) => `not ${who(group)}: ${said(group)}`)];
};

interface Row { readonly names: readonly string[]; readonly signs: readonly string[] }

/** Rows that are alike stand as one. */
const rowsOf = (matrix: Matrix, columns: readonly MatrixPort[]): readonly Row[] => {
  const signs = new Map<string, string>(matrix.cells.map((cell) => [`${cell.from} ${columnKey(cell)}`, signOf(cell)]));
  const rows = new Map<string, { readonly names: string[]; readonly signs: readonly string[] }>();
  for (const { name, members } of matrix.from) {
    const own = columns.map((column) => signs.get(`${name} ${columnKey(column)}`) ?? ' ');
    const shown = (members.length > 1 ? members : [name]).map((each) => local(each, matrix.namespace));
    const row = rows.get(own.join(''));
    if (row === undefined) rows.set(own.join(''), { names: [...shown], signs: own }); else row.names.push(...shown);
  }
  return [...rows.values()];
};

const gridText = (rows: readonly Row[], columns: readonly MatrixPort[]): string => {
  const label = Math.min(MOST_NAME, Math.max(4, ...rows.map(({ names }) => namesText(names).length)));
  const atOnce = Math.floor((WIDTH - 2 - label) / CELL);
  const blocks: string[] = [];
  for (let start = 0; start < columns.length; start += atOnce) {
    const end = Math.min(columns.length, start + atOnce);
    const head = Array.from({ length: end - start }, (_, index) => String(start + index + 1).padStart(CELL)).join('');
    blocks.push(`  ${'FROM'.padEnd(label)}${head}\n`, ...rows.map(({ names, signs }) => `  ${shorten(namesText(names), label).padEnd(label)}${signs.slice(start, end).map((sign) => sign.padStart(CELL)).join('')}`.trimEnd().concat('\n')), '\n');
  }
  return blocks.join('');
};

const columnsText = (matrix: Matrix, columns: readonly MatrixPort[]): string => {
  const cells = Map.groupBy(matrix.cells, columnKey);
  return table([['', 'TO', 'PORT', 'WHO GETS THROUGH'], ...columns.flatMap((column, index) => {
    const who = whoText(cells.get(columnKey(column)) ?? [], matrix.namespace);
    return who.map((line, at) => (at === 0 ? [String(index + 1), shorten(local(column.to, matrix.namespace), MOST_NAME), portText(column), line] : ['', '', '', line]));
  })]).replace(/^(?=.)/gm, '  ');
};

export const matrixHead = ({ namespace, from, to, counts }: Matrix, moment: string): string =>
  `Who reaches whom ${namespace === null ? 'in every namespace' : `in ${namespace}`}${moment}: ${from.length} parties, ${to.length} ports; of ${counts.cells} cells ${counts.allow} are allowed, ${counts.deny} denied${counts.audit === 0 ? '' : `, ${counts.audit} under audit`}.\n`;

/** @param moment ` at #142`, or nothing */
export const matrixText = (matrix: Matrix, moment: string): string => {
  const head = matrixHead(matrix, moment);
  const silent = matrix.silent.length === 0 ? '' : `  no port to ask for: ${namesText(matrix.silent.map((name) => local(name, matrix.namespace)), WIDTH - 24)}\n`;
  if (matrix.to.length === 0) return `${head}${silent}`;
  if (!matrix.complete) return `${head}${silent}  too many for a screen: -n NAMESPACE, or -o json\n`;
  const rows = rowsOf(matrix, matrix.to);
  if (rows.length > MOST_ROWS || matrix.to.length > MOST_COLUMNS) return `${head}${silent}  ${rows.length} different rows, ${matrix.to.length} columns: too many for a screen: -n NAMESPACE, -o wide or -o json\n`;
  return `${head}\n${gridText(rows, matrix.to)}  ${LEGEND}\n\n${columnsText(matrix, matrix.to)}${silent}`;
};

/** One line for each cell. */
export const cellsText = (cells: readonly MatrixCell[]): string => table([
  ['FROM', 'TO', 'PORT', 'VERDICT', 'DECIDED BY'], ...cells.map((cell) => [cell.from, cell.to, portText(cell), cell.verdict, decisionText(cell, null)]),
]);
