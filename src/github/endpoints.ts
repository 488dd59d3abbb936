// Where things of a scope are at GitHub, what permission they need, and how a list is read to its end.

import type { Answer, Call, Client } from './client.ts';

type Requested = Omit<Call<unknown>, 'answer' | 'signal'>;

/** A call of a path below the scope. */
export function below(scope: string, method: string, path: string, needs: string, parameters: Call<unknown>['parameters'] = {}): Requested {
  if (!isRepository(scope)) return { route: `${method} /orgs/{org}${path}`, parameters: { org: scope, ...parameters }, scope, needs };
  const [owner = '', repo = ''] = scope.split('/');
  return { route: `${method} /repos/{owner}/{repo}${path}`, parameters: { owner, repo, ...parameters }, scope, needs };
}

export function isRepository(scope: string): boolean {
  return scope.includes('/');
}

export function runnersPermission(scope: string, level: 'read' | 'write'): string {
  return `${isRepository(scope) ? 'administration' : 'organization_self_hosted_runners'}=${level}`;
}

/** A list's pages one after the other, as GitHub's links lead. */
export async function* pagesOf<T>(client: Client, call: Call<T>): AsyncGenerator<Answer<T>> {
  let page = await client.request(call);
  yield page;
  while (page.nextPage !== null) {
    page = await client.request(pageAt(page.nextPage, call));
    yield page;
  }
}

/** The same list, read on at an address that GitHub gave. */
export function pageAt<T>(address: string, { answer, signal, scope, needs }: Call<T>): Call<T> {
  return { route: `GET ${address}`, answer, signal, scope, needs };
}
