// What runners and runs belong to: a repository or an organisation.

export interface Scope {
  readonly id: number;
  readonly kind: 'repository' | 'organization';
  /** `owner/name`, or `owner` for an organisation. */
  name: string;
  readonly formerNames: string[];
  readonly createdAt: number;
  /** Runner groups; organisations alone have more than GitHub's default one. */
  readonly groups: RunnerGroup[];
  /** Names of a repository's tags. */
  readonly tags: string[];
  /** Names of a repository's branches; a run on one of them brings it along. */
  readonly branches: Set<string>;
  defaultBranch: string;
}

export interface RunnerGroup {
  readonly id: number;
  readonly name: string;
  /** Full names of the repositories that may use it. */
  repositories: readonly string[] | 'all';
  /** Whether it is for some workflows of theirs alone; runs are not held to that here. */
  isRestricted: boolean;
}

/** Every commit that nobody named otherwise. */
export const HEAD_SHA = '0123456789abcdef0123456789abcdef01234567';

export function sameName(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}

/** Whether runners of the group, of the one scope, may work for the other: it is the same, or a repository of the organisation. */
export function serves(home: Scope, { repositories }: RunnerGroup, scope: Scope): boolean {
  if (scope === home) return true;
  if (home.kind !== 'organization' || !sameName(scope.name.split('/')[0] ?? '', home.name)) return false;
  return repositories === 'all' || repositories.some((name) => sameName(name, scope.name));
}
