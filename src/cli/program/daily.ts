import type { Command } from 'commander';
import type { CacheVerb } from '../cache.ts';
import type { OperationFlags } from '../start-operation.ts';
import type { RunnerVerb } from '../runner.ts';
import {
  configFlags,
  exclusiveRequest,
  runnerRequest,
  waitOf,
  withAllRunners,
  withConfig,
  withDryRun,
  withJson,
  withReason,
  withRunners,
  withWait,
  withYes,
  type CommonFlags,
  type WaitFlags,
} from './options.ts';
import { addGroup, type Program } from './group.ts';

interface CheckOptions extends CommonFlags, WaitFlags {
  readonly dryRun?: boolean;
}

interface OperationOptions extends CommonFlags, WaitFlags {
  readonly reason?: string;
  readonly force?: boolean;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
}

const RUNNER_VERBS = {
  drain: 'Take no further job, finish the running one and stop; survives reboots until `runner resume`',
  resume: 'Get its labels back and take jobs again',
  'sync-clock': "Set the clock of the runner's machine if it is off by a minute or more",
} as const satisfies Record<RunnerVerb, string>;

const CACHE_VERBS = {
  clean: 'Remove what no job has used for a week, or as long as is configured',
  clear: 'Remove all of it, after asking; jobs download again what they need',
  heal: 'Remove what is damaged and re-run the jobs that failed because of it, twice at most',
} as const satisfies Record<CacheVerb, string>;

/** What a person types when something is wrong, and a script from cron. */
export function addDailyVerbs({ command: program, invocation, end }: Program): void {
  program.commandsGroup('Runners:');

  withJson(withConfig(withRunners(program.command('status'))))
    .description('Show what GitHub and the machines report (read-only)')
    .option('--all', 'healthy runners one by one, too')
    .option('--watch', 'look again every five seconds')
    .action(async (names: string[], flags: CommonFlags & { watch?: boolean }) => {
      const { status } = await import('../status.ts');
      end(
        await status(
          { ...runnerRequest(names, flags), json: flags.json === true, watch: flags.watch === true, config: configFlags(flags) },
          invocation,
        ),
      );
    });

  withWait(withJson(withYes(withDryRun(withConfig(withRunners(program.command('check')))))), 'the repairs that it starts')
    .description('Check runners and queue now, repair what is safe, explain what was left alone (default command)')
    .option('--all', 'all configured runners, as without a NAME')
    .addHelpText('after', '\nWith a NAME only that runner is repaired, and the queue is left alone.')
    .action(async (names: string[], flags: CheckOptions) => {
      const { check } = await import('../check.ts');
      end(
        await check(
          {
            ...exclusiveRequest(names, flags),
            dryRun: flags.dryRun === true,
            json: flags.json === true,
            wait: waitOf(flags),
            config: configFlags(flags),
          },
          invocation,
        ),
      );
    });

  operation(program.command('recover'), 'Recover a runner now, in six steps; skips one that is healthy or busy')
    .option('--force', 'even if busy (cuts the running job, and asks first on a terminal) or healthy')
    .action(async (names: string[], flags: OperationOptions) => {
      const { recover } = await import('../recover.ts');
      end(await recover({ ...operationFlags(names, flags), force: flags.force === true }, invocation));
    });

  const runnerVerbs = addGroup(program, 'runner', "Take a runner out of service and back, or set its machine's clock");
  for (const [verb, description] of Object.entries(RUNNER_VERBS) as [RunnerVerb, string][]) {
    operation(runnerVerbs.command(verb), description).action(async (names: string[], flags: OperationOptions) => {
      const { runner } = await import('../runner.ts');
      end(await runner(verb, operationFlags(names, flags), invocation));
    });
  }

  const cacheVerbs = addGroup(program, 'cache', "Upkeep of a runner's actions cache between two jobs, which health checks do as well");
  for (const [verb, description] of Object.entries(CACHE_VERBS) as [CacheVerb, string][]) {
    operation(cacheVerbs.command(verb), description)
      .option('--force', 'even if the runner is busy')
      .action(async (names: string[], flags: OperationOptions) => {
        const { cache } = await import('../cache.ts');
        end(await cache(verb, { ...operationFlags(names, flags), force: flags.force === true }, invocation));
      });
  }
}

/** A command that starts an operation on each of the runners that are named. */
function operation(command: Command, description: string): Command {
  const described = withYes(withDryRun(withReason(withAllRunners(command)))).description(description);
  return withJson(withConfig(withWait(described, 'another operation on the machine')));
}

function operationFlags(names: readonly string[], flags: OperationOptions): OperationFlags {
  return {
    ...exclusiveRequest(names, flags),
    reason: flags.reason,
    dryRun: flags.dryRun === true,
    yes: flags.yes === true,
    json: flags.json === true,
    wait: waitOf(flags),
    config: configFlags(flags),
  };
}
