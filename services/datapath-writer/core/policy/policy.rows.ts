/** Rows of the policy maps. Pure. */
import { Direction, echoOf, MAPS, SubjectFlag, Verdict, type ValueRow } from '@seine/layout';

import type { DesiredRow } from '../desired.ts';
import type { DirectionName } from './join.ts';
import type { RowAnswer, RowContent } from './row.ts';
import { ROW_SHAPE_SHIFT, SHAPES, shapeOf } from './shape.ts';

const VERDICT: Readonly<Record<RowAnswer['verdict'], number>> = {
  allow: Verdict.ALLOW, deny: Verdict.DENY, 'default-deny': Verdict.DEFAULT_DENY, audit: Verdict.AUDIT, full: Verdict.FULL,
};

/** What the kernel asks of a subject before it looks for the peer. */
export interface PolicyFlags { readonly enforced: boolean; readonly needsClass: boolean; readonly needsVariant: boolean; readonly peerDeny: boolean }

const flagsOf = ({ enforced, needsClass, needsVariant, peerDeny }: PolicyFlags): number =>
  (enforced ? SubjectFlag.ENFORCED : 0) | (needsClass ? SubjectFlag.NEEDS_CLASS : 0) | (needsVariant ? SubjectFlag.NEEDS_VARIANT : 0) | (peerDeny ? SubjectFlag.PEER_DENY : 0);

export interface SubjectName { readonly identity: number; readonly variant: number; readonly direction: DirectionName }

export const subjectKeyRow = ({ identity, variant, direction }: SubjectName) => ({ identity, variant, direction: direction === 'ingress' ? Direction.INGRESS : Direction.EGRESS });

export const subjectRow = (name: SubjectName, flags: PolicyFlags, { revision, defaultRow }: Pick<ValueRow<'sn_subject_01'>, 'revision' | 'defaultRow'>): DesiredRow => {
  const key = subjectKeyRow(name);
  return { map: 'sn_subject_01', key, value: { revision, echo: echoOf(MAPS.sn_subject_01.key, key), defaultRow, flags: flagsOf(flags) } };
};

/** A row's number in the kernel: its content's with the shape on top. */
export const rowNumber = (content: RowContent, number: number): number => ((shapeOf(content) << ROW_SHAPE_SHIFT) | number) >>> 0;

/** @param ruleNumber of a rule's name */
export const contentRows = (content: RowContent, row: number, ruleNumber: (rule: string) => number): readonly DesiredRow[] => content.entries.map(({ protocol, port, length, verdict, rule }) => ({
  map: 'sn_row_01', key: { row, protocol, prefixLength: length, port }, value: { verdict: VERDICT[verdict], proxyPort: 0, rule: rule === undefined ? 0 : ruleNumber(rule) },
}));

/** The fixed table of shapes. */
export const shapeRows = (): readonly DesiredRow[] => SHAPES.map((value, index) => ({ map: 'sn_shape_01', key: { value: index }, value: { value } }));
