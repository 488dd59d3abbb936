import { plain } from '../domain/plain.ts';
import type { Cause, FindingChanged, OperationBegan, OperationEnded, QueueMaintained, RunwardEvent } from '../domain/event.ts';
import { countsText } from '../domain/queue/report.ts';
import { formatDuration } from '../domain/duration.ts';
import { isGood } from './operation-text.ts';

/** What happened in one line, with the command that tells more. Whoever starts a workflow gives it any id. */
export function eventText(event: RunwardEvent): string {
  return plain(`${sentenceOf(event)} · runward explain ${event.workflowId}`);
}

/** Whether somebody should look. */
export function isTrouble(event: RunwardEvent): boolean {
  switch (event.kind) {
    case 'operation-began':
    case 'finding-over':
      return false;
    case 'operation-ended':
      return !isGood(event);
    case 'finding-opened':
    case 'finding-worse':
      return true;
    case 'queue-maintained':
      return event.outcome !== 'done';
  }
}

function sentenceOf(event: RunwardEvent): string {
  switch (event.kind) {
    case 'operation-began':
      return `${aboutText(event)} → under way`;
    case 'operation-ended':
      return `${aboutText(event)} → ${endText(event)}`;
    case 'finding-opened':
    case 'finding-worse':
    case 'finding-over':
      return findingText(event);
    case 'queue-maintained':
      return queueText(event);
  }
}

/** What broke, or what somebody wanted. */
function aboutText({ runner, type, trigger, cause, ...event }: OperationBegan | OperationEnded): string {
  const operation = OPERATIONS[type] ?? type;
  if (cause !== null) {
    return type === 'recoverRunner' ? `${runner} down: ${causeText(cause)}` : `${runner}: ${causeText(cause)}`;
  }
  const reason = 'reason' in event && event.reason !== null ? ` (${event.reason})` : '';
  return `${runner}: ${trigger === 'manual' ? 'manual ' : ''}${operation}${reason}`;
}

const OPERATIONS: Readonly<Record<string, string>> = {
  recoverRunner: 'recovery',
  syncClock: 'clock sync',
  drainRunner: 'drain',
  resumeRunner: 'resume',
  cleanActionsCache: 'cleaning of the actions cache',
  clearActionsCache: 'clearing of the actions cache',
  healActionsCache: 'repair of the actions cache',
  makeRoom: 'freeing of disk space',
  fetchPackage: 'fetching of its package',
};

/** The runner is named already, so that what is known by its code takes few words. */
function causeText({ code, summary }: Cause): string {
  const [, what, state] = /^(service|machine)-([a-z-]+)$/.exec(code) ?? [];
  if (what !== undefined && state !== undefined && /^(service|the service|machine) .* is /.test(summary)) {
    return `${what} ${state.replaceAll('-', ' ')}`;
  }
  return SHORT_CAUSES[code] ?? summary;
}

const SHORT_CAUSES: Readonly<Record<string, string>> = {
  'runner-offline': 'GitHub shows it offline',
  'runner-unregistered': 'not registered at GitHub',
  'registration-deleted': 'its registration was deleted at GitHub',
  'configuration-missing': 'not configured',
  'listener-missing': 'service active without a listener',
  'service-looping': 'its listener starts again and again',
  'deaf-listener': 'takes no job although one waits',
  'stuck-busy': 'busy by GitHub, and no job runs',
  'stray-listener': 'a listener runs outside of its service',
  'guest-unreachable': 'its machine does not answer',
  'disk-full': 'disk full',
  'disk-low': 'disk nearly full',
  'inodes-low': 'few inodes left',
  'package-missing': 'no package of the runner kept',
  'package-outdated': 'package of the runner outdated',
};

function endText({ outcome, summary, type, durationMs }: OperationEnded): string {
  const after = `after ${formatDuration(durationMs)}`;
  if (isGood({ outcome })) {
    return `${GOOD_ENDS[outcome] ?? outcome} ${after}`;
  }
  if (outcome === 'cancelled') {
    return `cancelled ${after}`;
  }
  const operation = OPERATIONS[type] ?? type;
  return outcome.startsWith('refused-')
    ? `not done: ${summary}`
    : `${operation} ${outcome === 'failed' ? 'failed' : outcome} ${after}: ${summary}`;
}

const GOOD_ENDS: Readonly<Record<string, string>> = {
  recovered: 'online again',
  'already-healthy': 'healthy, nothing was done',
  synced: 'clock set',
  'already-right': 'clock right, nothing was done',
  'already-drained': 'was drained already',
  'already-resumed': 'was not drained',
  cleaned: 'actions cache cleaned',
  cleared: 'actions cache cleared',
  healed: 'actions cache repaired',
  'nothing-damaged': 'actions cache whole, nothing was done',
  'room-made': 'disk space freed',
  'enough-room': 'disk has space, nothing was done',
  'some-room': 'some disk space freed, less than wished',
  noted: 'noted, since its machine does not run',
  undone: 'was resumed meanwhile',
  fetched: 'package of the runner stored',
  kept: 'package of the runner was there',
  'not-needed': 'registered by its own programs, nothing was done',
};

function findingText({ kind, subject, runner, severity, summary, advice, durationMs }: FindingChanged): string {
  const about = runner ?? subject;
  switch (kind) {
    case 'finding-opened':
      return `${about} ${severity}: ${summary} → ${advice}`;
    case 'finding-worse':
      return `${about} now ${severity}: ${summary} → ${advice}`;
    case 'finding-over':
      return `${about} over after ${formatDuration(durationMs)}: ${summary}`;
  }
}

function queueText({ scope, outcome, counts, summary }: QueueMaintained): string {
  return outcome === 'failed' ? `${scope} queue maintenance failed: ${summary}` : `${scope} queue: ${countsText(counts)}`;
}
