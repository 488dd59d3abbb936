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

/** One look at the runners. */
export interface SilenceLook {
  readonly at: number;
  /** When the oldest run began to wait: what was over before is forgotten. */
  readonly since: number;
  /** When a silence that this look is the first to find has begun; `null`: none begins by it. */
  readonly begins: number | null;
}

/** What is remembered after one more look: a silence ends with the first look that finds somebody online. */
export function noteSilences(
  silences: readonly Silence[],
  { offered, silent }: Runners,
  { at, since, begins }: SilenceLook,
): readonly Silence[] {
  const kinds = new Map(silentKinds(offered, silent).map((labels) => [keyOf(labels), labels]));
  const known = silences.map((silence) =>
    silence.until === null && !kinds.has(keyOf(silence.labels)) ? { ...silence, until: at } : silence,
  );
  const lasting = new Set(known.filter(({ until }) => until === null).map(({ labels }) => keyOf(labels)));
  const begun =
    begins === null ? [] : [...kinds].filter(([key]) => !lasting.has(key)).map(([, labels]) => ({ labels, from: begins, until: null }));
  return [...known, ...begun].filter(({ until }) => until === null || until > since).slice(-REMEMBERED);
}

/** After so long without a look nobody knows when a silence has begun. */
const LOOKS_FOLLOW_MS = 15 * 60_000;

/**
 * When a silence that a look finds has begun: while nobody looked, as with a computer that slept, its runners slept most likely as well.
 * @param lookedBefore the look before; `null` if none is known
 */
export function silenceBegins(at: number, lookedBefore: number | null): number {
  return lookedBefore !== null && at - lookedBefore <= LOOKS_FOLLOW_MS ? at : (lookedBefore ?? 0);
}

/**
 * Each kind of which none is online, also whatever the architecture is: a runner that is not registered counts for all architectures, and is of one
 * kind with what it is once it is registered.
 */
function silentKinds(offered: readonly LabelSet[], silent: readonly LabelSet[]): readonly LabelSet[] {
  const isSilent = new Set(silent.map(keyOf));
  const byRest = Map.groupBy(offered, (labels) => keyOf(withoutArchitecture(labels)));
  const wholly = [...byRest.values()].filter((kinds) => kinds.every((labels) => isSilent.has(keyOf(labels))));
  return [...silent, ...wholly.map(([labels = []]) => withoutArchitecture(labels))];
}

/** https://docs.github.com/actions/reference/runners/self-hosted-runners#supported-architectures */
const ARCHITECTURES: readonly string[] = ['x64', 'arm64', 'arm'];

function withoutArchitecture(labels: LabelSet): LabelSet {
  return labels.filter((label) => !ARCHITECTURES.includes(label));
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
    const keys = [labels, withoutArchitecture(labels)].map(keyOf);
    const own = merged(
      silences.filter((silence) => keys.includes(keyOf(silence.labels))).map(({ from, until }): Span => [from, until ?? at]),
    );
    common = common.flatMap(([from, until]) => own.map((span): Span => [Math.max(from, span[0]), Math.min(until, span[1])])).filter(isSome);
  }
  return common.reduce((sum, [from, until]) => sum + until - from, 0);
}

/** Spans that overlap as one. */
function merged(spans: readonly Span[]): readonly Span[] {
  const apart: Span[] = [];
  for (const span of spans.toSorted(([one], [other]) => one - other)) {
    const last = apart.at(-1);
    if (last !== undefined && span[0] <= last[1]) {
      apart[apart.length - 1] = [last[0], Math.max(last[1], span[1])];
    } else {
      apart.push(span);
    }
  }
  return apart;
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
