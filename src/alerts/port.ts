// Ways by which people are told, each behind the port `AlertChannel`; `channels.ts` lists them.
// May import: domain, execa, zod, node:; not Temporal, not GitHub, not machines.

import type { Alert } from '../domain/alert.ts';

/** A way to tell people. The same alert may be delivered again: its `id` tells that it is the same. */
export interface AlertChannel {
  /** One word, unique among the channels. */
  readonly name: string;
  /** Makes one attempt and ends within ten seconds. @throws {AlertError} where the alert did not arrive, or may not have */
  deliver(alert: Alert, signal: AbortSignal): Promise<void>;
}

/** `refused`: no repeated attempt will do. `unavailable`: a later one may. */
export type AlertErrorKind = 'refused' | 'unavailable';

export class AlertError extends Error {
  override readonly name = 'AlertError';
  readonly kind: AlertErrorKind;
  /** How long the receiver asks to be left alone; `null` where it does not say. */
  readonly retryAfterMs: number | null;

  constructor(
    kind: AlertErrorKind,
    message: string,
    { retryAfterMs = null, ...options }: ErrorOptions & { retryAfterMs?: number | null } = {},
  ) {
    super(message, options);
    this.kind = kind;
    this.retryAfterMs = retryAfterMs;
  }
}
