// Sends a datagram and prints what comes back: the pod's name that answered `who`, or how many bytes of a longer one; an errno; `nothing`.
// Arguments: ADDRESS PORT OPTIONS, JSON of {from: own address, bytes: length, goesOn: ask again and again
// from one port, a line for each answer, connected: hear of ICMP errors}.
import { createSocket } from 'node:dgram';

const [address, port, options] = process.argv.slice(2);
const { from, bytes, goesOn = false, connected = false } = JSON.parse(options);
const PATIENCE_MS = 1_500;
const EVERY_MS = 20;

const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
const say = (text) => {
  process.stdout.write(`${text}\n`);
  if (!goesOn) process.exit(0);
};
const send = () => { socket.send(bytes === undefined ? 'who' : Buffer.alloc(bytes, 120), ...(connected ? [] : [Number(port), address]), (error) => { if (error) say(error.code); }); };
socket.on('message', (message) => { say(bytes === undefined ? message.toString() : message.length); });
socket.on('error', ({ code }) => { say(code); });
socket.bind({ address: from }, () => {
  if (connected) socket.connect(Number(port), address, send);
  else send();
  if (goesOn) setInterval(send, EVERY_MS);
  else setTimeout(() => { say('nothing'); }, PATIENCE_MS);
});
