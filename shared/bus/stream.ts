/** How the two streams must be, and how what the broker made of it differs. Pure. */
import { COMMIT_BYTES_MAX } from '@seine/events';

import { REPORT_BYTES_MAX } from './bus.ts';
import { LOG_STREAM, REPORT_STREAM, allLiveSubjects, allLogSubjects, allReportSubjects } from './subject.ts';

export type StreamConfig = Readonly<Record<string, unknown>> & { readonly name: string };

export interface StreamSize { readonly cluster: string; readonly replicas?: number; readonly maxBytes?: number }

/** Bound of the log where none is given: an alarm is due at 80 % of it. */
export const LOG_BYTES_DEFAULT = 1024 * 1024 * 1024;
/** Message ids are remembered this long; a commit sent again later is found by its hash. */
const DUPLICATE_WINDOW_NS = 120_000_000_000;

export const logStreamConfig = ({ cluster, replicas = 1, maxBytes = LOG_BYTES_DEFAULT }: StreamSize): StreamConfig => ({
  name: LOG_STREAM,
  subjects: [allLogSubjects(cluster)],
  storage: 'file',
  retention: 'limits',
  discard: 'new',
  max_age: 0,
  max_msgs: -1,
  max_msgs_per_subject: -1,
  max_bytes: maxBytes,
  /** A commit and its headers. */
  max_msg_size: COMMIT_BYTES_MAX + 4096,
  max_consumers: -1,
  num_replicas: replicas,
  duplicate_window: DUPLICATE_WINDOW_NS,
  deny_delete: true,
  deny_purge: true,
  allow_rollup_hdrs: false,
  sealed: false,
  republish: { src: allLogSubjects(cluster), dest: allLiveSubjects(cluster) },
});

/** Not a key-value bucket: there a rollup header of one node would wipe the others. */
export const reportStreamConfig = ({ cluster, replicas = 1 }: StreamSize): StreamConfig => ({
  name: REPORT_STREAM,
  subjects: [allReportSubjects(cluster)],
  storage: 'file',
  retention: 'limits',
  discard: 'old',
  max_age: 0,
  max_msgs: -1,
  max_msgs_per_subject: 1,
  max_bytes: 256 * 1024 * 1024,
  max_msg_size: REPORT_BYTES_MAX,
  max_consumers: -1,
  num_replicas: replicas,
  deny_purge: true,
  allow_rollup_hdrs: false,
});

const same = (wanted: unknown, found: unknown): boolean => {
  if (typeof wanted !== 'object' || wanted === null) return wanted === found || (wanted === false && found === undefined) || (wanted === 0 && found === undefined);
  if (typeof found !== 'object' || found === null) return false;
  return Object.entries(wanted).every(([key, value]) => same(value, (found as Readonly<Record<string, unknown>>)[key]));
};

/** `deny_delete is false, must be true`: every member that the broker dropped or changed. An old broker drops silently what it does not know. */
export const differences = (wanted: StreamConfig, found: Readonly<Record<string, unknown>>): readonly string[] =>
  Object.entries(wanted)
    .filter(([key, value]) => !same(value, found[key]))
    .map(([key, value]) => `${key} is ${JSON.stringify(found[key]) ?? 'absent'}, must be ${JSON.stringify(value)}`);
