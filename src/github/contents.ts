// Whether a repository holds what a runner has not found of it.

import type { ActionPart } from '../domain/cache-failure.ts';
import { FolderNames } from './answers.ts';
import { below } from './endpoints.ts';
import { GitHubError } from './port.ts';
import type { Dated, PartFound } from './port.ts';
import type { Asking } from './run-reads.ts';

/** GitHub lists no more of a folder. https://docs.github.com/rest/repos/contents#get-repository-content */
const MOST_LISTED = 1_000;

/**
 * GitHub answers 404 for a folder, a ref and a repository alike: the folders above tell which. A link or a submodule on the way may lead to
 * the part, so that only a folder that does not name the next step is clear.
 */
export async function findPart(asking: Asking, { ref, folder, names }: ActionPart): Promise<Dated<PartFound>> {
  const steps = folder === '' ? [] : folder.split('/');
  for (let depth = steps.length; ; depth -= 1) {
    const { value: listed, githubTime } = await listFolder(asking, ref, steps.slice(0, depth));
    if (listed === 'missing' && depth > 0) continue;
    const next = steps[depth];
    return { value: listed === 'missing' ? 'unclear' : judge(listed, next === undefined ? names : [next], next === undefined), githubTime };
  }
}

/** @param isLast whether the names are of the part itself, and not of a step on the way to it */
function judge(listed: readonly string[] | null, names: readonly string[], isLast: boolean): PartFound {
  if (listed?.some((name) => names.includes(name)) === true) return isLast ? 'there' : 'unclear';
  return listed === null || listed.length >= MOST_LISTED ? 'unclear' : 'absent';
}

async function listFolder(
  { client, scope, signal }: Asking,
  ref: string,
  steps: readonly string[],
): Promise<Dated<readonly string[] | null | 'missing'>> {
  const path = ['/contents', ...steps.map(encodeURIComponent)].join('/');
  const call = below(scope, 'GET', path, 'contents=read', { ref });
  try {
    const { value, githubTime } = await client.request({ ...call, answer: FolderNames, signal, isOptional: true });
    return { value, githubTime };
  } catch (error) {
    if (!(error instanceof GitHubError) || error.status !== 404) throw error;
    return { value: 'missing', githubTime: error.githubTime ?? Date.now() };
  }
}
