import type { NamedRunner } from '../domain/choose-runner.ts';
import { chooseScope } from '../domain/choose-runner.ts';
import { CommandFailure, EXIT } from './exit.ts';

/** The scopes that `--scope` means: without it all that are configured. Exit code 2 says what was probably meant, or what there is. */
export function chosenScopes({ runners }: { readonly runners: readonly NamedRunner[] }, wanted: string | undefined): readonly string[] {
  return pickScopes([...new Set(runners.map(({ scope }) => scope))], wanted);
}

/** Of these scopes the one that is wanted, without regard to case; all without one. */
export function pickScopes(scopes: readonly string[], wanted: string | undefined): readonly string[] {
  if (wanted === undefined) {
    return scopes;
  }
  const choice = chooseScope(
    scopes.map((scope) => ({ scope, runner: '' })),
    wanted,
  );
  if (choice.kind === 'unchosen') {
    throw new CommandFailure(EXIT.usage, choice.message);
  }
  return [choice.scope];
}
