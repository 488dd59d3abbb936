import type { FollowPolicy, QueuePolicy, RuleName } from './policy.ts';
import type { Silence } from './silence.ts';

// What queue care remembers of runs from pass to pass. Times are epoch milliseconds by GitHub's clock.

/** A run that refuses to end: it is left alone until `retryAt`, and does not count as queue. */
export interface SetAside {
  readonly run: number;
  readonly attempt: number;
  /** GitHub's words, or what is odd about it. */
  readonly why: string;
  readonly since: number;
  readonly tries: number;
  readonly retryAt: number;
}

/** A run whose cancellation GitHub has accepted: it is followed until it is over, left alone meanwhile, and does not count as queue. */
export interface Ending {
  readonly run: number;
  readonly attempt: number;
  readonly rule: RuleName;
  readonly acceptedAt: number;
  /** When nobody follows it any more, whatever became of that: then rules may act on it again. */
  readonly until: number;
}

/** A run that Runward itself has re-run after it was parked. */
export interface Rerun {
  readonly run: number;
  readonly at: number;
  /** Times that it has been parked. */
  readonly parked: number;
}

export interface QueueMemory {
  readonly setAside: readonly SetAside[];
  readonly reruns: readonly Rerun[];
  readonly ending?: readonly Ending[];
  /** Ids of runs that are parked: another place remembers the rest of them, and may be lost. */
  readonly parked?: readonly number[];
  /** Times in which no runner of a kind was online. */
  readonly silences?: readonly Silence[];
}

export const NOTHING_REMEMBERED: QueueMemory = { setAside: [], reruns: [] };

/** Entries of each kind: what is older is forgotten first. */
const REMEMBERED = 1_000;

/** Of each run whether it is left alone at this time, and why; `null` if it is not. A re-run of it is another matter. */
export function leftAlone(
  { setAside: asides, ending = [] }: QueueMemory,
  at: number,
): (run: { readonly id: number; readonly attempt: number }) => 'set-aside' | 'ending' | null {
  const [setAsides, endings] = [new Map(asides.map((entry) => [entry.run, entry])), new Map(ending.map((entry) => [entry.run, entry]))];
  return ({ id, attempt }) => {
    const [setAsideNow, endingNow] = [setAsides.get(id), endings.get(id)];
    if (setAsideNow?.attempt === attempt && at < setAsideNow.retryAt) {
      return 'set-aside';
    }
    return endingNow?.attempt === attempt && at < endingNow.until ? 'ending' : null;
  };
}

/** Runs that are left alone at this time, by id. */
export function runsLeftAlone({ setAside: asides, ending = [] }: QueueMemory, at: number): readonly number[] {
  return [...asides.filter(({ retryAt }) => at < retryAt), ...ending.filter(({ until }) => at < until)].map(({ run }) => run);
}

/** Sets a run aside, for twice as long each time. */
export function setAside(
  memory: QueueMemory,
  refusal: { readonly run: number; readonly attempt: number; readonly why: string },
  at: number,
  { firstMs, longestMs }: QueuePolicy['setAside'],
): QueueMemory {
  const known = memory.setAside.find(({ run, attempt }) => run === refusal.run && attempt === refusal.attempt);
  const tries = (known?.tries ?? 0) + 1;
  const entry: SetAside = {
    ...refusal,
    since: known?.since ?? at,
    tries,
    retryAt: at + Math.min(firstMs * 2 ** (tries - 1), longestMs),
  };
  return { ...memory, setAside: [...memory.setAside.filter(({ run }) => run !== refusal.run), entry].slice(-REMEMBERED) };
}

/** Notes a re-run, so that it is spared as stale, and is parked no more often than allowed. */
export function noteRerun(memory: QueueMemory, { run, at, parked }: Rerun): QueueMemory {
  return { ...memory, reruns: [...memory.reruns.filter((known) => known.run !== run), { run, at, parked }].slice(-REMEMBERED) };
}

/** Notes runs whose cancellation was accepted. */
export function noteEnding(
  memory: QueueMemory,
  runs: readonly Omit<Ending, 'until'>[],
  { forceAfterMs, giveUpAfterMs, marginMs }: FollowPolicy,
): QueueMemory {
  const ids = new Set(runs.map(({ run }) => run));
  const kept = (memory.ending ?? []).filter(({ run }) => !ids.has(run));
  const noted = runs.map((run): Ending => ({ ...run, until: run.acceptedAt + forceAfterMs + giveUpAfterMs + marginMs }));
  return withEnding(memory, [...kept, ...noted].slice(-REMEMBERED));
}

/** Notes that runs are not followed any more. */
export function noteEnded(memory: QueueMemory, runs: readonly Pick<Ending, 'run' | 'attempt'>[]): QueueMemory {
  const attempts = new Map(runs.map(({ run, attempt }) => [run, attempt]));
  return withEnding(
    memory,
    (memory.ending ?? []).filter(({ run, attempt }) => attempts.get(run) !== attempt),
  );
}

function withEnding(memory: QueueMemory, ending: readonly Ending[]): QueueMemory {
  const { ending: _, ...rest } = memory;
  return ending.length === 0 ? rest : { ...rest, ending };
}

/** Forgets runs that are not queued any more, and re-runs of runs that GitHub re-runs no more. `queued`: all that are, by id. */
export function forgetOver(memory: QueueMemory, queued: ReadonlySet<number>, at: number, oldestMs: number): QueueMemory {
  return {
    ...withEnding(
      memory,
      (memory.ending ?? []).filter(({ run, until }) => queued.has(run) && at < until),
    ),
    setAside: memory.setAside.filter(({ run }) => queued.has(run)),
    reruns: memory.reruns.filter((rerun) => at - rerun.at < oldestMs),
  };
}

/** Notes which runs are parked. */
export function noteParked(memory: QueueMemory, parked: readonly number[]): QueueMemory {
  const { parked: _, ...rest } = memory;
  return parked.length === 0 ? rest : { ...rest, parked };
}

/** Whether other runs are parked than are noted. */
export function isParkedNews({ parked: noted = [] }: QueueMemory, parked: readonly number[]): boolean {
  const known = new Set(noted);
  return noted.length !== parked.length || parked.some((run) => !known.has(run));
}
