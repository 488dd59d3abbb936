// The parts of GitHub's answers that are used, checked; fields unknown here are left aside.

import { z } from 'zod';
import type { RegisteredRunner } from '../domain/runner.ts';
import { Secret } from '../domain/secret.ts';
import type { RegistrationToken } from './port.ts';

/** https://docs.github.com/rest/actions/self-hosted-runners#get-a-self-hosted-runner-for-a-repository */
export const Runner: z.ZodType<RegisteredRunner> = z
  .object({
    id: z.int(),
    name: z.string(),
    status: z.string(),
    busy: z.boolean(),
    labels: z.array(z.object({ name: z.string() })),
    version: z.string().nullish(),
  })
  .transform(({ labels, version, ...runner }) => ({
    ...runner,
    labels: labels.map(({ name }) => name),
    version: version ?? null,
    group: null,
  }));

export const Runners: z.ZodType<{ readonly runners: readonly RegisteredRunner[] }> = z.object({ runners: z.array(Runner) });

/** Registration tokens and App installations' tokens alike. */
export const ExpiringToken: z.ZodType<RegistrationToken> = z
  .object({ token: z.string().min(1), expires_at: z.string().pipe(z.coerce.date()) })
  .transform(({ token, expires_at }) => ({ token: new Secret(token), expiresAt: expires_at.getTime() }));

/** A list of which only the number counts. */
export const Counted: z.ZodType<{ readonly total_count: number }> = z.object({ total_count: z.int().min(0) });
