import { qualifiedName } from '../domain/names.ts';
import type { GitHubObservation, Neighbour, RegisteredRunner, RunnerTarget } from '../domain/runner.ts';
import { GitHubError, type GitHubPort, type RunnersFound } from '../github/port.ts';

type Named = Pick<RunnerTarget, 'scope' | 'runner'>;

/** The id that GitHub last gave for a runner; `null` where nobody knows. */
export type LastId = (runner: Named) => Promise<number | null>;

/** One look at the runner and at its neighbours on the machine, whom an act on all of it would hit: one list for each scope. */
export async function observeGitHub(
  github: GitHubPort,
  target: RunnerTarget,
  lastId: LastId,
  signal: AbortSignal,
): Promise<GitHubObservation> {
  const wanted = Map.groupBy<string, Named>([target, ...target.neighbours], ({ scope }) => scope);
  const found = new Map<string, RunnersFound>();
  let observedAt = 0;
  for (const [scope, named] of wanted) {
    const names = named.map(({ runner }) => runner);
    const { value, githubTime } = await github.findRunners(scope, { names, lastId: (runner) => lastId({ scope, runner }) }, signal);
    found.set(scope, value);
    observedAt = scope === target.scope ? githubTime : observedAt;
  }
  const foundOf = (named: Named): Found => pick(found.get(named.scope), named.runner);
  const { runner, absence } = foundOf(target);
  if (absence?.kind === 'unknown') {
    throw new GitHubError('unavailable', `GitHub's list lacks ${target.runner}, and whether it is gone is unknown: ${absence.why}`);
  }
  const around = target.neighbours.map((neighbour) => ({ name: qualifiedName(neighbour), ...foundOf(neighbour) }));
  return {
    observedAt,
    runner,
    ...(absence === undefined ? {} : { absence }),
    neighbours: around.map(({ name, ...seen }) => ({ name, standing: standingOf(seen), busy: seen.runner?.busy === true })),
    busyNeighbours: around.flatMap(({ name, runner: neighbour }) => (neighbour?.busy === true ? [{ name, status: neighbour.status }] : [])),
  };
}

interface Found extends Pick<GitHubObservation, 'absence'> {
  readonly runner: RegisteredRunner | null;
}

function pick(found: RunnersFound | undefined, name: string): Found {
  const runner = found?.runners.find((candidate) => candidate.name.toLowerCase() === name.toLowerCase()) ?? null;
  const absence = found?.absent[name];
  return { runner, ...(runner !== null || absence === undefined ? {} : { absence }) };
}

function standingOf({ runner, absence }: Found): Neighbour['standing'] {
  if (runner === null) {
    return absence?.kind === 'gone' ? 'gone' : 'unknown';
  }
  return runner.status === 'online' || runner.status === 'offline' ? runner.status : 'unknown';
}
