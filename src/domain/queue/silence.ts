import { isServedBy, type LabelSet } from './run.ts';

// Times in which no runner of a kind was online: waiting for a dead runner does not age. Epoch milliseconds by GitHub's clock.

/** No runner with these labels was online, as far as Runward has seen; it lasts while `until` is `null`. */
export interface Silence {
  readonly labels: LabelSet;
  readonly from: number;
  readonly until: number | null;
}

/** What runners there are. */
export interface Runners {
  /** Labels of the scope's runners, each kind once. */
  readonly offered: readonly LabelSet[];
  /** Those of `offered` of which no runner is online; a state that GitHub does not tell counts as online. */
  readonly silent: readonly LabelSet[];
}

/**
 * What is remembered after one more look: a silence begins with the first look that finds nobody online, and ends with the first one that
 * finds somebody. Those that were over before `since`, when the oldest run began to wait, are forgotten.
 */
export function noteSilences(silences: readonly Silence[], { offered, silent }: Runners, at: number, since: number): readonly Silence[] {
  const isSilent = new Set(silent.map(keyOf));
  const isOffered = new Set(offered.map(keyOf));
  const gone = silences.map((silence) => {
    const key = keyOf(silence.labels);
    const isOver = silence.until === null && isOffered.has(key) && !isSilent.has(key);
    return isOver ? { ...silence, until: at } : silence;
  });
  const lasting = new Set(gone.filter(({ until }) => until === null).map(({ labels }) => keyOf(labels)));
  const begun = silent.filter((labels) => !lasting.has(keyOf(labels))).map((labels) => ({ labels, from: at, until: null }));
  return [...gone, ...begun].filter(({ until }) => until === null || until > since).slice(-REMEMBERED);
}

/** The oldest are forgotten first. */
const REMEMBERED = 500;

/** Whether a silence has begun or ended. */
export function isSilenceNews(before: readonly Silence[], after: readonly Silence[]): boolean {
  const lasting = (silences: readonly Silence[]): ReadonlySet<string> =>
    new Set(silences.filter(({ until }) => until === null).map(({ labels }) => keyOf(labels)));
  const [known, now] = [lasting(before), lasting(after)];
  return known.size !== now.size || [...known].some((key) => !now.has(key));
}

/** How long, since then, no runner that could take a job with these labels was online. */
export function silentMs(
  asked: readonly string[],
  { offered }: Pick<Runners, 'offered'>,
  silences: readonly Silence[],
  since: number,
  at: number,
): number {
  const able = offered.filter((labels) => isServedBy(labels, asked));
  if (able.length === 0) {
    return 0;
  }
  let common: readonly Span[] = [[since, at]];
  for (const labels of able) {
    const key = keyOf(labels);
    const own = silences.filter((silence) => keyOf(silence.labels) === key).map(({ from, until }): Span => [from, until ?? at]);
    common = common.flatMap(([from, until]) => own.map((span): Span => [Math.max(from, span[0]), Math.min(until, span[1])])).filter(isSome);
  }
  return common.reduce((sum, [from, until]) => sum + until - from, 0);
}

/** Whether runners could take such a job, and none of them is online at this moment. */
export function isSilentNow(asked: readonly string[], { offered, silent }: Runners): boolean {
  const isSilent = new Set(silent.map(keyOf));
  const able = offered.filter((labels) => isServedBy(labels, asked));
  return able.length > 0 && able.every((labels) => isSilent.has(keyOf(labels)));
}

type Span = readonly [from: number, until: number];

function isSome([from, until]: Span): boolean {
  return until > from;
}

function keyOf(labels: LabelSet): string {
  return labels.join('\n');
}
