import type { Client, WorkflowHandle } from '@temporalio/client';
import { MAIN_QUEUE } from '../../domain/names.ts';
import type { RecoveryReport } from '../../domain/report.ts';
import type { Break } from '../../sandbox/machine/breaks.ts';
import { executionLink } from '../../worker/temporal-address.ts';
import { formatDuration, wholeDurationMs } from '../../domain/duration.ts';
import { EXIT, type ExitCode } from '../exit.ts';
import { followToEnd, type Followed } from '../follow.ts';
import { print, printJson, say } from '../invocation.ts';
import { createLiveSteps } from '../live-steps.ts';
import { headline, isGood } from '../operation-text.ts';
import { patiently, refuseInterrupted, untilSo } from '../patience.ts';
import type { TemporalServer } from '../temporal-server.ts';
import type { Stage } from './stage.ts';

/** What was done to the runner, for people. */
const STORIES: Readonly<Record<Break, string>> = {
  service: 'its systemd service was stopped',
  registration: 'its registration was deleted on GitHub',
  clock: 'the clock of its machine jumped two hours ahead',
  vm: 'its machine was switched off',
  config: 'its credentials file was damaged',
  listener: 'its listener hangs while the service looks active',
};

export interface Play {
  readonly how: Break;
  readonly keep: boolean;
  readonly json: boolean;
  readonly server: TemporalServer;
  readonly client: Client;
  readonly stage: Stage;
  readonly interrupted: AbortSignal;
}

/** Breaks the runner and lets Runward recover it, with a worker that polls. */
export async function play({ how, keep, json, server, client, stage, interrupted }: Play): Promise<ExitCode> {
  const { target, shown } = stage;
  say(`A make-believe GitHub and a make-believe machine with one runner, ${target.runner}.`);
  await untilSo('The runner is still connecting to GitHub', () => shown() === 'online', interrupted);
  say(`GitHub shows it online. Now ${STORIES[how]} …`);
  await stage.breakRunner(how);
  await untilSo('GitHub still shows it online', () => shown() !== 'online', interrupted);
  say(`GitHub shows it ${shown()}. Runward recovers it:`);

  const handle = await startRecovery(client, stage, STORIES[how], interrupted);
  const { result: report, description } = await follow(client, handle, interrupted);
  const link = executionLink(server.uiUrl, server.namespace, { workflowId: handle.workflowId, runId: handle.firstExecutionRunId });
  if (json) {
    printJson({ broken: how, workflowId: handle.workflowId, ...report, ui: link });
  } else {
    tell(how, report, wholeDurationMs(description, report.steps), shown(), link, keep);
  }
  return isGood(report) ? EXIT.done : EXIT.bad;
}

function startRecovery(client: Client, { target }: Stage, story: string, interrupted: AbortSignal) {
  const workflowId = `recover/${target.runner}/${new Date().toISOString()}`;
  return patiently(interrupted, () =>
    client.workflow.start('recoverRunner', {
      workflowId,
      // What was started and not answered is not started again.
      workflowIdConflictPolicy: 'USE_EXISTING',
      taskQueue: MAIN_QUEUE,
      staticSummary: `recover ${target.runner}: ${story}`,
      args: [{ runner: target.runner, reason: `demo: ${story}`, wait: '1h' }],
    }),
  );
}

async function follow(client: Client, handle: WorkflowHandle, interrupted: AbortSignal): Promise<Followed<RecoveryReport>> {
  const steps = createLiveSteps();
  try {
    return await patiently(interrupted, () =>
      followToEnd<RecoveryReport>({
        client,
        handle,
        show: (progress) => steps.show(progress),
        interrupted,
        comeBack: 'It ends with the demo.',
        startingUntil: () => Infinity,
      }),
    );
  } catch (error) {
    refuseInterrupted(interrupted);
    throw error;
  } finally {
    steps.end();
  }
}

function tell(how: Break, report: RecoveryReport, tookMs: number | null, shown: string, link: string, keep: boolean): void {
  print('');
  print(headline(report, tookMs));
  print(`  What happened: ${STORIES[how]}; GitHub shows the runner ${shown} now.`);
  for (const { name, status, durationMs, detail } of report.steps) {
    print(`  ${name.padEnd(18)} ${status === 'skipped' ? 'skipped'.padEnd(8) : formatDuration(durationMs).padEnd(8)} ${detail}`);
  }
  print('');
  print('The history, to look at:');
  print('  runward explain --last --demo');
  print(keep ? `  ${link}` : `  runward demo --keep, which leaves Temporal's UI open at links such as\n  ${link}`);
}
