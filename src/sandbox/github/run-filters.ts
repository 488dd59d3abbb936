// Filters of lists of runs, as their query names them.

import type { Run } from './run.ts';

/** A list with one of these shows the newest thousand alone. */
const CAPPING = ['actor', 'branch', 'check_suite_id', 'created', 'event', 'head_sha', 'status'];

export interface RunFilter {
  readonly isCapping: boolean;
  readonly passes: (run: Run) => boolean;
}

/** `null` where `created` is no time. `actor` and `check_suite_id` let all runs pass. */
export function readFilter(query: URLSearchParams): RunFilter | null {
  const tests: ((run: Run) => boolean)[] = [];
  const add = (name: string, test: (run: Run, wanted: string) => boolean): void => {
    const wanted = query.get(name);
    if (wanted !== null) tests.push((run) => test(run, wanted));
  };
  add('status', (run, status) => statusListed(run) === status || run.conclusion === status);
  add('event', (run, event) => run.event === event);
  add('branch', (run, branch) => run.branch === branch);
  add('head_sha', (run, sha) => run.sha === sha);
  const created = query.get('created');
  const span = created === null ? null : readSpan(created);
  if (created !== null && span === null) return null;
  if (span !== null) tests.push(({ createdAt }) => isWithin(Math.floor(createdAt / 1000), span));
  return {
    isCapping: CAPPING.some((name) => query.has(name)),
    passes: (run) => tests.every((test) => test(run)),
  };
}

/** What lists show of it. */
export function statusListed({ shown, status }: Run): string {
  return shown.status ?? status;
}

/** Epoch seconds, both included. */
interface Span {
  readonly from: number;
  readonly to: number;
}

/** `>=T`, `>T`, `<=T`, `<T`, `A..B` or `T` of GitHub's search syntax; a date alone is its whole day, `*` is open. */
function readSpan(text: string): Span | null {
  const [, sign = '', words = ''] = /^([<>]=?)?(.*)$/.exec(text) ?? [];
  const [first = '', last = first] = words.split('..');
  const [one, other] = [readTime(first), readTime(last)];
  if (one === null || other === null) return null;
  if (sign === '>=') return { from: one.from, to: Infinity };
  if (sign === '>') return { from: one.to + 1, to: Infinity };
  if (sign === '<=') return { from: -Infinity, to: one.to };
  if (sign === '<') return { from: -Infinity, to: one.from - 1 };
  return { from: one.from, to: other.to };
}

function readTime(text: string): Span | null {
  if (text === '*') return { from: -Infinity, to: Infinity };
  const from = Math.floor(Date.parse(text) / 1000);
  if (Number.isNaN(from)) return null;
  return { from, to: text.includes('T') ? from : from + 86_399 };
}

function isWithin(second: number, { from, to }: Span): boolean {
  return from <= second && second <= to;
}
