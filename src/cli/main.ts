#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { Argument, Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import type { ConfigFlags } from '../config/load.ts';
import { readDuration } from '../domain/recovery-request.ts';
import { CommandFailure, EXIT, type ExitCode } from './exit.ts';
import { invocationOf, say, type Invocation } from './invocation.ts';
import { SCHEDULE_VERBS, type ScheduleVerb } from './schedule-verbs.ts';
import { QUEUE_VERBS, type QueueVerb } from './queue-verbs.ts';
import type { OperationFlags } from './start-operation.ts';
import { translateLegacyFlags } from './legacy-flags.ts';

const { version: VERSION, engines } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
  engines: { node: string };
};

/** Verbs of the public interface that this version does not have yet. */
const LATER_VERBS = ['init', 'doctor', 'service', 'logs', 'report', 'changes', 'dashboard'] as const;

/** What `runward runner` does not do yet in this version. */
const LATER_RUNNER_VERBS = ['provision', 'register', 'upgrade', 'retire'] as const;

process.exitCode = await run(process.argv.slice(2));

async function run(given: readonly string[]): Promise<ExitCode> {
  const interrupted = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (interrupted.signal.aborted) {
        // A second signal means at once; what is durable goes on where it stopped.
        process.exit(EXIT.interrupted);
      }
      interrupted.abort();
    });
  }
  try {
    refuseOldNode();
    const translation = translateLegacyFlags(given);
    if (translation.kind === 'mistake') {
      throw new CommandFailure(EXIT.usage, translation.message);
    }
    if (translation.say !== null) {
      say(translation.say);
    }
    let exitCode: ExitCode = EXIT.done;
    const program = commandLine(invocationOf(interrupted.signal), (code) => {
      exitCode = code;
    });
    await program.parseAsync([...translation.arguments], { from: 'user' });
    return exitCode;
  } catch (error) {
    const exitCode = tell(error);
    if (given.length === 0 && exitCode === EXIT.usage) {
      say('Without a verb, `check` is meant: `runward --help` lists all of them.');
    }
    return exitCode;
  }
}

/** npm only warns where Node is older than a package wants. */
function refuseOldNode(): void {
  const oldest = engines.node.replace('>=', '');
  if (Number.parseInt(process.versions.node, 10) < Number(oldest)) {
    throw new CommandFailure(
      EXIT.usage,
      `Runward needs Node ${oldest} or newer, and ${process.execPath} is Node ${process.versions.node}: install a newer one.`,
    );
  }
}

function tell(error: unknown): ExitCode {
  if (error instanceof CommandFailure) {
    say(error.message);
    return error.exitCode;
  }
  if (error instanceof CommanderError) {
    return error.exitCode === 0 ? EXIT.done : EXIT.usage;
  }
  say(`Runward failed unexpectedly: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  return EXIT.bad;
}

interface CommonFlags {
  readonly config?: string;
  readonly runner?: string;
  readonly scope?: string;
  readonly json?: boolean;
}

interface OperationOptions extends CommonFlags {
  readonly reason?: string;
  readonly force?: boolean;
  readonly dryRun?: boolean;
  readonly wait: string | false;
}

interface QueueOptions extends Omit<CommonFlags, 'runner'> {
  readonly dryRun?: boolean;
  readonly max?: number;
  readonly release?: boolean;
  readonly reason?: string;
  readonly yes?: boolean;
  readonly wait: boolean;
}

interface ExplainOptions {
  readonly last?: boolean;
  readonly run?: string;
  readonly verbose?: boolean;
  readonly demo?: boolean;
  readonly json?: boolean;
}

/** Verbs are imported when they are run: most of the start-up time is Temporal's. */
function commandLine(invocation: Invocation, end: (code: ExitCode) => void): Command {
  const program = new Command('runward')
    .description('Keeps self-hosted GitHub Actions runners alive without harming them.')
    .version(VERSION)
    .exitOverride()
    .showHelpAfterError('Run `runward --help` for the verbs, and `runward VERB --help` for its flags.')
    .helpCommand(false);

  program
    .command('up')
    .description(
      "everything on one computer: Temporal's server, its UI, the worker and a health check every five minutes; Ctrl-C stops all",
    )
    .addOption(configOption())
    .option('--watch-only', 'plan and tell, write nothing')
    .option('--yes', 'confirm that the history was lost, of which the last start told, and act again')
    .action(async (flags: CommonFlags & { watchOnly?: boolean; yes?: boolean }) => {
      const { up } = await import('./up.ts');
      end(await up({ yes: flags.yes === true, config: configFlags(flags) }, invocation));
    });

  program
    .command('demo')
    .description('the same against a make-believe GitHub and machine: breaks the runner and shows it being healed')
    .option('--break <how>', 'how the runner is broken: service, registration, clock, vm, config or listener; at random without it')
    .option('--keep', 'leave all running until Ctrl-C')
    .option('--json', 'print the result as JSON')
    .action(async (flags: { break?: string; keep?: boolean; json?: boolean }) => {
      const { demo } = await import('./demo.ts');
      end(await demo({ break: flags.break, keep: flags.keep === true, json: flags.json === true }, invocation));
    });

  program
    .command('worker')
    .description('a worker alone, on a Temporal server of your own; logs are JSON')
    .addOption(configOption())
    .option('--host <name>', 'look after the machines of this host, and nothing else')
    .option('--watch-only', 'plan and tell, write nothing')
    .action(async (flags: CommonFlags & { host?: string; watchOnly?: boolean }) => {
      const { worker } = await import('./worker.ts');
      end(await worker({ config: configFlags(flags) }, invocation));
    });

  program
    .command('schedule')
    .description('the Temporal Schedules of the health checks and of the care for queues: apply, list, pause, resume, trigger or delete')
    .addArgument(
      new Argument(
        '<verb>',
        'apply: make what is configured, and change only what differs; trigger: check and care now, without waiting for it',
      ).choices(SCHEDULE_VERBS),
    )
    .addOption(configOption())
    .option('--scope <scope>', 'of this repository or organisation alone')
    .option('--reason <text>', 'why it is paused or resumed')
    .option('--json', 'print JSON')
    .action(async (verb: ScheduleVerb, flags: CommonFlags & { reason?: string }) => {
      const { schedule } = await import('./schedule.ts');
      end(
        await schedule(
          verb,
          { scope: flags.scope, reason: flags.reason, json: flags.json === true, config: configFlags(flags) },
          invocation,
        ),
      );
    });

  program
    .command('check')
    .description(
      'a health check now, with the care for the queue: what is wrong, what is done about it, and why nothing is; what is meant where no verb is named',
    )
    .addOption(configOption())
    .option('--scope <scope>', 'of this repository or organisation alone')
    .option('--wait <duration>', 'how long to wait for what it starts', waitText, '10m')
    .option('--no-wait', 'start it and return')
    .option('--json', 'print the result as JSON')
    .action(async (flags: CommonFlags & { wait: string | false }) => {
      const { check } = await import('./check.ts');
      end(
        await check(
          {
            scope: flags.scope,
            json: flags.json === true,
            wait: flags.wait === false ? null : flags.wait,
            config: configFlags(flags),
          },
          invocation,
        ),
      );
    });

  program
    .command('status')
    .description('what both sides say of the runners; reads only')
    .addOption(configOption())
    .option('--runner <name>', 'this runner alone')
    .option('--scope <scope>', 'the runners of this repository or organisation')
    .option('--json', 'print JSON')
    .option('--watch', 'look again every five seconds')
    .action(async (flags: CommonFlags & { watch?: boolean }) => {
      const { status } = await import('./status.ts');
      end(
        await status(
          { runner: flags.runner, scope: flags.scope, json: flags.json === true, watch: flags.watch === true, config: configFlags(flags) },
          invocation,
        ),
      );
    });

  operation(program.command('recover'), 'recover a runner now, in six steps; nothing is done to one that is healthy or busy')
    .option('--force', 'also when it is busy or healthy')
    .action(async (flags: OperationOptions) => {
      const { recover } = await import('./recover.ts');
      end(await recover({ ...operationFlags(flags), force: flags.force === true }, invocation));
    });

  const runnerVerbs = program
    .command('runner')
    .description('drain: let a runner take no more jobs, without cutting the one that runs; resume: let it take jobs again');
  for (const [verb, description] of [
    ['drain', 'take no more jobs: waits for the one that runs, then stops the service; holds over a reboot, until `runner resume`'],
    ['resume', 'take jobs again'],
  ] as const) {
    operation(runnerVerbs.command(verb), description).action(async (flags: OperationOptions) => {
      const { runner } = await import('./runner.ts');
      end(await runner(verb, operationFlags(flags), invocation));
    });
  }
  addLaterVerbs(runnerVerbs, LATER_RUNNER_VERBS, 'runward runner');

  const cacheVerbs = program
    .command('cache')
    .description("care for a runner's actions cache between two jobs, which health checks do as well: clean, clear or heal");
  for (const [verb, description] of [
    ['clean', 'remove what no job has used for a week, or as long as is configured'],
    ['clear', 'remove all of it; jobs download again what they need'],
    ['heal', 'find jobs that failed because of the cache, remove what is damaged, and re-run them: twice at most'],
  ] as const) {
    operation(cacheVerbs.command(verb), description)
      .option('--force', 'also when the runner is busy')
      .action(async (flags: OperationOptions) => {
        const { cache } = await import('./cache.ts');
        end(await cache(verb, { ...operationFlags(flags), force: flags.force === true }, invocation));
      });
  }

  program
    .command('queue')
    .description("care for a repository's queue of workflow runs, which a schedule does as well; what acts shows its plan and asks")
    .addArgument(
      new Argument(
        '<verb>',
        [
          'plan: what would be done, and why; nothing is written',
          'optimize: all that is configured',
          'cancel-stale: cancel what has waited for too long',
          'cancel-superseded: cancel what a newer run of the same has replaced',
          'prioritize-prs: park pushes that pull requests wait behind, and re-run them later',
          'parked: what waits to be re-run',
        ].join('; '),
      ).choices(QUEUE_VERBS),
    )
    .addOption(configOption())
    .option('--scope <scope>', 'of this repository alone')
    .option('--dry-run', 'show what would be done, and write nothing')
    .option('--max <n>', 'cancel and park so many at most', count)
    .option('--release', 'with parked: re-run them now, whatever waits')
    .option('--reason <text>', 'why, for the history')
    .option('--yes', 'do not ask')
    .option('--no-wait', 'start it and return')
    .option('--json', 'print the result as JSON')
    .action(async (verb: QueueVerb, flags: QueueOptions) => {
      const { queue } = await import('./queue.ts');
      end(
        await queue(
          verb,
          {
            scope: flags.scope,
            dryRun: flags.dryRun === true,
            max: flags.max,
            yes: flags.yes === true,
            wait: flags.wait,
            release: flags.release === true,
            reason: flags.reason,
            json: flags.json === true,
            config: configFlags(flags),
          },
          invocation,
        ),
      );
    });

  program
    .command('history')
    .description('past operations, health checks and care for queues that found something, newest first')
    .option('--runner <name>', 'of this runner alone')
    .option('--scope <scope>', 'of this repository or organisation alone')
    .option('--since <duration>', 'how far back', '30d')
    .option('--max <n>', 'at most so many', count, 100)
    .option('--all', 'also the health checks and the care for queues that found nothing')
    .option('--export <file>', 'write them to a JSON file')
    .option('--json', 'print JSON')
    .action(async (flags: CommonFlags & { since: string; max: number; all?: boolean; export?: string }) => {
      const { history } = await import('./history.ts');
      end(
        await history(
          {
            runner: flags.runner,
            scope: flags.scope,
            since: flags.since,
            max: flags.max,
            all: flags.all === true,
            export: flags.export,
            json: flags.json === true,
          },
          invocation,
        ),
      );
    });

  program
    .command('explain')
    .description('tell what happened: what broke, why it was sure, what it did, what came of it, what is left to you')
    .argument('[what]', 'the id of an operation, a health check or a finding; or a runner, for its newest operation and the last check')
    .option('--last', 'the newest operation; where there is none, the newest health check')
    .option('--run <id>', "who cancelled or re-ran a run of GitHub's, and why, by its id or address")
    .option('--verbose', 'all the evidence and all the steps')
    .option('--demo', "look into the demo's history")
    .option('--json', 'print JSON')
    .action(async (subject: string | undefined, flags: ExplainOptions) => {
      const { last = false, run: ofRun, verbose = false, demo = false, json = false } = flags;
      const request = { subject, last, run: ofRun, verbose, demo, json };
      if (demo) {
        const { explainDemo } = await import('./demo.ts');
        end(await explainDemo(request, invocation));
        return;
      }
      const { explain } = await import('./explain.ts');
      end(await explain(request, invocation));
    });

  addLaterVerbs(program, LATER_VERBS, 'runward');
  return program;
}

/** A command that starts an operation on one runner. */
function operation(command: Command, description: string): Command {
  return command
    .description(description)
    .addOption(configOption())
    .option('--runner <name>', 'which runner; not needed where one is configured')
    .option('--scope <scope>', 'of this repository or organisation, where several have a runner of that name')
    .option('--reason <text>', 'why, for the history and for whoever wonders')
    .option('--dry-run', 'show what would be done, and write nothing')
    .option('--wait <duration>', 'how long to wait for another operation on the machine', waitText, '10m')
    .option('--no-wait', 'start it and return')
    .option('--json', 'print the result as JSON');
}

function operationFlags(flags: OperationOptions): OperationFlags {
  return {
    runner: flags.runner,
    scope: flags.scope,
    reason: flags.reason,
    dryRun: flags.dryRun === true,
    json: flags.json === true,
    wait: flags.wait === false ? null : flags.wait,
    config: configFlags(flags),
  };
}

/** Verbs of the public interface say that they are to come. */
function addLaterVerbs(parent: Command, verbs: readonly string[], command: string): void {
  for (const verb of verbs) {
    parent
      .command(verb, { hidden: true })
      .allowUnknownOption()
      .argument('[rest...]')
      .action(() => {
        throw new CommandFailure(
          EXIT.usage,
          `\`${command} ${verb}\` is not there yet in version ${VERSION}. Run \`runward --help\` for what is.`,
        );
      });
  }
}

function configOption(): Option {
  return new Option('--config <file>', 'configuration file');
}

function configFlags(flags: { config?: string; host?: string; watchOnly?: boolean }): ConfigFlags {
  return {
    ...(flags.config === undefined ? {} : { config: flags.config }),
    ...(flags.host === undefined ? {} : { host: flags.host }),
    ...(flags.watchOnly === true ? { mode: 'watch' as const } : {}),
  };
}

function waitText(text: string): string {
  if (readDuration(text) === null) {
    throw new InvalidArgumentError('Use a duration such as 90s, 10m or 1h.');
  }
  return text;
}

function count(text: string): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 1) {
    throw new InvalidArgumentError('Use a whole number from 1.');
  }
  return number;
}
