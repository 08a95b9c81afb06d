/** The kernel's look-up in TypeScript, over desired rows: what `check` asks. It reads the same rows in the same order as bpf/lib/policy.h. */
import { Direction, SubjectFlag, Verdict, type KeyRow, type MapName, type ValueRow } from '@seine/layout';

import type { DesiredRow } from '../desired.ts';
import type { DirectionName } from './join.ts';
import { ROW_SHAPE_SHIFT, SHAPES } from './shape.ts';

export interface RowIndex {
  readonly find: <M extends MapName>(map: M, key: KeyRow<M>) => ValueRow<M> | undefined;
}

const keyText = (map: string, key: Readonly<Record<string, unknown>>): string => `${map} ${Object.values(key).join(' ')}`;

export const indexRows = (rows: readonly DesiredRow[]): RowIndex => {
  const byKey = new Map(rows.map((row) => [keyText(row.map, row.key), row.value]));
  return { find: (map, key) => byKey.get(keyText(map, key)) as ValueRow<typeof map> | undefined }; // holds: rows of a map have its value type
};

export interface Question {
  readonly direction: DirectionName;
  readonly identity: number;
  readonly variant: number;
  readonly peer: { readonly identity: number; readonly variant: number; /** class of an in-cluster address, else 0 */ readonly cidrClass: number };
  readonly protocol: number;
  /** ICMP: type << 8 | code */
  readonly port: number;
}

/** `reason` 0 = allowed; the drop reason otherwise. `rule` is the node-local number, 0 = none. */
export interface Answer { readonly verdict: number; readonly reason: number; readonly rule: number }

const REASON: Readonly<Record<number, number>> = { [Verdict.ALLOW]: 0, [Verdict.AUDIT]: 0, [Verdict.DENY]: 181, [Verdict.FULL]: 155 };

export const lookUp = (rows: RowIndex, question: Question): Answer => {
  const subject = rows.find('sn_subject_01', {
    identity: question.identity, variant: question.variant, direction: question.direction === 'ingress' ? Direction.INGRESS : Direction.EGRESS,
  });
  if (subject === undefined) return { verdict: Verdict.NONE, reason: 203, rule: 0 };
  if ((subject.flags & SubjectFlag.ENFORCED) === 0) return { verdict: Verdict.ALLOW, reason: 0, rule: 0 };
  if (question.peer.identity === 0 && (subject.flags & SubjectFlag.PEER_DENY) !== 0) return { verdict: Verdict.DENY, reason: 171, rule: 0 };
  const classVariant = (((subject.flags & SubjectFlag.NEEDS_CLASS) === 0 ? 0 : question.peer.cidrClass << 16) |
    ((subject.flags & SubjectFlag.NEEDS_VARIANT) === 0 ? 0 : question.peer.variant)) >>> 0;
  const row = rows.find('sn_peer_01', { revision: subject.revision, identity: question.peer.identity, classVariant })?.row ?? subject.defaultRow;
  const answer = (value: ValueRow<'sn_row_01'>): Answer => ({ verdict: value.verdict, reason: REASON[value.verdict] ?? 133, rule: value.rule });
  const lengths = SHAPES[row >>> ROW_SHAPE_SHIFT]!;
  for (let length = 16; length >= 0; length -= 1) {
    if (((lengths >> length) & 1) === 0) continue;
    const port = length === 0 ? 0 : question.port & ((0xffff << (16 - length)) & 0xffff);
    const value = rows.find('sn_row_01', { row, protocol: question.protocol, prefixLength: length, port });
    if (value !== undefined) return answer(value);
  }
  const root = rows.find('sn_row_01', { row, protocol: 0, prefixLength: 0, port: 0 });
  return root === undefined ? { verdict: Verdict.NONE, reason: 203, rule: 0 } : answer(root);
};
