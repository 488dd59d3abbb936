import { alertText, isMoreUrgent, type AlertState, type FindingPlace, type Message } from './alert.ts';
import type { FindingPolicy } from './policy.ts';
import type { Diagnosed, Finding, Severity } from './finding.ts';

/** What has become of a finding; its search attribute `RunwardOutcome`. */
export type FindingOutcome = 'open' | 'acknowledged' | 'cleared';

/** A person's word that they know of it. */
export interface Acknowledgement {
  readonly by: string;
  readonly note: string;
}

/** A message on its way. */
export interface PendingMessage {
  readonly message: Message;
  /** When it was sent off first. */
  readonly begunAt: number;
  /** Channels that it has still to go through; `null` until they are known. */
  readonly channels: readonly string[] | null;
}

/** All that a finding's workflow knows, handed from run to run as JSON: it only grows. Times are epoch milliseconds by Temporal's clock. */
export interface FindingLife {
  readonly phase: 'open' | 'cleared';
  /** As it was last proven. */
  readonly finding: Finding;
  /** When it opened. */
  readonly since: number;
  /** The newest pass that saw it. */
  readonly seenAt: number;
  /** The newest pass that said anything about it. */
  readonly heardAt: number;
  /** Passes that saw it since it opened. */
  readonly sightings: number;
  /** Passes in a row that did not see it. */
  readonly goodPasses: number;
  readonly clearedAt: number | null;
  readonly acknowledged: (Acknowledgement & { readonly at: number }) | null;
  readonly snoozedUntil: number | null;
  /** The highest severity that people were told; `null` where, for all they know, nothing is wrong. */
  readonly told: Severity | null;
  /** An operation was at work about it when it was last proven; absent in older histories. */
  readonly isBeingCured?: boolean;
  /** The highest severity that Runward's log has; `null` where it has none of it, absent in older histories. */
  readonly logged?: Severity | null;
  /** Messages so far; numbers them. */
  readonly messages: number;
  readonly pending: PendingMessage | null;
  /** The last message that could not be delivered, and why. */
  readonly undelivered: { readonly state: AlertState; readonly why: string; readonly at: number } | null;
}

/** Result of `finding`. */
export interface FindingReport {
  readonly outcome: 'cleared';
  readonly subject: string;
  readonly code: string;
  readonly severity: Severity;
  readonly summary: string;
  /** ISO 8601, as is `clearedAt`. */
  readonly since: string;
  readonly clearedAt: string;
  readonly sightings: number;
  readonly messages: number;
  readonly acknowledgedBy: string | null;
  readonly undelivered: string | null;
}

/** A pass saw it. Only proof opens it, or changes its words; what is open stays so without. Word of an older pass is no news. */
export function see(life: FindingLife | null, found: Diagnosed, at: number): FindingLife | null {
  if (life === null) {
    return found.isProven ? opened(found, at) : null;
  }
  if (at <= life.heardAt) {
    return life;
  }
  if (life.phase === 'cleared') {
    // Who has not been told that it was over has been told of it.
    return found.isProven ? { ...life, ...opened(found, at), ...mailOf(life) } : life;
  }
  return {
    ...life,
    finding: found.isProven ? wordsOf(found) : life.finding,
    isBeingCured: found.isProven ? found.isBeingCured === true : (life.isBeingCured ?? false),
    seenAt: at,
    heardAt: at,
    sightings: life.sightings + 1,
    goodPasses: 0,
  };
}

/** A pass looked for it and did not see it. Passes moments apart, as of a check by hand after a scheduled one, are one reading. */
export function miss(life: FindingLife, at: number, { goodPasses, readingsApartMs }: Counting): FindingLife {
  if (life.phase === 'cleared' || at <= life.heardAt || at - life.heardAt < readingsApartMs) {
    return life;
  }
  const missed = { ...life, heardAt: at, goodPasses: life.goodPasses + 1 };
  return missed.goodPasses < goodPasses ? missed : { ...missed, phase: 'cleared', clearedAt: at };
}

/** When it is over. */
type Counting = Pick<FindingPolicy, 'goodPasses' | 'readingsApartMs'>;

/** A clock that was ahead, and was set right since, has left times that are yet to come: what was heard then is older than any word of now. */
export function untilNow(life: FindingLife, now: number): FindingLife {
  const { since, seenAt, heardAt, clearedAt, acknowledged, pending, undelivered } = life;
  const isAhead = [since, seenAt, heardAt, clearedAt, acknowledged?.at, pending?.begunAt, undelivered?.at].some(
    (moment) => moment != null && moment > now,
  );
  return isAhead
    ? {
        ...life,
        since: Math.min(since, now),
        seenAt: Math.min(seenAt, now),
        heardAt: heardAt > now ? 0 : heardAt,
        clearedAt: clearedAt === null ? null : Math.min(clearedAt, now),
        acknowledged: acknowledged === null ? null : { ...acknowledged, at: Math.min(acknowledged.at, now) },
        pending: pending === null ? null : { ...pending, begunAt: Math.min(pending.begunAt, now) },
        undelivered: undelivered === null ? null : { ...undelivered, at: Math.min(undelivered.at, now) },
      }
    : life;
}

export function acknowledge(life: FindingLife, { by, note }: Acknowledgement, at: number): FindingLife {
  return life.phase === 'cleared' ? life : { ...life, acknowledged: { by, note, at } };
}

/** Nothing is told before `until`; a time that is over ends an earlier snooze. */
export function snooze(life: FindingLife, until: number, now: number): FindingLife {
  return { ...life, snoozedUntil: until > now ? until : null };
}

/** Ends a snooze whose time has come. What is still open then, and nobody has acknowledged, is told once more. */
export function wake(life: FindingLife, now: number): FindingLife {
  if (life.snoozedUntil === null || now < life.snoozedUntil) {
    return life;
  }
  return { ...life, snoozedUntil: null, told: life.phase === 'open' ? null : life.told };
}

/** What people are to be told now, once no message is on its way. */
export function dueAlert(life: FindingLife): AlertState | null {
  if (life.pending !== null || life.snoozedUntil !== null) {
    return null;
  }
  if (life.phase === 'cleared') {
    return life.told === null ? null : 'cleared';
  }
  if (life.acknowledged !== null || !isMoreUrgent(life.finding.severity, life.told)) {
    return null;
  }
  return life.told === null ? 'opened' : 'worse';
}

/** What Runward's log is to have now. What an operation is at work about, that operation tells: it is one event, and not two. */
export function dueNews(life: FindingLife): AlertState | null {
  const { logged = null } = life;
  if (life.phase === 'cleared') {
    return logged === null ? null : 'cleared';
  }
  if (life.isBeingCured === true || !isMoreUrgent(life.finding.severity, logged)) {
    return null;
  }
  return logged === null ? 'opened' : 'worse';
}

/** From now on the log has it. */
export function loggedAs(life: FindingLife, state: AlertState): FindingLife {
  return { ...life, logged: state === 'cleared' ? null : life.finding.severity };
}

/** Sends a message off: from now on people count as told. */
export function sendOff(life: FindingLife, state: AlertState, place: FindingPlace, now: number): FindingLife {
  const number = life.messages + 1;
  const message: Message = {
    ...place,
    ...life.finding,
    id: `${place.subject}/${life.finding.code}/${life.since}/${number}`,
    state,
    text: alertText(state, place.subject, life.finding, (life.clearedAt ?? now) - life.since),
    since: new Date(life.since).toISOString(),
    at: new Date(now).toISOString(),
  };
  return {
    ...life,
    told: state === 'cleared' ? null : life.finding.severity,
    messages: number,
    pending: { message, begunAt: now, channels: null },
  };
}

/** The channels that the message on its way is to go through. */
export function routed(life: FindingLife, channels: readonly string[]): FindingLife {
  return { ...life, pending: life.pending === null || channels.length === 0 ? null : { ...life.pending, channels } };
}

export function delivered(life: FindingLife, channel: string): FindingLife {
  return routed(life, life.pending?.channels?.filter((other) => other !== channel) ?? []);
}

/** The message did not get through a channel, and will not; `null`: through none. */
export function givenUp(life: FindingLife, channel: string | null, why: string, at: number): FindingLife {
  const undelivered = life.pending === null ? life.undelivered : { state: life.pending.message.state, why, at };
  return { ...(channel === null ? routed(life, []) : delivered(life, channel)), undelivered };
}

export function outcomeOf(life: FindingLife): FindingOutcome {
  if (life.phase === 'cleared') {
    return 'cleared';
  }
  return life.acknowledged === null ? 'open' : 'acknowledged';
}

/** Whether nothing is left to be said: the finding is over, and so are its messages, but for those that a snooze holds back. */
export function isOver(life: FindingLife): boolean {
  return life.phase === 'cleared' && life.pending === null && dueAlert(life) === null;
}

export function reportOf(life: FindingLife, { subject }: FindingPlace): FindingReport {
  const { finding, since, clearedAt, heardAt, sightings, messages, acknowledged, undelivered } = life;
  return {
    outcome: 'cleared',
    subject,
    code: finding.code,
    severity: finding.severity,
    summary: finding.summary,
    since: new Date(since).toISOString(),
    clearedAt: new Date(clearedAt ?? heardAt).toISOString(),
    sightings,
    messages,
    acknowledgedBy: acknowledged?.by ?? null,
    undelivered: undelivered?.why ?? null,
  };
}

/** What a signal `seen` says; `null` where it can't be understood. */
export function readSeen(given: unknown): { readonly finding: Diagnosed; readonly at: number } | null {
  const { finding, at } = asRecord(given);
  const { code, severity, summary, evidence, advice } = asRecord(finding);
  const isFinding = [code, severity, summary, evidence, advice].every((word) => typeof word === 'string');
  return isFinding && typeof at === 'number' ? { finding: finding as Diagnosed, at } : null;
}

/** What a signal `good` says; `null` where it can't be understood. */
export function readMissed(given: unknown): { readonly at: number } | null {
  const { at } = asRecord(given);
  return typeof at === 'number' ? { at } : null;
}

/** What a signal `acknowledge` says; `null` where it can't be understood. */
export function readAcknowledgement(given: unknown): Acknowledgement | null {
  const { by, note = '' } = asRecord(given);
  return typeof by === 'string' && by.trim() !== '' && typeof note === 'string' ? { by: by.trim(), note } : null;
}

/** What a signal `snooze` says, ISO 8601 with its offset, in epoch milliseconds; `null` where it can't be understood. */
export function readSnooze(given: unknown): number | null {
  const { until } = asRecord(given);
  const at = typeof until === 'string' && /T.*(?:Z|[+-]\d\d:?\d\d)$/.test(until) ? Date.parse(until) : Number.NaN;
  return Number.isNaN(at) ? null : at;
}

function asRecord(given: unknown): Readonly<Record<string, unknown>> {
  return typeof given === 'object' && given !== null ? (given as Record<string, unknown>) : {};
}

/** For Temporal's UI, which renders Markdown; what to do comes first. */
export function findingMarkdown(life: FindingLife, { subject }: FindingPlace): string {
  const { finding, acknowledged, snoozedUntil, pending, undelivered } = life;
  const doing = life.phase === 'cleared' ? 'Nothing to do any more' : finding.advice;
  const lines = [
    `**${doing}**`,
    `${subject}: ${finding.summary} (${finding.code}, ${finding.severity})`,
    `Evidence: ${finding.evidence}`,
    `Open since ${clock(life.since)}, last seen ${clock(life.seenAt)}, in ${life.sightings} passes; ${life.goodPasses} good ones since`,
    acknowledged === null ? '' : `Acknowledged by ${acknowledged.by}, ${clock(acknowledged.at)}: ${acknowledged.note}`,
    snoozedUntil === null ? '' : `Nothing is told before ${clock(snoozedUntil)}`,
    pending === null ? '' : `On its way since ${clock(pending.begunAt)}: ${pending.message.text}`,
    undelivered === null ? '' : `Not delivered (${undelivered.state}): ${undelivered.why}`,
  ];
  return lines.filter((line) => line !== '').join('\n\n');
}

function opened(found: Diagnosed, at: number): FindingLife {
  return {
    phase: 'open',
    finding: wordsOf(found),
    isBeingCured: found.isBeingCured === true,
    logged: null,
    since: at,
    seenAt: at,
    heardAt: at,
    sightings: 1,
    goodPasses: 0,
    clearedAt: null,
    acknowledged: null,
    snoozedUntil: null,
    told: null,
    messages: 0,
    pending: null,
    undelivered: null,
  };
}

/** What goes on over a clearing: messages, and a person's wish for quiet. */
function mailOf(life: FindingLife): Pick<FindingLife, 'told' | 'messages' | 'pending' | 'undelivered' | 'snoozedUntil'> {
  const { told, messages, pending, undelivered, snoozedUntil } = life;
  return { told, messages, pending, undelivered, snoozedUntil };
}

function wordsOf({ code, severity, summary, evidence, advice, dueSince }: Finding): Finding {
  return { code, severity, summary, evidence, advice, ...(dueSince === undefined ? {} : { dueSince }) };
}

function clock(at: number): string {
  return new Date(at).toISOString();
}
