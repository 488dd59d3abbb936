import { isGoodOutcome } from '../domain/good-outcomes.ts';
import { fewOf } from '../domain/few-of.ts';
import { troubleIn } from '../domain/recovery.ts';
import type { OperationReport, RecoveryReport } from '../domain/report.ts';
import { bytesText } from '../domain/room.ts';
import type { HealReport, RoomReport } from '../domain/upkeep.ts';
import { formatDuration } from '../domain/duration.ts';
import { styled } from './invocation.ts';
import { section, type Story } from './story.ts';

// What an operation on a runner did, for people.

/** Result of any operation; a small one has neither steps nor evidence. */
export type ToldReport = Omit<OperationReport, 'evidence' | 'steps'> &
  Partial<
    Pick<OperationReport, 'evidence' | 'steps'> &
      Pick<RecoveryReport, 'rungs'> &
      Pick<HealReport, 'removed' | 'damaged' | 'reran'> &
      Pick<RoomReport, 'freed'>
  >;

export function isGood({ outcome }: Pick<ToldReport, 'outcome'>): boolean {
  return isGoodOutcome(outcome);
}

/** The outcome in one line, coloured on a terminal. `tookMs`: the whole time; `null` if unknown. */
export function headline({ outcome, summary }: Pick<ToldReport, 'outcome' | 'summary'>, tookMs: number | null): string {
  const time = tookMs === null ? '' : ` in ${formatDuration(tookMs)}`;
  return `${styled(isGood({ outcome }) ? 'green' : 'red', outcome)}${time}: ${summary}`;
}

/** How an operation came about. */
export interface Origin {
  /** Its workflow type. */
  readonly type: string;
  /** Whether a health check started it: then its reason is what the check has found. */
  readonly isByCheck: boolean;
  /** The whole time that it took; `null` if unknown. */
  readonly tookMs: number | null;
}

export function operationStory(
  report: ToldReport,
  origin: Origin,
): Pick<Story, 'headline' | 'broke' | 'sure' | 'did' | 'cameOfIt' | 'left'> {
  const { evidence = [], steps = [], rungs = [] } = report;
  const failed = [...rungs, ...steps].filter(({ status }) => status === 'failed');
  return {
    headline: headline(report, origin.tookMs),
    broke: brokeText(report, origin),
    sure: fewOf(evidence, 10),
    did: stepsText([...rungs, ...steps]) ?? 'nothing',
    cameOfIt: fewOf(failed.map(({ name, detail }) => `${name} failed: ${detail}`)) ?? goodEnd(report),
    left: leftText(report, origin.type),
  };
}

/** `null` where nothing was broken to begin with, such as where a runner is drained. */
function brokeText({ outcome, reason, evidence = [], damaged = [] }: ToldReport, { type, isByCheck }: Origin): string | null {
  if (MENDS_NOTHING.has(type)) {
    return null;
  }
  if (damaged.length > 0) {
    return fewOf(damaged.map(({ run, jobs }) => `run ${run} failed because of the cache: ${jobs[0]?.line ?? ''}`));
  }
  if (outcome.startsWith('already-') || outcome === 'nothing-damaged' || outcome === 'enough-room') {
    return 'nothing';
  }
  return isByCheck && reason !== null ? reason : fewOf(troubleIn(evidence), 10);
}

const MENDS_NOTHING: ReadonlySet<string> = new Set([
  'drainRunner',
  'resumeRunner',
  'cleanActionsCache',
  'clearActionsCache',
  'fetchPackage',
]);

/** What the last step that was taken, or the rung that was enough, has brought about. */
function goodEnd({ rungs = [], steps = [] }: ToldReport): string | null {
  const rung = rungs.at(-1);
  const detail = steps.findLast(({ status }) => status === 'done')?.detail ?? '';
  if (rung === undefined) {
    return detail === '' ? null : detail;
  }
  return `${rung.name} was enough${detail === '' ? '' : `: ${detail}`}`;
}

/** All evidence, rungs and steps, and what was removed. */
export function operationDetails(report: ToldReport): string[] {
  const { evidence = [], rungs = [], steps = [] } = report;
  return [
    ...section('What was seen:', evidence),
    ...section(
      'The ladder:',
      rungs.map(({ name, status, detail }) => `${status.padEnd(8)} ${name.padEnd(19)} ${detail}`.trimEnd()),
    ),
    // Where a cheaper cure was enough, none of the six steps was taken.
    ...(rungs.length > 0 && steps.every(({ status }) => status === 'skipped') ? [] : section('What was done:', steps.map(stepText))),
    ...upkeepDetails(report),
  ];
}

function upkeepDetails({ outcome, damaged = [], removed, reran = [], freed = [] }: ToldReport): string[] {
  return [
    ...section(
      'What the cache let fail:',
      damaged.flatMap(({ run, attempt, workflow, jobs }) =>
        jobs.map(({ name, line }) => `run ${run}, attempt ${attempt} of ${workflow}, job ${name}: ${line}`),
      ),
    ),
    ...section(
      'What the damage looked like:',
      (removed?.damage ?? []).map(
        ({ path, state, owner, mode, isImmutable }) =>
          `${JSON.stringify(path)}: ${[state, owner, mode, isImmutable ? 'immutable' : null].filter((word) => word !== null).join(', ')}`,
      ),
    ),
    ...section(
      outcome === 'planned' || outcome === 'refused-watching' ? 'What would go:' : 'What has gone:',
      (removed?.names ?? []).map((name) => JSON.stringify(name)),
    ),
    ...section(
      'What was run again:',
      reran.map(({ run, attempt, outcome: end, detail }) => `run ${run}, attempt ${attempt}: ${end}, ${detail}`),
    ),
    ...section(
      'What has made room:',
      freed.map(({ source, bytes }) => `${source}: ${bytesText(bytes)}`),
    ),
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
const COMMANDS: Readonly<Record<string, string>> = {
  drainRunner: 'runner drain',
  resumeRunner: 'runner resume',
  cleanActionsCache: 'cache clean',
  clearActionsCache: 'cache clear',
  healActionsCache: 'cache heal',
};

function leftText(report: ToldReport, type: string): string {
  const { outcome, runner } = report;
  const again =
    type === 'makeRoom' || type === 'fetchPackage' ? '`runward check`' : `\`runward ${COMMANDS[type] ?? 'recover'} --runner ${runner}\``;
  if (outcome === 'some-room') {
    return 'look what takes the room (`du -xh` in the guest), or let Runward remove more of it (`disk` in the configuration)';
  }
  if (isGood(report)) {
    return 'nothing';
  }
  switch (outcome) {
    case 'refused-busy':
      return type === 'makeRoom'
        ? 'nothing yet: each health check tries it again'
        : 'wait until the job is over, or override it with --force';
    case 'refused-in-progress':
      return 'wait until the other operation has ended, then look with `runward status`';
    case 'refused-drained':
      return `run \`runward runner resume --runner ${runner}\`, once it may take jobs again`;
    case 'refused-budget':
      return `find out why it does not last, then run ${again}, which no budget refuses`;
    case 'refused-watching':
      return `end the watching, or do it by hand: nothing was written`;
    case 'not-re-run':
      return 'run the failed jobs again on GitHub, and give the token the permission to (`actions=write`)';
    case 'given-up':
      return 'find out what damages the cache again and again (`runward check` names what else cleans there), then run the failed jobs again on GitHub';
    case 'no-room':
      return `make room in the guest, then run \`runward runner resume --runner ${runner}\``;
    case 'cancelled':
      return `run ${again} once it may be touched again`;
    default:
      return `mend what the first line says, then run ${again}`;
  }
}
