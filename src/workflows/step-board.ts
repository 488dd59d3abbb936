import type { Progress, ProgressStep, RecoveryOutcome, RecoveryStep, StepReport } from '../domain/report.ts';
import { RECOVERY_STEPS } from '../domain/report.ts';

interface Row {
  status: ProgressStep['status'];
  attempts: number;
  startedAt: number | null;
  durationMs: number;
  detail: string;
}

/** The six steps as they stand: written by the workflow, read by its query, its details in Temporal's UI, and its report. */
export class StepBoard {
  readonly #rows: Record<RecoveryStep, Row>;
  readonly #changed: () => void;
  #runner: string;
  #doing = 'looking';
  #current: RecoveryStep | null = null;
  #outcome: RecoveryOutcome | null = null;

  /** `changed` is called after every change. */
  constructor(runner: string, changed: () => void) {
    this.#runner = runner;
    this.#rows = Object.fromEntries(
      RECOVERY_STEPS.map((name): [RecoveryStep, Row] => [
        name,
        { status: 'waiting', attempts: 0, startedAt: null, durationMs: 0, detail: '' },
      ]),
    ) as Record<RecoveryStep, Row>;
    this.#changed = changed;
  }

  /** Its configured name, once that is known. */
  name(runner: string): void {
    this.#runner = runner;
  }

  get current(): RecoveryStep | null {
    return this.#current;
  }

  say(doing: string): void {
    this.#doing = doing;
    this.#changed();
  }

  begin(step: RecoveryStep): void {
    const row = this.#rows[step];
    row.status = 'running';
    row.startedAt ??= Date.now();
    this.#current = step;
    this.say(step);
  }

  /** Adds the attempts of one activity to the current step. */
  count(attempts: number): void {
    if (this.#current !== null) {
      this.#rows[this.#current].attempts += attempts;
    }
  }

  end(step: RecoveryStep, status: StepReport['status'], detail: string): void {
    const row = this.#rows[step];
    row.status = status;
    row.detail = detail;
    row.durationMs = row.startedAt === null ? 0 : Date.now() - row.startedAt;
    this.#current = null;
    this.#changed();
  }

  finish(outcome: RecoveryOutcome, summary: string): void {
    this.#outcome = outcome;
    this.say(summary);
  }

  progress(): Progress {
    return {
      runner: this.#runner,
      doing: this.#doing,
      outcome: this.#outcome,
      steps: RECOVERY_STEPS.map((name) => {
        const row = this.#rows[name];
        const durationMs = row.status === 'running' && row.startedAt !== null ? Date.now() - row.startedAt : row.durationMs;
        return { name, status: row.status, detail: row.detail, durationMs };
      }),
    };
  }

  /** A step that was never reached counts as skipped. */
  reports(): readonly StepReport[] {
    return RECOVERY_STEPS.map((name) => {
      const row = this.#rows[name];
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
    const rows = RECOVERY_STEPS.map(
      (name) => `| ${name} | ${this.#rows[name].status} | ${this.#rows[name].detail.replaceAll('|', '\\|')} |`,
    );
    return [`**${this.#doing}**`, '', '| step | status | |', '| --- | --- | --- |', ...rows].join('\n');
  }
}
