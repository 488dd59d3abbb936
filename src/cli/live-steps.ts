import { createLogUpdate } from 'log-update';
import type { Progress, ProgressStep } from '../domain/report.ts';
import { formatDuration } from './durations.ts';
import { say, styled } from './invocation.ts';

/** Shows an operation's steps while it works. */
export interface LiveSteps {
  show(progress: Progress): void;
  /** Leaves the last picture standing. */
  end(): void;
}

/** Redrawn in place on a terminal; elsewhere a line for each change. */
export function createLiveSteps(): LiveSteps {
  return process.stderr.isTTY ? drawnSteps() : loggedSteps();
}

function drawnSteps(): LiveSteps {
  const draw = createLogUpdate(process.stderr);
  return {
    show: (progress) => draw(picture(progress)),
    end: () => draw.done(),
  };
}

function picture(progress: Progress): string {
  const rows = progress.steps.map((step) => `  ${mark(step)} ${step.name.padEnd(18)} ${aside(step)}`);
  return [...rows, `  ${styled('dim', progress.doing, process.stderr)}`].join('\n');
}

function mark({ status }: ProgressStep): string {
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

function aside({ status, detail, durationMs }: ProgressStep): string {
  if (status === 'waiting') {
    return '';
  }
  return status === 'running' ? formatDuration(durationMs) : `${formatDuration(durationMs).padEnd(8)} ${detail}`;
}

function loggedSteps(): LiveSteps {
  const told = new Map<string, string>();
  let doing = '';
  return {
    show: (progress) => {
      for (const { name, status, detail, durationMs } of progress.steps) {
        if (status !== 'waiting' && told.get(name) !== status) {
          told.set(name, status);
          say(
            status === 'running'
              ? `  ${name} …`
              : `  ${name}: ${status}, ${formatDuration(durationMs)}${detail === '' ? '' : `, ${detail}`}`,
          );
        }
      }
      if (progress.doing !== doing && !progress.steps.some((step) => step.name === progress.doing)) {
        doing = progress.doing;
        say(`  ${doing}`);
      }
    },
    end: () => {},
  };
}
