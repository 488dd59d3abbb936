import type { CureKind, Diagnosed, Severity } from '../finding.ts';
import type { Situation } from '../situation.ts';

/** What one kind of finding is: when, how bad, how sure, in which words, and what a check can do about it. */
export interface Rule<Seen> {
  /** Public vocabulary: it stays. */
  readonly code: string;
  readonly severity: Severity | ((seen: Seen) => Severity);
  /** The evidence, short; `null` where it is not so. */
  readonly when: (seen: Seen) => string | null;
  readonly summary: (seen: Seen) => string;
  readonly advice: (seen: Seen) => string;
  /** Nothing by default. */
  readonly cure?: CureKind | ((seen: Seen) => CureKind | null);
  /** Since when what it tells of is due, epoch milliseconds. Nothing is due by default. */
  readonly dueSince?: (seen: Seen) => number | null;
  /** What makes it sure; one reading by default. */
  readonly isProven?: (seen: Seen) => boolean;
  /** Codes of which it is the consequence: it is left out where one of them is found as well. */
  readonly explainedBy?: readonly string[];
  /** Of a cause beyond what was looked at. */
  readonly subject?: (seen: Seen) => string;
  /** Whether the part that it needs was read: where it was not, what is not found is not over. Always by default. */
  readonly isRead?: (seen: Seen) => boolean;
}

/** A kind of finding, about one thing. */
export interface FindingKey {
  readonly subject: string;
  readonly code: string;
}

/** What these rules could not look for. */
export function unread<Seen>(rules: readonly Rule<Seen>[], seen: Seen, subject: string): readonly FindingKey[] {
  return rules
    .filter(({ isRead }) => isRead?.(seen) === false)
    .map(({ code, subject: beyond }) => ({ subject: beyond?.(seen) ?? subject, code }));
}

/** What these rules find, in their order, without the consequences. */
export function apply<Seen>(rules: readonly Rule<Seen>[], seen: Seen, subject: string): readonly Diagnosed[] {
  const found = rules.flatMap((rule) => {
    const evidence = rule.when(seen);
    return evidence === null ? [] : [{ rule, evidence }];
  });
  const codes = new Set(found.map(({ rule }) => rule.code));
  return found
    .filter(({ rule }) => !(rule.explainedBy ?? []).some((code) => code !== rule.code && codes.has(code)))
    .map(({ rule, evidence }) => ({
      ...dueSinceOf(rule, seen),
      code: rule.code,
      severity: typeof rule.severity === 'function' ? rule.severity(seen) : rule.severity,
      summary: rule.summary(seen),
      evidence,
      advice: rule.advice(seen),
      subject: rule.subject?.(seen) ?? subject,
      isProven: rule.isProven?.(seen) ?? true,
      cure: typeof rule.cure === 'function' ? rule.cure(seen) : (rule.cure ?? null),
    }));
}

function dueSinceOf<Seen>({ dueSince }: Rule<Seen>, seen: Seen): Pick<Diagnosed, 'dueSince'> {
  const since = dueSince?.(seen) ?? null;
  return since === null ? {} : { dueSince: new Date(since).toISOString() };
}

export function recoverAdvice({ target }: Situation): string {
  return `run \`runward recover --runner ${target.runner}\``;
}
