import type { ActivityOptions } from '@temporalio/workflow';
import { actQueue, lookQueue, MAIN_QUEUE } from '../domain/names.ts';
import type { ActivityLimits, FailurePolicy, FindingPolicy, HealthPolicy, RecoveryPolicy } from '../domain/policy.ts';
import type { QueuePolicy } from '../domain/queue/policy.ts';

/** Limits of the first activity, which brings the policy that bounds all others. */
const CONFIGURATION_LIMITS: ActivityLimits = {
  startToClose: '10s',
  heartbeat: '10s',
  scheduleToClose: '1h',
  retryInitial: '1s',
  retryMaximum: '10s',
};

/** Limits of looks at Temporal itself. */
const TEMPORAL_LIMITS: ActivityLimits = {
  startToClose: '10s',
  heartbeat: '10s',
  scheduleToClose: '1h',
  retryInitial: '1s',
  retryMaximum: '10s',
};

/** `summary` is the line that Temporal's UI shows. */
export function configurationOptions(summary: string): ActivityOptions {
  return onMainQueue(CONFIGURATION_LIMITS, summary);
}

export function temporalOptions(summary: string): ActivityOptions {
  return onMainQueue(TEMPORAL_LIMITS, summary);
}

export function githubOptions(policy: RecoveryPolicy, summary: string): ActivityOptions {
  return onMainQueue(policy.limits.github, summary);
}

/** Asked right before an act, while a listener is paused: an answer that comes late is of no use. */
export function askedNowOptions(policy: RecoveryPolicy, summary: string): ActivityOptions {
  return { ...githubOptions(policy, summary), scheduleToCloseTimeout: policy.busyAnswerMaxAgeMs };
}

export function verifyOptions(policy: RecoveryPolicy, summary: string): ActivityOptions {
  return onMainQueue(policy.limits.verify, summary);
}

export function lookOptions(policy: RecoveryPolicy, host: string, summary: string): ActivityOptions {
  return onHostQueue(policy, policy.limits.look, lookQueue(host), summary);
}

export function actOptions(policy: RecoveryPolicy, host: string, summary: string): ActivityOptions {
  return onHostQueue(policy, policy.limits.act, actQueue(host), summary);
}

/** For acts whose evidence ages: a task that is not taken while it is fresh is not taken at all. */
export function freshActOptions(policy: RecoveryPolicy, host: string, summary: string): ActivityOptions {
  return { ...actOptions(policy, host, summary), scheduleToStartTimeout: policy.busyAnswerMaxAgeMs };
}

/** The same between two jobs: what has failed in the guest is left to the next pass, since the machine is held and jobs wait. */
export function upkeepOptions(policy: RecoveryPolicy, host: string, summary: string): ActivityOptions {
  const options = freshActOptions(policy, host, summary);
  return { ...options, retry: { ...options.retry, nonRetryableErrorTypes: [ACT_FAILED] } };
}

/** Fetching a package, which disturbs no job: it may take long. */
export function packageOptions(policy: RecoveryPolicy, host: string, summary: string): ActivityOptions {
  const options = onHostQueue(policy, policy.upkeep.package.limits, actQueue(host), summary);
  return { ...options, retry: { ...options.retry, nonRetryableErrorTypes: [ACT_FAILED] } };
}

/** Type of the failure of an act that has ended in the guest otherwise than well. */
export const ACT_FAILED = 'GuestActFailed';

/** Type of the failure of a call that a guest did not answer. */
export const GUEST_UNREACHABLE = 'GuestUnreachable';

/** A guest that does not come up is not started again and again: its workflow looks what holds it. */
export function startMachineOptions(policy: RecoveryPolicy, host: string, summary: string): ActivityOptions {
  const options = onHostQueue(policy, policy.limits.startMachine, actQueue(host), summary);
  return { ...options, retry: { ...options.retry, nonRetryableErrorTypes: [GUEST_UNREACHABLE] } };
}

/** Cuts the power of a guest that nobody can ask, on GitHub's word that no job runs there: once for each word, and not once that word is old. */
export function restartMachineOptions(policy: RecoveryPolicy, host: string, summary: string): ActivityOptions {
  return {
    ...startMachineOptions(policy, host, summary),
    scheduleToStartTimeout: policy.busyAnswerMaxAgeMs,
    retry: { maximumAttempts: 1 },
  };
}

/** A pass's look at GitHub: all of it ends well before the next pass. */
export function passGithubOptions(policy: HealthPolicy, summary: string): ActivityOptions {
  return onMainQueue(policy.limits.github, summary);
}

/** A pass's look at the machines of a host, or at a group of them. */
export function passLookOptions(policy: HealthPolicy, host: string, summary: string): ActivityOptions {
  return onHostQueue(policy, policy.limits.look, lookQueue(host), summary);
}

/** Reading a part of a queue's list. */
export function queueListOptions(policy: QueuePolicy, summary: string): ActivityOptions {
  return onMainQueue(policy.limits.list, summary);
}

/** Reading the jobs of a batch, or following it. */
export function queueReadOptions(policy: QueuePolicy, summary: string): ActivityOptions {
  return onMainQueue(policy.limits.read, summary);
}

/** Cancelling or re-running a batch. */
export function queueWriteOptions(policy: QueuePolicy, summary: string): ActivityOptions {
  return onMainQueue(policy.limits.write, summary);
}

/** Looking at failed runs. */
export function inspectOptions({ limits }: FailurePolicy, summary: string): ActivityOptions {
  return onMainQueue(limits.inspect, summary);
}

/** Re-running failed jobs. */
export function rerunOptions({ limits }: FailurePolicy, summary: string): ActivityOptions {
  return onMainQueue(limits.rerun, summary);
}

/** Listing what a cache or a folder of workspaces holds. */
export function listOptions(policy: RecoveryPolicy, host: string, summary: string): ActivityOptions {
  return onHostQueue(policy, policy.upkeep.limits.list, lookQueue(host), summary);
}

/** `leftMs`: what is left of the time to deliver a message in. */
export function deliveryOptions({ delivery }: FindingPolicy, leftMs: number, summary: string): ActivityOptions {
  return onMainQueue({ ...delivery, scheduleToClose: `${Math.max(leftMs, 1)}ms` }, summary);
}

function onMainQueue(limits: ActivityLimits, summary: string): ActivityOptions {
  return { ...withLimits(limits, summary), taskQueue: MAIN_QUEUE };
}

/** A host's queue has one worker, so its silence is known by a task that nobody takes. */
function onHostQueue(
  policy: Pick<RecoveryPolicy, 'hostSilentAfterMs'>,
  limits: ActivityLimits,
  taskQueue: string,
  summary: string,
): ActivityOptions {
  return { ...withLimits(limits, summary), taskQueue, scheduleToStartTimeout: policy.hostSilentAfterMs };
}

function withLimits(limits: ActivityLimits, summary: string): ActivityOptions {
  return {
    startToCloseTimeout: limits.startToClose,
    heartbeatTimeout: limits.heartbeat,
    scheduleToCloseTimeout: limits.scheduleToClose,
    retry: { initialInterval: limits.retryInitial, backoffCoefficient: 2, maximumInterval: limits.retryMaximum },
    // The documented default is not the real one (sdk-typescript#2442), and an act must be seen to end before its lock is released.
    cancellationType: 'WAIT_CANCELLATION_COMPLETED',
    summary,
  };
}
