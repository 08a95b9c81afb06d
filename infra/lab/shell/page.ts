/**
 * What a pod's server shows a browser: pages with a style and a script, which asks again and again what the Services say that the pod's environment
 * names, as the front end of a store asks those behind it.
 */
import { request } from 'node:http';
import { Socket } from 'node:net';

/** A Service that a pod asks. */
export interface Asked { readonly service: string; readonly address: string; readonly port: number }
export interface Told { readonly service: string; /** its backend's line, or what went wrong */ readonly answer: string }
/** What a page is told by the pod that serves it. */
export interface Answers { /** as the server sees it */ readonly client: string; readonly server: string; readonly told: readonly Told[] }

export const ANSWERS_PATH = '/answers';
const PATIENCE_MS = 1_000;

const STYLE = 'body { font-family: sans-serif; margin: 2em } h1 { color: rgb(0, 90, 120) } td { padding: 0 1em 0 0 }';
const SCRIPT = `
const write = (id, text) => { document.getElementById(id).textContent = text; };
let rounds = 0;
let failed = 0;
const round = async () => {
  try {
    const { client, server, told } = await (await fetch('${ANSWERS_PATH}')).json();
    rounds += 1;
    write('client', client);
    write('server', server);
    document.getElementById('told').replaceChildren(...told.map(({ service, answer }) => {
      const row = document.createElement('tr');
      row.append(...[service, answer].map((text) => Object.assign(document.createElement('td'), { textContent: text })));
      return row;
    }));
  } catch {
    failed += 1;
  }
  write('rounds', rounds);
  write('failed', failed);
  setTimeout(round, 50);
};
round();
`;

const escaped = (text: string): string => text.replace(/[&<>"']/g, (letter) => `&#${letter.charCodeAt(0)};`);
const page = (name: string, path: string): string => `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${escaped(name)}</title><link rel="icon" href="data:,"><link rel="stylesheet" href="/style.css"><script src="/script.js" defer></script></head>
<body><h1>${escaped(path)}</h1><p><b id="server"></b> answered <b id="client"></b> <b id="rounds">0</b> times, not <b id="failed">0</b> times</p><table id="told"></table></body></html>
`;

/** What there is for a browser at a path; undefined: whoever asks is none, or asks for something else. */
export const pageOf = (name: string, path: string, accept: string): { readonly type: string; readonly text: string } | undefined => {
  if (path === '/style.css') return { type: 'text/css', text: STYLE };
  if (path === '/script.js') return { type: 'text/javascript', text: SCRIPT };
  return accept.includes('text/html') ? { type: 'text/html', text: page(name, path) } : undefined;
};

/** @param connect opens the connection, in the namespace of whoever asks */
export const ask = ({ service, address, port }: Asked, connect: (address: string, port: number) => number): Promise<Told> => new Promise((resolve) => {
  const say = (answer: string): void => { resolve({ service, answer }); };
  const asking = request({ host: address, port, signal: AbortSignal.timeout(PATIENCE_MS), agent: false, createConnection: () => new Socket({ fd: connect(address, port) }) }, (response) => {
    let text = '';
    response.setEncoding('utf8').on('data', (chunk: string) => { text += chunk; }).on('end', () => { say(text.trim()); }).on('error', ({ message }) => { say(message); });
  });
  asking.on('error', ({ message }) => { say(message); }).end();
});
