/** What `runward schedule` can do; apart from the command's code, which takes its time to load. */
export const SCHEDULE_VERBS = ['apply', 'list', 'pause', 'resume', 'trigger', 'delete'] as const;
export type ScheduleVerb = (typeof SCHEDULE_VERBS)[number];
