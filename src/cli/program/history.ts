import { configFlags, count, runnerRequest, withConfig, withJson, withRunners, withScope, type CommonFlags } from './options.ts';
import type { Program } from './group.ts';

interface HistoryOptions extends CommonFlags {
  readonly since: string;
  readonly max: number;
  readonly export?: string;
}

interface ExplainOptions extends CommonFlags {
  readonly last?: boolean;
  readonly run?: string;
  readonly verbose?: boolean;
  readonly demo?: boolean;
}

/** What has happened, and why. */
export function addHistoryVerbs({ command: program, invocation, end }: Program): void {
  program.commandsGroup('History:');

  withJson(withConfig(withRunners(program.command('history'))))
    .description('List past operations, newest first, with health checks and queue maintenance that found something')
    .option('--since <duration>', 'how far back', '30d')
    .option('--max <n>', 'show at most N', count, 100)
    .option('--all', 'health checks and queue maintenance that found nothing, too')
    .option('--export <file>', 'write them to a JSON file')
    .action(async (names: string[], flags: HistoryOptions) => {
      const { history } = await import('../history.ts');
      end(
        await history(
          {
            runners: runnerRequest(names, flags).names,
            scope: flags.scope,
            since: flags.since,
            max: flags.max,
            all: flags.all === true,
            export: flags.export,
            json: flags.json === true,
            config: configFlags(flags),
          },
          invocation,
        ),
      );
    });

  withJson(withConfig(withScope(program.command('explain'))))
    .description('Tell what happened: what broke, the evidence, what was done, the result, next steps')
    .argument('[what]', 'the id of an operation, a health check or a finding; or a runner, for its newest operation and the last check')
    .option('--runner <name>', 'the same as a runner by its place')
    .option('--last', 'the newest operation, or the newest health check if there is none')
    .option('--run <id>', 'who cancelled or re-ran a GitHub run, and why, by its id or address')
    .option('--verbose', 'all evidence and all steps')
    .option('--demo', "look into the demo's history")
    .action(async (subject: string | undefined, flags: ExplainOptions) => {
      const request = {
        subject: subject ?? flags.runner,
        scope: flags.scope,
        last: flags.last === true,
        run: flags.run,
        verbose: flags.verbose === true,
        demo: flags.demo === true,
        json: flags.json === true,
        config: configFlags(flags),
      };
      if (request.demo) {
        const { explainDemo } = await import('../demo.ts');
        end(await explainDemo(request, invocation));
        return;
      }
      const { explain } = await import('../explain.ts');
      end(await explain(request, invocation));
    });
}
