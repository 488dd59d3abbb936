import { isServedBy, type LabelSet } from './run.ts';

// Which runners could take a queued job.

/** A runner that GitHub lists at the scope, or that is configured there and not registered: that one has its labels by configuration. */
export interface QueueRunner {
  readonly name: string;
  readonly labels: LabelSet;
  /** `unknown` if GitHub did not list the runners, or says another word. */
  readonly state: 'online' | 'offline' | 'unregistered' | 'unknown';
  readonly busy: boolean;
  /** Whether Runward looks after it. */
  readonly isOurs: boolean;
}

/** Runners of a scope. */
export interface QueueRunners {
  readonly runners: readonly QueueRunner[];
  /** Whether GitHub listed them: without that there may be others. */
  readonly areAll: boolean;
}

/** Each kind of runner once. */
export function labelSetsOf(runners: readonly QueueRunner[]): readonly LabelSet[] {
  return [...new Map(runners.map(({ labels }) => [labels.join(), labels])).values()];
}

/** Each kind of runner once of which none is online; a state that is not known counts as online. */
export function silentSetsOf(runners: readonly QueueRunner[]): readonly LabelSet[] {
  const awake = new Set(runners.filter(({ state }) => state === 'online' || state === 'unknown').map(({ labels }) => labels.join()));
  return labelSetsOf(runners).filter((labels) => !awake.has(labels.join()));
}

/** Who could take a job. `github`: GitHub's own machines. `nobody`: no runner of the scope has all of its labels. */
export type Takers =
  | { readonly kind: 'runners'; readonly runners: readonly QueueRunner[] }
  | { readonly kind: 'nobody'; readonly missingLabels: readonly string[] }
  | { readonly kind: 'github' | 'unknown' };

/** Names of the machines that GitHub offers to everybody. https://docs.github.com/actions/reference/runners/github-hosted-runners */
const GITHUB_HOSTED = /^(ubuntu|windows|macos)-/;

/** Runners whose labels serve the job, those that could begin first. */
export function takersOf(labels: readonly string[], { runners, areAll }: QueueRunners): Takers {
  const able = runners.filter((runner) => isServedBy(runner.labels, labels));
  if (able.length > 0) {
    return { kind: 'runners', runners: able.toSorted((one, other) => rankOf(one) - rankOf(other)) };
  }
  if (labels.length === 0 || !areAll) {
    return { kind: 'unknown' };
  }
  return !labels.includes('self-hosted') && labels.some((label) => GITHUB_HOSTED.test(label))
    ? { kind: 'github' }
    : { kind: 'nobody', missingLabels: labels.filter((label) => !runners.some((runner) => runner.labels.includes(label))) };
}

const STATES = ['online', 'unknown', 'offline', 'unregistered'] as const satisfies readonly QueueRunner['state'][];

function rankOf({ state, busy }: QueueRunner): number {
  return 2 * STATES.indexOf(state) + (busy ? 1 : 0);
}
