import type { Client } from '@temporalio/client';
import { z } from 'zod';
import type { LockHolder } from '../activities/contract.ts';
import { describeExecution } from '../activities/describe-execution.ts';
import type { HealthReport } from '../domain/health-report.ts';
import { budgetRefusal, recoveriesLeft, type LedgerEntry } from '../domain/ledger.ts';
import { machineLedgerId, machineLockId, PROGRESS_QUERY } from '../domain/names.ts';
import type { BudgetPolicy } from '../domain/policy.ts';
import type { RunnerTarget } from '../domain/runner.ts';
import { isRepository } from '../github/endpoints.ts';
import { readSchedule, type PassSchedule } from '../worker/schedules.ts';
import { CommandFailure, EXIT } from './exit.ts';
import type { Invocation } from './invocation.ts';
import type { ShownProgress } from './live-steps.ts';
import { listOpenFindings, type OpenFindingSummary } from './open-findings.ts';
import { listOperations, listPasses, type OperationSummary } from './operations.ts';
import { readQueueCare, type QueueCareView } from './queue-view.ts';
import { withTemporal } from './temporal.ts';

/** Temporal is an extra of `status`: one that is away, or a worker that is, must not hold up the rest. */
const ABSENT_AFTER_MS = 1_500;
/** One that answers may be slow. */
const READ_WITHIN_MS = 5_000;
const RECENT_OPERATIONS = 5;
const UNDER_WAY = 20;

/** What Temporal knows of a scope; a part that could not be read in time is `null`. */
export interface TemporalView {
  readonly schedule: { readonly found: PassSchedule | null } | null;
  readonly recentOperations: readonly OperationSummary[] | null;
  readonly underWay: readonly UnderWay[] | null;
  readonly holds: readonly Hold[] | null;
  readonly budgets: readonly Budget[] | null;
  readonly openFindings: readonly OpenFindingSummary[] | null;
  /** Of the newest health check that ended. */
  readonly lastReport: HealthReport | null;
  /** `null` for an organisation, too, which has no queue. */
  readonly queueCare: QueueCareView | null;
}

/** An operation that works at this moment. */
export interface UnderWay {
  readonly workflowId: string;
  readonly type: string;
  readonly runner: string | null;
  readonly startedAt: string;
  /** `null` where no worker answers. */
  readonly doing: string | null;
  /** Counted from 1; `null` between steps, and where it has none. */
  readonly step: { readonly number: number; readonly of: number; readonly name: string } | null;
}

/** Who has a machine. */
export interface Hold {
  readonly host: string;
  readonly machine: string;
  /** `null`: a lock that does not say whose it is. */
  readonly holder: LockHolder | null;
}

/** What checks may still do for a runner. */
export interface Budget {
  readonly runner: string;
  readonly recoveriesLeft: number;
  readonly of: number;
  readonly withinMs: number;
  /** Why a check would not recover it now; `null` where it would. */
  readonly refusal: string | null;
}

const NOTHING_KNOWN: TemporalView = {
  schedule: null,
  recentOperations: null,
  underWay: null,
  holds: null,
  budgets: null,
  openFindings: null,
  lastReport: null,
  queueCare: null,
};

/** Reads what Temporal knows of each scope, in the order of the scopes. */
export async function readTemporalViews(
  invocation: Invocation,
  scopes: readonly { readonly scope: string; readonly targets: readonly RunnerTarget[] }[],
  budget: BudgetPolicy,
): Promise<readonly TemporalView[]> {
  try {
    return await withTemporal(
      invocation,
      ({ client, connection }) =>
        connection.withDeadline(Date.now() + READ_WITHIN_MS, () =>
          Promise.all(scopes.map(({ scope, targets }) => readView(client, scope, targets, budget))),
        ),
      { connectTimeoutMs: ABSENT_AFTER_MS },
    );
  } catch (error) {
    if (error instanceof CommandFailure && error.exitCode === EXIT.usage) {
      throw error;
    }
    return scopes.map(() => NOTHING_KNOWN);
  }
}

async function readView(client: Client, scope: string, targets: readonly RunnerTarget[], budget: BudgetPolicy): Promise<TemporalView> {
  const [schedule, recentOperations, underWay, holds, budgets, openFindings, lastReport, queueCare] = await Promise.all([
    orNull(readSchedule(client, scope).then((found) => ({ found }))),
    orNull(listOperations(client, { scope, passes: 'none', limit: RECENT_OPERATIONS })),
    orNull(readUnderWay(client, scope)),
    orNull(readHolds(client, targets)),
    orNull(Promise.all(targets.map((target) => readBudget(client, target, budget)))),
    orNull(listOpenFindings(client, scope)),
    orNull(readLastReport(client, scope)),
    isRepository(scope) ? orNull(readQueueCare(client, scope, Date.now(), ABSENT_AFTER_MS)) : null,
  ]);
  return { schedule, recentOperations, underWay, holds, budgets, openFindings, lastReport, queueCare };
}

async function readLastReport(client: Client, scope: string): Promise<HealthReport | null> {
  const [pass] = await listPasses(client, { scope, limit: 1 });
  return pass === undefined ? null : ((await client.workflow.getHandle(pass.workflowId, pass.runId).result()) as HealthReport);
}

function orNull<T>(reading: Promise<T>): Promise<T | null> {
  return reading.catch(() => null);
}

async function readUnderWay(client: Client, scope: string): Promise<readonly UnderWay[]> {
  const running = await listOperations(client, { scope, passes: 'none', runningOnly: true, limit: UNDER_WAY });
  return Promise.all(
    running.map(async ({ workflowId, runId, type, runner, startedAt }) => {
      const handle = client.workflow.getHandle(workflowId, runId);
      const progress = await orNull(
        client.connection.withDeadline(Date.now() + ABSENT_AFTER_MS, () => handle.query<ShownProgress>(PROGRESS_QUERY)),
      );
      return {
        workflowId,
        type,
        runner,
        startedAt,
        doing: progress?.doing ?? null,
        step: progress === null ? null : currentStep(progress),
      };
    }),
  );
}

function currentStep({ steps = [] }: ShownProgress): UnderWay['step'] {
  const index = steps.findIndex(({ status }) => status === 'running');
  const step = steps[index];
  return step === undefined ? null : { number: index + 1, of: steps.length, name: step.name };
}

const holderSchema: z.ZodType<LockHolder> = z.object({
  workflowId: z.string(),
  runId: z.string(),
  type: z.string(),
  reason: z.string().nullable(),
  since: z.string(),
});

async function readHolds(client: Client, targets: readonly RunnerTarget[]): Promise<readonly Hold[]> {
  const machines = [...new Map(targets.map(({ host, machine }) => [machineLockId(host, machine), { host, machine }]))];
  const locks = await Promise.all(
    machines.map(async ([lockId, place]) => {
      const lock = await describeExecution(client, lockId);
      return lock?.status.name === 'RUNNING' ? { ...place, holder: holderSchema.safeParse(lock.memo?.['holder']).data ?? null } : null;
    }),
  );
  return locks.filter((lock) => lock !== null);
}

async function readBudget(client: Client, { scope, runner, host, machine }: RunnerTarget, budget: BudgetPolicy): Promise<Budget> {
  const ledger = await describeExecution(client, machineLedgerId(host, machine));
  const entries = (ledger?.memo?.['entries'] ?? []) as readonly LedgerEntry[];
  const asked = { scope, runner, now: Date.now() };
  return {
    runner,
    recoveriesLeft: recoveriesLeft(entries, asked, budget),
    of: budget.recoveries,
    withinMs: budget.withinMs,
    refusal: budgetRefusal(entries, asked, budget),
  };
}
