// Runs inside a pod: one keep-alive stream and 50 connects a second to an allowed server, ten a second to a denied one.
// Arguments: ALLOWED_ADDRESS ALLOWED_PORT DENIED_ADDRESS DENIED_PORT. Prints one JSON line when told to stop (SIGTERM).
import { connect } from 'node:net';

const [allowed, allowedPort, denied, deniedPort] = process.argv.slice(2);
const report = { stream: { bytes: 0, resets: 0, maxGapMs: 0 }, connects: { tried: 0, failedAllowed: 0, passedDenied: 0 } };
const PATIENCE_MS = 2_000;

const stream = connect(Number(allowedPort), allowed);
stream.setNoDelay(true);
let last;
stream.on('connect', () => {
  process.stdout.write('ready\n');
  setInterval(() => { stream.write(`GET /stream HTTP/1.1\r\nHost: ${allowed}\r\n\r\n`); }, 20);
});
stream.on('data', (chunk) => {
  const now = performance.now();
  if (last !== undefined) report.stream.maxGapMs = Math.max(report.stream.maxGapMs, Math.round(now - last));
  last = now;
  report.stream.bytes += chunk.length;
});
stream.on('error', () => { report.stream.resets += 1; });
stream.on('close', () => { report.stream.resets += 1; });

const attempt = (address, port, done) => {
  const socket = connect({ host: address, port: Number(port) });
  const timer = setTimeout(() => { socket.destroy(); done(false); }, PATIENCE_MS);
  socket.on('connect', () => { clearTimeout(timer); socket.destroy(); done(true); });
  socket.on('error', () => { clearTimeout(timer); done(false); });
};
setInterval(() => { report.connects.tried += 1; attempt(allowed, allowedPort, (ok) => { if (!ok) report.connects.failedAllowed += 1; }); }, 20);
setInterval(() => { report.connects.tried += 1; attempt(denied, deniedPort, (ok) => { if (ok) report.connects.passedDenied += 1; }); }, 100);

process.on('SIGTERM', () => { process.stdout.write(`${JSON.stringify(report)}\n`, () => process.exit(0)); });
