import { Command } from 'commander';
import { CommandFailure, EXIT } from '../exit.ts';
import { addDailyVerbs } from './daily.ts';
import type { Program } from './group.ts';
import { addHistoryVerbs } from './history.ts';
import { addQueueVerbs } from './queue.ts';
import { addSetUpVerbs } from './set-up.ts';

/** Verbs of the public interface that this version does not have yet. */
const LATER_VERBS = ['init', 'doctor', 'service', 'logs', 'report', 'rewind', 'changes', 'dashboard', 'findings', 'alerts'] as const;

/** What `runward runner` does not do yet in this version. */
const LATER_RUNNER_VERBS = ['provision', 'register', 'upgrade', 'retire'] as const;

const EXAMPLES = `
Examples:
  runward demo                       watch a simulated runner being recovered
  runward up                         look after the configured runners until Ctrl-C
  runward status                     what GitHub and the machines report
  runward recover --dry-run          what a recovery would do, and why
  runward queue plan                 which queued runs would be cancelled, and why
  runward explain --last             what happened last, and why

Each verb has its own help: runward VERB --help. Exit codes: 0 healthy or done, 1 the answer is bad,
2 usage or configuration, 3 something needed can't be reached.`;

/** The whole command line. Verbs are imported when they are run: most of the start-up time is Temporal's. */
export function createProgram(version: string, { invocation, end }: Omit<Program, 'command'>): Command {
  const command = new Command('runward')
    .description('Keeps self-hosted GitHub Actions runners alive without harming them.')
    .version(version, '-v, --version', 'print the version')
    .usage('VERB [NAME...] [flags]')
    .optionsGroup('Flags:')
    .helpOption('-h, --help', 'show help')
    .helpCommand(false)
    .enablePositionalOptions()
    .exitOverride()
    .addHelpText('after', EXAMPLES);
  const program = { command, invocation, end };
  addDailyVerbs(program);
  addQueueVerbs(program);
  addHistoryVerbs(program);
  addSetUpVerbs(program);
  addLaterVerbs(command, LATER_VERBS, version);
  addLaterVerbs(command.commands.find((each) => each.name() === 'runner') as Command, LATER_RUNNER_VERBS, version);
  nameInErrors(command);
  return command;
}

/** Verbs of the public interface say that they are to come. */
function addLaterVerbs(parent: Command, verbs: readonly string[], version: string): void {
  for (const verb of verbs) {
    parent
      .command(verb, { hidden: true })
      .allowUnknownOption()
      .argument('[rest...]')
      .action(() => {
        throw new CommandFailure(EXIT.usage, `\`${pathOf(parent)} ${verb}\` is planned but not in ${version}. See \`runward --help\`.`);
      });
  }
}

/** A mistake of use says where the help of its own verb is. */
function nameInErrors(command: Command): void {
  command.showHelpAfterError(`Run \`${pathOf(command)} --help\` for ${command.commands.length > 0 ? 'its verbs' : 'its flags'}.`);
  command.commands.forEach(nameInErrors);
}

function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`;
}
