import type { Client, WorkflowExecutionInfo } from '@temporalio/client';
import type { RerunDone } from '../activities/contract.ts';
import { quote } from '../activities/labels.ts';
import type { HealReport } from '../domain/upkeep.ts';
import type { RunSought } from './run-search.ts';
import { unlessLost } from './temporal.ts';

/** The re-run of failed jobs of a run which a damaged actions cache had let fail. */
export interface HealRerun {
  /** ISO 8601. */
  readonly at: string;
  readonly scope: string;
  /** The one that failed; `null` where it is not known any more. */
  readonly attempt: number | null;
  readonly end: RerunDone['kind'] | 'at-work' | 'unknown';
  readonly detail: string;
  /** Of the healing; of the re-run itself where that is not known any more. */
  readonly workflowId: string;
}

/** Re-runs are as rare as damaged caches. */
const RERUNS_SEARCHED = 500;

/** Newest first. */
export async function findReruns(client: Client, { run, scope }: RunSought): Promise<readonly HealRerun[]> {
  const found: HealRerun[] = [];
  let searched = 0;
  for await (const info of client.workflow.list({ query: `WorkflowType = ${quote('rerunFailedJobs')}` })) {
    const id = /^rerun\/(?<scope>.+)\/(?<run>\d+)\/\d+$/.exec(info.workflowId)?.groups;
    const isOfScope = scope === null || id?.['scope']?.toLowerCase() === scope.toLowerCase();
    if (id !== undefined && Number(id['run']) === run && isOfScope) {
      found.push(await rerunOf(client, info, { run, scope: id['scope'] ?? '' }));
    }
    if ((searched += 1) >= RERUNS_SEARCHED) {
      break;
    }
  }
  return found.toSorted((one, other) => other.at.localeCompare(one.at));
}

async function rerunOf(
  client: Client,
  info: WorkflowExecutionInfo,
  of: { readonly run: number; readonly scope: string },
): Promise<HealRerun> {
  const { workflowId, runId, parentExecution, startTime, closeTime, memo } = info;
  const attempt = typeof memo?.['attempt'] === 'number' ? memo['attempt'] : null;
  const done =
    info.status.name === 'RUNNING'
      ? null
      : await client.workflow
          .getHandle(workflowId, runId)
          .result()
          .then(asDone, unlessLost('unknown' as const));
  const why =
    parentExecution?.workflowId == null
      ? null
      : await reasonIn(client, parentExecution.workflowId, parentExecution.runId ?? undefined, of.run);
  return {
    at: (closeTime ?? startTime).toISOString(),
    scope: of.scope,
    attempt,
    end: done === null ? 'at-work' : done === 'unknown' ? done : done.kind,
    detail: [why, typeof done === 'object' && done !== null && 'why' in done ? done.why : null].filter((part) => part !== null).join('; '),
    workflowId: parentExecution?.workflowId ?? workflowId,
  };
}

const asDone = (result: unknown): RerunDone => result as RerunDone;

/** What the cache let fail, in the runner's own words; `null` where the healing has not ended, or is forgotten. */
async function reasonIn(client: Client, workflowId: string, runId: string | undefined, run: number): Promise<string | null> {
  const handle = client.workflow.getHandle(workflowId, runId);
  const status = await handle.describe().catch(unlessLost(null));
  if (status?.status.name !== 'COMPLETED') {
    return null;
  }
  const { damaged } = (await handle.result()) as unknown as HealReport;
  const job = damaged.find((each) => each.run === run)?.jobs[0];
  return job === undefined ? null : `job ${job.name}: ${job.line}`;
}
