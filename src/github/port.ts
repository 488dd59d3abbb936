// GitHub in domain words. May import: domain, Octokit; not Temporal, not machine.

import type { ScopeObservation } from '../domain/pass.ts';
import type { RegisteredRunner } from '../domain/runner.ts';
import type { Secret } from '../domain/secret.ts';

/** A value from GitHub together with GitHub's own clock (`Date` header, epoch milliseconds). */
export interface Dated<T> {
  readonly value: T;
  readonly githubTime: number;
}

export interface RegistrationToken {
  readonly token: Secret;
  /** Epoch milliseconds by GitHub's clock. */
  readonly expiresAt: number;
}

/** Numbers of workflow runs by GitHub's status. */
export interface RunCounts {
  readonly queued: number;
  readonly inProgress: number;
}

/** What a look at a scope is to bring. */
export interface ScopeLook {
  /** Names of the configured runners. */
  readonly runners: readonly string[];
  /** Whether runners' groups matter: one request more, and only at an organisation. */
  readonly readsGroups: boolean;
  /** Runs whose jobs are read, at most. */
  readonly runsRead: number;
}

/** Every method rejects with {@link GitHubError} where GitHub could not be asked; "not there" is a value. */
export interface GitHubPort {
  /** The runner of exactly this name, compared without regard to case; `null` where there is none. */
  findRunner(scope: string, name: string, signal: AbortSignal): Promise<Dated<RegisteredRunner | null>>;
  /** The runner of this id; `null` once its registration is gone. */
  getRunner(scope: string, id: number, signal: AbortSignal): Promise<Dated<RegisteredRunner | null>>;
  createRegistrationToken(scope: string, signal: AbortSignal): Promise<Dated<RegistrationToken>>;
  /** A scope's lists, read once for all its runners, by conditional requests; parts that GitHub refuses are unknown. */
  observeScope(scope: string, wanted: ScopeLook, signal: AbortSignal): Promise<ScopeObservation>;
  /** `null` for an organisation, which has no list of runs. */
  countRuns(scope: string, signal: AbortSignal): Promise<Dated<RunCounts | null>>;
}

/**
 * Why GitHub could not be asked.
 * - `unavailable`: network, time-out, 5xx, an answer that is not JSON: try again
 * - `limited`: a rate limit; `retryAt` says when (epoch milliseconds, own clock)
 * - `rejected`: 401, 403, 404, 410, 422: final; `message` names a missing permission where GitHub names it
 */
export type GitHubErrorKind = 'unavailable' | 'limited' | 'rejected';

export class GitHubError extends Error {
  override readonly name = 'GitHubError';
  readonly kind: GitHubErrorKind;
  readonly status: number | null;
  readonly retryAt: number | null;

  constructor(kind: GitHubErrorKind, message: string, details: { status?: number; retryAt?: number; cause?: unknown } = {}) {
    super(message, { cause: details.cause });
    this.kind = kind;
    this.status = details.status ?? null;
    this.retryAt = details.retryAt ?? null;
  }
}
