// Temporal's UI answers whatever name it is asked under, so that a web page whose own name was bound to this computer (DNS rebinding) could
// read all histories and start workflows. Stands in front of it, and lets through what its own pages ask.

import { once } from 'node:events';
import { Agent, createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createProxyServer } from 'httpxy';

export interface UiProxy {
  close(): Promise<void>;
}

export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

/** Rejects if somebody else listens there. */
export async function startUiProxy(own: Endpoint, ui: Endpoint): Promise<UiProxy> {
  const target = `http://${ui.host}:${ui.port}`;
  const agent = new Agent({ keepAlive: true });
  const proxy = createProxyServer({ target, agent, changeOrigin: true });
  const server = createServer((request, response) => {
    const refusal = refusalOf(request, own.port);
    if (refusal !== null) {
      answer(response, 403, refusal);
      return;
    }
    proxy.web(request, response).catch(() => answer(response, 502, "Temporal's UI does not answer: try again in a few seconds."));
  });
  // The UI has no use for it.
  server.on('upgrade', (_request, socket) => socket.destroy());
  server.listen(own);
  await once(server, 'listening');
  return {
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      agent.destroy();
      await closed;
    },
  };
}

/** The names that a browser knows this computer by without asking anybody. */
const NAMES = ['127.0.0.1', 'localhost', '[::1]'];
const READING: readonly (string | undefined)[] = ['GET', 'HEAD'];

/** Why the request is none of the UI's own pages; `null` if it may be one. */
function refusalOf({ method, headers: { host, origin } }: IncomingMessage, port: number): string | null {
  if (!NAMES.some((name) => host === `${name}:${port}`)) {
    return `Temporal's UI answers as ${NAMES.map((name) => `http://${name}:${port}`).join(', ')}, and under no other name or port.`;
  }
  // Without it only what reads is asked by a page of the same origin.
  const isOwn = origin === undefined ? READING.includes(method) : origin === `http://${host}`;
  return isOwn ? null : "Only a page of Temporal's UI may ask for that.";
}

function answer(response: ServerResponse, status: number, text: string): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(`${text}\n`);
}
