import { randomBytes } from 'node:crypto';
import type { ConfigFlags } from '../config/load.ts';
import { MAIN_QUEUE } from '../domain/names.ts';
import { answerOperation } from './answer-operation.ts';
import type { ExitCode } from './exit.ts';
import { readConfig, workerStartingUntil, type Invocation } from './invocation.ts';
import type { ToldReport } from './operation-text.ts';
import { withTemporal } from './temporal.ts';

/** Flags of every verb that starts an operation on one runner. */
export interface OperationFlags {
  readonly runner: string | undefined;
  readonly scope: string | undefined;
  readonly reason: string | undefined;
  readonly dryRun: boolean;
  readonly json: boolean;
  /** Text such as `10m`: how long another operation on the machine is waited for; `null` starts the operation and returns. */
  readonly wait: string | null;
  readonly config: ConfigFlags;
}

/** An operation that a person starts. */
export interface Wanted {
  /** Workflow type. */
  readonly type: string;
  /** What is done, as ids and summaries begin: `recover`. */
  readonly act: string;
  /** The same for the first line that is shown: `Recovery`. */
  readonly title: string;
  /** What the workflow is given besides the runner, the reason and the wait. */
  readonly input?: object;
  /** How it is undone. */
  readonly undo?: string;
  /** What people are shown of the result besides its first line. */
  readonly details?: (report: ToldReport) => readonly string[];
}

/** Starts an operation on one runner, shows its steps, and answers with its result. */
export async function startOperation(
  { type, act, title, input, undo, details }: Wanted,
  flags: OperationFlags,
  invocation: Invocation,
): Promise<ExitCode> {
  if (flags.config.config !== undefined) {
    // The worker's configuration counts; a person who names a file is told its mistakes all the same.
    readConfig(invocation, flags.config);
  }
  return withTemporal(invocation, async ({ client }) => {
    const runner = qualified(flags.runner ?? invocation.env['RUNNER_NAME'], flags.scope);
    const workflowId = `${act}/${runner ?? 'the-runner'}/${new Date().toISOString()}-${randomBytes(2).toString('hex')}`;
    const handle = await client.workflow.start(type, {
      workflowId,
      taskQueue: MAIN_QUEUE,
      staticSummary: `${act} ${runner ?? 'the runner'}, started by hand`,
      args: [
        {
          ...(runner === undefined ? {} : { runner }),
          ...(flags.reason === undefined ? {} : { reason: flags.reason }),
          ...input,
          wait: flags.wait ?? '0s',
        },
      ],
    });
    const comeBack = `Look at it with \`runward explain ${workflowId}\`.${undo === undefined ? '' : ` ${undo}`}`;
    return answerOperation(
      {
        client,
        handle,
        interrupted: invocation.interrupted,
        comeBack,
        startingUntil: () => workerStartingUntil(invocation),
      },
      { title, json: flags.json, waits: flags.wait !== null, ...(details === undefined ? {} : { details }) },
    );
  });
}

/** `scope/name`, where the same name stands in several scopes. */
export function qualified(runner: string | undefined, scope: string | undefined): string | undefined {
  return runner === undefined || scope === undefined ? runner : `${scope}/${runner}`;
}
