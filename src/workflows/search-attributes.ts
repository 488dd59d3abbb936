// Deterministic: one file per workflow; index.ts only re-exports.
// May import: domain, @temporalio/workflow, @temporalio/common, types of activities/contract.ts.

import { defineSearchAttributeKey, TypedSearchAttributes, type SearchAttributePair } from '@temporalio/common';
import { upsertSearchAttributes, workflowInfo } from '@temporalio/workflow';
import { SEARCH_ATTRIBUTES, type Trigger } from '../domain/names.ts';

const keys = {
  runner: defineSearchAttributeKey(SEARCH_ATTRIBUTES.runner, 'KEYWORD'),
  scope: defineSearchAttributeKey(SEARCH_ATTRIBUTES.scope, 'KEYWORD'),
  outcome: defineSearchAttributeKey(SEARCH_ATTRIBUTES.outcome, 'KEYWORD'),
  trigger: defineSearchAttributeKey(SEARCH_ATTRIBUTES.trigger, 'KEYWORD'),
} as const;

/** Temporal marks what a schedule started: https://docs.temporal.io/search-attribute */
const scheduledBy = defineSearchAttributeKey('TemporalScheduledById', 'KEYWORD');

/** Sets what is given; the operation's first command, and again where more is known. */
export function label(values: Partial<Record<keyof typeof keys, string>>): void {
  const pairs: SearchAttributePair[] = [];
  for (const name of Object.keys(keys) as (keyof typeof keys)[]) {
    const value = values[name];
    if (value !== undefined) {
      pairs.push({ key: keys[name], value });
    }
  }
  upsertSearchAttributes(pairs);
}

/** Whether the schedule has set the scope at the start, which needs no event. */
export function isLabelled(): boolean {
  return workflowInfo().typedSearchAttributes.get(keys.scope) !== undefined;
}

/** The same for a child, at its start. */
export function labels(values: { readonly scope: string; readonly runner: string; readonly trigger: Trigger }): TypedSearchAttributes {
  return new TypedSearchAttributes([
    { key: keys.scope, value: values.scope },
    { key: keys.runner, value: values.runner },
    { key: keys.trigger, value: values.trigger },
  ]);
}

/** What started this execution. */
export function trigger(): Trigger {
  const info = workflowInfo();
  if (info.parent !== undefined) {
    return 'check';
  }
  return info.typedSearchAttributes.get(scheduledBy) === undefined ? 'manual' : 'schedule';
}
