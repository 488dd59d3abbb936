import type { Config } from '../config/config.ts';
import { chooseRunner } from '../domain/choose-runner.ts';
import type { RunnerTarget } from '../domain/runner.ts';
import { CommandFailure, EXIT } from './exit.ts';

/** The runners that `--runner` means: without it all, or where `single` is asked for the only one. Exit code 2 names the choices. */
export function chosenRunners(
  config: Config,
  wanted: string | undefined,
  { single }: { readonly single: boolean },
): readonly RunnerTarget[] {
  if (wanted === undefined && !single) {
    return config.runners;
  }
  const choice = chooseRunner(config.runners, wanted ?? null);
  if (choice.kind === 'chosen') {
    return [choice.target];
  }
  throw new CommandFailure(EXIT.usage, choice.message);
}

/** The scopes that `--scope` means: without it all that are configured. Exit code 2 names the choices. */
export function chosenScopes(config: Pick<Config, 'runners'>, wanted: string | undefined): readonly string[] {
  return pickScopes([...new Set(config.runners.map(({ scope }) => scope))], wanted);
}

/** Of these scopes the one that is wanted, without regard to case; all without one. */
export function pickScopes(scopes: readonly string[], wanted: string | undefined): readonly string[] {
  if (wanted === undefined) {
    return scopes;
  }
  const found = scopes.find((scope) => scope.toLowerCase() === wanted.toLowerCase());
  if (found === undefined) {
    throw new CommandFailure(EXIT.usage, `no scope ${JSON.stringify(wanted)} is configured; choose one of ${scopes.join(', ')}`);
  }
  return [found];
}
