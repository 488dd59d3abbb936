/** What `runward queue` can do. */
export const QUEUE_VERBS = ['plan', 'optimize', 'cancel-stale', 'cancel-superseded', 'prioritize-prs', 'parked'] as const;
export type QueueVerb = (typeof QUEUE_VERBS)[number];
