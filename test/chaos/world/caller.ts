import { activityInfo } from '@temporalio/activity';
import type { Runwards } from './facts.ts';
import type { World } from './world.ts';

/** The operation whose activity calls. */
export function callerOf(world: World, installation: string, step: string): Runwards {
  const { workflowExecution, workflowType = 'unknown' } = activityInfo();
  const { workflowId = 'unknown', runId = 'unknown' } = workflowExecution ?? {};
  const asked = world.byHand.get(workflowId);
  return {
    by: 'runward',
    installation,
    workflowId,
    runId,
    type: workflowType,
    step,
    isForced: asked?.isForced ?? false,
    isByHand: asked !== undefined,
  };
}
