import { decideRelabelling, type Relabelling } from './cordon.ts';
import { busyReason, evidenceOf, isAlive, strangerReason, type Look } from './recovery.ts';
import { valueOrNull } from './reading.ts';
import type { DrainMark, MachineState, RunnerTarget } from './runner.ts';
import { isDrainedForRoom } from './upkeep.ts';

interface Seen {
  /** One reading a line. */
  readonly evidence: readonly string[];
}

/** What the mark says: one printable line. */
export function drainReason(given: string | null): string {
  const line = (given ?? '').replaceAll(/[\p{C}\p{Zl}\p{Zp}]+/gu, ' ').trim();
  return line === '' ? 'by hand' : line.slice(0, MAX_REASON_LENGTH);
}

const MAX_REASON_LENGTH = 200;

/** What a drain does after a look. It converges: whoever put the mark there, what is left to do follows from what is seen. */
export type DrainDecision =
  /** Marked, and nothing of the runner is left that could take a job. */
  | ({ readonly kind: 'drained' } & Seen)
  /** Not marked yet. */
  | ({ readonly kind: 'mark' } & Seen)
  /** Its machine does not run, so that nothing can be marked in it. */
  | ({ readonly kind: 'note'; readonly state: MachineState } & Seen)
  /** Marked, and idle on both sides: the service may be stopped. */
  | ({ readonly kind: 'stop' } & Seen)
  /** A job runs, or it can't be told at this moment whether one does. */
  | ({ readonly kind: 'wait'; readonly isMarked: boolean; readonly why: string } & Seen)
  /** It could not be done, now or later. */
  | ({ readonly kind: 'impossible'; readonly why: string } & Seen);

/** `isStuckBusy`: GitHub has called it busy for so long without a worker in its guest that the guest alone is believed. */
export function decideDrain(target: RunnerTarget, look: Look, { isByPerson = true, isStuckBusy = false } = {}): DrainDecision {
  const evidence = evidenceOf(look);
  if (look.machine.known && ['stopped', 'suspended'].includes(look.machine.value.state)) {
    return { kind: 'note', state: look.machine.value.state, evidence };
  }
  const unfit = impossibleReason(target, look);
  if (unfit !== null) {
    return { kind: 'impossible', why: unfit, evidence };
  }
  const machine = valueOrNull(look.machine);
  const guest = machine === null ? null : valueOrNull(machine.guest);
  if (guest === null) {
    return { kind: 'wait', isMarked: false, why: unknownReason(target, look), evidence };
  }
  // Runward takes its own mark for want of room away by itself, so it gives way to a person's.
  const drain = isByPerson && isDrainedForRoom(guest) ? null : guest.drain;
  if (drain !== null && !isAlive(guest)) {
    return { kind: 'drained', evidence };
  }
  if (drain === null) {
    return { kind: 'mark', evidence };
  }
  if (!look.github.known) {
    return { kind: 'wait', isMarked: true, why: `GitHub could not be read: ${look.github.why}`, evidence };
  }
  const busy = busyReason(look.github.value, guest, isStuckBusy ? 'stuck-busy' : null);
  return busy === null
    ? { kind: 'stop', evidence }
    : { kind: 'wait', isMarked: true, why: `waiting for the job to end: ${busy}`, evidence };
}

/** GitHub has called the runner busy, or has not listed it, without a worker in its guest, in one look after the other. */
export interface BusyAlone {
  readonly since: number;
  readonly lastAt: number;
}

/**
 * What a look adds to such a row; `null` if there is none. A side that is unknown adds nothing, and a gap between two that are known ends it: between
 * a job's assignment and its worker every job looks so, and two such moments are no row.
 */
export function noteBusyAlone(
  row: BusyAlone | null,
  { github, machine }: Look,
  { at, gapMs }: { at: number; gapMs: number },
): BusyAlone | null {
  const guest = machine.known ? valueOrNull(machine.value.guest) : null;
  if (guest !== null && guest.workers > 0) {
    return null;
  }
  if (!github.known || guest === null) {
    return row;
  }
  if (github.value.runner?.busy === false) {
    return null;
  }
  return { since: row !== null && at - row.lastAt <= gapMs ? row.since : at, lastAt: at };
}

/** What a resume does after a look. */
export type ResumeDecision =
  /** Not drained. */
  | ({ readonly kind: 'already-resumed' } & Seen)
  /** `agentId`: the registration that is to come online; `null` where the runner is not configured any more. */
  | ({ readonly kind: 'resume'; readonly mark: DrainMark; readonly agentId: number | null; readonly relabelling: Relabelling } & Seen)
  /** Not drained, and without any of its labels, as after a drain whose mark is gone. */
  | ({ readonly kind: 'relabel'; readonly relabelling: NonNullable<Relabelling> } & Seen)
  | ({ readonly kind: 'impossible'; readonly why: string } & Seen);

export function decideResume(target: RunnerTarget, look: Look): ResumeDecision {
  const evidence = evidenceOf(look);
  const unfit = impossibleReason(target, look);
  if (unfit !== null) {
    return { kind: 'impossible', why: unfit, evidence };
  }
  const machine = valueOrNull(look.machine);
  const guest = machine === null ? null : valueOrNull(machine.guest);
  if (guest === null) {
    return { kind: 'impossible', why: `${unknownReason(target, look)}; nothing was touched`, evidence };
  }
  if (!look.github.known) {
    return guest.drain === null
      ? { kind: 'already-resumed', evidence }
      : { kind: 'impossible', why: `GitHub could not be read, so nothing was touched: ${look.github.why}`, evidence };
  }
  const relabelling = decideRelabelling(target, guest.drain, look.github.value.runner);
  if (guest.drain !== null) {
    return { kind: 'resume', mark: guest.drain, agentId: guest.registration?.agentId ?? null, relabelling, evidence };
  }
  return relabelling === null ? { kind: 'already-resumed', evidence } : { kind: 'relabel', relabelling, evidence };
}

/** The same for a check, which undoes Runward's own drain: a person may have drained the runner since it was seen. */
export function decideTakeUp(target: RunnerTarget, look: Look): ResumeDecision {
  const decision = decideResume(target, look);
  const machine = valueOrNull(look.machine);
  const guest = machine === null ? null : valueOrNull(machine.guest);
  const { evidence } = decision;
  if (decision.kind === 'relabel') {
    return { kind: 'already-resumed', evidence };
  }
  return decision.kind === 'resume' && (guest === null || !isDrainedForRoom(guest))
    ? { kind: 'impossible', why: `${target.runner} is drained by a person by now, so it was left as it is`, evidence }
    : decision;
}

/** Why nothing can be written in the guest, for good or until a person does something; `null` where that is not so. */
function impossibleReason(target: RunnerTarget, { machine }: Look): string | null {
  const { machine: name } = target;
  if (!machine.known) {
    return null;
  }
  const { state, guest } = machine.value;
  if (guest.known) {
    return strangerReason(target, guest.value);
  }
  switch (state) {
    case 'missing':
      return `there is no machine named ${name} on host ${target.host}: check VM_NAME or the file's \`vm\``;
    case 'deleted':
      return `machine ${name} is deleted: bring it back with \`multipass recover ${name}\``;
    case 'stopped':
    case 'suspended':
      return `machine ${name} is ${state}, so nothing can be written in it: start it (\`multipass start ${name}\`) and run this again`;
    default:
      return null;
  }
}

/** What could not be read of a machine that may still answer. */
function unknownReason({ machine: name }: RunnerTarget, { machine }: Look): string {
  if (!machine.known) {
    return `machine ${name} could not be read: ${machine.why}`;
  }
  const { state, guest } = machine.value;
  return state === 'running' && !guest.known ? `the guest of ${name} does not answer: ${guest.why}` : `machine ${name} is ${state}`;
}
