/** Rows without this node's own numbers: what a dump shows, what a replay of the log gives, byte for byte the same. Pure. */
import { CIDR_IDENTITY_BASE, compareCodeUnits, digest, isCidrIdentity, isNodeIdentity, NODE_IDENTITY_BASE } from '@seine/model';
import { Direction, echoOfBytes, encode, FOLDED_MAPS, MAPS, Verdict, type MapName, type StructLayout } from '@seine/layout';
import type { AnyRow, CanonicalEntry } from '@seine/node';

import type { Rows } from './order.ts';
import { ROW_SHAPE_SHIFT, type Tables } from './policy/index.ts';

export interface LocalNames {
  readonly tables: Tables;
  /** Host interface behind an index. */
  readonly interfaceName: (ifindex: number) => string | undefined;
}

const nameOf = <T extends Record<string, number>>(values: T, number: number): string => Object.entries(values).find(([, value]) => value === number)?.[0]?.toLowerCase() ?? String(number);

/** A revision's name lists all its policies: the direction and a digest tell as much apart. */
const revisionText = (name: string | undefined): string | undefined => (name === undefined ? undefined : /^(?:ingress|egress) (?:open|full)$/.test(name) ? name : `${name.slice(0, name.indexOf(' '))} ${digest(name)}`);

/** Members that name something of this node by number, and what they mean. */
const canonicalRow = (map: MapName, row: AnyRow, names: LocalNames): AnyRow => {
  const { tables } = names;
  const out: Record<string, number | string> = {};
  for (const [member, value] of Object.entries(row)) {
    if (member === 'echo') continue;
    if (typeof value === 'string') { out[member] = value; continue; }
    switch (member) {
      case 'revision': out[member] = revisionText(tables.revision.textOf.get(value)) ?? `revision ${value}`; break;
      case 'defaultRow':
      case 'row': {
        const text = tables.row.textOf.get(value & 0xffffff);
        out[member] = text === undefined ? `row ${value}` : `row ${value >>> ROW_SHAPE_SHIFT}:${digest(text)}`;
        break;
      }
      case 'rule': out[member] = value === 0 ? '-' : tables.rule.textOf.get(value) ?? `rule ${value}`; break;
      case 'slots': out[member] = `${Number(row['slotsHigh']).toString(16)}:${value.toString(16)}`; break;
      case 'slotsHigh': break;
      case 'ifindex': out[member] = names.interfaceName(value) ?? `interface ${value}`; break;
      case 'identity':
        out[member] = isCidrIdentity(value) ? `cidr:${tables.cidrClass.textOf.get(value - CIDR_IDENTITY_BASE) ?? value}` :
          isNodeIdentity(value) ? `node:${tables.nodes.textOf.get(value - NODE_IDENTITY_BASE) ?? value}` : value;
        break;
      case 'classVariant': out['class'] = value >>> 16 === 0 ? '-' : tables.cidrClass.textOf.get(value >>> 16) ?? `class ${value >>> 16}`; out['variant'] = value & 0xffff; break;
      case 'direction': out[member] = nameOf(Direction, value); break;
      case 'verdict': out[member] = nameOf(Verdict, value); break;
      case 'value': out[member] = map === 'sn_class_01' ? tables.cidrClass.textOf.get(value) ?? `class ${value}` : value; break;
      default: out[member] = value;
    }
  }
  return out;
};

const text = (row: AnyRow): string => Object.entries(row).map(([member, value]) => `${member}=${value}`).join(' ');

/** Maps whose values hold the echo of their key. */
const ECHOED: ReadonlySet<MapName> = new Set<MapName>(['sn_subject_01', 'sn_peer_01', 'sn_endpoint_01', 'sn_ipcache_01', 'sn_frontend_02']);

/** One entry for each entry of the kernel, sorted. A wrong echo shows: such an entry is never obeyed. */
export const canonicalEntries = (rows: Rows, names: LocalNames): readonly CanonicalEntry[] => {
  const entries: CanonicalEntry[] = [];
  for (const map of FOLDED_MAPS) {
    for (const { key, value } of rows.get(map)?.values() ?? []) {
      const echoWrong = ECHOED.has(map) && echoOfBytes(encode(MAPS[map].key as StructLayout, key as never)) !== value['echo']; // keys of folded maps are flat rows
      entries.push({ map, key: text(canonicalRow(map, key, names)), value: `${text(canonicalRow(map, value, names))}${echoWrong ? ' echo=wrong' : ''}` });
    }
  }
  return entries.sort((a, b) => compareCodeUnits(a.map, b.map) || compareCodeUnits(a.key, b.key) || compareCodeUnits(a.value, b.value));
};
