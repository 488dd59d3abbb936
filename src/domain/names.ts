/** Task queue of workflows, GitHub and alerts. */
export const MAIN_QUEUE = 'runward';

/** Queue of looks at a host's machines: own slots, so that a hanging act never delays a look. */
export function lookQueue(host: string): string {
  return `runward-host-${host}-look`;
}

/** Queue of acts on a host's machines. */
export function actQueue(host: string): string {
  return `runward-host-${host}-act`;
}

/** Workflow id that is the lock of a machine: whoever runs under it holds the machine. */
export function machineLockId(host: string, machine: string): string {
  return `machine/${host}/${machine}`;
}

/** Workflow id whose last run's memo is the ledger of a machine's acts. */
export function machineLedgerId(host: string, machine: string): string {
  return `ledger/${host}/${machine}`;
}

/** Id of the schedule of a scope's health checks; its passes are `check-health/SCOPE-TIME`. */
export function healthScheduleId(scope: string): string {
  return `check-health/${scope}`;
}

/** Id of the schedule of the care for a repository's queue; its passes are `maintain-queue/SCOPE-TIME`. */
export function queueScheduleId(scope: string): string {
  return `maintain-queue/${scope}`;
}

/** Workflow id that is the lock of a repository's queue. */
export function queueLockId(scope: string): string {
  return `queue/${scope}`;
}

/** Workflow id whose last run's memo is what queue care remembers. */
export function queueLedgerId(scope: string): string {
  return `ledger/queue/${scope}`;
}

/** Workflow id whose last run's memo is which failed runs were inspected. */
export function failureLedgerId(scope: string): string {
  return `ledger/failures/${scope}`;
}

/** Workflow id of a re-run of failed jobs; it is used once, so that starting it is the reservation. `time`: counted from 1. */
export function rerunId(scope: string, run: number, time: number): string {
  return `rerun/${scope}/${run}/${time}`;
}

/** Workflow id that remembers the runs which made way for pull requests. */
export function parkedId(scope: string): string {
  return `parked/${scope}`;
}

/** Signals of the workflow that remembers parked runs, all from queue care. */
export const PARKED_SIGNALS = { park: 'park', settle: 'settle' } as const;

/** Query of the same. */
export const PARKED_QUERY = 'state';

/** Signal to a pass from what follows the runs that it cancelled: what is over by then. */
export const FOLLOWED_SIGNAL = 'followed';

/** `scope/name`: what tells runners of the same name apart. */
export function qualifiedName({ scope, runner }: { readonly scope: string; readonly runner: string }): string {
  return `${scope}/${runner}`;
}

/** Workflow id of whatever cures a runner (`scope/name`) for a check: one at a time. */
export function cureId(runner: string): string {
  return `cure/${runner}`;
}

/** Workflow id of a finding; `subject` is a runner's `scope/name`, `host/NAME`, or the scope itself. */
export function findingId(subject: string, code: string): string {
  return `finding/${subject}/${code}`;
}

/** Signals of a finding: two from passes, two from people. */
export const FINDING_SIGNALS = { seen: 'seen', good: 'good', acknowledge: 'acknowledge', snooze: 'snooze' } as const;

/** Query of a finding. */
export const FINDING_QUERY = 'state';

/** Search attributes, all of type Keyword; what a namespace lacks stands in the memo, under the same name. */
export const SEARCH_ATTRIBUTES = {
  runner: 'RunwardRunner',
  scope: 'RunwardScope',
  outcome: 'RunwardOutcome',
  trigger: 'RunwardTrigger',
} as const;

export type SearchAttribute = keyof typeof SEARCH_ATTRIBUTES;
export const ALL_SEARCH_ATTRIBUTES = Object.keys(SEARCH_ATTRIBUTES) as SearchAttribute[];

/** Signal that ends a machine's lock. */
export const RELEASE_SIGNAL = 'release';

/** Query of every operation. */
export const PROGRESS_QUERY = 'progress';

/** What started an operation; derived, never given. */
export const TRIGGERS = ['check', 'schedule', 'webhook', 'manual'] as const;
export type Trigger = (typeof TRIGGERS)[number];
