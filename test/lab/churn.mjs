// Opens connections at a steady pace, one request each. Arguments: HOST PORT EACH_SECOND. Prints `ready` once it is answered, and when told to
// stop (SIGTERM) one JSON line: for each connection when it began (ms, wall clock), how long it took, and who answered or which error came.
import { connect } from 'node:net';

const [host, port, eachSecond] = process.argv.slice(2);
const PATIENCE_MS = 3_000;
const TICK_MS = 20;
const seen = [];
let open = 0;

const attempt = () => {
  const beganMs = performance.timeOrigin + performance.now();
  const socket = connect({ host, port: Number(port) });
  let text = '';
  open += 1;
  const done = (answer) => {
    if (socket.destroyed && answer === undefined) return;
    clearTimeout(timer);
    socket.removeAllListeners();
    socket.on('error', () => {});
    socket.destroy();
    open -= 1;
    if (seen.length === 0) process.stdout.write('ready\n');
    seen.push([Math.round(beganMs), Math.round(performance.timeOrigin + performance.now() - beganMs), answer]);
  };
  const timer = setTimeout(() => { done('ETIMEDOUT'); }, PATIENCE_MS);
  socket.on('connect', () => { socket.write(`GET / HTTP/1.0\r\nHost: ${host}\r\n\r\n`); });
  socket.on('data', (chunk) => { text += chunk; });
  socket.on('end', () => { done(/\r\n\r\n(\S+)/.exec(text)?.[1] ?? 'ECUT'); });
  socket.on('error', ({ code }) => { done(code); });
};

const startedMs = performance.now();
let asked = 0;
const pace = setInterval(() => {
  const due = Math.floor((performance.now() - startedMs) / 1000 * Number(eachSecond));
  /* A client that was held up does not make up for it at once. */
  if (due - asked > 100) { asked = due - 100; }
  for (; asked < due; asked += 1) attempt();
}, TICK_MS);

process.on('SIGTERM', () => {
  clearInterval(pace);
  const wait = setInterval(() => {
    if (open > 0) return;
    clearInterval(wait);
    process.stdout.write(`${JSON.stringify(seen)}\n`, () => process.exit(0));
  }, TICK_MS);
});
