import { createLogUpdate } from 'log-update';
import type { ProgressStep } from '../domain/report.ts';
import { formatDuration } from '../domain/duration.ts';
import { say, styled } from './invocation.ts';

/** What the `progress` query of an operation tells; one without fixed steps leaves them out. */
export interface ShownProgress {
  readonly doing: string;
  readonly steps?: readonly ShownStep[];
}

interface ShownStep extends Omit<ProgressStep, 'name'> {
  readonly name: string;
}

/** Shows what operations do while they work. */
export interface LiveSteps {
  /** `of` tells several operations apart. An empty `doing` leaves the steps alone. */
  show(progress: ShownProgress, of?: string): void;
  /** Leaves the last picture standing. */
  end(): void;
}

/** Redrawn in place on a terminal; elsewhere a line for each change. */
export function createLiveSteps(): LiveSteps {
  return process.stderr.isTTY ? drawnSteps() : loggedSteps();
}

function drawnSteps(): LiveSteps {
  const draw = createLogUpdate(process.stderr);
  const pictures = new Map<string, string>();
  const since = new Beginnings();
  return {
    show: (progress, of = '') => {
      pictures.set(of, pictureLines(progress, of, since, Date.now()).join('\n'));
      const all = [...pictures.values()].filter((picture) => picture !== '').join('\n');
      if (all === '') {
        draw.clear();
      } else {
        draw(all);
      }
    },
    end: () => draw.done(),
  };
}

/** When what is going on began: an operation tells times as they were when it last moved. */
export class Beginnings {
  readonly #began = new Map<string, { readonly what: string; readonly at: number }>();

  /** Milliseconds since `what` is the thing that `who` does; `already` is how long it had been so when it was seen first. */
  lasting(who: string, what: string, already: number, now: number): number {
    const known = this.#began.get(who);
    if (known?.what === what) {
      return now - known.at;
    }
    this.#began.set(who, { what, at: now - already });
    return already;
  }
}

/** Shorter waits need no word of their length. */
const NOTABLE_MS = 2_000;

/** The steps, and under them what is being done and for how long; nothing once all is over and no step was begun. */
export function pictureLines({ steps = [], doing }: ShownProgress, of: string, since: Beginnings, now: number): string[] {
  if (doing === '' && steps.every(({ status }) => status === 'waiting')) {
    return [];
  }
  const rows = steps.map((step) => {
    const lasted = step.status === 'running' ? since.lasting(`${of} ${step.name}`, step.status, step.durationMs, now) : step.durationMs;
    return `  ${mark(step)} ${step.name.padEnd(18)} ${aside({ ...step, durationMs: lasted })}`.trimEnd();
  });
  // A step is its own word for what is done.
  if (doing === '' || steps.some(({ name }) => name === doing)) {
    return rows;
  }
  const lasted = since.lasting(of, doing, 0, now);
  const time = lasted < NOTABLE_MS ? '' : ` (${formatDuration(lasted)})`;
  return [...rows, `  ${styled('dim', `${prefixed(doing, of)}${time}`, process.stderr)}`];
}

function prefixed(text: string, of: string): string {
  return of === '' ? text : `${of}: ${text}`;
}

function mark({ status }: ShownStep): string {
  switch (status) {
    case 'done':
      return styled('green', '✔', process.stderr);
    case 'failed':
      return styled('red', '✘', process.stderr);
    case 'skipped':
      return styled('dim', '–', process.stderr);
    case 'running':
      return styled('cyan', '▸', process.stderr);
    case 'waiting':
      return styled('dim', '·', process.stderr);
  }
}

function aside({ status, detail, durationMs }: ShownStep): string {
  if (status === 'waiting') {
    return '';
  }
  return status === 'running' ? formatDuration(durationMs) : `${formatDuration(durationMs).padEnd(8)} ${detail}`;
}

function loggedSteps(): LiveSteps {
  const told = new Map<string, string>();
  return {
    show: ({ steps = [], doing }, of = '') => {
      for (const { name, status, detail, durationMs } of steps) {
        const key = `${of} ${name}`;
        if (status !== 'waiting' && told.get(key) !== status) {
          told.set(key, status);
          const result = `${status}, ${formatDuration(durationMs)}${detail === '' ? '' : `, ${detail}`}`;
          say(`  ${prefixed(status === 'running' ? `${name} …` : `${name}: ${result}`, of)}`);
        }
      }
      if (doing !== '' && told.get(of) !== doing && !steps.some((step) => step.name === doing)) {
        told.set(of, doing);
        say(`  ${prefixed(doing, of)}`);
      }
    },
    end: () => {},
  };
}
