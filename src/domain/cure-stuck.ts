// Operations that have been at work for so long that they are no comfort any more: they hold the machine, and keep every other cure from it.

import { clockText, formatDuration } from './duration.ts';
import type { Diagnosed } from './finding.ts';
import { doingText } from './next-step.ts';
import { hasJob, shortened, type Situation } from './situation.ts';

/** A cure that is at work on a runner, or whatever holds its machine, by Temporal. */
export interface CureAtWork {
  /** `scope/name`. */
  readonly runner: string;
  readonly workflowId: string;
  /** Of its workflow. */
  readonly type: string;
  /** Epoch milliseconds. */
  readonly since: number;
  readonly waitsFor: string;
  /** It is not the runner's own cure: it holds its machine, so that each cure waits for it, and ends. */
  readonly isInTheWay?: true;
}

/** They let a job end, however long it lasts. */
const PATIENT: ReadonlySet<string> = new Set(['drainRunner', 'makeRoom']);

/** One of a runner at most is told: rather what its cure waits for than the cure, and what began first. */
export function findStuck(
  cures: readonly CureAtWork[],
  situations: readonly Situation[],
  { at, cureStuckAfterMs }: { readonly at: number; readonly cureStuckAfterMs: number },
): readonly Diagnosed[] {
  const working = new Set(situations.filter((situation) => hasJob(situation, false)).map(({ name }) => name));
  const late = cures.filter(({ runner, type, since }) => at - since >= cureStuckAfterMs && !(PATIENT.has(type) && working.has(runner)));
  const culpritLast = late.toSorted(
    (one, other) => Number(one.isInTheWay ?? false) - Number(other.isInTheWay ?? false) || other.since - one.since,
  );
  return [...new Map(culpritLast.map((work) => [work.runner, work])).values()].map(
    ({ runner, workflowId, type, since, waitsFor, isInTheWay }) => ({
      code: 'cure-stuck',
      severity: 'critical',
      summary: `an operation ${isInTheWay === true ? 'that holds the machine of' : 'on'} ${runner.slice(runner.lastIndexOf('/') + 1)} has not ended for ${formatDuration(at - since)} (${doingText({ type })})`,
      evidence: shortened(`${workflowId}, since ${clockText(since, at)}: ${waitsFor}`),
      advice: endAdvice(workflowId),
      subject: runner,
      isProven: true,
      cure: null,
    }),
  );
}

/** How a person ends an operation. */
function endAdvice(workflowId: string): string {
  return `see to what it waits for, or end it with \`runward temporal workflow cancel -w ${workflowId}\`, which leaves the machine in order, or \`terminate\` if that does not; then run \`runward check\``;
}
