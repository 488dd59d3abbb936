import type { RunnerTarget } from './runner.ts';

export type RunnerChoice =
  | { readonly kind: 'chosen'; readonly target: RunnerTarget }
  /** `choices` are the names that would do; `message` says it to a person. */
  | {
      readonly kind: 'unknown' | 'ambiguous';
      readonly choices: readonly string[];
      readonly message: string;
    };

/**
 * Finds the runner that a person named, as `name` or `scope/name`, without regard to case, as GitHub compares names.
 * `null`: none was named, which is enough where only one is configured.
 */
export function chooseRunner(runners: readonly RunnerTarget[], wanted: string | null): RunnerChoice {
  const matching = wanted === null ? runners : runners.filter((target) => isNamed(target, wanted));
  const [target] = matching;
  if (target !== undefined && matching.length === 1) {
    return { kind: 'chosen', target };
  }
  if (target === undefined) {
    const choices = listChoices(runners, runners);
    return {
      kind: 'unknown',
      choices,
      message: `no runner ${JSON.stringify(wanted)} is configured; choose one of ${choices.join(', ')}`,
    };
  }
  const choices = listChoices(matching, runners);
  const problem = wanted === null ? 'several runners are configured' : `several runners are called ${JSON.stringify(wanted)}`;
  return { kind: 'ambiguous', choices, message: `${problem}; choose one of ${choices.join(', ')}` };
}

export type ScopeChoice = { readonly kind: 'chosen'; readonly scope: string } | { readonly kind: 'unchosen'; readonly message: string };

/** Finds the scope that a person named, without regard to case; `null`: none was named, which is enough where only one is configured. */
export function chooseScope(runners: readonly RunnerTarget[], wanted: string | null): ScopeChoice {
  const scopes = [...new Set(runners.map(({ scope }) => scope))];
  const [scope, ...others] = wanted === null ? scopes : scopes.filter((each) => each.toLowerCase() === wanted.toLowerCase());
  if (scope !== undefined && others.length === 0) {
    return { kind: 'chosen', scope };
  }
  const problem = wanted === null ? 'several scopes are configured' : `no scope ${JSON.stringify(wanted)} is configured`;
  return { kind: 'unchosen', message: `${problem}; choose one of ${scopes.join(', ')}` };
}

function isNamed({ scope, runner }: RunnerTarget, wanted: string): boolean {
  const lowered = wanted.toLowerCase();
  return runner.toLowerCase() === lowered || `${scope}/${runner}`.toLowerCase() === lowered;
}

/** Short names where they are enough. */
function listChoices(listed: readonly RunnerTarget[], all: readonly RunnerTarget[]): string[] {
  return listed.map((target) => {
    const namesakes = all.filter((other) => isNamed(other, target.runner));
    return namesakes.length === 1 ? target.runner : `${target.scope}/${target.runner}`;
  });
}
