// Failures as the server writes them into histories.

import type { Failure } from './payloads.ts';
import type { TimeoutName } from './port.ts';

/** https://github.com/temporalio/api/blob/master/temporal/api/enums/v1/workflow.proto */
const TIMEOUT_TYPES: Readonly<Record<TimeoutName, number>> = {
  START_TO_CLOSE: 1,
  SCHEDULE_TO_START: 2,
  SCHEDULE_TO_CLOSE: 3,
  HEARTBEAT: 4,
};

const TIMEOUT_WORDS: Readonly<Record<TimeoutName, string>> = {
  START_TO_CLOSE: 'StartToClose',
  SCHEDULE_TO_START: 'ScheduleToStart',
  SCHEDULE_TO_CLOSE: 'ScheduleToClose',
  HEARTBEAT: 'Heartbeat',
};

/** Why an activity is not tried again: `temporal.api.enums.v1.RetryState`. */
export const RETRY_STATES = {
  NON_RETRYABLE_FAILURE: 2,
  TIMEOUT: 3,
  MAXIMUM_ATTEMPTS_REACHED: 4,
  CANCEL_REQUESTED: 7,
} as const;

export type RetryState = keyof typeof RETRY_STATES;

export function timeoutFailure(timeout: TimeoutName, cause: Failure | null = null): Failure {
  return {
    message: `activity ${TIMEOUT_WORDS[timeout]} timeout`,
    source: 'Server',
    timeoutFailureInfo: { timeoutType: TIMEOUT_TYPES[timeout] },
    ...(cause === null ? {} : { cause }),
  };
}

interface OfActivity {
  readonly seq: number;
  readonly type: string;
}

export function activityFailure({ seq, type }: OfActivity, cause: Failure, retryState: RetryState | null): Failure {
  return {
    message: cause.timeoutFailureInfo == null ? 'Activity task failed' : 'Activity task timed out',
    cause,
    activityFailureInfo: {
      activityId: `${seq}`,
      activityType: { name: type },
      identity: '',
      retryState: retryState === null ? 0 : RETRY_STATES[retryState],
    },
  };
}

export function activityCancelled({ seq, type }: OfActivity): Failure {
  return {
    message: 'Activity cancelled',
    cause: { source: 'Server', canceledFailureInfo: {} },
    activityFailureInfo: { activityId: `${seq}`, activityType: { name: type }, identity: '', retryState: RETRY_STATES.CANCEL_REQUESTED },
  };
}

interface OfChild {
  readonly workflowId: string;
  readonly runId: string;
  readonly type: string;
}

export function childFailure({ workflowId, runId, type }: OfChild, cause: Failure): Failure {
  return {
    message: 'Child Workflow execution failed',
    cause,
    childWorkflowExecutionFailureInfo: {
      namespace: 'default',
      workflowExecution: { workflowId, runId },
      workflowType: { name: type },
      retryState: RETRY_STATES.NON_RETRYABLE_FAILURE,
    },
  };
}

export const TERMINATED: Failure = { message: 'Workflow execution terminated', source: 'Server', terminatedFailureInfo: {} };

export const RUN_TIMED_OUT: Failure = {
  message: 'Workflow execution timed out',
  source: 'Server',
  timeoutFailureInfo: { timeoutType: TIMEOUT_TYPES.START_TO_CLOSE },
};

export const CANCELLED: Failure = { message: 'Workflow execution cancelled', source: 'Server', canceledFailureInfo: {} };

export function notFound(what: string): Failure {
  return { message: what, source: 'Server', applicationFailureInfo: { type: 'ExternalWorkflowExecutionNotFound', nonRetryable: false } };
}
