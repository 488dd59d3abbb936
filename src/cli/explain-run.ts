import type { Client } from '@temporalio/client';
import type { Diagnosed } from '../domain/finding.ts';
import type { HealthReport } from '../domain/health-report.ts';
import { CommandFailure, EXIT, type ExitCode } from './exit.ts';
import { print, printJson, say } from './invocation.ts';
import { listPasses } from './operations.ts';
import { countText, endText, ruleText } from './queue-text.ts';
import type { RunAct } from './run-acts.ts';
import { findReruns, type HealRerun } from './run-reruns.ts';
import {
  findRun,
  inTurn,
  type DoneToRun,
  type ParkedState,
  type PlanOfRun,
  type RunFound,
  type RunSought,
  type Searched,
  type SetAsideState,
} from './run-search.ts';
import { section } from './story.ts';
import { triggerText } from './trigger-text.ts';

/** Newest health checks that are searched for a run. */
const PASSES_SEARCHED = 50;
/** Acts that are told to people. */
const ACTS_SHOWN = 5;
/** A search that takes longer says how far it is. */
const SLOW_MS = 3_000;

/** The run in `12345` or `https://github.com/owner/name/actions/runs/12345/job/6`; exit code 2 for anything else. */
export function soughtRun(text: string): RunSought {
  const id = /^(\d{1,15})$|\/actions\/runs\/(\d{1,15})(?:[/?#]|$)/.exec(text.trim());
  if (id === null) {
    throw new CommandFailure(EXIT.usage, `--run takes the id of a run or its address on GitHub, not "${text}"`);
  }
  const scope = /([^/\s]+\/[^/\s]+)\/actions\/runs\//.exec(text)?.[1];
  return { run: Number(id[1] ?? id[2]), scope: scope ?? null };
}

/** Tells what was done to a run of GitHub's, by whom and why, what waits for it, and what health checks have said of it. */
export async function explainRun(client: Client, sought: RunSought, { json }: { readonly json: boolean }): Promise<ExitCode> {
  const told = progressOf(Date.now());
  const [found, reruns, mentions] = await Promise.all([
    findRun(client, sought, told),
    findReruns(client, sought),
    mentionsOf(client, sought),
  ]);
  const { run } = sought;
  if (json) {
    const { scope, done, plan, parked, setAside } = found;
    printJson({ run, scope, done, reruns, parked, setAside, plan, mentions });
  } else {
    print(runLines(run, { ...found, reruns }, mentions).join('\n'));
  }
  return EXIT.done;
}

function progressOf(begunAt: number): (searched: Searched) => void {
  let toldAt = begunAt;
  return ({ operations, histories }) => {
    if (Date.now() - toldAt > SLOW_MS) {
      toldAt = Date.now();
      say(`Searching: ${countText(operations, 'operation')} and ${countText(histories, 'batch')} so far …`);
    }
  };
}

/** What a health check has said of a run. */
export interface Mention {
  readonly workflowId: string;
  readonly observedAt: string;
  readonly finding: Pick<Diagnosed, 'code' | 'summary' | 'evidence' | 'advice'>;
}

/** First what became of it, in a sentence. */
export function runLines(run: number, found: RunFound & { readonly reruns: readonly HealRerun[] }, mentions: readonly Mention[]): string[] {
  const { done, reruns, plan, parked, setAside } = found;
  return [
    reruns.length > 0 && done.length === 0 ? rerunHeadline(run, reruns) : headlineOf(run, found),
    ...reruns.slice(0, ACTS_SHOWN).flatMap(rerunLines),
    ...done.slice(0, ACTS_SHOWN).flatMap(doneLines),
    ...(done.length > ACTS_SHOWN ? [`… and ${done.length - ACTS_SHOWN} earlier ones, which \`--json\` has`] : []),
    ...(parked === null ? [] : [parkedText(parked)]),
    ...(setAside === null ? [] : [setAsideText(setAside)]),
    ...(plan === null ? [] : [planText(plan)]),
    ...(mentions.length === 0
      ? ['No health check of late has spoken of it.']
      : section(
          'Health checks have said:',
          mentions.map(({ observedAt, finding }) => `${observedAt}: ${finding.summary} (${finding.evidence}); ${finding.advice}`),
        )),
  ];
}

/** Acts that have changed the run, or may have. */
const HEADLINES: Partial<Readonly<Record<RunAct['end'], string>>> = {
  cancelled: 'Runward cancelled',
  parked: 'Runward cancelled, to re-run it later,',
  're-run': 'Runward re-ran',
  accepted: 'Runward has asked GitHub to cancel',
  'not-over': 'Runward has asked GitHub in vain to cancel',
  unknown: 'Runward has begun to cancel',
};

function headlineOf(run: number, { scope, done, searched }: RunFound): string {
  const name = `run ${run}${scope === null ? '' : ` of ${scope}`}`;
  const [newest] = done;
  if (newest === undefined) {
    return `Runward has done nothing to ${name}: ${nothingText(searched)}.`;
  }
  const act = done.find(({ end }) => HEADLINES[end] !== undefined);
  return act === undefined
    ? `Runward has not cancelled ${name}: ${endOf(newest).replace(/\.$/, '')}.`
    : `${HEADLINES[act.end]} ${name} at ${act.at}, by the rule ${ruleText(act.rule)}.`;
}

function rerunHeadline(run: number, reruns: readonly HealRerun[]): string {
  const done = reruns.find(({ end }) => end === 're-run');
  const [newest] = reruns;
  return done === undefined
    ? `Runward was to re-run failed jobs of run ${run}, and has not: ${newest === undefined ? '' : rerunEnd(newest)}.`
    : `Runward re-ran failed jobs of run ${run} of ${done.scope} at ${done.at}, since the actions cache of its runner was damaged.`;
}

function rerunLines(rerun: HealRerun): string[] {
  const { at, attempt, detail, workflowId } = rerun;
  return section(`${at}: re-run of failed jobs${attempt === null ? '' : ` of attempt ${attempt}`}, for a damaged actions cache`, [
    ...(detail === '' ? [] : [`why: ${detail}`]),
    `came of it: ${rerunEnd(rerun)}`,
    `operation: ${workflowId}`,
  ]);
}

const RERUN_ENDS = {
  're-run': 're-run',
  refused: 'GitHub refused',
  left: 'left as it is',
  'at-work': 'it is not over yet',
  unknown: 'not known',
} as const satisfies Record<HealRerun['end'], string>;

function rerunEnd({ end }: HealRerun): string {
  return RERUN_ENDS[end];
}

function nothingText({ operations, isCut }: Searched): string {
  if (operations === 0) {
    return 'it has done nothing to any run there';
  }
  return `none of its ${isCut ? 'newest ' : ''}${countText(operations, 'operation')} on queues has touched it`;
}

function doneLines({ at, does, rule, evidence, workflowId, startedBy, ...act }: DoneToRun): string[] {
  const { trigger, identity, reason } = startedBy;
  const by = triggerText(trigger ?? '', identity, reason);
  return section(`${at}: ${does}, by the rule ${ruleText(rule)}`, [
    ...(evidence === '' ? [] : [`why: ${evidence}`]),
    `came of it: ${endOf(act)}`,
    `operation: ${workflowId}${by === '' ? '' : `, started ${by}`}`,
  ]);
}

/** A bare repetition of the word says no more. */
function endOf({ end, detail }: Pick<RunAct, 'end' | 'detail'>): string {
  const word = end === 'unknown' ? 'not known' : endText(end);
  return detail === '' || detail === word ? word : `${word}, ${detail}`;
}

function parkedText(parked: ParkedState): string {
  if (parked.state === 'waiting') {
    const { since, times, why } = parked;
    return `It waits to be re-run, parked since ${since}${times > 1 ? ` for the ${times}. time` : ''}: ${why}`;
  }
  const { state, at, detail } = parked;
  return state === 're-run'
    ? `It was parked, and re-run at ${at}: ${detail}`
    : `It was parked, and is no more since ${at}: ${endText(state)}, ${detail}`;
}

function setAsideText({ retryAt, tries, since, why }: SetAsideState): string {
  const tried = tries === 1 ? 'tried once' : `tried ${tries} times since ${since}`;
  return `It is set aside until ${retryAt}, ${tried}: ${why}`;
}

function planText({ says, why, rule, at, workflowId }: PlanOfRun): string {
  const what = says === 'left-alone' ? 'leaves it alone' : `would ${endText(says)} it${rule === null ? '' : ` as ${ruleText(rule)}`}`;
  return `The plan of ${at} ${what}: ${why} (${workflowId})`;
}

/** What the newest check that spoke of it has said, each finding once. */
async function mentionsOf(client: Client, { run, scope }: RunSought): Promise<readonly Mention[]> {
  const exact = await listPasses(client, { scope: scope ?? undefined, limit: PASSES_SEARCHED });
  // The address may write the repository's name in another case.
  const passes = exact.length > 0 || scope === null ? exact : await listPasses(client, { limit: PASSES_SEARCHED });
  const reports = await inTurn(passes, async ({ workflowId, runId }) => ({
    workflowId,
    report: (await client.workflow.getHandle(workflowId, runId).result()) as HealthReport,
  }));
  const mentions = new Map<string, Mention>();
  const words = new RegExp(`\\brun ${run}\\b`);
  for (const { workflowId, report } of reports) {
    for (const { code, subject, summary, evidence, advice } of report.findings) {
      const key = `${subject} ${code}`;
      if (!mentions.has(key) && words.test(`${summary} ${evidence}`)) {
        mentions.set(key, { workflowId, observedAt: report.observedAt, finding: { code, summary, evidence, advice } });
      }
    }
  }
  return [...mentions.values()];
}
