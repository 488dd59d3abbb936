// The UI's proxy as a program of its own, for docker-compose.yml.
//
// ui-proxy-program.js LISTEN_ADDRESS PORT UI_PORT     (Temporal's UI is on 127.0.0.1)

import { startUiProxy } from './ui-proxy.ts';

const [host = '', port, uiPort] = process.argv.slice(2);
const proxy = await startUiProxy({ host, port: Number(port) }, { host: '127.0.0.1', port: Number(uiPort) });
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void proxy.close());
}
