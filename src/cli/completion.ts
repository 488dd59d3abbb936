import type { Command } from 'commander';
import { EXIT, type ExitCode } from './exit.ts';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

/** The verb by which a shell's script asks for the words that may follow. */
export const COMPLETE_VERB = 'complete';

/** Prints a shell's script, which asks `runward complete` at each Tab. */
export async function completion(shell: Shell): Promise<ExitCode> {
  const { script } = await import('@bomb.sh/tab');
  script(shell, 'runward', 'runward');
  return EXIT.done;
}

/** Adds the verb that answers the shell's script; apart, since the library takes its time to load. */
export async function addCompleteVerb(program: Command): Promise<void> {
  const { default: tab } = await import('@bomb.sh/tab/commander');
  // No person types it, so it is no completion itself.
  tab(program).commands.delete(COMPLETE_VERB);
}
