// What a person is shown and asked before an act that can't be undone.

import type { Config } from '../config/config.ts';
import { isSameName, type NamedRunner } from '../domain/choose-runner.ts';
import { formatDuration } from '../domain/duration.ts';
import { qualifiedName } from '../domain/names.ts';
import { valueOrNull } from '../domain/reading.ts';
import { bytesText } from '../domain/room.ts';
import type { RunnerTarget } from '../domain/runner.ts';
import { mayRun } from '../domain/situation.ts';
import { canAsk, confirm } from './confirm.ts';
import { say, type Invocation } from './invocation.ts';
import { createPorts, lookAtRunner, sayWhenSlow, type RunnerSeen } from './look.ts';

/** Runners that are about to be acted on, and what can be read of them from here: nothing without configuration. */
export interface Victims {
  readonly runners: readonly NamedRunner[];
  readonly terminal: Config | null;
  readonly invocation: Invocation;
}

/** What is said on standard error before the act, and what is asked about it on a terminal; `null` asks nothing. */
export interface Warning {
  readonly lines: readonly string[];
  readonly question: string | null;
}

/** Says the warning, and on a terminal asks. Scripts are not asked: they have given the flag that is asked about. */
export async function agreesTo(
  warning: Warning,
  { yes, json }: { readonly yes: boolean; readonly json: boolean },
  invocation: Invocation,
): Promise<boolean> {
  warning.lines.forEach(say);
  return warning.question === null || yes || json || !canAsk() || confirm(warning.question, invocation);
}

/** What a forced act does to a job that runs. */
type Effect = 'would cut' | 'could break';

/** Names each job that a forced recovery would cut; asks only if there is one, or if it can't be known. */
export async function warnOfCutJobs(victims: Victims): Promise<Warning> {
  const lines = jobLines(victims, await lookAtAll(victims), 'would cut');
  return { lines, question: lines.length === 0 ? null : `Recover ${namesOf(victims)} by force?` };
}

/** Says how much would go if all of it goes, and which jobs could break if it is forced. */
export async function warnOfCacheWork(
  victims: Victims,
  { act, clears, force }: { readonly act: string; readonly clears: boolean; readonly force: boolean },
): Promise<Warning> {
  const seen = await lookAtAll(victims);
  const sizes = clears
    ? (seen ?? []).map(({ target, look }) => `${target.runner}: ${cacheText(look)}; jobs download again what they need.`)
    : [];
  const jobs = force ? jobLines(victims, seen, 'could break') : [];
  return { lines: [...sizes, ...jobs], question: clears || jobs.length > 0 ? `${act} the actions cache of ${namesOf(victims)}?` : null };
}

function jobLines({ runners }: Victims, seen: Seen, effect: Effect): readonly string[] {
  return seen === null
    ? [`This ${effect} jobs that run on ${runners.map(qualifiedName).join(', ')}; they can't be named, since nothing is configured here.`]
    : seen.flatMap(({ target, look }) => workLines(target, look, effect, Date.now()));
}

/** What runs there, and on the same machine. */
export function workLines(
  target: Pick<RunnerTarget, 'runner' | 'machine'>,
  look: RunnerSeen,
  effect: Effect,
  now: number,
): readonly string[] {
  const own = jobLine(target, look, effect, now);
  const neighbours = look.github.known ? look.github.value.busyNeighbours : [];
  return [
    ...(own === null ? [] : [own]),
    ...neighbours.map(
      ({ name }) =>
        `This could cut the job of ${name}, which lives on ${target.machine} as well: its clock may be set, or the machine restarted.`,
    ),
  ];
}

/** The job that runs there; `null` if none does. */
function jobLine(
  { runner }: Pick<RunnerTarget, 'runner'>,
  { github, machine, runningJob }: RunnerSeen,
  effect: Effect,
  now: number,
): string | null {
  if (runningJob.known) {
    const job = runningJob.value;
    const unread = unreadGuest(machine);
    if (job === null && unread !== null) {
      return `This ${effect} a job if one runs on ${runner}, which GitHub calls idle; its machine could not be asked (${unread}).`;
    }
    const since = job?.startedAt == null ? '' : `, ${formatDuration(Math.max(0, now - job.startedAt))} in`;
    return job === null ? null : `This ${effect} the job \`${job.name}\` of run ${job.run} on ${runner}${since}.`;
  }
  const guest = machine.known ? valueOrNull(machine.value.guest) : null;
  const isBusy = (github.known && github.value.runner?.busy === true) || (guest !== null && guest.workers > 0);
  return isBusy
    ? `This ${effect} the job that runs on ${runner}; its name is unknown (${runningJob.why}).`
    : `This ${effect} a job if one runs on ${runner}, which is unknown (${runningJob.why}).`;
}

/** Why a guest that may run could not be asked; `null` if it was, or nothing runs there. GitHub's word alone does not make a runner idle. */
function unreadGuest(machine: RunnerSeen['machine']): string | null {
  if (!machine.known) {
    return machine.why;
  }
  const { guest, state } = machine.value;
  return guest.known || !mayRun(state) ? null : guest.why;
}

function cacheText({ machine }: RunnerSeen): string {
  const guest = machine.known ? valueOrNull(machine.value.guest) : null;
  const cache = guest?.cache ?? null;
  return cache === null
    ? 'the size of its actions cache is unknown'
    : `its actions cache holds ${bytesText(cache.bytes)} (${cache.entries} entries)`;
}

/** `null` without configuration. */
type Seen = readonly { readonly target: RunnerTarget; readonly look: RunnerSeen }[] | null;

async function lookAtAll({ runners, terminal, invocation }: Victims): Promise<Seen> {
  if (terminal === null) {
    return null;
  }
  const ports = createPorts(terminal, invocation.env);
  const targets = terminal.runners.filter((target) => runners.some((runner) => isSameName(qualifiedName(runner), qualifiedName(target))));
  return sayWhenSlow(
    Promise.all(targets.map(async (target) => ({ target, look: await lookAtRunner(ports, target, invocation.interrupted) }))),
  );
}

function namesOf({ runners }: Victims): string {
  return runners.map(({ runner }) => runner).join(', ');
}
