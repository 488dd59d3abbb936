import { suggest } from './suggest.ts';

/** What a runner is known by. */
export interface NamedRunner {
  readonly scope: string;
  readonly runner: string;
}

export type RunnerChoice<T extends NamedRunner> =
  | { readonly kind: 'chosen'; readonly target: T }
  /** `choices` are the names that would do; `message` says it to a person. */
  | {
      readonly kind: 'unknown' | 'ambiguous';
      readonly choices: readonly string[];
      readonly message: string;
    };

/**
 * Finds the runner that a person named, as `name` or `scope/name`, without regard to case, as GitHub compares names.
 * `null`: none was named, which is enough if only one is configured.
 */
export function chooseRunner<T extends NamedRunner>(runners: readonly T[], wanted: string | null): RunnerChoice<T> {
  const matching = wanted === null ? runners : runners.filter((target) => isNamed(target, wanted));
  const [target] = matching;
  if (target !== undefined && matching.length === 1) {
    return { kind: 'chosen', target };
  }
  if (target === undefined) {
    const choices = listChoices(runners, runners);
    return { kind: 'unknown', choices, message: `no runner ${JSON.stringify(wanted)} is configured${hint(wanted, choices)}` };
  }
  const choices = listChoices(matching, runners);
  const problem = wanted === null ? `${matching.length} runners are configured` : `several runners are called ${JSON.stringify(wanted)}`;
  return { kind: 'ambiguous', choices, message: `${problem}; choose one of ${shown(choices)}` };
}

export type ScopeChoice = { readonly kind: 'chosen'; readonly scope: string } | { readonly kind: 'unchosen'; readonly message: string };

/** Finds the scope that a person named, without regard to case; `null`: none was named, which is enough if only one is configured. */
export function chooseScope(runners: readonly NamedRunner[], wanted: string | null): ScopeChoice {
  const scopes = [...new Set(runners.map(({ scope }) => scope))];
  const [scope, ...others] = wanted === null ? scopes : scopes.filter((each) => isSameName(each, wanted));
  if (scope !== undefined && others.length === 0) {
    return { kind: 'chosen', scope };
  }
  return wanted === null
    ? { kind: 'unchosen', message: `several scopes are configured; choose one of ${shown(scopes)}` }
    : { kind: 'unchosen', message: `no scope ${JSON.stringify(wanted)} is configured${hint(wanted, scopes)}` };
}

/** GitHub compares the names of owners, repositories and runners without regard to case. */
export function isSameName(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}

function isNamed({ scope, runner }: NamedRunner, wanted: string): boolean {
  return isSameName(runner, wanted) || isSameName(`${scope}/${runner}`, wanted);
}

/** Short names where they are enough. */
function listChoices(listed: readonly NamedRunner[], all: readonly NamedRunner[]): string[] {
  return listed.map((target) => {
    const namesakes = all.filter((other) => isNamed(other, target.runner));
    return namesakes.length === 1 ? target.runner : `${target.scope}/${target.runner}`;
  });
}

/** What was probably meant, or else what there is. */
function hint(wanted: string | null, choices: readonly string[]): string {
  const near = wanted === null ? null : suggest(wanted, choices);
  if (near !== null) {
    return `. Did you mean ${near}?`;
  }
  return choices.length === 1 ? `; the only one is ${choices[0]}` : `; choose one of ${shown(choices)}`;
}

/** More names than this are no help to a person. */
const CHOICES_SHOWN = 10;

function shown(choices: readonly string[]): string {
  const more = choices.length - CHOICES_SHOWN;
  return more > 0 ? `${choices.slice(0, CHOICES_SHOWN).join(', ')} and ${more} more` : choices.join(', ');
}
