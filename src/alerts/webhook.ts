import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import type { Alert } from '../domain/alert.ts';
import { opennessOf } from '../domain/private-file.ts';
import { Secret } from '../domain/secret.ts';
import { AlertError, type AlertChannel } from './port.ts';
import { isSigningSecret, sign } from './webhook-signature.ts';

const TIMEOUT_MS = 10_000;

/** Answers of the 400s that a later attempt may change: https://developer.mozilla.org/docs/Web/HTTP/Reference/Status */
const PASSING: readonly number[] = [408, 425, 429];

/** A receiver that asks for a longer pause is asked again after this one, so that it can't put off a message until that is given up. */
const LONGEST_PAUSE_MS = 3_600_000;

export interface WebhookSettings {
  /** https, or http to this computer. It may hold a secret of the receiver's, so messages name its host alone. */
  readonly url: string;
  /** Read for each attempt, so that a new secret is picked up. */
  readonly secretFile: string;
}

/** POSTs a signed JSON body by the scheme of Standard Webhooks (https://www.standardwebhooks.com). */
export function createWebhook({ url, secretFile }: WebhookSettings): AlertChannel {
  const receiver = `the webhook at ${new URL(url).host}`;
  return {
    name: 'webhook',
    async deliver(alert, signal) {
      const secret = await readSecret(secretFile);
      const body = JSON.stringify(bodyOf(alert));
      const response = await post(url, receiver, { body, headers: sign(secret, idOf(alert), Date.now(), body), signal });
      await response.body?.cancel();
      if (!response.ok) {
        throw refusal(response, receiver);
      }
    },
  };
}

/** What a receiver gets; `text` first, for those that show nothing else. */
function bodyOf({ text, state, code, severity, subject, summary, evidence, advice, since, at, scope, runner, host, link }: Alert): object {
  return { text, state, code, severity, subject, summary, evidence, advice, since, at, scope, runner, host, link };
}

/** The same for every attempt at the same message. */
function idOf({ id }: Alert): string {
  return `msg_${createHash('sha256').update(id).digest('hex').slice(0, 32)}`;
}

async function readSecret(path: string): Promise<Secret> {
  let written: string;
  let openness: string | null;
  try {
    openness = opennessOf(path, (await stat(path)).mode);
    written = await readFile(path, 'utf8');
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new AlertError('unavailable', `the webhook's secret ${path} cannot be read (${why}): make it readable`, { cause: error });
  }
  if (openness !== null) {
    throw new AlertError('unavailable', `the webhook's secret ${path} must be ${openness}`);
  }
  const secret = new Secret(written.trim());
  if (!isSigningSecret(secret)) {
    throw new AlertError('unavailable', `${path} holds no secret of a webhook: write whsec_ and the base64 of 24 to 64 bytes into it`);
  }
  return secret;
}

async function post(
  url: string,
  receiver: string,
  { body, headers, signal }: { readonly body: string; readonly headers: object; readonly signal: AbortSignal },
): Promise<Response> {
  try {
    return await fetch(url, {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/json', 'user-agent': 'runward', ...headers },
      // A redirect would carry the message to somebody who was not configured.
      redirect: 'manual',
      signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
    });
  } catch (error) {
    if (signal.aborted) {
      throw signal.reason;
    }
    throw new AlertError('unavailable', `${receiver} gave no answer (${reasonOf(error)}): check that it runs and can be reached`, {
      cause: error,
    });
  }
}

/** undici says `fetch failed` and hides why in the cause. */
function reasonOf(error: unknown): string {
  if (error instanceof Error && error.name === 'TimeoutError') {
    return `none within ${TIMEOUT_MS / 1000} s`;
  }
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof Error && 'code' in cause ? String(cause.code) : 'the connection broke';
}

function refusal({ status, headers }: Response, receiver: string): AlertError {
  if (status >= 400 && status < 500 && !PASSING.includes(status)) {
    const advice = status === 401 || status === 403 ? 'check that both sides have the same secret' : 'check alerts.webhook.url';
    return new AlertError('refused', `${receiver} answered ${status}, which no repetition changes: ${advice}`);
  }
  const advice = status < 400 ? 'give the address that it leads to as alerts.webhook.url' : 'it is asked again';
  return new AlertError('unavailable', `${receiver} answered ${status}: ${advice}`, { retryAfterMs: pauseOf(headers.get('retry-after')) });
}

/** Seconds, or a date: https://www.rfc-editor.org/rfc/rfc9110#field.retry-after */
function pauseOf(retryAfter: string | null): number | null {
  if (retryAfter === null) {
    return null;
  }
  const pauseMs = /^\d+$/.test(retryAfter) ? Number(retryAfter) * 1000 : Date.parse(retryAfter) - Date.now();
  return Number.isNaN(pauseMs) || pauseMs <= 0 ? null : Math.min(pauseMs, LONGEST_PAUSE_MS);
}
