import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { CancellationScope, executeChild, isCancellation, proxyActivities } from '@temporalio/workflow';
import type { MainActivities, RerunDone, RerunInput } from '../activities/contract.ts';
import { planRerun, type DamagedRun, type RerunTold } from '../domain/damaged-run.ts';
import { rerunId } from '../domain/names.ts';
import type { FailurePolicy } from '../domain/policy.ts';
import { rerunOptions, temporalOptions } from './options.ts';
import { reasonOf } from './site.ts';
import { waitOutLimit } from './told.ts';

/** Re-runs failed jobs of a run once. Its id can't be used twice, so whoever has started it has reserved the re-run before GitHub is called. */
export async function rerunFailedJobs({ scope, run, attempt, plan, policy }: RerunInput): Promise<RerunDone> {
  const github = proxyActivities<MainActivities>(rerunOptions(policy, `re-run the failed jobs of run ${run}`));
  try {
    for (;;) {
      const done = await github.rerunJobs({ scope, run, attempt, plan, doubtMs: policy.doubtMs });
      if (done.kind !== 'limited') {
        return done;
      }
      await waitOutLimit(done, () => {});
    }
  } catch (error) {
    if (isCancellation(error)) {
      throw error;
    }
    return { kind: 'refused', why: reasonOf(error, { host: 'local' }) };
  }
}

/** Re-runs what a damaged cache let fail, so often as it may be and no attempt twice. */
export async function rerunDamaged(scope: string, damaged: DamagedRun, policy: FailurePolicy): Promise<RerunTold> {
  const { run, attempt, workflow } = damaged;
  const told = (outcome: RerunTold['outcome'], detail: string): RerunTold => ({ run, attempt, workflow, outcome, detail });
  const plan = planRerun(damaged);
  if (plan.kind === 'none') {
    return told('left', plan.why);
  }
  for (let time = 1; time <= policy.reruns; time += 1) {
    const workflowId = rerunId(scope, run, time);
    try {
      const done = await CancellationScope.nonCancellable(() =>
        executeChild(rerunFailedJobs, {
          workflowId,
          workflowIdReusePolicy: 'REJECT_DUPLICATE',
          parentClosePolicy: 'ABANDON',
          memo: { attempt },
          staticSummary: `re-run the failed jobs of run ${run} of ${scope}`,
          args: [{ version: 1, scope, run, attempt, plan, policy }],
        }),
      );
      return done.kind === 're-run' ? told('re-run', `for time ${time} of ${policy.reruns}`) : told(done.kind, done.why);
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) {
        throw error;
      }
    }
    const temporal = proxyActivities<MainActivities>(temporalOptions(`which attempt of run ${run} was re-run?`));
    const reserved = await temporal.readReservation({ workflowId });
    if (reserved.attempt === attempt) {
      return reserved.isCutOff
        ? told('refused', `GitHub gave no usable answer to its re-run: ${workflowId}`)
        : told('left', `this attempt was re-run already: ${workflowId}`);
    }
  }
  return told('given-up', `it has failed by the cache again after ${policy.reruns} re-runs`);
}
