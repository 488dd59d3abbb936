import { isUncordoned } from './cordon.ts';
import type { Diagnosis } from './diagnose.ts';
import type { CureKind, Diagnosed } from './finding.ts';
import type { Prescription, Withheld, WithheldReason } from './health-report.ts';
import { refusedByBudget, unfetched, type BudgetRefusal, type CountedAct, type LedgerEntry } from './ledger.ts';
import type { PassObservation } from './pass.ts';
import type { HealthPolicy } from './policy.ts';
import { SUSPICIONS, type Suspicion } from './recovery-request.ts';
import { unfetchedPackage } from './rules/package.ts';
import { isDrainedForRoom, roomDrainId } from './upkeep.ts';
import { TurnTaking, type Missed, type Turns } from './turns.ts';
import { floorReason, resumeObstacle } from './room.ts';
import { LEAST_FREE_BYTES } from './runner.ts';
import {
  areStraysIdle,
  clockObstacle,
  hasDrifted,
  hasJob,
  isDrained,
  isEphemeral,
  mayRun,
  momentOf,
  neighbourWorkReason,
  type Situation,
  situationsOf,
  workReason,
} from './situation.ts';

export interface PrescriptionContext {
  /** Acts on its machine by `scope/name`; a runner without an entry has had none. */
  readonly ledgers: Readonly<Record<string, readonly LedgerEntry[]>>;
  readonly policy: HealthPolicy;
  /** Whether something may be done about a runner (`scope/name`); by default about all. */
  readonly isMeant?: (runner: string) => boolean;
}

export interface Prescribed {
  /** One a runner at most; those that a job waits for come first. */
  readonly prescriptions: readonly Prescription[];
  readonly withheld: readonly Withheld[];
  /** Findings that the prescribing itself has made. */
  readonly findings: readonly Diagnosed[];
  /** Whose turn it is, for the next pass. */
  readonly turns: Turns;
  readonly missed: Missed;
}

/** What is to be done, and why the rest is not. */
export function prescribe(
  diagnosis: Diagnosis,
  seen: PassObservation,
  { ledgers, policy, isMeant = () => true }: PrescriptionContext,
): Prescribed {
  // What the pass leaves says since when things are so, this pass included.
  const all = situationsOf(seen, diagnosis.memory, policy);
  const bySubject = Map.groupBy(diagnosis.findings, ({ subject }) => subject);
  const turns = new TurnTaking(all, bySubject, diagnosis.memory);
  const prescriptions: Prescription[] = [];
  const withheld: Withheld[] = [];
  const findings: Diagnosed[] = [];
  const machines = new Map<string, string>();
  const isGivenUp = (runner: string): boolean => {
    const situation = all.find(({ name }) => name === runner);
    return situation !== undefined && refusedRecovery(situation, ledgers[runner] ?? [], policy) !== null;
  };

  for (const situation of inTurn(
    all.filter(({ name }) => isMeant(name)),
    turns,
  )) {
    const { name: runner, target } = situation;
    const own = bySubject.get(runner) ?? [];
    const withhold = (because: string, against: Against): void => void withheld.push({ runner, because, ...against });
    for (const finding of own.filter(isMeantSo)) {
      withhold(finding.code, { reason: 'meant-so', why: finding.evidence });
    }
    const fetch = unfetched(ledgers[runner] ?? []);
    if (fetch !== null && own.some(({ code }) => code === 'package-missing')) {
      findings.push(unfetchedPackage(situation, fetch.why));
    }
    const curable = own.filter(({ cure }) => cure !== null);
    const isStuck = curable.some(({ code, isProven }) => code === 'stuck-busy' && isProven);
    const allowed = curable.filter((finding) => {
      const against = reasonAgainst(finding, situation, isStuck);
      if (against !== null) {
        withhold(finding.code, against);
      }
      return against === null;
    });
    const machine = `${target.host}/${target.machine}`;
    for (const chosen of inOrder(allowed)) {
      const share = shareOf(chosen);
      const helper = machines.get(`${machine} ${share}`);
      const refusal = refusalOf(chosen, situation, ledgers[runner] ?? [], policy);
      const alike = allowed.filter(({ cure }) => cure === chosen.cure);
      const others = turns.against(alike, runner, isGivenUp);
      if (helper !== undefined) {
        withhold(chosen.code, { reason: 'sharing', why: `the cure of ${helper} concerns its machine as well` });
      } else if (others !== null) {
        const { why, until } = others;
        const about = until === null ? { why } : { why, until: new Date(until).toISOString() };
        alike.forEach(({ code }) => withhold(code, { reason: 'one-at-a-time', ...about }));
      } else if (chosen.cure === 'fetch-package' && fetch !== null && situation.at < fetch.at + policy.upkeep.package.retryMs) {
        const until = fetch.at + policy.upkeep.package.retryMs;
        withhold(chosen.code, {
          reason: 'budget',
          why: `the last try failed: ${fetch.why}; until ${momentOf(until)}`,
          limit: 'the last try failed',
          until: new Date(until).toISOString(),
        });
      } else if (refusal !== null) {
        const { why, limit, until } = refusal;
        withhold(chosen.code, { reason: 'budget', why: `${why}; until ${momentOf(until)}`, limit, until: new Date(until).toISOString() });
        findings.push(...(isTold(chosen, situation) ? [] : [budgetFinding(situation, chosen, refusal)]));
      } else {
        if (share !== null) {
          machines.set(`${machine} ${share}`, target.runner);
        }
        turns.take(alike, runner);
        prescriptions.push({
          runner,
          cure: chosen.cure,
          because: chosen.code,
          isUrgent: isWanted(situation) && chosen.cure !== 'finish-drain' && !isUpkeep(chosen),
          startsMachine: isMachineStopped(situation.state),
          suspicion: suspicionOf(allowed) ?? (areStraysIdle(situation) ? 'stray-listener' : null),
        });
        break;
      }
      // Whoever needs more than upkeep gets none before that.
      if (!isUpkeep(chosen)) {
        break;
      }
    }
  }
  const many = turns.find(seen.scope);
  return {
    prescriptions: prescriptions.toSorted((a, b) => Number(b.isUrgent) - Number(a.isUrgent)),
    withheld,
    findings: many === null ? findings : [...findings, many],
    turns: turns.turns,
    missed: turns.missed,
  };
}

/**
 * Of those that show the same the one goes first that a job waits for, but for those whose turn has ended without a cure. Of runners that share a disk without room each is to be drained, so
 * those that are give way to the others.
 */
function inTurn(situations: readonly Situation[], turns: TurnTaking): readonly Situation[] {
  const places = (situation: Situation): readonly number[] => [
    Number(isDrained(situation)),
    turns.place(situation.name),
    Number(!isWanted(situation)),
  ];
  return situations.toSorted((one, other) => {
    const others = places(other);
    return (
      places(one)
        .map((place, index) => place - (others[index] ?? 0))
        .find((difference) => difference !== 0) ?? 0
    );
  });
}

function isWanted({ demand }: Situation): boolean {
  return (demand ?? []).length > 0;
}

type Curable = Diagnosed & { readonly cure: CureKind };

/** Causes that the cure of one runner removes for all on the machine. */
const WHOLE_MACHINE: ReadonlySet<string> = new Set([
  'machine-stopped',
  'machine-suspended',
  'machine-state-unknown',
  'guest-unreachable',
  'clock-drift',
]);

function isMeantSo({ code, cure, severity }: Diagnosed): boolean {
  return cure === null && severity === 'info' && (code === 'machine-stopped' || code === 'machine-suspended');
}

type Against = Omit<Withheld, 'runner' | 'because'> & { readonly reason: WithheldReason };

/** Why nothing is done about the finding now, or `null`. */
function reasonAgainst(finding: Diagnosed, situation: Situation, isStuck: boolean): Against | null {
  const { github, registered, standing, machine, guest, state, target, isJustWoke } = situation;
  if (!github.known) {
    return { reason: 'unknown', why: 'unknown: GitHub could not be read' };
  }
  if (standing === 'unknown') {
    return { reason: 'unknown', why: `unknown: ${situation.unproven ?? `GitHub's word is ${registered?.status}`}` };
  }
  if (!machine.known) {
    return { reason: 'unknown', why: `unknown: machine ${target.machine} could not be asked` };
  }
  if (finding.cure !== 'finish-drain' && isDrained(situation) && !isRoomForOwnDrain(finding, situation)) {
    return { reason: 'drained', why: 'skipped: it is drained' };
  }
  if ([isToBeDrained, isToBeCordoned, isLongMarked].some((isSo) => isSo(finding, situation)) && guest?.runningAct === null) {
    return null;
  }
  const work =
    workReason(situation, isStuck) ??
    (concernsMachine(finding, situation) ? neighbourWorkReason(situation) : null) ??
    // Unlike a recovery, it goes past no worker, not even past that of a stray listener which GitHub has called idle for long.
    (finding.cure === 'sync-clock' && guest !== null && guest.workersOnMachine > 0 ? 'a Runner.Worker runs in the guest' : null);
  if (work !== null) {
    return { reason: hasJob(situation, isStuck) ? 'job' : 'busy', why: `busy: ${work}` };
  }
  if (finding.cure === 'fetch-package' && isWanted(situation)) {
    return { reason: 'busy', why: 'busy: a job waits for it' };
  }
  if (finding.cure === 'recover' && isEphemeral(situation)) {
    return { reason: 'meant-so', why: 'it is ephemeral: it goes after one job, by design' };
  }
  if (!finding.isProven) {
    const isStillOnline = isMachineStopped(state) && standing === 'online';
    return {
      reason: 'not-proven',
      why: isStillOnline ? 'not proven yet: GitHub shows it online' : 'seen once: the next scheduled check confirms before acting',
    };
  }
  // The clock may be set after a sleep, since that is what a sleep spoils.
  if (isJustWoke && finding.cure === 'recover') {
    return { reason: 'just-woke', why: 'unknown: its host just woke' };
  }
  if (guest !== null && guest.disk.freeBytes < LEAST_FREE_BYTES && finding.cure === 'recover') {
    return { reason: 'disk-full', why: `the disk of ${target.machine} is full: free disk space first` };
  }
  const obstacle = finding.cure === 'finish-drain' ? null : clockObstacle(situation);
  return obstacle === null ? null : { reason: 'host-clock', why: obstacle };
}

/** A runner that is marked as drained and has labels at GitHub: its drain was cut off, and it would be given the next job. */
function isToBeCordoned({ cure }: Pick<Diagnosed, 'cure'>, { guest, registered }: Situation): boolean {
  return cure === 'finish-drain' && guest?.drain != null && registered !== null && isUncordoned(guest.drain, registered);
}

/** Its drain, as a person asked for it, was most likely cut off, and one job after the other would keep it from its end: a drain has the guest pause it between two. */
function isLongMarked({ cure }: Pick<Diagnosed, 'cure'>, { guest, earlier, at, policy }: Situation): boolean {
  const { drainedSince } = earlier;
  const isByPerson = guest?.drain != null && !isDrainedForRoom(guest);
  return cure === 'finish-drain' && isByPerson && drainedSince !== null && at - drainedSince >= policy.cureStuckAfterMs;
}

/** A runner that takes jobs although its disk is below the floor: making room drains it, and lets the job that runs end. */
function isToBeDrained({ cure }: Pick<Diagnosed, 'cure'>, { guest, policy }: Situation): boolean {
  return cure === 'make-room' && guest !== null && guest.drain === null && floorReason(guest.disk, policy.upkeep.room) !== null;
}

/** Runward drained it for want of room, and no person has since, so it is Runward's to make some. */
function isRoomForOwnDrain({ cure }: Diagnosed, { guest, earlier }: Situation): boolean {
  return cure === 'make-room' && guest !== null && isDrainedForRoom(guest) && earlier.notedSince === undefined;
}

function isToBeTakenUp(finding: Diagnosed, situation: Situation): boolean {
  const { guest, policy } = situation;
  return isRoomForOwnDrain(finding, situation) && guest !== null && resumeObstacle(guest.disk, policy.upkeep.room) === null;
}

function isMachineStopped(state: Situation['state']): boolean {
  return state === 'stopped' || state === 'suspended';
}

/** Setting the clock, which a recovery does first, and restarting a machine need all its runners idle. */
function concernsMachine({ code, cure }: Diagnosed, situation: Situation): boolean {
  return (WHOLE_MACHINE.has(code) || (cure === 'recover' && hasDrifted(situation))) && mayRun(situation.state);
}

/** A recovery does what the lesser cures do as well; upkeep is for runners that work, room first. */
const ORDER: readonly CureKind[] = ['finish-drain', 'recover', 'sync-clock', 'make-room', 'heal-cache', 'clean-cache', 'fetch-package'];

/** One finding of each cure. */
function inOrder(allowed: readonly Diagnosed[]): readonly Curable[] {
  return ORDER.flatMap((cure): readonly Curable[] => {
    const finding = allowed.find((each) => each.cure === cure);
    return finding === undefined ? [] : [{ ...finding, cure }];
  });
}

/** Care for the cache or the disk. */
const UPKEEP_CURES: ReadonlySet<CureKind> = new Set(['make-room', 'heal-cache', 'clean-cache', 'fetch-package']);

/** Whether its own finding tells people, also where its budget is used up. */
function isTold(finding: Curable, situation: Situation): boolean {
  return (finding.cure === 'make-room' && !isToBeTakenUp(finding, situation)) || finding.cure === 'heal-cache';
}

/** What a person does instead of a check, as words of the command. */
function byHand({ cure }: Curable): string {
  return cure === 'clean-cache' ? 'cache clean' : cure === 'make-room' ? 'runner resume' : 'recover';
}

function isUpkeep({ cure }: Curable): boolean {
  return UPKEEP_CURES.has(cure);
}

/** What of its machine the cure is about for all runners there; `null` where it is about the runner alone. */
function shareOf({ code, cure }: Curable): 'machine' | 'disk' | 'package' | null {
  if (WHOLE_MACHINE.has(code)) {
    return 'machine';
  }
  if (cure === 'fetch-package') {
    return 'package';
  }
  return cure === 'make-room' ? 'disk' : null;
}

function suspicionOf(allowed: readonly Diagnosed[]): Suspicion | null {
  return SUSPICIONS.find((suspicion) => allowed.some(({ code }) => code === suspicion)) ?? null;
}

const COUNTED: Readonly<Record<CureKind, CountedAct | null>> = {
  recover: 'recoverRunner',
  'sync-clock': 'syncClock',
  // It stops what was asked to stop, and only once.
  'finish-drain': null,
  'make-room': 'makeRoom',
  'heal-cache': 'healActionsCache',
  'clean-cache': 'cleanActionsCache',
  // It harms nobody, and is tried again after a while of its own.
  'fetch-package': null,
};

function refusalOf(
  finding: Curable,
  situation: Situation,
  entries: readonly LedgerEntry[],
  { budgets }: HealthPolicy,
): BudgetRefusal | null {
  const { name, target, at } = situation;
  const asked = { scope: target.scope, runner: target.runner, now: at };
  const type = COUNTED[finding.cure];
  // That a runner is drained is safe at any time; what would be drained once more soon is not resumed for ever.
  if (isToBeTakenUp(finding, situation)) {
    const own = entries.filter(({ workflowId }) => workflowId === roomDrainId(name));
    return refusedByBudget(own, asked, budgets, 'drainRunner');
  }
  return type === null || isToBeDrained(finding, situation) ? null : refusedByBudget(entries, asked, budgets, type);
}

function refusedRecovery({ target, at }: Situation, entries: readonly LedgerEntry[], { budgets }: HealthPolicy): BudgetRefusal | null {
  return refusedByBudget(entries, { scope: target.scope, runner: target.runner, now: at }, budgets, 'recoverRunner');
}

function budgetFinding({ name, target }: Situation, chosen: Curable, { why, until }: BudgetRefusal): Diagnosed {
  return {
    code: 'budget-used-up',
    severity: 'critical',
    summary: `checks leave ${target.runner} alone, although ${chosen.summary}`,
    evidence: why,
    advice: `look why it does not last, then run \`runward ${byHand(chosen)} --runner ${target.runner}\`; checks try again after ${momentOf(until)}`,
    subject: name,
    isProven: true,
    cure: null,
  };
}
