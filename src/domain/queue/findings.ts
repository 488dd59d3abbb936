import { fewOf } from '../few-of.ts';
import type { Diagnosed } from '../finding.ts';
import { momentOf } from '../situation.ts';
import type { ParkedRun } from './parked.ts';
import type { ParkingPolicy } from './policy.ts';
import type { Refusal, ToldAct } from './report.ts';
import type { AgingRun } from './verdict.ts';

// What queue care tells people. Its findings are about the repository, and its own passes say when they are over.

/** By code: health checks leave them alone. */
const QUEUE_FINDINGS: readonly string[] = [
  'queue-limit-hit',
  'queue-refused',
  'queue-not-re-run',
  'queue-care-failed',
  'queue-aging',
  'parked',
  'parked-runs-lost',
];

export function isOfQueue({ code }: { readonly code: string }): boolean {
  return QUEUE_FINDINGS.includes(code);
}

/** What a pass has to tell people of. */
export interface QueueTrouble {
  /** Acts that it may do, where there are more than that; else `null`. */
  readonly limit: number | null;
  readonly refusals: readonly Refusal[];
  /** Why the pass failed as a whole; `null` where it did not. */
  readonly failure: string | null;
  /** Parked runs that GitHub would not re-run. */
  readonly lost: readonly Pick<ToldAct, 'run' | 'workflow' | 'branch' | 'detail'>[];
  /** Parked runs that nobody knows any more; `null` where there are none. */
  readonly forgotten: { readonly runs: readonly number[]; readonly why: string } | null;
  /** Runs that will be stale before long. */
  readonly aging: readonly AgingRun[];
  /** Runs that are parked for longer than people expect, oldest first. */
  readonly longParked: readonly ParkedRun[];
}

/** A pass that has met no trouble. */
export const NO_TROUBLE: QueueTrouble = { limit: null, refusals: [], failure: null, lost: [], forgotten: null, aging: [], longParked: [] };

/** What waits, and will not be done without people. */
export function waitingTrouble(
  aging: readonly AgingRun[],
  parked: readonly ParkedRun[],
  at: number,
  { toldAfterMs }: ParkingPolicy,
): Pick<QueueTrouble, 'aging' | 'longParked'> {
  const longParked = parked.filter(({ parkedAt }) => at - parkedAt >= toldAfterMs).toSorted((one, other) => one.parkedAt - other.parkedAt);
  return { aging, longParked };
}

/** Such as `12 runs will be ended as stale, the first at 2026-11-24 21:58 UTC, the last at 2026-11-24 22:40 UTC`; `null` for none. */
export function agingText(aging: readonly AgingRun[]): string | null {
  const times = aging.map(({ staleAt }) => staleAt).toSorted((one, other) => one - other);
  const [first] = times;
  if (first === undefined) {
    return null;
  }
  const last = times.at(-1) ?? first;
  return times.length === 1
    ? `1 run will be ended as stale at ${momentOf(first)}`
    : `${times.length} runs will be ended as stale, the first at ${momentOf(first)}, the last at ${momentOf(last)}`;
}

/** What they wait for, and what would help. */
function agingEvidence(aging: readonly AgingRun[]): string {
  const sets = new Set(aging.flatMap(({ labels }) => labels.map((set) => `[${set.join(', ')}]`)));
  return `they wait for runners with ${fewOf([...sets], 3)}, which have not taken them`;
}

export function findingsOf(
  scope: string,
  { limit, refusals, failure, lost, forgotten, aging, longParked }: QueueTrouble,
): readonly Diagnosed[] {
  const agingSummary = agingText(aging);
  const [oldest] = longParked;
  const about = { subject: scope, isProven: true, cure: null };
  const [lostOne] = lost;
  const [worst] = refusals.toSorted((one, other) => other.count - one.count);
  return [
    ...(failure === null
      ? []
      : [
          {
            ...about,
            code: 'queue-care-failed',
            severity: 'warning' as const,
            summary: `nobody cares for the queue of ${scope}`,
            evidence: failure,
            advice: 'see what GitHub answered; queue care tries again at its next pass',
          },
        ]),
    ...(limit !== null
      ? [
          {
            ...about,
            code: 'queue-limit-hit',
            severity: 'warning' as const,
            summary: `queue care of ${scope} would do more than one pass may`,
            evidence: `one pass may cancel or park ${limit} runs, and there are more; the next one goes on`,
            advice: `look at them with \`runward queue plan --scope ${scope}\`; if they are meant, run \`runward queue optimize --scope ${scope}\`, or raise queue.maxPerPass`,
          },
        ]
      : []),
    ...(worst === undefined
      ? []
      : [
          {
            ...about,
            code: 'queue-refused',
            severity: 'warning' as const,
            summary: `GitHub refuses what queue care does in ${scope}`,
            evidence: `${worst.count} of its acts: ${worst.why}`,
            advice:
              worst.status === 403
                ? 'give the token the permission "Actions: read and write"; with a classic token, the scope `repo`'
                : `look at one of the runs with \`runward queue plan --scope ${scope}\` and on GitHub`,
          },
        ]),
    ...(agingSummary === null
      ? []
      : [
          {
            ...about,
            code: 'queue-aging',
            severity: 'warning' as const,
            summary: `${agingSummary}, in ${scope}`,
            evidence: agingEvidence(aging),
            advice: `see what keeps the runners busy with \`runward queue list --scope ${scope}\`; add a runner with these labels, cancel what nobody needs, or raise queue.stale.hours (STALE_JOB_HOURS)`,
          },
        ]),
    ...(oldest === undefined
      ? []
      : [
          {
            ...about,
            code: 'parked',
            severity: 'info' as const,
            summary: `${longParked.length === 1 ? '1 run' : `${longParked.length} runs`} of ${scope} made way for pull requests and ${longParked.length === 1 ? 'waits' : 'wait'} to be re-run`,
            evidence: `the oldest, run ${oldest.run.id} of ${oldest.run.workflow} (${oldest.run.branch}), since ${momentOf(oldest.parkedAt)}: ${oldest.evidence}`,
            advice: `nothing: they have their turn one by one; \`runward queue parked --release --scope ${scope}\` re-runs them now`,
          },
        ]),
    ...(forgotten === null
      ? []
      : [
          {
            ...about,
            code: 'parked-runs-lost',
            severity: 'warning' as const,
            summary: `runs of ${scope} that made way for pull requests are not re-run: what remembered them is gone`,
            evidence: `${forgotten.runs.length === 1 ? 'run' : 'runs'} ${fewOf(forgotten.runs.map(String), 10)}: ${forgotten.why}`,
            advice: 're-run on GitHub what is still wanted',
          },
        ]),
    ...(lostOne === undefined
      ? []
      : [
          {
            ...about,
            code: 'queue-not-re-run',
            severity: 'warning' as const,
            summary: `runs of ${scope} that made way for pull requests were not re-run`,
            evidence: `${lost.length}; run ${lostOne.run} of ${lostOne.workflow} (${lostOne.branch}): ${lostOne.detail}`,
            advice: `re-run by hand what is still wanted; \`runward explain --run ${lostOne.run}\` and the executions of \`maintainQueue\` tell more`,
          },
        ]),
  ];
}
