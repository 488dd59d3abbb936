import { proxySinks, workflowInfo } from '@temporalio/workflow';
import type { Cause, EventSinks, OperationBegan, OperationEnded, RunwardEvent } from '../domain/event.ts';
import type { Trigger } from '../domain/names.ts';

const { runward } = proxySinks<EventSinks>();

export function happened(event: RunwardEvent): void {
  runward.happened(event);
}

/** Key of the memo by which a check tells the operation that it starts what it is for. */
const CAUSE_MEMO = 'cause';

export function causeMemo(cause: Cause): Readonly<Record<string, unknown>> {
  return { [CAUSE_MEMO]: cause };
}

interface OfRunner {
  readonly target: { readonly runner: string; readonly scope: string };
  readonly startedBy: Trigger;
}

export function operationBegan(of: OfRunner): void {
  happened({ kind: 'operation-began', ...operationOf(of) });
}

export function operationEnded(of: OfRunner, ended: Pick<OperationEnded, 'outcome' | 'summary' | 'reason'>): void {
  const { outcome, summary, reason } = ended;
  happened({ kind: 'operation-ended', ...operationOf(of), outcome, summary, reason, durationMs: durationMs() });
}

/** Since this execution started. */
export function durationMs(): number {
  return Date.now() - workflowInfo().startTime.getTime();
}

function operationOf({ target, startedBy }: OfRunner): Omit<OperationBegan, 'kind'> {
  const { workflowId, workflowType: type, memo } = workflowInfo();
  const cause = (memo?.[CAUSE_MEMO] as Cause | undefined) ?? null;
  return { workflowId, type, runner: target.runner, scope: target.scope, trigger: startedBy, cause };
}
