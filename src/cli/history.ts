import { writeFileSync } from 'node:fs';
import type { ConfigFlags } from '../config/load.ts';
import { readDuration } from '../domain/recovery-request.ts';
import { formatDuration } from './durations.ts';
import { CommandFailure, EXIT, type ExitCode } from './exit.ts';
import { print, printJson, say, type Invocation } from './invocation.ts';
import { listOperations, type OperationSummary } from './operations.ts';
import { countOf } from './pass-text.ts';
import { tableLines } from './table.ts';
import { withTemporal } from './temporal.ts';
import { otherScopes, otherScopesText, scopesToRead } from './terminal.ts';

export interface HistoryFlags {
  /** Each as `NAME` or `SCOPE/NAME`; none means all. */
  readonly runners: readonly string[];
  readonly scope: string | undefined;
  /** Text such as `30d`. */
  readonly since: string;
  readonly max: number;
  /** Health checks and queue maintenance that found nothing among them. */
  readonly all: boolean;
  /** A JSON file to write instead of printing. */
  readonly export: string | undefined;
  readonly json: boolean;
  readonly config: ConfigFlags;
}

/** Lists past operations, health checks and queue maintenance, newest first. */
export async function history(flags: HistoryFlags, invocation: Invocation): Promise<ExitCode> {
  const sinceMs = readDuration(flags.since);
  if (sinceMs === null) {
    throw new CommandFailure(EXIT.usage, `--since takes a duration such as 12h or 30d, not "${flags.since}"`);
  }
  const scopes = scopesToRead(invocation, flags);
  const subjects = subjectsOf(flags.runners, scopes);
  const filter = { since: new Date(Date.now() - sinceMs), limit: flags.max, passes: flags.all ? 'all' : 'unhealthy' } as const;
  const { listed, others } = await withTemporal(invocation, async ({ client }) => ({
    listed: await Promise.all(subjects.map((subject) => listOperations(client, { ...filter, ...subject }))),
    others: scopes === null ? [] : await otherScopes(client, scopes),
  }));
  const operations = listed
    .flat()
    .toSorted((a, b) => b.startedAt.localeCompare(a.startedAt))
    .slice(0, flags.max);
  if (flags.export !== undefined) {
    writeFileSync(flags.export, `${JSON.stringify({ operations }, null, 2)}\n`);
    say(`Wrote ${countOf(operations.length, 'operation')} to ${flags.export}.`);
  } else if (flags.json) {
    printJson({ operations });
  } else {
    const nothing = [nothingText(flags), otherScopesText(others, scopes ?? [])].filter((text) => text !== '').join('\n');
    print(operations.length === 0 ? nothing : historyLines(operations).join('\n'));
  }
  return EXIT.done;
}

/** What is listed: each runner that is named, or else each scope, or else everything. */
function subjectsOf(
  runners: readonly string[],
  scopes: readonly string[] | null,
): readonly { readonly runner?: string; readonly scope?: string }[] {
  const within = scopes === null ? [{}] : scopes.map((scope) => ({ scope }));
  const named = runners.flatMap((name) => {
    const slash = name.lastIndexOf('/');
    return slash < 0 ? within.map((each) => ({ ...each, runner: name })) : [{ scope: name.slice(0, slash), runner: name.slice(slash + 1) }];
  });
  return runners.length === 0 ? within : named;
}

function nothingText({ since, all }: HistoryFlags): string {
  return all
    ? `No operations, no health checks and no queue maintenance in the last ${since}.`
    : `No operations in the last ${since}, and no health check that left something to do; \`--all\` shows the others.`;
}

/** What an operation calls its runner before it knows it. */
const UNRESOLVED = 'unknown';

function historyLines(operations: readonly OperationSummary[]): string[] {
  return tableLines(
    ['STARTED', 'WHAT', 'OF', 'BY', 'RESULT', 'TOOK', 'ID'],
    operations.map(({ startedAt, type, runner, scope, trigger, actor, outcome, durationMs, workflowId }) => [
      startedAt.slice(0, 19).replace('T', ' '),
      type,
      (runner === UNRESOLVED ? null : runner) ?? scope ?? '-',
      (trigger === 'manual' ? actor : null) ?? trigger ?? '-',
      outcome,
      formatDuration(durationMs),
      workflowId,
    ]),
  );
}
