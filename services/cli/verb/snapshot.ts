/** `seine snapshot`: what matters of a foreign cluster, in a file that `-f` takes. Lists only; writes nothing but the file. */
import { renameSync, rmSync, writeFileSync } from 'node:fs';

import { connect } from '@seine/kube';
import { LARGEST_MANIFEST_BYTES, isDnsLabel } from '@seine/objects';

import { structured } from '../print/structured.ts';
import { table } from '../print/table.ts';
import { snapshotText, uncertainties } from '../snapshot/file.ts';
import { readCluster, type Reading } from '../snapshot/read.ts';
import { badInput, EXIT, readArgs, readDuration, readOutput, type Io, type Verb } from './verb.ts';

const OPTIONS = {
  context: { type: 'string' }, kubeconfig: { type: 'string' }, namespace: { type: 'string', short: 'n', multiple: true }, file: { type: 'string', short: 'O' }, timeout: { type: 'string' }, output: { type: 'string', short: 'o' },
} as const;

const QUIET_MS = 2_000;
const BETWEEN_LINES_MS = 1_000;

/** Says how far the reading is, once it takes long enough for a person to wonder. */
const progressTo = (io: Io): ((kind: string, objects: number) => void) => {
  let nextMs = performance.now() + QUIET_MS;
  return (kind, objects) => {
    if (performance.now() < nextMs) return;
    nextMs = performance.now() + BETWEEN_LINES_MS;
    io.stderr(`${kind}: ${objects} so far\n`);
  };
};

/** Whole or not at all. */
const writeWhole = (path: string, text: string): void => {
  const temporary = `${path}.${process.pid}.part`;
  try {
    writeFileSync(temporary, text, { flag: 'wx' });
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw badInput(`-O ${path}: ${(error as Error).message}`);
  }
};

const reportText = ({ kinds }: Reading, uncertain: readonly string[]): string => {
  const shown = kinds.filter(({ state, objects }) => state !== 'not judged' || objects > 0);
  return table([['KIND', 'API VERSION', 'OBJECTS', 'STATE'], ...shown.map(({ kind, apiVersion, state, objects, message }) => [
    kind, apiVersion, state === 'absent' || state === 'unread' ? '-' : String(objects), { listed: 'listed', absent: 'not served', unread: `could not be listed: ${message}`, 'not judged': 'named, not judged' }[state],
  ])]) + (uncertain.length === 0 ? '' : `\nUncertain\n${uncertain.map((sentence) => `  ${sentence}\n`).join('')}`);
};

export const snapshot: Verb = {
  name: 'snapshot',
  summary: 'record a foreign cluster, read-only, for check, why, matrix and diff',
  usage: `
seine snapshot -O FILE|- [--context CONTEXT] [--kubeconfig FILE] [-n NAMESPACE]… [--timeout 2m] [-o json]

Lists, through the kubeconfig, Namespaces, Nodes, Pods, Services, EndpointSlices and policies of every kind that Seine judges, and
names those that it does not (Calico's, AdminNetworkPolicy). Never reads Secrets or ConfigMaps; images, commands, environment, volumes
and other annotations are not written down. Needs \`list\` on those kinds; what may not be listed is said, with what is then uncertain.
The server's proxy is that of the kubeconfig, or HTTPS_PROXY and NO_PROXY. FILE is a manifest: seine why -f FILE FROM TO PORT.
Exit: 0 written, 2 bad kubeconfig, context or namespace, 3 the server is not there, does not accept the credentials, or breaks off.`,
  examples: [
    ['seine snapshot --context prod -O prod.yaml', 'everything that matters, nothing secret'],
    ['seine snapshot -n shop -O - | seine why -f - shop/carts shop/carts-db 27017', 'one namespace, asked at once'],
  ],
  run: async (args, io) => {
    const { values, positionals } = readArgs(args, OPTIONS);
    const output = readOutput(values.output, ['table', 'json', 'yaml']);
    const timeoutMs = readDuration('--timeout', values.timeout ?? '2m');
    if (positionals[0] !== undefined) throw badInput(`${positionals[0]}: expected options only: the cluster is named by --context`);
    if (values.file === undefined) throw badInput('-O: nothing: expected the file to write, or - for standard output');
    const toStdout = values.file === '-';
    if (toStdout && output !== 'table') throw badInput(`-O - -o ${output}: expected a file, as the report goes to standard output`);
    const namespaces = [...new Set(values.namespace ?? [])].sort();
    for (const name of namespaces) if (!isDnsLabel(name)) throw badInput(`-n ${name}: expected a DNS label: at most 63 of [a-z0-9-]`);

    const started = performance.now();
    const timedOut = new AbortController();
    const timer = setTimeout(() => { timedOut.abort(new Error(`the time of ${values.timeout ?? '2m'} is up (--timeout)`)); }, timeoutMs);
    try {
      const connection = await connect({ kubeconfig: values.kubeconfig, context: values.context, environment: process.env, userAgent: 'seine-snapshot', signal: AbortSignal.any([io.signal, timedOut.signal]) });
      try {
        const reading = await readCluster(connection.get, { context: connection.context, namespaces, progress: progressTo(io) });
        const text = snapshotText(reading.file);
        if (text.length > LARGEST_MANIFEST_BYTES) throw badInput(`the snapshot has ${text.length} bytes: expected at most ${LARGEST_MANIFEST_BYTES}, as -f reads no more: take it in parts with -n NAMESPACE`);
        const uncertain = uncertainties(reading.file);
        if (toStdout) io.stdout(text);
        else writeWhole(values.file, text);
        const report = {
          context: connection.context, server: connection.server, taken: new Date().toISOString(), namespaces, file: values.file, objects: reading.file.objects.length, bytes: Buffer.byteLength(text),
          kinds: reading.kinds, notJudged: reading.file.notJudged, uncertain, ms: Math.round(performance.now() - started),
        };
        const people = `${reportText(reading, uncertain)}\n${toStdout ? '' : `${values.file}: `}${report.objects} objects of ${report.context} (${report.ms} ms)\n`;
        (toStdout ? io.stderr : io.stdout)(structured(output, report) ?? people);
        return EXIT.yes;
      } finally {
        await connection.close();
      }
    } finally {
      clearTimeout(timer);
    }
  },
};
