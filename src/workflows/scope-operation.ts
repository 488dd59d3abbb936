import { ApplicationFailure } from '@temporalio/common';
import { defineQuery, proxyActivities, setHandler } from '@temporalio/workflow';
import type { MainActivities } from '../activities/contract.ts';
import { PROGRESS_QUERY, type SearchAttribute } from '../domain/names.ts';
import type { Progress } from '../domain/report.ts';
import { configurationOptions } from './options.ts';
import { isLabelled, label, lookUpLabelled, trigger } from './search-attributes.ts';
import { Told } from './told.ts';

const progress = defineQuery<Progress>(PROGRESS_QUERY);

/**
 * An operation on a scope from its first command to its last: labels, progress, and the look-up of what a person named. Only bad input fails
 * the execution itself.
 */
export async function operateOnScope<
  Request extends { readonly scope: unknown },
  Resolved extends { readonly scope: string; readonly searchAttributes: readonly SearchAttribute[] },
  Report extends { readonly outcome: string },
>(
  request: Request | { readonly problem: string },
  {
    kind,
    resolve,
    run,
  }: {
    /** What it is about where nobody named it, such as `the scope`. */
    readonly kind: string;
    readonly resolve: (configuration: MainActivities, scope: unknown) => Promise<Resolved>;
    readonly run: (resolved: Resolved, request: Request, told: Told) => Promise<Report>;
  },
): Promise<Report> {
  const asked = 'problem' in request || typeof request.scope !== 'string' ? kind : request.scope;
  const labels = { scope: asked, trigger: trigger() };
  const told = new Told(asked);
  setHandler(progress, () => told.progress());
  if ('problem' in request) {
    label([], labels);
    throw ApplicationFailure.nonRetryable(request.problem, 'InvalidInput');
  }
  const configuration = proxyActivities<MainActivities>(configurationOptions(`look up ${asked} in the configuration`));
  const resolved = await lookUpLabelled(
    labels,
    () => resolve(configuration, request.scope),
    ({ scope }) => (isLabelled() && scope === asked ? null : { scope }),
  );
  const report = await run(resolved, request, told);
  label(resolved.searchAttributes, { outcome: report.outcome });
  return report;
}
