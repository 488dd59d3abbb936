import type { Client } from '@temporalio/client';
import { z } from 'zod';
import type { LockHolder } from '../activities/contract.ts';
import { describeExecution } from '../activities/describe-execution.ts';
import type { HealthReport } from '../domain/health-report.ts';
import { recoveriesLeft, refusedByBudget, type LedgerEntry } from '../domain/ledger.ts';
import { machineLedgerId, machineLockId, PROGRESS_QUERY, qualifiedName } from '../domain/names.ts';
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
import { isNamespaceMissing, withTemporal } from './temporal.ts';
import { otherScopes } from './terminal.ts';

/** Temporal is an extra of `status`: one that is away, or a worker that is, must not hold up the rest. */
const ABSENT_AFTER_MS = 1_500;
/** One that answers may be slow. */
const READ_WITHIN_MS = 5_000;
const RECENT_OPERATIONS = 5;
const UNDER_WAY = 20;
/** Of the newest checks some may be dry runs, or about named runners only. */
const PASSES_READ = 5;

/** What Temporal knows of a scope; a part that could not be read in time is `null`. */
export interface TemporalView {
  readonly schedule: { readonly found: PassSchedule | null } | null;
  readonly recentOperations: readonly OperationSummary[] | null;
  readonly underWay: readonly UnderWay[] | null;
  readonly holds: readonly Hold[] | null;
  readonly budgets: readonly Budget[] | null;
  readonly openFindings: readonly OpenFindingSummary[] | null;
  /** The newest health check of the whole scope that ended, also a manual one. */
  readonly lastPass: LastPass | null;
  /** Acts on the runners' machines, by `scope/name`. */
  readonly ledgers: Readonly<Record<string, readonly LedgerEntry[]>>;
  /** Scopes that Temporal has schedules of, if none is of this one: it looks after something else. */
  readonly otherScopes: readonly string[];
  /** `null` for an organisation, too, which has no queue. */
  readonly queueCare: QueueCareView | null;
}

/** A health check that ended. */
export interface LastPass {
  readonly workflowId: string;
  /** ISO 8601. */
  readonly startedAt: string;
  readonly isManual: boolean;
  readonly report: HealthReport;
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
  /** Why a check would not recover it now; `null` if it would. */
  readonly refusal: string | null;
  /** When checks may recover it again, ISO 8601; `null` if they may now. */
  readonly until: string | null;
}

const NOTHING_KNOWN: TemporalView = {
  schedule: null,
  recentOperations: null,
  underWay: null,
  holds: null,
  budgets: null,
  openFindings: null,
  lastPass: null,
  ledgers: {},
  queueCare: null,
  otherScopes: [],
};

/** A scope of which `status` tells. */
export interface ScopeAsked {
  readonly scope: string;
  readonly targets: readonly RunnerTarget[];
  /** Names of the runners that alone are asked for; `null` for the whole scope. */
  readonly runners: readonly string[] | null;
}

/**
 * Reads what Temporal knows of each scope, in the order of the scopes.
 * @param tellSetAside is told a scope's runs that queue care has set aside, as soon as they are known; not called where they are not
 */
export async function readTemporalViews(
  invocation: Invocation,
  scopes: readonly ScopeAsked[],
  budget: BudgetPolicy,
  tellSetAside: (scope: string, runs: readonly number[]) => void = () => {},
): Promise<readonly TemporalView[]> {
  try {
    return await withTemporal(
      invocation,
      ({ client, connection }) =>
        connection.withDeadline(Date.now() + READ_WITHIN_MS, () =>
          Promise.all(scopes.map((asked) => readView(client, asked, budget, (runs) => tellSetAside(asked.scope, runs)))),
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

async function readView(
  client: Client,
  asked: ScopeAsked,
  budget: BudgetPolicy,
  tellSetAside: (runs: readonly number[]) => void,
): Promise<TemporalView> {
  const { scope, targets } = asked;
  const [schedule, recentOperations, underWay, holds, ledgers, openFindings, lastPass, queueCare, others] = await Promise.all([
    orNull(readSchedule(client, scope).then((found) => ({ found }))),
    orNull(readRecent(client, asked)),
    orNull(readUnderWay(client, asked)),
    orNull(readHolds(client, targets)),
    orNull(readLedgers(client, targets)),
    orNull(readOpenFindings(client, asked)),
    orNull(readLastPass(client, scope)),
    isRepository(scope) ? orNull(readQueueCare(client, scope, { now: Date.now(), queryTimeoutMs: ABSENT_AFTER_MS, tellSetAside })) : null,
    orNull(otherScopes(client, [scope])),
  ]);
  const budgets = ledgers === null ? null : targets.map((target) => budgetOf(target, ledgers[qualifiedName(target)] ?? [], budget));
  return {
    schedule,
    recentOperations,
    underWay,
    holds,
    budgets,
    openFindings,
    lastPass,
    ledgers: ledgers ?? {},
    queueCare,
    otherScopes: others ?? [],
  };
}

/** Operations, and health checks that a person asked for, which concern every runner of the scope. */
async function readRecent(client: Client, { scope, runners }: ScopeAsked): Promise<readonly OperationSummary[]> {
  const [operations, checks] = await Promise.all([
    listOfEach(runners, (runner) => listOperations(client, { scope, runner, passes: 'none', limit: RECENT_OPERATIONS })),
    listPasses(client, { scope, trigger: 'manual', limit: RECENT_OPERATIONS }),
  ]);
  return [...operations, ...checks].toSorted((a, b) => b.startedAt.localeCompare(a.startedAt)).slice(0, RECENT_OPERATIONS);
}

/** Of each runner that is asked for, or of the whole scope. */
async function listOfEach<T>(
  runners: ScopeAsked['runners'],
  list: (runner: string | undefined) => Promise<readonly T[]>,
): Promise<readonly T[]> {
  return (await Promise.all((runners ?? [undefined]).map(list))).flat();
}

/** Of one runner its own, and those of what it shares with others: its scope and its host. */
async function readOpenFindings(client: Client, { scope, runners, targets }: ScopeAsked): Promise<readonly OpenFindingSummary[]> {
  const open = await listOpenFindings(client, scope);
  const subjects = new Set([scope, ...targets.flatMap((target) => [qualifiedName(target), `host/${target.host}`])]);
  return runners === null ? open : open.filter(({ subject }) => subjects.has(subject));
}

async function readLastPass(client: Client, scope: string): Promise<LastPass | null> {
  for (const { workflowId, runId, startedAt, trigger } of await listPasses(client, { scope, limit: PASSES_READ })) {
    const report = (await client.workflow.getHandle(workflowId, runId).result()) as HealthReport;
    if (report.isDryRun !== true && report.isPartial !== true) {
      return { workflowId, startedAt, isManual: trigger === 'manual', report };
    }
  }
  return null;
}

/** A wrong namespace is a mistake, and no silence. */
function orNull<T>(reading: Promise<T>): Promise<T | null> {
  return reading.catch((error: unknown) => {
    if (isNamespaceMissing(error)) {
      throw error;
    }
    return null;
  });
}

async function readUnderWay(client: Client, { scope, runners }: ScopeAsked): Promise<readonly UnderWay[]> {
  const running = await listOfEach(runners, (runner) =>
    listOperations(client, { scope, runner, passes: 'none', runningOnly: true, limit: UNDER_WAY }),
  );
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

async function readLedgers(client: Client, targets: readonly RunnerTarget[]): Promise<TemporalView['ledgers']> {
  const read = await Promise.all(
    targets.map(async (target) => {
      const ledger = await describeExecution(client, machineLedgerId(target.host, target.machine));
      return [qualifiedName(target), (ledger?.memo?.['entries'] ?? []) as readonly LedgerEntry[]] as const;
    }),
  );
  return Object.fromEntries(read);
}

function budgetOf({ scope, runner }: RunnerTarget, entries: readonly LedgerEntry[], budget: BudgetPolicy): Budget {
  const asked = { scope, runner, now: Date.now() };
  const refused = refusedByBudget(entries, asked, budget);
  return {
    runner,
    recoveriesLeft: recoveriesLeft(entries, asked, budget),
    of: budget.recoveries,
    withinMs: budget.withinMs,
    refusal: refused?.why ?? null,
    until: refused === null ? null : new Date(refused.until).toISOString(),
  };
}
