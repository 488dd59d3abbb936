import type { Command } from 'commander';
import type { ExitCode } from '../exit.ts';
import type { Invocation } from '../invocation.ts';

/** What the definition of a verb needs: the surroundings of the command, and whom it gives its exit code. */
export interface Program {
  readonly command: Command;
  readonly invocation: Invocation;
  readonly end: (code: ExitCode) => void;
}

/** A verb with verbs of its own, such as `queue`, which shows its help if none is named. */
export function addGroup(parent: Command, name: string, description: string): Command {
  return parent.command(name).description(description).usage('VERB [flags]').helpCommand(false);
}
