import type { Client } from '@temporalio/client';
import { z } from 'zod';
import { labelIs, labelOf, listLabelled, quote, type LabelledQuery } from '../activities/labels.ts';
import type { Severity } from '../domain/finding.ts';
import { tellMissing } from './missing-attributes.ts';
import { FINDING_TYPE } from './operations.ts';

/** A finding that waits for a person, as its workflow's memo tells it. */
export interface OpenFindingSummary {
  readonly workflowId: string;
  readonly subject: string;
  readonly code: string;
  readonly severity: Severity;
  readonly summary: string;
  readonly advice: string;
  /** ISO 8601, as is `snoozedUntil`. */
  readonly since: string;
  readonly acknowledgedBy: string | null;
  readonly snoozedUntil: string | null;
}

const memoSchema = z.object({
  finding: z.object({
    subject: z.string(),
    code: z.string(),
    severity: z.enum(['info', 'warning', 'critical']),
    summary: z.string(),
    advice: z.string(),
    /** Epoch milliseconds, as is `snoozedUntil`. */
    since: z.number(),
    acknowledged: z.object({ by: z.string() }).nullish(),
    snoozedUntil: z.number().nullish(),
  }),
});

/**
 * Findings of a scope that are open now, by Temporal's visibility. One that has not yet told what it is about is left out, and so is one that is
 * over, and still has to deliver its last message.
 */
export async function listOpenFindings(client: Client, scope: string): Promise<readonly OpenFindingSummary[]> {
  const withoutAttributes = `WorkflowType = ${quote(FINDING_TYPE)} AND ExecutionStatus = 'Running'`;
  const query: LabelledQuery = {
    withAttributes: `${withoutAttributes} AND ${labelIs('scope', scope)}`,
    withoutAttributes,
    matches: (info) => labelOf(info, 'scope') === scope && labelOf(info, 'outcome') !== 'cleared',
  };
  const open: OpenFindingSummary[] = [];
  for await (const { workflowId, memo } of listLabelled(client, query, { onMissing: () => tellMissing(client) })) {
    const finding = findingOfMemo(workflowId, memo);
    if (finding !== null) {
      open.push(finding);
    }
  }
  return open;
}

/** `null` where the memo does not tell it. */
export function findingOfMemo(workflowId: string, memo: unknown): OpenFindingSummary | null {
  const parsed = memoSchema.safeParse(memo);
  if (!parsed.success) {
    return null;
  }
  const { acknowledged, snoozedUntil, since, ...words } = parsed.data.finding;
  return {
    workflowId,
    ...words,
    since: new Date(since).toISOString(),
    acknowledgedBy: acknowledged?.by ?? null,
    snoozedUntil: snoozedUntil == null ? null : new Date(snoozedUntil).toISOString(),
  };
}
