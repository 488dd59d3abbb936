// A queue of thousands of runs, and what is to become of each of them.

import { randomFrom } from '../../../src/sandbox/github/bad-days.ts';
import type { SandboxGitHub } from '../../../src/sandbox/github/server.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/** Its only runner is busy for ever, so the job waits. */
const OURS = { labels: ['self-hosted', 'gpu'] };
const HOSTED = { labels: ['ubuntu-latest'] };

/** Those that the rule names by default, but for pull requests, whose jobs would be read in each pass for the demand. */
const EVENTS = ['push', 'schedule', 'workflow_dispatch', 'repository_dispatch', 'workflow_run'];

export interface LongQueue {
  /** To be cancelled. */
  readonly stale: readonly number[];
  /** Stale as well, and nothing ends them. */
  readonly zombies: readonly number[];
  /** To be left alone. */
  readonly others: readonly number[];
}

type RunOptions = Parameters<SandboxGitHub['queueRun']>[1];

/**
 * Queues `size` runs: half of them stale, one in a hundred of all a zombie. The others are young, for runners of somebody else, re-run a while ago,
 * half done, or not queued at all, whatever lists say.
 */
export function queueMany(github: SandboxGitHub, scope: string, size: number, seed: number): LongQueue {
  const random = randomFrom(seed);
  github.addRunner(scope, { name: 'gpu-1', labels: ['gpu'] });
  github.showRunner(scope, 'gpu-1', { status: 'online', busy: true });
  const between = (from: number, to: number): number => from + random() * (to - from);
  const queue = (number: number, options: Partial<RunOptions>): number =>
    // A branch of its own: nothing replaces it.
    github.queueRun(scope, { jobs: [OURS], event: EVENTS[number % EVENTS.length] ?? '', branch: `b-${number}`, ...options });
  const old = (): number => between(5 * HOUR, 200 * HOUR);

  const found = { stale: [] as number[], zombies: [] as number[], others: [] as number[] };
  for (let number = 0; number < size; number += 1) {
    if (number % 200 === 1) {
      found.zombies.push(queue(number, { agoMs: old(), zombie: 'not-queued' }));
    } else if (number % 200 === 3) {
      found.zombies.push(queue(number, { agoMs: old(), zombie: 'failing' }));
    } else if (number % 2 === 1) {
      // GitHub takes a while to end one in five.
      found.stale.push(queue(number, { agoMs: old(), cancelTakesMs: random() < 0.2 ? between(10, 600) : 0 }));
    } else {
      found.others.push(other(number));
    }
  }
  return found;

  function other(number: number): number {
    switch (number % 50) {
      case 0:
        return queue(number, { agoMs: old(), jobs: [HOSTED] });
      case 2:
        return queue(number, { agoMs: old(), startedAgoMs: between(MINUTE, HOUR), attempt: 2 });
      case 4:
        return queue(number, { agoMs: old(), jobs: [{ ...OURS, state: 'in_progress' }, OURS] });
      case 6: {
        const run = queue(number, { agoMs: old(), jobs: [{ ...OURS, state: 'in_progress' }] });
        github.showRun(run, { status: 'queued' });
        return run;
      }
      default:
        return queue(number, { agoMs: between(MINUTE, 3 * HOUR) });
    }
  }
}
