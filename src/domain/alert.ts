import type { Finding, Severity } from './finding.ts';

/** `opened`: somebody is to look. `worse`: more urgent than was told before. `cleared`: it is over. */
export type AlertState = 'opened' | 'worse' | 'cleared';

/** What a finding is about. */
export interface FindingPlace {
  /** A runner's `scope/name`, `host/NAME`, or the scope itself. */
  readonly subject: string;
  readonly scope: string;
  /** The runner's name; `null` where it is not about a single one. */
  readonly runner: string | null;
  /** Configured name of the host; `null` where it is about none. */
  readonly host: string | null;
}

/** One message to people about a finding, the same for every channel and every attempt. */
export interface Alert extends Finding, FindingPlace {
  /** Tells messages apart for good, so that a receiver can drop a repeated one. */
  readonly id: string;
  readonly state: AlertState;
  /** One line: what is wrong with what, and what to do next. */
  readonly text: string;
  /** When the finding opened, ISO 8601. */
  readonly since: string;
  /** When this came about, ISO 8601. */
  readonly at: string;
  /** The finding in Temporal's UI; `null` where its address is not known. */
  readonly link: string | null;
}

/** What is known of an alert before it is sent. */
export type Message = Omit<Alert, 'link'>;

const RANKS: Readonly<Record<Severity, number>> = { info: 0, warning: 1, critical: 2 };

/** The worst first. */
export function bySeverity<T extends { readonly severity: Severity }>(findings: readonly T[]): readonly T[] {
  return findings.toSorted((one, other) => RANKS[other.severity] - RANKS[one.severity]);
}

/** `told`: the highest severity that people were told; `null` where they were told nothing. */
export function isMoreUrgent(severity: Severity, told: Severity | null): boolean {
  return severity !== 'info' && (told === null || RANKS[severity] > RANKS[told]);
}

/** One line: what is wrong with what, and what to do next. */
export function alertText(state: AlertState, subject: string, finding: Finding, lastedMs: number): string {
  const advice = oneLine(finding.advice).replace(/\.$/, '');
  const next = `${advice.charAt(0).toUpperCase()}${advice.slice(1)}`;
  const summary = oneLine(finding.summary).replace(/\.$/, '');
  switch (state) {
    case 'opened':
      return `${subject}: ${summary} (${finding.severity}). ${next}`;
    case 'worse':
      return `${subject}: ${summary} (now ${finding.severity}). ${next}`;
    case 'cleared':
      return `${subject}: over after ${roughly(lastedMs)}: ${summary}. Nothing to do any more`;
  }
}

/** Temporal takes summaries of up to 400 bytes of JSON. */
const SUMMARY_BYTES = 360;

/** As much of a line as a summary in Temporal's UI may hold. */
export function asSummary(line: string): string {
  const whole = line.toWellFormed();
  let bytes = 0;
  let end = 0;
  for (const character of whole) {
    bytes += bytesOf(character);
    if (bytes > SUMMARY_BYTES) {
      return `${whole.slice(0, end)}…`;
    }
    end += character.length;
  }
  return whole;
}

/** In JSON as UTF-8. */
function bytesOf(character: string): number {
  const point = character.codePointAt(0) ?? 0;
  if (point < 0x80) {
    return JSON.stringify(character).length - 2;
  }
  return point < 0x800 ? 2 : 4;
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ').trim();
}

function roughly(milliseconds: number): string {
  const minutes = Math.round(milliseconds / 60_000);
  return minutes < 120 ? `${minutes} min` : `${Math.round(minutes / 60)} h`;
}
