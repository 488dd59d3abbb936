import type { Severity } from './finding.ts';
import type { Trigger } from './names.ts';
import type { ActCounts, ActEnd, QueueOutcome } from './queue/report.ts';

/** What a health check found, and started an operation for. */
export interface Cause {
  /** Of the finding. */
  readonly code: string;
  readonly summary: string;
}

interface OfOperation {
  readonly workflowId: string;
  /** Its workflow type. */
  readonly type: string;
  readonly runner: string;
  readonly scope: string;
  readonly trigger: Trigger;
  /** `null` for a person's operation. */
  readonly cause: Cause | null;
}

/** An operation is about to act for the first time. */
export interface OperationBegan extends OfOperation {
  readonly kind: 'operation-began';
}

export interface OperationEnded extends OfOperation {
  readonly kind: 'operation-ended';
  readonly outcome: string;
  readonly summary: string;
  readonly reason: string | null;
  readonly durationMs: number;
}

/** A finding that no operation is at work about, or did not mend. */
export interface FindingChanged {
  readonly kind: 'finding-opened' | 'finding-worse' | 'finding-over';
  readonly workflowId: string;
  /** A runner's `scope/name`, `host/NAME`, or the scope itself. */
  readonly subject: string;
  readonly scope: string;
  /** The runner's name; `null` where it is not about a single one. */
  readonly runner: string | null;
  readonly code: string;
  readonly severity: Severity;
  readonly summary: string;
  readonly advice: string;
  /** When it opened, ISO 8601. */
  readonly since: string;
  readonly durationMs: number;
}

/** Queue maintenance that did something, or failed. */
export interface QueueMaintained {
  readonly kind: 'queue-maintained';
  readonly workflowId: string;
  readonly scope: string;
  readonly trigger: Trigger;
  readonly outcome: QueueOutcome;
  readonly counts: ActCounts;
  readonly summary: string;
  readonly durationMs: number;
}

/** Something that happened, as codes and figures; `cli/event-text.ts` has the sentences. */
export type RunwardEvent = OperationBegan | OperationEnded | FindingChanged | QueueMaintained;

/** By which the worker's process hears what happens in workflows: it leaves no event in a history, and says nothing in a replay. */
export type EventSinks = { readonly runward: { readonly happened: (event: RunwardEvent) => void } };

/** Acts that leave everything as it was. */
const NOTHING_DONE: readonly ActEnd[] = ['would-cancel', 'would-park', 'would-re-run', 'only-planned', 'spared', 'again'];

/** Whether GitHub's queue is another one than before, or should be. */
export function changedQueue(counts: ActCounts): boolean {
  return Object.entries(counts).some(([end, count]) => count > 0 && !NOTHING_DONE.includes(end as ActEnd));
}
