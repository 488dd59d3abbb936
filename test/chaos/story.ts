// A story in words: what happened when, who did it, and what was true.

import { INVARIANTS, nameOf, type Violation } from './invariants.ts';
import { BEGUN_AT } from './play.ts';
import type { Story } from './scenario.ts';
import type { Fact } from './world/facts.ts';
import { HOUR, MINUTE, SECOND } from './world/time.ts';

/** What of a long story is told: the last hours before its end. */
const TOLD_MS = 6 * HOUR;

export function tell(story: Story, facts: readonly Fact[], violation: Violation, command: string): string {
  const { site } = story;
  const [first] = story.events;
  const from = Math.max(violation.at - TOLD_MS, BEGUN_AT + (first?.at ?? 0));
  const lines = facts.filter(({ at }) => at <= violation.at && at >= from).flatMap((fact) => lineOf(fact) ?? []);
  return [
    `${violation.invariant}: ${INVARIANTS[violation.invariant]}`,
    '',
    `The site: ${site.layout}, a check every ${site.everyMinutes} minutes${RIVAL_WORDS[site.rival]}.`,
    ...lines,
    `${clockOf(violation.at)}  Broken: ${violation.what}.`,
    '',
    `Play it again: ${command}`,
  ].join('\n');
}

/** `null` for what only fills pages. */
function lineOf(fact: Fact): string | null {
  const words = wordsOf(fact);
  return words === null ? null : `${clockOf(fact.at)}  ${words}.`;
}

const TOLD_OPERATIONS = new Set([
  'checkHealth',
  'recoverRunner',
  'drainRunner',
  'resumeRunner',
  'syncClock',
  'makeRoom',
  'parkedRuns',
  'cleanActionsCache',
  'healActionsCache',
]);

/** As every act ends that has done its part. */
const PLAIN_ANSWERS = new Set([
  'running',
  'started',
  'set-aside',
  'configured',
  'restored',
  'discarded',
  'marked',
  'unmarked',
  'synced',
  'made',
  'nothing',
  'removed',
  'let-go',
  'thawed',
]);

function wordsOf(fact: Fact): string | null {
  switch (fact.kind) {
    case 'fault':
      return `Fault: ${fact.what}`;
    case 'person':
      return `A person: ${fact.what}`;
    case 'job':
      return fact.what === 'waits'
        ? `Job ${fact.job} waits`
        : `Job ${fact.job} ${JOB_WORDS[fact.what]}${fact.runner === null ? '' : ` ${fact.runner}`}`;
    case 'job-disturbed':
      return `Job ${fact.job} of ${fact.runner} was disturbed: ${fact.how}, by ${nameOf(fact.cause)}`;
    case 'act-began':
      return fact.cause.by === 'runward' ? `${nameOf(fact.cause)} begins in ${fact.machine}` : null;
    case 'act-ended':
      return fact.cause.by === 'runward' && !PLAIN_ANSWERS.has(fact.answer) ? `${nameOf(fact.cause)} ends: ${fact.answer}` : null;
    case 'changed':
      return `${fact.runner}: ${fact.what}, by ${nameOf(fact.cause)}${fact.wasHealthy ? ' (it was well)' : ''}`;
    case 'power':
      return `${fact.machine}: power ${fact.what}, by ${nameOf(fact.cause)}`;
    case 'asked-github':
      return `GitHub does not answer about ${fact.runner ?? fact.scope}`;
    case 'run':
      return fact.what === 'made' || fact.what === 'over' ? null : `Run ${fact.run} was ${fact.what} by ${nameOf(fact.cause)}: ${fact.why}`;
    case 'operation':
      if (fact.type === 'checkHealth' && (fact.what === 'began' || fact.outcome === 'healthy')) return null;
      return TOLD_OPERATIONS.has(fact.type)
        ? `${fact.type} ${fact.workflowId} (${fact.installation}) ${fact.what}${fact.what === 'ended' ? `: ${fact.outcome}. ${fact.summary}` : ''}`
        : null;
    case 'told':
      return `People are told: ${fact.code} of ${fact.subject}, ${fact.state}`;
  }
}

const JOB_WORDS = {
  offered: 'is offered to',
  assigned: 'is assigned to',
  works: 'works on',
  ended: 'ends on',
  'back in the queue': 'is back in the queue',
} as const;

const RIVAL_WORDS = {
  none: '',
  'by hand': ', and another Runward with a Temporal of its own that people use',
  'checks too': ', and another Runward with a Temporal of its own that checks too',
} as const;

/** Since the story began: `02:14:05`. */
function clockOf(at: number): string {
  const ms = at - BEGUN_AT;
  const two = (number: number): string => String(Math.floor(number)).padStart(2, '0');
  return `${two(ms / HOUR)}:${two((ms % HOUR) / MINUTE)}:${two((ms % MINUTE) / SECOND)}`;
}
