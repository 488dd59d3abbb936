import type { Progress, ProgressStep, RecoveryStep, StepReport } from '../domain/report.ts';

interface Row {
  status: ProgressStep['status'];
  attempts: number;
  startedAt: number | null;
  durationMs: number;
  detail: string;
}

/** The steps of an operation as they stand: written by the workflow, read by its query, its details in Temporal's UI, and its report. */
export class StepBoard<Step extends string = RecoveryStep> {
  readonly #rows: ReadonlyMap<Step, Row>;
  readonly #changed: () => void;
  #runner: string;
  #doing = 'looking';
  #current: Step | null = null;
  #outcome: string | null = null;

  /** `changed` is called after every change. */
  constructor(steps: readonly Step[], runner: string, changed: () => void) {
    this.#runner = runner;
    this.#rows = new Map(steps.map((name) => [name, { status: 'waiting', attempts: 0, startedAt: null, durationMs: 0, detail: '' }]));
    this.#changed = changed;
  }

  /** Its configured name, once that is known. */
  name(runner: string): void {
    this.#runner = runner;
  }

  get current(): Step | null {
    return this.#current;
  }

  say(doing: string): void {
    this.#doing = doing;
    this.#changed();
  }

  begin(step: Step): void {
    const row = this.#row(step);
    row.status = 'running';
    row.startedAt ??= Date.now();
    this.#current = step;
    this.say(step);
  }

  /** Adds the attempts of one activity to the current step. */
  count(attempts: number): void {
    if (this.#current !== null) {
      this.#row(this.#current).attempts += attempts;
    }
  }

  end(step: Step, status: StepReport['status'], detail: string): void {
    const row = this.#row(step);
    row.status = status;
    row.detail = detail;
    row.durationMs = row.startedAt === null ? 0 : Date.now() - row.startedAt;
    this.#current = null;
    this.#changed();
  }

  finish(outcome: string, summary: string): void {
    this.#outcome = outcome;
    this.say(summary);
  }

  progress(): Progress {
    return {
      runner: this.#runner,
      doing: this.#doing,
      outcome: this.#outcome,
      steps: [...this.#rows].map(([name, row]) => {
        const durationMs = row.status === 'running' && row.startedAt !== null ? Date.now() - row.startedAt : row.durationMs;
        return { name, status: row.status, detail: row.detail, durationMs };
      }),
    };
  }

  /** A step that was never reached counts as skipped. */
  reports(): readonly StepReport<Step>[] {
    return [...this.#rows].map(([name, row]) => {
      const reached = row.status !== 'waiting' && row.status !== 'running';
      return {
        name,
        status: reached ? (row.status as StepReport['status']) : 'skipped',
        attempts: row.attempts,
        startedAt: row.startedAt === null ? null : new Date(row.startedAt).toISOString(),
        durationMs: row.durationMs,
        detail: reached ? row.detail : 'not reached',
      };
    });
  }

  /** For Temporal's UI, which renders Markdown. */
  markdown(): string {
    const rows = [...this.#rows].map(([name, { status, detail }]) => `| ${name} | ${status} | ${detail.replaceAll('|', '\\|')} |`);
    return [`**${this.#doing}**`, '', '| step | status | |', '| --- | --- | --- |', ...rows].join('\n');
  }

  #row(step: Step): Row {
    const row = this.#rows.get(step);
    if (row === undefined) {
      throw new Error(`${step} is no step of this operation`);
    }
    return row;
  }
}
