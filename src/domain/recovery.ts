import { unprovenAbsence } from './absence.ts';
import { qualifiedName } from './names.ts';
import { type Reading } from './reading.ts';
import type { RecoveryPolicy } from './policy.ts';
import type { Suspicion } from './recovery-request.ts';
import { RUNGS, type Rung } from './report.ts';
import type { DrainMark, GitHubObservation, GuestObservation, MachineObservation, Neighbour, RunnerTarget } from './runner.ts';

/** One look at both sides. */
export interface Look {
  readonly github: Reading<GitHubObservation>;
  readonly machine: Reading<MachineObservation>;
}

/** What a recovery does after a look. Every answer carries its evidence, one reading a line. */
export type RecoveryDecision =
  | { readonly kind: 'already-healthy'; readonly evidence: readonly string[] }
  | { readonly kind: 'recover'; readonly evidence: readonly string[] }
  /** The machine has to be started before its guest can be asked. */
  | { readonly kind: 'start-machine'; readonly evidence: readonly string[] }
  /** The machine runs or may run, its guest has not answered for long, and none of its runners can be at work. */
  | { readonly kind: 'restart-machine'; readonly why: string; readonly evidence: readonly string[] }
  /** The machine is on its way up, its guest does not answer yet, or GitHub may be late: look again. Ends with the time that it is given. */
  | { readonly kind: 'look-again'; readonly why: string; readonly evidence: readonly string[] }
  | { readonly kind: 'refused-busy'; readonly why: string; readonly evidence: readonly string[] }
  /** GitHub shows somebody online in a guest that does not answer: he may get a job at any moment. */
  | { readonly kind: 'refused-online'; readonly why: string; readonly evidence: readonly string[] }
  /** A person said that the runner shall take no jobs, which holds also against force. */
  | { readonly kind: 'refused-drained'; readonly why: string; readonly evidence: readonly string[] }
  | { readonly kind: 'impossible'; readonly why: string; readonly evidence: readonly string[] };

export interface DecisionOptions {
  /** Overrides busy and already healthy, nothing else. */
  readonly force: boolean;
  /** For how long it has been looked without an answer of the guest, or without a change at GitHub; milliseconds. */
  readonly lookedForMs: number;
  /** What passes in a row have shown; `null` for what one look can tell. */
  readonly suspicion?: Suspicion | null;
}

/** What a recovery does after a look. */
export function decideRecovery(target: RunnerTarget, look: Look, policy: RecoveryPolicy, options: DecisionOptions): RecoveryDecision {
  const evidence = evidenceOf(look);
  const { github, machine } = look;
  if (!github.known) {
    return { kind: 'impossible', why: `GitHub could not be read, so nothing was touched: ${github.why}`, evidence };
  }
  if (!machine.known) {
    return { kind: 'impossible', why: `machine ${target.machine} could not be read, so nothing was touched: ${machine.why}`, evidence };
  }
  switch (machine.value.state) {
    case 'missing':
      return {
        kind: 'impossible',
        why: `there is no machine named ${target.machine} on host ${target.host}: check VM_NAME or the file's \`vm\``,
        evidence,
      };
    case 'deleted':
      return {
        kind: 'impossible',
        why: `machine ${target.machine} is deleted: bring it back with \`multipass recover ${target.machine}\``,
        evidence,
      };
    case 'stopped':
    case 'suspended':
      return { kind: 'start-machine', evidence };
    case 'starting':
    case 'restarting':
    case 'suspending':
    case 'delayed shutdown': {
      const why = `machine ${target.machine} is ${machine.value.state}`;
      return options.lookedForMs < policy.guestAnswersWithinMs
        ? { kind: 'look-again', why, evidence }
        : {
            kind: 'impossible',
            why: `${why} for ${Math.round(options.lookedForMs / 1_000)} s: look with \`multipass list --no-ipv4\``,
            evidence,
          };
    }
    case 'unavailable':
      return {
        kind: 'impossible',
        why: `machine ${target.machine} is unavailable: its availability zone is disabled, enable it first`,
        evidence,
      };
    case 'unknown': {
      const why = `Multipass does not know the state of machine ${target.machine}, as while it boots for the first time`;
      const patient = { ...policy, guestAnswersWithinMs: UNKNOWN_FOR_TIMES * policy.guestAnswersWithinMs };
      return decideUnanswered(target, { github: github.value, why, evidence }, patient, options);
    }
    case 'running':
      break;
  }
  const guest = machine.value.guest;
  if (!guest.known) {
    const why = `machine ${target.machine} runs, but its guest does not answer: ${guest.why}`;
    return decideUnanswered(target, { github: github.value, why, evidence }, policy, options);
  }
  const stranger = strangerReason(target, guest.value);
  if (stranger !== null) {
    return { kind: 'impossible', why: stranger, evidence };
  }
  const drain = markOf(guest.value);
  if (drain !== null) {
    return { kind: 'refused-drained', why: drainedText(target, drain), evidence };
  }
  const unproven = unprovenAbsence(github.value, target, guest.value);
  if (unproven !== null && !options.force) {
    return options.lookedForMs < policy.goneShownWithinMs
      ? { kind: 'look-again', why: unproven, evidence }
      : { kind: 'impossible', why: `${unproven}; see the runner on GitHub, or use --force; nothing was touched`, evidence };
  }
  const status = github.value.runner?.status;
  if (status !== undefined && status !== 'online' && status !== 'offline') {
    return {
      kind: 'impossible',
      why: `GitHub calls ${target.runner} "${status}", which is neither online nor offline, so nothing was touched`,
      evidence,
    };
  }
  const suspicion = options.suspicion ?? null;
  if (isHealthy(github.value, guest.value, policy) && !options.force && !isSuspect(suspicion, github.value)) {
    return { kind: 'already-healthy', evidence };
  }
  if (github.value.runner?.isEphemeral === true) {
    return {
      kind: 'impossible',
      why: `${target.runner} is ephemeral: it goes after one job, by design, and whatever made it makes the next one; nothing was touched`,
      evidence,
    };
  }
  const elsewhere = elsewhereReason(target, github.value, guest.value);
  if (elsewhere !== null) {
    return options.lookedForMs < policy.goneShownWithinMs
      ? { kind: 'look-again', why: `${elsewhere}; GitHub may be late`, evidence }
      : {
          kind: 'impossible',
          why: `${elsewhere}: it is alive on another machine, give one of them another name; nothing was touched`,
          evidence,
        };
  }
  const busy = busyReason(github.value, guest.value, suspicion);
  if (busy !== null && !options.force) {
    return { kind: 'refused-busy', why: busy, evidence };
  }
  return { kind: 'recover', evidence };
}

/** What comes if everything stays as it was seen, and after how long it does. */
export function decideInTheEnd(
  target: RunnerTarget,
  look: Look,
  policy: RecoveryPolicy,
  options: Omit<DecisionOptions, 'lookedForMs'>,
): { readonly kind: RecoveryDecision['kind']; readonly afterMs: number } {
  const { guestAnswersWithinMs, goneShownWithinMs, jobLostAfterMs } = policy;
  const limits = [0, guestAnswersWithinMs, UNKNOWN_FOR_TIMES * guestAnswersWithinMs, goneShownWithinMs, jobLostAfterMs];
  const ends = limits
    .toSorted((one, other) => one - other)
    .map((afterMs) => ({ kind: decideRecovery(target, look, policy, { ...options, lookedForMs: afterMs }).kind, afterMs }));
  return ends.find(({ kind }) => kind !== 'look-again') ?? { kind: 'look-again', afterMs: 0 };
}

/** A first boot, in which Multipass knows no state, takes longer than a guest that ran a moment ago needs to answer. */
const UNKNOWN_FOR_TIMES = 2;

/**
 * A guest that is out of reach: whether jobs run in it can only be told by GitHub. Nobody lives there only if GitHub calls all its runners
 * offline, or has proven that they are gone; for some time it shows one that is gone online.
 */
function decideUnanswered(
  target: RunnerTarget,
  { github, why, evidence }: { readonly github: GitHubObservation; readonly why: string; readonly evidence: readonly string[] },
  policy: RecoveryPolicy,
  { force, lookedForMs }: DecisionOptions,
): RecoveryDecision {
  if (lookedForMs < policy.guestAnswersWithinMs) {
    return { kind: 'look-again', why, evidence };
  }
  if (force) {
    return { kind: 'restart-machine', why, evidence };
  }
  const around = runnersOf(target, github);
  const living = around.filter(({ standing }) => mayLive(standing));
  const atWork = living.find(({ busy }) => busy);
  if (atWork !== undefined) {
    return { kind: 'refused-busy', why: `GitHub calls ${atWork.name} ${atWork.word} and busy; ${why}`, evidence };
  }
  const reason = livingReason(target, github);
  if (reason !== null) {
    return lookedForMs < policy.goneShownWithinMs
      ? { kind: 'look-again', why: `${why}; ${reason}, and may be late`, evidence }
      : { kind: 'refused-online', why: `${reason}; ${why}`, evidence };
  }
  if (around.some(({ busy }) => busy) && lookedForMs < policy.jobLostAfterMs) {
    return { kind: 'look-again', why: `${why}; GitHub still knows of a job`, evidence };
  }
  return { kind: 'restart-machine', why, evidence };
}

/** Why the power of the runner's machine must not be cut by GitHub's word, or `null` where nobody can live there. */
export function livingReason(target: RunnerTarget, github: GitHubObservation): string | null {
  const living = runnersOf(target, github).find(({ standing }) => mayLive(standing));
  if (living === undefined) {
    return null;
  }
  return living.standing === 'unknown' && living.word === ''
    ? `GitHub does not list ${living.name}, which does not prove that it is gone`
    : `GitHub shows ${living.name} ${living.word}${living.busy ? ' and busy' : ''}`;
}

/** Those on the runner's machine that GitHub calls busy, by name. */
export function busyAround(target: RunnerTarget, github: GitHubObservation): readonly string[] {
  return runnersOf(target, github).flatMap(({ name, busy }) => (busy ? [name] : []));
}

/** A runner on the machine, with GitHub's word for it; empty where its list lacks it. */
interface Around {
  readonly name: string;
  readonly standing: Neighbour['standing'];
  readonly word: string;
  readonly busy: boolean;
}

function mayLive(standing: Neighbour['standing']): boolean {
  return standing !== 'offline' && standing !== 'gone';
}

/** The runner and all that are configured on its machine, of whatever scope. */
function runnersOf(target: RunnerTarget, { runner, absence, neighbours = [], busyNeighbours }: GitHubObservation): readonly Around[] {
  const own: Around =
    runner === null
      ? { name: target.runner, standing: absence?.kind === 'gone' ? 'gone' : 'unknown', word: '', busy: false }
      : { name: target.runner, standing: standingOf(runner.status), word: runner.status, busy: runner.busy };
  const names = new Set([...target.neighbours.map(qualifiedName), ...busyNeighbours.map(({ name }) => name)]);
  const others = [...names].map((name): Around => {
    const seen = neighbours.find((other) => other.name === name);
    const busy = busyNeighbours.find((other) => other.name === name);
    const word = busy?.status ?? (seen === undefined || seen.standing === 'unknown' ? '' : seen.standing);
    return { name, standing: seen?.standing ?? standingOf(word), word, busy: busy !== undefined };
  });
  return [own, ...others];
}

function standingOf(word: string): Neighbour['standing'] {
  return word === 'online' || word === 'offline' ? word : 'unknown';
}

/** GitHub shows the runner online without anything in its own machine that could be it; `null` where that is not so. */
function elsewhereReason({ runner, machine }: RunnerTarget, github: GitHubObservation, guest: GuestObservation): string | null {
  if (github.runner?.status !== 'online') {
    return null;
  }
  if (allListeners(guest) === 0) {
    return `GitHub shows ${runner} online, but no listener of it runs in ${machine}`;
  }
  const registered = guest.registration?.agentId ?? null;
  return registered === null || registered === github.runner.id
    ? null
    : `GitHub shows ${runner} online as id ${github.runner.id}, but ${machine} is configured as id ${registered}`;
}

/** An observation in the history of a release before drains has no field for the mark. */
function markOf(guest: GuestObservation): DrainMark | null {
  return guest.drain ?? null;
}

function drainedText({ runner }: RunnerTarget, { since, reason }: DrainMark): string {
  return `${runner} was drained (since ${new Date(since).toISOString()}, ${reason}), so it was left alone: run \`runward runner resume\` first`;
}

/** Why the runner in the configured directory is another one than configured, or `null`. Not even force may act on it. */
export function strangerReason(target: RunnerTarget, { registration }: GuestObservation): string | null {
  if (registration === null) {
    return null;
  }
  const isNamed = registration.agentName.toLowerCase() === target.runner.toLowerCase();
  // A just-in-time configuration names no URL.
  const isAt = registration.url === '' || withoutSlash(registration.url) === withoutSlash(target.registrationUrl);
  return isNamed && isAt
    ? null
    : `${target.directory} on ${target.machine} holds runner ${registration.agentName} of ${registration.url}, not ${target.runner} of ${target.registrationUrl}: check RUNNER_NAME, RUNNER_DIR and the repository; nothing was touched`;
}

function withoutSlash(url: string): string {
  return url.toLowerCase().replace(/\/+$/, '');
}

/** Both sides agree: online on GitHub, and in the guest an active service of the right unit, with one listener, its registration, and a right clock. */
export function isHealthy(github: GitHubObservation, guest: GuestObservation, policy: Pick<RecoveryPolicy, 'driftThresholdMs'>): boolean {
  return (
    github.runner?.status === 'online' &&
    guest.service.state === 'active' &&
    guest.service.altered === undefined &&
    guest.listeners === 1 &&
    guest.registration?.agentId === github.runner.id &&
    Math.abs(guest.clockOffsetMs) < policy.driftThresholdMs
  );
}

/** Whether a runner that looks healthy still shows what it is suspected of. */
function isSuspect(suspicion: Suspicion | null, { runner }: GitHubObservation): boolean {
  return suspicion === 'deaf-listener' || (suspicion === 'stuck-busy' && runner?.busy === true);
}

/** Listeners of a runner, its service's and strays. */
export function allListeners({ listeners, strays }: GuestObservation): number {
  return listeners + (strays?.listeners ?? 0);
}

/** Whether something of the runner may take a job, or is at one: its service, or a listener or worker outside of it. */
export function isAlive(guest: GuestObservation): boolean {
  return allListeners(guest) > 0 || guest.workers > 0 || !['inactive', 'failed', 'missing'].includes(guest.service.state);
}

/** Workers that may be at a job. Those of strays are none where GitHub has called the runner idle for long. */
export function workersAtJobs({ workers, strays }: GuestObservation, areStraysIdle: boolean): number {
  return workers - (areStraysIdle ? (strays?.workers ?? 0) : 0);
}

/** Why the runner must be left alone, or `null` where both sides call it idle. Of one that is stuck busy the guest alone is believed. */
export function busyReason(github: GitHubObservation, guest: GuestObservation, suspicion: Suspicion | null = null): string | null {
  const reasons: string[] = [];
  const workers = workersAtJobs(guest, suspicion === 'stray-listener');
  if (workers > 0) {
    reasons.push(`${workers} Runner.Worker process${workers === 1 ? '' : 'es'} in the guest`);
  }
  if (github.runner?.busy === true && suspicion !== 'stuck-busy') {
    reasons.push('GitHub calls the runner busy');
  }
  return reasons.length === 0 ? null : reasons.join('; ');
}

/** Why the whole machine must be left alone, or `null` where all its runners are idle on both sides. */
export function busyMachineReason(github: GitHubObservation, guest: GuestObservation): string | null {
  const reasons: string[] = [];
  if (guest.workersOnMachine > 0) {
    reasons.push(`${guest.workersOnMachine} Runner.Worker process${guest.workersOnMachine === 1 ? '' : 'es'} on the machine`);
  }
  if (github.runner?.busy === true) {
    reasons.push('GitHub calls the runner busy');
  }
  if (github.busyNeighbours.length > 0) {
    reasons.push(`GitHub calls a neighbour busy: ${github.busyNeighbours.map(({ name }) => name).join(', ')}`);
  }
  const unknown = (github.neighbours ?? []).filter(({ standing, busy }) => standing === 'unknown' && !busy);
  if (unknown.length > 0) {
    reasons.push(`GitHub does not say whether a neighbour is busy: ${unknown.map(({ name }) => name).join(', ')}`);
  }
  return reasons.length === 0 ? null : reasons.join('; ');
}

/**
 * The rungs that make sense for what was seen, cheapest first. `re-register` stands last: it is the six steps.
 * A rung whose goal holds already is left out. A deaf listener is restarted, and nothing more: whether the queue moves is seen later. So is a
 * service whose unit was altered, since the restart puts it right.
 */
export function planLadder(
  look: { readonly github: GitHubObservation; readonly machine: MachineObservation },
  policy: Pick<RecoveryPolicy, 'driftThresholdMs'>,
  suspicion: Suspicion | null = null,
): readonly Rung[] {
  if (suspicion === 'deaf-listener') {
    return ['restart-service'];
  }
  const { github, machine } = look;
  const guest = machine.guest;
  if (guest.known && guest.value.service.altered !== undefined && guest.value.service.state === 'active') {
    return ['restart-service'];
  }
  const wanted = new Set<Rung>(['re-register']);
  if (!guest.known) {
    if (machine.state !== 'running') {
      // Nothing is known of the guest before it runs, so each cheaper cure keeps its place until the next look.
      for (const rung of RUNGS) {
        wanted.add(rung);
      }
    }
    return RUNGS.filter((rung) => wanted.has(rung));
  }
  if (Math.abs(guest.value.clockOffsetMs) >= policy.driftThresholdMs) {
    wanted.add('fix-clock');
  }
  const registered = github.runner !== null && guest.value.registration?.agentId === github.runner.id;
  // A service can't bring back a registration that is gone, so starting it is no rung then.
  if (registered && guest.value.service.state !== 'missing') {
    wanted.add(guest.value.service.state === 'active' ? 'restart-service' : 'start-service');
    wanted.add('restart-service');
  }
  return RUNGS.filter((rung) => wanted.has(rung));
}

/** What was read, one line each, in words a tired person can read. */
export function evidenceOf(look: Look): readonly string[] {
  return [...githubEvidence(look.github), ...machineEvidence(look.machine)];
}

function githubEvidence(github: Reading<GitHubObservation>): string[] {
  if (!github.known) {
    return [`GitHub: unknown (${github.why})`];
  }
  const { runner } = github.value;
  return runner === null ? ['GitHub: not registered'] : [`GitHub: ${runner.status}, ${runner.busy ? 'busy' : 'idle'}, id ${runner.id}`];
}

function machineEvidence(machine: Reading<MachineObservation>): string[] {
  if (!machine.known) {
    return [`machine: unknown (${machine.why})`];
  }
  const lines = [`machine: ${machine.value.state}`];
  const { guest } = machine.value;
  if (!guest.known) {
    return machine.value.state === 'running' ? [...lines, `guest: unknown (${guest.why})`] : lines;
  }
  const { service, registration, strays } = guest.value;
  const drain = markOf(guest.value);
  return [
    ...lines,
    ...(drain === null ? [] : [`drained: since ${new Date(drain.since).toISOString()}, ${drain.reason}`]),
    `service: ${service.state}${service.unit === null ? '' : ` (${service.unit})`}`,
    ...(service.altered === undefined ? [] : [`unit: ${service.altered}`]),
    `listeners: ${guest.value.listeners}, workers: ${guest.value.workers}`,
    ...(strays === undefined ? [] : [`outside of the service: listeners: ${strays.listeners}, workers: ${strays.workers}`]),
    registration === null ? 'configuration: none' : `configuration: ${registration.agentName}, id ${registration.agentId}`,
    `clock: ${describeOffset(guest.value.clockOffsetMs)}`,
  ];
}

/** What a healthy runner's evidence says. */
const WELL = /^(?:GitHub: online,|machine: running$|service: active|listeners: 1,|configuration: (?!none)|clock: right$)/;

/** The lines of evidence that tell what is wrong. */
export function troubleIn(evidence: readonly string[]): readonly string[] {
  return evidence.filter((line) => !WELL.test(line));
}

/** `2 h 0 min ahead`, `13 s behind`, `right`. */
export function describeOffset(offsetMs: number): string {
  const seconds = Math.round(Math.abs(offsetMs) / 1000);
  if (seconds < 2) {
    return 'right';
  }
  const direction = offsetMs > 0 ? 'ahead' : 'behind';
  if (seconds < 120) {
    return `${seconds} s ${direction}`;
  }
  const minutes = Math.round(seconds / 60);
  return minutes < 120 ? `${minutes} min ${direction}` : `${Math.floor(minutes / 60)} h ${minutes % 60} min ${direction}`;
}
