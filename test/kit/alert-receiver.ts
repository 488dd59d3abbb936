import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Alert } from '../../src/domain/alert.ts';

export interface ReceivedAlert {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** Somebody else's end of a webhook. */
export interface AlertReceiver {
  readonly url: string;
  /** All requests, the refused ones as well. */
  readonly received: readonly ReceivedAlert[];
  /** Bodies of those that were answered as delivered. */
  readonly accepted: readonly Alert[];
  /** What is answered from now on; 0 is no answer at all. */
  answer(status: number, headers?: Record<string, string>): void;
  close(): Promise<void>;
}

export async function startAlertReceiver(): Promise<AlertReceiver> {
  const received: ReceivedAlert[] = [];
  const accepted: Alert[] = [];
  let answer: { status: number; headers: Record<string, string> } = { status: 204, headers: {} };
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const body = Buffer.concat(parts).toString();
      received.push({ headers: request.headers, body });
      if (answer.status >= 200 && answer.status < 300) {
        accepted.push(JSON.parse(body));
      }
      if (answer.status === 0) {
        request.socket.destroy();
      } else {
        response.writeHead(answer.status, answer.headers).end();
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook/in-the-path`,
    received,
    accepted,
    answer: (status, headers = {}) => {
      answer = { status, headers };
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
