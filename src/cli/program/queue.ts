import type { Command } from 'commander';
import type { QueueVerb } from '../queue.ts';
import {
  configFlags,
  count,
  waitText,
  withConfig,
  withDryRun,
  withJson,
  withReason,
  withScope,
  withYes,
  type CommonFlags,
} from './options.ts';
import { addGroup, type Program } from './group.ts';

interface QueueOptions extends CommonFlags {
  /** `false` for `--no-wait`. */
  readonly wait?: string | false;
  readonly dryRun?: boolean;
  readonly max?: number;
  readonly release?: boolean;
  readonly reason?: string;
  readonly yes?: boolean;
}

const ACTING_VERBS = {
  optimize: 'Do all that is configured: stale, superseded, pull requests first',
  'cancel-stale': 'Cancel runs that have been queued for too long',
  'cancel-superseded': 'Cancel runs that a newer run of the same replaces',
  'prioritize-prs': 'Defer pushes that pull requests wait behind, and re-run them later',
} as const satisfies Partial<Record<QueueVerb, string>>;

/** What a person does about queued runs. */
export function addQueueVerbs({ command: program, invocation, end }: Program): void {
  program.commandsGroup('Queue:');
  const queueVerbs = addGroup(program, 'queue', 'Clean up queued workflow runs; shows the plan and asks first');

  const act = (verb: QueueVerb) => async (flags: QueueOptions) => {
    const { queue } = await import('../queue.ts');
    end(
      await queue(
        verb,
        {
          scope: flags.scope,
          dryRun: flags.dryRun === true,
          max: flags.max,
          yes: flags.yes === true,
          wait: waitOf(flags),
          release: flags.release === true,
          reason: flags.reason,
          json: flags.json === true,
          config: configFlags(flags),
        },
        invocation,
      ),
    );
  };

  withMax(withJson(withConfig(withScope(queueVerbs.command('list')))), 'list the N runs that have waited longest')
    .description('Show queued runs one by one: age, labels, runners that could take them, and what would be done')
    .action(async (flags: QueueOptions) => {
      const { listQueues } = await import('../queue-list.ts');
      const { scope, max, json = false } = flags;
      end(await listQueues({ scope, max, json, config: configFlags(flags) }, invocation));
    });
  withMax(common(queueVerbs.command('plan')), 'plan at most N acts')
    .description('Show what would be done, and why; changes nothing')
    .action(act('plan'));
  for (const [verb, description] of Object.entries(ACTING_VERBS) as [QueueVerb, string][]) {
    withMax(acting(common(queueVerbs.command(verb))), 'act on at most N runs')
      .description(description)
      .action(act(verb));
  }
  acting(common(queueVerbs.command('parked')))
    .description('Show deferred runs, which wait to be re-run')
    .option('--release', 're-run them now, whatever waits')
    .action(act('parked'));
}

function common(command: Command): Command {
  return withJson(withConfig(withScope(command)))
    .option('--wait <duration>', 'how long to wait for the result; until it comes by default', waitText)
    .option('--no-wait', 'start it and return');
}

function acting(command: Command): Command {
  return withYes(withReason(withDryRun(command)));
}

function withMax(command: Command, meaning: string): Command {
  return command.option('--max <n>', meaning, count);
}

function waitOf({ wait }: QueueOptions): string | null | undefined {
  return wait === false ? null : wait;
}
