/** Subjects' policies → rows of the policy maps, with node-local numbers. */
import { digest, type Prefix } from '@seine/model';
import { Direction, echoOf, MAPS, SubjectFlag, Verdict } from '@seine/layout';

import type { DesiredRow } from '../desired.ts';
import type { SubjectPolicy } from './join.ts';
import { plainRow, type RowAnswer, type RowContent } from './row.ts';
import { ROW_SHAPE_SHIFT, SHAPES, shapeOf } from './shape.ts';
import { numberFor, type Tables } from './tables.ts';

const VERDICT: Readonly<Record<RowAnswer['verdict'], number>> = {
  allow: Verdict.ALLOW, deny: Verdict.DENY, 'default-deny': Verdict.DEFAULT_DENY, audit: Verdict.AUDIT, full: Verdict.FULL,
};

/** `256/0 ingress 1f0c…`: whose policy, which way, with which rules. */
export const revisionName = ({ subject, direction, content }: SubjectPolicy): string => `${subject.identity}/${subject.variant} ${direction} ${digest(content)}`;

const subjectRow = (policy: SubjectPolicy, revision: number, defaultRow: number): DesiredRow => {
  const key = { identity: policy.subject.identity, variant: policy.subject.variant, direction: policy.direction === 'ingress' ? Direction.INGRESS : Direction.EGRESS };
  const flags = (policy.enforced ? SubjectFlag.ENFORCED : 0) | (policy.needsClass ? SubjectFlag.NEEDS_CLASS : 0) |
    (policy.needsVariant ? SubjectFlag.NEEDS_VARIANT : 0) | (policy.peerDeny ? SubjectFlag.PEER_DENY : 0);
  return { map: 'sn_subject_01', key, value: { revision, echo: echoOf(MAPS.sn_subject_01.key, key), defaultRow, flags } };
};

const peerRow = (revision: number, peer: SubjectPolicy['peers'][number], row: number): DesiredRow => {
  const key = { revision, identity: peer.identity, classVariant: ((peer.cidrClass << 16) | peer.variant) >>> 0 };
  return { map: 'sn_peer_01', key, value: { row, echo: echoOf(MAPS.sn_peer_01.key, key) } };
};

/** Row number of a content; its rows are added to `out` once. */
const placeRow = (content: RowContent, tables: Tables, placed: Map<string, number>, out: DesiredRow[]): number => {
  const known = placed.get(content.text);
  if (known !== undefined) return known;
  const number = ((shapeOf(content) << ROW_SHAPE_SHIFT) | numberFor(tables.row, content.text)) >>> 0;
  placed.set(content.text, number);
  for (const { protocol, port, length, verdict, rule } of content.entries) {
    out.push({
      map: 'sn_row_01', key: { row: number, protocol, prefixLength: length, port },
      value: { verdict: VERDICT[verdict], proxyPort: 0, rule: rule === undefined ? 0 : numberFor(tables.rule, rule) },
    });
  }
  return number;
};

/** How many entries the maps hold at most; what does not fit is closed, never half open. */
export interface Capacity { readonly peers: number; readonly rows: number }
export const MAP_CAPACITY: Capacity = { peers: MAPS.sn_peer_01.maxEntries, rows: MAPS.sn_row_01.maxEntries };

export interface PolicyRows {
  readonly rows: readonly DesiredRow[];
  /** Subjects whose policy did not fit: closed with 155. */
  readonly full: readonly { readonly subject: SubjectPolicy; /** peer entries it needs */ readonly peers: number; /** row entries it needs beside those that are there */ readonly entries: number; readonly capacity: Capacity }[];
}

/** Entries of the row map that a policy adds to what is placed already: rows with equal content are one row. */
const newEntries = ({ defaultRow, peers }: SubjectPolicy, placed: ReadonlyMap<string, number>): number => {
  const fresh = new Map([defaultRow, ...peers.map(({ row }) => row)].filter(({ text }) => !placed.has(text)).map(({ text, entries }) => [text, entries.length]));
  return [...fresh.values()].reduce((sum, count) => sum + count, 0);
};

const FULL_ROW = plainRow({ verdict: 'full', rule: undefined });
/** The rows of a subject that is closed for want of room, and of one that nothing isolates: they always have their places. */
const RESERVED_ENTRIES = 2;

export const policyRows = (policies: readonly SubjectPolicy[], tables: Tables, capacity: Capacity = MAP_CAPACITY): PolicyRows => {
  const rows: DesiredRow[] = [];
  const placed = new Map<string, number>();
  const full: PolicyRows['full'][number][] = [];
  let peers = 0;
  let entries = RESERVED_ENTRIES;
  for (const policy of policies) {
    const added = newEntries(policy, placed);
    const fits = !policy.enforced || (peers + policy.peers.length <= capacity.peers && entries + added <= capacity.rows);
    const taken: SubjectPolicy = fits ? policy : {
      ...policy, content: 'full', needsClass: false, needsVariant: false, peerDeny: false, peers: [], defaultRow: FULL_ROW,
    };
    if (fits) entries += policy.enforced ? added : 0;
    else full.push({ subject: policy, peers: policy.peers.length, entries: added, capacity });
    const revision = numberFor(tables.revision, revisionName(taken));
    rows.push(subjectRow(taken, revision, placeRow(taken.defaultRow, tables, placed, rows)));
    for (const peer of taken.peers) rows.push(peerRow(revision, peer, placeRow(peer.row, tables, placed, rows)));
    peers += taken.peers.length;
  }
  return { rows, full };
};

/** The fixed table of shapes. */
export const shapeRows = (): readonly DesiredRow[] => SHAPES.map((value, index) => ({ map: 'sn_shape_01', key: { value: index }, value: { value } }));

const prefixKey = ({ address, length }: Prefix, format: (address: Uint8Array) => string) => ({ prefixLength: length, address: format(address) });

export const classRow = (prefix: Prefix, cidrClass: number, format: (address: Uint8Array) => string): DesiredRow =>
  ({ map: 'sn_class_01', key: prefixKey(prefix, format), value: { value: cidrClass } });
