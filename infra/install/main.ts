/** The install job: creates the log's streams on the broker, or finds them as they should be. Only this may create or change streams. */
import { createLog } from '@seine/bus';
import { isSeineError } from '@seine/model';

const url = process.env['SEINE_NATS_URL'] ?? 'nats://127.0.0.1:4222';
const cluster = process.env['SEINE_CLUSTER'] ?? 'default';
const PATIENCE_MS = 60_000;

if (process.argv.includes('--help')) {
  process.stdout.write('install: creates the log on the broker of SEINE_NATS_URL for SEINE_CLUSTER, or checks it. Exit: 0 there, 1 it differs (every difference is named) or no broker.\n');
  process.exit(0);
}
try {
  const { log } = await createLog({ url, cluster, name: 'install', build: '0.1.0', patienceMs: PATIENCE_MS });
  process.stdout.write(`log ${log} of cluster ${cluster} is ready on ${url}\n`);
  process.exit(0);
} catch (error) {
  if (!isSeineError(error)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
}
