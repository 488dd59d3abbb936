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
