import { activityInfo, cancellationSignal, Context, heartbeat } from '@temporalio/activity';
import type { Client, WorkflowExecutionDescription } from '@temporalio/client';
import {
  CallGivenUp,
  PackageError,
  type Act,
  type CallContext,
  type MachinePort,
  type ObserveAll,
  type PackagePort,
  type PauseWanted,
  type Stopping,
} from '../machine/port.ts';
import type { ActActivities, ActInput, Answered, AskAgain, AskedInput, LookActivities } from './contract.ts';
import { withMachineFailures } from './failures.ts';
import { tokenBinding, type Sealing } from './sealing.ts';

export function createLookActivities(machine: MachinePort, observeAll: ObserveAll): LookActivities {
  return {
    observeMachine: ({ target }) => readily(() => machine.observe(target, callContext())),

    observeMachines: (wanted) => readily(() => observeAll(wanted, callContext())),

    listCache: ({ target, wanted }) => readily(() => machine.listCache(target, wanted, callContext())),

    listWorkspaces: ({ target }) => readily(() => machine.listWorkspaces(target, callContext())),
  };
}

export function createActActivities(machine: MachinePort, sealing: Sealing, packages: PackagePort): ActActivities {
  return {
    startMachine: ({ target }) =>
      readily(async () => {
        await machine.start(target.machine, callContext());
        return { kind: 'running' as const };
      }),

    restartMachine: (input) =>
      answered(async () => {
        if (isStale(input)) {
          return ASK_AGAIN;
        }
        const right = rightToCutPower(input);
        const ended = await machine.restart(input.target.machine, right.mayStop, callContext());
        return ended.kind === 'given-up' && right.hasLapsed() ? { ...ASK_AGAIN, ...(right.wasUsed() ? { mayBeDown: true } : {}) } : ended;
      }),

    takeFence: ({ target, holder, isRecovery }) => readily(() => machine.takeFence(target, holder, { isRecovery }, callContext())),

    pauseRunner: (input) => answered(() => machine.pause(input.target, actOf(input), pauseOf(input), callContext())),

    letGo: (input) => answered(() => machine.letGo(input.target, actOf(input), input.purpose, callContext())),

    syncClock: (input) => stopping(input, (how) => machine.syncClock(input.target, actOf(input), how, callContext())),

    setConfigurationAside: (input) =>
      stopping(input, (how) => {
        sealing.open(input.token, binding(input));
        return machine.setConfigurationAside(input.target, actOf(input), how, callContext());
      }),

    configureRunner: (input) =>
      answered(async () => {
        const { labels } = input.target;
        const wanted = labels.length > 0 ? labels : input.shownLabels;
        return machine.configure(input.target, actOf(input), sealing.open(input.token, binding(input)), callContext(), wanted);
      }),

    startService: (input) => answered(() => machine.startService(input.target, actOf(input), callContext())),

    restartService: (input) => stopping(input, (how) => machine.restartService(input.target, actOf(input), how, callContext())),

    // A runner without a listener must not stay without its configuration because GitHub can't be asked.
    restoreConfiguration: (input) =>
      stopping({ ...input, ...(input.pause === null ? { busyAskedAt: Infinity } : {}) }, (how) =>
        machine.restoreConfiguration(input.target, actOf(input), how, callContext()),
      ),

    discardAside: (input) => answered(() => machine.discardAside(input.target, actOf(input), callContext())),

    markDrained: (input) =>
      answered(() => {
        const { by, reason, labels } = input;
        const mark = { by, reason, ...(labels === undefined ? {} : { labels }) };
        return machine.markDrained(input.target, actOf(input), mark, callContext());
      }),

    stopRunner: (input) => stopping(input, (how) => machine.stopService(input.target, actOf(input), how, callContext())),

    pauseAfterJob: (input) => answered(() => machine.pauseAfterJob(input.target, actOf(input), callContext())),

    unmarkDrained: (input) => answered(() => machine.unmarkDrained(input.target, actOf(input), callContext())),

    removeFromCache: (input) =>
      stopping(input, (how) => machine.removeFromCache(input.target, actOf(input), input.wanted, how, callContext())),

    makeRoom: (input) => stopping(input, (how) => machine.makeRoom(input.target, actOf(input), input.wanted, how, callContext())),

    fetchPackage: (input) => answered(() => machine.fetchPackage(input.target, actOf(input), input.wanted, callContext())),

    passPackage: (input) =>
      answered(async () => {
        const call = callContext();
        try {
          const archive = await packages.archiveOf(input.wanted, call);
          return await machine.passPackage(input.target, actOf(input), input.wanted, archive, call);
        } catch (error) {
          if (!(error instanceof PackageError)) {
            throw error;
          }
          return { kind: 'not-fetched' as const, reason: 'no-way' as const, evidence: error.message };
        }
      }),
  };
}

/** A call before which nothing was changed, so that nobody has to wait for a provider that hangs. */
function readily<T>(call: () => Promise<T>): Promise<Answered<T>> {
  return answered(call, { waitsForProvider: false });
}

async function answered<T>(call: () => Promise<T>, patience = { waitsForProvider: true }): Promise<Answered<T>> {
  try {
    return { attempt: activityInfo().attempt, value: await withMachineFailures(call, patience) };
  } catch (error) {
    throw error instanceof CallGivenUp ? error.cause : error;
  }
}

const ASK_AGAIN = { kind: 'ask-again' } as const;

/** An act that stops something: at no attempt on an old word of GitHub. */
function stopping<T>(input: Stopping & AskedInput, act: (how: Stopping) => Promise<T>): Promise<Answered<T | AskAgain>> {
  const { pause, force } = input;
  return answered<T | AskAgain>(async () => (!force && isStale(input) ? ASK_AGAIN : act({ pause, force })));
}

/** Whether GitHub's idle answer is too old to act on. Both times are the server's, so a wrong clock here does not matter. */
function isStale({ busyAskedAt, busyAnswerMaxAgeMs }: AskedInput): boolean {
  return activityInfo().currentAttemptScheduledTimestampMs - busyAskedAt > busyAnswerMaxAgeMs;
}

function actOf({ key, fence, deadlineMs, ignoresStrays = false, drainSeen }: ActInput): Act {
  return { key, fence, deadlineMs, ...(ignoresStrays ? { ignoresStrays } : {}), ...(drainSeen === undefined ? {} : { drainSeen }) };
}

function pauseOf(input: PauseWanted): PauseWanted {
  switch (input.purpose) {
    case 'remove-from-cache':
      return { purpose: input.purpose, wanted: input.wanted };
    case 'make-room':
      return { purpose: input.purpose, wanted: input.wanted };
    default:
      return { purpose: input.purpose };
  }
}

function binding({ target }: ActInput): string {
  return tokenBinding(activityInfo().workflowExecution?.workflowId, target);
}

/** Cancellations after which Temporal schedules the same activity again; its retry finds the act under its key. */
const RETRIED: ReadonlySet<string> = new Set(['WORKER_SHUTDOWN', 'TIMED_OUT']);

/** What an attempt hears after its workflow has closed, and also after its heartbeat was missed and the next attempt was scheduled. */
const SUPERSEDED = 'NOT_FOUND';

interface Execution {
  readonly workflowId: string;
  readonly runId: string;
}

async function isOpen(client: Client, execution: Execution | undefined): Promise<boolean> {
  return execution !== undefined && (await describe(client, execution)).status.name === 'RUNNING';
}

function describe(client: Client, { workflowId, runId }: Execution): Promise<WorkflowExecutionDescription> {
  return client.workflow.getHandle(workflowId, runId).describe();
}

/**
 * GitHub shows a runner offline for up to 45 s after it has connected, and may have given it a job by then, so power hangs on a younger word than
 * other acts. A probe of the guest takes longer: then GitHub is asked anew.
 */
const POWER_WORD_MAX_AGE_MS = 10_000;

/** The right of one attempt to stop a machine, asked for right before each stop. */
interface RightToCutPower {
  readonly mayStop: () => Promise<boolean>;
  /** Whether a stop was refused since GitHub's word had become too old, or Temporal could not be asked. */
  readonly hasLapsed: () => boolean;
  /** Whether a stop was allowed. */
  readonly wasUsed: () => boolean;
}

/**
 * A machine may be stopped while the operation still goes on and still has it, and while GitHub's word is fresh. If Temporal can't be asked, that
 * is not known, and that is no: its caller, if it still goes on, asks again.
 */
function rightToCutPower({ lockId, lockRunId, busyAskedAt, busyAnswerMaxAgeMs }: AskedInput & Lock): RightToCutPower {
  const { client, info } = Context.current();
  const operation = info.workflowExecution;
  const lock = lockId === undefined || lockRunId === undefined ? [] : [{ workflowId: lockId, runId: lockRunId }];
  const msSinceStart = stopwatch();
  let hasLapsed = false;
  let wasUsed = false;
  const mayStop = async (): Promise<boolean> => {
    try {
      if (operation === undefined) {
        return false;
      }
      const [described, ...areOpen] = await Promise.all([describe(client, operation), ...lock.map((each) => isOpen(client, each))]);
      if (described.status.name !== 'RUNNING' || !areOpen.every(Boolean)) {
        return false;
      }
      hasLapsed = startedAt(described) - busyAskedAt + msSinceStart() > Math.min(busyAnswerMaxAgeMs, POWER_WORD_MAX_AGE_MS);
      wasUsed ||= !hasLapsed;
      return !hasLapsed;
    } catch {
      hasLapsed = true;
      return false;
    }
  };
  return { mayStop, hasLapsed: () => hasLapsed, wasUsed: () => wasUsed };
}

interface Lock {
  readonly lockId?: string;
  readonly lockRunId?: string;
}

/** When this attempt was begun, by the server's clock; when it was scheduled, if the server does not tell. */
function startedAt({ raw }: WorkflowExecutionDescription): number {
  const { activityId, currentAttemptScheduledTimestampMs } = activityInfo();
  const started = raw.pendingActivities?.find((pending) => pending.activityId === activityId)?.lastStartedTime;
  return Math.max(currentAttemptScheduledTimestampMs, Number(started?.seconds ?? 0) * 1_000 + (started?.nanos ?? 0) / 1_000_000);
}

/** Milliseconds from now on. The monotonic clock stands still while a computer sleeps, and the other one may be set back. */
function stopwatch(): () => number {
  const [monotonic, wall] = [performance.now(), Date.now()];
  return () => Math.max(performance.now() - monotonic, Date.now() - wall);
}

function callContext(): CallContext {
  const cancelled = cancellationSignal();
  const { client, info } = Context.current();
  const call = new AbortController();
  const end = async (): Promise<void> => {
    const cause = cancelled.reason as Error;
    // Where Temporal can't be asked the act is left alone: its deadline in the guest stands.
    const isRetried =
      RETRIED.has(cause.message) || (cause.message === SUPERSEDED && (await isOpen(client, info.workflowExecution).catch(() => true)));
    call.abort(isRetried ? new CallGivenUp(cause.message, { cause }) : cause);
  };
  cancelled.addEventListener('abort', () => void end(), { once: true });
  if (cancelled.aborted) {
    void end();
  }
  return { signal: call.signal, heartbeat: (doing) => heartbeat(doing) };
}
