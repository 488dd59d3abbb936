import { qualifiedName } from '../domain/names.ts';
import type { GitHubObservation, RunnerTarget } from '../domain/runner.ts';
import type { GitHubPort } from '../github/port.ts';

/** One look at the runner, and at the neighbours whose jobs an act on the whole machine would hit. */
export async function observeGitHub(github: GitHubPort, target: RunnerTarget, signal: AbortSignal): Promise<GitHubObservation> {
  const { value: runner, githubTime } = await github.findRunner(target.scope, target.runner, signal);
  const busyNeighbours: { name: string; status: string }[] = [];
  for (const neighbour of target.neighbours) {
    const found = await github.findRunner(neighbour.scope, neighbour.runner, signal);
    if (found.value?.busy === true) {
      busyNeighbours.push({ name: qualifiedName(neighbour), status: found.value.status });
    }
  }
  return { observedAt: githubTime, runner, busyNeighbours };
}
