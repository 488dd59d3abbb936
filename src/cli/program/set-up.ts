import { Argument } from 'commander';
import type { ScheduleVerb } from '../schedule.ts';
import { SHELLS, type Shell } from '../completion.ts';
import { CommandFailure, EXIT } from '../exit.ts';
import { configFlags, withConfig, withJson, withReason, withScope, type CommonFlags } from './options.ts';
import { addDemo } from './demo.ts';
import { addGroup, type Program } from './group.ts';

interface WorkerOptions extends CommonFlags {
  readonly host?: string;
  readonly watchOnly?: boolean;
  readonly yes?: boolean;
}

const SCHEDULE_VERBS = {
  apply: 'Make what is configured, and change only what differs',
  list: 'Show the schedules, when each ran last and runs next',
  pause: 'Stop scheduled checks and queue maintenance until `schedule resume`',
  resume: 'Go on after a pause',
  trigger: 'Check and maintain the queue now, without waiting for the result',
  delete: 'Delete the schedules',
} as const satisfies Record<ScheduleVerb, string>;

/** The npm package has JavaScript, and no tests. */
const IS_CHECKOUT = import.meta.filename.endsWith('.ts');

/** Temporal, its worker and its schedules, and what helps on the command line. */
export function addSetUpVerbs({ command: program, invocation, end }: Program): void {
  program.commandsGroup('Run and set up:');

  withConfig(program.command('up'))
    .description('Run everything on this computer: Temporal, its web UI, the worker, a health check every 5 minutes')
    .option('--watch-only', 'plan and report, change nothing')
    .option('--yes', 'continue after a lost history (see the message of the last start)')
    .action(async (flags: WorkerOptions) => {
      const { up } = await import('../up.ts');
      end(await up({ yes: flags.yes === true, config: configFlags(flags) }, invocation));
    });

  addDemo({ command: program, invocation, end });

  withConfig(program.command('worker'))
    .description('Run a worker alone, on a Temporal server of your own; logs are JSON lines')
    .option('--host <name>', 'look after the machines of this host, and nothing else')
    .option('--watch-only', 'plan and report, change nothing')
    .action(async (flags: WorkerOptions) => {
      const { worker } = await import('../worker.ts');
      end(await worker({ config: configFlags(flags) }, invocation));
    });

  const scheduleVerbs = addGroup(program, 'schedule', 'The Temporal Schedules of health checks and queue maintenance');
  for (const [verb, description] of Object.entries(SCHEDULE_VERBS) as [ScheduleVerb, string][]) {
    withJson(withConfig(withReason(withScope(scheduleVerbs.command(verb)))))
      .description(description)
      .action(async (flags: CommonFlags & { reason?: string }) => {
        const { schedule } = await import('../schedule.ts');
        end(
          await schedule(
            verb,
            { scope: flags.scope, reason: flags.reason, json: flags.json === true, config: configFlags(flags) },
            invocation,
          ),
        );
      });
  }

  program
    .command('temporal')
    .description("Run Temporal's own command line, with Runward's address and namespace set")
    .usage('[arguments of temporal...]')
    .argument('[arguments...]')
    .allowUnknownOption()
    .helpOption(false)
    .passThroughOptions()
    .action(async (words: string[]) => {
      const { temporal } = await import('../temporal-command.ts');
      end(await temporal(words, invocation));
    });

  program
    .command('completion')
    .description('Print a completion script for a shell')
    .addArgument(new Argument('<shell>').choices(SHELLS))
    .addHelpText(
      'after',
      `
Examples:
  source <(runward completion bash)
  source <(runward completion zsh)
  runward completion fish | source`,
    )
    .action(async (shell: Shell) => {
      const { completion } = await import('../completion.ts');
      end(await completion(shell));
    });

  if (IS_CHECKOUT) {
    program
      .command('test')
      .description("Run Runward's own tests; `./runward test --help` lists their groups")
      .argument('[group...]')
      .allowUnknownOption()
      .action(() => {
        throw new CommandFailure(EXIT.usage, "Runward's own tests are run by the checkout's `./runward test`.");
      });
  }
}
