/** `/healthz` (the event loop turns), `/readyz` (everything that was named is ready), `/metrics`. */
import { once } from 'node:events';

/* Not imported: an import reads every export, and one of them loads the whole of fetch and WebSocket, 12 MB that no role needs. */
const { createServer } = process.getBuiltinModule('node:http');

export interface Readiness {
  /** `ready` is true, or why not. */
  readonly set: (what: string, ready: true | string) => void;
  readonly missing: () => Readonly<Record<string, string>>;
}

export const createReadiness = (): Readiness => {
  const reasons = new Map<string, string>();
  return {
    set: (what, ready) => { if (ready === true) reasons.delete(what); else reasons.set(what, ready); },
    missing: () => Object.fromEntries(reasons),
  };
};

export interface HealthOptions {
  readonly host: string;
  readonly port: number;
  readonly readiness: Readiness;
  readonly metrics: () => Promise<string>;
}

const TEXT = { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' };
const JSON_TYPE = { 'content-type': 'application/json' };

export const serveHealth = async ({ host, port, readiness, metrics }: HealthOptions): Promise<{ readonly port: number; readonly close: () => Promise<void> }> => {
  const server = createServer((request, response) => {
    const path = (request.url ?? '/').split('?')[0];
    if (request.method !== 'GET' && request.method !== 'HEAD') response.writeHead(405).end();
    else if (path === '/healthz') response.writeHead(200, TEXT).end('ok\n');
    else if (path === '/metrics') void metrics().then((body) => response.writeHead(200, TEXT).end(body), () => response.writeHead(500).end());
    else if (path === '/readyz') {
      const missing = readiness.missing();
      const ready = Object.keys(missing).length === 0;
      response.writeHead(ready ? 200 : 503, JSON_TYPE).end(`${JSON.stringify({ ready, missing })}\n`);
    } else response.writeHead(404, TEXT).end('one of /healthz, /readyz, /metrics\n');
  });
  server.headersTimeout = 5_000;
  server.maxConnections = 64;
  server.listen(port, host);
  await once(server, 'listening');
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : port,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => { server.close(resolve); });
    },
  };
};
