import { InvalidArgumentError, Option, type Command } from 'commander';
import type { ConfigFlags } from '../../config/load.ts';
import { readDuration } from '../../domain/recovery-request.ts';
import { CommandFailure, EXIT } from '../exit.ts';
import type { RunnerRequest } from '../terminal.ts';

// Flags that several verbs share: each is described once, and means the same everywhere.

/** As commander hands them over. */
export interface CommonFlags {
  readonly config?: string;
  readonly runner?: string;
  readonly scope?: string;
  readonly all?: boolean;
  readonly json?: boolean;
}

export interface WaitFlags {
  /** Text such as `10m`; `false` for `--no-wait`. */
  readonly wait: string | false;
}

const DEFAULT_WAIT = '10m';

export function withConfig(command: Command): Command {
  return command.addOption(new Option('--config <file>', 'configuration file'));
}

export function withScope(command: Command): Command {
  return command.option('--scope <scope>', 'only this repository or organization');
}

export function withJson(command: Command): Command {
  return command.option('--json', 'print JSON');
}

/** Names of runners, by position or by `--runner`. */
export function withRunners(command: Command): Command {
  return withScope(command.argument('[name...]', 'runners, each as NAME or SCOPE/NAME').option('--runner <name>', 'the same as a NAME'));
}

/** For verbs that act on one runner unless a person says that all are meant. */
export function withAllRunners(command: Command): Command {
  return withRunners(command).option('--all', 'all configured runners');
}

export function withReason(command: Command): Command {
  return command.option('--reason <text>', 'why, for the history and for whoever wonders');
}

export function withDryRun(command: Command): Command {
  return command.option('--dry-run', 'show what would be done; change nothing');
}

/** `what` is waited for. */
export function withWait(command: Command, what: string): Command {
  return command
    .option('--wait <duration>', `how long to wait for ${what}`, waitText, DEFAULT_WAIT)
    .option('--no-wait', 'start it and return');
}

export function withYes(command: Command): Command {
  return command.option('--yes', 'do not ask');
}

export function configFlags(flags: { readonly config?: string; readonly host?: string; readonly watchOnly?: boolean }): ConfigFlags {
  return {
    ...(flags.config === undefined ? {} : { config: flags.config }),
    ...(flags.host === undefined ? {} : { host: flags.host }),
    ...(flags.watchOnly === true ? { mode: 'watch' as const } : {}),
  };
}

/** Which runners the words of a command name. */
export function runnerRequest(named: readonly string[], { runner, scope, all = false }: CommonFlags): RunnerRequest {
  const names = runner === undefined ? named : [...named, runner];
  return { names, scope, all };
}

/** The same for verbs whose `--all` stands for the names of all runners. Exit code 2 for both. */
export function exclusiveRequest(named: readonly string[], flags: CommonFlags): RunnerRequest {
  const request = runnerRequest(named, flags);
  if (request.all && request.names.length > 0) {
    throw new CommandFailure(EXIT.usage, '--all means all runners: leave out the names, or --all.');
  }
  return request;
}

/** `null` returns at once. */
export function waitOf({ wait }: WaitFlags): string | null {
  return wait === false ? null : wait;
}

/** A whole number from 1. */
export function count(text: string): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 1) {
    throw new InvalidArgumentError('Use a whole number from 1.');
  }
  return number;
}

/** A duration as a person types it. */
export function waitText(text: string): string {
  if (readDuration(text) === null) {
    throw new InvalidArgumentError('Use a duration such as 90s, 10m or 1h.');
  }
  return text;
}
