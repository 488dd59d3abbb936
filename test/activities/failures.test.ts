import { ApplicationFailure } from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { describe, expect, test } from 'vitest';
import { withGitHubFailures } from '../../src/activities/failures.ts';
import { GitHubError } from '../../src/github/port.ts';

const MINUTE = 60_000;

describe('a limit of GitHub', () => {
  test('of 50 minutes is a value, for the workflow to wait', async () => {
    const value = await limitedBy(50 * MINUTE);
    expect(value).toMatchObject({ kind: 'limited', why: 'the limit' });
    expect((value as { waitMs: number }).waitMs).toBeGreaterThan(49.9 * MINUTE);
  });

  test('of less than 30 seconds is waited for by the next attempt', async () => {
    const failure = await failedBy(29_000);
    expect(failure).toMatchObject({ type: 'GitHubRateLimited', nonRetryable: false });
    expect(Number(failure.nextRetryDelay)).toBeGreaterThan(28_000);
  });

  test('that is over is tried again after a second', async () => {
    expect((await failedBy(-5_000)).nextRetryDelay).toBe(1_000);
  });

  test('that outlasts the attempts of its activity is a value, too', async () => {
    expect(await limitedBy(20_000, { scheduleToCloseTimeoutMs: 15_000 })).toMatchObject({ kind: 'limited' });
    const late = { scheduleToCloseTimeoutMs: MINUTE, currentAttemptScheduledTimestampMs: 50_000, scheduledTimestampMs: 0 };
    expect(await limitedBy(20_000, late)).toMatchObject({ kind: 'limited' });
  });
});

test.each([
  ['unavailable', 'GitHubUnavailable', false],
  ['rejected', 'GitHubRejected', true],
] as const)('what is %s fails as %s', async (kind, type, nonRetryable) => {
  const failure = await failed(() => run(new GitHubError(kind, 'in these words')));
  expect(failure).toMatchObject({ type, nonRetryable, message: 'in these words' });
});

type Info = NonNullable<ConstructorParameters<typeof MockActivityEnvironment>[0]>;

function limitedBy(waitMs: number, info: Info = {}): Promise<unknown> {
  return run(new GitHubError('limited', 'the limit', { retryAt: Date.now() + waitMs }), info);
}

function failedBy(waitMs: number): Promise<ApplicationFailure> {
  return failed(() => limitedBy(waitMs));
}

function run(error: Error, info: Info = {}): Promise<unknown> {
  const patient = { scheduleToCloseTimeoutMs: 10 * MINUTE, currentAttemptScheduledTimestampMs: 0, scheduledTimestampMs: 0, ...info };
  return new MockActivityEnvironment(patient, { logger: new DefaultLogger('ERROR') }).run(() =>
    withGitHubFailures(() => Promise.reject(error)),
  );
}

async function failed(call: () => Promise<unknown>): Promise<ApplicationFailure> {
  const failure = await call().then(
    () => null,
    (error: unknown) => error,
  );
  expect(failure).toBeInstanceOf(ApplicationFailure);
  return failure as ApplicationFailure;
}
