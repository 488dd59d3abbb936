import { activityInfo, cancellationSignal, Context, heartbeat } from '@temporalio/activity';
import type { Client } from '@temporalio/client';
import {
  CallGivenUp,
  PackageError,
  type Act,
  type ActRefusal,
  type CallContext,
  type MachinePort,
  type ObserveAll,
  type PackagePort,
} from '../machine/port.ts';
import type { ActActivities, ActInput, Answered, LookActivities } from './contract.ts';
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

    restartMachine: ({ target }) =>
      answered(async () => {
        await machine.restart(target.machine, callContext());
        return { kind: 'running' as const };
      }),

    takeFence: ({ target, holder }) => readily(() => machine.takeFence(target.machine, holder, callContext())),

    syncClock: (input) => answered(() => machine.syncClock(input.target, actOf(input), { force: input.force }, callContext())),

    setConfigurationAside: (input) =>
      answered<Awaited<ReturnType<MachinePort['setConfigurationAside']>> | ActRefusal | { kind: 'ask-again' }>(async () => {
        if (isStale(input)) {
          return { kind: 'ask-again' as const };
        }
        sealing.open(input.token, binding(input));
        return machine.setConfigurationAside(input.target, actOf(input), { force: input.force }, callContext());
      }),

    configureRunner: (input) =>
      answered(async () => {
        const { labels } = input.target;
        const wanted = labels.length > 0 ? labels : input.shownLabels;
        return machine.configure(input.target, actOf(input), sealing.open(input.token, binding(input)), callContext(), wanted);
      }),

    startService: (input) => answered(() => machine.startService(input.target, actOf(input), callContext())),

    restartService: (input) =>
      answered<Awaited<ReturnType<MachinePort['restartService']>> | { kind: 'ask-again' }>(async () => {
        if (isStale(input)) {
          return { kind: 'ask-again' as const };
        }
        return machine.restartService(input.target, actOf(input), { force: input.force }, callContext());
      }),

    restoreConfiguration: (input) => answered(() => machine.restoreConfiguration(input.target, actOf(input), callContext())),

    discardAside: (input) => answered(() => machine.discardAside(input.target, actOf(input), callContext())),

    markDrained: (input) =>
      answered(() => {
        const { by, reason, labels } = input;
        const mark = { by, reason, ...(labels === undefined ? {} : { labels }) };
        return machine.markDrained(input.target, actOf(input), mark, callContext());
      }),

    freezeRunner: (input) => answered(() => machine.freeze(input.target, actOf(input), callContext())),

    stopFrozenRunner: (input) => answered(() => machine.stopFrozen(input.target, actOf(input), input.unread, callContext())),

    thawRunner: (input) => answered(() => machine.thaw(input.target, actOf(input), callContext())),

    pauseAfterJob: (input) => answered(() => machine.pauseAfterJob(input.target, actOf(input), callContext())),

    unmarkDrained: (input) => answered(() => machine.unmarkDrained(input.target, actOf(input), callContext())),

    removeFromCache: (input) =>
      answered(() => machine.removeFromCache(input.target, actOf(input), input.wanted, { force: input.force }, callContext())),

    makeRoom: (input) => answered(() => machine.makeRoom(input.target, actOf(input), input.wanted, callContext())),

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

/** Whether GitHub's idle answer is too old to act on. Both times are the server's, so a wrong clock here does not matter. */
function isStale(input: { readonly force: boolean; readonly busyAskedAt: number; readonly busyAnswerMaxAgeMs: number }): boolean {
  return !input.force && activityInfo().currentAttemptScheduledTimestampMs - input.busyAskedAt > input.busyAnswerMaxAgeMs;
}

function actOf({ key, fence, deadlineMs, ignoresStrays = false }: ActInput): Act {
  return { key, fence, deadlineMs, ...(ignoresStrays ? { ignoresStrays } : {}) };
}

function binding({ target }: ActInput): string {
  return tokenBinding(activityInfo().workflowExecution?.workflowId, target);
}

/** Cancellations after which Temporal schedules the same activity again; its retry finds the act under its key. */
const RETRIED: ReadonlySet<string> = new Set(['WORKER_SHUTDOWN', 'TIMED_OUT']);

/** What an attempt hears after its workflow has closed, and also after its heartbeat was missed and the next attempt was scheduled. */
const SUPERSEDED = 'NOT_FOUND';

async function isOpen(client: Client, execution: { readonly workflowId: string; readonly runId: string } | undefined): Promise<boolean> {
  if (execution === undefined) {
    return false;
  }
  try {
    return (await client.workflow.getHandle(execution.workflowId, execution.runId).describe()).status.name === 'RUNNING';
  } catch {
    // Where Temporal can't be asked the act is left alone: its deadline in the guest stands.
    return true;
  }
}

function callContext(): CallContext {
  const cancelled = cancellationSignal();
  const { client, info } = Context.current();
  const call = new AbortController();
  const end = async (): Promise<void> => {
    const cause = cancelled.reason as Error;
    const isRetried = RETRIED.has(cause.message) || (cause.message === SUPERSEDED && (await isOpen(client, info.workflowExecution)));
    call.abort(isRetried ? new CallGivenUp(cause.message, { cause }) : cause);
  };
  cancelled.addEventListener('abort', () => void end(), { once: true });
  if (cancelled.aborted) {
    void end();
  }
  return { signal: call.signal, heartbeat: (doing) => heartbeat(doing) };
}
