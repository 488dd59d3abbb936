import { GitHubError } from '../../src/github/port.ts';

/** The GitHubError that the promise rejects with. */
export async function failureOf(promise: Promise<unknown>): Promise<GitHubError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof GitHubError) return error;
    throw error;
  }
  throw new Error('expected a GitHubError, but there was none');
}
