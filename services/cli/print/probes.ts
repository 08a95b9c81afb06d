/** The table of probes. Pure. */
import type { PolicyRef, RuleRef } from '@seine/node';

import { table } from './table.ts';

export interface PrintedProbe {
  readonly from: string; readonly to: string; readonly protocol?: string; readonly port?: number; readonly want?: string; readonly got: string; readonly ok: boolean;
  readonly reason: { readonly code: number; readonly name: string } | null; readonly rule: RuleRef | null; readonly isolatedBy: readonly PolicyRef[]; readonly audit: boolean; readonly message?: string; readonly unexplained?: boolean;
  /** Of a Service's backends that can be drawn some would be denied. */
  readonly split?: { readonly denied: number; readonly of: number };
}

const decidedBy = (probe: PrintedProbe): string => {
  const decided = decidedByOne(probe);
  return probe.split === undefined ? decided : `${decided}; ${probe.split.denied} of the ${probe.split.of} backends that can be drawn are denied`;
};

const decidedByOne = ({ got, reason, rule, isolatedBy, audit, message, unexplained, to }: PrintedProbe): string => {
  if (got === 'error') return message ?? 'not tried';
  if (audit) return `under audit: ${rule === null ? `${isolatedBy.map(({ name }) => name).join(', ')} would deny it` : `${rule.name} ${rule.section}[${rule.index}] would deny it`}`;
  if (rule !== null) return `${rule.name} ${rule.section}[${rule.index}]`;
  if (reason !== null) return reason.code === 133 ? 'no rule allows it (133)' : `${reason.name} (${reason.code})`;
  if (unexplained === true) return `nothing arrived, and nobody says why${message === undefined ? '' : ` (${message})`}`;
  return `(no policy selects ${to.replace(/^svc:/, '')})`;
};

const shout = (verdict: string, ok: boolean): string => (ok ? verdict : verdict.toUpperCase());

export const probeTable = (probes: readonly PrintedProbe[]): string => table([
  ['FROM', 'TO', 'PORT', 'NEEDED', 'GOT', 'DECIDED BY', ''],
  ...probes.map((probe) => [
    probe.from, probe.to, probe.protocol === 'ICMP' ? 'ICMP' : `${probe.port ?? ''}/${probe.protocol ?? 'TCP'}`, probe.want ?? '-', shout(probe.got, probe.ok), decidedBy(probe), probe.ok ? '' : '<--',
  ]),
]);
