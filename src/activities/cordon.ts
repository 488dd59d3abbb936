import { cancellationSignal } from '@temporalio/activity';
import type { PlainJobs } from '../domain/cordon.ts';
import { isServedBy, labelSetOf } from '../domain/queue/run.ts';
import type { RegisteredRunner } from '../domain/runner.ts';
import type { GitHubPort } from '../github/port.ts';

/** Runs whose jobs are read of each list. */
const RUNS_READ = 20;

/** Jobs of a repository that wait for no label but GitHub's own of this runner. Of long lists the oldest runs are read that GitHub gives at once. */
export async function countPlainJobs(
  github: GitHubPort,
  scope: string,
  { labels, customLabels = [] }: RegisteredRunner,
): Promise<PlainJobs> {
  const signal = cancellationSignal();
  const custom = new Set(customLabels);
  const own = labelSetOf(labels.filter((label) => !custom.has(label)));
  const ids = new Set<number>();
  let isLeast = false;
  for (const status of ['queued', 'in_progress']) {
    const { value } = await github.listRuns(scope, { status, createdUntil: null, createdFrom: null, pages: 1 }, signal);
    const read = value.runs.slice(-RUNS_READ);
    isLeast ||= value.isCut || read.length < value.runs.length;
    for (const { id } of read) ids.add(id);
  }
  let count = 0;
  for (const id of ids) {
    const { value: jobs } = await github.readRunJobs(scope, id, signal);
    for (const queued of jobs?.queued ?? []) count += isServedBy(own, queued.labels) ? queued.count : 0;
  }
  return { count, isLeast };
}
