// The one file of this room where a secret is revealed: into a signature.

import { createHmac } from 'node:crypto';
import type { Secret } from '../domain/secret.ts';

/** Bytes of a key: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md */
const KEY_BYTES = { least: 24, most: 64 } as const;

export interface SignatureHeaders {
  readonly 'webhook-id': string;
  readonly 'webhook-timestamp': string;
  readonly 'webhook-signature': string;
}

/** Whether the text is `whsec_` (which may be left out) and base64 of a key. */
export function isSigningSecret(secret: Secret): boolean {
  return keyOf(secret) !== null;
}

/**
 * Signs by the scheme of Standard Webhooks.
 * @param id no full stop in it
 * @param at epoch milliseconds of the attempt
 * @throws where {@link isSigningSecret} says no
 */
export function sign(secret: Secret, id: string, at: number, body: string): SignatureHeaders {
  const key = keyOf(secret);
  if (key === null) {
    throw new Error('not a signing secret');
  }
  const timestamp = String(Math.floor(at / 1000));
  const signature = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64');
  return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': `v1,${signature}` };
}

function keyOf(secret: Secret): Buffer | null {
  const encoded = secret.reveal().replace(/^whsec_/, '');
  const key = /^[A-Za-z0-9+/]+={0,2}$/.test(encoded) ? Buffer.from(encoded, 'base64') : Buffer.alloc(0);
  return key.length >= KEY_BYTES.least && key.length <= KEY_BYTES.most ? key : null;
}
