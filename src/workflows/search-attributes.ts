// Deterministic: one file per workflow; index.ts only re-exports.
// May import: domain, @temporalio/workflow, @temporalio/common, types of activities/contract.ts.

import { defineSearchAttributeKey, TypedSearchAttributes, type SearchAttributePair } from '@temporalio/common';
import { upsertMemo, upsertSearchAttributes, workflowInfo, type ChildWorkflowOptions } from '@temporalio/workflow';
import { ALL_SEARCH_ATTRIBUTES, SEARCH_ATTRIBUTES, type SearchAttribute, type Trigger } from '../domain/names.ts';

const keys = {
  runner: defineSearchAttributeKey(SEARCH_ATTRIBUTES.runner, 'KEYWORD'),
  scope: defineSearchAttributeKey(SEARCH_ATTRIBUTES.scope, 'KEYWORD'),
  outcome: defineSearchAttributeKey(SEARCH_ATTRIBUTES.outcome, 'KEYWORD'),
  trigger: defineSearchAttributeKey(SEARCH_ATTRIBUTES.trigger, 'KEYWORD'),
} as const;

/** Temporal marks what a schedule started: https://docs.temporal.io/search-attribute */
const scheduledBy = defineSearchAttributeKey('TemporalScheduledById', 'KEYWORD');

/** What lists of executions show of one. */
type Labels = Partial<Record<SearchAttribute, string>>;

/**
 * Sets what is given: as search attributes those that are there, and the others in the memo. `there` comes from the history, since a search
 * attribute that is missing would fail the workflow's task for ever, and another worker may know of others.
 */
export function label(there: readonly SearchAttribute[], values: Labels): void {
  const { pairs, memo } = sorted(there, values);
  if (pairs.length > 0) {
    upsertSearchAttributes(pairs);
  }
  if (Object.keys(memo).length > 0) {
    upsertMemo(memo);
  }
}

/** Looks up what was asked for, which says what is there, and labels the execution with what was found; also one that names nothing known. */
export async function lookUpLabelled<Found extends { readonly searchAttributes: readonly SearchAttribute[] }>(
  asked: Labels,
  lookUp: () => Promise<Found>,
  labelsOf: (found: Found) => Labels | null,
): Promise<Found> {
  let found: Found;
  try {
    found = await lookUp();
  } catch (error) {
    label([], asked);
    throw error;
  }
  const values = labelsOf(found);
  if (values !== null) {
    label(found.searchAttributes, { ...asked, ...values });
  }
  return found;
}

/** Whether the schedule has set scope and trigger at the start, which needs no event. */
export function isLabelled(): boolean {
  const { typedSearchAttributes } = workflowInfo();
  return [keys.scope, keys.trigger].every((key) => typedSearchAttributes.get(key) !== undefined);
}

/** The same for a child, at its start. */
export function childLabels(
  there: readonly SearchAttribute[],
  values: { readonly scope: string; readonly runner: string; readonly trigger: Trigger },
): Pick<ChildWorkflowOptions, 'typedSearchAttributes' | 'memo'> {
  const { pairs, memo } = sorted(there, values);
  return { typedSearchAttributes: new TypedSearchAttributes(pairs), memo };
}

/** A worker of an older version does not say what is there, and has made all. */
function sorted(
  there: readonly SearchAttribute[] | undefined = ALL_SEARCH_ATTRIBUTES,
  values: Labels,
): { readonly pairs: SearchAttributePair[]; readonly memo: Record<string, string> } {
  const pairs: SearchAttributePair[] = [];
  const memo: Record<string, string> = {};
  for (const name of ALL_SEARCH_ATTRIBUTES) {
    const value = values[name];
    if (value === undefined) {
      continue;
    }
    if (there.includes(name)) {
      pairs.push({ key: keys[name], value });
    } else {
      memo[SEARCH_ATTRIBUTES[name]] = value;
    }
  }
  return { pairs, memo };
}

/** What started this execution. */
export function trigger(): Trigger {
  const info = workflowInfo();
  if (info.parent !== undefined) {
    return 'check';
  }
  return info.typedSearchAttributes.get(scheduledBy) === undefined ? 'manual' : 'schedule';
}
