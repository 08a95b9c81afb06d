// Runs outside: one keep-alive stream that asks with long lines and is told them again, or one socket's datagrams. Arguments: tcp|udp ADDRESS PORT.
// Prints `answers N` ten times a second, `closed WHY` at the end, and `wrong TEXT` for what nobody should have answered.
import { createSocket } from 'node:dgram';
import { connect } from 'node:net';

const [kind, address, port] = process.argv.slice(2);
const LONG = 'x'.repeat(1_000);
const EVERY_MS = 5;
let answers = 0;
const end = (why) => { process.stdout.write(`closed ${why}\n`, () => process.exit(0)); };
setInterval(() => { process.stdout.write(`answers ${answers}\n`); }, 100);

if (kind === 'tcp') {
  const stream = connect(Number(port), address);
  let told = '';
  stream.setNoDelay(true);
  stream.on('connect', () => { setInterval(() => { stream.write(`GET /${LONG} HTTP/1.1\r\nHost: a\r\n\r\n`); }, EVERY_MS); });
  stream.on('data', (chunk) => {
    told += chunk;
    for (let at = told.indexOf(`GET /${LONG}\n`); at >= 0; at = told.indexOf(`GET /${LONG}\n`)) {
      answers += 1;
      told = told.slice(at + LONG.length + 6);
    }
    if (told.length > 100_000) process.stdout.write('wrong answers on the stream\n');
  });
  stream.on('error', ({ code }) => end(code));
  stream.on('close', () => end('by the server'));
} else {
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  socket.on('message', (message) => {
    if (message.toString().endsWith(LONG)) answers += 1;
    else process.stdout.write('wrong datagram\n');
  });
  socket.on('error', ({ code }) => { process.stdout.write(`error ${code}\n`); });
  socket.connect(Number(port), address, () => { setInterval(() => { socket.send(LONG, () => {}); }, EVERY_MS); });
}
