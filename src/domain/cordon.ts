import type { Reading } from './reading.ts';
import type { DrainMark, GitHubObservation, RegisteredRunner, RunnerTarget } from './runner.ts';

// A cordoned runner has none of its custom labels at GitHub, so that no job comes which asks for one of them. Its mark remembers them.

/** Of the remembered labels as JSON, in characters: they travel with each look. */
export const REMEMBERED_LENGTH = 300;

/** What is to be done at GitHub about the labels of a runner that is marked as drained. */
export type CordonDecision =
  /** It has no label but GitHub's own. `labels`: what was taken away. */
  | { readonly kind: 'cordoned'; readonly labels: readonly string[] }
  /** The mark is to hold these before they are taken away. */
  | { readonly kind: 'remember'; readonly labels: readonly string[] }
  /** The mark holds all that will be taken away. */
  | { readonly kind: 'take-away'; readonly id: number; readonly labels: readonly string[] }
  | { readonly kind: 'impossible'; readonly why: string };

export function decideCordon(mark: Pick<DrainMark, 'labels'>, github: Reading<GitHubObservation>): CordonDecision {
  return github.known ? decideFor(mark, github.value.runner) : { kind: 'impossible', why: `GitHub could not be read: ${github.why}` };
}

/** Whether GitHub is to be told that a runner with this mark has no labels. */
export function isUncordoned(mark: Pick<DrainMark, 'labels'>, runner: RegisteredRunner): boolean {
  const { kind } = decideFor(mark, runner);
  return kind === 'remember' || kind === 'take-away';
}

function decideFor({ labels: remembered = [] }: Pick<DrainMark, 'labels'>, runner: RegisteredRunner | null): CordonDecision {
  if (runner === null) {
    return { kind: 'impossible', why: 'GitHub lists no such runner' };
  }
  const shown = runner.customLabels ?? [];
  if (shown.length === 0) {
    return { kind: 'cordoned', labels: remembered };
  }
  const labels = [...remembered, ...lacking(remembered, shown)];
  if (JSON.stringify(labels).length > REMEMBERED_LENGTH) {
    return { kind: 'impossible', why: `its ${labels.length} labels are more than its mark can remember` };
  }
  return labels.length > remembered.length ? { kind: 'remember', labels } : { kind: 'take-away', id: runner.id, labels };
}

/** What GitHub is to be told when a drain is undone; `null` if its labels are as they should be. */
export type Relabelling = { readonly id: number; readonly labels: readonly string[] } | null;

/** Puts back what the mark remembers; with a mark that remembers nothing, or without one, what is configured, if nothing else is there. */
export function decideRelabelling(
  { labels: configured }: Pick<RunnerTarget, 'labels'>,
  mark: Pick<DrainMark, 'labels'> | null,
  runner: RegisteredRunner | null,
): Relabelling {
  if (runner === null) {
    return null;
  }
  const wanted = mark?.labels ?? (runner.customLabels === undefined ? configured : []);
  const labels = lacking(runner.labels, wanted);
  return labels.length === 0 ? null : { id: runner.id, labels };
}

/** Those of the wanted labels that are not there. */
export function lacking(there: readonly string[], wanted: readonly string[]): readonly string[] {
  const known = new Set(there.map((label) => label.toLowerCase()));
  return wanted.filter((label) => !known.has(label.toLowerCase()));
}

/** Jobs that wait and that GitHub may still give to a cordoned runner: `null` if that could not be counted. */
export interface PlainJobs {
  readonly count: number;
  /** Whether there may be more. */
  readonly isLeast: boolean;
}

/** What a drain says once GitHub gives the runner no further job but those that ask for no label of its own. */
export function cordonText(labels: readonly string[], jobs: PlainJobs | null | 'uncountable'): string {
  const unread = jobs === 'uncountable' ? "can't be read of an organization" : 'could not be read';
  const isCounted = jobs !== null && jobs !== 'uncountable';
  const isNone = isCounted && jobs.count === 0 && !jobs.isLeast;
  if (labels.length === 0) {
    const nothing = 'has no label of its own to take away';
    if (isNone) {
      return `${nothing}, and no job waits for it`;
    }
    return isCounted ? `${nothing}: ${waitText(jobs)} and may still come` : `${nothing}: jobs may still come, and how many wait ${unread}`;
  }
  const asked = `takes no further job that asks for ${labels.join(', ')}`;
  if (isNone) {
    return 'takes no further job';
  }
  return isCounted
    ? `${asked}, but ${waitText(jobs)} for no label of its own and may still come`
    : `${asked}; how many others wait ${unread}`;
}

function waitText({ count, isLeast }: PlainJobs): string {
  return `${isLeast ? 'at least ' : ''}${count} ${count === 1 ? 'job waits' : 'jobs wait'}`;
}
