// The only file that names ApplicationFailure on the activities' side.

import { ApplicationFailure, ApplicationFailureCategory } from '@temporalio/common';
import { activityInfo } from '@temporalio/activity';
import { AlertError } from '../alerts/port.ts';
import type { Limited } from './contract.ts';
import { lastLineOf } from '../domain/plain.ts';
import { GitHubError } from '../github/port.ts';
import { MachineError, type MachineErrorKind } from '../machine/port.ts';
import { SealingError } from './sealing.ts';

/** A limit that ends within this is waited out by Temporal's retry; a longer one is the workflow's to wait for. */
const SHORT_WAIT_MS = 30_000;

/** Machine errors that no retry can mend. */
const FINAL_MACHINE_ERRORS: ReadonlySet<MachineErrorKind> = new Set(['tool-missing', 'machine-missing', 'not-running', 'protocol']);

/** The failure types that histories show. */
const FAILURE_TYPES = {
  unavailable: 'GitHubUnavailable',
  limited: 'GitHubRateLimited',
  rejected: 'GitHubRejected',
  'tool-missing': 'ToolMissing',
  'provider-unavailable': 'MachineProviderUnavailable',
  'provider-hangs': 'MachineProviderHangs',
  'machine-missing': 'MachineMissing',
  'not-running': 'MachineNotRunning',
  unreachable: 'GuestUnreachable',
  'act-failed': 'GuestActFailed',
  protocol: 'GuestProtocol',
} as const;

/** Bad input: fails at once and for good, saying what is allowed. */
export function invalidInput(message: string): ApplicationFailure {
  return ApplicationFailure.create({ type: 'InvalidInput', message, nonRetryable: true });
}

/** Runs one call of an adapter: a long limit becomes a value, every other error a failure of a known type. */
export async function withGitHubFailures<T>(call: () => Promise<T>): Promise<T | Limited> {
  const begun = Date.now();
  try {
    return await call();
  } catch (error) {
    if (!(error instanceof GitHubError)) {
      throw error;
    }
    if (error.kind !== 'limited') {
      throw failure(error, { nonRetryable: error.kind === 'rejected' });
    }
    const waitMs = error.retryAt === null ? SHORT_WAIT_MS : error.retryAt - Date.now();
    if (waitMs >= SHORT_WAIT_MS || waitMs >= retryableForMs(begun)) {
      return { kind: 'limited', waitMs, why: error.message };
    }
    throw failure(error, { nextRetryDelay: Math.max(waitMs, 1_000), category: ApplicationFailureCategory.BENIGN });
  }
}

/** A limit as a value, however long it lasts: what was done before it is not to be done again. */
export function asLimit({ retryAt, message }: GitHubError): Limited {
  return { kind: 'limited', waitMs: Math.max(retryAt === null ? SHORT_WAIT_MS : retryAt - Date.now(), 1_000), why: message };
}

/** How long Temporal goes on to retry this activity. `begun`: when this attempt began, by the own clock. */
function retryableForMs(begun: number): number {
  const { scheduleToCloseTimeoutMs, scheduledTimestampMs, currentAttemptScheduledTimestampMs } = activityInfo();
  return scheduleToCloseTimeoutMs - (currentAttemptScheduledTimestampMs - scheduledTimestampMs) - (Date.now() - begun);
}

/** @param waitsForProvider else a provider that hangs twice in a row is not asked again */
export async function withMachineFailures<T>(
  call: () => Promise<T>,
  { waitsForProvider }: { readonly waitsForProvider: boolean },
): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (error instanceof MachineError) {
      const isGivenUp = error.kind === 'provider-hangs' && !waitsForProvider && activityInfo().attempt > 1;
      throw failure(error, { nonRetryable: FINAL_MACHINE_ERRORS.has(error.kind) || isGivenUp });
    }
    if (error instanceof SealingError) {
      throw ApplicationFailure.create({
        type: 'SealingKey',
        message: error.message,
        nonRetryable: true,
        details: [{ attempt: activityInfo().attempt }],
      });
    }
    throw error;
  }
}

/** Runs one attempt of a channel. What is refused for good is not tried again; a pause that the receiver asks for is kept. */
export async function withAlertFailures(call: () => Promise<void>): Promise<void> {
  try {
    await call();
  } catch (error) {
    if (!(error instanceof AlertError)) {
      throw error;
    }
    throw ApplicationFailure.create({
      type: error.kind === 'refused' ? 'AlertRefused' : 'AlertUnavailable',
      message: error.message,
      nonRetryable: error.kind === 'refused',
      ...(error.retryAfterMs === null ? {} : { nextRetryDelay: error.retryAfterMs }),
    });
  }
}

/** With the last line of what the command said: the message is all that a person sees. */
function messageOf(error: GitHubError | MachineError): string {
  const said = error instanceof MachineError ? lastLineOf(error.evidence) : '';
  return said === '' || error.message.includes(said) ? error.message : `${error.message}: ${said}`;
}

function failure(
  error: GitHubError | MachineError,
  options: { nonRetryable?: boolean; nextRetryDelay?: number; category?: ApplicationFailureCategory },
): ApplicationFailure {
  return ApplicationFailure.create({
    type: FAILURE_TYPES[error.kind],
    message: messageOf(error),
    details: [{ attempt: activityInfo().attempt, evidence: error instanceof MachineError ? error.evidence : '' }],
    ...options,
  });
}
