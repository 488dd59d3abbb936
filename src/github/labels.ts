// Custom labels of a registered runner, by which GitHub gives it jobs.

import { RunnerLabels, Runners } from './answers.ts';
import type { Client } from './client.ts';
import { below, runnersPermission } from './endpoints.ts';
import { GitHubError } from './port.ts';
import type { Dated } from './port.ts';

export interface LabelChange {
  readonly scope: string;
  readonly id: number;
  /** `DELETE` takes all custom ones away, `POST` adds `labels`. */
  readonly method: 'DELETE' | 'POST';
  readonly labels?: readonly string[];
}

/**
 * Twice does what once does. GitHub answers 404 for a runner that is gone and for a scope that the token may not see; the list tells which.
 * https://docs.github.com/rest/actions/self-hosted-runners#remove-all-custom-labels-from-a-self-hosted-runner-for-a-repository
 */
export async function changeLabels(
  client: Client,
  { scope, id, method, labels }: LabelChange,
  signal: AbortSignal,
): Promise<Dated<readonly string[] | null>> {
  const parameters = { runner_id: id, ...(labels === undefined ? {} : { labels }) };
  try {
    const call = below(scope, method, '/actions/runners/{runner_id}/labels', runnersPermission(scope, 'write'), parameters);
    const { value, githubTime } = await client.request({ ...call, answer: RunnerLabels, signal });
    return { value: value.custom, githubTime };
  } catch (error) {
    if (!(error instanceof GitHubError) || error.status !== 404) throw error;
    const list = below(scope, 'GET', '/actions/runners', runnersPermission(scope, 'read'), { per_page: 1 });
    const { githubTime } = await client.request({ ...list, answer: Runners, signal });
    return { value: null, githubTime };
  }
}
