import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import {
  CancellationScope,
  condition,
  defineSignal,
  getExternalWorkflowHandle,
  proxyActivities,
  setHandler,
  sleep,
  startChild,
  workflowInfo,
} from '@temporalio/workflow';
import type { LockHolder, LockState, MainActivities } from '../activities/contract.ts';
import { machineLockId, queueLockId, RELEASE_SIGNAL } from '../domain/names.ts';
import { temporalOptions } from './options.ts';

const release = defineSignal(RELEASE_SIGNAL);

/**
 * The lock of a machine: while it runs under the machine's fixed id, its parent may change the machine.
 * It never continues as new, which would free the lock.
 */
export async function holdMachine(): Promise<void> {
  return untilReleased();
}

/** The lock of a repository's queue, made the same way. */
export async function holdQueue(): Promise<void> {
  return untilReleased();
}

async function untilReleased(): Promise<void> {
  let released = false;
  setHandler(release, () => {
    released = true;
  });
  await condition(() => released);
}

export interface HeldLock {
  readonly kind: 'locked';
  readonly lockId: string;
  readonly lockRunId: string;
  /** Asked of the server: in a run that a reset made, the lock may be a memory of the history alone. */
  readonly isHeld: () => Promise<boolean>;
  readonly release: () => Promise<void>;
}

export type Lock = HeldLock | { readonly kind: 'held'; readonly holder: LockHolder | null };

/** How a lock is asked for. */
export interface LockAsked {
  readonly reason: string | null;
  readonly waitMs: number;
  /** Between the first two tries; later ones are further apart. */
  readonly pollMs: number;
  readonly longestPollMs: number;
  /** Hears whom it waits for. */
  readonly onWait: (holder: LockHolder | null) => void;
  /** Whether this holder is waited for; any by default. */
  readonly waitsFor?: (holder: LockHolder | null) => boolean;
}

/** Takes a machine's lock, waiting for another holder up to `waitMs`. */
export function lockMachine(machine: { readonly host: string; readonly machine: string }, asked: LockAsked): Promise<Lock> {
  return takeLock(machineLockId(machine.host, machine.machine), holdMachine, asked);
}

/** The same for the queue of a repository: only who has it for a moment is waited for. */
export function lockQueue(scope: string, { reason }: Pick<LockAsked, 'reason'>): Promise<Lock> {
  return takeLock(queueLockId(scope), holdQueue, {
    reason,
    waitMs: MOMENT_MS,
    pollMs: 250,
    longestPollMs: 2_000,
    onWait: () => {},
    waitsFor: (holder) => holder?.type === HAS_IT_FOR_A_MOMENT,
  });
}

/** The same for who has it for a moment, and waits for whoever does much with it. */
export function lockQueueForAMoment(scope: string, { reason }: Pick<LockAsked, 'reason'>): Promise<Lock> {
  return takeLock(queueLockId(scope), holdQueue, { reason, waitMs: LONGEST_PASS_MS, pollMs: 250, longestPollMs: 60_000, onWait: () => {} });
}

/** Type of the workflow that does so. */
const HAS_IT_FOR_A_MOMENT = 'followRuns';
const MOMENT_MS = 30_000;
/** A pass that a person started may have thousands of runs to cancel, and wait for limits meanwhile. */
const LONGEST_PASS_MS = 12 * 3_600_000;

async function takeLock(lockId: string, hold: () => Promise<void>, asked: LockAsked): Promise<Lock> {
  const deadline = Date.now() + asked.waitMs;
  let pauseMs = asked.pollMs;
  for (;;) {
    const lockRunId = await startHolding(lockId, hold, asked.reason);
    if (lockRunId !== null) {
      return {
        kind: 'locked',
        lockId,
        lockRunId,
        isHeld: () => isLockHeld(lockId, lockRunId),
        release: () => releaseLock(lockId, lockRunId),
      };
    }
    for (let state = await inspectLock(lockId); state.kind === 'held'; state = await inspectLock(lockId)) {
      if (Date.now() >= deadline || asked.waitsFor?.(state.holder) === false) {
        return state;
      }
      asked.onWait(state.holder);
      await sleep(Math.min(pauseMs, deadline - Date.now()), { summary: `wait for ${lockId}` });
      pauseMs = Math.min(2 * pauseMs, asked.longestPollMs);
    }
  }
}

async function inspectLock(lockId: string): Promise<LockState> {
  const { workflowId, runId } = workflowInfo();
  const temporal = proxyActivities<MainActivities>(temporalOptions(`who holds ${lockId}?`));
  return temporal.inspectLock({ lockId, asking: { workflowId, runId } });
}

/** The lock's run id, or `null` where somebody has it. */
async function startHolding(lockId: string, hold: () => Promise<void>, reason: string | null): Promise<string | null> {
  const { workflowId, runId, workflowType } = workflowInfo();
  const holder: LockHolder = { workflowId, runId, type: workflowType, reason, since: new Date().toISOString() };
  try {
    // Cancelling the operation must not free the lock before its clean-up.
    const child = await CancellationScope.nonCancellable(() =>
      startChild(hold, {
        workflowId: lockId,
        parentClosePolicy: 'TERMINATE',
        memo: { holder },
        staticSummary: `held by ${workflowType} ${workflowId}`,
      }),
    );
    return child.firstExecutionRunId;
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) {
      return null;
    }
    throw error;
  }
}

async function isLockHeld(lockId: string, lockRunId: string): Promise<boolean> {
  const temporal = proxyActivities<MainActivities>(temporalOptions(`is ${lockId} still held?`));
  return (await temporal.isLockHeld({ lockId, lockRunId })).held;
}

/** Addressed by run id and not as a child, so that a run made by `temporal workflow reset` releases it as well. */
async function releaseLock(lockId: string, lockRunId: string): Promise<void> {
  await CancellationScope.nonCancellable(async () => {
    try {
      await getExternalWorkflowHandle(lockId, lockRunId).signal(release);
    } catch {
      // The lock is gone already: ended by hand, or by whoever found it orphaned.
    }
  });
}
