// The parts of GitHub's answers that are used, checked; fields unknown here are left aside.

import { z } from 'zod';
import type { Retirement } from '../domain/pass.ts';
import type { RegisteredRunner } from '../domain/runner.ts';
import { Secret } from '../domain/secret.ts';
import type { RegistrationToken } from './port.ts';

/** Epoch milliseconds. */
const Time = z
  .string()
  .pipe(z.coerce.date())
  .transform((date) => date.getTime());

const RunnerFields = z.object({
  id: z.int(),
  name: z.string(),
  status: z.string(),
  busy: z.boolean(),
  labels: z.array(z.object({ name: z.string() })),
  version: z.string().nullish(),
});

/** https://docs.github.com/rest/actions/self-hosted-runners#get-a-self-hosted-runner-for-a-repository */
export const Runner: z.ZodType<RegisteredRunner> = RunnerFields.transform(toRunner);

export const Runners: z.ZodType<{ readonly runners: readonly RegisteredRunner[] }> = z.object({ runners: z.array(Runner) });

export interface ListedRunner {
  readonly runner: RegisteredRunner;
  readonly groupId: number | null;
}

const ListedRunner: z.ZodType<ListedRunner> = RunnerFields.extend({ runner_group_id: z.int().nullish() }).transform(
  ({ runner_group_id, ...fields }) => ({ runner: toRunner(fields), groupId: runner_group_id ?? null }),
);

export const RunnerList: z.ZodType<{ readonly total: number; readonly listed: readonly ListedRunner[] }> = z
  .object({ total_count: z.int().min(0), runners: z.array(ListedRunner) })
  .transform(({ total_count, runners }) => ({ total: total_count, listed: runners }));

/** Organisations alone have them. */
export const RunnerGroups: z.ZodType<{ readonly groups: readonly { readonly id: number; readonly name: string }[] }> = z
  .object({ runner_groups: z.array(z.object({ id: z.int(), name: z.string() })) })
  .transform(({ runner_groups }) => ({ groups: runner_groups }));

/** The version stands in the name alone, such as `actions-runner-linux-x64-2.337.0.tar.gz`; all systems' are the same. */
export const NewestVersion: z.ZodType<string | null> = z
  .array(z.object({ filename: z.string() }))
  .transform(
    (downloads) => downloads.map(({ filename }) => /-(\d+(?:\.\d+)+)\.(?:tar\.gz|zip)$/.exec(filename)?.[1]).find(Boolean) ?? null,
  );

/** GitHub leaves out a date that it does not know, or sends `null`; a version that it does not know at all is a 404. */
export const Deprecation: z.ZodType<Omit<Retirement, 'version'>> = z
  .object({ runtime_deprecates_at: Time.nullish(), registration_deprecates_at: Time.nullish() })
  .transform(({ runtime_deprecates_at, registration_deprecates_at }) => ({
    runsUntil: runtime_deprecates_at ?? null,
    registersUntil: registration_deprecates_at ?? null,
  }));

/** Newest first. */
export const Runs: z.ZodType<{ readonly total: number; readonly ids: readonly number[] }> = z
  .object({ total_count: z.int().min(0), workflow_runs: z.array(z.object({ id: z.int() })) })
  .transform(({ total_count, workflow_runs }) => ({ total: total_count, ids: workflow_runs.map(({ id }) => id) }));

export interface Job {
  /** GitHub's word. */
  readonly status: string;
  readonly labels: readonly string[];
  /** When it began to wait, epoch milliseconds; `started_at` of a job that waits is not when it started. */
  readonly createdAt: number;
}

export const Jobs: z.ZodType<{ readonly jobs: readonly Job[] }> = z.object({
  jobs: z.array(
    z
      .object({ status: z.string(), labels: z.array(z.string()), created_at: Time })
      .transform(({ created_at, ...job }) => ({ ...job, createdAt: created_at })),
  ),
});

/** Registration tokens and App installations' tokens alike. */
export const ExpiringToken: z.ZodType<RegistrationToken> = z
  .object({ token: z.string().min(1), expires_at: z.string().pipe(z.coerce.date()) })
  .transform(({ token, expires_at }) => ({ token: new Secret(token), expiresAt: expires_at.getTime() }));

/** A list of which only the number counts. */
export const Counted: z.ZodType<{ readonly total_count: number }> = z.object({ total_count: z.int().min(0) });

function toRunner({ labels, version, ...runner }: z.infer<typeof RunnerFields>): RegisteredRunner {
  return { ...runner, labels: labels.map(({ name }) => name), version: version ?? null, group: null };
}
