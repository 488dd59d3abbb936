import { unprovenAbsence } from './absence.ts';
import type { DrainWord } from './ledger.ts';
import type { DamagedRun } from './damaged-run.ts';
import type { HostObservation, PassObservation, RunnerMemory, RunnersMemory, ScopeObservation, WaitingJobs } from './pass.ts';
import type { HealthPolicy } from './policy.ts';
import { unknown, valueOrNull, type Reading } from './reading.ts';
import type { LogSignCode } from './log-signs.ts';
import { qualifiedName } from './names.ts';
import { allListeners, workersAtJobs } from './recovery.ts';
import type { GuestObservation, MachineObservation, MachineState, RegisteredRunner, RunnerTarget } from './runner.ts';

// One runner as a pass sees it from all sides, and the questions that rules ask.

/** What GitHub says of a runner; `unknown` where it could not be read, says another word, or only lists it no more. */
export type Standing = 'online' | 'offline' | 'unregistered' | 'unknown';

export interface Situation {
  /** `scope/name`. */
  readonly name: string;
  readonly target: RunnerTarget;
  readonly policy: HealthPolicy;
  /** Temporal's clock at the begin of the pass, epoch milliseconds. */
  readonly at: number;
  readonly github: Reading<ScopeObservation>;
  /** `null` where it is not registered, or GitHub could not be read. */
  readonly registered: RegisteredRunner | null;
  readonly standing: Standing;
  /** Why it may be registered although GitHub's list lacks it; `null` where that is proven, or it is listed. */
  readonly unproven: string | null;
  /** GitHub's list lacks it, and its last id does not tell that it is gone. */
  readonly isUnlisted: boolean;
  readonly host: Reading<HostObservation>;
  readonly machine: Reading<MachineObservation>;
  readonly state: MachineState | null;
  readonly guest: GuestObservation | null;
  /** Waiting jobs that it serves; `null` where the queue could not be read. */
  readonly demand: readonly WaitingJobs[] | null;
  /** Runs that failed because of its actions cache; `null` where that could not be looked for. */
  readonly damaged: readonly DamagedRun[] | null;
  /** Such runs that were healed and not run again; `null` the same. */
  readonly leftRuns: readonly DamagedRun[] | null;
  /** Neighbours on its machine, of the same scope, that GitHub calls busy. */
  readonly busyNeighbours: readonly string[];
  /** The same that GitHub calls online: their guest lives. */
  readonly onlineNeighbours: readonly string[];
  /** Those that were drained while their machine did not run: it is started for nobody. */
  readonly notedNeighbours: readonly string[];
  /** Its machine is stopped since Runward itself has stopped it, to restart it, and has not seen it up again. */
  readonly isLeftStopped: boolean;
  /** What earlier passes have left. */
  readonly earlier: RunnerMemory;
  /** Labels that its drain has taken away at GitHub: it has them again once it is resumed, and counts by them until then. */
  readonly cordoned: readonly string[];
  /** The last pass was so lately that its reading and this one are two in a row. */
  readonly isRemembered: boolean;
  /** Its host woke so lately that nothing bad is believed. */
  readonly isJustWoke: boolean;
}

const MINUTE = 60_000;
/** A guest that booted a moment ago is still starting its services. */
export const SETTLED_AFTER_MS = 2 * MINUTE;
/** Listeners that end one after the other; a self-update is one. */
const LOOPING_RELAUNCHES = 3;
/** A runner gives up connecting where its clock is farther from GitHub's. */
const RUNNER_TOLERATES_MS = 5 * MINUTE;

const NOTHING_REMEMBERED: RunnerMemory = {
  ranAt: null,
  offlineSince: null,
  brokenSince: null,
  silentSince: null,
  idleDespiteDemandSince: null,
  busyAloneSince: null,
  drainedSince: null,
};

/** All runners of a pass, in its order. */
export function situationsOf(seen: PassObservation, previous: RunnersMemory | null, policy: HealthPolicy): readonly Situation[] {
  const github = valueOrNull(seen.github);
  const byName = new Map(github?.runners.map((runner) => [runner.name.toLowerCase(), runner]));
  const queue = github === null ? null : valueOrNull(github.queue);
  const isRemembered = previous !== null && previous.at <= seen.at && seen.at - previous.at <= policy.memoryLastsMs;
  return seen.runners.map(({ target, machine, leftStoppedAt, drainWord, notedNeighbours = [] }) => {
    const registered = byName.get(target.runner.toLowerCase()) ?? null;
    const host = seen.hosts[target.host] ?? unknown(`host ${target.host} was not looked at`);
    const looked = valueOrNull(machine);
    const guest = looked?.state === 'running' ? valueOrNull(looked.guest) : null;
    const left = earlierOf(previous, qualifiedName(target), { at: seen.at, isRemembered, state: looked?.state ?? null });
    const earlier = drainWord === undefined ? left : withDrainWord(left, drainWord, seen.at);
    const cordoned = (guest === null ? earlier.cordoned : guest.drain?.labels) ?? [];
    const absence = github?.absent?.[target.runner];
    const isUnlisted = github !== null && registered === null && absence?.kind !== 'gone';
    const isFirstReading = isUnlisted && mayUseRegistration(guest) && !wasSeenBefore({ at: seen.at, policy }, earlier.unlistedSince);
    const unproven =
      github === null
        ? null
        : (unprovenAbsence({ runner: registered, absence }, target, livingIn(looked)) ??
          (isFirstReading ? `GitHub's list lacks ${target.runner}, and no id of it is known to ask by` : null));
    return {
      name: qualifiedName(target),
      target,
      policy,
      at: seen.at,
      github: seen.github,
      registered,
      standing: github === null || unproven !== null ? 'unknown' : standingOf(registered),
      unproven,
      isUnlisted,
      host,
      machine,
      state: looked?.state ?? null,
      guest,
      demand:
        queue === null
          ? isQueueless(github)
            ? []
            : null
          : queue.waiting.filter(({ labels }) => serves({ target, registered, cordoned }, labels)),
      damaged: damagedOf(seen, target)?.filter(({ left }) => left === undefined) ?? null,
      leftRuns: damagedOf(seen, target)?.filter(({ left }) => left !== undefined) ?? null,
      busyNeighbours: neighboursOf(target, byName, ({ busy }) => busy),
      onlineNeighbours: neighboursOf(target, byName, ({ status }) => status === 'online'),
      notedNeighbours,
      earlier,
      cordoned,
      isLeftStopped: leftStoppedAt !== undefined && (earlier.answeredAt ?? -Infinity) < leftStoppedAt,
      isRemembered,
      isJustWoke: host.known && host.value.wokeAt !== null && host.value.observedAt - host.value.wokeAt < policy.justWokeMs,
    };
  });
}

/** Something lives in the guest, or is configured there, and nothing says that its registration is gone. */
function mayUseRegistration(guest: GuestObservation | null): boolean {
  return guest !== null && (guest.registration !== null || allListeners(guest) > 0) && !hasSign(guest, 'registration-deleted');
}

/** The guest as it tells whether a listener lives there; a machine in state `unknown` may run. */
function livingIn(looked: MachineObservation | null): GuestObservation | 'none' | null {
  if (looked === null) {
    return null;
  }
  return mayRun(looked.state) ? valueOrNull(looked.guest) : 'none';
}

function damagedOf({ damaged }: Pick<PassObservation, 'damaged'>, target: RunnerTarget): readonly DamagedRun[] | null {
  return valueOrNull(damaged)?.filter(({ runner }) => runner === target.runner) ?? null;
}

/** Those of the same scope; what GitHub says of others was not read. */
function neighboursOf(
  { scope, neighbours }: RunnerTarget,
  byName: ReadonlyMap<string, RegisteredRunner>,
  isSo: (registered: RegisteredRunner) => boolean,
): readonly string[] {
  return neighbours.flatMap((neighbour) => {
    const registered = neighbour.scope === scope ? byName.get(neighbour.runner.toLowerCase()) : undefined;
    return registered !== undefined && isSo(registered) ? [neighbour.runner] : [];
  });
}

function standingOf(registered: RegisteredRunner | null): Standing {
  if (registered === null) {
    return 'unregistered';
  }
  return registered.status === 'online' || registered.status === 'offline' ? registered.status : 'unknown';
}

/** Whether GitHub was read and has no list of runs. */
function isQueueless(github: ScopeObservation | null): boolean {
  return github !== null && github.queue.known && github.queue.value === null;
}

function earlierOf(
  previous: RunnersMemory | null,
  name: string,
  { at, isRemembered, state }: Pick<Situation, 'at' | 'isRemembered' | 'state'>,
): RunnerMemory {
  if (previous === null) {
    return NOTHING_REMEMBERED;
  }
  const remembered: RunnerMemory = {
    ...NOTHING_REMEMBERED,
    ...untilNow(previous.runners[name] ?? { ranAt: previous.at, answeredAt: previous.at }, at),
  };
  if (!isRemembered) {
    const { straySince: _stray, unlistedSince: _unlisted, ...rest } = remembered;
    return { ...rest, brokenSince: null, silentSince: null, idleDespiteDemandSince: null, busyAloneSince: null };
  }
  const { ranAt, brokenSince } = remembered;
  // While its machine did not run nothing was seen of its service.
  const hasBegunToRun = state === 'running' && brokenSince !== null && (ranAt === null || ranAt < brokenSince);
  return hasBegunToRun ? { ...remembered, brokenSince: null } : remembered;
}

/** A clock that was ahead, and was set right since, has left times that are yet to come: what was so then is so since now. */
function untilNow(memory: Partial<RunnerMemory>, at: number): Partial<RunnerMemory> {
  return Object.fromEntries(Object.entries(memory).map(([name, value]) => [name, typeof value === 'number' ? Math.min(value, at) : value]));
}

/** A ledger has the time of an operation's first act; by then what it did has been done in the guest as well. */
const WORD_DONE_WITHIN_MS = 10 * MINUTE;

/**
 * What a person has said since holds, whatever passes remember of the mark; a guest that was seen after that knows better, but for what is noted.
 * A time that lies ahead is that of a clock that was wrong, and older than any look.
 */
function withDrainWord(earlier: RunnerMemory, { isDrained: is, isNoted, at }: DrainWord, now: number): RunnerMemory {
  const saidBefore = at > now ? -Infinity : at + WORD_DONE_WITHIN_MS;
  if (!isNoted && earlier.answeredAt !== undefined && earlier.answeredAt > saidBefore) {
    return earlier;
  }
  const { notedSince: _, ...rest } = earlier;
  return { ...rest, drainedSince: is ? (earlier.drainedSince ?? at) : null, ...(isNoted ? { notedSince: at } : {}) };
}

/** What `config.sh` adds to the labels of a guest that is not registered yet: always Linux, of an architecture that is not known. */
export const ADDED_LABELS: readonly string[] = ['self-hosted', 'linux', 'x64', 'arm64', 'arm'];

/** Whether the runner has all these labels: by GitHub's list, or once it is resumed, or registered as configured. */
export function serves(
  {
    target,
    registered,
    cordoned = [],
  }: { readonly target: RunnerTarget; readonly registered: RegisteredRunner | null; readonly cordoned?: readonly string[] },
  labels: readonly string[],
): boolean {
  const now = registered?.labels ?? [...target.labels, ...ADDED_LABELS];
  const own = new Set([...now, ...cordoned].map((label) => label.toLowerCase()));
  return labels.every((label) => own.has(label.toLowerCase()));
}

/** Whether GitHub has been seen to miss it by the pass before as well. */
export function isOfflineTwice(situation: Situation): boolean {
  const { standing, earlier, isRemembered } = situation;
  const isMissed = standing === 'offline' || standing === 'unregistered';
  return isMissed && isRemembered && wasSeenBefore(situation, earlier.offlineSince);
}

export function isBrokenTwice(situation: Situation): boolean {
  return wasSeenBefore(situation, situation.earlier.brokenSince);
}

export function isSilentTwice(situation: Situation): boolean {
  return wasSeenBefore(situation, situation.earlier.silentSince);
}

/** Whether this reading and the one that began it are two: readings moments apart, as of a check by hand right after a scheduled one, are one. */
export function wasSeenBefore({ at, policy }: Pick<Situation, 'at' | 'policy'>, since: number | null | undefined): boolean {
  return since != null && since < at && at - since >= policy.readingsApartMs;
}

/** What the guest shows is wrong, and GitHub agrees that it does not work, or an earlier pass saw something wrong as well. */
export function isBrokenForSure(situation: Situation): boolean {
  const { standing, guest } = situation;
  const agrees = standing === 'offline' || standing === 'unregistered';
  return (agrees && (guest === null || hasSettled(guest))) || isBrokenTwice(situation);
}

export function hasSettled({ uptimeMs }: GuestObservation): boolean {
  return uptimeMs >= SETTLED_AFTER_MS;
}

/** The service does not run as it should, by the guest alone. */
export function isBroken(guest: GuestObservation): boolean {
  return (
    guest.service.state !== 'active' ||
    guest.listeners !== 1 ||
    guest.registration === null ||
    guest.missingProgram !== null ||
    isLooping(guest) ||
    isRefusedForSession(guest)
  );
}

export function isLooping({ service, log }: GuestObservation): boolean {
  return service.state === 'active' && log.relaunches >= LOOPING_RELAUNCHES;
}

/** Whether what only the guest can tell was read; of a machine that is gone nothing is left to be told. */
export function isGuestRead({ guest, state }: Situation): boolean {
  return guest !== null || state === 'missing' || state === 'deleted';
}

export function isDrained({ guest, earlier }: Situation): boolean {
  return guest === null ? earlier.drainedSince !== null : guest.drain !== null || earlier.notedSince !== undefined;
}

export function hasSign(guest: GuestObservation | null, code: LogSignCode): boolean {
  return guest?.log.signs.some((sign) => sign.code === code) ?? false;
}

/** By GitHub's last word, since a job can write what the guest says; one that is gone went by design. */
export function isEphemeral({ registered, earlier }: Situation): boolean {
  return (registered === null ? earlier.isEphemeral : registered.isEphemeral) === true;
}

/** The guest's clock minus the right time: the host's, or GitHub's where the host's own is wrong. `null` where it can't be told. */
export function driftOf({ guest, host, policy }: Situation): number | null {
  if (guest === null) {
    return null;
  }
  const hostOffset = valueOrNull(host) === null ? null : hostOffsetOf(host, policy);
  return guest.clockOffsetMs + (hostOffset ?? 0);
}

/** Host's clock minus GitHub's where it is wrong, else `null`. */
export function hostOffsetOf(host: Reading<HostObservation>, { hostDriftMs }: HealthPolicy): number | null {
  const offset = host.known ? valueOrNull(host.value.githubOffsetMs) : null;
  return offset !== null && Math.abs(offset) >= hostDriftMs ? offset : null;
}

export function hasDrifted(situation: Situation): boolean {
  const drift = driftOf(situation);
  return drift !== null && Math.abs(drift) >= situation.policy.driftThresholdMs;
}

/** Why the host's clock stands in the way of a cure, which measures the guest's by it; `null` where it does not. */
export function clockObstacle(situation: Situation): string | null {
  const { guest, host, policy, target } = situation;
  if (guest === null || hostOffsetOf(host, policy) === null) {
    return null;
  }
  const differs = Math.abs(guest.clockOffsetMs) >= policy.driftThresholdMs;
  const isTooFar = Math.abs(driftOf(situation) ?? 0) >= RUNNER_TOLERATES_MS;
  return differs || isTooFar ? `the clock of host ${target.host} is wrong: set it first` : null;
}

/** A self-update that has begun and not ended; one that has been broken for longer than a job may be lost has failed. */
function isUpdating({ guest, earlier, at, policy }: Situation): boolean {
  return hasSign(guest, 'updating') && (earlier.brokenSince === null || at - earlier.brokenSince < policy.stuckBusyAfterMs);
}

/**
 * Why a job may be running, or an act in the guest, or `null`. A machine that does not run can't run a job; one in state `unknown` may run.
 * @param isStuck GitHub's `busy` has been proved wrong
 */
export function workReason(situation: Situation, isStuck: boolean): string | null {
  const { state, guest, registered } = situation;
  if (state !== null && !mayRun(state)) {
    return null;
  }
  const reasons = [
    ...(hasWorker(situation) ? ['a Runner.Worker runs in the guest'] : []),
    ...(registered?.busy === true && !isStuck ? ['GitHub calls it busy'] : []),
    ...(isUpdating(situation) ? ['the runner updates itself'] : []),
    ...(guest !== null && guest.runningAct !== null ? [`act ${guest.runningAct} runs in the guest`] : []),
  ];
  return reasons.length === 0 ? null : reasons.join('; ');
}

/** Whether a machine runs, or its provider does not know. */
export function mayRun(state: MachineState | null): boolean {
  return state === 'running' || state === 'unknown';
}

/** Whether a side says that it works on a job. */
export function hasJob(situation: Situation, isStuck: boolean): boolean {
  return hasWorker(situation) || (situation.registered?.busy === true && !isStuck);
}

function hasWorker(situation: Situation): boolean {
  return situation.guest !== null && workersAtJobs(situation.guest, areStraysIdle(situation)) > 0;
}

/** Whether the only workers in its guest are those of strays, and GitHub calls it idle; `null` where a side could not be read. */
export function isStrayWork({ github, registered, guest }: Situation): boolean | null {
  if (!github.known || guest === null) {
    return null;
  }
  const { workers, strays } = guest;
  return strays !== undefined && workers > 0 && workers === strays.workers && registered?.busy !== true;
}

/** Whether that has lasted, pass by pass, for longer than a job that GitHub does not know of could. */
export function areStraysIdle(situation: Situation): boolean {
  const { earlier, at, policy } = situation;
  const { straySince } = earlier;
  return isStrayWork(situation) === true && straySince !== undefined && at - straySince >= policy.stuckBusyAfterMs;
}

/** Why a job may be running on a neighbour of its machine, or `null`. */
export function neighbourWorkReason({ guest, busyNeighbours }: Situation): string | null {
  if (guest !== null && guest.workersOnMachine > guest.workers) {
    return 'a Runner.Worker of a neighbour runs in the guest';
  }
  return busyNeighbours.length === 0 ? null : `GitHub calls its neighbour ${busyNeighbours.join(', ')} busy`;
}

/**
 * For how long GitHub has called it busy without a worker in its guest, pass by pass, and since its service was started at most; `null` where that
 * is not so now. Milliseconds.
 */
export function busyAloneMs(situation: Situation): number | null {
  const { earlier, at, guest } = situation;
  const since = earlier.busyAloneSince;
  return isBusyAlone(situation) === true && since !== null ? Math.min(at - since, guest?.log.startedAgoMs ?? Infinity) : null;
}

/** `null` where a side could not be read. */
export function isBusyAlone({ github, registered, standing, state, guest }: Situation): boolean | null {
  if (!github.known || state === null || (mayRun(state) && guest === null)) {
    return null;
  }
  if (registered?.busy !== true) {
    return false;
  }
  if (guest === null) {
    return standing !== 'online';
  }
  return guest.workers === 0 && guest.runningAct === null && !mayWorkElsewhere(registered, guest);
}

/** Another machine may have the session, and the job: it is online without a listener here, under another id, or refused here for a session. */
function mayWorkElsewhere({ status, id }: RegisteredRunner, guest: GuestObservation): boolean {
  const isOther = guest.registration !== null && guest.registration.agentId !== id;
  return isOther || (status === 'online' && allListeners(guest) === 0) || isRefusedForSession(guest);
}

/** How a listener ends whose session somebody else has. */
const SESSION_CONFLICT_EXIT = 5;

export function isRefusedForSession(guest: GuestObservation): boolean {
  return hasSign(guest, 'session-conflict') || guest.log.exitCode === SESSION_CONFLICT_EXIT;
}

/** Online and idle on both sides while a job waits that it serves; `null` where a side could not be read. */
export function isIdleDespiteDemand({ github, registered, standing, demand, machine, guest }: Situation): boolean | null {
  if (!github.known || demand === null || !machine.known || (machine.value.state === 'running' && guest === null)) {
    return null;
  }
  return (
    standing === 'online' &&
    registered?.busy === false &&
    guest !== null &&
    guest.service.state === 'active' &&
    guest.listeners === 1 &&
    guest.workers === 0 &&
    guest.drain === null &&
    demand.length > 0
  );
}

/** GitHub's clock minus when the job began to wait, milliseconds. */
export function waitedMs({ oldestAt }: WaitingJobs, github: ScopeObservation): number {
  return github.observedAt - oldestAt;
}

export const LEFT_STOPPED = 'Runward stopped it to restart it, and it was not started again';

/** Why its machine is to be started by a check, or `null`. What a person said by a drain holds, of a neighbour as well. */
export function startReason(situation: Situation): string | null {
  return situation.notedNeighbours.length > 0 ? null : wantedReason(situation);
}

/** Why its machine should run, by itself; `null` where it may be left stopped. */
export function wantedReason(situation: Situation): string | null {
  const { policy, demand, host, earlier, at } = situation;
  if (policy.autostart === 'never' || isDrained(situation)) {
    return null;
  }
  if (situation.isLeftStopped) {
    return LEFT_STOPPED;
  }
  if (policy.autostart === 'always') {
    return 'it shall always run';
  }
  const [job] = demand ?? [];
  if (job !== undefined) {
    return `run ${job.runId} waits for it`;
  }
  // By the host's own clock alone, so that no two clocks are compared.
  const bootedAgoMs = host.known ? host.value.observedAt - host.value.bootedAt : null;
  const hasBootedSince = bootedAgoMs !== null && earlier.ranAt !== null && bootedAgoMs < at - earlier.ranAt;
  return hasBootedSince ? 'its host has booted since it ran' : null;
}

/** The newest that the listener said, for the evidence; empty where it said nothing. */
export function lastWords({ log }: GuestObservation): string {
  const line = log.signs[0]?.line;
  return `${log.exitCode === null ? '' : `, exit code ${log.exitCode}`}${line === undefined ? '' : `: ${shortened(line, 120)}`}`;
}

/** Evidence travels in histories. */
export function shortened(text: string, length = 200): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`;
}

/** `3 d`, `5 h`, `12 min`. */
export function spanOf(ms: number): string {
  const minutes = Math.round(ms / MINUTE);
  if (minutes < 120) {
    return `${minutes} min`;
  }
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h` : `${Math.floor(hours / 24)} d`;
}

/** The last moment that a date can hold, epoch milliseconds (ECMAScript, 21.4.1.1). */
const LAST_MOMENT = 8.64e15;

/** `2026-11-24 21:58 UTC`; guests and headers may say anything. */
export function momentOf(ms: number): string {
  return Math.abs(ms) <= LAST_MOMENT ? `${new Date(ms).toISOString().slice(0, 16).replace('T', ' ')} UTC` : 'an unknown time';
}
