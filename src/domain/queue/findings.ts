import type { Diagnosed } from '../finding.ts';
import type { Refusal } from './report.ts';

// What queue care tells people. Its findings are about the repository, and its own passes say when they are over.

/** By code: health checks leave them alone. */
export const QUEUE_FINDINGS = ['queue-limit-hit', 'queue-refused'] as const;

export function isOfQueue({ code }: { readonly code: string }): boolean {
  return (QUEUE_FINDINGS as readonly string[]).includes(code);
}

/** What a pass has to tell; `planned` acts, of which it did `max` at most. */
export function findingsOf(
  scope: string,
  { planned, max, refusals }: { readonly planned: number; readonly max: number; readonly refusals: readonly Refusal[] },
): readonly Diagnosed[] {
  const about = { subject: scope, isProven: true, cure: null };
  const [worst] = refusals.toSorted((one, other) => other.count - one.count);
  return [
    ...(planned > max
      ? [
          {
            ...about,
            code: 'queue-limit-hit',
            severity: 'warning' as const,
            summary: `queue care of ${scope} would do more than one pass may`,
            evidence: `${planned} runs are to be cancelled or parked, and one pass may do ${max}; the next one goes on`,
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
  ];
}
