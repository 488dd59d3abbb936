// The host that GitHub's answers lead to for a log: it knows signed addresses alone, and no token of GitHub's.

import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { pageForPeople } from './answer.ts';
import type { BadDays } from './bad-days.ts';
import { piecesOf } from './logs.ts';
import type { Logs } from './logs.ts';

/** How a request for a log was answered. Holds no signature. */
export interface LogRequest {
  /** Without the query. */
  readonly path: string;
  readonly status: number;
  /** Whether it came with credentials, which are GitHub's own business. */
  readonly isAuthorized: boolean;
  /** Of the log that were handed on, up to when the client went. */
  readonly bytes: number;
}

/** Answers one request; on bad days by their status, delay, or a `cut`, `lost` or `page`. */
export async function answerForLog(
  { logs, badDays }: { readonly logs: Logs; readonly badDays: BadDays },
  request: IncomingMessage,
  response: ServerResponse,
): Promise<LogRequest> {
  const gone = new AbortController();
  response.on('close', () => gone.abort());
  const address = new URL(request.url ?? '/', logs.origin);
  const told = { path: address.pathname, isAuthorized: request.headers.authorization !== undefined };
  const refuse = (status: number, code: string): LogRequest => {
    response.writeHead(status, { 'Content-Type': 'application/xml' });
    response.end(`<?xml version="1.0" encoding="utf-8"?><Error><Code>${code}</Code><Message>${code}</Message></Error>`);
    return { ...told, status, bytes: 0 };
  };

  const badDay = badDays.meet({
    method: request.method ?? 'GET',
    path: address.pathname,
    userAgent: request.headers['user-agent'] ?? '',
  });
  if (badDay?.delayMs !== undefined) await sleep(badDay.delayMs, undefined, { signal: gone.signal }).catch(() => {});
  if (badDay?.status !== undefined) return refuse(badDay.status, 'ServerBusy');
  if (badDay?.fault?.kind === 'page') {
    const { status, html } = pageForPeople(badDay.fault.status);
    response.writeHead(status, { 'Content-Type': 'text/html' }).end(html);
    return { ...told, status, bytes: 0 };
  }
  if (badDay?.fault?.kind === 'lost') {
    response.socket?.resetAndDestroy();
    return { ...told, status: 200, bytes: 0 };
  }
  const job = logs.find(address);
  if (told.isAuthorized || !job) return refuse(403, 'AuthenticationFailed');
  const pieces = piecesOf(job);
  if (pieces === null) return refuse(404, 'BlobNotFound');

  response.writeHead(200, { 'Content-Type': 'text/plain; charset=utf-8' });
  const bytes = await send(pieces, response, { breaksOff: badDay?.fault?.kind === 'cut', gone: gone.signal });
  return { ...told, status: 200, bytes };
}

/** No faster than the client reads. */
async function send(
  pieces: Iterable<string>,
  response: ServerResponse,
  { breaksOff, gone }: { readonly breaksOff: boolean; readonly gone: AbortSignal },
): Promise<number> {
  let bytes = 0;
  for (const piece of pieces) {
    if (gone.aborted) return bytes;
    const part = Buffer.from(breaksOff ? piece.slice(0, piece.length / 2) : piece);
    bytes += part.length;
    if (breaksOff) {
      response.write(part, () => response.destroy());
      return bytes;
    }
    if (!response.write(part)) await drained(response, gone);
  }
  response.end();
  return bytes;
}

function drained(response: ServerResponse, gone: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const go = (): void => {
      response.off('drain', go);
      gone.removeEventListener('abort', go);
      resolve();
    };
    response.on('drain', go);
    gone.addEventListener('abort', go);
  });
}
