import { plain } from '../domain/plain.ts';
import { LISTED_AT_MOST } from '../domain/queue/list.ts';
import { spanOf } from '../domain/situation.ts';
import { formatDuration } from '../domain/duration.ts';
import type { QueuedRun, QueueListDocument, WaitingJobs } from './queue-list-document.ts';
import { countText, numberText, parkedLines } from './queue-text.ts';
import { fittingTable, visibleLength, wrapLine, type Column } from './table.ts';

// The queue run by run, for people. Names and reasons may be GitHub's users' or GitHub's: they are made plain.

/** Runs of a repository one by one, and those that wait to be re-run; `now` is epoch milliseconds, `width` the terminal's columns. */
export function queueListLines(list: QueueListDocument, now: number, width = Infinity): string[] {
  const { scope, queued, runs, more, parked, notes } = list;
  return [
    queued === 0 ? `No run of ${scope} is queued.` : `${countText(queued, 'run')} queued in ${scope}:`,
    ...(runs.length === 0 ? [] : ['', ...runLines(list, now, width)]),
    ...(more > 0 ? [`… and ${numberText(more)} more${runs.length < LISTED_AT_MOST ? ': `--max N` lists more of them' : ''}`] : []),
    '',
    ...[maintenanceText(list, now), ...notes.map((note) => `Note: ${note}`)].flatMap((line) => wrapLine(line, width)),
    ...(parked.length === 0 ? [] : ['', ...parkedLines(scope, parked, now, width)]),
  ];
}

// The runs

type Row = readonly [run: QueuedRun, waitsFor: string, action: string];

const COLUMNS: readonly Column<Row>[] = [
  { name: 'RUN', cell: ([{ run }]) => String(run) },
  { name: 'QUEUED', cell: ([{ queuedSeconds }]) => spanOf(queuedSeconds * 1_000) },
  { name: 'WORKFLOW', cell: ([{ workflow }]) => workflow, least: 8 },
  { name: 'BRANCH', cell: ([run]) => branchText(run), least: 8 },
  { name: 'EVENT', cell: ([{ event }]) => event, least: 8 },
];
const WIDE_COLUMNS: readonly Column<Row>[] = [
  ...COLUMNS,
  { name: 'WAITS FOR', cell: ([, waitsFor]) => waitsFor },
  { name: 'ACTION', cell: ([, , action]) => action },
];

/** A row for each run; on a terminal that is too narrow for that, what it waits for and what would be done stands below it. */
function runLines(list: QueueListDocument, now: number, width: number): string[] {
  const rows = list.runs.map((run): Row => [run, waitsText(run), actionText(run, list, now)]);
  const wide = fittingTable(WIDE_COLUMNS, rows, Infinity);
  if (wide.every((line) => visibleLength(line) <= width)) {
    return wide;
  }
  const [head = '', ...lines] = fittingTable(COLUMNS, rows, width);
  return [head, ...rows.flatMap((row, index) => [lines[index] ?? '', ...belowLines(row).flatMap((line) => wrapLine(line, width))])];
}

function branchText({ branch, pullRequests }: QueuedRun): string {
  return [...pullRequests.map((number) => `#${number}`), branch ?? '?'].join(' ');
}

/** Label sets that are shown below a run. */
const SETS_SHOWN = 3;

function belowLines([run, , action]: Row): readonly string[] {
  return [...waitsTexts(run, SETS_SHOWN), action].map((text) => `  ${text}`);
}

// Who could take its jobs

function waitsText(run: QueuedRun): string {
  return waitsTexts(run, Infinity).join('; ') || '?';
}

/** A text for each set of labels; the others are counted. */
function waitsTexts({ jobs, moreLabelSets }: QueuedRun, most: number): readonly string[] {
  const shown = (jobs ?? []).slice(0, most);
  const more = (jobs?.length ?? 0) - shown.length + moreLabelSets;
  return [...shown.map(jobsText), ...(more > 0 ? [`and ${countText(more, 'more set')} of labels`] : [])];
}

/** Such as `2 × [bpf, self-hosted]: builder-1 (busy)`. */
function jobsText(jobs: WaitingJobs): string {
  const { labels, count } = jobs;
  return `${count === 1 ? '' : `${numberText(count)} × `}[${labels.map(plain).join(', ')}]: ${takersText(jobs)}`;
}

/** Runners that are named. */
const RUNNERS_SHOWN = 2;

function takersText({ takers, runners, missingLabels }: WaitingJobs): string {
  switch (takers) {
    case 'runners': {
      const more = runners.length - RUNNERS_SHOWN;
      return [...runners.slice(0, RUNNERS_SHOWN).map(runnerText), ...(more > 0 ? [`${numberText(more)} more`] : [])].join(', ');
    }
    case 'nobody':
      return `nobody (no runner has ${missingLabels.length === 0 ? 'all of them' : missingLabels.map(plain).join(', nor ')})`;
    case 'github':
      return "GitHub's own machines";
    case 'unknown':
      return 'unknown';
  }
}

function runnerText({ name, state, busy }: WaitingJobs['runners'][number]): string {
  const words = { online: busy ? 'busy' : 'online', offline: 'offline', unregistered: 'not registered', unknown: 'state unknown' };
  return `${name} (${words[state]})`;
}

// What would be done

/** When queue maintenance is, or why it is not. */
function maintenanceText({ scope, mode, schedule }: QueueListDocument, now: number): string {
  const { exists, paused, note, everySeconds, nextPassAt } = schedule;
  if (!exists) {
    return `Queue maintenance has no schedule: make it with \`runward schedule apply --scope ${scope}\`.`;
  }
  if (paused === true) {
    return `Queue maintenance is paused${note === null ? '' : ` (${plain(note)})`}: go on with \`runward schedule resume --scope ${scope}\`.`;
  }
  const every = everySeconds === null ? '' : ` every ${formatDuration(everySeconds * 1_000)}`;
  const next = nextPassAt === null ? '' : `, next at ${clockText(nextPassAt, now)}`;
  return `Queue maintenance${every}${next}${mode === 'watch' ? '. Watch mode: it changes nothing' : ''}.`;
}

/** Such as `stale at 06:12: would be cancelled`. */
function actionText({ maintenance }: QueuedRun, list: QueueListDocument, now: number): string {
  const { kept } = maintenance;
  return [outlookText(maintenance, list, now), ...(kept === null ? [] : [keptText(kept)])].join('; ');
}

function outlookText(outlook: QueuedRun['maintenance'], list: QueueListDocument, now: number): string {
  const { code, at, newer, pullRequests, detail, inMaintenance } = outlook;
  const when = at === null ? '?' : clockText(at, now);
  const would = wouldText(outlook, list, now);
  switch (code) {
    case 'stale':
      return `stale ${inMaintenance === null && Date.parse(at ?? '') > now ? 'at' : 'since'} ${when}: ${would}`;
    case 'superseded':
      return `superseded by run ${newer}: ${would}`;
    case 'prioritizePullRequests':
      return `behind ${countText(pullRequests ?? 0, 'pull request')}: ${would}`;
    case 'paths':
      return `needless by its paths: ${would}`;
    case 'no-jobs':
      return `has no job: ${would}`;
    case 'quarantined':
      return `quarantined until ${when}${detail === null ? '' : `: ${detail}`}`;
    case 'parking':
      return 'being deferred: its cancellation is on its way';
    case 'cancelling':
      return 'being cancelled: GitHub has accepted it';
    case 'started':
    case 'held':
      return `nothing: ${detail ?? code}`;
    case 'out-of-reach':
      return 'nothing: no runner of the repository serves it';
    case 'waits':
      return `nothing: waits for a runner${detail === null ? '' : `; ${detail}`}`;
    case 'unknown':
      return 'nothing: its jobs could not be read';
  }
}

const DONE_WORDS = { cancel: 'cancelled', park: 'deferred', quarantine: 'quarantined', none: 'left' } as const satisfies Record<
  QueuedRun['maintenance']['action'],
  string
>;

/** With the time if the schedule will do it. */
function wouldText(
  { action, inMaintenance, isOnlyPlanned }: QueuedRun['maintenance'],
  { mode, schedule }: QueueListDocument,
  now: number,
): string {
  const done = DONE_WORDS[action];
  if (isOnlyPlanned) {
    return `would be ${done}, but its rule only plans`;
  }
  const { nextPassAt, everySeconds } = schedule;
  if (inMaintenance === null || nextPassAt === null || mode === 'watch') {
    return `would be ${done}`;
  }
  const at = Date.parse(nextPassAt) + (inMaintenance - 1) * (everySeconds ?? 0) * 1_000;
  return `to be ${done} at ${clockText(new Date(at).toISOString(), now)}`;
}

function keptText(kept: NonNullable<QueuedRun['maintenance']['kept']>): string {
  switch (kept.code) {
    case 'protected':
      return `protected from newer run ${kept.newer}`;
    case 'tag':
      return `tag: protected from newer run ${kept.newer}`;
    case 'not-parked':
      return `not deferred: ${kept.detail}`;
  }
}

/** Local time such as `06:12`, with the date if that is another. */
function clockText(at: string, now: number): string {
  const [day = '', time = ''] = localText(Date.parse(at)).split(' ');
  return day === localText(now).split(' ')[0] ? time : `${day} ${time}`;
}

/** Such as `2026-11-24 06:12`: how Swedes write it. */
function localText(epochMs: number): string {
  return new Date(epochMs).toLocaleString('sv-SE', { dateStyle: 'short', timeStyle: 'short' });
}
