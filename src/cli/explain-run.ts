import type { Client } from '@temporalio/client';
import type { Diagnosed } from '../domain/finding.ts';
import type { HealthReport } from '../domain/health-report.ts';
import { CommandFailure, EXIT, type ExitCode } from './exit.ts';
import { print, printJson } from './invocation.ts';
import { listPasses } from './operations.ts';

/** Newest health checks that are searched for a run. */
const PASSES_SEARCHED = 50;

/** The id in `12345` or `https://github.com/owner/name/actions/runs/12345/job/6`; exit code 2 for anything else. */
export function runIdOf(text: string): number {
  const id = /^(\d{1,15})$|\/actions\/runs\/(\d{1,15})(?:[/?#]|$)/.exec(text.trim());
  if (id === null) {
    throw new CommandFailure(EXIT.usage, `--run takes the id of a run or its address on GitHub, not "${text}"`);
  }
  return Number(id[1] ?? id[2]);
}

/** Tells what was done about a run of GitHub's, and what health checks have said of it. */
export async function explainRun(client: Client, run: number, { json }: { readonly json: boolean }): Promise<ExitCode> {
  const mentions = await mentionsOf(client, run);
  if (json) {
    printJson({ run, done: [], mentions });
    return EXIT.done;
  }
  print(
    [
      `Runward has done nothing to run ${run}: this version cancels and re-runs no runs.`,
      ...(mentions.length === 0
        ? ['No health check of late has spoken of it.']
        : mentions.map(({ observedAt, finding }) => `${observedAt}: ${finding.summary} (${finding.evidence}); ${finding.advice}`)),
    ].join('\n'),
  );
  return EXIT.done;
}

interface Mention {
  readonly workflowId: string;
  readonly observedAt: string;
  readonly finding: Pick<Diagnosed, 'code' | 'summary' | 'evidence' | 'advice'>;
}

/** What the newest check that spoke of it has said, each finding once. */
async function mentionsOf(client: Client, run: number): Promise<readonly Mention[]> {
  const mentions = new Map<string, Mention>();
  const words = new RegExp(`\\brun ${run}\\b`);
  for (const { workflowId, runId } of await listPasses(client, { limit: PASSES_SEARCHED })) {
    const report = (await client.workflow.getHandle(workflowId, runId).result()) as HealthReport;
    for (const { code, subject, summary, evidence, advice } of report.findings) {
      const key = `${subject} ${code}`;
      if (!mentions.has(key) && words.test(`${summary} ${evidence}`)) {
        mentions.set(key, { workflowId, observedAt: report.observedAt, finding: { code, summary, evidence, advice } });
      }
    }
  }
  return [...mentions.values()];
}
