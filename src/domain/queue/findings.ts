import { fewOf } from '../few-of.ts';
import type { Diagnosed } from '../finding.ts';
import type { Refusal, ToldAct } from './report.ts';

// What queue care tells people. Its findings are about the repository, and its own passes say when they are over.

/** By code: health checks leave them alone. */
const QUEUE_FINDINGS: readonly string[] = ['queue-limit-hit', 'queue-refused', 'queue-not-re-run', 'queue-care-failed', 'parked-runs-lost'];

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
}

/** A pass that has met no trouble. */
export const NO_TROUBLE: QueueTrouble = { limit: null, refusals: [], failure: null, lost: [], forgotten: null };

export function findingsOf(scope: string, { limit, refusals, failure, lost, forgotten }: QueueTrouble): readonly Diagnosed[] {
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
