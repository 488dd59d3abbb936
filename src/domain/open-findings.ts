import type { Diagnosis } from './diagnose.ts';
import type { Diagnosed } from './finding.ts';
import type { OpenFinding } from './pass.ts';

/** What a pass tells the findings of its scope, and what it remembers of them. */
export interface Advance {
  /** Proven ones, and open ones that were seen without proof: those are not over. */
  readonly seen: readonly Diagnosed[];
  /** Open ones that the pass looked for and did not see. */
  readonly good: readonly { readonly subject: string; readonly code: string }[];
  /** For the next pass. */
  readonly open: readonly OpenFinding[];
}

/** Open findings in a pass's memory, at most. */
const REMEMBERED = 2_000;

/**
 * Takes the open findings through one pass. What could not be read (`unreadable`, as subjects, and `unread`, as single findings) says
 * nothing about a finding that was not seen: it stays as it was. One that was missed in `goodPasses` passes in a row is told so once more and then forgotten.
 */
export function advance(
  open: readonly OpenFinding[],
  pass: Pick<Diagnosis, 'findings' | 'unreadable' | 'unread'> & { readonly at: number },
  goodPasses: number,
): Advance {
  const known = new Map(open.map((finding) => [keyOf(finding), finding]));
  const unreadable = new Set(pass.unreadable);
  const unread = new Set(pass.unread.map(keyOf));
  const isUnread = (finding: OpenFinding): boolean => unreadable.has(finding.subject) || unread.has(keyOf(finding));
  const seen = new Map<string, Diagnosed>();
  for (const finding of pass.findings) {
    const key = keyOf(finding);
    if (finding.isProven ? seen.get(key)?.isProven !== true : known.has(key) && !seen.has(key)) {
      seen.set(key, finding);
    }
  }
  const missed = [...known].filter(([key]) => !seen.has(key)).map(([, finding]) => finding);
  const good = missed.filter((finding) => !isUnread(finding));
  return {
    seen: [...seen.values()],
    good: good.map(({ subject, code }) => ({ subject, code })),
    open: [
      ...missed.filter(isUnread),
      ...good.map((finding) => ({ ...finding, goodPasses: finding.goodPasses + 1 })).filter((finding) => finding.goodPasses < goodPasses),
      // Last, since the next pass sees them by itself.
      ...[...seen].map(([key, { subject, code }]) => ({ subject, code, since: known.get(key)?.since ?? pass.at, goodPasses: 0 })),
    ].slice(0, REMEMBERED),
  };
}

/**
 * What a pass begins with: what the pass before remembered, and what else is `listed` as open, such as what a check by hand has opened
 * since. A finding that no memory holds would never be told that it is over.
 */
export function recall(remembered: readonly OpenFinding[], listed: readonly OpenFinding[]): readonly OpenFinding[] {
  const known = new Set(remembered.map(keyOf));
  return [...remembered, ...listed.filter((finding) => !known.has(keyOf(finding)))];
}

/** No subject holds a line break. */
function keyOf({ subject, code }: { readonly subject: string; readonly code: string }): string {
  return `${subject}\n${code}`;
}
