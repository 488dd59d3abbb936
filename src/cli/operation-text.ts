import { fewOf } from '../domain/few-of.ts';
import { troubleIn } from '../domain/recovery.ts';
import type { OperationReport, RecoveryReport } from '../domain/report.ts';
import { formatDuration } from './durations.ts';
import { styled } from './invocation.ts';
import { section, type Story } from './story.ts';

// What an operation on a runner did, for people.

/** Result of any operation; a small one has neither steps nor evidence. */
export type ToldReport = Omit<OperationReport, 'evidence' | 'steps'> &
  Partial<Pick<OperationReport, 'evidence' | 'steps'> & Pick<RecoveryReport, 'rungs'>>;

const GOOD_OUTCOMES: readonly string[] = [
  'recovered',
  'already-healthy',
  'synced',
  'already-right',
  'drained',
  'already-drained',
  'resumed',
  'already-resumed',
];

export function isGood({ outcome }: Pick<ToldReport, 'outcome'>): boolean {
  return GOOD_OUTCOMES.includes(outcome);
}

/** The outcome in one line, coloured on a terminal. */
export function headline({ outcome, summary, steps = [] }: Pick<ToldReport, 'outcome' | 'summary' | 'steps'>): string {
  const took = steps.reduce((sum, step) => sum + step.durationMs, 0);
  const time = took === 0 ? '' : ` in ${formatDuration(took)}`;
  return `${styled(isGood({ outcome }) ? 'green' : 'red', outcome)}${time}: ${summary}`;
}

/** How an operation came about. */
export interface Origin {
  /** Its workflow type. */
  readonly type: string;
  /** Whether a health check started it: then its reason is what the check has found. */
  readonly isByCheck: boolean;
}

export function operationStory(
  report: ToldReport,
  origin: Origin,
): Pick<Story, 'headline' | 'broke' | 'sure' | 'did' | 'cameOfIt' | 'left'> {
  const { evidence = [], steps = [], rungs = [] } = report;
  const failed = [...rungs, ...steps].filter(({ status }) => status === 'failed');
  return {
    headline: headline(report),
    broke: brokeText(report, origin),
    sure: fewOf(evidence, 10),
    did: stepsText([...rungs, ...steps]) ?? 'nothing',
    cameOfIt: fewOf(failed.map(({ name, detail }) => `${name} failed: ${detail}`)) ?? goodEnd(report),
    left: leftText(report, origin.type),
  };
}

/** `null` where nothing was broken to begin with, such as where a runner is drained. */
function brokeText({ outcome, reason, evidence = [] }: ToldReport, { type, isByCheck }: Origin): string | null {
  if (type === 'drainRunner' || type === 'resumeRunner') {
    return null;
  }
  if (outcome.startsWith('already-')) {
    return 'nothing';
  }
  return isByCheck && reason !== null ? reason : fewOf(troubleIn(evidence), 10);
}

/** What the last step that was taken, or the rung that was enough, has brought about. */
function goodEnd({ rungs = [], steps = [] }: ToldReport): string | null {
  const rung = rungs.at(-1);
  const detail = steps.findLast(({ status }) => status === 'done')?.detail ?? '';
  if (rung === undefined) {
    return detail === '' ? null : detail;
  }
  return `${rung.name} was enough${detail === '' ? '' : `: ${detail}`}`;
}

/** All evidence, rungs and steps. */
export function operationDetails({ evidence = [], rungs = [], steps = [] }: ToldReport): string[] {
  return [
    ...section('What was seen:', evidence),
    ...section(
      'The ladder:',
      rungs.map(({ name, status, detail }) => `${status.padEnd(8)} ${name.padEnd(19)} ${detail}`.trimEnd()),
    ),
    // Where a cheaper cure was enough, none of the six steps was taken.
    ...(rungs.length > 0 && steps.every(({ status }) => status === 'skipped') ? [] : section('What was done:', steps.map(stepText))),
  ];
}

function stepText({ name, status, durationMs, attempts, detail }: NonNullable<ToldReport['steps']>[number]): string {
  const time = status === 'skipped' ? '' : formatDuration(durationMs);
  const tries = attempts > 1 ? `, ${attempts} calls` : '';
  return `${status.padEnd(8)} ${name.padEnd(19)} ${time.padEnd(8)} ${detail}${status === 'skipped' ? '' : tries}`.trimEnd();
}

/** Steps that were taken, in their order; `null` where none was. */
function stepsText(steps: readonly { readonly name: string; readonly status: string }[]): string | null {
  const taken = steps.filter(({ status }) => status !== 'skipped');
  return taken.length === 0 ? null : taken.map(({ name, status }) => (status === 'done' ? name : `${name} (${status})`)).join(', ');
}

/** What a person runs again once its cause is mended. */
const COMMANDS: Readonly<Record<string, string>> = { drainRunner: 'runner drain', resumeRunner: 'runner resume' };

function leftText(report: ToldReport, type: string): string {
  const { outcome, runner } = report;
  const again = `\`runward ${COMMANDS[type] ?? 'recover'} --runner ${runner}\``;
  if (isGood(report)) {
    return 'nothing';
  }
  switch (outcome) {
    case 'refused-busy':
      return 'wait until the job is over, or override it with --force';
    case 'refused-in-progress':
      return 'wait until the other operation has ended, then look with `runward status`';
    case 'refused-drained':
      return `run \`runward runner resume --runner ${runner}\`, once it may take jobs again`;
    case 'refused-budget':
      return `find out why it does not last, then run \`runward recover --runner ${runner}\`, which no budget refuses`;
    case 'refused-watching':
      return `end the watching, or do it by hand: nothing was written`;
    case 'undone':
      return 'nothing: somebody wanted it otherwise meanwhile';
    case 'cancelled':
      return `run ${again} once it may be touched again`;
    default:
      return `mend what the first line says, then run ${again}`;
  }
}
