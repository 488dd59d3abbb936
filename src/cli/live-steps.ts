import { createLogUpdate } from 'log-update';
import type { ProgressStep } from '../domain/report.ts';
import { formatDuration } from './durations.ts';
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
  /** `of` tells several operations apart. */
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
  return {
    show: (progress, of = '') => {
      pictures.set(of, picture(progress, of));
      draw([...pictures.values()].join('\n'));
    },
    end: () => draw.done(),
  };
}

function picture({ steps = [], doing }: ShownProgress, of: string): string {
  const rows = steps.map((step) => `  ${mark(step)} ${step.name.padEnd(18)} ${aside(step)}`);
  return [...rows, `  ${styled('dim', prefixed(doing, of), process.stderr)}`].join('\n');
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
      if (told.get(of) !== doing && !steps.some((step) => step.name === doing)) {
        told.set(of, doing);
        say(`  ${prefixed(doing, of)}`);
      }
    },
    end: () => {},
  };
}
