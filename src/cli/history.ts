import { writeFileSync } from 'node:fs';
import type { ConfigFlags } from '../config/load.ts';
import { readDuration } from '../domain/recovery-request.ts';
import { formatDuration } from '../domain/duration.ts';
import { CommandFailure, EXIT, type ExitCode } from './exit.ts';
import { print, printJson, say, styled, type Invocation } from './invocation.ts';
import { listOperations, type OperationSummary } from './operations.ts';
import { countOf } from './pass-text.ts';
import { fittingTable, visibleLength, type Column } from './table.ts';
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
    print(operations.length === 0 ? nothing : historyLines(operations, process.stdout.isTTY ? process.stdout.columns : null).join('\n'));
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

const COLUMNS: readonly Column<OperationSummary>[] = [
  { name: 'STARTED', cell: ({ startedAt }) => startedAt.slice(0, 16).replace('T', ' ') },
  { name: 'WHAT', cell: ({ type }) => type, least: 10 },
  { name: 'OF', cell: ({ runner, scope }) => (runner === UNRESOLVED ? null : runner) ?? scope ?? '-', least: 10 },
  { name: 'BY', cell: ({ trigger, actor }) => (trigger === 'manual' ? actor : null) ?? trigger ?? '-', least: 5 },
  { name: 'RESULT', cell: ({ outcome }) => outcome, least: 9 },
  { name: 'TOOK', cell: ({ durationMs }) => formatDuration(durationMs) },
];
const ID: Column<OperationSummary> = { name: 'ID', cell: ({ workflowId }) => workflowId };

/** One line each where that fits; on a narrow terminal the id, which `explain` takes, stands below. `width`: `null` without a terminal. */
export function historyLines(operations: readonly OperationSummary[], width: number | null): string[] {
  const whole = fittingTable([...COLUMNS, ID], operations, Infinity);
  if (width === null || whole.every((line) => visibleLength(line) <= width)) {
    return whole;
  }
  const [head = '', ...rows] = fittingTable(COLUMNS, operations, width);
  return [head, ...rows.flatMap((row, index) => [row, `  ${styled('dim', operations[index]?.workflowId ?? '')}`])];
}
