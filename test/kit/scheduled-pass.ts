import { setTimeout as sleep } from 'node:timers/promises';
import type { Client, WorkflowHandle } from '@temporalio/client';
import type { HealthReport } from '../../src/domain/health-report.ts';
import { applySchedule, readSchedule, schedulesOf, type Care, type PassSchedule } from '../../src/worker/schedules.ts';

/** Far longer than a test. */
const NEVER_MS = 24 * 3_600_000;

/** Lets the scope's schedule, which it makes where there is none, start a pass, and waits for its result. */
export async function scheduledPass<Report = HealthReport>(client: Client, scope: string, care: Care = 'health'): Promise<Report> {
  return (await (await startedBySchedule(client, scope, care)).result()) as Report;
}

/** The same without the wait. */
export async function startedBySchedule(client: Client, scope: string, care: Care): Promise<WorkflowHandle> {
  if ((await readSchedule(client, scope, care)) === null) {
    await applySchedule(client, scope, { everyMs: NEVER_MS }, care);
  }
  const before = (await readSchedule(client, scope, care))?.lastPass?.runId;
  const scheduleId = schedulesOf(scope).find((each) => each.care === care)?.scheduleId ?? '';
  await client.schedule.getHandle(scheduleId).trigger('SKIP');
  let pass: NonNullable<PassSchedule['lastPass']> | null | undefined;
  for (const deadline = Date.now() + 30_000; ; await sleep(100)) {
    pass = (await readSchedule(client, scope, care))?.lastPass;
    if (pass !== null && pass !== undefined && pass.runId !== before) {
      break;
    }
    if (Date.now() > deadline) {
      throw new Error(`the schedule of ${scope} has started no pass`);
    }
  }
  return client.workflow.getHandle(pass.workflowId, pass.runId);
}
