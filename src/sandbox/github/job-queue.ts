// Queued jobs, found by the runner that may take them: runners ask often, and most of what waits is for others.

import type { Job } from './run.ts';
import { allLabels } from './runner.ts';
import type { Runner } from './runner.ts';
import { serves } from './scope.ts';
import type { Scope } from './scope.ts';

/** Jobs of one scope that ask for the same labels, oldest first. */
interface Line {
  /** Lower case. */
  readonly labels: readonly string[];
  readonly jobs: Set<Job>;
}

export class JobQueue {
  readonly #lines = new Map<Scope, Map<string, Line>>();
  /** Jobs that were given to a runner by hand. */
  readonly #given = new Map<Runner, Set<Job>>();

  add(job: Job): void {
    if (job.run !== null) this.#lineOf(job.run.scope, job.labels).jobs.add(job);
    else if (job.runner !== null) this.#given.set(job.runner, (this.#given.get(job.runner) ?? new Set()).add(job));
  }

  delete(job: Job): void {
    if (job.run === null) {
      if (job.runner !== null) this.#given.get(job.runner)?.delete(job);
      return;
    }
    const lines = this.#lines.get(job.run.scope);
    const key = keyOf(job.labels);
    const line = lines?.get(key);
    line?.jobs.delete(job);
    if (line?.jobs.size === 0) lines?.delete(key);
  }

  /** The job that was given to the runner, or else the oldest that waits for any runner with its labels. */
  firstFor(runner: Runner): Job | undefined {
    const [given] = this.#given.get(runner) ?? [];
    if (given) return given;
    const offered = new Set(allLabels(runner).map(lowerCase));
    let first: Job | undefined;
    for (const [scope, lines] of this.#lines) {
      if (lines.size === 0 || !serves(runner.scope, runner.group, scope)) continue;
      for (const { labels, jobs } of lines.values()) {
        const [job] = jobs;
        if (job && (!first || job.id < first.id) && labels.every((label) => offered.has(label))) first = job;
      }
    }
    return first;
  }

  #lineOf(scope: Scope, labels: readonly string[]): Line {
    const lines = this.#lines.get(scope) ?? new Map<string, Line>();
    this.#lines.set(scope, lines);
    const key = keyOf(labels);
    const line = lines.get(key) ?? { labels: labels.map(lowerCase), jobs: new Set() };
    lines.set(key, line);
    return line;
  }
}

function keyOf(labels: readonly string[]): string {
  return JSON.stringify(labels.map(lowerCase).toSorted());
}

function lowerCase(text: string): string {
  return text.toLowerCase();
}
