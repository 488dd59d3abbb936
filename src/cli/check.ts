import { randomBytes } from 'node:crypto';
import type { Client, WorkflowHandle } from '@temporalio/client';
import type { ConfigFlags } from '../config/load.ts';
import type { HealthReport } from '../domain/health-report.ts';
import { MAIN_QUEUE, healthScheduleId } from '../domain/names.ts';
import { EXIT, type ExitCode } from './exit.ts';
import { followOperation } from './follow.ts';
import { print, printJson, readConfig, say, type Invocation } from './invocation.ts';
import { createLiveSteps } from './live-steps.ts';
import { checkExitCode, reportLines } from './pass-text.ts';
import { chosenScopes } from './runners.ts';
import { withTemporal } from './temporal.ts';

export interface CheckFlags {
  readonly scope: string | undefined;
  readonly json: boolean;
  /** How long a check waits for what it started, text such as `10m`; `null` starts the checks and returns. */
  readonly wait: string | null;
  readonly config: ConfigFlags;
}

interface StartedCheck {
  readonly scope: string;
  readonly handle: WorkflowHandle;
}

/** A check that was followed to its end. */
interface Checked {
  readonly workflowId: string;
  readonly report: HealthReport;
}

/** Starts a health check of each scope, shows what it does, and answers with what came of it. */
export async function check(flags: CheckFlags, invocation: Invocation): Promise<ExitCode> {
  const scopes = chosenScopes(readConfig(invocation, flags.config), flags.scope);
  return withTemporal(invocation, async ({ client }) => {
    const started = await Promise.all(scopes.map((scope) => startCheck(client, scope, flags.wait)));
    if (flags.wait === null) {
      return answerStarted(flags, started);
    }
    const checked = await followAll(client, started, invocation);
    if (flags.json) {
      const documents = checked.map(({ workflowId, report }) => ({ workflowId, ...report }));
      printJson(documents.length === 1 ? documents[0] : { scopes: documents });
    } else {
      print(
        checked.map(({ workflowId, report }) => [...reportLines(report), `More: runward explain ${workflowId}`].join('\n')).join('\n\n'),
      );
    }
    return checkExitCode(checked.map(({ report }) => report.outcome));
  });
}

async function startCheck(client: Client, scope: string, wait: string | null): Promise<StartedCheck> {
  const handle = await client.workflow.start('checkHealth', {
    workflowId: `${healthScheduleId(scope)}/by-hand/${new Date().toISOString()}-${randomBytes(2).toString('hex')}`,
    taskQueue: MAIN_QUEUE,
    staticSummary: `check the health of ${scope}, started by hand`,
    args: [{ scope, wait: wait ?? '0s' }],
  });
  return { scope, handle };
}

function answerStarted({ json }: CheckFlags, started: readonly StartedCheck[]): ExitCode {
  if (json) {
    const ids = started.map(({ handle }) => ({ workflowId: handle.workflowId }));
    printJson(ids.length === 1 ? ids[0] : { scopes: ids });
  } else {
    for (const { handle } of started) {
      print(`Started ${handle.workflowId}. ${comeBackTo(handle)}`);
    }
  }
  return EXIT.done;
}

function comeBackTo({ workflowId }: WorkflowHandle): string {
  return `Look at it with \`runward explain ${workflowId}\`.`;
}

async function followAll(client: Client, started: readonly StartedCheck[], { interrupted }: Invocation): Promise<readonly Checked[]> {
  const steps = createLiveSteps();
  try {
    return await Promise.all(
      started.map(async ({ scope, handle }) => {
        say(`Check ${handle.workflowId}`);
        const report = await followOperation<HealthReport>({
          client,
          handle,
          show: (progress) => steps.show(progress, started.length === 1 ? '' : scope),
          interrupted,
          comeBack: comeBackTo(handle),
        });
        return { workflowId: handle.workflowId, report };
      }),
    );
  } finally {
    steps.end();
  }
}
